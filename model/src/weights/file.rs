use std::collections::HashMap;
use std::fmt::Display;
use std::fs;
use std::io::Read;
use std::path::Path;

use burn::tensor::{Bytes, DType, TensorData};
use rayon::prelude::*;
use safetensors::tensor::{Dtype, Metadata, SafeTensors, TensorView};

use super::{StateDict, WeightsError, first_not_finite, pytorch};

/// Reads a weight file and returns its float tensors in f32.
///
/// The format is told by the content, not by the ending of the name: safetensors, a PyTorch zip
/// (1.6 and later) or a PyTorch pickle (before 1.6). f16, bf16 and f64 become f32; integer tensors
/// such as `num_batches_tracked` are left out. A dictionary nested under `state_dict`, `model` or
/// another single key of that kind is found.
///
/// # Errors
///
/// [`WeightsError::Read`] when the file cannot be read, [`WeightsError::Format`] when it is empty,
/// truncated, damaged or of another kind, [`WeightsError::NotFinite`] when a tensor holds NaN or
/// an infinity.
pub fn read_weights(path: &Path) -> Result<StateDict, WeightsError> {
    let origin = path.display().to_string();
    let dict = match open(path)? {
        Container::Safetensors(bytes) => return from_safetensors_bytes(&bytes, &origin),
        Container::Zip(bytes) => pytorch::read_zip(&bytes, &origin)?,
        Container::Pickle(bytes) => pytorch::read_legacy(&bytes, &origin)?,
    };
    finite(dict, &origin)
}

/// The bytes of a weight file by format.
pub(super) enum Container {
    Safetensors(Vec<u8>),
    Zip(Vec<u8>),
    Pickle(Vec<u8>),
}

/// Reads a file and tells its format by the content.
pub(super) fn open(path: &Path) -> Result<Container, WeightsError> {
    let wrong = |reason| Err(WeightsError::format(&path.display().to_string(), reason));
    if path.is_dir() {
        return wrong("it is a folder; name a file in it");
    }
    let unreadable = |source| WeightsError::read(path, source);
    // A device never ends, and a pipe nobody writes to never begins.
    if !fs::metadata(path).map_err(unreadable)?.is_file() {
        return wrong("it is no ordinary file");
    }
    let bytes = fs::read(path).map_err(unreadable)?;
    let first = bytes.iter().find(|byte| !byte.is_ascii_whitespace());
    if pytorch::is_zip(&bytes) {
        Ok(Container::Zip(bytes))
    } else if pytorch::is_legacy(&bytes) {
        Ok(Container::Pickle(bytes))
    } else if bytes.get(8) == Some(&b'{') {
        Ok(Container::Safetensors(bytes))
    } else if bytes.is_empty() {
        wrong("it is empty; fetch it again")
    } else if first == Some(&b'<') {
        wrong(
            "it is a web page; the address has moved or asks for a login, open it in a browser \
             and fetch the file itself",
        )
    } else if bytes.starts_with(b"version https://git-lfs") {
        wrong("it is a Git LFS pointer, not the file that it points to; run `git lfs pull`")
    } else {
        wrong("it is neither safetensors nor a PyTorch checkpoint (.pth); fetch it again")
    }
}

/// Parses the header of safetensors and checks it against the length of the file.
pub(super) fn safetensors<'a>(
    bytes: &'a [u8],
    origin: &str,
) -> Result<SafeTensors<'a>, WeightsError> {
    SafeTensors::deserialize(bytes).map_err(|error| damaged(&error, origin))
}

/// Reads safetensors from memory, for example weights that are part of the program.
///
/// # Errors
///
/// As [`read_weights`]; `origin` names the source in messages.
pub fn from_safetensors_bytes(bytes: &[u8], origin: &str) -> Result<StateDict, WeightsError> {
    let tensors = safetensors(bytes, origin)?;
    let read = |(name, view): (&str, TensorView)| {
        let data = float(view.dtype(), view.shape(), || view.data().to_vec())?;
        Some((name.to_string(), data))
    };
    finite(tensors.iter().filter_map(read).collect(), origin)
}

