//! Every key of an experiment, what its value is and in which range.

use std::fmt;

use anyhow::{Result, bail, ensure};
use toml::{Table, Value};

use super::difference::flatten;
use crate::runtime::naming::closest;

/// What the value of a key is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Kind {
    /// A whole number, both ends included.
    Whole(i64, i64),
    /// A list of whole numbers, both ends included.
    Wholes(i64, i64),
    /// A number, both ends included.
    Number(f64, f64),
    /// A number from the first to below the second.
    Below(f64, f64),
    /// A number above the first, up to the second.
    Above(f64, f64),
    /// Text.
    Text,
    /// A list of texts.
    Texts,
    /// `true` or `false`.
    Switch,
}

use Kind::{Above, Below, Number, Switch, Text, Texts, Whole, Wholes};

/// Most steps of a run.
pub const MAX_STEPS: u64 = 1_000_000_000_000;

/// Steps, from 0 and from 1.
const STEPS: Kind = Whole(0, MAX_STEPS as i64);
const SOME_STEPS: Kind = Whole(1, MAX_STEPS as i64);
/// Channels, widths and the like.
const WIDTH: Kind = Whole(1, 8192);
const WIDTHS: Kind = Wholes(1, 8192);
/// Weight of a loss term.
const LAMBDA: Kind = Number(0.0, 1e6);
/// Learning rates and thresholds of differences.
const RATE: Kind = Number(0.0, 1e3);
/// Factors of initial weights.
const GAIN: Kind = Above(0.0, 100.0);
/// Sides of images in pixels.
const SIDE: Kind = Whole(1, 65_535);

