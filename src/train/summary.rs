use std::fmt::Write;

use burn::module::Module;
use burn::tensor::backend::AutodiffBackend;
use dp_sims_model::backbones::info;

use super::run::Run;
use crate::config::Experiment;

/// Floats that the generator step keeps per pixel of the batch: for every tensor that a backward
/// pass needs, its channels over the square of its stride. Counts the maps of SPADE blocks,
/// decoder blocks and both full-resolution branches; an estimate, not an account.
fn activation_floats_per_pixel(experiment: &Experiment) -> f64 {
    let generator = &experiment.generator;
    let (widths, channels) = (generator.widths(), &generator.encoder_channels);
    let coarsest = channels[channels.len() - 1];
    let area = |stride: usize| 1.0 / (stride * stride) as f64;
    let pair = if experiment.loss.has_pairs() {
        2.0
    } else {
        1.0
    };
    let mut floats = 0.0;
    for block in 0..generator.blocks() {
        let area = area(generator.start_stride() >> block);
        let middle = widths[block].min(widths[block + 1]);
        let condition = coarsest + channels[generator.blocks() - block];
        // Per SPADE: normalised, gamma, beta, modulated, activated; two or three of them.
        let spades = 2 * widths[block] + middle;
        floats += pair * area * (7 * spades + 2 * widths[block + 1] + 2 * condition) as f64;
        floats += pair * area * (6 * channels[generator.blocks() - block]) as f64;
    }
    let decoder = &experiment.discriminator.decoder_channels;
    for (index, &width) in decoder.iter().enumerate() {
        floats += area(1 << (decoder.len() - index - 1)) * (8 * width) as f64;
    }
    let full = &experiment.discriminator;
    floats + (6 * full.full_resolution_channels * full.full_resolution_blocks) as f64
}

impl<B: AutodiffBackend> Run<'_, B> {
    /// What `--dry-run` prints: shapes, parameter counts, memory and class frequencies.
    pub fn summary(&self) -> String {
        let experiment = self.experiment;
        let networks = &self.training.networks;
        let classes = self.data.train.classes();
        let size = experiment.data.size();
        let batch = experiment.run.batch;
        let mut text = String::new();
        let mut line = |label: &str, value: String| {
            // Writing to a string cannot fail.
            let _ = writeln!(text, "{label:<22}{value}");
        };
        line("experiment", experiment.name.clone());
        line("backend", self.options.backend.clone());
        line(
            "images",
            format!("[{batch}, 3, {}, {}]", size.height, size.width),
        );
        line(
            "label maps",
            format!("[{batch}, {}, {}]", size.height, size.width),
        );
        line("classes", format!("{} with void", classes.len()));
        line(
            "latents",
            format!("[{}, {}]", 2 * batch, experiment.generator.latent_dim),
        );
        line(
            "logits",
            format!(
                "[{batch}, {}, {}, {}]",
                classes.len() + 1,
                size.height,
                size.width
            ),
        );
        let entry = info(experiment.backbone.network);
        let taps = entry.channels.iter().zip(&entry.strides);
        for (channels, stride) in taps.filter(|_| experiment.discriminator.has_backbone()) {
            let shape = [
                batch,
                *channels,
                size.height.div_ceil(*stride),
                size.width.div_ceil(*stride),
            ];
            line(&format!("features /{stride}"), format!("{shape:?}"));
        }
        let trained = [
            ("generator", networks.generator.num_params()),
            ("discriminator", networks.discriminator.num_params()),
            (
                "projector",
                networks
                    .contrastive
                    .as_ref()
                    .map_or(0, |(module, _)| module.num_params()),
            ),
        ];
        let mut total = networks.ema.num_params();
        for (name, count) in trained {
            line(name, format!("{:.2} M parameters", count as f64 / 1e6));
            // Weight, gradient and the two moments of Adam.
            total += 4 * count;
        }
        let mut frozen = 0;
        if let Some(backbone) = &networks.backbone {
            frozen = backbone.plain.num_params();
            line(
                entry.name,
                format!("{:.2} M parameters, frozen", frozen as f64 / 1e6),
            );
        }
        if let Some((_, network)) = &networks.contrastive {
            let name = info(experiment.loss.contrastive.network).name;
            let count = network.plain.num_params();
            line(
                name,
                format!(
                    "{:.2} M parameters, frozen (contrastive loss)",
                    count as f64 / 1e6
                ),
            );
            frozen += count;
        }
        let state = (total + frozen) * 4;
        line(
            "memory of the state",
            format!("{:.0} MB", state as f64 / 1e6),
        );
        let pixels = batch * size.pixels();
        let activations = activation_floats_per_pixel(experiment) * pixels as f64 * 4.0;
        line(
            "memory of a step",
            format!("about {:.0} MB more", activations / 1e6),
        );
        if self.data.presence.is_empty() {
            return text;
        }
        text.push_str("\nclass                 share of the training images\n");
        let images = self.data.presence.len() as f64;
        for (index, class) in (0u8..=255).zip(&classes.classes) {
            let count = self
                .data
                .presence
                .iter()
                .filter(|set| set.contains(index))
                .count();
            let share = count as f64 / images;
            let bar = "#".repeat((share * 40.0).round() as usize);
            let _ = writeln!(text, "{:<22}{:>5.1} %  {bar}", class.name, 100.0 * share);
        }
        text
    }
}
