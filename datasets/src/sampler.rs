//! The order in which images are drawn, as a pure function of seed and position.

use std::ops::Range;

use rand::Rng;

use crate::class::ClassSet;
use crate::error::DatasetError;
use crate::random::{Purpose, below, stream, unit};
use crate::size::Size;

/// Draws an endless sequence of image indices.
///
/// The index at a position depends on the seed and the position alone, so a sequence can be
/// entered anywhere, by any thread.
#[derive(Clone, Debug)]
pub struct Sampler {
    seed: u64,
    order: Order,
}

#[derive(Clone, Debug)]
enum Order {
    /// Every image once per epoch, in an order of its own for each epoch.
    Permuted { len: usize },
    /// With replacement; running sum of the weights by image.
    Balanced { cumulative: Vec<f64> },
}

impl Sampler {
    /// Draws each of `len` images once per epoch, permuted anew in every epoch.
    ///
    /// # Errors
    /// When `len` is 0.
    pub fn permuted(len: usize, seed: u64) -> Result<Self, DatasetError> {
        non_empty(len)?;
        Ok(Self {
            seed,
            order: Order::Permuted { len },
        })
    }

    /// Draws with replacement, image i with a probability proportional to
    /// [`balanced_weights`]`(presence)[i]`.
    ///
    /// # Errors
    /// When `presence` is empty.
    pub fn balanced(presence: &[ClassSet], seed: u64) -> Result<Self, DatasetError> {
        non_empty(presence.len())?;
        let running_sum = |sum: &mut f64, weight: f64| {
            *sum += weight;
            Some(*sum)
        };
        let cumulative = balanced_weights(presence)
            .into_iter()
            .scan(0.0, running_sum)
            .collect();
        Ok(Self {
            seed,
            order: Order::Balanced { cumulative },
        })
    }

    /// The image index at `position`.
    pub fn index(&self, position: u64) -> usize {
        self.indices(position..position + 1)[0]
    }

    /// The image indices at consecutive positions, with one permutation per epoch touched.
    pub fn indices(&self, positions: Range<u64>) -> Vec<usize> {
        match &self.order {
            Order::Permuted { len } => {
                let mut current: Option<(u64, Vec<usize>)> = None;
                positions
                    .map(|position| {
                        let epoch = position / *len as u64;
                        let place = (position % *len as u64) as usize;
                        match &mut current {
                            Some((known, permutation)) if *known == epoch => permutation[place],
                            other => {
                                let permutation = permutation(self.seed, epoch, *len);
                                other.insert((epoch, permutation)).1[place]
                            }
                        }
                    })
                    .collect()
            }
            Order::Balanced { cumulative } => {
                let last = cumulative.len() - 1;
                let total = cumulative[last];
                positions
                    .map(|position| {
                        let draw = unit(&mut stream(self.seed, position, Purpose::Draw)) * total;
                        cumulative.partition_point(|&sum| sum <= draw).min(last)
                    })
                    .collect()
            }
        }
    }
}

/// Whether the image at `position` is mirrored horizontally, with probability 1/2.
pub fn flip(seed: u64, position: u64) -> bool {
    stream(seed, position, Purpose::Flip).next_u64() & 1 == 1
}

/// The first row and column of a cut of size `to` out of the image at `position`, of size `from`;
/// every place that fits is as likely.
pub fn crop(seed: u64, position: u64, from: Size, to: Size) -> (usize, usize) {
    let mut random = stream(seed, position, Purpose::Crop);
    let mut place = |from: usize, to: usize| below(&mut random, from.saturating_sub(to) + 1);
    (place(from.height, to.height), place(from.width, to.width))
}

