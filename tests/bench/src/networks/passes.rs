use anyhow::{Context, Result};
use burn::module::{AutodiffModule, Module};
use burn::tensor::backend::{AutodiffBackend, Backend};
use burn::tensor::{Tensor, TensorData};
use dp_sims::bench::{GENERATOR_CLASSES, Settings};
use dp_sims::runtime::batch::{image_tensor, label_maps};
use dp_sims::runtime::device::finish;
use dp_sims::runtime::noise::{Purpose, SeededDraws, latents};
use dp_sims_model::backbones::{Backbone, BackboneInfo, BackboneKind, WeightSource, build};
use dp_sims_model::discriminator::DiscriminatorConfig;
use dp_sims_model::generator::GeneratorConfig;
use dp_sims_model::init::normals;
use dp_sims_model::layers::{LabelMaps, Mode};

use super::network::{Plan, TimedNetwork};

/// A pass through a network; returns when the device has done it.
pub(super) type Pass = Box<dyn FnMut() -> Result<()>>;

/// A forward pass without a graph, and one with the way back.
///
/// # Errors
/// When the network cannot be built.
pub(super) fn passes<B: AutodiffBackend>(
    subject: TimedNetwork,
    settings: &Settings,
    device: &B::Device,
) -> Result<[Pass; 2]> {
    match subject.plan(settings) {
        Plan::Generator(config) => generator::<B>(&config, settings, device),
        Plan::Discriminator(config, entry) => discriminator::<B>(&config, &entry, settings, device),
        Plan::Backbone(kind) => backbone::<B>(kind, settings, device),
    }
}

fn generator<B: AutodiffBackend>(
    config: &GeneratorConfig,
    settings: &Settings,
    device: &B::Device,
) -> Result<[Pass; 2]> {
    let batch = settings.scenes(GENERATOR_CLASSES)?;
    let shape = [batch.len, batch.size.height, batch.size.width];
    let maps = label_maps(&batch.labels, None, shape, device);
    let draws = SeededDraws { seed: 0 };
    let shape = [batch.len, config.latent_dim];
    let latent = latents::<B::InnerBackend>(&draws, 0, Purpose::Generator, shape, device);
    let mut tracked = config.init::<B>(GENERATOR_CLASSES, 0, device)?;
    let mut plain = tracked.valid();
    let inputs = (maps.clone(), latent.clone());
    Ok([
        pass::<B, _>(device, move || {
            plain.forward(maps.clone(), latent.clone(), Mode::Train)
        }),
        pass::<B, _>(device, move || {
            let (maps, latent) = inputs.clone();
            let latent = Tensor::from_inner(latent).require_grad();
            let maps = LabelMaps::<B>::from_inner(maps);
            tracked.forward(maps, latent, Mode::Train).sum().backward()
        }),
    ])
}

fn discriminator<B: AutodiffBackend>(
    config: &DiscriminatorConfig,
    entry: &BackboneInfo,
    settings: &Settings,
    device: &B::Device,
) -> Result<[Pass; 2]> {
    let (channels, strides) = (&entry.channels, &entry.strides);
    let images = photos::<B::InnerBackend>(settings, device)?;
    let [count, _, height, width] = images.dims();
    let mut features: Vec<Tensor<B::InnerBackend, 4>> = Vec::new();
    if config.has_backbone() {
        for (&channels, &stride) in channels.iter().zip(strides) {
            let shape = [count, channels, height / stride, width / stride];
            let values = normals(stride as u64, 0, "features", shape.iter().product());
            features.push(Tensor::from_data(TensorData::new(values, shape), device));
        }
    }
    let mut tracked = config.init::<B>(channels, strides, GENERATOR_CLASSES, 0, device)?;
    let mut plain = tracked.valid();
    let inputs = (images.clone(), features.clone());
    Ok([
        pass::<B, _>(device, move || {
            plain.forward(images.clone(), features.clone(), Mode::Train)
        }),
        pass::<B, _>(device, move || {
            let (images, features) = inputs.clone();
            let leaf = |tensor| Tensor::<B, 4>::from_inner(tensor).require_grad();
            let features = features.into_iter().map(leaf).collect();
            let logits = tracked.forward(leaf(images), features, Mode::Train);
            logits.sum().backward()
        }),
    ])
}

fn backbone<B: AutodiffBackend>(
    kind: BackboneKind,
    settings: &Settings,
    device: &B::Device,
) -> Result<[Pass; 2]> {
    let images = photos::<B::InnerBackend>(settings, device)?;
    let source = WeightSource::Random { seed: 0 };
    let plain: Backbone<B::InnerBackend> = build(kind, source, device)?;
    let tracked = Backbone::<B>::from_inner(plain.clone()).no_grad();
    let inputs = images.clone();
    Ok([
        pass::<B, _>(device, move || plain.forward(images.clone())),
        pass::<B, _>(device, move || {
            let image = Tensor::<B, 4>::from_inner(inputs.clone()).require_grad();
            let features = tracked.forward(image).into_iter();
            let sums = features.map(Tensor::sum).collect();
            Tensor::cat(sums, 0).sum().backward()
        }),
    ])
}

/// What the work makes is kept until the device has finished, or it might be left out.
fn pass<B: AutodiffBackend, T>(device: &B::Device, mut work: impl FnMut() -> T + 'static) -> Pass {
    let device = device.clone();
    Box::new(move || {
        let _made = work();
        finish::<B>(&device)
    })
}

/// Procedural photos on the device.
fn photos<B: Backend>(settings: &Settings, device: &B::Device) -> Result<Tensor<B, 4>> {
    let batch = settings
        .scenes(GENERATOR_CLASSES)
        .context("cannot draw photos")?;
    let shape = [batch.len, batch.size.height, batch.size.width];
    Ok(image_tensor(batch.images, shape, device))
}
