//! Segmentation networks that judge whether images show what their label maps say.

use std::path::Path;

use anyhow::{Result, bail, ensure};
use burn::tensor::backend::Backend;
use burn::tensor::{Int, Tensor};
use dp_sims_datasets::resize::{PhotoFilter, resize_labels, resize_photo, resize_photo_with};
use dp_sims_datasets::{ClassTable, Size};
use dp_sims_evaluators::{
    ClassSet, EvaluatorKind, Mask2Former, Mask2FormerKind, ScaleFilter, Segmenter, SegmenterKind,
    coco_panoptic_of_channels,
};
use dp_sims_metrics::Confusion;

use super::networks::{NetworkFolder, Weighted, record};
use super::protocol::{OWN, SegmentationSettings};
use super::results::{ClassValue, NetworkRecord, Value};
use super::segmenter::{OwnSegmenter, segmenter_weights};
use super::source::float;
use crate::runtime::device::read;
use crate::weights::sha256;

/// A segmentation network with the classes it tells apart.
pub struct Judge<B: Backend> {
    network: Network<B>,
    /// Names of its classes.
    classes: Vec<String>,
    /// Its class for each class index of the dataset; none for what is left out.
    truth: Vec<Option<usize>>,
    record: NetworkRecord,
}

enum Network<B: Backend> {
    /// Of `train-segmenter`.
    Own(Box<OwnSegmenter<B>>),
    /// One that papers judge images with.
    Published(SegmenterKind, Box<Segmenter<B>>),
    /// The judge of mIoU_MF.
    Mask2Former(Mask2FormerKind, Box<Mask2Former<B>>),
}

impl<B: Backend> Judge<B> {
    /// Loads the network that a protocol names. `own` is the folder of a segmenter.
    ///
    /// # Errors
    /// When weights are missing, or the network is for other classes.
    pub fn new(
        settings: &SegmentationSettings,
        own: Option<&Path>,
        weights: &Path,
        dataset: &ClassTable,
        device: &B::Device,
    ) -> Result<Self> {
        if settings.network == OWN {
            return Self::own(own, weights, dataset, device);
        }
        let folder = NetworkFolder::new(weights.to_path_buf());
        let named = EvaluatorKind::named(&settings.network);
        if let Some(EvaluatorKind::Mask2Former(kind)) = named {
            let truth = match kind {
                Mask2FormerKind::AdeSemantic => ClassSet::Ade20k.of_channels(),
                Mask2FormerKind::CityscapesSemantic => ClassSet::Cityscapes.of_channels(),
                Mask2FormerKind::CocoPanoptic => coco_panoptic_of_channels(),
            };
            fits(&settings.network, &truth, dataset)?;
            let Weighted { network, record } = folder.mask2former(kind, device)?;
            return Ok(Self {
                classes: names(&truth, kind.info().classes, dataset),
                network: Network::Mask2Former(kind, Box::new(network)),
                truth,
                record,
            });
        }
        let Some(EvaluatorKind::Segmenter(kind)) = named else {
            let names = SegmenterKind::all().map(|kind| kind.info().name);
            let names = names.chain(Mask2FormerKind::all().map(|kind| kind.info().name));
            bail!(
                "unknown segmentation network `{}`: protocols know {OWN}, {}",
                settings.network,
                names.collect::<Vec<_>>().join(", ")
            );
        };
        let truth = kind.info().classes.of_channels();
        fits(&settings.network, &truth, dataset)?;
        let Weighted { network, record } = folder.segmenter(kind, device)?;
        Ok(Self {
            classes: names(&truth, kind.info().classes.classes(), dataset),
            network: Network::Published(kind, Box::new(network)),
            truth,
            record,
        })
    }

    fn own(
        own: Option<&Path>,
        weights: &Path,
        dataset: &ClassTable,
        device: &B::Device,
    ) -> Result<Self> {
        let Some(folder) = own else {
            bail!(
                "mIoU on your own dataset needs a segmentation network: train one with `dp-sims \
                 train-segmenter` and name its folder with --segmenter"
            );
        };
        let (network, description) = OwnSegmenter::load(folder, weights, device)?;
        ensure!(
            description.class_table() == *dataset,
            "the segmenter in {} knows other classes than the dataset: train one on this dataset",
            folder.display()
        );
        let file = segmenter_weights(folder);
        let config = &network.config;
        let files = [
            (config.backbone_file.clone(), config.backbone_sha256.clone()),
            ("segmenter.safetensors".to_string(), sha256(&file)?),
        ];
        let truth: Vec<Option<usize>> = (0..dataset.len())
            .map(|label| label.checked_sub(1))
            .collect();
        Ok(Self {
            classes: names(&truth, dataset.len() - 1, dataset),
            network: Network::Own(Box::new(network)),
            truth,
            record: record(OWN, files),
        })
    }

