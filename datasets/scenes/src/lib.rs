//! Procedural street and landscape scenes: a labelled dataset that needs no file.
//!
//! A scene is composed from `(seed, index)` alone (light, season, road, land, objects) and then
//! drawn by casting rays through a pinhole camera, so it is the same picture at every resolution.
//! Labels and instances are sampled once at the centre of each pixel; the photo takes four rays
//! per pixel, and every texture fades out below the size of a pixel.

mod backdrop;
mod borders;
mod building;
mod camera;
mod car;
mod classes;
mod fence;
mod ground;
mod hood;
mod life;
mod light;
mod math;
mod noise;
mod object;
mod person;
mod placing;
mod render;
mod road;
mod scene;
mod shadow;
mod solid;
mod street;
mod tree;

pub mod export;

use dp_sims_datasets::resize::check_size;
use dp_sims_datasets::{ClassSet, ClassTable, DatasetError, LabelledImages, Sample, Size};
use scene::Scene;

/// Side of the label map that decides which classes a scene contains, pixels.
const PRESENT_SIDE: usize = 64;

/// The procedural dataset `scenes`: 14 classes and void.
///
/// Every image is a pure function of the seed, its index and the size asked for. Cars, people,
/// poles and traffic signs carry instance numbers, counted from 1 by distance; the bonnet of the
/// camera's car and litter bins are void.
///
/// # Examples
/// ```
/// use dp_sims_datasets::{LabelledImages, Size};
/// use dp_sims_scenes::Scenes;
///
/// let scenes = Scenes::new(1000, 7);
/// let sample = scenes.sample(3, Size { height: 32, width: 64 })?;
/// assert_eq!(sample.image.len(), 32 * 64 * 3);
/// # Ok::<(), dp_sims_datasets::DatasetError>(())
/// ```
pub struct Scenes {
    len: usize,
    seed: u64,
    classes: ClassTable,
}

impl Scenes {
    /// `len` scenes of the sequence `seed`; a longer dataset starts with the same scenes.
    pub fn new(len: usize, seed: u64) -> Self {
        Self {
            len,
            seed,
            classes: classes::table(),
        }
    }

    fn compose(&self, index: usize) -> Result<Scene, DatasetError> {
        if index >= self.len {
            return Err(DatasetError::Index {
                dataset: self.name().to_owned(),
                index,
                len: self.len,
            });
        }
        Ok(Scene::compose(self.seed, index as u64))
    }
}

impl LabelledImages for Scenes {
    fn name(&self) -> &str {
        "scenes"
    }

    fn len(&self) -> usize {
        self.len
    }

    fn classes(&self) -> &ClassTable {
        &self.classes
    }

    /// Draws scene `index`; a picture wider than high sees more to the sides.
    fn sample(&self, index: usize, size: Size) -> Result<Sample, DatasetError> {
        let scene = self.compose(index)?;
        check_size(size)?;
        let picture = scene.draw(size);
        Ok(Sample {
            name: format!("scene-{index:06}"),
            width: size.width,
            height: size.height,
            image: picture.image,
            labels: picture.labels,
            instances: Some(picture.instances),
        })
    }

