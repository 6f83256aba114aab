//! The descriptions in experiments/datasets over generated files in their layouts, and over the
//! real samples where these exist; `DP_SIMS_SHARED` names the folder that holds them in `data`.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use dp_sims_datasets::{
    ClassSet, DescribedFolder, Description, LabelledImages, Loader, LoaderConfig, Share, Size,
    Split, check_split,
};
use image::{GrayImage, ImageBuffer, Luma, RgbImage};

/// Height and width of generated images.
const SIZE: Size = Size::new(4, 6);

fn description(name: &str) -> Description {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../experiments/datasets");
    Description::read(&folder.join(format!("{name}.toml"))).unwrap()
}

/// A folder of real samples.
fn real(folder: &str) -> PathBuf {
    let shared = std::env::var_os("DP_SIMS_SHARED").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared"),
        PathBuf::from,
    );
    shared.join("data").join(folder)
}

/// Writes a photo of one colour.
fn write_photo(path: &Path) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    RgbImage::from_pixel(6, 4, image::Rgb([90, 120, 150]))
        .save(path)
        .unwrap();
}

/// Writes a label map with `ids` in the columns.
fn write_labels(path: &Path, ids: [u8; 6]) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    GrayImage::from_fn(6, 4, |x, _| Luma([ids[x as usize]]))
        .save(path)
        .unwrap();
}

/// One row of a map of four equal rows.
fn row<T: Copy + PartialEq + std::fmt::Debug>(map: &[T]) -> &[T] {
    assert_eq!(map.len(), SIZE.pixels());
    assert!(map.chunks_exact(6).all(|row| row == &map[..6]), "{map:?}");
    &map[..6]
}

#[test]
fn channels_are_those_of_the_paper() {
    for (name, channels, void) in [
        ("ade20k", 151, 0),
        ("coco-stuff", 183, 255),
        ("coco-stuff-spade", 183, 255),
        ("cityscapes", 35, 0),
    ] {
        let description = description(name);
        let table = description.class_table();
        assert_eq!(table.len(), channels, "{name}");
        let map = description.class_of_id();
        assert_eq!(map[void], Some(0), "{name}");
        // Class indices follow the ids without a gap.
        let first = usize::from(void == 0);
        for index in 1..channels {
            assert_eq!(map[first + index - 1], Some(index as u8), "{name}");
        }
        assert_eq!(map.iter().flatten().count(), channels, "{name}");
        assert!(description.train.is_some() && description.validation.is_some());
    }
    let name = |dataset: &str, index: usize| {
        let class = description(dataset)
            .class_table()
            .classes
            .swap_remove(index);
        (class.name, class.thing)
    };
    let is = |text: &str, thing| (text.to_string(), thing);
    assert_eq!(name("ade20k", 150), is("flag", false));
    assert_eq!(name("coco-stuff", 1), is("person", true));
    assert_eq!(name("coco-stuff", 91), is("hair brush", true));
    assert_eq!(name("coco-stuff", 92), is("banner", false));
    assert_eq!(name("coco-stuff", 182), is("wood", false));
    assert_eq!(name("cityscapes", 7), is("road", false));
    assert_eq!(name("cityscapes", 24), is("person", true));
    assert_eq!(name("cityscapes", 33), is("bicycle", true));
    assert_eq!(
        description("coco-stuff").classes,
        description("coco-stuff-spade").classes
    );
}

#[test]
fn cityscapes_layout_is_read_with_instances() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    for (split, city) in [("train", "ulm"), ("train", "aachen"), ("val", "lindau")] {
        let file = |kind: &str, end: &str| {
            root.join(kind)
                .join(split)
                .join(city)
                .join(format!("{city}_000001_000019_{end}.png"))
        };
        write_photo(&file("leftImg8bit", "leftImg8bit"));
        write_labels(&file("gtFine", "gtFine_labelIds"), [0, 7, 24, 24, 26, 33]);
        write_labels(&file("gtFine", "gtFine_color"), [1; 6]);
        let numbers = [0, 7, 24_000, 24_001, 26, 33_000];
        ImageBuffer::from_fn(6, 4, |x, _| Luma([numbers[x as usize] as u16]))
            .save(file("gtFine", "gtFine_instanceIds"))
            .unwrap();
    }
    let description = description("cityscapes");
    for (split, names) in [
        (Split::Train, &["aachen", "ulm"][..]),
        (Split::Validation, &["lindau"]),
    ] {
        let dataset = DescribedFolder::open(&description, root, split)
            .and_then(DescribedFolder::with_instances)
            .unwrap();
        assert_eq!(dataset.len(), names.len());
        for (index, city) in names.iter().enumerate() {
            let sample = dataset.sample(index, SIZE).unwrap();
            assert_eq!(sample.name, format!("{city}/{city}_000001_000019"));
            assert_eq!(row(&sample.labels), [0, 7, 24, 24, 26, 33]);
            // A group of cars has its plain id and is no instance.
            let instances = sample.instances.unwrap();
            assert_eq!(row(&instances), [0, 0, 24_000, 24_001, 0, 33_000]);
        }
    }
}

