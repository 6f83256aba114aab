"""Reference values of a thin Mask2Former, and the tensors of the published ones.

    python tests/reference/mask2former.py   # writes tests/fixtures/evaluators/mask2former*

The network is that of Hugging Face transformers, with the names that `save_pretrained` writes,
which are those of the published files. Its weights are those of formula.py, loaded by
`from_pretrained`; everything is computed in f64. The semantic scores follow `maskformer_model.py`
of the original project (facebookresearch/Mask2Former), written anew here: transformers resizes the
masks to 384 x 384 instead.

The attention masks of the decoder are thresholds, where a rounding error would change the
output in a jump: the images are those of a few whose mask logits stay farthest away from zero.
Every tensor is changed a little, to see that the output moves by more than the tests allow.

Made with torch 2.15.0, transformers 5.24.0, safetensors 0.8.0 and numpy 2.4.6.
"""

import json
import pathlib
import tempfile

import torch
from safetensors.torch import save_file
from torch.nn.functional import interpolate, pad
from transformers import Mask2FormerConfig, Mask2FormerForUniversalSegmentation, SwinConfig
from transformers.core_model_loading import revert_weight_conversion

import formula

OUT = pathlib.Path(__file__).resolve().parents[1] / "fixtures" / "evaluators"
MEAN = torch.tensor([0.485, 0.456, 0.406], dtype=torch.float64).view(1, 3, 1, 1)
STD = torch.tensor([0.229, 0.224, 0.225], dtype=torch.float64).view(1, 3, 1, 1)
# What the tests allow, relative to the largest value.
TOLERANCE = 1e-4
# A mask logit nearer to zero than this, relative to the largest, could change sign by rounding.
MARGIN = 1e-5
# Distance of the stored values of a large tensor.
STEP = 13


def model_of(embed, depths, heads, window, **options):
    backbone = SwinConfig(embed_dim=embed, depths=list(depths), num_heads=list(heads),
                          window_size=window,
                          out_features=["stage1", "stage2", "stage3", "stage4"])
    config = Mask2FormerConfig(backbone_config=backbone, **options)
    return Mask2FormerForUniversalSegmentation(config).eval()


def thin():
    """Windows of 5 leave padding at every stage and exceed the last ones; five channels and more
    differ wherever two numbers could be mixed up."""
    return model_of(24, (2, 1, 2, 2), (1, 2, 4, 8), 5, feature_size=64, hidden_dim=64,
                    mask_feature_size=20, encoder_feedforward_dim=48, dim_feedforward=40,
                    encoder_layers=2, decoder_layers=5, num_attention_heads=4, num_queries=10,
                    num_labels=7)


def large(queries, labels):
    """Swin-L with the sizes of the configurations of the original project: 10 decoder layers
    count the prediction from the learned queries."""
    with torch.device("meta"):
        return model_of(192, (2, 2, 18, 2), (6, 12, 24, 48), 12, feature_size=256, hidden_dim=256,
                        mask_feature_size=256, encoder_feedforward_dim=1024, dim_feedforward=2048,
                        encoder_layers=6, decoder_layers=10, num_attention_heads=8,
                        num_queries=queries, num_labels=labels)


def published(model):
    """The state dict with the names of the files. The norm behind Swin's last stage is new in
    transformers 5, belongs to no output and is in no published file."""
    state = revert_weight_conversion(model, dict(model.state_dict()))
    return {name: tensor for name, tensor in state.items() if ".swin.layernorm." not in name}


def weight(name, shape):
    """The formula, with two exceptions. The bias of the pixel embeddings is ten times larger, which
    makes some masks empty and some full, as those of a trained network are. The learned queries
    are six times larger, with a deviation near one as they are drawn: queries that hardly differ
    would make self-attention a mean, whatever its weights."""
    scale = 1
    if name.endswith("mask_projection.bias"):
        scale = 10
    elif ".queries_" in name:
        scale = 6
    return torch.from_numpy(formula.weight(name, tuple(shape))) * scale


def filled(model):
    """The network with the weights of the formula, by way of a file, and its listing."""
    state = published(model)
    listing = [[name, list(tensor.shape)] for name, tensor in state.items()]
    weights = {name: weight(name, shape) for name, shape in listing}
    with tempfile.TemporaryDirectory() as folder:
        model.config.save_pretrained(folder)
        save_file(weights, f"{folder}/model.safetensors", metadata={"format": "pt"})
        loaded, report = Mask2FormerForUniversalSegmentation.from_pretrained(
            folder, output_loading_info=True)
    missing = [name for name in report["missing_keys"] if "swin.layernorm" not in name]
    assert not missing and not report["unexpected_keys"], report
    for name, tensor in published(loaded).items():
        assert torch.equal(tensor, weights[name]), name
    return loaded.double().eval(), listing


def normalised(image):
    return (image - MEAN) / STD


def forward(model, image):
    """Everything that is compared of an image in [0, 1]."""
    with torch.no_grad():
        module = model.model.pixel_level_module
        stages = module.encoder(normalised(image)).feature_maps
        decoded = module.decoder(stages)
        output = model(normalised(image))
    found = {f"stage{index}": stage for index, stage in enumerate(stages)}
    found |= {f"level{index}": level for index, level in enumerate(decoded.multi_scale_features)}
    return found | {"mask_features": decoded.mask_features, "classes": output.class_queries_logits,
                    "masks": output.masks_queries_logits}


