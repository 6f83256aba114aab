use std::fmt::Write;

use burn::module::Module;
use burn::tensor::backend::AutodiffBackend;
use dp_sims_datasets::shared_bytes;
use dp_sims_model::backbones::info;

use super::estimate::Estimate;
use super::run::Run;

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
                experiment.backbone.network.name(),
                format!("{:.2} M parameters, frozen", frozen as f64 / 1e6),
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
            frozen += count;
        }
        let state = (total + frozen) * 4;
        line(
            "memory of the state",
            format!("{:.0} MB", state as f64 / 1e6),
        );
        let estimate = Estimate::of(experiment, classes.len());
        line(
            "memory of a step",
            format!("about {:.0} MB more", estimate.step / 1e6),
        );
        line(
            "memory of batches",
            format!(
                "about {:.0} MB more",
                (estimate.batches + estimate.host) / 1e6
            ),
        );
        let workers = experiment.data.workers;
        let decoding = shared_bytes(self.data.train.decoding(), workers);
        line(
            "memory of decoding",
            format!(
                "about {:.0} MB more, with {workers} worker(s)",
                decoding as f64 / 1e6
            ),
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
