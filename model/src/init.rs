//! Random numbers on the host: parameter initialisation and per-step randomness.
//!
//! Nothing in this project uses a backend's global random number generator: every number is a
//! function of (seed, counter, purpose), so that a run can be resumed without any generator state
//! and starts from the same weights on every backend.

use burn::module::{Param, ParamId};
use burn::tensor::{Tensor, TensorData, backend::Backend};
use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use rand_distr::{Distribution, StandardNormal};

use crate::ConfigError;

/// Gain of the xavier-normal initialisation of OASIS, DP-GAN and SPADE (notes L32).
pub const XAVIER_GAIN: f64 = 0.02;

/// Refuses a gain of initial weights that is no positive number.
///
/// # Errors
/// Names the key.
pub(crate) fn validate_gain(key: &'static str, gain: f64) -> Result<(), ConfigError> {
    if gain > 0.0 && gain.is_finite() {
        return Ok(());
    }
    Err(ConfigError::new(
        key,
        format!("{gain} is not a number above 0"),
    ))
}

/// Random generator for a (seed, counter, purpose) triple.
///
/// The same triple gives the same stream on every machine; different triples give independent
/// streams. `purpose` is a short constant such as `"latent"`.
pub fn counter_rng(seed: u64, counter: u64, purpose: &str) -> ChaCha8Rng {
    let mut key = [0u8; 32];
    key[..8].copy_from_slice(&seed.to_le_bytes());
    key[8..16].copy_from_slice(&counter.to_le_bytes());
    key[16..24].copy_from_slice(&fnv1a(purpose).to_le_bytes());
    ChaCha8Rng::from_seed(key)
}

/// `count` standard normal numbers for a (seed, counter, purpose) triple.
pub fn normals(seed: u64, counter: u64, purpose: &str, count: usize) -> Vec<f32> {
    let mut rng = counter_rng(seed, counter, purpose);
    StandardNormal.sample_iter(&mut rng).take(count).collect()
}