def semantic(model, image, size, masks_first):
    """Scores of every class at `size`; with `masks_first` the masks are resized to it, otherwise
    the scores."""
    height, width = image.shape[-2:]
    padded = pad(normalised(image), (0, -width % 32, 0, -height % 32))
    with torch.no_grad():
        output = model(padded)
    resized = lambda maps, size: interpolate(maps, size=size, mode="bilinear", align_corners=False)
    masks = resized(output.masks_queries_logits, padded.shape[-2:])[..., :height, :width]
    if masks_first:
        masks = resized(masks, size)
    classes = output.class_queries_logits.softmax(-1)[..., :-1]
    scores = torch.einsum("nqc,nqhw->nchw", classes, masks.sigmoid())
    return scores if masks_first else resized(scores, size)


class Margin:
    """Distance of the mask logits from zero, at the sizes at which they become attention masks,
    relative to the largest, and how many rows of attention masks are empty."""

    def __init__(self, model):
        self.reset()
        predictor = model.model.transformer_module.decoder.mask_predictor
        predictor.register_forward_hook(self.hook)

    def reset(self):
        self.nearest, self.empty, self.rows = float("inf"), 0, 0

    def hook(self, module, inputs, outputs):
        size = inputs[2] if len(inputs) > 2 else None
        logits = interpolate(outputs[0], size=size, mode="bilinear", align_corners=False)
        self.nearest = min(self.nearest, float(logits.abs().min() / logits.abs().max()))
        self.empty += int((logits.flatten(2).max(-1).values < 0).sum())
        self.rows += logits.shape[0] * logits.shape[1]


def unit(height, width, phase):
    return (formula.image(height, width, phase).double() + 1) / 2


def best_phase(model, margin, run):
    def distance(phase):
        margin.reset()
        run(phase)
        return margin.nearest

    phase = max((step / 8 for step in range(16)), key=distance)
    assert distance(phase) > MARGIN, margin.nearest
    print(f"phase {phase}: margin {margin.nearest:.1e}, {margin.empty} of {margin.rows} masks empty")
    assert 0 < margin.empty < margin.rows
    return phase


def relative(actual, expected):
    return float((actual - expected).abs().max() / expected.abs().max())


def sensitivity(model, image):
    """The smallest change of the output by a change of one tensor."""
    outputs = lambda: {key: value for key, value in forward(model, image).items()
                       if key in ("classes", "masks")}
    before = outputs()
    effects = {}
    for name, tensor in model.state_dict().items():
        # A key's bias adds the same to every score of a query, which the softmax takes away; the
        # others are no part of the output.
        if name.endswith("k_proj.bias") or "swin.layernorm" in name or name.startswith("criterion"):
            continue
        kept = tensor.clone()
        change = torch.from_numpy(formula.uniform(name + "'", tuple(tensor.shape))).double()
        change = 0.2 * change * (kept.square().mean().sqrt() + 0.05)
        if name.endswith("in_proj_bias"):
            third = len(change) // 3
            change[third:2 * third] = 0
        tensor.copy_(kept + change)
        effects[name] = max(relative(value, before[key]) for key, value in outputs().items())
        tensor.copy_(kept)
    for name, effect in sorted(effects.items(), key=lambda item: item[1])[:5]:
        print(f"{effect:.1e} {name}")
    assert min(effects.values()) > 4 * TOLERANCE


def strided(tensors, step):
    return {name: tensor.contiguous().flatten()[::step].float().clone()
            for name, tensor in tensors.items()}


def thin_network():
    model, listing = filled(thin())
    (OUT / "mask2former.json").write_text(json.dumps(listing))
    margin = Margin(model)
    saved = {}

    # Two images at once, so that the images of a batch cannot be mixed up.
    batch = lambda phase: torch.cat([unit(64, 96, phase), unit(64, 96, phase + 0.4)])
    phase = best_phase(model, margin, lambda phase: forward(model, batch(phase)))
    saved["even.phase"] = torch.tensor([phase])
    found = forward(model, batch(phase))
    saved |= {f"even.{name}": value for name, value in strided(found, STEP).items()}
    sensitivity(model, batch(phase))

    # Neither side is a multiple of 32, and the patches do not divide them either.
    def odd(phase):
        image = unit(70, 90, phase)
        semantic(model, image, (35, 48), False)
        return forward(model, image)

    phase = best_phase(model, margin, odd)
    saved["odd.phase"] = torch.tensor([phase])
    image = unit(70, 90, phase)
    saved |= {f"odd.{name}": value for name, value in strided(odd(phase), STEP).items()}
    scores = {f"odd.scores{int(first)}": semantic(model, image, (35, 48), first)
              for first in (False, True)}
    print({name: tuple(value.shape) for name, value in scores.items()})
    saved |= strided(scores, STEP)

    path = OUT / "mask2former.safetensors"
    save_file({name: tensor.float().contiguous() for name, tensor in saved.items()}, path)
    path.chmod(0o644)


def listings():
    """Names and shapes of the three published networks: what they share, and what is their own."""
    presets = {"ade-semantic": (100, 150), "cityscapes-semantic": (100, 19),
               "coco-panoptic": (200, 133)}
    lists = {name: {tensor: list(value.shape) for tensor, value in published(large(*size)).items()}
             for name, size in presets.items()}
    first = lists["ade-semantic"]
    shared = {name: shape for name, shape in first.items()
              if all(other.get(name) == shape for other in lists.values())}
    written = {"shared": list(shared.items())}
    for name, tensors in lists.items():
        written[name] = [item for item in tensors.items() if item[0] not in shared]
        print(name, len(tensors), written[name])
    (OUT / "mask2former_swin_large.json").write_text(json.dumps(written))


if __name__ == "__main__":
    OUT.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)
    thin_network()
    listings()
