//! Weight files.

use std::path::Path;

use burn::tensor::TensorData;
use dp_sims_model::weights::{
    SafetensorsLayout, StateDict, from_float_safetensors, from_safetensors_bytes, list_weights,
    read_weights, safetensors_text, to_safetensors_bytes, to_safetensors_with_text,
};

use crate::file;

/// What readers promise of weights they accept.
fn check(dict: &StateDict) {
    for data in dict.values() {
        let values: Vec<f32> = data.to_vec().unwrap();
        assert_eq!(
            values.len(),
            data.shape.as_slice().iter().product::<usize>()
        );
        assert!(values.iter().all(|value| value.is_finite()));
    }
    let bytes = to_safetensors_bytes(dict).unwrap();
    assert_eq!(&from_safetensors_bytes(&bytes, "written").unwrap(), dict);
}

/// Reads and lists a file, which have to agree.
fn read(path: &Path) -> bool {
    let listing = list_weights(path);
    let Ok(dict) = read_weights(path) else {
        return false;
    };
    let listing = listing.unwrap();
    for (name, data) in &dict {
        let mut listed = listing.tensors.iter().filter(|tensor| tensor.name == *name);
        assert!(
            listed.any(|tensor| tensor.shape == data.shape.as_slice()),
            "{name}"
        );
    }
    check(&dict);
    true
}

/// Safetensors.
pub mod safetensors {
    use super::*;

    pub fn seeds() -> Vec<Vec<u8>> {
        let dict = StateDict::from([
            (
                "a.weight".to_string(),
                TensorData::new(vec![0.5f32, -1.0, 2.0, 3.0], [2, 2]),
            ),
            ("a.bias".to_string(), TensorData::new(vec![1.0f64], [1])),
            (
                "scalar".to_string(),
                TensorData::new(vec![1.5f32], [0usize; 0]),
            ),
            (
                "empty".to_string(),
                TensorData::new(Vec::<f32>::new(), [0, 3]),
            ),
        ]);
        vec![
            to_safetensors_bytes(&dict).unwrap(),
            to_safetensors_with_text(&dict, "dp-sims", "{\"format\": 1}").unwrap(),
            to_safetensors_bytes(&StateDict::new()).unwrap(),
        ]
    }

    pub fn run(data: &[u8]) -> bool {
        let dict = from_safetensors_bytes(data, "input");
        let text = safetensors_text(data, "dp-sims", "input");
        let floats = from_float_safetensors(data, "input");
        // As checkpoints are read, in parts.
        let layout = SafetensorsLayout::read(&mut &data[..], data.len() as u64, "input");
        let in_parts = layout.and_then(|layout| {
            let mut start = 0;
            let mut parts = Vec::new();
            for end in layout.ends() {
                parts.push(data[start..end as usize].to_vec());
                start = end as usize;
            }
            layout.tensors(parts)
        });
        match &dict {
            Ok(dict) => {
                assert_eq!(&in_parts.unwrap(), dict);
                assert!(text.is_ok());
                assert!(floats.is_err() || floats.is_ok_and(|floats| floats == *dict));
                check(dict);
            }
            Err(_) => assert!(floats.is_err() && in_parts.is_err()),
        }
        read(&file("weights.safetensors", data)) || dict.is_ok()
    }
}

/// The opcodes of a pickle as PyTorch writes it.
mod pickle {
    /// A tensor: name, storage class and key, offset, shape and strides.
    pub struct Tensor(
        pub &'static str,
        pub &'static str,
        pub &'static str,
        pub u8,
        pub &'static [u8],
        pub &'static [u8],
    );

    fn text(text: &str) -> Vec<u8> {
        let mut bytes = b"X".to_vec();
        bytes.extend((text.len() as u32).to_le_bytes());
        bytes.extend(text.as_bytes());
        bytes
    }

    fn tuple(numbers: &[u8]) -> Vec<u8> {
        let numbers = numbers.iter().flat_map(|&number| [b'K', number]);
        [vec![b'('], numbers.collect(), vec![b't']].concat()
    }

