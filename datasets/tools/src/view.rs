//! A picture for looking at samples: photo, label map, boundaries, offsets and the classes.

use dp_sims_datasets::{ClassTable, Sample, Size};
use image::RgbImage;

pub use canvas::{Canvas, FAINT, Font, INK};
use tiles::{CLASS_LINE, INSTANCE_LINE, boundaries, key, offset_colours};

mod canvas;
mod tiles;

/// Largest tile of images that are shown in a size of their own, in pixels.
const TILE: Size = Size::new(256, 384);

/// Smaller side of a tile to which small images are enlarged, by a whole factor.
const MIN_TILE: usize = 128;

/// Most pixels of a picture.
const MAX_PIXELS: usize = 1 << 27;

/// Space around everything, between columns and between rows, in pixels.
const MARGIN: usize = 24;
const COLUMN_GAP: usize = 16;
const ROW_GAP: usize = 20;

/// Height of the title, of the headings and of the line above a row, in pixels.
const TITLE: usize = 64;
const HEADING: usize = 28;
const CAPTION: usize = 22;

/// Height of a line of the legend, side of its colour patch, and most letters of a name.
const LINE: usize = 18;
const PATCH: usize = 14;
const LETTERS: usize = 18;

/// Most columns of a legend.
const LEGEND_COLUMNS: usize = 3;

/// Why there is no picture.
#[derive(Debug, thiserror::Error)]
pub enum ViewError {
    /// There is no sample to show.
    #[error("there is no image to show: ask for at least one")]
    Empty,
    /// The picture would have very many pixels.
    #[error(
        "the picture would have {width}x{height} (width x height) pixels, more than {MAX_PIXELS}: \
         ask for fewer images or a smaller size"
    )]
    TooLarge {
        /// Width in pixels.
        width: usize,
        /// Height in pixels.
        height: usize,
    },
}

/// An image to show.
#[derive(Clone, Debug)]
pub struct Shown {
    /// What stands above it.
    pub caption: String,
    /// The image at the size at which it is shown.
    pub sample: Sample,
}

/// The size at which an image of `native` size fills a tile; its proportions stay.
pub fn fitted(native: Size) -> Size {
    let scale = (TILE.height as f64 / native.height.max(1) as f64)
        .min(TILE.width as f64 / native.width.max(1) as f64);
    let side = |side: usize| ((side as f64 * scale).round() as usize).max(1);
    Size::new(side(native.height), side(native.width))
}

/// Draws a row per image: photo, label map in class colours, boundaries over the photo, offsets if
/// any image has instances, and the classes present with their share of the pixels.
///
/// # Errors
/// When there is no image, or the picture would be very large.
pub fn view(
    title: &str,
    subtitle: &str,
    classes: &ClassTable,
    images: &[Shown],
) -> Result<RgbImage, ViewError> {
    if images.is_empty() {
        return Err(ViewError::Empty);
    }
    let rows: Vec<Row> = images
        .iter()
        .map(|image| Row::new(image, classes))
        .collect();
    let tile_width = rows.iter().map(Row::tile_width).max().unwrap_or(0);
    let offsets = rows.iter().any(|row| row.offsets.is_some());
    let heading = match offsets {
        true => "boundaries    class    instance",
        false => "boundaries    class",
    };
    let tile_width = tile_width.max(Font::HEADING.width(heading));
    let columns = if offsets { 4 } else { 3 };
    let column = |index: usize| MARGIN + index * (tile_width + COLUMN_GAP);
    let legend_width = rows.iter().map(Row::legend_width).max().unwrap_or(0);
    let titles = Font::TITLE.width(title).max(Font::BODY.width(subtitle));
    let width = (column(columns) + legend_width).max(MARGIN + titles) + MARGIN;
    let heights = rows.iter().map(|row| CAPTION + row.height() + ROW_GAP);
    let height = MARGIN + TITLE + HEADING + heights.sum::<usize>() + MARGIN - ROW_GAP;
    if width
        .checked_mul(height)
        .is_none_or(|pixels| pixels > MAX_PIXELS)
    {
        return Err(ViewError::TooLarge { width, height });
    }

    let mut canvas = Canvas::new(width as u32, height as u32);
    canvas.text(MARGIN, MARGIN, title, Font::TITLE, INK);
    canvas.text(MARGIN, MARGIN + 30, subtitle, Font::BODY, FAINT);
    let top = MARGIN + TITLE;
    for (index, heading) in ["photo", "label map", "boundaries"].into_iter().enumerate() {
        canvas.text(column(index), top, heading, Font::HEADING, INK);
    }
    line_key(&mut canvas, column(2), top, offsets);
    if offsets {
        canvas.text(column(3), top, "centre offsets", Font::HEADING, INK);
        let left = column(3) + Font::HEADING.width("centre offsets ");
        for (x, y, colour) in key(17) {
            if let Some(colour) = colour {
                canvas.fill(left + x, top + y, 1, 1, colour);
            }
        }
    }
    canvas.text(column(columns), top, "classes", Font::HEADING, INK);

    let mut top = top + HEADING;
    for row in &rows {
        canvas.text(MARGIN, top, &row.image.caption, Font::BODY, FAINT);
        let sample = &row.image.sample;
        let labels = classes.colourise(&sample.labels);
        let boundaries = boundaries(sample);
        let tiles = [
            Some(&sample.image),
            Some(&labels),
            Some(&boundaries),
            row.offsets.as_ref(),
        ];
        for (index, tile) in tiles.into_iter().enumerate() {
            if let Some(tile) = tile {
                let (left, top) = (column(index), top + CAPTION);
                canvas.picture(left, top, tile, sample.width, row.factor);
            }
        }
        row.legend(&mut canvas, column(columns), top + CAPTION, classes);
        top += CAPTION + row.height() + ROW_GAP;
    }
    Ok(canvas.into_image())
}

