"""What bench_torch.py times: the networks of tests/reference/twin_networks.py, written as a PyTorch
user would for speed, the generator after training and the training step of
experiments/camvid-e8.toml.

Where there was a choice, both ways were measured and the faster one is taken.
"""

import copy
import tomllib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils import fuse_conv_bn_eval, remove_spectral_norm

import reference  # noqa: F401, for twin_networks and backbones
from twin_networks import Discriminator, Generator, Projector, Spade, conv3

CAMVID = Path(__file__).resolve().parents[2] / "experiments" / "camvid-e8.toml"
# The program's defaults, where experiments/camvid-e8.toml does not change them.
LATENT = 64
GENERATOR = {"width_multipliers": [16, 16, 16, 8, 4, 2, 1], "encoder_channels": [32] + 6 * [64],
             "latent_dim": LATENT, "mapping_width": 512, "tokens": 16, "token_dim": 64,
             "attention_stride": 4}
DISCRIMINATOR = {"full_resolution_channels": 64, "full_resolution_blocks": 2}
GAMMA, SMOOTHING, LAMBDA_GAN, LAMBDA_DIVERSITY, CUTOFF = 2.0, 0.1, 1.0, 10.0, 1.0
TAU, NEGATIVES, DIM = 0.3, 128, 256
ADAM = {"betas": (0.0, 0.99), "eps": 1e-8, "fused": True}
VGG = {"vgg16": (2, 2, 3, 3, 3), "vgg19": (2, 2, 4, 4, 4)}
TIMM = {"swin_tiny_window7": "swin_tiny_patch4_window7_224",
        "swin_base_window7": "swin_base_patch4_window7_224",
        "swin_base_window12": "swin_base_patch4_window12_384",
        **{f"efficientnet_lite{size}": f"tf_efficientnet_lite{size}" for size in range(5)},
        **{name: name for name in ("convnext_tiny", "convnext_base", "convnext_large",
                                   "convnext_xlarge", "resnet50")}}
# Every backbone of the program, by its name there.
BACKBONES = [*TIMM, *VGG, "convnext_pico_scenes"]


@dataclass
class Settings:
    """What is built, and where its tensors lie."""

    size: tuple[int, int]
    batch: int
    base_width: int
    classes: int
    backbone: str | None
    layout: str

    def format(self) -> dict[str, torch.memory_format]:
        last = self.layout == "channels_last"
        return {"memory_format": torch.channels_last if last else torch.contiguous_format}

    def labels(self, batch: int, size: tuple[int, int]) -> Tensor:
        return torch.randint(self.classes, (batch, *size))

    def one_hot(self, labels: Tensor) -> Tensor:
        shape = (len(labels), self.classes, *labels.shape[1:])
        return torch.empty(shape, **self.format()).zero_().scatter_(1, labels.unsqueeze(1), 1.0)


# Networks --------------------------------------------------------------------------------------


