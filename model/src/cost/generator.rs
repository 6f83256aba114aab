use serde::Serialize;

use super::{Convention, Cost, attention, convolution, label_conv, latent_conv, linear};
use crate::generator::{GeneratorArchitecture, GeneratorConfig, NoiseMode};
use crate::layers::{ConvConfig, resize_macs};

/// Cost of a generator by part. Each is that of one image under one latent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct GeneratorCost {
    /// What depends on the label map alone and runs once however many latents it is given: label
    /// convolutions and the encoder up to its first attention to the noise.
    pub labels: Cost,
    /// Mapping network, noise convolutions, and the encoder from its first attention on.
    pub noise: Cost,
    /// SPADE blocks from the start grid to full resolution.
    pub blocks: Vec<Cost>,
    /// Convolution to RGB.
    pub to_image: Cost,
    /// Multiply-adds of the blocks, counted there, that are products with constants: their backward pass
    /// has a gradient of one operand alone.
    pub resizes: u64,
}

impl GeneratorCost {
    /// The whole generator.
    pub fn total(&self) -> Cost {
        self.labels + self.features() + self.to_image
    }

    /// What runs again for every further latent of a label map to get features.
    pub fn features(&self) -> Cost {
        self.noise + self.blocks.iter().copied().sum()
    }
}

/// Cost of the generator for label maps of `classes` classes and `height` by `width` pixels, which
/// the configuration must accept ([`GeneratorConfig::validate`]).
pub fn generator(
    config: &GeneratorConfig,
    classes: usize,
    [height, width]: [usize; 2],
    convention: Convention,
) -> GeneratorCost {
    if config.architecture == GeneratorArchitecture::Oasis {
        return oasis(config, classes, [height, width], convention);
    }
    let widths = config.widths();
    let (rows, columns) = (
        height / config.start_stride(),
        width / config.start_stride(),
    );
    let (mut labels, mut noise) = encoder(config, classes, [height, width], convention);
    labels += label_conv(
        config.label_channels(classes),
        widths[0],
        rows * columns,
        convention,
    );
    match config.noise {
        NoiseMode::Concat => {
            noise += latent_conv(config.latent_dim, widths[0], rows * columns, convention);
        }
        NoiseMode::CrossAttention => {
            let hidden = config.mapping_width;
            noise += linear(config.latent_dim, hidden, 1)
                + linear(hidden, hidden, 1)
                + linear(hidden, config.tokens * config.token_dim, 1);
        }
        NoiseMode::None => {}
    }
    let channels = &config.encoder_channels;
    let blocks = (0..config.blocks())
        .map(|index| {
            let condition = Condition {
                global: channels[config.blocks()],
                global_size: [rows, columns],
                local: channels[config.blocks() - index],
            };
            let size = [rows << index, columns << index];
            spade_block(
                [widths[index], widths[index + 1]],
                condition,
                size,
                convention,
            )
        })
        .collect();
    let resizes = match convention {
        Convention::Published => 0,
        Convention::Executed => resizes(&widths, [rows, columns]),
    };
    GeneratorCost {
        labels,
        noise,
        blocks,
        to_image: to_image(config, height, width),
        resizes,
    }
}

/// Multiply-adds of all modulations that resize a condition of the size of the start grid.
fn resizes(widths: &[usize], start @ [rows, columns]: [usize; 2]) -> u64 {
    let of_block = |(index, pair): (usize, &[usize])| {
        let (from, middle) = (pair[0], pair[0].min(pair[1]));
        let inputs = if from == pair[1] { 1 } else { 2 };
        let outputs = 2 * (inputs * from + middle);
        (outputs * resize_macs(start, [rows << index, columns << index])) as u64
    };
    widths.windows(2).enumerate().map(of_block).sum()
}

fn to_image(config: &GeneratorConfig, height: usize, width: usize) -> Cost {
    let last = config.widths()[config.blocks()];
    convolution(ConvConfig::new(last, 3, 3), height, width)
}

