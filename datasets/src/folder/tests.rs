use std::sync::Arc;

use burn_dataset::Dataset;
use image::DynamicImage;

use super::*;
use crate::labels::LabelReader;
use crate::sample::SizedDataset;
use crate::testing::Garden;
use crate::testing::assert_says;

#[test]
fn samples_at_full_size_are_the_files() {
    let garden = Garden::new(3);
    let folder = garden.open().unwrap();
    assert_eq!((folder.name(), folder.len()), ("garden", 3));
    for index in 0..3 {
        let sample = folder.sample(index, Garden::SIZE).unwrap();
        assert_eq!(sample.name, format!("{index:02}"));
        assert_eq!(sample.image, Garden::photo(index).into_bytes());
        assert_eq!(sample.labels, Garden::labels(index).into_bytes());
        assert!(sample.instances.is_none());
        let map = LabelReader::new(&garden.description)
            .read(&garden.labels_path(index))
            .unwrap();
        assert_eq!((map.size, &map.labels), (Garden::SIZE, &sample.labels));
        assert_eq!(folder.label_map(index).unwrap(), map);
        let dog = folder.present(index).unwrap().contains(2);
        assert_eq!(dog, index == 2);
    }
}

#[test]
fn samples_are_resized_together() {
    let folder = Garden::new(3)
        .open()
        .map(|folder| (folder.pairs().len(), folder));
    let (_, folder) = folder.unwrap();
    assert!(
        folder.sample(0, Size::new(3, 4)).is_err(),
        "the temporary folder is gone"
    );

    let garden = Garden::new(3);
    let sample = garden.open().unwrap().sample(2, Size::new(3, 4)).unwrap();
    assert_eq!((sample.height, sample.width), (3, 4));
    assert_eq!(sample.image.len(), 36);
    assert_eq!(sample.labels, [0, 0, 0, 0, 2, 1, 1, 1, 2, 1, 1, 1]);
}

#[test]
fn gray_and_transparent_photos_become_rgb() {
    let garden = Garden::new(2);
    let rgb = Garden::photo(1).into_rgb8();
    let gray = DynamicImage::ImageLuma8(DynamicImage::from(rgb.clone()).into_luma8());
    garden.write_photo(0, gray.clone());
    let mut rgba = DynamicImage::from(rgb.clone()).into_rgba8();
    rgba.pixels_mut().for_each(|pixel| pixel[3] = 7);
    garden.write_photo(1, rgba.into());

    let folder = garden.open().unwrap();
    let sample = folder.sample(0, Garden::SIZE).unwrap();
    let tripled: Vec<u8> = gray
        .into_bytes()
        .into_iter()
        .flat_map(|value| [value; 3])
        .collect();
    assert_eq!(sample.image, tripled);
    assert_eq!(
        folder.sample(1, Garden::SIZE).unwrap().image,
        rgb.into_raw()
    );
}

#[test]
fn jpeg_photos_are_read_whatever_their_name() {
    let garden = Garden::new(1);
    let photo = Garden::photo(0);
    photo
        .save_with_format(garden.photo_path(0), image::ImageFormat::Jpeg)
        .unwrap();
    let sample = garden.open().unwrap().sample(0, Garden::SIZE).unwrap();
    let far = sample
        .image
        .iter()
        .zip(photo.as_bytes())
        .filter(|(a, b)| a.abs_diff(**b) > 40);
    assert_eq!(far.count(), 0);
}

#[test]
fn differing_sizes_are_both_named() {
    let garden = Garden::new(1);
    garden.write_labels(0, DynamicImage::new_luma8(8, 5));
    let folder = garden.open().unwrap();
    for error in [
        folder.sample(0, Garden::SIZE).unwrap_err(),
        folder.label_map(0).unwrap_err(),
    ] {
        assert!(matches!(error, DatasetError::SizeMismatch { .. }));
        let message = error.to_string();
        assert_says(&message, &["6x8", "5x8", "masks", "photos"]);
    }
}

#[test]
fn damaged_photos_are_named() {
    let garden = Garden::new(1);
    let whole = std::fs::read(garden.photo_path(0)).unwrap();
    let folder = garden.open().unwrap();
    for keep in [0, 6, 30, whole.len() / 2] {
        std::fs::write(garden.photo_path(0), &whole[..keep]).unwrap();
        let error = folder.sample(0, Garden::SIZE).unwrap_err();
        assert!(
            matches!(error, DatasetError::Decode { .. }),
            "{keep} bytes: {error}"
        );
        assert!(error.to_string().contains("00.png"));
    }
    std::fs::remove_file(garden.photo_path(0)).unwrap();
    assert!(matches!(
        folder.label_map(0),
        Err(DatasetError::Read { .. })
    ));
}

#[test]
fn unknown_ids_and_colour_maps_are_refused() {
    let garden = Garden::new(2);
    let mut labels = Garden::labels(0).into_luma8();
    labels.put_pixel(5, 3, image::Luma([77]));
    garden.write_labels(0, labels.into());
    garden.write_labels(1, Garden::photo(1));
    let folder = garden.open().unwrap();
    let message = folder.sample(0, Size::square(2)).unwrap_err().to_string();
    assert_says(&message, &["pixel (x=5, y=3) has the unknown id 77"]);
    let message = folder.present(1).unwrap_err().to_string();
    assert_says(&message, &["masks/01.png is a colour PNG"]);
}

