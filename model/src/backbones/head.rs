use burn::module::Module;
use burn::tensor::{Tensor, backend::Backend};

use super::efficientnet_lite::{EfficientNetLiteConfig, relu6};
use super::{Architecture, BackboneKind, WeightSource, architecture};
use crate::init::InitRng;
use crate::layers::{Conv, ConvConfig};
use crate::weights::WeightsError;

/// Length of the vector that an EfficientNet-Lite classifies by, at every width (notes D24).
pub const LITE_FEATURES: usize = 1280;

/// What lies between the last feature map of an EfficientNet-Lite and its classifier: a 1 × 1
/// convolution with batch norm, ReLU6 and the mean over positions.
///
/// Discriminators look at maps; distances between sets of images are often taken in the features that
/// a network classifies by.
#[derive(Module, Debug)]
pub struct LiteHead<B: Backend> {
    /// 1 × 1 convolution.
    pub conv_head: Conv<B>,
}

impl<B: Backend> LiteHead<B> {
    /// The head of `kind` with frozen weights from `source`; none where the backbone is no
    /// EfficientNet-Lite.
    ///
    /// # Errors
    ///
    /// [`WeightsError::Mismatch`] when its tensors are not in the file.
    pub fn load(
        kind: BackboneKind,
        source: WeightSource,
        device: &B::Device,
    ) -> Result<Option<Self>, WeightsError> {
        let Architecture::EfficientNetLite(config) = architecture(kind) else {
            return Ok(None);
        };
        let name = kind.name();
        let head = Self::new(&config, &mut source.rng("head"), device);
        source.load(head, &config.head_keys(name)).map(Some)
    }

    fn new(config: &EfficientNetLiteConfig, rng: &mut InitRng, device: &B::Device) -> Self {
        let [.., input] = config.tap_channels();
        Self {
            conv_head: ConvConfig::new(input, LITE_FEATURES, 1).init_he(2.0, rng, device),
        }
    }

    /// # Shapes
    ///
    /// - `map`: `[N, C, H, W]`, the last of the backbone
    /// - output: `[N, 1280]`, in 0..=6
    pub fn forward(&self, map: Tensor<B, 4>) -> Tensor<B, 2> {
        let features = relu6(self.conv_head.forward(map));
        features.flatten::<3>(2, 3).mean_dim(2).squeeze_dim(2)
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::TensorData;
    use burn::tensor::backend::AutodiffBackend;

    use super::*;
    use crate::testing::formula;
    use crate::weights::StateDict;

    type Flex = dp_sims_backends::cpu::Cpu;

    const KIND: BackboneKind = BackboneKind::EfficientnetLite0;
    const CHANNELS: usize = 320;

    fn dict() -> StateDict {
        let shapes = [
            ("conv_head.weight", vec![LITE_FEATURES, CHANNELS, 1, 1]),
            ("bn2.weight", vec![LITE_FEATURES]),
            ("bn2.bias", vec![LITE_FEATURES]),
            ("bn2.running_mean", vec![LITE_FEATURES]),
            ("bn2.running_var", vec![LITE_FEATURES]),
            // Of the trunk and behind the head.
            ("conv_stem.weight", vec![2]),
            ("classifier.weight", vec![2]),
        ];
        let tensors = shapes.into_iter();
        tensors
            .map(|(name, shape)| (name.to_string(), formula(name, &shape)))
            .collect()
    }

    fn load<B: Backend>(dict: StateDict) -> Result<Option<LiteHead<B>>, WeightsError> {
        let source = WeightSource::State(dict, "head.pth".to_string());
        LiteHead::load(KIND, source, &Default::default())
    }

    fn features_are_convolved_normalised_cut_and_averaged<B: AutodiffBackend>() {
        let dict = dict();
        let column = |name: &str| dict[name].to_vec::<f32>().unwrap();
        let map: Vec<f32> = (0..CHANNELS * 6)
            .map(|index| (index as f32 * 0.37).sin())
            .collect();
        let weight = column("conv_head.weight");
        let norm = ["weight", "bias", "running_mean", "running_var"]
            .map(|part| column(&format!("bn2.{part}")));
        let expected = |feature: usize| {
            let row = &weight[feature * CHANNELS..][..CHANNELS];
            let [scale, bias, mean, variance] =
                [0, 1, 2, 3].map(|part| f64::from(norm[part][feature]));
            let at = |place: usize| {
                let terms = row.iter().enumerate();
                let sum: f64 = terms
                    .map(|(channel, w)| f64::from(*w) * f64::from(map[channel * 6 + place]))
                    .sum();
                ((sum - mean) / (variance + 1e-3).sqrt() * scale + bias).clamp(0.0, 6.0)
            };
            (0..6).map(at).sum::<f64>() / 6.0
        };
        let data = TensorData::new(map.clone(), [1, CHANNELS, 2, 3]);
        let head = load::<B::InnerBackend>(dict.clone()).unwrap().unwrap();
        let found = head.forward(Tensor::from_data(data, &Default::default()));
        let found = found.into_data().to_vec::<f32>().unwrap();
        assert_eq!(found.len(), LITE_FEATURES);
        let mut inside = 0;
        for (feature, found) in found.iter().enumerate() {
            let expected = expected(feature);
            assert!(
                (f64::from(*found) - expected).abs() < 1e-4,
                "{feature}: {found} {expected}"
            );
            inside += usize::from((0.01..5.99).contains(&expected));
        }
        assert!(inside > LITE_FEATURES / 4, "{inside}");
    }

    backend_tests!(features_are_convolved_normalised_cut_and_averaged);

    #[test]
    fn other_backbones_have_none_and_a_file_without_it_is_refused() {
        let source = WeightSource::Random { seed: 1 };
        let none = LiteHead::<Flex>::load(BackboneKind::Vgg16, source, &Default::default());
        assert!(none.unwrap().is_none());
        let mut dict = dict();
        dict.remove("bn2.running_var");
        let message = load::<Flex>(dict).unwrap_err().to_string();
        assert!(
            message.contains("head.pth") && message.contains("bn2.running_var"),
            "{message}"
        );
    }
}
