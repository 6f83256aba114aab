"""Reference distances of LPIPS 0.1 from the package of its authors.

    python tests/reference/lpips_distance.py           # writes tests/fixtures/evaluators/lpips.json
    python tests/reference/lpips_distance.py heads     # and the heads in the model crate

Trunk weights are the formula of `formula.py` under torchvision's names, heads those of the package
(BSD-2-Clause; its text is model/evaluators/src/lpips/NOTICE), images four of `formula.image`.
Made with torch 2.15.0, torchvision 0.29.2 and lpips 0.1.4.
"""

import itertools
import json
import pathlib
import sys

import formula
import lpips
import numpy as np
import torch
from safetensors.torch import save_file

ROOT = pathlib.Path(__file__).resolve().parents[2]
OUT = ROOT / "tests" / "fixtures" / "evaluators"
HEADS = ROOT / "model" / "evaluators" / "src" / "lpips"
SIZES = [(64, 64), (65, 90)]
PHASES = [0.0, 0.4, 1.7, 4.0]


def build(net, dtype=torch.float32):
    """The package's model with formula weights in its trunk, and the listing of the trunk."""
    model = lpips.LPIPS(net=net, pnet_rand=True, verbose=False)
    listing = []
    with torch.no_grad():
        for name, tensor in model.net.state_dict().items():
            name = "features." + name.split(".", 1)[1]
            tensor.copy_(torch.from_numpy(trunk_weight(name, tuple(tensor.shape))))
            listing.append([name, list(tensor.shape)])
    return model.to(dtype), listing


def trunk_weight(name, shape):
    """The formula at the gain of He et al.: without batch norm, the features of the deep taps would
    come from the biases alone and hardly depend on the image."""
    weight = formula.weight(name, shape)
    return weight * np.float32((4 / 3) ** 0.5) if len(shape) == 4 else weight


def distances(model, images):
    """LPIPS of every pair, in the order of itertools.combinations, by tap: `[pairs, 5]`."""
    pairs = itertools.combinations(range(len(images)), 2)
    taps = [model(images[i:i + 1], images[j:j + 1], retPerLayer=True)[1] for i, j in pairs]
    return np.array([[tap.item() for tap in pair] for pair in taps])


def sensitivity(model, images):
    """Least relative change of the distance at any tap over all tensors replaced by others."""
    expected, least = distances(model, images), (np.inf, "")
    for name, tensor in model.state_dict().items():
        if name.startswith("lins."):
            continue  # the same tensors as lin0 to lin4
        kept = tensor.clone()
        tensor.copy_(kept.flatten().roll(1).reshape(kept.shape))
        change = float(np.max(np.abs(distances(model, images) / expected - 1)))
        tensor.copy_(kept)
        least = min(least, (change, name))
    return least


def smallest(model):
    """The least image size that leaves every tap a pixel."""
    for size in range(8, 64):
        try:
            if np.isfinite(model(*torch.rand(2, 1, 3, size, size)).item()):
                return size
        except RuntimeError:
            pass


@torch.no_grad()
def main():
    saved = {}
    for net in ("vgg", "alex"):
        model, listing = build(net)
        exact, _ = build(net, torch.float64)
        saved[net] = {"trunk": listing, "distances": {}}
        for height, width in SIZES:
            images = torch.cat([formula.image(height, width, phase) for phase in PHASES])
            found = distances(model, images)
            truth = distances(exact, images.double())
            print(f"{net} {height}x{width}: {found.round(5).tolist()}, mean "
                  f"{found.sum(1).mean():.4f}, error in f32 {np.max(np.abs(found / truth - 1)):.1e}")
            saved[net]["distances"][f"{height}x{width}"] = found.tolist()
        images = torch.cat([formula.image(64, 64, phase) for phase in PHASES[:2]])
        change, tensor = sensitivity(model, images)
        print(f"{net}: least change {change:.1e} by {tensor}; smallest image {smallest(model)}")
        assert change > 1e-3
        if "heads" in sys.argv:
            heads = {name: tensor.contiguous() for name, tensor in model.state_dict().items()
                     if name.startswith("lin") and not name.startswith("lins")}
            path = HEADS / f"{net}.safetensors"
            save_file(heads, path)
            path.chmod(0o644)
    (OUT / "lpips.json").write_text(json.dumps(saved))


if __name__ == "__main__":
    OUT.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)
    main()
