//! Moving averages.

use burn::tensor::Tensor;
use burn_backend::TensorMetadata;
use burn_flex::FlexTensor;
use pulp::NullaryFnOnce;

use super::super::Cpu;
use super::super::profile::Timer;
use super::{GRAIN, Place, Target, are_plain, primitive, read, run, tensor};

/// `decay · average + (1 − decay) · current`, in place where nobody else holds the average.
///
/// # Errors
/// The operands, where there is no kernel for them.
pub fn moving_average<const D: usize>(
    (average, current): (Tensor<Cpu, D>, Tensor<Cpu, D>),
    decay: f64,
) -> Result<Tensor<Cpu, D>, (Tensor<Cpu, D>, Tensor<Cpu, D>)> {
    let (average, current) = (primitive(average), primitive(current));
    if !are_plain(&[&average, &current]) || average.shape() != current.shape() {
        return Err((tensor(average), tensor(current)));
    }
    Ok(tensor(updated(average, &current, decay)))
}

fn updated(average: FlexTensor, current: &FlexTensor, decay: f64) -> FlexTensor {
    let _timer = Timer::new("moving_average");
    let mut target = Target::over(average);
    let current = read(current);
    let parts = target.place().parts(GRAIN).into_iter();
    let jobs = parts.zip(current.chunks(GRAIN));
    let jobs = jobs.map(|(average, current)| Update {
        average,
        current,
        decay: decay as f32,
        rest: (1.0 - decay) as f32,
    });
    run(jobs.collect(), current.len());
    target.to
}

struct Update<'a> {
    average: Place<'a>,
    current: &'a [f32],
    decay: f32,
    rest: f32,
}

impl NullaryFnOnce for Update<'_> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        for (average, current) in self.average.filled().iter_mut().zip(self.current) {
            *average = *average * self.decay + *current * self.rest;
        }
    }
}
