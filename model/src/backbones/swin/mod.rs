//! Swin Transformer: attention within windows that move from block to block.

mod block;
mod grid;
mod windows;

use burn::config::Config;
use burn::module::Module;
use burn::tensor::{Tensor, backend::Backend};

pub use block::{PatchMerging, SwinBlock, WindowAttention};
pub use grid::WindowFit;
use windows::Windows;

use super::pointwise::TokenNorm;
use super::segment::{Segment, taps};
use crate::init::InitRng;
use crate::layers::{Conv, ConvConfig, Padding};
use crate::weights::{KeyMap, StateDict};

/// Standard deviation of initial weights; PyTorch truncates at ±2, which is never reached.
const INIT_STD: f64 = 0.02;
/// Pixels of a patch along a side.
const PATCH: usize = 4;

/// Size of a Swin Transformer (notes D20, D21).
#[derive(Config, Debug)]
pub struct SwinConfig {
    /// Blocks of each stage.
    pub depths: [usize; 4],
    /// Channels of the first stage; each further one has twice as many.
    pub dim: usize,
    /// Attention heads of each stage.
    pub heads: [usize; 4],
    /// Pixels along a side of the windows that the weights were trained with.
    #[config(default = 7)]
    pub window: usize,
    /// What becomes of maps that the windows do not divide.
    #[config(default = "WindowFit::Shrink")]
    pub fit: WindowFit,
}

/// Swin Transformer trunk: the outputs of its four stages, at strides 4, 8, 16 and 32.
///
/// Its tensors are named as in timm. It takes images of any size, as timm does when it is built for
/// that size, or as segmentation networks do: [`WindowFit`] says what becomes of the windows.
#[derive(Module, Debug)]
pub struct Swin<B: Backend> {
    /// Image to patches.
    pub patch_embed: PatchEmbed<B>,
    /// Stages from fine to coarse.
    pub layers: Vec<SwinStage<B>>,
    window: usize,
    #[module(skip)]
    fit: WindowFit,
}

/// 4 × 4 convolution with stride 4, then layer norm.
#[derive(Module, Debug)]
pub struct PatchEmbed<B: Backend> {
    /// The convolution.
    pub proj: Conv<B>,
    /// Layer norm over channels.
    pub norm: TokenNorm<B>,
}

/// Blocks at one resolution.
#[derive(Module, Debug)]
pub struct SwinStage<B: Backend> {
    /// Halves the resolution; none in the first stage.
    pub downsample: Option<PatchMerging<B>>,
    /// Blocks with plain and shifted windows in turn.
    pub blocks: Vec<SwinBlock<B>>,
    heads: usize,
}

impl SwinConfig {
    /// Random weights as timm draws them.
    pub fn init<B: Backend>(&self, rng: &mut InitRng, device: &B::Device) -> Swin<B> {
        let patches = ConvConfig::new(3, self.dim, PATCH)
            .with_stride(PATCH)
            .with_padding(Padding::Zeros(0));
        let patch_embed = PatchEmbed {
            proj: patches.init_normal(INIT_STD, rng, device),
            norm: TokenNorm::new(self.dim, device),
        };
        let dims = self.tap_channels();
        let stages = (0..4).map(|stage| {
            let heads = self.heads[stage];
            SwinStage {
                downsample: (stage > 0).then(|| PatchMerging::new(dims[stage - 1], rng, device)),
                blocks: (0..self.depths[stage])
                    .map(|block| {
                        let shifted = block % 2 == 1;
                        SwinBlock::new(dims[stage], heads, self.window, shifted, rng, device)
                    })
                    .collect(),
                heads,
            }
        });
        Swin {
            patch_embed,
            layers: stages.collect(),
            window: self.window,
            fit: self.fit,
        }
    }

    /// Channels of the taps.
    pub fn tap_channels(&self) -> [usize; 4] {
        std::array::from_fn(|stage| self.dim << stage)
    }

