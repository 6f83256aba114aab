use burn::tensor::module::interpolate;
use burn::tensor::ops::{InterpolateMode, InterpolateOptions};
use burn::tensor::{Int, Tensor, TensorData, backend::Backend};
use dp_sims_backends::{Key, constant};

/// Doubles height and width by repeating every pixel (notes G5).
///
/// # Shapes
/// - input: `[N, C, H, W]`
/// - output: `[N, C, 2H, 2W]`
pub fn upsample_nearest<B: Backend>(input: Tensor<B, 4>) -> Tensor<B, 4> {
    let [_, _, height, width] = input.dims();
    let options = InterpolateOptions::new(InterpolateMode::Nearest);
    interpolate(input, [2 * height, 2 * width], options)
}

/// Bilinear resize with pixel centres aligned (PyTorch's `align_corners=False`), as two matrix
/// products A_h · X · A_wᵀ: exact, and differentiable on every backend (burn's own bilinear
/// resize aligns corners and has no backward on most).
///
/// # Shapes
/// - input: `[N, C, H, W]`
/// - output: `[N, C, height, width]`
pub fn resize_bilinear<B: Backend>(
    input: Tensor<B, 4>,
    height: usize,
    width: usize,
) -> Tensor<B, 4> {
    resample(input, height, width, ("bilinear", interpolation_matrix))
}

/// [`resize_bilinear`] with positions rounded to f32 as PyTorch does on f32 images, for comparison
/// with a network that was evaluated there: the positions are off by up to 3e-5 pixels, and the
/// pixels of a picture of full contrast by 1e-5.
///
/// # Shapes
/// - input: `[N, C, H, W]`
/// - output: `[N, C, height, width]`
pub fn resize_bilinear_single<B: Backend>(
    input: Tensor<B, 4>,
    height: usize,
    width: usize,
) -> Tensor<B, 4> {
    resample(input, height, width, ("bilinear in f32", single_matrix))
}

/// Bilinear resize with the corner pixels aligned (PyTorch's `align_corners=True`).
///
/// # Shapes
/// - input: `[N, C, H, W]`
/// - output: `[N, C, height, width]`
pub fn resize_bilinear_corners<B: Backend>(
    input: Tensor<B, 4>,
    height: usize,
    width: usize,
) -> Tensor<B, 4> {
    resample(input, height, width, ("bilinear, corners", corner_matrix))
}