#[test]
fn coco_stuff_layouts_are_read_with_instances() {
    let annotations = r#"{
        "images": [{"id": 139, "file_name": "000000000139.jpg", "height": 4, "width": 6}],
        "annotations": [
            {"id": 1, "image_id": 139, "category_id": 1, "iscrowd": 0,
             "segmentation": [[0, 0, 2, 0, 2, 4, 0, 4]]},
            {"id": 2, "image_id": 139, "category_id": 1, "iscrowd": 0,
             "segmentation": {"size": [4, 6], "counts": [8, 4, 12]}},
            {"id": 3, "image_id": 139, "category_id": 1, "iscrowd": 1,
             "segmentation": {"size": [4, 6], "counts": [0, 24]}}
        ],
        "categories": [{"id": 1, "name": "person"}]
    }"#;
    for (name, folders) in [
        (
            "coco-stuff",
            [
                ["images/train2017", "annotations/train2017"],
                ["images/val2017", "annotations/val2017"],
            ],
        ),
        (
            "coco-stuff-spade",
            [["train_img", "train_label"], ["val_img", "val_label"]],
        ),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        std::fs::create_dir_all(root.join("annotations")).unwrap();
        for (year, [images, labels]) in ["train2017", "val2017"].iter().zip(folders) {
            write_photo(&root.join(images).join("000000000139.jpg"));
            let labels = root.join(labels).join("000000000139.png");
            write_labels(&labels, [0, 255, 0, 0, 181, 91]);
            let file = root.join(format!("annotations/instances_{year}.json"));
            std::fs::write(file, annotations).unwrap();
        }
        for split in [Split::Train, Split::Validation] {
            let dataset = DescribedFolder::open(&description(name), root, split)
                .and_then(DescribedFolder::with_instances)
                .unwrap();
            let sample = dataset.sample(0, SIZE).unwrap();
            assert_eq!(sample.name, "000000000139");
            assert_eq!(row(&sample.labels), [1, 0, 1, 1, 182, 92]);
            assert_eq!(row(&sample.instances.unwrap()), [1, 0, 2, 0, 0, 0]);
        }
    }
}

#[test]
fn ade20k_layout_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    for (split, name) in [("training", "ADE_train_1"), ("validation", "ADE_val_1")] {
        write_photo(&root.join(format!("images/{split}/{name}.JPG")));
        let labels = root.join(format!("annotations/{split}/{name}.png"));
        write_labels(&labels, [0, 1, 2, 149, 150, 0]);
    }
    for split in [Split::Train, Split::Validation] {
        let dataset = DescribedFolder::open(&description("ade20k"), root, split).unwrap();
        let sample = dataset.sample(0, SIZE).unwrap();
        assert_eq!(row(&sample.labels), [0, 1, 2, 149, 150, 0]);
        assert_eq!(sample.instances, None);
    }
}

/// Checks both splits of real samples and returns the classes of all their images.
fn check_real(name: &str, root: &Path, counts: [usize; 2]) -> ClassSet {
    let description = description(name);
    let mut seen = ClassSet::default();
    for (split, count) in [Split::Train, Split::Validation].into_iter().zip(counts) {
        let dataset = DescribedFolder::open(&description, root, split).unwrap();
        assert_eq!(dataset.len(), count, "{name} {split}");
        let report = check_split(&dataset, &|_, _| {}).unwrap();
        for (index, present) in report.presence.iter().enumerate() {
            present.iter().for_each(|class| seen.insert(class));
            let sample = dataset.sample(index, Size::square(32)).unwrap();
            assert_eq!(sample.image.len(), 32 * 32 * 3);
            let small = ClassSet::of(&sample.labels);
            assert!(small.iter().all(|class| present.contains(class)));
        }
    }
    println!("{name}: {} classes in all images", seen.len());
    seen
}