/// The text under a key of the header's metadata; none where there is no such key.
///
/// # Errors
///
/// [`WeightsError::Format`] when the bytes are no safetensors.
pub fn safetensors_text(
    bytes: &[u8],
    key: &str,
    origin: &str,
) -> Result<Option<String>, WeightsError> {
    let (_, metadata) =
        SafeTensors::read_metadata(bytes).map_err(|error| damaged(&error, origin))?;
    let entries = metadata.metadata().as_ref();
    Ok(entries.and_then(|entries| entries.get(key)).cloned())
}

/// [`from_safetensors_bytes`] for files of which every tensor must be used.
///
/// # Errors
///
/// Those of [`from_safetensors_bytes`], and [`WeightsError::ElementType`] for a tensor that is neither
/// f32, f16, bf16 nor f64, which is left out elsewhere.
pub fn from_float_safetensors(bytes: &[u8], origin: &str) -> Result<StateDict, WeightsError> {
    let tensors = safetensors(bytes, origin)?;
    let dict = from_safetensors_bytes(bytes, origin)?;
    match tensors.iter().find(|(name, _)| !dict.contains_key(*name)) {
        Some((name, view)) => Err(WeightsError::ElementType {
            tensor: format!("{origin}: {name}"),
            dtype: view.dtype().to_string(),
        }),
        None => Ok(dict),
    }
}

/// Where the tensors of safetensors lie: for those who read large files in parts.
#[derive(Debug)]
pub struct SafetensorsLayout {
    metadata: Metadata,
    /// In the order of the file.
    names: Vec<String>,
    /// Bytes before the tensors.
    header: u64,
    origin: String,
}

impl SafetensorsLayout {
    /// Reads the header of safetensors of `length` bytes.
    ///
    /// # Errors
    ///
    /// Those of [`from_safetensors_bytes`], as far as they show in the header.
    pub fn read(reader: &mut dyn Read, length: u64, origin: &str) -> Result<Self, WeightsError> {
        let mut take = |count: u64| {
            let mut bytes = Vec::new();
            // More than the file has is not asked for, whatever is written in it.
            let count = count.min(length);
            match reader.take(count).read_to_end(&mut bytes) {
                Ok(found) if found as u64 == count => Ok(bytes),
                Ok(_) => Err(damaged(&"it ends early", origin)),
                Err(error) => Err(damaged(&error, origin)),
            }
        };
        let start: [u8; 8] = take(8)?
            .try_into()
            .map_err(|_| damaged(&"it ends early", origin))?;
        let header = take(u64::from_le_bytes(start))?;
        let metadata: Metadata =
            serde_json::from_slice(&header).map_err(|error| damaged(&error, origin))?;
        let header = 8 + header.len() as u64;
        let expected = header.checked_add(metadata.data_len() as u64);
        if expected != Some(length) {
            let (tensors, rest) = (metadata.data_len(), length.saturating_sub(header));
            let what = format!("its tensors take {tensors} bytes of {rest}");
            return Err(damaged(&what, origin));
        }
        Ok(Self {
            names: metadata.offset_keys(),
            metadata,
            header,
            origin: origin.to_string(),
        })
    }

    /// Where the parts of the file end: the header, then every tensor. Each begins where the one before
    /// it ends.
    pub fn ends(&self) -> Vec<u64> {
        let infos = self
            .names
            .iter()
            .filter_map(|name| self.metadata.info(name));
        let ends = infos.map(|info| self.header + info.data_offsets.1 as u64);
        std::iter::once(self.header).chain(ends).collect()
    }

    /// The float tensors in f32, given the bytes of all parts.
    ///
    /// # Errors
    ///
    /// Those of [`from_safetensors_bytes`].
    pub fn tensors(self, parts: Vec<Vec<u8>>) -> Result<StateDict, WeightsError> {
        let mut dict = StateDict::new();
        let mut parts = parts.into_iter().skip(1);
        for name in self.names {
            let Some(info) = self.metadata.info(&name) else {
                continue;
            };
            let (first, end) = info.data_offsets;
            let bytes = parts.next().filter(|bytes| bytes.len() == end - first);
            let bytes = bytes.ok_or_else(|| damaged(&"it ends early", &self.origin))?;
            if let Some(data) = float(info.dtype, &info.shape, || bytes) {
                dict.insert(name, data);
            }
        }
        finite(dict, &self.origin)
    }
}

