//! The pictures of a sample: its boundaries and its offsets.

use dp_sims_datasets::{Sample, Size};

use crate::colours::hsv;

/// Colour of boundaries between classes.
pub(super) const CLASS_LINE: [u8; 3] = [255, 214, 51];

/// Colour of boundaries between instances of a class.
pub(super) const INSTANCE_LINE: [u8; 3] = [77, 232, 255];

/// Colour of pixels without offset.
const NO_OFFSET: [u8; 3] = [44, 48, 56];

/// The photo, darkened, with a line where the class changes and another where the instance does.
///
/// # Shapes
/// - output: `[height, width, 3]`
pub(super) fn boundaries(sample: &Sample) -> Vec<u8> {
    let size = Size::new(sample.height, sample.width);
    let class = |pixel: usize| u16::from(sample.labels[pixel]);
    let instances = sample.instances.as_deref();
    let instance = |pixel: usize| instances.map_or(0, |instances| instances[pixel]);
    let colour = |pixel: usize| {
        if changes(pixel, size, class) {
            return CLASS_LINE;
        }
        if changes(pixel, size, instance) {
            return INSTANCE_LINE;
        }
        let photo = &sample.image[3 * pixel..][..3];
        [photo[0], photo[1], photo[2]].map(|value| (u16::from(value) * 7 / 10) as u8)
    };
    (0..size.pixels()).flat_map(colour).collect()
}

/// Whether a value differs from that of the next pixel to the right or below.
fn changes(pixel: usize, size: Size, value: impl Fn(usize) -> u16) -> bool {
    let own = value(pixel);
    let right = pixel % size.width + 1 < size.width;
    let below = pixel / size.width + 1 < size.height;
    right && value(pixel + 1) != own || below && value(pixel + size.width) != own
}

/// The offsets as colours: the way to the centre as hue, its length as saturation, so that centres
/// are white; `None` without instances. The longest way of the picture is fully saturated.
///
/// # Shapes
/// - output: `[height, width, 3]`
pub(super) fn offset_colours(sample: &Sample) -> Option<Vec<u8>> {
    let offsets = sample.offsets()?;
    let instances = sample.instances.as_deref()?;
    let (rows, columns) = offsets.split_at(sample.height * sample.width);
    // Back to pixels, so that directions are those in the picture.
    let ways: Vec<(f32, f32)> = rows
        .iter()
        .zip(columns)
        .map(|(y, x)| (y * sample.height as f32, x * sample.width as f32))
        .collect();
    let longest = ways.iter().map(|&(y, x)| y.hypot(x)).fold(0.0, f32::max);
    let colour = |((y, x), &instance): (&(f32, f32), &u16)| match instance {
        0 => NO_OFFSET,
        _ => way_colour(*y, *x, longest),
    };
    Some(ways.iter().zip(instances).flat_map(colour).collect())
}

/// The colour of a way; one of the length `longest` is fully saturated.
fn way_colour(y: f32, x: f32, longest: f32) -> [u8; 3] {
    let hue = y.atan2(x) / std::f32::consts::TAU;
    // The root lifts short ways, of which there are most.
    let length = (y.hypot(x) / longest.max(f32::MIN_POSITIVE)).sqrt();
    hsv(hue, length.min(1.0), 1.0)
}

/// A round key to the colours of offsets: every place has the colour of a pixel there whose centre
/// is in the middle. `None` outside of the circle.
pub(super) fn key(side: usize) -> impl Iterator<Item = (usize, usize, Option<[u8; 3]>)> {
    let middle = (side as f32 - 1.0) / 2.0;
    (0..side * side).map(move |place| {
        let (row, column) = (place / side, place % side);
        let (y, x) = (middle - row as f32, middle - column as f32);
        let inside = y.hypot(x) <= side as f32 / 2.0;
        (column, row, inside.then(|| way_colour(y, x, middle)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Sample {
        Sample {
            name: String::new(),
            width: 4,
            height: 2,
            image: vec![100; 24],
            labels: vec![1, 1, 1, 2, 1, 1, 1, 2],
            instances: Some(vec![5, 5, 6, 0, 5, 5, 6, 0]),
        }
    }

    fn pixels(bytes: Vec<u8>) -> Vec<[u8; 3]> {
        let pixels = bytes.chunks_exact(3);
        pixels.map(|pixel| [pixel[0], pixel[1], pixel[2]]).collect()
    }

    #[test]
    fn boundaries_are_where_class_or_instance_change() {
        let (photo, class, instance) = ([70; 3], CLASS_LINE, INSTANCE_LINE);
        let row = [photo, instance, class, photo];
        assert_eq!(pixels(boundaries(&sample())), [row, row].concat());
        let mut flat = sample();
        flat.instances = None;
        let row = [photo, photo, class, photo];
        assert_eq!(pixels(boundaries(&flat)), [row, row].concat());
    }

    #[test]
    fn offsets_point_to_centres_in_colours() {
        let mut sample = sample();
        // One row of an instance: the ways are +1, 0 and -1 pixel, and the last pixel has none.
        (sample.height, sample.labels) = (1, vec![1; 4]);
        sample.instances = Some(vec![3, 3, 3, 0]);
        let colours = pixels(offset_colours(&sample).unwrap());
        assert_eq!(colours, [[255, 0, 0], [255; 3], [0, 255, 255], NO_OFFSET]);
        sample.instances = None;
        assert_eq!(offset_colours(&sample), None);
    }

    #[test]
    fn the_key_has_the_colours_of_the_offsets() {
        let places: Vec<_> = key(5).collect();
        let colour = |column: usize, row: usize| places[row * 5 + column].2;
        assert_eq!(colour(2, 2), Some([255; 3]));
        assert_eq!(colour(0, 2), Some([255, 0, 0]));
        assert_eq!(colour(4, 2), Some([0, 255, 255]));
        assert_eq!(colour(0, 0), None);
    }
}
