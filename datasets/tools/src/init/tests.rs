use dp_sims_datasets::check::check_split;
use dp_sims_datasets::testing::assert_says;
use dp_sims_datasets::{ClassSet, DescribedFolder, LabelledImages};
use image::{DynamicImage, GrayImage, Luma, Rgb, RgbImage};
use png::{BitDepth, ColorType};
use tempfile::TempDir;

use super::*;

mod classes;
mod nested;

fn silent(_: usize, _: usize) {}

/// A folder of one's own.
struct Own(TempDir);

impl Own {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn root(&self) -> &Path {
        self.0.path()
    }

    fn place(&self, path: &str) -> PathBuf {
        let path = self.root().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        path
    }

    /// Writes a photo of many colours.
    fn photo(&self, path: &str) -> &Self {
        let photo = RgbImage::from_fn(24, 16, |x, y| Rgb([x as u8 * 9, y as u8 * 9, 77]));
        photo.save(self.place(path)).unwrap();
        self
    }

    /// Writes a gray label map with `ids` in its columns.
    fn mask(&self, path: &str, ids: &[u8]) -> &Self {
        let id = |x: u32| ids[x as usize * ids.len() / 24];
        let map = GrayImage::from_fn(24, 16, |x, _| Luma([id(x)]));
        map.save(self.place(path)).unwrap();
        self
    }

    /// Writes a coloured label map with `colours` in its columns.
    fn colours(&self, path: &str, colours: &[[u8; 3]]) -> &Self {
        let colour = |x: u32| colours[x as usize * colours.len() / 24];
        let map = RgbImage::from_fn(24, 16, |x, _| Rgb(colour(x)));
        map.save(self.place(path)).unwrap();
        self
    }

    /// Writes a palette label map with `ids` in its columns.
    fn palette(&self, path: &str, ids: &[u8], palette: &[u8]) -> &Self {
        let file = fs::File::create(self.place(path)).unwrap();
        let mut encoder = png::Encoder::new(file, 24, 16);
        encoder.set_color(ColorType::Indexed);
        encoder.set_depth(BitDepth::Eight);
        encoder.set_palette(palette.to_vec());
        let pixels: Vec<u8> = (0..24 * 16)
            .map(|pixel| ids[pixel % 24 * ids.len() / 24])
            .collect();
        let mut writer = encoder.write_header().unwrap();
        writer.write_image_data(&pixels).unwrap();
        self
    }

    fn text(&self, path: &str, text: &str) -> &Self {
        fs::write(self.place(path), text).unwrap();
        self
    }

    fn survey(&self) -> FolderSurvey {
        survey(self.root(), &silent).unwrap()
    }

    fn message(&self) -> String {
        survey(self.root(), &silent).unwrap_err().to_string()
    }

    /// Writes the description, opens and checks every split by it, and returns what was found.
    fn checked(&self) -> FolderSurvey {
        let survey = self.survey();
        survey.write(false).unwrap();
        let description = Description::read(&survey.file()).unwrap();
        for split in &survey.splits {
            let dataset = DescribedFolder::open(&description, self.root(), split.split).unwrap();
            assert_eq!(dataset.len(), split.pairs);
            let report = check_split(&dataset, &silent).unwrap();
            // Labels mean the classes that the survey counted.
            assert!(
                report
                    .presence
                    .iter()
                    .all(|&present| present != ClassSet::default())
            );
        }
        survey
    }
}

fn names(survey: &FolderSurvey) -> Vec<(&str, &[u8])> {
    let classes = survey.classes.iter();
    classes
        .map(|class| (class.name.as_str(), class.ids.as_slice()))
        .collect()
}

/// Photo folder, label folder and number of pairs by split.
fn places(survey: &FolderSurvey) -> Vec<(Split, &str, &str, usize)> {
    let splits = survey.splits.iter();
    splits
        .map(|s| (s.split, s.images.as_str(), s.labels.as_str(), s.pairs))
        .collect()
}

#[test]
fn folders_without_splits_become_a_training_split() {
    let own = Own::new();
    for name in ["a", "b", "c"] {
        own.photo(&format!("photos/{name}.JPG"))
            .mask(&format!("masks/{name}.png"), &[0, 3, 255]);
    }
    let survey = own.checked();
    assert_eq!(places(&survey), [(Split::Train, "photos", "masks", 3)]);
    assert_eq!(names(&survey), [("class 0", &[0][..]), ("class 3", &[3])]);
    assert_eq!(
        (&survey.void[..], survey.void_pixels),
        (&[255][..], 3 * 128)
    );
    assert_eq!((survey.maps(), survey.maps_read), (3, 3));
    let text = fs::read_to_string(survey.file()).unwrap();
    assert_says(&text, &["33.333 %", "No validation split"]);
}

