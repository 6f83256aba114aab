//! Values, names and colours of classes.

use dp_sims_datasets::testing::assert_says;

use super::*;
use crate::check::FindingKind;
use crate::colours::are_distinct;

#[test]
fn names_come_from_a_file() {
    let own = Own::new();
    own.photo("photos/a.jpg")
        .mask("masks/a.png", &[0, 1, 2, 9])
        .text("classes.txt", "Unlabeled\ngrass\ndog\ngrass\n");
    let survey = own.survey();
    let expected = [("grass", &[1, 3][..]), ("dog", &[2])];
    assert_eq!(names(&survey), expected);
    assert_eq!(survey.void, [0]);
    // What the list lacks is no class of its own.
    assert_eq!(survey.unlisted, [("9".to_string(), 96)]);
    assert_eq!(survey.names_file, Some(own.root().join("classes.txt")));
    assert!(survey.names_fit);

    own.text(
        "classes.txt",
        "0 background\n1 grass\n2 dog\n9 \"void\"\n255 sky\n",
    );
    let survey = own.survey();
    assert_eq!(names(&survey)[0], ("background", &[0][..]));
    assert_eq!(names(&survey)[3], ("sky", &[255][..]));
    assert_eq!(survey.void, [9]);
    assert!(survey.toml().contains("in no label map that was read"));
}

#[test]
fn palettes_give_colours_if_all_files_agree() {
    let palette = [0, 0, 0, 128, 0, 0, 0, 128, 0, 9, 9, 99];
    let own = Own::new();
    for name in ["a", "b"] {
        own.photo(&format!("photos/{name}.jpg")).palette(
            &format!("masks/{name}.png"),
            &[1, 2, 3],
            &palette,
        );
    }
    let survey = own.checked();
    assert_eq!(survey.label_values, LabelValues::Ids);
    let colours: Vec<_> = survey.classes.iter().map(|class| class.colour).collect();
    assert_eq!(colours, [[128, 0, 0], [0, 128, 0], [9, 9, 99]]);
    assert!(survey.own_colours);

    // A palette per file: the colours tell the classes, not the indices.
    own.palette("masks/b.png", &[0, 1], &[128, 0, 0, 0, 128, 0]);
    fs::remove_file(survey.file()).unwrap();
    let survey = own.checked();
    assert_eq!(survey.label_values, LabelValues::Colours);
    let sum: u64 = survey.classes.iter().map(|class| class.pixels).sum();
    assert_eq!((survey.classes.len(), sum), (3, 2 * 24 * 16));

    // A gray ramp tells nothing apart.
    own.palette("masks/a.png", &[0, 1], &[0, 0, 0, 1, 1, 1])
        .palette("masks/b.png", &[0, 1], &[0, 0, 0, 1, 1, 1]);
    let survey = own.survey();
    assert!(!survey.own_colours);
    assert!(are_distinct(&[
        survey.classes[0].colour,
        survey.classes[1].colour
    ]));
}

#[test]
fn coloured_label_maps_are_classes_by_colour() {
    let own = Own::new();
    own.photo("photos/a.jpg")
        .colours(
            "masks/a.png",
            &[[9, 90, 200], [0; 3], [9, 90, 200], [250, 10, 10]],
        )
        .text("labels.txt", "250 10 10 void\n9 90 200 water\n1 2 33 dog\n");
    let survey = own.checked();
    assert_eq!(survey.label_values, LabelValues::Colours);
    let found: Vec<_> = survey
        .classes
        .iter()
        .map(|class| class.name.as_str())
        .collect();
    // Only black is void, and a class cannot be called so.
    assert_eq!(found, ["water", "void 2", "dog"]);
    assert_eq!(survey.void_pixels, 96);

    own.text("labels.txt", "water\ndog\n");
    let survey = own.survey();
    assert!(!survey.names_fit);
    assert_eq!(survey.classes[0].name, "class 1");
}

#[test]
fn masks_of_0_and_255_have_two_classes() {
    let own = Own::new();
    own.photo("photos/a.jpg").mask("masks/a.png", &[0, 255]);
    let survey = own.checked();
    assert_eq!(
        names(&survey),
        [("class 0", &[0][..]), ("class 255", &[255])]
    );
    assert!(survey.void.is_empty());
}

#[test]
fn many_label_maps_are_sampled() {
    let own = Own::new();
    own.photo("photos/0000.jpg").mask("masks/0000.png", &[0, 1]);
    let at = |path: String| own.root().join(path);
    for index in 1..=MAX_MAPS {
        for (from, to) in [("photos", ".jpg"), ("masks", ".png")] {
            let name = |index: usize| at(format!("{from}/{index:04}{to}"));
            fs::hard_link(name(0), name(index)).unwrap();
        }
    }
    let survey = own.survey();
    assert_eq!((survey.maps(), survey.maps_read), (MAX_MAPS + 1, MAX_MAPS));
    assert!(survey.toml().contains("2000 of 2001 label maps"));
    // What was not read may hold the usual void.
    assert_eq!(survey.void, [255]);
}

