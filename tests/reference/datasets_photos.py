"""Photos that this project cannot write itself, for the tests of datasets/src/photo.rs.

Writes tests/fixtures/datasets/photos.json: a CMYK JPEG with an Adobe marker, a gray JPEG and a
progressive RGB JPEG, each as a list of bytes, with the RGB values that Pillow reads from them.
Needs Pillow 13.0.0 and NumPy.
"""

import io
import json
from pathlib import Path

import numpy as np
from PIL import Image

OUT = Path(__file__).resolve().parent.parent / "fixtures" / "datasets"
HEIGHT, WIDTH = 8, 16


def ramp():
    """A smooth RGB picture: rows, columns and a constant."""
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH]
    return np.stack([x * 12 + 30, y * 20 + 40, 0 * x + 90], axis=-1).astype(np.uint8)


def case(name, image, **options):
    file = io.BytesIO()
    image.save(file, "JPEG", quality=95, **options)
    rgb = np.asarray(Image.open(io.BytesIO(file.getvalue())).convert("RGB"))
    return {
        "name": name,
        "file": list(file.getvalue()),
        "rgb": rgb.flatten().tolist(),
    }


def main():
    rgb = ramp()
    black = np.full((HEIGHT, WIDTH, 1), 50, np.uint8)
    cmyk = np.concatenate([255 - rgb, black], axis=-1)
    cases = [
        case("CMYK", Image.fromarray(cmyk, "CMYK")),
        case("gray", Image.fromarray(rgb[..., 0], "L")),
        case("progressive", Image.fromarray(rgb, "RGB"), progressive=True, subsampling=0),
    ]
    (OUT / "photos.json").write_text(json.dumps(cases, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main()