#[test]
fn splits_are_told_on_either_level() {
    for [train, val] in [
        [["photos/train", "masks/train"], ["photos/val", "masks/val"]],
        [
            ["Training/img", "Training/seg"],
            ["validation/img", "validation/seg"],
        ],
        [["train", "trainannot"], ["val", "valannot"]],
        [
            ["images/train2017", "labels/train2017"],
            ["images/val2017", "labels/val2017"],
        ],
        [["x/y/train", "x/z/train"], ["x/y/valid", "x/z/valid"]],
    ] {
        let own = Own::new();
        for ([photos, masks], count) in [(train, 3), (val, 2)] {
            for index in 0..count {
                own.photo(&format!("{photos}/{index}.png"))
                    .mask(&format!("{masks}/{index}.png"), &[1, 2]);
            }
        }
        own.photo("test/photos/7.jpg").text("readme.txt", "words");
        let survey = own.checked();
        let expected = [
            (Split::Train, train[0], train[1], 3),
            (Split::Validation, val[0], val[1], 2),
        ];
        assert_eq!(places(&survey), expected);
    }
}

#[test]
fn suffixes_sub_folders_and_other_maps_are_told_apart() {
    let own = Own::new();
    for split in ["train", "val", "test"] {
        for name in ["ulm/ulm_1", "ulm/ulm_2", "aachen/aachen_1"] {
            let of = |end: &str| format!("gtFine/{split}/{name}_gtFine_{end}.png");
            own.photo(&format!("leftImg8bit/{split}/{name}_leftImg8bit.png"))
                .mask(&of("labelIds"), &[7, 11, 23])
                .colours(&of("color"), &[[128, 64, 128], [70, 70, 70]]);
            let ids = image::ImageBuffer::from_fn(24, 16, |x, _| Luma([26_000 + x as u16]));
            DynamicImage::from(ids)
                .save(own.place(&of("instanceIds")))
                .unwrap();
        }
    }
    let survey = own.checked();
    assert_eq!(survey.splits.len(), 3);
    assert_eq!(survey.splits[2].split, Split::Test);
    assert_eq!(survey.label_suffix, "_gtFine_labelIds.png");
    assert_eq!(survey.image_suffixes, ["_leftImg8bit.png"]);
    assert_eq!(survey.splits[0].pairs, 3);

    // The layout of an export: instance maps are not taken for label maps, but pointed out.
    let own = Own::new();
    for index in 0..3 {
        own.photo(&format!("photos/train/{index}.png"))
            .mask(&format!("masks/train/{index}.png"), &[0, 1, 2])
            .mask(&format!("instances/train/{index}.png"), &[0, 1, 2, 3, 4]);
    }
    let survey = own.checked();
    assert_eq!(survey.splits[0].labels, "masks/train");
    let others = [("instances/train".to_string(), ".png".to_string())];
    assert_eq!(survey.splits[0].others, others);
    assert!(survey.toml().contains("# [train.folders.instances.png]"));
}

#[test]
fn one_folder_may_hold_both() {
    let own = Own::new();
    for name in ["1", "2"] {
        own.photo(&format!("{name}.jpg"))
            .mask(&format!("{name}.png"), &[0, 1]);
    }
    assert_eq!(places(&own.checked()), [(Split::Train, ".", ".", 2)]);
    let own = Own::new();
    for name in ["1", "2"] {
        own.photo(&format!("data/{name}_photo.png"))
            .mask(&format!("data/{name}_mask.png"), &[0, 1]);
    }
    let survey = own.checked();
    assert_eq!(places(&survey), [(Split::Train, "data", "data", 2)]);
    assert_eq!(survey.label_suffix, "_mask.png");
}

#[test]
fn whole_names_pair_up_in_one_folder() {
    for name in ["image_00", ""] {
        let own = Own::new();
        for index in 0..4 {
            own.photo(&format!("{name}{index}.png"))
                .mask(&format!("{name}{index}_mask.png"), &[0, 1]);
        }
        let survey = own.checked();
        assert_eq!(places(&survey), [(Split::Train, ".", ".", 4)]);
        assert_eq!(survey.label_suffix, "_mask.png");
        let split = &survey.splits[0];
        assert_eq!((split.photos, split.maps), (4, 4));
    }
    // One pair by chance among many files is none.
    let own = Own::new();
    for index in 0..6 {
        own.photo(&format!("photos/shot{index}.jpg")).mask(
            &format!(
                "masks/{index}_{}.png",
                ["a", "b", "c", "d", "e", "f"][index]
            ),
            &[0, 1],
        );
    }
    own.mask("masks/shot3_z.png", &[0, 1]);
    assert!(
        own.message()
            .contains("no photos and label maps of the same names")
    );
}

