//! Label maps: gray or palette PNG files whose sample values are ids, or PNG files in class colours.
//!
//! [`LabelReader`] is the one way in which they are read: by training, evaluation, packing and
//! whatever makes images from them.

use std::collections::HashMap;
use std::path::Path;

use png::{BitDepth, ColorType};

use crate::description::{DescribedClass, Description, LabelValues};
use crate::error::DatasetError;
use crate::raster::{Raster, Refusal, parse_png, read_png};
use crate::size::Size;

/// A label map in class indices.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LabelMap {
    /// Height and width in pixels.
    pub size: Size,
    /// Class index of every pixel, row-major `[height, width]`; 0 is void.
    pub labels: Vec<u8>,
}

/// What the pixels of a label PNG mean.
#[derive(Clone, Debug)]
pub enum LabelCode {
    /// Class index by id, see [`Description::class_of_id`].
    Ids(Box<[Option<u8>; 256]>),
    /// Class index by colour, see [`Description::class_of_colour`].
    Colours(HashMap<[u8; 3], u8>),
}

impl LabelCode {
    /// The meaning of such values under a description.
    pub fn new(description: &Description, values: LabelValues) -> Self {
        match values {
            LabelValues::Ids => Self::Ids(Box::new(description.class_of_id())),
            LabelValues::Colours => Self::Colours(description.class_of_colour()),
        }
    }

    /// The kind of values.
    pub fn values(&self) -> LabelValues {
        match self {
            Self::Ids(_) => LabelValues::Ids,
            Self::Colours(_) => LabelValues::Colours,
        }
    }

    /// Why a PNG of this kind holds no such values, and what to do; `None` when it does.
    pub fn refuse(&self, colour: ColorType, depth: BitDepth) -> Option<Refusal> {
        refuse(self.values(), colour, depth)
    }
}

/// Reads label PNGs and turns their ids or colours into the class indices of a description.
///
/// Of ids, gray files of any depth give their gray values, palette files the palette INDEX, whatever
/// the colours. Of colours, RGB files of 8 bits and palette files are read; an alpha channel is passed
/// over, and black is void.
#[derive(Clone, Debug)]
pub struct LabelReader {
    /// What pixels may mean; of several, the first that a file can hold.
    codes: Vec<LabelCode>,
}

impl LabelReader {
    /// A reader of label maps whose pixels have this meaning and no other, as those of a split.
    pub fn of(code: LabelCode) -> Self {
        Self { codes: vec![code] }
    }

    /// A reader of label maps that belong to no split: they are written as those of a split,
    /// training first. Gray files may hold ids too where all classes have some.
    pub fn new(description: &Description) -> Self {
        let described = description.splits();
        let mut values: Vec<LabelValues> =
            described.map(|(_, files)| files.label_values()).collect();
        let has_ids = |class: &DescribedClass| !class.ids.is_empty();
        if values.is_empty() || description.classes.iter().all(has_ids) {
            values.push(LabelValues::Ids);
        }
        let first = |&(place, value): &(usize, &LabelValues)| !values[..place].contains(value);
        let values = values.iter().enumerate().filter(first);
        Self {
            codes: values
                .map(|(_, &value)| LabelCode::new(description, value))
                .collect(),
        }
    }

    /// What the pixels mean, first choice.
    pub fn code(&self) -> &LabelCode {
        &self.codes[0]
    }

    /// Reads a label map.
    ///
    /// # Errors
    /// When the file is damaged, of another kind, or has an id or a colour that is not described.
    pub fn read(&self, path: &Path) -> Result<LabelMap, DatasetError> {
        let raster = read_png(path, |colour, depth| self.refuse(colour, depth))?;
        self.classes(raster, path)
    }

    /// Reads a label map of at most `most` pixels from the bytes of a PNG, which errors call `name`.
    ///
    /// # Errors
    /// Those of [`Self::read`].
    pub fn parse(&self, bytes: &[u8], name: &Path, most: usize) -> Result<LabelMap, DatasetError> {
        let raster = parse_png(bytes, name, most, |colour, depth| {
            self.refuse(colour, depth)
        })?;
        self.classes(raster, name)
    }

    /// The first meaning that a PNG of this kind can hold.
    fn fitting(&self, colour: ColorType, depth: BitDepth) -> Option<&LabelCode> {
        let mut codes = self.codes.iter();
        codes.find(|code| code.refuse(colour, depth).is_none())
    }

    fn refuse(&self, colour: ColorType, depth: BitDepth) -> Option<Refusal> {
        match self.fitting(colour, depth) {
            Some(_) => None,
            None => self.code().refuse(colour, depth),
        }
    }

