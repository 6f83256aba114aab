"""The tables that performance.py writes from performance.json, in Markdown.

Every table lies between two comments, by whose name book/src/performance.md includes it.
"""

from pathlib import Path

MEBI, GIBI = 1 << 20, 1 << 30
PYRAMID = "label pyramid"
TIMES = ["median, s", "range, s"]
SIDES = ("program", "torch", "ratio")


# Looking into the data -------------------------------------------------------------------------


def is_comparison(result: dict) -> bool:
    return "rounds" in result


def results(data: dict, bench: str, compared: bool = False) -> list[dict]:
    found = [measured["result"] for measured in data["measurements"].values()]
    return [result for result in found
            if result["bench"] == bench and is_comparison(result) == compared]


def find(data: dict, bench: str, **values) -> dict | None:
    return next((result for result in results(data, bench)
                 if all(result[key] == value for key, value in values.items())), None)


def by_size(data: dict) -> list[dict]:
    return sorted((result for result in results(data, "generator") if result["batch"] == 1),
                  key=lambda result: result["height"] * result["width"])


def by_batch(data: dict) -> list[dict]:
    return sorted((result for result in results(data, "generator")
                   if result["height"] == result["width"] == 256),
                  key=lambda result: result["batch"])


def comparisons(data: dict) -> list[dict]:
    return sorted(results(data, "generator", True) + results(data, "step", True),
                  key=lambda result: (result["bench"], result["height"] * result["width"]))


def network_rows(data: dict) -> list[dict]:
    return [row for result in results(data, "networks") for row in result["networks"]]


# Words -----------------------------------------------------------------------------------------


def shape(result: dict) -> str:
    return f"{result['height']}×{result['width']}"


def title(result: dict) -> str:
    name = {"step": "training step"}.get(result["bench"], result["bench"])
    return f"{name}, {shape(result)}, batch {result['batch']}"


def milliseconds(time: float) -> str:
    return f"{1e3 * time:.1f}" if time < 0.01 else f"{1e3 * time:.0f}"


def seconds(time: float) -> str:
    return f"{time:.3f}"


def timed(result: dict) -> list[str]:
    """Cells for the median, and for the fastest and the slowest."""
    middle, low, high = (seconds(result[f"{word}_seconds"])
                         for word in ("median", "fastest", "slowest"))
    return [middle, f"{low} – {high}"]


def percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def mebibytes(count: int | float | None) -> str:
    return "" if count is None else f"{count / MEBI:.0f}"


def table(heads: list[str], rows: list[list[str]]) -> str:
    """Numbers stand on the right: every column but the first."""
    if not rows:
        return "Not measured."
    unbroken = [[cells[0], *(cell.replace(" ", "\N{NO-BREAK SPACE}") for cell in cells[1:])]
                for cells in rows]
    lines = [heads, ["---"] + ["--:"] * (len(heads) - 1), *unbroken]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


# Tables ----------------------------------------------------------------------------------------


def conditions(data: dict) -> str:
    machine, versions = data["machine"], data["versions"]
    dates = sorted(measured["started"] for measured in data["measurements"].values())
    device = next(iter(data["measurements"].values()))["result"]
    name = f", {device['device_name']}" if device.get("device_name") else ""
    packages = ", ".join(f"{package} {version}" for package, version in versions.items())
    repeats = f"{data['repeats']} repetitions; beside PyTorch {data['rounds']} times that"
    rows = [["processor", f"{machine['processor']}, {machine['cores']} cores"],
            ["memory", f"{machine['memory_bytes'] / GIBI:.1f} GiB"],
            ["system", f"{machine['system']} {machine['release']}"],
            ["program", data["program"]["version"]],
            ["backend", f"{data['backend']}{name}, {device['threads']} threads"],
            ["versions", packages],
            ["measured", f"{dates[0][:16].replace('T', ' ')} to "
                         f"{dates[-1][:16].replace('T', ' ')} UTC"],
            ["medians of", repeats]]
    text = "| | |\n|---|---|\n" + "\n".join(f"| {a} | {b} |" for a, b in rows)
    if data["quick"]:
        text = "**A quick run: a trial of the script, not a result.**\n\n" + text
    return text


def size_table(data: dict) -> str:
    rows = [[shape(result), *timed(result),
             f"{1e6 * result['median_seconds'] / (result['height'] * result['width']):.2f}",
             f"{result['gflop']:.0f}", percent(result["matmul_share"]),
             mebibytes(result.get("peak_memory_bytes"))] for result in by_size(data)]
    return table(["size", *TIMES, "s a megapixel", "work, GFLOP", "of matmul", "peak, MiB"], rows)


def size_parts_table(data: dict) -> str:
    """Where the time goes as images grow. The blocks have other names at every size."""
    rows = []
    for result in by_size(data):
        pyramid = sum(part["seconds"] for part in result["parts"] if part["name"] == PYRAMID)
        *earlier, last = [part["seconds"] for part in result["parts"]
                          if part["name"].startswith("SPADE block")]
        groups = [pyramid, last, sum(earlier)]
        together = sum(part["seconds"] for part in result["parts"])
        groups.append(together - sum(groups))
        rows.append([shape(result)] + [f"{seconds(time)} ({percent(time / together)})"
                                       for time in groups])
    return table(["size", f"{PYRAMID}, s", "last SPADE block, s", "other SPADE blocks, s",
                  "all else, s"], rows)


