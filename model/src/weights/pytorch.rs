//! PyTorch checkpoints: the zip of 1.6 and later and the sequence of pickles of earlier versions.
//!
//! Read here rather than with burn-store, whose reader fills what a truncated file lacks with
//! zeros and ignores strides: both would give wrong weights without an error.

use std::collections::HashMap;
use std::io::{Cursor, Read};

use burn::tensor::TensorData;
use zip::{CompressionMethod, ZipArchive};

use super::pickle::{Id, Node, Pickle, read_pickle};
use super::stored::{TensorRef, element};
use super::{StateDict, StoredTensor, WeightsError};

/// First pickle of a checkpoint before PyTorch 1.6: the number 0x1950a86a20f9469cfc6c.
const LEGACY_MAGIC: &[u8] = b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.";
/// Most axes of a tensor; PyTorch has none with more.
const MOST_AXES: usize = 64;
/// Longest name of a tensor, in bytes.
const LONGEST_NAME: usize = 1024;
/// Elements that a file may have beyond one for each of its bytes: those of small weights that repeat one
/// number.
const REPEATED: usize = 1 << 20;
/// How deep a checkpoint may nest its weights; the bound ends a search through a cycle.
const MAX_DEPTH: usize = 4;
/// Keys under which checkpoints nest their weights, the preferred one first.
pub(super) const NESTED: [&str; 5] = [
    "state_dict",
    "model",
    "model_state_dict",
    "params_ema",
    "params",
];

/// Whether the bytes begin like a zip archive.
pub(super) fn is_zip(bytes: &[u8]) -> bool {
    bytes.starts_with(b"PK\x03\x04")
}

/// Whether the bytes begin like a checkpoint before PyTorch 1.6.
pub(super) fn is_legacy(bytes: &[u8]) -> bool {
    bytes.starts_with(LEGACY_MAGIC)
}

/// A zip checkpoint whose description has been read.
struct ZipCheckpoint<'a> {
    archive: ZipArchive<Cursor<&'a [u8]>>,
    /// Folder in the zip, with a slash at the end unless empty.
    folder: String,
    tensors: Vec<(String, TensorRef)>,
    /// Bytes of the file.
    length: usize,
}

impl<'a> ZipCheckpoint<'a> {
    fn open(bytes: &'a [u8]) -> Result<Self, String> {
        let mut archive = ZipArchive::new(Cursor::new(bytes))
            .map_err(|error| format!("{error}; the zip is truncated or damaged"))?;
        let index = archive
            .file_names()
            .find(|name| *name == "data.pkl" || name.ends_with("/data.pkl"))
            .map(str::to_string)
            .ok_or("a zip without data.pkl, so no PyTorch checkpoint")?;
        let folder = index.trim_end_matches("data.pkl").to_string();
        let order = entry(&mut archive, &format!("{folder}byteorder"));
        if order.is_ok_and(|order| order.starts_with(b"big")) {
            return Err("it was saved on a big-endian machine; save it again on another".into());
        }
        let (pickle, _) = read_pickle(&entry(&mut archive, &index)?)?;
        Ok(Self {
            tensors: find_tensors(&pickle)?,
            archive,
            folder,
            length: bytes.len(),
        })
    }

    fn read(mut self) -> Result<StateDict, String> {
        let mut storages = HashMap::new();
        let mut left = self.length;
        for (_, tensor) in self.tensors.iter().filter(|(_, tensor)| tensor.is_float()) {
            if !storages.contains_key(&tensor.key) {
                let name = format!("{}data/{}", self.folder, tensor.key);
                let data = entry(&mut self.archive, &name)?;
                // Nothing is compressed, so that entries which do not overlap fit into the file.
                left = left
                    .checked_sub(data.len())
                    .ok_or("the entries of the zip overlap, it is damaged")?;
                storages.insert(tensor.key.clone(), data);
            }
        }
        let find = |key: &str| storages.get(key).map(Vec::as_slice);
        assemble(self.tensors, self.length, find)
    }
}

/// The content of a file in a zip. Nothing is reserved for the length that the zip claims, and
/// nothing is unpacked: PyTorch stores, and a small file could unpack to any length.
fn entry(archive: &mut ZipArchive<Cursor<&[u8]>>, name: &str) -> Result<Vec<u8>, String> {
    let mut file = archive
        .by_name(name)
        .map_err(|error| format!("{name}: {error}"))?;
    if file.compression() != CompressionMethod::Stored {
        return Err(format!("{name} is compressed, which PyTorch never does"));
    }
    let mut data = Vec::new();
    file.read_to_end(&mut data)
        .map_err(|error| format!("{name}: {error}"))?;
    Ok(data)
}

