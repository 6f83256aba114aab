use burn::tensor::{Tensor, TensorData, backend::Backend};

use super::interpolation_matrix;

/// Most pixels under all taps at which both interpolations are one matrix: as two they are products
/// of matrices too small to be fast.
const FEW: usize = 64;

/// 3×3 convolution, with zero padding, of a map that is first resized bilinearly, without the
/// resized map.
///
/// Both are linear, so the kernel is applied before the resize: with q(i, j) the map under tap
/// (i, j) of the kernel, the output is Σ Vᵢ · q(i, j) · Hⱼᵀ, where Vᵢ and Hⱼ interpolate rows and
/// columns, shifted by the tap, with rows of zeros for the padding. The result is that of the plain
/// way up to rounding.
///
/// Costs 9 · h · w · C + 9 · H · h · w + 3 · H · W · w multiply-adds per output channel, where the
/// plain way costs 9 · H · W · C; h · w and H · W are the sizes before and after the resize. Of maps
/// of a few pixels, V and H are applied as one matrix: 9 · h · w · C + 9 · H · W · h · w.
///
/// # Shapes
/// - input: `[N, C, h, w]`
/// - weight: `[O, C, 3, 3]`
/// - output: `[N, O, height, width]`
pub fn convolve_resized<B: Backend>(
    input: Tensor<B, 4>,
    weight: Tensor<B, 4>,
    height: usize,
    width: usize,
) -> Tensor<B, 4> {
    let [batch, channels, rows, columns] = input.dims();
    let [outputs, ..] = weight.dims();
    let device = input.device();
    let shifted = |from: usize, to: usize| {
        let values = TensorData::new(shifted_matrix(from, to), [to, 3 * from]);
        Tensor::<B, 2>::from_data(values, &device)
    };
    let taps = weight
        .permute([0, 2, 3, 1])
        .reshape([outputs * 9, channels]);
    let pixels = input
        .permute([1, 0, 2, 3])
        .reshape([channels, batch * rows * columns]);
    let under_taps = taps
        .matmul(pixels)
        .reshape([outputs, 3, 3, batch, rows, columns]);
    if is_small([rows, columns]) {
        let [down, across] = [shifted(rows, height), shifted(columns, width)];
        let down = down.transpose().reshape([3, 1, rows, 1, height, 1]);
        let across = across.transpose().reshape([1, 3, 1, columns, 1, width]);
        let spread = [3, 3, rows, columns, height, width];
        let spread = down.expand(spread) * across.expand(spread);
        return under_taps
            .permute([3, 0, 1, 2, 4, 5])
            .reshape([batch * outputs, 9 * rows * columns])
            .matmul(spread.reshape([9 * rows * columns, height * width]))
            .reshape([batch, outputs, height, width]);
    }
    let under_taps =
        under_taps
            .permute([3, 0, 1, 4, 2, 5])
            .reshape([batch * outputs, 3 * rows, 3 * columns]);
    let tall = shifted(rows, height)
        .unsqueeze_dim::<3>(0)
        .expand([batch * outputs, height, 3 * rows])
        .matmul(under_taps);
    tall.reshape([batch * outputs * height, 3 * columns])
        .matmul(shifted(columns, width).transpose())
        .reshape([batch, outputs, height, width])
}

/// Multiply-adds of [`convolve_resized`] per output channel, after the kernel was applied.
pub(crate) fn resize_macs(from: [usize; 2], to: [usize; 2]) -> usize {
    let ([rows, columns], [height, width]) = (from, to);
    if is_small(from) {
        return 9 * rows * columns * height * width;
    }
    9 * height * rows * columns + 3 * height * width * columns
}

fn is_small([rows, columns]: [usize; 2]) -> bool {
    9 * rows * columns <= FEW
}

/// For each of three taps, the interpolation matrix of the pixels that the tap reads: `[to, 3 from]`,
/// row-major. A tap that reads beyond the resized map has a row of zeros there.
fn shifted_matrix(from: usize, to: usize) -> Vec<f32> {
    let plain = interpolation_matrix(from, to);
    let mut shifted = vec![0.0; to * 3 * from];
    for (row, taps) in shifted.chunks_exact_mut(3 * from).enumerate() {
        for (tap, values) in taps.chunks_exact_mut(from).enumerate() {
            let read = (row + tap).checked_sub(1).filter(|&read| read < to);
            if let Some(read) = read {
                values.copy_from_slice(&plain[read * from..][..from]);
            }
        }
    }
    shifted
}

#[cfg(test)]
mod tests {
    use burn::tensor::backend::AutodiffBackend;
    use burn::tensor::module::conv2d;
    use burn::tensor::ops::ConvOptions;

    use super::*;
    use crate::init::normals;
    use crate::layers::resize_bilinear;
    use crate::testing::relative_error;

    fn random<B: Backend>(purpose: &str, shape: [usize; 4]) -> Tensor<B, 4> {
        let values = normals(1, 0, purpose, shape.iter().product());
        Tensor::from_data(TensorData::new(values, shape), &Default::default())
    }

    fn values<B: Backend>(tensor: Tensor<B, 4>) -> Vec<f32> {
        tensor.into_data().to_vec().unwrap()
    }

    fn is_the_convolution_of_the_resized_map<B: AutodiffBackend>() {
        for ([rows, columns], [height, width]) in [
            ([2, 3], [8, 12]),
            ([3, 2], [3, 10]),
            ([1, 1], [4, 5]),
            ([4, 4], [1, 7]),
        ] {
            let input = random::<B>("input", [2, 3, rows, columns]).require_grad();
            let weight = random::<B>("weight", [4, 3, 3, 3]).require_grad();
            let probe = random::<B>("probe", [2, 4, height, width]);
            let run = |plain: bool| {
                let (input, weight) = (input.clone(), weight.clone());
                if plain {
                    let resized = resize_bilinear(input, height, width);
                    let options = ConvOptions::new([1, 1], [1, 1], [1, 1], 1);
                    conv2d(resized, weight, None, options)
                } else {
                    convolve_resized(input, weight, height, width)
                }
            };
            let (found, expected) = (run(false), run(true));
            let what = format!("{rows}x{columns} to {height}x{width}");
            let error = relative_error(&values(found.clone()), &values(expected.clone()));
            assert!(error < 1e-6, "{what}: {error}");
            let gradients =
                [found, expected].map(|output| (output * probe.clone()).sum().backward());
            for leaf in [&input, &weight] {
                let [found, expected] = gradients
                    .each_ref()
                    .map(|gradients| leaf.grad(gradients).unwrap());
                let error = relative_error(
                    &found.into_data().to_vec::<f32>().unwrap(),
                    &expected.into_data().to_vec::<f32>().unwrap(),
                );
                assert!(error < 1e-6, "gradients, {what}: {error}");
            }
        }
    }

    #[test]
    fn costs_are_those_of_the_matrices() {
        // Three taps of four rows to eight, each of 3 · 4 columns; then the columns.
        assert_eq!(resize_macs([4, 4], [8, 10]), 8 * 12 * 12 + 80 * 12);
        // All taps of six pixels to each pixel.
        assert_eq!(resize_macs([2, 3], [8, 10]), 54 * 80);
    }

    backend_tests!(is_the_convolution_of_the_resized_map);
}
