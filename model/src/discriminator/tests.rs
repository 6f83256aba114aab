//! Every discriminator: sizes, gradients.

use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::backend::{AutodiffBackend, Backend};
use burn::tensor::{ElementConversion, Tensor};
use strum::VariantArray;

use super::*;
use crate::init::InitRng;
use crate::layers::Mode;

fn random<B: Backend>(shape: [usize; 4], seed: u64) -> Tensor<B, 4> {
    InitRng::new(seed, "t")
        .normal(shape, 1.0, &Default::default())
        .val()
        .detach()
}

fn features<B: Backend>() -> Vec<Tensor<B, 4>> {
    vec![
        random([2, 3, 4, 6], 1) * 5.0,
        random([2, 4, 2, 3], 2) * 50.0,
    ]
}

fn config(conditioning: ConditioningMode) -> DiscriminatorConfig {
    DiscriminatorConfig {
        conditioning,
        projection_channels: 2,
        decoder_channels: vec![4, 3, 2],
        full_resolution_channels: 3,
        ..DiscriminatorConfig::default()
    }
}

/// OASIS, and every conditioning of the paper's.
fn all() -> Vec<DiscriminatorConfig> {
    let oasis = DiscriminatorConfig {
        architecture: DiscriminatorArchitecture::Oasis,
        oasis: OasisDiscriminatorConfig {
            encoder_channels: vec![3, 3, 4],
            decoder_channels: vec![4, 3, 2],
        },
        ..DiscriminatorConfig::default()
    };
    let modes = ConditioningMode::VARIANTS.iter();
    let mut all: Vec<_> = modes.map(|&mode| config(mode)).collect();
    all.push(oasis);
    all
}

fn init<B: Backend>(config: &DiscriminatorConfig) -> Discriminator<B> {
    config
        .init(&[3, 4], &[4, 8], 5, 0, &Default::default())
        .unwrap()
}

fn logits_cover_every_pixel_and_class<B: AutodiffBackend>() {
    for config in all() {
        let logits = init(&config).forward(random::<B>([2, 3, 16, 24], 3), features(), Mode::Train);
        assert_eq!(logits.dims(), [2, 6, 16, 24], "{config:?}");
    }
}

/// Gradients reach the image, the features where they are read, and every parameter that is
/// trained, but not the random projections.
fn gradients_reach_inputs_and_parameters<B: AutodiffBackend>() {
    for config in all() {
        let mut network = init::<B>(&config);
        let image = random::<B>([2, 3, 16, 24], 3).require_grad();
        let mut inputs: Vec<_> = features::<B>()
            .into_iter()
            .map(|f| f.detach().require_grad())
            .collect();
        let logits = network.forward(image.clone(), inputs.clone(), Mode::Train);
        let gradients = logits.square().sum().backward();
        if !config.has_backbone() {
            inputs.clear();
        }
        for input in inputs.into_iter().chain([image]) {
            let gradient = input.grad(&gradients).unwrap();
            let largest: f32 = gradient.abs().max().into_scalar().elem();
            assert!(largest > 0.0, "{config:?}");
        }
        let mut counts = Counts {
            gradients: &gradients,
            without: 0,
            frozen: 0,
        };
        network.visit(&mut counts);
        assert_eq!(counts.without, 0, "{config:?}: parameters without gradient");
        let projections = match &network {
            Discriminator::DpSims(network) => network.projections.is_some(),
            Discriminator::Oasis(_) => false,
        };
        assert_eq!(projections, config.conditioning.has_projection());
        assert_eq!(counts.frozen, if projections { 4 } else { 0 });
    }
}

struct Counts<'a, B: AutodiffBackend> {
    gradients: &'a B::Gradients,
    without: usize,
    /// Convolution weights that are not trained.
    frozen: usize,
}

impl<B: AutodiffBackend> ModuleVisitor<B> for Counts<'_, B> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<B, D>>) {
        let gradient = param.grad(self.gradients);
        if param.is_require_grad() {
            self.without += usize::from(gradient.is_none());
        } else {
            assert!(gradient.is_none());
            self.frozen += usize::from(D == 4);
        }
    }
}

/// A trained projection would be another method than the one of Table 5.
fn projections_stay_frozen_on_a_copy_with_a_graph<B: AutodiffBackend>() {
    use burn::module::AutodiffModule;
    let network = init::<B>(&config(ConditioningMode::CcmCsm));
    let again = Discriminator::<B>::from_inner(network.valid());
    let Discriminator::DpSims(again) = again else {
        unreachable!("the architecture does not change");
    };
    let projections = again.projections.unwrap();
    assert!(
        projections
            .channels
            .iter()
            .all(|conv| !conv.weight.is_require_grad())
    );
}

backend_tests!(
    logits_cover_every_pixel_and_class,
    gradients_reach_inputs_and_parameters,
    projections_stay_frozen_on_a_copy_with_a_graph
);
