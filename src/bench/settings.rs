use anyhow::{Context, Result, ensure};
use dp_sims_datasets::{Batch, LabelledImages, Size};
use dp_sims_model::backbones::{BackboneKind, info};
use dp_sims_model::discriminator::DiscriminatorConfig;
use dp_sims_model::generator::GeneratorConfig;
use dp_sims_scenes::Scenes;

use crate::config::{self, Experiment, Weights};

/// Classes of the training step, void included: those of CamVid.
pub const STEP_CLASSES: usize = 12;

/// Classes of the generator, void included: those of ADE20K.
pub const GENERATOR_CLASSES: usize = 151;

/// The backbone where none is named: that of the `camvid-e8` experiment.
pub const BACKBONE: BackboneKind = BackboneKind::EfficientnetLite1;

/// Number of which the sides of an image are multiples, in pixels: a cell of the start grid.
const CELL: usize = 32;

/// Largest side in pixels.
const MAX_SIDE: usize = 8192;

/// Largest batch, width and number of repetitions. What is larger asks for more memory or time than
/// there is, and the system's answer to that names no flag.
const MAX_COUNT: usize = 4096;

/// What can be changed about a benchmark.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Size of images and label maps.
    pub size: Size,
    /// Images at once.
    pub batch: usize,
    /// Width of the generator's last block.
    pub base_width: usize,
    /// Frozen network below the discriminator; the generator alone has none.
    pub backbone: BackboneKind,
    /// Timed repetitions.
    pub repeats: usize,
    /// Whether one more repetition tells where the time goes, on flex alone.
    pub profile: bool,
}

impl Settings {
    /// The experiment whose step is timed: the built-in `camvid-e8` at this size and with this
    /// backbone, with random weights in both frozen networks, so that no file is needed.
    ///
    /// # Errors
    /// When a setting is out of range.
    pub fn experiment(&self) -> Result<Experiment> {
        self.check()?;
        let mut experiment = config::load("camvid-e8", &[])?;
        experiment.data.height = self.size.height;
        experiment.data.width = self.size.width;
        experiment.run.batch = self.batch;
        experiment.generator.base_width = self.base_width;
        experiment.backbone.network = self.backbone;
        experiment.backbone.weights = Weights::Random;
        experiment.loss.contrastive.weights = Weights::Random;
        fit_decoder(&mut experiment.discriminator, &info(self.backbone).strides);
        experiment.validate()?;
        Ok(experiment)
    }

    /// The generator that is timed: the paper's with another base width.
    ///
    /// # Errors
    /// When a setting is out of range.
    pub fn generator(&self) -> Result<GeneratorConfig> {
        self.check()?;
        let config = GeneratorConfig {
            base_width: self.base_width,
            ..GeneratorConfig::default()
        };
        config.validate(self.size.height, self.size.width)?;
        Ok(config)
    }

    /// Checks every number.
    ///
    /// # Errors
    /// Names the flag and what it takes.
    pub fn check(&self) -> Result<()> {
        let Size { height, width } = self.size;
        ensure!(
            [height, width]
                .iter()
                .all(|&side| { side.is_multiple_of(CELL) && (CELL..=MAX_SIDE).contains(&side) }),
            "--size {height}x{width}: both sides must be multiples of {CELL} pixels, {CELL} to \
             {MAX_SIDE}"
        );
        for (flag, value) in [
            ("--batch", self.batch),
            ("--width", self.base_width),
            ("--repeats", self.repeats),
        ] {
            ensure!(
                (1..=MAX_COUNT).contains(&value),
                "{flag} {value}: give a number from 1 to {MAX_COUNT}"
            );
        }
        Ok(())
    }

    /// A batch of procedural scenes; classes beyond the table become void.
    ///
    /// # Errors
    /// When a scene cannot be drawn.
    pub fn scenes(&self, classes: usize) -> Result<Batch> {
        scenes(self.size, self.batch, classes)
    }
}

