use tempfile::TempDir;

use super::*;
use crate::description::LabelValues;
use crate::testing::assert_says;
use crate::testing::tree;

fn folders(image_suffixes: &[&str], label_suffix: &str) -> SplitFiles {
    SplitFiles::Folders(Folders {
        images: "photos".into(),
        image_suffixes: image_suffixes.iter().map(ToString::to_string).collect(),
        labels: "masks".into(),
        label_suffix: label_suffix.to_string(),
        label_values: LabelValues::Ids,
        instances: None,
    })
}

fn list(root: &TempDir, text: &str, strip_prefix: &str) -> SplitFiles {
    std::fs::write(root.path().join("list.txt"), text).unwrap();
    SplitFiles::List(ListFile {
        file: "list.txt".into(),
        strip_prefix: strip_prefix.into(),
        label_values: LabelValues::Ids,
    })
}

/// The pairs, or the first fault.
fn first_fault(files: &SplitFiles, root: &Path) -> Result<Vec<Pair>, DatasetError> {
    find_pairs(files, root, &mut Err)
}

/// The pairs without fault, and all faults.
fn all_faults(files: &SplitFiles, root: &Path) -> (Vec<Pair>, Vec<String>) {
    let mut faults = Vec::new();
    let mut collect = |error: DatasetError| {
        faults.push(error.to_string());
        Ok(())
    };
    let pairs = find_pairs(files, root, &mut collect).unwrap();
    (pairs, faults)
}

fn names(pairs: &[Pair]) -> Vec<&str> {
    pairs.iter().map(|pair| pair.name.as_str()).collect()
}

#[test]
fn folders_pair_by_name_below_sub_folders() {
    let root = tree(&[
        "photos/b/x_photo.PNG",
        "photos/a/y_photo.png",
        "photos/.z_photo.png",
        "photos/readme.txt",
        "masks/a/y_ids.png",
        "masks/b/x_ids.png",
        "masks/b/x_colour.png",
    ]);
    let pairs = first_fault(&folders(&["_photo.png"], "_ids.png"), root.path()).unwrap();
    assert_eq!(names(&pairs), ["a/y", "b/x"]);
    assert_eq!(pairs[1].image, root.path().join("photos/b/x_photo.PNG"));
    assert_eq!(pairs[1].labels, root.path().join("masks/b/x_ids.png"));
}

#[test]
fn a_label_map_is_no_photo_whatever_folder_it_is_in() {
    let files = [
        "photos/a.png",
        "photos/a_mask.png",
        "photos/b.PNG",
        "photos/b_MASK.png",
    ];
    let root = tree(&files);
    let rule = |images: &str, labels: &str, photo: &str, label: &str| {
        let SplitFiles::Folders(folders) = folders(&[photo], label) else {
            unreachable!()
        };
        SplitFiles::Folders(Folders {
            images: images.into(),
            labels: labels.into(),
            ..folders
        })
    };
    let pairs = first_fault(&rule("photos", "photos", ".png", "_mask.png"), root.path()).unwrap();
    assert_eq!(names(&pairs), ["a", "b"]);
    assert!(pairs[1].labels.ends_with("b_MASK.png"));
    let files = ["x/a.png", "x/a_photo.png", "x/b.png", "x/b_photo.png"];
    let pairs = first_fault(&rule("x", "x", "_photo.png", ".png"), tree(&files).path()).unwrap();
    assert_eq!(names(&pairs), ["a", "b"]);
    let SplitFiles::Folders(both) = folders(&[".jpg", ".png"], ".png") else {
        unreachable!()
    };
    let both = Folders {
        labels: "photos".into(),
        ..both
    };
    let root = tree(&["photos/a.jpg", "photos/a.png"]);
    let pairs = first_fault(&SplitFiles::Folders(both), root.path()).unwrap();
    assert_eq!(names(&pairs), ["a"]);
    // Label maps in a folder inside that of the photos.
    let root = tree(&["a.png", "b/c.png", "masks/a.png", "masks/b/c.png"]);
    let pairs = first_fault(&rule(".", "masks", ".png", ".png"), root.path()).unwrap();
    assert_eq!(names(&pairs), ["a", "b/c"]);
    assert!(pairs[0].labels.ends_with("masks/a.png"));
}

