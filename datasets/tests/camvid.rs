//! Tests over the real CamVid frames, skipped where they are missing.
//!
//! `DP_SIMS_SHARED` names the folder that holds `data/camvid`.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use dp_sims_datasets::{
    DescribedFolder, Description, LabelledImages, Loader, LoaderConfig, Size, Split, check_split,
};

fn description() -> Description {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../experiments/datasets/camvid.toml");
    Description::read(&file).unwrap()
}

/// The folder of the frames, `None` after a word on the skipped test when there is none.
fn root(test: &str) -> Option<PathBuf> {
    let shared = std::env::var_os("DP_SIMS_SHARED").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared"),
        PathBuf::from,
    );
    let root = shared.join("data/camvid");
    if root.is_dir() {
        return Some(root);
    }
    println!("skipped: {test}, folder not found");
    None
}

#[test]
fn camvid_is_described_with_eleven_classes_and_void() {
    let description = description();
    assert_eq!(description.class_table().len(), 12);
    let map = description.class_of_id();
    assert_eq!(
        (map[11], map[0], map[10], map[12]),
        (Some(0), Some(1), Some(11), None)
    );
}

#[test]
fn camvid_splits_have_their_sizes_and_only_known_ids() {
    let Some(root) = root("camvid_splits_have_their_sizes_and_only_known_ids") else {
        return;
    };
    let description = description();
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
fn camvid_samples_have_known_pixels_and_batches_repeat() {
    let Some(root) = root("camvid_samples_have_known_pixels_and_batches_repeat") else {
        return;
    };
    let dataset = DescribedFolder::open(&description(), &root, Split::Train).unwrap();
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
        };
        let loader = Loader::new(dataset.clone(), Some(&report.presence), config, 4).unwrap();
        loader.take(4).map(Result::unwrap).collect::<Vec<_>>()
    };
    assert_eq!(batches(1), batches(2));
}
