"""Reference values of the networks of the ablations: Tables 1, 5 and 6 of the paper.

    python tests/reference/ablations.py            # writes tests/fixtures/ablations

OASIS and DP-GAN are written here from the descriptions in the papers and the project's fact sheet,
in their dense form: noise repeated over the pixels and concatenated in front of one-hot label maps,
1x1 convolutions of shortcuts where the descriptions have them. States are stored under the names
and layouts of the Rust program. Every network makes two forward passes in training mode, the
second with gradients, and one in evaluation mode. Needs torch 2.15 and safetensors 0.8.
"""

import pathlib

import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import nn
from torch.nn.utils import spectral_norm

from twin_networks import Residual, SelfAttention, SpadeBlock, conv3, leaky

OUT = pathlib.Path(__file__).resolve().parents[2] / "tests" / "fixtures" / "ablations"
CLASSES, LATENT, HIDDEN = 4, 5, 3
WIDTHS = [8, 4, 4, 2]
ENCODER = [3, 4, 4, 4]
SIZE = (16, 24)
CHANNELS = (3, 4)  # of the features at strides 4 and 8
DECODER, FULL, PROJECTION = [5, 4, 3], 3, 2


def with_noise(one_hot, latent):
    """Repeated latents in front of the label channels; without noise the label map alone."""
    if latent is None:
        return one_hot
    return torch.cat([latent[:, :, None, None].expand(-1, -1, *one_hot.shape[2:]), one_hot], 1)


class Block(SpadeBlock):
    """SPADE residual block whose SPADEs read `condition(place)`."""

    def forward(self, x, condition):
        shortcut = self.conv_s(self.spade_s(x, condition("s"))) if self.learned else x
        hidden = self.conv_0(leaky(self.spade_0(x, condition("0"))))
        return shortcut + self.conv_1(leaky(self.spade_1(hidden, condition("1"))))


class OasisBlock(nn.Module):
    def __init__(self, channels_in, channels_out, channels_map):
        super().__init__()
        self.block = Block(channels_in, channels_out, HIDDEN)
        self.shared_0 = conv3(channels_map, HIDDEN)
        self.shared_1 = conv3(channels_map, HIDDEN)
        if self.block.learned:
            self.shared_s = conv3(channels_map, HIDDEN)

    def forward(self, x, map):
        resized = F.interpolate(map, x.shape[2:], mode="nearest")
        return self.block(x, lambda place: F.relu(getattr(self, f"shared_{place}")(resized)))


