//! Preview grids: label map, real photo and samples side by side.

use std::fs;
use std::io::Cursor;
use std::path::{Path, PathBuf};

use anyhow::Context;
use image::{ImageFormat, RgbImage};

use crate::events::{Consumer, TrainEvent};
use crate::files::write_whole;
use crate::grid::draw;

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

/// Path of a preview inside a run folder, such as `previews/000123.png`.
pub fn relative_path(step: u64) -> PathBuf {
    Path::new("previews").join(format!("{step:06}.png"))
}

/// Saves preview grids as PNG files in the `previews` folder of a run.
#[derive(Clone, Debug)]
pub struct PreviewFolder {
    run_folder: PathBuf,
}

impl PreviewFolder {
    /// Saves below `run_folder`, which need not exist yet.
    pub fn new(run_folder: &Path) -> Self {
        Self {
            run_folder: run_folder.to_owned(),
        }
    }

    fn save(&self, step: u64, image: &RgbImage) -> anyhow::Result<()> {
        let path = self.run_folder.join(relative_path(step));
        let mut png = Vec::new();
        image.write_to(&mut Cursor::new(&mut png), ImageFormat::Png)?;
        fs::create_dir_all(self.run_folder.join("previews"))
            .with_context(|| format!("cannot write {}", path.display()))?;
        // A viewer never sees half a picture, and no link is followed.
        write_whole(&path, &png)
    }
}

impl Consumer for PreviewFolder {
    fn on_event(&mut self, event: &TrainEvent) -> anyhow::Result<()> {
        match event {
            TrainEvent::Preview { step, image } => self.save(*step, image),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use image::Rgb;

    use super::*;
    use crate::grid::tiles;

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
    fn previews_are_saved_whole() {
        let folder = tempfile::tempdir().unwrap();
        let run = folder.path().join("run");
        let image = RgbImage::from_fn(5, 4, |x, y| Rgb([x as u8, y as u8, 77]));
        let event = TrainEvent::Preview {
            step: 123,
            image: image.clone(),
        };
        PreviewFolder::new(&run).on_event(&event).unwrap();
        let names: Vec<_> = fs::read_dir(run.join("previews"))
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        assert_eq!(names, ["000123.png"]);
        let read = image::open(run.join("previews/000123.png"))
            .unwrap()
            .into_rgb8();
        assert_eq!(read, image);
    }
}
