use burn::tensor::backend::{AutodiffBackend, Backend};
use burn::tensor::{Tensor, TensorData};
use serde::Serialize;

/// How the elements of an operand lie in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Layout {
    /// In the order of the axes.
    Contiguous,
    /// Channels beside each other, as burn's convolutions leave them on GPUs.
    ChannelsInnermost,
    /// Rows and columns exchanged.
    Transposed,
    /// A part of a larger tensor that does not begin at its first element.
    Narrowed,
    /// One image, repeated without a copy.
    Expanded,
}

impl Layout {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::Contiguous,
        Self::ChannelsInnermost,
        Self::Transposed,
        Self::Narrowed,
        Self::Expanded,
    ];
}

impl std::fmt::Display for Layout {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.pad(match self {
            Self::Contiguous => "contiguous",
            Self::ChannelsInnermost => "channels innermost",
            Self::Transposed => "transposed",
            Self::Narrowed => "narrowed",
            Self::Expanded => "expanded",
        })
    }
}

/// An operand.
#[derive(Clone, Debug)]
pub(super) struct Input {
    /// Shape, as the operation sees it.
    pub shape: [usize; 4],
    pub layout: Layout,
    /// What the numbers are: those of other operands of the same shape differ.
    pub seed: usize,
    /// Numbers are `scale · (x + shift)` of x in (-1, 1).
    pub scale: f32,
    pub shift: f32,
    pub has_gradient: bool,
}

impl Input {
    pub(super) fn new(shape: [usize; 4], layout: Layout, seed: usize) -> Self {
        Self {
            shape,
            layout,
            seed,
            scale: 1.0,
            shift: 0.0,
            has_gradient: true,
        }
    }

    /// With numbers between two bounds.
    pub(super) fn between(mut self, low: f32, high: f32) -> Self {
        self.scale = (high - low) / 2.0;
        self.shift = (high + low) / (high - low);
        self
    }

    /// Without a gradient.
    pub(super) fn constant(mut self) -> Self {
        self.has_gradient = false;
        self
    }

    /// What lies in memory; [`lay_out`](Self::lay_out) makes the operand of it.
    pub(super) fn leaf<B: AutodiffBackend>(&self, device: &B::Device) -> Tensor<B, 4> {
        let [a, b, c, d] = self.shape;
        let stored = match self.layout {
            Layout::Contiguous => self.shape,
            Layout::ChannelsInnermost => [a, c, d, b],
            Layout::Transposed => [a, b, d, c],
            Layout::Narrowed => [a, b + 2, c, d + 3],
            Layout::Expanded => [1, b, c, d],
        };
        let leaf = numbers::<B>(stored, self.seed, device);
        let leaf = (leaf + self.shift) * self.scale;
        if self.has_gradient {
            leaf.require_grad()
        } else {
            leaf
        }
    }

    pub(super) fn lay_out<B: AutodiffBackend>(&self, leaf: Tensor<B, 4>) -> Tensor<B, 4> {
        let [a, b, c, d] = self.shape;
        match self.layout {
            Layout::Contiguous => leaf,
            Layout::ChannelsInnermost => leaf.permute([0, 3, 1, 2]),
            Layout::Transposed => leaf.swap_dims(2, 3),
            Layout::Narrowed => leaf.slice([0..a, 1..1 + b, 0..c, 2..2 + d]),
            Layout::Expanded => leaf.expand([a, b, c, d]),
        }
    }
}

/// A sum of the elements with weights that lie in memory as `layout` says, so that the gradient of
/// `output` does too.
pub(super) fn weighted_sum<B: AutodiffBackend>(
    output: Tensor<B, 4>,
    layout: Layout,
) -> Tensor<B, 1> {
    let device = output.device();
    let output = match layout {
        Layout::ChannelsInnermost => output.permute([0, 2, 3, 1]),
        Layout::Transposed => output.swap_dims(2, 3),
        Layout::Contiguous | Layout::Narrowed | Layout::Expanded => output,
    };
    let weights = numbers::<B>(output.dims(), 97, &device);
    (output * weights).sum()
}

/// Numbers in (-1, 1) that depend on their place and the seed, the same on every backend.
pub(super) fn numbers<B: Backend>(
    shape: [usize; 4],
    seed: usize,
    device: &B::Device,
) -> Tensor<B, 4> {
    let count: usize = shape.iter().product();
    let number = |index: usize| {
        let mixed = (index + 7919 * seed + 1) as u32;
        let mixed = mixed.wrapping_mul(0x9E37_79B9);
        let mixed = (mixed ^ (mixed >> 15)).wrapping_mul(0x85EB_CA6B);
        let mixed = mixed ^ (mixed >> 13);
        ((mixed >> 9) as f32 + 0.5) / (1 << 22) as f32 - 1.0
    };
    let values: Vec<f32> = (0..count).map(number).collect();
    Tensor::from_data(TensorData::new(values, shape), device)
}
