use burn::module::Module;
use burn::tensor::activation::relu;
use burn::tensor::module::{conv2d, max_pool2d};
use burn::tensor::ops::PaddedConvOptions;
use burn::tensor::{Tensor, TensorData, backend::Backend};
use dp_sims_model::init::InitRng;
use dp_sims_model::layers::{Conv, ConvConfig, Padding};

/// A convolution with the batch norm behind it folded in, before the ReLU that follows.
#[derive(Module, Debug)]
pub struct BasicConv<B: Backend> {
    /// The folded convolution.
    pub conv: Conv<B>,
}

/// Builds the convolutions of a network in which every number of channels is divided.
pub(super) struct Builder<'a, B: Backend> {
    pub(super) narrowing: usize,
    pub(super) rng: &'a mut InitRng,
    pub(super) device: &'a B::Device,
}

/// Block at 35 × 35: 1 × 1, 5 × 5, two 3 × 3 and a pooling beside each other.
#[derive(Module, Debug)]
pub struct InceptionA<B: Backend> {
    branch1x1: BasicConv<B>,
    branch5x5_1: BasicConv<B>,
    branch5x5_2: BasicConv<B>,
    branch3x3dbl_1: BasicConv<B>,
    branch3x3dbl_2: BasicConv<B>,
    branch3x3dbl_3: BasicConv<B>,
    branch_pool: BasicConv<B>,
}

/// Block from 35 × 35 to 17 × 17.
#[derive(Module, Debug)]
pub struct InceptionB<B: Backend> {
    branch3x3: BasicConv<B>,
    branch3x3dbl_1: BasicConv<B>,
    branch3x3dbl_2: BasicConv<B>,
    branch3x3dbl_3: BasicConv<B>,
}

/// Block at 17 × 17, whose 7 × 7 kernels are split into rows and columns.
#[derive(Module, Debug)]
pub struct InceptionC<B: Backend> {
    branch1x1: BasicConv<B>,
    branch7x7_1: BasicConv<B>,
    branch7x7_2: BasicConv<B>,
    branch7x7_3: BasicConv<B>,
    branch7x7dbl_1: BasicConv<B>,
    branch7x7dbl_2: BasicConv<B>,
    branch7x7dbl_3: BasicConv<B>,
    branch7x7dbl_4: BasicConv<B>,
    branch7x7dbl_5: BasicConv<B>,
    branch_pool: BasicConv<B>,
}

/// Block from 17 × 17 to 8 × 8.
#[derive(Module, Debug)]
pub struct InceptionD<B: Backend> {
    branch3x3_1: BasicConv<B>,
    branch3x3_2: BasicConv<B>,
    branch7x7x3_1: BasicConv<B>,
    branch7x7x3_2: BasicConv<B>,
    branch7x7x3_3: BasicConv<B>,
    branch7x7x3_4: BasicConv<B>,
}

/// Block at 8 × 8, whose 3 × 3 kernels are a row and a column beside each other.
#[derive(Module, Debug)]
pub struct InceptionE<B: Backend> {
    branch1x1: BasicConv<B>,
    branch3x3_1: BasicConv<B>,
    branch3x3_2a: BasicConv<B>,
    branch3x3_2b: BasicConv<B>,
    branch3x3dbl_1: BasicConv<B>,
    branch3x3dbl_2: BasicConv<B>,
    branch3x3dbl_3a: BasicConv<B>,
    branch3x3dbl_3b: BasicConv<B>,
    branch_pool: BasicConv<B>,
    /// Whether the pooling takes the maximum.
    maximum: bool,
}

