use std::fs::OpenOptions;
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use proptest::prelude::*;

use super::*;
use crate::check::check_split;
use crate::loader::{Loader, LoaderConfig, Share};
use crate::testing::Garden;
use crate::testing::assert_says;

const SIZE: Size = Size::new(4, 5);

/// A garden of seven pairs, packed.
fn packed() -> (Garden, PathBuf, PackedImages) {
    let garden = Garden::new(7);
    let path = garden.root().join("packed/train.pack");
    let packed = again(&garden, &path).unwrap();
    (garden, path, packed)
}

fn again(garden: &Garden, path: &Path) -> Result<PackedImages, DatasetError> {
    let dataset = garden.open()?;
    let report = check_split(&dataset, &|_, _| {})?;
    pack(&dataset, &report, SIZE, path, &|_, _| {})
}

fn problem(path: &Path) -> String {
    PackedImages::open(path).unwrap_err().to_string()
}

#[test]
fn packed_batches_are_those_of_the_folder() {
    let (garden, path, packed) = packed();
    let folder = garden.open().unwrap();
    assert_eq!((packed.size(), packed.split()), (SIZE, Split::Train));
    assert_eq!(packed.description(), &garden.description);
    assert!(!path.with_extension("pack.part").exists());
    let presence = packed.report().presence.clone();
    for index in 0..7 {
        assert_eq!(
            packed.present(index).unwrap(),
            folder.present(index).unwrap()
        );
    }
    let batches = |dataset: Arc<dyn LabelledImages>, workers| -> Vec<_> {
        let config = LoaderConfig {
            size: SIZE,
            load: None,
            batch: 3,
            workers,
            queue: 2,
            seed: 8,
            flip: true,
            balanced: true,
            offsets: false,
            share: Share::default(),
        };
        let loader = Loader::new(dataset, Some(&presence), config, 0).unwrap();
        loader.take(9).map(Result::unwrap).collect()
    };
    let expected = batches(Arc::new(folder), 1);
    let packed = Arc::new(packed);
    assert_eq!(batches(packed.clone(), 1), expected);
    assert_eq!(batches(packed, 3), expected);
}

#[test]
fn instances_are_packed_too() {
    let mut garden = Garden::new(3);
    garden.describe_instances();
    let path = garden.root().join("train.pack");
    let folder = garden.open().unwrap().with_instances().unwrap();
    let report = check_split(&folder, &|_, _| {}).unwrap();
    let packed = pack(&folder, &report, SIZE, &path, &|_, _| {}).unwrap();
    assert!(packed.has_instances());
    for index in 0..3 {
        let sample = packed.sample(index, SIZE).unwrap();
        assert_eq!(sample, folder.sample(index, SIZE).unwrap());
        assert!(sample.instances.is_some());
    }
}

#[test]
fn an_interrupted_run_is_gone_on_with() {
    let (garden, path, packed) = packed();
    let whole = std::fs::read(&path).unwrap();
    let part = path.with_extension("pack.part");
    std::fs::rename(&path, &part).unwrap();
    let file = OpenOptions::new().write(true).open(&part).unwrap();
    // One record not marked as written, one marked but not whole.
    file.write_all_at(&[0; 8], packed.layout.entry_start(2))
        .unwrap();
    file.write_all_at(&[0xaa; 9], packed.layout.record_start(4))
        .unwrap();
    // Only these two are read again: without the other photos the rest must come from the part.
    let dataset = garden.open().unwrap();
    let report = check_split(&dataset, &|_, _| {}).unwrap();
    let keep = [2, 4];
    let blocked: Vec<_> = (0..7).filter(|index| !keep.contains(index)).collect();
    let times: Vec<_> = blocked.iter().map(|&index| hide(&garden, index)).collect();
    let calls = AtomicUsize::new(0);
    let count = |_, _| {
        calls.fetch_add(1, Ordering::Relaxed);
    };
    pack(&dataset, &report, SIZE, &path, &count).unwrap();
    assert_eq!(calls.into_inner(), 7);
    assert_eq!(std::fs::read(&path).unwrap(), whole);
    drop(times);
}

/// Makes a photo unreadable without a change of its size or time.
fn hide(garden: &Garden, index: usize) {
    let path = garden.photo_path(index);
    let metadata = path.metadata().unwrap();
    let bytes = vec![0; metadata.len() as usize];
    std::fs::write(&path, bytes).unwrap();
    let file = OpenOptions::new().write(true).open(&path).unwrap();
    file.set_modified(metadata.modified().unwrap()).unwrap();
}

#[test]
fn a_finished_file_is_kept_until_its_sources_change() {
    let (garden, path, _) = packed();
    let before = path.metadata().unwrap().modified().unwrap();
    again(&garden, &path).unwrap();
    assert_eq!(path.metadata().unwrap().modified().unwrap(), before);
    garden.write_photo(1, image::DynamicImage::new_rgb8(8, 6));
    let changed = again(&garden, &path).unwrap();
    assert_eq!(changed.sample(1, SIZE).unwrap().image, [0; 60]);
}