def batch_table(data: dict) -> str:
    rows = [[str(result["batch"]), *timed(result),
             seconds(result["median_seconds"] / result["batch"]),
             percent(result["matmul_share"]), mebibytes(result.get("peak_memory_bytes"))]
            for result in by_batch(data)]
    return table(["batch", *TIMES, "s an image", "of matmul", "peak, MiB"], rows)


def step_table(data: dict) -> str:
    rows = [[f"{shape(result)}, batch {result['batch']}, width {result['base_width']}, "
             f"{result['backbone']}", *timed(result), f"{result['gflop']:.0f}",
             percent(result["matmul_share"]), mebibytes(result.get("peak_memory_bytes"))]
            for result in results(data, "step")]
    return table(["step", *TIMES, "work, GFLOP", "of matmul", "peak, MiB"], rows)


def comparison_table(data: dict) -> str:
    rows = []
    for result in comparisons(data):
        own, torch, ratio = (result["median_seconds"][side] for side in SIDES)
        rows.append([title(result), seconds(own["median"]), seconds(torch["median"]),
                     *(f"{ratio[word]:.2f}" for word in ("median", "lowest", "highest"))])
    return table(["", "dp-sims, s", "PyTorch, s", "ratio", "lowest", "highest"], rows)


def memory_table(data: dict) -> str:
    rows = []
    for result in comparisons(data):
        own, torch, ratio = (result["peak_memory_bytes"][side]["median"] for side in SIDES)
        rows.append([title(result), mebibytes(own), mebibytes(torch), f"{ratio:.2f}",
                     mebibytes(result["import_memory_bytes"])])
    return table(["", "dp-sims, MiB", "PyTorch, MiB", "ratio", "PyTorch's imports, MiB"], rows)


def speed_table(data: dict) -> str:
    """What the machine gave each side, and what each side had to compute."""
    rows = []
    for result in comparisons(data):
        cells = [title(result)]
        for key in ("matmul_gflop_per_second", "memory_gigabytes_per_second"):
            own, torch = (result[key][side]["median"] for side in SIDES[:2])
            cells.append(f"{own:.0f} / {torch:.0f}")
        cells.append(f"{result['gflop']['program']:.0f} / {result['gflop']['torch']:.0f}")
        rows.append(cells)
    return table(["dp-sims / PyTorch", "matmul, GFLOP/s", "memory, GB/s", "work, GFLOP"], rows)


def network_table(data: dict) -> str:
    rows = []
    for row in network_rows(data):
        cells = [row["name"], f"{row['executed_macs'] / 1e9:.2f}"]
        for way in ("forward", "forward_backward"):
            cells += [milliseconds(row[way]["median_seconds"]), percent(row[way]["matmul_share"])]
        rows.append(cells)
    return table(["network", "work, GMAC", "forward, ms", "of matmul", "and back, ms",
                  "of matmul"], rows)


def start_table(data: dict) -> str:
    rows = [[shape(result), *timed(result), seconds(result["generator"]["median_seconds"]),
             f"{result['ratio']:.2f}", mebibytes(result["checkpoint_bytes"])]
            for result in results(data, "start")]
    return table(["size", *TIMES, "generator, s", "ratio", "checkpoint, MiB"], rows)


def noise_table(data: dict) -> str:
    rows = []
    for name, measured in sorted(data["measurements"].items(),
                                 key=lambda pair: pair[1]["started"]):
        speeds = [measured["result"].get(key) for key in ("matmul_gflop_per_second",
                                                         "memory_gigabytes_per_second")]
        speeds = [speed["program"]["median"] if isinstance(speed, dict) else speed
                  for speed in speeds]
        rows.append([name.replace("x", "×"), measured["started"][11:16],
                     f"{measured['seconds']:.0f}",
                     " / ".join(f"{speed:.0f}" for speed in speeds if speed is not None),
                     f"{measured['load_before']:.2f} / {measured['load_after']:.2f}",
                     " / ".join(f"{measured[key]:.2f}" for key in ("other_cores", "stolen_cores")
                                if key in measured)])
    return table(["", "at", "took, s", "matmul / memory", "load", "others / taken"], rows)


def write(data: dict, path: Path) -> Path:
    tables = {"conditions": conditions, "size": size_table, "size-parts": size_parts_table,
              "batch": batch_table, "step": step_table, "comparison": comparison_table,
              "memory": memory_table, "speed": speed_table, "networks": network_table,
              "start": start_table, "noise": noise_table}
    parts = [f"<!-- ANCHOR: {name} -->\n{make(data)}\n<!-- ANCHOR_END: {name} -->"
             for name, make in tables.items()]
    path.write_text("<!-- Written by tests/bench/performance.py from performance.json. -->\n\n"
                    + "\n\n".join(parts) + "\n")
    return path
