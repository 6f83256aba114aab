//! Annotation files in the format of COCO: instances as polygons or run lengths, and panoptic
//! segments.

use std::collections::{BTreeMap, HashMap};
use std::io::BufReader;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::error::DatasetError;
use crate::open::open_file;
use crate::sample::Size;
use shape::Shape;

mod panoptic;
mod rle;
mod shape;

pub(crate) use panoptic::{PanopticImage, read_panoptic};
pub(crate) use rle::compress;

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
    id: i64,
    file_name: String,
    height: usize,
    width: usize,
}

#[derive(Deserialize)]
struct Annotation {
    id: i64,
    image_id: i64,
    category_id: i64,
    #[serde(default)]
    iscrowd: u8,
    segmentation: shape::Segmentation,
}

/// Reads the images of a file like `instances_train2017.json` by `file_name` without its ending.
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
        if images.insert(entry.id, (entry.file_name, image)).is_some() {
            return Err(format!("image {} is listed twice", entry.id));
        }
    }
    for annotation in file.annotations {
        let Annotation { id, image_id, .. } = annotation;
        let wrong = |problem: String| format!("annotation {id} of image {image_id}: {problem}");
        let Some((_, image)) = images.get_mut(&image_id) else {
            return Err(wrong("`images` has no such image".to_string()));
        };
        if annotation.iscrowd != 0 {
            continue;
        }
        if image.instances.len() == usize::from(u16::MAX) {
            return Err(wrong(format!("more than {} instances", u16::MAX)));
        }
        let class = categories.known_class(annotation.category_id);
        let shape = annotation.segmentation.shape(image.size);
        image
            .instances
            .push((class.map_err(wrong)?, shape.map_err(wrong)?));
    }
    let mut named = HashMap::with_capacity(images.len());
    for (id, (file_name, image)) in images {
        let name = without_ending(&file_name).to_string();
        if named.insert(name, image).is_some() {
            return Err(format!("image {id}: another one has the name {file_name}"));
        }
    }
    Ok(named)
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
    serde_json::from_reader(BufReader::with_capacity(1 << 20, file))
        .map_err(|error| faulty(path, error.to_string()))
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
