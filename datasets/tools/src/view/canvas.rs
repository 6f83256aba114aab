//! Drawing rectangles, pictures and text.

use image::{Rgb, RgbImage};
use noto_sans_mono_bitmap::{FontWeight, RasterHeight, get_raster, get_raster_width};

/// Colour of text.
pub const INK: [u8; 3] = [36, 41, 51];

/// Colour of text that matters less.
pub const FAINT: [u8; 3] = [118, 124, 134];

/// Colour of the paper.
const PAPER: [u8; 3] = [251, 250, 247];

/// A kind of letters: all have the same width.
#[derive(Clone, Copy, Debug)]
pub struct Font {
    weight: FontWeight,
    height: RasterHeight,
}

impl Font {
    /// Bold, for the title of a picture.
    pub const TITLE: Self = Self {
        weight: FontWeight::Bold,
        height: RasterHeight::Size24,
    };
    /// Bold, above a column.
    pub const HEADING: Self = Self {
        weight: FontWeight::Bold,
        height: RasterHeight::Size16,
    };
    /// Everything else.
    pub const BODY: Self = Self {
        weight: FontWeight::Regular,
        height: RasterHeight::Size16,
    };

    /// Width of a text in pixels.
    pub fn width(self, text: &str) -> usize {
        text.chars().count() * get_raster_width(self.weight, self.height)
    }
}

/// A picture that is drawn on; what lies outside is cut off.
#[derive(Clone, Debug)]
pub struct Canvas {
    image: RgbImage,
}

impl Canvas {
    /// A sheet of paper of a size in pixels.
    pub fn new(width: u32, height: u32) -> Self {
        Self {
            image: RgbImage::from_pixel(width, height, Rgb(PAPER)),
        }
    }

    /// A white sheet of a size in pixels.
    pub fn white(width: u32, height: u32) -> Self {
        Self {
            image: RgbImage::from_pixel(width, height, Rgb([255; 3])),
        }
    }

    /// What was drawn.
    pub fn into_image(self) -> RgbImage {
        self.image
    }

    /// Changes a pixel towards a colour by a share of 255.
    fn blend(&mut self, x: usize, y: usize, colour: [u8; 3], share: u8) {
        let place = (u32::try_from(x), u32::try_from(y));
        let (Ok(x), Ok(y)) = place else { return };
        if let Some(pixel) = self.image.get_pixel_mut_checked(x, y) {
            for (old, new) in pixel.0.iter_mut().zip(colour) {
                let (keep, share) = (255 - u32::from(share), u32::from(share));
                *old = ((u32::from(*old) * keep + u32::from(new) * share + 127) / 255) as u8;
            }
        }
    }

    /// Fills a rectangle.
    pub fn fill(&mut self, x: usize, y: usize, width: usize, height: usize, colour: [u8; 3]) {
        for row in y..y + height {
            for column in x..x + width {
                self.blend(column, row, colour, 255);
            }
        }
    }

    /// Puts a picture of row-major RGB pixels, every pixel `factor` wide and high.
    pub fn picture(&mut self, x: usize, y: usize, pixels: &[u8], width: usize, factor: usize) {
        for (index, pixel) in pixels.chunks_exact(3).enumerate() {
            let (row, column) = (index / width, index % width);
            let colour = [pixel[0], pixel[1], pixel[2]];
            let (left, top) = (x + column * factor, y + row * factor);
            self.fill(left, top, factor, factor, colour);
        }
    }

    /// Writes a line of text, its upper left corner at (x, y); letters that the font lacks become
    /// question marks.
    pub fn text(&mut self, x: usize, y: usize, text: &str, font: Font, colour: [u8; 3]) {
        let mut left = x;
        for letter in text.chars() {
            let raster = get_raster(letter, font.weight, font.height)
                .or_else(|| get_raster('?', font.weight, font.height));
            let Some(raster) = raster else { continue };
            for (row, line) in raster.rows().enumerate() {
                for (column, &share) in line.iter().enumerate() {
                    self.blend(left + column, y + row, colour, share);
                }
            }
            left += raster.width();
        }
    }
}
