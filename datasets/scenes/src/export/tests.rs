use std::collections::{BTreeMap, HashMap, HashSet};

use dp_sims_datasets::{DescribedFolder, Sample, check_split};

use super::classes::nearest;
use super::*;

const SIZE: Size = Size::new(40, 56);

/// The description that reads a layout: a built-in one of the program, or that of the scenes.
fn description(layout: Layout) -> Description {
    if layout == Layout::Folder {
        return folder_description(Scenes::new(1, 0).classes());
    }
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../experiments/datasets");
    Description::read(&folder.join(format!("{layout}.toml"))).unwrap()
}

fn config(layout: Layout) -> ExportConfig {
    ExportConfig {
        layout,
        train: 5,
        validation: 3,
        size: SIZE,
        seed: 4,
    }
}

fn write(config: &ExportConfig, out: &Path) -> Result<(), ExportError> {
    export(config, &description(config.layout), out, &|_, _| {})
}

/// The bytes of all files below a folder.
fn files(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            let bytes = std::fs::read(&path).unwrap();
            found.insert(path, bytes);
        }
    }
    found
}

#[test]
fn every_class_has_a_target_in_every_layout() {
    let scenes = Scenes::new(1, 0);
    for &layout in Layout::VARIANTS {
        let description = description(layout);
        assert!(!description.void.is_empty());
        for class in scenes.classes().classes.iter().skip(1) {
            let name = nearest(layout, &class.name);
            let name = name.unwrap_or_else(|| panic!("{} is not listed", class.name));
            let mut classes = description.classes.iter();
            let target = classes.find(|target| target.name == name);
            let target = target.unwrap_or_else(|| panic!("{layout} has no {name}"));
            assert!(!target.ids.is_empty(), "{layout}: {name}");
            // What is counted in the target is counted in the scenes too.
            assert!(class.thing || !target.thing, "{layout}: {name}");
        }
    }
    assert_eq!(nearest(Layout::Ade20k, "unicorn"), None);
}

/// Compares what was read with the scene: labels by `expected`, instances up to numbers.
fn compare(read: &Sample, scene: &Sample, expected: impl Fn(u8) -> (u8, bool), what: &str) {
    let targets: Vec<(u8, bool)> = scene.labels.iter().map(|&label| expected(label)).collect();
    let labels: Vec<u8> = targets.iter().map(|target| target.0).collect();
    assert_eq!(read.labels, labels, "{what}");
    let Some(instances) = &read.instances else {
        return;
    };
    let numbers = scene.instances.as_ref().unwrap().iter().zip(&targets);
    let numbers = numbers.map(|(&number, target)| if target.1 { number } else { 0 });
    let (mut there, mut back) = (HashMap::new(), HashMap::new());
    for (number, &found) in numbers.zip(instances) {
        assert_eq!(number == 0, found == 0, "{what}");
        assert_eq!(*there.entry(number).or_insert(found), found, "{what}");
        assert_eq!(*back.entry(found).or_insert(number), number, "{what}");
    }
}

/// Reads both splits of an export, checks them against the scenes and counts the instances.
fn read_back(config: &ExportConfig, description: &Description, root: &Path) -> usize {
    let scene_classes = Scenes::new(1, 0).classes().clone();
    let table = description.class_table();
    let index = |label: u8| {
        if label == 0 {
            return (0, false);
        }
        let name = &scene_classes.classes[usize::from(label)].name;
        let name = nearest(config.layout, name).unwrap();
        let index = table.classes.iter().position(|class| class.name == name);
        let index = index.unwrap();
        (index as u8, table.classes[index].thing)
    };
    let mut instances = 0;
    for split in SPLITS {
        let scenes = config.scenes(split);
        let mut dataset = DescribedFolder::open(description, root, split).unwrap();
        let report = check_split(&dataset, &|_, _| {}).unwrap();
        assert_eq!(report.presence.len(), scenes.len());
        if description.files(split).unwrap().instances().is_some() {
            dataset = dataset.with_instances().unwrap();
        }
        for image in 0..scenes.len() {
            let scene = scenes.sample(image, SIZE).unwrap();
            let read = dataset.sample(image, SIZE).unwrap();
            let what = format!("{} {split} {}", config.layout, read.name);
            compare(&read, &scene, index, &what);
            let numbers: HashSet<u16> = read.instances.into_iter().flatten().collect();
            instances += numbers.into_iter().filter(|&number| number > 0).count();
            let difference = read.image.iter().zip(&scene.image);
            let difference: u32 = difference.map(|(a, b)| u32::from(a.abs_diff(*b))).sum();
            let mean = f64::from(difference) / scene.image.len() as f64;
            match config.layout {
                Layout::Cityscapes | Layout::Folder => assert_eq!(mean, 0.0, "{what}"),
                // JPEG, with halved colour resolution.
                _ => assert!(mean > 0.0 && mean < 8.0, "{what}: {mean}"),
            }
        }
    }
    instances
}