def attend(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """Fused attention in place of the twin's, which writes all scores out."""
    return F.scaled_dot_product_attention(query[:, None], key[:, None], value[:, None])[:, 0]


class JointSpade(nn.Module):
    """SPADE with one convolution for gamma and beta, 2.30 s a generator; with two it is 2.49 s."""

    def __init__(self, spade: Spade):
        super().__init__()
        parts = spade.gamma, spade.beta
        self.norm = spade.norm
        self.modulation = conv3(parts[0].in_channels, 2 * parts[0].out_channels)
        self.modulation.weight = nn.Parameter(torch.cat([part.weight.data for part in parts]))
        self.modulation.bias = nn.Parameter(torch.cat([part.bias.data for part in parts]))

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        gamma, beta = self.modulation(condition).chunk(2, dim=1)
        return torch.addcmul(beta, self.norm(x), 1 + gamma)


def generator(settings: Settings, config: dict) -> Generator:
    network = Generator(config | {"base_width": settings.base_width}, settings.classes)
    for block in network.blocks:
        for name, module in list(block.named_children()):
            if isinstance(module, Spade):
                setattr(block, name, JointSpade(module))
    return network.to(**settings.format())


def folded(module: nn.Module) -> nn.Module:
    """Batch norms of a frozen network folded into the convolutions before them."""
    before = ""
    for name, child in list(module.named_children()):
        if isinstance(child, nn.BatchNorm2d):
            setattr(module, before, fuse_conv_bn_eval(getattr(module, before), child))
            setattr(module, name, getattr(child, "act", nn.Identity()))  # timm's has its activation
        elif isinstance(child, nn.Conv2d):
            before = name
        else:
            folded(child)
    return module


def frozen(name: str, settings: Settings) -> tuple[nn.Module, Callable[[Tensor], list[Tensor]]]:
    """A network with random weights, and its features, fine to coarse, of images in [-1, 1]."""
    import timm  # Here, because the generator does without, and imports count as memory.
    from timm.models.convnext import ConvNeXt
    from torchvision.models.vgg import make_layers

    import backbones

    # Mean and deviation of 0.5, as EfficientNet-Lite has them, leave an image as it is.
    plain = name.startswith("efficientnet_lite") or name == "convnext_pico_scenes"
    if name in VGG:  # Up to relu5_1, its last tap.
        widths = [entry for width, count in zip((64, 128, 256, 512, 512), (*VGG[name][:4], 1))
                  for entry in [*count * [width], "M"]]
        network = make_layers(widths[:-1])
        taps = backbones.vgg_taps(SimpleNamespace(features=network), VGG[name])
    elif name == "convnext_pico_scenes":
        network = ConvNeXt(depths=(1, 1, 3, 1), dims=(24, 48, 96, 192), num_classes=0)
        network.norm_pre, network.head = nn.Identity(), nn.Identity()
        taps = backbones.convnext_taps(network)
    elif name.startswith("swin"):
        # features_only puts channels last. Where a window exceeds a map, timm shrinks the table of
        # positions as well, so that it has fewer parameters than the program.
        network = timm.create_model(TIMM[name], img_size=settings.size, num_classes=0)
        network.norm = nn.Identity()
        taps = lambda image: network.forward_intermediates(image, intermediates_only=True)
    else:
        network = taps = folded(timm.create_model(
            TIMM[name], features_only=True, out_indices=(-4, -3, -2, -1)).eval())
    network.eval().requires_grad_(False).to(**settings.format())
    return network, taps if plain else backbones.normalised(taps, backbones.IMAGENET)


# Generator -------------------------------------------------------------------------------------


class Generation:
    """Images from the generator as it is after training."""

    @torch.no_grad()
    def __init__(self, settings: Settings):
        self.settings = settings
        self.labels = settings.labels(settings.batch, settings.size)
        self.latent = torch.randn(settings.batch, LATENT)
        network = generator(settings, GENERATOR)
        # A pass in training mode, for statistics and spectral norms that belong to the weights.
        network.features(settings.one_hot(settings.labels(2, (64, 64))), torch.randn(2, LATENT))
        for module in network.modules():
            if hasattr(module, "weight_orig"):
                remove_spectral_norm(module)
        self.generator = network.eval().requires_grad_(False).to(**settings.format())
        self.networks = {"generator": self.generator}

    @torch.no_grad()
    def __call__(self) -> Tensor:
        one_hot = self.settings.one_hot(self.labels)
        return self.generator.image(self.generator.features(one_hot, self.latent))


# Training step ---------------------------------------------------------------------------------


def pixel_loss(logits: Tensor, target: Tensor, weights: Tensor | float, smoothing: float) -> Tensor:
    """Weighted focal loss; without smoothing it needs only the probability of the target."""
    own, log_p = target.unsqueeze(1), F.log_softmax(logits, dim=1)
    if smoothing == 0:
        log_p = log_p.gather(1, own)
    focal = (1 - log_p.exp()) ** GAMMA * log_p
    if smoothing > 0:
        spread = smoothing / logits.shape[1]
        focal = (1 - smoothing) * focal.gather(1, own) + spread * focal.sum(dim=1, keepdim=True)
    return -(focal.squeeze(1) * weights).mean()


def contrastive_loss(projector: Projector, fake: list[Tensor], real: list[Tensor]) -> Tensor:
    total = 0
    for head, x, y in zip(projector.heads, fake, real, strict=True):
        positions = torch.randperm(x[0, 0].numel())[:NEGATIVES + 1]
        with torch.no_grad():
            keys = head(y, positions)
        logits = head(x, positions) @ keys.transpose(1, 2) / TAU
        own = torch.arange(len(positions)).repeat(len(x))
        total = total + F.cross_entropy(logits.flatten(0, 1), own)
    return total


def diversity_loss(features: Tensor, latent: Tensor) -> Tensor:
    (a, b), (z_a, z_b) = features.chunk(2), latent.chunk(2)
    ratio = (a - b).abs().flatten(1).mean(dim=1) / (z_a - z_b).abs().mean(dim=1).clamp(min=1e-6)
    return torch.relu(CUTOFF - ratio).mean()


def update(optimizer: torch.optim.Optimizer, terms: list[Tensor]):
    optimizer.zero_grad(set_to_none=True)
    sum(terms).backward()
    optimizer.step()


class Step:
    """A training step of the camvid-e8 experiment."""

    def __init__(self, settings: Settings):
        self.settings, self.experiment = settings, tomllib.loads(CAMVID.read_text())
        self.term, rates = self.experiment["loss"]["contrastive"], self.experiment["optimizer"]
        backbone, self.backbone = frozen(settings.backbone, settings)
        contrastive, self.compared = frozen(self.term["network"], settings)
        seen, compared = ([tap.shape[1] for tap in taps(torch.zeros(1, 3, *settings.size))]
                          for taps in (self.backbone, self.compared))
        self.generator = generator(settings, GENERATOR | self.experiment["generator"])
        config = DISCRIMINATOR | self.experiment["discriminator"]
        # VGG ends at a finer stride than the others, where the decoder then begins.
        config["decoder_channels"] = config["decoder_channels"][-len(seen) - 1:]
        self.discriminator = Discriminator(config, seen, settings.classes).to(**settings.format())
        self.projector = Projector(compared, DIM).to(**settings.format())
        self.ema, self.number = copy.deepcopy(self.generator), 0
        trained = [*self.generator.parameters(), *self.projector.parameters()]
        self.adam_g = torch.optim.Adam(trained, rates["lr_generator"], **ADAM)
        trained = self.discriminator.parameters()
        self.adam_d = torch.optim.Adam(trained, rates["lr_discriminator"], **ADAM)
        self.networks = {"generator": self.generator, "discriminator": self.discriminator,
                         "projector": self.projector, "backbone": backbone,
                         "contrastive": contrastive}
        self.labels = settings.labels(settings.batch, settings.size)
        self.real = (2 * torch.rand(settings.batch, 3, *settings.size) - 1).to(**settings.format())
        # Class weights come with the batch, as in the program, and are not timed.
        counts = torch.bincount(self.labels.flatten(), minlength=settings.classes)
        counts[0] = 0  # Void.
        weights = self.labels.numel() / ((counts > 0).sum() * counts)
        self.weights = torch.where(counts > 0, weights, 0.0)

    def __call__(self) -> list[float]:
        self.number += 1
        one_hot, weights = self.settings.one_hot(self.labels), self.weights[self.labels]
        terms = self.generator_step(one_hot, weights) + self.discriminator_step(one_hot, weights)
        self.average()
        return torch.stack(terms).detach().tolist()  # The only time that the host reads.

    def generator_step(self, one_hot: Tensor, weights: Tensor) -> list[Tensor]:
        latent = torch.randn(2 * len(one_hot), LATENT)
        features = self.generator.features(one_hot.repeat(2, 1, 1, 1), latent)
        image = self.generator.image(features[:len(one_hot)])
        self.discriminator.requires_grad_(False)  # Only the image needs a gradient.
        logits = self.discriminator(image, self.backbone(image))
        with torch.no_grad():
            real = self.compared(self.real)
        contrastive = contrastive_loss(self.projector, self.compared(image), real)
        terms = [LAMBDA_GAN * pixel_loss(logits, self.labels, weights, 0.0),
                 self.term["lambda"] * contrastive,
                 LAMBDA_DIVERSITY * diversity_loss(features, latent)]
        update(self.adam_g, terms)
        self.discriminator.requires_grad_(True)
        return terms

    def discriminator_step(self, one_hot: Tensor, weights: Tensor) -> list[Tensor]:
        with torch.no_grad():
            latent = torch.randn(len(one_hot), LATENT)
            fake = self.generator.image(self.generator.features(one_hot, latent))
            of_fake, of_real = self.backbone(fake), self.backbone(self.real)
        wanted = torch.full_like(self.labels, self.settings.classes)
        terms = [pixel_loss(self.discriminator(fake, of_fake), wanted, 1.0, 0.0)]
        logits = self.discriminator(self.real, of_real)
        terms.append(pixel_loss(logits, self.labels, weights, SMOOTHING))
        update(self.adam_d, terms)
        return terms

    @torch.no_grad()
    def average(self):
        """Of parameters and buffers, with the ramp of the experiment."""
        decay = min(self.experiment["ema"]["decay"], (1 + self.number) / (10 + self.number))
        old, new = ([tensor for tensor in (*network.parameters(), *network.buffers())
                     if tensor.is_floating_point()] for network in (self.ema, self.generator))
        torch._foreach_lerp_(old, new, 1 - decay)
