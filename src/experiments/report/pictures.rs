//! Images of every row from the same label maps: cut out of the last previews, whose label maps and
//! noise are those of the experiment's dataset and seed.

use std::path::{Path, PathBuf};

use image::RgbImage;

use super::{Report, ReportRow};
use crate::runtime::pictures::tiles;

/// Label maps that are shown at most.
const SHOWN: usize = 6;

/// Rows whose pictures are of the same label maps.
pub(super) struct Exhibition {
    /// Label maps in class colours.
    pub(super) labels: Vec<RgbImage>,
    /// Their photos.
    pub(super) photos: Vec<RgbImage>,
    /// Titles of the rows with their seeds, and their images of these label maps.
    pub(super) rows: Vec<(String, Vec<RgbImage>)>,
}

/// Cuts the pictures of all rows out of their last previews. A row without a preview is left out.
pub(super) fn collect(report: &Report, folder: &Path) -> Vec<Exhibition> {
    let mut exhibitions: Vec<Exhibition> = Vec::new();
    for row in &report.rows {
        let Some((seed, grid)) = last_preview(row, folder) else {
            continue;
        };
        let [height, width] = row.size.map(|side| side as u32);
        let Some(rows) = tiles(&grid, width, height) else {
            continue;
        };
        let column = |index: usize| -> Option<Vec<RgbImage>> {
            let tiles = rows.iter().take(SHOWN).map(|row| row.get(index).cloned());
            tiles.collect()
        };
        // Label map, photo, first sample.
        let (Some(labels), Some(photos), Some(images)) = (column(0), column(1), column(2)) else {
            continue;
        };
        let title = format!("{}, seed {seed}", row.title);
        match exhibitions.iter_mut().find(|other| other.labels == labels) {
            Some(other) => other.rows.push((title, images)),
            None => exhibitions.push(Exhibition {
                labels,
                photos,
                rows: vec![(title, images)],
            }),
        }
    }
    exhibitions
}

/// The last preview of the first seed that has one.
fn last_preview(row: &ReportRow, folder: &Path) -> Option<(u64, RgbImage)> {
    row.runs.iter().find_map(|run| {
        let seed = run.seed;
        let previews = folder.join(&row.name).join(format!("seed-{seed}/previews"));
        let mut paths: Vec<PathBuf> = std::fs::read_dir(previews)
            .ok()?
            .filter_map(|entry| Some(entry.ok()?.path()))
            .filter(|path| path.extension().is_some_and(|ending| ending == "png"))
            .collect();
        paths.sort();
        // One that was cut off is no picture; the one before it is.
        let read = |path: &PathBuf| Some((seed, image::open(path).ok()?.into_rgb8()));
        paths.iter().rev().find_map(read)
    })
}
