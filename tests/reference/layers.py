"""Reference values of layers, Adam and the moving average from PyTorch, over several steps.

    python tests/reference/layers.py            # writes tests/fixtures/layers

Computed with torch 2.15.0 on the CPU in float64, written with safetensors 0.8.0. Values that the
Rust side reads as input are float32. The modules that PyTorch does not have are those of
twin_networks.py. Printed beside each file: the largest error of the same
computation in float32, relative to the largest value of a tensor.

A step of a layer is what a training step makes of it: two forward passes in training mode with a
graph, a gradient step on sum(cotangent * output), a forward pass in training mode without a graph,
and one in evaluation mode.
"""

import copy
import pathlib
import re

import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import nn
from torch.nn.utils import spectral_norm

from twin_networks import CrossAttention, Generator, SelfAttention, Spade

OUT = pathlib.Path(__file__).resolve().parents[1] / "fixtures" / "layers"
STEPS = 4


# Names and files -----------------------------------------------------------------------------


def rust_names(tensors):
    """The names of the Rust modules, where gamma and beta are one convolution."""
    renamed = {}
    for name, tensor in tensors.items():
        name = re.sub(r"weight_([uv])$", r"spectral_norm.\1", name)
        name = re.sub(r"weight_orig$", "weight", name)
        if not name.endswith("num_batches_tracked"):
            renamed[name] = tensor
    for name in [n for n in renamed if re.search(r"\bgamma\.", n)]:
        halves = [renamed.pop(re.sub(r"\bgamma\.", f"{half}.", name)) for half in ("gamma", "beta")]
        renamed[re.sub(r"\bgamma\.", "modulation.", name)] = torch.cat(halves)
    return renamed


def state(module):
    return rust_names({n: t.detach().clone() for n, t in module.state_dict().items()})


def flat(values):
    """A state as one vector in the order of the names: a small file."""
    return torch.cat([values[name].flatten() for name in sorted(values)])


def prefixed(prefix, tensors):
    return {f"{prefix}.{name}": tensor for name, tensor in tensors.items()}


def save(name, tensors, single):
    """Writes the float64 values rounded to float32; `single` is the same in float32."""
    assert tensors.keys() == single.keys()
    assert all(tensor.isfinite().all() for tensor in tensors.values())
    worst, where = 0.0, None
    for key, exact in tensors.items():
        largest = exact.abs().max().item()
        scale = largest if largest > 1e-12 else 1.0
        error = (single[key].double() - exact.double()).abs().max().item() / scale
        worst, where = max((worst, where), (error, key), key=lambda pair: pair[0])
    OUT.mkdir(parents=True, exist_ok=True)
    path = OUT / f"{name}.safetensors"
    save_file({key: tensor.detach().float().contiguous() for key, tensor in tensors.items()}, path)
    path.chmod(0o644)
    print(f"{name}: {path.stat().st_size} bytes, float32 error {worst:.1e} at {where}")


def randn(seed, *shape):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def randomise(module, seed):
    """Values of a trained network's size, so that every tensor matters; zero gates stay."""
    for number, (name, tensor) in enumerate(module.state_dict().items()):
        noise = randn(1000 * seed + number, *tensor.shape)
        if name.endswith("running_var"):
            tensor.copy_(0.5 + noise.abs())
        elif name.endswith(("weight_u", "weight_v")):
            tensor.copy_(noise / noise.norm())
        elif tensor.dim() == 1 and name.endswith("weight"):
            tensor.copy_(1 + 0.3 * noise)
        elif tensor.dim() == 1 and not name.endswith("gate"):
            tensor.copy_(0.3 * noise)
        elif tensor.dim() > 1:
            tensor.copy_(noise / tensor[0].numel() ** 0.5)
    return module


# Steps of a layer ----------------------------------------------------------------------------


