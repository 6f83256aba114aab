"""`dp-sims bench generator` and `dp-sims bench step` against PyTorch, round by round.

    python tests/bench/compare.py generator --program target/release/dp-sims
    python tests/bench/compare.py step --program target/release/dp-sims --rounds 5

Each round starts the program and then bench_torch.py, each in a process of its own, so that both
meet the same load of the machine. Ratios are the program's figure over PyTorch's of the same
round; their median counts. Peak memory is that of resident memory up to the last timed repetition;
PyTorch's includes what its imports take, which is printed beside it. Sizes, threads and parameter
counts must be the same on both sides, or nothing is printed but the difference.

The load average before should be near 0. PyTorch's threads wait for each other without giving way:
with one of two cores busy, a step of 4.3 s took 11.4 s, and 6.2 s under OMP_WAIT_POLICY=passive,
which on an idle machine changes little. Needs what bench_torch.py needs.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

TORCH = Path(__file__).with_name("bench_torch.py")
SAME = ("bench", "threads", "height", "width", "batch", "base_width", "backbone",
        "classes")
MEBI = 1 << 20


class Mismatch(Exception):
    """What the two sides measure is not the same."""


def run(command: list[str], threads: int | None) -> dict:
    """The JSON that a command prints, and its peak memory if that is not in there."""
    environment = dict(os.environ)
    if threads:
        environment["RAYON_NUM_THREADS"] = str(threads)
    with tempfile.TemporaryFile("w+") as errors:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, text=True,
                                   env=environment)
        output = process.stdout.read()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode != 0:
            errors.seek(0)
            sys.exit(f"{' '.join(command)} failed ({process.returncode}):\n{errors.read()}{output}")
    # What a process says itself comes first: PyTorch counts operations after it was timed.
    return {"peak_memory_bytes": 1024 * usage.ru_maxrss} | json.loads(output)


def commands(args: argparse.Namespace) -> tuple[list[str], list[str]]:
    """Those of the program and of PyTorch. What is not given is left to their defaults."""
    flags = ["--repeats", str(args.repeats)]
    for flag in ("size", "batch", "width", "backbone"):
        value = getattr(args, flag)
        flags += [f"--{flag}", str(value)] if value is not None else []
    program = [args.program, "bench", args.bench, *flags, "--backend", args.backend, "--json"]
    torch = [sys.executable, str(TORCH), args.bench, *flags, "--json"]
    torch += ["--threads", str(args.threads)] if args.threads else []
    torch += ["--compile"] if args.compile else []
    return program, torch


# What must be the same -------------------------------------------------------------------------


def check(own: dict, torch: dict):
    wrong = [f"{key}: {own[key]} here, {torch[key]} in PyTorch"
             for key in SAME if own[key] != torch[key]]
    counts = own["parameters"], torch["parameters"]
    wrong += [f"parameters of {name}: {counts[0].get(name)} here, {counts[1].get(name)} in PyTorch"
              for name in sorted(counts[0].keys() | counts[1].keys())
              if counts[0].get(name) != counts[1].get(name)]
    if wrong:
        raise Mismatch("the two sides do not measure the same:\n  " + "\n  ".join(wrong))


# Report ----------------------------------------------------------------------------------------


def spread(values: list[float]) -> dict:
    return {"median": statistics.median(values), "lowest": min(values), "highest": max(values)}


def machine() -> dict:
    model = platform.processor()
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        model = next(line.split(":")[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        pass
    return {"processor": model, "cores": len(os.sched_getaffinity(0))}


def summary(rounds: list[tuple[dict, dict]]) -> dict:
    own, torch = zip(*rounds)
    result = {}
    for key in ("median_seconds", "fastest_seconds", "peak_memory_bytes",
                "matmul_gflop_per_second", "memory_gigabytes_per_second"):
        ratios = [a[key] / b[key] for a, b in rounds]
        result[key] = {"program": spread([report[key] for report in own]),
                       "torch": spread([report[key] for report in torch]),
                       "ratio": spread(ratios)}
    for key in ("gflop", "nominal_gflop"):
        result[key] = {"program": own[0][key], "torch": torch[0][key]}
    result["import_memory_bytes"] = torch[0]["import_memory_bytes"]
    return result


def show_round(number: int, own: dict, torch: dict):
    a, b = own["median_seconds"], torch["median_seconds"]
    print(f"round {number}: dp-sims {a:.3f} s, PyTorch {b:.3f} s, ratio {a / b:.3f}, "
          f"load {os.getloadavg()[0]:.2f}", file=sys.stderr, flush=True)


def show(result: dict):
    def line(name: str, key: str, unit: str, scale: float):
        own, torch, ratio = (result[key][side] for side in ("program", "torch", "ratio"))
        print(f"{name:12}dp-sims {own['median'] / scale:.3f} {unit}, "
              f"PyTorch {torch['median'] / scale:.3f} {unit}, ratio {ratio['median']:.3f} "
              f"({ratio['lowest']:.3f} to {ratio['highest']:.3f})")

    backbone = f"{result['backbone']}, " if result["backbone"] else ""
    print(f"{result['bench']}, {result['height']}x{result['width']}, batch {result['batch']}, "
          f"width {result['base_width']}, {backbone}{result['classes']} classes; "
          f"PyTorch {result['torch_version']}{' compiled' if result['compiled'] else ''}")
    print(f"{'machine':12}{result['machine']['processor']}, {result['machine']['cores']} cores, "
          f"{result['threads']} threads; load {result['load_before']:.2f} before, "
          f"{result['load_after']:.2f} after")
    line("time", "median_seconds", "s", 1)
    line("fastest", "fastest_seconds", "s", 1)
    line("peak memory", "peak_memory_bytes", "MiB", MEBI)
    print(f"{'':12}PyTorch's imports take {result['import_memory_bytes'] / MEBI:.0f} MiB of it")
    line("matmul", "matmul_gflop_per_second", "GFLOP/s", 1)
    line("memory", "memory_gigabytes_per_second", "GB/s", 1)
    print(f"{'work':12}dp-sims {result['gflop']['program']:.1f} GFLOP, "
          f"{result['nominal_gflop']['program']:.1f} dense; "
          f"PyTorch {result['gflop']['torch']:.1f} GFLOP")


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Compares `dp-sims bench` with PyTorch.")
    parser.add_argument("bench", choices=["generator", "step"])
    parser.add_argument("--program", required=True, help="path of dp-sims")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--repeats", type=int, default=7, help="timed repetitions a round")
    parser.add_argument("--size", metavar="HxW")
    parser.add_argument("--batch", type=int)
    parser.add_argument("--width", type=int, help="of the generator's last block")
    parser.add_argument("--backbone", help="of the step, by its name in experiments")
    parser.add_argument("--threads", type=int, help="of both; all cores without it")
    parser.add_argument("--backend", default="flex", help="of dp-sims")
    parser.add_argument("--compile", action="store_true", help="PyTorch with torch.compile")
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    if args.rounds < 1 or args.repeats < 1:
        parser.error("--rounds and --repeats must be at least 1")
    if args.backbone and args.bench == "generator":
        parser.error("--backbone: the generator has none")
    return args


def main():
    args = arguments()
    program, torch = commands(args)
    before, rounds = os.getloadavg()[0], []
    for number in range(1, args.rounds + 1):
        rounds.append((run(program, args.threads), run(torch, args.threads)))
        try:
            check(*rounds[-1])
        except Mismatch as mismatch:
            sys.exit(str(mismatch))
        show_round(number, *rounds[-1])
    own, other = rounds[0]
    result = {key: own[key] for key in (*SAME, "backend")}
    result |= {"torch_version": other["torch"], "compiled": other["compiled"],
               "layout": other["layout"], "parameters": other["parameters"],
               "rounds": args.rounds, "repeats": args.repeats,
               "machine": machine(), "load_before": before, "load_after": os.getloadavg()[0]}
    result |= summary(rounds)
    if args.json:
        print(json.dumps(result, indent=2))
    else:
        show(result)


if __name__ == "__main__":
    main()
