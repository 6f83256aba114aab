use burn_backend::DType;
use burn_backend::ops::{
    AttentionModuleOptions, ConvOptions, ConvTransposeOptions, DeformConv2dBackward,
    DeformConvOptions, FloatTensorOps, InterpolateMode, InterpolateOptions, MaxPool2dBackward,
    MaxPool2dWithIndices, ModuleOps,
};
use burn_cubecl::{BoolElement, CubeRuntime};

use super::fused::softmax;
use super::{Gpu, Inner, T, pointwise, upsample};
use crate::terms::MANY_SCORES;

impl<R: CubeRuntime, BT: BoolElement> ModuleOps<Self> for Gpu<R, BT> {
    delegate!(ModuleOps (
        x: T<R>, weight: T<R>, bias: Option<T<R>>, options: ConvOptions<1>
    ) -> T<R> {
        conv1d
    });
    delegate!(ModuleOps (
        x: T<R>, weight: T<R>, output_grad: T<R>, options: ConvOptions<1>
    ) -> T<R> {
        conv1d_x_backward conv1d_weight_backward
    });
    delegate!(ModuleOps (
        x: T<R>, offset: T<R>, weight: T<R>, mask: Option<T<R>>, bias: Option<T<R>>,
        options: DeformConvOptions<2>
    ) -> T<R> {
        deform_conv2d
    });
    delegate!(ModuleOps (
        x: T<R>, weight: T<R>, bias: Option<T<R>>, options: ConvOptions<3>
    ) -> T<R> {
        conv3d
    });
    delegate!(ModuleOps (
        x: T<R>, weight: T<R>, output_grad: T<R>, options: ConvOptions<3>
    ) -> T<R> {
        conv3d_x_backward conv3d_weight_backward
    });
    delegate!(ModuleOps (
        x: T<R>, weight: T<R>, bias: Option<T<R>>, options: ConvTransposeOptions<2>
    ) -> T<R> {
        conv_transpose2d
    });
    delegate!(ModuleOps (
        x: T<R>, weight: T<R>, bias: Option<T<R>>, options: ConvTransposeOptions<3>
    ) -> T<R> {
        conv_transpose3d
    });
    delegate!(ModuleOps (
        x: T<R>, kernel_size: [usize; 2], stride: [usize; 2], padding: [usize; 2],
        count_include_pad: bool, ceil_mode: bool
    ) -> T<R> {
        avg_pool2d
    });
    delegate!(ModuleOps (
        x: T<R>, grad: T<R>, kernel_size: [usize; 2], stride: [usize; 2], padding: [usize; 2],
        count_include_pad: bool, ceil_mode: bool
    ) -> T<R> {
        avg_pool2d_backward
    });
    delegate!(ModuleOps (
        x: T<R>, kernel_size: [usize; 2], stride: [usize; 2], padding: [usize; 2],
        dilation: [usize; 2], ceil_mode: bool
    ) -> T<R> {
        max_pool2d
    });
    delegate!(ModuleOps (x: T<R>, output_size: [usize; 2]) -> T<R> {
        adaptive_avg_pool2d
    });
    delegate!(ModuleOps (x: T<R>, grad: T<R>) -> T<R> {
        adaptive_avg_pool2d_backward
    });
    delegate!(ModuleOps (signal: T<R>, dim: usize, n: Option<usize>) -> (T<R>, T<R>) {
        rfft
    });
    delegate!(ModuleOps (
        spectrum_re: T<R>, spectrum_im: T<R>, dim: usize, n: Option<usize>
    ) -> T<R> {
        irfft
    });
    delegate!(ModuleOps () -> bool {
        has_ctc_loss_backward
    });
    delegate!(ModuleOps (
        log_probs: T<R>, targets: T<R>, input_lengths: T<R>, target_lengths: T<R>, blank: usize
    ) -> T<R> {
        ctc_loss
    });
    delegate!(ModuleOps (
        log_probs: T<R>, targets: T<R>, input_lengths: T<R>, target_lengths: T<R>, grad_loss: T<R>,
        blank: usize
    ) -> T<R> {
        ctc_loss_backward
    });
    /// Of few scores, that of burn in three launches instead of twelve. Of many, burn's own, which may do
    /// without the matrix of scores.
    fn attention(
        query: T<R>,
        key: T<R>,
        value: T<R>,
        mask: Option<T<R>>,
        attn_bias: Option<T<R>>,
        options: AttentionModuleOptions,
    ) -> T<R> {
        let [batch, heads, queries, depth] = query.meta.shape().dims();
        let [_, _, keys, _] = key.meta.shape().dims();
        let is_plain = mask.is_none()
            && attn_bias.is_none()
            && options.softcap.is_none()
            && !options.is_causal;
        let is_small = queries * keys < MANY_SCORES && batch * heads * queries <= softmax::ROWS;
        if is_plain && is_small && query.dtype == DType::F32 {
            let scores = Self::float_matmul(query, Self::float_swap_dims(key, 2, 3));
            let scale = options.scale.unwrap_or(1.0 / (depth as f64).sqrt());
            return Self::float_matmul(softmax::softmax(scores, scale), value);
        }
        <Inner<R, BT> as ModuleOps<Inner<R, BT>>>::attention(
            query, key, value, mask, attn_bias, options,
        )
    }