def trace(module, steps, rate, dtype, call):
    """Everything that the Rust layer must reproduce. `steps` holds three passes per step, a pass
    the inputs of a forward call."""
    module = copy.deepcopy(module).to(dtype)
    tensors = prefixed("initial", state(module)) | {"rate": torch.tensor([rate])}
    parameters = dict(module.named_parameters())
    for step, passes in enumerate(steps):
        module.train()
        loss, leaves = 0.0, {}
        for number, inputs in enumerate(passes):
            here = f"{step}.{number}"
            inputs = [x.to(dtype).requires_grad_() for x in inputs]
            tensors |= {f"{here}.input{i}": x for i, x in enumerate(inputs)}
            if number < 2:
                output = call(module, *inputs)
                cotangent = randn(10 * step + number, *output.shape)
                tensors[f"{here}.cotangent"] = cotangent
                loss = loss + (cotangent.to(dtype) * output).sum()
                leaves |= {f"{here}.gradient{i}": x for i, x in enumerate(inputs)}
                if number == 1:
                    both = leaves | prefixed(f"{step}.gradient", parameters)
                    found = torch.autograd.grad(loss, both.values(), allow_unused=True)
                    found = {n: g for n, g in zip(both, found) if g is not None}
                    update(parameters, found, f"{step}.gradient.", rate)
                    tensors |= rust_names(found)
            else:
                with torch.no_grad():
                    output = call(module, *inputs)
            tensors[f"{here}.output"] = output
        tensors |= prefixed(f"{step}.state", state(module))
        module.eval()
        with torch.no_grad():
            tensors[f"{step}.evaluation"] = call(module, *[x.to(dtype) for x in passes[0]])
        for name, value in state(module).items():
            assert torch.equal(value, tensors[f"{step}.state.{name}"]), name
    for name, value in state(module).items():
        moved = (value - tensors[f"initial.{name}"]).abs().max() / value.abs().max()
        # A bias of the keys shifts all scores of a pixel alike: its gradient is zero.
        assert moved > 0.05 or name == "key.bias", f"{name} hardly moves: {moved}"
    return tensors


def update(parameters, gradients, prefix, rate):
    with torch.no_grad():
        for name, parameter in parameters.items():
            parameter -= rate * gradients[prefix + name]


def layer(name, module, shapes, rate, draw=randn, call=lambda module, *inputs: module(*inputs)):
    """`shapes(step)` gives the shapes of the inputs of that step, `draw` one of them."""
    module = randomise(module, len(name))
    steps = [[[draw(100 * step + 10 * number + i + 7, *shape)
               for i, shape in enumerate(shapes(step))]
              for number in range(3)] for step in range(STEPS)]
    double = trace(module, steps, rate, torch.float64, call)
    save(name, double, trace(module, steps, rate, torch.float32, call))
    return double


def layers():
    layer("spectral_norm", spectral_norm(nn.Conv2d(3, 4, 3, padding=1)),
          lambda step: [(2, 3, 4, 5)], 0.02)

    # Few and odd numbers of values per channel, so that biased and unbiased variance differ, and
    # a mean that is not zero.
    sizes = [(2, 4, 3, 1), (3, 4, 1, 5), (2, 4, 3, 3), (5, 4, 1, 1)]
    for name, affine in (("batch_norm", False), ("batch_norm_affine", True)):
        values = layer(name, nn.BatchNorm2d(4, affine=affine), lambda step: [sizes[step]], 0.05,
                       lambda seed, *shape: 1.5 * randn(seed, *shape) + 1)
        biased = values["initial.running_var"]
        for number in range(3):
            variance = values[f"0.{number}.input0"].var(dim=(0, 2, 3), unbiased=False)
            biased = 0.9 * biased + 0.1 * variance
        assert ((biased / values["0.state.running_var"] - 1).abs() > 0.01).all()

    layer("spade", Spade(3, 5), lambda step: [(2, 3, 3, 5), (2, 5, 3, 5)], 0.02)
    # Tokens are stored as [N, 1, tokens, token_dim]. The gate starts closed, as in training, and
    # opens with the first update.
    layer("cross_attention", CrossAttention(4, 6), lambda step: [(2, 4, 3, 5), (2, 1, 4, 6)], 0.03,
          call=lambda module, x, tokens: module(x, tokens[:, 0]))
    layer("self_attention", SelfAttention(4), lambda step: [(2, 4, 3, 3)], 0.05)
    # A dense convolution over one-hot label maps, stored as [N, 1, H, W].
    layer("label_conv", nn.Conv2d(5, 3, 3, padding=1), lambda step: [(2, 1, 4, 3)], 0.05,
          draw=lambda seed, *shape: labels_of(seed, 5, *shape),
          call=lambda module, labels: module(one_hot(labels, 5)))


