"""Weights that both sides compute, so that networks of full size need no stored tensors.

Imported by the scripts beside it; `testing::formula` of the model crate is the same formula. A
value depends on the tensor's name and its own position alone: element i of tensor NAME is the
top 24 bits of splitmix64(s + i) in [-1, 1), with s the first eight bytes of SHA-256(NAME), little
endian.
"""

import hashlib

import numpy as np
import torch


def uniform(name, shape):
    """Float32 values in [-1, 1) for a tensor called `name`."""
    seed = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "little")
    count = int(np.prod(shape, dtype=np.int64))
    with np.errstate(over="ignore"):
        z = np.arange(count, dtype=np.uint64) + np.uint64(seed)
        z = z * np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        z = z ^ (z >> np.uint64(31))
    high = (z >> np.uint64(40)).astype(np.float32)
    return (high / np.float32(1 << 23) - np.float32(1)).reshape(shape)


def weight(name, shape):
    """Values of a trained network's size, so that every tensor influences the output."""
    u = uniform(name, shape)
    if name.endswith("running_var"):
        return np.float32(0.75) + np.float32(0.25) * u
    if len(shape) == 1 and name.endswith("weight"):
        return np.float32(1) + np.float32(0.2) * u
    if len(shape) <= 1:
        return np.float32(0.1) * u
    fan_in = int(np.prod(shape[1:], dtype=np.int64))
    return u * np.float32((4.5 / fan_in) ** 0.5)


def fill(model):
    """Writes the formula into every floating tensor of a module and returns its listing.

    The listing, `[[name, shape], ...]` in the order of the state dict, is what a test needs to
    build the same tensors.
    """
    listing = []
    with torch.no_grad():
        for name, tensor in model.state_dict().items():
            if not tensor.is_floating_point():
                continue
            tensor.copy_(torch.from_numpy(weight(name, tuple(tensor.shape))))
            listing.append([name, list(tensor.shape)])
    return listing


def image(height, width, phase=0.0):
    """A deterministic picture, `[1, 3, height, width]` in [-1, 1] as float32."""
    c = np.arange(3, dtype=np.float64)[:, None, None]
    y = np.arange(height, dtype=np.float64)[None, :, None]
    x = np.arange(width, dtype=np.float64)[None, None, :]
    value = 0.6 * np.sin(0.21 * x + 0.13 * (c + 1) * y + c + phase) + 0.4 * np.cos(0.003 * x * y + 0.5 * c)
    return torch.from_numpy(value.astype(np.float32)[None])
