//! Files of pixels.

use std::io::Cursor;

use image::codecs::jpeg::JpegEncoder;
use image::codecs::webp::WebPEncoder;
use image::{DynamicImage, GrayImage, ImageEncoder, ImageFormat, ImageReader, Luma, Rgb, RgbImage};

/// An image in a format of `image`.
pub(crate) fn encoded(image: &DynamicImage, format: ImageFormat) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    image.write_to(&mut bytes, format).unwrap();
    bytes.into_inner()
}

/// A label PNG under a description of ids and one of colours.
pub mod labels {
    use std::path::Path;
    use std::sync::LazyLock;

    use dp_sims_datasets::{Description, LabelReader};
    use png::{BitDepth, ColorType};

    use super::*;
    use crate::file;

    /// Largest map that is written back.
    const MOST_PIXELS: usize = 1 << 14;
    const CLASSES: usize = 4;

    static READER: LazyLock<LabelReader> = LazyLock::new(|| {
        let text = "name = \"fuzz\"\nvoid = [0, 255]\n\
            [[class]]\nname = \"grass\"\ncolour = \"#40a040\"\nids = [1, 7]\n\
            [[class]]\nname = \"dog\"\ncolour = \"#a06020\"\nids = [2]\n\
            [[class]]\nname = \"sky\"\ncolour = \"#2060ff\"\nids = [3]\n\
            [train.folders]\nimages = \"photos\"\nlabels = \"masks\"\n\
            [validation.folders]\nimages = \"photos\"\nlabels = \"masks\"\nlabel_values = \"colours\"\n";
        LabelReader::new(&Description::parse(text, Path::new("dataset.toml")).unwrap())
    });

    fn png(colour: ColorType, depth: BitDepth, data: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut encoder = png::Encoder::new(&mut bytes, 8, 2);
        encoder.set_color(colour);
        encoder.set_depth(depth);
        if colour == ColorType::Indexed {
            encoder.set_palette(vec![
                0, 0, 0, 0x40, 0xa0, 0x40, 0xa0, 0x60, 0x20, 0x20, 0x60, 0xff,
            ]);
        }
        let mut writer = encoder.write_header().unwrap();
        writer.write_image_data(data).unwrap();
        writer.finish().unwrap();
        bytes
    }

    pub fn seeds() -> Vec<Vec<u8>> {
        let gray: Vec<u8> = (0..16).map(|pixel| pixel % 4).collect();
        let wide: Vec<u8> = gray.iter().flat_map(|&id| [0, id]).collect();
        let colours: Vec<u8> = [[0, 0, 0], [0x40, 0xa0, 0x40]].concat().repeat(8);
        let alpha: Vec<u8> = [[0, 0, 0, 255], [0xa0, 0x60, 0x20, 9]].concat().repeat(8);
        vec![
            png(ColorType::Grayscale, BitDepth::Eight, &gray),
            png(ColorType::Grayscale, BitDepth::Sixteen, &wide),
            png(ColorType::Grayscale, BitDepth::Two, &[0x1b; 4]),
            png(ColorType::Grayscale, BitDepth::One, &[0x55; 2]),
            png(ColorType::Indexed, BitDepth::Eight, &gray),
            png(ColorType::Indexed, BitDepth::Four, &[0x12; 8]),
            png(ColorType::Rgb, BitDepth::Eight, &colours),
            png(ColorType::Rgba, BitDepth::Eight, &alpha),
        ]
    }

    pub fn run(data: &[u8]) -> bool {
        let Ok(map) = READER.read(&file("labels.png", data)) else {
            return false;
        };
        assert_eq!(map.labels.len(), map.size.pixels());
        assert!(map.labels.iter().all(|&label| usize::from(label) < CLASSES));
        if map.labels.len() <= MOST_PIXELS {
            let (width, height) = (map.size.width as u32, map.size.height as u32);
            let image = GrayImage::from_fn(width, height, |x, y| {
                Luma([map.labels[y as usize * map.size.width + x as usize]])
            });
            let again = file("again.png", &encoded(&image.into(), ImageFormat::Png));
            assert_eq!(READER.read(&again).unwrap(), map);
        }
        true
    }
}

/// A photo: PNG, JPEG or WebP, whole and at a fraction of its size.
pub mod photo {
    use std::panic::{set_hook, take_hook};
    use std::path::Path;
    use std::sync::{LazyLock, Once};

    use dp_sims_datasets::{DescribedFolder, Description, Size, Split, read_rgb, rgb_size};

    use super::*;
    use crate::{file, scratch};

    /// Larger photos are passed over: they take time and nothing else.
    const MOST_PIXELS: usize = 1 << 15;
    const SIDE: u32 = 40;

