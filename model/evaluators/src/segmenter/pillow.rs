use burn::tensor::{Tensor, backend::Backend};
use dp_sims_model::layers::resample;

/// Pillow's `BILINEAR` resize of images of mode F: when a side shrinks, the triangle filter is as
/// wide as the factor, so that no sample is skipped. When it grows, this is
/// [`resize_bilinear`](dp_sims_model::layers::resize_bilinear).
///
/// # Shapes
///
/// - `input`: `[N, C, H, W]`
/// - output: `[N, C, height, width]`
pub(crate) fn pillow_bilinear<B: Backend>(
    input: Tensor<B, 4>,
    height: usize,
    width: usize,
) -> Tensor<B, 4> {
    resample(input, height, width, ("triangles", triangle_matrix))
}

/// Weights of the triangle filter from `from` to `to` samples, as a row-major `[to, from]` matrix.
/// Rows sum to one.
fn triangle_matrix(from: usize, to: usize) -> Vec<f32> {
    let scale = from as f64 / to as f64;
    let support = scale.max(1.0);
    let mut matrix = vec![0f32; from * to];
    for (row, weights) in matrix.chunks_exact_mut(from).enumerate() {
        let center = (row as f64 + 0.5) * scale;
        let low = (center - support + 0.5).max(0.0) as usize;
        let high = ((center + support + 0.5) as usize).min(from);
        let weight =
            |index: usize| (1.0 - ((index as f64 + 0.5 - center) / support).abs()).max(0.0);
        let total: f64 = (low..high).map(weight).sum();
        for (index, value) in weights.iter_mut().enumerate().take(high).skip(low) {
            *value = (weight(index) / total) as f32;
        }
    }
    matrix
}

#[cfg(test)]
mod tests {
    use burn::tensor::backend::AutodiffBackend;
    use dp_sims_model::backend_tests;
    use dp_sims_model::layers::interpolation_matrix;
    use dp_sims_model::testing::relative_error;

    use super::*;

    /// Values of Image.fromarray(float32).resize((2, 1), BILINEAR) of Pillow 13.0.0.
    fn shrinking_averages<B: AutodiffBackend>() {
        let device = Default::default();
        let input = Tensor::<B::InnerBackend, 4>::from_floats(
            [[[[0.0, 1.0, 4.0, 9.0, 16.0], [25.0, 36.0, 49.0, 64.0, 81.0]]]],
            &device,
        );
        let output: Vec<f32> = pillow_bilinear(input, 1, 2).into_data().to_vec().unwrap();
        let expected = [19.227_272, 37.227_272];
        assert!(relative_error(&output, &expected) < 1e-6, "{output:?}");
    }

    #[test]
    fn growing_interpolates() {
        for (from, to) in [(1, 3), (5, 5), (7, 12), (48, 64)] {
            let (actual, expected) = (triangle_matrix(from, to), interpolation_matrix(from, to));
            assert!(relative_error(&actual, &expected) < 1e-6, "{from} to {to}");
        }
    }

    backend_tests!(shrinking_averages);
}
