//! What goes into a training step and the figures that come out of it.

use std::collections::BTreeMap;

use anyhow::Result;
use burn::tensor::backend::Backend;
use burn::tensor::{Int, Tensor, TensorData};
use dp_sims_datasets::{Batch, Sample};
use dp_sims_model::layers::LabelMaps;
use dp_sims_model::losses::class_weights;

use crate::device::read;

/// A batch on the device. Nothing in it needs a gradient.
pub struct DeviceBatch<B: Backend> {
    /// Photos `[N, 3, H, W]` in [-1, 1].
    pub images: Tensor<B, 4>,
    /// Class indices `[N, H, W]`, and centre offsets where the batch has them.
    pub maps: LabelMaps<B>,
    /// Class weights α of the batch, `[classes]` (notes L1).
    pub class_weights: Tensor<B, 1>,
}

impl<B: Backend> DeviceBatch<B> {
    /// Moves a batch of the loader to the device.
    pub fn new(batch: &Batch, classes: usize, device: &B::Device) -> Self {
        let shape = [batch.len, batch.size.height, batch.size.width];
        let images = image_tensor(batch.images.clone(), shape, device);
        let weights = class_weights(&batch.labels, classes);
        Self {
            images,
            maps: label_maps(batch, device),
            class_weights: Tensor::from_data(TensorData::new(weights, [classes]), device),
        }
    }
}

/// RGB bytes on the device, in [-1, 1].
///
/// # Shapes
/// - pixels: `[images, height, width, 3]`
/// - output: `[images, 3, height, width]`
pub fn image_tensor<B: Backend>(
    pixels: Vec<u8>,
    [images, height, width]: [usize; 3],
    device: &B::Device,
) -> Tensor<B, 4> {
    let pixels = TensorData::new(pixels, [images, height, width, 3]);
    Tensor::<B, 4>::from_data(pixels.convert::<f32>(), device)
        .permute([0, 3, 1, 2])
        .div_scalar(127.5)
        .sub_scalar(1.0)
}

/// The label maps of a batch on the device.
pub fn label_maps<B: Backend>(batch: &Batch, device: &B::Device) -> LabelMaps<B> {
    let (rows, columns) = (batch.size.height, batch.size.width);
    let offsets = batch.offsets.as_ref().map(|offsets| {
        let data = TensorData::new(offsets.clone(), [batch.len, 2, rows, columns]);
        Tensor::from_data(data, device)
    });
    LabelMaps {
        labels: label_tensor(&batch.labels, [batch.len, rows, columns], device),
        offsets,
    }
}

/// The label map of a sample on the device, with its offsets where it has instances.
///
/// # Shapes
/// - output: one map of the size of the sample
pub fn sample_maps<B: Backend>(sample: &Sample, device: &B::Device) -> LabelMaps<B> {
    let (rows, columns) = (sample.height, sample.width);
    let offsets = sample
        .offsets()
        .map(|offsets| Tensor::from_data(TensorData::new(offsets, [1, 2, rows, columns]), device));
    LabelMaps {
        labels: label_tensor(&sample.labels, [1, rows, columns], device),
        offsets,
    }
}

/// Label maps as an index tensor.
pub fn label_tensor<B: Backend>(
    labels: &[u8],
    shape: [usize; 3],
    device: &B::Device,
) -> Tensor<B, 3, Int> {
    Tensor::from_data(
        TensorData::new(labels.to_vec(), shape).convert::<i32>(),
        device,
    )
}

/// Scalars of one step, by name, still on the device until [`StepScalars::read`].
pub struct StepScalars<B: Backend> {
    names: Vec<&'static str>,
    values: Vec<Tensor<B, 1>>,
}

impl<B: Backend> StepScalars<B> {
    pub(super) fn new() -> Self {
        Self {
            names: Vec::new(),
            values: Vec::new(),
        }
    }

    pub(super) fn push(&mut self, name: &'static str, value: Tensor<B, 1>) {
        self.names.push(name);
        self.values.push(value);
    }

    /// Reads every scalar with one transfer, averaging those pushed several times.
    ///
    /// # Errors
    /// When the device fails.
    pub fn read(self) -> Result<BTreeMap<&'static str, f64>> {
        let values = read(Tensor::cat(self.values, 0))?;
        let mut sums = BTreeMap::<&'static str, (f64, f64)>::new();
        for (name, value) in self.names.iter().zip(values.iter::<f64>()) {
            let (sum, count) = sums.entry(name).or_default();
            *sum += value;
            *count += 1.0;
        }
        Ok(sums
            .into_iter()
            .map(|(name, (sum, count))| (name, sum / count))
            .collect())
    }
}
