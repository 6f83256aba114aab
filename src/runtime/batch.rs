//! What goes to networks, and the images that come out of them.

use anyhow::Result;
use burn::tensor::backend::Backend;
use burn::tensor::{Tensor, TensorData};
use dp_sims_datasets::Batch;
use dp_sims_model::layers::LabelMaps;
use dp_sims_model::losses::class_weights;

use crate::runtime::device::read;

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
            maps: label_maps(&batch.labels, batch.offsets.clone(), shape, device),
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

/// Images in [-1, 1] as RGB bytes, one vector `[H, W, 3]` per image.
///
/// # Errors
/// When the device fails.
pub fn to_rgb<B: Backend>(images: Tensor<B, 4>) -> Result<Vec<Vec<u8>>> {
    let [count, _, height, width] = images.dims();
    let scaled = images
        .permute([0, 2, 3, 1])
        .add_scalar(1.0)
        .mul_scalar(127.5);
    let data = read(scaled)?;
    // A cast from float saturates, and takes NaN to 0.
    let bytes: Vec<u8> = data
        .iter::<f32>()
        .map(|value| value.round() as u8)
        .collect();
    Ok(bytes
        .chunks_exact(height * width * 3)
        .take(count)
        .map(<[u8]>::to_vec)
        .collect())
}

/// Label maps on the device, with the centre offsets of their objects where there are any.
///
/// # Shapes
/// - labels: `[maps, height, width]`
/// - offsets: `[maps, 2, height, width]`
pub fn label_maps<B: Backend>(
    labels: &[u8],
    offsets: Option<Vec<f32>>,
    [maps, height, width]: [usize; 3],
    device: &B::Device,
) -> LabelMaps<B> {
    let labels = TensorData::new(labels.to_vec(), [maps, height, width]);
    LabelMaps {
        labels: Tensor::from_data(labels.convert::<i32>(), device),
        offsets: offsets.map(|offsets| {
            let offsets = TensorData::new(offsets, [maps, 2, height, width]);
            Tensor::from_data(offsets, device)
        }),
    }
}
