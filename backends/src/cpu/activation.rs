use burn_backend::Scalar;
use burn_backend::ops::ActivationOps;
use burn_flex::{Flex, FlexTensor};

use super::Cpu;

impl ActivationOps<Self> for Cpu {
    delegate!(ActivationOps {
        relu(tensor: FlexTensor) -> FlexTensor;
        relu_backward(output: FlexTensor, grad: FlexTensor) -> FlexTensor;
        leaky_relu(tensor: FlexTensor, negative_slope: Scalar) -> FlexTensor;
        prelu(tensor: FlexTensor, alpha: FlexTensor) -> FlexTensor;
        gelu(tensor: FlexTensor) -> FlexTensor;
        gelu_backward(x: FlexTensor, grad: FlexTensor) -> FlexTensor;
        sigmoid(tensor: FlexTensor) -> FlexTensor;
        sigmoid_backward(output: FlexTensor, grad: FlexTensor) -> FlexTensor;
        hard_sigmoid(tensor: FlexTensor, alpha: Scalar, beta: Scalar) -> FlexTensor;
        log_sigmoid(tensor: FlexTensor) -> FlexTensor;
        log_sigmoid_backward(x: FlexTensor, grad: FlexTensor) -> FlexTensor;
        softmax(tensor: FlexTensor, dim: usize) -> FlexTensor;
    });
}
