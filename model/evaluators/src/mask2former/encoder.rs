use burn::module::Module;
use burn::tensor::ops::PadMode;
use burn::tensor::{Tensor, backend::Backend};
use dp_sims_model::backbones::{Swin, TokenNorm};

/// Pixels of a patch of Swin along a side.
const PATCH: usize = 4;

/// Swin Transformer with a layer norm on the output of each stage.
///
/// The blocks carry timm's names; [`names`](super::names) brings those of transformers into them.
#[derive(Module, Debug)]
pub struct SwinEncoder<B: Backend> {
    /// The backbone.
    pub swin: Swin<B>,
    /// Layer norm of each stage.
    pub hidden_states_norms: Vec<TokenNorm<B>>,
}

impl<B: Backend> SwinEncoder<B> {
    /// # Shapes
    ///
    /// - `image`: `[N, 3, H, W]`, normalised; padded with zeros to whole patches
    /// - output: `[N, dim · 2^i, h, w]` of each stage i, finest first: h and w are H / 4 and W / 4
    ///   rounded up, and half of the previous ones rounded up
    pub fn forward(&self, image: Tensor<B, 4>) -> Vec<Tensor<B, 4>> {
        let maps = self.swin.forward_last(padded(image, PATCH));
        maps.into_iter()
            .zip(&self.hidden_states_norms)
            .map(|(map, norm)| norm.forward(map).permute([0, 3, 1, 2]))
            .collect()
    }
}

/// Zeros at the bottom and right of a map `[N, C, H, W]`, up to a multiple of `unit` on each side.
pub(super) fn padded<B: Backend>(map: Tensor<B, 4>, unit: usize) -> Tensor<B, 4> {
    let [_, _, height, width] = map.dims();
    let [rows, columns] = [height, width].map(|side| side.next_multiple_of(unit) - side);
    if [rows, columns] == [0, 0] {
        return map;
    }
    map.pad([(0, rows), (0, columns)], PadMode::Constant(0.0))
}