#[test]
fn images_may_have_the_name_of_either_file_of_their_pair() {
    let pair = Pair {
        name: "ulm/ulm_1".into(),
        image: "p/ulm/ulm_1_left.png".into(),
        labels: "m/ulm/ulm_1_ids.png".into(),
    };
    let expected = [
        "ulm/ulm_1",
        "ulm/ulm_1_ids",
        "ulm/ulm_1_left",
        "ulm_ulm_1",
        "ulm_ulm_1_ids",
        "ulm_ulm_1_left",
        "ulm_1",
        "ulm_1_ids",
        "ulm_1_left",
    ];
    assert_eq!(pair.image_names(), expected);
}

#[test]
fn the_longest_suffix_is_cut_off() {
    let suffixes = [".png", "_photo.png", ".jpg"].map(String::from);
    assert_eq!(strip_longest("a_photo.PNG", &suffixes), Some("a"));
    assert_eq!(strip_longest("a.png", &suffixes), Some("a"));
    assert_eq!(strip_longest("a.gif", &suffixes), None);
}

#[test]
fn half_pairs_and_doubles_in_folders_are_named() {
    let rule = folders(&[".jpg", ".png"], ".png");
    let problem = |files: &[&str]| first_fault(&rule, tree(files).path()).unwrap_err();

    let message = problem(&["photos/a.jpg", "photos/b.jpg", "masks/a.png"]).to_string();
    assert_says(&message, &["masks/b.png is missing"]);
    let message = problem(&["photos/a.jpg", "masks/a.png", "masks/b.png"]).to_string();
    assert_says(&message, &["photos/b.jpg is missing"]);
    let message = problem(&["photos/a.jpg", "photos/a.png", "masks/a.png"]).to_string();
    assert_says(&message, &["a.jpg", "a.png"]);
    assert!(matches!(
        problem(&["photos/a.jpg"]),
        DatasetError::Read { .. }
    ));
}

#[cfg(unix)]
#[test]
fn links_are_followed_and_their_faults_named() {
    use std::os::unix::fs::symlink;
    let root = tree(&[
        "real/p/x.jpg",
        "real/m/x.png",
        "photos/y.jpg",
        "masks/y.png",
    ]);
    let at = |path: &str| root.path().join(path);
    symlink(at("real/p"), at("photos/sub")).unwrap();
    symlink(at("real/m"), at("masks/sub")).unwrap();
    symlink(at("real/p/x.jpg"), at("photos/z.JPG")).unwrap();
    symlink("sub/x.png", at("masks/z.png")).unwrap();
    let rule = folders(&[".jpg"], ".png");
    let pairs = first_fault(&rule, root.path()).unwrap();
    assert_eq!(names(&pairs), ["sub/x", "y", "z"]);

    symlink(at("absent.jpg"), at("photos/w.jpg")).unwrap();
    let message = first_fault(&rule, root.path()).unwrap_err().to_string();
    assert_says(&message, &["cannot read", "photos/w.jpg"]);
    std::fs::remove_file(at("photos/w.jpg")).unwrap();
    symlink(at("photos"), at("real/p/back")).unwrap();
    let error = first_fault(&rule, root.path()).unwrap_err();
    assert!(matches!(error, DatasetError::LinkLoop { .. }), "{error}");
    assert!(error.to_string().contains("photos/sub/back"), "{error}");
}

#[test]
fn lists_keep_their_order_and_strip_the_prefix() {
    let root = tree(&["t/b.png", "l/b.png", "t/a.png", "l/a.png"]);
    let text = "/old/t/b.png /old/l/b.png\r\n\n/old/t/a.png\t/old/l/a.png\n";
    for prefix in ["/old", "/old/"] {
        let pairs = first_fault(&list(&root, text, prefix), root.path()).unwrap();
        assert_eq!(names(&pairs), ["b", "a"]);
        assert_eq!(pairs[0].labels, root.path().join("l/b.png"));
    }
    let pairs = first_fault(&list(&root, "t/a.png l/a.png", ""), root.path()).unwrap();
    assert_eq!(pairs[0].image, root.path().join("t/a.png"));
}

#[test]
fn bad_list_lines_are_named_by_number() {
    let root = tree(&["t/a.png", "l/a.png"]);
    let problem = |text, prefix| {
        first_fault(&list(&root, text, prefix), root.path())
            .unwrap_err()
            .to_string()
    };
    let message = problem("t/a.png l/a.png\n\nt/a.png\n", "");
    assert_says(&message, &["list.txt:3: 1 paths instead of 2"]);
    let message = problem("/old/t/a.png /new/l/a.png", "/old");
    assert_says(&message, &["list.txt:1: `/new/l/a.png` does not start"]);
    assert!(problem("t/a.png l/b.png", "").contains("l/b.png is missing"));
    assert!(problem("t/b.png l/a.png", "").contains("t/b.png is missing"));
}

