use anyhow::{Context, Result, ensure};
use burn::module::{AutodiffModule, ModuleVisitor, Param};
use burn::optim::adaptor::OptimizerAdaptor;
use burn::optim::record::AdaptorRecord;
use burn::optim::{AdamState, AdaptiveMomentumState, Optimizer};
use burn::tensor::backend::AutodiffBackend;
use burn::tensor::{Tensor, TensorData};
use dp_sims_backends::fused::FusedAdam;
use dp_sims_model::weights::{ModulePath, StateDict};

use crate::config::OptimizerConfig;

/// Adam over the parameters of one module.
pub type ModuleOptimizer<B, M> = OptimizerAdaptor<FusedAdam, M, B>;

type Records<B, M> = <ModuleOptimizer<B, M> as Optimizer<M, B>>::Record;

/// A fresh Adam.
pub fn adam<B: AutodiffBackend, M: AutodiffModule<B>>(
    config: &OptimizerConfig,
) -> ModuleOptimizer<B, M> {
    FusedAdam::new(config.beta_1, config.beta_2, config.epsilon).into()
}

/// State of an optimizer under the names of the module's parameters: `NAME.moment_1`,
/// `NAME.moment_2` and `NAME.time`, the number of updates, of shape `[1]`.
pub fn optimizer_state<B: AutodiffBackend, M: AutodiffModule<B>>(
    optimizer: &ModuleOptimizer<B, M>,
    module: &M,
) -> StateDict {
    let mut reader = Reader::<B, M> {
        records: optimizer.to_record(),
        path: ModulePath::default(),
        state: StateDict::new(),
    };
    module.visit(&mut reader);
    reader.state
}

/// Puts a saved state back into an optimizer of the same module.
///
/// # Errors
/// When a tensor is missing, unused or has another shape; the error names it.
pub fn load_optimizer_state<B: AutodiffBackend, M: AutodiffModule<B>>(
    optimizer: ModuleOptimizer<B, M>,
    module: &M,
    state: StateDict,
    file: &str,
) -> Result<ModuleOptimizer<B, M>> {
    let mut writer = Writer::<B, M> {
        records: Records::<B, M>::default(),
        path: ModulePath::default(),
        state,
        file: file.to_string(),
        error: None,
    };
    module.visit(&mut writer);
    if let Some(error) = writer.error {
        return Err(error);
    }
    if let Some(name) = writer.state.keys().next() {
        anyhow::bail!("{file}: tensor `{name}` belongs to no parameter of the network");
    }
    Ok(optimizer.load_record(writer.records))
}

struct Reader<B: AutodiffBackend, M: AutodiffModule<B>> {
    records: Records<B, M>,
    path: ModulePath,
    state: StateDict,
}

impl<B: AutodiffBackend, M: AutodiffModule<B>> ModuleVisitor<B> for Reader<B, M> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<B, D>>) {
        let Some(record) = self.records.remove(&param.id) else {
            return;
        };
        let momentum = record.into_state::<D>().momentum;
        let name = self.path.name();
        self.state
            .insert(format!("{name}.moment_1"), momentum.moment_1.into_data());
        self.state
            .insert(format!("{name}.moment_2"), momentum.moment_2.into_data());
        // Exact in f32 up to 16.7 million updates.
        let time = TensorData::new(vec![momentum.time as f32], [1]);
        self.state.insert(format!("{name}.time"), time);
    }

    fn enter_module(&mut self, name: &str, container: &str) {
        self.path.enter(name, container);
    }

    fn exit_module(&mut self, _: &str, _: &str) {
        self.path.exit();
    }
}

struct Writer<B: AutodiffBackend, M: AutodiffModule<B>> {
    records: Records<B, M>,
    path: ModulePath,
    state: StateDict,
    file: String,
    error: Option<anyhow::Error>,
}

impl<B: AutodiffBackend, M: AutodiffModule<B>> Writer<B, M> {
    fn take<const D: usize>(
        &mut self,
        name: &str,
        param: &Param<Tensor<B, D>>,
    ) -> Result<Option<AdaptorRecord<FusedAdam, B>>> {
        let file = &self.file;
        let Some(time) = self.state.remove(&format!("{name}.time")) else {
            return Ok(None);
        };
        let time = time
            .to_vec::<f32>()
            .ok()
            .and_then(|values| values.first().copied());
        let time = time.with_context(|| format!("{file}: tensor `{name}.time` is empty"))?;
        let shape = param.val().dims();
        let device = param.val().device();
        let mut moment = |part: &str| -> Result<Tensor<B::InnerBackend, D>> {
            let key = format!("{name}.{part}");
            let data = self
                .state
                .remove(&key)
                .with_context(|| format!("{file}: tensor `{key}` is missing"))?;
            ensure!(
                data.shape.to_vec() == shape,
                "{file}: tensor `{key}` has shape {:?}, the network needs {shape:?}",
                data.shape
            );
            Ok(Tensor::from_data(data, &device))
        };
        let momentum =
            AdaptiveMomentumState::new(time as usize, moment("moment_1")?, moment("moment_2")?);
        Ok(Some(AdaptorRecord::from_state(AdamState::new(momentum))))
    }
}

impl<B: AutodiffBackend, M: AutodiffModule<B>> ModuleVisitor<B> for Writer<B, M> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<B, D>>) {
        let name = self.path.name();
        match self.take(&name, param) {
            Ok(Some(record)) => {
                self.records.insert(param.id, record);
            }
            Ok(None) => {}
            Err(error) => self.error = self.error.take().or(Some(error)),
        }
    }

    fn enter_module(&mut self, name: &str, container: &str) {
        self.path.enter(name, container);
    }

    fn exit_module(&mut self, _: &str, _: &str) {
        self.path.exit();
    }
}
