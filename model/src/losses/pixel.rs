//! Pixel-wise GAN loss over C classes and "fake": weighted focal loss (Eq. 3 and 4) and the
//! variants of Table 8.

use burn::tensor::{Int, Tensor, backend::Backend};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{LossError, shift_and_log_sum};

/// How the losses of the pixels of a batch become one number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Reduction {
    /// Mean over images and pixels, as OASIS computes it (notes L3).
    Mean,
    /// Sum over pixels, mean over images, as Eq. 3 and 4 are written.
    SumPerImage,
}

/// Configuration of [`PixelLoss`]. The rows of Table 8: "weighted CE" is `gamma` = 0, "focal" is
/// `class_weights` = false, "weighted focal" is the default.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct PixelLossConfig {
    /// Exponent γ of the focal factor (1 - p)^γ: 0 for cross-entropy, otherwise at least 1, below
    /// which the gradient is infinite at p = 1.
    pub gamma: f64,
    /// Weights pixels by the rarity of their class in the batch. Void never counts.
    pub class_weights: bool,
    /// Share ε of the discriminator's targets on real images that is spread evenly over all C + 1
    /// outputs (notes O13).
    pub label_smoothing: f64,
    /// Smooths the targets on generated images as well.
    pub smooth_fake: bool,
    /// Reduction over pixels and images.
    pub reduction: Reduction,
}

impl Default for PixelLossConfig {
    fn default() -> Self {
        Self {
            gamma: 2.0,
            class_weights: true,
            label_smoothing: 0.1,
            smooth_fake: false,
            reduction: Reduction::Mean,
        }
    }
}

impl PixelLossConfig {
    /// Builds the loss.
    ///
    /// # Errors
    /// [`LossError::OutOfRange`] if γ or ε is outside its range.
    pub fn init(&self) -> Result<PixelLoss, LossError> {
        if self.gamma != 0.0 && !(self.gamma >= 1.0 && self.gamma.is_finite()) {
            return Err(LossError::OutOfRange {
                field: "gamma",
                value: self.gamma,
                allowed: "0 for cross-entropy or a number of at least 1",
            });
        }
        if !(0.0..1.0).contains(&self.label_smoothing) {
            return Err(LossError::OutOfRange {
                field: "label_smoothing",
                value: self.label_smoothing,
                allowed: "a number from 0 to below 1",
            });
        }
        Ok(PixelLoss {
            config: self.clone(),
        })
    }
}

/// Weighted focal pixel-wise GAN loss: `real` and `fake` add up to the discriminator's loss
/// (Eq. 3), `generator` is the generator's (Eq. 4).
///
/// Labels stay indices: the pixel's own log-probability is gathered. A loss without smoothing
/// keeps one tensor of the size of the logits for the backward pass, the shifted logits;
/// everything else has one number per pixel. Smoothing a focal loss needs the focal term of all
/// C + 1 outputs and keeps three more.
#[derive(Clone, Debug)]
pub struct PixelLoss {
    config: PixelLossConfig,
}

impl PixelLoss {
    /// Loss of the discriminator on real images, with smoothed targets (notes O13, O14).
    ///
    /// # Shapes
    /// - `logits`: `[N, C + 1, H, W]`, the last output is "fake"
    /// - `labels`: `[N, H, W]`, class indices in 0..C; void (0) adds nothing but counts in the mean
    /// - `alpha`: `[C]`, see [`class_weights`](super::class_weights); not read if the configuration turns weights off
    /// - output: `[1]`
    pub fn real<B: Backend>(
        &self,
        logits: Tensor<B, 4>,
        labels: Tensor<B, 3, Int>,
        alpha: Tensor<B, 1>,
    ) -> Tensor<B, 1> {
        self.supervised(logits, labels, alpha, self.config.label_smoothing)
    }

    /// Loss of the discriminator on fakes: every pixel is "fake", without weights.
    ///
    /// # Shapes
    /// - `logits`: `[N, C + 1, H, W]`, the last output is "fake"
    /// - output: `[1]`
    pub fn fake<B: Backend>(&self, logits: Tensor<B, 4>) -> Tensor<B, 1> {
        let fake = logits.dims()[1] - 1;
        let smoothing = if self.config.smooth_fake {
            self.config.label_smoothing
        } else {
            0.0
        };
        self.reduce(self.pixels(logits, |logits| logits.narrow(1, fake, 1), smoothing))
    }

    /// Loss of the generator: its fakes should be taken for the classes of the label map.
    /// Targets are not smoothed (notes L9).
    ///
    /// # Shapes
    /// As for [`real`](Self::real).
    pub fn generator<B: Backend>(
        &self,
        logits: Tensor<B, 4>,
        labels: Tensor<B, 3, Int>,
        alpha: Tensor<B, 1>,
    ) -> Tensor<B, 1> {
        self.supervised(logits, labels, alpha, 0.0)
    }

