//! Files that ask for far more memory or time than they are worth are refused before they get it.
//!
//! The allocator counts for the whole process, so the tests take turns.

use std::path::{Path, PathBuf};
use std::sync::Mutex;

use dp_sims_dataset_tools::check::{Depth, survey};
use dp_sims_datasets::{DescribedFolder, Description, LabelledImages, Size, Split};
use image::{GrayImage, ImageFormat, RgbImage};
use peak_alloc::PeakAlloc;

#[global_allocator]
static PEAK: PeakAlloc = PeakAlloc;

/// Held by the test that runs.
static TURN: Mutex<()> = Mutex::new(());

/// Most MB that reading may take beside what is held already. What a bomb unpacks to is larger.
const MOST: f32 = 160.0;

/// Bytes that the chunks of a bomb unpack to.
const UNPACKED: usize = 400_000_000;

const DESCRIPTION: &str = "name = \"garden\"\nvoid = [0]\n\
    [[class]]\nname = \"dog\"\ncolour = \"#a06020\"\nids = [1]\nthing = true\n\
    [train.folders]\nimages = \"photos\"\nlabels = \"masks\"\n";

/// One photo and one label map of 6 x 8 pixels.
struct Folder {
    root: tempfile::TempDir,
    photo: PathBuf,
    labels: PathBuf,
}

impl Folder {
    fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        for folder in ["photos", "masks"] {
            std::fs::create_dir(root.path().join(folder)).unwrap();
        }
        let (photo, labels) = (
            root.path().join("photos/a.jpg"),
            root.path().join("masks/a.png"),
        );
        RgbImage::new(8, 6)
            .save_with_format(&photo, ImageFormat::Png)
            .unwrap();
        GrayImage::new(8, 6).save(&labels).unwrap();
        Self {
            root,
            photo,
            labels,
        }
    }

    fn root(&self) -> &Path {
        self.root.path()
    }
}

/// What comes of opening and reading the folder, and of a survey of it; neither takes much memory.
fn read(folder: &Folder, description: &str) -> Result<(), String> {
    let description = Description::parse(description, Path::new("garden.toml")).unwrap();
    let before = PEAK.current_usage_as_mb();
    PEAK.reset_peak_usage();
    let open = || {
        let dataset = DescribedFolder::open(&description, folder.root(), Split::Train)?;
        let dataset = match description
            .train
            .as_ref()
            .and_then(|files| files.instances())
        {
            Some(_) => dataset.with_instances()?,
            None => dataset,
        };
        dataset.sample(0, Size::square(4))
    };
    let result = open().map(drop).map_err(|error| error.to_string());
    let found = survey(
        &description,
        folder.root(),
        Split::Train,
        &[],
        Depth::Pixels,
        &|_, _| {},
    );
    let found = found.unwrap();
    let faulty = !found.faults.is_empty() || found.instances_note.is_some();
    assert_eq!(faulty, result.is_err(), "{:?} {result:?}", found.faults);
    let peak = PEAK.peak_usage_as_mb() - before;
    println!("{peak:.1} MB, {result:?}");
    assert!(peak < MOST, "{peak} MB for {result:?}");
    result
}

fn refused(folder: &Folder, description: &str, expected: &str) {
    let message = read(folder, description).unwrap_err();
    assert!(message.contains(expected), "{message}");
}

/// A gray PNG of 6 x 8 pixels that unpacks to very much in chunks beside its pixels.
fn bomb(profile: bool) -> Vec<u8> {
    let mut info = png::Info::with_size(8, 6);
    let text = "a".repeat(UNPACKED);
    if profile {
        info.icc_profile = Some(vec![7; UNPACKED].into());
    } else {
        let text = png::text_metadata::ZTXtChunk::new("Comment", text);
        info.compressed_latin1_text.push(text);
    }
    let mut file = Vec::new();
    let mut writer = png::Encoder::with_info(&mut file, info)
        .unwrap()
        .write_header()
        .unwrap();
    writer.write_image_data(&[0; 48]).unwrap();
    writer.finish().unwrap();
    assert!(file.len() < UNPACKED / 50, "{} bytes", file.len());
    file
}

