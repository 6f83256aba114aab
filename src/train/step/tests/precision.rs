//! Steps in mixed precision.

use dp_sims_model::layers::Compute;
use dp_sims_model::weights::StateDict;

use super::super::super::optimizer::optimizer_state;
use super::*;

fn experiment(compute: Compute) -> Experiment {
    let mut experiment = Experiment::default();
    experiment.generator.base_width = 8;
    experiment.generator.initial_gate = 0.5;
    experiment.loss.image_diversity.lambda = 1.0;
    experiment.loss.feature_diversity.lambda = 1.0;
    experiment.run.reuse_fakes = true;
    experiment.precision.compute = compute;
    experiment
}

fn training(experiment: &Experiment) -> Training<FlexAutodiff> {
    let device = Default::default();
    let networks = Networks::<FlexAutodiff>::new(experiment, CLASSES, Path::new(""), &device);
    Training::new(networks.unwrap(), experiment, &device).unwrap()
}

/// The first moments of all optimizers: after one step, gradients times one number.
fn moments(training: &Training<FlexAutodiff>) -> [StateDict; 3] {
    let networks = &training.networks;
    let (projector, _) = networks.contrastive.as_ref().unwrap();
    let mut states = [
        optimizer_state(&training.optimizer_generator, &networks.generator),
        optimizer_state(&training.optimizer_discriminator, &networks.discriminator),
        optimizer_state(&training.optimizer_projector, projector),
    ];
    for state in &mut states {
        state.retain(|name, _| name.ends_with("moment_1"));
    }
    states
}

/// A power of two changes no digit of a number.
#[test]
fn a_scale_of_losses_leaves_gradients_as_they_are() {
    let experiment = experiment(Compute::F32);
    let [plain, scaled] = [None, Some(1024.0)].map(|factor| {
        let mut training = training(&experiment);
        training.loss_scale = factor.map(|factor| LossScale {
            factor,
            finite_steps: 0,
        });
        // Losses with views of their own, and with one in common.
        training.step(1, &[batch(1), batch(2)]).unwrap();
        training.step(2, &[batch(3), batch(4)]).unwrap();
        moments(&training)
    });
    assert!(plain == scaled);
}

#[test]
fn updates_that_overflow_are_left_out_and_the_scale_halves() {
    let mut training = training(&experiment(Compute::F16));
    let factor = 2f64.powi(60);
    training.loss_scale = Some(LossScale {
        factor,
        finite_steps: 7,
    });
    let weights = |training: &Training<FlexAutodiff>| {
        let networks = &training.networks;
        let buffers = buffer_names(&networks.generator);
        let mut state = state_dict(&networks.generator);
        state.retain(|name, _| !buffers.contains(name));
        state
    };
    let before = weights(&training);
    let scalars = training.step(1, &[batch(1)]).unwrap().read().unwrap();
    assert_eq!(scalars.named()["loss_scale"], factor);
    assert!(weights(&training) == before);
    assert!(moments(&training).iter().all(|state| state.is_empty()));
    let halved = LossScale {
        factor: factor / 2.0,
        finite_steps: 0,
    };
    assert_eq!(training.loss_scale, Some(halved));
}
