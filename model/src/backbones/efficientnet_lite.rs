use burn::config::Config;
use burn::module::Module;
use burn::tensor::{Tensor, backend::Backend};

use super::segment::{Segment, taps};
use crate::init::InitRng;
use crate::layers::{Conv, ConvConfig, Padding};
use crate::weights::{FileLayer, KeyMap, StateDict};

/// Batch norm epsilon of the TensorFlow variant (notes D24).
const EPSILON: f64 = 1e-3;
/// Channels of the first convolution, the same at every width.
const STEM: usize = 32;
/// Stages whose outputs are the taps (notes D21).
const TAPS: [usize; 4] = [1, 2, 4, 6];
/// Kernel, stride, expansion, channels and repeats of each stage before scaling (notes D24).
const STAGES: [[usize; 5]; 7] = [
    [3, 1, 1, 16, 1],
    [3, 2, 6, 24, 2],
    [5, 2, 6, 40, 2],
    [3, 2, 6, 80, 3],
    [5, 1, 6, 112, 3],
    [5, 2, 6, 192, 4],
    [3, 1, 6, 320, 1],
];

/// Size of an EfficientNet-Lite (notes D24).
#[derive(Config, Debug)]
pub struct EfficientNetLiteConfig {
    /// Factor on the channels of the stages.
    #[config(default = 1.0)]
    pub width: f64,
    /// Factor on the repeats of all but the first and the last stage.
    #[config(default = 1.0)]
    pub depth: f64,
}

/// EfficientNet-Lite trunk in the TensorFlow variant, batch norm folded into its convolutions.
///
/// The modules carry timm's names for the convolutions.
#[derive(Module, Debug)]
pub struct EfficientNetLite<B: Backend> {
    /// 3 × 3 convolution with stride 2.
    pub conv_stem: Conv<B>,
    /// Blocks by stage.
    pub blocks: Vec<Vec<MobileBlock<B>>>,
}

/// Depthwise separable convolution (stage 0) or inverted residual (other stages).
#[derive(Module, Debug)]
pub struct MobileBlock<B: Backend> {
    /// 1 × 1 convolution: the last one in stage 0, the expansion in other stages.
    pub conv_pw: Conv<B>,
    /// Depthwise convolution, which carries the stride.
    pub conv_dw: Conv<B>,
    /// 1 × 1 convolution back to fewer channels; none in stage 0.
    pub conv_pwl: Option<Conv<B>>,
    residual: bool,
}

/// Numbers of one block.
pub(crate) struct BlockPlan {
    pub(crate) kernel: usize,
    pub(crate) stride: usize,
    pub(crate) expansion: usize,
    pub(crate) input: usize,
    pub(crate) output: usize,
}

impl EfficientNetLiteConfig {
    /// Random weights in the scale of He et al., under which the variance of activations stays.
    pub fn init<B: Backend>(&self, rng: &mut InitRng, device: &B::Device) -> EfficientNetLite<B> {
        let stem = ConvConfig::new(3, STEM, 3).with_stride(2);
        let stem = stem.with_padding(Padding::TensorflowSame);
        EfficientNetLite {
            conv_stem: stem.init_he(2.0, rng, device),
            blocks: self
                .plan()
                .iter()
                .map(|stage| {
                    stage
                        .iter()
                        .map(|b| MobileBlock::new(b, rng, device))
                        .collect()
                })
                .collect(),
        }
    }

    /// Channels of the taps at strides 4, 8, 16 and 32.
    pub fn tap_channels(&self) -> [usize; 4] {
        TAPS.map(|stage| self.channels(STAGES[stage][3]))
    }

