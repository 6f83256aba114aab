//! Reading photos of every kind as upright 8-bit RGB.

use std::io::{BufRead, BufReader, Cursor, Read as _, Seek};
use std::path::Path;

use image::metadata::Orientation;
use image::{DynamicImage, ImageDecoder, ImageError, ImageFormat, ImageReader, Limits};

use crate::error::DatasetError;
use crate::open::{contained, open_file};
use crate::size::Size;

mod reduced;
mod whole;

pub(crate) use reduced::read_reduced_photo;
use whole::is_whole;

/// Most bytes that the pixels of a photo or its file may take: 512 MiB.
const MAX_BYTES: u64 = 1 << 29;

/// Most bytes that what stands beside the pixels of a PNG may take, unpacked: 64 MiB.
const MAX_EXTRA: u64 = 1 << 26;

/// Height and width of a photo, as shown and as stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PhotoSize {
    /// Once turned as its EXIF tag says.
    pub upright: Size,
    /// Of the pixels in the file.
    pub stored: Size,
    /// How the pixels are to be turned.
    orientation: Orientation,
}

impl PhotoSize {
    fn new(stored: Size, orientation: Orientation) -> Self {
        use Orientation::{Rotate90, Rotate90FlipH, Rotate270, Rotate270FlipH};
        let upright = match orientation {
            Rotate90 | Rotate270 | Rotate90FlipH | Rotate270FlipH => {
                Size::new(stored.width, stored.height)
            }
            _ => stored,
        };
        Self {
            upright,
            stored,
            orientation,
        }
    }
}

/// The size of a photo, from its header.
///
/// # Errors
/// When the file cannot be read, is no image or is too large.
pub fn photo_size(path: &Path) -> Result<PhotoSize, DatasetError> {
    open(path, &|_, size, _| Ok(size))
}

/// The pixels of a photo, `[height, width, 3]` of its upright size.
///
/// Gray becomes RGB, CMYK is converted without a colour profile, 16 bits are rounded to 8, palettes
/// are expanded, alpha is passed over, and EXIF orientation is applied.
///
/// # Errors
/// When the file cannot be read, is no image or is too large.
pub fn read_photo(path: &Path) -> Result<(Vec<u8>, PhotoSize), DatasetError> {
    open(path, &|decoder, size, orientation| {
        let mut photo = DynamicImage::from_decoder(decoder)?;
        photo.apply_orientation(orientation);
        Ok((photo.into_rgb8().into_raw(), size))
    })
}

/// The pixels of an image, `[height, width, 3]`, and its size: [`read_photo`] for images of others.
///
/// # Errors
/// When the file cannot be read, is no image, is damaged or too large.
pub fn read_rgb(path: &Path) -> Result<(Size, Vec<u8>), DatasetError> {
    let (pixels, size) = read_photo(path)?;
    Ok((size.upright, pixels))
}

/// The size of an image as [`read_rgb`] gives it, from its header.
///
/// # Errors
/// When the file cannot be read, is no image, is cut off or too large.
pub fn rgb_size(path: &Path) -> Result<Size, DatasetError> {
    Ok(photo_size(path)?.upright)
}

/// What is done with a decoder that stands before the pixels.
type Read<'a, T> =
    &'a dyn Fn(Box<dyn ImageDecoder + '_>, PhotoSize, Orientation) -> Result<T, ImageError>;

/// Opens a photo, tells its format by its first bytes whatever its name ends in, and refuses it
/// before its pixels take memory if these are too many. A JPEG that was cut off is refused too.
fn open<T>(path: &Path, read: Read<T>) -> Result<T, DatasetError> {
    let unreadable = DatasetError::read(path);
    let file = open_file(path, MAX_BYTES)?;
    let reader = ImageReader::new(BufReader::new(file))
        .with_guessed_format()
        .map_err(unreadable)?;
    if reader.format() != Some(ImageFormat::Jpeg) {
        return contained(path, || decode(path, reader, &|| true, read));
    }
    // The JPEG decoder reads the whole file at once.
    let mut bytes = Vec::new();
    let file = reader.into_inner();
    file.take(MAX_BYTES)
        .read_to_end(&mut bytes)
        .map_err(unreadable)?;
    let reader = ImageReader::with_format(Cursor::new(&bytes), ImageFormat::Jpeg);
    contained(path, || decode(path, reader, &|| is_whole(&bytes), read))
}

fn decode<T, R: BufRead + Seek>(
    path: &Path,
    mut reader: ImageReader<R>,
    is_whole: &dyn Fn() -> bool,
    read: Read<T>,
) -> Result<T, DatasetError> {
    let damaged = |error: ImageError| DatasetError::decode(path, error);
    // Pixels are counted below; these limits are for profiles and texts.
    let mut limits = Limits::no_limits();
    limits.max_alloc = Some(MAX_EXTRA);
    reader.limits(limits);
    let mut decoder = reader.into_decoder().map_err(damaged)?;
    let (width, height) = decoder.dimensions();
    let stored = Size::new(height as usize, width as usize);
    if decoder.total_bytes() > MAX_BYTES {
        let bytes = decoder.total_bytes();
        let reason = format!("its {stored} pixels take {bytes} bytes, more than {MAX_BYTES}");
        return Err(DatasetError::decode(path, reason));
    }
    if !is_whole() {
        let reason = "it is cut off: a part of its pixels is missing";
        return Err(DatasetError::decode(path, reason));
    }
    let orientation = decoder.orientation().map_err(damaged)?;
    let size = PhotoSize::new(stored, orientation);
    read(Box::new(decoder), size, orientation).map_err(damaged)
}

#[cfg(test)]
mod tests;
