"""Kills of soak.py: processes of a run, when they are killed, and what becomes of the run."""

import collections
import ctypes
import os
import re
import signal
import statistics
import subprocess
import threading
import time
from pathlib import Path

from soak_verdicts import differences

# A model whose step takes a fraction of a second.
TINY = [
    "data.height=32", "data.width=32", "data.scenes=64", "run.total_batch=2", "run.preview_rows=1",
    "run.preview_samples=1", "generator.base_width=2", "generator.tokens=4", "generator.mapping_width=16",
    "generator.latent_dim=8", "generator.encoder_channels=[8, 8, 8, 8, 8, 8, 8]",
    "discriminator.decoder_channels=[16, 16, 16, 16, 8]", "discriminator.full_resolution_channels=8",
    "ema.refresh_batches=1", "loss.contrastive.loss.dim=16", "evaluation.images=8",
]
STEPS = 30  # Of a run that is killed; after that many, another one begins.
EVERY = 3  # Steps from checkpoint to checkpoint; a preview and an evaluation come with every second one.
OFTEN = [f"run.checkpoint_every={EVERY}", "run.keep_checkpoints=2", f"run.preview_every={2 * EVERY}",
         f"evaluation.every={2 * EVERY}"]
PATIENCE = 60  # Seconds in which a process has to end after another one was killed.
STUCK = 900  # Seconds after which a run that should go on or end does neither.
IN_VAIN = 2  # Kills without a new checkpoint, after which one is waited for.
GLANCE = 0.01  # Seconds between two looks.
CLOSE = 0.0005  # The same where a file is waited for, which is there for some milliseconds.


LIBRARY = ctypes.CDLL(None)
SET_THP_DISABLE = 41  # Of prctl(2).


def without_large_pages():
    """Has the program take memory in pages of 4 KiB: a large one is 3 % of what so small a model takes."""
    LIBRARY.prctl(SET_THP_DISABLE, 1, 0, 0, 0)


class Failure(Exception):
    """What ends the whole soak."""


class Trainer:
    """Starts the processes of runs, and ends them and the orchestrator at the latest with itself."""

    def __init__(self, args, folder, nodes):
        self.program, self.nodes, self.folder = args.program, nodes, folder
        self.metrics, self.processes, self.begun = args.metrics.split(","), [], 0
        folder.mkdir(parents=True)
        self.weights = args.weights.resolve() if args.weights else folder / "no-weights"
        self.weights.mkdir(exist_ok=True)
        self.cluster = []
        self.environment = os.environ | {"DP_SIMS_TOKEN": "word"}

    def __enter__(self):
        if self.nodes > 1:
            self.orchestrate()
        return self

    def __exit__(self, *_):
        for process in self.processes:
            process.kill()
            process.wait()

    def orchestrate(self):
        command = [self.program, "orchestrator", "--listen", "127.0.0.1:0"]
        process = subprocess.Popen(command, env=self.environment, stderr=subprocess.PIPE, text=True)
        self.processes.append(process)
        first = process.stderr.readline()
        found = re.search(r"127\.0\.0\.1:\d+", first)
        if not found:
            raise Failure(f"the orchestrator says: {first}")
        self.cluster = ["--orchestrator", found[0], "--nodes", str(self.nodes)]

        def listen():
            for line in process.stderr:
                self.begun += "begins" in line

        threading.Thread(target=listen, daemon=True).start()

    def said(self, node):
        """What a process has printed since it was started last."""
        return (self.folder / f"output-{node}.txt").read_text(errors="replace")

    def tail(self):
        """The last lines of every process."""
        said = (self.said(node).splitlines()[-12:] for node in range(self.nodes))
        return "\n".join(line for lines in said for line in lines)

    def start(self, out, steps, settings, nodes=None):
        """Starts or resumes the run in a folder."""
        measured = ", ".join(f'"{metric}"' for metric in self.metrics)
        settings = TINY + settings + [f"evaluation.metrics=[{measured}]", f"evaluation.best={self.metrics[0]}"]
        command = [self.program, "train", "quickstart", "--no-tui", "--backend", "flex", "--weights", self.weights,
                   "--steps", str(steps), "--out", out, "--resume", "auto"]
        command += [word for setting in settings for word in ("--set", setting)] + self.cluster
        started = []
        for node in range(self.nodes) if nodes is None else nodes:
            own = ["--node-rank", str(node)] if self.cluster else []
            with open(self.folder / f"output-{node}.txt", "w") as file:
                started.append(subprocess.Popen(
                    command + own, stdout=file, stderr=subprocess.STDOUT, cwd=self.folder,
                    env=self.environment, preexec_fn=without_large_pages))
        self.processes = [process for process in self.processes if process.poll() is None] + started
        return started