    fn classes(&self, raster: Raster, path: &Path) -> Result<LabelMap, DatasetError> {
        let code = self.fitting(raster.colour, raster.depth());
        classes_of(raster, path, code.unwrap_or(self.code()))
    }
}

/// Turns the samples of the file `path` into class indices.
///
/// # Errors
/// When a value is not described or is beyond the end of the palette. The kind of the file must be
/// one that [`LabelCode::refuse`] lets pass.
pub fn classes_of(
    mut raster: Raster,
    path: &Path,
    code: &LabelCode,
) -> Result<LabelMap, DatasetError> {
    let class_of_id = match code {
        LabelCode::Ids(class_of_id) => class_of_id,
        LabelCode::Colours(class_of_colour) => {
            return classes_of_colours(&raster, path, class_of_colour);
        }
    };
    let size = raster.size;
    let place = |pixel: usize| (pixel % size.width, pixel / size.width);
    if raster.wide {
        let narrow = |(pixel, value): (usize, u16)| {
            u8::try_from(value).map_err(|_| {
                let (x, y) = place(pixel);
                DatasetError::LargeId {
                    path: path.to_path_buf(),
                    x,
                    y,
                    id: value,
                }
            })
        };
        let ids: Result<_, _> = raster
            .values()
            .into_iter()
            .enumerate()
            .map(narrow)
            .collect();
        raster.bytes = ids?;
    }
    for (pixel, value) in raster.bytes.iter_mut().enumerate() {
        let id = *value;
        *value = class_of_id[usize::from(id)].ok_or_else(|| {
            let (x, y) = place(pixel);
            DatasetError::UnknownId {
                path: path.to_path_buf(),
                x,
                y,
                id,
            }
        })?;
    }
    Ok(LabelMap {
        size,
        labels: raster.bytes,
    })
}

fn classes_of_colours(
    raster: &Raster,
    path: &Path,
    class_of_colour: &HashMap<[u8; 3], u8>,
) -> Result<LabelMap, DatasetError> {
    let size = raster.size;
    let class = |(pixel, colour): (usize, [u8; 3])| {
        let known = class_of_colour.get(&colour).copied();
        known.ok_or_else(|| DatasetError::UnknownColour {
            path: path.to_path_buf(),
            x: pixel % size.width,
            y: pixel / size.width,
            colour,
        })
    };
    let labels: Result<_, _> = match raster.colour {
        ColorType::Indexed => {
            let palette: Vec<[u8; 3]> = triples(&raster.palette, 3).collect();
            let colours = raster
                .bytes
                .iter()
                .map(|&index| palette.get(usize::from(index)));
            if colours.clone().any(|colour| colour.is_none()) {
                return Err(DatasetError::decode(path, BEYOND_PALETTE));
            }
            let colours = colours.flatten().copied();
            colours.enumerate().map(class).collect()
        }
        colour => {
            let colours = triples(&raster.bytes, colour.samples());
            colours.enumerate().map(class).collect()
        }
    };
    Ok(LabelMap {
        size,
        labels: labels?,
    })
}

/// What is wrong with a pixel whose palette index has no colour.
pub const BEYOND_PALETTE: &str = "a pixel is beyond the end of the palette";

/// The first three of every `samples` bytes.
pub fn triples(bytes: &[u8], samples: usize) -> impl Iterator<Item = [u8; 3]> + '_ {
    let pixels = bytes.chunks_exact(samples);
    pixels.map(|pixel| [pixel[0], pixel[1], pixel[2]])
}

/// Why a PNG of this kind holds no such values, and what to do; `None` when it does.
pub fn refuse(values: LabelValues, colour: ColorType, depth: BitDepth) -> Option<Refusal> {
    use ColorType::{Grayscale, GrayscaleAlpha, Indexed, Rgb, Rgba};
    match (values, colour) {
        (_, Indexed) | (LabelValues::Ids, Grayscale) => None,
        (LabelValues::Ids, GrayscaleAlpha) => Some((
            "a gray PNG with an alpha channel",
            "write it without alpha, as 8-bit gray",
        )),
        (LabelValues::Ids, Rgb | Rgba) => Some((
            "a colour PNG",
            "convert every colour to its id and write an 8-bit gray or palette PNG, or, where the \
             colours are those of the classes, describe it with `label_values = \"colours\"`",
        )),
        (LabelValues::Colours, Rgb | Rgba) if depth == BitDepth::Eight => None,
        (LabelValues::Colours, Rgb | Rgba) => {
            Some(("a 16-bit colour PNG", "write the class colours with 8 bits"))
        }
        (LabelValues::Colours, Grayscale | GrayscaleAlpha) => Some((
            "a gray PNG",
            "write the class colours as RGB, or remove `label_values = \"colours\"`",
        )),
    }
}

#[cfg(test)]
mod tests;
