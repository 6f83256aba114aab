//! Updates of Adam.

use burn::tensor::Tensor;
use burn_backend::TensorMetadata;
use burn_flex::FlexTensor;
use pulp::NullaryFnOnce;

use super::super::Cpu;
use super::super::profile::Timer;
use super::{GRAIN, Place, Target, are_plain, blank, primitive, read, run, shaped, tensor};

/// Parameter, gradient and moments, if there are any yet.
pub type Operands<const D: usize> = (Tensor<Cpu, D>, Tensor<Cpu, D>, Option<[Tensor<Cpu, D>; 2]>);

/// Parameter and moments.
pub type Updated<const D: usize> = (Tensor<Cpu, D>, [Tensor<Cpu, D>; 2]);

/// Factors of one update: p − m · scale / (√v + ε) · rate.
#[derive(Clone, Copy, Debug)]
pub struct Factors {
    /// Decay of the first moment, m.
    pub beta_1: f32,
    /// Decay of the second moment, v.
    pub beta_2: f32,
    /// Corrects the bias of both moments.
    pub scale: f32,
    /// ε with the bias of the second moment.
    pub epsilon: f32,
    /// Learning rate.
    pub rate: f32,
}

/// One pass over parameter, gradient and moments, in place where nobody else holds them. With β₁ = 0 the first
/// moment is the gradient.
///
/// # Errors
/// The operands, where there is no kernel for them.
pub fn update<const D: usize>(
    (parameter, gradient, moments): Operands<D>,
    factors: &Factors,
) -> Result<Updated<D>, Operands<D>> {
    let (parameter, gradient) = (primitive(parameter), primitive(gradient));
    let moments = moments.map(|moments| moments.map(primitive));
    let mut all = vec![&parameter, &gradient];
    all.extend(moments.iter().flatten());
    if !are_plain(&all) || all.iter().any(|one| one.shape() != parameter.shape()) {
        let moments = moments.map(|moments| moments.map(tensor));
        return Err((tensor(parameter), tensor(gradient), moments));
    }
    let (parameter, moments) = updated(parameter, gradient, moments, factors);
    Ok((tensor(parameter), moments.map(tensor)))
}

fn updated(
    parameter: FlexTensor,
    gradient: FlexTensor,
    moments: Option<[FlexTensor; 2]>,
    factors: &Factors,
) -> (FlexTensor, [FlexTensor; 2]) {
    let _timer = Timer::new("adam");
    let moments = moments.unwrap_or_else(|| {
        [(); 2].map(|()| shaped(blank(read(&gradient).len()), gradient.shape()))
    });
    let mut parameter = Target::over(parameter);
    let [first, second] = moments;
    // Without a β₁, the first moment is the gradient.
    let mut first = (factors.beta_1 != 0.0).then(|| Target::over(first));
    let mut second = Target::over(second);
    let place = parameter.place();
    let elements = place.to.len();
    let mut firsts = first
        .as_mut()
        .map(|first| first.place().parts(GRAIN).into_iter());
    let places = place
        .parts(GRAIN)
        .into_iter()
        .zip(second.place().parts(GRAIN));
    let parts = places.zip(read(&gradient).chunks(GRAIN));
    let jobs = parts.map(|((parameter, second), gradient)| Update {
        parameter,
        gradient,
        first: firsts.as_mut().and_then(Iterator::next),
        second,
        factors,
    });
    run(jobs.collect(), elements);
    let first = first.map_or(gradient, |first| first.to);
    (parameter.to, [first, second.to])
}

struct Update<'a> {
    parameter: Place<'a>,
    gradient: &'a [f32],
    first: Option<Place<'a>>,
    second: Place<'a>,
    factors: &'a Factors,
}

impl NullaryFnOnce for Update<'_> {
    type Output = ();

    /// In the order of operations of burn's Adam, so that results are the same to the bit.
    #[inline(always)]
    fn call(self) {
        let Factors {
            beta_1,
            beta_2,
            scale,
            epsilon,
            rate,
        } = *self.factors;
        let (rest_1, rest_2) = (1.0 - beta_1, 1.0 - beta_2);
        let first: &[f32] = match self.first {
            Some(first) => {
                let first = first.filled();
                for (moment, gradient) in first.iter_mut().zip(self.gradient) {
                    *moment = *moment * beta_1 + *gradient * rest_1;
                }
                first
            }
            None => self.gradient,
        };
        let operands = self
            .second
            .filled()
            .iter_mut()
            .zip(first.iter().zip(self.gradient));
        let pairs = self.parameter.filled().iter_mut().zip(operands);
        for (parameter, (second, (first, gradient))) in pairs {
            *second = *second * beta_2 + *gradient * *gradient * rest_2;
            *parameter -= *first * scale / (second.sqrt() + epsilon) * rate;
        }
    }
}
