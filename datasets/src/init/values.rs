//! What the values of label maps are: ids or colours, and how many pixels have each.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use png::{BitDepth, ColorType};
use rayon::prelude::*;

use super::InitError;
use crate::check::Progress;
use crate::error::DatasetError;
use crate::raster::{Raster, Refusal, read_png};

/// Most colours of a label map: a class each.
const MAX_COLOURS: usize = 255;

/// The kind of the PNGs that are looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    Gray,
    Palette,
    Colour,
}

/// Pixels by value.
#[derive(Debug)]
struct MapValues {
    kind: Kind,
    /// Pixels by gray value or palette index.
    ids: BTreeMap<u16, u64>,
    /// Colours of the palette indices that occur.
    palette: BTreeMap<u8, [u8; 3]>,
    /// Pixels by colour, of colour and palette files.
    colours: BTreeMap<[u8; 3], u64>,
}

impl MapValues {
    /// The largest value if that is no id.
    fn large(&self) -> Option<u16> {
        let largest = self.ids.keys().last().copied();
        largest.filter(|&value| value > u16::from(u8::MAX))
    }
}

/// What all label maps hold.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Values {
    /// Pixels by id, and the colours of a palette that all files share.
    Ids {
        pixels: BTreeMap<u8, u64>,
        palette: Option<BTreeMap<u8, [u8; 3]>>,
    },
    /// Pixels by colour.
    Colours(BTreeMap<[u8; 3], u64>),
}

/// What a file can be: a photo, or a label map of a kind with so many values, with ids that fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Look {
    Photo,
    Map {
        kind: Kind,
        values: usize,
        /// The largest value if that is no id.
        large: Option<u16>,
    },
}

/// Looks at a file; `None` for a PNG that cannot be read.
pub(super) fn look(path: &Path) -> Option<Look> {
    let png = |ending: &std::ffi::OsStr| ending.eq_ignore_ascii_case("png");
    if !path.extension().is_some_and(png) {
        return Some(Look::Photo);
    }
    match read(path) {
        Ok(map) => Some(Look::Map {
            kind: map.kind,
            values: map.ids.len().max(map.colours.len()),
            large: map.large(),
        }),
        Err(InitError::PhotoLabels { .. }) => Some(Look::Photo),
        // Of 16 bits, or gray with alpha.
        Err(InitError::Dataset(DatasetError::LabelFormat { .. })) => Some(Look::Photo),
        Err(_) => None,
    }
}

/// Why a file is no label map; `None` when it may be one.
pub(super) fn problem(path: &Path) -> Option<InitError> {
    match read(path) {
        Err(error) => Some(error),
        Ok(map) => map.large().map(|value| InitError::LargeValue {
            path: path.to_path_buf(),
            value,
        }),
    }
}

/// Reads label maps on all cores and adds up their values.
///
/// # Errors
/// When a file is damaged, looks like a photo or like an instance map, or files differ in kind.
pub(super) fn read_values(maps: &[PathBuf], progress: &Progress) -> Result<Values, InitError> {
    let done = AtomicUsize::new(0);
    let read: Vec<Result<MapValues, InitError>> = maps
        .par_iter()
        .map(|path| {
            let values = read(path);
            progress(done.fetch_add(1, Ordering::Relaxed) + 1, maps.len());
            values
        })
        .collect();
    let read: Vec<MapValues> = read.into_iter().collect::<Result<_, _>>()?;

    let first = |of: &dyn Fn(Kind) -> bool| read.iter().position(|map| of(map.kind));
    let gray = first(&|kind| kind == Kind::Gray);
    match (gray, first(&|kind| kind == Kind::Colour)) {
        (Some(gray), Some(colour)) => {
            return Err(InitError::Mixed {
                gray: maps[gray].clone(),
                colour: maps[colour].clone(),
            });
        }
        (None, Some(_)) => return colours(maps, &read),
        _ => {}
    }
    let mut palette = BTreeMap::new();
    let mut agree = true;
    for (&id, &colour) in read.iter().flat_map(|map| &map.palette) {
        agree &= *palette.entry(id).or_insert(colour) == colour;
    }
    // Programs that choose a palette per image give a class another index in every file.
    if !agree && gray.is_none() {
        return colours(maps, &read);
    }
    let mut pixels = BTreeMap::new();
    for (path, map) in maps.iter().zip(&read) {
        if let Some(value) = map.large() {
            let path = path.clone();
            return Err(InitError::LargeValue { path, value });
        }
        for (&id, &count) in &map.ids {
            *pixels.entry(id as u8).or_insert(0) += count;
        }
    }
    let palette = (agree && gray.is_none()).then_some(palette);
    Ok(Values::Ids { pixels, palette })
}

