//! What a model file says of itself.

use std::fmt;

use anyhow::{Context, Result, ensure};
use dp_sims_datasets::{Description, DescriptionError, Size};
use dp_sims_model::cost::{Convention, generator};
use dp_sims_model::generator::GeneratorConfig;
use serde::{Deserialize, Serialize};

/// Version of the layout of model files.
const FORMAT: u32 = 1;

/// Largest height and width of an image.
const LONGEST: usize = 4096;

/// Largest number of a generator's configuration, and largest multiple of its base width: far above any
/// generator, and low enough that no product of them runs over.
const LARGEST: usize = 1 << 12;
const LARGEST_MULTIPLE: usize = 1 << 6;

/// Most letters of a name.
const LETTERS: usize = 200;

/// What a model file says of itself: the JSON text in its header.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Record {
    /// Version of this layout.
    pub format: u32,
    /// Name of the experiment that the model was trained by.
    pub name: String,
    /// Height of its images in pixels.
    pub height: usize,
    /// Width of its images in pixels.
    pub width: usize,
    /// Architecture of the generator that the tensors are for. Spectral norm is folded into them.
    pub generator: GeneratorConfig,
    /// Classes, their colours, and the ids they have in label maps: a dataset description in TOML.
    pub dataset: String,
    /// How it was trained.
    pub training: TrainingRecord,
}

/// How a model was trained.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrainingRecord {
    /// Steps.
    pub step: u64,
    /// Real images consumed.
    pub images_seen: u64,
    /// Day on which the last step was saved, `2026-11-29`.
    pub finished: String,
    /// Program and version.
    pub software: String,
    /// Backend.
    pub backend: String,
}

impl Record {
    /// Of a model of this size.
    ///
    /// # Errors
    /// When the description cannot be written as TOML.
    pub fn new(
        name: &str,
        size: Size,
        generator: GeneratorConfig,
        description: &Description,
        training: TrainingRecord,
    ) -> Result<Self> {
        Ok(Self {
            format: FORMAT,
            name: name.to_string(),
            height: size.height,
            width: size.width,
            generator,
            dataset: toml::to_string(description)?,
            training,
        })
    }

    /// Reads and checks a record. `bytes` is the length of its file.
    ///
    /// # Errors
    /// When a key is unknown, missing or out of range, or the generator would be larger than the file.
    pub fn parse(text: &str, bytes: usize) -> Result<(Self, Description)> {
        #[derive(Deserialize)]
        struct Head {
            format: u32,
        }
        let head: Head = serde_json::from_str(text)?;
        ensure!(
            head.format == FORMAT,
            "it has format {}, this program reads format {FORMAT}: use the program that wrote it, or a \
             later one",
            head.format
        );
        let record: Self = serde_json::from_str(text)?;
        let description = described(&record.dataset).context("key `dataset` is not valid")?;
        record.check(&description, bytes)?;
        Ok((record, description))
    }

    /// Size of its images.
    pub fn size(&self) -> Size {
        Size::new(self.height, self.width)
    }

    fn check(&self, description: &Description, bytes: usize) -> Result<()> {
        for (key, side) in [("height", self.height), ("width", self.width)] {
            ensure!(
                side <= LONGEST,
                "key `{key}`: {side} pixels are more than {LONGEST}"
            );
        }
        let config = &self.generator;
        config.validate(self.height, self.width)?;
        let numbers = [
            ("base_width", config.base_width),
            ("latent_dim", config.latent_dim),
            ("mapping_width", config.mapping_width),
            ("tokens", config.tokens),
            ("token_dim", config.token_dim),
            ("spade_hidden", config.spade_hidden),
        ];
        let channels = config.encoder_channels.iter();
        let numbers = numbers
            .into_iter()
            .chain(channels.map(|&number| ("encoder_channels", number)));
        for (key, number) in numbers {
            ensure!(
                number <= LARGEST,
                "key `generator.{key}`: {number} is more than {LARGEST}"
            );
        }
        for multiple in &config.width_multipliers {
            ensure!(
                *multiple <= LARGEST_MULTIPLE,
                "key `generator.width_multipliers`: {multiple} is more than {LARGEST_MULTIPLE}"
            );
        }
        // Networks are laid out before tensors are compared: not for more than the file can hold.
        let classes = description.class_table().len();
        let side = config.start_stride();
        let cost = generator(config, classes, [side, side], Convention::Executed);
        let needed = cost.total().parameters;
        ensure!(
            needed <= (bytes / 2) as u64,
            "its generator has {needed} parameters, more than {bytes} bytes can hold"
        );
        let training = &self.training;
        let names = description.classes.iter().map(|class| &class.name);
        let texts = [
            &self.name,
            &training.finished,
            &training.software,
            &training.backend,
            &description.name,
        ];
        for text in texts.into_iter().chain(names) {
            // They are printed: no text may steer a terminal.
            ensure!(
                text.chars().count() <= LETTERS && !text.chars().any(char::is_control),
                "the text {:?} is no name",
                text.chars().take(LETTERS).collect::<String>()
            );
        }
        Ok(())
    }

    /// What is worth knowing, for people.
    ///
    /// # Errors
    /// When the description in it is not valid.
    pub fn card(&self) -> Result<Card> {
        let description = described(&self.dataset).context("key `dataset` is not valid")?;
        let mut classes = Vec::new();
        for class in &description.classes {
            let ids: Vec<String> = class.ids.iter().map(u8::to_string).collect();
            classes.push((ids.join(" "), class.colour, class.name.clone()));
        }
        Ok(Card {
            record: self.clone(),
            dataset: description.name,
            classes,
        })
    }
}

/// A dataset description that is kept beside a network; procedural datasets have no splits.
///
/// # Errors
/// When it is not valid.
pub(crate) fn described(text: &str) -> Result<Description> {
    let description: Description = toml::from_str(text)?;
    match description.validate() {
        Ok(()) | Err(DescriptionError::NoSplit) => Ok(description),
        Err(error) => Err(error.into()),
    }
}

/// A record for people.
#[derive(Clone, Debug)]
pub struct Card {
    record: Record,
    dataset: String,
    /// Ids, colour and name.
    classes: Vec<(String, [u8; 3], String)>,
}

impl fmt::Display for Card {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Record {
            name,
            height,
            width,
            generator,
            training,
            ..
        } = &self.record;
        writeln!(f, "model       {name}: images of {height}x{width} pixels")?;
        writeln!(
            f,
            "trained     {} steps, {} images, on {}, saved {}, by {}",
            training.step,
            training.images_seen,
            training.backend,
            training.finished,
            training.software
        )?;
        writeln!(
            f,
            "generator   base width {}, latents of {} numbers{}",
            generator.base_width,
            generator.latent_dim,
            if generator.offsets {
                ", reads centre offsets of objects"
            } else {
                ""
            }
        )?;
        writeln!(
            f,
            "label maps  of {}, {} classes:",
            self.dataset,
            self.classes.len()
        )?;
        for (ids, [red, green, blue], name) in &self.classes {
            writeln!(f, "  {ids:>7}  #{red:02x}{green:02x}{blue:02x}  {name}")?;
        }
        Ok(())
    }
}

/// A model file's record out of the text in its header.
pub(super) fn parse(
    text: Option<String>,
    bytes: usize,
    origin: &str,
) -> Result<(Record, Description)> {
    let text = text.with_context(|| {
        format!("{origin} holds no model of dp-sims: `dp-sims export` writes such files from runs")
    })?;
    Record::parse(&text, bytes)
        .with_context(|| format!("{origin} holds no model that this program can read"))
}