#[test]
fn colours_that_the_list_of_names_lacks_are_no_classes() {
    let own = Own::new();
    let (sky, sea) = ([9, 90, 200], [30, 200, 180]);
    for name in ["a", "b"] {
        own.photo(&format!("photos/{name}.jpg"))
            .colours(&format!("masks/{name}.png"), &[sky, sea]);
    }
    let mut stray = image::open(own.root().join("masks/b.png"))
        .unwrap()
        .to_rgb8();
    stray.put_pixel(3, 4, Rgb([1, 2, 3]));
    stray.save(own.root().join("masks/b.png")).unwrap();
    own.text(
        "class_dict.csv",
        "name,r,g,b\nsky,9,90,200\nsea,30,200,180\nland,0,0,0\n",
    );
    let survey = own.survey();
    let found: Vec<_> = survey
        .classes
        .iter()
        .map(|class| class.name.as_str())
        .collect();
    assert_eq!(found, ["sea", "sky"]);
    assert_eq!(survey.unlisted, [("#010203".to_string(), 1)]);
    assert_eq!(survey.black.as_deref(), Some("land"));
    // `check` finds it, in its file.
    survey.write(false).unwrap();
    let description = Description::read(&survey.file()).unwrap();
    let message = DescribedFolder::open(&description, own.root(), Split::Train)
        .and_then(|dataset| check_split(&dataset, &silent))
        .unwrap_err()
        .to_string();
    assert_says(&message, &["b.png: pixel (x=3, y=4)"]);

    // A list that knows hardly a pixel is one of something else.
    own.text("class_dict.csv", "name,r,g,b\nsun,200,200,0\n");
    let survey = own.survey();
    assert!(!survey.names_fit && survey.unlisted.is_empty());
    assert_eq!(survey.classes.len(), 3);
}

#[test]
fn palettes_with_black_in_front_and_names_by_colour_give_both() {
    let own = Own::new();
    own.photo("photos/a.jpg")
        .palette("masks/a.png", &[0, 1, 2], &[0, 0, 0, 250, 50, 83, 61, 61, 245])
        .text(
            "labelmap.txt",
            "# label:color_rgb:parts:actions\nbackground:0,0,0::\nkite:250,50,83::\nsea:61,61,245::\n",
        );
    let survey = own.checked();
    assert_eq!(survey.label_values, LabelValues::Ids);
    let expected = [("background", &[0][..]), ("kite", &[1]), ("sea", &[2])];
    assert_eq!(names(&survey), expected);
    assert!(survey.own_colours && survey.names_fit);
    assert_eq!(survey.classes[1].colour, [250, 50, 83]);
    assert_ne!(survey.classes[0].colour, [0; 3]);
}

#[test]
fn names_from_another_base_are_pointed_out() {
    let own = Own::new();
    own.photo("photos/a.jpg")
        .mask("masks/a.png", &[0, 1, 2, 255])
        .text(
            "labels.txt",
            "0: unlabeled\n1: person\n2: bicycle\n3: car\n",
        );
    let survey = own.survey();
    assert_eq!(survey.void, [0, 255]);
    let kinds: Vec<_> = survey.findings.iter().map(|finding| finding.kind).collect();
    assert_eq!(kinds, [FindingKind::TwoVoids]);
    // The list of labelme says itself that it begins at -1.
    own.text("labels.txt", "__ignore__\nperson\nbicycle\ncar\n");
    let survey = own.checked();
    assert_eq!(names(&survey)[0], ("person", &[0][..]));
    assert_eq!((&survey.void[..], survey.findings.len()), (&[255][..], 0));
}

#[test]
fn smoothed_label_maps_are_refused() {
    let own = Own::new();
    own.photo("photos/a.jpg");
    // Stripes of 8 pixels, reduced to half their size with the mean of neighbours.
    let at = |x: u32| {
        if (x / 8).is_multiple_of(2) {
            [0.0_f32, 200.0]
        } else {
            [120.0, 40.0]
        }
    };
    let mixed = |x: u32, channel: usize| {
        let sum: f32 = (0..3).map(|step| at(x * 2 + step)[channel]).sum();
        (sum / 3.0).round() as u8
    };
    let gray = GrayImage::from_fn(64, 64, |x, _| Luma([mixed(x, 0)]));
    let colour = RgbImage::from_fn(64, 64, |x, _| Rgb([mixed(x, 0), mixed(x, 1), 9]));
    for map in [DynamicImage::from(gray), DynamicImage::from(colour)] {
        map.save(own.place("masks/a.png")).unwrap();
        let message = own.message();
        assert_says(
            &message,
            &["look interpolated", "remedy: make the label maps anew"],
        );
    }
}