    /// Its name and weight files.
    pub fn record(&self) -> &NetworkRecord {
        &self.record
    }

    /// No pixels yet.
    pub fn confusion(&self) -> Confusion {
        Confusion::new(self.classes.len())
    }

    /// Compares the network's view of images with their label maps, and returns a confusion matrix
    /// per image.
    ///
    /// Your own segmenter sees images at the size it was trained on (bicubic), and its answer
    /// is resized to that of the label maps (nearest). A published network sees them at the sizes of
    /// its project and answers at the size of the label maps.
    ///
    /// # Errors
    /// When the device fails.
    pub fn judge(
        &mut self,
        images: &[impl AsRef<[u8]>],
        labels: &[&[u8]],
        size: Size,
        device: &B::Device,
    ) -> Result<Vec<Confusion>> {
        let guesses = self.network.guess(images, size, device)?;
        guesses
            .iter()
            .zip(labels)
            .map(|(guesses, labels)| {
                let mut confusion = self.confusion();
                let truth = |&label: &u8| self.truth.get(usize::from(label)).copied().flatten();
                let guesses = guesses.iter().map(|&guess| Some(usize::from(guess)));
                confusion.add(labels.iter().map(truth).zip(guesses))?;
                Ok(confusion)
            })
            .collect()
    }

    /// Values of a confusion matrix: mIoU in percent, accuracy in percent, classes.
    pub fn values(
        &self,
        settings: &SegmentationSettings,
        confusion: &Confusion,
    ) -> (Option<Value>, Option<Value>, Vec<ClassValue>) {
        let percent = |share: Option<f64>| share.map(|share| 100.0 * share);
        let value = |share| {
            Some(Value {
                value: percent(share)?,
                standard_error: None,
                count: confusion.pixels(),
            })
        };
        let classes = self
            .classes
            .iter()
            .enumerate()
            .map(|(class, name)| {
                let pixels = confusion.in_truth(class);
                let right = confusion.count(class, class) as f64 / pixels as f64;
                ClassValue {
                    name: name.clone(),
                    pixels,
                    iou: percent(confusion.iou(class)),
                    accuracy: percent((pixels > 0).then_some(right)),
                }
            })
            .collect();
        (
            value(confusion.mean_iou(settings.mean_over)),
            value(confusion.accuracy()),
            classes,
        )
    }
}

impl<B: Backend> Network<B> {
    /// Class of every pixel of images of one size, in the network's numbering.
    fn guess(
        &mut self,
        images: &[impl AsRef<[u8]>],
        size: Size,
        device: &B::Device,
    ) -> Result<Vec<Vec<u16>>> {
        match self {
            Self::Own(network) => {
                let own = network.config.size();
                let resized = images
                    .iter()
                    .map(|image| Ok(resize_photo(image.as_ref().to_vec(), size, own)?))
                    .collect::<Result<Vec<_>>>()?;
                let tensor = float(&resized, own, device);
                let found = indices(network.predict(tensor))?;
                found
                    .chunks_exact(own.pixels())
                    .map(|found| {
                        let found = resize_labels(found, own, size)?;
                        // Its first class is number 1 of the dataset.
                        Ok(found.iter().map(|&class| class.saturating_sub(1)).collect())
                    })
                    .collect()
            }
            Self::Published(kind, network) => images
                .iter()
                .map(|image| {
                    let scaled = kind
                        .scales(size.height, size.width)
                        .into_iter()
                        .map(|to| scaled(image.as_ref(), size, to, kind.info().filter, device))
                        .collect::<Result<Vec<_>>>()?;
                    indices(network.predict(scaled, [size.height, size.width]))
                })
                .collect(),
            Self::Mask2Former(kind, network) => images
                .iter()
                .map(|image| {
                    let own = [size.height, size.width];
                    let filter = ScaleFilter::PillowBilinear;
                    let scaled = scaled(image.as_ref(), size, kind.test_size(own), filter, device)?;
                    indices(network.predict(scaled, own))
                })
                .collect(),
        }
    }
}