impl<B: Backend> Builder<'_, B> {
    /// A convolution that keeps the size of its input.
    pub(super) fn same(&mut self, input: usize, output: usize, kernel: [usize; 2]) -> BasicConv<B> {
        self.init(self.config(input, output).with_kernel(kernel))
    }

    /// A convolution without padding.
    pub(super) fn valid(
        &mut self,
        input: usize,
        output: usize,
        kernel: usize,
        stride: usize,
    ) -> BasicConv<B> {
        let config = self.config(input, output).with_kernel([kernel; 2]);
        let config = config.with_padding(Padding::Zeros(0));
        self.init(config.with_stride(stride))
    }

    fn init(&mut self, config: ConvConfig) -> BasicConv<B> {
        let conv = config.init_he(2.0, self.rng, self.device);
        BasicConv { conv }
    }

    /// An image has three channels at any width.
    fn config(&self, input: usize, output: usize) -> ConvConfig {
        let narrowed = |count| {
            if count == 3 {
                3
            } else {
                count / self.narrowing
            }
        };
        ConvConfig::new(narrowed(input), narrowed(output), 1)
    }

    pub(super) fn a(&mut self, input: usize, pooled: usize) -> InceptionA<B> {
        InceptionA {
            branch1x1: self.same(input, 64, [1, 1]),
            branch5x5_1: self.same(input, 48, [1, 1]),
            branch5x5_2: self.same(48, 64, [5, 5]),
            branch3x3dbl_1: self.same(input, 64, [1, 1]),
            branch3x3dbl_2: self.same(64, 96, [3, 3]),
            branch3x3dbl_3: self.same(96, 96, [3, 3]),
            branch_pool: self.same(input, pooled, [1, 1]),
        }
    }

    pub(super) fn b(&mut self, input: usize) -> InceptionB<B> {
        InceptionB {
            branch3x3: self.valid(input, 384, 3, 2),
            branch3x3dbl_1: self.same(input, 64, [1, 1]),
            branch3x3dbl_2: self.same(64, 96, [3, 3]),
            branch3x3dbl_3: self.valid(96, 96, 3, 2),
        }
    }

    /// `inner` channels inside the 7 × 7 branches.
    pub(super) fn c(&mut self, input: usize, inner: usize) -> InceptionC<B> {
        InceptionC {
            branch1x1: self.same(input, 192, [1, 1]),
            branch7x7_1: self.same(input, inner, [1, 1]),
            branch7x7_2: self.same(inner, inner, [1, 7]),
            branch7x7_3: self.same(inner, 192, [7, 1]),
            branch7x7dbl_1: self.same(input, inner, [1, 1]),
            branch7x7dbl_2: self.same(inner, inner, [7, 1]),
            branch7x7dbl_3: self.same(inner, inner, [1, 7]),
            branch7x7dbl_4: self.same(inner, inner, [7, 1]),
            branch7x7dbl_5: self.same(inner, 192, [1, 7]),
            branch_pool: self.same(input, 192, [1, 1]),
        }
    }

    pub(super) fn d(&mut self, input: usize) -> InceptionD<B> {
        InceptionD {
            branch3x3_1: self.same(input, 192, [1, 1]),
            branch3x3_2: self.valid(192, 320, 3, 2),
            branch7x7x3_1: self.same(input, 192, [1, 1]),
            branch7x7x3_2: self.same(192, 192, [1, 7]),
            branch7x7x3_3: self.same(192, 192, [7, 1]),
            branch7x7x3_4: self.valid(192, 192, 3, 2),
        }
    }

    pub(super) fn e(&mut self, input: usize, maximum: bool) -> InceptionE<B> {
        InceptionE {
            branch1x1: self.same(input, 320, [1, 1]),
            branch3x3_1: self.same(input, 384, [1, 1]),
            branch3x3_2a: self.same(384, 384, [1, 3]),
            branch3x3_2b: self.same(384, 384, [3, 1]),
            branch3x3dbl_1: self.same(input, 448, [1, 1]),
            branch3x3dbl_2: self.same(448, 384, [3, 3]),
            branch3x3dbl_3a: self.same(384, 384, [1, 3]),
            branch3x3dbl_3b: self.same(384, 384, [3, 1]),
            branch_pool: self.same(input, 192, [1, 1]),
            maximum,
        }
    }
}

impl<B: Backend> BasicConv<B> {
    /// Convolution and ReLU.
    ///
    /// # Shapes
    ///
    /// - `input`: `[N, in, H, W]`
    /// - output: `[N, out, H', W']`
    pub fn forward(&self, input: Tensor<B, 4>) -> Tensor<B, 4> {
        relu(self.linear(input))
    }

    /// Without the ReLU, for the end of a branch: one ReLU behind the concatenation of all
    /// branches does for them, and it changes nothing about branches that are not negative.
    pub(super) fn linear(&self, input: Tensor<B, 4>) -> Tensor<B, 4> {
        self.conv.forward(input)
    }
}

/// Maximum over 3 × 3 windows, every second one.
pub(super) fn halve<B: Backend>(input: Tensor<B, 4>) -> Tensor<B, 4> {
    max_pool2d(input, [3, 3], [2, 2], [0, 0], [1, 1], false)
}

/// Mean over the pixels of 3 × 3 windows that lie inside the map. TensorFlow counts no padding,
/// torchvision does.
///
/// As a convolution by channel with ones, and a product: on the processor, burn's own mean took a
/// twentieth of the time of the whole network.
fn average<B: Backend>(input: Tensor<B, 4>) -> Tensor<B, 4> {
    let [batch, channels, height, width] = input.dims();
    let device = input.device();
    let ones = Tensor::ones([channels, 1, 3, 3], &device);
    let options = PaddedConvOptions::asymmetric([1; 2], [1; 2], [1; 2], [1; 2], channels);
    let sums = conv2d(input, ones, None, options);
    // Pixels of a window around `place` of a line.
    let inside = |place: usize, length: usize| (place + 2).min(length) - place.saturating_sub(1);
    let shares: Vec<f32> = (0..height * width)
        .map(|pixel| inside(pixel / width, height) * inside(pixel % width, width))
        .map(|count| 1.0 / count as f32)
        .collect();
    let shares = Tensor::from_data(TensorData::new(shares, [1, height * width]), &device);
    let means = sums.reshape([batch * channels, height * width]) * shares;
    means.reshape([batch, channels, height, width])
}

