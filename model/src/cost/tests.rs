use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::Tensor;
use burn::tensor::backend::Backend;
use dp_sims_backends::FlexAutodiff;

use super::*;
use crate::discriminator::{
    ConditioningMode, DiscriminatorArchitecture, DiscriminatorConfig, OasisDiscriminatorConfig,
};
use crate::generator::{GeneratorArchitecture, GeneratorConfig, NoiseMode};
use crate::init::InitRng;
use crate::losses::ContrastiveConfig;

type B = FlexAutodiff;

/// Parameters that take a gradient; `Module::num_params` counts buffers too.
fn trained<M: Module<B>>(module: &M) -> u64 {
    struct Count(u64);

    impl<B: Backend> ModuleVisitor<B> for Count {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<B, D>>) {
            if param.is_require_grad() {
                self.0 += param.shape().num_elements() as u64;
            }
        }
    }

    let mut count = Count(0);
    module.visit(&mut count);
    count.0
}

fn tiny(noise: NoiseMode) -> GeneratorConfig {
    GeneratorConfig {
        base_width: 2,
        width_multipliers: vec![4, 2, 2, 1],
        encoder_channels: vec![3, 4, 4, 5],
        latent_dim: 5,
        mapping_width: 6,
        tokens: 3,
        token_dim: 7,
        attention_stride: 2,
        noise,
        ..GeneratorConfig::default()
    }
}

#[test]
fn generator_parameters_are_those_of_the_module() {
    let oasis = |noise| GeneratorConfig {
        architecture: GeneratorArchitecture::Oasis,
        spade_hidden: 3,
        ..tiny(noise)
    };
    let mut configs = vec![oasis(NoiseMode::Concat), oasis(NoiseMode::None)];
    for noise in [
        NoiseMode::CrossAttention,
        NoiseMode::Concat,
        NoiseMode::None,
    ] {
        for (self_attention, pointwise) in [(true, true), (false, true), (false, false)] {
            configs.push(GeneratorConfig {
                self_attention,
                pointwise,
                ..tiny(noise)
            });
        }
    }
    for config in configs {
        let network = config.init::<B>(3, 0, &Default::default()).unwrap();
        assert!(
            trained(&network) < network.num_params() as u64,
            "no buffers to leave out"
        );
        let cost = generator(&config, 3, [8, 8], Convention::Executed).total();
        assert_eq!(cost.parameters, trained(&network), "{config:?}");
    }
}

#[test]
fn discriminator_parameters_are_those_of_the_module() {
    // The second block joins 3 + 4 channels; the first full-resolution block keeps 3.
    let ours = DiscriminatorConfig {
        decoder_channels: vec![4, 3, 7],
        full_resolution_channels: 3,
        ..DiscriminatorConfig::default()
    };
    let projected = DiscriminatorConfig {
        conditioning: ConditioningMode::CcmCsm,
        projection_channels: 2,
        ..ours.clone()
    };
    let oasis = DiscriminatorConfig {
        architecture: DiscriminatorArchitecture::Oasis,
        oasis: OasisDiscriminatorConfig {
            encoder_channels: vec![3, 3, 4],
            decoder_channels: vec![4, 3, 2],
        },
        ..ours.clone()
    };
    for config in [ours, projected, oasis] {
        let network = config
            .init::<B>(&[3, 4], &[4, 8], 5, 0, &Default::default())
            .unwrap();
        let convention = Convention::Executed;
        let cost = discriminator(&config, &[3, 4], &[4, 8], 5, [16, 24], convention);
        assert_eq!(cost.total().parameters, trained(&network), "{config:?}");
    }
}

/// Notes G14: parameters in millions and multiply-adds in 10⁹.
#[test]
fn the_oasis_generator_costs_what_is_published() {
    let config = GeneratorConfig::oasis();
    for (classes, size, parameters, macs) in [
        (151, [256, 256], 74.31, Some(194.4)),
        (183, [256, 256], 75.20, None),
        (35, [256, 512], 71.11, Some(318.6)),
    ] {
        let cost = generator(&config, classes, size, Convention::Published).total();
        assert_close(cost, parameters, macs);
    }
}