/// Explains the colours of the lines beside the heading of the boundaries.
fn line_key(canvas: &mut Canvas, left: usize, top: usize, instances: bool) {
    let mut left = left + Font::HEADING.width("boundaries ");
    for (name, colour) in [("class", CLASS_LINE), ("instance", INSTANCE_LINE)] {
        if name == "class" || instances {
            canvas.fill(left, top + 3, PATCH, PATCH, FAINT);
            canvas.fill(left + 1, top + 4, PATCH - 2, PATCH - 2, colour);
            canvas.text(left + PATCH + 5, top, name, Font::BODY, FAINT);
            left += PATCH + 5 + Font::BODY.width(name) + 12;
        }
    }
}

/// A row of the picture.
struct Row<'a> {
    image: &'a Shown,
    /// How many times a pixel is enlarged.
    factor: usize,
    offsets: Option<Vec<u8>>,
    /// The classes present: index and share of the pixels, most frequent first.
    present: Vec<(u8, f64)>,
    /// Most letters of a name in the legend.
    letters: usize,
}

impl<'a> Row<'a> {
    fn new(image: &'a Shown, classes: &ClassTable) -> Self {
        let sample = &image.sample;
        let mut pixels = [0_usize; 256];
        for &label in &sample.labels {
            pixels[usize::from(label)] += 1;
        }
        let total = sample.labels.len().max(1) as f64;
        let mut present: Vec<(u8, f64)> = (0..=u8::MAX)
            .zip(pixels)
            .filter(|&(_, count)| count > 0)
            .map(|(class, count)| (class, count as f64 / total))
            .collect();
        present.sort_by(|a, b| b.1.total_cmp(&a.1));
        let names = present.iter().map(|&(class, _)| short_name(classes, class));
        let letters = names.map(|name| name.chars().count()).max().unwrap_or(0);
        Self {
            image,
            factor: factor(Size::new(sample.height, sample.width)),
            offsets: offset_colours(sample),
            present,
            letters,
        }
    }

    fn tile_width(&self) -> usize {
        self.image.sample.width * self.factor
    }

    fn height(&self) -> usize {
        self.image.sample.height * self.factor
    }

    /// Lines in a column of the legend, and columns.
    fn legend_shape(&self) -> (usize, usize) {
        let lines = (self.height() / LINE).max(1);
        (
            lines,
            self.present.len().div_ceil(lines).min(LEGEND_COLUMNS),
        )
    }

    /// Width of a column of the legend.
    fn legend_column(&self) -> usize {
        let text = "x".repeat(self.letters + " 100 %".len());
        PATCH + 8 + Font::BODY.width(&text) + COLUMN_GAP
    }

    fn legend_width(&self) -> usize {
        (self.legend_shape().1 * self.legend_column()).saturating_sub(COLUMN_GAP)
    }

    /// Draws the classes present; where they do not fit, the last line says how many are left out.
    fn legend(&self, canvas: &mut Canvas, left: usize, top: usize, classes: &ClassTable) {
        let (lines, columns) = self.legend_shape();
        let room = lines * columns;
        let shown = match self.present.len() > room {
            true => room - 1,
            false => self.present.len(),
        };
        let place = |index: usize| {
            let (column, line) = (index / lines, index % lines);
            (left + column * self.legend_column(), top + line * LINE)
        };
        for (index, &(class, share)) in self.present.iter().take(shown).enumerate() {
            let (x, y) = place(index);
            canvas.fill(x, y + 2, PATCH, PATCH, FAINT);
            canvas.fill(x + 1, y + 3, PATCH - 2, PATCH - 2, classes.colour(class));
            let name = short_name(classes, class);
            let x = x + PATCH + 8;
            canvas.text(x, y, &name, Font::BODY, INK);
            let x = x + Font::BODY.width(&"x".repeat(self.letters + 1));
            canvas.text(x, y, &percent(share), Font::BODY, FAINT);
        }
        if shown < self.present.len() {
            let (x, y) = place(shown);
            let rest = format!("and {} more", self.present.len() - shown);
            canvas.text(x, y, &rest, Font::BODY, FAINT);
        }
    }
}

/// How many times an image is enlarged: until its smaller side is that of a tile, unless that makes
/// it far wider or higher.
fn factor(size: Size) -> usize {
    let smaller = size.height.min(size.width).max(1);
    let larger = size.height.max(size.width).max(1);
    MIN_TILE.div_ceil(smaller).min((TILE.width / larger).max(1))
}

/// The name of a class, cut where it is long.
fn short_name(classes: &ClassTable, class: u8) -> String {
    let name = classes.classes.get(usize::from(class));
    let name = name.map_or("?", |class| class.name.as_str());
    if name.chars().count() <= LETTERS {
        return name.to_string();
    }
    let start: String = name.chars().take(LETTERS - 2).collect();
    format!("{start}..")
}

/// A share in whole percent, five characters wide.
fn percent(share: f64) -> String {
    match 100.0 * share {
        small if small < 1.0 => " <1 %".to_string(),
        percent => format!("{percent:3.0} %"),
    }
}

#[cfg(test)]
mod tests;
