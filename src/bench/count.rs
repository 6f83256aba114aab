use dp_sims_model::cost::Convention;

use crate::config::Experiment;
use crate::train::StepWork;

/// Multiply-adds of one training step of one batch, on average over steps ([`StepWork`]).
pub fn step_macs(experiment: &Experiment, classes: usize, counting: Convention) -> u64 {
    StepWork::of(experiment, classes, counting).macs() * experiment.run.batch as u64
}

#[cfg(test)]
mod tests {
    use dp_sims_model::backbones::info;
    use dp_sims_model::cost;

    use super::*;
    use crate::config;

    const EXECUTED: Convention = Convention::Executed;

    fn experiment(settings: &[&str]) -> Experiment {
        let settings: Vec<_> = settings
            .iter()
            .map(|&setting| setting.to_string())
            .collect();
        config::load("camvid-e8", &settings).unwrap()
    }

    #[test]
    fn a_step_is_proportional_to_the_batch() {
        let one = step_macs(&experiment(&["run.batch=1"]), 12, EXECUTED);
        assert_eq!(
            step_macs(&experiment(&["run.batch=3"]), 12, EXECUTED),
            3 * one
        );
    }

    /// Without diversity and contrastive loss: generator 3 + 1 passes, backbone 2 + 2,
    /// discriminator 2 + 6 less the input gradients of its first layers.
    #[test]
    fn terms_without_weight_cost_nothing() {
        let settings = [
            "run.batch=1",
            "loss.lambda_diversity=0.0",
            "loss.contrastive.lambda=0.0",
        ];
        let bare = experiment(&settings);
        let (height, width) = (bare.data.height, bare.data.width);
        let entry = info(bare.backbone.network);
        let counting = EXECUTED;
        let generator = cost::generator(&bare.generator, 12, [height, width], counting);
        let backbone = cost::backbone(bare.backbone.network, height, width).macs;
        let config = &bare.discriminator;
        let discriminator = cost::discriminator(
            config,
            &entry.channels,
            &entry.strides,
            12,
            [height, width],
            counting,
        );
        let expected = 4 * generator.total().macs - generator.resizes
            + 4 * backbone
            + 8 * discriminator.total().macs
            - 2 * discriminator.inputs.macs;
        assert_eq!(step_macs(&bare, 12, EXECUTED), expected);
        assert!(step_macs(&experiment(&settings[..2]), 12, EXECUTED) > expected);
    }

    /// And a pass to the second image, which the log describes.
    #[test]
    fn the_second_latent_of_a_pair_costs_three_passes_without_the_label_branch() {
        let pair = experiment(&["run.batch=1"]);
        let single = experiment(&["run.batch=1", "loss.lambda_diversity=0.0"]);
        let (height, width) = (pair.data.height, pair.data.width);
        let generator = cost::generator(&pair.generator, 12, [height, width], EXECUTED);
        let again = generator.total().macs - generator.labels.macs - generator.to_image.macs;
        assert_eq!(
            step_macs(&pair, 12, EXECUTED) - step_macs(&single, 12, EXECUTED),
            3 * again + generator.to_image.macs - generator.resizes
        );
    }

    #[test]
    fn dense_work_is_more_than_what_is_executed() {
        let experiment = experiment(&[]);
        let nominal = step_macs(&experiment, 12, Convention::Published);
        assert!(nominal > step_macs(&experiment, 12, EXECUTED));
    }
}
