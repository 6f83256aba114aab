"""Speed of PyTorch on what `dp-sims bench generator` and `dp-sims bench step` time.

    python tests/reference/bench_torch.py generator          # 151 classes, 256x256, width 64
    python tests/reference/bench_torch.py step --json        # camvid, 64x64, batch 4, width 32

compare.py runs this and the program in turn. The networks are those of twin_networks.py, written as
a PyTorch user would for speed; where there was a choice, both ways were measured and the faster one
is taken. Everything from class indices to the image or to the updated weights is timed. Two runs
warm up, the median of the others counts.

`generator` is the trained network: evaluation mode, no graph, spectral norm folded into the
weights. `step` is a training step of experiments/camvid.toml with random weights: generator step
with a pair of latents, discriminator step with fresh fakes, Adam, moving average. Accuracies and
gradient norms, which the program logs beside the losses, are left out.

The JSON has the keys of `dp-sims bench --json`; `gflop` is the dense work that PyTorch does, and
`parameters` counts those of each network, frozen ones with batch norm folded. Needs torch 2.15;
`step` also timm 1.0.31 and torchvision 0.29.
"""

import argparse
import copy
import json
import resource
import statistics
import time
import tomllib
from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path
from types import SimpleNamespace

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils import fuse_conv_bn_eval, remove_spectral_norm

import twin_networks
from twin_networks import Discriminator, Generator, Projector, Spade, conv3

CAMVID = Path(__file__).resolve().parents[2] / "experiments" / "camvid.toml"
WARM_UP = 2
# The program's defaults, where experiments/camvid.toml does not change them.
LATENT = 64
GENERATOR = {"width_multipliers": [16, 16, 16, 8, 4, 2, 1], "encoder_channels": [32] + 6 * [64],
             "latent_dim": LATENT, "mapping_width": 512, "tokens": 16, "token_dim": 64,
             "attention_stride": 4}
DISCRIMINATOR = {"full_resolution_channels": 64, "full_resolution_blocks": 2}
GAMMA, SMOOTHING, LAMBDA_GAN, LAMBDA_DIVERSITY, CUTOFF = 2.0, 0.1, 1.0, 10.0, 1.0
TAU, NEGATIVES, DIM = 0.3, 128, 256
ADAM = {"betas": (0.0, 0.99), "eps": 1e-8, "fused": True}
# Layouts: the generator takes 2.71 s in contiguous memory and 2.30 s with channels last, the step
# 3.50 s and 4.06 s (fastest of 6 and 5 in turn, two threads of an EPYC).
DEFAULTS = {"generator": {"size": (256, 256), "batch": 1, "base_width": 64, "classes": 151,
                          "layout": "channels_last"},
            "step": {"size": (64, 64), "batch": 4, "base_width": 32, "classes": 12,
                     "layout": "contiguous"}}


@dataclass
class Settings:
    """What is built, and where its tensors lie."""

    size: tuple[int, int]
    batch: int
    base_width: int
    classes: int
    backbone: str
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
    from torchvision.models.vgg import make_layers

    import backbones

    lite = name.startswith("efficientnet_lite")
    if name == "vgg16":  # Up to relu5_1, its last tap.
        network = make_layers([64, 64, "M", 128, 128, "M", *3 * [256], "M", *3 * [512], "M", 512])
        taps = backbones.vgg_taps(SimpleNamespace(features=network), (2, 2, 3, 3, 3))
    else:
        network = taps = folded(timm.create_model(
            f"tf_{name}" if lite else name, features_only=True,
            out_indices=(-4, -3, -2, -1)).eval())
    network.eval().requires_grad_(False).to(**settings.format())
    # Mean and deviation of 0.5, as EfficientNet-Lite has them, leave an image as it is.
    return network, taps if lite else backbones.normalised(taps, backbones.IMAGENET)


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
    """A training step of the camvid experiment."""

    def __init__(self, settings: Settings):
        self.settings, self.experiment = settings, tomllib.loads(CAMVID.read_text())
        self.term, rates = self.experiment["loss"]["contrastive"], self.experiment["optimizer"]
        backbone, self.backbone = frozen(settings.backbone, settings)
        contrastive, self.compared = frozen(self.term["network"], settings)
        seen, compared = ([tap.shape[1] for tap in taps(torch.zeros(1, 3, 32, 32))]
                          for taps in (self.backbone, self.compared))
        self.generator = generator(settings, GENERATOR | self.experiment["generator"])
        config = DISCRIMINATOR | self.experiment["discriminator"]
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


