//! Pictures in rows and columns: previews of a run, and panels that put methods side by side.

use std::io::Cursor;
use std::path::Path;

use anyhow::{Context, ensure};
use dp_sims_dataset_tools::view::{Canvas, Font, INK};
use image::{ImageFormat, RgbImage, imageops};

use crate::runtime::files::write_whole;

/// White pixels between tiles and around the grid.
const GAP: u32 = 2;
/// Smallest side of a tile in the grid, in pixels; smaller ones are enlarged.
const MIN_TILE: u32 = 128;
/// Most pixels of a grid.
const MAX_PIXELS: u64 = 1 << 28;
/// Height of a line of a title in pixels.
const LINE: u32 = 18;
/// Most lines of a title.
const LINES: usize = 3;

/// One row of a preview grid; every tile is row-major `u8` RGB of the same size.
#[derive(Clone, Debug)]
pub struct GridRow {
    /// The label map in its class colours.
    pub label_rgb: Vec<u8>,
    /// The photo that belongs to the label map, where there is one.
    pub real_rgb: Option<Vec<u8>>,
    /// Generated images, in the order of their noise.
    pub samples: Vec<Vec<u8>>,
}

/// Builds a grid: one row per label map; columns are label map, real photo (when any row has
/// one), then samples.
///
/// Tiles of `width` x `height` pixels whose smaller side is below 128 pixels are enlarged by a
/// whole factor, without smoothing. A row that lacks a tile leaves its place white.
///
/// # Errors
///
/// When there is no row, a side is zero, or a tile does not have `3 * width * height` bytes.
pub fn grid(rows: &[GridRow], width: u32, height: u32) -> anyhow::Result<RgbImage> {
    let has_real = rows.iter().any(|row| row.real_rgb.is_some());
    let rows: Vec<Vec<Option<&[u8]>>> = rows
        .iter()
        .map(|row| {
            let real = has_real.then_some(row.real_rgb.as_deref());
            std::iter::once(Some(row.label_rgb.as_slice()))
                .chain(real)
                .chain(row.samples.iter().map(|sample| Some(sample.as_slice())))
                .collect()
        })
        .collect();
    draw(&[], &rows, width, height)
}

/// Draws rows of tiles of `width` x `height` pixels, row-major `u8` RGB. A row that lacks a tile leaves
/// its place white. `titles` stand above the columns, one for each, or there are none.
///
/// Tiles whose smaller side is below 128 pixels are enlarged by a whole factor, without smoothing.
/// Titles are broken where they are wider than a tile, and cut after three lines.
///
/// # Errors
/// When there is no row, a side is zero, a tile does not have `3 * width * height` bytes, or the
/// picture would be very large.
pub fn draw(
    titles: &[String],
    rows: &[Vec<Option<&[u8]>>],
    width: u32,
    height: u32,
) -> anyhow::Result<RgbImage> {
    ensure!(!rows.is_empty(), "a grid needs at least one label map");
    ensure!(
        width > 0 && height > 0,
        "a tile of a grid cannot be {width}x{height} pixels"
    );
    let factor = MIN_TILE.div_ceil(width.min(height));
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let step = |tile: u32| u64::from(tile) * u64::from(factor) + u64::from(GAP);
    let titles: Vec<Vec<String>> = titles
        .iter()
        .map(|title| lines(title, (width * factor) as usize / Font::HEADING.width("x")))
        .collect();
    let title_lines = titles.iter().map(Vec::len).max().unwrap_or(0);
    let above = u64::from(GAP) + (title_lines as u64) * u64::from(LINE);
    let full_width = u64::from(GAP) + columns as u64 * step(width);
    let full_height = above + rows.len() as u64 * step(height);
    ensure!(
        full_width.saturating_mul(full_height) <= MAX_PIXELS,
        "the picture would have {full_width}x{full_height} (width x height) pixels: ask for fewer rows \
         or columns"
    );
    let mut canvas = Canvas::white(full_width as u32, full_height as u32);
    let left = |column: usize| (u64::from(GAP) + column as u64 * step(width)) as usize;
    let top = |row: usize| (above + row as u64 * step(height)) as usize;
    for (column, title) in titles.iter().enumerate() {
        for (line, text) in title.iter().enumerate() {
            let room = (width * factor) as usize - Font::HEADING.width(text);
            // The last line stands close above the tiles.
            let y = (title_lines - title.len() + line) * LINE as usize + 1;
            canvas.text(left(column) + room / 2, y, text, Font::HEADING, INK);
        }
    }
    for (y, row) in rows.iter().enumerate() {
        for (x, tile) in row.iter().enumerate() {
            let Some(tile) = tile else { continue };
            let expected = 3 * u64::from(width) * u64::from(height);
            (tile.len() as u64 == expected)
                .then_some(())
                .with_context(|| {
                    format!(
                        "tile {x} of row {y} has {} bytes, {width}x{height} RGB needs {expected}",
                        tile.len()
                    )
                })?;
            canvas.picture(left(x), top(y), tile, width as usize, factor as usize);
        }
    }
    Ok(canvas.into_image())
}