/// Every key of an experiment file but `extends`, by its dotted name. A range is as wide as anything
/// that makes sense on any machine; what fits into the memory of this one is another question.
pub(super) const KEYS: &[(&str, Kind)] = &[
    ("name", Text),
    ("about.shows", Text),
    ("about.table", Whole(0, 1000)),
    ("about.row", Text),
    ("run.steps", SOME_STEPS),
    ("run.batch", Whole(1, 65_536)),
    ("run.accumulation", Whole(1, 65_536)),
    ("run.total_batch", Whole(1, 16_777_216)),
    ("run.sync_batch_norm", Switch),
    ("run.sync_class_weights", Switch),
    ("run.reuse_fakes", Switch),
    ("run.recompute", Switch),
    ("run.seed", Whole(0, i64::MAX)),
    ("run.checkpoint_every", SOME_STEPS),
    ("run.keep_checkpoints", Whole(0, 1_000_000)),
    ("run.keep_every", STEPS),
    ("run.preview_every", SOME_STEPS),
    ("run.preview_rows", Whole(1, 1000)),
    ("run.preview_samples", Whole(1, 1000)),
    ("data.dataset", Text),
    ("data.root", Text),
    ("data.height", SIDE),
    ("data.width", SIDE),
    ("data.load_size", SIDE),
    ("data.packed", Text),
    ("data.reduced_jpeg", Switch),
    ("data.flip", Switch),
    ("data.balanced", Switch),
    ("data.scenes", Whole(1, 1_000_000)),
    ("data.workers", Whole(1, 1024)),
    ("data.queue", Whole(1, 65_536)),
    ("generator.architecture", Text),
    ("generator.base_width", WIDTH),
    ("generator.width_multipliers", Wholes(1, 1024)),
    ("generator.encoder_channels", WIDTHS),
    ("generator.latent_dim", WIDTH),
    ("generator.mapping_width", WIDTH),
    ("generator.tokens", Whole(2, 8192)),
    ("generator.token_dim", WIDTH),
    ("generator.encoder_activation", Text),
    ("generator.pointwise", Switch),
    ("generator.attention_stride", SIDE),
    ("generator.offsets", Switch),
    ("generator.noise", Text),
    ("generator.self_attention", Switch),
    ("generator.spade_hidden", WIDTH),
    ("generator.spectral_norm", Switch),
    ("generator.initial_gain", GAIN),
    ("generator.initial_gate", Number(-100.0, 100.0)),
    ("generator.initial_noise_gain", GAIN),
    ("backbone.network", Text),
    ("backbone.weights", Text),
    ("discriminator.architecture", Text),
    ("discriminator.conditioning", Text),
    ("discriminator.projection_channels", WIDTH),
    ("discriminator.decoder_channels", WIDTHS),
    ("discriminator.full_resolution_channels", WIDTH),
    ("discriminator.full_resolution_blocks", Whole(1, 1000)),
    ("discriminator.spectral_norm", Switch),
    ("discriminator.initial_gain", GAIN),
    ("discriminator.oasis.encoder_channels", WIDTHS),
    ("discriminator.oasis.decoder_channels", WIDTHS),
    ("loss.lambda_gan", LAMBDA),
    ("loss.lambda_diversity", LAMBDA),
    ("loss.diversity_cutoff", RATE),
    ("loss.image_diversity.lambda", LAMBDA),
    ("loss.image_diversity.cutoff", RATE),
    ("loss.image_diversity.cell", SIDE),
    ("loss.feature_diversity.lambda", LAMBDA),
    ("loss.feature_diversity.cutoff", RATE),
    ("loss.lambda_label_mix", LAMBDA),
    ("loss.shift", Whole(0, 65_535)),
    ("loss.pixel.gamma", Number(0.0, 100.0)),
    ("loss.pixel.class_weights", Switch),
    ("loss.pixel.label_smoothing", Below(0.0, 1.0)),
    ("loss.pixel.smooth_fake", Switch),
    ("loss.pixel.reduction", Text),
    ("loss.contrastive.lambda", LAMBDA),
    ("loss.contrastive.network", Text),
    ("loss.contrastive.weights", Text),
    ("loss.contrastive.loss.tau", Number(1e-3, 1e3)),
    ("loss.contrastive.loss.negatives", Whole(1, 1_000_000)),
    ("loss.contrastive.loss.dim", WIDTH),
    ("optimizer.lr_generator", RATE),
    ("optimizer.lr_discriminator", RATE),
    ("optimizer.beta_1", Below(0.0, 1.0)),
    ("optimizer.beta_2", Below(0.0, 1.0)),
    ("optimizer.epsilon", Number(1e-20, 1.0)),
    ("optimizer.clip_norm", Above(0.0, 1e9)),
    ("optimizer.warmup_steps", STEPS),
    ("optimizer.decay_steps", STEPS),
    ("optimizer.schedule", Text),
    ("precision.compute", Text),
    ("ema.decay", Below(0.0, 1.0)),
    ("ema.ramp", Switch),
    ("ema.refresh_batches", Whole(1, 100_000)),
    ("evaluation.every", STEPS),
    ("evaluation.metrics", Texts),
    ("evaluation.images", Whole(1, 100_000_000)),
    ("evaluation.best", Text),
    ("evaluation.segmenter", Text),
];

impl Kind {
    /// What a value of the right type is outside of its range; none where it is inside.
    fn outside(self, value: &Value) -> Option<String> {
        let whole = |number: i64, from: i64, to: i64| {
            (!(from..=to).contains(&number)).then(|| number.to_string())
        };
        match (self, value) {
            (Whole(from, to), &Value::Integer(number)) => whole(number, from, to),
            (Wholes(from, to), Value::Array(numbers)) => numbers
                .iter()
                .find_map(|number| whole(number.as_integer()?, from, to)),
            (Number(..) | Below(..) | Above(..), value) => {
                let number = number(value)?;
                let is_inside = match self {
                    Number(from, to) => (from..=to).contains(&number),
                    Below(from, to) => (from..to).contains(&number),
                    Above(from, to) => number > from && number <= to,
                    _ => true,
                };
                (!is_inside).then(|| format!("{number:?}"))
            }
            _ => None,
        }
    }

    /// Whether a value has the type.
    pub(super) fn fits(self, value: &Value) -> bool {
        let all = |is: fn(&Value) -> bool| value.as_array().is_some_and(|list| list.iter().all(is));
        match self {
            Whole(..) => value.is_integer(),
            Wholes(..) => all(Value::is_integer),
            Number(..) | Below(..) | Above(..) => number(value).is_some(),
            Text => value.is_str(),
            Texts => all(Value::is_str),
            Switch => value.is_bool(),
        }
    }
}

