//! The shift of a batch before the losses look at it.

use burn::tensor::backend::Backend;
use burn::tensor::{BasicOps, Int, Tensor};
use rand::RngExt;

use crate::init::counter_rng;

/// How far a batch is moved before the losses look at it: images, photos and label maps alike, what
/// leaves at one side coming in at the other.
///
/// Networks that cut an image into patches, as ConvNeXt's first layer does, hand their grid down to the
/// gradient, and a generator that is always judged on the same grid learns to draw it. A translation
/// of DiffAugment, drawn for every batch, hides where the grid lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shift([i64; 2]);

impl Shift {
    /// The shift of a batch, up to `largest` pixels up and to the left.
    pub fn draw(seed: u64, counter: u64, largest: usize) -> Self {
        let mut rng = counter_rng(seed, counter, "shift");
        Self([(); 2].map(|()| rng.random_range(0..=largest as u32).into()))
    }

    /// Maps whose last two dimensions are rows and columns, moved.
    fn moved<B: Backend, const D: usize, K: BasicOps<B>>(
        self,
        maps: Tensor<B, D, K>,
    ) -> Tensor<B, D, K> {
        maps.roll(&self.0, &[D - 2, D - 1])
    }

    /// Images `[N, 3, H, W]`, moved. Costs two copies, and nothing without a shift.
    pub fn images<B: Backend>(self, images: Tensor<B, 4>) -> Tensor<B, 4> {
        self.moved(images)
    }

    /// Class indices `[N, H, W]`, moved.
    pub fn labels<B: Backend>(self, labels: Tensor<B, 3, Int>) -> Tensor<B, 3, Int> {
        self.moved(labels)
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::TensorData;
    use burn::tensor::backend::AutodiffBackend;

    use super::*;

    fn images_and_labels_move_together_and_wrap_around<B: AutodiffBackend>() {
        let device = Default::default();
        let labels: Vec<i32> = (0..12).collect();
        let labels = Tensor::<B, 3, Int>::from_data(TensorData::new(labels, [1, 3, 4]), &device);
        let images: Tensor<B, 4> = labels.clone().float().unsqueeze_dim(1);
        let shift = Shift([1, 2]);
        let moved = shift.labels(labels.clone());
        let expected = TensorData::from([[[6, 7, 4, 5], [10, 11, 8, 9], [2, 3, 0, 1]]]);
        moved.clone().into_data().assert_eq(&expected, false);
        let images = shift.images(images).into_data();
        images.assert_eq(&moved.float().unsqueeze_dim::<4>(1).into_data(), false);
        let still = Shift::draw(1, 2, 0).labels(labels.clone());
        still.into_data().assert_eq(&labels.into_data(), false);
    }

    backend_tests!(images_and_labels_move_together_and_wrap_around);

    #[test]
    fn every_shift_is_drawn_and_none_beyond_the_largest() {
        let mut counts = [[0; 4]; 2];
        for counter in 0..400 {
            let Shift([down, right]) = Shift::draw(7, counter, 3);
            counts[0][down as usize] += 1;
            counts[1][right as usize] += 1;
        }
        // 100 each; the standard deviation is 9.
        assert!(
            counts
                .iter()
                .flatten()
                .all(|count| (60..140).contains(count)),
            "{counts:?}"
        );
    }
}
