use burn_backend::Scalar;
use burn_backend::ops::ActivationOps;
use burn_flex::{Flex, FlexTensor};

use super::profile::Timer;
use super::{Cpu, elementwise, softmax};

impl ActivationOps<Self> for Cpu {
    delegate!(ActivationOps {
        prelu(tensor: FlexTensor, alpha: FlexTensor) -> FlexTensor;
        gelu(tensor: FlexTensor) -> FlexTensor;
        gelu_backward(x: FlexTensor, grad: FlexTensor) -> FlexTensor;
        sigmoid(tensor: FlexTensor) -> FlexTensor;
        sigmoid_backward(output: FlexTensor, grad: FlexTensor) -> FlexTensor;
        hard_sigmoid(tensor: FlexTensor, alpha: Scalar, beta: Scalar) -> FlexTensor;
        log_sigmoid(tensor: FlexTensor) -> FlexTensor;
        log_sigmoid_backward(x: FlexTensor, grad: FlexTensor) -> FlexTensor;
    });

    fn softmax(tensor: FlexTensor, dim: usize) -> FlexTensor {
        let _timer = Timer::new("softmax");
        softmax::softmax(tensor, dim).unwrap_or_else(|tensor| Flex::softmax(tensor, dim))
    }

    threaded!(of_one { relu: |value: f32| value.max(0.0); });
    threaded!(of_one_and_scalar {
        leaky_relu: |value: f32, slope: f32| if value >= 0.0 { value } else { slope * value };
    });
    threaded!(of_two {
        relu_backward: |output: f32, grad: f32| if output > 0.0 { grad } else { 0.0 };
    });
}