    /// From the tensors of a file, in timm's names or those of the original PyTorch port, to those of
    /// the module; the layers behind the last tap are left out. Messages call the network `name`.
    pub(super) fn keys(&self, name: &str) -> KeyMap<'_> {
        let names = |dict| {
            let mut dict = timm_names(dict, &self.plan());
            dict.retain(|name, _| !is_head(name));
            dict
        };
        let keys = KeyMap::new(name).with_names(names);
        keys.with_layers(layers(&self.plan())).with_epsilon(EPSILON)
    }

    /// The same for what follows the last tap, without the classifier.
    pub(super) fn head_keys(&self, name: &str) -> KeyMap<'_> {
        let names = |dict| {
            let mut dict = timm_names(dict, &self.plan());
            dict.retain(|name, _| is_head(name) && !name.starts_with("classifier."));
            dict
        };
        let layers = vec![FileLayer::normed("conv_head", "bn2")];
        let keys = KeyMap::new(name).with_names(names);
        keys.with_layers(layers).with_epsilon(EPSILON)
    }

    /// Blocks by stage.
    pub(crate) fn plan(&self) -> Vec<Vec<BlockPlan>> {
        let mut input = STEM;
        let last = STAGES.len() - 1;
        let stage_plan = |(index, numbers): (usize, [usize; 5])| {
            let [kernel, stride, expansion, channels, repeats] = numbers;
            let repeats = if index == 0 || index == last {
                repeats
            } else {
                (repeats as f64 * self.depth).ceil() as usize
            };
            let output = self.channels(channels);
            (0..repeats)
                .map(|block| BlockPlan {
                    kernel,
                    stride: if block == 0 { stride } else { 1 },
                    expansion,
                    input: std::mem::replace(&mut input, output),
                    output,
                })
                .collect()
        };
        STAGES.into_iter().enumerate().map(stage_plan).collect()
    }

    /// Scaled channels: the nearest multiple of 8 that is not below nine tenths.
    fn channels(&self, channels: usize) -> usize {
        let scaled = channels as f64 * self.width;
        let rounded = (((scaled + 4.0) as usize) / 8 * 8).max(8);
        if (rounded as f64) < 0.9 * scaled {
            rounded + 8
        } else {
            rounded
        }
    }
}

impl<B: Backend> EfficientNetLite<B> {
    /// # Shapes
    ///
    /// - `image`: `[N, 3, H, W]`, normalised
    /// - output: four maps at strides 4, 8, 16 and 32, sizes rounded up
    pub fn forward(&self, image: Tensor<B, 4>) -> Vec<Tensor<B, 4>> {
        taps(&self.segments(), image, |segment, input| {
            self.run(segment, input)
        })
    }

    pub(super) fn segments(&self) -> Vec<Segment> {
        let depths: Vec<_> = self.blocks.iter().map(Vec::len).collect();
        Segment::of_stages(&depths, |stage| TAPS.contains(&stage))
    }

    pub(super) fn run(&self, segment: &Segment, input: Tensor<B, 4>) -> Tensor<B, 4> {
        let mut features = input;
        if segment.is_first() {
            features = relu6(self.conv_stem.forward(features));
        }
        for block in &self.blocks[segment.stage][segment.blocks.clone()] {
            features = block.forward(features);
        }
        features
    }
}

impl<B: Backend> MobileBlock<B> {
    fn new(plan: &BlockPlan, rng: &mut InitRng, device: &B::Device) -> Self {
        let hidden = plan.input * plan.expansion;
        let point = |[input, output]: [usize; 2], gain: f64, rng: &mut InitRng| {
            ConvConfig::new(input, output, 1).init_he(gain, rng, device)
        };
        let separable = plan.expansion == 1;
        let conv_pw = if separable {
            point([hidden, plan.output], 1.0, rng)
        } else {
            point([plan.input, hidden], 2.0, rng)
        };
        let std = 2.0f64.sqrt() / plan.kernel as f64;
        let depthwise = ConvConfig::new(hidden, hidden, plan.kernel)
            .with_stride(plan.stride)
            .with_padding(Padding::TensorflowSame)
            .with_groups(hidden);
        Self {
            conv_pw,
            conv_dw: depthwise.init_normal(std, rng, device),
            conv_pwl: (!separable).then(|| point([hidden, plan.output], 1.0, rng)),
            residual: plan.stride == 1 && plan.input == plan.output,
        }
    }