/// Class-balanced weights by image: f_k^(-1/2), where f_c is the fraction of images with class c
/// and k the class of the image with the least f_c, void aside (paper section 4.1, notes S17).
///
/// An image with nothing but void has weight 1.
pub fn balanced_weights(presence: &[ClassSet]) -> Vec<f64> {
    let mut counts = [0_usize; 256];
    for class in presence.iter().flat_map(ClassSet::iter) {
        counts[usize::from(class)] += 1;
    }
    presence
        .iter()
        .map(|present| {
            let classes = present.iter().filter(|&class| class != 0);
            let rarest = classes.map(|class| counts[usize::from(class)]).min();
            rarest.map_or(1.0, |count| class_weight(presence.len(), count))
        })
        .collect()
}

/// The weight f_k^(-1/2) of an image whose rarest class is in `count` of `images` images.
pub fn class_weight(images: usize, count: usize) -> f64 {
    (images as f64 / count as f64).sqrt()
}

/// The numbers 0 to `len` - 1 in the order of `epoch`.
fn permutation(seed: u64, epoch: u64, len: usize) -> Vec<usize> {
    let mut random = stream(seed, epoch, Purpose::Permutation);
    let mut order: Vec<usize> = (0..len).collect();
    for last in (1..len).rev() {
        order.swap(last, below(&mut random, last + 1));
    }
    order
}

