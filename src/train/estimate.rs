//! How much memory a run will take, before any of it is taken.

use anyhow::{Result, bail};
use dp_sims_model::backbones::{BackboneKind, info};
use dp_sims_model::kept::{self, KeptSegments};
use serde::{Serialize, Serializer};

use super::costs::step_parameters;
use super::parts::StepPart;
use crate::config::{Experiment, RunConfig, keys_of_size, with_default};
use crate::runtime::units::memory;

/// Bytes of an `f32`.
const FLOAT: f64 = 4.0;

/// Share of what a step is estimated to need that it needs for certain: measured steps are within a few
/// percent of their estimate, and what fits must not be refused.
const CERTAIN: f64 = 0.8;

/// Memory of the program itself, without any run.
const PROGRAM: f64 = 38.0 * (1 << 20) as f64;

/// Tensors of the size of the logits that a pixel loss needs for its gradient, beside the one that it
/// keeps.
const LOSS: f64 = 3.0;

/// Those that the losses of the discriminator step keep: shifted logits of both, what the smoothed one keeps
/// in addition, and both logits for their accuracy.
const LOSSES: f64 = 7.0;

/// Memory of a run in bytes, by what it is for. An estimate: tests hold it to what was measured
/// (`tests/bench/memory.toml`).
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Estimate {
    /// Weights, the state of the optimizers, and the moving average, twice: as it is, and as it was last shown
    /// or saved.
    #[serde(rename = "state_bytes")]
    pub state: f64,
    /// What the generator keeps for its backward pass, at the peak of a step.
    #[serde(rename = "generator_bytes")]
    pub generator: f64,
    /// What frozen networks, discriminator and losses keep, and gradients, at the peak of a step.
    #[serde(rename = "others_bytes")]
    pub others: f64,
    /// The part of a step that has its peak.
    #[serde(serialize_with = "in_words")]
    pub peak: StepPart,
    /// Batches of a step, and those that refresh the average.
    #[serde(rename = "batches_bytes")]
    pub batches: f64,
    /// Batches that are kept ready and the preview: memory of the processor, on any backend.
    #[serde(rename = "host_bytes")]
    pub host: f64,
    /// The copy of weights and optimizers that becomes a checkpoint: memory of the processor.
    #[serde(rename = "checkpoint_bytes")]
    pub checkpoint: f64,
}

fn in_words<S: Serializer>(part: &StepPart, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(part)
}

impl Estimate {
    /// Of an experiment for so many classes, void included.
    pub fn of(experiment: &Experiment, classes: usize) -> Self {
        let parameters = step_parameters(experiment, classes);
        let count = |name: &str| parameters.get(name).copied().unwrap_or(0) as f64;
        let generator = count("generator");
        let judges = count("discriminator") + count("projector");
        let contrastive = if experiment.shares_features() {
            0.0
        } else {
            count("contrastive")
        };
        let frozen = count("backbone") + contrastive;
        // Weight and the two moments of Adam, and both averages of the generator.
        let state = 5.0 * generator + 3.0 * judges + frozen;
        let Peak {
            part,
            of_generator,
            of_others,
        } = Peak::of(experiment, classes, [generator, judges]);
        let (run, data) = (&experiment.run, &experiment.data);
        let pixels = data.height as f64 * data.width as f64;
        let batch = run.batch as f64 * pixels;
        let offsets = if experiment.generator.offsets {
            8.0
        } else {
            0.0
        };
        // Photos and label maps are bytes; on the device labels are four bytes.
        let ready = (data.queue + data.workers) as f64 * batch * (4.0 + offsets);
        let refresh = experiment.ema.refresh_batches as f64 * batch * (4.0 + offsets);
        let tiles = run.preview_rows as f64 * (run.preview_samples + 2) as f64;
        let passes = run.accumulation as f64 * batch * (16.0 + offsets);
        Self {
            state: FLOAT * state,
            generator: FLOAT * of_generator,
            others: FLOAT * of_others,
            peak: part,
            batches: refresh + passes,
            host: ready + 6.0 * tiles * pixels,
            checkpoint: FLOAT * (4.0 * generator + 3.0 * judges),
        }
    }

