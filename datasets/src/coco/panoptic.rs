//! Panoptic annotations: PNGs of segment numbers, and a JSON file that says what these are.

use std::collections::{HashMap, HashSet};
use std::path::Path;

use png::{BitDepth, ColorType};
use serde::Deserialize;

use super::lenient::flag;
use super::{Categories, faulty, image_name, read_json};
use crate::error::DatasetError;
use crate::raster::{Refusal, read_png};
use crate::size::Size;

/// What a segment of an image is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Segment {
    /// A region or a crowd.
    NoInstance,
    /// An instance: its class and its number, counted from 1.
    Instance(u8, u16),
}

/// The segments of an image by number.
#[derive(Clone, Debug)]
pub(crate) struct PanopticImage(HashMap<u32, Segment>);

#[derive(Deserialize)]
struct PanopticFile {
    annotations: Vec<Annotation>,
    categories: Vec<Category>,
}

#[derive(Deserialize)]
struct Annotation {
    file_name: String,
    segments_info: Vec<SegmentInfo>,
}

#[derive(Deserialize)]
struct SegmentInfo {
    id: u32,
    category_id: i64,
    #[serde(default, deserialize_with = "flag")]
    iscrowd: bool,
}

#[derive(Deserialize)]
struct Category {
    id: i64,
    #[serde(deserialize_with = "flag")]
    isthing: bool,
}

/// Reads the images of a file like `panoptic_train2017.json` by `file_name` without its ending.
///
/// # Errors
/// When the file cannot be read, or with the place of what is wrong in it.
pub(crate) fn read_panoptic(
    path: &Path,
    categories: &Categories,
) -> Result<HashMap<String, PanopticImage>, DatasetError> {
    let file: PanopticFile = read_json(path)?;
    collect(file, categories).map_err(|problem| faulty(path, problem))
}

fn collect(
    file: PanopticFile,
    categories: &Categories,
) -> Result<HashMap<String, PanopticImage>, String> {
    let known: HashSet<i64> = file.categories.iter().map(|category| category.id).collect();
    let things = file.categories.iter().filter(|category| category.isthing);
    let things: HashSet<i64> = things.map(|category| category.id).collect();
    let mut images = HashMap::with_capacity(file.annotations.len());
    for annotation in file.annotations {
        let name = annotation.file_name;
        let mut segments = HashMap::with_capacity(annotation.segments_info.len());
        let mut count = 0_u16;
        for info in annotation.segments_info {
            let wrong = |problem: String| format!("segment {} of {name}: {problem}", info.id);
            let category = info.category_id;
            if !known.contains(&category) {
                return Err(wrong(format!("`categories` has no category {category}")));
            }
            let segment = if !info.iscrowd && things.contains(&category) {
                let class = categories.known_class(category).map_err(wrong)?;
                let more = || format!("more than {} instances", u16::MAX);
                count = count.checked_add(1).ok_or_else(more).map_err(wrong)?;
                Segment::Instance(class, count)
            } else {
                Segment::NoInstance
            };
            if segments.insert(info.id, segment).is_some() {
                return Err(wrong("it is listed twice".to_string()));
            }
        }
        let stem = image_name(&name);
        if images.insert(stem, PanopticImage(segments)).is_some() {
            return Err(format!("{name} is listed twice in `annotations`"));
        }
    }
    Ok(images)
}

impl PanopticImage {
    /// Reads the PNG of the image: its size, and the class and the number of the instance of every
    /// pixel, class 0 and number 0 where there is none.
    ///
    /// # Errors
    /// When the PNG is damaged, of another kind, or has a segment that `file`, the JSON file, does
    /// not list.
    pub(crate) fn read(
        &self,
        path: &Path,
        file: &Path,
    ) -> Result<(Size, Vec<(u8, u16)>), DatasetError> {
        let raster = read_png(path, refuse)?;
        let samples = raster.colour.samples();
        let pixels = raster.bytes.chunks_exact(samples).enumerate();
        let instances: Result<_, _> = pixels
            .map(|(index, pixel)| {
                let id = u32::from_le_bytes([pixel[0], pixel[1], pixel[2], 0]);
                match self.0.get(&id) {
                    Some(&Segment::Instance(class, number)) => Ok((class, number)),
                    Some(Segment::NoInstance) => Ok((0, 0)),
                    // Number 0 is void, which no file lists.
                    None if id == 0 => Ok((0, 0)),
                    None => Err(DatasetError::UnknownSegment {
                        path: path.to_path_buf(),
                        x: index % raster.size.width,
                        y: index / raster.size.width,
                        id,
                        file: file.to_path_buf(),
                    }),
                }
            })
            .collect();
        Ok((raster.size, instances?))
    }
}

/// Why a PNG of this kind holds no segment numbers, and what to do; `None` when it does.
fn refuse(colour: ColorType, depth: BitDepth) -> Option<Refusal> {
    match (colour, depth) {
        (ColorType::Rgb | ColorType::Rgba, BitDepth::Eight) => None,
        _ => Some((
            "no 8-bit RGB PNG",
            "give the panoptic PNGs, whose colours are the numbers of segments",
        )),
    }
}
