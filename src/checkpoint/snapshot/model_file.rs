//! A generator in one file.

use std::borrow::Cow;
use std::path::Path;

use anyhow::{Context, Result};
use burn::tensor::backend::Backend;
use burn::tensor::{DType, TensorData};
use dp_sims_datasets::Description;
use dp_sims_model::generator::Generator;
use dp_sims_model::weights::{
    StateDict, from_float_safetensors, load_owned_state_dict, safetensors_text,
    to_safetensors_with_text,
};

use super::record::{Record, parse};

/// Most bytes of a model file.
const MOST_BYTES: u64 = 8 << 30;

/// Key of the header's metadata that the record is under.
const KEY: &str = "dp-sims";

/// Least and largest magnitude that the largest element of a tensor may have for half precision:
/// between them no element is off by more than 2^-11 of the largest.
const HALF: [f32; 2] = [6.103_515_6e-5, 65504.0];

/// A generator in one file of safetensors, in memory.
#[derive(Clone, Debug)]
pub struct ModelFile {
    bytes: Cow<'static, [u8]>,
    origin: String,
    record: Record,
    description: Description,
}

impl ModelFile {
    /// Reads a model file.
    ///
    /// # Errors
    /// When it cannot be read or is none; names file and key.
    pub fn read(path: &Path) -> Result<Self> {
        let shown = path.display().to_string();
        let bytes = crate::runtime::files::read(path, MOST_BYTES)
            .with_context(|| format!("cannot read {shown}"))?;
        Self::parse(Cow::Owned(bytes), &shown)
    }

    /// Takes a model file that is in memory; `origin` names it in messages. Its header is checked, its
    /// tensors are when they are loaded.
    ///
    /// # Errors
    /// When it is none; names the key.
    pub fn parse(bytes: Cow<'static, [u8]>, origin: &str) -> Result<Self> {
        let text = safetensors_text(&bytes, KEY, origin)?;
        let (record, description) = parse(text, bytes.len(), origin)?;
        Ok(Self {
            bytes,
            origin: origin.to_string(),
            record,
            description,
        })
    }

    /// A file of these tensors.
    ///
    /// # Errors
    /// When the record would not be read back.
    pub fn write(dict: &StateDict, record: &Record) -> Result<Vec<u8>> {
        let text = serde_json::to_string(record)?;
        let bytes = to_safetensors_with_text(dict, KEY, &text)?;
        Record::parse(&text, bytes.len()).context("the model cannot be described")?;
        Ok(bytes)
    }

    /// What it says of itself.
    pub fn record(&self) -> &Record {
        &self.record
    }

    /// Classes and their ids in label maps.
    pub fn description(&self) -> &Description {
        &self.description
    }

    /// Name of the file in messages.
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// All of it.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Its generator.
    ///
    /// # Errors
    /// When a tensor is missing, unknown, misshapen, not of floats or not finite; names it.
    pub fn generator<B: Backend>(&self, device: &B::Device) -> Result<Generator<B>> {
        let classes = self.description.class_table().len();
        let generator = self.record.generator.init_unset(classes, device)?;
        let dict = from_float_safetensors(&self.bytes, &self.origin)?;
        Ok(load_owned_state_dict(generator, dict, &self.origin)?.for_inference())
    }
}

/// Converts what loses little by it to half precision: tensors of two and more dimensions whose
/// elements lie in its range. Vectors (biases, running statistics, gates) are few numbers that many
/// others are scaled by, and stay in single precision.
pub(super) fn halve(dict: &mut StateDict) {
    for data in dict.values_mut() {
        let largest = data.iter::<f32>().fold(0.0, |a: f32, b| a.max(b.abs()));
        let [least, most] = HALF;
        let is_matrix = data.shape.as_slice().len() > 1;
        if is_matrix && (largest == 0.0 || (least..=most).contains(&largest)) {
            let taken = std::mem::replace(data, TensorData::new(vec![0f32], [1]));
            *data = taken.convert_dtype(DType::F16);
        }
    }
}
