"""Measures the memory of training steps and writes it into memory.toml, which tests hold the program's
estimate to.

    python tests/bench/memory.py --program target/release/dp-sims

Every run trains a few steps on the processor with random weights on procedural scenes. What counts is the
largest resident memory before the last step: the checkpoint that follows takes memory of its own.
"""

import argparse
import re
import subprocess
import tempfile
import threading
import time
import tomllib
from pathlib import Path

TABLE = Path(__file__).with_name("memory.toml")
STEPS = 4
# As little as possible around the steps; no file is read.
ALWAYS = [
    "backbone.weights=random",
    "loss.contrastive.weights=random",
    "data.dataset=scenes",
    "data.scenes=200",
    "evaluation.every=0",
    "run.preview_rows=1",
    "run.preview_samples=1",
]


def resident(process):
    """Largest resident memory of a process so far in KiB, 0 once it has ended."""
    try:
        status = Path(f"/proc/{process.pid}/status").read_text()
    except OSError:
        return 0
    found = re.search(r"VmHWM:\s*(\d+)", status)
    return int(found.group(1)) if found else 0


def measure(program, run):
    """Peak of the steps of a run in MiB."""
    settings = [word for setting in ALWAYS + run["settings"] for word in ("--set", setting)]
    with tempfile.TemporaryDirectory() as folder:
        command = [program, "train", run["experiment"], "--no-tui", "--backend", "flex"]
        command += ["--steps", str(STEPS), "--out", f"{folder}/run", *settings]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        peak, stepping = 0, threading.Event()
        stepping.set()

        def watch():
            nonlocal peak
            while stepping.is_set():
                peak = max(peak, resident(process))
                time.sleep(0.005)

        watcher = threading.Thread(target=watch)
        watcher.start()
        for line in process.stdout:
            if line.startswith(f"step {STEPS}/"):
                stepping.clear()
        stepping.clear()
        watcher.join()
        if process.wait() != 0:
            raise SystemExit(f"{run['name']}: training failed")
    return round(peak / 1024)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--program", required=True, help="the program, a release build")
    parser.add_argument("--only", help="name of a run")
    arguments = parser.parse_args()
    text = TABLE.read_text()
    for run in tomllib.loads(text)["run"]:
        if arguments.only not in (None, run["name"]):
            continue
        peak = measure(arguments.program, run)
        print(f"{run['name']}: {peak} MiB, before {run['peak_mib']}")
        pattern = rf'(name = "{re.escape(run["name"])}"\n(?:.*\n)*?peak_mib = )\d+'
        text = re.sub(pattern, rf"\g<1>{peak}", text, count=1)
        TABLE.write_text(text)


if __name__ == "__main__":
    main()
