"""Measures what book/src/performance.md shows, draws its plots and writes its tables.

    python tests/bench/performance.py --program target/release/dp-sims \\
        --out book/src/images/performance                  # about half an hour on two cores
    python tests/bench/performance.py --program target/release/dp-sims \\
        --out runs/performance --quick                     # about three minutes
    python tests/bench/performance.py --data book/src/images/performance/performance.json \\
        --out book/src/images/performance                  # draws again, measures nothing

Runs `dp-sims bench` of the generator by size and by batch and of a step, `dp-sims-bench` (taken
from beside PROGRAM) of the networks and of the start of `generate`, and compare.py for the
generator and the step, one after the other. OUT is a folder; it gets performance.json with
everything as it was printed, the plots as SVG and tables.md, parts of which the page includes. The
JSON is saved after every measurement, and the same command goes on where it was stopped. Draws the
same bytes from the same data and versions.

Besides the load average, which counts the measured program too and follows a minute late, the JSON
says how many cores were busy with other processes meanwhile and how many the hypervisor took away.
Needs matplotlib 3.11 unless --no-plots is given, and what compare.py needs unless --no-torch is.
PyTorch runs on the processor, so that it is left out for --backend wgpu and cuda.
"""

import argparse
import hashlib
import json
import os
import platform
import subprocess
import sys
import time
from datetime import datetime, timezone
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import performance_tables
from compare import machine

COMPARE = Path(__file__).with_name("compare.py")
SIZES, BATCHES, BATCH_SIDE = (128, 256, 512, 1024), (1, 2, 4, 8), 256
LARGEST_COMPARED = 512  # At 1024 PyTorch alone would take as long as all the rest.
PROCESSOR_BACKENDS = ("flex", "ndarray")
TORCH_PACKAGES = ("torch", "torchvision", "timm")


# What is measured ------------------------------------------------------------------------------


def plan(args: argparse.Namespace) -> dict[str, list[str]]:
    """Arguments by name: of `dp-sims` where the first is `bench`, of compare.py where it is
    `compare`, else of `dp-sims-bench`."""
    def size(side: int) -> list[str]:
        return ["--size", f"{side}x{side}"]

    small = size(128) if args.quick else []
    points = [(side, 1) for side in args.sizes] + [(BATCH_SIDE, batch) for batch in args.batches]
    planned = {f"generator {side}x{side} batch {batch}":
               ["bench", "generator", *size(side), "--batch", str(batch)]
               for side, batch in dict.fromkeys(points)}
    planned |= {"step": ["bench", "step"], "networks": ["networks", *small],
                "start": ["start", *small]}
    if not args.no_torch:
        planned |= {f"generator {side}x{side} beside PyTorch": ["compare", "generator", *size(side)]
                    for side in args.sizes if side <= LARGEST_COMPARED}
        planned["step beside PyTorch"] = ["compare", "step"]
    common = ["--repeats", str(args.repeats), "--backend", args.backend, "--json"]
    for arguments in planned.values():
        rounds = ["--rounds", str(args.rounds)] if arguments[0] == "compare" else []
        arguments += rounds + common
    return planned


def identity(program: Path) -> dict[str, str]:
    result = subprocess.run([program, "--version"], capture_output=True, text=True)
    if result.returncode != 0:
        sys.exit(f"{program} --version failed:\n{result.stderr}")
    return {"version": result.stdout.strip(),
            "sha256": hashlib.sha256(program.read_bytes()).hexdigest()}


def head(args: argparse.Namespace) -> dict:
    """Under what all is measured. Measurements under something else are not mixed with these."""
    packages = {}
    for name in () if args.no_torch else TORCH_PACKAGES:
        try:
            packages[name] = version(name)
        except PackageNotFoundError:
            sys.exit(f"{name} is missing: install {', '.join(TORCH_PACKAGES)}, or leave PyTorch "
                     "out with --no-torch")
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return {"quick": args.quick, "backend": args.backend, "repeats": args.repeats,
            "rounds": args.rounds,
            "program": identity(args.program), "bench": identity(args.bench),
            "machine": machine() | {"memory_bytes": memory, "system": platform.system(),
                                    "release": platform.release()},
            "versions": {"python": platform.python_version()} | packages}


# Measuring -------------------------------------------------------------------------------------


def processor_seconds() -> tuple[float, float, float] | None:
    """Since the machine's start: of all processes, taken by the hypervisor, of our own."""
    try:
        ticks = [int(field) for field in Path("/proc/stat").read_text().split("\n")[0].split()[1:]]
    except OSError:
        return None
    user, nice, system, _, _, irq, softirq, stolen = ticks[:8]
    tick = os.sysconf("SC_CLK_TCK")
    return (user + nice + system + irq + softirq) / tick, stolen / tick, sum(os.times()[:4])


def measure(command: list[str]) -> dict:
    load, before, started = os.getloadavg()[0], processor_seconds(), datetime.now(timezone.utc)
    begin = time.perf_counter()
    result = subprocess.run(command, capture_output=True, text=True)
    seconds = time.perf_counter() - begin
    if result.returncode != 0:
        sys.exit(f"failed ({result.returncode}): {' '.join(command)}\n"
                 f"{result.stderr}{result.stdout}what was measured before is saved")
    measured = {"started": started.isoformat(timespec="seconds"), "seconds": seconds,
                "load_before": load, "load_after": os.getloadavg()[0]}
    after = processor_seconds()
    if before and after:
        total, stolen, own = (b - a for a, b in zip(before, after))
        measured |= {"other_cores": max(0.0, total - own) / seconds,
                     "stolen_cores": stolen / seconds}
    try:
        return measured | {"result": json.loads(result.stdout)}
    except json.JSONDecodeError as error:
        sys.exit(f"{' '.join(command)} printed no JSON ({error}):\n{result.stdout}")


