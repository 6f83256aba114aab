use burn::tensor::{Tensor, TensorData, backend::Backend};
use dp_sims_backends::{Key, constant, fused};

use super::{interpolation_matrix, matmul};

/// Most pixels under all taps at which both interpolations are one matrix: as two they are products
/// of matrices too small to be fast.
const FEW: usize = 64;

/// Adds to a map the 3×3 convolution, with zero padding, of another that is first resized bilinearly
/// to its size, without the resized map.
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
/// - onto: `[N, O, H, W]`
/// - output: `[N, O, H, W]`
pub fn add_convolved_resized<B: Backend>(
    input: Tensor<B, 4>,
    weight: Tensor<B, 4>,
    onto: Tensor<B, 4>,
) -> Tensor<B, 4> {
    let [batch, channels, rows, columns] = input.dims();
    let [_, outputs, height, width] = onto.dims();
    let device = input.device();
    let shifted = |from: usize, to: usize| -> Tensor<B, 2> {
        let key = Key {
            name: "bilinear under three taps",
            sizes: [from, to],
        };
        constant(key, &device, || {
            TensorData::new(shifted_matrix(from, to), [3 * from, to])
        })
    };
    let taps = weight
        .permute([0, 2, 3, 1])
        .reshape([outputs * 9, channels]);
    let pixels = input
        .permute([1, 0, 2, 3])
        .reshape([channels, batch * rows * columns]);
    let under_taps = matmul(taps, pixels).reshape([outputs, 3, 3, batch, rows, columns]);
    if is_small([rows, columns]) {
        let [down, across] = [shifted(rows, height), shifted(columns, width)];
        let down = down.reshape([3, 1, rows, 1, height, 1]);
        let across = across.reshape([1, 3, 1, columns, 1, width]);
        let spread = [3, 3, rows, columns, height, width];
        let spread = down.expand(spread) * across.expand(spread);
        let under_taps = under_taps
            .permute([3, 0, 1, 2, 4, 5])
            .reshape([batch * outputs, 9 * rows * columns]);
        let spread = spread.reshape([9 * rows * columns, height * width]);
        return fused::add_product(onto, under_taps, spread);
    }
    let under_taps =
        under_taps
            .permute([3, 0, 1, 4, 2, 5])
            .reshape([batch * outputs, 3 * rows, 3 * columns]);
    let tall = shifted(rows, height)
        .transpose()
        .unsqueeze_dim::<3>(0)
        .expand([batch * outputs, height, 3 * rows])
        .matmul(under_taps);
    let tall = tall.reshape([batch * outputs * height, 3 * columns]);
    fused::add_product(onto, tall, shifted(columns, width))
}

/// Multiply-adds of [`add_convolved_resized`] per output channel, after the kernel was applied.
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

/// For each of three taps, the interpolation matrix of the pixels that the tap reads: `[3 from, to]`,
/// row-major. A tap that reads beyond the resized map has a column of zeros there.
fn shifted_matrix(from: usize, to: usize) -> Vec<f32> {
    let plain = interpolation_matrix(from, to);
    let mut shifted = vec![0.0; to * 3 * from];
    for (row, values) in shifted.chunks_exact_mut(to).enumerate() {
        let (tap, row) = (row / from, row % from);
        for (column, value) in values.iter_mut().enumerate() {
            let read = (column + tap).checked_sub(1).filter(|&read| read < to);
            *value = read.map_or(0.0, |read| plain[read * from + row]);
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
    use crate::testing::{relative_error, values};

    fn random<B: Backend>(purpose: &str, shape: [usize; 4]) -> Tensor<B, 4> {
        let values = normals(1, 0, purpose, shape.iter().product());
        Tensor::from_data(TensorData::new(values, shape), &Default::default())
    }

    fn adds_the_convolution_of_the_resized_map<B: AutodiffBackend>() {
        for ([rows, columns], [height, width]) in [
            ([2, 3], [8, 12]),
            ([3, 2], [3, 10]),
            ([1, 1], [4, 5]),
            ([4, 4], [1, 7]),
        ] {
            let input = random::<B>("input", [2, 3, rows, columns]).require_grad();
            let weight = random::<B>("weight", [4, 3, 3, 3]).require_grad();
            let onto = random::<B>("onto", [2, 4, height, width]).require_grad();
            let probe = random::<B>("probe", [2, 4, height, width]);
            let run = |plain: bool| {
                let (input, weight, onto) = (input.clone(), weight.clone(), onto.clone());
                if plain {
                    let resized = resize_bilinear(input, height, width);
                    let options = ConvOptions::new([1, 1], [1, 1], [1, 1], 1);
                    onto + conv2d(resized, weight, None, options)
                } else {
                    add_convolved_resized(input, weight, onto)
                }
            };
            let (found, expected) = (run(false), run(true));
            let what = format!("{rows}x{columns} to {height}x{width}");
            let error = relative_error(&values(found.clone()), &values(expected.clone()));
            assert!(error < 1e-6, "{what}: {error}");
            let gradients =
                [found, expected].map(|output| (output * probe.clone()).sum().backward());
            for leaf in [&input, &weight, &onto] {
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

    backend_tests!(adds_the_convolution_of_the_resized_map);
}