/// The sides in the header of a PNG or a JPEG.
fn enlarge(path: &Path, side: u16) {
    let mut bytes = std::fs::read(path).unwrap();
    let [high, low] = side.to_be_bytes();
    if bytes.starts_with(b"\x89PNG") {
        bytes[16..24].copy_from_slice(&[0, 0, high, low, 0, 0, high, low]);
        let crc = bytes[12..29].iter().fold(!0, |crc: u32, &byte| {
            (0..8).fold(crc ^ u32::from(byte), |crc, _| {
                (crc >> 1) ^ (0xedb8_8320 & 0_u32.wrapping_sub(crc & 1))
            })
        });
        bytes[29..33].copy_from_slice(&(!crc).to_be_bytes());
    } else {
        let frame = bytes
            .windows(2)
            .position(|marker| marker == [0xff, 0xc0])
            .unwrap();
        bytes[frame + 5..frame + 9].copy_from_slice(&[high, low, high, low]);
    }
    std::fs::write(path, bytes).unwrap();
}

#[test]
fn large_claims_take_little_memory() {
    let _turn = TURN.lock();
    let folder = Folder::new();
    assert_eq!(read(&folder, DESCRIPTION), Ok(()));

    // Headers that announce 60000 x 60000 pixels.
    enlarge(&folder.labels, 60_000);
    refused(&folder, DESCRIPTION, "a.png: 60000x60000");
    let folder = Folder::new();
    enlarge(&folder.photo, 60_000);
    refused(&folder, DESCRIPTION, "a.jpg: its 60000x60000");
    let folder = Folder::new();
    RgbImage::new(8, 6).save(&folder.photo).unwrap();
    assert_eq!(read(&folder, DESCRIPTION), Ok(()));
    enlarge(&folder.photo, 60_000);
    refused(&folder, DESCRIPTION, "a.jpg: its 60000x60000");

    // Chunks that unpack to much more than the pixels: nothing of them is needed.
    for profile in [false, true] {
        let folder = Folder::new();
        let bomb = bomb(profile);
        std::fs::write(&folder.labels, &bomb).unwrap();
        assert_eq!(read(&folder, DESCRIPTION), Ok(()), "profile: {profile}");
        std::fs::write(&folder.photo, &bomb).unwrap();
        assert_eq!(read(&folder, DESCRIPTION), Ok(()), "profile: {profile}");
    }

    // An annotation file about a very large image.
    let folder = Folder::new();
    let with_instances =
        format!("{DESCRIPTION}[train.folders.instances.coco]\nfile = \"a.json\"\n");
    for segmentation in [
        "[[0, 0, 1e9, 0, 1e9, 1e9, 0, 1e9]]",
        "{\"size\": [1000000000, 1000000000], \"counts\": [0, 4294967295]}",
    ] {
        let json = format!(
            "{{\"images\": [{{\"id\": 1, \"file_name\": \"a.jpg\", \"height\": 1000000000, \
             \"width\": 1000000000}}], \"annotations\": [{{\"id\": 1, \"image_id\": 1, \
             \"category_id\": 1, \"segmentation\": {segmentation}}}]}}"
        );
        std::fs::write(folder.root().join("a.json"), json).unwrap();
        refused(&folder, &with_instances, "1000000000x1000000000");
    }
}

#[cfg(unix)]
#[test]
fn what_never_ends_or_begins_is_not_opened() {
    let _turn = TURN.lock();
    let folder = Folder::new();
    let pipe = folder.root().join("pipe");
    let made = std::process::Command::new("mkfifo").arg(&pipe).status();
    assert!(made.unwrap().success());
    let ordinary = "no ordinary file";
    for odd in [Path::new("/dev/zero"), pipe.as_path()] {
        let error = Description::read(odd).unwrap_err().to_string();
        assert!(error.contains(ordinary), "{error}");
        // Named by a list, which may itself be odd.
        let (head, _) = DESCRIPTION.split_once("[train").unwrap();
        let list = |file: &Path| format!("{head}[train.list]\nfile = {file:?}\n");
        refused(&folder, &list(odd), ordinary);
        for line in [
            format!("{} masks/a.png", odd.display()),
            format!("photos/a.jpg {}", odd.display()),
        ] {
            std::fs::write(folder.root().join("list.txt"), line).unwrap();
            refused(&folder, &list(Path::new("list.txt")), ordinary);
        }
        let json = format!("{DESCRIPTION}[train.folders.instances.coco]\nfile = {odd:?}\n");
        refused(&folder, &json, ordinary);
    }
    // Among the photos and label maps of a folder.
    for file in [&folder.labels, &folder.photo] {
        let kept = std::fs::read(file).unwrap();
        std::fs::remove_file(file).unwrap();
        std::os::unix::fs::symlink("/dev/zero", file).unwrap();
        refused(&folder, DESCRIPTION, ordinary);
        std::fs::remove_file(file).unwrap();
        std::fs::hard_link(&pipe, file).unwrap();
        refused(&folder, DESCRIPTION, ordinary);
        std::fs::remove_file(file).unwrap();
        std::fs::write(file, kept).unwrap();
    }
}
