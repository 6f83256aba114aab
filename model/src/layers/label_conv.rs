use burn::module::{Module, Param};
use burn::tensor::{Tensor, backend::Backend, ops::ConvOptions};
use dp_sims_backends::fused::convolve_labels;

use super::{LabelMaps, conv2d};
use crate::init::{InitRng, filled};

/// 3×3 convolution over a label map, equal to a convolution over its one-hot form with zero
/// padding, computed by gathering columns of the weight ([`convolve_labels`]).
///
/// Costs nine gathers of `channels_out` numbers per pixel whatever the number of classes; a dense
/// convolution costs 9 · classes · `channels_out` multiply-adds per pixel and the memory of the
/// one-hot map (notes E7: 59.9 ms against 6.2 ms at 256×256 with 151 classes).
#[derive(Module, Debug)]
pub struct LabelConv<B: Backend> {
    /// Weight of shape `[channels_out, classes, 3, 3]`.
    pub weight: Param<Tensor<B, 4>>,
    /// Weight of the centre offsets, `[channels_out, 2, 3, 3]`: the channels after the classes.
    pub offset_weight: Option<Param<Tensor<B, 4>>>,
    /// Bias of shape `[channels_out]`.
    pub bias: Param<Tensor<B, 1>>,
}

impl<B: Backend> LabelConv<B> {
    /// A label convolution over `classes` classes and, after them, `offsets` channels of offsets (2
    /// or 0), with xavier-normal weight (gain 0.02) and zero bias (notes L32).
    pub fn new(
        [classes, offsets]: [usize; 2],
        channels_out: usize,
        rng: &mut InitRng,
        device: &B::Device,
    ) -> Self {
        let channels_in = classes + offsets;
        let mut part =
            |channels| rng.xavier_part([channels_out, channels, 3, 3], channels_in, device);
        Self {
            weight: part(classes),
            offset_weight: (offsets > 0).then(|| part(offsets)),
            bias: filled([channels_out], 0.0, device),
        }
    }

    /// Convolves.
    ///
    /// # Shapes
    /// - labels: `[N, H, W]`, values in `0..classes`
    /// - offsets: `[N, 2, H, W]`; passed over by a convolution without a weight for them
    /// - output: `[N, channels_out, H, W]`
    pub fn forward(&self, maps: impl Into<LabelMaps<B>>) -> Tensor<B, 4> {
        let LabelMaps { labels, offsets } = maps.into();
        let output = convolve_labels(self.weight.val(), self.bias.val(), labels);
        match (offsets, &self.offset_weight) {
            (Some(offsets), Some(weight)) => {
                let options = ConvOptions::new([1, 1], [1, 1], [1, 1], 1);
                output + conv2d(offsets, weight.val(), None, options)
            }
            _ => output,
        }
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::TensorData;
    use burn::tensor::backend::AutodiffBackend;

    use super::super::concat;
    use super::*;
    use crate::testing::{relative_error, values};

    /// Output and weight gradients equal those of the dense convolution over [one-hot map, offsets].
    fn equals_the_dense_convolution<B: AutodiffBackend>() {
        let device = Default::default();
        let (classes, channels, height, width) = (4usize, 3usize, 3usize, 5usize);
        let rng = &mut InitRng::new(3, "t");
        let layer = LabelConv::<B>::new([classes, 2], channels, rng, &device);
        let labels: Vec<i32> = (0..2 * height * width)
            .map(|i| (i * 7 % 5 % 4) as i32)
            .collect();
        let mut one_hot = vec![0f32; 2 * classes * height * width];
        for (index, &label) in labels.iter().enumerate() {
            let (image, pixel) = (index / (height * width), index % (height * width));
            one_hot[(image * classes + label as usize) * height * width + pixel] = 1.0;
        }
        let labels = TensorData::new(labels, [2, height, width]);
        let one_hot = TensorData::new(one_hot, [2, classes, height, width]);
        let mut random = |shape| {
            let values: Tensor<B, 4> = rng.normal(shape, 1.0, &device).val().detach();
            values
        };
        let offsets = random([2, 2, height, width]);
        let probe = random([2, channels, height, width]);
        let maps = LabelMaps {
            labels: Tensor::from_data(labels, &device),
            offsets: Some(offsets.clone()),
        };
        let output = layer.forward(maps);
        let gradients = (output.clone() * probe.clone()).sum().backward();
        let offset_weight = layer.offset_weight.as_ref().unwrap();
        let actual = [
            layer.weight.grad(&gradients).unwrap(),
            offset_weight.grad(&gradients).unwrap(),
        ];
        let weight = concat(vec![layer.weight.val(), offset_weight.val()], 1);
        let weight = weight.detach().require_grad();
        let options = ConvOptions::new([1, 1], [1, 1], [1, 1], 1);
        let input = concat(vec![Tensor::from_data(one_hot, &device), offsets], 1);
        let dense = conv2d(input, weight.clone(), None, options);
        let gradients = (dense.clone() * probe).sum().backward();
        let expected = weight.grad(&gradients).unwrap();
        assert!(relative_error(&values(output), &values(dense)) < 1e-5);
        let [labels, offsets] = actual;
        let (first, last) = (
            expected.clone().narrow(1, 0, classes),
            expected.narrow(1, classes, 2),
        );
        assert!(relative_error(&values(labels), &values(first)) < 1e-5);
        assert!(relative_error(&values(offsets), &values(last)) < 1e-5);
    }

    backend_tests!(equals_the_dense_convolution);
}