def labels_of(seed, classes, *shape):
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(classes, shape, generator=generator).float()


def one_hot(labels, classes):
    return F.one_hot(labels[:, 0].long(), classes).permute(0, 3, 1, 2).to(labels.dtype)


# Resizing ------------------------------------------------------------------------------------

# Twice and four times as large, half, a quarter, ratios that are no integers, one pixel, mixed.
BILINEAR = [((3, 5), (6, 10)), ((2, 3), (8, 12)), ((8, 6), (4, 3)), ((8, 4), (2, 1)),
            ((5, 7), (3, 4)), ((4, 6), (7, 11)), ((1, 2), (5, 3)), ((6, 3), (4, 7))]
# In the last two, i * from / to is an integer for some i, and its float32 rounding less.
LABELS = [((8, 12), (2, 3)), ((6, 4), (6, 4)), ((7, 9), (3, 4)), ((3, 4), (7, 6)),
          ((5, 2), (4, 82)), ((2, 3), (94, 2))]


def resizes(dtype):
    tensors = {}
    nearest = [((2, 3), (4, 6)), ((3, 1), (6, 2))]
    for mode, sizes in (("bilinear", BILINEAR), ("nearest", nearest)):
        options = {"align_corners": False} if mode == "bilinear" else {}
        for number, (old, new) in enumerate(sizes):
            x = randn(number, 2, 2, *old).to(dtype).requires_grad_()
            y = F.interpolate(x, new, mode=mode, **options)
            cotangent = randn(number + 50, *y.shape)
            (gradient,) = torch.autograd.grad((cotangent.to(dtype) * y).sum(), x)
            tensors |= prefixed(f"{mode}{number}", {
                "input": x, "output": y, "cotangent": cotangent, "gradient": gradient})
    for number, (old, new) in enumerate(LABELS):
        x = torch.arange(2 * old[0] * old[1], dtype=torch.float32).reshape(2, 1, *old)
        y = F.interpolate(x, new, mode="nearest")
        tensors |= prefixed(f"labels{number}", {"input": x[:, 0], "output": y[:, 0]})
    return tensors


# Adam ----------------------------------------------------------------------------------------

ADAM = {"paper": (0.0, 0.99), "classic": (0.5, 0.999)}
RATE = 0.05


def adam(betas, dtype):
    """Six updates by gradients of very different sizes; some are exactly zero, for one element
    always, for others at first or from the third update on."""
    weight, bias = (nn.Parameter((0.1 * randn(seed, *shape)).to(dtype))
                    for seed, shape in ((1, (3, 4)), (2, (3,))))
    optimizer = torch.optim.Adam([weight, bias], lr=RATE, betas=betas, eps=1e-8)
    tensors = {"initial.weight": weight.detach().clone(), "initial.bias": bias.detach().clone()}
    for step, exponent in enumerate((-3, 2, -1, 0, -4, 1)):
        for name, parameter in (("weight", weight), ("bias", bias)):
            gradient = 10.0**exponent * randn(10 * step + len(name), *parameter.shape)
            gradient.view(-1)[0] = 0
            gradient.view(-1)[1 if step < 2 else 2] = 0
            parameter.grad = gradient.to(dtype)
            tensors[f"{step}.gradient.{name}"] = gradient
        optimizer.step()
        for name, parameter in (("weight", weight), ("bias", bias)):
            moments = optimizer.state[parameter]
            tensors |= {f"{step}.{name}": parameter.detach().clone(),
                        f"{step}.{name}.moment_1": moments["exp_avg"].clone(),
                        f"{step}.{name}.moment_2": moments["exp_avg_sq"].clone()}
    return tensors