/// Takes a grid without titles, of tiles of `width` x `height` pixels, apart again: its rows, each from
/// left to right, enlarged as they are; none where the picture is no such grid.
pub fn tiles(grid: &RgbImage, width: u32, height: u32) -> Option<Vec<Vec<RgbImage>>> {
    if width == 0 || height == 0 {
        return None;
    }
    let factor = MIN_TILE.div_ceil(width.min(height));
    let (tile_width, tile_height) = (width * factor, height * factor);
    let count = |side: u32, tile: u32| {
        let inner = side.checked_sub(GAP)?;
        inner
            .is_multiple_of(tile + GAP)
            .then_some(inner / (tile + GAP))
    };
    let columns = count(grid.width(), tile_width)?;
    let rows = count(grid.height(), tile_height)?;
    let tile = |column: u32, row: u32| {
        let (x, y) = (
            GAP + column * (tile_width + GAP),
            GAP + row * (tile_height + GAP),
        );
        imageops::crop_imm(grid, x, y, tile_width, tile_height).to_image()
    };
    let rows = (0..rows).map(|row| (0..columns).map(|column| tile(column, row)).collect());
    Some(rows.collect())
}

/// A picture as the bytes of a PNG.
///
/// # Errors
/// When it cannot be encoded.
pub fn png(picture: &RgbImage) -> anyhow::Result<Vec<u8>> {
    let mut bytes = Cursor::new(Vec::new());
    picture.write_to(&mut bytes, ImageFormat::Png)?;
    Ok(bytes.into_inner())
}

/// Writes a picture as PNG; the file appears whole.
///
/// # Errors
/// When it cannot be written.
pub fn save(picture: &RgbImage, path: &Path) -> anyhow::Result<()> {
    write_whole(path, &png(picture)?)
}

