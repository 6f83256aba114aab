//! Annotation files in the format of COCO: instances and panoptic segments.

use dp_sims_datasets::coco::compress;
use dp_sims_datasets::{Description, Size};
use serde::Serialize;

use super::segments::Segment;

/// What annotation files say of one image.
pub(super) struct Record {
    /// Number of the image.
    pub id: usize,
    /// Name without suffix.
    pub name: String,
    /// Name of the photo.
    pub photo: String,
    pub size: Size,
    pub segments: Vec<SegmentRecord>,
}

/// What annotation files say of a region.
pub(super) struct SegmentRecord {
    /// Id of the class in the label map.
    id: u8,
    thing: bool,
    area: usize,
    rectangle: [usize; 4],
    /// Run lengths in COCO's compressed form.
    counts: String,
}

impl SegmentRecord {
    pub fn new(segment: &Segment, size: Size) -> Self {
        Self {
            id: segment.id,
            thing: segment.thing,
            area: segment.pixels.len(),
            rectangle: segment.rectangle(size),
            counts: compress(&segment.runs(size)),
        }
    }
}

/// Number of the segment `index` of an image in its panoptic PNG; 0 is void.
pub(super) fn segment_number(index: usize) -> u32 {
    index as u32 + 1
}

#[derive(Serialize)]
struct Info {
    description: &'static str,
}

const INFO: Info = Info {
    description: "procedural street scenes, written by dp-sims dataset export",
};

#[derive(Serialize)]
struct Image<'a> {
    id: usize,
    file_name: &'a str,
    height: usize,
    width: usize,
}

#[derive(Serialize)]
struct Category<'a> {
    id: i64,
    name: &'a str,
    supercategory: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    isthing: Option<u8>,
    #[serde(skip_serializing_if = "Option::is_none")]
    color: Option<[u8; 3]>,
}

/// A file like `instances_train2017.json`.
#[derive(Serialize)]
pub(super) struct InstancesFile<'a> {
    info: Info,
    images: Vec<Image<'a>>,
    annotations: Vec<Instance<'a>>,
    categories: Vec<Category<'a>>,
}

#[derive(Serialize)]
struct Instance<'a> {
    id: usize,
    image_id: usize,
    category_id: i64,
    iscrowd: u8,
    area: usize,
    bbox: [usize; 4],
    segmentation: Runs<'a>,
}

#[derive(Serialize)]
struct Runs<'a> {
    size: [usize; 2],
    counts: &'a str,
}

/// A file like `panoptic_train2017.json`.
#[derive(Serialize)]
pub(super) struct PanopticFile<'a> {
    info: Info,
    images: Vec<Image<'a>>,
    annotations: Vec<Panoptic>,
    categories: Vec<Category<'a>>,
}

#[derive(Serialize)]
struct Panoptic {
    image_id: usize,
    file_name: String,
    segments_info: Vec<SegmentInfo>,
}

#[derive(Serialize)]
struct SegmentInfo {
    id: u32,
    category_id: i64,
    iscrowd: u8,
    area: usize,
    bbox: [usize; 4],
}

/// The category of an id: what the offset is added to.
fn category(id: u8, offset: i32) -> i64 {
    i64::from(id) - i64::from(offset)
}

fn images(records: &[Record]) -> Vec<Image<'_>> {
    let images = records.iter().map(|record| Image {
        id: record.id,
        file_name: &record.photo,
        height: record.size.height,
        width: record.size.width,
    });
    images.collect()
}

/// The instances of a split; things alone are categories.
pub(super) fn instances_file<'a>(
    records: &'a [Record],
    description: &'a Description,
    id_offset: i32,
) -> InstancesFile<'a> {
    let mut annotations = Vec::new();
    for record in records {
        for segment in record.segments.iter().filter(|segment| segment.thing) {
            annotations.push(Instance {
                id: annotations.len() + 1,
                image_id: record.id,
                category_id: category(segment.id, id_offset),
                iscrowd: 0,
                area: segment.area,
                bbox: segment.rectangle,
                segmentation: Runs {
                    size: [record.size.height, record.size.width],
                    counts: &segment.counts,
                },
            });
        }
    }
    let things = description.classes.iter().filter(|class| class.thing);
    let categories = things.flat_map(|class| {
        let one = |&id: &u8| Category {
            id: category(id, id_offset),
            name: &class.name,
            supercategory: &class.name,
            isthing: None,
            color: None,
        };
        class.ids.iter().map(one)
    });
    InstancesFile {
        info: INFO,
        images: images(records),
        annotations,
        categories: categories.collect(),
    }
}

/// The segments of a split; every class is a category. `suffix` ends the names of the PNGs.
pub(super) fn panoptic_file<'a>(
    records: &'a [Record],
    description: &'a Description,
    id_offset: i32,
    suffix: &str,
) -> PanopticFile<'a> {
    let annotation = |record: &Record| Panoptic {
        image_id: record.id,
        file_name: format!("{}{suffix}", record.name),
        segments_info: (0..)
            .zip(&record.segments)
            .map(|(index, segment)| SegmentInfo {
                id: segment_number(index),
                category_id: category(segment.id, id_offset),
                iscrowd: 0,
                area: segment.area,
                bbox: segment.rectangle,
            })
            .collect(),
    };
    let categories = description.classes.iter().flat_map(|class| {
        let one = |&id: &u8| Category {
            id: category(id, id_offset),
            name: &class.name,
            supercategory: &class.name,
            isthing: Some(class.thing.into()),
            color: Some(class.colour),
        };
        class.ids.iter().map(one)
    });
    PanopticFile {
        info: INFO,
        images: images(records),
        annotations: records.iter().map(annotation).collect(),
        categories: categories.collect(),
    }
}
