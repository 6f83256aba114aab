"""Values of Pillow's bicubic, bilinear and nearest resizing, for the tests of datasets/src/resize.rs.

Writes tests/fixtures/datasets/pillow_resize.json. Needs Pillow and NumPy.
"""

import json
from pathlib import Path

import numpy as np
import PIL
from PIL import Image

OUT = Path(__file__).resolve().parent.parent / "fixtures" / "datasets"

# Height and width before and after; enlarging, reducing, both at once, and a single row. Pillow
# rounds and clamps between its two passes and some versions choose their order by shape, so these
# are shapes that every version resizes horizontally first.
BICUBIC = [
    ((7, 13), (5, 6)),
    ((5, 4), (11, 9)),
    ((16, 16), (4, 4)),
    ((6, 9), (17, 4)),
    ((1, 8), (3, 3)),
    ((24, 31), (3, 5)),
]

# Some of these have sampling positions on pixel borders, where the rounding of Pillow's running sum
# decides: a direct product (i + 0.5) * scale differs for 256 to 7, 512 to 96 and 300 to 286.
NEAREST = [
    (171, 64), (64, 171), (640, 256), (683, 256), (256, 7), (512, 96), (300, 286), (3, 5), (5, 3),
    (1, 4), (7, 1),
]


def main():
    random = np.random.default_rng(0)
    bicubic = []
    for (height, width), (to_height, to_width) in BICUBIC:
        source = random.integers(0, 256, (height, width, 3), dtype=np.uint8)
        # Flat black and white parts exercise the clamping of the kernel's overshoot.
        source[: height // 2, : width // 3] = 255
        source[height // 2 :, : width // 3] = 0
        size = (to_width, to_height)
        resized = Image.fromarray(source).resize(size, Image.BICUBIC)
        bilinear = Image.fromarray(source).resize(size, Image.BILINEAR)
        bicubic.append({
            "from": {"height": height, "width": width},
            "to": {"height": to_height, "width": to_width},
            "source": source.ravel().tolist(),
            "resized": np.asarray(resized).ravel().tolist(),
            "bilinear": np.asarray(bilinear).ravel().tolist(),
        })
    nearest = []
    for length, to_length in NEAREST:
        row = Image.fromarray(np.arange(length, dtype=np.int32)[None])
        indices = np.asarray(row.resize((to_length, 1), Image.NEAREST)).ravel().tolist()
        nearest.append({"from": length, "to": to_length, "indices": indices})
    OUT.mkdir(parents=True, exist_ok=True)
    with open(OUT / "pillow_resize.json", "w") as file:
        json.dump({"pillow": PIL.__version__, "bicubic": bicubic, "nearest": nearest}, file)
        file.write("\n")


if __name__ == "__main__":
    main()
