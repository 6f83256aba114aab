use burn::config::Config;
use burn::module::{Module, Param};
use burn::tensor::{Tensor, backend::Backend};

use super::pointwise::{ChannelNorm, Mlp};
use super::segment::{Segment, taps};
use crate::init::{InitRng, filled};
use crate::layers::{Conv, ConvConfig, Padding};
use crate::weights::{KeyMap, StateDict};

/// Standard deviation of initial weights; PyTorch truncates at ±2, which is never reached.
const INIT_STD: f64 = 0.02;
/// Initial layer scale (notes D22).
const LAYER_SCALE: f32 = 1e-6;

/// Size of a ConvNeXt (notes D21, D22).
#[derive(Config, Debug)]
pub struct ConvNextConfig {
    /// Blocks of each stage.
    pub depths: [usize; 4],
    /// Channels of each stage.
    pub dims: [usize; 4],
}

/// ConvNeXt trunk: the outputs of its four stages, at strides 4, 8, 16 and 32.
///
/// Its tensors are named as in timm. It can be trained; [`build`](super::build) freezes it.
#[derive(Module, Debug)]
pub struct ConvNext<B: Backend> {
    /// 4 × 4 convolution with stride 4, then layer norm.
    pub stem: (Conv<B>, ChannelNorm<B>),
    /// Stages from fine to coarse.
    pub stages: Vec<ConvNextStage<B>>,
}

/// Blocks at one resolution.
#[derive(Module, Debug)]
pub struct ConvNextStage<B: Backend> {
    /// Layer norm, then 2 × 2 convolution with stride 2; none in the first stage.
    pub downsample: Option<(ChannelNorm<B>, Conv<B>)>,
    /// Residual blocks.
    pub blocks: Vec<ConvNextBlock<B>>,
}

/// 7 × 7 depthwise convolution, layer norm, two-layer perceptron, layer scale, residual.
#[derive(Module, Debug)]
pub struct ConvNextBlock<B: Backend> {
    /// Depthwise 7 × 7 convolution.
    pub conv_dw: Conv<B>,
    /// Layer norm over channels.
    pub norm: ChannelNorm<B>,
    /// Perceptron C → 4C → C.
    pub mlp: Mlp<B>,
    /// Layer scale `[C]`.
    pub gamma: Param<Tensor<B, 1>>,
}

impl ConvNextConfig {
    /// The small network that this project pre-trains on procedural scenes.
    pub fn pico_scenes() -> Self {
        Self::new([1, 1, 3, 1], [24, 48, 96, 192])
    }

    /// A trainable network with weights drawn from `rng`.
    pub fn init<B: Backend>(&self, rng: &mut InitRng, device: &B::Device) -> ConvNext<B> {
        let dims = self.dims;
        let patch = |[input, output]: [usize; 2], size, rng: &mut InitRng| {
            let config = ConvConfig::new(input, output, size).with_stride(size);
            let config = config.with_padding(Padding::Zeros(0));
            config.init_normal(INIT_STD, rng, device)
        };
        let stem = (
            patch([3, dims[0]], 4, rng),
            ChannelNorm::new(dims[0], device),
        );
        let mut stages = Vec::with_capacity(4);
        for stage in 0..4 {
            let downsample = (stage > 0).then(|| {
                let norm = ChannelNorm::new(dims[stage - 1], device);
                (norm, patch([dims[stage - 1], dims[stage]], 2, rng))
            });
            let blocks = (0..self.depths[stage])
                .map(|_| ConvNextBlock::new(dims[stage], rng, device))
                .collect();
            stages.push(ConvNextStage { downsample, blocks });
        }
        ConvNext { stem, stages }
    }

    /// From the tensors of a file to those of the module; messages call the network `name`.
    pub(super) fn keys(&self, name: &str) -> KeyMap<'_> {
        KeyMap::new(name).with_names(|dict| self.trunk(dict))
    }

    /// The tensors of a file without the classifier and the norm before it, in timm's names: those
    /// of the original files are recognised (notes D23).
    pub(super) fn trunk(&self, dict: StateDict) -> StateDict {
        dict.into_iter()
            .filter(|(name, _)| !name.starts_with("head.") && !name.starts_with("norm."))
            .map(|(name, data)| (timm_name(&name).unwrap_or(name), data))
            .collect()
    }
}

/// timm's name for a name of the original files, which keep the downsampling of all stages in one
/// list that begins with the stem.
fn timm_name(name: &str) -> Option<String> {
    let (list, rest) = name.split_once('.')?;
    let (stage, rest) = rest.split_once('.')?;
    if list == "downsample_layers" {
        return Some(match stage {
            "0" => format!("stem.{rest}"),
            _ => format!("stages.{stage}.downsample.{rest}"),
        });
    }
    let (block, rest) = rest.split_once('.')?;
    let original = list == "stages" && block.bytes().all(|byte| byte.is_ascii_digit());
    original.then(|| {
        let rest = rest
            .replace("dwconv", "conv_dw")
            .replace("pwconv", "mlp.fc");
        format!("stages.{stage}.blocks.{block}.{rest}")
    })
}

impl<B: Backend> ConvNext<B> {
    /// # Shapes
    ///
    /// - `image`: `[N, 3, H, W]`, normalised, H and W at least 32
    /// - output: `[N, dims[i], H / 2^(i+2), W / 2^(i+2)]` for each stage i
    pub fn forward(&self, image: Tensor<B, 4>) -> Vec<Tensor<B, 4>> {
        taps(&self.segments(), image, |segment, input| {
            self.run(segment, input)
        })
    }

    pub(super) fn segments(&self) -> Vec<Segment> {
        let depths: Vec<_> = self.stages.iter().map(|stage| stage.blocks.len()).collect();
        Segment::of_stages(&depths, |_| true)
    }

    pub(super) fn run(&self, segment: &Segment, input: Tensor<B, 4>) -> Tensor<B, 4> {
        let stage = &self.stages[segment.stage];
        let mut features = input;
        if segment.is_first() {
            features = self.stem.1.forward(self.stem.0.forward(features));
        }
        if let Some((norm, conv)) = stage.downsample.as_ref().filter(|_| segment.begins()) {
            features = conv.forward(norm.forward(features));
        }
        for block in &stage.blocks[segment.blocks.clone()] {
            features = block.forward(features);
        }
        features
    }
}

impl<B: Backend> ConvNextBlock<B> {
    fn new(channels: usize, rng: &mut InitRng, device: &B::Device) -> Self {
        let depthwise = ConvConfig::new(channels, channels, 7).with_groups(channels);
        Self {
            conv_dw: depthwise.init_normal(INIT_STD, rng, device),
            norm: ChannelNorm::new(channels, device),
            mlp: Mlp::new(channels, INIT_STD, rng, device),
            gamma: filled([channels], LAYER_SCALE, device),
        }
    }

    /// # Shapes
    ///
    /// - `input`, output: `[N, C, H, W]`
    pub fn forward(&self, input: Tensor<B, 4>) -> Tensor<B, 4> {
        let hidden = self.norm.forward(self.conv_dw.forward(input.clone()));
        let hidden = self.mlp.forward_map(hidden);
        let channels = self.gamma.dims()[0];
        input + hidden * self.gamma.val().reshape([1, channels, 1, 1])
    }
}