#[test]
fn exports_are_read_by_the_descriptions_of_their_layouts() {
    for &layout in Layout::VARIANTS {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("new/data");
        let config = config(layout);
        write(&config, &root).unwrap();
        let instances = read_back(&config, &description(layout), &root);
        assert_eq!(instances > 0, layout != Layout::Ade20k, "{layout}");
        if layout == Layout::Folder {
            let own = Description::read(&root.join("dataset.toml")).unwrap();
            assert_eq!(own, description(layout));
        }
        // Nothing is left beside the folder.
        let beside = std::fs::read_dir(root.parent().unwrap()).unwrap();
        assert_eq!(beside.count(), 1);
    }
}

#[test]
fn names_are_those_of_the_datasets() {
    for (layout, expected) in [
        (
            Layout::Ade20k,
            &[
                "annotations/training/ADE_train_00000005.png",
                "images/training/ADE_train_00000001.jpg",
                "images/validation/ADE_val_00000003.jpg",
            ][..],
        ),
        (
            Layout::CocoStuff,
            &[
                "annotations/instances_val2017.json",
                "annotations/panoptic_train2017.json",
                "annotations/panoptic_val2017/000001000001.png",
                "annotations/train2017/000000000005.png",
                "images/val2017/000001000003.jpg",
            ],
        ),
        (
            Layout::Cityscapes,
            &[
                "gtFine/train/scenes/scenes_000004_000019_gtFine_instanceIds.png",
                "gtFine/val/scenes/scenes_000000_000019_gtFine_labelIds.png",
                "leftImg8bit/val/scenes/scenes_000002_000019_leftImg8bit.png",
            ],
        ),
        (
            Layout::Folder,
            &["dataset.toml", "instances/train/scene-000000.png"],
        ),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("data");
        write(&config(layout), &root).unwrap();
        let files = files(&root);
        for file in expected {
            assert!(files.contains_key(&root.join(file)), "{layout}: {file}");
        }
    }
}

#[test]
fn panoptic_files_of_coco_stuff_have_the_same_instances() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("data");
    let config = config(Layout::CocoStuff);
    write(&config, &root).unwrap();
    let mut description = description(Layout::CocoStuff);
    for (split, files) in [
        (Split::Train, &mut description.train),
        (Split::Validation, &mut description.validation),
    ] {
        let Some(SplitFiles::Folders(folders)) = files else {
            panic!("{split} has no folders");
        };
        folders.instances = Layout::CocoStuff.more_instances(split);
    }
    assert!(read_back(&config, &description, &root) > 0);
}

#[test]
fn bytes_do_not_depend_on_threads_and_seeds_differ() {
    let folder = tempfile::tempdir().unwrap();
    let export = |name: &str, threads, config: ExportConfig| {
        let root = folder.path().join(name);
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads);
        let pool = pool.build().unwrap();
        pool.install(|| write(&config, &root)).unwrap();
        let files = files(&root).into_iter();
        let relative = |(path, bytes): (PathBuf, Vec<u8>)| {
            (path.strip_prefix(&root).unwrap().to_path_buf(), bytes)
        };
        files.map(relative).collect::<BTreeMap<_, _>>()
    };
    let config = config(Layout::CocoStuff);
    let first = export("one", 1, config);
    assert!(first == export("three", 3, config));
    // Photos, label maps and panoptic PNGs of eight images, two files of each kind of JSON.
    assert_eq!(first.len(), 3 * 8 + 4);
    let other = export("other", 2, ExportConfig { seed: 5, ..config });
    assert!(first.keys().eq(other.keys()) && first != other);
}

#[test]
fn only_new_and_empty_folders_are_written_to() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("data");
    std::fs::create_dir(&root).unwrap();
    let config = config(Layout::Ade20k);
    write(&config, &root).unwrap();
    let before = files(&root);
    assert_eq!(before.len(), 16);
    let error = write(&config, &root).unwrap_err();
    assert!(matches!(error, ExportError::NotEmpty { .. }), "{error}");
    assert_eq!(files(&root), before);

    let file = folder.path().join("file");
    std::fs::write(&file, "kept").unwrap();
    assert!(write(&config, &file).is_err());
    assert_eq!(std::fs::read(&file).unwrap(), b"kept");
}

#[test]
fn settings_out_of_range_and_missing_classes_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("data");
    let good = config(Layout::Ade20k);
    let message = |config| write(&config, &root).unwrap_err().to_string();
    let none = message(ExportConfig { train: 0, ..good });
    assert!(none.contains("train split would have 0"), "{none}");
    let many = message(ExportConfig {
        validation: 1_000_001,
        ..good
    });
    assert!(
        many.contains("validation") && many.contains("1000000"),
        "{many}"
    );
    let size = Size::new(64, 4097);
    let large = message(ExportConfig { size, ..good });
    assert!(large.contains("64x4097"), "{large}");

    let mut description = description(Layout::Ade20k);
    description
        .classes
        .retain(|class| class.name != "signboard");
    let error = export(&good, &description, &root, &|_, _| {}).unwrap_err();
    assert!(error.to_string().contains("`signboard`"), "{error}");
    description.void.clear();
    let error = export(&good, &description, &root, &|_, _| {}).unwrap_err();
    assert!(error.to_string().contains("`void`"), "{error}");
    assert!(!root.exists());

    let message = "cityscape".parse::<Layout>().unwrap_err().to_string();
    assert!(message.contains("coco-stuff"), "{message}");
}
