//! Class weights of the pixel-wise loss.

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

#[cfg(test)]
mod tests {
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
}