/// Notes G20.
#[test]
fn the_dp_gan_generator_costs_what_is_published() {
    let config = GeneratorConfig::dp_gan();
    for (classes, size, parameters, macs) in [
        (151, [256, 256], 70.62, Some(135.6)),
        (183, [256, 256], 70.92, None),
        (35, [256, 512], 69.51, Some(266.7)),
    ] {
        let cost = generator(&config, classes, size, Convention::Published).total();
        assert_close(cost, parameters, macs);
    }
}

/// Notes D5. Its multiply-adds are met without the shortcuts of the encoder, 0.17 GMAC at 256x256:
/// 3 to 128 channels behind the first mean, 128 to 256 and 256 to 512 before a mean.
#[test]
fn the_oasis_discriminator_costs_what_is_published() {
    let config = DiscriminatorConfig {
        architecture: DiscriminatorArchitecture::Oasis,
        ..DiscriminatorConfig::default()
    };
    for (classes, size, macs) in [(151, [256, 256], 48.7), (35, [256, 512], 96.4)] {
        let cost = discriminator(&config, &[], &[], classes, size, Convention::Published).total();
        let pixels = (size[0] * size[1]) as u64;
        let shortcuts = pixels / 4 * 3 * 128 + pixels / 16 * 128 * 256 + pixels / 256 * 256 * 512;
        let counted = (cost.macs - shortcuts) as f64 / 1e9;
        assert!((counted - macs).abs() < 0.05, "{counted} GMAC");
        if classes == 151 {
            assert_eq!(cost.parameters, 22_258_904);
        }
    }
}

/// Notes D38: the trained part for ADE20K.
#[test]
fn our_discriminator_costs_what_the_facts_say() {
    let config = DiscriminatorConfig::default();
    for (channels, parameters, macs) in [
        ([192, 384, 768, 1536], 17.29, Some(43.9)),
        ([128, 256, 512, 1024], 13.61, None),
        ([256, 512, 1024, 2048], 20.98, None),
        ([24, 40, 112, 320], 8.29, None),
    ] {
        let strides = [4, 8, 16, 32];
        let size = [256, 256];
        let cost = discriminator(
            &config,
            &channels,
            &strides,
            151,
            size,
            Convention::Published,
        );
        assert_close(cost.total(), parameters, macs);
    }
}

fn assert_close(cost: Cost, parameters: f64, macs: Option<f64>) {
    let found = cost.parameters as f64 / 1e6;
    assert!((found - parameters).abs() < 0.006, "{found} M");
    if let Some(macs) = macs {
        let found = cost.macs as f64 / 1e9;
        assert!((found - macs).abs() < 0.06, "{found} GMAC");
    }
}

#[test]
fn projector_parameters_are_those_of_the_module() {
    let config = ContrastiveConfig {
        dim: 6,
        ..ContrastiveConfig::default()
    };
    let rng = &mut InitRng::new(0, "t");
    let network = config.init::<B>(&[3, 5], rng, &Default::default()).unwrap();
    let cost = projector(&config, &[3, 5], &[[4, 4], [2, 2]]);
    assert_eq!(cost.parameters, trained(&network));
    // 16 and 4 pixels, and as many positions, since 129 are not there.
    assert_eq!(cost.macs, 16 * (9 * 3 * 6 + 72) + 4 * (9 * 5 * 6 + 72));
}

