use serde::{Deserialize, Serialize};

use crate::MetricError;

/// Which classes the mean of the IoU is taken over. Repositories differ, and the mean with them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClassesInMean {
    /// Classes that the true label maps contain (deeplab-pytorch, notes M11).
    InTruth,
    /// Classes that true or predicted label maps contain.
    InEither,
    /// Every class; one that occurs nowhere counts as 0 (CSAIL's evaluation, notes M9).
    All,
}

/// How often each true class was predicted as each class, in whole numbers of pixels.
///
/// Pixels without a true class are left out. A pixel predicted as no class counts against its true
/// class and in favour of none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Confusion {
    classes: usize,
    /// `[classes, classes + 1]`: a row per true class, the last column for no class.
    counts: Vec<u64>,
}

impl Confusion {
    /// Of no pixels, for classes 0 to `classes` - 1.
    pub fn new(classes: usize) -> Self {
        Self {
            classes,
            counts: vec![0; classes * (classes + 1)],
        }
    }

    /// Number of classes.
    pub fn classes(&self) -> usize {
        self.classes
    }

    /// Takes in pixels with their true and their predicted class; `None` for void or another class
    /// that the comparison does not have.
    ///
    /// # Errors
    /// [`MetricError::Class`] for a class outside the matrix.
    pub fn add(
        &mut self,
        pixels: impl IntoIterator<Item = (Option<usize>, Option<usize>)>,
    ) -> Result<(), MetricError> {
        for (truth, predicted) in pixels {
            let largest = truth.max(predicted);
            if let Some(class) = largest.filter(|&class| class >= self.classes) {
                return Err(MetricError::Class {
                    class,
                    classes: self.classes,
                });
            }
            if let Some(truth) = truth {
                let column = predicted.unwrap_or(self.classes);
                self.counts[truth * (self.classes + 1) + column] += 1;
            }
        }
        Ok(())
    }

    /// Takes in what another matrix of the same classes has counted.
    ///
    /// # Errors
    /// [`MetricError::Class`] when it has another number of classes.
    pub fn merge(&mut self, other: &Self) -> Result<(), MetricError> {
        if other.classes != self.classes {
            return Err(MetricError::Class {
                class: other.classes,
                classes: self.classes,
            });
        }
        self.add_counts(&other.counts)
    }

    /// All counts, row by row: a row for each true class, of the predicted classes and no class.
    pub fn counts(&self) -> &[u64] {
        &self.counts
    }

    /// Takes in the [counts](Self::counts) of another matrix of the same classes.
    ///
    /// # Errors
    /// [`MetricError::Lengths`] when there are fewer or more of them.
    pub fn add_counts(&mut self, counts: &[u64]) -> Result<(), MetricError> {
        if counts.len() != self.counts.len() {
            return Err(MetricError::Lengths {
                left: counts.len(),
                right: self.counts.len(),
            });
        }
        for (count, other) in self.counts.iter_mut().zip(counts) {
            *count += other;
        }
        Ok(())
    }

    /// Pixels of true class `truth` that were predicted as `predicted`.
    pub fn count(&self, truth: usize, predicted: usize) -> u64 {
        self.counts[truth * (self.classes + 1) + predicted]
    }

