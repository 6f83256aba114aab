//! The pixels of an instance: polygons or run lengths.

use std::ops::Range;

use serde::Deserialize;

use super::rle::decompress;
use crate::size::Size;

/// A shape as it stands in the file.
#[derive(Deserialize)]
#[serde(
    untagged,
    expecting = "a `segmentation` is a list of polygons, or `counts` and `size` of run lengths"
)]
pub(super) enum Segmentation {
    Polygons(Vec<Vec<f32>>),
    Runs { counts: Counts, size: [usize; 2] },
}

#[derive(Deserialize)]
#[serde(untagged, expecting = "`counts` is a list of numbers or a text")]
pub(super) enum Counts {
    Plain(Vec<u32>),
    Compressed(String),
}

/// A shape that has been checked.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Shape {
    /// Corners x, y, x, y, .. of polygons, in pixels from the upper left corner of the image.
    Polygons(Vec<Vec<f32>>),
    /// Lengths of runs outside and inside in turn, down the columns from left to right. Their sum
    /// is the number of pixels of the image.
    Runs(Vec<u32>),
}

impl Segmentation {
    /// Whether it has no polygon, as where a tool had only boxes.
    pub(super) fn is_empty(&self) -> bool {
        matches!(self, Self::Polygons(polygons) if polygons.iter().all(Vec::is_empty))
    }

    /// Checks the shape for an image of a size.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(super) fn shape(self, image: Size) -> Result<Shape, String> {
        match self {
            Self::Polygons(polygons) => {
                for (index, corners) in polygons.iter().enumerate() {
                    if corners.len() % 2 != 0 {
                        let count = corners.len();
                        return Err(format!(
                            "polygon {index} has {count} coordinates, which are not pairs"
                        ));
                    }
                    if corners.iter().any(|corner| !corner.is_finite()) {
                        return Err(format!(
                            "polygon {index} has a coordinate beyond all pixels"
                        ));
                    }
                }
                Ok(Shape::Polygons(polygons))
            }
            Self::Runs { counts, size } => {
                let size = Size::new(size[0], size[1]);
                if size != image {
                    return Err(format!("`size` is {size}, but the image is {image}"));
                }
                let runs = match counts {
                    Counts::Plain(runs) => runs,
                    Counts::Compressed(text) => decompress(&text)?,
                };
                // At most 2^64 / 2^32 numbers could overflow, more than fit into memory.
                let sum: u64 = runs.iter().map(|&run| u64::from(run)).sum();
                let pixels = image.height.checked_mul(image.width);
                if pixels.is_none_or(|pixels| pixels as u64 != sum) {
                    return Err(format!(
                        "`counts` covers {sum} pixels, but the image is {image}"
                    ));
                }
                Ok(Shape::Runs(runs))
            }
        }
    }
}

impl Shape {
    /// Steps that [`Self::visit`] takes, in the order of the pixels of the smallest box around it, and of
    /// its corners or runs.
    pub(super) fn work(&self, image: Size) -> u64 {
        match self {
            Self::Polygons(polygons) => polygons
                .iter()
                .map(|corners| Outline::new(corners, image).work())
                .fold(0, u64::saturating_add),
            Self::Runs(runs) => {
                let inside = runs.iter().skip(1).step_by(2);
                runs.len() as u64 + inside.map(|&run| u64::from(run)).sum::<u64>()
            }
        }
    }

    /// Calls `pixel` with the row-major index of every pixel of the shape inside an image; of a
    /// polygon these are the pixels whose centre is inside (even-odd rule).
    pub(super) fn visit(&self, image: Size, mut pixel: impl FnMut(usize)) {
        match self {
            Self::Polygons(polygons) => {
                for corners in polygons {
                    Outline::new(corners, image).visit(image, &mut pixel);
                }
            }
            Self::Runs(runs) => {
                let mut start = 0;
                for (index, &run) in runs.iter().enumerate() {
                    let end = start + run as usize;
                    if index % 2 == 1 {
                        for place in start..end {
                            pixel(place % image.height * image.width + place / image.height);
                        }
                    }
                    start = end;
                }
            }
        }
    }
}

/// A polygon inside an image.
struct Outline {
    corners: Vec<(f64, f64)>,
    /// Rows and columns that it may touch.
    rows: Range<usize>,
    columns: Range<usize>,
}

