#!/usr/bin/env python3
"""Trains for long and kills for long: sees that nothing grows and that every resumed run is exact.

    tests/soak.py PROGRAM                                       # about half an hour on two cores
    tests/soak.py PROGRAM --steps 200 --kills 3                 # about two minutes
    tests/soak.py --selftest                                    # the verdicts alone, on made-up figures

Needs Linux, and a PROGRAM with the features `flex` and `distributed`. Two parts, each left out by a 0:

--steps N   One run with previews, checkpoints and evaluations, 20 of each. After the first tenth, the memory of
            the process stays within 3 %, and it has as many threads and open files as before.
--kills N   Runs of one process, then of two that train together, are killed with SIGKILL N times each: at any
            time of their start or of their steps, and while a checkpoint, the best one or a preview is written.
            Each is resumed with `--resume auto` until it ends, and then is, byte by byte, what a run that nobody
            killed is. When one of two processes is killed, the other has to end by itself within a minute.

Without --out, runs lie in a temporary folder that stays if something fails. Exit code 0 if all is well, else 1.
"""

import argparse
import json
import os
import platform
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.dont_write_bytecode = True
from soak_kills import Failure, Trainer, kill_often
from soak_verdicts import constant, flat, selftest

PERIODS = 20  # Previews, checkpoints and evaluations of the long run.
WARM_UP = 100  # Steps at least, in which the allocator takes what it needs.
INTERVAL = 0.25  # Seconds between two samples.


# A long run ------------------------------------------------------------------------------------


