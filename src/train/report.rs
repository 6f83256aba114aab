//! The figures that come out of a training step.

use std::collections::BTreeMap;
use std::fmt;

use anyhow::Result;
use burn::tensor::Tensor;
use burn::tensor::backend::Backend;

use super::ranks::Ranks;
use crate::events::{Loss, Measure, Network, Term};
use crate::runtime::device::read;

/// A figure that a step measures. In this order they are looked at where some are not finite.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scalar {
    /// A loss, weighted.
    Loss(Loss),
    /// Share of the pixels of generated images that the discriminator calls fake.
    AccuracyFake,
    /// Share of the pixels of photos that the discriminator classifies correctly.
    AccuracyReal,
    /// What shows how the images are.
    Measure(Measure),
    /// Mean square of the brightness of generated images.
    SquaredExposureFake,
    /// Mean square of the brightness of photos.
    SquaredExposureReal,
    /// L2 norm of the gradient of a loss of the generator where the graph is cut.
    GradientNorm(Term),
    /// A number that is finite as long as the running statistics of a network are.
    Buffers(Network),
    /// Above 0 where a rank was asked to end the run.
    Asked,
    /// Above 0 where it was asked to do so for another process to go on.
    AskedForNow,
    /// Above 0 where the time of a rank is up.
    TimeIsUp,
    /// Above 0 where a rank was asked for a checkpoint.
    AskedForCheckpoint,
}

impl Scalar {
    /// A loss of the generator.
    pub(super) fn generator(term: Term) -> Self {
        Self::Loss(Loss(Network::Generator, term))
    }

    /// A loss of the discriminator.
    pub(super) fn discriminator(term: Term) -> Self {
        Self::Loss(Loss(Network::Discriminator, term))
    }
}

impl fmt::Display for Scalar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Loss(loss) => loss.fmt(f),
            Self::AccuracyFake => f.write_str("accuracy_fake"),
            Self::AccuracyReal => f.write_str("accuracy_real"),
            Self::Measure(measure) => measure.fmt(f),
            Self::SquaredExposureFake => f.write_str("exposure_fake_squared"),
            Self::SquaredExposureReal => f.write_str("exposure_real_squared"),
            Self::GradientNorm(term) => write!(f, "norm_{term}"),
            Self::Buffers(network) => write!(f, "state_{network}"),
            Self::Asked => f.write_str("asked"),
            Self::AskedForNow => f.write_str("asked_for_now"),
            Self::TimeIsUp => f.write_str("time_is_up"),
            Self::AskedForCheckpoint => f.write_str("asked_for_checkpoint"),
        }
    }
}

/// Scalars of one step, still on the device until [`StepScalars::read`].
pub struct StepScalars<B: Backend> {
    scalars: Vec<Scalar>,
    /// A value for every scalar, and a second one for a share.
    values: Vec<Tensor<B, 1>>,
    /// Ranks whose means the values are.
    ranks: usize,
}

/// How a scalar is made of what is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    /// The value, a mean over the images.
    Mean,
    /// The share of the first value in the second.
    Share,
    /// The norm of a gradient of a mean over the images.
    Norm,
}

impl Scalar {
    fn form(self) -> Form {
        match self {
            Self::AccuracyFake | Self::AccuracyReal => Form::Share,
            Self::GradientNorm(_) => Form::Norm,
            _ => Form::Mean,
        }
    }
}

impl<B: Backend> StepScalars<B> {
    pub(super) fn new() -> Self {
        Self {
            scalars: Vec::new(),
            values: Vec::new(),
            ranks: 1,
        }
    }

    pub(super) fn push(&mut self, scalar: Scalar, value: Tensor<B, 1>) {
        self.scalars.push(scalar);
        self.values.push(value);
    }

    /// Adds a share: how many of how many.
    pub(super) fn push_share(&mut self, scalar: Scalar, [part, whole]: [Tensor<B, 1>; 2]) {
        self.scalars.push(scalar);
        self.values.extend([part, whole]);
    }

