"""Reference values of the segmentation networks that judge images.

    python tests/reference/segmentation_networks.py    # writes tests/fixtures/evaluators

The networks are built here from their layer lists, with the names of the published checkpoints:
DeepLabV2-ResNet101 (kazuto1011/deeplab-pytorch), DRN-D-105 (fyu/drn) and UPerNet-ResNet101
(CSAILVision/semantic-segmentation-pytorch). Thin ones are filled by formula and run through the
multi-scale rules of these projects; of the networks of full size only names and shapes are written,
and their multiply-adds are printed.
Made with torch 2.15.0, Pillow 13.0.0, numpy 2.4.6 and safetensors 0.8.0.
"""

import collections
import json
import pathlib

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from safetensors.torch import save_file
from torch import nn

import formula

OUT = pathlib.Path(__file__).resolve().parents[2] / "tests" / "fixtures" / "evaluators"
# Relative error that the tests allow.
BOUND = 1e-4
BGR_MEAN = [104.008, 116.669, 122.675]
DRN_STATISTICS = ([0.29010095242892997, 0.32808144844279574, 0.28696394422942517],
                  [0.1829540508368939, 0.18656561047509476, 0.18447508988480435])
IMAGENET = ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])


def normalised(image, statistics):
    mean, std = (torch.tensor(values).view(1, 3, 1, 1) for values in statistics)
    return (image - mean) / std


