"""Speed of `dp-sims-bench loader` against a PyTorch loader that does the same work with Pillow.

Both read the training split with the same number of workers, resize photos bicubic and label maps
nearest, mirror every other sample, turn ids into classes and stack batches of bytes. They run in
turn, several rounds each, so that both meet the same load of the machine; medians are compared.
`dp-sims-bench` is taken from beside PROGRAM. Needs torch, NumPy and Pillow.

    python tests/bench/loader_bench.py --program target/release/dp-sims \
        --data CAMVID_FOLDER --size 96x128
    python tests/bench/loader_bench.py --program target/release/dp-sims \
        --data ADEChallengeData2016 --size 256x256
"""

import argparse
import json
import os
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

import numpy as np
import PIL
import torch
from PIL import Image
from torch.utils.data import DataLoader, Dataset


def pairs(root: Path) -> tuple[list[tuple[Path, Path]], np.ndarray]:
    """Photos with label maps, and the class of every id, for the layout that the folder has."""
    classes = np.arange(256, dtype=np.uint8)
    if (root / "annotations" / "training").is_dir():
        photos = sorted((root / "images" / "training").glob("*.jpg"))
        labels = [root / "annotations" / "training" / f"{p.stem}.png" for p in photos]
    elif (root / "train_label").is_dir():
        photos = sorted((root / "train_img").glob("*.jpg"))
        labels = [root / "train_label" / f"{p.stem}.png" for p in photos]
        classes = (np.arange(256) + 1).astype(np.uint8)  # 255, unlabelled, becomes 0.
    else:
        lines = (root / "train.txt").read_text().split()
        lines = [root / line.removeprefix("/SegNet/CamVid/") for line in lines]
        photos, labels = lines[0::2], lines[1::2]
        classes = np.where(np.arange(256) == 11, 0, np.arange(256) + 1).astype(np.uint8)
    return list(zip(photos, labels)), classes


class Folder(Dataset):
    """As many samples as asked for, going round the files again and again."""

    def __init__(self, root: Path, size: tuple[int, int], samples: int):
        self.pairs, self.classes = pairs(root)
        self.size = (size[1], size[0])
        self.samples = samples

    def __len__(self):
        return self.samples

    def __getitem__(self, index):
        photo, labels = self.pairs[index % len(self.pairs)]
        photo = Image.open(photo).convert("RGB").resize(self.size, Image.BICUBIC)
        labels = Image.open(labels).resize(self.size, Image.NEAREST)
        photo, labels = np.array(photo), self.classes[np.asarray(labels)]
        if torch.rand(()) < 0.5:
            photo, labels = photo[:, ::-1], labels[:, ::-1]
        return (
            torch.from_numpy(np.ascontiguousarray(photo)),
            torch.from_numpy(np.ascontiguousarray(labels)),
        )


def torch_speed(root: Path, args, size: tuple[int, int], samples: int) -> float:
    """Samples per second after the workers have started."""
    folder = Folder(root, size, samples + 4 * args.batch)
    loader = DataLoader(
        folder, batch_size=args.batch, shuffle=True, drop_last=True, num_workers=args.workers
    )
    batches = iter(loader)
    for _ in range(4):
        next(batches)
    started, count = time.perf_counter(), 0
    for photos, _ in batches:
        count += len(photos)
    return count / (time.perf_counter() - started)


def own_speed(args, samples: int, packed: str | None) -> float:
    command = [args.bench, "loader", "--data", args.data, "--size", args.size]
    command += ["--batch", str(args.batch), "--workers", str(args.workers)]
    command += ["--samples", str(samples), "--repeats", "1", "--json"]
    if packed:
        command += ["--packed", packed]
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return json.loads(output)["samples_per_second"]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--program", required=True)
    parser.add_argument("--data", required=True)
    parser.add_argument("--size", default="256x256", help="HxW")
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=4.0, help="of a round, about")
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args()
    args.bench = str(Path(args.program).with_name("dp-sims-bench"))
    size = tuple(int(side) for side in args.size.split("x"))
    root = Path(args.data)
    # One thread a worker is what the workers of a DataLoader have.
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as packed:
        command = [args.program, "dataset", "pack", "--data", args.data, "--size", args.size]
        subprocess.run([*command, "--out", packed], check=True, capture_output=True)
        runs = {
            "torch": lambda samples: torch_speed(root, args, size, samples),
            "folder": lambda samples: own_speed(args, samples, None),
            "packed": lambda samples: own_speed(args, samples, packed),
        }
        # A short run each tells how many samples a round of the wanted length has.
        counts = {}
        for name, run in runs.items():
            speed = run(40 * args.batch)
            counts[name] = max(int(speed * args.seconds) // args.batch, 8) * args.batch
        speeds = {name: [] for name in runs}
        for _ in range(args.rounds):
            for name, run in runs.items():
                speeds[name].append(run(counts[name]))
    result = {
        "data": root.name,
        "size": args.size,
        "workers": args.workers,
        "pillow": PIL.__version__,
        "torch": torch.__version__,
        "load_average": os.getloadavg()[0],
    }
    medians = {name: statistics.median(values) for name, values in speeds.items()}
    for name, values in speeds.items():
        result[name] = {
            "median": round(medians[name], 1),
            "lowest": round(min(values), 1),
            "highest": round(max(values), 1),
            "ratio": round(medians[name] / medians["torch"], 2),
        }
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
