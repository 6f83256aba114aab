"""Reference values of the distances and of mIoU from pytorch-fid, torch-fidelity, scikit-learn.

    python tests/reference/metrics.py              # writes tests/fixtures/metrics

Made with pytorch-fid 0.3.0, torch-fidelity 0.4.0, scikit-learn 1.9.1, scipy 1.17.1, numpy 2.4.6.
"""

import pathlib

import numpy as np
import torch
from pytorch_fid.fid_score import calculate_frechet_distance
from safetensors.numpy import save_file
from sklearn.metrics import confusion_matrix, jaccard_score
from torch_fidelity.metric_kid import kernel_mmd, kid_features_to_metric

OUT = pathlib.Path(__file__).resolve().parents[2] / "tests" / "fixtures" / "metrics"
POLYNOMIAL = {"kid_kernel": "poly", "kid_kernel_poly_degree": 3, "kid_kernel_poly_gamma": None,
              "kid_kernel_poly_coef0": 1}


def features(rng, images, length, shift):
    """Non-negative and correlated, with a decaying spectrum, like the pooled output of a ReLU."""
    mix = rng.standard_normal((length, length)) / (1 + np.arange(length))[:, None]
    return np.maximum(rng.standard_normal((images, length)) @ mix + shift, 0).astype(np.float32)


def statistics(values):
    values = values.astype(np.float64)
    return values.mean(axis=0), np.cov(values, rowvar=False)


def distances(name, left, right, subset_size):
    frechet = calculate_frechet_distance(*statistics(left), *statistics(right))
    subsets, rng = 20, np.random.RandomState(2020)
    # The draws of torch-fidelity, repeated so that they can be stored.
    chosen = np.stack([
        np.stack([rng.choice(len(left), subset_size, replace=False),
                  rng.choice(len(right), subset_size, replace=False)])
        for _ in range(subsets)
    ])
    wide = [side.astype(np.float64) for side in (left, right)]
    mine = np.array([kernel_mmd(wide[0][a], wide[1][b], **POLYNOMIAL) for a, b in chosen])
    theirs = kid_features_to_metric(torch.from_numpy(left), torch.from_numpy(right), verbose=False,
                                    kid_subsets=subsets, kid_subset_size=subset_size,
                                    rng_seed=2020, **POLYNOMIAL)
    mean = theirs["kernel_inception_distance_mean"]
    assert abs(mean - mine.mean()) < 1e-4 * abs(mean), (mean, mine.mean())
    save_file({
        "left": left, "right": right,
        "frechet": np.array([frechet]),
        "subsets": chosen.astype(np.int32),
        "kernel": np.array([mine.mean(), mine.std()]),
    }, OUT / f"{name}.safetensors")
    print(name, "frechet", frechet, "kernel", mine.mean(), mine.std())


def segmentation(rng):
    truth = rng.integers(-1, 7, 4000)
    guess = np.where(rng.random(4000) < 0.6, np.maximum(truth, 0), rng.integers(0, 9, 4000))
    guess[guess == 4] = 5  # a class that is never predicted; 7 and 8 are never true
    kept = truth >= 0
    save_file({
        "truth": truth.astype(np.int32), "predicted": guess.astype(np.int32),
        "matrix": confusion_matrix(truth[kept], guess[kept], labels=range(9)).astype(np.int32),
        "iou": jaccard_score(truth[kept], guess[kept], labels=range(9), average=None,
                             zero_division=0),
    }, OUT / "segmentation.safetensors")


def main():
    OUT.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(7)
    mix = rng.bit_generator.state
    left = features(rng, 150, 24, 0.3)
    rng.bit_generator.state = mix
    right = features(rng, 190, 24, 0.4)
    distances("full-rank", left, right, 60)
    # Fewer images than features: the covariances have no inverse.
    distances("rank-deficient", features(rng, 20, 48, 0.3), features(rng, 26, 48, 0.5), 15)
    segmentation(rng)
    mean, covariance = statistics(left)
    np.savez_compressed(OUT / "pytorch-fid.npz", mu=mean, sigma=covariance)


if __name__ == "__main__":
    main()