def conv(channels, kernel, stride=1, dilation=1, padding=None, bias=False):
    """A square convolution that keeps the size at stride 1."""
    if padding is None:
        padding = dilation * (kernel // 2)
    return nn.Conv2d(*channels, kernel, stride, padding, dilation, bias=bias)


def bilinear(maps, size):
    return F.interpolate(maps, size=tuple(size), mode="bilinear", align_corners=False)


# DeepLabV2: convolution and norm under one name, stride in the first 1x1 convolution.


def unit(channels, kernel, stride=1, dilation=1):
    layers = collections.OrderedDict()
    layers["conv"] = conv(channels, kernel, stride, dilation)
    layers["bn"] = nn.BatchNorm2d(channels[1])
    return nn.Sequential(layers)


class CaffeBlock(nn.Module):
    def __init__(self, channels, stride, dilation, first):
        super().__init__()
        inner = channels[1] // 4
        self.reduce = unit((channels[0], inner), 1, stride)
        self.conv3x3 = unit((inner, inner), 3, 1, dilation)
        self.increase = unit((inner, channels[1]), 1)
        if first:
            self.shortcut = unit(channels, 1, stride)

    def forward(self, x):
        hidden = self.increase(F.relu(self.conv3x3(F.relu(self.reduce(x)))))
        return F.relu(hidden + (self.shortcut(x) if hasattr(self, "shortcut") else x))


class DeepLab(nn.Module):
    """Logits of an RGB image in [0, 1]."""

    def __init__(self, depths=(3, 4, 23, 3), width=64, rates=(6, 12, 18, 24), classes=182):
        super().__init__()
        self.base = nn.Module()
        self.base.layer1 = nn.Module()
        self.base.layer1.conv1 = unit((3, width), 7, 2)
        self.layers, before = [], width
        stages = zip(depths, (4, 8, 16, 32), (1, 2, 1, 1), (1, 1, 2, 4))
        for stage, (depth, factor, stride, dilation) in enumerate(stages):
            layer = nn.Sequential()
            for block in range(depth):
                channels = (before if block == 0 else factor * width, factor * width)
                first = CaffeBlock(channels, stride if block == 0 else 1, dilation, block == 0)
                layer.add_module(f"block{block + 1}", first)
            before = factor * width
            setattr(self.base, f"layer{stage + 2}", layer)
        self.base.aspp = nn.Module()
        for index, rate in enumerate(rates):
            setattr(self.base.aspp, f"c{index}", conv((before, classes), 3, 1, rate, bias=True))

    def logits(self, x):
        base = self.base
        x = F.max_pool2d(F.relu(base.layer1.conv1(x)), 3, 2, 1, ceil_mode=True)
        for layer in (base.layer2, base.layer3, base.layer4, base.layer5):
            x = layer(x)
        return sum(branch(x) for branch in base.aspp.children())

    def forward(self, image):
        mean = torch.tensor(BGR_MEAN).view(1, 3, 1, 1)
        return self.logits(image.flip(1) * 255 - mean.to(image.device))

    def scores(self, scaled, size):
        (image,) = scaled
        x = image.flip(1) * 255 - torch.tensor(BGR_MEAN).view(1, 3, 1, 1)
        whole = self.logits(x)
        found = [whole]
        for factor in (0.5, 0.75):
            small = bilinear(x, [int(side * factor) for side in x.shape[2:]])
            found.append(bilinear(self.logits(small), whole.shape[2:]))
        return bilinear(torch.stack(found).amax(0), size)


# torchvision's bottleneck, for the two other networks.


class Bottleneck(nn.Module):
    def __init__(self, before, width, stride, dilation, shortcut):
        super().__init__()
        self.conv1, self.bn1 = conv((before, width), 1), nn.BatchNorm2d(width)
        self.conv2, self.bn2 = conv((width, width), 3, stride, dilation), nn.BatchNorm2d(width)
        self.conv3, self.bn3 = conv((width, 4 * width), 1), nn.BatchNorm2d(4 * width)
        if shortcut:
            self.downsample = nn.Sequential(conv((before, 4 * width), 1, stride),
                                            nn.BatchNorm2d(4 * width))

    def forward(self, x):
        hidden = F.relu(self.bn1(self.conv1(x)))
        hidden = F.relu(self.bn2(self.conv2(hidden)))
        hidden = self.bn3(self.conv3(hidden))
        return F.relu(hidden + (self.downsample(x) if hasattr(self, "downsample") else x))


def bottlenecks(before, width, depth, stride, dilation=1):
    layers = []
    for block in range(depth):
        step = stride if block == 0 else 1
        shortcut = step > 1 or before != 4 * width
        layers.append(Bottleneck(before, width, step, dilation, shortcut))
        before = 4 * width
    return nn.Sequential(*layers)


def convolution(channels, kernel, stride=1, dilation=1):
    return nn.Sequential(conv(channels, kernel, stride, dilation), nn.BatchNorm2d(channels[1]),
                         nn.ReLU())


class Drn(nn.Module):
    """Logits at the size of an RGB image in [0, 1] whose sides 8 divides."""

    def __init__(self, depths=(3, 4, 23, 3), channels=(16, 32, 64, 128, 256, 512, 512, 512),
                 classes=19):
        super().__init__()
        c = channels
        self.base = nn.Sequential(
            convolution((3, c[0]), 7),
            convolution((c[0], c[0]), 3),
            convolution((c[0], c[1]), 3, 2),
            bottlenecks(c[1], c[2], depths[0], 2),
            bottlenecks(4 * c[2], c[3], depths[1], 2),
            bottlenecks(4 * c[3], c[4], depths[2], 1, 2),
            bottlenecks(4 * c[4], c[5], depths[3], 1, 4),
            convolution((4 * c[5], c[6]), 3, 1, 2),
            convolution((c[6], c[7]), 3),
        )
        self.seg = nn.Conv2d(c[7], classes, 1)
        self.up = nn.ConvTranspose2d(classes, classes, 16, 8, 4, groups=classes, bias=False)
        hat = 1 - (torch.arange(16) - 7.5).abs() / 8
        self.up.weight.data.copy_((hat[:, None] * hat[None]).expand_as(self.up.weight))

    def forward(self, image):
        mean, std = (torch.tensor(v, device=image.device).view(1, 3, 1, 1) for v in DRN_STATISTICS)
        return self.up(self.seg(self.base((image - mean) / std)))

    def scores(self, scaled, size):
        total = 0
        for image in scaled:
            total = total + pillow_bilinear(F.log_softmax(self(image), dim=1), size)
        return total


def pillow_bilinear(maps, size):
    """Every map through Pillow in its mode F."""
    if list(maps.shape[2:]) == list(size):
        return maps
    resized = [[np.array(Image.fromarray(channel.numpy()).resize(size[::-1], Image.BILINEAR))
                for channel in sample] for sample in maps]
    return torch.from_numpy(np.array(resized))


class UperNet(nn.Module):
    def __init__(self, depths=(3, 4, 23, 3), stem=(64, 64, 128), widths=(64, 128, 256, 512),
                 pooled=512, channels=512, classes=150):
        super().__init__()
        encoder = nn.Module()
        for index, (before, after) in enumerate(zip((3, *stem[:2]), stem)):
            step = 2 if index == 0 else 1
            setattr(encoder, f"conv{index + 1}", conv((before, after), 3, step))
            setattr(encoder, f"bn{index + 1}", nn.BatchNorm2d(after))
        before = stem[2]
        for index, (width, depth) in enumerate(zip(widths, depths)):
            stage = bottlenecks(before, width, depth, 1 if index == 0 else 2)
            setattr(encoder, f"layer{index + 1}", stage)
            before = 4 * width
        decoder = nn.Module()
        decoder.ppm_conv = nn.ModuleList(convolution((before, pooled), 1) for _ in range(4))
        decoder.ppm_last_conv = convolution((before + 4 * pooled, channels), 3)
        decoder.fpn_in = nn.ModuleList(convolution((4 * w, channels), 1) for w in widths[:3])
        decoder.fpn_out = nn.ModuleList(
            nn.Sequential(convolution((channels, channels), 3)) for _ in range(3))
        decoder.conv_last = nn.Sequential(convolution((4 * channels, channels), 3),
                                          nn.Conv2d(channels, classes, 1))
        self.encoder, self.decoder = encoder, decoder

    def forward(self, image):
        """Logits at stride 4 of an RGB image in [0, 1]."""
        encoder, decoder = self.encoder, self.decoder
        mean, std = (torch.tensor(v, device=image.device).view(1, 3, 1, 1) for v in IMAGENET)
        x = (image - mean) / std
        for index in (1, 2, 3):
            norm = getattr(encoder, f"bn{index}")
            x = F.relu(norm(getattr(encoder, f"conv{index}")(x)))
        x, features = F.max_pool2d(x, 3, 2, 1), []
        for index in (1, 2, 3, 4):
            x = getattr(encoder, f"layer{index}")(x)
            features.append(x)
        pyramid = [x]
        for side, branch in zip((1, 2, 3, 6), decoder.ppm_conv):
            pyramid.append(branch(bilinear(F.adaptive_avg_pool2d(x, side), x.shape[2:])))
        top = decoder.ppm_last_conv(torch.cat(pyramid, 1))
        levels = [top]
        for index in (2, 1, 0):
            lateral = decoder.fpn_in[index](features[index])
            top = lateral + bilinear(top, lateral.shape[2:])
            levels.insert(0, decoder.fpn_out[index](top))
        fused = [bilinear(level, levels[0].shape[2:]) for level in levels]
        return decoder.conv_last(torch.cat(fused, 1))

    def scores(self, scaled, size):
        return sum(F.softmax(bilinear(self(image), size), dim=1) / len(scaled) for image in scaled)


def drn_sizes(height, width):
    return [[int(height * s), int(width * s)] for s in (1.0, 0.5, 0.75, 1.25, 1.5, 1.75)]


def upernet_sizes(height, width):
    sizes = []
    for short in (300, 375, 450, 525, 600):
        scale = min(short / float(min(height, width)), 1000 / float(max(height, width)))
        sizes.append([(int(side * scale) - 1) // 32 * 32 + 32 for side in (height, width)])
    return sizes


def picture(height, width, phase):
    return formula.image(height, width, phase) * 0.5 + 0.5


def fill(model, gains):
    """The formula, some tensors scaled by `gains`, and the listing."""
    listing = formula.fill(model)
    with torch.no_grad():
        for name, tensor in model.state_dict().items():
            tensor.mul_(gains.get(name, 1))
    return listing


def check_sensitivity(name, model, scaled, size, expected):
    """Every tensor must matter: other values have to move the scores by ten bounds."""
    least = (float("inf"), None)
    for key, tensor in model.state_dict().items():
        if not tensor.is_floating_point():
            continue
        before = tensor.clone()
        tensor.copy_(torch.from_numpy(formula.weight(f"other {key}", tuple(tensor.shape))))
        if key == "up.weight":
            tensor.copy_(before.roll(1, -1))
        moved = (model.scores(scaled, size) - expected).abs().max() / expected.abs().max()
        tensor.copy_(before)
        least = min(least, (float(moved), key))
    print(f"{name}: the least important tensor is {least[1]}, which moves the scores by "
          f"{least[0]:.1e}")
    assert least[0] > 10 * BOUND


def thin(name, model, sizes, size, gains, keep=()):
    """A thin network: listing of its tensors, logits of the first image, and scores."""
    model.eval()
    kept = {key: model.state_dict()[key].clone() for key in keep}
    listing = fill(model, gains)
    for key, value in kept.items():
        model.state_dict()[key].copy_(value)
    scaled = [picture(*side, 0.4 * index) for index, side in enumerate(sizes)]
    logits, scores = model(scaled[0]), model.scores(scaled, size)
    spread = scores.amax(1) - scores.amin(1)
    found = scores.argmax(1).flatten().bincount(minlength=scores.shape[1]).tolist()
    print(f"{name}: logits up to {logits.abs().max():.2f}, scores up to {scores.abs().max():.2f}, "
          f"spread {spread.min():.2f} to {spread.max():.2f}, pixels by class {found}")
    check_sensitivity(name, model, scaled, size, scores)
    path = OUT / f"{name}.safetensors"
    tensors = {"logits": logits, "scores": scores, **{f"kept.{k}": v for k, v in kept.items()}}
    save_file({key: value.contiguous() for key, value in tensors.items()}, path)
    path.chmod(0o644)
    return {"listing": listing, "sizes": sizes, "size": size, "gains": gains}


def full(name, model):
    """Names and shapes of a network that is built without values."""
    listing = [[key, list(tensor.shape)] for key, tensor in model.state_dict().items()
               if tensor.is_floating_point()]
    count = sum(int(np.prod(shape)) for _, shape in listing)
    print(f"{name}: {len(listing)} tensors, {count / 1e6:.1f} M values")
    return listing


def multiply_adds(model, sizes):
    """Of the convolutions, in G, over images of these sizes."""
    total = 0

    def hook(layer, inputs, output):
        nonlocal total
        # A transposed convolution spends its kernel on every input value instead.
        spent = inputs[0] if isinstance(layer, nn.ConvTranspose2d) else output
        total += spent.numel() * layer.weight[0].numel()

    hooks = [layer.register_forward_hook(hook) for layer in model.modules()
             if isinstance(layer, (nn.Conv2d, nn.ConvTranspose2d))]
    for size in sizes:
        model.eval()(torch.empty(1, 3, *size, device="meta"))
    for handle in hooks:
        handle.remove()
    return total / 1e9


@torch.no_grad()
def main():
    torch.set_num_threads(1)
    OUT.mkdir(parents=True, exist_ok=True)
    # Gains: an input of up to 150 drowns every bias unless the first layer scales it down; the last
    # layers keep the softmax between uniform and one-hot, where it tells most of the logits; and the
    # pooled features are a small part of many.
    thin_networks = {
        # Wide enough for the taps of rate 24, at stride 8, to fall into the map.
        "deeplab": thin("deeplab", DeepLab((1, 2, 2, 1), 4, classes=5), [[56, 240]], [30, 110],
                        {"base.layer1.conv1.conv.weight": 1 / 64}),
        "drn": thin("drn", Drn((1, 2, 1, 1), (3, 4, 2, 3, 4, 4, 8, 8), classes=5),
                    drn_sizes(52, 72), [52, 72], {"seg.weight": 4}, ["up.weight"]),
        "upernet": thin("upernet", UperNet((1, 2, 1, 1), (4, 6, 8), (4, 6, 8, 8), 6, 8, classes=6),
                        [[64, 96], [160, 224], [96, 128]], [50, 70],
                        {"decoder.conv_last.1.weight": 0.2,
                         **{f"decoder.ppm_conv.{index}.1.bias": 8 for index in range(4)}}),
    }
    with torch.device("meta"):
        models = {"deeplab": DeepLab(), "drn": Drn(), "upernet": UperNet()}
    full_networks = {name: full(name, model) for name, model in models.items()}
    shapes = [[256, 256], [256, 512], [512, 683], [768, 512], [300, 1200], [427, 640], [333, 500],
              [1024, 2048], [31, 17]]
    record = {
        "thin": thin_networks,
        "full": full_networks,
        "scales": [{"image": s, "drn": drn_sizes(*s), "upernet": upernet_sizes(*s)}
                   for s in shapes],
    }
    text = json.dumps(record, separators=(",", ":"))
    (OUT / "segmentation_networks.json").write_text(text + "\n")
    half = [[side * 3 // 4 for side in (256, 256)], [128, 128]]
    print(f"multiply-adds of a 256x256 image: deeplab "
          f"{multiply_adds(models['deeplab'], [[256, 256]]):.0f} G, with its scales "
          f"{multiply_adds(models['deeplab'], [[256, 256], *half]):.0f} G; upernet "
          f"{multiply_adds(models['upernet'], upernet_sizes(256, 256)):.0f} G over its scales; "
          f"drn of 256x512 {multiply_adds(models['drn'], [[256, 512]]):.0f} G, with its scales "
          f"{multiply_adds(models['drn'], drn_sizes(256, 512)):.0f} G")


if __name__ == "__main__":
    main()
