"""Reference values of the backbones from timm and torchvision.

    python tests/reference/backbones.py            # writes tests/fixtures/backbones
    DP_SIMS_SHARED=/some/folder python ...         # folder that holds weights/, default ../shared

Thin random networks are stored whole: weights in the formats PyTorch writes, an image, every
tap and the gradient of sum(cotangent * tap) with respect to the image. Of networks with real
weights only a subset of the values is stored; their image is a formula both sides compute.
Made with torch 2.15.0, torchvision 0.29.2, timm 1.0.31, safetensors 0.8.0 and numpy 2.4.6.
"""

import collections
import os
import pathlib

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from timm.models.convnext import ConvNeXt
from timm.models.efficientnet import _gen_efficientnet_lite
from torchvision.models.vgg import VGG, make_layers

ROOT = pathlib.Path(__file__).resolve().parents[2]
OUT = ROOT / "tests" / "fixtures" / "backbones"
SHARED = pathlib.Path(os.environ.get("DP_SIMS_SHARED", ROOT.parent / "shared"))
IMAGENET = ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])
HALF = ([0.5] * 3, [0.5] * 3)

def randomise(model, generator):
    """Values of a trained network's size, so that every tensor influences the taps."""
    for name, tensor in model.state_dict().items():
        if not tensor.is_floating_point():
            continue
        noise = torch.randn(tensor.shape, generator=generator)
        if name.endswith("running_var"):
            tensor.copy_(0.5 + noise.abs())
        elif name.endswith("gamma"):
            tensor.copy_(0.5 + 0.3 * noise)
        elif tensor.dim() == 1 and name.endswith("weight"):
            tensor.copy_(1 + 0.2 * noise)
        elif tensor.dim() == 1:
            tensor.copy_(0.1 * noise)
        else:
            fan_in = tensor[0].numel()
            tensor.copy_(noise * (1.5 / fan_in) ** 0.5)


def lite(width, depth, **options):
    """EfficientNet-Lite in the TensorFlow variant from timm's own builder."""
    return _gen_efficientnet_lite("tf_efficientnet_lite0", width, depth, bn_eps=1e-3,
                                  pad_type="same", **options).eval()


def convnext_taps(model):
    def taps(image):
        features = model.stem(image)
        found = []
        for stage in model.stages:
            features = stage(features)
            found.append(features)
        return found

    return taps


def vgg_taps(model, convolutions):
    for layer in model.features:
        if isinstance(layer, torch.nn.ReLU):
            layer.inplace = False  # a tap must not change after it was taken
    first = [0]
    for count in convolutions:
        first.append(first[-1] + 2 * count + 1)
    wanted = {first[block] + 1 for block in (2, 3, 4)}

    def taps(image):
        features, found = image, []
        for index, layer in enumerate(model.features):
            features = layer(features)
            if index in wanted:
                found.append(features)
        return found

    return taps


def normalised(taps, statistics, dtype=torch.float32):
    """The network on an image in [-1, 1]."""
    mean, std = (torch.tensor(values, dtype=torch.float64).view(1, 3, 1, 1)
                 for values in statistics)
    mean, std = mean.to(dtype), std.to(dtype)
    return lambda image: taps((image * 0.5 + 0.5 - mean) / std)


def reference(taps, image, generator):
    image = image.clone().requires_grad_()
    outputs = taps(image)
    tensors = {"image": image.detach()}
    total = 0
    for index, output in enumerate(outputs):
        cotangent = torch.randn(output.shape, generator=generator) / output.numel() ** 0.5
        total = total + (output * cotangent).sum()
        tensors[f"tap{index}"] = output.detach()
        tensors[f"cotangent{index}"] = cotangent
    total.backward()
    tensors["gradient"] = image.grad
    return {name: tensor.contiguous().clone() for name, tensor in tensors.items()}


def save(tensors, name):
    """safetensors writes files that only their owner can read."""
    path = OUT / f"{name}.safetensors"
    save_file(tensors, path)
    path.chmod(0o644)


def save_reference(name, taps, size, generator):
    image = torch.rand((2, 3, *size), generator=generator) * 2 - 1
    save(reference(taps, image, generator), f"{name}.reference")