/// The error of safetensors that do not fit together.
fn damaged(what: &dyn Display, origin: &str) -> WeightsError {
    let reason = format!("safetensors, but {what}; it is truncated or damaged, fetch it again");
    WeightsError::format(origin, reason)
}

/// A float tensor as f32; none of another type.
fn float(dtype: Dtype, shape: &[usize], bytes: impl FnOnce() -> Vec<u8>) -> Option<TensorData> {
    let dtype = match dtype {
        Dtype::F32 => DType::F32,
        Dtype::F16 => DType::F16,
        Dtype::BF16 => DType::BF16,
        Dtype::F64 => DType::F64,
        _ => return None,
    };
    let bytes = bytes();
    let is_ready = dtype == DType::F32 && bytes.as_ptr().cast::<f32>().is_aligned();
    if !is_ready {
        return Some(TensorData::from_bytes_vec(bytes, shape.to_vec(), dtype).convert::<f32>());
    }
    Some(TensorData {
        // `from_bytes_vec` copies whatever is not known to lie at multiples of 64.
        bytes: Bytes::from_elems(bytes),
        shape: shape.into(),
        dtype,
    })
}

/// Writes safetensors, see [`to_safetensors_bytes`].
///
/// # Errors
///
/// [`WeightsError::Write`] when the file cannot be written, and those of
/// [`to_safetensors_bytes`].
pub fn write_safetensors(path: &Path, dict: &StateDict) -> Result<(), WeightsError> {
    let bytes = to_safetensors_bytes(dict)?;
    fs::write(path, bytes).map_err(|source| WeightsError::write(path, source))
}

/// The tensors as safetensors; equal dictionaries give equal bytes.
///
/// # Errors
///
/// [`WeightsError::ElementType`] for a tensor that is neither f32, f16, bf16 nor f64.
pub fn to_safetensors_bytes(dict: &StateDict) -> Result<Vec<u8>, WeightsError> {
    to_safetensors_with_text(dict, "format", "pt")
}

/// [`to_safetensors_bytes`] with a text under a key of the header's metadata, where
/// [`safetensors_text`] finds it.
///
/// # Errors
///
/// Those of [`to_safetensors_bytes`].
pub fn to_safetensors_with_text(
    dict: &StateDict,
    key: &str,
    text: &str,
) -> Result<Vec<u8>, WeightsError> {
    let mut views = Vec::with_capacity(dict.len());
    for (name, data) in dict {
        let dtype = match data.dtype {
            DType::F32 => Dtype::F32,
            DType::F16 => Dtype::F16,
            DType::BF16 => Dtype::BF16,
            DType::F64 => Dtype::F64,
            other => {
                return Err(WeightsError::ElementType {
                    tensor: name.clone(),
                    dtype: format!("{other:?}"),
                });
            }
        };
        let view = TensorView::new(dtype, data.shape.as_slice().to_vec(), data.as_bytes())
            .map_err(|error| WeightsError::format(name, error.to_string()))?;
        views.push((name, view));
    }
    // One entry only: the order of several would change from run to run.
    let metadata = HashMap::from([(key.to_string(), text.to_string())]);
    safetensors::serialize(views, Some(metadata))
        .map_err(|error| WeightsError::format("the state dictionary", error.to_string()))
}

/// Refuses values that no training can have meant.
fn finite(dict: StateDict, origin: &str) -> Result<StateDict, WeightsError> {
    // One by one: a thread that takes many large ones would be waited for.
    let tensors: Vec<_> = dict.iter().collect();
    let tensors = tensors.into_par_iter().with_max_len(1);
    let wrong = tensors.find_map_first(|(name, data)| {
        let (index, _) = first_not_finite(data)?;
        Some(WeightsError::NotFinite {
            origin: origin.to_string(),
            tensor: name.clone(),
            index,
        })
    });
    match wrong {
        Some(error) => Err(error),
        None => Ok(dict),
    }
}
