use std::collections::BTreeMap;
use std::marker::PhantomData;

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::tensor::{Tensor, TensorData, backend::Backend};

use super::{Misshapen, WeightsError};

/// Tensors by name. Values are f32 unless a caller converted them for a smaller file; the map is
/// ordered so that everything made from it is deterministic.
pub type StateDict = BTreeMap<String, TensorData>;

/// The float tensors of a module by their path, for example `blocks.0.conv.weight`.
///
/// The name of an enum's variant is no part of the path. Buffers (running statistics, vectors of
/// spectral norm) are parameters without gradient in this project and therefore included.
pub fn state_dict<B: Backend, M: Module<B>>(module: &M) -> StateDict {
    let mut collector = Collector {
        path: ModulePath::default(),
        found: StateDict::new(),
    };
    module.visit(&mut collector);
    collector.found
}

/// Puts the tensors of `dict` into `module` and returns it.
///
/// Strict: the names and shapes must be those of [`state_dict`]. Every parameter keeps its id, its
/// device and whether it requires a gradient. `origin` is the file, or whatever else an error
/// message should call the source of the tensors.
///
/// # Errors
///
/// [`WeightsError::Mismatch`] lists every missing, unknown and misshapen tensor.
pub fn load_state_dict<B: Backend, M: Module<B>>(
    module: M,
    dict: &StateDict,
    origin: &str,
) -> Result<M, WeightsError> {
    check(&shapes(&module), dict, origin, "the network")?;
    Ok(fill(module, |name| dict.get(name).cloned()))
}

/// [`load_state_dict`] that hands the tensors over instead of copying them.
///
/// # Errors
///
/// Those of [`load_state_dict`].
pub fn load_owned_state_dict<B: Backend, M: Module<B>>(
    module: M,
    dict: StateDict,
    origin: &str,
) -> Result<M, WeightsError> {
    load_network(module, dict, origin, "the network")
}

/// [`load_owned_state_dict`] with a name for the network in the error message.
pub(super) fn load_network<B: Backend, M: Module<B>>(
    module: M,
    mut dict: StateDict,
    origin: &str,
    network: &str,
) -> Result<M, WeightsError> {
    check(&shapes(&module), &dict, origin, network)?;
    Ok(fill(module, |name| dict.remove(name)))
}

/// Gives every parameter the values that are found under its name.
fn fill<B: Backend, M: Module<B>>(module: M, find: impl FnMut(&str) -> Option<TensorData>) -> M {
    module.map(&mut Loader {
        path: ModulePath::default(),
        find,
        backend: PhantomData::<B>,
    })
}

/// Shapes of a module's float tensors by their path; none is made for it.
pub(super) fn shapes<B: Backend, M: Module<B>>(module: &M) -> BTreeMap<String, Vec<usize>> {
    let mut shapes = Shapes {
        path: ModulePath::default(),
        found: BTreeMap::new(),
    };
    module.visit(&mut shapes);
    shapes.found
}

/// Compares the shapes a network needs with the tensors at hand.
///
/// # Errors
///
/// [`WeightsError::Mismatch`] lists every missing, unknown and misshapen tensor.
pub(super) fn check(
    needed: &BTreeMap<String, Vec<usize>>,
    dict: &StateDict,
    origin: &str,
    network: &str,
) -> Result<(), WeightsError> {
    let missing: Vec<String> = needed
        .keys()
        .filter(|name| !dict.contains_key(*name))
        .cloned()
        .collect();
    let unused: Vec<String> = dict
        .keys()
        .filter(|name| !needed.contains_key(*name))
        .cloned()
        .collect();
    let misshapen: Vec<Misshapen> = needed
        .iter()
        .filter_map(|(name, expected)| {
            let found = dict.get(name)?.shape.as_slice().to_vec();
            (found != *expected).then(|| Misshapen {
                name: name.clone(),
                expected: expected.clone(),
                found,
            })
        })
        .collect();
    if missing.is_empty() && unused.is_empty() && misshapen.is_empty() {
        return Ok(());
    }
    Err(WeightsError::Mismatch {
        origin: origin.to_string(),
        network: network.to_string(),
        missing,
        unused,
        misshapen,
    })
}

/// Path of the module that a visitor or mapper is in, as the names of tensors have it.
#[derive(Debug, Default)]
pub struct ModulePath(Vec<Option<String>>);

impl ModulePath {
    /// To be called by `enter_module`, with its arguments.
    pub fn enter(&mut self, name: &str, container: &str) {
        // A variant's name is an implementation detail and would not be in a PyTorch name.
        self.0
            .push((!container.starts_with("Enum:")).then(|| name.to_string()));
    }

    /// To be called by `exit_module`.
    pub fn exit(&mut self) {
        self.0.pop();
    }

    /// Name of the tensor being visited, for example `blocks.0.conv.weight`.
    pub fn name(&self) -> String {
        self.0
            .iter()
            .flatten()
            .map(String::as_str)
            .collect::<Vec<_>>()
            .join(".")
    }
}

struct Collector {
    path: ModulePath,
    found: StateDict,
}

