use burn_backend::ops::{
    AttentionModuleOptions, ConvOptions, ConvTransposeOptions, DeformConv2dBackward,
    DeformConvOptions, InterpolateOptions, MaxPool2dBackward, MaxPool2dWithIndices, ModuleOps,
};
use burn_backend::{DType, TensorMetadata};
use burn_flex::{Flex, FlexTensor};

use super::Cpu;
use super::attention;
use super::conv::{self, Conv, Kernels};
use super::low;
use super::pool;
use super::profile::Timer;

/// Those of a convolution, for the profile.
/// Shapes of a convolution, and its multiply-adds.
fn known(x: &FlexTensor, weight: &FlexTensor, options: &ConvOptions<2>) -> (String, usize) {
    let macs = Conv::new(x, weight, options).macs();
    (shapes(x, weight, options), macs)
}

fn shapes(x: &FlexTensor, weight: &FlexTensor, options: &ConvOptions<2>) -> String {
    let [outputs, _, height, width] = weight.shape().dims();
    let mut text = format!("{:?} to {outputs}, {height}x{width}", x.shape().as_slice());
    if options.stride != [1, 1] {
        text += &format!(", stride {}", options.stride[0]);
    }
    if options.groups > 1 {
        text += &format!(", {} groups", options.groups);
    }
    text
}

impl ModuleOps<Self> for Cpu {
    delegate!(ModuleOps {
        conv1d(
            x: FlexTensor, weight: FlexTensor, bias: Option<FlexTensor>, options: ConvOptions<1>
        ) -> FlexTensor;
        deform_conv2d(
            x: FlexTensor, offset: FlexTensor, weight: FlexTensor, mask: Option<FlexTensor>,
            bias: Option<FlexTensor>, options: DeformConvOptions<2>
        ) -> FlexTensor;
        conv3d(
            x: FlexTensor, weight: FlexTensor, bias: Option<FlexTensor>, options: ConvOptions<3>
        ) -> FlexTensor;
        conv_transpose1d(
            x: FlexTensor, weight: FlexTensor, bias: Option<FlexTensor>,
            options: ConvTransposeOptions<1>
        ) -> FlexTensor;
        conv_transpose2d(
            x: FlexTensor, weight: FlexTensor, bias: Option<FlexTensor>,
            options: ConvTransposeOptions<2>
        ) -> FlexTensor;
        conv_transpose3d(
            x: FlexTensor, weight: FlexTensor, bias: Option<FlexTensor>,
            options: ConvTransposeOptions<3>
        ) -> FlexTensor;
        avg_pool2d(
            x: FlexTensor, kernel_size: [usize; 2], stride: [usize; 2], padding: [usize; 2],
            count_include_pad: bool, ceil_mode: bool
        ) -> FlexTensor;
        avg_pool2d_backward(
            x: FlexTensor, grad: FlexTensor, kernel_size: [usize; 2], stride: [usize; 2],
            padding: [usize; 2], count_include_pad: bool, divisor_override: bool
        ) -> FlexTensor;
        adaptive_avg_pool2d(x: FlexTensor, output_size: [usize; 2]) -> FlexTensor;
        adaptive_avg_pool2d_backward(x: FlexTensor, grad: FlexTensor) -> FlexTensor;
        interpolate(
            x: FlexTensor, output_size: [usize; 2], options: InterpolateOptions
        ) -> FlexTensor;
        interpolate_backward(
            x: FlexTensor, grad: FlexTensor, output_size: [usize; 2], options: InterpolateOptions
        ) -> FlexTensor;
        rfft(signal: FlexTensor, dim: usize, n: Option<usize>) -> (FlexTensor, FlexTensor);
        irfft(
            spectrum_re: FlexTensor, spectrum_im: FlexTensor, dim: usize, n: Option<usize>
        ) -> FlexTensor;
        embedding(weights: FlexTensor, indices: FlexTensor) -> FlexTensor;
        layer_norm(
            tensor: FlexTensor, gamma: FlexTensor, beta: Option<FlexTensor>, epsilon: f64
        ) -> FlexTensor;
        embedding_backward(
            weights: FlexTensor, output_grad: FlexTensor, indices: FlexTensor
        ) -> FlexTensor;
    });

