use crate::discriminator::DiscriminatorConfig;
use crate::generator::{GeneratorArchitecture, GeneratorConfig};

/// Channels that a generator normalises by the statistics of a batch in one training pass, over all its
/// batch norms. The SPADE of a shortcut takes those of the SPADE beside it.
pub fn generator_statistics(config: &GeneratorConfig) -> u64 {
    let encoder: usize = match config.architecture {
        GeneratorArchitecture::DpSims => config.encoder_channels.iter().sum(),
        GeneratorArchitecture::Oasis => 0,
    };
    let widths = config.widths();
    let blocks = widths.windows(2).map(|pair| pair[0] + pair[0].min(pair[1]));
    (encoder + blocks.sum::<usize>()) as u64
}

/// The same of a discriminator over features with these channels.
pub fn discriminator_statistics(config: &DiscriminatorConfig, channels: &[usize]) -> u64 {
    let has_norms = config.has_backbone() && config.conditioning.has_batch_norm();
    let channels: usize = channels.iter().filter(|_| has_norms).sum();
    channels as u64
}

#[cfg(test)]
mod tests {
    use burn::module::{Module, ModuleVisitor, Param};
    use burn::tensor::Tensor;
    use burn::tensor::backend::Backend;
    use dp_sims_backends::FlexAutodiff as B;

    use super::*;
    use crate::discriminator::{ConditioningMode, DiscriminatorArchitecture};

    /// Numbers in the buffers of a module: without spectral norm, mean and variance of every channel.
    fn buffers<M: Module<B>>(module: &M) -> u64 {
        struct Count(u64);

        impl<B: Backend> ModuleVisitor<B> for Count {
            fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<B, D>>) {
                if !param.is_require_grad() {
                    self.0 += param.shape().num_elements() as u64;
                }
            }
        }

        let mut count = Count(0);
        module.visit(&mut count);
        count.0
    }

    #[test]
    fn statistics_are_those_that_the_modules_keep() {
        let generator = GeneratorConfig {
            base_width: 2,
            width_multipliers: vec![4, 2, 2, 1],
            encoder_channels: vec![3, 4, 4, 5],
            tokens: 3,
            token_dim: 7,
            attention_stride: 2,
            spectral_norm: false,
            ..GeneratorConfig::default()
        };
        let oasis = GeneratorConfig {
            architecture: GeneratorArchitecture::Oasis,
            spade_hidden: 3,
            noise: crate::generator::NoiseMode::Concat,
            ..generator.clone()
        };
        // Shortcuts from 8 to 4 and from 4 to 2 channels keep statistics of their own, of the same batch.
        for config in [generator, oasis] {
            let network = config.init::<B>(3, 0, &Default::default()).unwrap();
            let kept = buffers(&network) / 2;
            assert_eq!(generator_statistics(&config), kept - 8 - 4, "{config:?}");
        }
        let ours = DiscriminatorConfig {
            decoder_channels: vec![4, 3, 7],
            full_resolution_channels: 3,
            spectral_norm: false,
            ..DiscriminatorConfig::default()
        };
        let plain = DiscriminatorConfig {
            conditioning: ConditioningMode::None,
            ..ours.clone()
        };
        let oasis = DiscriminatorConfig {
            architecture: DiscriminatorArchitecture::Oasis,
            ..ours.clone()
        };
        for config in [ours, plain] {
            let network = config.init::<B>(&[3, 4], &[4, 8], 5, 0, &Default::default());
            let kept = buffers(&network.unwrap()) / 2;
            assert_eq!(
                discriminator_statistics(&config, &[3, 4]),
                kept,
                "{config:?}"
            );
        }
        assert_eq!(discriminator_statistics(&oasis, &[3, 4]), 0);
    }
}
