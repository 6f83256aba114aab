"""Plots of a run and of its evaluation as SVG, for the worked examples of this book.

    python tests/bench/example_plots.py --run runs/camvid --segmenter runs/segmenter --results evaluation/results.json \
        --out book/src/images/camvid

Writes OUT-accuracy.svg, the discriminator's accuracy over the steps of log.jsonl (means of 25), and
OUT-iou.svg, the IoU of every class on photos (validation.json of train-segmenter) and on generated
images (results.json of evaluate). Needs nothing but Python.
"""

import argparse
import json
from pathlib import Path

WIDTH, HEIGHT, LEFT, BOTTOM = 720, 320, 56, 40
COLOURS = ("#1b6ca8", "#d1662b")
MEAN = 25


def text(x: float, y: float, words: str, anchor: str = "middle", extra: str = "") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" {extra}>{words}</text>'


def page(body: list[str], title: str) -> str:
    head = (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" '
            f'font-family="sans-serif" font-size="12" fill="#333">')
    ground = f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#fff"/>'
    return "\n".join([head, f"<title>{title}</title>", ground, *body, "</svg>\n"])


def share_axis() -> list[str]:
    lines = []
    for percent in range(0, 101, 20):
        y = vertical(percent)
        lines += [f'<line x1="{LEFT}" y1="{y:.1f}" x2="{WIDTH - 16}" y2="{y:.1f}" stroke="#ddd"/>',
                  text(LEFT - 8, y + 4, f"{percent} %", "end")]
    return lines


def vertical(percent: float) -> float:
    return HEIGHT - BOTTOM - percent / 100 * (HEIGHT - BOTTOM - 36)


def legend(names: tuple[str, str]) -> list[str]:
    marks = []
    for place, (name, colour) in enumerate(zip(names, COLOURS)):
        x = LEFT + 8 + 260 * place
        marks += [f'<rect x="{x}" y="10" width="12" height="12" fill="{colour}"/>',
                  text(x + 18, 20, name, "start")]
    return marks


def accuracy(run: Path) -> str:
    steps = [json.loads(line) for line in (run / "log.jsonl").open()]
    last = steps[-1]["step"]
    body = share_axis() + legend(("real pixels in the right class", "generated pixels called fake"))
    for key, colour in zip(("accuracy_real", "accuracy_fake"), COLOURS):
        points = []
        for start in range(0, len(steps), MEAN):
            part = steps[start:start + MEAN]
            mean = 100 * sum(step[key] for step in part) / len(part)
            middle = sum(step["step"] for step in part) / len(part)
            x = LEFT + middle / last * (WIDTH - 16 - LEFT)
            points.append(f"{x:.1f},{vertical(mean):.1f}")
        body.append(f'<polyline points="{" ".join(points)}" fill="none" stroke="{colour}" '
                    'stroke-width="2"/>')
    for step in range(0, last + 1, max(1, last // 5)):
        x = LEFT + step / last * (WIDTH - 16 - LEFT)
        anchor = "end" if x > WIDTH - 60 else "middle"
        body.append(text(x, HEIGHT - 18, f"step {step}", anchor))
    return page(body, "Accuracy of the discriminator")


def iou(segmenter: Path, results: Path) -> str:
    photos = json.loads((segmenter / "validation.json").read_text())["classes"]
    classes = json.loads(results.read_text())["classes"]
    network = next(iter(classes.values())) if isinstance(classes, dict) else classes
    generated = {row["name"]: row["iou"] for row in network}
    body = share_axis() + legend(("photos", "generated images"))
    slot = (WIDTH - 16 - LEFT) / len(photos)
    for place, row in enumerate(photos):
        x = LEFT + slot * place
        for bar, value in enumerate((row["iou"], generated.get(row["name"]))):
            if value is not None:
                top = vertical(value)
                body.append(f'<rect x="{x + slot * (0.16 + 0.34 * bar):.1f}" y="{top:.1f}" '
                            f'width="{slot * 0.32:.1f}" height="{vertical(0) - top:.1f}" '
                            f'fill="{COLOURS[bar]}"/>')
        body.append(text(x + slot / 2, HEIGHT - 22, row["name"], extra='font-size="10"'))
    return page(body, "IoU by class")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("run", "segmenter", "results", "out"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    args = parser.parse_args()
    for name, plot in (("accuracy", accuracy(args.run)),
                       ("iou", iou(args.segmenter, args.results))):
        path = args.out.with_name(f"{args.out.name}-{name}.svg")
        path.write_text(plot)
        print(path)


if __name__ == "__main__":
    main()
