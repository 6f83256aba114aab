use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::testing::assert_says;

/// Ids 0 and 1 are the classes 1 and 2; categories are one above.
fn categories() -> Categories {
    let mut class_of_id = [None; 256];
    (class_of_id[0], class_of_id[1], class_of_id[255]) = (Some(1), Some(2), Some(0));
    Categories {
        id_offset: -1,
        class_of_id,
    }
}

/// A file with two images of 2x4 pixels: overlapping polygons, both kinds of run lengths, a crowd.
fn instances() -> Value {
    let square = |left: f32, right: f32| json!([[left, 0, right, 0, right, 2, left, 2]]);
    json!({
        "info": {"year": 2017},
        "images": [
            {"id": 7, "file_name": "a.jpg", "height": 2, "width": 4, "license": 3},
            {"id": 9, "file_name": "sub.d/b.JPG", "height": 2, "width": 4},
        ],
        "annotations": [
            {"id": 1, "image_id": 7, "category_id": 1, "iscrowd": 0, "area": 4.5,
             "segmentation": square(0.0, 2.0)},
            {"id": 2, "image_id": 7, "category_id": 1, "iscrowd": 0,
             "segmentation": square(1.0, 3.0)},
            {"id": 3, "image_id": 7, "category_id": 2, "iscrowd": 0,
             "segmentation": square(0.0, 4.0)},
            {"id": 4, "image_id": 9, "category_id": 1, "iscrowd": 1,
             "segmentation": {"size": [2, 4], "counts": [0, 8]}},
            {"id": 5, "image_id": 9, "category_id": 1,
             "segmentation": {"size": [2, 4], "counts": [1, 3, 4]}},
            {"id": 6, "image_id": 9, "category_id": 1,
             "segmentation": {"size": [2, 4], "counts": "611"}},
        ],
    })
}

fn write(text: &str) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("instances.json");
    std::fs::write(&path, text).unwrap();
    (folder, path)
}

fn read(json: &Value) -> Result<HashMap<String, CocoImage>, DatasetError> {
    let (_folder, path) = write(&json.to_string());
    read_instances(&path, &categories())
}

#[test]
fn instances_cover_the_pixels_of_their_class() {
    let images = read(&instances()).unwrap();
    assert_eq!(images.len(), 2);
    // The third instance of image a is of class 2, which only the last column has.
    let labels = [1, 1, 1, 2, 0, 1, 1, 2];
    assert_eq!(images["a"].size(), Size::new(2, 4));
    assert_eq!(images["a"].paint(&labels), [1, 2, 2, 3, 0, 2, 2, 3]);
    // Columns of two pixels: 1 outside, 3 inside, 4 outside; 6 outside, 1 inside, 1 outside.
    assert_eq!(images["sub.d/b"].paint(&[1; 8]), [0, 1, 0, 2, 1, 1, 0, 0]);
}