#[test]
#[ignore = "needs real photos, see CONTRIBUTING.md"]
fn real_coco_stuff_samples_are_read() {
    let root = real("coco-stuff");
    let seen = check_real("coco-stuff-spade", &root, [13, 5]);
    // The first photo has the ids 0, 16, 64, 72, 166 and 255.
    assert!(
        [0, 1, 17, 65, 73, 167]
            .into_iter()
            .all(|class| seen.contains(class))
    );
    let dataset = DescribedFolder::open(&description("coco-stuff-spade"), &root, Split::Train);
    let dataset = dataset.unwrap();
    let expected: ClassSet = [0, 1, 17, 65, 73, 167].into_iter().collect();
    assert_eq!(dataset.present(0).unwrap(), expected);
    // The annotation files of COCO are not among the samples.
    let message = dataset.with_instances().unwrap_err().to_string();
    assert!(message.contains("instances_train2017.json"), "{message}");
}

#[test]
#[ignore = "needs real photos, see CONTRIBUTING.md"]
fn real_ade20k_samples_are_read() {
    let root = real("ade20k/ADEChallengeData2016");
    let seen = check_real("ade20k", &root, [6, 5]);
    assert!(
        [0, 1, 3, 5, 17, 30, 92]
            .into_iter()
            .all(|class| seen.contains(class))
    );
    // Every name of the description is among those of the dataset, at the same id.
    let text = std::fs::read_to_string(root.join("objectInfo150.txt")).unwrap();
    let table = description("ade20k").class_table();
    let lines: Vec<&str> = text.lines().skip(1).collect();
    assert_eq!(lines.len(), 150);
    let named = |(line, class): (&&str, &dp_sims_datasets::Class)| {
        let names = line.rsplit('\t').next().unwrap();
        names.split(',').any(|name| name.trim() == class.name)
    };
    let agree = lines
        .iter()
        .zip(&table.classes[1..])
        .filter(|&pair| named(pair))
        .count();
    assert_eq!(agree, 150);
}

#[test]
fn camvid_is_described_with_eleven_classes_and_void() {
    let description = description("camvid");
    assert_eq!(description.class_table().len(), 12);
    let map = description.class_of_id();
    assert_eq!(
        (map[11], map[0], map[10], map[12]),
        (Some(0), Some(1), Some(11), None)
    );
}

#[test]
#[ignore = "needs real photos, see CONTRIBUTING.md"]
fn real_camvid_splits_have_their_sizes_and_only_known_ids() {
    let root = real("camvid");
    let description = description("camvid");
    for (split, count) in [
        (Split::Train, 367),
        (Split::Validation, 101),
        (Split::Test, 233),
    ] {
        let dataset = DescribedFolder::open(&description, &root, split).unwrap();
        assert_eq!(dataset.len(), count);
        let report = check_split(&dataset, &|_, _| {}).unwrap();
        assert_eq!(report.presence.len(), count);
        println!("{split}: images by class {:?}", report.images);
        assert!(report.images[1..].iter().all(|&images| images > 0));
        assert_eq!(report.pixels.iter().sum::<u64>(), count as u64 * 171 * 128);
    }
}

#[test]
#[ignore = "needs real photos, see CONTRIBUTING.md"]
fn real_camvid_samples_have_known_pixels_and_batches_repeat() {
    let root = real("camvid");
    let dataset = DescribedFolder::open(&description("camvid"), &root, Split::Train).unwrap();
    let sample = dataset.sample(0, Size::square(64)).unwrap();
    assert_eq!(sample.name, "0001TP_006690");
    assert_eq!(
        (sample.image.len(), sample.labels.len()),
        (64 * 64 * 3, 64 * 64)
    );
    // Pixels by class in the lowest quarter, counted after Pillow's own nearest resizing.
    let lowest = &sample.labels[48 * 64..];
    let count = |class| lowest.iter().filter(|&&label| label == class).count();
    assert_eq!([0, 2, 3, 4, 5, 9].map(count), [137, 39, 2, 382, 258, 206]);

    let report = check_split(&dataset, &|_, _| {}).unwrap();
    let dataset: Arc<dyn LabelledImages> = Arc::new(dataset);
    let batches = |workers| {
        let size = Size::square(32);
        let config = LoaderConfig {
            size,
            load: None,
            batch: 3,
            workers,
            queue: 2,
            seed: 1,
            flip: true,
            balanced: true,
            offsets: false,
            share: Share::default(),
        };
        let loader = Loader::new(dataset.clone(), Some(&report.presence), config, 4).unwrap();
        loader.take(4).map(Result::unwrap).collect::<Vec<_>>()
    };
    assert_eq!(batches(1), batches(2));
}
