//! The ResNet-50 of SwAV-FID: 2048 features of an image, learned without labels (notes M7).
//!
//! Inception's classes are ImageNet's, and FID rewards images that look like them; features that were
//! learned without labels do not. The architecture is torchvision's ResNet-50: SwAV pads before its
//! first convolution what torchvision pads in it.

use burn::module::Module;
use burn::tensor::{Tensor, backend::Backend};
use dp_sims_model::backbones::{Backbone, BackboneKind, build};
use dp_sims_model::weights::{WeightSource, WeightsError};

use super::segmenter::pillow_bilinear;

/// Length of the feature vector of an image: the last feature map, averaged over positions.
pub const SWAV_FEATURES: usize = 2048;

/// Shorter side that images are resized to.
pub const SWAV_SIZE: usize = 224;

/// Parts of the published file that features do not depend on.
const HEADS: [&str; 2] = ["projection_head.", "prototypes."];

/// The feature extractor of SwAV-FID: resize, normalisation and network.
#[derive(Module, Debug)]
pub struct SwavResNet<B: Backend> {
    network: Backbone<B>,
}

impl<B: Backend> SwavResNet<B> {
    /// Builds the extractor with frozen weights from `source`, in the names of the published
    /// checkpoint, with or without the `module.` before them.
    ///
    /// # Errors
    ///
    /// [`WeightsError::Mismatch`] when the tensors are not those of the network. The projection head
    /// and the prototypes are recognised by name and left out.
    pub fn load(source: WeightSource, device: &B::Device) -> Result<Self, WeightsError> {
        let source = source.without(&HEADS);
        let network = build(BackboneKind::Resnet50, source, device)?;
        Ok(Self { network })
    }

    /// Features of images, whose shorter side is resized to 224 as Pillow's `BILINEAR` does it on
    /// float images, and which are normalised by mean and deviation of ImageNet.
    ///
    /// Costs 4.1 billion multiply-adds for a square image, whatever its size.
    ///
    /// # Shapes
    ///
    /// - `images`: `[N, 3, H, W]` in [-1, 1]
    /// - output: `[N, 2048]`, not negative
    pub fn forward(&self, images: Tensor<B, 4>) -> Tensor<B, 2> {
        let [_, _, height, width] = images.dims();
        let [height, width] = resized([height, width]);
        let maps = self.network.forward(pillow_bilinear(images, height, width));
        // A ResNet has four maps.
        let last = maps.into_iter().next_back().expect("a feature map");
        last.flatten::<3>(2, 3).mean_dim(2).squeeze_dim(2)
    }
}