/// A_h · X · A_wᵀ for every map X, where `matrix(from, to)` is a row-major `[to, from]` matrix that its
/// name and the sizes determine: it is kept under these.
///
/// # Shapes
/// - input: `[N, C, H, W]`
/// - output: `[N, C, height, width]`
pub fn resample<B: Backend>(
    input: Tensor<B, 4>,
    height: usize,
    width: usize,
    (name, matrix): (&'static str, impl Fn(usize, usize) -> Vec<f32>),
) -> Tensor<B, 4> {
    let [batch, channels, rows, columns] = input.dims();
    if [rows, columns] == [height, width] {
        return input;
    }
    let device = input.device();
    let matrix = |from: usize, to: usize| -> Tensor<B, 2> {
        let sizes = [from, to];
        constant(Key { name, sizes }, &device, || {
            TensorData::new(matrix(from, to), [to, from])
        })
    };
    let wide = input
        .reshape([batch * channels * rows, columns])
        .matmul(matrix(columns, width).transpose())
        .reshape([batch * channels, rows, width]);
    matrix(rows, height)
        .unsqueeze_dim::<3>(0)
        .expand([batch * channels, height, rows])
        .matmul(wide)
        .reshape([batch, channels, height, width])
}

/// Weights of linear interpolation from `from` to `to` samples with aligned pixel centres, as a
/// row-major `[to, from]` matrix. Rows sum to one.
pub fn interpolation_matrix(from: usize, to: usize) -> Vec<f32> {
    let scale = from as f64 / to as f64;
    linear_matrix(from, to, |row| ((row as f64 + 0.5) * scale - 0.5).max(0.0))
}

/// The same with scale and positions in f32.
fn single_matrix(from: usize, to: usize) -> Vec<f32> {
    let scale = from as f32 / to as f32;
    linear_matrix(from, to, |row| {
        f64::from((scale * (row as f32 + 0.5) - 0.5).max(0.0))
    })
}

/// The same with aligned corners.
fn corner_matrix(from: usize, to: usize) -> Vec<f32> {
    let scale = (from - 1) as f64 / (to.max(2) - 1) as f64;
    linear_matrix(from, to, |row| row as f64 * scale)
}

/// Linear interpolation at `position(row)`, in samples of the source.
fn linear_matrix(from: usize, to: usize, position: impl Fn(usize) -> f64) -> Vec<f32> {
    let mut matrix = vec![0f32; from * to];
    for row in 0..to {
        let position = position(row);
        let low = (position.floor() as usize).min(from - 1);
        let high = (low + 1).min(from - 1);
        let weight = position - low as f64;
        matrix[row * from + low] += (1.0 - weight) as f32;
        matrix[row * from + high] += weight as f32;
    }
    matrix
}

/// Label map resized the way PyTorch's `nearest` does: source index ⌊i · scale⌋ with
/// scale = from / to (notes G4), both rounded to f32 as there.
///
/// # Shapes
/// - labels: `[N, H, W]`
/// - output: `[N, height, width]`
pub fn nearest_labels<B: Backend>(
    labels: Tensor<B, 3, Int>,
    height: usize,
    width: usize,
) -> Tensor<B, 3, Int> {
    let [_, rows, columns] = labels.dims();
    let device = labels.device();
    labels
        .select(1, nearest_indices(rows, height, &device))
        .select(2, nearest_indices(columns, width, &device))
}

/// The source index of each of `to` new positions along `from` old ones, `[to]`.
pub(super) fn nearest_indices<B: Backend>(
    from: usize,
    to: usize,
    device: &B::Device,
) -> Tensor<B, 1, Int> {
    let key = Key {
        name: "nearest indices",
        sizes: [from, to],
    };
    constant(key, device, || {
        let scale = from as f32 / to as f32;
        let indices: Vec<i32> = (0..to)
            .map(|i| ((i as f32 * scale) as i32).min(from as i32 - 1))
            .collect();
        TensorData::new(indices, [to])
    })
}

#[cfg(test)]
mod tests {
    use burn::tensor::backend::AutodiffBackend;

    use super::*;
    use crate::testing::{relative_error, values};

    fn nearest_repeats_pixels<B: AutodiffBackend>() {
        let device = Default::default();
        let input = Tensor::<B, 4>::from_floats([[[[1.0, 2.0], [3.0, 4.0]]]], &device);
        let output = values(upsample_nearest(input));
        let expected = [
            1., 1., 2., 2., 1., 1., 2., 2., 3., 3., 4., 4., 3., 3., 4., 4.,
        ];
        assert_eq!(output, expected);
    }

    /// Values of torch.nn.functional.interpolate(mode="bilinear", align_corners=False).
    fn bilinear_equals_pytorch<B: AutodiffBackend>() {
        let device = Default::default();
        let input = Tensor::<B, 4>::from_floats([[[[0.0, 1.0, 4.0], [2.0, 8.0, 6.0]]]], &device);
        let expected = [0.25, 3.25, 1.0625, 4.0625, 2.6875, 5.6875, 3.5, 6.5];
        for resize in [resize_bilinear, resize_bilinear_single] {
            let output = values(resize(input.clone(), 4, 2));
            assert!(relative_error(&output, &expected) < 1e-6, "{output:?}");
        }
    }

    /// The second weight of some rows; the values are PyTorch's, in f32 and in f64.
    #[test]
    fn positions_are_rounded_as_in_pytorch() {
        for (row, column, single, exact) in [
            (7, 26, 0.185_619_36, 0.185_618_73),
            (222, 762, 0.506_652_83, 0.506_688_95),
            (297, 1019, 0.362_854, 0.362_876_27),
        ] {
            let at = row * 1024 + column;
            assert_eq!(single_matrix(1024, 299)[at], single);
            assert_eq!(interpolation_matrix(1024, 299)[at], exact);
        }
    }

    fn nearest_sums_gradients<B: AutodiffBackend>() {
        let device = Default::default();
        let input = Tensor::<B, 4>::ones([1, 1, 1, 2], &device).require_grad();
        let probe = Tensor::from_floats([[[[1.0, 2.0, 3.0, 4.0], [5.0, 6.0, 7.0, 8.0]]]], &device);
        let gradients = (upsample_nearest(input.clone()) * probe).sum().backward();
        assert_eq!(values(input.grad(&gradients).unwrap()), [14.0, 22.0]);
    }

    fn bilinear_passes_gradients<B: AutodiffBackend>() {
        let device = Default::default();
        let input = Tensor::<B, 4>::ones([1, 2, 2, 3], &device).require_grad();
        let gradients = resize_bilinear(input.clone(), 4, 6).sum().backward();
        let gradient = values(input.grad(&gradients).unwrap());
        assert!(relative_error(&[gradient.iter().sum::<f32>()], &[48.0]) < 1e-5);
    }

    fn labels_take_the_first_pixel_of_each_cell<B: AutodiffBackend>() {
        let device = Default::default();
        let labels = Tensor::<B, 1, Int>::arange(0..16, &device).reshape([1, 4, 4]);
        let output = nearest_labels(labels, 2, 2).into_data().convert::<i32>();
        assert_eq!(output.to_vec::<i32>().unwrap(), [0, 2, 8, 10]);
    }

    backend_tests!(
        nearest_repeats_pixels,
        nearest_sums_gradients,
        bilinear_equals_pytorch,
        bilinear_passes_gradients,
        labels_take_the_first_pixel_of_each_cell
    );
}