fn number(value: &Value) -> Option<f64> {
    value
        .as_float()
        .or(value.as_integer().map(|number| number as f64))
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Whole(from, i64::MAX) => write!(f, "a whole number of at least {from}"),
            Whole(from, to) => write!(f, "a whole number from {from} to {to}"),
            Wholes(from, to) => write!(
                f,
                "a list of whole numbers from {from} to {to}, such as [8, 4]"
            ),
            _ if self.range().is_some() => {
                write!(f, "a number {}", self.range().unwrap_or_default())
            }
            Texts => f.write_str("a list of texts, such as [\"fid\"]"),
            Switch => f.write_str("true or false"),
            _ => f.write_str("text, such as \"name\""),
        }
    }
}

impl Kind {
    /// The range in words, as the reference has it; none where there is none.
    pub(super) fn range(self) -> Option<String> {
        match self {
            Whole(from, i64::MAX) => Some(format!("at least {from}")),
            Whole(from, to) | Wholes(from, to) => Some(format!("{from} to {to}")),
            Number(from, to) => Some(format!("{from:?} to {to:?}")),
            Below(from, to) => Some(format!("{from:?} to below {to:?}")),
            Above(from, to) => Some(format!("above {from:?}, up to {to:?}")),
            Text | Texts | Switch => None,
        }
    }
}

/// The kind of a key.
pub(super) fn kind(key: &str) -> Option<Kind> {
    let found = KEYS.iter().find(|(known, _)| *known == key);
    found.map(|(_, kind)| *kind)
}

/// Refuses keys that there are not, and values of another type, before they are read.
///
/// # Errors
/// Names the first key that is wrong, and what was perhaps meant or what is wanted.
pub(super) fn check_types(table: &Table) -> Result<()> {
    let mut values = std::collections::BTreeMap::new();
    flatten("", table, &mut values);
    for (key, value) in &values {
        let Some(kind) = kind(key) else {
            bail!(
                "there is no configuration key `{key}`{}",
                what_was_meant(key)
            );
        };
        ensure!(
            kind.fits(value),
            "configuration key `{key}`: {value} is not {kind}"
        );
    }
    Ok(())
}

/// Refuses values outside of their ranges.
///
/// # Errors
/// Names the first key that is wrong and what is allowed.
pub(super) fn check_ranges<'a>(
    values: impl IntoIterator<Item = (&'a String, &'a Value)>,
) -> Result<()> {
    for (key, value) in values {
        let Some(kind) = kind(key) else { continue };
        if let Some(value) = kind.outside(value) {
            let range = kind.range().unwrap_or_default();
            bail!("configuration key `{key}`: {value} is out of range, which is {range}");
        }
    }
    Ok(())
}

/// What somebody meant who wrote a key that there is not.
fn what_was_meant(key: &str) -> String {
    let names = || KEYS.iter().map(|(known, _)| *known);
    let below = format!("{key}.");
    if let Some(example) = names().find(|known| known.starts_with(&below)) {
        return format!(": it is a table with keys such as `{example}`");
    }
    // A key whose table was forgotten or is another one, as it is or mistyped.
    let last = key.rsplit('.').next().unwrap_or(key);
    let ends = names().filter(|known| known.rsplit('.').next() == Some(last));
    let mut ends: Vec<&str> = ends.collect();
    if ends.is_empty() {
        ends.extend(closest(key, names()));
    }
    if ends.is_empty()
        && let Some(end) = closest(last, names().filter_map(|known| known.rsplit('.').next()))
    {
        ends.extend(names().filter(|known| known.rsplit('.').next() == Some(end)));
    }
    match ends.split_last() {
        None => ": book/src/reference/experiment.md lists them".to_string(),
        Some((only, [])) => format!("; did you mean `{only}`?"),
        Some((last, rest)) => format!("; did you mean `{}` or `{last}`?", rest.join("`, `")),
    }
}

#[cfg(test)]
mod tests;
