use std::sync::OnceLock;

use dp_sims_datasets::{DatasetError, LabelledImages, Sample, Size};
use dp_sims_scenes::Scenes;

/// Label maps to begin with.
const COUNT: usize = 5;

/// Seed of the procedural ones, that of the validation split.
const SEED: u64 = 1;

/// A label map with a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LabelSample {
    /// Name.
    pub name: String,
    /// Size.
    pub size: Size,
    /// Class index of every pixel, row by row.
    pub labels: Vec<u8>,
}

impl From<Sample> for LabelSample {
    fn from(sample: Sample) -> Self {
        Self {
            name: sample.name,
            size: Size::new(sample.height, sample.width),
            labels: sample.labels,
        }
    }
}

/// Label maps to begin with, at the size of the model.
#[derive(Debug)]
pub struct Samples {
    /// Size of procedural scenes, which are drawn when they are asked for.
    scenes: Option<Size>,
    ready: OnceLock<Vec<LabelSample>>,
}

impl Samples {
    /// Procedural scenes.
    pub fn scenes(size: Size) -> Self {
        Self {
            scenes: Some(size),
            ready: OnceLock::new(),
        }
    }

    /// Of a dataset: a few of all.
    ///
    /// # Errors
    /// When one of them cannot be read.
    pub fn of(dataset: &dyn LabelledImages, size: Size) -> Result<Self, DatasetError> {
        Ok(Self {
            scenes: None,
            ready: OnceLock::from(read(dataset, size)?),
        })
    }

    /// None.
    pub fn none() -> Self {
        Self {
            scenes: None,
            ready: OnceLock::from(Vec::new()),
        }
    }

    /// The label maps. The first call may take a second.
    pub(super) fn get(&self) -> &[LabelSample] {
        self.ready.get_or_init(|| {
            let scenes = Scenes::new(COUNT, SEED);
            let read = self.scenes.map(|size| read(&scenes, size));
            // Scenes of this size are drawn for training too.
            read.and_then(Result::ok).unwrap_or_default()
        })
    }
}

/// Label maps from the beginning to the end of a dataset.
fn read(dataset: &dyn LabelledImages, size: Size) -> Result<Vec<LabelSample>, DatasetError> {
    let count = COUNT.min(dataset.len());
    (0..count)
        .map(|k| Ok(dataset.sample(k * dataset.len() / count, size)?.into()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_are_spread_over_a_dataset_and_scenes_are_always_the_same() {
        let size = Size::new(16, 32);
        let names = |samples: &Samples| -> Vec<String> {
            samples.get().iter().map(|one| one.name.clone()).collect()
        };
        let spread = Samples::of(&Scenes::new(50, SEED), size).unwrap();
        let expected = [0, 10, 20, 30, 40].map(|index| format!("scene-{index:06}"));
        assert_eq!(names(&spread), expected);
        let few = Samples::of(&Scenes::new(2, SEED), size).unwrap();
        assert_eq!(names(&few).len(), 2);
        let scenes = Samples::scenes(size);
        assert_eq!(scenes.get(), Samples::scenes(size).get());
        assert_eq!(scenes.get().len(), COUNT);
        assert!(
            scenes
                .get()
                .iter()
                .all(|one| one.size == size && one.labels.len() == 512)
        );
        assert!(Samples::none().get().is_empty());
    }
}
