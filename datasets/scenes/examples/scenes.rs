//! Draws procedural scenes as one PNG: photo and coloured label map side by side, in a grid.
//!
//! `cargo run --release -p dp-sims-scenes --example scenes -- OUT_DIR COUNT SIZE`

use std::error::Error;
use std::path::PathBuf;

use dp_sims_datasets::{LabelledImages, Size};
use dp_sims_scenes::Scenes;

/// Seed of the scenes that are drawn.
const SEED: u64 = 1;
/// Pairs of photo and label map per row of the grid.
const COLUMNS: usize = 4;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [folder, count, side] = arguments.as_slice() else {
        return Err("usage: scenes OUT_DIR COUNT SIZE".into());
    };
    let (count, side): (usize, usize) = (count.parse()?, side.parse()?);
    if count == 0 || side == 0 {
        return Err("COUNT and SIZE must be at least 1".into());
    }
    let scenes = Scenes::new(count, SEED);
    let columns = COLUMNS.min(count);
    let width = 2 * columns * side;
    let height = count.div_ceil(columns) * side;
    let mut grid = vec![0u8; width * height * 3];
    for index in 0..count {
        let sample = scenes.sample(index, Size::new(side, side))?;
        let labels = scenes.classes().colourise(&sample.labels);
        let (top, left) = (index / columns * side, index % columns * 2 * side);
        for (half, picture) in [&sample.image, &labels].into_iter().enumerate() {
            for (y, row) in picture.chunks_exact(side * 3).enumerate() {
                let start = ((top + y) * width + left + half * side) * 3;
                grid[start..start + row.len()].copy_from_slice(row);
            }
        }
    }
    std::fs::create_dir_all(folder)?;
    let path = PathBuf::from(folder).join(format!("scenes-{side}.png"));
    let (width, height) = (u32::try_from(width)?, u32::try_from(height)?);
    image::save_buffer(&path, &grid, width, height, image::ColorType::Rgb8)?;
    println!("{}", path.display());
    Ok(())
}
