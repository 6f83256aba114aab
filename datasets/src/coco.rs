//! Annotation files in the format of COCO: instances as polygons or run lengths, and panoptic
//! segments.

use std::collections::{BTreeMap, HashMap};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::error::DatasetError;
use crate::open::{BYTE_ORDER_MARK, open_file};
use crate::size::Size;
use lenient::{Id, flag, side};
use shape::Shape;

mod lenient;
mod panoptic;
mod rle;
mod shape;

pub(crate) use panoptic::{PanopticImage, read_panoptic};
pub use rle::compress;

/// Most bytes a JSON file may have, several times as many as the largest of COCO: 8 GiB.
const MAX_BYTES: u64 = 1 << 33;

/// From the categories of an annotation file to class indices.
#[derive(Clone, Debug)]
pub(crate) struct Categories {
    /// Added to a category to get its id in the label maps.
    pub id_offset: i32,
    /// Class index by id.
    pub class_of_id: [Option<u8>; 256],
}

impl Categories {
    /// The class of a category; `None` when its id is not described.
    fn class(&self, category: i64) -> Option<u8> {
        let id = category.checked_add(i64::from(self.id_offset))?;
        self.class_of_id[usize::from(u8::try_from(id).ok()?)]
    }

    /// The class of a category that has instances.
    fn known_class(&self, category: i64) -> Result<u8, String> {
        self.class(category).ok_or_else(|| {
            format!(
                "category {category} with `id_offset` {} is in no `ids` of the description: \
                 correct `id_offset` or add the id",
                self.id_offset
            )
        })
    }
}

/// The instances of an image.
#[derive(Clone, Debug)]
pub(crate) struct CocoImage {
    size: Size,
    /// Class and shape of every instance, in file order.
    instances: Vec<(u8, Shape)>,
}

impl CocoImage {
    /// Size of the image.
    pub fn size(&self) -> Size {
        self.size
    }

    /// The instance number of every pixel of a label map of the same size, counted from 1 in file
    /// order; 0 is no instance.
    pub fn paint(&self, labels: &[u8]) -> Vec<u16> {
        let mut instances = vec![0; labels.len()];
        for (number, (class, shape)) in (1..).zip(&self.instances) {
            shape.visit(self.size, |pixel| {
                if labels[pixel] == *class {
                    instances[pixel] = number;
                }
            });
        }
        instances
    }
}

#[derive(Deserialize)]
struct InstancesFile {
    images: Vec<ImageEntry>,
    annotations: Vec<Annotation>,
}

#[derive(Deserialize)]
struct ImageEntry {
    id: Id,
    file_name: String,
    #[serde(deserialize_with = "side")]
    height: usize,
    #[serde(deserialize_with = "side")]
    width: usize,
}

#[derive(Deserialize)]
struct Annotation {
    /// For messages alone.
    #[serde(default)]
    id: Option<Id>,
    image_id: Id,
    category_id: i64,
    #[serde(default, deserialize_with = "flag")]
    iscrowd: bool,
    #[serde(default)]
    segmentation: Option<shape::Segmentation>,
    /// Left, top, width and height, in pixels.
    #[serde(default)]
    bbox: Option<[f32; 4]>,
}

impl Annotation {
    /// The shape of the instance, which is its box where it has no other.
    fn shape(self, image: Size) -> Result<Shape, String> {
        match (self.segmentation, self.bbox) {
            (Some(shape), bbox) if !(shape.is_empty() && bbox.is_some()) => shape.shape(image),
            (_, Some([left, top, width, height])) => {
                let (right, bottom) = (left + width, top + height);
                let corners = vec![left, top, right, top, right, bottom, left, bottom];
                shape::Segmentation::Polygons(vec![corners]).shape(image)
            }
            _ => Err("it has neither `segmentation` nor `bbox`".to_string()),
        }
    }
}

