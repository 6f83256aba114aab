"""Reference values of the losses, computed with PyTorch in float64.

Writes tests/fixtures/losses/{pixel,contrastive,diversity}.safetensors. The losses are written
here with one-hot targets and explicit loops, on purpose unlike the Rust code.

Run: python tests/reference/losses.py   (needs torch and safetensors)
"""

from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import save_file

OUT = Path(__file__).resolve().parent.parent / "fixtures" / "losses"
torch.set_default_dtype(torch.float64)


def save(name, tensors):
    OUT.mkdir(parents=True, exist_ok=True)
    floats = {k: v.detach().float().contiguous() if v.is_floating_point() else v for k, v in tensors.items()}
    path = OUT / f"{name}.safetensors"
    save_file(floats, path)
    path.chmod(0o644)


def leaf(x):
    """The float32 rounding of x as a float64 leaf: what the Rust side reads."""
    return x.detach().float().double().requires_grad_(True)


# Pixel loss ------------------------------------------------------------------------------------


def class_weights(labels, classes):
    counts = torch.bincount(labels.flatten(), minlength=classes).double()
    counts[0] = 0
    present = (counts > 0).sum()
    return torch.where(counts > 0, labels.numel() / (present * counts.clamp(min=1)), 0.0)


def pixel_loss(logits, target, weights, gamma, eps, reduction):
    """target: [N, H, W] in 0..=C; weights: [N, H, W]."""
    outputs = logits.shape[1]
    one_hot = F.one_hot(target, outputs).permute(0, 3, 1, 2).double()
    smooth = (1 - eps) * one_hot + eps / outputs
    log_p = F.log_softmax(logits, dim=1)
    per_pixel = -(smooth * (1 - log_p.exp()) ** gamma * log_p).sum(dim=1) * weights
    return per_pixel.mean() if reduction == "mean" else per_pixel.sum(dim=(1, 2)).mean()


PIXEL_VARIANTS = {  # gamma, class weights, smoothing, smooth_fake, reduction
    "ce": (0.0, False, 0.0, False, "mean"),
    "weighted_ce": (0.0, True, 0.0, False, "mean"),
    "weighted_ce_smoothed": (0.0, True, 0.1, False, "mean"),
    "focal": (2.0, False, 0.0, False, "mean"),
    "weighted_focal": (2.0, True, 0.0, False, "mean"),
    "default": (2.0, True, 0.1, False, "mean"),
    "smooth_fake": (2.0, True, 0.2, True, "mean"),
    "sum": (2.0, True, 0.1, False, "sum_per_image"),
    "gamma_1": (1.0, True, 0.1, False, "mean"),
    "gamma_2_5": (2.5, True, 0.1, True, "mean"),
}


def pixel():
    torch.manual_seed(1)
    n, classes, h, w = 2, 5, 3, 4
    labels = torch.tensor([0, 1, 1, 2, 1, 1, 4, 4, 0, 1, 1, 1] + [1, 1, 2, 2, 2, 0, 0, 4, 1, 1, 1, 2])
    labels = labels.reshape(n, h, w)  # class 3 is absent
    favour = 2 * F.one_hot(labels, classes + 1).permute(0, 3, 1, 2)
    logits = leaf(2 * torch.randn(n, classes + 1, h, w) + favour)
    # Confident predictions, right and wrong: exp(100) overflows float32, (1 - p) is 0 or 1.
    extreme = leaf(100 * torch.sign(torch.randn(n, classes + 1, h, w)))
    alpha = class_weights(labels, classes)
    tensors = {"logits": logits, "extreme": extreme, "labels": labels.to(torch.uint8), "alpha": alpha}

    def record(name, x, loss):
        (grad,) = torch.autograd.grad(loss, x)
        tensors[f"{name}.loss"] = loss.reshape(1)
        tensors[f"{name}.grad"] = grad

    for name, (gamma, weighted, eps, smooth_fake, reduction) in PIXEL_VARIANTS.items():
        weights = alpha[labels] if weighted else (labels != 0).double()
        fake = torch.full_like(labels, classes)
        ones = torch.ones(n, h, w)
        for kind, x in (("", logits), (".extreme", extreme)):
            if kind and name not in ("ce", "default", "gamma_2_5"):
                continue
            uses = {
                "real": (labels, weights, eps),
                "fake": (fake, ones, eps if smooth_fake else 0.0),
                "generator": (labels, weights, 0.0),
            }
            for use, (target, weight, smoothing) in uses.items():
                loss = pixel_loss(x, target, weight, gamma, smoothing, reduction)
                record(f"{name}{kind}.{use}", x, loss)
    hits = (logits.argmax(dim=1) == labels) & (labels != 0)
    tensors["accuracy"] = (hits.sum() / (labels != 0).sum()).double().reshape(1)
    save("pixel", tensors)


