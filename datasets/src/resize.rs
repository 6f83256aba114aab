//! Resizing as Pillow does it: bicubic with antialiasing for photos, nearest for label maps.

use std::borrow::Cow;

use fast_image_resize::images::{Image, ImageRef};
use fast_image_resize::{FilterType, PixelType, ResizeAlg, ResizeOptions, Resizer};

use crate::error::DatasetError;
use crate::size::Size;

/// Longest side, in pixels, that is resized to.
const MAX_SIDE: usize = 65_535;

/// Refuses sizes without pixels and sizes too large to resize to.
///
/// # Errors
/// [`DatasetError::InvalidSize`].
pub fn check_size(size: Size) -> Result<(), DatasetError> {
    let valid = 1..=MAX_SIDE;
    if valid.contains(&size.height) && valid.contains(&size.width) {
        Ok(())
    } else {
        Err(DatasetError::InvalidSize { size })
    }
}

/// How the pixels of a resized photo are mixed; the kernel is widened when reducing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PhotoFilter {
    /// Pillow's `BICUBIC`: a cubic kernel with a = -0.5.
    Bicubic,
    /// Pillow's `BILINEAR`: a triangle.
    Bilinear,
}

/// Resizes an RGB photo with a bicubic kernel: [`resize_photo_with`] of [`PhotoFilter::Bicubic`].
///
/// # Shapes
/// - pixels: `[from.height, from.width, 3]`
/// - output: `[to.height, to.width, 3]`
///
/// # Errors
/// When `to` is not a valid size, or `from` is not the size of `pixels`.
pub fn resize_photo(pixels: Vec<u8>, from: Size, to: Size) -> Result<Vec<u8>, DatasetError> {
    resize_photo_with(PhotoFilter::Bicubic, pixels, from, to)
}

/// Resizes an RGB photo.
///
/// Rows are resized first, then columns. Values are rounded and clamped in between, so the other
/// order gives slightly different pixels beside hard edges.
///
/// # Shapes
/// - pixels: `[from.height, from.width, 3]`
/// - output: `[to.height, to.width, 3]`
///
/// # Errors
/// When `to` is not a valid size, or `from` is not the size of `pixels`.
pub fn resize_photo_with(
    filter: PhotoFilter,
    pixels: Vec<u8>,
    from: Size,
    to: Size,
) -> Result<Vec<u8>, DatasetError> {
    check_size(to)?;
    // One call for both directions would resize the columns first.
    let wide = resize_pass(filter, pixels, from, Size::new(from.height, to.width))?;
    resize_pass(filter, wide, Size::new(from.height, to.width), to)
}

/// Resizes along one direction; the sizes are equal in the other one.
fn resize_pass(
    filter: PhotoFilter,
    pixels: Vec<u8>,
    from: Size,
    to: Size,
) -> Result<Vec<u8>, DatasetError> {
    let invalid = || DatasetError::InvalidSize { size: from };
    if pixels.len() != from.pixels() * 3 {
        return Err(invalid());
    }
    if from == to {
        return Ok(pixels);
    }
    let side = |side: usize| u32::try_from(side).map_err(|_| invalid());
    let (width, height) = (side(from.width)?, side(from.height)?);
    let source = ImageRef::new(width, height, &pixels, PixelType::U8x3).map_err(|_| invalid())?;
    let mut resized = Image::new(side(to.width)?, side(to.height)?, PixelType::U8x3);
    let filter = match filter {
        PhotoFilter::Bicubic => FilterType::CatmullRom,
        PhotoFilter::Bilinear => FilterType::Bilinear,
    };
    let options = ResizeOptions::new().resize_alg(ResizeAlg::Convolution(filter));
    Resizer::new()
        .resize(&source, &mut resized, &options)
        .map_err(|_| invalid())?;
    Ok(resized.into_vec())
}