#[test]
fn two_processes_do_not_pack_the_same_file() {
    let (garden, path, _) = packed();
    std::fs::remove_file(&path).unwrap();
    let part = std::fs::File::create(path.with_extension("pack.part")).unwrap();
    part.lock().unwrap();
    let message = again(&garden, &path).unwrap_err().to_string();
    assert_says(&message, &["in use by another process"]);
    part.unlock().unwrap();
    again(&garden, &path).unwrap();
}

#[test]
fn an_image_that_cannot_be_read_is_named_and_leaves_no_file() {
    let garden = Garden::new(7);
    let path = garden.root().join("train.pack");
    let dataset = garden.open().unwrap();
    let report = check_split(&dataset, &|_, _| {}).unwrap();
    hide(&garden, 5);
    hide(&garden, 3);
    let error = pack(&dataset, &report, SIZE, &path, &|_, _| {}).unwrap_err();
    assert!(error.to_string().contains("03.png"), "{error}");
    assert!(!path.exists());
}

#[test]
fn damage_is_named() {
    let (_garden, path, packed) = packed();
    let whole = std::fs::read(&path).unwrap();
    let flip = |place: u64| {
        let mut bytes = whole.clone();
        bytes[place as usize] ^= 1;
        std::fs::write(&path, bytes).unwrap();
    };
    flip(packed.layout.record_start(3) + 7);
    let damaged = PackedImages::open(&path).unwrap();
    let message = damaged.sample(3, SIZE).unwrap_err().to_string();
    assert_says(
        &message,
        &["train.pack: record 3 has a wrong", "pack the split again"],
    );
    assert!(damaged.sample(2, SIZE).is_ok());
    flip(packed.layout.entry_start(6) + 5);
    assert!(problem(&path).contains("record 6 was never written"));
    flip(30);
    assert!(problem(&path).contains("header has a wrong checksum"));
    flip(0);
    assert!(problem(&path).contains("no packed split"));
    std::fs::write(&path, &whole[..whole.len() - 1]).unwrap();
    assert!(problem(&path).contains("records are cut off"));
    std::fs::write(&path, &whole[..100]).unwrap();
    assert!(problem(&path).contains("header is cut off"));
    std::fs::write(&path, b"").unwrap();
    assert!(problem(&path).contains("too short"));
}

#[test]
fn a_file_cut_short_while_it_is_read_is_an_error() {
    let (_garden, path, packed) = packed();
    let file = OpenOptions::new().write(true).open(&path).unwrap();
    file.set_len(packed.layout.record_start(2)).unwrap();
    assert!(packed.sample(1, SIZE).is_ok());
    let error = packed.sample(2, SIZE).unwrap_err();
    assert!(matches!(error, DatasetError::Read { .. }), "{error}");
}

#[test]
fn another_size_and_an_index_outside_are_refused() {
    let (_garden, _, packed) = packed();
    let message = packed.sample(0, Size::square(4)).unwrap_err().to_string();
    assert_says(&message, &["4x5", "4x4"]);
    assert!(
        packed
            .sample(7, SIZE)
            .unwrap_err()
            .to_string()
            .contains("no image 7")
    );
    assert!(packed.present(7).is_err());
}

#[test]
fn a_class_that_is_not_described_is_refused() {
    let (_garden, path, packed) = packed();
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .open(&path)
        .unwrap();
    let mut record = packed.record(0).unwrap();
    record[3 * SIZE.pixels()] = 3;
    file.write_all_at(&record, packed.layout.record_start(0))
        .unwrap();
    let entry = format::entry(crc32c::crc32c(&record));
    file.write_all_at(&entry, packed.layout.entry_start(0))
        .unwrap();
    let packed = PackedImages::open(&path).unwrap();
    let message = packed.sample(0, SIZE).unwrap_err().to_string();
    assert_says(&message, &["class 3, which is not described"]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn no_bytes_panic(
        at in 0_usize..4000,
        bytes in prop::collection::vec(any::<u8>(), 1..40),
        random in prop::collection::vec(any::<u8>(), 0..300),
    ) {
        let (_garden, path, _) = packed();
        let mut file = std::fs::read(&path).unwrap();
        for (place, byte) in (at..file.len()).zip(bytes) {
            file[place] = byte;
        }
        for contents in [file, [&b"DPSPACK\x01"[..], &random].concat()] {
            std::fs::write(&path, contents).unwrap();
            match PackedImages::open(&path) {
                Ok(packed) => for index in 0..packed.len() {
                    let _ = packed.sample(index, packed.size());
                },
                Err(error) => prop_assert!(error.to_string().contains("train.pack")),
            }
        }
    }
}
