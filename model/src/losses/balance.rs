//! Class weights of the pixel-wise loss.

use burn::tensor::{Tensor, backend::Backend};

/// Weights α_c = pixels / (present classes · pixels of class c) of a batch (notes L1, L2).
///
/// `labels` are the class indices of all pixels of the batch, below `classes`. Void (0) has weight
/// 0 and is not a present class, but its pixels count in the numerator. An absent class has
/// weight 0.
pub fn class_weights(labels: &[u8], classes: usize) -> Vec<f32> {
    let mut counts = [0u64; 256];
    for &label in labels {
        counts[usize::from(label)] += 1;
    }
    counts[0] = 0;
    let present = counts.iter().filter(|&&count| count > 0).count();
    let weight = |count: u64| match count {
        0 => 0.0,
        _ => (labels.len() as f64 / (present as f64 * count as f64)) as f32,
    };
    counts
        .iter()
        .take(classes)
        .map(|&count| weight(count))
        .collect()
}

/// Pixels of each class, without void, whose count is 0.
pub fn class_counts(labels: &[u8], classes: usize) -> Vec<f32> {
    let mut counts = [0u64; 256];
    for &label in labels {
        counts[usize::from(label)] += 1;
    }
    counts[0] = 0;
    counts
        .iter()
        .take(classes)
        .map(|&count| count as f32)
        .collect()
}

/// [`class_weights`] of a batch of so many pixels that is counted on a device, in parts for instance.
///
/// # Shapes
/// - counts: `[classes]`, of [`class_counts`]
/// - output: `[classes]`
pub fn weights_of_counts<B: Backend>(counts: Tensor<B, 1>, pixels: u64) -> Tensor<B, 1> {
    let present = counts.clone().greater_elem(0.0).float();
    let classes = present.clone().sum();
    present * pixels as f64 / (counts.clamp_min(1.0) * classes.clamp_min(1.0))
}

#[cfg(test)]
mod tests {
    use burn::tensor::TensorData;
    use burn::tensor::backend::AutodiffBackend;

    use super::*;
    use crate::losses::reference::Reference;
    use crate::testing::relative_error;

    #[test]
    fn weights_agree_with_pytorch_and_sum_to_the_pixels() {
        let reference = Reference::new(include_bytes!(
            "../../../tests/fixtures/losses/pixel.safetensors"
        ));
        let map = reference.bytes("labels");
        let alpha = class_weights(map, 5);
        assert!(relative_error(&alpha, &reference.floats("alpha")) < 1e-6);
        let total: f32 = map.iter().map(|&label| alpha[usize::from(label)]).sum();
        assert!((total - 24.0).abs() < 1e-4, "{total}");
    }

    #[test]
    fn the_batch_is_counted_as_a_whole() {
        // 8 pixels, void among them; 2 present classes.
        let alpha = class_weights(&[0, 0, 2, 2, 2, 2, 2, 3], 5);
        assert_eq!(alpha, [0.0, 0.0, 0.8, 4.0, 0.0]);
    }

    fn parts_are_counted_together<B: AutodiffBackend>() {
        let parts: [&[u8]; 2] = [&[0, 0, 2, 2], &[2, 2, 2, 3]];
        let counts = parts.map(|labels| {
            let counts = class_counts(labels, 5);
            Tensor::<B, 1>::from_data(TensorData::new(counts, [5]), &Default::default())
        });
        let [first, second] = counts;
        let alpha = weights_of_counts(first + second, 8);
        assert_eq!(
            crate::testing::values(alpha),
            class_weights(&parts.concat(), 5)
        );
        let nothing = Tensor::<B, 1>::zeros([3], &Default::default());
        assert_eq!(
            crate::testing::values(weights_of_counts(nothing, 8)),
            [0.0; 3]
        );
    }

    backend_tests!(parts_are_counted_together);
}
