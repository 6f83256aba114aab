use burn::tensor::{Int, Tensor, TensorData, backend::Backend};

/// Where LabelMix takes the real image: one coin per class for the whole batch (notes L11).
///
/// # Shapes
/// - labels: `[N, H, W]`, values below the number of coins
/// - output: `[N, 1, H, W]`, 1 where the coin of the pixel's class is true and 0 elsewhere
pub fn label_mix_mask<B: Backend>(labels: Tensor<B, 3, Int>, coins: &[bool]) -> Tensor<B, 4> {
    let [batch, height, width] = labels.dims();
    let table: Vec<f32> = coins
        .iter()
        .map(|&coin| f32::from(u8::from(coin)))
        .collect();
    let table = Tensor::<B, 1>::from_data(TensorData::new(table, [coins.len()]), &labels.device());
    table
        .select(0, labels.reshape([batch * height * width]))
        .reshape([batch, 1, height, width])
}

/// Real values where the mask is 1, fake ones where it is 0.
///
/// # Shapes
/// - real, fake, output: `[N, C, H, W]`
/// - mask: `[N, 1, H, W]`
pub fn mix<B: Backend>(real: Tensor<B, 4>, fake: Tensor<B, 4>, mask: Tensor<B, 4>) -> Tensor<B, 4> {
    fake.clone() + (real - fake) * mask
}

/// LabelMix consistency: mean squared difference between the logits of the mixed image and the
/// mixed logits (notes L11). OASIS and DP-GAN train with it, the paper does not.
///
/// # Shapes
/// - logits: `[N, classes + 1, H, W]` each; mixed of the mixed image
/// - mask: `[N, 1, H, W]`
/// - output: `[1]`
pub fn label_mix<B: Backend>(
    mixed: Tensor<B, 4>,
    real: Tensor<B, 4>,
    fake: Tensor<B, 4>,
    mask: Tensor<B, 4>,
) -> Tensor<B, 1> {
    (mixed - mix(real, fake, mask)).square().mean()
}

#[cfg(test)]
mod tests {
    use burn::tensor::backend::AutodiffBackend;

    use super::*;
    use crate::testing::{relative_error, values};

    /// Two classes of logits on three pixels of classes 0, 2 and 1; class 2 is real.
    fn agrees_with_a_hand_count<B: AutodiffBackend>() {
        let device = Default::default();
        let labels = Tensor::<B, 3, Int>::from_data([[[0, 2, 1]]], &device);
        let mask = label_mix_mask::<B>(labels, &[false, false, true]);
        assert_eq!(values(mask.clone()), [0.0, 1.0, 0.0]);
        let tensor = |values: [[f32; 3]; 2]| {
            Tensor::<B, 4>::from_data([[[values[0]], [values[1]]]], &device)
        };
        let real = tensor([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]).require_grad();
        let fake = tensor([[7.0, 8.0, 9.0], [1.0, 1.0, 1.0]]).require_grad();
        let mixed = tensor([[6.0, 2.0, 11.0], [1.0, 3.0, 1.0]]).require_grad();
        // Mixed logits 7 2 9 | 1 5 1: differences -1 0 2 | 0 -2 0.
        let loss = label_mix(mixed.clone(), real.clone(), fake.clone(), mask);
        let found = values(loss.clone());
        assert!(relative_error(&found, &[9.0 / 6.0]) < 1e-6, "{found:?}");
        let gradients = loss.backward();
        let third = |values: [f32; 6]| values.map(|value| value / 3.0);
        for (tensor, expected) in [
            (mixed, third([-1.0, 0.0, 2.0, 0.0, -2.0, 0.0])),
            (real, third([0.0, 0.0, 0.0, 0.0, 2.0, 0.0])),
            (fake, third([1.0, 0.0, -2.0, 0.0, 0.0, 0.0])),
        ] {
            let found = values(tensor.grad(&gradients).unwrap());
            assert!(relative_error(&found, &expected) < 1e-6, "{found:?}");
        }
    }

    backend_tests!(agrees_with_a_hand_count);
}