    fn supervised<B: Backend>(
        &self,
        logits: Tensor<B, 4>,
        labels: Tensor<B, 3, Int>,
        alpha: Tensor<B, 1>,
        smoothing: f64,
    ) -> Tensor<B, 1> {
        let [images, height, width] = labels.dims();
        let labels: Tensor<B, 4, Int> = labels.reshape([images, 1, height, width]);
        let weights = if self.config.class_weights {
            alpha
                .select(0, labels.clone().flatten(0, 3))
                .reshape([images, 1, height, width])
        } else {
            labels.clone().not_equal_elem(0).float()
        };
        let pixels = self.pixels(logits, |logits| logits.gather(1, labels), smoothing);
        self.reduce(pixels * weights)
    }

    /// Loss of every pixel, `[N, 1, H, W]`: -Σ_k t_k (1 - p_k)^γ ln p_k, where `target` picks the
    /// output whose t_k is large.
    fn pixels<B: Backend>(
        &self,
        logits: Tensor<B, 4>,
        target: impl FnOnce(Tensor<B, 4>) -> Tensor<B, 4>,
        smoothing: f64,
    ) -> Tensor<B, 4> {
        let outputs = logits.dims()[1];
        let (shifted, log_sum) = shift_and_log_sum(logits, 1);
        let hard = self.focal(target(shifted.clone()) - log_sum.clone());
        if smoothing == 0.0 {
            return hard;
        }
        let uniform = self.focal(shifted - log_sum).sum_dim(1);
        hard * (1.0 - smoothing) + uniform * (smoothing / outputs as f64)
    }

    /// -(1 - p)^γ ln p. The gradient flows through both factors (notes L8).
    fn focal<B: Backend>(&self, log_p: Tensor<B, 4>) -> Tensor<B, 4> {
        let gamma = self.config.gamma;
        if gamma == 0.0 {
            return -log_p;
        }
        let mut missing: Tensor<B, 4> = 1.0 - log_p.clone().exp();
        if gamma.fract() != 0.0 {
            // A p rounded to just above 1 has no fractional power.
            missing = missing.clamp_min(0.0);
        }
        -missing.powf_scalar(gamma) * log_p
    }