/// A batch of procedural scenes; classes beyond the table become void.
///
/// # Errors
/// When a scene cannot be drawn.
pub(crate) fn scenes(size: Size, count: usize, classes: usize) -> Result<Batch> {
    let dataset = Scenes::new(count, 0);
    let mut batch = Batch {
        images: Vec::new(),
        labels: Vec::new(),
        size,
        len: count,
        names: Vec::new(),
        first_position: 0,
        offsets: None,
        unreadable: Vec::new(),
    };
    for index in 0..count {
        let sample = dataset.sample(index, size).context("cannot draw a scene")?;
        batch.images.extend(sample.image);
        let known = |label: u8| {
            if usize::from(label) < classes {
                label
            } else {
                0
            }
        };
        batch.labels.extend(sample.labels.into_iter().map(known));
        batch.names.push(sample.name);
    }
    Ok(batch)
}

/// Has the decoder begin at the coarsest of these strides, where VGG's is finer than that of others.
pub fn fit_decoder(config: &mut DiscriminatorConfig, strides: &[usize]) {
    let blocks = strides.last().map_or(0, |stride| stride.ilog2() as usize);
    let surplus = config.decoder_channels.len().saturating_sub(blocks);
    config.decoder_channels.drain(..surplus);
}

/// Reads the name of a backbone, with dashes or underscores.
///
/// # Errors
/// Lists the names.
pub fn backbone_named(name: &str) -> Result<BackboneKind, String> {
    BackboneKind::named(name).ok_or_else(|| {
        let names: Vec<_> = BackboneKind::all().map(BackboneKind::name).collect();
        format!(
            "no backbone has this name; give one of {}",
            names.join(", ")
        )
    })
}

#[cfg(test)]
pub(super) fn tiny() -> Settings {
    Settings {
        size: Size::square(32),
        batch: 1,
        base_width: 1,
        backbone: BACKBONE,
        repeats: 3,
        profile: false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_step_is_that_of_camvid_and_needs_no_file() {
        let experiment = tiny().experiment().unwrap();
        let camvid = config::load("camvid-e8", &[]).unwrap();
        assert_eq!(experiment.discriminator, camvid.discriminator);
        assert_eq!(experiment.backbone.network, camvid.backbone.network);
        assert_eq!(experiment.backbone.weights, Weights::Random);
        assert_eq!(experiment.loss.contrastive.weights, Weights::Random);
        assert_eq!(experiment.data.size(), tiny().size);
    }

    #[test]
    fn the_decoder_fits_every_backbone() {
        for backbone in BackboneKind::all() {
            let experiment = Settings { backbone, ..tiny() }.experiment().unwrap();
            let strides = info(backbone).strides;
            experiment.discriminator.validate(&strides).unwrap();
        }
    }

    #[test]
    fn settings_out_of_range_are_named() {
        let tiny = tiny();
        let size = |height, width| Settings {
            size: Size::new(height, width),
            ..tiny
        };
        for (settings, flag) in [
            (size(48, 64), "--size 48x64"),
            (size(64, 0), "--size 64x0"),
            (size(32, 1 << 40), "--size"),
            (Settings { batch: 0, ..tiny }, "--batch 0"),
            (
                Settings {
                    base_width: 0,
                    ..tiny
                },
                "--width 0",
            ),
            (Settings { repeats: 0, ..tiny }, "--repeats 0"),
            (
                Settings {
                    batch: usize::MAX,
                    ..tiny
                },
                "--batch",
            ),
        ] {
            for error in [
                settings.experiment().unwrap_err(),
                settings.generator().unwrap_err(),
            ] {
                assert!(error.to_string().starts_with(flag), "{error}");
            }
        }
    }

    #[test]
    fn backbones_have_their_names_in_experiments() {
        for kind in BackboneKind::all() {
            let name = kind.name();
            for written in [name, &name.replace('_', "-")] {
                assert_eq!(backbone_named(written), Ok(kind));
            }
        }
        let error = backbone_named("VGG16").unwrap_err();
        assert!(error.contains("swin_tiny_window7, "), "{error}");
    }

    #[test]
    fn labels_stay_inside_the_table() {
        let settings = Settings {
            size: Size::new(32, 64),
            batch: 2,
            ..tiny()
        };
        let all = settings.scenes(GENERATOR_CLASSES).unwrap();
        let few = settings.scenes(3).unwrap();
        assert_eq!(few.images.len(), 2 * 32 * 64 * 3);
        assert!(all.labels.iter().any(|&label| label >= 3));
        for (all, few) in all.labels.iter().zip(&few.labels) {
            assert_eq!(*few, if *all < 3 { *all } else { 0 });
        }
    }
}
