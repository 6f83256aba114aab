#![allow(non_snake_case, reason = "names of the published file")]

use burn::module::Module;
use burn::tensor::activation::relu;
use burn::tensor::{Tensor, backend::Backend};
use dp_sims_model::init::InitRng;
use dp_sims_model::weights::{FileLayer, KeyMap};

use super::InceptionConfig;
use super::blocks::{
    BasicConv, Builder, InceptionA, InceptionB, InceptionC, InceptionD, InceptionE, halve,
};

/// Inception-v3 up to its global mean, with the poolings of FID's network. The modules carry the
/// names of the published file.
#[derive(Module, Debug)]
pub struct Inception<B: Backend> {
    Conv2d_1a_3x3: BasicConv<B>,
    Conv2d_2a_3x3: BasicConv<B>,
    Conv2d_2b_3x3: BasicConv<B>,
    Conv2d_3b_1x1: BasicConv<B>,
    Conv2d_4a_3x3: BasicConv<B>,
    Mixed_5b: InceptionA<B>,
    Mixed_5c: InceptionA<B>,
    Mixed_5d: InceptionA<B>,
    Mixed_6a: InceptionB<B>,
    Mixed_6b: InceptionC<B>,
    Mixed_6c: InceptionC<B>,
    Mixed_6d: InceptionC<B>,
    Mixed_6e: InceptionC<B>,
    Mixed_7a: InceptionD<B>,
    Mixed_7b: InceptionE<B>,
    Mixed_7c: InceptionE<B>,
}

impl InceptionConfig {
    /// Random weights in the scale of He et al.
    pub fn init<B: Backend>(&self, rng: &mut InitRng, device: &B::Device) -> Inception<B> {
        let mut build = Builder {
            narrowing: self.narrowing,
            rng,
            device,
        };
        Inception {
            Conv2d_1a_3x3: build.valid(3, 32, 3, 2),
            Conv2d_2a_3x3: build.valid(32, 32, 3, 1),
            Conv2d_2b_3x3: build.same(32, 64, [3, 3]),
            Conv2d_3b_1x1: build.same(64, 80, [1, 1]),
            Conv2d_4a_3x3: build.valid(80, 192, 3, 1),
            Mixed_5b: build.a(192, 32),
            Mixed_5c: build.a(256, 64),
            Mixed_5d: build.a(288, 64),
            Mixed_6a: build.b(288),
            Mixed_6b: build.c(768, 128),
            Mixed_6c: build.c(768, 160),
            Mixed_6d: build.c(768, 160),
            Mixed_6e: build.c(768, 192),
            Mixed_7a: build.d(768),
            Mixed_7b: build.e(1280, false),
            Mixed_7c: build.e(2048, true),
        }
    }
}

impl<B: Backend> Inception<B> {
    /// # Shapes
    ///
    /// - `images`: `[N, 3, 299, 299]` in [-1, 1]
    /// - output: `[N, 2048]`, not negative
    pub fn forward(&self, images: Tensor<B, 4>) -> Tensor<B, 2> {
        let hidden = self.Conv2d_1a_3x3.forward(images);
        let hidden = self.Conv2d_2a_3x3.forward(hidden);
        // A maximum and a ReLU may change places; behind the pooling, a quarter is left to do.
        let hidden = relu(halve(self.Conv2d_2b_3x3.linear(hidden)));
        let hidden = self.Conv2d_3b_1x1.forward(hidden);
        let hidden = relu(halve(self.Conv2d_4a_3x3.linear(hidden)));
        let hidden = self.Mixed_5b.forward(hidden);
        let hidden = self.Mixed_5c.forward(hidden);
        let hidden = self.Mixed_5d.forward(hidden);
        let hidden = self.Mixed_6a.forward(hidden);
        let hidden = self.Mixed_6b.forward(hidden);
        let hidden = self.Mixed_6c.forward(hidden);
        let hidden = self.Mixed_6d.forward(hidden);
        let hidden = self.Mixed_6e.forward(hidden);
        let hidden = self.Mixed_7a.forward(hidden);
        let hidden = self.Mixed_7b.forward(hidden);
        let hidden = self.Mixed_7c.forward(hidden);
        hidden.flatten::<3>(2, 3).mean_dim(2).squeeze_dim(2)
    }

    /// Every convolution and the batch norm that the file keeps beside it.
    pub(super) fn layers(&self) -> Vec<FileLayer> {
        let names = KeyMap::new("").file_shapes(self).into_keys();
        let prefixes = names.filter_map(|name| Some(name.strip_suffix("conv.weight")?.to_string()));
        prefixes
            .map(|prefix| FileLayer::normed_in(&prefix, "conv", "bn"))
            .collect()
    }
}
