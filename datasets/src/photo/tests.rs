use image::{DynamicImage, ImageFormat, RgbImage};
use serde::Deserialize;

use super::*;
use crate::testing::assert_says;
use crate::testing::{crc32, oriented};

#[derive(Deserialize)]
struct Case {
    name: String,
    file: Vec<u8>,
    rgb: Vec<u8>,
}

fn cases() -> Vec<Case> {
    let text = include_str!("../../../tests/fixtures/datasets/photos.json");
    serde_json::from_str(text).unwrap()
}

/// Reads bytes as a photo.
fn read(bytes: &[u8]) -> Result<(Vec<u8>, PhotoSize), DatasetError> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("photo.JPG");
    std::fs::write(&path, bytes).unwrap();
    let header = photo_size(&path);
    let photo = read_photo(&path);
    if let Ok((_, size)) = &photo {
        assert_eq!(header.unwrap(), *size);
    }
    photo
}

/// A photo of 2 rows and 3 columns.
fn small() -> DynamicImage {
    RgbImage::from_fn(3, 2, |x, y| image::Rgb([x as u8 * 100, y as u8 * 200, 50])).into()
}

fn encode(photo: &DynamicImage, format: ImageFormat) -> Vec<u8> {
    let mut file = std::io::Cursor::new(Vec::new());
    photo.write_to(&mut file, format).unwrap();
    file.into_inner()
}

#[test]
fn cmyk_gray_and_progressive_jpegs_match_pillow() {
    for case in cases() {
        let (rgb, size) = read(&case.file).unwrap();
        assert_eq!(size.stored, Size::new(8, 16));
        assert_eq!(rgb.len(), case.rgb.len());
        let differences = rgb.iter().zip(&case.rgb).map(|(a, b)| a.abs_diff(*b));
        let worst = differences.max();
        println!("{}: largest difference {worst:?}", case.name);
        // Two decoders may round the inverse transform and the conversion differently.
        assert!(worst <= Some(2), "{}: {worst:?}", case.name);
    }
}

#[test]
fn wide_and_palette_pngs_become_eight_bit_rgb() {
    let wide = DynamicImage::from(small().into_rgb16());
    let (rgb, _) = read(&encode(&wide, ImageFormat::Png)).unwrap();
    assert_eq!(rgb, small().into_bytes());
    let wide = DynamicImage::from(wide.into_luma16());
    let (rgb, _) = read(&encode(&wide, ImageFormat::Png)).unwrap();
    let gray = small().into_luma8().into_raw();
    let tripled: Vec<u8> = gray.into_iter().flat_map(|value| [value; 3]).collect();
    let differences = rgb.iter().zip(&tripled).map(|(a, b)| a.abs_diff(*b));
    assert!(differences.max() <= Some(1), "{rgb:?} is not {tripled:?}");

    let mut file = Vec::new();
    let mut encoder = png::Encoder::new(&mut file, 2, 1);
    encoder.set_color(png::ColorType::Indexed);
    encoder.set_depth(png::BitDepth::Four);
    encoder.set_palette(vec![1, 2, 3, 4, 5, 6]);
    let mut writer = encoder.write_header().unwrap();
    writer.write_image_data(&[0x10]).unwrap();
    writer.finish().unwrap();
    assert_eq!(read(&file).unwrap().0, [4, 5, 6, 1, 2, 3]);
}

#[test]
fn every_exif_orientation_is_applied() {
    // Stored rows 0 1 / 2 3 / 4 5 of 8x8 blocks; what each tag makes of them, by the EXIF standard.
    let shown: [&[&[u8]]; 8] = [
        &[&[0, 1], &[2, 3], &[4, 5]],
        &[&[1, 0], &[3, 2], &[5, 4]],
        &[&[5, 4], &[3, 2], &[1, 0]],
        &[&[4, 5], &[2, 3], &[0, 1]],
        &[&[0, 2, 4], &[1, 3, 5]],
        &[&[4, 2, 0], &[5, 3, 1]],
        &[&[5, 3, 1], &[4, 2, 0]],
        &[&[1, 3, 5], &[0, 2, 4]],
    ];
    let blocks = RgbImage::from_fn(16, 24, |x, y| {
        image::Rgb([(y / 8 * 2 + x / 8) as u8 * 40; 3])
    });
    let jpeg = encode(&blocks.into(), ImageFormat::Jpeg);
    for (orientation, rows) in (1..).zip(shown) {
        let (rgb, size) = read(&oriented(&jpeg, orientation)).unwrap();
        assert_eq!(size.stored, Size::new(24, 16));
        assert_eq!(size.upright, Size::new(rows.len() * 8, rows[0].len() * 8));
        for (row, blocks) in rows.iter().enumerate() {
            for (column, block) in blocks.iter().enumerate() {
                let pixel = (row * 8 + 4) * size.upright.width + column * 8 + 4;
                let difference = rgb[pixel * 3].abs_diff(block * 40);
                assert!(difference < 8, "orientation {orientation}: {row}, {column}");
            }
        }
    }
    // A tag outside the standard means nothing.
    let (_, size) = read(&oriented(&jpeg, 9)).unwrap();
    assert_eq!(size.upright, size.stored);
}

#[test]
fn absurd_sizes_are_refused_before_the_pixels_are_read() {
    let mut jpeg = encode(&small(), ImageFormat::Jpeg);
    let frame = jpeg.windows(2).position(|marker| marker == [0xff, 0xc0]);
    let sides = frame.unwrap() + 5;
    jpeg[sides..sides + 4].copy_from_slice(&[0xff; 4]);
    let message = read(&jpeg).unwrap_err().to_string();
    assert_says(&message, &["65535x65535", "photo.JPG"]);

    let mut png = encode(&small(), ImageFormat::Png);
    png[16..24].copy_from_slice(&[0, 1, 0, 0, 0, 1, 0, 0]);
    let crc = crc32(&png[12..29]);
    png[29..33].copy_from_slice(&crc.to_be_bytes());
    let message = read(&png).unwrap_err().to_string();
    assert_says(&message, &["65536x65536"]);
}

#[cfg(unix)]
#[test]
fn devices_are_refused() {
    let message = read_photo(Path::new("/dev/zero")).unwrap_err().to_string();
    assert_says(&message, &["no ordinary file"]);
}

/// As that of JPEGs does at some whose components are sampled in odd ways.
#[test]
fn a_decoder_that_panics_has_met_a_damaged_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("photo.JPG");
    for format in [ImageFormat::Jpeg, ImageFormat::Png] {
        std::fs::write(&path, encode(&small(), format)).unwrap();
        assert!(open(&path, &|_, size, _| Ok(size)).is_ok());
        let error = open::<()>(&path, &|_, _, _| panic!("the decoder's own words")).unwrap_err();
        let text = error.to_string();
        assert_says(&text, &["photo.JPG", "damaged"]);
    }
}

#[test]
fn damaged_files_never_panic() {
    for case in cases() {
        for place in (0..case.file.len()).step_by(7) {
            for value in [0, 0x7f, 0xff] {
                let mut file = case.file.clone();
                file[place] = value;
                if let Err(error) = read(&file) {
                    assert!(error.to_string().contains("photo.JPG"), "{error}");
                }
            }
            if let Err(error) = read(&case.file[..place]) {
                assert!(error.to_string().contains("photo.JPG"), "{error}");
            }
        }
    }
}