/// Height and width after the shorter side became 224; the longer one is rounded down, as in
/// torchvision's `Resize`.
fn resized([height, width]: [usize; 2]) -> [usize; 2] {
    if height <= width {
        [SWAV_SIZE, SWAV_SIZE * width / height]
    } else {
        [SWAV_SIZE * height / width, SWAV_SIZE]
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::TensorData;
    use burn::tensor::backend::AutodiffBackend;
    use dp_sims_model::backbones::ResNetConfig;
    use dp_sims_model::backend_tests;
    use dp_sims_model::init::InitRng;
    use dp_sims_model::known::FileSize;
    use dp_sims_model::testing::{formula, formula_image, relative_error};
    use dp_sims_model::weights::{StateDict, read_weights, write_safetensors};

    use super::*;
    use crate::EvaluatorKind;
    use crate::known::known_weights_of;

    type Flex = dp_sims_backends::cpu::Cpu;

    /// Tensors of torchvision's ResNet-50 but for its classifier, by the formula.
    fn trunk() -> StateDict {
        let config = ResNetConfig::new([3, 4, 6, 3]);
        let network = config.init::<Flex>(&mut InitRng::unset(), &Default::default());
        let shapes = config.keys("").file_shapes(&network).into_iter();
        shapes
            .map(|(name, shape)| {
                let data = formula(&name, &shape);
                (name, data)
            })
            .collect()
    }

    /// The published file's tensors: all names wrapped, head and prototypes beside the trunk.
    fn checkpoint() -> StateDict {
        let mut dict = trunk();
        for (name, shape) in [
            ("projection_head.0.weight", vec![2048, 2048]),
            ("projection_head.0.bias", vec![2048]),
            ("projection_head.1.weight", vec![2048]),
            ("projection_head.1.bias", vec![2048]),
            ("projection_head.1.running_mean", vec![2048]),
            ("projection_head.1.running_var", vec![2048]),
            ("projection_head.3.weight", vec![128, 2048]),
            ("projection_head.3.bias", vec![128]),
            ("prototypes.weight", vec![3000, 128]),
        ] {
            dict.insert(name.to_string(), formula(name, &shape));
        }
        let wrap = |(name, data)| (format!("module.{name}"), data);
        dict.into_iter().map(wrap).collect()
    }

    fn load<B: Backend>(dict: StateDict) -> Result<SwavResNet<B>, WeightsError> {
        let source = WeightSource::State(dict, "swav.pth.tar".to_string());
        SwavResNet::load(source, &Default::default())
    }

    fn the_checkpoint_gives_the_features_of_its_trunk<B: AutodiffBackend>() {
        // Through a file, as an evaluation reads it.
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("swav_800ep_pretrain.pth.tar");
        write_safetensors(&path, &checkpoint()).unwrap();
        let network = load(read_weights(&path).unwrap()).unwrap();
        let device = Default::default();
        let image = Tensor::<B::InnerBackend, 4>::from_data(formula_image(96, 120, 0.4), &device);
        let found = network.forward(image.clone());
        assert_eq!(found.dims(), [1, SWAV_FEATURES]);

        let source = WeightSource::State(trunk(), "trunk.pth".to_string());
        let resnet = build::<B::InnerBackend>(BackboneKind::Resnet50, source, &device).unwrap();
        let maps = resnet.forward(pillow_bilinear(image, 224, 280));
        let last = maps.last().unwrap().clone();
        assert_eq!(last.dims(), [1, 2048, 7, 9]);
        let values: Vec<f32> = last.into_data().to_vec().unwrap();
        let means = values
            .chunks_exact(63)
            .map(|map| map.iter().sum::<f32>() / 63.0);
        let expected: Vec<f32> = means.collect();
        let found: Vec<f32> = found.into_data().to_vec().unwrap();
        assert!(found.iter().any(|&value| value > 0.0));
        assert!(relative_error(&found, &expected) < 1e-5);
    }

    backend_tests!(; without ndarray: the_checkpoint_gives_the_features_of_its_trunk);

    #[test]
    fn tensors_that_do_not_fit_are_named() {
        let mut dict = checkpoint();
        dict.remove("module.layer3.5.conv2.weight");
        dict.insert(
            "module.surprise".to_string(),
            TensorData::new(vec![1f32], [1]),
        );
        let text = load::<Flex>(dict).unwrap_err().to_string();
        for part in ["swav.pth.tar", "layer3.5.conv2.weight", "surprise"] {
            assert!(text.contains(part), "{text}");
        }
        let mut dict = checkpoint();
        dict.insert(
            "module.bn1.bias".to_string(),
            TensorData::new(vec![1f32], [1]),
        );
        let text = load::<Flex>(dict).unwrap_err().to_string();
        assert!(text.contains("bn1"), "{text}");
    }

    #[test]
    fn sides_are_those_of_torchvision() {
        assert_eq!(resized([256, 256]), [224, 224]);
        assert_eq!(resized([256, 512]), [224, 448]);
        assert_eq!(resized([64, 96]), [224, 336]);
        assert_eq!(resized([101, 67]), [337, 224]);
    }

    #[test]
    fn the_known_size_is_that_of_the_tensors() {
        let elements = |data: &TensorData| data.shape.as_slice().iter().product::<usize>();
        let bytes: usize = checkpoint().values().map(|data| 4 * elements(data)).sum();
        let known = known_weights_of(EvaluatorKind::SwavResnet50).next();
        assert_eq!(known.unwrap().size, FileSize::About(bytes as u64));
    }
}
