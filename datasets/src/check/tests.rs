use std::path::PathBuf;
use std::sync::Mutex;
use std::time::Duration;

use image::DynamicImage;

use super::*;
use crate::testing::Garden;

fn silent(_: usize, _: usize) {}

/// Loads or checks, and tells whether a check was run.
fn load_counting(folder: &DescribedFolder, cache: &Path) -> (Report, bool) {
    let calls = AtomicUsize::new(0);
    let count = |_: usize, _: usize| {
        calls.fetch_add(1, Ordering::Relaxed);
    };
    let (report, unwritten) = load_or_check(folder, cache, &count).unwrap();
    assert!(unwritten.is_none());
    (report, calls.into_inner() > 0)
}

fn cache_file(cache: &Path) -> PathBuf {
    let files: Vec<_> = std::fs::read_dir(cache)
        .unwrap()
        .map(|file| file.unwrap().path())
        .collect();
    assert_eq!(files.len(), 1, "{files:?}");
    files[0].clone()
}

#[test]
fn report_counts_pixels_images_and_presence() {
    let garden = Garden::new(7);
    let seen = Mutex::new(Vec::new());
    let progress = |done, total| seen.lock().unwrap().push((done, total));
    let report = check_split(&garden.open().unwrap(), &progress).unwrap();
    // 16 void pixels in each of 7 images, a dog of 2 x 4 pixels in images 2 and 5.
    assert_eq!(report.pixels, [112, 7 * 32 - 16, 16]);
    assert_eq!(report.images, [7, 7, 2]);
    assert_eq!(report.presence.len(), 7);
    assert_eq!(report.presence[2], ClassSet::of(&[0, 1, 2]));
    assert_eq!(report.presence[3], ClassSet::of(&[0, 1]));
    assert_eq!(presence(&garden.open().unwrap()).unwrap(), report.presence);
    let mut seen = seen.into_inner().unwrap();
    seen.sort_unstable();
    assert_eq!(seen, (1..=7).map(|done| (done, 7)).collect::<Vec<_>>());
}

#[test]
fn the_first_fault_in_dataset_order_is_reported() {
    let garden = Garden::new(40);
    for index in [17, 23, 39] {
        garden.write_labels(index, DynamicImage::new_luma8(3, 3));
    }
    std::fs::write(garden.labels_path(31), "no image").unwrap();
    let folder = garden.open().unwrap();
    for threads in [1, 2, 7] {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .unwrap();
        let error = pool.install(|| check_split(&folder, &silent)).unwrap_err();
        assert!(
            error.to_string().contains("17.png"),
            "{threads} threads: {error}"
        );
    }
}

#[test]
fn a_check_is_remembered_until_something_changes() {
    let garden = Garden::new(5);
    let cache = tempfile::tempdir().unwrap();
    let cache = cache.path().join("new/folder");
    let folder = garden.open().unwrap();
    let (first, checked) = load_counting(&folder, &cache);
    assert!(checked);
    let (second, checked) = load_counting(&folder, &cache);
    assert!(!checked, "the second time must come from the cache");
    assert_eq!(first, second);

    // A new time of change alone, a new size, and a new description each mean a new check.
    let file = std::fs::File::options()
        .write(true)
        .open(garden.labels_path(1))
        .unwrap();
    let changed = file.metadata().unwrap().modified().unwrap() + Duration::from_secs(5);
    file.set_modified(changed).unwrap();
    assert!(load_counting(&folder, &cache).1);
    garden.write_labels(1, DynamicImage::new_luma8(8, 6));
    let (report, checked) = load_counting(&folder, &cache);
    assert!(checked);
    assert_eq!(report.presence[1], ClassSet::of(&[0]));
    let mut merged = garden.description.clone();
    merged.classes.pop();
    merged.classes[0].ids.push(2);
    let folder = DescribedFolder::open(&merged, garden.root(), folder.split()).unwrap();
    let (report, checked) = load_counting(&folder, &cache);
    assert!(checked);
    assert_eq!(report.pixels.len(), 2);
}

#[test]
fn damaged_cache_files_mean_a_new_check() {
    let garden = Garden::new(4);
    let cache = tempfile::tempdir().unwrap();
    let folder = garden.open().unwrap();
    let (report, _) = load_counting(&folder, cache.path());
    let path = cache_file(cache.path());
    let whole = std::fs::read_to_string(&path).unwrap();
    let damages = [
        String::new(),
        whole[..whole.len() / 2].to_string(),
        "{\"fingerprint\":\"00\"}".to_string(),
        whole
            .replacen("check", "cheque", 1)
            .replacen("[0,1]", "[0,9]", 1),
        whole.replacen("[0,1],", "", 1),
        whole.replacen("\"fingerprint\":\"", "\"fingerprint\":\"0", 1),
    ];
    for damaged in damages {
        assert_ne!(damaged, whole);
        std::fs::write(&path, &damaged).unwrap();
        let (again, checked) = load_counting(&folder, cache.path());
        assert!(checked, "accepted {damaged}");
        assert_eq!(again, report);
        assert_eq!(cache_file(cache.path()), path);
        assert!(!load_counting(&folder, cache.path()).1);
    }
}

#[test]
fn a_check_that_cannot_be_remembered_is_one_all_the_same() {
    let garden = Garden::new(1);
    let folder = garden.open().unwrap();
    let file = tempfile::NamedTempFile::new().unwrap();
    let (report, unwritten) = load_or_check(&folder, &file.path().join("sub"), &silent).unwrap();
    assert_eq!(report, check_split(&folder, &silent).unwrap());
    let error = unwritten.unwrap();
    assert!(matches!(error, DatasetError::Write { .. }), "{error}");
}
