use burn::module::Module;
use burn::tensor::backend::Backend;

use super::keys::without_wrapper;
use super::{KeyMap, StateDict, WeightsError};
use crate::init::InitRng;

/// Where the weights of a network come from.
#[derive(Debug, Clone)]
pub enum WeightSource {
    /// Drawn from the initialisation of the architecture: for tests and for the experiment that
    /// shows what pre-training is worth.
    Random {
        /// Seed of the draw.
        seed: u64,
    },
    /// Tensors in the naming of the original project, and the file they were read from, which
    /// error messages name.
    State(StateDict, String),
}

impl WeightSource {
    /// What the network that will be [loaded](Self::load) is initialised with; `purpose` is that of
    /// [`InitRng::new`].
    pub fn rng(&self, purpose: &str) -> InitRng {
        match self {
            Self::Random { seed } => InitRng::new(*seed, purpose),
            Self::State(..) => InitRng::unset(),
        }
    }

    /// The same without the tensors whose names begin with one of `parts`: parts of a file that a
    /// network has no use for.
    pub fn without(self, parts: &[&str]) -> Self {
        let Self::State(dict, origin) = self else {
            return self;
        };
        let mut dict = without_wrapper(dict);
        dict.retain(|name, _| !parts.iter().any(|part| name.starts_with(part)));
        Self::State(dict, origin)
    }

    /// Loads a network that was initialised with [`rng`](Self::rng), and freezes it.
    ///
    /// # Errors
    ///
    /// Those of [`KeyMap::load`].
    pub fn load<B: Backend, M: Module<B>>(
        self,
        network: M,
        keys: &KeyMap,
    ) -> Result<M, WeightsError> {
        let network = match self {
            Self::Random { .. } => network,
            Self::State(dict, origin) => keys.load(network, dict, &origin)?,
        };
        Ok(network.no_grad())
    }
}