/// Float tensors of a zip checkpoint.
pub(super) fn read_zip(bytes: &[u8], origin: &str) -> Result<StateDict, WeightsError> {
    ZipCheckpoint::open(bytes)
        .and_then(ZipCheckpoint::read)
        .map_err(|reason| WeightsError::format(origin, reason))
}

/// Every tensor of a zip checkpoint as it is stored.
pub(super) fn list_zip(bytes: &[u8], origin: &str) -> Result<Vec<StoredTensor>, WeightsError> {
    let checkpoint =
        ZipCheckpoint::open(bytes).map_err(|reason| WeightsError::format(origin, reason))?;
    Ok(stored(checkpoint.tensors))
}

/// Float tensors of a checkpoint before PyTorch 1.6.
pub(super) fn read_legacy(bytes: &[u8], origin: &str) -> Result<StateDict, WeightsError> {
    legacy(bytes)
        .and_then(|(tensors, storages)| {
            assemble(tensors, bytes.len(), |key| storages.get(key).copied())
        })
        .map_err(|reason| WeightsError::format(origin, reason))
}

/// Every tensor of a checkpoint before PyTorch 1.6 as it is stored.
pub(super) fn list_legacy(bytes: &[u8], origin: &str) -> Result<Vec<StoredTensor>, WeightsError> {
    let (tensors, _) = legacy(bytes).map_err(|reason| WeightsError::format(origin, reason))?;
    Ok(stored(tensors))
}

/// Tensors and storages of a checkpoint before PyTorch 1.6.
#[allow(clippy::type_complexity, reason = "read and taken apart in one place")]
fn legacy(bytes: &[u8]) -> Result<(Vec<(String, TensorRef)>, HashMap<String, &[u8]>), String> {
    let mut at = LEGACY_MAGIC.len();
    let next = |from: &mut usize| -> Result<Pickle, String> {
        let (pickle, length) = read_pickle(&bytes[*from..])?;
        *from += length;
        Ok(pickle)
    };
    next(&mut at)?; // protocol version
    let system = next(&mut at)?;
    let little = system.get(system.root(), "little_endian");
    if little.is_some_and(|id| *system.node(id) == Node::Bool(false)) {
        return Err("it was saved on a big-endian machine; save it again on another".into());
    }
    let pickle = next(&mut at)?;
    let keys = next(&mut at)?;
    let widths = storage_widths(&pickle)?;

    // Behind the pickles lies each storage in the order of `keys`: its length, then its elements.
    let mut storages = HashMap::new();
    for &key in keys.items(keys.root()).unwrap_or_default() {
        let key = keys.text(key).ok_or("the key of a storage is no text")?;
        let width = *widths
            .get(key)
            .ok_or_else(|| format!("storage {key} has an unknown element type"))?;
        let data = storage(bytes, &mut at, width).ok_or_else(|| {
            format!("it ends within storage {key}; it is truncated, fetch it again")
        })?;
        storages.insert(key.to_string(), data);
    }
    Ok((find_tensors(&pickle)?, storages))
}

/// The storage at position `at`, which moves behind it.
fn storage<'a>(bytes: &'a [u8], at: &mut usize, width: usize) -> Option<&'a [u8]> {
    let header = bytes.get(*at..at.checked_add(8)?)?;
    let elements = u64::from_le_bytes(header.try_into().ok()?);
    let length = usize::try_from(elements).ok()?.checked_mul(width)?;
    let start = *at + 8;
    let data = bytes.get(start..start.checked_add(length)?)?;
    *at = start + length;
    Some(data)
}

/// Class, key and offset of the storage behind a persistent identifier
/// `("storage", class, key, device, elements, view)`.
fn storage_of(pickle: &Pickle, id: Id) -> Option<(&str, &str, usize)> {
    let Node::Persistent(identifier) = pickle.node(id) else {
        return None;
    };
    let items = pickle.items(*identifier)?;
    // A whole module's classes are persistent as well, under `module`.
    if pickle.text(*items.first()?) != Some("storage") {
        return None;
    }
    let Node::Global(class) = pickle.node(*items.get(1)?) else {
        return None;
    };
    let key = pickle.text(*items.get(2)?)?;
    // Before PyTorch 0.4 a storage could be a view of another one: (key, offset, size).
    let view = items.get(5).and_then(|&view| pickle.items(view));
    let offset = view
        .and_then(|view| pickle.size(*view.get(1)?))
        .unwrap_or(0);
    Some((class, key, offset))
}