#[test]
fn missing_splits_pairs_and_indices_are_named() {
    let garden = Garden::new(1);
    let error = DescribedFolder::open(&garden.description, garden.root(), Split::Test).unwrap_err();
    assert!(error.to_string().contains("no test split"), "{error}");

    let folder = garden.open().unwrap();
    let error = folder.sample(1, Garden::SIZE).unwrap_err();
    assert!(matches!(
        error,
        DatasetError::Index {
            index: 1,
            len: 1,
            ..
        }
    ));
    assert!(matches!(
        folder.sample(0, Size::new(0, 4)),
        Err(DatasetError::InvalidSize { .. })
    ));

    std::fs::remove_file(garden.labels_path(0)).unwrap();
    assert!(
        garden
            .open()
            .unwrap_err()
            .to_string()
            .contains("masks/00.png is missing")
    );
    std::fs::remove_file(garden.photo_path(0)).unwrap();
    let error = garden.open().unwrap_err();
    assert!(matches!(
        error,
        DatasetError::EmptySplit {
            split: Split::Train,
            ..
        }
    ));

    let mut broken = garden.description.clone();
    broken.classes[1].ids.push(1);
    let error = DescribedFolder::open(&broken, garden.root(), Split::Train).unwrap_err();
    assert!(matches!(error, DatasetError::Description { .. }));
}

#[test]
fn sized_view_is_a_burn_dataset() {
    let garden = Garden::new(2);
    let view = SizedDataset::new(Arc::new(garden.open().unwrap()), Size::new(3, 4));
    assert_eq!(view.len(), 2);
    assert_eq!(view.get(1).unwrap().unwrap().labels.len(), 12);
    assert!(view.get(2).is_none());
    assert_eq!(view.iter().filter(Result::is_ok).count(), 2);
    std::fs::remove_file(garden.photo_path(0)).unwrap();
    assert!(view.get(0).unwrap().is_err());
}

#[test]
fn colour_coded_labels_are_read_through_the_class_colours() {
    let mut garden = Garden::new(3);
    let ids = Garden::labels(2).into_bytes();
    let colours = garden.description.class_table().colourise(&ids);
    let map = image::RgbImage::from_raw(8, 6, colours).unwrap();
    garden.write_labels(2, map.into());
    if let Some(SplitFiles::Folders(folders)) = &mut garden.description.train {
        folders.label_values = crate::description::LabelValues::Colours;
    }
    let folder = garden.open().unwrap();
    assert_eq!(folder.sample(2, Garden::SIZE).unwrap().labels, ids);
    assert_eq!(folder.label_map(2).unwrap().labels, ids);
    assert_eq!(folder.present(2).unwrap(), ClassSet::of(&[0, 1, 2]));
    let message = folder.label_map(0).unwrap_err().to_string();
    assert_says(&message, &["00.png is a gray PNG"]);
}

#[test]
fn photos_turned_by_exif_fit_turned_labels_alone() {
    let garden = Garden::new(1);
    let mut file = std::io::Cursor::new(Vec::new());
    Garden::photo(0)
        .write_to(&mut file, image::ImageFormat::Jpeg)
        .unwrap();
    let jpeg = crate::testing::oriented(file.get_ref(), 6);
    std::fs::write(garden.photo_path(0), jpeg).unwrap();
    let folder = garden.open().unwrap();
    for error in [
        folder.sample(0, Garden::SIZE).unwrap_err(),
        folder.label_map(0).unwrap_err(),
    ] {
        assert!(matches!(error, DatasetError::Turned { .. }), "{error}");
    }
    garden.write_labels(0, DynamicImage::new_luma8(6, 8));
    let sample = folder.sample(0, Size::new(8, 6)).unwrap();
    // Turned clockwise, the lower left corner of the file comes to the upper left.
    let stored = Garden::photo(0).into_rgb8();
    let corner = stored.get_pixel(0, 5).0;
    let close = sample.image[..3]
        .iter()
        .zip(corner)
        .all(|(a, b)| a.abs_diff(b) < 40);
    assert!(close, "{:?} is not {corner:?}", &sample.image[..3]);
    garden.write_labels(0, DynamicImage::new_luma8(5, 5));
    let error = folder.label_map(0).unwrap_err();
    assert!(
        matches!(error, DatasetError::SizeMismatch { .. }),
        "{error}"
    );
}

/// Without a bound, as many large photos are decoded at once as there are workers.
#[test]
fn a_large_photo_waits_for_room() {
    use std::sync::mpsc::{RecvTimeoutError, channel};
    use std::time::Duration;

    let garden = Garden::new(1);
    let folder = garden.open().unwrap();
    assert_eq!(folder.decoding(), 8 * 48);
    let (width, height) = (4096, 2100);
    image::RgbImage::new(width, height)
        .save(garden.photo_path(0))
        .unwrap();
    image::GrayImage::new(width, height)
        .save(garden.labels_path(0))
        .unwrap();
    let folder = garden.open().unwrap();
    assert_eq!(folder.decoding(), 8 * 4096 * 2100);
    let all = crate::budget::room(u64::MAX);
    let (sender, receiver) = channel();
    std::thread::scope(|scope| {
        scope.spawn(|| sender.send(folder.sample(0, Garden::SIZE)));
        let early = receiver.recv_timeout(Duration::from_millis(300));
        assert_eq!(early.unwrap_err(), RecvTimeoutError::Timeout);
        drop(all);
        assert!(receiver.recv().unwrap().is_ok());
    });
}