    /// Pixels with a true class.
    pub fn pixels(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// Pixels whose true class this is.
    pub fn in_truth(&self, class: usize) -> u64 {
        let row = self.classes + 1;
        self.counts[class * row..(class + 1) * row].iter().sum()
    }

    /// Pixels predicted as this class, among those with a true class.
    pub fn predicted(&self, class: usize) -> u64 {
        (0..self.classes)
            .map(|truth| self.count(truth, class))
            .sum()
    }

    /// Intersection over union of a class, 0 to 1; none for a class that is in neither side.
    pub fn iou(&self, class: usize) -> Option<f64> {
        let intersection = self.count(class, class);
        let union = self.in_truth(class) + self.predicted(class) - intersection;
        (union > 0).then(|| intersection as f64 / union as f64)
    }

    /// Mean of the IoU over classes, 0 to 1; none where no class counts.
    pub fn mean_iou(&self, over: ClassesInMean) -> Option<f64> {
        let counted: Vec<f64> = (0..self.classes)
            .filter_map(|class| match over {
                ClassesInMean::InTruth if self.in_truth(class) == 0 => None,
                ClassesInMean::InTruth | ClassesInMean::InEither => self.iou(class),
                ClassesInMean::All => Some(self.iou(class).unwrap_or(0.0)),
            })
            .collect();
        (self.pixels() > 0 && !counted.is_empty())
            .then(|| counted.iter().sum::<f64>() / counted.len() as f64)
    }

    /// Share of the pixels whose predicted class is the true one, 0 to 1; none without pixels.
    pub fn accuracy(&self) -> Option<f64> {
        let right: u64 = (0..self.classes)
            .map(|class| self.count(class, class))
            .sum();
        let pixels = self.pixels();
        (pixels > 0).then(|| right as f64 / pixels as f64)
    }

    /// Mean over the classes of the truth of the share of their pixels that is right, 0 to 1; none
    /// without pixels.
    pub fn mean_accuracy(&self) -> Option<f64> {
        let shares: Vec<f64> = (0..self.classes)
            .filter(|&class| self.in_truth(class) > 0)
            .map(|class| self.count(class, class) as f64 / self.in_truth(class) as f64)
            .collect();
        (!shares.is_empty()).then(|| shares.iter().sum::<f64>() / shares.len() as f64)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(classes: usize, truth: &[i32], predicted: &[i32]) -> Confusion {
        let mut confusion = Confusion::new(classes);
        let class = |&class: &i32| usize::try_from(class).ok();
        confusion
            .add(truth.iter().map(class).zip(predicted.iter().map(class)))
            .unwrap();
        confusion
    }

    #[test]
    fn by_hand() {
        // -1 is void. Class 3 occurs nowhere, class 2 is never predicted, class 1 is over-predicted.
        let truth = [0, 0, 0, 1, 1, 2, -1, 2];
        let predicted = [0, 0, 1, 1, 1, 1, 1, -1];
        let confusion = of(4, &truth, &predicted);
        assert_eq!(confusion.pixels(), 7);
        assert_eq!(confusion.predicted(1), 4, "the void pixel does not count");
        assert_eq!(confusion.iou(0), Some(2.0 / 3.0));
        assert_eq!(confusion.iou(1), Some(2.0 / 4.0));
        assert_eq!(confusion.iou(2), Some(0.0));
        assert_eq!(confusion.iou(3), None);
        let sum = 2.0 / 3.0 + 0.5;
        assert_eq!(confusion.mean_iou(ClassesInMean::InTruth), Some(sum / 3.0));
        assert_eq!(confusion.mean_iou(ClassesInMean::InEither), Some(sum / 3.0));
        assert_eq!(confusion.mean_iou(ClassesInMean::All), Some(sum / 4.0));
        assert_eq!(confusion.accuracy(), Some(4.0 / 7.0));
        let share = (2.0 / 3.0 + 1.0 + 0.0) / 3.0;
        assert_eq!(confusion.mean_accuracy(), Some(share));
    }

    #[test]
    fn a_class_only_predicted_counts_in_one_mean() {
        let confusion = of(2, &[0, 0], &[0, 1]);
        assert_eq!(confusion.mean_iou(ClassesInMean::InTruth), Some(0.5));
        assert_eq!(confusion.mean_iou(ClassesInMean::InEither), Some(0.25));
    }

    #[test]
    fn nothing_gives_nothing_and_strangers_are_refused() {
        let empty = of(2, &[-1, -1], &[0, 1]);
        for over in [
            ClassesInMean::InTruth,
            ClassesInMean::InEither,
            ClassesInMean::All,
        ] {
            assert_eq!(empty.mean_iou(over), None);
        }
        assert_eq!(empty.accuracy(), None);
        assert!(Confusion::new(2).add([(Some(0), Some(2))]).is_err());
        assert!(Confusion::new(2).add([(None, Some(2))]).is_err());
    }

    #[test]
    fn parts_add_up() {
        let (left, right) = (of(3, &[0, 1], &[0, 2]), of(3, &[2, 1], &[2, 2]));
        let mut sum = left.clone();
        sum.merge(&right).unwrap();
        assert_eq!(sum, of(3, &[0, 1, 2, 1], &[0, 2, 2, 2]));
        assert!(sum.merge(&Confusion::new(2)).is_err());
    }

    proptest! {
        #[test]
        fn agrees_with_sets_of_pixels(pairs in prop::collection::vec((-1i32..5, -1i32..5), 1..200)) {
            let (truth, predicted): (Vec<i32>, Vec<i32>) = pairs.iter().copied().unzip();
            let confusion = of(5, &truth, &predicted);
            for class in 0..5usize {
                let own = class as i32;
                let both = pairs.iter().filter(|p| p.0 == own && p.1 == own).count();
                let either = pairs.iter().filter(|p| p.0 != -1 && (p.0 == own || p.1 == own)).count();
                let expected = (either > 0).then(|| both as f64 / either as f64);
                prop_assert_eq!(confusion.iou(class), expected);
            }
        }
    }
}
