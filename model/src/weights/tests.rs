//! Reading of weight files: formats, element types, and files that are none.

use std::fs;
use std::io::{Cursor, Write};
use std::path::{Path, PathBuf};

use burn::tensor::{DType, TensorData};
use zip::CompressionMethod;
use zip::write::{SimpleFileOptions, ZipWriter};

use super::pytorch::NESTED;
use super::*;

mod budgets;

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
fn parts_of_safetensors_are_read_like_bytes() {
    let dict = read_weights(&fixture("formats_zip.pth")).unwrap();
    let whole = to_safetensors_bytes(&dict).unwrap();
    let read = |bytes: &[u8], length: usize| {
        let mut reader = bytes;
        let layout = SafetensorsLayout::read(&mut reader, length as u64, "parts")?;
        let mut start = 0;
        let part = |end: u64| {
            let end = (end as usize).min(bytes.len());
            let part = bytes[start.min(end)..end].to_vec();
            start = end;
            part
        };
        let parts = layout.ends().into_iter().map(part).collect();
        layout.tensors(parts)
    };
    assert_eq!(read(&whole, whole.len()).unwrap(), dict);
    for length in 0..whole.len() {
        // Of a file that is shorter than it should be, and of one that was cut and listed anew.
        for claimed in [whole.len(), length] {
            let error = read(&whole[..length], claimed).expect_err("a truncated file was read");
            assert!(
                matches!(error, WeightsError::Format { .. }),
                "{length} of {claimed}: {error}"
            );
        }
    }
    for at in 0..whole.len() {
        let mut damaged = whole.clone();
        damaged[at] ^= 0xff;
        // Whatever is wrong with it, both ways of reading agree about.
        let other = from_safetensors_bytes(&damaged, "bytes").ok();
        assert_eq!(read(&damaged, damaged.len()).ok(), other, "{at}");
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
    assert!(matches!(&error, WeightsError::NotFinite { tensor, index: 1, .. } if tensor == "bad"));
    assert!(error.to_string().contains("not_finite.pth"));
    let error = read_bytes(b"").unwrap_err().to_string();
    assert!(error.contains("it is empty"), "{error}");
    let error = read_weights(Path::new("no/such/file.pth")).unwrap_err();
    assert!(matches!(error, WeightsError::Read { .. }));
    let ints = StateDict::from([("n".to_string(), TensorData::new(vec![1i64], [1]))]);
    assert!(matches!(
        to_safetensors_bytes(&ints),
        Err(WeightsError::ElementType { .. })
    ));
}

/// A checkpoint in PyTorch's zip with these files in its folder.
fn zip_checkpoint(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    let options = SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
    for (name, bytes) in files {
        zip.start_file(format!("archive/{name}"), options).unwrap();
        zip.write_all(bytes).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

/// Whichever features of the zip reader other parts of the program ask for.
#[test]
fn compressed_checkpoints_are_refused() {
    let pickle = nested_pickle("model", "FloatStorage", 2);
    let mut patched = zip_checkpoint(&[("data.pkl", &pickle), ("data/0", &[0; 8])]);
    let name = b"archive/data/0";
    let places: Vec<usize> = (0..patched.len() - name.len())
        .filter(|&at| patched[at..].starts_with(name))
        .collect();
    assert_eq!(places.len(), 2);
    // The method lies 22 bytes before the name in the local header and 36 in the directory's.
    for (place, before) in places.into_iter().zip([22, 36]) {
        assert_eq!(patched[place - before..place - before + 2], [0, 0]);
        patched[place - before] = 8;
    }
    let message = read_bytes(&patched).unwrap_err().to_string();
    assert!(message.contains("data/0"), "{message}");
}

/// A pickle of `{key: {"w": tensor}}`, the tensor of two elements in storage 0.
fn nested_pickle(key: &str, class: &str, elements: u8) -> Vec<u8> {
    let mut pickle = b"\x80\x02}X".to_vec();
    pickle.extend((key.len() as u32).to_le_bytes());
    pickle.extend(key.as_bytes());
    pickle.extend(b"}X\x01\0\0\0wctorch._utils\n_rebuild_tensor_v2\n((X\x07\0\0\0storage");
    pickle.extend(format!("ctorch\n{class}\n").as_bytes());
    pickle.extend(b"X\x01\0\0\x000X\x03\0\0\0cpuK\x02tQK\0K");
    pickle.extend([elements]);
    pickle.extend(b"\x85K\x01\x85\x89ccollections\nOrderedDict\n)RtRss.");
    pickle
}

#[test]
fn weights_nested_under_the_usual_keys_are_found() {
    for key in NESTED {
        let pickle = nested_pickle(key, "FloatStorage", 2);
        let data: Vec<u8> = [1.5f32, -2.0]
            .iter()
            .flat_map(|v| v.to_le_bytes())
            .collect();
        let bytes = zip_checkpoint(&[("data.pkl", &pickle), ("data/0", &data)]);
        let dict = read_bytes(&bytes).unwrap();
        assert_eq!(values(&dict, "w"), (vec![2], vec![1.5, -2.0]), "{key}");
    }
    let pickle = nested_pickle("optimizer", "FloatStorage", 2);
    let error = read_bytes(&zip_checkpoint(&[
        ("data.pkl", &pickle),
        ("data/0", &[0; 8]),
    ]));
    let error = error.unwrap_err().to_string();
    assert!(error.contains("the keys [\"optimizer\"]"), "{error}");
}

#[test]
fn half_precision_safetensors_become_f32() {
    for dtype in [DType::F16, DType::BF16] {
        let data = TensorData::new(vec![0.5f32, -3.0, 1024.0], [3]).convert_dtype(dtype);
        let dict = StateDict::from([("w".to_string(), data)]);
        let bytes = to_safetensors_bytes(&dict).unwrap();
        let read = read_bytes(&bytes).unwrap();
        assert_eq!(values(&read, "w"), (vec![3], vec![0.5, -3.0, 1024.0]));
    }
}

#[test]
fn listings_show_what_is_stored() {
    for (name, format) in [
        ("formats_zip.pth", WeightsFormat::PyTorchZip),
        ("formats_legacy.pth", WeightsFormat::PyTorchPickle),
    ] {
        let listing = list_weights(&fixture(name)).unwrap();
        assert_eq!(listing.format, format);
        let found: Vec<_> = listing
            .tensors
            .iter()
            .map(|tensor| (&*tensor.name, &*tensor.element, &*tensor.shape))
            .collect();
        let expected: [(&str, &str, &[usize]); 10] = [
            ("bf16", "bf16", &[4]),
            ("channels_last", "f32", &[1, 2, 3, 4]),
            ("f16", "f16", &[4]),
            ("f32", "f32", &[2, 3]),
            ("f64", "f64", &[4]),
            ("num_batches_tracked", "i64", &[]),
            ("parameter", "f32", &[2]),
            ("scalar", "f32", &[]),
            ("transposed", "f32", &[6, 4]),
            ("view", "f32", &[2, 6]),
        ];
        assert_eq!(found, expected, "{name}");
    }
    let data = TensorData::new(vec![1.0f32], [1]).convert_dtype(DType::BF16);
    let bytes = to_safetensors_bytes(&StateDict::from([("w".to_string(), data)])).unwrap();
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), bytes).unwrap();
    let listing = list_weights(file.path()).unwrap();
    assert_eq!(listing.format, WeightsFormat::Safetensors);
    assert_eq!(
        (&*listing.tensors[0].element, listing.tensors[0].elements()),
        ("bf16", 1)
    );
}

/// What is no weight file is refused with a reason, by both readers.
#[test]
fn other_files_are_refused_with_a_reason() {
    let safetensors = |header: &str, claimed: u64| {
        let mut bytes = claimed.to_le_bytes().to_vec();
        bytes.extend(header.as_bytes());
        bytes
    };
    let huge_shape =
        r#"{"w":{"dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,4]}}"#;
    let beyond = r#"{"w":{"dtype":"F32","shape":[250000000000],"data_offsets":[0,1000000000000]}}"#;
    let call = b"\x80\x02cos\nsystem\nX\x04\x00\x00\x00true\x85R.";
    let tensor = nested_pickle("model", "FloatStorage", 255);
    let bomb = nested_pickle("model", "DoubleStorage", 2);
    let cases: [(Vec<u8>, &str); 12] = [
        (vec![], "it is empty"),
        (b"\n <!DOCTYPE html><html></html>".to_vec(), "web page"),
        (
            b"version https://git-lfs.github.com/spec/v1\n".to_vec(),
            "git lfs pull",
        ),
        (b"just some text".to_vec(), "neither safetensors nor"),
        (safetensors("{}", u64::MAX), "safetensors, but"),
        (safetensors("{}", 1 << 40), "safetensors, but"),
        (
            safetensors(huge_shape, huge_shape.len() as u64),
            "safetensors, but",
        ),
        (
            safetensors(beyond, beyond.len() as u64),
            "truncated or damaged",
        ),
        (zip_checkpoint(&[("data.pkl", call)]), "`os.system`"),
        (zip_checkpoint(&[("readme.txt", b"x")]), "without data.pkl"),
        (
            zip_checkpoint(&[("data.pkl", &tensor), ("data/0", &[0; 8])]),
            "reaches beyond its storage",
        ),
        (zip_checkpoint(&[("data.pkl", &bomb)]), "data/0"),
    ];
    for (bytes, reason) in cases {
        let error = read_bytes(&bytes).unwrap_err();
        assert!(matches!(error, WeightsError::Format { .. }), "{error}");
        assert!(
            error.to_string().contains(reason),
            "{reason} is missing in {error}"
        );
    }
    let folder = tempfile::tempdir().unwrap();
    for error in [
        read_weights(folder.path()).unwrap_err(),
        list_weights(folder.path()).unwrap_err(),
    ] {
        assert!(error.to_string().contains("it is a folder"), "{error}");
    }
}

/// A zip entry that claims more bytes than the file has is an error, not an allocation.
#[test]
fn claimed_lengths_are_not_believed() {
    let pickle = nested_pickle("model", "FloatStorage", 2);
    let whole = zip_checkpoint(&[("data.pkl", &pickle), ("data/0", &[0; 8])]);
    let name = b"archive/data/0";
    let mut patched = whole.clone();
    // Sizes lie 8 bytes before the name's length in the local header and 22 in the directory's.
    let places: Vec<usize> = (0..whole.len() - name.len())
        .filter(|&at| whole[at..].starts_with(name))
        .collect();
    assert_eq!(places.len(), 2);
    for (place, before) in places.into_iter().zip([12, 26]) {
        for size in [place - before, place - before + 4] {
            assert_eq!(patched[size..size + 4], 8u32.to_le_bytes());
            patched[size..size + 4].copy_from_slice(&0xf000_0000u32.to_le_bytes());
        }
    }
    let error = read_bytes(&patched).unwrap_err();
    assert!(matches!(error, WeightsError::Format { .. }), "{error}");
}
