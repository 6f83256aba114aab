//! Training: networks, one step, optimizers, and the loop that joins them with data and displays.

mod batch;
mod costs;
mod estimate;
mod evaluation;
mod frozen;
mod networks;
mod optimizer;
#[cfg(test)]
mod parity;
#[cfg(test)]
mod parity_average;
#[cfg(test)]
mod parity_optimizer;
mod parts;
mod pretrain;
mod random;
mod run;
mod sampling;
mod save;
mod segmenter;
mod signs;
mod step;
mod stop;
mod summary;
mod unchanged;
mod watch;

pub use batch::{DeviceBatch, StepScalars, image_tensor, label_maps, label_tensor, sample_maps};
pub(crate) use costs::StepCosts;
pub(crate) use costs::step_parameters;
pub(crate) use estimate::fits;
pub(crate) use networks::pretrained_names;
pub use networks::{BackboneFile, Frozen, Networks, default_weights_folder, load_backbone};
pub use optimizer::{ModuleOptimizer, adam, load_optimizer_state, optimizer_state};
pub use parts::StepPart;
pub use pretrain::pretrain;
pub use random::{Draws, Purpose, SeededDraws, latents};
pub use run::{Run, RunOptions, TimeLimit};
pub use sampling::{Preview, refreshed, to_rgb};
pub use save::{
    AVERAGED_GENERATOR, GENERATOR_FILES, NotFinite, State, files, generator_files,
    read_description, read_experiment, read_generator, read_state, restore, tensors,
};
pub use segmenter::train_segmenter;
pub use step::Training;
pub use stop::Stop;
pub use unchanged::refuse_changes_of_networks;
pub use watch::Watch;