/// Branches side by side, and their ReLU.
fn join<B: Backend>(branches: Vec<Tensor<B, 4>>) -> Tensor<B, 4> {
    relu(Tensor::cat(branches, 1))
}

impl<B: Backend> InceptionA<B> {
    /// # Shapes
    ///
    /// - `input`: `[N, in, H, W]`, not negative
    /// - output: `[N, 64 + 64 + 96 + pooled, H, W]`, not negative
    pub fn forward(&self, input: Tensor<B, 4>) -> Tensor<B, 4> {
        let narrow = self.branch1x1.linear(input.clone());
        let wide = self.branch5x5_1.forward(input.clone());
        let wide = self.branch5x5_2.linear(wide);
        let double = self.branch3x3dbl_1.forward(input.clone());
        let double = self.branch3x3dbl_2.forward(double);
        let double = self.branch3x3dbl_3.linear(double);
        // The published order is pooling before convolution. Both are linear, one mixes pixels and
        // the other channels, and a mean leaves the bias as it is: they commute, and fewer
        // channels leave the convolution than enter it.
        let pooled = average(self.branch_pool.linear(input));
        join(vec![narrow, wide, double, pooled])
    }
}

impl<B: Backend> InceptionB<B> {
    /// # Shapes
    ///
    /// - `input`: `[N, in, H, W]`, not negative
    /// - output: `[N, 384 + 96 + in, (H - 1) / 2, (W - 1) / 2]`, not negative
    pub fn forward(&self, input: Tensor<B, 4>) -> Tensor<B, 4> {
        let single = self.branch3x3.linear(input.clone());
        let double = self.branch3x3dbl_1.forward(input.clone());
        let double = self.branch3x3dbl_2.forward(double);
        let double = self.branch3x3dbl_3.linear(double);
        join(vec![single, double, halve(input)])
    }
}

impl<B: Backend> InceptionC<B> {
    /// # Shapes
    ///
    /// - `input`: `[N, in, H, W]`, not negative
    /// - output: `[N, 4 · 192, H, W]`, not negative
    pub fn forward(&self, input: Tensor<B, 4>) -> Tensor<B, 4> {
        let narrow = self.branch1x1.linear(input.clone());
        let single = self.branch7x7_1.forward(input.clone());
        let single = self.branch7x7_2.forward(single);
        let single = self.branch7x7_3.linear(single);
        let double = self.branch7x7dbl_1.forward(input.clone());
        let double = self.branch7x7dbl_2.forward(double);
        let double = self.branch7x7dbl_3.forward(double);
        let double = self.branch7x7dbl_4.forward(double);
        let double = self.branch7x7dbl_5.linear(double);
        // In this order as in `InceptionA`.
        let pooled = average(self.branch_pool.linear(input));
        join(vec![narrow, single, double, pooled])
    }
}

impl<B: Backend> InceptionD<B> {
    /// # Shapes
    ///
    /// - `input`: `[N, in, H, W]`, not negative
    /// - output: `[N, 320 + 192 + in, (H - 1) / 2, (W - 1) / 2]`, not negative
    pub fn forward(&self, input: Tensor<B, 4>) -> Tensor<B, 4> {
        let single = self.branch3x3_1.forward(input.clone());
        let single = self.branch3x3_2.linear(single);
        let split = self.branch7x7x3_1.forward(input.clone());
        let split = self.branch7x7x3_2.forward(split);
        let split = self.branch7x7x3_3.forward(split);
        let split = self.branch7x7x3_4.linear(split);
        join(vec![single, split, halve(input)])
    }
}

impl<B: Backend> InceptionE<B> {
    /// # Shapes
    ///
    /// - `input`: `[N, in, H, W]`, not negative
    /// - output: `[N, 320 + 2 · 384 + 2 · 384 + 192, H, W]`, not negative
    pub fn forward(&self, input: Tensor<B, 4>) -> Tensor<B, 4> {
        let narrow = self.branch1x1.linear(input.clone());
        let single = self.branch3x3_1.forward(input.clone());
        let single = [&self.branch3x3_2a, &self.branch3x3_2b].map(|c| c.linear(single.clone()));
        let double = self.branch3x3dbl_1.forward(input.clone());
        let double = self.branch3x3dbl_2.forward(double);
        let double =
            [&self.branch3x3dbl_3a, &self.branch3x3dbl_3b].map(|c| c.linear(double.clone()));
        let pooled = if self.maximum {
            // In the last block of this network alone; torchvision takes the mean here too.
            let largest = max_pool2d(input, [3, 3], [1, 1], [1, 1], [1, 1], false);
            self.branch_pool.linear(largest)
        } else {
            average(self.branch_pool.linear(input))
        };
        let [single_row, single_column] = single;
        let [double_row, double_column] = double;
        join(vec![
            narrow,
            single_row,
            single_column,
            double_row,
            double_column,
            pooled,
        ])
    }
}