impl<B: Backend> ModuleVisitor<B> for Collector {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<B, D>>) {
        let data = param
            .transform_for_save()
            .val()
            .into_data()
            .convert::<f32>();
        self.found.insert(self.path.name(), data);
    }

    fn enter_module(&mut self, name: &str, container: &str) {
        self.path.enter(name, container);
    }

    fn exit_module(&mut self, _name: &str, _container: &str) {
        self.path.exit();
    }
}

struct Shapes {
    path: ModulePath,
    found: BTreeMap<String, Vec<usize>>,
}

impl<B: Backend> ModuleVisitor<B> for Shapes {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<B, D>>) {
        self.found
            .insert(self.path.name(), param.lazy_shape().as_slice().to_vec());
    }

    fn enter_module(&mut self, name: &str, container: &str) {
        self.path.enter(name, container);
    }

    fn exit_module(&mut self, _name: &str, _container: &str) {
        self.path.exit();
    }
}

struct Loader<F, B> {
    path: ModulePath,
    find: F,
    backend: PhantomData<B>,
}

impl<F: FnMut(&str) -> Option<TensorData>, B: Backend> ModuleMapper<B> for Loader<F, B> {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<B, D>>) -> Param<Tensor<B, D>> {
        // `check` has seen that every name is there, with its shape.
        let Some(data) = (self.find)(&self.path.name()) else {
            return param;
        };
        let id = param.id;
        let tensor = Tensor::from_data(data.convert::<f32>(), &param.lazy_device());
        param.transform_for_load(tensor, id)
    }

    fn enter_module(&mut self, name: &str, container: &str) {
        self.path.enter(name, container);
    }

    fn exit_module(&mut self, _name: &str, _container: &str) {
        self.path.exit();
    }
}

#[cfg(test)]
mod tests {
    use burn::module::{AutodiffModule, ParamId};
    use burn::tensor::backend::AutodiffBackend;

    use super::*;
    use crate::init::{InitRng, buffer};

    #[derive(Module, Debug)]
    struct Leaf<B: Backend> {
        weight: Param<Tensor<B, 2>>,
    }

    #[derive(Module, Debug)]
    enum Choice<B: Backend> {
        Leaf(Leaf<B>),
    }

    #[derive(Module, Debug)]
    struct Net<B: Backend> {
        list: Vec<Leaf<B>>,
        pair: (Leaf<B>, Option<Leaf<B>>),
        choice: Choice<B>,
        running_mean: Param<Tensor<B, 1>>,
        size: usize,
    }

    fn net<B: Backend>(seed: u64) -> Net<B> {
        let device = Default::default();
        let mut rng = InitRng::new(seed, "net");
        let mut leaf = || Leaf {
            weight: rng.normal([2, 3], 1.0, &device),
        };
        Net {
            list: vec![leaf(), leaf()],
            pair: (leaf(), Some(leaf())),
            choice: Choice::Leaf(leaf()),
            running_mean: buffer(Tensor::ones([4], &device)),
            size: 3,
        }
    }

    fn names_are_paths<B: AutodiffBackend>() {
        let names: Vec<_> = state_dict::<B, _>(&net::<B>(0)).into_keys().collect();
        assert_eq!(
            names,
            [
                "choice.weight",
                "list.0.weight",
                "list.1.weight",
                "pair.0.weight",
                "pair.1.weight",
                "running_mean",
            ]
        );
    }

    fn loading_keeps_ids_and_gradient_flags<B: AutodiffBackend>() {
        let target = net::<B>(1);
        let id: ParamId = target.pair.0.weight.id;
        let wanted = state_dict::<B, _>(&net::<B>(2));
        let loaded = load_state_dict(target, &wanted, "test").unwrap();
        assert_eq!(state_dict::<B, _>(&loaded), wanted);
        let owned = load_owned_state_dict(net::<B>(4), wanted.clone(), "test").unwrap();
        assert_eq!(state_dict::<B, _>(&owned), wanted);
        assert_eq!(loaded.pair.0.weight.id, id);
        assert!(loaded.pair.0.weight.is_require_grad());
        assert!(!loaded.running_mean.is_require_grad());
        assert_eq!(loaded.size, 3);

        let inner = load_state_dict(net::<B>(3).valid(), &wanted, "test").unwrap();
        assert_eq!(state_dict::<B::InnerBackend, _>(&inner), wanted);

        let frozen = load_state_dict(net::<B>(1).no_grad(), &wanted, "test").unwrap();
        assert!(!frozen.list[0].weight.is_require_grad());
    }

    fn loading_is_strict<B: AutodiffBackend>() {
        let mut dict = state_dict::<B, _>(&net::<B>(0));
        dict.remove("list.1.weight");
        dict.insert("extra".into(), TensorData::new(vec![1f32], [1]));
        dict.insert("running_mean".into(), TensorData::new(vec![1f32; 5], [5]));
        let error = load_state_dict(net::<B>(0), &dict, "file.safetensors").unwrap_err();
        assert_eq!(
            error.to_string(),
            "file.safetensors does not fit the network\n  1 missing: list.1.weight\n  \
             1 unknown: extra\n  1 misshapen: running_mean (expected [4], found [5])"
        );
    }

    backend_tests!(
        names_are_paths,
        loading_keeps_ids_and_gradient_flags,
        loading_is_strict
    );
}