#[test]
fn files_of_other_tools_are_read_as_pycocotools_reads_them() {
    let plain = read(&instances()).unwrap();
    let labels = [1, 1, 1, 2, 0, 1, 1, 2];
    let painted = |json: &Value| read(json).unwrap()["a"].paint(&labels);
    let expected = plain["a"].paint(&labels);
    for (pointer, value) in [
        ("/images/0/height", json!(2.0)),
        ("/annotations/0/iscrowd", json!(false)),
        ("/annotations/0/iscrowd", json!(null)),
        ("/annotations/0/id", json!("first")),
        ("/annotations/0/id", json!(null)),
        ("/images/0/file_name", json!("a.tif")),
    ] {
        let mut json = instances();
        *json.pointer_mut(pointer).unwrap() = value.clone();
        assert_eq!(painted(&json), expected, "{pointer} {value}");
    }
    let mut json = instances();
    json["annotations"][0]["iscrowd"] = json!(true);
    assert_eq!(painted(&json), [0, 1, 1, 2, 0, 1, 1, 2]);
    // Without a shape an instance is its box.
    for shape in [None, Some(json!(null)), Some(json!([])), Some(json!([[]]))] {
        let mut json = instances();
        let annotation = json["annotations"][0].as_object_mut().unwrap();
        annotation.remove("segmentation");
        annotation.extend(shape.map(|shape| ("segmentation".to_string(), shape)));
        let message = read(&json).map(|images| images["a"].paint(&labels));
        json["annotations"][0]["bbox"] = json!([0, 0, 2, 2.0]);
        assert_eq!(painted(&json), expected);
        if let Err(error) = message {
            assert!(
                error
                    .to_string()
                    .contains("neither `segmentation` nor `bbox`")
            );
        }
    }
    // Ids may be texts, and a text may begin with a byte order mark.
    let text = instances().to_string().replace("\"id\":7", "\"id\":\"x7\"");
    let text = text.replace("\"image_id\":7", "\"image_id\":\"x7\"");
    let (_folder, path) = write(&format!("\u{feff}{text}"));
    let images = read_instances(&path, &categories()).unwrap();
    assert_eq!(images["a"].paint(&labels), expected);
    let mut json = instances();
    json["images"][0]["file_name"] = json!("train\\sub\\a.jpg");
    assert!(read(&json).unwrap().contains_key("train/sub/a"));
}

#[test]
fn what_takes_too_long_to_draw_is_refused() {
    let zigzag: Vec<f32> = (0..600_000)
        .flat_map(|x| [x as f32 / 300_000.0, if x % 2 == 0 { -9.0 } else { 9.0 }])
        .collect();
    let mut json = instances();
    json["annotations"][0]["segmentation"] = json!([zigzag]);
    let message = read(&json).unwrap_err().to_string();
    assert_says(
        &message,
        &["annotation 1 of image 7", "simplify their shapes"],
    );
}

#[test]
fn faults_name_their_place() {
    let change = |pointer: &str, value: Value| {
        let mut json = instances();
        *json.pointer_mut(pointer).unwrap() = value;
        let message = read(&json).unwrap_err().to_string();
        assert_says(&message, &["instances.json: "]);
        message
    };
    for (pointer, value, expected) in [
        (
            "/annotations/1/segmentation/0",
            json!([1, 2, 3]),
            "annotation 2 of image 7: polygon 0",
        ),
        (
            "/annotations/4/segmentation/counts",
            json!([1]),
            "annotation 5 of image 9: `counts`",
        ),
        (
            "/annotations/5/segmentation/counts",
            json!("6!1"),
            "annotation 6 of image 9: `counts`",
        ),
        (
            "/annotations/4/segmentation/size",
            json!([4, 2]),
            "annotation 5 of image 9: `size`",
        ),
        (
            "/annotations/2/image_id",
            json!(8),
            "annotation 3 of image 8: `images` has no",
        ),
        (
            "/annotations/0/category_id",
            json!(90),
            "annotation 1 of image 7: category 90",
        ),
        (
            "/annotations/0/category_id",
            json!(i64::MIN),
            "category -9223372036854775808",
        ),
        ("/images/1/id", json!(7), "image 7 is listed twice"),
        (
            "/images/1/file_name",
            json!("a.png"),
            "another one has the name a.png",
        ),
        ("/images/0/height", json!(-2), "line 1 column"),
        (
            "/annotations/0/segmentation",
            json!(5),
            "a list of polygons",
        ),
        (
            "/annotations/4/segmentation/counts",
            json!([-1, 9]),
            "line 1 column",
        ),
    ] {
        let message = change(pointer, value);
        assert!(message.contains(expected), "{pointer}: {message}");
    }
    let error = read_instances(Path::new("absent.json"), &categories()).unwrap_err();
    assert_eq!(error.to_string(), "cannot read absent.json");
}