/// The start and the shared convolutions count as `labels` and `noise`.
fn oasis(
    config: &GeneratorConfig,
    classes: usize,
    [height, width]: [usize; 2],
    convention: Convention,
) -> GeneratorCost {
    let widths = config.widths();
    let stride = config.start_stride();
    let (mut labels, mut noise) = (Cost::default(), Cost::default());
    let mut read = |channels, pixels| {
        labels += label_conv(config.label_channels(classes), channels, pixels, convention);
        if config.noise == NoiseMode::Concat {
            noise += latent_conv(config.latent_dim, channels, pixels, convention);
        }
    };
    read(widths[0], (height / stride) * (width / stride));
    let mut blocks = Vec::with_capacity(config.blocks());
    for (index, pair) in widths.windows(2).enumerate() {
        let (rows, columns) = ((height / stride) << index, (width / stride) << index);
        let spades = if pair[0] == pair[1] { 2 } else { 3 };
        for _ in 0..spades {
            read(config.spade_hidden, rows * columns);
        }
        let condition = Condition {
            global: 0,
            global_size: [0, 0],
            local: config.spade_hidden,
        };
        let size = [rows, columns];
        blocks.push(spade_block([pair[0], pair[1]], condition, size, convention));
    }
    GeneratorCost {
        labels,
        noise,
        blocks,
        to_image: to_image(config, height, width),
        resizes: 0,
    }
}

/// Cost of the encoder: before the noise enters, and from there on.
fn encoder(
    config: &GeneratorConfig,
    classes: usize,
    [height, width]: [usize; 2],
    convention: Convention,
) -> (Cost, Cost) {
    let channels = &config.encoder_channels;
    let mut labels = label_conv(
        config.label_channels(classes),
        channels[0],
        height * width,
        convention,
    );
    let mut noise = Cost::default();
    let mut noisy = config.noise == NoiseMode::Concat;
    if noisy {
        noise += latent_conv(config.latent_dim, channels[0], height * width, convention);
    }
    let affine = |channels: usize| Cost {
        macs: 0,
        parameters: 2 * channels as u64,
    };
    labels += affine(channels[0]);
    for (level, pair) in channels.windows(2).enumerate() {
        let stride = 1 << level;
        let (rows, columns) = (height / stride, width / stride);
        let (channels, pixels) = (pair[1], rows * columns);
        let attends = stride >= config.attention_stride;
        let conv = convolution(ConvConfig::new(pair[0], channels, 3), rows, columns);
        *if noisy { &mut noise } else { &mut labels } += conv + affine(channels);
        if attends && config.noise == NoiseMode::CrossAttention {
            noisy = true;
            noise += linear(channels, channels, pixels)
                + linear(config.token_dim, channels, config.tokens)
                + linear(config.token_dim, channels, config.tokens)
                + attention(pixels, config.tokens, channels)
                + Cost {
                    macs: 0,
                    parameters: 1,
                };
        }
        let mut rest = Cost::default();
        if config.pointwise {
            rest += convolution(ConvConfig::new(channels, channels, 1), rows, columns);
        }
        if attends && config.self_attention {
            rest += (0..4)
                .map(|_| linear(channels, channels, pixels))
                .sum::<Cost>()
                + attention(pixels, pixels, channels);
        }
        *if noisy { &mut noise } else { &mut labels } += rest;
    }
    (labels, noise)
}

/// Channels of what a SPADE reads.
#[derive(Clone, Copy)]
struct Condition {
    global: usize,
    /// Before it is resized.
    global_size: [usize; 2],
    local: usize,
}

impl Condition {
    /// The convolution to γ and β of `channels` channels.
    fn modulation(self, channels: usize, size: [usize; 2], convention: Convention) -> Cost {
        let [height, width] = size;
        let config = ConvConfig::new(self.global + self.local, 2 * channels, 3);
        let dense = convolution(config, height, width);
        match convention {
            Convention::Published => dense,
            Convention::Executed => {
                let outputs = config.channels_out;
                let local = ConvConfig::new(self.local, outputs, 3).macs(height, width);
                let [rows, columns] = self.global_size;
                let under_taps = ConvConfig::new(self.global, outputs, 3).macs(rows, columns);
                let resize = resize_macs(self.global_size, size);
                Cost {
                    macs: local + under_taps + (outputs * resize) as u64,
                    ..dense
                }
            }
        }
    }
}

fn spade_block(
    [from, to]: [usize; 2],
    condition: Condition,
    size: [usize; 2],
    convention: Convention,
) -> Cost {
    let [rows, columns] = size;
    let middle = from.min(to);
    let spade = |channels| condition.modulation(channels, size, convention);
    let mut cost = spade(from)
        + convolution(ConvConfig::new(from, middle, 3), rows, columns)
        + spade(middle)
        + convolution(ConvConfig::new(middle, to, 3), rows, columns);
    if from != to {
        let shortcut = ConvConfig::new(from, to, 1).with_bias(false);
        cost += spade(from) + convolution(shortcut, rows, columns);
    }
    cost
}