/// Adds up the colours of all files.
fn colours(maps: &[PathBuf], read: &[MapValues]) -> Result<Values, InitError> {
    let mut all = BTreeMap::new();
    for (path, map) in maps.iter().zip(read) {
        for (&colour, &count) in &map.colours {
            *all.entry(colour).or_insert(0) += count;
        }
        let black = usize::from(all.contains_key(&[0; 3]));
        if all.len() - black > MAX_COLOURS {
            return Err(InitError::PhotoLabels {
                path: path.clone(),
                colours: all.len(),
            });
        }
    }
    Ok(Values::Colours(all))
}

/// Counts the values of a PNG.
fn read(path: &Path) -> Result<MapValues, InitError> {
    let raster = read_png(path, refuse)?;
    let mut map = MapValues {
        kind: match raster.colour {
            ColorType::Grayscale | ColorType::GrayscaleAlpha => Kind::Gray,
            ColorType::Indexed => Kind::Palette,
            ColorType::Rgb | ColorType::Rgba => Kind::Colour,
        },
        ids: BTreeMap::new(),
        palette: BTreeMap::new(),
        colours: BTreeMap::new(),
    };
    match map.kind {
        Kind::Gray => map.ids = count(raster.values()),
        Kind::Palette => {
            map.ids = count(raster.values());
            for (&id, &pixels) in &map.ids {
                let colour = raster.palette.chunks_exact(3).nth(usize::from(id));
                let colour = colour.ok_or_else(|| DatasetError::Decode {
                    path: path.to_path_buf(),
                    reason: "a pixel is beyond the end of the palette".to_string(),
                })?;
                let colour = [colour[0], colour[1], colour[2]];
                map.palette.insert(id as u8, colour);
                *map.colours.entry(colour).or_insert(0) += pixels;
            }
        }
        Kind::Colour => map.colours = count_colours(path, &raster)?,
    }
    Ok(map)
}

fn count(values: Vec<u16>) -> BTreeMap<u16, u64> {
    let mut counts = vec![0; 1 << 16];
    values
        .into_iter()
        .for_each(|value| counts[usize::from(value)] += 1);
    let counts = (0..=u16::MAX).zip(counts);
    counts.filter(|&(_, count)| count > 0).collect()
}

/// Pixels by colour of a colour file, until there are too many colours.
fn count_colours(path: &Path, raster: &Raster) -> Result<BTreeMap<[u8; 3], u64>, InitError> {
    let mut counts = BTreeMap::new();
    let samples = raster.colour.samples();
    let pixels = raster.bytes.chunks_exact(samples);
    let mut colours = pixels
        .map(|pixel| [pixel[0], pixel[1], pixel[2]])
        .peekable();
    while let Some(colour) = colours.next() {
        // Label maps have long runs of one colour.
        let mut run = 1;
        while colours.next_if_eq(&colour).is_some() {
            run += 1;
        }
        *counts.entry(colour).or_insert(0) += run;
        if counts.len() > MAX_COLOURS + 1 {
            return Err(InitError::PhotoLabels {
                path: path.to_path_buf(),
                colours: counts.len(),
            });
        }
    }
    Ok(counts)
}

/// Why a PNG of this kind is no label map, and what to do; `None` when it may be one.
fn refuse(colour: ColorType, depth: BitDepth) -> Option<Refusal> {
    match (colour, depth) {
        (ColorType::GrayscaleAlpha, _) => Some((
            "a gray PNG with an alpha channel",
            "write it without alpha, as 8-bit gray",
        )),
        (ColorType::Rgb | ColorType::Rgba, BitDepth::Sixteen) => {
            Some(("a 16-bit colour PNG", "write the class colours with 8 bits"))
        }
        _ => None,
    }
}
