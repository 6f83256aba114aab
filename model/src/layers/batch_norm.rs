use burn::module::{Module, Param};
use burn::tensor::{Tensor, backend::Backend};
use dp_sims_backends::collective::ranks;
use dp_sims_backends::fused::{Normalised, moving_average, normalise, standardise};

use super::{Mode, set_buffer};
use crate::init::{InitRng, buffer, filled};

/// Batch norm over `[N, C, H, W]` with an explicit [`Mode`].
///
/// Normalises by the biased variance and keeps the unbiased one for inference, as PyTorch does
/// (notes G10): y = (x − μ) / √(σ² + ε) · γ + β. The statistics are those of all ranks together where the
/// work is that of a [group](dp_sims_backends::collective::Group::run).
#[derive(Module, Debug)]
pub struct BatchNorm<B: Backend> {
    /// Scale γ of shape `[C]`, if affine.
    pub weight: Option<Param<Tensor<B, 1>>>,
    /// Shift β of shape `[C]`, if affine.
    pub bias: Option<Param<Tensor<B, 1>>>,
    /// Running mean of shape `[C]`.
    pub running_mean: Param<Tensor<B, 1>>,
    /// Running unbiased variance of shape `[C]`.
    pub running_var: Param<Tensor<B, 1>>,
    /// Weight of the newest batch in the running statistics.
    pub momentum: f64,
    /// ε under the root.
    pub epsilon: f64,
    /// Mean, scale and shift of each channel, `[C]`, once they are [folded](Self::fold).
    folded: Option<[Tensor<B, 1>; 3]>,
}

impl<B: Backend> BatchNorm<B> {
    /// Batch norm without scale and shift, as inside SPADE (notes G10) and in the feature
    /// conditioning of the discriminator (notes D11, O9).
    pub fn plain(channels: usize, device: &B::Device) -> Self {
        Self {
            weight: None,
            bias: None,
            running_mean: buffer(Tensor::zeros([channels], device)),
            running_var: buffer(Tensor::ones([channels], device)),
            momentum: 0.1,
            epsilon: 1e-5,
            folded: None,
        }
    }

    /// Batch norm with γ ~ N(1, 0.02) and β = 0 (notes L32).
    pub fn affine(channels: usize, rng: &mut InitRng, device: &B::Device) -> Self {
        let weight: Param<Tensor<B, 1>> = rng.normal([channels], 0.02, device);
        Self {
            weight: Some(weight.map(|value| (value + 1.0).detach().require_grad())),
            bias: Some(filled([channels], 0.0, device)),
            ..Self::plain(channels, device)
        }
    }

    /// Normalises each channel.
    ///
    /// # Shapes
    /// - input: `[N, C, H, W]`
    /// - output: `[N, C, H, W]`
    pub fn forward(&mut self, input: Tensor<B, 4>, mode: Mode) -> Tensor<B, 4> {
        let shape = input.dims();
        let [batch, channels, height, width] = shape;
        self.forward_flat(input.reshape([batch, channels, height * width]), mode)
            .reshape(shape)
    }

    /// The same with the pixels in one axis.
    ///
    /// # Shapes
    /// - input: `[N, C, HW]`
    /// - output: `[N, C, HW]`
    pub(crate) fn forward_flat(&mut self, input: Tensor<B, 3>, mode: Mode) -> Tensor<B, 3> {
        match mode {
            Mode::Train => {
                let count = values_per_channel(&input);
                let batch = normalise(input, self.epsilon);
                self.track(&batch, count);
                self.modulate(batch.normal)
            }
            Mode::Eval => standardise(input, self.constants()),
        }
    }

    /// Keeps what evaluation makes of the running statistics, for good; training can not go on from it.
    pub(crate) fn fold(&mut self) {
        self.folded = Some(self.constants().map(Tensor::detach));
    }

    /// Mean, scale and shift of each channel after training, `[C]`.
    pub(crate) fn constants(&self) -> [Tensor<B, 1>; 3] {
        if let Some(folded) = &self.folded {
            return folded.clone();
        }
        let variance = self.running_var.val();
        let mut scale = variance.add_scalar(self.epsilon).sqrt().recip();
        if let Some(weight) = &self.weight {
            scale = scale * weight.val();
        }
        let mean = self.running_mean.val();
        let shift = match &self.bias {
            Some(bias) => bias.val(),
            None => mean.zeros_like(),
        };
        [mean, scale, shift]
    }