    fn deform_conv2d_backward(
        x: FlexTensor,
        offset: FlexTensor,
        weight: FlexTensor,
        mask: Option<FlexTensor>,
        bias: Option<FlexTensor>,
        output_grad: FlexTensor,
        options: DeformConvOptions<2>,
    ) -> DeformConv2dBackward<Self> {
        let _timer = Timer::new("deform_conv2d_backward");
        let grads =
            Flex::deform_conv2d_backward(x, offset, weight, mask, bias, output_grad, options);
        DeformConv2dBackward::new(
            grads.x_grad,
            grads.offset_grad,
            grads.weight_grad,
            grads.mask_grad,
            grads.bias_grad,
        )
    }

    fn attention(
        query: FlexTensor,
        key: FlexTensor,
        value: FlexTensor,
        mask: Option<FlexTensor>,
        attn_bias: Option<FlexTensor>,
        options: AttentionModuleOptions,
    ) -> FlexTensor {
        let _timer = Timer::with_macs("attention", || {
            let [batch, heads, queries, depth] = query.shape().dims();
            let [_, _, keys, values] = value.shape().dims();
            let macs = batch * heads * queries * keys * (depth + values);
            (String::new(), macs)
        });
        let own = match (&mask, &attn_bias) {
            (None, None) => attention::attention(&query, &key, &value, &options),
            _ => None,
        };
        own.unwrap_or_else(|| Flex::attention(query, key, value, mask, attn_bias, options))
    }

    fn max_pool2d(
        x: FlexTensor,
        kernel_size: [usize; 2],
        stride: [usize; 2],
        padding: [usize; 2],
        dilation: [usize; 2],
        ceil_mode: bool,
    ) -> FlexTensor {
        let _timer = Timer::new("max_pool2d");
        let axes = pool::axes(&x, kernel_size, stride, padding, dilation);
        match axes {
            Some(axes) if x.dtype() == DType::F32 && !ceil_mode => pool::maximum(x, axes),
            _ => Flex::max_pool2d(x, kernel_size, stride, padding, dilation, ceil_mode),
        }
    }

    fn max_pool2d_with_indices(
        x: FlexTensor,
        kernel_size: [usize; 2],
        stride: [usize; 2],
        padding: [usize; 2],
        dilation: [usize; 2],
        ceil_mode: bool,
    ) -> MaxPool2dWithIndices<Self> {
        let _timer = Timer::new("max_pool2d_with_indices");
        let pooled =
            Flex::max_pool2d_with_indices(x, kernel_size, stride, padding, dilation, ceil_mode);
        MaxPool2dWithIndices::new(pooled.output, pooled.indices)
    }