/// Notes G20: 23.60/23.60/13.51/4.85/1.95/0.86 M parameters and 1.5/6.0/13.8/19.9/31.9/56.1 GMAC
/// in the blocks at 256x256, 135.6 GMAC in all. The pyramid's 6.1 there contain a dense
/// convolution of 215 one-hot and noise channels, which this generator gathers instead; attention
/// at 64x64 takes 2.1 (notes G28).
#[test]
fn the_paper_scale_generator_costs_what_is_published() {
    let cost = generator(
        &GeneratorConfig::default(),
        151,
        [256, 256],
        Convention::Published,
    );
    let expected = [
        (23.60, 1.5),
        (23.60, 6.0),
        (13.51, 13.8),
        (4.85, 19.9),
        (1.95, 31.9),
        (0.86, 56.1),
    ];
    for (block, (parameters, macs)) in cost.blocks.iter().zip(expected) {
        assert!(
            (block.parameters as f64 / 1e6 - parameters).abs() < 0.006,
            "{block:?}"
        );
        assert!((block.macs as f64 / 1e9 - macs).abs() < 0.06, "{block:?}");
    }
    let dense = cost.total().macs as f64 / 1e9;
    assert!((dense - 135.6 - 2.1).abs() < 2.0, "{dense} GMAC");
}

#[test]
fn a_small_generator_costs_what_a_hand_count_gives() {
    let config = GeneratorConfig {
        base_width: 2,
        width_multipliers: vec![2, 1, 1],
        encoder_channels: vec![3, 4, 5],
        latent_dim: 5,
        mapping_width: 6,
        tokens: 3,
        token_dim: 7,
        attention_stride: 2,
        ..GeneratorConfig::default()
    };
    // Full resolution 4x4, start grid 2x2, attention on the latter.
    let cost = generator(&config, 9, [4, 4], Convention::Executed);
    let before_attention = 16 * (3 * 4 * 9 + 4 * 4) + 4 * (4 * 5 * 9);
    assert_eq!(cost.labels.macs, before_attention);
    let mapping = 5 * 6 + 6 * 6 + 6 * 21;
    let cross = 4 * 25 + 2 * 3 * 7 * 5 + 2 * 4 * 3 * 5;
    let itself = 4 * 4 * 25 + 2 * 4 * 4 * 5;
    assert_eq!(cost.noise.macs, mapping + cross + itself + 4 * 25);
    // Block 0: 4 to 2 channels, 20 modulating ones, from 5 local and 5 global of 2x2; block 1: 2 to
    // 2 channels, 8 modulating ones, from 4 local and the same global ones. So few global pixels are
    // resized by one matrix.
    let taps = 4 * 9 * 5;
    let first = 20 * (4 * 9 * 5 + taps + 9 * 4 * 4) + 4 * 9 * (4 * 2 + 2 * 2) + 4 * (4 * 2);
    let second = 8 * (16 * 9 * 4 + taps + 9 * 4 * 16) + 16 * 9 * (2 * 2 + 2 * 2);
    assert_eq!(
        cost.blocks
            .iter()
            .map(|block| block.macs)
            .collect::<Vec<_>>(),
        [first, second]
    );
    assert_eq!(cost.to_image.macs, 16 * 9 * 2 * 3);
    assert_eq!(cost.resizes, 20 * 9 * 4 * 4 + 8 * 9 * 4 * 16);
}

#[test]
fn a_small_discriminator_costs_what_a_hand_count_gives() {
    let config = DiscriminatorConfig {
        decoder_channels: vec![4, 2],
        full_resolution_channels: 2,
        full_resolution_blocks: 1,
        ..DiscriminatorConfig::default()
    };
    let cost = discriminator(&config, &[3, 5], &[2, 4], 6, [8, 8], Convention::Executed);
    // 5 to 4 channels from 2x2 to 4x4; 3 to 2 at 8x8.
    let inputs = 16 * 9 * 5 * 4 + 4 * 5 * 4 + 64 * (9 * 3 * 2 + 3 * 2);
    assert_eq!(cost.inputs.macs, inputs);
    // Second convolutions; 4 + 3 to 2 channels from 4x4 to 8x8; head from 2 + 2 to 7.
    let inner = 16 * 9 * 4 * 4 + 64 * 9 * 7 * 2 + 16 * 7 * 2 + 2 * (64 * 9 * 2 * 2) + 64 * 4 * 7;
    assert_eq!(cost.inner.macs, inner);
}
