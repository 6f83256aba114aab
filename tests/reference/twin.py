"""A training step and a run of twenty steps of a tiny model, computed with PyTorch in float64.

    python tests/reference/twin.py            # writes tests/fixtures/twin/{initial,expected}
    python tests/reference/twin.py --noise    # also prints what float32 does to the same run

The networks are in twin_networks.py, the sizes in tests/fixtures/twin/experiment.toml. States are
stored under the names and layouts of the Rust program. Initial weights are large enough for every
part to matter: gates are open, and gradients are far above rounding wherever they are not zero in
exact arithmetic. Needs torch 2.15, timm 1.0.31 and safetensors 0.8.
"""

import copy
import pathlib
import sys
import tomllib

import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file
from timm.models.convnext import ConvNeXt

from twin_networks import Discriminator, Generator, Projector

ROOT = pathlib.Path(__file__).resolve().parents[2]
OUT = ROOT / "tests" / "fixtures" / "twin"
BACKBONE = ROOT / "model" / "weights" / "convnext_pico_scenes.safetensors"
CONFIG = tomllib.loads((OUT / "experiment.toml").read_text())
STEPS, BANK, CLASSES = 20, 4, 5
CHANNELS = (24, 48, 96, 192)


# State in the names of the program -------------------------------------------------------------


def named(tensors):
    """PyTorch's names and layouts to those of the Rust program, whose SPADE keeps gamma and beta in
    one convolution and whose projection keeps linear weights transposed."""
    state = {}
    for name, tensor in tensors.items():
        if name.endswith("num_batches_tracked") or ".beta." in name:
            continue
        if ".gamma." in name:
            tensor = torch.cat([tensor, tensors[name.replace(".gamma.", ".beta.")]])
            name = name.replace(".gamma.", ".modulation.")
        if name.startswith("heads.") and name.endswith(("hidden.weight", "output.weight")):
            tensor = tensor.t()
        for torch_name, own in (("weight_orig", "weight"), ("weight_u", "spectral_norm.u"),
                                ("weight_v", "spectral_norm.v")):
            name = name.replace(torch_name, own)
        state[name] = tensor.detach().float().contiguous().clone()
    return state


def gradients(module):
    return named({name: p.grad for name, p in module.named_parameters()})


def prefixed(prefix, state):
    return {f"{prefix}.{name}": tensor for name, tensor in state.items()}


# Inputs ----------------------------------------------------------------------------------------


def randomise(module, rng):
    """Values of a trained network's size, rounded to what float32 holds."""
    for name, tensor in module.state_dict().items():
        if not tensor.is_floating_point():
            continue
        noise = torch.randn(tensor.shape, generator=rng)
        if name.endswith("running_var"):
            value = 0.5 + noise.abs()
        elif name.endswith("gate"):
            value = 0.8 + 0.1 * noise
        elif name.endswith(("weight_u", "weight_v")):
            value = F.normalize(noise, dim=0)
        elif name.endswith("norm.weight"):
            value = 1 + 0.2 * noise
        elif tensor.dim() == 1:
            value = 0.1 * noise
        else:
            value = noise * (1.5 / tensor[0].numel()) ** 0.5
        tensor.copy_(value)


def scenes(rng):
    """Label maps of rectangles, one with a strip of void, and photos coloured by class."""
    height, width = CONFIG["data"]["height"], CONFIG["data"]["width"]
    palette = torch.randint(40, 216, (CLASSES, 3), generator=rng)
    labels = torch.ones(BANK, height, width, dtype=torch.int64)
    for image in range(BANK):
        for _ in range(9):
            y, x = (int(torch.randint(0, s - 6, (1,), generator=rng)) for s in (height, width))
            h, w = (int(torch.randint(5, s, (1,), generator=rng)) for s in (18, 40))
            labels[image, y:y + h, x:x + w] = int(torch.randint(1, CLASSES, (1,), generator=rng))
    labels[::2, -3:] = 0
    labels[2][labels[2] == 3] = 1  # batches differ in the classes they have
    labels[3][labels[3] == 3] = 4
    noise = torch.randint(-40, 40, (BANK, height, width, 3), generator=rng)
    return labels, palette[labels] + noise