    /// From the tensors of a file to those of the module; messages call the network `name`.
    pub(super) fn keys(&self, name: &str) -> KeyMap<'_> {
        KeyMap::new(name).with_names(|dict| self.trunk(dict))
    }

    /// The tensors of a file without the classifier and the norm before it, in timm's names: those
    /// of the original files are recognised. Indices and masks, which follow from the size of the
    /// image, are left out.
    pub(super) fn trunk(&self, dict: StateDict) -> StateDict {
        // The original files reduce the resolution at the end of a stage, timm at its beginning.
        let original = dict.contains_key("layers.0.downsample.reduction.weight");
        let kept = |name: &str| {
            let derived = [".relative_position_index", ".attn_mask"];
            !name.starts_with("head.")
                && !name.starts_with("norm.")
                && !derived.iter().any(|buffer| name.ends_with(buffer))
        };
        dict.into_iter()
            .filter(|(name, _)| kept(name))
            .map(|(name, data)| {
                let later = if original { next_stage(&name) } else { None };
                (later.unwrap_or(name), data)
            })
            .collect()
    }
}

/// The name of the tensor of a downsampling one stage later; `None` for other tensors.
fn next_stage(name: &str) -> Option<String> {
    let (stage, rest) = name.strip_prefix("layers.")?.split_once('.')?;
    let rest = rest.strip_prefix("downsample.")?;
    let stage: usize = stage.parse().ok()?;
    Some(format!("layers.{}.downsample.{rest}", stage + 1))
}

impl<B: Backend> Swin<B> {
    /// # Shapes
    ///
    /// - `image`: `[N, 3, H, W]`, normalised, H and W at least 4
    /// - output: `[N, dim · 2^i, h, w]` for each stage i, where h and w are H / 4 and W / 4 rounded
    ///   down in the first stage and half of the previous ones rounded up in the others
    pub fn forward(&self, image: Tensor<B, 4>) -> Vec<Tensor<B, 4>> {
        taps(&self.segments(), image, |segment, input| {
            self.run(segment, input)
        })
    }

    /// [`forward`](Self::forward) with the channels as the last axis, as they are computed.
    ///
    /// # Shapes
    ///
    /// - `image`: as there
    /// - output: `[N, h, w, dim · 2^i]` for each stage i
    pub fn forward_last(&self, image: Tensor<B, 4>) -> Vec<Tensor<B, 4>> {
        let maps = self.forward(image).into_iter();
        maps.map(|map| map.permute([0, 2, 3, 1])).collect()
    }

    pub(super) fn segments(&self) -> Vec<Segment> {
        let depths: Vec<_> = self.layers.iter().map(|stage| stage.blocks.len()).collect();
        Segment::of_stages(&depths, |_| true)
    }

    pub(super) fn run(&self, segment: &Segment, input: Tensor<B, 4>) -> Tensor<B, 4> {
        let features = if segment.is_first() {
            let patches = self.patch_embed.proj.forward(input);
            let patches = patches.permute([0, 2, 3, 1]);
            self.patch_embed.norm.forward(patches)
        } else {
            input.permute([0, 2, 3, 1])
        };
        let stage = &self.layers[segment.stage];
        let features = stage.forward(features, segment, self.window, self.fit);
        features.permute([0, 3, 1, 2])
    }
}

impl<B: Backend> SwinStage<B> {
    /// # Shapes
    ///
    /// - `input`: `[N, H, W, C]`
    /// - output: the same with twice the channels and half the sides, rounded up, where the stage
    ///   begins with a downsampling
    fn forward(
        &self,
        input: Tensor<B, 4>,
        segment: &Segment,
        window: usize,
        fit: WindowFit,
    ) -> Tensor<B, 4> {
        let mut features = match &self.downsample {
            Some(merging) if segment.begins() => merging.forward(input),
            _ => input,
        };
        let [_, height, width, _] = features.dims();
        let size = [height, width];
        let windows = Windows::new(size, window, fit, self.heads, &features.device());
        for block in &self.blocks[segment.blocks.clone()] {
            features = block.forward(features, &windows);
        }
        features
    }
}