# Contrastive loss ------------------------------------------------------------------------------


def draw_scale(n, dim, channels, h, w):
    fan = channels * 9
    parameters = {
        "conv.weight": leaf(torch.randn(dim, channels, 3, 3) / fan**0.5),
        "conv.bias": leaf(0.3 * torch.randn(dim)),
        "hidden.weight": leaf(torch.randn(dim, dim) / dim**0.5),
        "hidden.bias": leaf(0.3 * torch.randn(dim)),
        "output.weight": leaf(torch.randn(dim, dim) / dim**0.5),
        "output.bias": leaf(0.3 * torch.randn(dim)),
    }
    fake, real = leaf(torch.randn(n, channels, h, w)), leaf(torch.randn(n, channels, h, w))
    return parameters, fake, real


def project(p, features, positions):
    """Unit vectors [N, P, dim], and how near an input of a ReLU is to zero."""
    conv = F.conv2d(features, p["conv.weight"], p["conv.bias"], padding=1)
    rows = conv.clamp(min=0).flatten(2)[:, :, positions].permute(0, 2, 1)
    hidden = F.linear(rows, p["hidden.weight"], p["hidden.bias"])
    out = F.linear(hidden.clamp(min=0), p["output.weight"], p["output.bias"])
    kink = min(conv.abs().min().item(), hidden.abs().min().item())
    return F.normalize(out, dim=-1, eps=1e-12), kink


def contrastive():
    torch.manual_seed(2)
    n, dim, tau, negatives = 2, 6, 0.3, 8
    scales = [(3, 4, 6), (4, 3, 5), (5, 2, 2)]  # channels, height, width; the last has 4 positions
    tensors, leaves, total = {}, {}, 0.0
    for scale, (channels, h, w) in enumerate(scales):
        positions = torch.randperm(h * w)[: negatives + 1]
        while True:
            parameters, fake, real = draw_scale(n, dim, channels, h, w)
            query, kink = project(parameters, fake, positions)
            # Finite differences are taken on the last scale: no ReLU may switch within a step.
            if scale < 2 or kink > 0.03:
                break
        with torch.no_grad():
            key, _ = project(parameters, real, positions)
        losses = []
        for image in range(n):
            for i in range(len(positions)):
                positive = torch.exp(query[image, i] @ key[image, i] / tau)
                others = [j for j in range(len(positions)) if j != i]
                negative = sum(torch.exp(query[image, i] @ key[image, j] / tau) for j in others)
                losses.append(-torch.log(positive / (positive + negative)))
        loss = torch.stack(losses).mean()
        total = total + loss
        leaves |= {f"{scale}.{k}": v for k, v in parameters.items()} | {f"{scale}.fake": fake}
        tensors |= {f"{scale}.real": real, f"{scale}.positions": positions.int(), f"{scale}.loss": loss.reshape(1)}
    grads = torch.autograd.grad(total, list(leaves.values()))
    tensors |= leaves | {f"grad.{k}": g for k, g in zip(leaves, grads)} | {"loss": total.reshape(1)}
    save("contrastive", tensors)


# Diversity loss --------------------------------------------------------------------------------


def diversity():
    torch.manual_seed(3)
    n, cutoff = 3, 1.0
    base = torch.randn(n, 2, 3, 2)
    # The third sample is beyond the cutoff: its hinge is closed and has no gradient.
    spread = torch.tensor([0.3, 0.7, 4.0]).reshape(n, 1, 1, 1)
    # No difference is near 0, where the absolute value has its kink.
    apart = torch.sign(torch.randn(n, 2, 3, 2)) * (0.5 + torch.rand(n, 2, 3, 2))
    f1, f2 = leaf(base + spread * apart), leaf(base)
    z1, z2 = leaf(torch.randn(n, 4)), leaf(torch.randn(n, 4))
    losses, ratios = [], []
    for i in range(n):
        ratios.append((f1[i] - f2[i]).abs().mean() / (z1[i] - z2[i]).abs().mean())
        losses.append(torch.clamp(cutoff - ratios[-1], min=0))
    assert all((r < 0.9) == (i < 2) and (r > 1.1) == (i == 2) for i, r in enumerate(ratios)), ratios
    loss = torch.stack(losses).mean()
    g1, g2 = torch.autograd.grad(loss, (f1, f2))
    save("diversity", {"f1": f1, "f2": f2, "z1": z1, "z2": z2, "loss": loss.reshape(1), "grad.f1": g1, "grad.f2": g2})


if __name__ == "__main__":
    pixel()
    contrastive()
    diversity()