/// A title in lines of at most `letters` letters, broken between words where that is possible.
fn lines(title: &str, letters: usize) -> Vec<String> {
    let letters = letters.max(1);
    let mut lines: Vec<String> = Vec::new();
    let mut rest: Vec<char> = title.trim().chars().collect();
    while !rest.is_empty() {
        if rest.len() <= letters {
            lines.push(rest.iter().collect());
            break;
        }
        let space = rest[..=letters].iter().rposition(|&c| c == ' ');
        let end = space.filter(|&place| place > 0).unwrap_or(letters);
        lines.push(rest[..end].iter().collect());
        rest.drain(..end);
        let spaces = rest.iter().take_while(|&&c| c == ' ').count();
        rest.drain(..spaces);
    }
    if lines.len() > LINES {
        lines.truncate(LINES);
        if let Some(last) = lines.last_mut() {
            let kept: String = last.chars().take(letters.saturating_sub(2)).collect();
            *last = format!("{kept}..");
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tile(width: u32, height: u32, colour: [u8; 3]) -> Vec<u8> {
        colour.repeat((width * height) as usize)
    }

    #[test]
    fn tiles_are_enlarged_and_in_order() {
        let (width, height) = (96, 64);
        let row = |base: u8, real: bool| GridRow {
            label_rgb: tile(width, height, [base, 0, 0]),
            real_rgb: real.then(|| tile(width, height, [base, 1, 0])),
            samples: (2..5).map(|k| tile(width, height, [base, k, 0])).collect(),
        };
        let image = grid(&[row(10, true), row(20, false)], width, height).unwrap();
        // Five columns of 192 pixels, two rows of 128, gaps of 2 on all sides.
        assert_eq!(image.dimensions(), (5 * 194 + 2, 2 * 130 + 2));
        let at = |column: u32, row: u32| image.get_pixel(2 + column * 194, 2 + row * 130).0;
        for column in 0..5u8 {
            assert_eq!(at(column.into(), 0), [10, column, 0]);
        }
        assert_eq!(at(0, 1), [20, 0, 0]);
        assert_eq!(at(1, 1), [255; 3], "no photo: the place stays white");
        assert_eq!(at(2, 1), [20, 2, 0]);
        assert_eq!(
            image.get_pixel(194, 50).0,
            [255; 3],
            "gap after the first column"
        );
        assert_eq!(
            image.get_pixel(193, 50).0,
            [10, 0, 0],
            "last pixel of the first tile"
        );
        assert_eq!(
            image.get_pixel(50, 130).0,
            [255; 3],
            "gap below the first row"
        );
    }

    #[test]
    fn a_grid_is_taken_apart_into_its_tiles() {
        let (width, height) = (96, 64);
        let row = |base: u8| GridRow {
            label_rgb: tile(width, height, [base, 0, 0]),
            real_rgb: Some(tile(width, height, [base, 1, 0])),
            samples: vec![tile(width, height, [base, 2, 0])],
        };
        let image = grid(&[row(10), row(20)], width, height).unwrap();
        let rows = tiles(&image, width, height).unwrap();
        assert_eq!((rows.len(), rows[0].len()), (2, 3));
        for (base, row) in [10, 20].into_iter().zip(&rows) {
            for (column, tile) in row.iter().enumerate() {
                assert_eq!(tile.dimensions(), (192, 128));
                assert!(
                    tile.pixels()
                        .all(|pixel| pixel.0 == [base, column as u8, 0])
                );
            }
        }
        assert!(tiles(&image, 64, 64).is_none());
        assert!(tiles(&image, 0, 64).is_none());
    }

    #[test]
    fn pixels_keep_their_place() {
        let label_rgb = vec![1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12];
        let image = grid(
            &[GridRow {
                label_rgb,
                real_rgb: None,
                samples: vec![],
            }],
            2,
            2,
        )
        .unwrap();
        assert_eq!(image.dimensions(), (132, 132));
        assert_eq!(image.get_pixel(2 + 63, 2 + 63).0, [1, 2, 3]);
        assert_eq!(image.get_pixel(2 + 64, 2 + 63).0, [4, 5, 6]);
        assert_eq!(image.get_pixel(2 + 63, 2 + 64).0, [7, 8, 9]);
        assert_eq!(image.get_pixel(2 + 127, 2 + 127).0, [10, 11, 12]);
    }

    #[test]
    fn large_tiles_keep_their_size() {
        let row = GridRow {
            label_rgb: tile(256, 128, [0; 3]),
            real_rgb: None,
            samples: vec![tile(256, 128, [9; 3])],
        };
        assert_eq!(grid(&[row], 256, 128).unwrap().dimensions(), (518, 132));
    }

    #[test]
    fn wrong_sizes_are_errors() {
        let row = GridRow {
            label_rgb: vec![0; 12],
            real_rgb: None,
            samples: vec![vec![0; 15]],
        };
        let error = grid(std::slice::from_ref(&row), 2, 2)
            .unwrap_err()
            .to_string();
        assert!(error.contains("tile 1 of row 0 has 15 bytes"), "{error}");
        assert!(grid(&[row], 0, 2).is_err());
        assert!(grid(&[], 2, 2).is_err());
    }

    #[test]
    fn titles_are_broken_between_words_and_cut() {
        assert_eq!(lines("label map", 16), ["label map"]);
        assert_eq!(
            lines("quickstart step-000200", 16),
            ["quickstart", "step-000200"]
        );
        assert_eq!(lines("abcdefgh", 3), ["abc", "def", "gh"]);
        assert_eq!(lines("aaaa bbbb cccc dddd", 4), ["aaaa", "bbbb", "cc.."]);
        assert_eq!(lines(" ", 4), [""; 0]);
        assert_eq!(lines("ab", 0), ["a", "b"]);
    }

    #[test]
    fn titles_stand_above_their_columns() {
        let tile = vec![9; 3 * 64 * 64];
        let row = vec![None, Some(tile.as_slice())];
        let plain = draw(&[], std::slice::from_ref(&row), 64, 64).unwrap();
        assert_eq!(plain.dimensions(), (2 + 2 * 130, 2 + 130));
        let titles = ["".to_string(), "photo".to_string()];
        let titled = draw(&titles, &[row], 64, 64).unwrap();
        assert_eq!(titled.dimensions(), (2 + 2 * 130, 20 + 130));
        let is_white = |x: u32, y: u32| titled.get_pixel(x, y).0 == [255; 3];
        let inked = |columns: std::ops::Range<u32>| {
            columns
                .flat_map(|x| (0..20).map(move |y| (x, y)))
                .any(|(x, y)| !is_white(x, y))
        };
        assert!(!inked(0..132), "the first column has no title");
        assert!(inked(132..262));
        assert_eq!(titled.get_pixel(132, 20).0, [9; 3]);
        assert!(is_white(10, 30), "no tile: the place stays white");
    }

    #[test]
    fn a_very_large_picture_is_refused() {
        let tile = vec![0; 3 * 1024 * 1024];
        let rows = vec![vec![Some(tile.as_slice()); 32]; 32];
        let message = draw(&[], &rows, 1024, 1024).unwrap_err().to_string();
        assert!(message.contains("fewer rows"), "{message}");
    }
}
