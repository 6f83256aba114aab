//! Label maps: 8-bit gray or palette PNG files whose sample values are ids.

use std::fs::File;
use std::io::BufReader;
use std::path::Path;

use png::{BitDepth, ColorType, Transformations};

use crate::description::Description;
use crate::error::DatasetError;
use crate::sample::Size;

/// Most pixels a label map may have, against headers that ask for all the memory there is.
const MAX_PIXELS: usize = 1 << 28;

/// A label map in class indices.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LabelMap {
    /// Height and width in pixels.
    pub size: Size,
    /// Class index of every pixel, row-major `[height, width]`; 0 is void.
    pub labels: Vec<u8>,
}

/// Reads a label PNG and turns its ids into the class indices of `description`.
///
/// Gray files give their gray values as ids, palette files the palette INDEX, whatever the colours.
///
/// # Errors
/// When the file is damaged, of another kind, or has an id that is not described.
pub fn read_labels(path: &Path, description: &Description) -> Result<LabelMap, DatasetError> {
    read_labels_with(path, &description.class_of_id())
}

/// [`read_labels`] with the map made by [`Description::class_of_id`].
pub(crate) fn read_labels_with(
    path: &Path,
    class_of_id: &[Option<u8>; 256],
) -> Result<LabelMap, DatasetError> {
    let LabelMap { size, mut labels } = read_ids(path)?;
    for (pixel, value) in labels.iter_mut().enumerate() {
        let id = *value;
        *value = class_of_id[usize::from(id)].ok_or_else(|| DatasetError::UnknownId {
            path: path.to_path_buf(),
            x: pixel % size.width,
            y: pixel / size.width,
            id,
        })?;
    }
    Ok(LabelMap { size, labels })
}

/// Reads the ids of a label PNG as they are.
fn read_ids(path: &Path) -> Result<LabelMap, DatasetError> {
    let damaged = |reason: String| DatasetError::Decode {
        path: path.to_path_buf(),
        reason,
    };
    let file = File::open(path).map_err(|source| DatasetError::Read {
        path: path.to_path_buf(),
        source,
    })?;
    let mut decoder = png::Decoder::new(BufReader::new(file));
    // Expansion would turn palette indices into colours and scale gray values of under 8 bits.
    decoder.set_transformations(Transformations::IDENTITY);
    let mut reader = decoder
        .read_info()
        .map_err(|error| damaged(error.to_string()))?;

    let info = reader.info();
    let size = Size::new(info.height as usize, info.width as usize);
    let depth = info.bit_depth;
    if let Some((found, remedy)) = refusal(info.color_type, depth) {
        return Err(DatasetError::LabelFormat {
            path: path.to_path_buf(),
            found,
            remedy,
        });
    }
    if size
        .height
        .checked_mul(size.width)
        .is_none_or(|pixels| pixels > MAX_PIXELS)
    {
        return Err(damaged(format!("{size} is more than {MAX_PIXELS} pixels")));
    }
    let bytes = reader
        .output_buffer_size()
        .ok_or_else(|| damaged(format!("{size} is too large")));
    let mut packed = vec![0; bytes?];
    let frame = reader
        .next_frame(&mut packed)
        .map_err(|error| damaged(error.to_string()))?;

    let labels = match depth {
        BitDepth::Eight => packed,
        _ => packed
            .chunks_exact(frame.line_size)
            .flat_map(|row| unpack(row, depth as usize).take(size.width))
            .collect(),
    };
    Ok(LabelMap { size, labels })
}

/// Why a PNG of this kind is no label map, and what to do; `None` when it is one.
fn refusal(colour: ColorType, depth: BitDepth) -> Option<(&'static str, &'static str)> {
    match (colour, depth) {
        (ColorType::Grayscale, BitDepth::Sixteen) => Some((
            "a 16-bit gray PNG",
            "write the ids as 8-bit gray values (0 to 255)",
        )),
        (ColorType::Grayscale | ColorType::Indexed, _) => None,
        (ColorType::GrayscaleAlpha, _) => Some((
            "a gray PNG with an alpha channel",
            "write it without alpha, as 8-bit gray",
        )),
        (ColorType::Rgb | ColorType::Rgba, _) => Some((
            "a colour PNG",
            "convert every colour to its id and write an 8-bit gray or palette PNG",
        )),
    }
}