/// A file with one image of 1x4 pixels: two things, a region and a crowd.
fn panoptic() -> Value {
    json!({
        "annotations": [{"image_id": 7, "file_name": "a.png", "segments_info": [
            {"id": 5, "category_id": 1, "iscrowd": 0, "area": 1},
            {"id": 256, "category_id": 200, "iscrowd": 0},
            {"id": 65_536, "category_id": 2, "iscrowd": 1},
            {"id": 65_793, "category_id": 2, "iscrowd": 0},
        ]}],
        "categories": [
            {"id": 1, "isthing": 1, "name": "person"},
            {"id": 2, "isthing": 1},
            {"id": 200, "isthing": 0},
        ],
    })
}

fn read_segments(json: &Value) -> Result<HashMap<String, PanopticImage>, DatasetError> {
    let (_folder, path) = write(&json.to_string());
    read_panoptic(&path, &categories())
}

#[test]
fn segments_are_numbered_and_regions_and_crowds_left_out() {
    let images = read_segments(&panoptic()).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.png");
    let write = |pixels: Vec<u8>| {
        let image = image::RgbImage::from_raw(5, 1, pixels).unwrap();
        image.save(&path).unwrap();
        images["a"].read(&path, Path::new("panoptic.json"))
    };
    let (size, pixels) = write(vec![1, 1, 1, 0, 0, 0, 5, 0, 0, 0, 1, 0, 0, 0, 1]).unwrap();
    assert_eq!(size, Size::new(1, 5));
    assert_eq!(pixels, [(2, 2), (0, 0), (1, 1), (0, 0), (0, 0)]);
    let error = write(vec![0, 0, 0, 1, 2, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0]).unwrap_err();
    let message = error.to_string();
    assert_says(
        &message,
        &[
            "pixel (x=1, y=0) has the segment 197121",
            "panoptic.json",
            "a.png",
        ],
    );
    image::GrayImage::new(5, 1).save(&path).unwrap();
    let error = images["a"].read(&path, Path::new("p")).unwrap_err();
    assert!(error.to_string().contains("no 8-bit RGB PNG"), "{error}");
}

#[test]
fn faults_of_segments_name_their_place() {
    for (pointer, value, expected) in [
        (
            "/annotations/0/segments_info/0/category_id",
            json!(3),
            "segment 5 of a.png: `categories`",
        ),
        (
            "/annotations/0/segments_info/0/id",
            json!(256),
            "segment 256 of a.png: it is listed",
        ),
        (
            "/categories/2/isthing",
            json!(1),
            "segment 256 of a.png: category 200 with `id_offset` -1",
        ),
        (
            "/annotations/0/segments_info/0/id",
            json!(-1),
            "line 1 column",
        ),
        ("/categories", json!({}), "line 1 column"),
    ] {
        let mut json = panoptic();
        *json.pointer_mut(pointer).unwrap() = value;
        let message = read_segments(&json).unwrap_err().to_string();
        assert!(message.contains(expected), "{pointer}: {message}");
        assert_says(&message, &["instances.json: "]);
    }
}

proptest! {
    /// Texts with some bytes changed are read without leaving the image, or refused by name.
    #[test]
    fn damaged_files_never_panic(
        place in any::<prop::sample::Index>(),
        with in "[-0-9a-z\\[\\]{}\",.: ]{0,6}",
        cut in 0_usize..8,
    ) {
        let damaged = |json: Value| {
            let mut text = json.to_string();
            let start = place.index(text.len());
            let end = (start + cut).min(text.len());
            text.replace_range(start..end, &with);
            write(&text)
        };
        let (_folder, path) = damaged(instances());
        match read_instances(&path, &categories()) {
            Ok(images) => for image in images.into_values() {
                // Only label maps of the same size are painted, and these are of modest size.
                if image.size().height.saturating_mul(image.size().width) < 10_000 {
                    let labels = vec![1; image.size().pixels()];
                    prop_assert_eq!(image.paint(&labels).len(), labels.len());
                }
            },
            Err(error) => prop_assert!(error.to_string().contains("instances.json: ")),
        }
        let (_folder, path) = damaged(panoptic());
        if let Err(error) = read_panoptic(&path, &categories()) {
            prop_assert!(error.to_string().contains("instances.json: "));
        }
    }
}