    /// What this batch norm and another one, both without scale and shift, make of one input in training
    /// mode: they normalise by the same statistics, which are computed once, and so is the result.
    ///
    /// # Shapes
    /// - input: `[N, C, HW]`
    /// - output: `[N, C, HW]`
    pub(crate) fn train_with(&mut self, other: &mut Self, input: Tensor<B, 3>) -> Tensor<B, 3> {
        let count = values_per_channel(&input);
        let batch = normalise(input, self.epsilon);
        self.track(&batch, count);
        other.track(&batch, count);
        batch.normal
    }

    /// Scales by γ and shifts by β, if affine.
    ///
    /// Both are repeated over the batch before they meet the features: CPU backends have a fast
    /// path for one value per contiguous row, and a slow one for the general broadcast.
    fn modulate(&self, normal: Tensor<B, 3>) -> Tensor<B, 3> {
        let [batch, channels, _] = normal.dims();
        let rows = |values: &Param<Tensor<B, 1>>| {
            let values = values.val().reshape([1, channels, 1]);
            values.repeat_dim(0, batch)
        };
        let scaled = match &self.weight {
            Some(weight) => normal * rows(weight),
            None => normal,
        };
        match &self.bias {
            Some(bias) => scaled + rows(bias),
            None => scaled,
        }
    }

    fn track(&mut self, batch: &Normalised<B>, count: f64) {
        let decay = 1.0 - self.momentum;
        let running = moving_average(self.running_mean.val(), batch.mean.clone(), decay);
        set_buffer(&mut self.running_mean, running);
        let unbiased = batch.variance.clone() * (count / (count - 1.0).max(1.0));
        let running = moving_average(self.running_var.val(), unbiased, decay);
        set_buffer(&mut self.running_var, running);
    }
}

/// Values of a channel in a batch `[N, C, HW]`, those of other ranks included.
fn values_per_channel<B: Backend>(input: &Tensor<B, 3>) -> f64 {
    let [batch, _, pixels] = input.dims();
    (batch * pixels * ranks()) as f64
}

#[cfg(test)]
mod tests {
    use burn::tensor::backend::AutodiffBackend;

    use super::*;
    use crate::testing::{relative_error, values};

    fn training_normalises_and_tracks<B: AutodiffBackend>() {
        let device = Default::default();
        let mut norm = BatchNorm::<B>::plain(1, &device);
        let input = Tensor::from_floats([[[[1.0, 2.0], [3.0, 6.0]]]], &device);
        let output = values(norm.forward(input, Mode::Train));
        // Mean 3, biased variance 3.5, unbiased variance 14/3.
        let root = 3.500_01_f32.sqrt();
        let expected = [-2.0 / root, -1.0 / root, 0.0, 3.0 / root];
        assert!(relative_error(&output, &expected) < 1e-6, "{output:?}");
        assert!((values(norm.running_mean.val())[0] - 0.3).abs() < 1e-6);
        let expected = 0.9 + 0.1 * 14.0 / 3.0;
        assert!((values(norm.running_var.val())[0] - expected).abs() < 1e-6);
    }

    fn evaluation_changes_nothing<B: AutodiffBackend>() {
        let device = Default::default();
        let mut norm = BatchNorm::<B>::affine(2, &mut InitRng::new(0, "t"), &device);
        let input = Tensor::from_floats([[[[1.0]], [[-2.0]]]], &device);
        let output = values(norm.forward(input, Mode::Eval));
        let weight = values(norm.weight.as_ref().unwrap().val());
        let expected = [weight[0], -2.0 * weight[1]];
        assert!(
            relative_error(&output, &expected) < 1e-5,
            "{output:?} {expected:?}"
        );
        assert_eq!(values(norm.running_mean.val()), [0.0, 0.0]);
        assert!(norm.weight.as_ref().unwrap().is_require_grad());
        assert!(!norm.running_mean.is_require_grad());
    }

    backend_tests!(training_normalises_and_tracks, evaluation_changes_nothing);
}
