//! Signs that a run goes wrong, which no single step shows.

use std::collections::VecDeque;

use super::report::{Scalar, StepReport};
use crate::events::Measure;

/// Steps whose figures are looked at together.
const WINDOW: usize = 100;

/// First step at which a sign is told: what has just begun looks wrong in every way.
const PATIENCE: u64 = 300;

/// Share of real pixels whose class the discriminator names, below which it teaches nothing.
const CLASSES_FLOOR: f64 = 0.1;

/// Mean difference of two images of one label map, whose range is 2, below which noise counts as
/// ignored.
const NOISE_FLOOR: f64 = 0.01;

/// Spread of the brightness of generated images, as a share of that of photos, below which they count
/// as all of one exposure.
const EXPOSURE_FLOOR: f64 = 0.25;

/// Figures of one step.
#[derive(Clone, Copy, Debug, Default)]
struct Figures {
    accuracy_real: f64,
    noise_effect: Option<f64>,
    /// Mean brightness of the images of the step, and mean of its square.
    fake: [f64; 2],
    real: [f64; 2],
}

/// Looks at the last steps of a run.
#[derive(Debug, Default)]
pub(super) struct Signs {
    window: VecDeque<Figures>,
    /// Step from which on a sign may be told again: its distance doubles each time.
    due: [u64; 3],
}

impl Signs {
    /// Adds the report of a step. Gives what has to be told: what is wrong, and the keys that help.
    pub(super) fn look(&mut self, step: u64, report: &StepReport) -> Vec<String> {
        let measure = |measure| report.get(Scalar::Measure(measure));
        let pair =
            |mean: Option<f64>, square| [mean, report.get(square)].map(Option::unwrap_or_default);
        self.window.push_back(Figures {
            accuracy_real: report.get(Scalar::AccuracyReal).unwrap_or(1.0),
            noise_effect: measure(Measure::NoiseEffect),
            fake: pair(measure(Measure::ExposureFake), Scalar::SquaredExposureFake),
            real: pair(measure(Measure::ExposureReal), Scalar::SquaredExposureReal),
        });
        if self.window.len() > WINDOW {
            self.window.pop_front();
        }
        if self.window.len() < WINDOW || step < PATIENCE {
            return Vec::new();
        }
        let signs = [self.classes(), self.noise(), self.exposure()];
        let mut told = Vec::new();
        for (sign, due) in signs.into_iter().zip(&mut self.due) {
            if let Some(message) = sign
                && step >= *due
            {
                *due = 2 * step;
                told.push(message);
            }
        }
        told
    }

    fn mean(&self, figure: impl Fn(&Figures) -> f64) -> f64 {
        self.window.iter().map(figure).sum::<f64>() / self.window.len() as f64
    }

    fn classes(&self) -> Option<String> {
        let accuracy = self.mean(|figures| figures.accuracy_real);
        (accuracy < CLASSES_FLOOR).then(|| {
            format!(
                "the discriminator names the class of only {:.0} % of the pixels of photos and so \
                 teaches the generator little: raise optimizer.lr_discriminator, or \
                 discriminator.initial_gain in a new run",
                100.0 * accuracy
            )
        })
    }

    fn noise(&self) -> Option<String> {
        let effects: Option<Vec<f64>> = self.window.iter().map(|f| f.noise_effect).collect();
        let effects = effects?;
        let effect = effects.iter().sum::<f64>() / effects.len() as f64;
        (effect < NOISE_FLOOR).then(|| {
            format!(
                "the noise has no effect on the images (two of one label map differ by {effect:.1e} \
                 of 2): raise loss.image_diversity.lambda"
            )
        })
    }

    fn exposure(&self) -> Option<String> {
        let spread = |pair: fn(&Figures) -> [f64; 2]| {
            let [mean, square] = [0, 1].map(|index| self.mean(|figures| pair(figures)[index]));
            (square - mean * mean).max(0.0).sqrt()
        };
        let (fake, real) = (
            spread(|figures| figures.fake),
            spread(|figures| figures.real),
        );
        (fake < EXPOSURE_FLOOR * real).then(|| {
            format!(
                "generated images are all of one exposure (their brightness spreads by {fake:.3}, that \
                 of photos by {real:.3}): raise loss.image_diversity.lambda or lower \
                 loss.contrastive.lambda"
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    const NOISE: Scalar = Scalar::Measure(Measure::NoiseEffect);
    const FAKE: Scalar = Scalar::Measure(Measure::ExposureFake);
    const REAL: Scalar = Scalar::Measure(Measure::ExposureReal);
    const SQUARED_FAKE: Scalar = Scalar::SquaredExposureFake;
    const SQUARED_REAL: Scalar = Scalar::SquaredExposureReal;

    /// A step whose images have these brightnesses, and a healthy rest.
    fn report(fake: f64, real: f64) -> StepReport {
        StepReport(BTreeMap::from([
            (Scalar::AccuracyReal, 0.5),
            (NOISE, 0.2),
            (FAKE, fake),
            (SQUARED_FAKE, fake * fake),
            (REAL, real),
            (SQUARED_REAL, real * real),
        ]))
    }

    /// Messages of a run of 1,300 steps with the steps they came at.
    fn run(mut step: impl FnMut(u64) -> StepReport) -> Vec<(u64, String)> {
        let mut signs = Signs::default();
        let told = |n| {
            signs
                .look(n, &step(n))
                .into_iter()
                .map(move |m| (n, m))
                .collect::<Vec<_>>()
        };
        (1..=1300).flat_map(told).collect()
    }

    fn alternating(step: u64, size: f64) -> f64 {
        if step.is_multiple_of(2) { size } else { -size }
    }

    #[test]
    fn a_healthy_run_is_told_nothing() {
        let told = run(|n| report(alternating(n, 0.2), alternating(n / 2, 0.3)));
        assert_eq!(told, []);
    }

    #[test]
    fn each_sign_names_the_key_that_helps_and_comes_ever_less_often() {
        type Spoil = fn(&mut BTreeMap<Scalar, f64>);
        let cases: [(Spoil, &str); 3] = [
            (
                |s| _ = s.insert(Scalar::AccuracyReal, 0.03),
                "lr_discriminator",
            ),
            (|s| _ = s.insert(NOISE, 0.002), "image_diversity"),
            (
                |s| {
                    s.insert(FAKE, 0.5);
                    s.insert(SQUARED_FAKE, 0.25);
                },
                "contrastive.lambda",
            ),
        ];
        for (spoil, key) in cases {
            let told = run(|n| {
                let mut report = report(alternating(n, 0.2), alternating(n, 0.2));
                spoil(&mut report.0);
                report
            });
            let steps: Vec<u64> = told.iter().map(|(step, _)| *step).collect();
            assert_eq!(steps, [300, 600, 1200], "{key}");
            assert!(told[0].1.contains(key), "{}", told[0].1);
        }
    }

    #[test]
    fn without_pairs_nothing_is_said_of_the_noise() {
        let told = run(|n| {
            let mut report = report(alternating(n, 0.2), alternating(n, 0.2));
            report.0.remove(&NOISE);
            report
        });
        assert_eq!(told, []);
    }
}
