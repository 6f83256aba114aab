//! What the values of label maps are: ids or colours, and how many pixels have each.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use dp_sims_datasets::DatasetError;
use dp_sims_datasets::check::Progress;
use dp_sims_datasets::description::LabelValues;
use dp_sims_datasets::labels::{self, BEYOND_PALETTE, triples};
use dp_sims_datasets::raster::{Refusal, read_png};
use png::{BitDepth, ColorType};

use super::InitError;
use crate::scan::{Evidence, MapEvidence, scan};

/// Most colours of a label map: a class each.
const MAX_COLOURS: usize = 255;

/// The kind of the PNGs that are looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    Gray,
    Palette,
    Colour,
}

/// What a label map looks like, by the values that it may hold.
#[derive(Debug)]
struct MapValues {
    kind: Kind,
    /// Of gray values or palette indices.
    by_id: Option<MapEvidence>,
    /// Of colours, those of a palette too.
    by_colour: Option<MapEvidence>,
    /// Colours of the palette indices that occur.
    palette: BTreeMap<u8, [u8; 3]>,
}

impl MapValues {
    /// The largest value if that is no id.
    fn large(&self) -> Option<u16> {
        let largest = self.by_id.as_ref()?.values.last()?.value;
        Some(largest).filter(|&value| value > u16::from(u8::MAX))
    }

    /// Number of different values.
    fn count(&self) -> usize {
        let ids = self.by_id.as_ref().map_or(0, |map| map.values.len());
        let colours = self.by_colour.as_ref().map_or(0, |map| map.colours.len());
        ids.max(colours)
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
            values: map.count(),
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

/// Reads label maps on all cores and adds up their values, and what they look like together.
///
/// # Errors
/// When a file is damaged, looks like a photo or like an instance map, or files differ in kind.
pub(super) fn read_values(
    maps: &[PathBuf],
    progress: &Progress,
) -> Result<(Values, Evidence), InitError> {
    let mut read = Vec::with_capacity(maps.len());
    let look = |index: usize| self::read(&maps[index]);
    scan(maps.len(), progress, look, |_, map| read.push(map));
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
    let mut evidence = Evidence::default();
    for (path, map) in maps.iter().zip(&read) {
        if let Some(value) = map.large() {
            let path = path.clone();
            return Err(InitError::LargeValue { path, value });
        }
        if let Some(map) = &map.by_id {
            evidence.add(map);
            for seen in &map.values {
                *pixels.entry(seen.value as u8).or_insert(0) += seen.pixels;
            }
        }
    }
    let palette = (agree && gray.is_none()).then_some(palette);
    Ok((Values::Ids { pixels, palette }, evidence))
}

/// Adds up the colours of all files.
fn colours(maps: &[PathBuf], read: &[MapValues]) -> Result<(Values, Evidence), InitError> {
    let mut all = BTreeMap::new();
    let mut evidence = Evidence::default();
    for (path, map) in maps.iter().zip(read) {
        if let Some(map) = &map.by_colour {
            evidence.add(map);
            for seen in &map.colours {
                *all.entry(seen.value).or_insert(0) += seen.pixels;
            }
        }
        let black = usize::from(all.contains_key(&[0; 3]));
        if all.len() - black > MAX_COLOURS {
            return Err(InitError::PhotoLabels {
                path: path.clone(),
                colours: all.len(),
            });
        }
    }
    Ok((Values::Colours(all), evidence))
}

/// Looks at a PNG as `dataset check` would.
fn read(path: &Path) -> Result<MapValues, InitError> {
    let raster = read_png(path, refuse)?;
    let kind = match raster.colour {
        ColorType::Grayscale | ColorType::GrayscaleAlpha => Kind::Gray,
        ColorType::Indexed => Kind::Palette,
        ColorType::Rgb | ColorType::Rgba => Kind::Colour,
    };
    let look = |values| MapEvidence::of(&raster, values);
    let mut map = MapValues {
        kind,
        by_id: (kind != Kind::Colour).then(|| look(LabelValues::Ids)),
        by_colour: (kind != Kind::Gray).then(|| look(LabelValues::Colours)),
        palette: BTreeMap::new(),
    };
    if kind == Kind::Palette {
        for seen in map.by_id.iter().flat_map(|map| &map.values) {
            let mut palette = triples(&raster.palette, 3);
            let colour = palette.nth(usize::from(seen.value));
            let colour = colour.ok_or_else(|| DatasetError::decode(path, BEYOND_PALETTE))?;
            map.palette.insert(seen.value as u8, colour);
        }
    }
    let most = MAX_COLOURS + 1;
    match map.by_colour.as_ref().map(|map| map.colours.len()) {
        Some(count) if count > most => Err(InitError::PhotoLabels {
            path: path.to_path_buf(),
            colours: most + 1,
        }),
        _ => Ok(map),
    }
}

/// Why a PNG of this kind is no label map, and what to do; `None` when it may be one.
fn refuse(colour: ColorType, depth: BitDepth) -> Option<Refusal> {
    let values = match colour {
        ColorType::Rgb | ColorType::Rgba => LabelValues::Colours,
        _ => LabelValues::Ids,
    };
    labels::refuse(values, colour, depth)
}