# What is in a run folder, and what a run says ---------------------------------------------------


def newest(out):
    """The step of the newest checkpoint, 0 without one."""
    folder = out / "checkpoints"
    names = os.listdir(folder) if folder.is_dir() else []
    return max((int(name[5:]) for name in names if re.fullmatch(r"step-\d+", name)), default=0)


def unfinished(out):
    """Files and folders that are being written or deleted."""
    found = set()
    for name in ("checkpoints", "best", "previews"):
        try:
            hidden = (entry for entry in os.listdir(out / name) if entry.startswith("."))
        except FileNotFoundError:
            continue
        found |= {f"{name}/{entry}" for entry in hidden if entry != ".newest"}
    return found


def evaluations(said):
    """What was measured after which step."""
    found, step = {}, 0
    for line in said.splitlines():
        if match := re.search(r": steps (\d+) to \d+, files in ", line):
            step = int(match[1]) - 1
        elif match := re.fullmatch(r"checkpoint .*step-(\d+)", line):
            step = int(match[1])
        elif line.startswith("evaluation "):
            found[step] = line.removesuffix("  (best so far)")
    return found


# A kill ----------------------------------------------------------------------------------------


class Strike:
    """Waits for the moment of a kill, kills, and sees how the other process ends."""

    def __init__(self, trainer, out, aim, times, rng):
        self.trainer, self.out, self.aim, self.times, self.rng = trainer, out, aim, times, rng
        self.before, self.known, self.begun = newest(out), unfinished(out), trainer.begun
        self.old = frozenset(self.known)
        self.victim = rng.randrange(trainer.nodes)
        # A process that waits for the other one does so for as long as it takes.
        alone = [self.victim] if aim == "start" and trainer.nodes > 1 else None
        self.processes = trainer.start(out, STEPS, OFTEN, alone)
        self.started = time.monotonic()

    def wait(self, what, happened):
        """Waits until something happened; false if a process ended before."""
        while not happened():
            if any(process.poll() is not None for process in self.processes):
                return False
            if time.monotonic() - self.started > STUCK:
                raise Failure(f"{what} does not come:\n{self.trainer.tail()}")
            time.sleep(CLOSE if self.aim == "writing" else GLANCE)
        return True

    def moment(self):
        """Waits for the moment; false if a process ended before."""
        start, step, write = (self.times[name] for name in ("start", "step", "write"))
        some_steps = self.rng.uniform(0, (EVERY + 1) * step)
        if self.aim == "start":
            delay = self.rng.uniform(0, start)
        elif self.aim == "meeting":
            delay = self.rng.uniform(0, step)
            if not self.wait("the run", lambda: self.trainer.begun > self.begun):
                return False
        elif self.aim == "steps":
            delay = some_steps
            if not self.wait("a step", lambda: "\nstep " in self.trainer.said(0)):
                return False
        elif self.aim in ("checkpoint", "judging"):
            period, delay = (EVERY, some_steps) if self.aim == "checkpoint" else (2 * EVERY, step * self.rng.random())
            if not self.wait("a checkpoint", lambda: newest(self.out) > self.before and newest(self.out) % period == 0):
                return False
        else:
            delay = self.rng.uniform(0, write)
            for _ in range(self.rng.randint(1, 5)):
                if not self.wait("a file", lambda: unfinished(self.out) - self.known):
                    return False
                self.known |= unfinished(self.out)
        until = time.monotonic() + delay
        return self.wait("the moment", lambda: time.monotonic() >= until)

    def end(self):
        """Ends the run or lets it end. Returns what there is to say of the kill, None if there was none."""
        hits = self.aim is not None and self.moment()
        if hits:
            victim = self.processes[0 if len(self.processes) == 1 else self.victim]
            victim.send_signal(signal.SIGKILL)
        killed, ended = time.monotonic(), []
        for process in self.processes:
            try:
                ended.append(process.wait(PATIENCE if hits else STUCK))
            except subprocess.TimeoutExpired:
                raise Failure(f"a process does not end:\n{self.trainer.tail()}") from None
        if all(code == 0 for code in ended):
            return None
        others = [code for process, code in zip(self.processes, ended) if not hits or process is not victim]
        # Who has done all its steps needs no other.
        done = newest(self.out) == STEPS
        if not hits or victim.returncode != -signal.SIGKILL or not all(
                code == 1 or code == 0 and done for code in others):
            raise Failure(f"exit codes {ended}, killed: {hits}:\n{self.trainer.tail()}")
        return {"aim": self.aim, "node": self.victim, "checkpoint": newest(self.out),
                "left": sorted(unfinished(self.out) - self.old),
                "others_seconds": round(time.monotonic() - killed, 2) if others else None}


