use super::{GELU, Kept, pixels};
use crate::backbones::{
    Architecture, BackboneKind, ConvNextConfig, EfficientNetLiteConfig, ResNetConfig, SwinConfig,
    VggConfig, architecture,
};

/// Maps inside an MLP that are four times as wide as it: those of its GELU, and what that makes.
const MLP: usize = 4;

/// Matrices of scores that attention keeps: before and in its softmax.
const SCORES: usize = 3;

/// What a frozen backbone keeps for the gradient of an image of `size`, height and width, up to its
/// last tap. Its weights take no gradient, so that products keep no input; convolutions do.
pub fn backbone(kind: BackboneKind, size: [usize; 2]) -> Kept {
    let image = Kept::maps(3, pixels(size, 1));
    let inside = match architecture(kind) {
        Architecture::ConvNext(config) => convnext(&config, size),
        Architecture::EfficientNetLite(config) => efficientnet_lite(&config, size),
        Architecture::ResNet(config) => resnet(&config, size),
        Architecture::Swin(config) => swin(&config, size),
        Architecture::Vgg(config) => vgg(&config, size),
    };
    image + inside
}

fn convnext(config: &ConvNextConfig, size: [usize; 2]) -> Kept {
    let mut kept = Kept::maps(config.dims[0], pixels(size, 4));
    for (stage, (&channels, &depth)) in config.dims.iter().zip(&config.depths).enumerate() {
        let area = pixels(size, 4 << stage);
        if stage > 0 {
            // Centred and normalised, before the resolution is halved.
            kept += Kept::maps(2 * config.dims[stage - 1], 4.0 * area);
        }
        // Input, centred, normalised; both layers are convolutions.
        let block = 3 + 4 * GELU + MLP;
        kept += Kept::maps(depth * block * channels, area);
    }
    kept
}

fn efficientnet_lite(config: &EfficientNetLiteConfig, size: [usize; 2]) -> Kept {
    let plan = config.plan();
    let mut stride = 2;
    let mut kept = Kept::maps(plan[0][0].input, pixels(size, stride));
    for block in plan.iter().flatten() {
        // Input; before and behind every clamp.
        let hidden = block.input * block.expansion;
        let expanded = if block.expansion > 1 { 2 * hidden } else { 0 };
        kept += Kept::maps(block.input + expanded, pixels(size, stride));
        stride *= block.stride;
        kept += Kept::maps(2 * hidden, pixels(size, stride));
    }
    kept
}

fn resnet(config: &ResNetConfig, size: [usize; 2]) -> Kept {
    let stages = config.stages();
    let stem = stages[0][0].input;
    // Behind the stem, and behind its pooling with the places of the largest.
    let mut kept = Kept::maps(stem, pixels(size, 2)) + Kept::maps(2 * stem, pixels(size, 4));
    let mut stride = 4;
    for block in stages.iter().flatten() {
        // Behind every ReLU.
        kept += Kept::maps(block.width, pixels(size, stride));
        stride *= block.stride;
        kept += Kept::maps(block.width + block.output(), pixels(size, stride));
    }
    kept
}

fn swin(config: &SwinConfig, [height, width]: [usize; 2]) -> Kept {
    let mut kept = Kept::default();
    for (stage, &channels) in config.tap_channels().iter().enumerate() {
        let stride = 4 << stage;
        let map = [height, width].map(|side| side.div_ceil(stride));
        let area = (map[0] * map[1]) as f64;
        let grid = config.fit.grid(map, config.window, false);
        let covered = (grid.count() * grid.area()) as f64;
        // Centred by both norms; the MLP, whose layers are products; queries twice, keys, values.
        let block = Kept::maps((2 + 4 * GELU) * channels, area)
            + Kept::maps(
                4 * channels + SCORES * config.heads[stage] * grid.area(),
                covered,
            );
        for _ in 0..config.depths[stage] {
            kept += block;
        }
    }
    kept
}

fn vgg(config: &VggConfig, size: [usize; 2]) -> Kept {
    let last = config.convolutions.len() - 1;
    let mut kept = Kept::default();
    for (block, (&channels, &repeats)) in
        config.channels.iter().zip(&config.convolutions).enumerate()
    {
        // Behind every ReLU; behind pooling, with the places of the largest.
        let repeats = if block == last { 1 } else { repeats };
        kept += Kept::maps(repeats * channels, pixels(size, 1 << block));
        if block < last {
            kept += Kept::maps(2 * channels, pixels(size, 2 << block));
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn maps_are_those_of_a_hand_count() {
        let config = VggConfig::new([1, 2, 1, 1, 3]).with_channels([2, 3, 4, 5, 6]);
        let kept = vgg(&config, [16, 16]);
        let expected = 256 * 2 + 64 * (4 + 6) + 16 * (6 + 4) + 4 * (8 + 5) + (10 + 6);
        assert_eq!(kept, Kept::maps(1, f64::from(expected)));
        let config = ConvNextConfig::new([1, 2, 1, 1], [4, 6, 8, 10]);
        let kept = convnext(&config, [32, 32]);
        let blocks = 64 * 4 + 16 * 2 * 6 + 4 * 8 + 10;
        let halved = 2 * (64 * 4 + 16 * 6 + 4 * 8);
        assert_eq!(kept.maps, f64::from(64 * 4 + halved + 19 * blocks));
    }
}
