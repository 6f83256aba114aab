//! What must stay as it is when a run goes on from a checkpoint.

use anyhow::{Result, bail};
use dp_sims_datasets::description::{DescribedClass, LabelValues};
use dp_sims_datasets::{Description, Split};

use crate::checkpoint::Checkpoint;
use crate::checkpoint::snapshot::{read_description, read_experiment};
use crate::config::{Difference, Experiment, Weights};

/// Refuses to go on from a checkpoint with networks, an image size or classes that it was not trained
/// with: it would not fit, or train on as if nothing had changed.
///
/// # Errors
/// Names the first thing that differs, before and now, and the way on.
pub fn refuse_changes_of_networks(
    checkpoint: &Checkpoint,
    experiment: &Experiment,
    description: &Description,
) -> Result<()> {
    let shown = checkpoint.path().display();
    let remedy = "take the change back, or begin another run without --resume, with --out";
    let saved = read_experiment(checkpoint)?;
    let changed = Difference::first(&saved, experiment, |key| must_stay(key, &saved))?;
    if let Some(Difference { key, before, now }) = changed {
        bail!("{shown} was trained with {key} = {before}, not {now}: {remedy}");
    }
    let lambda = |experiment: &Experiment| experiment.loss.contrastive.lambda;
    if lambda(&saved) == 0.0 && lambda(experiment) > 0.0 {
        bail!(
            "{shown} was trained with loss.contrastive.lambda = 0.0 and has no projections for that \
             loss: {remedy}"
        );
    }
    if let Some(difference) = differing_class(&read_description(checkpoint)?, description) {
        bail!("{shown} was trained with other classes: {difference}; {remedy}");
    }
    Ok(())
}

/// Whether the value of a key is built into the networks of a checkpoint.
fn must_stay(key: &str, saved: &Experiment) -> bool {
    let is_random = |weights: &Weights| *weights == Weights::Random;
    match key {
        "data.height" | "data.width" => true,
        "loss.contrastive.network" | "loss.contrastive.weights" | "loss.contrastive.loss.dim" => {
            saved.loss.contrastive.lambda > 0.0
        }
        // Frozen networks of random numbers are made anew from the seed.
        "run.seed" => {
            is_random(&saved.backbone.weights) || is_random(&saved.loss.contrastive.weights)
        }
        _ => {
            let tables = ["generator.", "backbone.", "discriminator."];
            tables.iter().any(|table| key.starts_with(table)) && !key.contains(".initial_")
        }
    }
}

/// The first thing about the classes that differs, in words.
fn differing_class(before: &Description, now: &Description) -> Option<String> {
    let colours = [before, now].iter().any(|description| {
        let files = description.files(Split::Train);
        files.is_some_and(|files| files.label_values() == LabelValues::Colours)
    });
    let ids = |class: &DescribedClass| {
        let mut ids = class.ids.clone();
        ids.sort_unstable();
        ids
    };
    let pairs = before.classes.iter().zip(&now.classes);
    for (number, (before, now)) in (1..).zip(pairs) {
        let (name, other) = (&before.name, &now.name);
        if name != other {
            return Some(format!("class {number} was `{name}` and is `{other}` now"));
        }
        if ids(before) != ids(now) {
            let (before, now) = (ids(before), ids(now));
            return Some(format!(
                "class `{name}` had the ids {before:?} and has {now:?} now"
            ));
        }
        if colours && before.colour != now.colour {
            let (before, now) = (before.colour, now.colour);
            return Some(format!(
                "class `{name}` had the colour {before:?} and has {now:?} now"
            ));
        }
    }
    let (count, other) = (before.classes.len(), now.classes.len());
    if count != other {
        return Some(format!("there were {count} and there are {other} now"));
    }
    (before.name != now.name).then(|| {
        format!(
            "the dataset was `{}` and is `{}` now",
            before.name, now.name
        )
    })
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn description(classes: &[(&str, &str)]) -> Description {
        let classes: String = classes
            .iter()
            .map(|(name, ids)| {
                format!("[[class]]\nname = \"{name}\"\ncolour = \"#102030\"\nids = {ids}\n")
            })
            .collect();
        let files = "[train.folders]\nimages = \"photos\"\nlabels = \"masks\"\n";
        let text = format!("name = \"meadow\"\n{classes}{files}");
        Description::parse(&text, Path::new("meadow")).unwrap()
    }

    #[test]
    fn the_first_class_that_differs_is_named() {
        let before = description(&[("grass", "[1, 4]"), ("cow", "[2]")]);
        let differing = |now: &[(&str, &str)]| differing_class(&before, &description(now));
        assert_eq!(differing(&[("grass", "[4, 1]"), ("cow", "[2]")]), None);
        for (now, expected) in [
            (
                vec![("cow", "[2]"), ("grass", "[1, 4]")],
                "class 1 was `grass` and is `cow` now",
            ),
            (
                vec![("grass", "[1, 4]"), ("cow", "[3]")],
                "class `cow` had the ids [2] and has [3] now",
            ),
            (
                vec![("grass", "[1, 4]")],
                "there were 2 and there are 1 now",
            ),
        ] {
            assert_eq!(differing(&now).as_deref(), Some(expected));
        }
        let mut other = before.clone();
        other.name = "field".to_string();
        let text = differing_class(&before, &other).unwrap();
        assert!(
            text.contains("`meadow`") && text.contains("`field`"),
            "{text}"
        );
    }

    #[test]
    fn what_is_built_into_networks_must_stay_and_the_rest_may_change() {
        let saved = Experiment::default();
        for key in [
            "data.width",
            "generator.tokens",
            "backbone.network",
            "discriminator.conditioning",
        ] {
            assert!(must_stay(key, &saved), "{key}");
        }
        for key in [
            "run.batch",
            "run.seed",
            "optimizer.lr_generator",
            "generator.initial_gate",
        ] {
            assert!(!must_stay(key, &saved), "{key}");
        }
        let mut random = saved;
        random.backbone.weights = Weights::Random;
        assert!(must_stay("run.seed", &random));
    }
}