# Measurement -----------------------------------------------------------------------------------


def timed(work: Callable) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def matmul_speed(side: int = 1024, budget: float = 0.3) -> float:
    """GFLOP/s of the fastest of several products, as in the program."""
    left, right = torch.randn(side, side), torch.randn(side, side)
    best, begin = float("inf"), time.perf_counter()
    while time.perf_counter() - begin < budget:
        best = min(best, timed(lambda: left @ right))
    return 2 * side**3 / best / 1e9


def peak_memory() -> int:
    return 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # Kilobytes on Linux.


def operations(work: Callable) -> int:
    """Two per multiply-add. To be counted after memory has been read, since counting takes some."""
    from torch.utils.flop_counter import FlopCounterMode

    torch.compiler.set_stance("force_eager")
    with FlopCounterMode(display=False) as counter:
        work()
    return counter.get_total_flops()


def measure(work: Callable, batch: int, repeats: int) -> dict:
    before = matmul_speed()
    seconds = [timed(work) for _ in range(WARM_UP + repeats)][WARM_UP:]
    median, peak, matmul = statistics.median(seconds), peak_memory(), max(before, matmul_speed())
    gflop = operations(work) / 1e9
    return {"repeats": repeats, "median_seconds": median, "fastest_seconds": min(seconds),
            "slowest_seconds": max(seconds), "images_per_second": batch / median, "gflop": gflop,
            "gflop_per_second": gflop / median, "matmul_gflop_per_second": matmul,
            "matmul_share": gflop / median / matmul, "peak_memory_bytes": peak}


def parse_size(text: str) -> tuple[int, int]:
    height, width = (int(side) for side in text.split("x"))
    return height, width


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Times PyTorch on what `dp-sims bench` times.")
    parser.add_argument("bench", choices=DEFAULTS)
    parser.add_argument("--size", type=parse_size, metavar="HxW", help="multiples of 32")
    parser.add_argument("--batch", type=int)
    parser.add_argument("--base-width", type=int)
    parser.add_argument("--backbone", default="efficientnet_lite1", help="of the step")
    parser.add_argument("--repeats", type=int, default=7, help="timed, after two that are not")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--layout", choices=["contiguous", "channels_last"])
    parser.add_argument("--compile", action="store_true", help="the generator with torch.compile")
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    if args.compile and args.bench == "step":
        parser.error("--compile: on two cores a step was not compiled after 8 minutes")
    return args


def main():
    args = arguments()
    given = {key: value for key, value in vars(args).items() if value is not None}
    chosen = DEFAULTS[args.bench] | given
    settings = Settings(**{field.name: chosen[field.name] for field in fields(Settings)})
    torch.set_num_threads(args.threads)
    torch.manual_seed(0)
    twin_networks.attend = attend
    imported = peak_memory()
    work = {"generator": Generation, "step": Step}[args.bench](settings)
    if args.compile:
        work.generator.features = torch.compile(work.generator.features)
    report = {
        "bench": args.bench, "backend": "torch", "torch": torch.__version__,
        "threads": torch.get_num_threads(), "height": settings.size[0], "width": settings.size[1],
        "batch": settings.batch, "base_width": settings.base_width, "classes": settings.classes,
        "layout": settings.layout, "compiled": args.compile,
        "parameters": {name: sum(parameter.numel() for parameter in network.parameters())
                       for name, network in work.networks.items()}}
    report |= measure(work, settings.batch, args.repeats) | {"import_memory_bytes": imported}
    if args.json:
        print(json.dumps(report, indent=2))
        return
    for name, value in report.items():
        print(f"{name:24}{value:.4f}" if isinstance(value, float) else f"{name:24}{value}")


if __name__ == "__main__":
    main()