#[test]
fn a_search_can_go_on_past_every_fault() {
    let root = tree(&[
        "photos/a.jpg",
        "photos/b.jpg",
        "photos/b.png",
        "photos/c.jpg",
        "photos/d.jpg",
        "masks/b.png",
        "masks/c.png",
        "masks/e.png",
    ]);
    let (pairs, faults) = all_faults(&folders(&[".jpg", ".png"], ".png"), root.path());
    assert_eq!(names(&pairs), ["b", "c"]);
    assert_eq!(faults.len(), 4, "{faults:?}");
    assert!(faults[0].contains("b.jpg and") && faults[0].contains("same name"));
    assert!(faults[1].contains("masks/a.png is missing"));
    assert!(faults[2].contains("masks/d.png is missing"));
    assert!(faults[3].contains("photos/e.jpg is missing"));

    let text = "photos/c.jpg masks/c.png\none\nphotos/d.jpg masks/d.png\n\nmasks masks/c.png";
    let (pairs, faults) = all_faults(&list(&root, text, ""), root.path());
    assert_eq!(names(&pairs), ["c"]);
    assert_eq!(faults.len(), 3, "{faults:?}");
    assert!(faults[0].contains("list.txt:2: 1 paths"));
    assert!(faults[1].contains("masks/d.png is missing"));
    assert!(faults[2].contains("list.txt:5: ") && faults[2].contains("no ordinary file"));
    let (pairs, faults) = all_faults(&folders(&[".jpg"], ".png"), &root.path().join("masks"));
    assert_eq!((pairs.len(), faults.len()), (0, 2));
}

#[cfg(unix)]
#[test]
fn lists_of_devices_and_pipes_are_refused() {
    let root = tree(&["t/a.png"]);
    let pipe = crate::testing::pipe(root.path());
    for odd in [Path::new("/dev/zero"), &pipe] {
        for line in [
            format!("{} t/a.png", odd.display()),
            format!("t/a.png {}", odd.display()),
        ] {
            let error = first_fault(&list(&root, &line, ""), root.path()).unwrap_err();
            let message = error.to_string();
            assert_says(&message, &["list.txt:1: ", "no ordinary file"]);
        }
        let files = SplitFiles::List(ListFile {
            file: odd.to_path_buf(),
            strip_prefix: String::new(),
            label_values: LabelValues::Ids,
        });
        let message = first_fault(&files, root.path()).unwrap_err().to_string();
        assert_says(&message, &["no ordinary file"]);
    }
}

#[cfg(target_os = "linux")]
#[test]
fn names_that_are_not_utf8_are_named_and_never_taken_for_others() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;

    let root = tree(&["photos/a.png", "masks/a.png", "masks/readme.txt"]);
    let foreign = |name: &[u8]| root.path().join("masks").join(OsStr::from_bytes(name));
    // Neither a text, nor a hidden file, nor what ends in another way is a label map.
    for name in [&b"caf\xe9.txt"[..], b".caf\xe9.png"] {
        std::fs::write(foreign(name), "").unwrap();
    }
    let files = folders(&[".png"], ".png");
    assert_eq!(names(&first_fault(&files, root.path()).unwrap()), ["a"]);
    // As lossy text these two would be one name.
    for name in [b"caf\xe8.png", b"caf\xe9.png"] {
        std::fs::write(foreign(name), "").unwrap();
    }
    let folder = foreign(b"r\xe9");
    std::fs::create_dir(&folder).unwrap();
    std::fs::write(folder.join("b.png"), "").unwrap();
    let (pairs, faults) = all_faults(&files, root.path());
    assert_eq!(names(&pairs), ["a"]);
    let named = |part: &str| faults.iter().filter(|fault| fault.contains(part)).count();
    assert_eq!(faults.len(), 3, "{faults:?}");
    for part in [r"caf\xE8.png", r"caf\xE9.png", r"r\xE9/b.png"] {
        assert_eq!(named(part), 1, "{faults:?}");
    }
    // The folder of the dataset may have any name.
    let outside = tempfile::tempdir().unwrap();
    let place = outside.path().join(OsStr::from_bytes(b"d\xe9"));
    std::fs::rename(tree(&["photos/a.png", "masks/a.png"]).keep(), &place).unwrap();
    assert_eq!(names(&first_fault(&files, &place).unwrap()), ["a"]);
}
