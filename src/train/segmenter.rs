//! Training of a segmentation network on photos.

use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use burn::optim::{AdamConfig, GradientsParams, Optimizer};
use burn::tensor::backend::AutodiffBackend;
use burn::tensor::{ElementConversion, Tensor};
use dp_sims_datasets::{ClassSet, LabelledImages, Loader, LoaderConfig, Share};
use dp_sims_model::layers::Mode;
use dp_sims_model::losses::{PixelLossConfig, pixel_accuracy};

use super::stop::Stop;
use crate::config::half_cosine;
use crate::evaluate::OwnSegmenter;
use crate::runtime::batch::DeviceBatch;
use crate::runtime::progress::progress_bar;

/// Steps between two lines of progress.
const REPORT_EVERY: u64 = 50;

/// Steps between two looks at whether the loss is finite.
const LOOK_EVERY: u64 = 10;

/// Trains the decoder of a segmenter with cross-entropy, Adam and a learning rate that falls along
/// a half cosine. Void pixels do not count.
///
/// Returns the segmenter and the steps that were made, fewer than asked for when `stop` asks to
/// end.
///
/// # Errors
/// When images cannot be read or the device fails.
pub fn train_segmenter<B: AutodiffBackend>(
    mut segmenter: OwnSegmenter<B>,
    images: Arc<dyn LabelledImages>,
    presence: Option<&[ClassSet]>,
    stop: &Stop,
    device: &B::Device,
) -> Result<(OwnSegmenter<B>, u64)> {
    let config = segmenter.config.clone();
    let classes = images.classes().len();
    let loader = LoaderConfig {
        size: config.size(),
        load: None,
        batch: config.batch,
        workers: 1,
        queue: 4,
        seed: config.seed,
        flip: true,
        balanced: presence.is_some(),
        offsets: false,
        share: Share::default(),
    };
    let mut loader = Loader::new(images, presence, loader, 0)?;
    let pixel = PixelLossConfig {
        gamma: 0.0,
        class_weights: false,
        ..Default::default()
    }
    .init()?;
    let mut adam = AdamConfig::new().with_epsilon(1e-8).init();
    let plain = segmenter.valid().backbone;
    let bar = progress_bar("training the segmenter", config.steps);
    let mut step = 0;
    while step < config.steps && stop.reason().is_none() {
        let batch = loader.next().context("the loader ended before the run")??;
        for message in &batch.unreadable {
            bar.println(format!("warning: {message}"));
        }
        let batch = DeviceBatch::<B::InnerBackend>::new(&batch, classes, device);
        // The frozen backbone sees photos only, and needs no graph.
        let features = plain.forward(batch.images.clone());
        let features = features.into_iter().map(Tensor::from_inner).collect();
        let images = Tensor::<B, 4>::from_inner(batch.images);
        let logits = segmenter.decoder.forward(images, features, Mode::Train);
        let labels = Tensor::from_inner(batch.maps.labels.clone());
        let weights = Tensor::from_inner(batch.class_weights);
        let loss = pixel.generator(logits.clone(), labels, weights);
        let progress = step as f64 / config.steps as f64;
        let rate = config.learning_rate * half_cosine(progress);
        let gradients = GradientsParams::from_grads(loss.backward(), &segmenter.decoder);
        segmenter.decoder = adam.step(rate, segmenter.decoder, gradients);
        step += 1;
        bar.inc(1);
        let is_reported = step.is_multiple_of(REPORT_EVERY) || step == config.steps;
        if is_reported || step.is_multiple_of(LOOK_EVERY) {
            let loss: f64 = loss.into_scalar().elem();
            ensure!(
                loss.is_finite(),
                "the loss is not finite after step {step}: lower --learning-rate"
            );
            if !is_reported {
                continue;
            }
            let accuracy = pixel_accuracy(logits.inner(), batch.maps.labels);
            let accuracy: f64 = accuracy.into_scalar().elem();
            bar.suspend(|| println!("step {step:>6}  loss {loss:.3}  accuracy {accuracy:.3}"));
        }
    }
    bar.finish_and_clear();
    Ok((segmenter, step))
}