/// Resizes a map of indices by taking the value at the centre of each new pixel; no value is mixed.
///
/// # Shapes
/// - values: `[from.height, from.width]`
/// - output: `[to.height, to.width]`
///
/// # Errors
/// When `to` is not a valid size.
pub fn resize_labels<T: Copy>(
    values: &[T],
    from: Size,
    to: Size,
) -> Result<Cow<'_, [T]>, DatasetError> {
    check_size(to)?;
    if from == to {
        return Ok(Cow::Borrowed(values));
    }
    let columns = nearest(from.width, to.width);
    let rows = nearest(from.height, to.height);
    let value = |row: usize| {
        columns
            .iter()
            .map(move |column| values[row * from.width + column])
    };
    Ok(Cow::Owned(rows.into_iter().flat_map(value).collect()))
}

/// The index sampled for each of `to` new positions along `from` old ones.
fn nearest(from: usize, to: usize) -> Vec<usize> {
    // Pillow sums the positions up one step at a time. On pixel borders the rounding of that sum
    // decides, so a product per position would differ by one index here and there.
    let step = from as f64 / to as f64;
    std::iter::successors(Some(step * 0.5), |position| Some(position + step))
        .map(|position| (position as usize).min(from.saturating_sub(1)))
        .take(to)
        .collect()
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Deserialize)]
    struct Reference {
        bicubic: Vec<Bicubic>,
        nearest: Vec<Nearest>,
    }

    #[derive(Deserialize)]
    struct Bicubic {
        from: Size,
        to: Size,
        source: Vec<u8>,
        resized: Vec<u8>,
        bilinear: Vec<u8>,
    }

    #[derive(Deserialize)]
    struct Nearest {
        from: usize,
        to: usize,
        indices: Vec<usize>,
    }

    fn reference() -> Reference {
        let text = include_str!("../../tests/fixtures/datasets/pillow_resize.json");
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn photos_match_pillow() {
        for case in reference().bicubic {
            for (filter, expected) in [
                (PhotoFilter::Bicubic, &case.resized),
                (PhotoFilter::Bilinear, &case.bilinear),
            ] {
                let source = case.source.clone();
                let resized = resize_photo_with(filter, source, case.from, case.to).unwrap();
                assert_eq!(resized.len(), expected.len());
                let pixels = resized.iter().zip(expected);
                let worst = pixels.map(|(a, b)| a.abs_diff(*b)).max();
                let what = format!("{filter:?}, {} to {}", case.from, case.to);
                println!("{what}: largest difference {worst:?}");
                assert!(worst <= Some(1), "{what}: {worst:?}");
            }
        }
    }

    #[test]
    fn labels_match_pillow_nearest() {
        for case in reference().nearest {
            assert_eq!(
                nearest(case.from, case.to),
                case.indices,
                "{} to {}",
                case.from,
                case.to
            );
        }
    }

    #[test]
    fn labels_sample_rows_and_columns() {
        let labels: Vec<u16> = (0..24).collect();
        let resized = resize_labels(&labels, Size::new(4, 6), Size::new(2, 3)).unwrap();
        assert_eq!(resized, vec![7, 9, 11, 19, 21, 23]);
        let same = resize_labels(&labels, Size::new(4, 6), Size::new(4, 6)).unwrap();
        assert!(matches!(same, Cow::Borrowed(_)));
    }

    #[test]
    fn sizes_without_pixels_are_refused() {
        for size in [Size::new(0, 4), Size::new(4, 0), Size::new(4, 65_536)] {
            let photo = resize_photo(vec![0; 12], Size::new(2, 2), size).unwrap_err();
            assert!(matches!(photo, DatasetError::InvalidSize { .. }));
            assert!(photo.to_string().contains(&size.to_string()));
            assert!(resize_labels(&[0_u8; 4], Size::new(2, 2), size).is_err());
        }
        assert!(resize_photo(vec![0; 5], Size::new(2, 2), Size::new(1, 1)).is_err());
    }
}
