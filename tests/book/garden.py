"""Makes the dataset that book/src/how-to/own-folder.md begins with.

    garden.py FOLDER
"""

import random
import struct
import sys
import zlib
from pathlib import Path

SIZE = 64


def png(path, channels, pixels):
    """Writes a gray or RGB image of SIZE x SIZE."""
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    row = SIZE * channels
    lines = b"".join(b"\0" + pixels[y * row : (y + 1) * row] for y in range(SIZE))
    colour = {1: 0, 3: 2}[channels]
    header = struct.pack(">IIBBBBB", SIZE, SIZE, 8, colour, 0, 0, 0)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(lines))
                     + chunk(b"IEND", b""))


def labels(dice):
    """Sky above two kinds of grass, a dog, and void at one side."""
    horizon, left = dice.randrange(20, 40), dice.randrange(8, 48)
    pixels = bytearray()
    for y in range(SIZE):
        for x in range(SIZE):
            is_dog = horizon <= y < horizon + 10 and left <= x < left + 12
            pixels.append(255 if x == 0 else 7 if is_dog else 0 if y < horizon else 1 if x < 32 else 2)
    return bytes(pixels)


def photo(pixels, dice):
    """Colours of the classes with noise."""
    colours = {0: (70, 130, 180), 1: (64, 160, 64), 2: (90, 170, 60), 7: (160, 96, 32), 255: (0, 0, 0)}
    return bytes(min(255, value + dice.randrange(40)) for label in pixels for value in colours[label])


def main():
    folder, dice = Path(sys.argv[1]), random.Random(0)
    for split, count in ("train", 12), ("val", 4):
        for number in range(count):
            pixels = labels(dice)
            png(folder / f"masks/{split}/{number:03}.png", 1, pixels)
            # The content of a file says that it is a PNG; its name is that of the page.
            png(folder / f"photos/{split}/{number:03}.jpg", 3, photo(pixels, dice))
    (folder / "classes.txt").write_text("0 sky\n1 grass\n2 grass\n7 dog\n")


main()
