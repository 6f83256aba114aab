//! Annotation files in the format of COCO, in an exported dataset of one tiny scene.

use std::path::PathBuf;
use std::sync::LazyLock;

use dp_sims_datasets::description::{Instances, PanopticFiles, SplitFiles};
use dp_sims_datasets::{DescribedFolder, Description, LabelledImages, Sample, Size, Split};
use dp_sims_scenes::export::{ExportConfig, Layout, export};
use serde_json::{Value, json};

use crate::scratch;

const SIZE: Size = Size {
    height: 24,
    width: 32,
};
const INSTANCES: &str = "annotations/instances_train2017.json";
const PANOPTIC: &str = "annotations/panoptic_train2017.json";
/// First scenes that are tried for one with instances.
const SEEDS: std::ops::Range<u64> = 0..64;

/// An exported dataset.
struct Exported {
    root: PathBuf,
    folder: DescribedFolder,
    /// Name of the photo, without ending.
    name: String,
    /// Its annotation files as they were written.
    instances: Value,
    panoptic: Value,
}

static EXPORTED: LazyLock<Exported> = LazyLock::new(|| {
    let names = [
        "sky-other",
        "mountain",
        "building-other",
        "road",
        "pavement",
        "grass",
        "tree",
        "water-other",
        "fence",
        "structural-other",
        "stop sign",
        "car",
        "person",
    ];
    let mut text = "name = \"fuzz\"\nvoid = [0]\n".to_string();
    for (index, name) in names.iter().enumerate() {
        let thing = index > 9;
        text += &format!(
            "[[class]]\nname = \"{name}\"\ncolour = [0, 9, {index}]\nids = [{}]\nthing = {thing}\n",
            index + 1
        );
    }
    for (split, part) in [("train", "train"), ("validation", "val")] {
        text += &format!(
            "[{split}.folders]\nimages = \"{part}2017\"\nlabels = \"maps/{part}2017\"\n\
             instances = {{ coco = {{ file = \"annotations/instances_{part}2017.json\", id_offset = -1 }} }}\n"
        );
    }
    let description = Description::parse(&text, "dataset.toml".as_ref()).unwrap();
    for seed in SEEDS {
        let config = ExportConfig {
            layout: Layout::CocoStuff,
            train: 1,
            validation: 1,
            size: SIZE,
            seed,
        };
        let root = scratch().join(format!("scene-{seed}"));
        export(&config, &description, &root, &|_, _| ()).unwrap();
        let read = |name: &str| -> Value {
            serde_json::from_slice(&std::fs::read(root.join(name)).unwrap()).unwrap()
        };
        let instances = read(INSTANCES);
        if instances["annotations"].as_array().unwrap().len() < 2 {
            std::fs::remove_dir_all(&root).unwrap();
            continue;
        }
        let folder = DescribedFolder::open(&description, &root, Split::Train).unwrap();
        return Exported {
            name: folder.pairs()[0].name.clone(),
            instances,
            panoptic: read(PANOPTIC),
            folder,
            root,
        };
    }
    panic!("no scene with instances");
});

/// Reads the sample with the instances that are there now; none where they are refused.
fn read(folder: &DescribedFolder) -> Option<Sample> {
    let folder = folder.clone().with_instances().ok()?;
    let sample = folder.decode(0, SIZE).ok()?.resize(SIZE).unwrap();
    let instances = sample.instances.as_ref().unwrap();
    assert_eq!(instances.len(), SIZE.pixels());
    for (&instance, &label) in instances.iter().zip(&sample.labels) {
        assert!(instance == 0 || folder.classes().classes[usize::from(label)].thing);
    }
    Some(sample)
}

/// An annotation file without what no reader looks at.
fn short(file: &Value, keys: &[&str]) -> Value {
    let kept = keys.iter().map(|&key| (key.to_string(), file[key].clone()));
    Value::Object(kept.collect())
}

/// Instances as run lengths, polygons and boxes.
pub mod coco {
    use super::*;