def original_lite_names(state):
    """Names of the first PyTorch port of EfficientNet, whose blocks are numbered through."""
    blocks = sorted({tuple(map(int, n.split(".")[1:3])) for n in state if n.startswith("blocks.")})
    number = {block: index for index, block in enumerate(blocks)}
    outer = {"conv_stem": "_conv_stem", "bn1": "_bn0", "conv_head": "_conv_head", "bn2": "_bn1",
             "classifier": "_fc"}
    separable = {"conv_dw": "_depthwise_conv", "bn1": "_bn1", "conv_pw": "_project_conv",
                 "bn2": "_bn2"}
    inverted = {"conv_pw": "_expand_conv", "bn1": "_bn0", "conv_dw": "_depthwise_conv",
                "bn2": "_bn1", "conv_pwl": "_project_conv", "bn3": "_bn2"}
    renamed = collections.OrderedDict()
    for name, tensor in state.items():
        parts = name.split(".")
        if parts[0] == "blocks":
            stage, block = int(parts[1]), int(parts[2])
            table = separable if stage == 0 else inverted
            renamed[f"_blocks.{number[stage, block]}.{table[parts[3]]}.{parts[4]}"] = tensor
        else:
            renamed[f"{outer[parts[0]]}.{parts[1]}"] = tensor
    return renamed


def thin_networks():
    generator = torch.Generator().manual_seed(7)
    with torch.no_grad():
        convnext = ConvNeXt(depths=(1, 2, 1, 1), dims=(8, 12, 16, 24), num_classes=2).eval()
        randomise(convnext, generator)
        whole = lite(0.1, 0.4, num_classes=2)
        randomise(whole, generator)
        convolutions, channels = (2, 2, 3, 3, 3), (4, 6, 8, 10, 12)
        plan = [entry for count, width in zip(convolutions, channels)
                for entry in [width] * count + ["M"]]
        vgg = VGG(make_layers(plan), num_classes=2, init_weights=False).eval()
        vgg.classifier = torch.nn.Sequential(torch.nn.Linear(12, 2))
        randomise(vgg, generator)

    torch.save(convnext.state_dict(), OUT / "convnext.pth")
    save_reference("convnext", normalised(convnext_taps(convnext), HALF), (38, 44), generator)

    state = whole.state_dict()
    # The head is only there to be left out; one of full size would be most of the file.
    state["conv_head.weight"] = state["conv_head.weight"][:2].clone()
    for part in ("weight", "bias", "running_mean", "running_var"):
        state[f"bn2.{part}"] = state[f"bn2.{part}"][:2].clone()
    state["classifier.weight"] = state["classifier.weight"][:, :2].clone()
    torch.save({"epoch": 3, "state_dict": state}, OUT / "efficientnet_lite.pth")
    torch.save(original_lite_names(state), OUT / "efficientnet_lite_legacy.pth",
               _use_new_zipfile_serialization=False)
    features = lite(0.1, 0.4, features_only=True, out_indices=(1, 2, 3, 4))
    features.load_state_dict({n: t for n, t in state.items()
                              if not n.startswith(("conv_head", "bn2", "classifier"))})
    save_reference("efficientnet_lite", normalised(features, HALF), (37, 46), generator)

    torch.save({"model": vgg.state_dict()}, OUT / "vgg.pth")
    save_reference("vgg", normalised(vgg_taps(vgg, convolutions), IMAGENET), (35, 40), generator)


def formats():
    """Element types, views, strides and parameters in both checkpoint formats."""
    base = torch.arange(24, dtype=torch.float32) / 8
    state = collections.OrderedDict(
        f32=base[:6].reshape(2, 3).clone(),
        f16=base[:4].half(),
        bf16=base[:4].bfloat16(),
        f64=base[:4].double(),
        view=base.reshape(4, 6)[1:3],
        transposed=base.reshape(4, 6).t(),
        channels_last=base.reshape(1, 2, 3, 4).contiguous(memory_format=torch.channels_last),
        parameter=torch.nn.Parameter(base[:2].clone()),
        scalar=torch.tensor(2.5),
        num_batches_tracked=torch.tensor(7),
    )
    torch.save(state, OUT / "formats_zip.pth")
    torch.save(state, OUT / "formats_legacy.pth", _use_new_zipfile_serialization=False)
    broken = dict(state, bad=torch.tensor([1.0, float("nan")]))
    torch.save(broken, OUT / "not_finite.pth")


