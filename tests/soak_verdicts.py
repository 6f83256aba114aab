"""Verdicts of soak.py: what is flat, what is constant, and which runs are equal."""

import collections
import json
import statistics
import tempfile
from pathlib import Path

BOUND = 0.03  # Of memory, between the beginning and the end.
RARE = 0.005  # Share of samples that say nothing: what lasts for less than a few is seen by chance.
CLOCKS = {"seconds", "images_per_second", "memory_bytes", "seconds_left"}


def flat(points):
    """Whether a series of (step, value) stays where it is: the median of its last fifth beside that of its
    first, and what a line through all of it gains from end to end, in its mean."""
    steps, values = zip(*points)
    fifth = max(1, len(values) // 5)
    first, last = statistics.median(values[:fifth]), statistics.median(values[-fifth:])
    slope, _ = statistics.linear_regression(steps, values)
    line = slope * (steps[-1] - steps[0]) / statistics.mean(values)
    change = last / first - 1
    return {"ok": abs(change) <= BOUND and abs(line) <= BOUND, "first_bytes": first, "last_bytes": last,
            "most_bytes": max(values), "change": change, "by_the_line": line}


def constant(values):
    """Whether both halves of a series have the same range, but for what is rarely seen."""
    middle = len(values) // 2
    first, second = values[:middle], values[middle:]

    def strangers(half, other):
        return sum(not min(other) <= value <= max(other) for value in half) / len(half)

    strange = max(strangers(first, second), strangers(second, first))
    ranges = [f"{min(half)} to {max(half)}" for half in (first, second)]
    return {"ok": strange < RARE, "first_half": ranges[0], "second_half": ranges[1], "outside": strange}


def lines(run):
    """Lines of the log without what clocks say."""
    with open(run / "log.jsonl") as file:
        return [{key: value for key, value in json.loads(line).items() if key not in CLOCKS}
                for line in file]


def files(run):
    """Files of a run by their path, hidden ones included."""
    found = (path for path in run.rglob("*") if path.is_file())
    return {str(path.relative_to(run)): path for path in found}


def is_own(name):
    """Whether a killed run may have it for itself: what resuming moved aside, an event file for every start, and
    the note of the process that works in the folder."""
    return name.startswith(("abandoned/", "tensorboard/")) or name == ".lock"


def in_folders(what, names):
    """A line for every folder that has some of the files."""
    count = collections.Counter(str(Path(name).parent) for name in names)
    return [f"{what}: {number} files in {folder}" for folder, number in count.items()]


def differences(run, whole, steps):
    """What a run has other than one that nobody killed, and how many files of it were compared."""
    own, expected = files(run), files(whole)
    told = in_folders("left behind", (name for name in own if name not in expected and not is_own(name)))
    told += in_folders("missing", (name for name in expected if name not in own and not is_own(name)))
    compared = [name for name in expected if name in own and not is_own(name) and name != "log.jsonl"]
    told += [f"not the same bytes: {name}" for name in compared
             if own[name].read_bytes() != expected[name].read_bytes()]
    weights = [name for name in compared if name.startswith(f"checkpoints/step-{steps:06}/")
               and name.endswith(".safetensors")]
    if len(weights) < 7:
        told.append(f"the last checkpoint has {len(weights)} files of tensors in common")
    log, expected_log = lines(run), lines(whole)
    logged = [line["step"] for line in log]
    if logged != list(range(1, steps + 1)):
        told.append(f"the log has the steps {logged}")
    else:
        told += [f"another line of the log: step {line['step']}"
                 for line, other in zip(log, expected_log) if line != other]
    return told, len(compared)


# Whether they can fail -------------------------------------------------------------------------


def made_up_runs(folder):
    """Runs that are equal, and what is changed in one: the name of the change and what is told of it."""
    weights = [f"{name}.safetensors" for name in "abcdefg"]

    def make(run):
        checkpoint = run / "checkpoints/step-000002"
        checkpoint.mkdir(parents=True)
        for name in weights:
            (checkpoint / name).write_bytes(name.encode() * 9)
        steps = [json.dumps({"step": step, "losses": {"g": step / 3}, "seconds": id(run)}) + "\n"
                 for step in (1, 2)]
        (run / "log.jsonl").write_text("".join(steps))
        return run

    whole = make(folder / "whole")
    same = make(folder / "same")
    (same / "abandoned").mkdir()
    (same / "abandoned/log.jsonl").write_text("{}\n")
    yield "an equal run", differences(same, whole, 2)[0], False

    def changed(name, change):
        run = make(folder / name.replace(" ", "-"))
        change(run)
        return name, differences(run, whole, 2)[0], True

    last = "checkpoints/step-000002"
    yield changed("one other byte", lambda run: (run / last / "c.safetensors").write_bytes(b"c.safetensorT" * 9))
    yield changed("a missing file", lambda run: (run / last / "c.safetensors").unlink())
    yield changed("a temporary file", lambda run: (run / "checkpoints/.newest.partial").write_text(""))
    log = (whole / "log.jsonl").read_text().splitlines(keepends=True)
    yield changed("a step twice", lambda run: (run / "log.jsonl").write_text(log[0] + log[0] + log[1]))
    yield changed("a missing step", lambda run: (run / "log.jsonl").write_text(log[1]))
    other = json.dumps(json.loads(log[1]) | {"losses": {"g": 0.5}}) + "\n"
    yield changed("another loss", lambda run: (run / "log.jsonl").write_text(log[0] + other))


def made_up_series():
    """Series and whether they are to be told from steady ones."""
    steps = range(1000)

    def noise(step):
        return step * 7919 % 101 / 100 - 0.5

    def memory(grown):
        return flat([(step, 2e8 * (1 + grown(step) + 0.02 * noise(step) + 0.2 * (step % 50 == 0)))
                     for step in steps])

    yield "flat memory", memory(lambda _: 0), False
    yield "memory that grows by 2 %", memory(lambda step: 0.02 * step / 1000), False
    yield "memory that leaks 4 %", memory(lambda step: 0.04 * step / 1000), True
    yield "memory that leaps by 5 %", memory(lambda step: 0.05 * (step > 700)), True
    yield "memory that shrinks by 5 %", memory(lambda step: -0.05 * step / 1000), True

    def count(grown):
        return constant([10 + (step % 50 < 5) + grown(step) for step in steps])

    yield "constant descriptors", count(lambda _: 0), False
    yield "one that was seen by chance", count(lambda step: 3 * (step == 333)), False
    yield "a descriptor that is lost in the middle", count(lambda step: step > 500), True
    yield "a descriptor lost for every checkpoint", count(lambda step: step // 50), True
    yield "a thread that ends", count(lambda step: step < 400), True


def selftest():
    """Holds made-up figures to the verdicts. Returns the exit code."""
    wrong = 0
    with tempfile.TemporaryDirectory() as folder:
        cases = [(name, not verdict["ok"], fails) for name, verdict, fails in made_up_series()]
        cases += [(name, bool(told), fails) for name, told, fails in made_up_runs(Path(folder))]
    for name, failed, fails in cases:
        wrong += failed != fails
        print(f"{'ok   ' if failed == fails else 'WRONG'} {name}: {'fails' if failed else 'passes'}")
    print(f"{len(cases)} verdicts, {wrong} of them wrong")
    return 1 if wrong else 0
