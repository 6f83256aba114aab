use std::collections::HashMap;
use std::fs;
use std::path::Path;

use burn::tensor::{DType, TensorData};
use safetensors::tensor::{Dtype, SafeTensors, TensorView};

use super::{StateDict, WeightsError, pytorch};

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
    let bytes = fs::read(path).map_err(|source| WeightsError::read(path, source))?;
    let origin = path.display().to_string();
    let dict = if pytorch::is_zip(&bytes) {
        pytorch::read_zip(&bytes, &origin)?
    } else if pytorch::is_legacy(&bytes) {
        pytorch::read_legacy(&bytes, &origin)?
    } else if bytes.get(8) == Some(&b'{') {
        return from_safetensors_bytes(&bytes, &origin);
    } else {
        let reason = if bytes.is_empty() {
            "it is empty; fetch it again"
        } else {
            "it is neither safetensors nor a PyTorch checkpoint (.pth); check that the download \
             is the file and not a web page"
        };
        return Err(WeightsError::format(&origin, reason));
    };
    finite(dict, &origin)
}

/// Reads safetensors from memory, for example weights that are part of the program.
///
/// # Errors
///
/// As [`read_weights`]; `origin` names the source in messages.
pub fn from_safetensors_bytes(bytes: &[u8], origin: &str) -> Result<StateDict, WeightsError> {
    let tensors = SafeTensors::deserialize(bytes).map_err(|error| {
        WeightsError::format(
            origin,
            format!("safetensors, but {error}; it is truncated or damaged, fetch it again"),
        )
    })?;
    let mut dict = StateDict::new();
    for (name, view) in tensors.iter() {
        let dtype = match view.dtype() {
            Dtype::F32 => DType::F32,
            Dtype::F16 => DType::F16,
            Dtype::BF16 => DType::BF16,
            Dtype::F64 => DType::F64,
            _ => continue,
        };
        let data = TensorData::from_bytes_vec(view.data().to_vec(), view.shape().to_vec(), dtype);
        dict.insert(name.to_string(), data.convert::<f32>());
    }
    finite(dict, origin)
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
    let metadata = HashMap::from([("format".to_string(), "pt".to_string())]);
    safetensors::serialize(views, Some(metadata))
        .map_err(|error| WeightsError::format("the state dictionary", error.to_string()))
}

/// Refuses values that no training can have meant.
fn finite(dict: StateDict, origin: &str) -> Result<StateDict, WeightsError> {
    for (name, data) in &dict {
        if let Some(index) = data.iter::<f32>().position(|value| !value.is_finite()) {
            return Err(WeightsError::NotFinite {
                origin: origin.to_string(),
                tensor: name.clone(),
                index,
            });
        }
    }
    Ok(dict)
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    fn fixture(name: &str) -> PathBuf {
        PathBuf::from(env!("CARGO_MANIFEST_DIR"))
            .join("../tests/fixtures/backbones")
            .join(name)
    }

    fn read_bytes(bytes: &[u8]) -> Result<StateDict, WeightsError> {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), bytes).unwrap();
        read_weights(file.path())
    }

    fn values(dict: &StateDict, name: &str) -> (Vec<usize>, Vec<f32>) {
        let data = &dict[name];
        (
            data.shape.as_slice().to_vec(),
            data.to_vec::<f32>().unwrap(),
        )
    }

    fn check_formats(name: &str) {
        let dict = read_weights(&fixture(name)).unwrap();
        let base = |indices: &[usize]| indices.iter().map(|&i| i as f32 / 8.0).collect::<Vec<_>>();
        assert_eq!(
            values(&dict, "f32"),
            (vec![2, 3], base(&[0, 1, 2, 3, 4, 5]))
        );
        for half in ["f16", "bf16", "f64"] {
            assert_eq!(
                values(&dict, half),
                (vec![4], base(&[0, 1, 2, 3])),
                "{half}"
            );
        }
        let view: Vec<usize> = (6..18).collect();
        assert_eq!(values(&dict, "view"), (vec![2, 6], base(&view)));
        let transposed: Vec<usize> = (0..24).map(|i| (i % 4) * 6 + i / 4).collect();
        assert_eq!(values(&dict, "transposed"), (vec![6, 4], base(&transposed)));
        let all: Vec<usize> = (0..24).collect();
        assert_eq!(
            values(&dict, "channels_last"),
            (vec![1, 2, 3, 4], base(&all))
        );
        assert_eq!(values(&dict, "parameter"), (vec![2], base(&[0, 1])));
        assert_eq!(values(&dict, "scalar"), (vec![], vec![2.5]));
        assert_eq!(dict.len(), 9, "integers are left out");
    }

    #[test]
    fn zip_and_legacy_checkpoints_with_views_strides_and_element_types() {
        check_formats("formats_zip.pth");
        check_formats("formats_legacy.pth");
    }

    #[test]
    fn safetensors_round_trip_is_exact_and_deterministic() {
        let dict = read_weights(&fixture("formats_zip.pth")).unwrap();
        let bytes = to_safetensors_bytes(&dict).unwrap();
        assert_eq!(bytes, to_safetensors_bytes(&dict).unwrap());
        assert_eq!(from_safetensors_bytes(&bytes, "memory").unwrap(), dict);
        let file = tempfile::NamedTempFile::new().unwrap();
        write_safetensors(file.path(), &dict).unwrap();
        assert_eq!(read_weights(file.path()).unwrap(), dict);
    }

    #[test]
    fn every_truncation_is_an_error_and_no_panic() {
        let dict = read_weights(&fixture("formats_zip.pth")).unwrap();
        let safetensors = to_safetensors_bytes(&dict).unwrap();
        let zip = fs::read(fixture("formats_zip.pth")).unwrap();
        let legacy = fs::read(fixture("formats_legacy.pth")).unwrap();
        for whole in [safetensors, zip, legacy] {
            for length in 0..whole.len() {
                let error = read_bytes(&whole[..length]).expect_err("a truncated file was read");
                assert!(
                    matches!(error, WeightsError::Format { .. }),
                    "{length}: {error}"
                );
            }
        }
    }

    #[test]
    fn damaged_bytes_never_panic() {
        for name in ["formats_zip.pth", "formats_legacy.pth"] {
            let whole = fs::read(fixture(name)).unwrap();
            for at in 0..whole.len() {
                let mut damaged = whole.clone();
                damaged[at] ^= 0xff;
                // Some bytes are free (names, padding): only a panic would be wrong.
                let _ = read_bytes(&damaged);
            }
        }
    }

    #[test]
    fn messages_name_file_and_tensor() {
        let error = read_weights(&fixture("not_finite.pth")).unwrap_err();
        assert!(
            matches!(&error, WeightsError::NotFinite { tensor, index: 1, .. } if tensor == "bad")
        );
        assert!(error.to_string().contains("not_finite.pth"));
        let error = read_bytes(b"").unwrap_err().to_string();
        assert!(error.contains("it is empty"), "{error}");
        let error = read_bytes(b"<!DOCTYPE html><html></html>")
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("neither safetensors nor a PyTorch checkpoint"),
            "{error}"
        );
        let error = read_weights(Path::new("no/such/file.pth")).unwrap_err();
        assert!(matches!(error, WeightsError::Read { .. }));
        let ints = StateDict::from([("n".to_string(), TensorData::new(vec![1i64], [1]))]);
        assert!(matches!(
            to_safetensors_bytes(&ints),
            Err(WeightsError::ElementType { .. })
        ));
    }
}