/// FNV-1a, a stable hash: `std`'s hasher may change between releases.
fn fnv1a(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

/// Source of initial parameter values: a stream of numbers read in the order of construction.
///
/// The values depend on the seed and on the order in which layers are built, which is fixed by
/// the configuration; they do not depend on the backend.
pub struct InitRng {
    /// None where the values will be loaded.
    rng: Option<ChaCha8Rng>,
    /// Gain of [`Self::xavier`].
    gain: f64,
}

impl InitRng {
    /// Initial values of the network called `network` of a run with this seed.
    pub fn new(seed: u64, network: &str) -> Self {
        Self {
            rng: Some(counter_rng(seed, 0, network)),
            gain: XAVIER_GAIN,
        }
    }

    /// The same with another gain of the convolutions than [`XAVIER_GAIN`].
    pub fn with_gain(self, gain: f64) -> Self {
        Self { gain, ..self }
    }

    /// For a network whose weights are loaded afterwards: weights have a shape, but neither values
    /// nor memory until they are loaded or, as zeros, used.
    pub fn unset() -> Self {
        Self {
            rng: None,
            gain: XAVIER_GAIN,
        }
    }

    /// Whether weights get their values afterwards.
    pub fn is_unset(&self) -> bool {
        self.rng.is_none()
    }

    /// A parameter drawn from N(0, `std`²).
    pub fn normal<B: Backend, const D: usize>(
        &mut self,
        shape: [usize; D],
        std: f64,
        device: &B::Device,
    ) -> Param<Tensor<B, D>> {
        let Some(rng) = &mut self.rng else {
            return unset(shape, device);
        };
        let count = shape.iter().product();
        let values: Vec<f32> = StandardNormal
            .sample_iter(rng)
            .take(count)
            .map(|value: f32| (f64::from(value) * std) as f32)
            .collect();
        parameter(values, shape, device)
    }

    /// A parameter drawn from U(-`bound`, `bound`).
    pub fn uniform<B: Backend, const D: usize>(
        &mut self,
        shape: [usize; D],
        bound: f64,
        device: &B::Device,
    ) -> Param<Tensor<B, D>> {
        let Some(rng) = &mut self.rng else {
            return unset(shape, device);
        };
        let count: usize = shape.iter().product();
        let values = (0..count)
            .map(|_| rng.random_range(-bound..=bound) as f32)
            .collect::<Vec<_>>();
        parameter(values, shape, device)
    }

    /// Convolution weight `[out, in, kh, kw]`, xavier-normal with the gain of the network: 0.02
    /// unless a configuration says otherwise (notes L32).
    pub fn xavier<B: Backend>(
        &mut self,
        shape: [usize; 4],
        device: &B::Device,
    ) -> Param<Tensor<B, 4>> {
        self.xavier_part(shape, shape[1], device)
    }

    /// The same for some of the `channels_in` input channels of a convolution.
    pub fn xavier_part<B: Backend>(
        &mut self,
        shape: [usize; 4],
        channels_in: usize,
        device: &B::Device,
    ) -> Param<Tensor<B, 4>> {
        let field = shape[2] * shape[3];
        let fans = (shape[0] + channels_in) * field;
        self.normal(shape, self.gain * (2.0 / fans as f64).sqrt(), device)
    }

    /// Weight of a linear layer or convolution with PyTorch's default initialisation:
    /// uniform within 1/√fan_in, which is also the bound of the bias.
    pub fn torch_default<B: Backend, const D: usize>(
        &mut self,
        shape: [usize; D],
        fan_in: usize,
        device: &B::Device,
    ) -> Param<Tensor<B, D>> {
        self.uniform(shape, 1.0 / (fan_in as f64).sqrt(), device)
    }
}

/// A trainable parameter of one value everywhere.
pub fn filled<B: Backend, const D: usize>(
    shape: [usize; D],
    value: f32,
    device: &B::Device,
) -> Param<Tensor<B, D>> {
    let count = shape.iter().product();
    parameter(vec![value; count], shape, device)
}

fn parameter<B: Backend, const D: usize>(
    values: Vec<f32>,
    shape: [usize; D],
    device: &B::Device,
) -> Param<Tensor<B, D>> {
    let tensor = Tensor::from_data(TensorData::new(values, shape), device);
    Param::initialized(ParamId::new(), tensor.require_grad())
}

/// A trainable parameter without values yet.
fn unset<B: Backend, const D: usize>(shape: [usize; D], device: &B::Device) -> Param<Tensor<B, D>> {
    let zeros =
        move |device: &B::Device, tracked| Tensor::zeros(shape, device).set_require_grad(tracked);
    Param::uninitialized(ParamId::new(), zeros, device.clone(), true, shape.into())
}

/// A tensor that belongs to the state of a module and is never trained: running statistics and
/// the vectors of spectral norm. It is saved, averaged and restored like a weight.
pub fn buffer<B: Backend, const D: usize>(tensor: Tensor<B, D>) -> Param<Tensor<B, D>> {
    Param::initialized(ParamId::new(), tensor.detach().set_require_grad(false))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_depend_on_each_part_of_the_key() {
        let base = normals(1, 2, "latent", 4);
        assert_eq!(base, normals(1, 2, "latent", 4));
        assert_ne!(base, normals(2, 2, "latent", 4));
        assert_ne!(base, normals(1, 3, "latent", 4));
        assert_ne!(base, normals(1, 2, "positions", 4));
        assert_eq!(base[..2], normals(1, 2, "latent", 2)[..]);
    }

    #[test]
    fn normals_have_unit_variance() {
        let values = normals(7, 0, "test", 20_000);
        let mean = values.iter().sum::<f32>() / 20_000.0;
        let variance = values.iter().map(|v| (v - mean).powi(2)).sum::<f32>() / 20_000.0;
        assert!(mean.abs() < 0.03, "mean {mean}");
        assert!((variance - 1.0).abs() < 0.05, "variance {variance}");
    }

    fn buffers_are_not_trained<B: burn::tensor::backend::AutodiffBackend>() {
        let device = Default::default();
        let weight: Param<Tensor<B, 2>> = InitRng::new(0, "w").normal([2, 3], 1.0, &device);
        assert!(weight.is_require_grad());
        assert!(!buffer(weight.val()).is_require_grad());
    }

    fn unset_weights_have_a_shape_and_no_values<B: burn::tensor::backend::AutodiffBackend>() {
        let device = Default::default();
        // Far too large to be allocated.
        let shape = [1 << 20, 1 << 20];
        let weight: Param<Tensor<B, 2>> = InitRng::unset().normal(shape, 1.0, &device);
        assert!(!weight.is_initialized());
        assert_eq!(weight.lazy_shape().as_slice(), shape);
        let weight: Param<Tensor<B, 1>> = InitRng::unset().uniform([3], 1.0, &device);
        let zeros = burn::tensor::TensorData::from([0f32; 3]);
        assert_eq!(weight.val().into_data().convert::<f32>(), zeros);
        assert!(weight.is_require_grad());
    }

    backend_tests!(
        buffers_are_not_trained,
        unset_weights_have_a_shape_and_no_values
    );
}