    /// The scalars of the batch of all ranks.
    ///
    /// # Errors
    /// When the ranks cannot agree.
    pub(super) fn over(mut self, ranks: Ranks) -> Result<Self> {
        let mut values = self.values.into_iter();
        let mut own = Vec::new();
        for scalar in &self.scalars {
            let value = values.next();
            match scalar.form() {
                Form::Mean => own.extend(value),
                Form::Share => own.extend(value.into_iter().chain(values.next())),
                // Squares add up.
                Form::Norm => own.extend(value.map(Tensor::square)),
            }
        }
        self.values = vec![ranks.mean(Tensor::cat(own, 0))?];
        self.ranks = ranks.count();
        Ok(self)
    }

    /// Reads every scalar with one transfer, averaging those pushed several times.
    ///
    /// # Errors
    /// When the device fails.
    pub fn read(self) -> Result<StepReport> {
        let values = read(Tensor::cat(self.values, 0))?;
        let mut sums = BTreeMap::<Scalar, (f64, f64)>::new();
        let mut values = values.iter::<f32>();
        let mut next = || values.next().unwrap_or(f32::NAN);
        for scalar in self.scalars {
            let value = match scalar.form() {
                Form::Mean => f64::from(next()),
                Form::Share => {
                    let [part, whole] = [next(), next()].map(|count| count * self.ranks as f32);
                    f64::from(part / whole.max(1.0))
                }
                Form::Norm if self.ranks > 1 => (f64::from(next()) / self.ranks as f64).sqrt(),
                Form::Norm => f64::from(next()),
            };
            let (sum, count) = sums.entry(scalar).or_default();
            *sum += value;
            *count += 1.0;
        }
        let means = sums
            .into_iter()
            .map(|(scalar, (sum, count))| (scalar, sum / count));
        Ok(StepReport(means.collect()))
    }
}

/// What a step measured.
#[derive(Clone, Debug, PartialEq)]
pub struct StepReport(pub(super) BTreeMap<Scalar, f64>);

impl StepReport {
    /// The value of a scalar; none where the step did not measure it.
    pub(super) fn get(&self, scalar: Scalar) -> Option<f64> {
        self.0.get(&scalar).copied()
    }

    /// Every scalar by its name.
    pub fn named(&self) -> BTreeMap<String, f64> {
        let pairs = self.0.iter();
        pairs
            .map(|(scalar, value)| (scalar.to_string(), *value))
            .collect()
    }

    /// What is not finite, with its value: the first of all that is not.
    pub(super) fn not_finite(&self) -> Option<String> {
        let (scalar, value) = self.0.iter().find(|(_, value)| !value.is_finite())?;
        Some(match scalar {
            Scalar::Loss(loss) => format!("loss {loss} is {value}"),
            Scalar::GradientNorm(term) => format!("the gradient norm of {term} is {value}"),
            Scalar::Buffers(network) => {
                format!("the running statistics of the {network} are not finite")
            }
            other => format!("{other} is {value}"),
        })
    }

    /// Whether running statistics are not finite, which they stay for ever.
    pub(super) fn has_lost_its_state(&self) -> bool {
        let mut scalars = self.0.iter();
        scalars.any(|(scalar, value)| matches!(scalar, Scalar::Buffers(_)) && !value.is_finite())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_finite_is_named_losses_first() {
        let report = |pairs: &[(Scalar, f64)]| StepReport(pairs.iter().copied().collect());
        let (loss, accuracy) = (Scalar::generator(Term::Gan), Scalar::AccuracyReal);
        let norm = Scalar::GradientNorm(Term::ImageDiversity);
        let state = Scalar::Buffers(Network::Generator);
        for (pairs, expected) in [
            (
                vec![(accuracy, f64::NAN), (loss, f64::INFINITY)],
                "loss g_gan is inf",
            ),
            (
                vec![(accuracy, f64::NAN), (loss, 1.0)],
                "accuracy_real is NaN",
            ),
            (
                vec![(norm, f64::NAN)],
                "the gradient norm of image_diversity is NaN",
            ),
            (
                vec![(loss, 1.0), (state, f64::NAN)],
                "the running statistics of the generator are not finite",
            ),
        ] {
            assert_eq!(report(&pairs).not_finite().as_deref(), Some(expected));
        }
        assert_eq!(report(&[(loss, 1.0)]).not_finite(), None);
    }
}
