//! A small described dataset in a temporary folder, for tests.

use std::io::Write;
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::write::ZlibEncoder;
use image::{DynamicImage, GrayImage, ImageBuffer, Luma, RgbImage};
use tempfile::TempDir;

use crate::description::{Description, Instances, SplitFiles};
use crate::error::DatasetError;
use crate::folder::DescribedFolder;
use crate::size::Size;
use crate::split::Split;

/// Photos `photos/00.png`, .. with label maps `masks/00.png`, ..: ids 0 (void), 1 and 2.
pub struct Garden {
    folder: TempDir,
    /// The description of the folder; only the train split is described.
    pub description: Description,
}

impl Garden {
    /// Size of every photo.
    pub const SIZE: Size = Size::new(6, 8);

    /// Writes `count` pairs; pixel values differ from file to file.
    pub fn new(count: usize) -> Self {
        let text = "name = \"garden\"\nvoid = [0]\n\
            [[class]]\nname = \"grass\"\ncolour = \"#40a040\"\nids = [1]\n\
            [[class]]\nname = \"dog\"\ncolour = \"#a06020\"\nids = [2]\nthing = true\n\
            [train.folders]\nimages = \"photos\"\nlabels = \"masks\"\n";
        let garden = Self {
            folder: tempfile::tempdir().unwrap(),
            description: Description::parse(text, Path::new("garden.toml")).unwrap(),
        };
        for folder in ["photos", "masks"] {
            std::fs::create_dir(garden.root().join(folder)).unwrap();
        }
        for index in 0..count {
            garden.write_photo(index, Self::photo(index));
            garden.write_labels(index, Self::labels(index));
        }
        garden
    }

    /// The photo of pair `index`.
    pub fn photo(index: usize) -> DynamicImage {
        let Size { height, width } = Self::SIZE;
        RgbImage::from_fn(width as u32, height as u32, |x, y| {
            image::Rgb([index as u8, (x * 30) as u8, (y * 40) as u8])
        })
        .into()
    }

    /// The label map of pair `index`: void above, grass below, and a dog in every third image.
    pub fn labels(index: usize) -> DynamicImage {
        let Size { height, width } = Self::SIZE;
        GrayImage::from_fn(width as u32, height as u32, |x, y| {
            let dog = index % 3 == 2 && x < 2;
            image::Luma([if y < 2 { 0 } else { 1 + u8::from(dog) }])
        })
        .into()
    }

    /// The root folder.
    pub fn root(&self) -> &Path {
        self.folder.path()
    }

    /// Path of the photo of pair `index`.
    pub fn photo_path(&self, index: usize) -> PathBuf {
        self.root().join(format!("photos/{index:02}.png"))
    }

    /// Path of the label map of pair `index`.
    pub fn labels_path(&self, index: usize) -> PathBuf {
        self.root().join(format!("masks/{index:02}.png"))
    }

    /// Writes or replaces a photo.
    pub fn write_photo(&self, index: usize, photo: DynamicImage) {
        photo.save(self.photo_path(index)).unwrap();
    }

    /// Writes or replaces a label map.
    pub fn write_labels(&self, index: usize, labels: DynamicImage) {
        labels.save(self.labels_path(index)).unwrap();
    }

    /// Describes instances and writes their maps: each dog is instance 300 plus the pair.
    pub fn describe_instances(&mut self) {
        let Size { height, width } = Self::SIZE;
        let folder = self.root().join("instances");
        std::fs::create_dir(&folder).unwrap();
        for index in 0.. {
            if !self.photo_path(index).exists() {
                break;
            }
            let number = |x, y| {
                if x < 2 && y >= 2 {
                    300 + index as u16
                } else {
                    0
                }
            };
            ImageBuffer::from_fn(width as u32, height as u32, |x, y| Luma([number(x, y)]))
                .save(folder.join(format!("{index:02}.png")))
                .unwrap();
        }
        if let Some(SplitFiles::Folders(folders)) = &mut self.description.train {
            let text = "png = { folder = \"instances\" }";
            folders.instances = Some(toml::from_str::<Instances>(text).unwrap());
        }
    }

    /// Opens the train split.
    pub fn open(&self) -> Result<DescribedFolder, DatasetError> {
        DescribedFolder::open(&self.description, self.root(), Split::Train)
    }
}

/// A named pipe in a folder.
#[cfg(unix)]
pub fn pipe(folder: &Path) -> PathBuf {
    let path = folder.join("pipe.png");
    let made = std::process::Command::new("mkfifo").arg(&path).status();
    assert!(made.unwrap().success());
    path
}

/// The checksum of a PNG chunk, over its type and data.
pub fn crc32(bytes: &[u8]) -> u32 {
    let mut crc = flate2::Crc::new();
    crc.update(bytes);
    crc.sum()
}

/// A JPEG with an EXIF segment that holds nothing but an orientation.
pub fn oriented(jpeg: &[u8], orientation: u8) -> Vec<u8> {
    let mut segment = vec![0xff, 0xe1, 0, 34];
    segment.extend(b"Exif\0\0MM\0\x2a\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0");
    segment.extend([orientation, 0, 0, 0, 0, 0, 0]);
    [&jpeg[..2], &segment, &jpeg[2..]].concat()
}

/// What stands in the header of a PNG, valid or not.
#[derive(Clone, Copy, Debug)]
pub struct PngHeader {
    /// Width and height in pixels.
    pub size: [u32; 2],
    /// Number of bits of a sample.
    pub depth: u8,
    /// Number of the colour type.
    pub colour: u8,
    /// 1 for interlaced files.
    pub interlace: u8,
}

/// A PNG made of this header, more chunks and these bytes as its packed pixels. All checksums are
/// right, so that nothing is refused because of them.
pub fn raw_png(header: PngHeader, chunks: &[(&[u8; 4], &[u8])], pixels: &[u8]) -> Vec<u8> {
    let [width, height] = header.size.map(u32::to_be_bytes);
    let rest = [header.depth, header.colour, 0, 0, header.interlace];
    let mut file = b"\x89PNG\r\n\x1a\n".to_vec();
    let mut add = |kind: &[u8; 4], data: &[u8]| {
        file.extend((data.len() as u32).to_be_bytes());
        let body = [kind.as_slice(), data].concat();
        file.extend(&body);
        file.extend(crc32(&body).to_be_bytes());
    };
    add(b"IHDR", &[&width[..], &height[..], &rest[..]].concat());
    for (kind, data) in chunks {
        add(kind, data);
    }
    let mut stream = ZlibEncoder::new(Vec::new(), Compression::none());
    stream.write_all(pixels).unwrap();
    add(b"IDAT", &stream.finish().unwrap());
    add(b"IEND", &[]);
    file
}

/// A folder with empty files of these names.
pub fn tree(files: &[&str]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for file in files {
        let path = folder.path().join(file);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, "").unwrap();
    }
    folder
}

/// Asserts that a message has all of these parts.
#[track_caller]
pub fn assert_says(message: &str, parts: &[&str]) {
    for part in parts {
        assert!(message.contains(part), "`{part}` is not in: {message}");
    }
}