def inputs():
    rng = torch.Generator().manual_seed(11)
    with torch.no_grad():
        networks = {"generator": Generator(CONFIG["generator"], CLASSES),
                    "discriminator": Discriminator(CONFIG["discriminator"], CHANNELS, CLASSES),
                    "projector": Projector(CHANNELS[:3], contrastive()["loss"]["dim"])}
        for network in networks.values():
            randomise(network, rng)
    labels, images = scenes(rng)
    batch, latent = CONFIG["run"]["batch"], CONFIG["generator"]["latent_dim"]
    height, width = CONFIG["data"]["height"], CONFIG["data"]["width"]
    data = {
        "images": images,
        "labels": labels,
        "order": torch.stack([torch.randperm(BANK, generator=rng)[:batch] for _ in range(STEPS)]),
        "latents.generator": torch.randn(STEPS, 2 * batch, latent, generator=rng),
        "latents.discriminator": torch.randn(STEPS, batch, latent, generator=rng),
    }
    for stride in (4, 8, 16):
        count = (height // stride) * (width // stride)
        data[f"positions.{count}"] = torch.stack(
            [torch.randperm(count, generator=rng)[:contrastive()["loss"]["negatives"] + 1]
             for _ in range(STEPS)])
    return networks, data


def contrastive():
    return CONFIG["loss"]["contrastive"]


def backbone(dtype):
    model = ConvNeXt(depths=(1, 1, 3, 1), dims=CHANNELS, num_classes=0)
    missing, unused = model.load_state_dict(load_file(BACKBONE), strict=False)
    assert not unused and all(name.startswith("head.") for name in missing), (missing, unused)
    model.eval().requires_grad_(False).to(dtype)

    def features(image):
        # Mean and deviation of 0.5 leave an image in [-1, 1] as it is.
        x, found = model.stem(image), []
        for stage in model.stages:
            x = stage(x)
            found.append(x)
        return found

    return features


# Losses ----------------------------------------------------------------------------------------


def class_weights(labels, dtype):
    counts = torch.bincount(labels.flatten(), minlength=CLASSES).to(dtype)
    counts[0] = 0
    present = (counts > 0).sum()
    return torch.where(counts > 0, labels.numel() / (present * counts.clamp(min=1)), 0.0)


def pixel_loss(logits, target, weights, smoothing):
    outputs = logits.shape[1]
    one_hot = F.one_hot(target, outputs).movedim(-1, 1).to(logits.dtype)
    wanted = (1 - smoothing) * one_hot + smoothing / outputs
    p = torch.softmax(logits, dim=1)
    gamma = CONFIG["loss"]["pixel"]["gamma"]
    return (-(wanted * (1 - p) ** gamma * torch.log(p)).sum(dim=1) * weights).mean()


def contrastive_loss(projector, fake, real, positions):
    total = 0
    for head, x, y, at in zip(projector.heads, fake, real, positions):
        query, key = head(x, at), head(y, at).detach()
        logits = torch.einsum("npd,nqd->npq", query, key) / contrastive()["loss"]["tau"]
        own = torch.arange(len(at)).repeat(len(x))
        total = total + F.cross_entropy(logits.flatten(0, 1), own)
    return total


def diversity_loss(features, latent):
    (a, b), (z_a, z_b) = features.chunk(2), latent.chunk(2)
    ratio = (a - b).abs().flatten(1).mean(dim=1) / (z_a - z_b).abs().mean(dim=1)
    return torch.relu(CONFIG["loss"]["diversity_cutoff"] - ratio).mean()


# Training --------------------------------------------------------------------------------------


class Twin:
    def __init__(self, networks, data, dtype):
        networks = {name: copy.deepcopy(network).to(dtype).train()
                    for name, network in networks.items()}
        self.generator, self.discriminator, self.projector = networks.values()
        self.initial = {name: copy.deepcopy(network.state_dict())
                        for name, network in networks.items()}
        self.ema = copy.deepcopy(self.generator)
        self.backbone, self.data, self.dtype = backbone(dtype), data, dtype
        config = CONFIG["optimizer"]

        def adam(network, lr):
            betas = (config["beta_1"], config["beta_2"])
            return torch.optim.Adam(network.parameters(), lr=lr, betas=betas,
                                    eps=config["epsilon"])

        self.adam_g = adam(self.generator, config["lr_generator"])
        self.adam_p = adam(self.projector, config["lr_generator"])
        self.adam_d = adam(self.discriminator, config["lr_discriminator"])

    def batch(self, index):
        order = self.data["order"][index]
        labels, images = self.data["labels"][order], self.data["images"][order]
        one_hot = F.one_hot(labels, CLASSES).movedim(-1, 1).to(self.dtype)
        return labels, one_hot, images.movedim(-1, 1).to(self.dtype) / 127.5 - 1

    def step(self, index):
        """Losses, norms and accuracies of step `index`, counted from 0."""
        terms = {}
        self.generator_step(index, terms)
        self.discriminator_step(index, terms)
        config = CONFIG["ema"]
        ramp = (2 + index) / (11 + index)
        decay = min(config["decay"], ramp) if config["ramp"] else config["decay"]
        with torch.no_grad():
            current = self.generator.state_dict()
            for name, tensor in self.ema.state_dict().items():
                if tensor.is_floating_point():
                    tensor.copy_(decay * tensor + (1 - decay) * current[name])
        return {name: float(value.detach()) for name, value in terms.items()}

    def generator_step(self, index, terms):
        loss = CONFIG["loss"]
        labels, one_hot, real = self.batch(index)
        weights = class_weights(labels, self.dtype)[labels]
        latent = self.data["latents.generator"][index].to(self.dtype)
        features = self.generator.features(one_hot.repeat(2, 1, 1, 1), latent)
        image = self.generator.image(features[:len(labels)])
        taps = self.backbone(image)
        logits = self.discriminator(image, taps)
        maps = [self.data[f"positions.{tap[0, 0].numel()}"][index] for tap in taps[:3]]
        terms["g_gan"] = loss["lambda_gan"] * pixel_loss(logits, labels, weights, 0.0)
        terms["g_contrastive"] = contrastive()["lambda"] * contrastive_loss(
            self.projector, taps[:3], self.backbone(real)[:3], maps)
        terms["g_diversity"] = loss["lambda_diversity"] * diversity_loss(features, latent)
        for name, at in (("gan", image), ("contrastive", image), ("diversity", features)):
            (pull,) = torch.autograd.grad(terms[f"g_{name}"], at, retain_graph=True)
            terms[f"norm_{name}"] = pull.norm()
        with torch.no_grad():
            second = self.generator.image(features[len(labels):])
        terms["noise_effect"] = (image - second).abs().mean()
        for name, images in (("fake", image), ("real", real)):
            exposures = images.mean(dim=(1, 2, 3))
            terms[f"exposure_{name}"] = exposures.mean()
            terms[f"exposure_{name}_squared"] = exposures.square().mean()
        total = terms["g_gan"] + terms["g_contrastive"] + terms["g_diversity"]
        terms["g_total"] = total
        self.adam_g.zero_grad()
        self.adam_p.zero_grad()
        total.backward()
        self.adam_g.step()
        self.adam_p.step()

    def discriminator_step(self, index, terms):
        labels, one_hot, real = self.batch(index)
        weights = class_weights(labels, self.dtype)[labels]
        latent = self.data["latents.discriminator"][index].to(self.dtype)
        with torch.no_grad():
            fake = self.generator.image(self.generator.features(one_hot, latent))
        on_fake = self.discriminator(fake, self.backbone(fake))
        on_real = self.discriminator(real, self.backbone(real))
        wanted = torch.full_like(labels, CLASSES)
        terms["accuracy_fake"] = (on_fake.argmax(dim=1) == wanted).to(self.dtype).mean()
        hits = (on_real.argmax(dim=1) == labels)[labels != 0]
        terms["accuracy_real"] = hits.to(self.dtype).mean()
        terms["d_fake"] = pixel_loss(on_fake, wanted, torch.ones_like(weights), 0.0)
        smoothing = CONFIG["loss"]["pixel"]["label_smoothing"]
        terms["d_real"] = pixel_loss(on_real, labels, weights, smoothing)
        terms["d_total"] = terms["d_fake"] + terms["d_real"]
        self.adam_d.zero_grad()
        terms["d_total"].backward()
        self.adam_d.step()

    def left(self, name, network):
        """How far each parameter has moved, which says more than where it is, and the buffers."""
        state, before = network.state_dict(), self.initial[name]
        for parameter, _ in network.named_parameters():
            state[parameter] = state[parameter] - before[parameter]
        return named(state)

    def run(self):
        """Every term of every step, and all that the first step leaves behind."""
        terms = [self.step(0)]
        after = {}
        for name in ("generator", "discriminator", "projector"):
            network = getattr(self, name)
            after |= prefixed(f"after.{name}", self.left(name, network))
            after |= prefixed(f"gradient.{name}", gradients(network))
        after |= prefixed("after.ema", self.left("generator", self.ema))
        terms += [self.step(index) for index in range(1, STEPS)]
        return {name: [row[name] for row in terms] for name in terms[0]}, after


def noise(networks, data, exact):
    """What rounding does: the same run in float32, on one thread and on two."""
    for threads in (1, 2):
        torch.set_num_threads(threads)
        terms, after = Twin(networks, data, torch.float32).run()
        print(f"float32 on {threads} thread(s): largest relative difference to float64")
        for name, values in exact[0].items():
            off = [abs(a - b) / max(abs(b), 1e-9) for a, b in zip(terms[name], values)]
            print(f"  {name:17} step 1 {off[0]:.1e}  all steps {max(off):.1e}")
        worst = {}
        for network in ("generator", "discriminator", "projector"):
            found = {n: t for n, t in exact[1].items() if n.startswith(f"gradient.{network}")}
            largest = max(t.abs().max() for t in found.values())
            for name, wanted in found.items():
                scale = max(wanted.abs().max(), 1e-4 * largest)
                worst[name] = float((after[name] - wanted).abs().max() / scale)
        for name, error in sorted(worst.items(), key=lambda item: -item[1])[:6]:
            print(f"  {name:50} {error:.1e}")


if __name__ == "__main__":
    torch.set_num_threads(1)
    networks, data = inputs()
    exact = Twin(networks, data, torch.float64).run()
    terms, after = exact
    for name, values in terms.items():
        print(f"{name:17}", *(f"{value:9.4f}" for value in values[::3]))
    initial = {name: tensor if tensor.is_floating_point() else tensor.half()
               for name, tensor in data.items()}
    for name, network in networks.items():
        initial |= prefixed(name, named(network.state_dict()))
    save_file(initial, OUT / "initial.safetensors")
    expected = {f"terms.{name}": torch.tensor(values) for name, values in terms.items()}
    save_file(expected | after, OUT / "expected.safetensors")
    if "--noise" in sys.argv:
        noise(networks, data, exact)