    /// A dictionary of tensors, inside another one under `nested` unless that is empty.
    pub fn state(nested: &str, tensors: &[Tensor]) -> Vec<u8> {
        let mut bytes = b"\x80\x02".to_vec();
        if !nested.is_empty() {
            bytes.extend([b"}".to_vec(), text(nested)].concat());
        }
        bytes.extend(b"ccollections\nOrderedDict\nq\0)Rq\x01(");
        for Tensor(name, class, key, offset, shape, strides) in tensors {
            bytes.extend(text(name));
            bytes.extend(b"ctorch._utils\n_rebuild_tensor_v2\n((");
            bytes.extend(text("storage"));
            bytes.extend(format!("ctorch\n{class}\n").bytes());
            bytes.extend([text(key), text("cpu"), b"K\x10tQ".to_vec()].concat());
            bytes.extend([vec![b'K', *offset], tuple(shape), tuple(strides)].concat());
            bytes.extend(b"\x89h\0)RtR");
        }
        bytes.push(b'u');
        if !nested.is_empty() {
            bytes.push(b's');
        }
        bytes.push(b'.');
        bytes
    }

    /// A few tensors: in order, transposed, of other element types, sharing a storage.
    pub const TENSORS: [Tensor; 5] = [
        Tensor("a", "FloatStorage", "0", 0, &[2, 3], &[3, 1]),
        Tensor("b", "FloatStorage", "0", 1, &[3, 2], &[1, 3]),
        Tensor("c", "HalfStorage", "1", 2, &[4], &[1]),
        Tensor("d", "FloatStorage", "0", 0, &[], &[]),
        Tensor("e", "LongStorage", "2", 0, &[1], &[1]),
    ];
}

/// The elements of storages: small numbers in every float format, and none that is not finite.
fn storage(length: usize) -> Vec<u8> {
    (0..length).map(|place| (place % 60) as u8).collect()
}

/// A PyTorch checkpoint in a zip: as it is, or made of the pickle that the input is.
pub mod zip {
    use std::io::{Cursor, Write};

    use ::zip::write::{SimpleFileOptions, ZipWriter};

    use super::pickle::{TENSORS, state};
    use super::*;

    fn packed(entries: &[(&str, &[u8])]) -> Vec<u8> {
        let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
        let options =
            SimpleFileOptions::default().compression_method(::zip::CompressionMethod::Stored);
        for (name, data) in entries {
            zip.start_file(*name, options).unwrap();
            zip.write_all(data).unwrap();
        }
        zip.finish().unwrap().into_inner()
    }

    fn checkpoint(pickle: &[u8]) -> Vec<u8> {
        let data = storage(64);
        packed(&[
            ("archive/data.pkl", pickle),
            ("archive/byteorder", b"little"),
            ("archive/data/0", &data),
            ("archive/data/1", &data),
            ("archive/data/2", &data),
        ])
    }

    pub fn seeds() -> Vec<Vec<u8>> {
        let plain = state("", &TENSORS);
        let nested = state("state_dict", &TENSORS);
        vec![
            checkpoint(&plain),
            packed(&[
                ("data.pkl", &state("", &TENSORS[..1])),
                ("data/0", &storage(24)),
            ]),
            plain,
            nested,
        ]
    }

    pub fn run(data: &[u8]) -> bool {
        if data.starts_with(b"PK") {
            read(&file("weights.pth", data))
        } else {
            read(&file("weights.pth", &checkpoint(data)))
        }
    }
}

/// A PyTorch checkpoint of before 1.6: pickles one after the other, then the storages. The number that
/// every such file begins with stands in front of the input.
pub mod legacy {
    use super::pickle::{TENSORS, state};
    use super::*;

    const MAGIC: &[u8] = b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.";

    fn checkpoint(state: &[u8], keys: &[(&str, usize)]) -> Vec<u8> {
        let mut bytes = b"\x80\x02M\xe9\x03.\x80\x02}(X\x0d\0\0\0little_endian\x88u.".to_vec();
        bytes.extend(state);
        bytes.extend(b"\x80\x02](");
        for (key, _) in keys {
            bytes.extend([b"X\x01\0\0\0", key.as_bytes()].concat());
        }
        bytes.extend(b"e.");
        for (_, width) in keys {
            bytes.extend(8u64.to_le_bytes());
            bytes.extend(storage(8 * width));
        }
        bytes
    }

    pub fn seeds() -> Vec<Vec<u8>> {
        vec![
            checkpoint(&state("", &TENSORS), &[("0", 4), ("1", 2), ("2", 8)]),
            checkpoint(&state("model", &TENSORS[..1]), &[("0", 4)]),
        ]
    }

    pub fn run(data: &[u8]) -> bool {
        read(&file("weights.pth", &[MAGIC, data].concat()))
    }
}