/// Reads the images of a file like `instances_train2017.json` by `file_name` without its ending, as
/// pycocotools reads them and leaves them out: sizes may be `48.0`, `iscrowd` may be `false`, and an
/// instance without `segmentation` is its `bbox`.
///
/// # Errors
/// When the file cannot be read, or with the place of what is wrong in it.
pub(crate) fn read_instances(
    path: &Path,
    categories: &Categories,
) -> Result<HashMap<String, CocoImage>, DatasetError> {
    let file: InstancesFile = read_json(path)?;
    collect(file, categories).map_err(|problem| faulty(path, problem))
}

fn collect(
    file: InstancesFile,
    categories: &Categories,
) -> Result<HashMap<String, CocoImage>, String> {
    let mut images = BTreeMap::new();
    for entry in file.images {
        let size = Size::new(entry.height, entry.width);
        let image = CocoImage {
            size,
            instances: Vec::new(),
        };
        let named = (entry.file_name, image);
        if images.insert(entry.id.clone(), named).is_some() {
            return Err(format!("image {} is listed twice", entry.id));
        }
    }
    let mut work: HashMap<Id, u64> = HashMap::new();
    for (place, annotation) in file.annotations.into_iter().enumerate() {
        let image_id = annotation.image_id.clone();
        let id = match &annotation.id {
            Some(id) => id.to_string(),
            None => format!("number {place}"),
        };
        let wrong = |problem: String| format!("annotation {id} of image {image_id}: {problem}");
        let Some((_, image)) = images.get_mut(&image_id) else {
            return Err(wrong("`images` has no such image".to_string()));
        };
        if annotation.iscrowd {
            continue;
        }
        if image.instances.len() == usize::from(u16::MAX) {
            return Err(wrong(format!("more than {} instances", u16::MAX)));
        }
        let class = categories.known_class(annotation.category_id);
        let class = class.map_err(wrong)?;
        let shape = annotation.shape(image.size).map_err(wrong)?;
        let sum = work.entry(image_id.clone()).or_default();
        *sum = sum.saturating_add(shape.work(image.size));
        let most = most_work(image.size);
        if *sum > most {
            return Err(wrong(format!(
                "the instances up to this one take {sum} steps to draw, more than {most} for an image \
                 of {}: simplify their shapes",
                image.size
            )));
        }
        image.instances.push((class, shape));
    }
    let mut named = HashMap::with_capacity(images.len());
    for (id, (file_name, image)) in images {
        let name = image_name(&file_name);
        if named.insert(name, image).is_some() {
            return Err(format!("image {id}: another one has the name {file_name}"));
        }
    }
    Ok(named)
}

/// Most steps that drawing the instances of an image may take: 256 a pixel. Files of COCO take less than
/// ten.
fn most_work(size: Size) -> u64 {
    let pixels = (size.height as u64).saturating_mul(size.width as u64);
    pixels.saturating_mul(256).saturating_add(1 << 20)
}

/// A `file_name` as a path below a folder, without ending; some tools write `\`.
fn image_name(file_name: &str) -> String {
    without_ending(&file_name.replace('\\', "/")).to_string()
}

/// Cuts the ending off a file name.
fn without_ending(name: &str) -> &str {
    match name.rsplit_once('.') {
        Some((stem, ending)) if !ending.contains('/') => stem,
        _ => name,
    }
}

fn read_json<T: DeserializeOwned>(path: &Path) -> Result<T, DatasetError> {
    let file = open_file(path, MAX_BYTES)?;
    let mut reader = BufReader::with_capacity(1 << 20, file);
    let start = reader.fill_buf().map_err(DatasetError::read(path))?;
    // Editors on Windows put a mark in front of a text.
    if start.starts_with(BYTE_ORDER_MARK) {
        reader.consume(BYTE_ORDER_MARK.len());
    }
    serde_json::from_reader(reader).map_err(|error| faulty(path, error.to_string()))
}

fn faulty(path: &Path, problem: String) -> DatasetError {
    DatasetError::Annotations {
        path: PathBuf::from(path),
        problem,
    }
}

#[cfg(test)]
mod hostile;
#[cfg(test)]
mod tests;
