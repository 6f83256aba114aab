//! Maxima over windows in `f32`, without the places they come from.

use burn_backend::TensorMetadata;
use burn_flex::FlexTensor;
use rayon::prelude::*;

use super::conv::{Axis, tensor};

/// Sizes of a pooling of `[N, C, H, W]`; none where a window is larger than the padded map.
pub(super) fn axes(
    x: &FlexTensor,
    kernel: [usize; 2],
    stride: [usize; 2],
    padding: [usize; 2],
    dilation: [usize; 2],
) -> Option<[Axis; 2]> {
    let [_, _, height, width] = x.shape().dims();
    let axis = |index: usize, input: usize| {
        let (stride, padding, dilation) = (stride[index], padding[index], dilation[index]);
        let reach = dilation * kernel[index].checked_sub(1)? + 1;
        let steps = (input + 2 * padding)
            .checked_sub(reach)?
            .checked_div(stride)?;
        Some(Axis {
            input,
            output: steps + 1,
            kernel: kernel[index],
            stride,
            padding,
            dilation,
        })
    };
    Some([axis(0, height)?, axis(1, width)?])
}

/// Maximum of every window, first over rows, whole lines at a time, then over columns. A NaN in a
/// window is its maximum, as in PyTorch; a window of padding alone has the maximum -∞.
///
/// # Shapes
/// - `x`: `[N, C, H, W]`
/// - result: `[N, C, H_out, W_out]`
pub(super) fn maximum(x: FlexTensor, [rows, columns]: [Axis; 2]) -> FlexTensor {
    let [batch, channels, height, width] = x.shape().dims();
    let x = x.to_contiguous();
    let x = x.storage::<f32>();
    let mut out = vec![f32::NEG_INFINITY; batch * channels * rows.output * columns.output];
    let pool = |(index, plane): (usize, &mut [f32])| {
        let from = &x[index * height * width..][..height * width];
        let mut tallest = vec![0.0; width];
        for (row, line) in plane.chunks_exact_mut(columns.output).enumerate() {
            tallest.fill(f32::NEG_INFINITY);
            for tap in (0..rows.kernel).filter(|&tap| rows.inside(tap).contains(&row)) {
                let read = &from[rows.read_at(row, tap) * width..][..width];
                tallest.iter_mut().zip(read).for_each(raise);
            }
            for tap in 0..columns.kernel {
                let inside = columns.inside(tap);
                if inside.is_empty() {
                    continue;
                }
                let read = &tallest[columns.read_at(inside.start, tap)..];
                let line = line[inside].iter_mut();
                if columns.stride == 1 {
                    line.zip(read).for_each(raise);
                } else {
                    line.zip(read.iter().step_by(columns.stride))
                        .for_each(raise);
                }
            }
        }
    };
    let plane = rows.output * columns.output;
    out.par_chunks_exact_mut(plane).enumerate().for_each(pool);
    tensor(out, [batch, channels, rows.output, columns.output])
}

/// Raises a maximum to a value.
fn raise((maximum, &value): (&mut f32, &f32)) {
    if value > *maximum || value.is_nan() {
        *maximum = value;
    }
}

#[cfg(test)]
mod tests {
    use burn_backend::ops::ModuleOps;
    use burn_flex::Flex;

    use super::super::Cpu;
    use super::*;

    fn values(shape: [usize; 4]) -> FlexTensor {
        let count: usize = shape.iter().product();
        let value = |index| (index as f32 * 0.7371).sin();
        tensor((0..count).map(value).collect(), shape)
    }

    /// Bit by bit, also where padding is most of a window and where windows step over pixels.
    #[test]
    fn maxima_are_those_of_flex() {
        for (shape, kernel, stride, padding, dilation) in [
            ([2, 3, 8, 9], [2, 2], [2, 2], [0, 0], [1, 1]),
            ([2, 3, 9, 8], [3, 3], [2, 2], [1, 1], [1, 1]),
            ([1, 5, 17, 17], [3, 3], [2, 2], [0, 0], [1, 1]),
            ([3, 2, 8, 8], [3, 3], [1, 1], [1, 1], [1, 1]),
            ([2, 2, 7, 10], [3, 2], [1, 3], [1, 0], [2, 1]),
            ([1, 1, 5, 6], [5, 4], [3, 2], [2, 2], [1, 2]),
            ([1, 2, 1, 1], [3, 3], [2, 2], [1, 1], [1, 1]),
            ([2, 1, 3, 40], [3, 3], [1, 1], [0, 0], [1, 4]),
            ([1, 2, 6, 5], [1, 1], [2, 2], [0, 0], [1, 1]),
        ] {
            let x = values(shape);
            let what = format!("{shape:?}, {kernel:?}, {stride:?}, {padding:?}, {dilation:?}");
            assert!(
                axes(&x, kernel, stride, padding, dilation).is_some(),
                "{what}"
            );
            let ours = Cpu::max_pool2d(x.clone(), kernel, stride, padding, dilation, false);
            let flex = Flex::max_pool2d(x, kernel, stride, padding, dilation, false);
            assert_eq!(ours.shape(), flex.shape(), "{what}");
            assert_eq!(ours.storage::<f32>(), flex.storage::<f32>(), "{what}");
        }
    }

    #[test]
    fn a_transposed_map_is_read_in_its_order() {
        let x = values([2, 3, 6, 8]).transpose(2, 3);
        let pool = |x| Cpu::max_pool2d(x, [3, 3], [2, 2], [1, 1], [1, 1], false);
        let ours = pool(x.clone());
        assert_eq!(
            ours.storage::<f32>(),
            pool(x.to_contiguous()).storage::<f32>()
        );
        assert_eq!(ours.shape().dims(), [2, 3, 4, 3]);
    }

    #[test]
    fn a_nan_is_the_maximum_of_its_windows() {
        let mut numbers = vec![1.0; 16];
        numbers[5] = f32::NAN;
        let x = tensor(numbers, [1, 1, 4, 4]);
        let pooled = Cpu::max_pool2d(x, [2, 2], [2, 2], [0, 0], [1, 1], false);
        let nan: Vec<bool> = pooled.storage::<f32>().iter().map(|v| v.is_nan()).collect();
        assert_eq!(nan, [true, false, false, false]);
    }

    #[test]
    fn windows_larger_than_the_map_are_left_to_flex() {
        assert!(axes(&values([1, 1, 2, 9]), [3, 3], [1, 1], [0, 0], [1, 1]).is_none());
    }
}
