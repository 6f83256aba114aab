//! Nearest-neighbour resizing.

use burn_backend::Shape;
use burn_cubecl::cubecl::prelude::*;
use burn_cubecl::cubecl::{self, calculate_cube_count_elemwise};
use burn_cubecl::{CubeRuntime, ops};

use super::T;

/// Resizes maps `[N, C, H, W]` by taking the element at `floor(i · H / height)`, in whole numbers.
///
/// burn's kernel divides an index by the width of its vectors in some layouts and not in others, and
/// takes positions in `f32` in places (tracel-ai/burn#4686). One read and one write per element of the
/// output, whose memory has the order of the input's.
pub(super) fn nearest<R: CubeRuntime>(input: T<R>, [height, width]: [usize; 2]) -> T<R> {
    let output = like(&input, [height, width]);
    let count = output.meta.num_elements();
    let order = Order::of(&output);
    let dim = CubeDim::new(&input.client, count);
    nearest_kernel::launch::<R>(
        &input.client.clone(),
        calculate_cube_count_elemwise(&input.client, count, dim),
        dim,
        order.view(input).into_tensor_arg(),
        order.view(output.clone()).into_tensor_arg(),
        count as u32,
        output.dtype.into(),
    );
    output
}

/// The gradient of [`nearest`] for an input of `height x width`: the sum over the elements that were
/// taken from each.
///
/// One thread per element of the input; every element of the output's gradient is read once.
pub(super) fn nearest_backward<R: CubeRuntime>(
    gradient: T<R>,
    [height, width]: [usize; 2],
) -> T<R> {
    let output = like(&gradient, [height, width]);
    let count = output.meta.num_elements();
    let order = Order::of(&output);
    let dim = CubeDim::new(&gradient.client, count);
    nearest_backward_kernel::launch::<R>(
        &gradient.client.clone(),
        calculate_cube_count_elemwise(&gradient.client, count, dim),
        dim,
        order.view(gradient).into_tensor_arg(),
        order.view(output.clone()).into_tensor_arg(),
        count as u32,
        order.rows,
        output.dtype.into(),
    );
    output
}

/// The order of the axes in memory, as far as it matters: rows and columns lie beside each other.
struct Order {
    /// Axes of `[N, C, H, W]`, the outermost first.
    axes: [usize; 4],
    /// Where the rows are among `axes`; the columns follow.
    rows: usize,
}

impl Order {
    const CHANNELS_FIRST: Self = Self {
        axes: [0, 1, 2, 3],
        rows: 2,
    };
    const CHANNELS_LAST: Self = Self {
        axes: [0, 2, 3, 1],
        rows: 1,
    };

    fn of<R: CubeRuntime>(tensor: &T<R>) -> Self {
        let strides = tensor.meta.strides();
        if strides[1] < strides[3] {
            Self::CHANNELS_LAST
        } else {
            Self::CHANNELS_FIRST
        }
    }

    fn view<R: CubeRuntime>(&self, tensor: T<R>) -> T<R> {
        ops::permute(tensor, &self.axes)
    }
}

/// An empty map of another size whose memory has the order of this one's.
fn like<R: CubeRuntime>(map: &T<R>, [height, width]: [usize; 2]) -> T<R> {
    let shape = map.meta.shape();
    let [count, channels] = [shape[0], shape[1]];
    let empty = |shape: [usize; 4]| {
        ops::numeric::empty_device_contiguous_dtype(
            map.client.clone(),
            map.device.clone(),
            Shape::new(shape),
            map.dtype,
        )
    };
    if Order::of(map).rows == Order::CHANNELS_LAST.rows {
        ops::permute_nhwc_to_nchw(empty([count, height, width, channels]))
    } else {
        empty([count, channels, height, width])
    }
}

#[cube(launch)]
fn nearest_kernel<F: Float>(
    input: &Tensor<F>,
    output: &mut Tensor<F>,
    count: u32,
    #[define(F)] _dtype: StorageType,
) {
    if ABSOLUTE_POS >= count as usize {
        terminate!();
    }
    let mut rest = ABSOLUTE_POS;
    let d = rest % output.shape(3);
    rest /= output.shape(3);
    let c = rest % output.shape(2);
    rest /= output.shape(2);
    let b = rest % output.shape(1);
    let a = rest / output.shape(1);
    let from = a * input.stride(0)
        + (b * input.shape(1) / output.shape(1)) * input.stride(1)
        + (c * input.shape(2) / output.shape(2)) * input.stride(2)
        + (d * input.shape(3) / output.shape(3)) * input.stride(3);
    let to =
        a * output.stride(0) + b * output.stride(1) + c * output.stride(2) + d * output.stride(3);
    output[to] = input[from];
}

#[cube(launch)]
fn nearest_backward_kernel<F: Float>(
    gradient: &Tensor<F>,
    output: &mut Tensor<F>,
    count: u32,
    #[comptime] rows: usize,
    #[define(F)] _dtype: StorageType,
) {
    if ABSOLUTE_POS >= count as usize {
        terminate!();
    }
    let columns = comptime!(rows + 1);
    let mut rest = ABSOLUTE_POS;
    let d = rest % output.shape(3);
    rest /= output.shape(3);
    let c = rest % output.shape(2);
    rest /= output.shape(2);
    let b = rest % output.shape(1);
    let a = rest / output.shape(1);
    let to =
        a * output.stride(0) + b * output.stride(1) + c * output.stride(2) + d * output.stride(3);
    let mut row = c;
    let mut column = d;
    let mut from = a * gradient.stride(0) + b * gradient.stride(1);
    if comptime!(rows == 1) {
        row = b;
        column = c;
        from = a * gradient.stride(0) + d * gradient.stride(3);
    }
    let height = gradient.shape(rows);
    let small_height = output.shape(rows);
    let width = gradient.shape(columns);
    let small_width = output.shape(columns);
    // The elements that were taken from this one: those from the first multiple that is not below it.
    let top = (row * height).div_ceil(small_height);
    let bottom = ((row + 1) * height).div_ceil(small_height);
    let left = (column * width).div_ceil(small_width);
    let right = ((column + 1) * width).div_ceil(small_width);
    let mut sum = F::new(0.0);
    for y in top..bottom {
        for x in left..right {
            sum += gradient[from + y * gradient.stride(rows) + x * gradient.stride(columns)];
        }
    }
    output[to] = sum;
}