    fn deform_conv2d_backward(
        x: T<R>,
        offset: T<R>,
        weight: T<R>,
        mask: Option<T<R>>,
        bias: Option<T<R>>,
        output_grad: T<R>,
        options: DeformConvOptions<2>,
    ) -> DeformConv2dBackward<Self> {
        let grads = <Inner<R, BT> as ModuleOps<Inner<R, BT>>>::deform_conv2d_backward(
            x,
            offset,
            weight,
            mask,
            bias,
            output_grad,
            options,
        );
        DeformConv2dBackward::new(
            grads.x_grad,
            grads.offset_grad,
            grads.weight_grad,
            grads.mask_grad,
            grads.bias_grad,
        )
    }

    fn max_pool2d_with_indices(
        x: T<R>,
        kernel_size: [usize; 2],
        stride: [usize; 2],
        padding: [usize; 2],
        dilation: [usize; 2],
        ceil_mode: bool,
    ) -> MaxPool2dWithIndices<Self> {
        let pooled = <Inner<R, BT> as ModuleOps<Inner<R, BT>>>::max_pool2d_with_indices(
            x,
            kernel_size,
            stride,
            padding,
            dilation,
            ceil_mode,
        );
        MaxPool2dWithIndices::new(pooled.output, pooled.indices)
    }

    fn max_pool2d_with_indices_backward(
        x: T<R>,
        kernel_size: [usize; 2],
        stride: [usize; 2],
        padding: [usize; 2],
        dilation: [usize; 2],
        ceil_mode: bool,
        output_grad: T<R>,
        indices: T<R>,
    ) -> MaxPool2dBackward<Self> {
        let grads = <Inner<R, BT> as ModuleOps<Inner<R, BT>>>::max_pool2d_with_indices_backward(
            x,
            kernel_size,
            stride,
            padding,
            dilation,
            ceil_mode,
            output_grad,
            indices,
        );
        MaxPool2dBackward::new(grads.x_grad)
    }

    fn conv2d(x: T<R>, weight: T<R>, bias: Option<T<R>>, options: ConvOptions<2>) -> T<R> {
        if pointwise::suits(&weight, &options) {
            return pointwise::forward::<R, BT>(x, weight, bias);
        }
        <Inner<R, BT> as ModuleOps<Inner<R, BT>>>::conv2d(x, weight, bias, options)
    }

    fn conv2d_x_backward(
        x: T<R>,
        weight: T<R>,
        output_grad: T<R>,
        options: ConvOptions<2>,
    ) -> T<R> {
        if pointwise::suits(&weight, &options) {
            return pointwise::input_gradient::<R, BT>(weight, output_grad);
        }
        <Inner<R, BT> as ModuleOps<Inner<R, BT>>>::conv2d_x_backward(
            x,
            weight,
            output_grad,
            options,
        )
    }

    fn conv2d_weight_backward(
        x: T<R>,
        weight: T<R>,
        output_grad: T<R>,
        options: ConvOptions<2>,
    ) -> T<R> {
        if pointwise::suits(&weight, &options) {
            return pointwise::weight_gradient::<R, BT>(x, output_grad);
        }
        <Inner<R, BT> as ModuleOps<Inner<R, BT>>>::conv2d_weight_backward(
            x,
            weight,
            output_grad,
            options,
        )
    }

    fn interpolate(x: T<R>, output_size: [usize; 2], options: InterpolateOptions) -> T<R> {
        if matches!(options.mode, InterpolateMode::Nearest) {
            return upsample::nearest(x, output_size);
        }
        <Inner<R, BT> as ModuleOps<Inner<R, BT>>>::interpolate(x, output_size, options)
    }

    fn interpolate_backward(
        x: T<R>,
        grad: T<R>,
        output_size: [usize; 2],
        options: InterpolateOptions,
    ) -> T<R> {
        if matches!(options.mode, InterpolateMode::Nearest) {
            let shape = x.meta.shape();
            return upsample::nearest_backward(grad, [shape[2], shape[3]]);
        }
        <Inner<R, BT> as ModuleOps<Inner<R, BT>>>::interpolate_backward(
            x,
            grad,
            output_size,
            options,
        )
    }
}
