"""Plain PyTorch networks for twin.py, written from the paper and the fact sheet.

Everything is in its dense form: one-hot label maps, a batch of 2N for a pair of latents from the
first layer on, one convolution each for gamma and beta, shortcuts at the resolution of their block.
"""

import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.utils import spectral_norm


def leaky(x):
    return F.leaky_relu(x, 0.2)


def conv3(channels_in, channels_out, **options):
    return nn.Conv2d(channels_in, channels_out, 3, padding=1, **options)


# Generator -------------------------------------------------------------------------------------


class Mapping(nn.Module):
    """Latents to tokens: three times linear and leaky ReLU."""

    def __init__(self, config):
        super().__init__()
        self.tokens = config["tokens"]
        hidden = config["mapping_width"]
        widths = [config["latent_dim"], hidden, hidden, self.tokens * config["token_dim"]]
        self.layers = nn.ModuleList(nn.Linear(a, b) for a, b in zip(widths, widths[1:]))

    def forward(self, latent):
        for layer in self.layers:
            latent = leaky(layer(latent))
        return latent.unflatten(1, (self.tokens, -1))


def attend(query, key, value):
    scores = torch.einsum("nqd,nkd->nqk", query, key) / query.shape[-1] ** 0.5
    return torch.einsum("nqk,nkd->nqd", torch.softmax(scores, dim=-1), value)


class CrossAttention(nn.Module):
    """Equations 1 and 2: pixels read from the tokens through a gate."""

    def __init__(self, channels, token_dim):
        super().__init__()
        self.query = nn.Linear(channels, channels)
        self.key = nn.Linear(token_dim, channels)
        self.value = nn.Linear(token_dim, channels)
        self.gate = nn.Parameter(torch.zeros(1))

    def forward(self, x, tokens):
        pixels = x.flatten(2).transpose(1, 2)
        read = attend(self.query(pixels), self.key(tokens), self.value(tokens))
        return x + self.gate * read.transpose(1, 2).unflatten(2, x.shape[2:])


class SelfAttention(nn.Module):
    def __init__(self, channels):
        super().__init__()
        for name in ("query", "key", "value", "output"):
            setattr(self, name, nn.Linear(channels, channels))

    def forward(self, x):
        pixels = x.flatten(2).transpose(1, 2)
        read = self.output(attend(self.query(pixels), self.key(pixels), self.value(pixels)))
        return x + read.transpose(1, 2).unflatten(2, x.shape[2:])


class EncoderLevel(nn.Module):
    def __init__(self, channels_in, channels, stride, attention, token_dim):
        super().__init__()
        self.conv = conv3(channels_in, channels, stride=stride)
        self.norm = nn.BatchNorm2d(channels)
        self.cross_attention = CrossAttention(channels, token_dim) if attention else None
        self.self_attention = SelfAttention(channels) if attention else None
        self.pointwise = nn.Conv2d(channels, channels, 1)

    def forward(self, x, tokens):
        x = F.gelu(self.norm(self.conv(x)))
        if self.cross_attention is not None:
            x = self.self_attention(self.cross_attention(x, tokens))
        return self.pointwise(x)


class Encoder(nn.Module):
    """One-hot label maps to one condition per level, fine to coarse."""

    def __init__(self, config, classes):
        super().__init__()
        channels = config["encoder_channels"]
        self.label_conv = conv3(classes, channels[0])
        self.norm = nn.BatchNorm2d(channels[0])
        self.levels = nn.ModuleList()
        for index in range(1, len(channels)):
            attention = 2 ** (index - 1) >= config["attention_stride"]
            self.levels.append(EncoderLevel(channels[index - 1], channels[index],
                                            1 if index == 1 else 2, attention,
                                            config["token_dim"]))

    def forward(self, one_hot, tokens):
        x = F.gelu(self.norm(self.label_conv(one_hot)))
        conditions = []
        for level in self.levels:
            x = level(x, tokens)
            conditions.append(x)
        return conditions


class Spade(nn.Module):
    def __init__(self, channels, condition):
        super().__init__()
        self.norm = nn.BatchNorm2d(channels, affine=False)
        self.gamma = conv3(condition, channels)
        self.beta = conv3(condition, channels)

    def forward(self, x, condition):
        return self.norm(x) * (1 + self.gamma(condition)) + self.beta(condition)


class SpadeBlock(nn.Module):
    def __init__(self, channels_in, channels_out, condition):
        super().__init__()
        middle = min(channels_in, channels_out)
        self.spade_0 = Spade(channels_in, condition)
        self.conv_0 = spectral_norm(conv3(channels_in, middle))
        self.spade_1 = Spade(middle, condition)
        self.conv_1 = spectral_norm(conv3(middle, channels_out))
        self.learned = channels_in != channels_out
        if self.learned:
            self.spade_s = Spade(channels_in, condition)
            self.conv_s = spectral_norm(nn.Conv2d(channels_in, channels_out, 1, bias=False))

    def forward(self, x, condition):
        shortcut = self.conv_s(self.spade_s(x, condition)) if self.learned else x
        hidden = self.conv_0(leaky(self.spade_0(x, condition)))
        return shortcut + self.conv_1(leaky(self.spade_1(hidden, condition)))