class OasisGenerator(nn.Module):
    def __init__(self, noise):
        super().__init__()
        self.noise = noise
        channels_map = CLASSES + (LATENT if noise else 0)
        self.start = conv3(channels_map, WIDTHS[0])
        self.blocks = nn.ModuleList(OasisBlock(a, b, channels_map)
                                    for a, b in zip(WIDTHS, WIDTHS[1:]))
        self.to_image = conv3(WIDTHS[-1], 3)

    def forward(self, one_hot, latent):
        map = with_noise(one_hot, latent if self.noise else None)
        count = len(self.blocks)
        grid = [side // 2 ** (count - 1) for side in SIZE]
        x = self.start(F.interpolate(map, grid, mode="nearest"))
        for index, block in enumerate(self.blocks):
            x = block(x, map)
            if index < count - 1:
                x = F.interpolate(x, scale_factor=2, mode="nearest")
        return torch.tanh(self.to_image(leaky(x)))


class Level(nn.Module):
    """Pyramid level: convolution, batch norm, activation, and what the paper adds to DP-GAN's."""

    def __init__(self, channels_in, channels, stride, attention, dp_gan):
        super().__init__()
        self.conv = conv3(channels_in, channels, stride=stride)
        self.norm = nn.BatchNorm2d(channels)
        self.activation = F.relu if dp_gan else F.gelu
        self.self_attention = SelfAttention(channels) if attention else nn.Identity()
        self.pointwise = nn.Identity() if dp_gan else nn.Conv2d(channels, channels, 1)

    def forward(self, x):
        return self.pointwise(self.self_attention(self.activation(self.norm(self.conv(x)))))


class PyramidGenerator(nn.Module):
    """DP-GAN's generator, or the paper's with concatenated noise instead of cross-attention; offsets
    are channels behind the one-hot label map."""

    def __init__(self, dp_gan, offsets=0):
        super().__init__()
        channels_map = CLASSES + offsets + LATENT
        self.stem = conv3(channels_map, ENCODER[0])
        self.norm = nn.BatchNorm2d(ENCODER[0])
        self.activation = F.relu if dp_gan else F.gelu
        self.levels = nn.ModuleList(
            Level(ENCODER[i - 1], ENCODER[i], 1 if i == 1 else 2, not dp_gan and i >= 2, dp_gan)
            for i in range(1, len(ENCODER)))
        self.start = conv3(channels_map, WIDTHS[0])
        count = len(WIDTHS) - 1
        self.blocks = nn.ModuleList(
            Block(WIDTHS[i], WIDTHS[i + 1], ENCODER[-1] + ENCODER[count - i])
            for i in range(count))
        self.to_image = conv3(WIDTHS[-1], 3)

    def forward(self, one_hot, latent):
        map = with_noise(one_hot, latent)
        h, found = self.activation(self.norm(self.stem(map))), []
        for level in self.levels:
            h = level(h)
            found.append(h)
        x = self.start(F.interpolate(map, h.shape[2:], mode="nearest"))
        for index, block in enumerate(self.blocks):
            spread = F.interpolate(h, x.shape[2:], mode="bilinear", align_corners=False)
            condition = torch.cat([spread, found[-1 - index]], 1)
            x = block(x, lambda _: condition)
            if index < len(self.blocks) - 1:
                x = F.interpolate(x, scale_factor=2, mode="nearest")
        return torch.tanh(self.to_image(leaky(x)))


class Down(nn.Module):
    """OASIS block that halves the resolution; the first reads the image without activation."""

    def __init__(self, channels_in, channels_out, first):
        super().__init__()
        self.first, self.learned = first, channels_in != channels_out
        self.conv_0 = spectral_norm(conv3(channels_in, channels_out))
        self.conv_1 = spectral_norm(conv3(channels_out, channels_out))
        if self.learned:
            self.conv_s = spectral_norm(nn.Conv2d(channels_in, channels_out, 1))

    def forward(self, x):
        hidden = self.conv_1(leaky(self.conv_0(x if self.first else leaky(x))))
        shortcut = F.avg_pool2d(x, 2) if self.first else x
        shortcut = self.conv_s(shortcut) if self.learned else shortcut
        return F.avg_pool2d(hidden, 2) + (shortcut if self.first else F.avg_pool2d(shortcut, 2))


class OasisDiscriminator(nn.Module):
    def __init__(self):
        super().__init__()
        down, up = [3, 3, 4], [4, 3, 2]
        self.encoder = nn.ModuleList(Down(a, b, index == 0)
                                     for index, (a, b) in enumerate(zip([3] + down, down)))
        self.decoder, before = nn.ModuleList(), 0
        for skip, width in zip(reversed(down), up):
            self.decoder.append(Residual(skip + before, width, up=True))
            before = width
        self.head = nn.Conv2d(before, CLASSES + 1, 1)

    def forward(self, image, *_):
        skips = [image]
        for block in self.encoder:
            skips.append(block(skips[-1]))
        x = self.decoder[0](skips[-1])
        for block, skip in zip(self.decoder[1:], reversed(skips[1:-1])):
            x = block(torch.cat([skip, x], 1))
        return self.head(x)


class Conditioning(nn.Module):
    def __init__(self, mode, channels):
        super().__init__()
        self.sigmoid = mode in ("sigmoid", "sigmoid_batch_norm")
        norm = mode in ("batch_norm", "sigmoid_batch_norm", "batch_norm_ccm_csm")
        self.norm = nn.BatchNorm2d(channels, affine=False) if norm else nn.Identity()

    def forward(self, x):
        return self.norm(torch.sigmoid(x) if self.sigmoid else x)


class Projections(nn.Module):
    """Random projections across channels, then top-down across scales."""

    def __init__(self):
        super().__init__()
        widths = [PROJECTION * 2 ** level for level in range(len(CHANNELS))]
        outputs = [widths[0]] + widths[:-1]
        self.channels = nn.ModuleList(nn.Conv2d(a, b, 1) for a, b in zip(CHANNELS, widths))
        self.scales = nn.ModuleList(nn.Conv2d(a, b, 1) for a, b in zip(widths, outputs))
        self.requires_grad_(False)

    def forward(self, features):
        x, found = None, []
        for level, mix, scale in reversed(list(zip(features, self.channels, self.scales))):
            x = mix(level) if x is None else x + mix(level)
            x = scale(F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=True))
            found.append(x)
        return found[::-1]