    /// What a step has at its peak beside the state.
    pub fn step(&self) -> f64 {
        self.generator + self.others
    }

    /// What lies on the device, at the peak of a step.
    pub fn device(&self) -> f64 {
        self.state + self.step() + self.batches
    }

    /// What the process takes on a backend of the processor. A checkpoint is written between steps.
    pub fn process(&self) -> f64 {
        let varying = self.step().max(self.checkpoint);
        PROGRAM + self.state + varying + self.batches + self.host
    }

    /// What is for what; the copy and what a step has share their room.
    pub fn rows(&self) -> [(&'static str, f64); 6] {
        [
            ("weights and optimizers", self.state),
            ("maps of the generator", self.generator),
            ("other networks, losses", self.others),
            ("batches", self.batches),
            ("ready batches (host)", self.host),
            ("checkpoint copy (host)", self.checkpoint),
        ]
    }

    /// What is needed at the least.
    fn least(&self) -> f64 {
        self.state + CERTAIN * self.step() + self.batches + self.host
    }
}

/// Where a step has most in memory beside its state, in numbers.
struct Peak {
    part: StepPart,
    of_generator: f64,
    of_others: f64,
}

impl Peak {
    /// Of an experiment with so many parameters in the generator, and in discriminator and projector.
    fn of(experiment: &Experiment, classes: usize, [generator, judges]: [f64; 2]) -> Self {
        let (run, loss) = (&experiment.run, &experiment.loss);
        let size @ [height, width] = [experiment.data.height, experiment.data.width];
        let batch = run.batch;
        let latents = if loss.has_pairs() { 2 } else { 1 };
        let maps = Graph {
            segments: kept::generator(&experiment.generator, size, latents),
            trained: true,
            run,
        };
        let entry = info(experiment.backbone.network);
        let config = &experiment.discriminator;
        let judge = |trained| Graph {
            segments: kept::discriminator(config, &entry.channels, &entry.strides, size),
            trained,
            run,
        };
        let frozen = |network: Option<BackboneKind>| Graph {
            segments: network.map_or_else(KeptSegments::default, |network| {
                kept::backbone(network, size)
            }),
            trained: false,
            run,
        };
        let backbone = config.has_backbone().then_some(experiment.backbone.network);
        let network = loss.has_network().then_some(loss.contrastive.network);
        let [backbone, network] = [backbone, network].map(frozen);
        let logits = ((classes + 1) * height * width * batch) as f64;
        // Gradients of earlier passes.
        let earlier = if run.accumulation > 1 {
            generator + judges
        } else {
            0.0
        };
        let peak = |part, of_generator, of_others| Self {
            part,
            of_generator,
            of_others: of_others + earlier,
        };
        // Fakes and photos, and mixed images as well, each with a graph.
        let graphs = if loss.lambda_label_mix > 0.0 {
            3.0
        } else {
            2.0
        };
        // What waits for its way back, while the loss goes back or another graph does.
        let (waiting, looking) = (maps.waiting(), backbone.waiting());
        let judged = judge(false);
        let judged = (judged.waiting() + LOSS * logits).max(judged.back());
        let own = judge(true);
        let compared = (own.waiting() * graphs + (LOSSES + LOSS) * logits)
            .max(own.waiting() * (graphs - 1.0) + own.back() + 2.0 * graphs * logits);
        let parts = [
            peak(
                StepPart::JudgementBackward,
                waiting,
                looking + judged + logits,
            ),
            peak(StepPart::ContrastiveBackward, waiting, network.back()),
            peak(StepPart::FeaturesBackward, waiting, backbone.back()),
            // Maps go while gradients come.
            peak(StepPart::GeneratorBackward, maps.back().max(generator), 0.0),
            peak(StepPart::DiscriminatorBackward, 0.0, compared + judges),
        ];
        let all = |peak: &Self| peak.of_generator + peak.of_others;
        let [first, others @ ..] = parts;
        others.into_iter().fold(
            first,
            |most, next| {
                if all(&next) > all(&most) { next } else { most }
            },
        )
    }
}

/// The graph of a network, in numbers.
struct Graph<'a> {
    segments: KeptSegments,
    trained: bool,
    run: &'a RunConfig,
}

