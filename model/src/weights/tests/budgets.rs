//! Files that cost more than their size, and honest ones that look like them.

use super::*;

/// Instructions that push a tensor of storage `0`: shape, stride.
fn tensor(shape: u8, stride: u8) -> Vec<u8> {
    let mut code = b"ctorch._utils\n_rebuild_tensor_v2\n((X\x07\0\0\0storage".to_vec();
    code.extend(b"ctorch\nFloatStorage\nX\x01\0\0\x000X\x03\0\0\0cpuK\x02tQK\0K");
    code.extend([shape]);
    code.extend(b"\x85K");
    code.extend([stride]);
    code.extend(b"\x85\x89ccollections\nOrderedDict\n)RtR");
    code
}

fn text(text: &str) -> Vec<u8> {
    let mut code = b"X".to_vec();
    code.extend((text.len() as u32).to_le_bytes());
    code.extend(text.as_bytes());
    code
}

/// A checkpoint of a dictionary with these keys and instructions for their values.
fn checkpoint(entries: &[(&str, Vec<u8>)], storage: &[u8]) -> Vec<u8> {
    let mut pickle = b"\x80\x02}".to_vec();
    for (key, value) in entries {
        pickle.extend(text(key));
        pickle.extend(value);
        pickle.extend(b"s");
    }
    pickle.extend(b".");
    zip_checkpoint(&[("data.pkl", &pickle), ("data/0", storage)])
}

fn refused(bytes: &[u8], reason: &str) {
    let error = read_bytes(bytes).unwrap_err();
    assert!(matches!(error, WeightsError::Format { .. }), "{error}");
    assert!(error.to_string().contains(reason), "{error}");
}

#[test]
fn a_weight_that_repeats_one_number_is_read() {
    let bytes = checkpoint(&[("w", tensor(32, 0))], &1.5f32.to_le_bytes());
    let dict = read_bytes(&bytes).unwrap();
    assert_eq!(values(&dict, "w"), (vec![32], vec![1.5; 32]));
}

#[test]
fn tensors_may_share_a_storage_but_not_without_end() {
    // The same tensor under many names costs a few bytes a name.
    let shared = |count: usize| {
        let mut code = b"\x80\x02}".to_vec();
        code.extend(text("first"));
        code.extend(tensor(255, 1));
        code.extend(b"q\x01s");
        for index in 0..count {
            code.extend(text(&index.to_string()));
            code.extend(b"h\x01s");
        }
        code.extend(b".");
        zip_checkpoint(&[("data.pkl", &code), ("data/0", &[0; 255 * 4])])
    };
    assert_eq!(read_bytes(&shared(3000)).unwrap().len(), 3001);
    refused(&shared(20_000), "more numbers than its size allows");
}

#[test]
fn calls_in_calls_end() {
    for (depth, is_read) in [(2, true), (100_000, false)] {
        let rebuild = b"ctorch._tensor\n_rebuild_from_type_v2\n";
        let mut code = b"\x80\x02}".to_vec();
        code.extend(text("w"));
        code.extend(rebuild);
        for _ in 0..depth {
            code.extend(b"(");
            code.extend(rebuild);
            code.extend(b"N");
        }
        code.extend(b"(ctorch._utils\n_rebuild_parameter\nN");
        code.extend(tensor(1, 1));
        code.extend(b"\x85Nt");
        for _ in 0..depth {
            code.extend(b"Nt");
        }
        code.extend(b"Rs.");
        let bytes = zip_checkpoint(&[("data.pkl", &code), ("data/0", &[0; 4])]);
        if is_read {
            assert_eq!(values(&read_bytes(&bytes).unwrap(), "w").0, [1]);
        } else {
            refused(&bytes, "too deep");
        }
    }
}

#[test]
fn names_are_short() {
    let long = "x".repeat(100_000);
    let bytes = checkpoint(&[(&long, tensor(1, 1))], &[0; 4]);
    refused(&bytes, "the name of a tensor");
    let mut class = text("torch");
    class.extend(text(&long));
    class.extend(b"\x93");
    refused(&checkpoint(&[("w", class)], &[0; 4]), "the name of a class");
}

#[test]
fn a_lone_tensor_does_not_hide_the_weights() {
    let mut inner = b"}".to_vec();
    inner.extend(text("w"));
    inner.extend(tensor(2, 1));
    inner.extend(b"s");
    let entries = [("best_acc1", tensor(1, 1)), ("state_dict", inner)];
    let dict = read_bytes(&checkpoint(&entries, &[0; 8])).unwrap();
    assert_eq!(dict.keys().collect::<Vec<_>>(), ["w"]);
}

#[test]
fn settings_that_name_types_and_attributes_are_no_attack() {
    for name in ["long", "unicode", "getattr", "type"] {
        let mut value = format!("c__builtin__\n{name}\n").into_bytes();
        value.extend(b")R");
        let entries = [("w", tensor(1, 1)), ("settings", value)];
        assert!(read_bytes(&checkpoint(&entries, &[0; 4])).is_ok(), "{name}");
    }
    for name in ["eval", "exec", "__import__", "open", "compile"] {
        let value = format!("cbuiltins\n{name}\n").into_bytes();
        let entries = [("w", tensor(1, 1)), ("settings", value)];
        refused(&checkpoint(&entries, &[0; 4]), "runs code");
    }
}

#[test]
fn integers_of_an_impossible_shape_are_refused_where_they_are_only_listed() {
    let mut code = b"ctorch._utils\n_rebuild_tensor_v2\n((X\x07\0\0\0storage".to_vec();
    code.extend(b"ctorch\nLongStorage\nX\x01\0\0\x000X\x03\0\0\0cpuK\x02tQK\0(");
    for _ in 0..3 {
        code.extend(b"J\xff\xff\xff\x7f");
    }
    code.extend(b"t(K\0K\0K\0t\x89ccollections\nOrderedDict\n)RtR");
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), checkpoint(&[("w", code)], &[0; 8])).unwrap();
    let error = list_weights(file.path()).unwrap_err().to_string();
    assert!(error.contains("tensor `w` is damaged"), "{error}");
}

#[test]
fn a_header_whose_tensors_end_beyond_every_file_is_refused() {
    // No tensor may have more bytes than bits can be counted, but nine behind one another may.
    let (most, step) = (usize::MAX, usize::MAX / 9);
    let tensors = (0..9).map(|index| {
        let (start, end) = (
            index * step,
            if index == 8 { most } else { (index + 1) * step },
        );
        let size = end - start;
        format!(
            "\"{index}\":{{\"dtype\":\"U8\",\"shape\":[{size}],\"data_offsets\":[{start},{end}]}}"
        )
    });
    let header = format!("{{{}}}", tensors.collect::<Vec<_>>().join(","));
    let bytes = [&(header.len() as u64).to_le_bytes(), header.as_bytes()].concat();
    let error = SafetensorsLayout::read(&mut &bytes[..], bytes.len() as u64, "header");
    let error = error.unwrap_err().to_string();
    assert!(
        error.contains(&format!("take {most} bytes of 0")),
        "{error}"
    );
}