class Discriminator(nn.Module):
    def __init__(self, mode):
        super().__init__()
        projected = mode.endswith("ccm_csm")
        self.conditioning = nn.ModuleList(Conditioning(mode, c) for c in CHANNELS)
        self.projections = Projections() if projected else None
        skips = [PROJECTION, PROJECTION] if projected else CHANNELS
        widths = DECODER[1:] if projected else DECODER
        skips = list(reversed(skips)) + [0] * (len(widths) - len(skips))
        self.decoder, before = nn.ModuleList(), 0
        for skip, width in zip(skips, widths):
            self.decoder.append(Residual(skip + before, width, up=True))
            before = width
        self.full_resolution = nn.ModuleList(
            Residual(3 if i == 0 else FULL, FULL, up=False, first=i == 0) for i in range(2))
        self.head = nn.Conv2d(before + FULL, CLASSES + 1, 1)

    def forward(self, image, *features):
        skips = [module(x) for module, x in zip(self.conditioning, features)]
        if self.projections is not None:
            skips = self.projections(skips)
        x = self.decoder[0](skips.pop())
        for block in self.decoder[1:]:
            x = block(torch.cat([skips.pop(), x], 1) if skips else x)
        for block in self.full_resolution:
            image = block(image)
        return self.head(torch.cat([x, image], 1))


# Names of the program --------------------------------------------------------------------------

CONCATENATED = {"stem": ("encoder.label_conv", "encoder.noise_conv"),
                "start": ("start", "start_noise")}


def named(tensors, pyramid, noise):
    state = {}

    def put(name, tensor):
        for torch_name, own in (("weight_orig", "weight"), ("weight_u", "spectral_norm.u"),
                                ("weight_v", "spectral_norm.v")):
            name = name.replace(torch_name, own)
        state[name] = tensor.detach().float().contiguous().clone()

    for name, tensor in tensors.items():
        module, _, part = name.rpartition(".")
        if part == "num_batches_tracked" or ".beta." in name:
            continue
        last = module.rpartition(".")[2]
        if ".gamma." in name:
            both = torch.cat([tensor, tensors[name.replace(".gamma.", ".beta.")]])
            put(name.replace(".gamma.", ".modulation."), both)
        elif pyramid and module in CONCATENATED:
            labels, latent = CONCATENATED[module]
            if part == "weight":
                put(f"{latent}.weight", tensor[:, :LATENT])
                if tensor.shape[1] > LATENT + CLASSES:
                    put(f"{labels}.offset_weight", tensor[:, LATENT + CLASSES:])
                tensor = tensor[:, LATENT:LATENT + CLASSES]
            put(f"{labels}.{part}", tensor)
        elif not pyramid and (last.startswith("shared_") or module == "start"):
            if part == "weight" and noise:
                put(f"{module}.noise.weight", tensor[:, :LATENT])
                tensor = tensor[:, LATENT:]
            put(f"{module}.labels.{part}", tensor)
        elif pyramid and (module == "norm" or name.startswith("levels.")):
            put(f"encoder.{name}", tensor)
        elif name.startswith("encoder.") and ".conv_" in name:
            put(name.replace("conv_", "block.conv_", 1), tensor)
        else:
            put(name, tensor)
    return state


def randomise(module, rng):
    for name, tensor in module.state_dict().items():
        if not tensor.is_floating_point():
            continue
        noise = torch.randn(tensor.shape, generator=rng)
        if name.endswith("running_var"):
            value = 0.5 + noise.abs()
        elif name.endswith(("weight_u", "weight_v")):
            value = F.normalize(noise, dim=0)
        elif name.endswith("norm.weight"):
            value = 1 + 0.2 * noise
        elif tensor.dim() == 1:
            value = 0.1 * noise
        else:
            value = noise * (1.5 / tensor[0].numel()) ** 0.5
        tensor.copy_(value)


