use std::io::Read as _;
use std::path::Path;

use image::DynamicImage;
use jpeg_decoder::{Decoder, PixelFormat};

use super::{MAX_BYTES, PhotoSize, photo_size, read_photo};
use crate::error::DatasetError;
use crate::open::{contained, open_file};
use crate::size::Size;

/// Divisors that decoding can reduce by, largest first. Half size is left out: it takes as long as
/// the decoder for full size, which is another one.
const DIVISORS: [usize; 2] = [8, 4];
/// Sides are left at least this many times as long as those wanted, so that the kernel of the resize
/// that follows decides what the pixels are.
const MARGIN: usize = 2;

/// The pixels of a photo, upright, and their size, which is reduced for a JPEG that is many times
/// larger than `target`.
///
/// Decoding a 12-megapixel photo takes a quarter to a half less. Pixels differ from those of [`read_photo`] and a
/// resize by a few levels.
///
/// # Errors
/// Those of [`read_photo`].
pub(crate) fn read_reduced_photo(
    path: &Path,
    target: Size,
) -> Result<(Vec<u8>, PhotoSize, Size), DatasetError> {
    let size = photo_size(path)?;
    let divides = |side: usize, target: usize, by: usize| side / by >= target * MARGIN;
    let divisor = DIVISORS.into_iter().find(|&by| {
        divides(size.upright.height, target.height, by)
            && divides(size.upright.width, target.width, by)
    });
    // Anything that is not a plain JPEG, or damaged, is left to the other decoder and its errors.
    if let Some(divisor) = divisor
        && let Ok(Some((photo, reduced))) = contained(path, || Ok(reduced(path, size, divisor)))
    {
        return Ok((photo, size, reduced));
    }
    let (photo, size) = read_photo(path)?;
    Ok((photo, size, size.upright))
}

fn reduced(path: &Path, size: PhotoSize, divisor: usize) -> Option<(Vec<u8>, Size)> {
    let mut bytes = Vec::new();
    let file = open_file(path, MAX_BYTES).ok()?;
    file.take(MAX_BYTES).read_to_end(&mut bytes).ok()?;
    let mut decoder = Decoder::new(&bytes[..]);
    let side = |side: usize| u16::try_from(side.div_ceil(divisor)).ok();
    let (width, height) = decoder
        .scale(side(size.stored.width)?, side(size.stored.height)?)
        .ok()?;
    let pixels = decoder.decode().ok()?;
    let (width, height) = (u32::from(width), u32::from(height));
    let mut photo = match decoder.info()?.pixel_format {
        PixelFormat::RGB24 => image::RgbImage::from_raw(width, height, pixels)?.into(),
        PixelFormat::L8 => image::GrayImage::from_raw(width, height, pixels)?.into(),
        PixelFormat::L16 | PixelFormat::CMYK32 => return None,
    };
    DynamicImage::apply_orientation(&mut photo, size.orientation);
    let reduced = Size::new(photo.height() as usize, photo.width() as usize);
    Some((photo.into_rgb8().into_raw(), reduced))
}

#[cfg(test)]
mod tests {
    use image::{ImageFormat, RgbImage};

    use super::*;
    use crate::resize::resize_photo;
    use crate::testing::oriented;

    /// A smooth photo of 512 rows and 1024 columns.
    fn photo() -> DynamicImage {
        RgbImage::from_fn(1024, 512, |x, y| {
            let wave =
                |value: u32, period: f32| (127.0 + 120.0 * (value as f32 / period).sin()) as u8;
            image::Rgb([wave(x, 90.0), wave(y, 60.0), wave(x + y, 110.0)])
        })
        .into()
    }

    fn file(photo: &DynamicImage, format: ImageFormat) -> Vec<u8> {
        let mut file = std::io::Cursor::new(Vec::new());
        photo.write_to(&mut file, format).unwrap();
        file.into_inner()
    }

    /// Writes the file and reads it both ways at `target`; the size that was decoded and the mean
    /// difference of the results.
    fn compare(bytes: &[u8], target: Size) -> (Size, f64) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("photo.jpg");
        std::fs::write(&path, bytes).unwrap();
        let (exact, size) = read_photo(&path).unwrap();
        let exact = resize_photo(exact, size.upright, target).unwrap();
        let (fast, same, reduced) = read_reduced_photo(&path, target).unwrap();
        assert_eq!(same, size);
        let fast = resize_photo(fast, reduced, target).unwrap();
        let differences = exact
            .iter()
            .zip(&fast)
            .map(|(a, b)| f64::from(a.abs_diff(*b)));
        (reduced, differences.sum::<f64>() / exact.len() as f64)
    }

    #[test]
    fn large_jpegs_are_decoded_small_and_look_the_same() {
        let jpeg = file(&photo(), ImageFormat::Jpeg);
        for (target, decoded) in [
            (Size::new(32, 64), Size::new(64, 128)),
            (Size::new(40, 64), Size::new(128, 256)),
            (Size::new(64, 128), Size::new(128, 256)),
            (Size::new(65, 128), Size::new(512, 1024)),
        ] {
            let (reduced, difference) = compare(&jpeg, target);
            assert_eq!(reduced, decoded, "{target}");
            println!("{target}: mean difference {difference:.3}");
            assert!(difference < 1.0, "{target}: {difference}");
        }
        let gray = file(&DynamicImage::from(photo().into_luma8()), ImageFormat::Jpeg);
        let (reduced, difference) = compare(&gray, Size::new(32, 64));
        assert_eq!(reduced, Size::new(64, 128));
        assert!(difference < 1.0, "{difference}");
    }

    #[test]
    fn turned_photos_are_turned_and_other_files_are_read_as_ever() {
        let jpeg = file(&photo(), ImageFormat::Jpeg);
        let (reduced, difference) = compare(&oriented(&jpeg, 6), Size::new(64, 32));
        assert_eq!(reduced, Size::new(128, 64));
        assert!(difference < 1.0, "{difference}");
        let png = file(&photo(), ImageFormat::Png);
        let (reduced, difference) = compare(&png, Size::new(32, 64));
        assert_eq!((reduced, difference), (Size::new(512, 1024), 0.0));
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("cut.jpg");
        std::fs::write(&path, &jpeg[..jpeg.len() / 2]).unwrap();
        let same = match (
            read_reduced_photo(&path, Size::square(8)),
            read_photo(&path),
        ) {
            (Err(one), Err(other)) => one.to_string() == other.to_string(),
            (one, other) => one.is_ok() == other.is_ok(),
        };
        assert!(same, "damage is treated differently");
    }
}
