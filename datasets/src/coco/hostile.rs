//! Annotation files that nobody would write: each is read or refused by name, and nothing panics.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

fn categories(id_offset: i32) -> Categories {
    Categories {
        id_offset,
        class_of_id: std::array::from_fn(|id| (id < 3).then_some(id as u8)),
    }
}

/// Reads a JSON text both ways and paints what can be painted.
fn read(text: &str, id_offset: i32) -> Result<(), TestCaseError> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file.json");
    std::fs::write(&path, text).unwrap();
    let categories = categories(id_offset);
    match read_instances(&path, &categories) {
        Ok(images) => {
            for image in images.into_values() {
                let pixels = image.size().height.checked_mul(image.size().width);
                // Only label maps of the same size are painted, and these are of modest size.
                if let Some(pixels) = pixels.filter(|&pixels| pixels < 10_000) {
                    prop_assert_eq!(image.paint(&vec![1; pixels]).len(), pixels);
                }
            }
        }
        Err(error) => prop_assert!(error.to_string().contains("file.json: "), "{}", error),
    }
    match read_panoptic(&path, &categories) {
        Ok(images) => {
            let map = folder.path().join("map.png");
            image::RgbImage::from_fn(4, 2, |x, y| image::Rgb([x as u8, y as u8, 0]))
                .save(&map)
                .unwrap();
            for image in images.into_values() {
                if let Err(error) = image.read(&map, &path) {
                    prop_assert!(error.to_string().contains("map.png"), "{}", error);
                }
            }
        }
        Err(error) => prop_assert!(error.to_string().contains("file.json: "), "{}", error),
    }
    Ok(())
}

/// Numbers around the places where something could overflow, and other values.
fn value() -> impl Strategy<Value = Value> {
    let number = prop::sample::select(vec![
        json!(0),
        json!(1),
        json!(-1),
        json!(3),
        json!(65_536),
        json!(1_000_000_000_u64),
        json!(u64::from(u32::MAX)),
        json!(i64::MAX),
        json!(i64::MIN),
        json!(u64::MAX),
        json!(1e300),
    ]);
    let other = prop::sample::select(vec![
        json!(null),
        json!("611"),
        json!("~"),
        json!("PPPPPPPPPPPP0"),
        json!([]),
        json!([[]]),
        json!([[1e38, -1e38, 1e38, 1e38, 0, 0]]),
        json!({}),
        json!({"counts": [4_294_967_295_u32, 4_294_967_295_u32], "size": [2, 4]}),
        json!({"counts": [0, 8], "size": [2, 4]}),
        json!({"counts": "08", "size": [2, 4]}),
    ]);
    prop_oneof![number, other]
}

/// A file with every key that is read, as instances and as panoptic segments.
fn file() -> Value {
    json!({
        "images": [{"id": 7, "file_name": "a.jpg", "height": 2, "width": 4}],
        "annotations": [
            {"id": 1, "image_id": 7, "category_id": 1, "iscrowd": 0, "file_name": "a.png",
             "segmentation": [[0, 0, 2, 0, 2, 2, 0, 2]],
             "segments_info": [{"id": 1, "category_id": 1, "iscrowd": 0}]},
            {"id": 2, "image_id": 7, "category_id": 2, "iscrowd": 0, "file_name": "b.png",
             "segmentation": {"size": [2, 4], "counts": [1, 3, 4]},
             "segments_info": [{"id": 257, "category_id": 1, "iscrowd": 0}]},
        ],
        "categories": [{"id": 1, "isthing": 1}, {"id": 2, "isthing": 0}],
    })
}

/// Paths to every value of a file.
fn paths(value: &Value, above: &str, found: &mut Vec<String>) {
    found.push(above.to_string());
    match value {
        Value::Array(values) => {
            for (index, value) in values.iter().enumerate() {
                paths(value, &format!("{above}/{index}"), found);
            }
        }
        Value::Object(values) => {
            for (key, value) in values {
                paths(value, &format!("{above}/{key}"), found);
            }
        }
        _ => {}
    }
}

#[test]
fn deep_nesting_is_refused() {
    for text in ["[".repeat(100_000), "{\"images\":".repeat(100_000)] {
        read(&text, 0).unwrap();
        let path = format!("{{\"images\": [], \"annotations\": {text}");
        read(&path, 0).unwrap();
    }
}

proptest! {
    #[test]
    fn random_texts(text in "[-0-9a-z\\[\\]{}\":,. ]{0,60}") {
        read(&text, 0)?;
    }

    /// Up to two values, wherever they are, are replaced by others.
    #[test]
    fn mutated_values(
        edits in prop::collection::vec((any::<prop::sample::Index>(), value()), 1..3),
        id_offset in prop_oneof![Just(0), Just(-1), Just(i32::MIN), Just(i32::MAX)],
    ) {
        let mut json = file();
        for (place, value) in edits {
            let mut all = Vec::new();
            paths(&json, "", &mut all);
            if let Some(found) = json.pointer_mut(&all[place.index(all.len())]) {
                *found = value;
            }
        }
        read(&json.to_string(), id_offset)?;
    }
}