def save(name, network, inputs, differentiable, rng, **flags):
    """`inputs` by name, in the order of forward; those in `differentiable` get a gradient."""
    with torch.no_grad():
        randomise(network, rng)
    flags = {"pyramid": False, "noise": True} | flags
    saved = {f"state.{key}": value for key, value in named(network.state_dict(), **flags).items()}
    network.double().train()
    run = {key: value.double() for key, value in inputs.items()}
    with torch.no_grad():
        saved["first"] = network(*run.values())
    for key in differentiable:
        run[key].requires_grad_()
    output = network(*run.values())
    cotangent = torch.randn(output.shape, generator=rng, dtype=torch.float64)
    (output * cotangent.float()).sum().backward()
    saved |= {"second": output, "cotangent": cotangent}
    saved |= {f"gradient.{key}": run[key].grad for key in differentiable}
    gradients = {key: p.grad for key, p in network.named_parameters() if p.requires_grad}
    gradients = named(gradients, **flags)
    saved |= {f"gradient.state.{key}": value for key, value in gradients.items()}
    after = named(network.state_dict(), **flags)
    saved |= {f"after.{key}": value for key, value in after.items() if key not in gradients}
    with torch.no_grad():
        saved["evaluation"] = network.eval()(*[value.detach() for value in run.values()])
    saved = {key: value.detach().float().contiguous() for key, value in saved.items()}
    save_file(saved, OUT / f"{name}.safetensors")


def generators(rng):
    maps, copies = 2, 2
    labels = torch.randint(0, CLASSES, (maps, SIZE[0] // 4, SIZE[1] // 4), generator=rng)
    labels = labels.repeat_interleave(4, 1).repeat_interleave(4, 2)
    labels = torch.where(torch.rand(labels.shape, generator=rng) < 0.2, (labels + 1) % CLASSES,
                         labels)
    one_hot = F.one_hot(labels, CLASSES).movedim(-1, 1).float()
    latent = torch.randn(copies * maps, LATENT, generator=rng)
    save_file({"labels": labels.float(), "latent": latent}, OUT / "inputs.safetensors")
    pair = {"one_hot": one_hot.repeat(copies, 1, 1, 1), "latent": latent}
    save("oasis_generator", OasisGenerator(True), pair, ["latent"], rng)
    single = {"one_hot": one_hot, "latent": latent[:maps]}
    save("oasis_generator_without_noise", OasisGenerator(False), single, [], rng, noise=False)
    save("dp_gan_generator", PyramidGenerator(True), pair, ["latent"], rng, pyramid=True)
    save("concatenated_noise", PyramidGenerator(False), pair, ["latent"], rng, pyramid=True)
    return one_hot.repeat(copies, 1, 1, 1), latent


def generator_with_offsets(one_hot, latent, rng):
    offsets = torch.rand(one_hot.shape[0] // 2, 2, *SIZE, generator=rng) * 2 - 1
    save_file({"offsets": offsets}, OUT / "offsets.safetensors")
    inputs = {"map": torch.cat([one_hot, offsets.repeat(2, 1, 1, 1)], 1), "latent": latent}
    save("offsets_generator", PyramidGenerator(False, 2), inputs, ["latent"], rng, pyramid=True)


def discriminators(rng):
    inputs = {"image": torch.rand(2, 3, *SIZE, generator=rng) * 2 - 1}
    for index, (channels, scale) in enumerate(zip(CHANNELS, (5.0, 20.0))):
        side = [side // 2 ** (index + 2) for side in SIZE]
        inputs[f"features{index}"] = scale * torch.randn(2, channels, *side, generator=rng)
    save_file(inputs, OUT / "images.safetensors")
    save("oasis_discriminator", OasisDiscriminator(), {"image": inputs["image"]}, ["image"], rng)
    for mode in ("none", "ccm_csm", "batch_norm_ccm_csm", "batch_norm", "sigmoid",
                 "sigmoid_batch_norm"):
        save(f"discriminator_{mode}", Discriminator(mode), inputs, list(inputs), rng)


if __name__ == "__main__":
    OUT.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)
    rng = torch.Generator().manual_seed(5)
    maps = generators(rng)
    discriminators(rng)
    generator_with_offsets(*maps, rng)