def summary(measured: dict) -> str:
    result = measured["result"]
    if "networks" in result:
        words = f"{len(result['networks'])} networks"
    elif "rounds" in result:
        ratio = result["median_seconds"]["ratio"]
        words = f"ratio {ratio['median']:.3f} ({ratio['lowest']:.3f} to {ratio['highest']:.3f})"
    else:
        words = f"{result['median_seconds']:.3f} s"
    other = measured.get("other_cores")
    return (f"{words}, took {measured['seconds']:.0f} s, load {measured['load_before']:.2f} before"
            f" and {measured['load_after']:.2f} after"
            + (f", {other:.2f} cores on other work" if other is not None else ""))


def save(data: dict, path: Path):
    part = path.with_name(path.name + ".part")
    part.write_text(json.dumps(data, indent=2) + "\n")
    part.replace(path)


def resume(path: Path, conditions: dict) -> dict:
    """What an earlier run left, if it measured under the same conditions."""
    try:
        data = json.loads(path.read_text())
    except FileNotFoundError:
        return conditions | {"measurements": {}}
    except json.JSONDecodeError as error:
        sys.exit(f"{path}: {error}; --again starts anew")
    wrong = [f"{key}: {data.get(key)} there, {value} here"
             for key, value in conditions.items() if data.get(key) != value]
    if wrong:
        sys.exit(f"{path} was measured otherwise:\n  " + "\n  ".join(wrong)
                 + "\n--again starts anew, another --out keeps both")
    return data


def measure_all(args: argparse.Namespace, path: Path) -> dict:
    conditions = head(args)
    data = conditions | {"measurements": {}} if args.again else resume(path, conditions)
    load = os.getloadavg()[0]
    if load > 0.3:
        print(f"the load average is {load:.2f}: other work would be measured too", file=sys.stderr)
    planned = plan(args)
    for number, (name, arguments) in enumerate(planned.items(), 1):
        print(f"{number}/{len(planned)} {name}: ", end="", flush=True)
        known = data["measurements"].get(name)
        if known and known["arguments"] == arguments:
            print("measured before")
            continue
        command = [str(args.program if arguments[0] == "bench" else args.bench), *arguments]
        if arguments[0] == "compare":
            command = [sys.executable, str(COMPARE), *arguments[1:], "--program", str(args.program)]
        data["measurements"][name] = {"arguments": arguments} | measure(command)
        save(data, path)
        print(summary(data["measurements"][name]), flush=True)
    return data


# Arguments -------------------------------------------------------------------------------------


def numbers(text: str) -> tuple[int, ...]:
    values = tuple(sorted({int(part) for part in text.split(",")}))
    if values[0] < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return values


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Measures and draws the page on performance.")
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--program", type=Path, help="path of dp-sims, beside dp-sims-bench")
    source.add_argument("--data", type=Path, help="performance.json to draw, measuring nothing")
    parser.add_argument("--out", type=Path, required=True, help="folder of all that is written")
    parser.add_argument("--quick", action="store_true", help="few repetitions, small sizes")
    parser.add_argument("--again", action="store_true", help="measure what is measured already")
    parser.add_argument("--backend", default="flex",
                        choices=[*PROCESSOR_BACKENDS, "wgpu", "cuda"])
    parser.add_argument("--sizes", type=numbers, help="sides in pixels, with commas between them")
    parser.add_argument("--batches", type=numbers, help="images at once, with commas between them")
    parser.add_argument("--repeats", type=int, help="timed repetitions, 7 without --quick")
    parser.add_argument("--rounds", type=int, help="of compare.py, 5 without --quick")
    parser.add_argument("--no-torch", action="store_true", help="do not compare with PyTorch")
    parser.add_argument("--no-plots", action="store_true", help="write the data and tables alone")
    args = parser.parse_args()
    args.sizes = args.sizes or (SIZES[:2] if args.quick else SIZES)
    args.batches = args.batches or (BATCHES[:2] if args.quick else BATCHES)
    args.repeats = args.repeats or (2 if args.quick else 7)
    args.rounds = args.rounds or (1 if args.quick else 5)
    args.no_torch |= args.backend not in PROCESSOR_BACKENDS
    if args.data and not args.data.is_file():
        parser.error(f"{args.data} is missing")
    if args.program:
        args.program = args.program.resolve()
        args.bench = args.program.with_name("dp-sims-bench")
        for program in args.program, args.bench:
            if not program.is_file():
                parser.error(f"{program} is missing: build both with "
                             "`cargo build --release -p dp-sims -p dp-sims-bench`")
    return args


def main():
    args = arguments()
    if not args.no_plots:
        try:
            import performance_plots
        except ModuleNotFoundError as error:
            sys.exit(f"{error}: install matplotlib, or go without plots by --no-plots")
    args.out.mkdir(parents=True, exist_ok=True)
    path = args.out / "performance.json"
    try:
        data = json.loads(args.data.read_text()) if args.data else measure_all(args, path)
    except KeyboardInterrupt:
        sys.exit("\nstopped; the same command goes on from here")
    written = [performance_tables.write(data, args.out / "tables.md")]
    written += [] if args.no_plots else performance_plots.draw(data, args.out)
    print(*written, sep="\n")


if __name__ == "__main__":
    main()