    fn max_pool2d_with_indices_backward(
        x: FlexTensor,
        kernel_size: [usize; 2],
        stride: [usize; 2],
        padding: [usize; 2],
        dilation: [usize; 2],
        ceil_mode: bool,
        output_grad: FlexTensor,
        indices: FlexTensor,
    ) -> MaxPool2dBackward<Self> {
        let _timer = Timer::new("max_pool2d_with_indices_backward");
        let grads = Flex::max_pool2d_with_indices_backward(
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

    fn conv2d(
        x: FlexTensor,
        weight: FlexTensor,
        bias: Option<FlexTensor>,
        options: ConvOptions<2>,
    ) -> FlexTensor {
        if let Some(dtype) = low::low_type(&x) {
            let [x, weight] = [x, weight].map(low::widened);
            let bias = bias.map(low::widened);
            return low::rounded(dtype, || Self::conv2d(x, weight, bias, options));
        }
        let _timer = Timer::with_macs("conv2d", || known(&x, &weight, &options));
        let conv = Conv::new(&x, &weight, &options);
        if x.dtype() != DType::F32 || conv.is_depthwise() || conv.is_empty() {
            return Flex::conv2d(x, weight, bias, options);
        }
        match conv.exchanged() {
            _ if conv::suits(&conv) => {
                let weight = weight.to_contiguous();
                let bias = bias.map(|bias| bias.to_contiguous());
                let bias = bias.as_ref().map(|bias| bias.storage::<f32>());
                conv::filtered(&conv, x, Kernels::Plain(weight.storage()), bias)
            }
            _ if conv::joins(&conv) => conv::joined(&conv, x, weight, bias),
            _ if conv::is_pointwise(&conv) => conv::pointwise(&conv, x, weight, bias),
            Some(exchanged) if conv.narrows() => {
                conv::folded(&exchanged, conv::mirror_weight(&conv, weight), x, bias)
            }
            _ => conv::unfolded(&conv, x, weight, bias),
        }
    }

    fn conv2d_x_backward(
        x: FlexTensor,
        weight: FlexTensor,
        output_grad: FlexTensor,
        options: ConvOptions<2>,
    ) -> FlexTensor {
        if let Some(dtype) = low::low_type(&x) {
            let [x, weight, gradient] = [x, weight, output_grad].map(low::widened);
            return low::rounded(dtype, || {
                Self::conv2d_x_backward(x, weight, gradient, options)
            });
        }
        let _timer = Timer::with_macs("conv2d_x_backward", || known(&x, &weight, &options));
        let conv = Conv::new(&x, &weight, &options);
        if x.dtype() != DType::F32 || conv.is_empty() {
            return Flex::conv2d_x_backward(x, weight, output_grad, options);
        }
        match conv.exchanged() {
            Some(exchanged) if conv.is_depthwise() => {
                let mirror = conv::mirror_weight(&conv, weight);
                Flex::conv2d(output_grad, mirror, None, exchanged.options())
            }
            Some(exchanged) if conv::suits(&exchanged) => {
                let weight = weight.to_contiguous();
                let kernels = Kernels::Mirrored(weight.storage());
                conv::filtered(&exchanged, output_grad, kernels, None)
            }
            _ if conv::joins(&conv) => conv::joined_folded(&conv, weight, output_grad),
            _ if conv::is_pointwise(&conv) => conv::pointwise_input(&conv, weight, output_grad),
            Some(exchanged) if conv.narrows() => {
                let mirror = conv::mirror_weight(&conv, weight);
                conv::unfolded(&exchanged, output_grad, mirror, None)
            }
            _ => conv::folded(&conv, weight, output_grad, None),
        }
    }

    fn conv2d_weight_backward(
        x: FlexTensor,
        weight: FlexTensor,
        output_grad: FlexTensor,
        options: ConvOptions<2>,
    ) -> FlexTensor {
        if let Some(dtype) = low::low_type(&x) {
            let [x, weight, gradient] = [x, weight, output_grad].map(low::widened);
            return low::rounded(dtype, || {
                Self::conv2d_weight_backward(x, weight, gradient, options)
            });
        }
        let _timer = Timer::with_macs("conv2d_weight_backward", || known(&x, &weight, &options));
        if x.dtype() != DType::F32 {
            return Flex::conv2d_weight_backward(x, weight, output_grad, options);
        }
        let conv = Conv::new(&x, &weight, &options);
        conv::weight_gradient(&conv, x, output_grad)
    }

    fn conv2d_bias_backward(
        x: FlexTensor,
        bias: FlexTensor,
        output_grad: FlexTensor,
    ) -> FlexTensor {
        let _timer = Timer::new("conv2d_bias_backward");
        if output_grad.dtype() != DType::F32 {
            return Flex::conv2d_bias_backward(x, bias, output_grad);
        }
        conv::bias_gradient(output_grad)
    }
}
