"""The plots that performance.py draws from performance.json, as SVG.

Text stays text, and ids and metadata do not change from run to run. Colours are those of Okabe and
Ito, which the colour-blind tell apart, on white in light and dark themes.
"""

from pathlib import Path

import matplotlib
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from performance_tables import (by_batch, by_size, comparisons, find, milliseconds, network_rows,
                                shape, title)

matplotlib.rcParams |= {
    "svg.fonttype": "none", "svg.hashsalt": "dp-sims", "font.family": "sans-serif",
    "font.size": 10, "axes.spines.top": False, "axes.spines.right": False,
    "axes.axisbelow": True, "axes.grid": True, "grid.color": "#dddddd",
    "axes.edgecolor": "#555555", "text.color": "#222222", "axes.labelcolor": "#222222",
    "xtick.color": "#222222", "ytick.color": "#222222"}
BLUE, ORANGE, GREEN, GRAY = "#0072b2", "#d55e00", "#009e73", "#777777"
WIDTH = 7.2  # inches of 96 pixels: 691, and the text of the book is 750 pixels wide
BAR = 0.27  # inches a bar


def figure(height: float) -> tuple[Figure, matplotlib.axes.Axes]:
    picture = Figure(figsize=(WIDTH, height), layout="constrained", facecolor="white")
    return picture, picture.add_subplot()


def spread(result: dict, scale: float = 1.0) -> tuple[list[float], ...]:
    """Time of a bench and how far the fastest and slowest repetitions are from it."""
    low, middle, high = (scale * result[f"{word}_seconds"]
                         for word in ("fastest", "median", "slowest"))
    return [middle], [middle - low], [high - middle]


def points(axes, across: list[float], results: list[dict], scales: list[float], **style):
    columns = [spread(result, scale) for result, scale in zip(results, scales)]
    middle, below, above = (sum(column, []) for column in zip(*columns))
    axes.errorbar(across, middle, yerr=[below, above], capsize=3, **style)
    return middle


# Time over size and batch ----------------------------------------------------------------------


def plain(value: float, _=None) -> str:
    return f"{value:g}"


def latency(data: dict) -> Figure | None:
    results = by_size(data)
    if not results:
        return None
    picture, axes = figure(4.2)
    pixels = [result["height"] * result["width"] for result in results]
    middle = points(axes, pixels, results, [1.0] * len(results), color=BLUE, marker="o",
                    label=f"dp-sims, {results[0]['backend']}", zorder=3)
    axes.plot(pixels, [middle[0] * count / pixels[0] for count in pixels], color=GRAY,
              linestyle="--", label="linear growth with the pixels")
    axes.plot(pixels, [middle[0] * result["gflop"] / results[0]["gflop"] for result in results],
              color=GREEN, linestyle=":", linewidth=2, label="growth with the executed work")
    torch = [result for result in comparisons(data) if result["bench"] == "generator"]
    if torch:
        times = [result["median_seconds"]["torch"] for result in torch]
        middle = [time["median"] for time in times]
        errors = [[time["median"] - time["lowest"] for time in times],
                  [time["highest"] - time["median"] for time in times]]
        axes.errorbar([result["height"] * result["width"] for result in torch], middle,
                      yerr=errors, capsize=3, color=ORANGE, marker="s", linestyle="none",
                      label="PyTorch, eager", zorder=2)
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xticks(pixels, [f"{result['height']}×{result['width']}\n{count:,}".replace(",", " ")
                             for result, count in zip(results, pixels)])
    axes.xaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter(FuncFormatter(plain))
    axes.set_xlabel("size of the image, and its pixels")
    axes.set_ylabel("time of one image (s)")
    axes.legend(frameon=False)
    return picture


def batches(data: dict) -> Figure | None:
    results = by_batch(data)
    if len(results) < 2:
        return None
    picture, axes = figure(3.6)
    across = list(range(len(results)))
    middle = points(axes, across, results, [1 / result["batch"] for result in results],
                    color=BLUE, marker="o", label=f"dp-sims, {results[0]['backend']}", zorder=3)
    axes.axhline(middle[0], color=GRAY, linestyle="--", label="as in the smallest batch")
    axes.set_xticks(across, [str(result["batch"]) for result in results])
    axes.set_ylim(0, 1.25 * max(middle))
    axes.set_xlabel(f"images of {shape(results[0])} in a batch")
    axes.set_ylabel("time an image (s)")
    axes.legend(frameon=False, loc="lower left")
    return picture


# Time by part ----------------------------------------------------------------------------------


def colour(part: str) -> str:
    return {"D step": ORANGE, "moving average": GREEN, "other": GRAY}.get(part.split(":")[0], BLUE)


def parts(result: dict | None) -> Figure | None:
    if not result or not result.get("parts"):
        return None
    rows = result["parts"]
    picture, axes = figure(BAR * len(rows) + 0.8)
    total = sum(row["seconds"] for row in rows)
    times = [1e3 * row["seconds"] for row in rows]
    bars = axes.barh([row["name"] for row in rows], times, height=0.72,
                     color=[colour(row["name"]) for row in rows])
    axes.bar_label(bars, [f"{milliseconds(row['seconds'])} ms, {100 * row['seconds'] / total:.1f} %"
                          for row in rows], padding=4, fontsize=9)
    axes.invert_yaxis()
    axes.set_xlim(0, 1.25 * max(times))
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.grid(visible=False)
    axes.tick_params(axis="y", length=0)
    axes.set_xlabel(f"time (ms), {title(result)}")
    return picture


# Networks --------------------------------------------------------------------------------------


def networks(data: dict) -> Figure | None:
    rows = network_rows(data)
    if not rows:
        return None
    picture, axes = figure(2 * BAR * len(rows) + 0.9)
    for place, (key, name, tint) in enumerate((("forward", "forward", BLUE),
                                               ("forward_backward", "forward and back", ORANGE))):
        shares = [100 * row[key]["matmul_share"] for row in rows]
        bars = axes.barh([row_place + 0.38 * (place - 0.5) for row_place in range(len(rows))],
                         shares, height=0.36, color=tint, label=name)
        axes.bar_label(bars, [f"{share:.0f} %" for share in shares], padding=4, fontsize=9)
    axes.set_yticks(range(len(rows)), [row["name"] for row in rows])
    axes.set_ylim(len(rows) - 0.45, -0.55)
    axes.margins(x=0.1)
    axes.grid(visible=False)
    axes.tick_params(axis="y", length=0)
    axes.set_xlabel("executed work a second, in percent of the speed of a matrix product")
    axes.legend(frameon=False, loc="lower center", bbox_to_anchor=(0.4, 1.0), ncols=2)
    return picture


def draw(data: dict, out: Path) -> list[Path]:
    """Writes the plots of what was measured, and says which."""
    figures = {"latency": latency(data), "batch": batches(data),
               "generator": parts(find(data, "generator", height=256, width=256, batch=1)),
               "step": parts(find(data, "step")), "networks": networks(data)}
    written = []
    for name, picture in figures.items():
        if picture is None:
            continue
        written.append(out / f"{name}.svg")
        picture.savefig(written[-1], metadata={"Date": None, "Creator": None})
    return written
