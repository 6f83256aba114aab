//! The regions of an image: instances of things, and all pixels of a class that are in none.

use std::collections::BTreeMap;

use dp_sims_datasets::Size;

/// A region of an image.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Segment {
    /// Id of its class in the label map.
    pub id: u8,
    /// True for an instance of a thing.
    pub thing: bool,
    /// Row-major indices of its pixels, ascending; at least one.
    pub pixels: Vec<usize>,
}

/// The regions of an image without void: first the classes by id, then the instances by number.
///
/// # Shapes
/// - ids: `[height, width]`
/// - things: `[height, width]`, instance numbers, 0 is no instance
pub(super) fn segments(ids: &[u8], things: &[u16], void: u8) -> Vec<Segment> {
    let mut found: BTreeMap<(u16, u8), Vec<usize>> = BTreeMap::new();
    for (pixel, (&id, &thing)) in ids.iter().zip(things).enumerate() {
        if id != void {
            found.entry((thing, id)).or_default().push(pixel);
        }
    }
    let segment = |((number, id), pixels)| Segment {
        id,
        thing: number > 0,
        pixels,
    };
    found.into_iter().map(segment).collect()
}

impl Segment {
    /// Left edge, top edge, width and height in pixels of the rectangle around the region.
    pub fn rectangle(&self, size: Size) -> [usize; 4] {
        let columns = || self.pixels.iter().map(|pixel| pixel % size.width);
        let rows = || self.pixels.iter().map(|pixel| pixel / size.width);
        let (left, top) = (columns().min().unwrap_or(0), rows().min().unwrap_or(0));
        let (right, bottom) = (columns().max().unwrap_or(0), rows().max().unwrap_or(0));
        [left, top, right + 1 - left, bottom + 1 - top]
    }

    /// Lengths of runs outside and inside in turn, down the columns from left to right.
    pub fn runs(&self, size: Size) -> Vec<u32> {
        let place = |pixel: &usize| pixel % size.width * size.height + pixel / size.width;
        let mut places: Vec<usize> = self.pixels.iter().map(place).collect();
        places.sort_unstable();
        let (mut runs, mut end) = (Vec::new(), 0);
        for place in places {
            match runs.last_mut() {
                Some(run) if place == end => *run += 1,
                _ => runs.extend([(place - end) as u32, 1]),
            }
            end = place + 1;
        }
        if end < size.pixels() {
            runs.push((size.pixels() - end) as u32);
        }
        runs
    }
}

/// The values of an instance map: numbers from `first` on for the instances, in order.
///
/// With a `first` above all ids the values are those of Cityscapes, `first` ids apart: an instance
/// is its id times `first` plus a number counted from 0 in its class; pixels without instance have
/// their id, and so has an instance that finds no number, which Cityscapes calls a group.
pub(super) fn instance_values(ids: &[u8], segments: &[Segment], first: u16) -> Vec<u16> {
    let by_class = first > u16::from(u8::MAX);
    let mut values: Vec<u16> = match by_class {
        true => ids.iter().map(|&id| u16::from(id)).collect(),
        false => vec![0; ids.len()],
    };
    let mut counts = [0_u16; 256];
    for segment in segments.iter().filter(|segment| segment.thing) {
        let count = &mut counts[if by_class { usize::from(segment.id) } else { 0 }];
        let value = match by_class {
            true if *count < first => u16::from(segment.id)
                .checked_mul(first)
                .and_then(|value| value.checked_add(*count)),
            true => None,
            false => first.checked_add(*count),
        };
        *count = count.saturating_add(1);
        if let Some(value) = value {
            segment
                .pixels
                .iter()
                .for_each(|&pixel| values[pixel] = value);
        }
    }
    values
}

#[cfg(test)]
mod tests {
    use super::*;

    // Void 0 on the left, two persons (24) side by side, road (7) below.
    const IDS: [u8; 8] = [0, 24, 24, 7, 0, 7, 24, 7];
    const THINGS: [u16; 8] = [0, 5, 9, 0, 0, 0, 9, 0];
    const SIZE: Size = Size::new(2, 4);

    #[test]
    fn segments_have_pixels_rectangles_and_runs() {
        let segments = segments(&IDS, &THINGS, 0);
        let summary: Vec<_> = segments.iter().map(|s| (s.id, s.thing)).collect();
        assert_eq!(summary, [(7, false), (24, true), (24, true)]);
        assert_eq!(segments[0].pixels, [3, 5, 7]);
        assert_eq!(segments[0].rectangle(SIZE), [1, 0, 3, 2]);
        // Down the columns: void void, person road, person person, road road.
        assert_eq!(segments[0].runs(SIZE), [3, 1, 2, 2]);
        assert_eq!(segments[1].runs(SIZE), [2, 1, 5]);
        assert_eq!(segments[2].runs(SIZE), [4, 2, 2]);
        assert_eq!(segments[2].rectangle(SIZE), [2, 0, 1, 2]);
    }

    #[test]
    fn instance_values_are_plain_or_those_of_cityscapes() {
        let segments = segments(&IDS, &THINGS, 0);
        assert_eq!(
            instance_values(&IDS, &segments, 1),
            [0, 1, 2, 0, 0, 0, 2, 0]
        );
        assert_eq!(
            instance_values(&IDS, &segments, 1000),
            [0, 24_000, 24_001, 7, 0, 7, 24_001, 7]
        );
        // No room for a number: a group.
        assert_eq!(instance_values(&IDS, &segments, 60_000), IDS.map(u16::from));
    }
}
