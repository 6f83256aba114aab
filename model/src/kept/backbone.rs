use super::{GELU, Kept, KeptSegments, pixels};
use crate::backbones::{
    Architecture, BackboneKind, ConvNextConfig, EfficientNetLiteConfig, ResNetConfig, Segment,
    SwinConfig, VggConfig, architecture,
};

/// Maps inside an MLP that are four times as wide as it: those of its GELU, and what that makes.
const MLP: usize = 4;

/// First block of a VGG that begins with a tap.
const FIRST_TAP: usize = 2;

/// Matrices of scores that attention keeps: before and in its softmax.
const SCORES: usize = 3;

/// What a frozen backbone keeps for the gradient of an image of `size`, height and width, up to its
/// last tap. Its weights take no gradient, so that products keep no input; convolutions do.
pub fn backbone(kind: BackboneKind, size: [usize; 2]) -> KeptSegments {
    let mut segments = match architecture(kind) {
        Architecture::ConvNext(config) => convnext(&config, size),
        Architecture::EfficientNetLite(config) => efficientnet_lite(&config, size),
        Architecture::ResNet(config) => resnet(&config, size),
        Architecture::Swin(config) => swin(&config, size),
        Architecture::Vgg(config) => vgg(&config, size),
    };
    // The image, moved and normalised.
    if let Some(first) = segments.0.first_mut() {
        first.kept += Kept::maps(3, pixels(size, 1));
    }
    segments
}

/// Segments of stages of blocks: `block` says what a block of a stage keeps and how many numbers it makes, the first
/// together with what lies before it.
fn of_stages(depths: &[usize], mut block: impl FnMut(usize, usize) -> (Kept, f64)) -> KeptSegments {
    let mut segments = KeptSegments::default();
    for Segment { stage, blocks, .. } in Segment::of_stages(depths, |_| true) {
        let (mut kept, mut outputs) = (Kept::default(), 0.0);
        for index in blocks {
            let (more, made) = block(stage, index);
            kept += more;
            outputs = made;
        }
        segments.push(kept, outputs);
    }
    segments
}

fn convnext(config: &ConvNextConfig, size: [usize; 2]) -> KeptSegments {
    of_stages(&config.depths, |stage, block| {
        let (channels, area) = (config.dims[stage], pixels(size, 4 << stage));
        // Input, centred, normalised; both layers are convolutions.
        let mut kept = Kept::maps((3 + 4 * GELU + MLP) * channels, area);
        if block == 0 {
            kept += match stage {
                0 => Kept::maps(channels, area),
                // Centred and normalised, before the resolution is halved.
                _ => Kept::maps(2 * config.dims[stage - 1], 4.0 * area),
            };
        }
        (kept, channels as f64 * area)
    })
}

fn efficientnet_lite(config: &EfficientNetLiteConfig, size: [usize; 2]) -> KeptSegments {
    let plan = config.plan();
    let mut stride = 2;
    let depths: Vec<_> = plan.iter().map(Vec::len).collect();
    of_stages(&depths, |stage, index| {
        let block = &plan[stage][index];
        let mut kept = Kept::default();
        if stage == 0 && index == 0 {
            kept += Kept::maps(block.input, pixels(size, stride));
        }
        // Input; before and behind every clamp.
        let hidden = block.input * block.expansion;
        let expanded = if block.expansion > 1 { 2 * hidden } else { 0 };
        kept += Kept::maps(block.input + expanded, pixels(size, stride));
        stride *= block.stride;
        kept += Kept::maps(2 * hidden, pixels(size, stride));
        (kept, block.output as f64 * pixels(size, stride))
    })
}

