use burn::module::{AutodiffModule, Module};
use burn::tensor::TensorData;
use burn::tensor::backend::{AutodiffBackend, Backend};
use dp_sims_datasets::{Batch, Size};
use dp_sims_model::weights::{StateDict, from_safetensors_bytes, load_state_dict};

use super::CLASSES;
use crate::config::Experiment;
use crate::runtime::batch::DeviceBatch;
use crate::runtime::noise::{Draws, Purpose};
use crate::train::{Networks, Training};

/// Inputs and results of the reference.
pub(super) struct Reference {
    initial: StateDict,
    expected: StateDict,
}

impl Reference {
    pub(super) fn new() -> Self {
        let read = |bytes: &[u8], name| from_safetensors_bytes(bytes, name).unwrap();
        let initial = include_bytes!("../../../tests/fixtures/twin/initial.safetensors");
        let expected = include_bytes!("../../../tests/fixtures/twin/expected.safetensors");
        Self {
            initial: read(initial, "initial.safetensors"),
            expected: read(expected, "expected.safetensors"),
        }
    }

    /// Initial state of a network.
    pub(super) fn initial(&self, network: &str) -> StateDict {
        part(&self.initial, &format!("{network}."))
    }

    /// Results whose name begins with `what`.
    pub(super) fn expected(&self, what: &str) -> StateDict {
        part(&self.expected, &format!("{what}."))
    }

    /// The batch of a step, counted from 1.
    pub(super) fn batch<B: Backend>(&self, step: u64, size: Size) -> DeviceBatch<B> {
        let order = row(&self.initial["order"], step);
        let pick = |name: &str| -> Vec<u8> {
            let bank = &self.initial[name];
            let one = |index: &f32| row(bank, *index as u64 + 1);
            order
                .iter()
                .flat_map(one)
                .map(|value| value as u8)
                .collect()
        };
        let batch = Batch {
            images: pick("images"),
            labels: pick("labels"),
            size,
            len: order.len(),
            names: Vec::new(),
            first_position: 0,
            offsets: None,
            unreadable: Vec::new(),
        };
        DeviceBatch::new(&batch, CLASSES, &Default::default())
    }

    /// The program at the start of the run.
    pub(super) fn training<B: AutodiffBackend>(&self) -> (Training<B>, Experiment) {
        let text = include_str!("../../../tests/fixtures/twin/experiment.toml");
        let experiment: Experiment = toml::from_str(text).unwrap();
        experiment.validate().unwrap();
        let device = Default::default();
        let no_folder = std::path::Path::new("");
        let mut networks = Networks::<B>::new(&experiment, CLASSES, no_folder, &device).unwrap();
        networks.generator = self.load(networks.generator, "generator");
        networks.ema = networks.generator.valid();
        networks.discriminator = self.load(networks.discriminator, "discriminator");
        networks.contrastive = networks
            .contrastive
            .map(|(projector, network)| (self.load(projector, "projector"), network));
        let training = Training::new(networks, &experiment, &device).unwrap();
        let draws = StoredDraws(self.initial.clone());
        (training.with_draws(Box::new(draws)), experiment)
    }

    fn load<B: Backend, M: Module<B>>(&self, module: M, name: &str) -> M {
        load_state_dict(module, &self.initial(name), "initial.safetensors").unwrap()
    }
}

/// The random numbers that the reference used.
#[derive(Debug)]
struct StoredDraws(StateDict);

impl Draws for StoredDraws {
    fn coins(&self, _: u64, _: usize) -> Vec<bool> {
        unreachable!("no LabelMix in this test")
    }

    fn normals(&self, counter: u64, purpose: Purpose, count: usize) -> Vec<f32> {
        let name = match purpose {
            Purpose::Generator => "latents.generator",
            Purpose::Discriminator => "latents.discriminator",
            other => unreachable!("a training step draws no {other:?}"),
        };
        let values = row(&self.0[name], counter);
        assert_eq!(values.len(), count, "{name}");
        values
    }

    fn positions(&self, counter: u64, positions: usize, count: usize) -> Vec<i32> {
        let values = row(&self.0[&format!("positions.{positions}")], counter);
        assert_eq!(
            values.len(),
            count.min(positions),
            "positions of {positions}"
        );
        values.into_iter().map(|value| value as i32).collect()
    }
}

/// The entries whose name begins with `prefix`, without it.
fn part(state: &StateDict, prefix: &str) -> StateDict {
    let strip = |(name, data): (&String, &TensorData)| {
        Some((name.strip_prefix(prefix)?.to_string(), data.clone()))
    };
    state.iter().filter_map(strip).collect()
}

/// Slice `number`, counted from 1, of the first axis.
pub(super) fn row(data: &TensorData, number: u64) -> Vec<f32> {
    let length = data.num_elements() / data.shape[0];
    let first = (number as usize - 1) * length;
    data.iter::<f32>().skip(first).take(length).collect()
}
