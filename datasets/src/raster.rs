//! The samples of a PNG as they are stored, for files whose values are numbers and not light.

use std::io::{BufRead, BufReader, Cursor, Seek};
use std::path::Path;

use png::{BitDepth, ColorType, DecodingError, Transformations};

use crate::error::DatasetError;
use crate::open::{contained, open_file};
use crate::size::Size;

/// Most pixels a file may have, against headers that ask for all the memory there is.
const MAX_PIXELS: usize = 1 << 27;

/// Most bytes that a file or its samples may take: 512 MiB.
const MAX_BYTES: u64 = 1 << 29;

/// The samples of a PNG.
pub struct Raster {
    /// Height and width in pixels.
    pub size: Size,
    /// What the samples of a pixel are.
    pub colour: ColorType,
    /// The samples: one byte each, or two in big-endian order where the file has 16 bits.
    pub bytes: Vec<u8>,
    /// True when a sample has two bytes.
    pub wide: bool,
    /// Colours of a palette file, three bytes each.
    pub palette: Vec<u8>,
}

impl Raster {
    /// Bits of a sample once unpacked.
    pub fn depth(&self) -> BitDepth {
        match self.wide {
            true => BitDepth::Sixteen,
            false => BitDepth::Eight,
        }
    }

    /// The samples of a gray or palette file as numbers.
    pub fn values(&self) -> Vec<u16> {
        if self.wide {
            let pairs = self.bytes.chunks_exact(2);
            pairs
                .map(|pair| u16::from_be_bytes([pair[0], pair[1]]))
                .collect()
        } else {
            self.bytes.iter().map(|&byte| u16::from(byte)).collect()
        }
    }
}

/// What a file is that cannot be used, and what to do.
pub type Refusal = (&'static str, &'static str);

/// Reads a PNG of a kind that `refuse` lets pass.
///
/// # Errors
/// When the file is damaged, too large or refused.
pub fn read_png(
    path: &Path,
    refuse: impl Fn(ColorType, BitDepth) -> Option<Refusal>,
) -> Result<Raster, DatasetError> {
    contained(path, || {
        let file = BufReader::new(open_file(path, MAX_BYTES)?);
        decode(file, path, MAX_PIXELS, refuse)
    })
}

/// Reads a PNG of a kind that `refuse` lets pass from memory. It may have at most `most` pixels, which is
/// known before memory is taken for them; errors call it `name`.
///
/// # Errors
/// Those of [`read_png`].
pub fn parse_png(
    bytes: &[u8],
    name: &Path,
    most: usize,
    refuse: impl Fn(ColorType, BitDepth) -> Option<Refusal>,
) -> Result<Raster, DatasetError> {
    let most = most.min(MAX_PIXELS);
    contained(name, || decode(Cursor::new(bytes), name, most, refuse))
}

fn decode(
    file: impl BufRead + Seek,
    path: &Path,
    most: usize,
    refuse: impl Fn(ColorType, BitDepth) -> Option<Refusal>,
) -> Result<Raster, DatasetError> {
    let mut decoder = png::Decoder::new(file);
    // Expansion would turn palette indices into colours and scale gray values of under 8 bits.
    decoder.set_transformations(Transformations::IDENTITY);
    // Texts and profiles say nothing about numbers, and unpacked they can be very large.
    decoder.set_ignore_text_chunk(true);
    decoder.set_ignore_iccp_chunk(true);
    let damaged = |error: DecodingError| DatasetError::decode(path, error);
    let mut reader = decoder.read_info().map_err(damaged)?;

    let info = reader.info();
    let size = Size::new(info.height as usize, info.width as usize);
    let (colour, depth) = (info.color_type, info.bit_depth);
    let palette = info.palette.as_deref().unwrap_or_default().to_vec();
    if let Some((found, remedy)) = refuse(colour, depth) {
        return Err(DatasetError::LabelFormat {
            path: path.to_path_buf(),
            found,
            remedy,
        });
    }
    let pixels = size.height.checked_mul(size.width);
    if pixels.is_none_or(|pixels| pixels > most) {
        let reason = format!("{size} is more than {most} pixels");
        return Err(DatasetError::decode(path, reason));
    }
    let bytes = reader
        .output_buffer_size()
        .filter(|&bytes| bytes as u64 <= MAX_BYTES)
        .ok_or_else(|| DatasetError::decode(path, format!("{size} is too large")));
    let mut packed = vec![0; bytes?];
    let frame = reader.next_frame(&mut packed).map_err(damaged)?;
    let bytes = match depth {
        BitDepth::Eight | BitDepth::Sixteen => packed,
        // PNG packs nothing but gray and palette files, which have one sample per pixel.
        _ => packed
            .chunks_exact(frame.line_size)
            .flat_map(|row| unpack(row, depth as usize).take(size.width))
            .collect(),
    };
    Ok(Raster {
        size,
        colour,
        bytes,
        wide: depth == BitDepth::Sixteen,
        palette,
    })
}

/// The samples of `bits` bits in a packed row, most significant first as PNG stores them.
fn unpack(row: &[u8], bits: usize) -> impl Iterator<Item = u8> + '_ {
    let mask = (1_u8 << bits) - 1;
    row.iter().flat_map(move |&byte| {
        (0..8 / bits).map(move |slot| byte >> (8 - bits * (slot + 1)) & mask)
    })
}
