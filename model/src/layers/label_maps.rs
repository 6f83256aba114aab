use burn::tensor::backend::AutodiffBackend;
use burn::tensor::{Int, Tensor, backend::Backend};

use super::resize::{nearest_indices, nearest_labels};

/// What a generator is conditioned on: class indices and, where it reads them, the way from every
/// pixel of an object to the object's centre.
#[derive(Clone, Debug)]
pub struct LabelMaps<B: Backend> {
    /// Class indices `[N, H, W]`.
    pub labels: Tensor<B, 3, Int>,
    /// Centre offsets `[N, 2, H, W]`, channels (y, x), in units of height and width and so in
    /// [-1, 1]; 0 outside of objects (section 4.1; notes S15, O26). `None` stands for zeros.
    pub offsets: Option<Tensor<B, 4>>,
}

impl<B: Backend> LabelMaps<B> {
    /// Number of maps, height and width.
    pub fn dims(&self) -> [usize; 3] {
        self.labels.dims()
    }

    /// Both resized as [`nearest_labels`] does it.
    pub fn nearest(&self, height: usize, width: usize) -> Self {
        let [_, rows, columns] = self.dims();
        let device = self.labels.device();
        let offsets = self.offsets.clone().map(|offsets| {
            offsets
                .select(2, nearest_indices(rows, height, &device))
                .select(3, nearest_indices(columns, width, &device))
        });
        Self {
            labels: nearest_labels(self.labels.clone(), height, width),
            offsets,
        }
    }
}

impl<B: AutodiffBackend> LabelMaps<B> {
    /// The same maps for a network with a graph; they need no gradient.
    pub fn from_inner(maps: LabelMaps<B::InnerBackend>) -> Self {
        Self {
            labels: Tensor::from_inner(maps.labels),
            offsets: maps.offsets.map(Tensor::from_inner),
        }
    }
}

impl<B: Backend> From<Tensor<B, 3, Int>> for LabelMaps<B> {
    /// Without offsets.
    fn from(labels: Tensor<B, 3, Int>) -> Self {
        Self {
            labels,
            offsets: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::TensorData;

    use super::*;

    /// Labels and offsets of a pixel stay together.
    fn labels_and_offsets_are_resized_alike<B: AutodiffBackend>() {
        let device = Default::default();
        let labels = (0..30).collect::<Vec<i32>>();
        let offsets: Vec<f32> = (0..60).map(|value| (value % 30) as f32).collect();
        let maps = LabelMaps::<B> {
            labels: Tensor::from_data(TensorData::new(labels, [1, 5, 6]), &device),
            offsets: Some(Tensor::from_data(
                TensorData::new(offsets, [1, 2, 5, 6]),
                &device,
            )),
        };
        let small = maps.nearest(2, 3);
        assert_eq!(small.dims(), [1, 2, 3]);
        let labels: Vec<f32> = small.labels.into_data().iter::<f32>().collect();
        let offsets: Vec<f32> = small.offsets.unwrap().into_data().iter::<f32>().collect();
        assert_eq!(labels, [0.0, 2.0, 4.0, 12.0, 14.0, 16.0]);
        assert_eq!(offsets, [labels.clone(), labels].concat());
    }

    backend_tests!(labels_and_offsets_are_resized_alike);
}
