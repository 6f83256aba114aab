//! The instance maps of a split, from whatever source its description names.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use png::{BitDepth, ColorType};

use crate::coco::{Categories, CocoImage, PanopticImage, read_instances, read_panoptic};
use crate::description::Instances;
use crate::error::DatasetError;
use crate::files::{Pair, find_named};
use crate::labels::LabelMap;
use crate::raster::{Refusal, read_png};
use crate::size::Size;

/// The instances of every image of a split, in dataset order.
#[derive(Clone, Debug)]
pub(crate) enum InstanceMaps {
    /// PNGs and the smallest value that is an instance.
    Png { paths: Arc<[PathBuf]>, first: u16 },
    /// Images of the JSON file `file`.
    Coco {
        file: PathBuf,
        images: Arc<[CocoImage]>,
    },
    /// PNGs and what the JSON file `file` says of them.
    Panoptic {
        file: PathBuf,
        images: Arc<[(PathBuf, PanopticImage)]>,
    },
}

/// Reads an instance PNG, gray or palette, of up to 16 bits: its size and the number of every pixel,
/// row-major `[height, width]`; values below `first` become 0, no instance.
///
/// # Errors
/// When the file is damaged or of another kind.
pub fn read_instance_png(path: &Path, first: u16) -> Result<(Size, Vec<u16>), DatasetError> {
    let raster = read_png(path, refuse)?;
    let number = |value: u16| if value >= first { value } else { 0 };
    Ok((
        raster.size,
        raster.values().into_iter().map(number).collect(),
    ))
}

impl InstanceMaps {
    /// Finds the instances of every pair.
    ///
    /// # Errors
    /// When a JSON file is not valid or an image has no instance map or entry.
    pub fn open(
        source: &Instances,
        root: &Path,
        pairs: &[Pair],
        class_of_id: [Option<u8>; 256],
    ) -> Result<Self, DatasetError> {
        let categories = |id_offset| Categories {
            id_offset,
            class_of_id,
        };
        match source {
            Instances::Png(png) => {
                let paths = beside(&root.join(&png.folder), &png.suffix, pairs)?;
                Ok(Self::Png {
                    paths: paths.into(),
                    first: png.first,
                })
            }
            Instances::Coco(coco) => {
                let file = root.join(&coco.file);
                let images = read_instances(&file, &categories(coco.id_offset))?;
                let images = in_order(images, &file, pairs)?;
                Ok(Self::Coco {
                    file,
                    images: images.into(),
                })
            }
            Instances::Panoptic(panoptic) => {
                let paths = beside(&root.join(&panoptic.folder), &panoptic.suffix, pairs)?;
                let file = root.join(&panoptic.file);
                let images = read_panoptic(&file, &categories(panoptic.id_offset))?;
                let images = in_order(images, &file, pairs)?;
                Ok(Self::Panoptic {
                    file,
                    images: paths.into_iter().zip(images).collect(),
                })
            }
        }
    }

    /// Instance number of every pixel of image `index`, row-major `[height, width]` of its label
    /// map `map`, the file `labels`; 0 is no instance. Other classes than things may have numbers.
    ///
    /// # Errors
    /// When a file is damaged or has another size than the label map.
    pub fn read(
        &self,
        index: usize,
        map: &LabelMap,
        labels: &Path,
    ) -> Result<Vec<u16>, DatasetError> {
        let same_size = |instances: &Path, instance_size| {
            if instance_size == map.size {
                return Ok(());
            }
            Err(DatasetError::InstanceSize {
                instances: instances.to_path_buf(),
                instance_size,
                labels: labels.to_path_buf(),
                label_size: map.size,
            })
        };
        match self {
            Self::Png { paths, first } => {
                let (size, numbers) = read_instance_png(&paths[index], *first)?;
                same_size(&paths[index], size)?;
                Ok(numbers)
            }
            Self::Coco { file, images } => {
                same_size(file, images[index].size())?;
                Ok(images[index].paint(&map.labels))
            }
            Self::Panoptic { file, images } => {
                let (path, image) = &images[index];
                let (size, instances) = image.read(path, file)?;
                same_size(path, size)?;
                let agree = |((class, number), &label): ((u8, u16), &u8)| {
                    if class == label { number } else { 0 }
                };
                Ok(instances.into_iter().zip(&map.labels).map(agree).collect())
            }
        }
    }
}

/// The file under `folder` of the same name for every pair.
fn beside(folder: &Path, suffix: &str, pairs: &[Pair]) -> Result<Vec<PathBuf>, DatasetError> {
    let mut found: BTreeMap<String, PathBuf> = find_named(folder, &[suffix.to_string()], &mut Err)?;
    let path = |pair: &Pair| {
        found
            .remove(&pair.name)
            .ok_or_else(|| DatasetError::MissingPair {
                missing: folder.join(format!("{}{suffix}", pair.name)),
                partner: pair.labels.clone(),
            })
    };
    pairs.iter().map(path).collect()
}

/// The entry of the JSON file `file` for every pair: that of its name or of the name of its photo, or,
/// where tools have put other folders in front or left them out, the only one of that last part.
fn in_order<T>(
    mut images: HashMap<String, T>,
    file: &Path,
    pairs: &[Pair],
) -> Result<Vec<T>, DatasetError> {
    let mut by_last: HashMap<String, Vec<String>> = HashMap::new();
    for name in images.keys() {
        let last = name.rsplit('/').next().unwrap_or(name);
        by_last
            .entry(last.to_string())
            .or_default()
            .push(name.clone());
    }
    let key = |pair: &Pair, images: &HashMap<String, T>| {
        let folder = pair
            .name
            .rfind('/')
            .map_or("", |slash| &pair.name[..=slash]);
        let stem = pair.image.file_stem().unwrap_or_default().to_string_lossy();
        let names = [pair.name.clone(), format!("{folder}{stem}")];
        let mut whole = names.iter().filter(|name| images.contains_key(*name));
        if let Some(name) = whole.next() {
            return Some(name.clone());
        }
        names.iter().find_map(|name| {
            let last = name.rsplit('/').next().unwrap_or(name);
            match by_last.get(last).map(Vec::as_slice) {
                Some([only]) if is_end_of(name, only) || is_end_of(only, name) => {
                    Some(only.clone())
                }
                _ => None,
            }
        })
    };
    let entry = |pair: &Pair| {
        let found = key(pair, &images).and_then(|name| images.remove(&name));
        found.ok_or_else(|| DatasetError::Annotations {
            path: file.to_path_buf(),
            problem: format!(
                "no image has the name {}, but {} exists: use the file of this split",
                pair.name,
                pair.image.display()
            ),
        })
    };
    pairs.iter().map(entry).collect()
}

/// Whether a path is the last part of another.
fn is_end_of(end: &str, path: &str) -> bool {
    let rest = path.strip_suffix(end);
    rest.is_some_and(|rest| rest.is_empty() || rest.ends_with('/'))
}

/// Why a PNG of this kind holds no instance numbers, and what to do; `None` when it does.
fn refuse(colour: ColorType, _: BitDepth) -> Option<Refusal> {
    match colour {
        ColorType::Grayscale | ColorType::Indexed => None,
        ColorType::Rgb | ColorType::Rgba | ColorType::GrayscaleAlpha => Some((
            "a colour PNG or one with an alpha channel",
            "write the instance numbers as 8-bit or 16-bit gray values",
        )),
    }
}

#[cfg(test)]
mod tests;
