use super::{Cost, attention, convolution, linear};
use crate::backbones::{
    Architecture, BackboneKind, ConvNextConfig, EfficientNetLiteConfig, ResNetConfig, SwinConfig,
    VggConfig, architecture,
};
use crate::layers::ConvConfig;

/// Cost of a frozen backbone up to its last tap, for images of `height` by `width` pixels. Its
/// parameters are those of the network with batch norm folded into the convolutions.
pub fn backbone(kind: BackboneKind, height: usize, width: usize) -> Cost {
    match architecture(kind) {
        Architecture::ConvNext(config) => convnext(&config, height, width),
        Architecture::EfficientNetLite(config) => efficientnet_lite(&config, height, width),
        Architecture::ResNet(config) => resnet(&config, height, width),
        Architecture::Swin(config) => swin(&config, height, width),
        Architecture::Vgg(config) => vgg(&config, height, width),
    }
}

pub(super) fn convnext(config: &ConvNextConfig, height: usize, width: usize) -> Cost {
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
            + stored(channels);
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

pub(super) fn resnet(config: &ResNetConfig, height: usize, width: usize) -> Cost {
    let stages = config.stages();
    let (mut rows, mut columns) = (height.div_ceil(2), width.div_ceil(2));
    let stem = stages[0][0].input;
    let mut cost = convolution(ConvConfig::new(3, stem, 7), rows, columns);
    (rows, columns) = (rows.div_ceil(2), columns.div_ceil(2));
    for block in stages.iter().flatten() {
        let inner = |kernel| ConvConfig::new(block.width, block.width, kernel);
        cost += convolution(ConvConfig::new(block.input, block.width, 1), rows, columns);
        (rows, columns) = (rows.div_ceil(block.stride), columns.div_ceil(block.stride));
        cost += convolution(inner(3), rows, columns)
            + convolution(
                ConvConfig::new(block.width, block.output(), 1),
                rows,
                columns,
            );
        if block.has_shortcut() {
            cost += convolution(
                ConvConfig::new(block.input, block.output(), 1),
                rows,
                columns,
            );
        }
    }
    cost
}

/// Attention covers the padding of the last windows as well.
pub(super) fn swin(config: &SwinConfig, height: usize, width: usize) -> Cost {
    let dims = config.tap_channels();
    let (mut rows, mut columns) = (height / 4, width / 4);
    let mut cost = convolution(ConvConfig::new(3, dims[0], 4), rows, columns) + norm(dims[0]);
    for (stage, &channels) in dims.iter().enumerate() {
        if stage > 0 {
            let reduction = ConvConfig::new(2 * channels, channels, 1).with_bias(false);
            (rows, columns) = (rows.div_ceil(2), columns.div_ceil(2));
            cost += norm(2 * channels) + convolution(reduction, rows, columns);
        }
        let grid = config.fit.grid([rows, columns], config.window, false);
        let (pixels, covered) = (rows * columns, grid.count() * grid.area());
        let block = norm(channels)
            + linear(channels, 3 * channels, covered)
            + attention(covered, grid.area(), channels)
            + stored((2 * config.window - 1).pow(2) * config.heads[stage])
            + linear(channels, channels, covered)
            + norm(channels)
            + linear(channels, 4 * channels, pixels)
            + linear(4 * channels, channels, pixels);
        cost += (0..config.depths[stage]).map(|_| block).sum();
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

/// Scale and shift of every channel.
fn norm(channels: usize) -> Cost {
    stored(2 * channels)
}

/// Parameters that multiply nothing.
fn stored(parameters: usize) -> Cost {
    Cost {
        macs: 0,
        parameters: parameters as u64,
    }
}

/// A convolution of every channel by itself.
fn depthwise(channels: usize, kernel: usize, rows: usize, columns: usize) -> Cost {
    convolution(ConvConfig::new(1, channels, kernel), rows, columns)
}

#[cfg(test)]
mod tests {
    use burn::module::Module;
    use dp_sims_backends::FlexAutodiff as B;

    use super::*;
    use crate::backbones::info;
    use crate::init::InitRng;

    #[test]
    fn backbone_parameters_are_those_of_the_modules() {
        let rng = &mut InitRng::new(0, "t");
        let device = Default::default();
        let config = ConvNextConfig::new([1, 2, 1, 1], [4, 6, 8, 10]);
        let network = config.init::<B>(rng, &device);
        assert_eq!(
            convnext(&config, 32, 32).parameters,
            network.num_params() as u64
        );
        let config = EfficientNetLiteConfig::new()
            .with_width(0.3)
            .with_depth(1.1);
        let network = config.init::<B>(rng, &device);
        assert_eq!(
            efficientnet_lite(&config, 32, 32).parameters,
            network.num_params() as u64
        );
        let config = ResNetConfig::new([1, 2, 1, 2]).with_widths([16, 3, 4, 5]);
        let network = config.init::<B>(rng, &device);
        assert_eq!(
            resnet(&config, 32, 32).parameters,
            network.num_params() as u64
        );
        let config = SwinConfig::new([1, 2, 1, 2], 4, [1, 2, 4, 8]).with_window(3);
        let network = config.init::<B>(rng, &device);
        assert_eq!(
            swin(&config, 32, 32).parameters,
            network.num_params() as u64
        );
        let config = VggConfig::new([1, 2, 1, 3, 3]).with_channels([2, 3, 4, 5, 6]);
        let network = config.init::<B>(rng, &device);
        assert_eq!(vgg(&config, 16, 16).parameters, network.num_params() as u64);
    }

    /// Table 2 of the paper: 631 M, with the classifier. Like the figures published for the other sizes
    /// (407 M for Lite0 to 2.64 G for Lite4), it is met only if each of the 10.14 M outputs of a
    /// convolution counts three times more, as for scale, shift and activation.
    #[test]
    fn efficientnet_lite1_costs_what_the_paper_says() {
        let head = 8 * 8 * 320 * 1280 + 1280 * 1000;
        let outputs = 10_142_128;
        let cost = backbone(BackboneKind::EfficientnetLite1, 240, 240);
        let total = (cost.macs + head + 3 * outputs) as f64 / 1e6;
        assert!((total - 631.0).abs() < 0.5, "{total} M");
    }

    /// Published figures at 224x224 (Table 2 of the paper has those of ConvNeXt-L, ConvNeXt-B and
    /// ResNet-50). Parameters behind the last tap are added here: the classifier of 1000 classes and,
    /// but for ResNet, the norm before it. ResNet's batch norm is folded, which leaves one parameter
    /// per channel of two; 26560 channels. Multiply-adds leave out the classifier, normalisation,
    /// activations, and softmax: 1 % at most.
    #[test]
    fn backbones_cost_what_is_published() {
        use BackboneKind as Kind;
        let published = [
            (Kind::ConvnextTiny, 28_589_128, 4.5),
            (Kind::ConvnextBase, 88_591_464, 15.4),
            (Kind::ConvnextLarge, 197_767_336, 34.4),
            (Kind::ConvnextXlarge, 350_196_968, 60.9),
            (Kind::Resnet50, 25_557_032, 4.1),
            (Kind::SwinTinyWindow7, 28_288_354, 4.5),
            (Kind::SwinBaseWindow7, 87_768_224, 15.4),
        ];
        for (kind, parameters, gigamacs) in published {
            let (name, last) = (kind.name(), info(kind).channels[3] as u64);
            let behind = if kind == Kind::Resnet50 {
                26_560
            } else {
                2 * last
            };
            let cost = backbone(kind, 224, 224);
            let total = cost.parameters + behind + 1000 * last + 1000;
            assert_eq!(total, parameters, "{name}");
            let found = cost.macs as f64 / 1e9;
            println!("{name}: {found:.2} G, published {gigamacs} G");
            assert!((found / gigamacs - 1.0).abs() < 0.02, "{name}: {found} G");
        }
    }

    /// Notes D20, D28: the larger window costs its tables, and the padding of each map.
    #[test]
    fn a_large_window_costs_its_padding() {
        let dense = |window| {
            let config = SwinConfig::new([1, 1, 1, 1], 4, [1, 1, 1, 1]).with_window(window);
            swin(&config, 64, 64)
        };
        // Maps of 16, 8, 4 and 2 pixels a side; 12 pads the first to 24 and shrinks in the others.
        let attention = |covered: u64, area: u64, channels: u64| {
            4 * covered * channels * channels + 2 * covered * area * channels
        };
        let difference = attention(24 * 24, 144, 4) - attention(16 * 16, 64, 4);
        assert_eq!(dense(12).macs - dense(8).macs, difference);
        assert_eq!(
            dense(12).parameters - dense(8).parameters,
            4 * (23 * 23 - 15 * 15)
        );
    }

    #[test]
    fn vgg_costs_what_a_hand_count_gives() {
        let config = VggConfig::new([1, 2, 1, 1, 3]).with_channels([2, 3, 4, 5, 6]);
        let expected = 256 * 3 * 2 + 64 * (2 * 3 + 3 * 3) + 16 * 3 * 4 + 4 * 4 * 5 + 5 * 6;
        assert_eq!(vgg(&config, 16, 16).macs, 9 * expected);
    }
}
