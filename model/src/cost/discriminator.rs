use serde::Serialize;

use super::{Convention, Cost, convolution};
use crate::discriminator::{DiscriminatorArchitecture, DiscriminatorConfig};
use crate::layers::ConvConfig;

/// Cost of the trained part of a discriminator. Its backbone is counted by
/// [`backbone`](super::backbone()).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct DiscriminatorCost {
    /// Convolutions that read nothing but the image or the backbone's features: when the
    /// discriminator is trained, no gradient has to reach their input.
    pub inputs: Cost,
    /// Every other convolution.
    pub inner: Cost,
    /// Projections before all of them that are never trained, without parameters.
    pub frozen: Cost,
}

impl DiscriminatorCost {
    /// The whole of it.
    pub fn total(&self) -> Cost {
        self.inputs + self.inner + self.frozen
    }
}

/// Cost of the discriminator over features with these channels and strides, fine to coarse, which
/// the configuration must accept ([`DiscriminatorConfig::validate`]), for images of `height` by
/// `width` pixels, multiples of the coarsest stride.
pub fn discriminator(
    config: &DiscriminatorConfig,
    channels: &[usize],
    strides: &[usize],
    classes: usize,
    [height, width]: [usize; 2],
    convention: Convention,
) -> DiscriminatorCost {
    if config.architecture == DiscriminatorArchitecture::Oasis {
        return oasis(config, classes, [height, width], convention);
    }
    let plan = config.decoder_plan(channels, strides);
    let [mut inputs, mut inner, mut frozen] = [Cost::default(); 3];
    if config.conditioning.has_projection() {
        for (level, (&from, &stride)) in channels.iter().zip(strides).enumerate() {
            let (rows, columns) = (height / stride, width / stride);
            let middle = config.projection_channels << level;
            let mut scale = convolution(
                ConvConfig::new(middle, plan.channels[level], 1),
                rows,
                columns,
            );
            if convention == Convention::Published {
                scale.macs *= 4;
            }
            let across = convolution(ConvConfig::new(from, middle, 1), rows, columns);
            frozen.macs += across.macs + scale.macs;
        }
    }
    let blocks = plan.widths.len();
    let mut decoded = 0;
    for (index, &to) in plan.widths.iter().enumerate() {
        let stride = 1 << (blocks - index);
        let skip = plan
            .strides
            .iter()
            .zip(&plan.channels)
            .find(|(s, _)| **s == stride)
            .map_or(0, |(_, c)| *c);
        let fine = [2 * height / stride, 2 * width / stride];
        let (entry, exit) = residual([skip + decoded, to], fine, true, convention);
        *if index == 0 { &mut inputs } else { &mut inner } += entry;
        inner += exit;
        decoded = to;
    }
    let full = config.full_resolution_channels;
    for index in 0..config.full_resolution_blocks {
        let from = if index == 0 { 3 } else { full };
        let (entry, exit) = residual([from, full], [height, width], false, convention);
        *if index == 0 { &mut inputs } else { &mut inner } += entry;
        inner += exit;
    }
    let head = ConvConfig::new(decoded + full, classes + 1, 1);
    inner += convolution(head, height, width);
    DiscriminatorCost {
        inputs,
        inner,
        frozen,
    }
}

fn oasis(
    config: &DiscriminatorConfig,
    classes: usize,
    [height, width]: [usize; 2],
    convention: Convention,
) -> DiscriminatorCost {
    let down = &config.oasis.encoder_channels;
    let (mut inputs, mut inner) = (Cost::default(), Cost::default());
    let mut from = 3;
    for (index, &to) in down.iter().enumerate() {
        let fine = [height >> index, width >> index];
        // The first block pools before its 1×1 convolution in every implementation (notes D4).
        let first = index == 0;
        let counted = if first {
            Convention::Executed
        } else {
            convention
        };
        let (entry, exit) = residual([from, to], fine, true, counted);
        *if first { &mut inputs } else { &mut inner } += entry;
        inner += exit;
        from = to;
    }
    let blocks = down.len();
    for (index, &to) in config.oasis.decoder_channels.iter().enumerate() {
        let skip = if index == 0 {
            0
        } else {
            down[blocks - 1 - index]
        };
        let shift = blocks - 1 - index;
        let fine = [height >> shift, width >> shift];
        let (entry, exit) = residual([skip + from, to], fine, true, convention);
        inner += entry + exit;
        from = to;
    }
    inner += convolution(ConvConfig::new(from, classes + 1, 1), height, width);
    DiscriminatorCost {
        inputs,
        inner,
        frozen: Cost::default(),
    }
}

/// A residual block: what reads its input (first convolution and shortcut), and the second
/// convolution. `fine` is the size of its 3×3 convolutions; in a block that resamples, the
/// shortcut's 1×1 convolution runs on the coarse side, at half that.
fn residual(
    [from, to]: [usize; 2],
    fine: [usize; 2],
    resamples: bool,
    convention: Convention,
) -> (Cost, Cost) {
    let [height, width] = fine;
    let mut entry = convolution(ConvConfig::new(from, to, 3), height, width);
    if from != to {
        let coarse = resamples && convention == Convention::Executed;
        let factor = if coarse { 2 } else { 1 };
        entry += convolution(
            ConvConfig::new(from, to, 1),
            height / factor,
            width / factor,
        );
    }
    (
        entry,
        convolution(ConvConfig::new(to, to, 3), height, width),
    )
}