/// Bytes of an element of every storage the pickle mentions.
fn storage_widths(pickle: &Pickle) -> Result<HashMap<String, usize>, String> {
    let mut widths = HashMap::new();
    for id in 0..pickle.len() {
        if let Some((class, key, _)) = storage_of(pickle, id) {
            let element = element(class).ok_or_else(|| format!("unknown storage type {class}"))?;
            widths.insert(key.to_string(), element.width);
        }
    }
    Ok(widths)
}

/// The entries of the first dictionary that holds tensors: the outermost one or one nested under
/// a well-known key.
fn state_entries(pickle: &Pickle) -> Result<&[(Id, Id)], String> {
    let mut dict = pickle.root();
    for _ in 0..MAX_DEPTH {
        let Node::Dict(entries) = pickle.node(dict) else {
            break;
        };
        // A lone tensor beside the weights, such as the best accuracy, is none of them.
        let inner = NESTED.iter().find_map(|key| pickle.get(dict, key));
        if let Some(inner) = inner.filter(|id| matches!(pickle.node(*id), Node::Dict(_))) {
            dict = inner;
            continue;
        }
        if entries
            .iter()
            .any(|(_, value)| matches!(pickle.node(*value), Node::Tensor { .. }))
        {
            return Ok(entries);
        }
        let Some(inner) = inner else {
            let keys: Vec<_> = entries
                .iter()
                .filter_map(|(key, _)| pickle.text(*key))
                .take(8)
                .collect();
            return Err(format!(
                "no tensors at the top or under {NESTED:?}, but the keys {keys:?}"
            ));
        };
        dict = inner;
    }
    Err("it holds no dictionary of tensors; save `model.state_dict()` instead".into())
}

/// The tensors of the state dictionary by name.
fn find_tensors(pickle: &Pickle) -> Result<Vec<(String, TensorRef)>, String> {
    let entries = state_entries(pickle)?;
    let mut tensors = Vec::new();
    for (key, value) in entries {
        let Node::Tensor {
            storage,
            offset,
            shape,
            strides,
        } = *pickle.node(*value)
        else {
            continue;
        };
        let name = pickle
            .text(*key)
            .filter(|name| name.len() <= LONGEST_NAME)
            .ok_or_else(|| {
                format!("the name of a tensor is no text of at most {LONGEST_NAME} bytes")
            })?;
        let damaged = || format!("the description of tensor `{name}` is damaged");
        let (class, storage_key, start) = storage_of(pickle, storage).ok_or_else(damaged)?;
        let element = element(class)
            .ok_or_else(|| format!("tensor `{name}` has the unknown storage type {class}"))?;
        let sizes = |id| -> Option<Vec<usize>> {
            let items = pickle.items(id).filter(|items| items.len() <= MOST_AXES)?;
            items.iter().map(|&item| pickle.size(item)).collect()
        };
        let offset = pickle
            .size(offset)
            .and_then(|offset| offset.checked_add(start));
        let tensor = TensorRef {
            key: storage_key.to_string(),
            element,
            offset: offset.ok_or_else(damaged)?,
            shape: sizes(shape).ok_or_else(damaged)?,
            strides: sizes(strides).ok_or_else(damaged)?,
        };
        // Also of integers, which are listed and never read.
        tensor.count().ok_or_else(damaged)?;
        tensors.push((name.to_string(), tensor));
    }
    Ok(tensors)
}

/// Tensors as the checkpoint describes them.
fn stored(tensors: Vec<(String, TensorRef)>) -> Vec<StoredTensor> {
    tensors
        .into_iter()
        .map(|(name, tensor)| StoredTensor {
            name,
            shape: tensor.shape,
            element: tensor.element.name.to_string(),
        })
        .collect()
}

/// Copies the float tensors out of their storages. `length` is that of the file in bytes: tensors may
/// share storages, but not without end.
fn assemble<'a>(
    tensors: Vec<(String, TensorRef)>,
    length: usize,
    storage: impl Fn(&str) -> Option<&'a [u8]>,
) -> Result<StateDict, String> {
    let mut dict = StateDict::new();
    let mut left = length.saturating_add(REPEATED);
    for (name, tensor) in tensors {
        let Some(dtype) = tensor.element.float else {
            continue;
        };
        left = tensor
            .count()
            .and_then(|count| left.checked_sub(count))
            .ok_or_else(|| {
                format!(
                    "with tensor `{name}` it holds more numbers than its size allows; it is damaged"
                )
            })?;
        let data = storage(&tensor.key)
            .ok_or_else(|| format!("storage {} of tensor `{name}` is missing", tensor.key))?;
        let values = tensor.gather(data, dtype).ok_or_else(|| {
            format!("tensor `{name}` reaches beyond its storage; the file is truncated or damaged")
        })?;
        dict.insert(name, TensorData::new(values, tensor.shape));
    }
    Ok(dict)
}
