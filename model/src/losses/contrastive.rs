//! Contrastive loss between the features of a fake and of its real image (Eq. 5).

use burn::module::{AutodiffModule, Module};
use burn::tensor::backend::{AutodiffBackend, Backend};
use burn::tensor::{Int, Tensor, TensorData};
use dp_sims_backends::{Key, constant};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{LossError, ProjectorHead, shift_and_log_sum};
use crate::init::InitRng;

/// Configuration of the contrastive loss.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ContrastiveConfig {
    /// Temperature τ.
    pub tau: f64,
    /// Negatives per query; fewer on maps with fewer positions.
    pub negatives: usize,
    /// Dimensions d_v of the compared vectors.
    pub dim: usize,
}

impl Default for ContrastiveConfig {
    fn default() -> Self {
        Self {
            tau: 0.3,
            negatives: 128,
            dim: 256,
        }
    }
}

impl ContrastiveConfig {
    /// Builds the projections for feature maps of the given channel counts, one per scale, with
    /// PyTorch's default initialisation.
    ///
    /// # Errors
    /// [`LossError`] if a number is outside its range or there is no scale.
    pub fn init<B: Backend>(
        &self,
        channels: &[usize],
        rng: &mut InitRng,
        device: &B::Device,
    ) -> Result<Projector<B>, LossError> {
        if !(self.tau > 0.0 && self.tau.is_finite()) {
            return Err(LossError::OutOfRange {
                field: "tau",
                value: self.tau,
                allowed: "a number above 0",
            });
        }
        for (field, value) in [("negatives", self.negatives), ("dim", self.dim)] {
            if value == 0 {
                return Err(LossError::OutOfRange {
                    field,
                    value: 0.0,
                    allowed: "a number of at least 1",
                });
            }
        }
        if channels.is_empty() {
            return Err(LossError::NoScale);
        }
        let heads = channels
            .iter()
            .map(|&channels| ProjectorHead::new(channels, self.dim, rng, device))
            .collect();
        Ok(Projector {
            heads,
            tau: self.tau,
            negatives: self.negatives,
        })
    }
}

/// The contrastive loss with its trainable projections, one per scale.
#[derive(Module, Debug)]
pub struct Projector<B: Backend> {
    /// One projection per scale.
    heads: Vec<ProjectorHead<B>>,
    /// Temperature.
    tau: f64,
    /// Negatives per query.
    negatives: usize,
}

impl<B: Backend> Projector<B> {
    /// Positions that [`loss`](Projector::loss) takes of a feature map, or fewer where the map is
    /// smaller: a query each, whose negatives are the others.
    pub fn queries(&self) -> usize {
        self.negatives + 1
    }
}

impl<B: AutodiffBackend> Projector<B> {
    /// InfoNCE of the fake's vectors against the real image's, summed over scales, mean over
    /// positions and images (notes O17).
    ///
    /// The query at a position of the fake has the same position of the real image as its
    /// positive and the other sampled positions of that image as negatives. Gradients reach the
    /// fake's features and, through them, the projections; the real side has none.
    ///
    /// # Shapes
    /// - `fake`, `real`: per scale `[N, C_l, H_l, W_l]`
    /// - `positions`: per scale, [`queries`](Self::queries) different ones; shared by the batch
    /// - output: `[1]`
    ///
    /// # Panics
    /// If the lists differ in length from the scales of the projector.
    pub fn loss(
        &self,
        fake: Vec<Tensor<B, 4>>,
        real: Vec<Tensor<B::InnerBackend, 4>>,
        positions: &[Vec<i32>],
    ) -> Tensor<B, 1> {
        let scales = self.heads.len();
        assert_eq!(
            [fake.len(), real.len(), positions.len()],
            [scales; 3],
            "contrastive loss: scales of fake, real and positions"
        );
        let device = fake[0].device();
        let mut total = Tensor::zeros([1], &device);
        // All in one transfer.
        let all = TensorData::from(positions.concat().as_slice());
        let all = Tensor::<B::InnerBackend, 1, Int>::from_data(all, &device);
        let mut begin = 0;
        for (((head, fake), real), positions) in
            self.heads.iter().zip(fake).zip(real).zip(positions)
        {
            let at = all.clone().narrow(0, begin, positions.len());
            begin += positions.len();
            let queries = head.forward(fake, Tensor::from_inner(at.clone()));
            let keys = head.valid().forward(real, at);
            total = total + info_nce(queries, Tensor::from_inner(keys), self.tau);
        }
        total
    }
}