/// The samples of `bits` bits in a packed row, most significant first as PNG stores them.
fn unpack(row: &[u8], bits: usize) -> impl Iterator<Item = u8> + '_ {
    let mask = (1_u8 << bits) - 1;
    row.iter().flat_map(move |&byte| {
        (0..8 / bits).map(move |slot| byte >> (8 - bits * (slot + 1)) & mask)
    })
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::path::PathBuf;

    use tempfile::TempDir;

    use super::*;

    fn write_png(
        name: &str,
        [width, height]: [u32; 2],
        (colour, depth): (ColorType, BitDepth),
        data: &[u8],
    ) -> (TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(name);
        let mut encoder = png::Encoder::new(File::create(&path).unwrap(), width, height);
        encoder.set_color(colour);
        encoder.set_depth(depth);
        if colour == ColorType::Indexed {
            // Colours unlike the indices, so that a decoder that expands them fails the tests.
            let colours = if depth == BitDepth::Eight {
                256
            } else {
                1 << depth as usize
            };
            encoder.set_palette(
                (0..colours * 3)
                    .map(|i| 255 - (i % 256) as u8)
                    .collect::<Vec<_>>(),
            );
        }
        encoder
            .write_header()
            .unwrap()
            .write_image_data(data)
            .unwrap();
        (folder, path)
    }

    fn identity() -> [Option<u8>; 256] {
        std::array::from_fn(|id| Some(id as u8))
    }

    #[test]
    fn gray_and_palette_values_are_ids() {
        let data: Vec<u8> = (0..6).map(|i| i * 50).collect();
        for colour in [ColorType::Grayscale, ColorType::Indexed] {
            let (_folder, path) = write_png("l.png", [3, 2], (colour, BitDepth::Eight), &data);
            let map = read_labels_with(&path, &identity()).unwrap();
            assert_eq!((map.size, &map.labels), (Size::new(2, 3), &data));
        }
    }

    #[test]
    fn packed_samples_are_not_scaled() {
        for colour in [ColorType::Grayscale, ColorType::Indexed] {
            // Two rows of five pixels: the last bits of each row are padding.
            for (depth, data, expected) in [
                (
                    BitDepth::One,
                    vec![0b1011_0111, 0b0100_1111],
                    vec![1, 0, 1, 1, 0, 0, 1, 0, 0, 1],
                ),
                (
                    BitDepth::Two,
                    vec![0b0001_1011, 0b1011_1111, 0b1110_0100, 0b0100_0000],
                    vec![0, 1, 2, 3, 2, 3, 2, 1, 0, 1],
                ),
                (
                    BitDepth::Four,
                    vec![0x12, 0x3f, 0x5f, 0xab, 0xcd, 0xe0],
                    vec![1, 2, 3, 15, 5, 10, 11, 12, 13, 14],
                ),
            ] {
                let (_folder, path) = write_png("l.png", [5, 2], (colour, depth), &data);
                assert_eq!(
                    read_labels_with(&path, &identity()).unwrap().labels,
                    expected
                );
            }
        }
    }

    #[test]
    fn unknown_id_names_file_pixel_and_id() {
        let format = (ColorType::Grayscale, BitDepth::Eight);
        let (_folder, path) = write_png("street.png", [3, 2], format, &[0, 0, 0, 0, 9, 9]);
        let mut map = identity();
        map[9] = None;
        let message = read_labels_with(&path, &map).unwrap_err().to_string();
        assert!(
            message.contains("street.png: pixel (x=1, y=1)"),
            "{message}"
        );
        assert!(
            message.contains("unknown id 9") && message.contains("`void`"),
            "{message}"
        );
    }

    #[test]
    fn other_kinds_of_png_are_refused_by_name() {
        for (colour, depth, bytes, found) in [
            (ColorType::Rgb, BitDepth::Eight, 3, "colour PNG"),
            (ColorType::Rgba, BitDepth::Eight, 4, "colour PNG"),
            (
                ColorType::Grayscale,
                BitDepth::Sixteen,
                2,
                "16-bit gray PNG",
            ),
            (ColorType::GrayscaleAlpha, BitDepth::Eight, 2, "alpha"),
        ] {
            let (_folder, path) = write_png("odd.png", [1, 1], (colour, depth), &vec![0; bytes]);
            let error = read_labels_with(&path, &identity()).unwrap_err();
            assert!(matches!(error, DatasetError::LabelFormat { .. }));
            let message = error.to_string();
            assert!(
                message.contains("odd.png") && message.contains(found),
                "{message}"
            );
            assert!(message.contains("8-bit gray"), "no remedy: {message}");
        }
    }

    #[test]
    fn damaged_and_foreign_files_are_named() {
        let format = (ColorType::Grayscale, BitDepth::Eight);
        let data: Vec<u8> = (0..4096_u32)
            .map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8)
            .collect();
        let (_folder, path) = write_png("cut.png", [64, 64], format, &data);
        let whole = std::fs::read(&path).unwrap();
        for keep in [0, 4, 20, 60, whole.len() / 2] {
            File::create(&path)
                .unwrap()
                .write_all(&whole[..keep])
                .unwrap();
            let error = read_labels_with(&path, &identity()).unwrap_err();
            assert!(
                matches!(error, DatasetError::Decode { .. }),
                "{keep} bytes: {error}"
            );
            assert!(error.to_string().contains("cut.png"));
        }
        std::fs::write(&path, "a text, not an image").unwrap();
        let error = read_labels_with(&path, &identity()).unwrap_err();
        assert!(matches!(error, DatasetError::Decode { .. }));
        std::fs::remove_file(&path).unwrap();
        let error = read_labels_with(&path, &identity()).unwrap_err();
        assert!(matches!(error, DatasetError::Read { .. }));
    }

    #[test]
    fn a_header_of_absurd_size_is_refused() {
        let format = (ColorType::Grayscale, BitDepth::Eight);
        let (_folder, path) = write_png("huge.png", [1, 1], format, &[0]);
        let mut bytes = std::fs::read(&path).unwrap();
        // The header chunk: length 4, type 4, then width, height and 5 more bytes, then its CRC.
        bytes[16..24].copy_from_slice(&[0, 1, 0, 0, 0, 1, 0, 0]);
        let crc = crc32(&bytes[12..29]);
        bytes[29..33].copy_from_slice(&crc.to_be_bytes());
        std::fs::write(&path, bytes).unwrap();
        let message = read_labels_with(&path, &identity())
            .unwrap_err()
            .to_string();
        assert!(message.contains("65536x65536"), "{message}");
    }

    fn crc32(bytes: &[u8]) -> u32 {
        !bytes.iter().fold(!0, |crc, &byte| {
            (0..8).fold(crc ^ u32::from(byte), |crc: u32, _| {
                (crc >> 1) ^ (0xedb8_8320 & 0_u32.wrapping_sub(crc & 1))
            })
        })
    }
}
