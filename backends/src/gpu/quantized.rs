use burn_backend::ops::QTensorOps;
use burn_backend::quantization::{QuantScheme, QuantizationParametersPrimitive};
use burn_backend::{ExecutionError, FloatDType, Shape, Slice, TensorData, TensorPrimitive};
use burn_cubecl::{BoolElement, CubeRuntime};

use super::{Gpu, Inner, T};

impl<R: CubeRuntime, BT: BoolElement> QTensorOps<Self> for Gpu<R, BT> {
    delegate!(QTensorOps (data: TensorData, device: &R::Device) -> T<R> {
        q_from_data
    });
    delegate!(QTensorOps (tensor: T<R>, dtype: FloatDType) -> T<R> {
        dequantize
    });
    delegate!(QTensorOps (tensor: &T<R>) -> R::Device {
        q_device
    });
    delegate!(QTensorOps (tensor: T<R>, device: &R::Device) -> T<R> {
        q_to_device
    });
    delegate!(QTensorOps (tensor: T<R>, shape: Shape) -> T<R> {
        q_reshape q_expand
    });
    delegate!(QTensorOps (tensor: T<R>, dim1: usize, dim2: usize) -> T<R> {
        q_swap_dims
    });
    delegate!(QTensorOps (tensor: T<R>, axes: &[usize]) -> T<R> {
        q_permute q_flip
    });
    delegate!(QTensorOps (tensor: T<R>, dim: usize, indices: T<R>) -> T<R> {
        q_select
    });
    delegate!(QTensorOps (dim: usize, tensor: T<R>, indices: T<R>) -> T<R> {
        q_gather
    });
    delegate!(QTensorOps (tensor: T<R>, slices: &[Slice]) -> T<R> {
        q_slice
    });

    async fn q_into_data(tensor: T<R>) -> Result<TensorData, ExecutionError> {
        <Inner<R, BT> as QTensorOps<Inner<R, BT>>>::q_into_data(tensor).await
    }

    fn quantize(
        tensor: T<R>,
        scheme: &QuantScheme,
        qparams: QuantizationParametersPrimitive<Self>,
    ) -> T<R> {
        let qparams = QuantizationParametersPrimitive {
            scales: qparams.scales,
        };
        <Inner<R, BT> as QTensorOps<Inner<R, BT>>>::quantize(tensor, scheme, qparams)
    }

    fn q_matmul(lhs: TensorPrimitive<Self>, rhs: TensorPrimitive<Self>) -> TensorPrimitive<Self> {
        let [lhs, rhs] = [lhs, rhs].map(|operand| match operand {
            TensorPrimitive::Float(tensor) => TensorPrimitive::Float(tensor),
            TensorPrimitive::QFloat(tensor) => TensorPrimitive::QFloat(tensor),
        });
        match <Inner<R, BT> as QTensorOps<Inner<R, BT>>>::q_matmul(lhs, rhs) {
            TensorPrimitive::Float(tensor) => TensorPrimitive::Float(tensor),
            TensorPrimitive::QFloat(tensor) => TensorPrimitive::QFloat(tensor),
        }
    }
}
