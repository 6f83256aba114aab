use burn::tensor::activation::{sigmoid, softmax};
use burn::tensor::{Int, Tensor, TensorData, backend::Backend};
use dp_sims_model::layers::{interpolation_matrix, resize_bilinear};

use super::encoder::padded;
use super::{Mask2Former, STRIDE, UNIT};
use crate::segmenter::standardise;

/// Masks that are alive in full size at a time.
const CHUNK: usize = 20;

impl<B: Backend> Mask2Former<B> {
    /// Scores of every class: the probabilities of the masks, each shared among the classes by the
    /// probabilities of its class (notes M17; `semantic_inference` of the original project).
    ///
    /// As there, the images are padded with zeros to multiples of 32, the mask logits are resized
    /// bilinearly to the size of the padded images and the padding is cut off. Then the scores are
    /// made and resized bilinearly to `size`, or, with
    /// [`masks_first`](super::Mask2FormerConfig::masks_first), the mask logits are resized to
    /// `size` and the scores made of them. `post_process_semantic_segmentation` of transformers
    /// differs: it resizes the mask logits to 384 × 384 pixels and the scores from there.
    ///
    /// Beside the network (see [`forward`](Self::forward)) it costs Q · L products per pixel and
    /// keeps the scores and twenty masks in full size, of one image.
    ///
    /// # Shapes
    ///
    /// - `images`: `[N, 3, H, W]`, RGB in [0, 1]
    /// - `size`: height and width of the scores, those of the label map in the project
    /// - output: `[N, L, size[0], size[1]]`
    pub fn semantic(&self, images: Tensor<B, 4>, size: [usize; 2]) -> Tensor<B, 4> {
        Tensor::cat(self.per_image(images, size, |scores| scores), 0)
    }

    /// The class of every pixel: that of the largest of the scores of
    /// [`semantic`](Self::semantic), in the order of the classes of the network. The scores of one
    /// image are in memory at a time. Where classes tie the backend decides.
    ///
    /// # Shapes
    ///
    /// - `images`: `[N, 3, H, W]`, RGB in [0, 1]
    /// - output: `[N, size[0], size[1]]`
    pub fn predict(&self, images: Tensor<B, 4>, size: [usize; 2]) -> Tensor<B, 3, Int> {
        let classes = |scores: Tensor<B, 4>| scores.argmax(1).squeeze_dim::<3>(1);
        Tensor::cat(self.per_image(images, size, classes), 0)
    }

    /// What `made` makes of the scores of each image.
    fn per_image<T>(
        &self,
        images: Tensor<B, 4>,
        size: [usize; 2],
        made: impl Fn(Tensor<B, 4>) -> T,
    ) -> Vec<T> {
        let [batch, _, height, width] = images.dims();
        let (classes, masks) = self.network(padded(normalised(images), UNIT));
        (0..batch)
            .map(|image| {
                let classes = classes.clone().narrow(0, image, 1);
                let masks = masks.clone().narrow(0, image, 1);
                made(self.scores(classes, masks, [height, width], size))
            })
            .collect()
    }

    /// # Shapes
    ///
    /// - `classes`: logits `[1, Q, L + 1]`
    /// - `masks`: logits `[1, Q, h, w]` of the padded image
    /// - `image`: height and width without the padding
    /// - output: `[1, L, size[0], size[1]]`
    fn scores(
        &self,
        classes: Tensor<B, 3>,
        masks: Tensor<B, 4>,
        image: [usize; 2],
        size: [usize; 2],
    ) -> Tensor<B, 4> {
        let [_, queries, rows, columns] = masks.dims();
        let labels = classes.dims()[2] - 1;
        let classes = softmax(classes, 2).narrow(2, 0, labels).squeeze_dim::<2>(0);
        let classes = classes.transpose();
        let device = masks.device();
        let [height, width] = if self.masks_first { size } else { image };
        // Both resizes and the crop are one linear map along each axis.
        let resize = |from: usize, cropped: usize, to: usize| {
            let whole = matrix::<B>(from, from * STRIDE, &device).narrow(0, 0, cropped);
            if to == cropped {
                return whole;
            }
            matrix(cropped, to, &device).matmul(whole)
        };
        let down = resize(rows, image[0], height).unsqueeze::<3>();
        let across = resize(columns, image[1], width).transpose();
        let masks = masks.squeeze_dim::<3>(0);
        let mut scores = Tensor::zeros([labels, height * width], &device);
        for start in (0..queries).step_by(CHUNK) {
            let count = CHUNK.min(queries - start);
            let chunk = masks.clone().narrow(0, start, count);
            let wide = chunk
                .reshape([count * rows, columns])
                .matmul(across.clone())
                .reshape([count, rows, width]);
            let full = down.clone().expand([count, height, rows]).matmul(wide);
            let full = sigmoid(full).reshape([count, height * width]);
            scores = scores + classes.clone().narrow(1, start, count).matmul(full);
        }
        let scores = scores.reshape([1, labels, height, width]);
        resize_bilinear(scores, size[0], size[1])
    }
}

/// Bilinear resize along one axis, `[to, from]`.
fn matrix<B: Backend>(from: usize, to: usize, device: &B::Device) -> Tensor<B, 2> {
    let values = TensorData::new(interpolation_matrix(from, to), [to, from]);
    Tensor::from_data(values, device)
}

/// An image in [0, 1] with the mean and deviation of ImageNet taken away (`PIXEL_MEAN` and
/// `PIXEL_STD` of the configurations, which are these times 255).
pub(super) fn normalised<B: Backend>(images: Tensor<B, 4>) -> Tensor<B, 4> {
    standardise(images, [0.485, 0.456, 0.406], [0.229, 0.224, 0.225])
}