fn non_empty(len: usize) -> Result<(), DatasetError> {
    if len == 0 {
        let problem = "there is no image to draw: choose a split with images".to_string();
        return Err(DatasetError::Setting {
            field: "dataset",
            problem,
        });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn presence(classes: &[&[u8]]) -> Vec<ClassSet> {
        classes
            .iter()
            .map(|classes| classes.iter().copied().collect())
            .collect()
    }

    /// The chi-squared statistic of counts against expected counts.
    fn chi_squared(counts: &[usize], expected: &[f64]) -> f64 {
        let term =
            |(&count, &expected): (&usize, &f64)| (count as f64 - expected).powi(2) / expected;
        counts.iter().zip(expected).map(term).sum()
    }

    fn counts(sampler: &Sampler, images: usize, draws: u64) -> Vec<usize> {
        let mut counts = vec![0; images];
        sampler
            .indices(0..draws)
            .into_iter()
            .for_each(|index| counts[index] += 1);
        counts
    }

    #[test]
    fn weights_follow_the_rarest_class() {
        // f_1 = 4/8, f_2 = 2/8, f_3 = 1/8; void is in every image and must not matter.
        let images = presence(&[
            &[0, 1],
            &[0, 1, 2],
            &[0, 1, 2, 3],
            &[0, 1],
            &[0],
            &[],
            &[0],
            &[0],
        ]);
        let root = f64::sqrt;
        let expected = [root(2.0), 2.0, root(8.0), root(2.0), 1.0, 1.0, 1.0, 1.0];
        for (weight, expected) in balanced_weights(&images).into_iter().zip(expected) {
            assert!(
                (weight - expected).abs() < 1e-12,
                "{weight} is not {expected}"
            );
        }
    }

    #[test]
    fn balanced_draws_have_the_stated_distribution() {
        let mut images = presence(&[&[0, 1], &[1], &[1, 2], &[2], &[1, 2, 3], &[0], &[1, 4]]);
        images.extend([ClassSet::of(&[1]); 13]);
        let weights = balanced_weights(&images);
        let total: f64 = weights.iter().sum();
        let draws = 40_000;
        let expected: Vec<f64> = weights.iter().map(|w| w / total * draws as f64).collect();
        let drawn = counts(&Sampler::balanced(&images, 7).unwrap(), images.len(), draws);
        // 19 degrees of freedom: the 0.999 quantile is 43.82.
        let statistic = chi_squared(&drawn, &expected);
        println!("chi-squared of the weighted draw: {statistic}");
        assert!(statistic < 43.82, "{statistic}");
        // The same draws against a uniform distribution must fail, or the test could not.
        let uniform = vec![draws as f64 / 20.0; 20];
        assert!(chi_squared(&drawn, &uniform) > 1000.0);
    }

    #[test]
    fn permutations_are_uniform() {
        // All 24 orders of four images over many epochs.
        let sampler = Sampler::permuted(4, 3).unwrap();
        let epochs = 12_000;
        let mut orders = std::collections::BTreeMap::new();
        for epoch in sampler.indices(0..epochs * 4).chunks_exact(4) {
            *orders.entry(epoch.to_vec()).or_insert(0_usize) += 1;
        }
        let drawn: Vec<usize> = orders.into_values().collect();
        assert_eq!(drawn.len(), 24);
        // 23 degrees of freedom: the 0.999 quantile is 49.73.
        let statistic = chi_squared(&drawn, &[epochs as f64 / 24.0; 24]);
        println!("chi-squared of the permutations: {statistic}");
        assert!(statistic < 49.73, "{statistic}");
    }

    #[test]
    fn flips_are_fair_and_keyed() {
        let flips = |seed| (0..10_000).map(move |position| flip(seed, position));
        let heads = flips(1).filter(|&flip| flip).count();
        // Five standard deviations of a fair coin: 250.
        assert!(heads.abs_diff(5000) < 250, "{heads}");
        let equal = flips(1).zip(flips(2)).filter(|(a, b)| a == b).count();
        assert!(equal.abs_diff(5000) < 250, "{equal}");
    }

    #[test]
    fn crops_reach_every_place_evenly_and_no_other() {
        let (from, to) = (Size::new(5, 4), Size::new(3, 4));
        let mut counts = [0; 3];
        for position in 0..3000 {
            let (top, left) = crop(9, position, from, to);
            counts[top] += 1;
            assert_eq!(left, 0);
        }
        // Two degrees of freedom: the 0.999 quantile is 13.82.
        assert!(chi_squared(&counts, &[1000.0; 3]) < 13.82, "{counts:?}");
        assert_eq!(crop(9, 0, to, to), (0, 0));
    }

    #[test]
    fn the_order_is_fixed_for_all_time() {
        // A run that is resumed must meet the order it was started with. The values come from the
        // definition of ChaCha8, computed apart from this crate.
        let permuted = Sampler::permuted(10, 42).unwrap();
        assert_eq!(permuted.indices(0..10), [8, 5, 0, 7, 3, 2, 4, 1, 6, 9]);
        assert_eq!(permuted.indices(10..20), [5, 0, 6, 4, 9, 3, 8, 2, 1, 7]);
        let images = [ClassSet::of(&[1]); 10];
        let balanced = Sampler::balanced(&images, 42).unwrap();
        assert_eq!(balanced.indices(0..10), [3, 7, 3, 2, 8, 9, 1, 1, 2, 7]);
        let flips: Vec<u64> = (0..10).filter(|&position| flip(42, position)).collect();
        assert_eq!(flips, [0, 1, 3, 8]);
    }

    #[test]
    fn nothing_to_draw_is_an_error() {
        assert!(Sampler::permuted(0, 0).is_err());
        assert!(Sampler::balanced(&[], 0).is_err());
    }

    proptest! {
        #[test]
        fn every_epoch_is_a_permutation(len in 1_usize..200, seed: u64, epoch in 0_u64..1000) {
            let first = epoch * len as u64;
            let sampler = Sampler::permuted(len, seed).unwrap();
            let mut drawn = sampler.indices(first..first + len as u64);
            drawn.sort_unstable();
            prop_assert_eq!(drawn, (0..len).collect::<Vec<_>>());
        }

        #[test]
        fn one_position_equals_its_place_in_a_range(
            len in 1_usize..50, seed: u64, first in 0_u64..500, count in 1_u64..60
        ) {
            let images: Vec<ClassSet> =
                (0..len).map(|image| ClassSet::of(&[0, (image % 5) as u8])).collect();
            let samplers =
                [Sampler::permuted(len, seed).unwrap(), Sampler::balanced(&images, seed).unwrap()];
            for sampler in samplers {
                let range = sampler.indices(first..first + count);
                let single: Vec<usize> =
                    (first..first + count).map(|position| sampler.index(position)).collect();
                prop_assert!(range.iter().all(|&index| index < len));
                prop_assert_eq!(range, single);
            }
        }
    }
}
