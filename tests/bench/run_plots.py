"""The curves of a run, drawn from its log as SVG.

    python tests/bench/run_plots.py runs/scenes/log.jsonl book/src/images/scenes-training.svg

Every curve is the mean of the last fifty steps. Colours and fonts are those of performance_plots.py.
"""

import json
import sys
from pathlib import Path

from matplotlib.figure import Figure

from performance_plots import BLUE, GREEN, ORANGE, WIDTH

WINDOW = 50
POINTS = 300
PANELS = (
    ("accuracy of D",
     (("real, by class", BLUE, lambda step: step["accuracy_real"]),
      ("generated", ORANGE, lambda step: step["accuracy_fake"]))),
    ("loss",
     (("contrastive", BLUE, lambda step: step["losses"]["g_contrastive"]),)),
    ("effect of noise",
     (("mean difference of two images of one map, of 2", GREEN, lambda step: step["measures"]["noise_effect"]),)),
)


def smooth(values: list[float]) -> list[float]:
    means = []
    for end in range(1, len(values) + 1):
        part = values[max(0, end - WINDOW):end]
        means.append(sum(part) / len(part))
    return means


def draw(log: Path, out: Path) -> None:
    lines = map(json.loads, log.read_text().splitlines())
    steps = [line for line in lines if "losses" in line]
    picture = Figure(figsize=(WIDTH, 6.4), layout="constrained", facecolor="white")
    panels = picture.subplots(len(PANELS), 1, sharex=True)
    for axes, (label, curves) in zip(panels, PANELS):
        for name, colour, value in curves:
            thin = slice(None, None, max(1, len(steps) // POINTS))
            axes.plot([step["step"] for step in steps][thin],
                      smooth([value(step) for step in steps])[thin],
                      color=colour, label=name, linewidth=1.4)
        axes.set_ylabel(label)
        axes.legend(frameon=False)
    panels[-1].set_xlabel("step")
    picture.savefig(out, metadata={"Date": None})


if __name__ == "__main__":
    draw(Path(sys.argv[1]), Path(sys.argv[2]))
