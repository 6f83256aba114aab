use image::{ImageBuffer, Luma, RgbImage};
use serde_json::json;

use super::*;
use crate::description::{CocoFile, Folders, InstancePng, PanopticFiles, SplitFiles};
use crate::folder::DescribedFolder;
use crate::sample::LabelledImages;
use crate::size::Size;
use crate::testing::Garden;
use crate::testing::assert_says;

/// A garden of three images with this source of instances. Image 2 has a dog at columns 0 and 1 of
/// rows 2 to 5, as class 2 with id 2.
fn garden(source: Instances) -> Garden {
    let mut garden = Garden::new(3);
    let Some(SplitFiles::Folders(folders)) = &mut garden.description.train else {
        panic!("the garden is described by folders");
    };
    *folders = Folders {
        instances: Some(source),
        ..folders.clone()
    };
    std::fs::create_dir(garden.root().join("numbers")).unwrap();
    garden
}

fn png_source(first: u16) -> Instances {
    Instances::Png(InstancePng {
        folder: "numbers".into(),
        suffix: "_i.png".to_string(),
        first,
    })
}

/// Writes the instance map of every image.
fn write_numbers(garden: &Garden, number: impl Fn(u32, u32) -> u16) {
    for index in 0..3 {
        let map = ImageBuffer::from_fn(8, 6, |x, y| Luma([number(x, y)]));
        let path = garden.root().join(format!("numbers/{index:02}_i.png"));
        map.save(path).unwrap();
    }
}

fn open(garden: &Garden) -> Result<DescribedFolder, DatasetError> {
    garden.open().and_then(DescribedFolder::with_instances)
}

/// The instances of an image at full size.
fn instances(garden: &Garden, index: usize) -> Result<Vec<u16>, DatasetError> {
    let sample = open(garden)?.sample(index, Garden::SIZE)?;
    assert_eq!(sample.labels, Garden::labels(index).into_bytes());
    Ok(sample.instances.unwrap())
}

/// The map with these numbers in columns 0 and 1 of rows 2 to 5.
fn dogs(columns: [u16; 2]) -> Vec<u16> {
    let row = |y: usize| if y < 2 { [0, 0] } else { columns };
    (0..6)
        .flat_map(|y| [&row(y)[..], &[0; 6]].concat())
        .collect()
}

#[test]
fn png_numbers_from_the_first_on_are_instances_of_things() {
    let garden = garden(png_source(1000));
    // Column 0 is below 1000, and only the dog of image 2 is a thing.
    write_numbers(&garden, |x, _| if x == 0 { 26 } else { 26_000 + x as u16 });
    assert_eq!(instances(&garden, 2).unwrap(), dogs([0, 26_001]));
    assert_eq!(instances(&garden, 0).unwrap(), [0; 48]);
    // Without asking, no instance is read.
    let plain = garden.open().unwrap().sample(2, Garden::SIZE).unwrap();
    assert_eq!(plain.instances, None);

    let half = open(&garden).unwrap().sample(2, Size::new(3, 4)).unwrap();
    let expected = [0, 0, 0, 0, 26_001, 0, 0, 0, 26_001, 0, 0, 0];
    assert_eq!(half.instances.as_deref(), Some(&expected[..]));
    // Two pixels at rows 1 and 2 with the mean 1.5, in one column.
    let offsets = half.offsets().unwrap();
    assert_eq!((offsets[4], offsets[8]), (0.5 / 3.0, -0.5 / 3.0));
    assert!(offsets[12..].iter().all(|&x| x == 0.0));
}

#[test]
fn narrow_numbers_are_read_and_others_refused_by_name() {
    let garden = garden(png_source(1));
    let path = garden.root().join("numbers/02_i.png");
    write_numbers(&garden, |_, _| 3);
    image::GrayImage::from_pixel(8, 6, Luma([200]))
        .save(&path)
        .unwrap();
    assert_eq!(instances(&garden, 2).unwrap(), dogs([200, 200]));
    image::GrayImage::new(8, 5).save(&path).unwrap();
    let error = instances(&garden, 2).unwrap_err();
    assert!(
        matches!(error, DatasetError::InstanceSize { .. }),
        "{error}"
    );
    assert!(
        error.to_string().contains("numbers/02_i.png are 5x8"),
        "{error}"
    );
    RgbImage::new(8, 6).save(&path).unwrap();
    let message = instances(&garden, 2).unwrap_err().to_string();
    assert_says(&message, &["02_i.png is a colour PNG"]);
    std::fs::remove_file(&path).unwrap();
    let message = instances(&garden, 2).unwrap_err().to_string();
    assert_says(&message, &["numbers/02_i.png is missing"]);
}