def sample(pid):
    """Resident memory and the anonymous part of it, which no file backs, in bytes, threads and open files; None
    once the process has ended."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
        rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
        files = len(os.listdir(f"/proc/{pid}/fd"))
    except OSError:
        return None
    found = [re.search(pattern, text) for pattern, text in
             ((r"VmRSS:\s*(\d+)", status), (r"Anonymous:\s*(\d+)", rollup), (r"Threads:\s*(\d+)", status))]
    if not all(found):
        return None
    resident, anonymous, threads = (int(match[1]) for match in found)
    return {"resident": 1024 * resident, "anonymous": 1024 * anonymous, "threads": threads, "descriptors": files}


def long_run(trainer, steps, folder):
    """Trains and samples. Returns the samples, each with the step that was logged last, and the log."""
    every = max(1, steps // PERIODS)
    settings = [f"run.checkpoint_every={every}", f"run.preview_every={every}", f"evaluation.every={every}"]
    process, = trainer.start(folder, steps, settings)
    samples, log, step = [], None, 0
    started = time.monotonic()
    while process.poll() is None:
        if log is None and (folder / "log.jsonl").exists():
            log = open(folder / "log.jsonl")
        for found in re.finditer(r'"step":(\d+)', log.read() if log else ""):
            step = int(found[1])
        if step > 0 and (taken := sample(process.pid)):
            samples.append({"step": step, "seconds": round(time.monotonic() - started, 2)} | taken)
        time.sleep(INTERVAL)
    seconds = time.monotonic() - started
    if process.returncode != 0:
        raise Failure(f"the run ended with exit code {process.returncode}:\n{trainer.tail()}")
    log.close()
    return samples, [json.loads(line) for line in (folder / "log.jsonl").open()], seconds


def steadiness(trainer, steps, folder):
    samples, log, seconds = long_run(trainer, steps, folder)
    warm_up = max(WARM_UP, steps // 10)
    warm = [taken for taken in samples if taken["step"] > warm_up]
    if len(warm) < 20:
        raise Failure(f"{len(warm)} samples are too few to judge: give more --steps")
    verdicts = {}
    for name in ("resident", "anonymous"):
        verdicts[f"{name} memory"] = flat([(taken["step"], taken[name]) for taken in warm])
    logged = [(line["step"], line["memory_bytes"]) for line in log if line["step"] > warm_up]
    verdicts["memory_bytes of the log"] = flat(logged)
    for name in ("threads", "descriptors"):
        verdicts[name] = constant([taken[name] for taken in warm])
    steps_logged = [line["step"] for line in log] == list(range(1, steps + 1))
    finite = all(value is not None for line in log for value in line["losses"].values())
    told = trainer.said(0)
    counts = {what: told.count(f"\n{what} ") for what in ("preview", "checkpoint", "evaluation", "warning")}
    verdicts["log"] = {"ok": steps_logged and finite and counts["evaluation"] >= PERIODS,
                       "every_step_once": steps_logged, "finite": finite} | counts
    thinned = samples[:: max(1, len(samples) // 200)]
    return {"steps": steps, "seconds": round(seconds, 1), "samples": len(warm), "verdicts": verdicts,
            "ok": all(verdict["ok"] for verdict in verdicts.values()), "series": thinned}


def show(name, verdict):
    words = []
    for key, value in verdict.items():
        if key != "ok":
            shown = f"{value / 2**20:.1f} MiB" if key.endswith("bytes") else f"{value:+.2%}" if isinstance(
                value, float) else value
            words.append(f"{key.removesuffix('_bytes').replace('_', ' ')} {shown}")
    print(f"  {'ok    ' if verdict['ok'] else 'FAILED'} {name}: {', '.join(words)}", flush=True)


# The command -----------------------------------------------------------------------------------


def parts(args, folder, results):
    """Runs what is asked for; results are there as soon as they are known."""
    if args.steps:
        print(f"one run of {args.steps} steps", flush=True)
        trainer = Trainer(args, folder / "steady", 1)
        with trainer:
            results["steadiness"] = steadiness(trainer, args.steps, folder / "steady" / "run")
        for name, verdict in results["steadiness"]["verdicts"].items():
            show(name, verdict)
    for nodes, name in ((1, "one process"), (2, "two processes")) if args.kills else ():
        print(f"{args.kills} kills of {name}", flush=True)
        trainer = Trainer(args, folder / f"kills-{nodes}", nodes)
        with trainer:
            results[name] = kill_often(trainer, args.kills, random.Random(f"{args.seed} {nodes}"))
        for difference in results[name]["differences"]:
            print(f"  FAILED {difference}")
        print(f"  {results[name]['summary']}", flush=True)


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program", type=Path, nargs="?", help="the program, a release build")
    parser.add_argument("--steps", type=int, default=5000, help="length of the long run [default: 5000]")
    parser.add_argument("--kills", type=int, default=50, help="of one process, and of two [default: 50]")
    parser.add_argument("--seed", type=int, default=1, help="of the moments of kills [default: 1]")
    parser.add_argument("--weights", type=Path, help="folder of weights for metrics that need some")
    parser.add_argument("--metrics", default="fd-convnext-pico-scenes,kd-convnext-pico-scenes",
                        help="what evaluations measure, the first decides which is the best [default: "
                        "%(default)s, whose network is part of the program; others need --weights]")
    parser.add_argument("--out", type=Path, help="new folder for the runs, which stay there")
    parser.add_argument("--json", type=Path, help="file for all figures")
    parser.add_argument("--selftest", action="store_true", help="show that the verdicts can fail")
    args = parser.parse_args()
    if args.selftest:
        return selftest()
    if args.program is None:
        parser.error("PROGRAM is missing")
    args.program = args.program.resolve()
    if args.out and args.out.exists():
        parser.error(f"{args.out} is there already")
    if args.out:
        args.out.mkdir(parents=True)
    if not args.weights:
        print("without --weights nothing is measured by fid, kid, swav-fid, lpips, miou and accuracy")
    folder = args.out.resolve() if args.out else Path(tempfile.mkdtemp(prefix="soak-"))
    version = subprocess.run([args.program, "--version"], capture_output=True, text=True, check=True)
    results = {"program": version.stdout.strip(), "python": platform.python_version(),
               "cores": os.cpu_count(), "load_before": os.getloadavg()[0], "seed": args.seed,
               "metrics": args.metrics}
    # What was started is ended with it.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    started, failure = time.monotonic(), None
    try:
        parts(args, folder, results)
    except Failure as error:
        failure = results["failure"] = str(error)
        print(f"  FAILED {failure}")
    results |= {"load_after": os.getloadavg()[0], "seconds": round(time.monotonic() - started, 1)}
    judged = [part for part in results.values() if isinstance(part, dict)]
    results["ok"] = failure is None and all(part["ok"] for part in judged)
    if args.json:
        args.json.write_text(json.dumps(results, indent=1) + "\n")
    if results["ok"] and not args.out:
        shutil.rmtree(folder)
    else:
        print(f"the runs are in {folder}")
    print(f"{'all is well' if results['ok'] else 'FAILED'}, {results['seconds']:.0f} s, load "
          f"{results['load_before']:.2f} before and {results['load_after']:.2f} after")
    return 0 if results["ok"] else 1


if __name__ == "__main__":
    sys.exit(main())