# Many of them ----------------------------------------------------------------------------------


def unbroken(trainer, out):
    """A run that nobody kills, and how long it takes to start, for a step and to write a file, in seconds."""
    started = time.monotonic()
    processes = trainer.start(out, STEPS, OFTEN)
    first, writes, since = None, [], None
    while any(process.poll() is None for process in processes):
        now = time.monotonic()
        if now - started > STUCK:
            raise Failure(f"the run does not end:\n{trainer.tail()}")
        if first is None and "\nstep " in trainer.said(0):
            first = now
        busy = bool(unfinished(out))
        if busy and since is None:
            since = now
        elif not busy and since is not None:
            writes.append(now - since)
            since = None
        time.sleep(CLOSE)
    codes = [process.returncode for process in processes]
    if any(codes) or first is None or not writes:
        raise Failure(f"exit codes {codes}:\n{trainer.tail()}")
    return {"start": first - started, "step": (time.monotonic() - first) / STEPS,
            "write": statistics.median(writes)}


def kill_often(trainer, count, rng):
    """Kills runs until there were so many kills, and compares each of them at its end."""
    whole = trainer.folder / "whole"
    times = unbroken(trainer, whole)
    expected = evaluations(trainer.said(0))
    aims = ["start", "steps", "steps", "writing", "writing", "judging"] + ["meeting"] * (trainer.nodes > 1)
    kills, told, compared, runs = [], [], 0, 0
    while len(kills) < count:
        runs += 1
        out, in_vain, measured = trainer.folder / f"run-{runs}", 0, {}
        while True:
            aim = None if len(kills) == count else "checkpoint" if in_vain >= IN_VAIN else rng.choice(aims)
            before = newest(out)
            kill = Strike(trainer, out, aim, times, rng).end()
            measured |= evaluations(trainer.said(0))
            if kill is None:
                break
            kills.append(kill | {"run": runs})
            in_vain = in_vain + 1 if newest(out) == before else 0
        different, files = differences(out, whole, STEPS)
        different += [f"not measured, or otherwise: step {step}" for step in expected
                      if measured.get(step) != expected[step]]
        print(f"  run {runs}: {len(kills)} kills so far, {len(different)} differences", flush=True)
        told += [f"run {runs}: {difference}" for difference in different]
        compared += files
    seconds = [kill["others_seconds"] for kill in kills if kill["others_seconds"] is not None]
    aimed = collections.Counter(kill["aim"] for kill in kills)
    midway = sum(bool(kill["left"]) for kill in kills)
    summary = (f"{'ok' if not told else 'FAILED'}: {len(kills)} kills in {runs} runs of {STEPS} steps ("
               + ", ".join(f"{aim} {number}" for aim, number in sorted(aimed.items()))
               + f"), {midway} left a file or folder half written, {compared} files compared")
    if seconds:
        summary += f", the other process ended after {max(seconds):.1f} s at most"
    return {"ok": not told, "kills": len(kills), "runs": runs, "aims": dict(aimed), "midway": midway,
            "files": compared, "differences": told, "seconds": {key: round(value, 4) for key, value in times.items()},
            "most_seconds_of_others": max(seconds, default=None), "each": kills, "summary": summary}