#[test]
fn coco_polygons_become_instances() {
    let garden = garden(Instances::Coco(CocoFile {
        file: "instances.json".into(),
        id_offset: -1,
    }));
    let write = |last: &str| {
        let image =
            |id: usize, name: &str| json!({"id": id, "file_name": name, "height": 6, "width": 8});
        let dog = |left: usize| {
            let polygon = [left, 0, left + 1, 0, left + 1, 6, left, 6];
            json!({"id": left, "image_id": 2, "category_id": 3, "segmentation": [polygon]})
        };
        let json = json!({
            "images": [image(0, "00.png"), image(1, "01.jpg"), image(2, last)],
            "annotations": [dog(1), dog(0)],
        });
        std::fs::write(garden.root().join("instances.json"), json.to_string()).unwrap();
    };
    write("02.jpg");
    assert_eq!(instances(&garden, 2).unwrap(), dogs([2, 1]));
    assert_eq!(instances(&garden, 1).unwrap(), [0; 48]);
    write("03.jpg");
    let message = open(&garden).unwrap_err().to_string();
    assert_says(&message, &["instances.json: no image has the name 02"]);
}

#[test]
fn panoptic_segments_become_instances() {
    let garden = garden(Instances::Panoptic(PanopticFiles {
        folder: "numbers".into(),
        suffix: ".png".to_string(),
        file: "panoptic.json".into(),
        id_offset: 0,
    }));
    let annotation = |index: usize| {
        // The last column of image 2 is no dog in the label map.
        RgbImage::from_fn(8, 6, |x, _| image::Rgb([x as u8 % 7, 1, 0]))
            .save(garden.root().join(format!("numbers/{index:02}.png")))
            .unwrap();
        let segments =
            (0..7).map(|x| json!({"id": 256 + x, "category_id": if x < 2 { 2 } else { 9 }}));
        json!({
            "file_name": format!("{index:02}.png"),
            "segments_info": segments.collect::<Vec<_>>(),
        })
    };
    let json = json!({
        "annotations": (0..3).map(annotation).collect::<Vec<_>>(),
        "categories": [{"id": 2, "isthing": 1}, {"id": 9, "isthing": 0}],
    });
    std::fs::write(garden.root().join("panoptic.json"), json.to_string()).unwrap();
    assert_eq!(instances(&garden, 2).unwrap(), dogs([1, 2]));
    assert_eq!(instances(&garden, 0).unwrap(), [0; 48]);
    image::RgbImage::new(8, 7)
        .save(garden.root().join("numbers/00.png"))
        .unwrap();
    let error = instances(&garden, 0).unwrap_err();
    assert!(
        matches!(error, DatasetError::InstanceSize { .. }),
        "{error}"
    );
}

#[test]
fn instances_that_are_not_described_are_refused() {
    let message = open(&Garden::new(1)).unwrap_err().to_string();
    assert_says(&message, &["[train.folders.instances.png]"]);
}

#[test]
fn entries_are_found_whatever_folders_are_in_front() {
    let pair = |name: &str, image: &str| Pair {
        name: name.into(),
        image: image.into(),
        labels: "m.png".into(),
    };
    let order = |names: &[&str], pairs: &[Pair]| {
        let images = names
            .iter()
            .map(|name| (name.to_string(), name.to_string()));
        in_order(images.collect(), Path::new("i.json"), pairs).map_err(|error| error.to_string())
    };
    let pairs = [pair("1", "p/1.jpg"), pair("2", "p/2_photo.jpg")];
    assert_eq!(
        order(&["train2017/1", "2_photo"], &pairs).unwrap(),
        ["train2017/1", "2_photo"]
    );
    let pairs = [pair("ulm/1", "p/ulm/1.jpg"), pair("bonn/2", "p/bonn/2.jpg")];
    assert_eq!(order(&["2", "x/ulm/1"], &pairs).unwrap(), ["x/ulm/1", "2"]);
    // Of two that could be meant, and of other folders, none is.
    for names in [["x/2", "y/2"], ["rome/2", "ulm/1"]] {
        let message = order(&names, &pairs[1..]).unwrap_err();
        assert_says(&message, &["no image has the name bonn/2"]);
    }
}