    /// The classes of scene `index` in its label map of 64x64 pixels.
    fn present(&self, index: usize) -> Result<ClassSet, DatasetError> {
        let size = Size::square(PRESENT_SIDE);
        Ok(ClassSet::of(&self.compose(index)?.draw_labels(size)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCENES: usize = 200;

    fn scenes() -> Scenes {
        Scenes::new(SCENES, 3)
    }

    fn draw(scenes: &Scenes, index: usize, side: usize) -> Sample {
        scenes.sample(index, Size::square(side)).unwrap()
    }

    #[test]
    fn every_class_occurs_and_instances_belong_to_things() {
        let scenes = scenes();
        let table = scenes.classes().classes.clone();
        let mut seen = vec![0usize; table.len()];
        for index in 0..SCENES {
            let sample = draw(&scenes, index, 64);
            assert_eq!(sample.image.len(), 64 * 64 * 3);
            let present = scenes.present(index).unwrap();
            assert_eq!(present, ClassSet::of(&sample.labels));
            for (class, count) in seen.iter_mut().enumerate() {
                *count += usize::from(present.contains(class as u8));
            }
            let instances = sample.instances.unwrap();
            let mut owner = vec![None; 1 + usize::from(*instances.iter().max().unwrap())];
            for (&label, &instance) in sample.labels.iter().zip(&instances) {
                assert_eq!(
                    table[usize::from(label)].thing,
                    instance > 0,
                    "scene {index}"
                );
                let class = owner[usize::from(instance)].get_or_insert(label);
                assert!(
                    instance == 0 || *class == label,
                    "scene {index}, instance {instance}"
                );
            }
        }
        for (class, count) in table.iter().zip(&seen) {
            println!(
                "{:14} {:5.1} %",
                class.name,
                100.0 * *count as f32 / SCENES as f32
            );
            assert!(
                20 * count >= SCENES,
                "{} occurs in {count} of {SCENES}",
                class.name
            );
        }
    }

    #[test]
    fn a_scene_is_a_function_of_seed_and_index() {
        let scenes = scenes();
        let first = draw(&scenes, 11, 48);
        assert_eq!(first, draw(&scenes, 11, 48));
        assert_eq!(first, draw(&Scenes::new(12, 3), 11, 48));
        assert_ne!(first.image, draw(&scenes, 12, 48).image);
        assert_ne!(first.image, draw(&Scenes::new(SCENES, 4), 11, 48).image);
    }

    #[test]
    fn one_scene_is_one_picture_at_every_size() {
        let scenes = scenes();
        let (mut equal, mut difference, mut worst) = (0usize, 0.0f64, 1.0f64);
        let count = SCENES / 4;
        for index in 0..count {
            let (small, large) = (draw(&scenes, index, 64), draw(&scenes, index, 128));
            let mut same = 0;
            for (y, x) in (0..64).flat_map(|y| (0..64).map(move |x| (y, x))) {
                same += usize::from(
                    small.labels[y * 64 + x] == large.labels[(2 * y + 1) * 128 + 2 * x + 1],
                );
                for channel in 0..3 {
                    let at =
                        |y: usize, x: usize| f64::from(large.image[(y * 128 + x) * 3 + channel]);
                    let mean = 0.25
                        * (at(2 * y, 2 * x)
                            + at(2 * y, 2 * x + 1)
                            + at(2 * y + 1, 2 * x)
                            + at(2 * y + 1, 2 * x + 1));
                    difference += (f64::from(small.image[(y * 64 + x) * 3 + channel]) - mean).abs();
                }
            }
            worst = worst.min(same as f64 / 4096.0);
            equal += same;
        }
        let agreement = equal as f64 / (4096 * count) as f64;
        let difference = difference / (3 * 4096 * count) as f64;
        println!(
            "labels agree on {agreement:.4} (worst scene {worst:.4}), photo differs {difference:.2}"
        );
        assert!(agreement > 0.95, "labels agree on {agreement}");
        assert!(difference < 4.0, "photos differ by {difference} of 255");
    }

    #[test]
    fn photos_vary_between_scenes_and_inside_each() {
        let scenes = scenes();
        let mut means = Vec::new();
        for index in 0..SCENES / 4 {
            let image = draw(&scenes, index, 32).image;
            let n = image.len() as f32;
            let mean = image.iter().map(|&v| f32::from(v)).sum::<f32>() / n;
            let square = image
                .iter()
                .map(|&v| (f32::from(v) - mean).powi(2))
                .sum::<f32>()
                / n;
            assert!(
                (35.0..220.0).contains(&mean),
                "scene {index} has mean {mean}"
            );
            assert!(
                square.sqrt() > 8.0,
                "scene {index} is flat: deviation {}",
                square.sqrt()
            );
            means.push(mean);
        }
        let (low, high) = means
            .iter()
            .fold((255.0f32, 0.0f32), |(l, h), &m| (l.min(m), h.max(m)));
        assert!(
            high - low > 50.0,
            "mean brightness only runs from {low} to {high}"
        );
    }

    #[test]
    fn bad_requests_are_typed_errors() {
        let scenes = Scenes::new(2, 0);
        let size = Size::square(8);
        assert!(matches!(
            scenes.sample(2, size),
            Err(DatasetError::Index {
                index: 2,
                len: 2,
                ..
            })
        ));
        assert!(matches!(
            scenes.present(9),
            Err(DatasetError::Index { index: 9, .. })
        ));
        let empty = Size::new(0, 8);
        assert!(matches!(
            scenes.sample(0, empty),
            Err(DatasetError::InvalidSize { .. })
        ));
    }

    #[test]
    fn any_shape_of_picture_is_drawn() {
        let scenes = scenes();
        for (height, width) in [(1, 1), (24, 64), (64, 17)] {
            let sample = scenes.sample(5, Size { height, width }).unwrap();
            assert_eq!(sample.labels.len(), height * width);
            assert_eq!(sample.image.len(), height * width * 3);
        }
    }
}
