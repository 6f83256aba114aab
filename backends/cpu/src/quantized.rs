use burn_backend::ops::QTensorOps;
use burn_backend::quantization::{QuantScheme, QuantizationParametersPrimitive};
use burn_backend::{ExecutionError, FloatDType, IntDType, Shape, Slice, TensorData};
use burn_flex::{Flex, FlexDevice, FlexQTensor, FlexTensor};

use super::Cpu;
use super::profile::Timer;

impl QTensorOps<Self> for Cpu {
    delegate!(QTensorOps {
        q_from_data(data: TensorData, device: &FlexDevice) -> FlexQTensor;
        quantize_dynamic(tensor: FlexTensor, scheme: &QuantScheme) -> FlexQTensor;
        dequantize(tensor: FlexQTensor, dtype: FloatDType) -> FlexTensor;
        q_device(tensor: &FlexQTensor) -> FlexDevice;
        q_to_device(tensor: FlexQTensor, device: &FlexDevice) -> FlexQTensor;
        q_reshape(tensor: FlexQTensor, shape: Shape) -> FlexQTensor;
        q_swap_dims(tensor: FlexQTensor, dim1: usize, dim2: usize) -> FlexQTensor;
        q_permute(tensor: FlexQTensor, axes: &[usize]) -> FlexQTensor;
        q_flip(tensor: FlexQTensor, axes: &[usize]) -> FlexQTensor;
        q_expand(tensor: FlexQTensor, shape: Shape) -> FlexQTensor;
        q_select(tensor: FlexQTensor, dim: usize, indices: FlexTensor) -> FlexQTensor;
        q_slice(tensor: FlexQTensor, slices: &[Slice]) -> FlexQTensor;
        q_argmax(tensor: FlexQTensor, dim: usize, out_dtype: IntDType) -> FlexTensor;
        q_argmin(tensor: FlexQTensor, dim: usize, out_dtype: IntDType) -> FlexTensor;
        q_gather(dim: usize, tensor: FlexQTensor, indices: FlexTensor) -> FlexQTensor;
    });

    async fn q_into_data(tensor: FlexQTensor) -> Result<TensorData, ExecutionError> {
        <Flex as QTensorOps<Flex>>::q_into_data(tensor).await
    }

    fn quantize(
        tensor: FlexTensor,
        scheme: &QuantScheme,
        qparams: QuantizationParametersPrimitive<Self>,
    ) -> FlexQTensor {
        let qparams = QuantizationParametersPrimitive {
            scales: qparams.scales,
        };
        <Flex as QTensorOps<Flex>>::quantize(tensor, scheme, qparams)
    }
}