    /// # Shapes
    ///
    /// - `input`: `[N, in, H, W]`
    /// - output: `[N, out, ceil(H / stride), ceil(W / stride)]`
    pub fn forward(&self, input: Tensor<B, 4>) -> Tensor<B, 4> {
        let output = match &self.conv_pwl {
            None => self
                .conv_pw
                .forward(relu6(self.conv_dw.forward(input.clone()))),
            Some(project) => {
                let hidden = relu6(self.conv_pw.forward(input.clone()));
                project.forward(relu6(self.conv_dw.forward(hidden)))
            }
        };
        if self.residual {
            output + input
        } else {
            output
        }
    }
}

pub(super) fn relu6<B: Backend>(input: Tensor<B, 4>) -> Tensor<B, 4> {
    input.clamp(0.0, 6.0)
}

/// Every convolution with its batch norm, in timm's names.
fn layers(plan: &[Vec<BlockPlan>]) -> Vec<FileLayer> {
    let mut layers = vec![FileLayer::normed("conv_stem", "bn1")];
    for (stage, blocks) in plan.iter().enumerate() {
        for (block, numbers) in blocks.iter().enumerate() {
            let prefix = format!("blocks.{stage}.{block}.");
            let order: &[&str] = if numbers.expansion == 1 {
                &["conv_dw", "conv_pw"]
            } else {
                &["conv_pw", "conv_dw", "conv_pwl"]
            };
            for (index, conv) in order.iter().enumerate() {
                layers.push(FileLayer::normed_in(
                    &prefix,
                    conv,
                    &format!("bn{}", index + 1),
                ));
            }
        }
    }
    layers
}

/// Layers behind the last tap, in timm's names.
fn is_head(name: &str) -> bool {
    ["conv_head.", "bn2.", "classifier."]
        .iter()
        .any(|prefix| name.starts_with(prefix))
}

/// The same tensors under timm's names.
fn timm_names(dict: StateDict, plan: &[Vec<BlockPlan>]) -> StateDict {
    let renamed = dict
        .into_iter()
        .map(|(name, data)| (timm_name(&name, plan).unwrap_or(name), data));
    renamed.collect()
}

/// timm's name for a name of the original PyTorch port, whose blocks are numbered through.
fn timm_name(name: &str, plan: &[Vec<BlockPlan>]) -> Option<String> {
    let rest = name.strip_prefix('_')?;
    let Some(rest) = rest.strip_prefix("blocks.") else {
        let (module, tensor) = rest.split_once('.')?;
        let module = match module {
            "conv_stem" => "conv_stem",
            "bn0" => "bn1",
            "conv_head" => "conv_head",
            "bn1" => "bn2",
            "fc" => "classifier",
            _ => return None,
        };
        return Some(format!("{module}.{tensor}"));
    };
    let (number, rest) = rest.split_once('.')?;
    let (module, tensor) = rest.split_once('.')?;
    let mut block: usize = number.parse().ok()?;
    let mut stage = 0;
    while block >= plan.get(stage)?.len() {
        block -= plan[stage].len();
        stage += 1;
    }
    let separable = plan[stage][block].expansion == 1;
    let module = match (module.strip_prefix('_')?, separable) {
        ("expand_conv", false) => "conv_pw",
        ("bn0", false) => "bn1",
        ("depthwise_conv", _) => "conv_dw",
        ("bn1", false) => "bn2",
        ("bn1", true) => "bn1",
        ("project_conv", false) => "conv_pwl",
        ("project_conv", true) => "conv_pw",
        ("bn2", false) => "bn3",
        ("bn2", true) => "bn2",
        _ => return None,
    };
    Some(format!("blocks.{stage}.{block}.{module}.{tensor}"))
}
