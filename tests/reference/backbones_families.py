"""Reference values of thin ResNets and Swin Transformers, and ConvNeXt in its original naming.

    python tests/reference/backbones_families.py   # writes tests/fixtures/backbones

The networks come from timm's own constructors; ResNet's tensors have torchvision's names there.
Files are stored as they are found in the wild: timm's safetensors (here in f16 and bf16), a
torchvision .pth, and the original .pth files with their names, nested under "model". Weights that
are stored in two formats are numbers that f16 and bf16 both hold.
Reads convnext.pth, which backbones.py writes. Made with torch 2.15.0, torchvision 0.29.2,
timm 1.0.31, safetensors 0.8.0 and numpy 2.4.6.
"""

import collections
import re

import torch
from timm.models.resnet import Bottleneck, ResNet
from timm.models.swin_transformer import SwinTransformer, checkpoint_filter_fn

from backbones import IMAGENET, OUT, normalised, randomise, save, save_reference


def original_convnext_names(state):
    """Names of the files of the ConvNeXt authors."""
    renamed = collections.OrderedDict()
    for name, tensor in state.items():
        name = name.replace("stem.", "downsample_layers.0.")
        name = re.sub(r"stages\.(\d)\.downsample\.", r"downsample_layers.\1.", name)
        name = re.sub(r"stages\.(\d)\.blocks\.", r"stages.\1.", name)
        name = name.replace("conv_dw", "dwconv").replace("mlp.fc", "pwconv")
        name = name.replace("head.norm", "norm").replace("head.fc", "head")
        renamed[name] = tensor
    return renamed


def convnext():
    state = torch.load(OUT / "convnext.pth", weights_only=True)
    torch.save({"model": original_convnext_names(state)}, OUT / "convnext_original.pth")


def resnet():
    generator = torch.Generator().manual_seed(11)
    model = ResNet(Bottleneck, (1, 2, 1, 1), channels=(4, 8, 16, 32), num_classes=2).eval()
    with torch.no_grad():
        randomise(model, generator)
    torch.save(model.state_dict(), OUT / "resnet.pth")

    def taps(image):
        features = model.maxpool(model.act1(model.bn1(model.conv1(image))))
        found = []
        for stage in (model.layer1, model.layer2, model.layer3, model.layer4):
            features = stage(features)
            found.append(features)
        return found

    save_reference("resnet", normalised(taps, IMAGENET), (45, 38), generator)


def original_swin_names(state, window):
    """Names of the files of the Swin authors: the downsampling at the end of a stage, and two
    buffers that are computed from the size of the image."""
    renamed = collections.OrderedDict()
    index = torch.arange(window**4).reshape(window**2, window**2)
    mask = torch.zeros(1, window**2, window**2)
    for name, tensor in state.items():
        name = re.sub(r"layers\.(\d)\.downsample",
                      lambda match: f"layers.{int(match[1]) - 1}.downsample", name)
        renamed[name.replace("head.fc.", "head.")] = tensor
        table = re.fullmatch(r"(layers\.0\.blocks\.(\d)\.)attn\.relative_position_bias_table", name)
        if table:
            renamed[table[1] + "attn.relative_position_index"] = index
            if table[2] == "1":
                renamed[table[1] + "attn_mask"] = mask
    return renamed


def swin(name, size, window, dim, heads, save_weights):
    """A network trained with whole windows everywhere, its files, and what timm computes when it
    is built for images of another size and loads them."""
    generator = torch.Generator().manual_seed(13 + window)
    options = dict(embed_dim=dim, depths=(2, 2, 2, 1), num_heads=heads, window_size=window,
                   num_classes=2)
    trained = SwinTransformer(img_size=32 * window, **options).eval()
    with torch.no_grad():
        randomise(trained, generator)
        for tensor in trained.state_dict().values():
            tensor.copy_(tensor.bfloat16().half().float())
    state = trained.state_dict()
    original = {"model": original_swin_names(state, window)}
    save_weights(state, original)

    def built(checkpoint):
        model = SwinTransformer(img_size=size, **options).eval()
        model.load_state_dict(checkpoint_filter_fn(checkpoint, model))
        return lambda image: model.forward_intermediates(image, intermediates_only=True)

    trained.set_input_size(img_size=size, window_size=window)
    resized = lambda image: trained.forward_intermediates(image, intermediates_only=True)
    taps = built(state)
    image = torch.rand((1, 3, *size), generator=generator)
    with torch.no_grad():
        for other in (built(original), resized):
            for expected, found in zip(taps(image), other(image)):
                assert torch.equal(expected, found)
    print(name, [tuple(tap.shape[1:]) for tap in taps(image)])
    save_reference(name, normalised(taps, IMAGENET), size, generator)


def swins():
    def half(tensors, dtype):
        return {name: tensor.to(dtype).clone() for name, tensor in tensors.items()}

    def original_half(original):
        return {"model": {name: tensor.half() if tensor.is_floating_point() else tensor
                          for name, tensor in original["model"].items()}}

    def save_window7(state, original):
        save(half(state, torch.bfloat16), "swin")
        torch.save(original_half(original), OUT / "swin_original.pth")

    # Maps of 11 x 15, 6 x 8, 3 x 4 and 2 x 2: padded, shrunk along one axis, shrunk along both.
    swin("swin", (44, 60), 7, 6, (1, 2, 3, 4), save_window7)
    # Maps of 10 x 14 and less: the window exceeds the first one in height already.
    swin("swin_window12", (40, 56), 12, 4, (1, 2, 2, 4),
         lambda state, _: save(half(state, torch.float16), "swin_window12"))
    # Sides that 4 does not divide; maps of 8 x 7, 4 x 4, 2 x 2 and 1 x 1.
    swin("swin_window4", (33, 30), 4, 4, (1, 2, 2, 4),
         lambda _, original: torch.save(original, OUT / "swin_window4_original.pth"))


if __name__ == "__main__":
    torch.set_num_threads(1)
    convnext()
    resnet()
    swins()
