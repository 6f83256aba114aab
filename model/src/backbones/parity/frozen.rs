//! Frozen networks: weights get no gradient, images do.

use burn::module::{ModuleVisitor, Param};

use super::*;
use crate::cost;
use crate::weights::state_dict;

/// Parameters up to which a backbone is built at full size; thin networks stand for the others.
const LARGEST: u64 = 20_000_000;

/// Counts parameters with and without a gradient.
struct Gradients<B: AutodiffBackend> {
    gradients: B::Gradients,
    present: usize,
    absent: usize,
}

impl<B: AutodiffBackend> Gradients<B> {
    fn new(gradients: B::Gradients) -> Self {
        Self {
            gradients,
            present: 0,
            absent: 0,
        }
    }
}

impl<B: AutodiffBackend> ModuleVisitor<B> for Gradients<B> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<B, D>>) {
        match param.grad(&self.gradients) {
            Some(_) => self.present += 1,
            None => self.absent += 1,
        }
    }
}

#[test]
fn convnext_can_be_trained() {
    let config = ConvNextConfig::new([1, 1, 1, 1], [4, 4, 4, 4]);
    let network = config.init::<Flex>(&mut InitRng::new(0, "thin"), &Default::default());
    let image = Tensor::<Flex, 4>::ones([1, 3, 32, 32], &Default::default());
    let taps = network.forward(image);
    let mut found = Gradients::new(taps[3].clone().square().sum().backward());
    network.visit(&mut found);
    assert_eq!(
        (found.present, found.absent),
        (state_dict::<Flex, _>(&network).len(), 0)
    );
}

fn is_frozen_and_passes_gradients(
    backbone: &Backbone<Flex>,
    channels: &[usize],
    strides: &[usize],
    name: &str,
) {
    let device = Default::default();
    let image = Tensor::<Flex, 4>::from_data(formula_image(64, 32, 0.0), &device).require_grad();
    let taps = backbone.forward(image.clone());
    assert_eq!(taps.len(), channels.len());
    let mut total = Tensor::zeros([1], &device);
    for ((tap, channels), stride) in taps.iter().zip(channels).zip(strides) {
        let expected = [1, *channels, 64 / stride, 32 / stride];
        assert_eq!(tap.dims(), expected, "{name}");
        total = total + tap.clone().abs().mean();
    }
    let mut found = Gradients::new(total.backward());
    let gradient = values(image.grad(&found.gradients).unwrap());
    assert!(gradient.iter().all(|value| value.is_finite()), "{name}");
    assert!(gradient.iter().any(|value| *value != 0.0), "{name}");
    backbone.visit(&mut found);
    assert_eq!(found.present, 0, "{name}: weights have a gradient");
    assert!(found.absent > 10);
}

#[test]
fn every_small_backbone_is_frozen_and_passes_gradients_to_the_image() {
    let random = WeightSource::Random { seed: 1 };
    let kinds = BackboneKind::all();
    for kind in kinds.filter(|kind| cost::backbone(*kind, 64, 32).parameters < LARGEST) {
        let backbone = build::<Flex>(kind, random.clone(), &Default::default()).unwrap();
        let info = info(kind);
        is_frozen_and_passes_gradients(&backbone, &info.channels, &info.strides, kind.name());
    }
}

#[test]
fn thin_networks_of_every_family_are_frozen_and_pass_gradients_to_the_image() {
    let (resnet, swin) = (thin::resnet(), thin::swin());
    let (lite, vgg) = (thin::lite(), thin::vgg());
    let families = [
        (
            thin::convnext().dims.to_vec(),
            Architecture::ConvNext(thin::convnext()),
        ),
        (
            lite.tap_channels().to_vec(),
            Architecture::EfficientNetLite(lite),
        ),
        (resnet.tap_channels().to_vec(), Architecture::ResNet(resnet)),
        (swin.tap_channels().to_vec(), Architecture::Swin(swin)),
        (vgg.tap_channels().to_vec(), Architecture::Vgg(vgg)),
    ];
    for (channels, architecture) in families {
        let random = WeightSource::Random { seed: 1 };
        let network = network(architecture, random, "thin", &Default::default()).unwrap();
        let backbone = Backbone::new(network, HALF, HALF, &Default::default());
        let strides = [4, 8, 16, 32];
        is_frozen_and_passes_gradients(&backbone, &channels, &strides, "thin");
    }
}