    pub fn seeds() -> Vec<Vec<u8>> {
        let file = short(&EXPORTED.instances, &["images", "annotations"]);
        let with = |key: &str, value: Value| {
            let mut file = file.clone();
            for annotation in file["annotations"].as_array_mut().unwrap() {
                annotation[key] = value.clone();
            }
            file.to_string().into_bytes()
        };
        vec![
            file.to_string().into_bytes(),
            with(
                "segmentation",
                json!([[3.5, 2, 20, 4.25, 1e1, 22], [1, 1, 2, 2, 3, 1]]),
            ),
            with(
                "segmentation",
                json!({"counts": [100, 5, 663], "size": [24, 32]}),
            ),
            with("segmentation", Value::Null),
            with("iscrowd", json!(1)),
        ]
    }

    pub fn run(data: &[u8]) -> bool {
        std::fs::write(EXPORTED.root.join(INSTANCES), data).unwrap();
        read(&EXPORTED.folder).is_some()
    }
}

/// The compressed text of the run lengths of one instance.
pub mod rle {
    use super::*;

    pub fn seeds() -> Vec<Vec<u8>> {
        let annotations = EXPORTED.instances["annotations"].as_array().unwrap();
        let counts = annotations
            .iter()
            .map(|annotation| annotation["segmentation"]["counts"].as_str().unwrap());
        let found = counts.map(|text| text.as_bytes().to_vec());
        found
            .chain(
                [b"PPPh0".to_vec(), b"0Ph0".to_vec()]
                    .into_iter()
                    .filter(|text| run(text)),
            )
            .collect()
    }

    pub fn run(data: &[u8]) -> bool {
        let counts: String = data
            .iter()
            .map(|byte| char::from(48 + (byte.wrapping_sub(48) & 63)))
            .collect();
        let mut file = short(&EXPORTED.instances, &["images"]);
        let mut annotation = EXPORTED.instances["annotations"][0].clone();
        annotation["segmentation"]["counts"] = counts.into();
        file["annotations"] = json!([annotation]);
        std::fs::write(EXPORTED.root.join(INSTANCES), file.to_string()).unwrap();
        read(&EXPORTED.folder).is_some()
    }
}

/// A panoptic JSON file with the PNG of its segments behind it.
pub mod panoptic {
    use super::*;

    const PNG: &[u8] = b"\x89PNG";

    static FOLDER: LazyLock<DescribedFolder> = LazyLock::new(|| {
        let mut description = EXPORTED.folder.description().clone();
        if let Some(SplitFiles::Folders(folders)) = &mut description.train {
            folders.instances = Some(Instances::Panoptic(PanopticFiles {
                folder: "annotations/panoptic_train2017".into(),
                suffix: ".png".to_string(),
                file: PANOPTIC.into(),
                id_offset: -1,
            }));
        }
        DescribedFolder::open(&description, &EXPORTED.root, Split::Train).unwrap()
    });

    fn png() -> PathBuf {
        let name = format!("annotations/panoptic_train2017/{}.png", EXPORTED.name);
        EXPORTED.root.join(name)
    }

    pub fn seeds() -> Vec<Vec<u8>> {
        let file = short(&EXPORTED.panoptic, &["annotations", "categories"]);
        let mut crowds = file.clone();
        let segments = crowds["annotations"][0]["segments_info"].as_array_mut();
        for segment in segments.unwrap() {
            segment["iscrowd"] = true.into();
        }
        let png = std::fs::read(png()).unwrap();
        [file, crowds]
            .map(|file| [file.to_string().as_bytes(), &png].concat())
            .to_vec()
    }

    pub fn run(data: &[u8]) -> bool {
        let folder = &*FOLDER;
        let mut places = data.windows(PNG.len());
        let split = places.position(|bytes| bytes == PNG).unwrap_or(data.len());
        std::fs::write(EXPORTED.root.join(PANOPTIC), &data[..split]).unwrap();
        std::fs::write(png(), &data[split..]).unwrap();
        read(folder).is_some()
    }
}