fn resnet(config: &ResNetConfig, size: [usize; 2]) -> KeptSegments {
    let stages = config.stages();
    let stem = stages[0][0].input;
    let mut stride = 4;
    of_stages(&config.depths, |stage, index| {
        let block = &stages[stage][index];
        let mut kept = Kept::default();
        if stage == 0 && index == 0 {
            // Behind the stem, and behind its pooling with the places of the largest.
            kept += Kept::maps(stem, pixels(size, 2)) + Kept::maps(2 * stem, pixels(size, 4));
        }
        // Behind every ReLU.
        kept += Kept::maps(block.width, pixels(size, stride));
        stride *= block.stride;
        kept += Kept::maps(block.width + block.output(), pixels(size, stride));
        (kept, block.output() as f64 * pixels(size, stride))
    })
}

fn swin(config: &SwinConfig, [height, width]: [usize; 2]) -> KeptSegments {
    let channels = config.tap_channels();
    of_stages(&config.depths, |stage, _| {
        let channels = channels[stage];
        let stride = 4 << stage;
        let map = [height, width].map(|side| side.div_ceil(stride));
        let area = (map[0] * map[1]) as f64;
        let grid = config.fit.grid(map, config.window, false);
        let covered = (grid.count() * grid.area()) as f64;
        // Centred by both norms; the MLP, whose layers are products; queries twice, keys, values.
        let kept = Kept::maps((2 + 4 * GELU) * channels, area)
            + Kept::maps(
                4 * channels + SCORES * config.heads[stage] * grid.area(),
                covered,
            );
        (kept, channels as f64 * area)
    })
}

fn vgg(config: &VggConfig, size: [usize; 2]) -> KeptSegments {
    let last = config.convolutions.len() - 1;
    let mut segments = KeptSegments::default();
    for (block, (&channels, &repeats)) in
        config.channels.iter().zip(&config.convolutions).enumerate()
    {
        let area = pixels(size, 1 << block);
        // Behind every ReLU; of the last block the first alone.
        let mut repeats = repeats;
        if block >= FIRST_TAP {
            segments.push(Kept::maps(channels, area), channels as f64 * area);
            repeats -= 1;
        }
        if block < last {
            // Behind pooling, with the places of the largest.
            let kept = Kept::maps(repeats * channels, area) + Kept::maps(2 * channels, area / 4.0);
            segments.push(kept, channels as f64 * area / 4.0);
        }
    }
    segments
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backbones::{WeightSource, build};

    #[test]
    fn maps_are_those_of_a_hand_count() {
        let config = VggConfig::new([1, 2, 1, 1, 3]).with_channels([2, 3, 4, 5, 6]);
        let kept = vgg(&config, [16, 16]).all();
        let expected = 256 * 2 + 64 * (4 + 6) + 16 * (6 + 4) + 4 * (8 + 5) + (10 + 6);
        assert_eq!(kept, Kept::maps(1, f64::from(expected)));
        let config = ConvNextConfig::new([1, 2, 1, 1], [4, 6, 8, 10]);
        let segments = convnext(&config, [32, 32]);
        let blocks = 64 * 4 + 16 * 2 * 6 + 4 * 8 + 10;
        let halved = 2 * (64 * 4 + 16 * 6 + 4 * 8);
        assert_eq!(
            segments.all().maps,
            f64::from(64 * 4 + halved + 19 * blocks)
        );
        assert_eq!(segments.outputs(1), f64::from(64 * 4 + 16 * 6 + 4 * 8 + 10));
    }

    #[test]
    fn segments_are_those_of_the_networks() {
        let device = Default::default();
        for kind in [
            BackboneKind::ConvnextPicoScenes,
            BackboneKind::EfficientnetLite1,
            BackboneKind::Resnet50,
            BackboneKind::SwinTinyWindow7,
            BackboneKind::Vgg16,
        ] {
            let source = WeightSource::Random { seed: 1 };
            let network = build::<dp_sims_backends::cpu::Cpu>(kind, source, &device).unwrap();
            let kept = backbone(kind, [64, 64]);
            assert_eq!(kept.0.len(), network.segments().len(), "{kind:?}");
        }
    }
}
