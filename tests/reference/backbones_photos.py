"""Taps of EfficientNet-Lite1 and 2 and of the VGG-16 trunk with real weights on real photos, and
the features that EfficientNet-Lite classifies by.

    python tests/reference/backbones_photos.py     # writes tests/fixtures/backbones
    DP_SIMS_SHARED=/some/folder python ...         # folder that holds weights/ and data/

The photos are PNG files, which every decoder reads alike, and stay where they are: stored are the
SHA-256 of each file and, of each tap, a subset of the values, the mean and the largest magnitude,
computed in f64. Made with torch 2.15.0, torchvision 0.29.2, timm 1.0.31, safetensors 0.8.0,
numpy 2.4.6 and pillow 13.0.0.
"""

import hashlib

import numpy as np
import torch
from PIL import Image
from safetensors.torch import load_file

from backbones import SHARED, lite, real_lite, real_vgg, save

PHOTOS = ("val/0016E5_07959.png", "test/0001TP_008550.png", "train/0001TP_006690.png")
STEP = 211


def lite_head(name, width, depth):
    """What timm's whole model classifies by: its pooled features."""
    model = lite(width, depth)
    model.load_state_dict(load_file(SHARED / "weights" / f"tf_{name}.safetensors"), strict=False)
    model.double()
    return lambda image: model.forward_head(model.forward_features(image), pre_logits=True)


def photo_taps(taps, head=None):
    saved = {}
    for index, name in enumerate(PHOTOS):
        path = SHARED / "data" / "camvid" / name
        digest = hashlib.sha256(path.read_bytes()).digest()
        saved[f"photo{index}.sha256"] = torch.tensor(list(digest), dtype=torch.float32)
        pixels = torch.from_numpy(np.array(Image.open(path).convert("RGB"), dtype=np.float64))
        image = (pixels / 127.5 - 1).permute(2, 0, 1)[None]
        with torch.no_grad():
            for tap, tensor in enumerate(taps(image)):
                keep(saved, f"photo{index}.tap{tap}", tensor)
            if head:
                keep(saved, f"photo{index}.head", head(image))
    return saved


def keep(saved, key, tensor):
    saved[key] = tensor.flatten()[::STEP].float()
    saved[f"{key}.mean"] = tensor.abs().mean().reshape(1).float()
    saved[f"{key}.max"] = tensor.abs().max().reshape(1).float()


if __name__ == "__main__":
    torch.set_num_threads(1)
    for name, width, depth in (("efficientnet_lite1", 1.0, 1.1), ("efficientnet_lite2", 1.1, 1.2)):
        _, taps = real_lite(name, width, depth)
        save(photo_taps(taps, lite_head(name, width, depth)), f"{name}.photos")
    _, taps = real_vgg()
    save(photo_taps(taps), "vgg16.photos")