    /// Where the decoders of others are compiled from.
    const DECODERS: [&str; 4] = ["/zune-", "/jpeg-decoder-", "/png-", "/image-"];

    /// A split of the photo alone, which is reduced as it is read.
    static REDUCED: LazyLock<DescribedFolder> = LazyLock::new(|| {
        let text = "name = \"fuzz\"\nvoid = [0]\n\
            [[class]]\nname = \"grass\"\ncolour = \"#40a040\"\nids = [1]\n\
            [train.folders]\nimages = \"photos\"\nlabels = \"masks\"\n";
        let description = Description::parse(text, Path::new("dataset.toml")).unwrap();
        let labels = GrayImage::from_pixel(SIDE, SIDE, Luma([1]));
        file(
            "masks/photo.png",
            &encoded(&labels.into(), ImageFormat::Png),
        );
        let folder = DescribedFolder::open(&description, scratch(), Split::Train);
        folder.unwrap().with_reduced_photos()
    });

    fn picture() -> RgbImage {
        RgbImage::from_fn(SIDE, SIDE, |x, y| {
            Rgb([(x * 6) as u8, (y * 6) as u8, (x * y) as u8])
        })
    }

    /// A JPEG that says it is to be turned, as cameras write it.
    fn turned(mut jpeg: Vec<u8>) -> Vec<u8> {
        let mut exif = vec![0xff, 0xe1, 0, 34];
        exif.extend(b"Exif\0\0MM\0\x2a\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0");
        exif.extend([6, 0, 0, 0, 0, 0, 0]);
        jpeg.splice(2..2, exif);
        jpeg
    }

    pub fn seeds() -> Vec<Vec<u8>> {
        let rgb = picture();
        let gray = DynamicImage::from(rgb.clone()).to_luma8();
        let small = image::imageops::thumbnail(&rgb, 8, 6);
        let mut jpeg = Vec::new();
        JpegEncoder::new_with_quality(&mut jpeg, 50)
            .encode_image(&rgb)
            .unwrap();
        let mut gray_jpeg = Vec::new();
        JpegEncoder::new_with_quality(&mut gray_jpeg, 30)
            .encode_image(&gray)
            .unwrap();
        let mut webp = Vec::new();
        WebPEncoder::new_lossless(&mut webp)
            .write_image(small.as_raw(), 8, 6, image::ExtendedColorType::Rgb8)
            .unwrap();
        let small = DynamicImage::from(small);
        vec![
            turned(jpeg.clone()),
            jpeg,
            gray_jpeg,
            webp,
            encoded(&small, ImageFormat::Png),
            encoded(&small.to_rgba8().into(), ImageFormat::Png),
            encoded(&small.to_rgb16().into(), ImageFormat::Png),
            encoded(&small.to_luma8().into(), ImageFormat::Png),
        ]
    }

    /// Pixels of a photo by its header, even where all of it is read to find out that it is damaged.
    fn dimensions(data: &[u8]) -> Option<usize> {
        let reader = ImageReader::new(Cursor::new(data))
            .with_guessed_format()
            .ok()?;
        let (width, height) = reader.into_dimensions().ok()?;
        Some(width as usize * height as usize)
    }

    /// Has a panic of a decoder unwind to the reader that contains it, instead of ending the process.
    fn let_decoders_panic() {
        static ONCE: Once = Once::new();
        ONCE.call_once(|| {
            let end = take_hook();
            set_hook(Box::new(move |panic| {
                let file = panic.location().map_or("", |location| location.file());
                if !DECODERS.iter().any(|decoder| file.contains(decoder)) {
                    end(panic);
                }
            }));
        });
    }

    pub fn run(data: &[u8]) -> bool {
        let_decoders_panic();
        for folder in ["photos", "masks"] {
            let folder = scratch().join(folder);
            if !folder.exists() {
                std::fs::create_dir(folder).unwrap();
            }
        }
        let path = file("photos/photo.jpg", data);
        if dimensions(data).is_some_and(|pixels| pixels > MOST_PIXELS) {
            return false;
        }
        let header = rgb_size(&path);
        let reduced = REDUCED.decode(0, Size::square(2));
        let Ok((size, pixels)) = read_rgb(&path) else {
            return false;
        };
        assert_eq!(header.unwrap(), size);
        assert_eq!(pixels.len(), 3 * size.pixels());
        let (width, height) = (size.width as u32, size.height as u32);
        if size == Size::square(SIDE as usize) {
            let sample = reduced.unwrap().resize(Size::square(2)).unwrap();
            assert_eq!(sample.image.len(), 12);
        }
        let image = RgbImage::from_raw(width, height, pixels.clone()).unwrap();
        let again = file("again.png", &encoded(&image.into(), ImageFormat::Png));
        assert_eq!(read_rgb(&again).unwrap(), (size, pixels));
        true
    }
}
