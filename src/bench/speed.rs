use std::time::{Duration, Instant};

use anyhow::{Result, anyhow};
use burn::tensor::backend::{AutodiffBackend, Backend};
use burn::tensor::{Tensor, TensorData, module::conv2d, ops::ConvOptions};
use dp_sims_backends::{BackendKind, DeviceInfo};
use dp_sims_model::init::normals;
use serde::Serialize;

use crate::runtime::device::wait;

/// A probe is repeated until this much time is used, and the fastest repetition counts.
const BUDGET: Duration = Duration::from_millis(300);

/// Fewest repetitions after the warm-up.
const REPEATS: usize = 3;

/// Problems that a device is timed on: large enough to fill it, small enough for a second.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct ProbeSizes {
    /// Side of the square matrices.
    pub matmul: usize,
    /// Input and output channels of the 3×3 convolution.
    pub channels: usize,
    /// Side in pixels of its input.
    pub side: usize,
    /// Numbers in each tensor of the addition that tells the speed of memory: too many for a cache.
    /// `doctor` leaves it out.
    #[serde(skip)]
    pub elements: usize,
}

/// Speeds of a device that the speed of a network is compared with.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Speeds {
    /// GFLOP/s of a matrix product.
    pub matmul: f64,
    /// GB/s of an addition in place, two reads and a write.
    pub memory: f64,
}

impl Speeds {
    /// Measures both, which takes about a second.
    ///
    /// # Errors
    /// When the device fails.
    pub fn measure<B: Backend>(sizes: ProbeSizes, device: &B::Device) -> Result<Self> {
        Ok(Self {
            matmul: matmul_speed::<B>(sizes, device)?,
            memory: memory_speed::<B>(sizes, device)?,
        })
    }

    /// The better of each.
    pub fn best(self, other: Self) -> Self {
        Self {
            matmul: self.matmul.max(other.matmul),
            memory: self.memory.max(other.memory),
        }
    }
}

impl ProbeSizes {
    /// Sizes that suit a device.
    pub fn of(device: &DeviceInfo) -> Self {
        match device.backend {
            BackendKind::Ndarray => Self {
                matmul: 512,
                channels: 16,
                side: 16,
                elements: 16 << 20,
            },
            BackendKind::Flex => Self {
                matmul: 1024,
                channels: 128,
                side: 64,
                elements: 16 << 20,
            },
            // A software driver.
            BackendKind::Wgpu | BackendKind::Cuda if device.is_cpu => Self {
                matmul: 512,
                channels: 32,
                side: 32,
                elements: 16 << 20,
            },
            BackendKind::Wgpu | BackendKind::Cuda => Self {
                matmul: 4096,
                channels: 256,
                side: 128,
                elements: 64 << 20,
            },
        }
    }

    /// Multiply-adds of the convolution's forward pass.
    fn convolution_macs(&self) -> f64 {
        (self.channels * self.channels * 9 * self.side * self.side) as f64
    }
}

/// GFLOP/s of a product of two square `f32` matrices.
///
/// # Errors
/// When the device fails.
pub fn matmul_speed<B: Backend>(sizes: ProbeSizes, device: &B::Device) -> Result<f64> {
    let side = sizes.matmul;
    let matrix = |seed| random::<B, 2>(seed, [side, side], device);
    let (left, right) = (matrix(0), matrix(1));
    let seconds = fastest(|| wait(left.clone().matmul(right.clone())))?;
    Ok(2.0 * (side as f64).powi(3) / seconds / 1e9)
}

/// GB/s of adding an `f32` tensor to another in place, neither of which a cache holds: two reads and a
/// write a number.
///
/// # Errors
/// When the device fails.
pub fn memory_speed<B: Backend>(sizes: ProbeSizes, device: &B::Device) -> Result<f64> {
    let tensor = |value| Tensor::<B, 1>::full([sizes.elements], value, device);
    let right = tensor(1.0);
    let mut left = Some(tensor(0.0));
    let seconds = fastest(|| {
        // Only a tensor that nobody else holds is written to; another one would cost clearing it.
        let sum = match left.take() {
            Some(left) => left + right.clone(),
            None => right.clone(),
        };
        let outcome = wait(sum.clone());
        left = Some(sum);
        outcome
    })?;
    Ok(3.0 * 4.0 * sizes.elements as f64 / seconds / 1e9)
}

/// GFLOP/s of a 3×3 convolution, forward and backward to input and weight: three times the
/// operations of the forward pass.
///
/// # Errors
/// When the device fails.
pub fn convolution_speed<B: AutodiffBackend>(sizes: ProbeSizes, device: &B::Device) -> Result<f64> {
    let ProbeSizes { channels, side, .. } = sizes;
    let input = random::<B, 4>(0, [1, channels, side, side], device).require_grad();
    let weight = random::<B, 4>(1, [channels, channels, 3, 3], device).require_grad();
    let seconds = fastest(|| {
        let options = ConvOptions::new([1, 1], [1, 1], [1, 1], 1);
        let output = conv2d(input.clone(), weight.clone(), None, options);
        let gradients = output.sum().backward();
        for leaf in [&input, &weight] {
            wait(
                leaf.grad(&gradients)
                    .ok_or_else(|| anyhow!("a convolution has no gradient"))?,
            )?;
        }
        Ok(())
    })?;
    Ok(3.0 * 2.0 * sizes.convolution_macs() / seconds / 1e9)
}

/// Seconds of the fastest of several repetitions, the first one left out.
fn fastest(mut work: impl FnMut() -> Result<()>) -> Result<f64> {
    work()?;
    let begin = Instant::now();
    let mut best = f64::INFINITY;
    let mut repeats = 0;
    while repeats < REPEATS || begin.elapsed() < BUDGET {
        let started = Instant::now();
        work()?;
        best = best.min(started.elapsed().as_secs_f64());
        repeats += 1;
    }
    Ok(best)
}

fn random<B: Backend, const D: usize>(
    seed: u64,
    shape: [usize; D],
    device: &B::Device,
) -> Tensor<B, D> {
    let values = normals(seed, 0, "speed", shape.iter().product());
    Tensor::from_data(TensorData::new(values, shape), device)
}

#[cfg(all(test, feature = "flex"))]
mod tests {
    use dp_sims_backends::FlexAutodiff;

    use super::*;

    #[test]
    fn probes_give_a_speed() {
        let sizes = ProbeSizes {
            matmul: 8,
            channels: 2,
            side: 4,
            elements: 100,
        };
        let device = Default::default();
        for speed in [
            matmul_speed::<FlexAutodiff>(sizes, &device).unwrap(),
            convolution_speed::<FlexAutodiff>(sizes, &device).unwrap(),
            memory_speed::<FlexAutodiff>(sizes, &device).unwrap(),
        ] {
            assert!(speed.is_finite() && speed > 0.0, "{speed}");
        }
    }

    #[test]
    fn a_failure_ends_the_repetitions() {
        let mut calls = 0;
        let outcome = fastest(|| {
            calls += 1;
            if calls == 2 {
                Err(anyhow!("broken"))
            } else {
                Ok(())
            }
        });
        assert_eq!(outcome.unwrap_err().to_string(), "broken");
        assert_eq!(calls, 2);
    }
}
