use dp_sims_datasets::LabelledImages;
use dp_sims_scenes::Scenes;

use super::*;

fn shown(count: usize, size: Size) -> (ClassTable, Vec<Shown>) {
    let scenes = Scenes::new(count, 0);
    let image = |index| Shown {
        caption: format!("{index}"),
        sample: scenes.sample(index, size).unwrap(),
    };
    (scenes.classes().clone(), (0..count).map(image).collect())
}

#[test]
fn tiles_keep_the_shape_of_images() {
    assert_eq!(fitted(Size::new(1024, 2048)), Size::new(192, 384));
    assert_eq!(fitted(Size::new(100, 50)), Size::new(256, 128));
    assert_eq!(fitted(Size::new(128, 171)), Size::new(256, 342));
    assert_eq!(fitted(Size::new(1, 60_000)), Size::new(1, 384));
    let sizes = [
        (64, 64, 2),
        (32, 96, 4),
        (40, 300, 1),
        (256, 384, 1),
        (1, 384, 1),
    ];
    for (height, width, expected) in sizes {
        assert_eq!(factor(Size::new(height, width)), expected);
    }
}

#[test]
fn a_row_has_photo_labels_boundaries_and_offsets() {
    let size = Size::new(64, 120);
    let (classes, mut images) = shown(2, size);
    let picture = view("scenes", "", &classes, &images).unwrap();
    let sample = &images[0].sample;
    // Tiles are twice enlarged.
    let column = |index: usize| MARGIN + index * (2 * 120 + COLUMN_GAP);
    let top = MARGIN + TITLE + HEADING + CAPTION;
    let at = |picture: &RgbImage, column: usize, x: usize, y: usize| {
        picture
            .get_pixel((column + 2 * x) as u32, (top + 2 * y) as u32)
            .0
    };
    for (x, y) in [(0, 0), (119, 63), (40, 30)] {
        let pixel = y * 120 + x;
        let photo = &sample.image[3 * pixel..][..3];
        assert_eq!(at(&picture, column(0), x, y), photo);
        let colour = classes.colour(sample.labels[pixel]);
        assert_eq!(at(&picture, column(1), x, y), colour);
    }
    let offsets = offset_colours(sample).unwrap();
    assert_eq!(
        at(&picture, column(3), 50, 40),
        offsets[3 * (40 * 120 + 50)..][..3]
    );
    let next = top + 2 * 64 + ROW_GAP + CAPTION;
    let photo = picture.get_pixel(column(0) as u32, next as u32).0;
    assert_eq!(photo, images[1].sample.image[..3]);

    // Without instances the fourth column is gone.
    images
        .iter_mut()
        .for_each(|image| image.sample.instances = None);
    let narrow = view("scenes", "", &classes, &images).unwrap();
    assert_eq!(
        picture.width() - narrow.width(),
        (column(1) - column(0)) as u32
    );
    assert_eq!(picture.height(), narrow.height());
}

#[test]
fn names_of_any_kind_and_many_classes_are_drawn() {
    let (mut classes, mut images) = shown(1, Size::new(16, 16));
    classes.classes[1].name = "straße \u{1f332} with a very long name".to_string();
    images[0].sample.labels = (0..=255).collect();
    images[0].caption = "\u{0}\n".to_string();
    let picture = view("", "", &classes, &images).unwrap();
    assert!(picture.width() > 3 * 128);
    assert_eq!(short_name(&classes, 1), "straße \u{1f332} with a ..");
    assert_eq!(short_name(&classes, 200), "?");
    assert_eq!(
        [percent(0.004), percent(0.256), percent(1.0)],
        [" <1 %", " 26 %", "100 %"]
    );
}

#[test]
fn nothing_and_too_much_are_refused() {
    let (classes, images) = shown(1, Size::new(8, 8));
    assert!(matches!(view("", "", &classes, &[]), Err(ViewError::Empty)));
    let many: Vec<Shown> = images.iter().cycle().take(1000).cloned().collect();
    let error = view("", "", &classes, &many).unwrap_err();
    assert!(error.to_string().contains("fewer images"), "{error}");
}
