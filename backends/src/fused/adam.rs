use burn::optim::{
    Adam, AdamConfig, AdamState, AdaptiveMomentumState, LearningRate, SimpleOptimizer,
};
use burn::tensor::Tensor;
use burn::tensor::backend::Backend;
#[cfg(feature = "flex")]
use dp_sims_cpu::fused::adam as kernels;

use super::on_gpus;
#[cfg(feature = "flex")]
use crate::attempt::attempt;
use crate::terms::{AdamFactors, AdamOperands, AdamUpdate};

/// burn's [`Adam`], with the same state and the same results.
///
/// With a kernel, one pass over parameter, gradient and moments, in place where nobody else holds
/// them. With β₁ = 0 the first moment is the gradient, and costs nothing.
#[derive(Clone)]
pub struct FusedAdam {
    adam: Adam,
    beta_1: f32,
    beta_2: f32,
    epsilon: f32,
}

impl FusedAdam {
    /// Adam with these decay rates of the moments, and ε beside the root of the second one.
    pub fn new(beta_1: f32, beta_2: f32, epsilon: f32) -> Self {
        let config = AdamConfig::new()
            .with_beta_1(beta_1)
            .with_beta_2(beta_2)
            .with_epsilon(epsilon);
        Self {
            adam: config.build(),
            beta_1,
            beta_2,
            epsilon,
        }
    }

    /// The factors that burn's Adam has at the update with this number, from 1.
    fn factors(&self, time: usize, rate: LearningRate) -> AdamFactors {
        let time = time as i32;
        let correction = (1.0 - self.beta_2.powi(time)).sqrt();
        AdamFactors {
            beta_1: self.beta_1,
            beta_2: self.beta_2,
            scale: correction / (1.0 - self.beta_1.powi(time)),
            epsilon: self.epsilon * correction,
            rate: rate as f32,
        }
    }
}

fn in_one_pass<B: Backend, const D: usize>(
    operands: AdamOperands<B, D>,
    factors: &AdamFactors,
) -> Result<AdamUpdate<B, D>, AdamOperands<B, D>> {
    #[cfg(feature = "flex")]
    let operands = {
        let AdamFactors {
            beta_1,
            beta_2,
            scale,
            epsilon,
            rate,
        } = *factors;
        let factors = kernels::Factors {
            beta_1,
            beta_2,
            scale,
            epsilon,
            rate,
        };
        match attempt(operands, |own| kernels::update::<D>(own, &factors)) {
            Err(operands) => operands,
            updated => return updated,
        }
    };
    let operands = on_gpus!(operands, Runtime, Bool, |own| {
        crate::gpu::fused::adam::update::<Runtime, Bool, D>(own, factors)
    });
    let _ = factors;
    Err(operands)
}

impl<B: Backend> SimpleOptimizer<B> for FusedAdam {
    type State<const D: usize> = AdamState<B, D>;

    fn step<const D: usize>(
        &self,
        rate: LearningRate,
        parameter: Tensor<B, D>,
        gradient: Tensor<B, D>,
        state: Option<AdamState<B, D>>,
    ) -> (Tensor<B, D>, Option<AdamState<B, D>>) {
        let before = state.as_ref().map_or(0, |state| state.momentum.time);
        let moments = state.map(|state| [state.momentum.moment_1, state.momentum.moment_2]);
        let operands = (parameter, gradient, moments);
        let state = |time, [first, second]: [Tensor<B, D>; 2]| {
            AdamState::new(AdaptiveMomentumState::new(time, first, second))
        };
        match in_one_pass(operands, &self.factors(before + 1, rate)) {
            Ok((parameter, moments)) => (parameter, Some(state(before + 1, moments))),
            Err((parameter, gradient, moments)) => {
                let before = moments.map(|moments| state(before, moments));
                self.adam.step(rate, parameter, gradient, before)
            }
        }
    }

    fn to_device<const D: usize>(state: AdamState<B, D>, device: &B::Device) -> AdamState<B, D> {
        <Adam as SimpleOptimizer<B>>::to_device(state, device)
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::backend::AutodiffBackend;

    use super::super::testing::{assert_close, backend_tests, has_kernels, is_gpu, numbers};
    use super::*;

    const BETAS: [[f32; 2]; 3] = [[0.0, 0.99], [0.9, 0.999], [0.5, 0.0]];
    const RATE: f64 = 3e-3;

    /// Parameter and moments after some steps; what an optimizer was given last is held on to and
    /// must stay as it is.
    fn steps<B: Backend>(
        optimizer: &impl SimpleOptimizer<B, State<3> = AdamState<B, 3>>,
        shape: [usize; 3],
        hold: bool,
    ) -> [Tensor<B, 3>; 3] {
        let (mut parameter, mut state) = (numbers::<B, 3>(shape, 0), None);
        for step in 1..=4 {
            let gradient = numbers::<B, 3>(shape, step) * 0.1;
            let held = hold.then(|| (parameter.clone(), gradient.clone(), state.clone()));
            let read =
                |(parameter, gradient, state): &(Tensor<B, 3>, _, Option<AdamState<B, 3>>)| {
                    let gradient: &Tensor<B, 3> = gradient;
                    let moment = state.as_ref().map(|s| s.momentum.moment_2.to_data());
                    (parameter.to_data(), gradient.to_data(), moment)
                };
            let before = held.as_ref().map(read);
            (parameter, state) = optimizer.step(RATE, parameter, gradient, state);
            assert_eq!(held.as_ref().map(read), before);
            assert_eq!(state.as_ref().map(|state| state.momentum.time), Some(step));
        }
        let momentum = state.unwrap().momentum;
        [parameter, momentum.moment_1, momentum.moment_2]
    }

    fn agrees_with_that_of_burn<B: AutodiffBackend>() {
        for shape in [[1, 1, 1], [3, 5, 7], [40, 30, 33]] {
            for [beta_1, beta_2] in BETAS {
                let config = AdamConfig::new()
                    .with_beta_1(beta_1)
                    .with_beta_2(beta_2)
                    .with_epsilon(1e-8);
                let expected = steps::<B::InnerBackend>(&config.build(), shape, false);
                for hold in [false, true] {
                    let optimizer = FusedAdam::new(beta_1, beta_2, 1e-8);
                    let found = steps::<B::InnerBackend>(&optimizer, shape, hold);
                    for (found, expected) in found.into_iter().zip(expected.clone()) {
                        assert_close(found, expected, 0.0, &format!("{beta_1}, {beta_2}"));
                    }
                }
            }
        }
    }

    fn takes_the_kernel<B: AutodiffBackend>() {
        let factors = FusedAdam::new(0.0, 0.99, 1e-8).factors(1, RATE);
        let taken = |gradient: Tensor<B::InnerBackend, 3>| {
            let parameter = numbers(gradient.dims(), 0);
            in_one_pass((parameter, gradient, None), &factors).is_ok()
        };
        assert_eq!(
            taken(numbers([3, 5, 7], 1)),
            has_kernels::<B>() || is_gpu::<B>()
        );
        let swapped = numbers([3, 5, 7], 1).swap_dims(0, 2);
        assert_eq!(taken(swapped), is_gpu::<B>());
    }

    backend_tests!(agrees_with_that_of_burn, takes_the_kernel);
}
