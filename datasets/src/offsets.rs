//! Offsets from the pixels of instances to the centres of mass (notes S15 and O26).

use crate::sample::Sample;
use crate::size::Size;

/// Number of pixels of an instance and the sums of their rows and columns.
#[derive(Clone, Copy, Default)]
struct Mass {
    pixels: i64,
    rows: i64,
    columns: i64,
}

/// For every pixel of an instance, the way to the mean row and the mean column of the pixels of
/// that instance; 0 for pixels without instance.
///
/// Rows are divided by the height and columns by the width, so that values lie within -1 to 1.
/// Mirroring the instances mirrors the offsets and negates the second channel, exactly.
///
/// `instances` has `size.pixels()` values; pixels beyond have no offset.
///
/// # Shapes
/// - instances: `[height, width]`, 0 is no instance
/// - output: `[2, height, width]`, channels (y, x)
pub fn offsets(instances: &[u16], size: Size) -> Vec<f32> {
    let mut offsets = vec![0.0; 2 * size.pixels()];
    let Some(&largest) = instances.iter().max().filter(|&&largest| largest > 0) else {
        return offsets;
    };
    let mut masses = vec![Mass::default(); usize::from(largest) + 1];
    for (row, line) in (0..).zip(instances.chunks_exact(size.width)) {
        for (column, &instance) in (0..).zip(line) {
            let mass = &mut masses[usize::from(instance)];
            mass.pixels += 1;
            mass.rows += row;
            mass.columns += column;
        }
    }
    let (rows, columns) = offsets.split_at_mut(size.pixels());
    let lines = rows
        .chunks_exact_mut(size.width)
        .zip(columns.chunks_exact_mut(size.width))
        .zip(instances.chunks_exact(size.width));
    for (row, ((rows, columns), line)) in (0..).zip(lines) {
        let pixels = rows.iter_mut().zip(columns).zip(line);
        for (column, ((y, x), &instance)) in (0..).zip(pixels) {
            if instance != 0 {
                let mass = masses[usize::from(instance)];
                // Whole numbers until the division, which is what makes mirroring exact.
                let way = |sum: i64, place: i64, side: usize| {
                    let scale = mass.pixels as f64 * side as f64;
                    ((sum - mass.pixels * place) as f64 / scale) as f32
                };
                *y = way(mass.rows, row, size.height);
                *x = way(mass.columns, column, size.width);
            }
        }
    }
    offsets
}

impl Sample {
    /// The [`offsets`] of the instances as they are now, `None` for a sample without instances.
    ///
    /// # Shapes
    /// - output: `[2, height, width]`, channels (y, x)
    pub fn offsets(&self) -> Option<Vec<f32>> {
        let size = Size::new(self.height, self.width);
        let instances = self.instances.as_ref()?;
        Some(offsets(instances, size))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The definition, pixel by pixel.
    fn slow(instances: &[u16], size: Size) -> Vec<f32> {
        let mut output = vec![0.0; 2 * size.pixels()];
        for (pixel, &instance) in instances.iter().enumerate() {
            if instance == 0 {
                continue;
            }
            let members: Vec<usize> = (0..size.pixels())
                .filter(|&other| instances[other] == instance)
                .collect();
            let mean = |value: &dyn Fn(usize) -> usize| {
                let sum: f64 = members.iter().map(|&member| value(member) as f64).sum();
                sum / members.len() as f64
            };
            let (row, column) = (|p: usize| p / size.width, |p: usize| p % size.width);
            let (y, x) = (mean(&row), mean(&column));
            output[pixel] = ((y - row(pixel) as f64) / size.height as f64) as f32;
            output[size.pixels() + pixel] = ((x - column(pixel) as f64) / size.width as f64) as f32;
        }
        output
    }

    #[test]
    fn a_small_map_has_its_offsets() {
        // Instance 7 covers (0,0), (0,1), (1,0): mean (1/3, 1/3). Instance 2 is a single pixel.
        let instances = [7, 7, 0, 7, 0, 2];
        let third = 1.0 / 3.0;
        let y = [third / 2.0, third / 2.0, 0.0, -third, 0.0, 0.0];
        let x = [third / 3.0, -2.0 * third / 3.0, 0.0, third / 3.0, 0.0, 0.0];
        let expected: Vec<f32> = y
            .iter()
            .chain(&x)
            .map(|&value: &f64| value as f32)
            .collect();
        assert_eq!(offsets(&instances, Size::new(2, 3)), expected);
        assert_eq!(offsets(&[0; 6], Size::new(2, 3)), [0.0; 12]);
    }

    #[test]
    fn samples_give_offsets_after_mirroring() {
        let mut sample = Sample {
            name: String::new(),
            width: 3,
            height: 1,
            image: vec![1, 2, 3, 4, 5, 6, 7, 8, 9],
            labels: vec![1, 1, 2],
            instances: Some(vec![4, 4, 0]),
        };
        let sixth = (0.5_f64 / 3.0) as f32;
        let expected = vec![0.0, 0.0, 0.0, sixth, -sixth, 0.0];
        assert_eq!(sample.offsets(), Some(expected));
        sample.mirror();
        assert_eq!(sample.image, [7, 8, 9, 4, 5, 6, 1, 2, 3]);
        assert_eq!(sample.labels, [2, 1, 1]);
        assert_eq!(sample.instances, Some(vec![0, 4, 4]));
        let expected = vec![0.0, 0.0, 0.0, 0.0, sixth, -sixth];
        assert_eq!(sample.offsets(), Some(expected));
        sample.instances = None;
        assert_eq!(sample.offsets(), None);
    }

    proptest! {
        #[test]
        fn offsets_follow_their_definition_and_negate_x_on_flips(
            height in 1_usize..12,
            width in 1_usize..12,
            values in prop::collection::vec(prop::sample::select(vec![0, 1, 2, 3, 26_001, 65_535]), 144),
        ) {
            let size = Size::new(height, width);
            let instances = &values[..size.pixels()];
            let fast = offsets(instances, size);
            prop_assert_eq!(fast.len(), 2 * size.pixels());
            for (fast, slow) in fast.iter().zip(slow(instances, size)) {
                prop_assert!((fast - slow).abs() < 1e-6, "{} is not {}", fast, slow);
                prop_assert!(fast.abs() < 1.0);
            }
            let flip = |values: &[f32]| -> Vec<f32> {
                values.chunks_exact(width).flat_map(|row| row.iter().rev().copied()).collect()
            };
            let mut flipped = instances.to_vec();
            flipped.chunks_exact_mut(width).for_each(<[u16]>::reverse);
            let (y, x) = fast.split_at(size.pixels());
            let negated: Vec<f32> = flip(x).into_iter().map(|value| -value).collect();
            let expected = [flip(y), negated].concat();
            prop_assert_eq!(offsets(&flipped, size), expected);
        }
    }
}
