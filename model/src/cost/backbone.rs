use super::{Cost, convolution, linear};
use crate::backbones::{
    Architecture, BackboneKind, ConvNextConfig, EfficientNetLiteConfig, VggConfig, architecture,
};
use crate::layers::ConvConfig;

/// Cost of a frozen backbone up to its last tap, for images of `height` by `width` pixels. Its
/// parameters are those of the network with batch norm folded into the convolutions.
pub fn backbone(kind: BackboneKind, height: usize, width: usize) -> Cost {
    match architecture(kind) {
        Architecture::ConvNext(config) => convnext(&config, height, width),
        Architecture::EfficientNetLite(config) => efficientnet_lite(&config, height, width),
        Architecture::Vgg(config) => vgg(&config, height, width),
    }
}

pub(super) fn convnext(config: &ConvNextConfig, height: usize, width: usize) -> Cost {
    let norm = |channels: usize| Cost {
        macs: 0,
        parameters: 2 * channels as u64,
    };
    let (mut rows, mut columns) = (height / 4, width / 4);
    let mut cost = Cost::default();
    let mut input = 3;
    for (stage, (&channels, &depth)) in config.dims.iter().zip(&config.depths).enumerate() {
        let patch = if stage == 0 { 4 } else { 2 };
        if stage == 0 {
            cost += norm(channels);
        } else {
            (rows, columns) = (rows / 2, columns / 2);
            cost += norm(input);
        }
        cost += convolution(ConvConfig::new(input, channels, patch), rows, columns);
        let block = depthwise(channels, 7, rows, columns)
            + norm(channels)
            + linear(channels, 4 * channels, rows * columns)
            + linear(4 * channels, channels, rows * columns)
            + Cost {
                macs: 0,
                parameters: channels as u64,
            };
        cost += (0..depth).map(|_| block).sum();
        input = channels;
    }
    cost
}

pub(super) fn efficientnet_lite(
    config: &EfficientNetLiteConfig,
    height: usize,
    width: usize,
) -> Cost {
    let plan = config.plan();
    let (mut rows, mut columns) = (height.div_ceil(2), width.div_ceil(2));
    let stem = plan[0][0].input;
    let mut cost = convolution(ConvConfig::new(3, stem, 3), rows, columns);
    for block in plan.iter().flatten() {
        let hidden = block.input * block.expansion;
        if block.expansion > 1 {
            cost += convolution(ConvConfig::new(block.input, hidden, 1), rows, columns);
        }
        (rows, columns) = (rows.div_ceil(block.stride), columns.div_ceil(block.stride));
        cost += depthwise(hidden, block.kernel, rows, columns)
            + convolution(ConvConfig::new(hidden, block.output, 1), rows, columns);
    }
    cost
}

/// The last tap follows the first convolution of the last block.
pub(super) fn vgg(config: &VggConfig, height: usize, width: usize) -> Cost {
    let last = config.convolutions.len() - 1;
    let (mut rows, mut columns) = (height, width);
    let mut cost = Cost::default();
    let mut input = 3;
    for (block, (&channels, &repeats)) in
        config.channels.iter().zip(&config.convolutions).enumerate()
    {
        for _ in 0..if block == last { 1 } else { repeats } {
            cost += convolution(ConvConfig::new(input, channels, 3), rows, columns);
            input = channels;
        }
        (rows, columns) = (rows / 2, columns / 2);
    }
    cost
}

/// A convolution of every channel by itself.
fn depthwise(channels: usize, kernel: usize, rows: usize, columns: usize) -> Cost {
    convolution(ConvConfig::new(1, channels, kernel), rows, columns)
}
