"""Reference features of FID's Inception-v3 from pytorch-fid and torch-fidelity.

    python tests/reference/inception.py            # writes tests/fixtures/evaluators/inception*

Weights are the formula of `formula.py`, images that of `formula.image` taken to [0, 1]. Only the
statistics of the batch norms are stored: they are those of a few pictures, as in a trained network.
With statistics by formula the features would hardly depend on the picture after so many layers; with
exact variances, channels that hardly vary would amplify rounding.
The networks run in f64, the resize before them in f32 as in pytorch-fid. The thin network has a
sixteenth of the channels everywhere, in the blocks of pytorch-fid as well.
Made with torch 2.15.0, torchvision 0.29.2, pytorch-fid 0.3.0 and torch-fidelity 0.4.0.
"""

import copy
import json
import os
import pathlib
import tempfile
from unittest import mock

import formula
import numpy as np
import pytorch_fid.inception as fid
import torch
import torchvision.models.inception as blocks
from safetensors.torch import save_file
from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

OUT = pathlib.Path(__file__).resolve().parents[2] / "tests" / "fixtures" / "evaluators"
# Smaller than 299 and of another aspect; larger on one side and smaller on the other.
SIZES = [(64, 96), (330, 200)]


def build(narrowing=1):
    """pytorch-fid's extractor with formula weights, and the network inside it."""
    basic = blocks.BasicConv2d
    networks = []

    def thin(inputs, outputs, **options):
        return basic(inputs if inputs == 3 else inputs // narrowing, outputs // narrowing, **options)

    def fill(network, _):
        networks.append(network)

    with mock.patch.object(blocks, "BasicConv2d", thin), \
            mock.patch.object(fid, "load_state_dict_from_url", lambda *_, **__: None), \
            mock.patch.object(blocks.Inception3, "load_state_dict", fill):
        extractor = fid.InceptionV3().eval()
    (network,) = networks
    listing = formula.fill(network)
    batch = [torch.nn.functional.interpolate(pictures(*size, (0.5, 2.3, 4.4)), (299, 299),
                                             mode="bilinear") for size in [*SIZES, (299, 299)]]
    norms = [layer for layer in network.modules() if isinstance(layer, torch.nn.BatchNorm2d)]
    hooks = [norm.register_forward_pre_hook(set_statistics) for norm in norms]
    extractor.eval()(torch.cat(batch))
    for hook in hooks:
        hook.remove()
    return extractor, network, listing


def set_statistics(norm, inputs):
    """Mean and variance of a batch norm from what it sees, the variance raised, see above."""
    variance, mean = torch.var_mean(inputs[0], (0, 2, 3))
    norm.running_mean.copy_(mean)
    norm.running_var.copy_(variance + 2 * variance.mean())


def pictures(height, width, phases=(0.0, 1.7)):
    """Different pictures in [0, 1]."""
    return torch.cat([formula.image(height, width, phase) * 0.5 + 0.5 for phase in phases])


def sensitivity(network, run, expected):
    """Least change of the features, relative to their largest, over all tensors whose values are
    moved by one place: far above the tolerance of the test, or it would not see that tensor."""
    least = (np.inf, "")
    for name, tensor in network.state_dict().items():
        if name.startswith("fc.") or not tensor.is_floating_point():
            continue
        kept = tensor.clone()
        tensor.copy_(kept.flatten().roll(1).reshape(kept.shape))
        change = float((run() - expected).abs().max() / expected.abs().max())
        tensor.copy_(kept)
        least = min(least, (change, name))
    return least


@torch.no_grad()
def main():
    saved = {}
    for name, narrowing in (("thin", 16), ("full", 1)):
        extractor, network, listing = build(narrowing)
        exact = copy.deepcopy(extractor).double()
        for key, tensor in network.state_dict().items():
            if key.endswith(("running_mean", "running_var")):
                saved[f"{name}.{key}"] = tensor
        for height, width in SIZES:
            images = pictures(height, width)
            # The resize in f32, whose rounding of positions is part of the reference.
            resized = torch.nn.functional.interpolate(images, (299, 299), mode="bilinear")
            features = exact(resized.double())[0].flatten(1).float()
            for what, other in (("", extractor(images)), ("without the rounding of the resize ",
                                                          exact(images.double()))):
                error = (other[0].flatten(1) - features).abs().max() / features.max()
                print(f"pytorch-fid {what or 'in f32 '}differs by {error:.1e}")
            print(f"{name} {height}x{width}: features {tuple(features.shape)}, mean "
                  f"{features.mean():.3f}, largest {features.max():.3f}, difference of the images "
                  f"{(features[0] - features[1]).abs().max() / features.max():.2f}")
            saved[f"features.{name}.{height}x{width}"] = features
        if narrowing > 1:
            (OUT / "inception_thin.json").write_text(json.dumps(listing))
            small = pictures(*SIZES[0])
            change, tensor = sensitivity(
                network, lambda: extractor(small)[0].flatten(1), extractor(small)[0].flatten(1))
            print(f"{name}: least change {change:.1e} by {tensor}")
            assert change > 1e-3
        else:
            (OUT / "inception.json").write_text(json.dumps(listing))
            # 8-bit values u are (u - 128) / 128 in torch-fidelity, which is 2 x - 1 at x = u / 256.
            bytes_ = (pictures(299, 299)[:1] * 255).round().to(torch.uint8)
            with tempfile.TemporaryDirectory() as folder:
                path = os.path.join(folder, "weights.pth")
                torch.save(network.state_dict(), path)
                other = FeatureExtractorInceptionV3("reference", ["2048"], path).double()
            # By hand, because this version takes the option "float64" for float32.
            other.feature_extractor_internal_dtype = torch.float64
            (features,) = other(bytes_)
            ours = exact(bytes_.double() / 256)[0].flatten(1)
            print(f"torch-fidelity against pytorch-fid: {(features - ours).abs().max() / ours.max():.1e}")
            saved["features.fidelity.299x299"] = features
    path = OUT / "inception.safetensors"
    save_file({name: tensor.contiguous() for name, tensor in saved.items()}, path)
    path.chmod(0o644)


if __name__ == "__main__":
    OUT.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)
    main()