class Generator(nn.Module):
    def __init__(self, config, classes):
        super().__init__()
        widths = [m * config["base_width"] for m in config["width_multipliers"]]
        channels = config["encoder_channels"]
        count = len(widths) - 1
        self.mapping = Mapping(config)
        self.encoder = Encoder(config, classes)
        self.start = conv3(classes, widths[0])
        self.blocks = nn.ModuleList(
            SpadeBlock(widths[i], widths[i + 1], channels[-1] + channels[count - i])
            for i in range(count))
        self.to_image = conv3(widths[-1], 3)

    def features(self, one_hot, latent):
        """Activations before the last convolution, one image per latent."""
        conditions = self.encoder(one_hot, self.mapping(latent))
        coarsest = conditions[-1]
        size = coarsest.shape[2:]
        x = self.start(F.interpolate(one_hot, size, mode="nearest"))
        for index, block in enumerate(self.blocks):
            if index > 0:
                x = F.interpolate(x, scale_factor=2, mode="nearest")
            spread = F.interpolate(coarsest, x.shape[2:], mode="bilinear", align_corners=False)
            x = block(x, torch.cat([spread, conditions[-1 - index]], dim=1))
        return leaky(x)

    def image(self, features):
        return torch.tanh(self.to_image(features))


# Discriminator ---------------------------------------------------------------------------------


class Conditioning(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.norm = nn.BatchNorm2d(channels, affine=False)

    def forward(self, x):
        return self.norm(torch.sigmoid(x))


class Residual(nn.Module):
    """Residual block of the discriminator: doubles the resolution, or keeps it."""

    def __init__(self, channels_in, channels_out, up, first=False):
        super().__init__()
        self.up, self.first, self.learned = up, first, channels_in != channels_out
        self.conv_0 = spectral_norm(conv3(channels_in, channels_out))
        self.conv_1 = spectral_norm(conv3(channels_out, channels_out))
        if self.learned:
            self.conv_s = spectral_norm(nn.Conv2d(channels_in, channels_out, 1))

    def resized(self, x):
        return F.interpolate(x, scale_factor=2, mode="nearest") if self.up else x

    def forward(self, x):
        shortcut = self.resized(x)
        if self.learned:
            shortcut = self.conv_s(shortcut)
        hidden = self.resized(x if self.first else leaky(x))
        return shortcut + self.conv_1(leaky(self.conv_0(hidden)))


class Discriminator(nn.Module):
    """Decoder over conditioned backbone features, path at full resolution, head."""

    def __init__(self, config, channels, classes):
        super().__init__()
        widths, full = config["decoder_channels"], config["full_resolution_channels"]
        self.conditioning = nn.ModuleList(Conditioning(c) for c in channels)
        self.decoder, before = nn.ModuleList(), 0
        for skip, width in zip(list(reversed(channels)) + [0], widths):
            self.decoder.append(Residual(skip + before, width, up=True))
            before = width
        self.full_resolution = nn.ModuleList(
            Residual(3 if index == 0 else full, full, up=False, first=index == 0)
            for index in range(config["full_resolution_blocks"]))
        self.head = nn.Conv2d(before + full, classes + 1, 1)

    def forward(self, image, features):
        """`features` of the backbone from fine to coarse."""
        skips = [module(x) for module, x in zip(self.conditioning, features)]
        x = self.decoder[0](skips[-1])
        for block, skip in zip(self.decoder[1:], reversed(skips[:-1])):
            x = block(torch.cat([skip, x], dim=1))
        x = self.decoder[-1](x)
        for block in self.full_resolution:
            image = block(image)
        return self.head(torch.cat([x, image], dim=1))


# Contrastive projection ------------------------------------------------------------------------


class ProjectorHead(nn.Module):
    def __init__(self, channels, dim):
        super().__init__()
        self.conv = conv3(channels, dim)
        self.hidden = nn.Linear(dim, dim)
        self.output = nn.Linear(dim, dim)

    def forward(self, features, positions):
        rows = torch.relu(self.conv(features)).flatten(2)[:, :, positions].transpose(1, 2)
        return F.normalize(self.output(torch.relu(self.hidden(rows))), dim=-1)


class Projector(nn.Module):
    def __init__(self, channels, dim):
        super().__init__()
        self.heads = nn.ModuleList(ProjectorHead(c, dim) for c in channels)
