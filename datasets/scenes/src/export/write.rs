//! The files of a split: photos, label maps, instance maps and annotation files.

use std::path::{Path, PathBuf};

use dp_sims_datasets::description::{Folders, Instances};
use dp_sims_datasets::{DatasetError, Description, Sample, Size};
use image::codecs::jpeg::JpegEncoder;
use image::codecs::png::PngEncoder;
use image::{ExtendedColorType, ImageEncoder};
use serde::Serialize;

use super::annotations::{Record, SegmentRecord, instances_file, panoptic_file, segment_number};
use super::classes::ClassMap;
use super::segments::{Segment, instance_values, segments};
use super::write_error;

/// Quality of JPEG photos, of 100.
const JPEG_QUALITY: u8 = 95;

/// Writes the images of a split.
pub(super) struct SplitWriter<'a> {
    /// The root folder of the dataset.
    pub root: &'a Path,
    /// Where photos and label maps go.
    pub folders: &'a Folders,
    /// Kinds of instances to write.
    pub sources: &'a [Instances],
    pub classes: &'a ClassMap,
    pub description: &'a Description,
}

impl SplitWriter<'_> {
    /// Writes the files of one image under `name` and returns what goes into annotation files.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub fn write(&self, name: &str, id: usize, sample: &Sample) -> Result<Record, DatasetError> {
        let size = Size::new(sample.height, sample.width);
        let ids = sample.labels.iter().map(|&label| self.classes.id(label));
        let ids: Vec<u8> = ids.collect();
        let segments = segments(&ids, &self.things(sample), self.classes.void());

        let folders = self.folders;
        let photo_suffix = folders.image_suffixes.first().map_or(".png", |end| end);
        let photo = self.path(&folders.images, name, photo_suffix);
        write_image(&photo, &sample.image, size, ExtendedColorType::Rgb8)?;
        let labels = self.path(&folders.labels, name, &folders.label_suffix);
        write_image(&labels, &ids, size, ExtendedColorType::L8)?;
        for source in self.sources {
            match source {
                Instances::Png(png) => {
                    let values = instance_values(&ids, &segments, png.first);
                    // The encoder takes the byte order of the machine.
                    let bytes: Vec<u8> = values.into_iter().flat_map(u16::to_ne_bytes).collect();
                    let path = self.path(&png.folder, name, &png.suffix);
                    write_image(&path, &bytes, size, ExtendedColorType::L16)?;
                }
                Instances::Panoptic(files) => {
                    let path = self.path(&files.folder, name, &files.suffix);
                    let colours = segment_colours(&segments, size);
                    write_image(&path, &colours, size, ExtendedColorType::Rgb8)?;
                }
                // All images share a file.
                Instances::Coco(_) => {}
            }
        }
        Ok(Record {
            id,
            name: name.to_string(),
            photo: format!("{name}{photo_suffix}"),
            size,
            segments: segments
                .iter()
                .map(|segment| SegmentRecord::new(segment, size))
                .collect(),
        })
    }

    /// Writes the annotation files of the split.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub fn finish(&self, records: &[Record]) -> Result<(), DatasetError> {
        for source in self.sources {
            match source {
                Instances::Png(_) => {}
                Instances::Coco(coco) => {
                    let file = instances_file(records, self.description, coco.id_offset);
                    write_json(&self.root.join(&coco.file), &file)?;
                }
                Instances::Panoptic(files) => {
                    let (offset, suffix) = (files.id_offset, &files.suffix);
                    let file = panoptic_file(records, self.description, offset, suffix);
                    write_json(&self.root.join(&files.file), &file)?;
                }
            }
        }
        Ok(())
    }

    fn path(&self, folder: &Path, name: &str, suffix: &str) -> PathBuf {
        self.root.join(folder).join(format!("{name}{suffix}"))
    }

    /// The instance number of every pixel that becomes a thing; 0 elsewhere.
    fn things(&self, sample: &Sample) -> Vec<u16> {
        let Some(instances) = &sample.instances else {
            return vec![0; sample.labels.len()];
        };
        let number = |(&label, &number): (&u8, &u16)| match self.classes.is_thing(label) {
            true => number,
            false => 0,
        };
        sample.labels.iter().zip(instances).map(number).collect()
    }
}

/// The pixels of a panoptic PNG, `[height, width, 3]`: R + 256 G + 65536 B is the segment.
fn segment_colours(segments: &[Segment], size: Size) -> Vec<u8> {
    let mut pixels = vec![0; 3 * size.pixels()];
    for (index, segment) in segments.iter().enumerate() {
        let bytes = segment_number(index).to_le_bytes();
        for &pixel in &segment.pixels {
            pixels[3 * pixel..][..3].copy_from_slice(&bytes[..3]);
        }
    }
    pixels
}

/// Writes an image as JPEG or PNG, as its name ends.
fn write_image(
    path: &Path,
    pixels: &[u8],
    size: Size,
    colour: ExtendedColorType,
) -> Result<(), DatasetError> {
    let (width, height) = (size.width as u32, size.height as u32);
    let mut bytes = Vec::new();
    let jpeg = path.extension().is_some_and(|ending| {
        ending.eq_ignore_ascii_case("jpg") || ending.eq_ignore_ascii_case("jpeg")
    });
    let encoded = if jpeg {
        let encoder = JpegEncoder::new_with_quality(&mut bytes, JPEG_QUALITY);
        encoder.write_image(pixels, width, height, colour)
    } else {
        PngEncoder::new(&mut bytes).write_image(pixels, width, height, colour)
    };
    encoded.map_err(|error| write_error(path, std::io::Error::other(error)))?;
    write_file(path, &bytes)
}

fn write_json(path: &Path, value: &impl Serialize) -> Result<(), DatasetError> {
    let bytes = serde_json::to_vec(value).map_err(|error| write_error(path, error.into()))?;
    write_file(path, &bytes)
}

/// Writes a file and the folders it is in.
fn write_file(path: &Path, bytes: &[u8]) -> Result<(), DatasetError> {
    let folder = path.parent().unwrap_or(path);
    std::fs::create_dir_all(folder)
        .and_then(|()| std::fs::write(path, bytes))
        .map_err(|source| write_error(path, source))
}