def pattern(height, width, phase):
    """The deterministic image of the tests with real weights, in [-1, 1]."""
    c, y, x = np.meshgrid(np.arange(3), np.arange(height), np.arange(width), indexing="ij")
    values = (0.6 * np.sin(0.21 * x + 0.13 * (c + 1) * y + c + phase)
              + 0.4 * np.cos(0.003 * x * y + 0.5 * c))
    return torch.from_numpy(values.astype(np.float32))[None]


def real_lite(name, width, depth):
    """EfficientNet-Lite with real weights and its taps, both in f64."""
    model = lite(width, depth, features_only=True, out_indices=(1, 2, 3, 4))
    state = load_file(SHARED / "weights" / f"tf_{name}.safetensors")
    wanted = model.state_dict()
    assert all(n in state or n.endswith("num_batches_tracked") for n in wanted)
    model.load_state_dict({n: state.get(n, wanted[n]) for n in wanted})
    model.double()
    return model, normalised(model, HALF, torch.float64)


def real_vgg():
    """The VGG-16 trunk with real weights and its taps, both in f64."""
    convolutions = (2, 2, 3, 3, 3)
    plan = [entry for count, width in zip(convolutions, (64, 128, 256, 512, 512))
            for entry in [width] * count + ["M"]]
    vgg = VGG(make_layers(plan), init_weights=False).eval()
    vgg.classifier = torch.nn.Identity()
    vgg.load_state_dict(
        load_file(SHARED / "weights" / "vgg16_features_hed_rgb_tvnorm.safetensors"))
    vgg.double()
    return vgg, normalised(vgg_taps(vgg, convolutions), IMAGENET, torch.float64)


def real_networks():
    for name, width, depth in (("efficientnet_lite1", 1.0, 1.1), ("efficientnet_lite2", 1.1, 1.2)):
        save_real(name, *real_lite(name, width, depth))
    save_real("vgg16", *real_vgg())


def save_real(name, model, taps):
    """Every seventh value, the mean and the largest magnitude of each tap and of the gradient of
    the sum of the taps' mean squares, computed in f64.

    The gradient jumps where the input of a ReLU is 0 (or 6): in f32 an activation within rounding
    of such a point makes it arbitrary, in any implementation. So the image is the one of a few
    whose activations stay farthest away from these points.
    """
    margins = []

    def hook(layer, inputs):
        value = inputs[0].detach()
        near = value.abs().min()
        if isinstance(layer, torch.nn.ReLU6):
            near = torch.minimum(near, (value - 6).abs().min())
        margins.append(float(near / value.abs().max()))

    for layer in model.modules():
        if isinstance(layer, (torch.nn.ReLU, torch.nn.ReLU6)):
            layer.register_forward_pre_hook(hook)

    def margin(phase):
        margins.clear()
        with torch.no_grad():
            taps(pattern(33, 47, phase).double())
        return min(margins)

    phase = max((step / 32 for step in range(64)), key=margin)
    print(f"{name}: phase {phase}, margin {margin(phase):.1e}")
    image = pattern(33, 47, phase).double().requires_grad_()
    outputs = taps(image)
    sum(output.square().mean() for output in outputs).backward()
    tensors = {f"tap{index}": output.detach() for index, output in enumerate(outputs)}
    tensors["gradient"] = image.grad
    saved = {"phase": torch.tensor([phase])}
    for key, tensor in tensors.items():
        saved[key] = tensor.flatten()[::7].float()
        saved[f"{key}.mean"] = tensor.abs().mean().reshape(1).float()
        saved[f"{key}.max"] = tensor.abs().max().reshape(1).float()
    save(saved, f"{name}.real")


if __name__ == "__main__":
    OUT.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)
    thin_networks()
    formats()
    if (SHARED / "weights").is_dir():
        real_networks()
    else:
        print(f"skipped: networks with real weights, {SHARED / 'weights'} not found")
