//! The pixels of an instance: polygons or run lengths.

use serde::Deserialize;

use super::rle::decompress;
use crate::sample::Size;

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
    /// Calls `pixel` with the row-major index of every pixel of the shape inside an image; of a
    /// polygon these are the pixels whose centre is inside (even-odd rule).
    pub(super) fn visit(&self, image: Size, mut pixel: impl FnMut(usize)) {
        match self {
            Self::Polygons(polygons) => {
                for corners in polygons {
                    visit_polygon(corners, image, &mut pixel);
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

fn visit_polygon(corners: &[f32], image: Size, pixel: &mut impl FnMut(usize)) {
    let corner = |pair: &[f32]| (f64::from(pair[0]), f64::from(pair[1]));
    let corners: Vec<(f64, f64)> = corners.chunks_exact(2).map(corner).collect();
    let Some(&last) = corners.last() else { return };
    let rows = corners.iter().map(|corner| corner.1);
    let top = rows.clone().fold(f64::INFINITY, f64::min);
    let bottom = rows.fold(f64::NEG_INFINITY, f64::max);
    let mut crossings = Vec::new();
    // Casts to `usize` stop at 0 and at the largest number.
    for row in top as usize..(bottom.ceil() as usize).min(image.height) {
        let centre = row as f64 + 0.5;
        crossings.clear();
        let mut from = last;
        for &to in &corners {
            if (from.1 <= centre) != (to.1 <= centre) {
                let part = (centre - from.1) / (to.1 - from.1);
                crossings.push(from.0 + part * (to.0 - from.0));
            }
            from = to;
        }
        crossings.sort_unstable_by(f64::total_cmp);
        for pair in crossings.chunks_exact(2) {
            let column = |x: f64| ((x - 0.5).ceil() as usize).min(image.width);
            for column in column(pair[0])..column(pair[1]) {
                pixel(row * image.width + column);
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
