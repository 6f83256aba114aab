"""Speed of PyTorch on what `dp-sims bench generator` and `dp-sims bench step` time.

    python tests/bench/bench_torch.py generator          # 151 classes, 256x256, width 64
    python tests/bench/bench_torch.py step --json        # camvid-e8, 64x64, batch 4, width 32

compare.py runs this and the program in turn. What is timed is in bench_work.py. Everything from
class indices to the image or to the updated weights is timed. Two runs warm up, the median of the
others counts.

`generator` is the trained network: evaluation mode, no graph, spectral norm folded into the
weights. `step` is a training step of experiments/camvid-e8.toml with random weights: generator step
with a pair of latents, discriminator step with fresh fakes, Adam, moving average. Accuracies and
gradient norms, which the program logs beside the losses, are left out.

The JSON has the keys of `dp-sims bench --json`; `gflop` is the work that PyTorch does, which is
dense and so its `nominal_gflop` too, and `parameters` counts those of each network, frozen ones
with batch norm folded. Needs torch 2.15; `step` also timm 1.0.31 and torchvision 0.29.
"""

import argparse
import json
import resource
import statistics
import time
from collections.abc import Callable
from dataclasses import fields

import torch

import reference  # noqa: F401, for twin_networks
import twin_networks
from bench_work import BACKBONES, Generation, Settings, Step, attend

WARM_UP = 2
# Layouts: the generator takes 2.71 s in contiguous memory and 2.30 s with channels last, the step
# 3.50 s and 4.06 s (fastest of 6 and 5 in turn, two threads of an EPYC).
DEFAULTS = {"generator": {"size": (256, 256), "batch": 1, "base_width": 64, "classes": 151,
                          "backbone": None, "layout": "channels_last"},
            "step": {"size": (64, 64), "batch": 4, "base_width": 32, "classes": 12,
                     "backbone": "efficientnet_lite1", "layout": "contiguous"}}


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


def memory_speed(count: int = 16 << 20, budget: float = 0.3) -> float:
    """GB/s of the fastest of several additions in place, as in the program: two reads, a write."""
    left, right = torch.zeros(count), torch.ones(count)
    best, begin = float("inf"), time.perf_counter()
    while time.perf_counter() - begin < budget:
        best = min(best, timed(lambda: left.add_(right)))
    return 12 * count / best / 1e9


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
    before = matmul_speed(), memory_speed()
    seconds = [timed(work) for _ in range(WARM_UP + repeats)][WARM_UP:]
    median, peak = statistics.median(seconds), peak_memory()
    matmul, memory = map(max, before, (matmul_speed(), memory_speed()))
    gflop = operations(work) / 1e9
    return {"repeats": repeats, "median_seconds": median, "fastest_seconds": min(seconds),
            "slowest_seconds": max(seconds), "seconds": seconds,
            "images_per_second": batch / median,
            "nominal_gflop": gflop, "nominal_gflop_per_second": gflop / median, "gflop": gflop,
            "gflop_per_second": gflop / median, "matmul_gflop_per_second": matmul,
            "matmul_share": gflop / median / matmul, "memory_gigabytes_per_second": memory,
            "peak_memory_bytes": peak}


def parse_size(text: str) -> tuple[int, int]:
    height, width = (int(side) for side in text.split("x"))
    return height, width


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Times PyTorch on what `dp-sims bench` times.")
    parser.add_argument("bench", choices=DEFAULTS)
    parser.add_argument("--size", type=parse_size, metavar="HxW", help="multiples of 32")
    parser.add_argument("--batch", type=int)
    parser.add_argument("--width", type=int, dest="base_width", help="of the last block")
    parser.add_argument("--backbone", choices=BACKBONES, help="of the step, random weights")
    parser.add_argument("--repeats", type=int, default=7, help="timed, after two that are not")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--layout", choices=["contiguous", "channels_last"])
    parser.add_argument("--compile", action="store_true", help="the generator with torch.compile")
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    if args.backbone and args.bench == "generator":
        parser.error("--backbone: the generator has none")
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
        "batch": settings.batch, "base_width": settings.base_width, "backbone": settings.backbone,
        "classes": settings.classes,
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