    fn reduce<B: Backend>(&self, pixels: Tensor<B, 4>) -> Tensor<B, 1> {
        let images = pixels.dims()[0];
        match self.config.reduction {
            Reduction::Mean => pixels.mean(),
            Reduction::SumPerImage => pixels.sum() / images as f64,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::losses::reference::{Reference, finite_differences, labels, value};
    use crate::losses::{class_weights, pixel_accuracy};
    use crate::testing::{relative_error, values};
    use burn::tensor::TensorData;
    use burn::tensor::backend::AutodiffBackend;

    const SHAPE: [usize; 3] = [2, 3, 4];
    const CLASSES: usize = 5;

    fn reference() -> Reference {
        Reference::new(include_bytes!(
            "../../../tests/fixtures/losses/pixel.safetensors"
        ))
    }

    fn config(gamma: f64, class_weights: bool, label_smoothing: f64) -> PixelLossConfig {
        PixelLossConfig {
            gamma,
            class_weights,
            label_smoothing,
            ..Default::default()
        }
    }

    /// The variants of the reference, by its names.
    fn variants() -> Vec<(&'static str, PixelLoss)> {
        let sum = Reduction::SumPerImage;
        [
            ("ce", config(0.0, false, 0.0)),
            ("weighted_ce", config(0.0, true, 0.0)),
            ("weighted_ce_smoothed", config(0.0, true, 0.1)),
            ("focal", config(2.0, false, 0.0)),
            ("weighted_focal", config(2.0, true, 0.0)),
            ("default", PixelLossConfig::default()),
            (
                "smooth_fake",
                PixelLossConfig {
                    smooth_fake: true,
                    ..config(2.0, true, 0.2)
                },
            ),
            (
                "sum",
                PixelLossConfig {
                    reduction: sum,
                    ..Default::default()
                },
            ),
            ("gamma_1", config(1.0, true, 0.1)),
            (
                "gamma_2_5",
                PixelLossConfig {
                    smooth_fake: true,
                    ..config(2.5, true, 0.1)
                },
            ),
        ]
        .map(|(name, config)| (name, config.init().unwrap()))
        .to_vec()
    }

    const USES: [&str; 3] = ["real", "fake", "generator"];

    fn apply<B: Backend>(loss: &PixelLoss, of: &str, logits: Tensor<B, 4>) -> Tensor<B, 1> {
        let map = reference().bytes("labels");
        let alpha = class_weights(map, CLASSES);
        let alpha = Tensor::from_data(TensorData::from(alpha.as_slice()), &logits.device());
        match of {
            "real" => loss.real(logits, labels(map, SHAPE), alpha),
            "fake" => loss.fake(logits),
            _ => loss.generator(logits, labels(map, SHAPE), alpha),
        }
    }

    fn loss_and_gradient<B: AutodiffBackend>(
        x: Tensor<B, 4>,
        loss: impl Fn(Tensor<B, 4>) -> Tensor<B, 1>,
    ) -> (Tensor<B, 1>, Tensor<B::InnerBackend, 4>) {
        let x = x.detach().require_grad();
        let loss = loss(x.clone());
        let gradients = loss.backward();
        (loss, x.grad(&gradients).unwrap())
    }

    fn agrees_with_pytorch<B: AutodiffBackend>() {
        let reference = reference();
        for (name, loss) in variants() {
            for (input, suffix) in [("logits", ""), ("extreme", ".extreme")] {
                if suffix == ".extreme" && !["ce", "default", "gamma_2_5"].contains(&name) {
                    continue;
                }
                for of in USES {
                    let x = reference.tensor::<B, 4>(input);
                    let (value, gradient) = loss_and_gradient(x, |x| apply(&loss, of, x));
                    reference.check(&format!("{name}{suffix}.{of}.loss"), value, 2e-6);
                    reference.check(&format!("{name}{suffix}.{of}.grad"), gradient, 5e-6);
                }
            }
        }
    }

    fn agrees_with_finite_differences<B: AutodiffBackend>() {
        for (name, loss) in variants() {
            for of in USES {
                let x = reference().tensor::<B, 4>("logits");
                let (_, gradient) = loss_and_gradient(x.clone(), |x| apply(&loss, of, x));
                let slopes = finite_differences(x.inner(), 1e-2, |x| apply(&loss, of, x));
                let error = relative_error(&values(gradient), &slopes);
                assert!(error < 2e-3, "{name} {of}: relative error {error:e}");
            }
        }
    }

    fn a_batch_of_void_is_zero<B: AutodiffBackend>() {
        let map = [0u8; 24];
        let alpha = class_weights(&map, CLASSES);
        assert_eq!(alpha, vec![0.0; CLASSES]);
        for (name, loss) in variants() {
            let (total, gradient) =
                loss_and_gradient(reference().tensor::<B, 4>("extreme"), |x: Tensor<B, 4>| {
                    let alpha = Tensor::from_data(TensorData::from(alpha.as_slice()), &x.device());
                    loss.real(x.clone(), labels(&map, SHAPE), alpha.clone())
                        + loss.generator(x, labels(&map, SHAPE), alpha)
                });
            assert_eq!(value(total), 0.0, "{name}");
            assert!(values(gradient).iter().all(|&slope| slope == 0.0), "{name}");
        }
        let logits = reference().tensor::<B, 4>("logits");
        assert_eq!(value(pixel_accuracy(logits, labels(&map, SHAPE))), 0.0);
    }

    fn one_class_is_plain_cross_entropy<B: AutodiffBackend>() {
        let map = [3u8; 24];
        let alpha = class_weights(&map, CLASSES);
        assert_eq!(alpha, vec![0.0, 0.0, 0.0, 1.0, 0.0]);
        let loss = config(0.0, true, 0.0).init().unwrap();
        let logits = Tensor::<B, 4>::zeros([2, CLASSES + 1, 3, 4], &Default::default());
        let alpha = Tensor::from_data(TensorData::from(alpha.as_slice()), &logits.device());
        let got = value(loss.generator(logits, labels(&map, SHAPE), alpha));
        assert!((got - 6f32.ln()).abs() < 1e-6, "{got}");
    }

    fn accuracy_leaves_void_out<B: AutodiffBackend>() {
        let reference = reference();
        let logits = reference.tensor::<B, 4>("logits").require_grad();
        let map = labels(reference.bytes("labels"), SHAPE);
        reference.check("accuracy", pixel_accuracy(logits, map), 1e-6);
        let fake = Tensor::<B, 4>::from_data(
            [[[[0.0]], [[0.0]], [[0.0]], [[0.0]], [[0.0]], [[1.0]]]],
            &Default::default(),
        )
        .expand([2, CLASSES + 1, 3, 4]);
        assert_eq!(
            value(pixel_accuracy(fake, labels(&[CLASSES as u8; 24], SHAPE))),
            1.0
        );
    }

    backend_tests!(
        agrees_with_pytorch,
        agrees_with_finite_differences,
        a_batch_of_void_is_zero,
        one_class_is_plain_cross_entropy,
        accuracy_leaves_void_out,
    );

    #[test]
    fn meaningless_settings_are_refused() {
        for (gamma, smoothing, field) in [
            (0.5, 0.1, "gamma"),
            (-1.0, 0.1, "gamma"),
            (f64::NAN, 0.1, "gamma"),
            (2.0, 1.0, "label_smoothing"),
            (2.0, -0.1, "label_smoothing"),
        ] {
            let error = config(gamma, true, smoothing).init().unwrap_err();
            assert!(error.to_string().contains(field), "{error}");
        }
    }
}