/// An image at a size that a network wants, `[1, 3, H, W]` in [0, 1].
fn scaled<B: Backend>(
    image: &[u8],
    from: Size,
    [height, width]: [usize; 2],
    filter: ScaleFilter,
    device: &B::Device,
) -> Result<Tensor<B, 4>> {
    let to = Size::new(height, width);
    let filter = match filter {
        ScaleFilter::Native | ScaleFilter::PillowBicubic => PhotoFilter::Bicubic,
        ScaleFilter::PillowBilinear => PhotoFilter::Bilinear,
    };
    let pixels = resize_photo_with(filter, image.to_vec(), from, to)?;
    Ok(float(&[pixels], to, device).add_scalar(1.0).mul_scalar(0.5))
}

/// Refuses label maps of another dataset than the network's.
fn fits(network: &str, truth: &[Option<usize>], dataset: &ClassTable) -> Result<()> {
    ensure!(
        truth.len() == dataset.len(),
        "{network} is for label maps with {} classes, the dataset has {}",
        truth.len(),
        dataset.len()
    );
    Ok(())
}

/// Names of the network's classes by the classes of the dataset that stand for them.
fn names(truth: &[Option<usize>], classes: usize, dataset: &ClassTable) -> Vec<String> {
    (0..classes)
        .map(|class| {
            let own: Vec<&str> = truth
                .iter()
                .zip(&dataset.classes)
                .filter(|(truth, _)| **truth == Some(class))
                .map(|(_, class)| class.name.as_str())
                .collect();
            if own.is_empty() {
                format!("class {class}")
            } else {
                own.join(" / ")
            }
        })
        .collect()
}

/// Class indices of a tensor, row by row.
fn indices<B: Backend>(tensor: Tensor<B, 3, Int>) -> Result<Vec<u16>> {
    Ok(read(tensor)?
        .iter::<i64>()
        .map(|index| index.clamp(0, 65_535) as u16)
        .collect())
}

#[cfg(all(test, feature = "flex"))]
mod tests {
    use dp_sims_backends::FlexAutodiff;
    use dp_sims_datasets::Class;
    use dp_sims_metrics::ClassesInMean;

    use super::*;

    type Flex = <FlexAutodiff as burn::tensor::backend::AutodiffBackend>::InnerBackend;

    fn table(names: &[&str]) -> ClassTable {
        let class = |name: &&str| Class {
            name: name.to_string(),
            colour: [0; 3],
            thing: false,
        };
        ClassTable {
            classes: names.iter().map(class).collect(),
        }
    }

    #[test]
    fn classes_are_named_after_those_that_stand_for_them() {
        let table = table(&["void", "grass", "lawn", "sky"]);
        let truth = [None, Some(1), Some(1), Some(0)];
        assert_eq!(names(&truth, 3, &table), ["sky", "grass / lawn", "class 2"]);
    }

    #[test]
    fn a_network_for_other_label_maps_is_refused_before_its_weights_are_read() {
        let settings = |network: &str| SegmentationSettings {
            network: network.to_string(),
            mean_over: ClassesInMean::All,
        };
        let problem = |network: &str| {
            let folder = tempfile::tempdir().unwrap();
            let table = table(&["void", "sky"]);
            let device = Default::default();
            let judge =
                Judge::<Flex>::new(&settings(network), None, folder.path(), &table, &device);
            judge.err().unwrap().to_string()
        };
        for network in ["upernet_resnet101_ade20k", "upernet-resnet101-ade20k"] {
            let message = problem(network);
            assert!(
                message.contains("151 classes, the dataset has 2"),
                "{message}"
            );
        }
        let message = problem("resnet");
        assert!(
            message.contains("unknown segmentation network `resnet`"),
            "{message}"
        );
        for network in ["mask2former_coco", "mask2former-coco"] {
            let message = problem(network);
            assert!(
                message.contains("183 classes, the dataset has 2"),
                "{message}"
            );
        }
        assert!(problem("own").contains("--segmenter"));
    }

    #[test]
    fn an_image_reaches_a_network_in_its_size_and_range() {
        let image = [0u8, 128, 255].repeat(6);
        let from = Size::new(2, 3);
        for filter in [ScaleFilter::PillowBilinear, ScaleFilter::PillowBicubic] {
            let found = scaled::<Flex>(&image, from, [4, 6], filter, &Default::default()).unwrap();
            assert_eq!(found.dims(), [1, 3, 4, 6]);
            let values: Vec<f32> = found.into_data().to_vec().unwrap();
            for (channel, expected) in [0.0, 128.0 / 255.0, 1.0].into_iter().enumerate() {
                let own = &values[channel * 24..(channel + 1) * 24];
                assert!(
                    own.iter().all(|value| (value - expected).abs() < 1e-6),
                    "{own:?}"
                );
            }
        }
    }
}