impl Graph<'_> {
    /// As long as it waits for its way back.
    fn waiting(&self) -> f64 {
        if self.run.recompute {
            self.segments.outputs(self.run.batch)
        } else {
            self.segments.all().of_images(self.run.batch)
        }
    }

    /// At the peak of its way back.
    fn back(&self) -> f64 {
        if self.run.recompute {
            let peak = self.segments.peak(self.run.batch, self.trained);
            peak.max(self.waiting())
        } else {
            self.waiting()
        }
    }
}

/// Whether a run may fit into `available` bytes.
pub(crate) fn fits(experiment: &Experiment, classes: usize, available: u64) -> bool {
    Estimate::of(experiment, classes).least() <= available as f64
}

/// Refuses a run that cannot fit into `available` bytes, before anything is made.
///
/// # Errors
/// Names the key that would save the most, and what is there and what it would take.
pub(super) fn refuse_what_cannot_fit(
    experiment: &Experiment,
    classes: usize,
    available: u64,
) -> Result<()> {
    let needed = Estimate::of(experiment, classes).least();
    if needed <= available as f64 {
        return Ok(());
    }
    // The key that saves the most by its default; where all have it, images at once.
    let mut key = ("run.batch", experiment.run.batch.to_string());
    let mut least = needed;
    for candidate in keys_of_size() {
        let Some((other, value)) = with_default(experiment, candidate) else {
            continue;
        };
        let needed = Estimate::of(&other, classes).least();
        if needed < least {
            (least, key) = (needed, (candidate, value));
        }
    }
    let (key, value) = key;
    let (needed, available) = (memory(needed as u64), memory(available));
    let way = if experiment.run.recompute {
        ""
    } else {
        ", or set `run.recompute`"
    };
    bail!(
        "configuration key `{key}`: with {value} the run takes about {needed} of memory, and there are \
         {available}: lower it, or other sizes{way}"
    );
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::load;

    const GIB: u64 = 1 << 30;

    fn problem(settings: &[&str]) -> Option<String> {
        let settings: Vec<String> = settings.iter().map(|text| text.to_string()).collect();
        let experiment = load("quickstart", &settings).unwrap();
        experiment.validate().unwrap();
        let refused = refuse_what_cannot_fit(&experiment, 15, 16 * GIB);
        refused.err().map(|error| error.to_string())
    }

    #[test]
    fn what_fits_is_not_refused_and_what_cannot_is_with_its_key() {
        assert_eq!(problem(&[]), None);
        assert_eq!(problem(&["run.batch=16"]), None);
        for (setting, key) in [
            ("run.batch=65536", "run.batch"),
            ("generator.base_width=8192", "generator.base_width"),
            ("generator.tokens=8192", "generator.tokens"),
            (
                "discriminator.full_resolution_channels=8192",
                "discriminator.full_resolution_channels",
            ),
            ("ema.refresh_batches=100000", "ema.refresh_batches"),
            ("run.preview_rows=1000", "run.preview_rows"),
            ("data.queue=65536", "data.queue"),
            ("data.height=65504", "data.height"),
        ] {
            let mut settings = vec![setting];
            // Some are large only together with another one.
            settings.extend(match key {
                "generator.tokens" => {
                    vec!["generator.mapping_width=8192", "generator.token_dim=64"]
                }
                "run.preview_rows" => vec!["run.preview_samples=1000"],
                "data.queue" => vec!["run.batch=32"],
                "ema.refresh_batches" => vec!["run.batch=32"],
                "data.height" => vec!["data.width=1024"],
                _ => Vec::new(),
            });
            let text = problem(&settings).unwrap_or_else(|| panic!("{setting} is let through"));
            assert!(text.contains(&format!("`{key}`")), "{setting}: {text}");
            assert!(text.contains("16.00 GiB"), "{text}");
        }
    }
}
