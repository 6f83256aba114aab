use std::fmt::Write;

use burn::module::Module;
use burn::tensor::backend::AutodiffBackend;
use dp_sims_datasets::shared_bytes;
use dp_sims_model::backbones::info;

use super::estimate::Estimate;
use super::run::Run;
use crate::runtime::units::memory;

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
            let _ = writeln!(text, "{label:<26}{value}");
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
        for (name, count) in trained {
            line(name, format!("{:.2} M parameters", count as f64 / 1e6));
        }
        if let Some(backbone) = &networks.backbone {
            let count = backbone.plain.num_params();
            line(
                experiment.backbone.network.name(),
                format!("{:.2} M parameters, frozen", count as f64 / 1e6),
            );
        }
        if let Some((_, network)) = &networks.contrastive {
            let name = experiment.loss.contrastive.network.name();
            let count = network.plain.num_params();
            line(
                name,
                format!(
                    "{:.2} M parameters, frozen (contrastive loss)",
                    count as f64 / 1e6
                ),
            );
        }
        let estimate = Estimate::of(experiment, classes.len());
        line(
            "memory",
            format!("about {} in all:", memory(estimate.process() as u64)),
        );
        for (what, bytes) in estimate.rows() {
            line(&format!("  {what}"), memory(bytes as u64));
        }
        let workers = experiment.data.workers;
        let decoding = shared_bytes(self.data.train.decoding(), workers);
        line(
            "memory of decoding",
            format!("about {} more, with {workers} worker(s)", memory(decoding)),
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
