//! Weights as named tensors: out of modules, into modules, and in files.
//!
//! Names are module paths joined by dots, as in PyTorch (`stages.0.blocks.1.mlp.fc1.weight`).
//! Files the project writes are safetensors; files it reads may be safetensors or PyTorch
//! checkpoints of any age. Nothing inside a pickle is ever executed, and
//! a pickle that would have Python run a program is refused.

mod error;
mod file;
mod finite;
mod fold;
mod keys;
mod listing;
mod pickle;
mod pytorch;
mod source;
mod state;
mod stored;
#[cfg(test)]
mod tests;

pub use error::{Misshapen, WeightsError};
pub use file::{
    SafetensorsLayout, from_float_safetensors, from_safetensors_bytes, read_weights,
    safetensors_text, to_safetensors_bytes, to_safetensors_with_text, write_safetensors,
};
pub use finite::first_not_finite;
pub use keys::{FileLayer, KeyMap};
pub use listing::{Listing, StoredTensor, WeightsFormat, list_weights};
pub use source::WeightSource;
pub use state::{ModulePath, StateDict, load_owned_state_dict, load_state_dict, state_dict};