#[test]
fn photos_may_be_webp() {
    let own = Own::new();
    for name in ["a", "b"] {
        own.photo(&format!("photos/{name}.webp"))
            .mask(&format!("masks/{name}.png"), &[0, 1]);
    }
    let survey = own.checked();
    assert_eq!(survey.image_suffixes, [".webp"]);
    own.photo("masks/a.webp").photo("masks/b.webp");
    for name in ["masks/a.png", "masks/b.png"] {
        fs::remove_file(own.root().join(name)).unwrap();
    }
    let message = own.message();
    assert_says(&message, &["masks/a.webp pairs up with", "is a WebP"]);
}

#[test]
fn gray_photos_are_told_by_names_or_values() {
    let ramp: Vec<u8> = (0..24).map(|value| value * 10).collect();
    for (photos, masks) in [("images", "masks"), ("a", "b"), ("b", "a")] {
        let own = Own::new();
        own.mask(&format!("{photos}/1.png"), &ramp)
            .mask(&format!("{masks}/1.png"), &[0, 1]);
        assert_eq!(places(&own.checked()), [(Split::Train, photos, masks, 1)]);
    }
}

#[test]
fn files_without_partner_are_named_not_fatal() {
    let own = Own::new();
    for name in ["a", "b", "c"] {
        own.photo(&format!("photos/{name}.jpg"))
            .mask(&format!("masks/{name}.png"), &[0, 1]);
    }
    own.photo("photos/d.jpg").mask("masks/e.png", &[0, 1]);
    let survey = own.survey();
    assert_eq!(survey.splits[0].lonely_photos, ["d.jpg"]);
    assert_eq!(survey.splits[0].lonely_labels, ["e.png"]);
    assert_eq!(survey.splits[0].pairs, 3);
}

#[test]
fn folders_of_no_use_are_errors_with_remedies() {
    let own = Own::new();
    assert!(own.message().contains("no file that ends in .jpg"));
    own.photo("photos/a.jpg").mask("masks/b.png", &[0]);
    let message = own.message();
    assert!(
        message.contains("photos (1 JPEG), masks (1 PNG)")
            || message.contains("masks (1 PNG), photos (1 JPEG)"),
        "{message}"
    );
    assert_says(&message, &["expected: a folder of photos"]);

    let own = Own::new();
    own.photo("photos/a.jpg");
    let smooth = RgbImage::from_fn(64, 64, |x, y| Rgb([x as u8, y as u8, 0]));
    smooth.save(own.place("masks/a.png")).unwrap();
    let message = own.message();
    assert_says(&message, &["masks/a.png", "smoothing"]);

    let own = Own::new();
    own.photo("photos/a.jpg").photo("masks/a.jpg");
    let message = own.message();
    assert_says(&message, &["masks/a.jpg pairs up with", "is a JPEG"]);

    let own = Own::new();
    own.photo("photos/a.jpg");
    let wide = image::ImageBuffer::from_fn(24, 16, |x, _| Luma([x as u16 * 100]));
    DynamicImage::from(wide)
        .save(own.place("masks/a.png"))
        .unwrap();
    let message = own.message();
    assert_says(&message, &["value 2300", "instance map"]);

    let own = Own::new();
    own.photo("photos/a.jpg").photo("photos/b.jpg");
    own.mask("masks/a.png", &[0, 1])
        .colours("masks/b.png", &[[9, 9, 99]]);
    let message = own.message();
    assert_says(&message, &["masks/a.png is gray"]);

    let own = Own::new();
    own.photo("photos/a.jpg").mask("masks/a.png", &[255]);
    assert!(own.message().contains("nothing but void"));

    let own = Own::new();
    own.photo("photos/a.jpg").text("masks/a.png", "no image");
    assert!(own.message().contains("masks/a.png"));

    let missing = survey(Path::new("no/such/folder"), &silent).unwrap_err();
    assert!(missing.to_string().contains("no/such/folder"));
}

#[test]
fn descriptions_are_replaced_by_force_alone() {
    let own = Own::new();
    own.photo("photos/a.jpg").mask("masks/a.png", &[0, 1]);
    own.text("dataset.toml", "mine");
    let survey = own.survey();
    let error = survey.write(false).unwrap_err();
    assert!(error.to_string().contains("--force"), "{error}");
    assert_eq!(fs::read_to_string(survey.file()).unwrap(), "mine");
    survey.write(true).unwrap();
    assert_eq!(fs::read_to_string(survey.file()).unwrap(), survey.toml());
    let entries = fs::read_dir(own.root()).unwrap();
    assert_eq!(entries.count(), 3);
}
