//! The figures of a step as the dashboard names and orders them.

use crate::events::{Loss, Network, StepEvent, Term};
use crate::runtime::units::{duration, memory, percent};

/// A figure that is plotted.
#[derive(Debug)]
pub(super) struct Figure {
    /// Short name: all names share one line of tabs.
    pub(super) name: String,
    pub(super) value: f64,
    /// The value for reading, with its unit.
    pub(super) text: String,
    pub(super) higher_is_better: bool,
}

impl Figure {
    fn new(name: impl Into<String>, value: f64, text: String, higher_is_better: bool) -> Self {
        Self {
            name: name.into(),
            value,
            text,
            higher_is_better,
        }
    }

    /// Named `G gan` or the like.
    fn loss((Loss(network, term), value): (&Loss, &f64)) -> Self {
        let letter = match network {
            Network::Discriminator => 'D',
            Network::Generator => 'G',
        };
        let text = format!("{value:.5}");
        Self::new(format!("{letter} {term}"), *value, text, false)
    }
}

/// The figures in a few words, for terminals too small for the list of metrics.
pub(super) fn overview(step: &StepEvent) -> String {
    format!(
        "{} left, {:.2} img/s, {}, D right on real {}, fake {}",
        duration(step.seconds_left),
        step.images_per_second,
        memory(step.memory_bytes),
        percent(step.accuracy_real).trim_start(),
        percent(step.accuracy_fake).trim_start(),
    )
}

/// The plotted figures, the most telling ones first: a small terminal shows only those.
pub(super) fn figures(step: &StepEvent) -> Vec<Figure> {
    let is_total = |(loss, _): &(&Loss, &f64)| loss.1 == Term::Total;
    let (real, fake) = (step.accuracy_real, step.accuracy_fake);
    let memory_gib = step.memory_bytes as f64 / (1u64 << 30) as f64;

    // Reversed, so that the generator comes before the discriminator.
    let losses = || step.losses.iter().rev();
    let mut figures: Vec<_> = losses().filter(is_total).map(Figure::loss).collect();
    figures.push(Figure::new("D acc real", real, percent(real), true));
    figures.push(Figure::new("D acc fake", fake, percent(fake), true));
    figures.extend(losses().filter(|loss| !is_total(loss)).map(Figure::loss));
    let speed = step.images_per_second;
    figures.push(Figure::new("Images/s", speed, format!("{speed:.2}"), true));
    figures.push(Figure::new(
        "Memory",
        memory_gib,
        memory(step.memory_bytes),
        false,
    ));
    figures.extend(step.learning_rates.iter().map(|(optimizer, rate)| {
        Figure::new(
            format!("LR {optimizer}"),
            *rate,
            format!("{rate:.2e}"),
            false,
        )
    }));
    figures
}

#[cfg(test)]
mod tests {
    use super::*;
    #[test]
    fn totals_and_accuracies_come_first() {
        let step = StepEvent {
            losses: [
                (Network::Discriminator, Term::Fake),
                (Network::Discriminator, Term::Real),
                (Network::Discriminator, Term::Total),
                (Network::Generator, Term::Gan),
                (Network::Generator, Term::Diversity),
                (Network::Generator, Term::Total),
            ]
            .map(|(network, term)| (Loss(network, term), 0.5))
            .into(),
            learning_rates: [Network::Discriminator, Network::Generator]
                .map(|network| (network, 0.5))
                .into(),
            accuracy_fake: 0.25,
            memory_bytes: 1 << 29,
            ..StepEvent::default()
        };
        let figures = figures(&step);
        let names: Vec<_> = figures.iter().map(|figure| figure.name.as_str()).collect();
        assert_eq!(
            names,
            [
                "G total",
                "D total",
                "D acc real",
                "D acc fake",
                "G gan",
                "G diversity",
                "D real",
                "D fake",
                "Images/s",
                "Memory",
                "LR discriminator",
                "LR generator",
            ]
        );
        assert_eq!((figures[3].value, figures[3].text.as_str()), (0.25, " 25%"));
        assert_eq!(
            (figures[9].value, figures[9].text.as_str()),
            (0.5, "512 MiB")
        );
    }

    #[test]
    fn the_overview_is_one_sentence() {
        let step = StepEvent {
            seconds_left: 100.0,
            images_per_second: 1.5,
            memory_bytes: 1 << 30,
            accuracy_real: 1.0,
            accuracy_fake: 0.25,
            ..StepEvent::default()
        };
        assert_eq!(
            overview(&step),
            "1m 40s left, 1.50 img/s, 1.00 GiB, D right on real 100%, fake 25%"
        );
    }
}