impl Outline {
    fn new(corners: &[f32], image: Size) -> Self {
        let corner = |pair: &[f32]| (f64::from(pair[0]), f64::from(pair[1]));
        let corners: Vec<(f64, f64)> = corners.chunks_exact(2).map(corner).collect();
        // Casts to `usize` stop at 0 and at the largest number.
        let range = |values: &mut dyn Iterator<Item = f64>, end: usize| {
            let (least, most) = values
                .fold((f64::INFINITY, f64::NEG_INFINITY), |(least, most), v| {
                    (least.min(v), most.max(v))
                });
            let start = (least as usize).saturating_sub(1).min(end);
            start..(most.ceil() as usize).saturating_add(1).clamp(start, end)
        };
        Self {
            rows: range(&mut corners.iter().map(|corner| corner.1), image.height),
            columns: range(&mut corners.iter().map(|corner| corner.0), image.width),
            corners,
        }
    }

    /// The edges, each with the rows whose centres it crosses.
    fn edges(&self) -> impl Iterator<Item = ([(f64, f64); 2], Range<usize>)> + '_ {
        let ends = self.corners.iter();
        let starts = self.corners.last().into_iter().chain(&self.corners);
        starts.zip(ends).map(|(&from, &to)| {
            let row = |y: f64| ((y - 0.5).ceil() as usize).clamp(self.rows.start, self.rows.end);
            ([from, to], row(from.1.min(to.1))..row(from.1.max(to.1)))
        })
    }

    /// Steps that drawing takes.
    fn work(&self) -> u64 {
        let edges = self.edges().map(|(_, rows)| 1 + rows.len() as u64).sum();
        let area = (self.rows.len() as u64).saturating_mul(self.columns.len() as u64);
        area.saturating_add(edges)
    }

    fn visit(&self, image: Size, pixel: &mut impl FnMut(usize)) {
        let (top, left) = (self.rows.start, self.columns.start);
        // Where inside and outside change along a row: a place for each column and the end.
        let places = self.columns.len() + 1;
        let mut changes = vec![false; self.rows.len() * places];
        for ([from, to], rows) in self.edges() {
            for row in rows {
                let part = (row as f64 + 0.5 - from.1) / (to.1 - from.1);
                let x = from.0 + part * (to.0 - from.0);
                let column = ((x - 0.5).ceil() as usize).clamp(left, self.columns.end);
                changes[(row - top) * places + column - left] ^= true;
            }
        }
        for (row, changes) in self.rows.clone().zip(changes.chunks_exact(places)) {
            let mut inside = false;
            for (column, change) in self.columns.clone().zip(changes) {
                inside ^= change;
                if inside {
                    pixel(row * image.width + column);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The pixels of a shape as rows of `#` and `.`.
    fn draw(shape: &Shape, size: Size) -> String {
        let mut picture = vec!['.'; size.pixels()];
        shape.visit(size, |pixel| picture[pixel] = '#');
        let rows = picture.chunks_exact(size.width).map(String::from_iter);
        rows.collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn polygons_cover_the_pixels_with_centres_inside() {
        let square = vec![1.0, 0.0, 3.0, 0.0, 3.0, 2.0, 1.0, 2.0];
        let size = Size::new(3, 4);
        assert_eq!(
            draw(&Shape::Polygons(vec![square.clone()]), size),
            ".##. .##. ...."
        );
        let triangle = vec![0.0, 0.0, 4.0, 4.0, 0.0, 4.0];
        let both = Shape::Polygons(vec![triangle, vec![]]);
        assert_eq!(draw(&both, Size::new(4, 4)), ".... #... ##.. ###.");
        let hole = [square, vec![1.0, 0.0, 2.0, 0.0, 2.0, 1.0, 1.0, 1.0]].concat();
        assert_eq!(draw(&Shape::Polygons(vec![hole]), size), "..#. .##. ....");
        let outside = vec![-5.0, -1e30, 2.0, -1e30, 2.0, 1e30, -5.0, 1e30];
        assert_eq!(
            draw(&Shape::Polygons(vec![outside]), size),
            "##.. ##.. ##.."
        );
    }

    #[test]
    fn runs_go_down_the_columns() {
        let size = Size::new(2, 3);
        for json in [
            r#"{"counts": [1, 3, 2], "size": [2, 3]}"#,
            r#"{"counts": "132", "size": [2, 3]}"#,
        ] {
            let segmentation: Segmentation = serde_json::from_str(json).unwrap();
            let shape = segmentation.shape(size).unwrap();
            assert_eq!(draw(&shape, size), ".#. ##.");
        }
    }

    #[test]
    fn the_work_of_a_shape_is_bounded_by_its_box_and_its_corners() {
        let size = Size::new(1000, 1000);
        let square = vec![10.0, 10.0, 20.0, 10.0, 20.0, 20.0, 10.0, 20.0];
        let work = Shape::Polygons(vec![square]).work(size);
        assert!((100..300).contains(&work), "{work}");
        // Up and down over the whole image, a thousand times.
        let zigzag = (0..2000).flat_map(|x| [x as f32 / 2.0, if x % 2 == 0 { -9e9 } else { 9e9 }]);
        let work = Shape::Polygons(vec![zigzag.collect()]).work(size);
        assert!((2_000_000..4_000_000).contains(&work), "{work}");
        assert_eq!(Shape::Runs(vec![5, 3, 2, 4]).work(size), 4 + 7);
    }

    /// The pixels by the definition: an odd number of edges to the left of the centre.
    fn by_definition(corners: &[f32], size: Size) -> Vec<usize> {
        let corner = |pair: &[f32]| (f64::from(pair[0]), f64::from(pair[1]));
        let corners: Vec<(f64, f64)> = corners.chunks_exact(2).map(corner).collect();
        let is_inside = |&pixel: &usize| {
            let centre = |place: usize| place as f64 + 0.5;
            let (x, y) = (centre(pixel % size.width), centre(pixel / size.width));
            let ends = corners.iter().cycle().skip(1);
            let crossed = corners.iter().zip(ends).filter(|(from, to)| {
                (from.1 <= y) != (to.1 <= y)
                    && from.0 + (y - from.1) / (to.1 - from.1) * (to.0 - from.0) <= x
            });
            crossed.count() % 2 == 1
        };
        (0..size.pixels()).filter(is_inside).collect()
    }

    #[test]
    fn shapes_that_do_not_fit_are_refused() {
        for (json, expected) in [
            (
                r#"{"counts": [1, 3, 3], "size": [2, 3]}"#,
                "covers 7 pixels",
            ),
            (r#"{"counts": [6], "size": [3, 2]}"#, "`size` is 3x2"),
            (r#"{"counts": "1~", "size": [2, 3]}"#, "character 1"),
            ("[[1, 2, 3]]", "polygon 0 has 3 coordinates"),
            ("[[], [1, 1e39]]", "polygon 1 has a coordinate beyond"),
        ] {
            let segmentation: Segmentation = serde_json::from_str(json).unwrap();
            let message = segmentation.shape(Size::new(2, 3)).unwrap_err();
            assert!(message.contains(expected), "{message}");
        }
        let error = serde_json::from_str::<Segmentation>("{\"size\": [1]}").err();
        assert!(error.unwrap().to_string().contains("list of polygons"));
    }

    proptest! {
        #[test]
        fn polygons_are_their_definition(
            corners in prop::collection::vec(-8_i16..40, 0..24),
            height in 1_usize..9,
            width in 1_usize..9,
        ) {
            let mut corners: Vec<f32> = corners.into_iter().map(|c| f32::from(c) / 4.0).collect();
            corners.truncate(corners.len() / 2 * 2);
            let size = Size::new(height, width);
            let mut pixels = Vec::new();
            Shape::Polygons(vec![corners.clone()]).visit(size, |pixel| pixels.push(pixel));
            prop_assert_eq!(pixels, by_definition(&corners, size));
        }

        #[test]
        fn no_polygon_leaves_the_image(
            corners in prop::collection::vec(
                prop_oneof![-3_f32..9.0, any::<f32>(), (-2_i8..9).prop_map(f32::from)], 0..16
            ),
            height in 1_usize..6,
            width in 1_usize..6,
        ) {
            let size = Size::new(height, width);
            if let Ok(shape) = Segmentation::Polygons(vec![corners]).shape(size) {
                shape.visit(size, |pixel| assert!(pixel < size.pixels()));
            }
        }

        #[test]
        fn no_runs_leave_the_image(
            runs in prop::collection::vec(0_u32..9, 0..8),
            height in 0_usize..6,
            width in 0_usize..6,
        ) {
            let size = Size::new(height, width);
            let inside: u32 = runs.iter().skip(1).step_by(2).sum();
            let counts = Counts::Plain(runs);
            let segmentation = Segmentation::Runs { counts, size: [height, width] };
            if let Ok(shape) = segmentation.shape(size) {
                let mut seen = vec![false; size.pixels()];
                shape.visit(size, |pixel| seen[pixel] = true);
                prop_assert_eq!(seen.iter().filter(|&&seen| seen).count(), inside as usize);
            }
        }
    }
}