def adams(dtype):
    runs = [prefixed(name, adam(betas, dtype)) for name, betas in ADAM.items()]
    return runs[0] | runs[1] | {"rate": torch.tensor([RATE])}


# Moving average and refresh ------------------------------------------------------------------

DECAYS = {"fixed": lambda step: 0.9, "ramp": lambda step: min(0.3, (1 + step) / (10 + step))}
UPDATES = 6
REFRESH = 3
CLASSES = 4
GENERATOR = {"base_width": 2, "width_multipliers": [2, 1, 1], "encoder_channels": [2, 3, 2],
             "latent_dim": 3, "mapping_width": 4, "tokens": 2, "token_dim": 3,
             "attention_stride": 2}


def average(generator, dtype):
    """Averages of the states of a generator in training, over every entry of the state; then
    batches through a copy of the average in training mode without a graph; then an image."""

    def draw(module, labels, latent):
        features = module.features(one_hot(labels.to(dtype), CLASSES), latent.to(dtype))
        return module.image(features)

    def batch(seed):
        return labels_of(seed, CLASSES, 2, 1, 4, 6), randn(seed, 2, GENERATOR["latent_dim"])

    generator = copy.deepcopy(generator).to(dtype).train()
    averages = {name: state(generator) for name in DECAYS}
    tensors = prefixed("initial", state(generator))
    parameters = dict(generator.named_parameters())
    for step in range(1, UPDATES + 1):
        image = draw(generator, *batch(step))
        loss = (randn(step + 20, *image.shape).to(dtype) * image).sum()
        found = torch.autograd.grad(loss, parameters.values())
        update(parameters, dict(zip(parameters, found)), "", 0.01)
        current = state(generator)
        tensors[f"{step}.current"] = flat(current)
        for name, decay in DECAYS.items():
            kept = decay(step)
            averages[name] = {n: kept * t + (1 - kept) * current[n]
                              for n, t in averages[name].items()}
            tensors[f"{step}.{name}"] = flat(averages[name])

    for number in range(REFRESH):
        labels, tensors[f"latent.{number}"] = batch(30 + number)
        tensors[f"labels.{number}"] = labels[:, 0]
    labels, tensors["image.latent"] = batch(40)
    tensors["image.labels"] = labels[:, 0]
    for name, averaged in averages.items():
        load(generator, averaged)
        with torch.no_grad():
            generator.train()
            for number in range(REFRESH):
                draw(generator, *batch(30 + number))
            tensors[f"refreshed.{name}"] = flat(state(generator))
            generator.eval()
            tensors[f"image.{name}"] = draw(generator, *batch(40))
    return tensors


def load(module, values):
    """Puts a state under Rust names into the module."""
    for name, tensor in module.state_dict().items():
        if name.endswith("num_batches_tracked"):
            continue
        half = re.search(r"\b(gamma|beta)\.", name)
        wanted = re.sub(r"\b(gamma|beta)\.", "modulation.", name)
        wanted = re.sub(r"weight_([uv])$", r"spectral_norm.\1", wanted)
        value = values[re.sub(r"weight_orig$", "weight", wanted)]
        if half:
            value = value.chunk(2)[half[1] == "beta"]
        tensor.copy_(value)


def main():
    torch.set_num_threads(1)
    layers()
    for name, values in (("resize", resizes), ("adam", adams)):
        save(name, values(torch.float64), values(torch.float32))
    generator = randomise(Generator(GENERATOR, CLASSES), 3)
    with torch.no_grad():
        generator.encoder.levels[1].cross_attention.gate.fill_(0.7)
    save("average", average(generator, torch.float64), average(generator, torch.float32))


if __name__ == "__main__":
    main()
