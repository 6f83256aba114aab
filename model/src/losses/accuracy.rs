use burn::tensor::{Int, Tensor, backend::Backend};

/// Share of the pixels, void targets left out, whose largest logit is that of the target; 0 if
/// all targets are void. The result carries no gradient.
///
/// # Shapes
/// - `logits`: `[N, C + 1, H, W]`
/// - `targets`: `[N, H, W]`, class indices in 0..=C; C, "fake", is what a discriminator should
///   answer on fakes
/// - output: `[1]`
pub fn pixel_accuracy<B: Backend>(
    logits: Tensor<B, 4>,
    targets: Tensor<B, 3, Int>,
) -> Tensor<B, 1> {
    let [hits, counted] = pixel_hits(logits, targets);
    hits / counted.clamp_min(1.0)
}

/// Pixels that [`pixel_accuracy`] calls right, and those that it counts, each `[1]`.
///
/// # Shapes
/// Those of [`pixel_accuracy`].
pub fn pixel_hits<B: Backend>(
    logits: Tensor<B, 4>,
    targets: Tensor<B, 3, Int>,
) -> [Tensor<B, 1>; 2] {
    let predicted: Tensor<B, 3, Int> = logits.detach().argmax(1).squeeze_dim(1);
    let counted = targets.clone().not_equal_elem(0);
    let hits = predicted.equal(targets).bool_and(counted.clone());
    [hits, counted].map(|pixels| pixels.int().sum().float())
}