/// Cross-entropy of every query against the key of its own index, mean over all.
///
/// # Shapes
/// - `queries`, `keys`: `[N, P, dim]`
/// - output: `[1]`
fn info_nce<B: Backend>(queries: Tensor<B, 3>, keys: Tensor<B, 3>, tau: f64) -> Tensor<B, 1> {
    let count = queries.dims()[1];
    let logits = queries.matmul(keys.swap_dims(1, 2)) / tau;
    let device = logits.device();
    let [images, ..] = logits.dims();
    let key = Key {
        name: "keys of a contrastive loss",
        sizes: [images, count],
    };
    let own = constant::<B, 3, Int>(key, &device, || {
        let one = 0..count as i32;
        let all: Vec<_> = std::iter::repeat_n(one, images).flatten().collect();
        TensorData::new(all, [images, count, 1])
    });
    let (shifted, log_sum) = shift_and_log_sum(logits, 2);
    (log_sum - shifted.gather(2, own)).mean()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::losses::reference::{Reference, finite_differences};
    use crate::testing::{relative_error, values};
    use burn::module::Param;
    use burn::nn::Linear;

    const SCALES: [(usize, [usize; 2]); 3] = [(3, [4, 6]), (4, [3, 5]), (5, [2, 2])];

    fn reference() -> Reference {
        Reference::new(include_bytes!(
            "../../../tests/fixtures/losses/contrastive.safetensors"
        ))
    }

    fn projector<B: Backend>(scales: &[usize]) -> Projector<B> {
        let reference = reference();
        let config = ContrastiveConfig {
            negatives: 8,
            dim: 6,
            ..Default::default()
        };
        let channels: Vec<_> = scales.iter().map(|&scale| SCALES[scale].0).collect();
        let mut projector: Projector<B> = config
            .init(
                &channels,
                &mut InitRng::new(0, "projector"),
                &Default::default(),
            )
            .unwrap();
        for (head, scale) in projector.heads.iter_mut().zip(scales) {
            let vector = |name: &str| {
                Some(Param::from_tensor(
                    reference.tensor(&format!("{scale}.{name}.bias")),
                ))
            };
            // PyTorch keeps [out, in], burn [in, out].
            let matrix = |name: &str| {
                let weight: Tensor<B, 2> = reference.tensor(&format!("{scale}.{name}.weight"));
                Param::from_tensor(weight.transpose())
            };
            head.conv.weight =
                Param::from_tensor(reference.tensor(&format!("{scale}.conv.weight")));
            head.conv.bias = vector("conv");
            (head.hidden.weight, head.hidden.bias) = (matrix("hidden"), vector("hidden"));
            (head.output.weight, head.output.bias) = (matrix("output"), vector("output"));
        }
        projector
    }

    fn agrees_with_pytorch<B: AutodiffBackend>() {
        let reference = reference();
        let projector = projector::<B>(&[0, 1, 2]);
        let fake = [0, 1, 2].map(|s| {
            reference
                .tensor::<B, 4>(&format!("{s}.fake"))
                .require_grad()
        });
        let real = [0, 1, 2].map(|s| reference.tensor(&format!("{s}.real")));
        let positions = [0, 1, 2].map(|s| reference.ints(&format!("{s}.positions")));
        let loss = projector.loss(fake.to_vec(), real.to_vec(), &positions);
        let gradients = loss.backward();
        reference.check("loss", loss, 2e-6);
        let most = 2e-5;
        for (scale, (head, fake)) in projector.heads.iter().zip(fake).enumerate() {
            let name = |name: &str| format!("grad.{scale}.{name}");
            reference.check(&name("fake"), fake.grad(&gradients).unwrap(), most);
            let weight = head.conv.weight.grad(&gradients).unwrap();
            reference.check(&name("conv.weight"), weight, most);
            let bias = head.conv.bias.as_ref().unwrap().grad(&gradients).unwrap();
            reference.check(&name("conv.bias"), bias, most);
            for (layer, linear) in [("hidden", &head.hidden), ("output", &head.output)] {
                let weight = linear.weight.grad(&gradients).unwrap().transpose();
                reference.check(&name(&format!("{layer}.weight")), weight, most);
                let bias = linear.bias.as_ref().unwrap().grad(&gradients).unwrap();
                reference.check(&name(&format!("{layer}.bias")), bias, most);
            }
        }
    }

    fn agrees_with_finite_differences<B: AutodiffBackend>() {
        let reference = reference();
        let projector = projector::<B>(&[2]);
        let positions = [reference.ints("2.positions")];
        let real: Tensor<B::InnerBackend, 4> = reference.tensor("2.real");
        let loss = |fake: Tensor<B, 4>| projector.loss(vec![fake], vec![real.clone()], &positions);
        let fake = reference.tensor::<B, 4>("2.fake").require_grad();
        let gradients = loss(fake.clone()).backward();
        let differences = finite_differences(fake.clone().detach(), 1e-2, loss);
        let error = relative_error(&values(fake.grad(&gradients).unwrap()), &differences);
        assert!(error < 2e-3, "relative error {error:e}");
    }

    fn zero_vectors_and_cold_temperatures_are_finite<B: AutodiffBackend>() {
        let device = Default::default();
        let zero = Tensor::<B, 3>::zeros([1, 4, 6], &device).require_grad();
        let loss = info_nce(zero.clone(), zero.clone(), 0.3);
        let loss = values(loss)[0];
        assert!(
            (loss - 4f32.ln()).abs() < 1e-6,
            "chance is ln 4, not {loss}"
        );

        let mut projector = projector::<B>(&[2]);
        projector.tau = 0.005;
        let dead = |linear: &mut Linear<B>| {
            linear.weight = Param::from_tensor(Tensor::zeros([6, 6], &device));
            linear.bias = None;
        };
        let real: Tensor<B::InnerBackend, 4> = reference().tensor("2.real");
        for kill in [false, true] {
            if kill {
                dead(&mut projector.heads[0].output);
            }
            let fake = reference().tensor::<B, 4>("2.fake").require_grad();
            let loss = projector.loss(vec![fake.clone()], vec![real.clone()], &[vec![3, 0, 1]]);
            let gradients = loss.backward();
            let mut all = values(loss);
            all.extend(values(fake.grad(&gradients).unwrap()));
            assert!(all.iter().all(|value| value.is_finite()), "{all:?}");
        }
    }

    backend_tests!(
        agrees_with_pytorch,
        agrees_with_finite_differences,
        zero_vectors_and_cold_temperatures_are_finite,
    );

    #[test]
    fn meaningless_settings_are_refused() {
        let init = |config: ContrastiveConfig, channels: &[usize]| {
            config.init::<dp_sims_backends::FlexAutodiff>(
                channels,
                &mut InitRng::new(0, "projector"),
                &Default::default(),
            )
        };
        let base = ContrastiveConfig::default();
        for (field, config) in [
            (
                "tau",
                ContrastiveConfig {
                    tau: 0.0,
                    ..base.clone()
                },
            ),
            (
                "negatives",
                ContrastiveConfig {
                    negatives: 0,
                    ..base.clone()
                },
            ),
            (
                "dim",
                ContrastiveConfig {
                    dim: 0,
                    ..base.clone()
                },
            ),
        ] {
            let error = init(config, &[3]).unwrap_err();
            assert!(error.to_string().contains(field), "{error}");
        }
        assert_eq!(init(base, &[]).unwrap_err(), LossError::NoScale);
    }
}
