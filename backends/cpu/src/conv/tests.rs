use burn_backend::ops::{ConvOptions, FloatTensorOps, ModuleOps};
use burn_backend::{DType, FloatDType, TensorMetadata};
use burn_flex::{Flex, FlexTensor};

use super::super::Cpu;
use super::tensor;

/// One convolution: `[N, C_in, H, W]`, output channels, kernel, stride, padding, dilation, groups.
type Case = (
    [usize; 4],
    usize,
    [usize; 2],
    [usize; 2],
    [usize; 2],
    [usize; 2],
    usize,
);

const CASES: [Case; 39] = [
    ([1, 5, 6, 7], 4, [1, 1], [1, 1], [0, 0], [1, 1], 1),
    ([3, 5, 6, 7], 9, [1, 1], [1, 1], [0, 0], [1, 1], 1),
    ([2, 3, 32, 16], 4, [1, 1], [1, 1], [0, 0], [1, 1], 1),
    ([2, 4, 6, 7], 3, [1, 1], [1, 1], [1, 2], [1, 1], 1),
    ([3, 4, 6, 7], 3, [1, 1], [2, 2], [0, 0], [1, 1], 1),
    ([1, 5, 6, 7], 4, [3, 3], [1, 1], [1, 1], [1, 1], 1),
    ([3, 4, 6, 7], 9, [3, 3], [1, 1], [1, 1], [1, 1], 1),
    ([3, 9, 6, 7], 4, [3, 3], [1, 1], [1, 1], [1, 1], 1),
    ([2, 6, 5, 5], 6, [3, 3], [1, 1], [0, 0], [1, 1], 1),
    ([2, 3, 9, 4], 5, [5, 5], [1, 1], [2, 2], [1, 1], 1),
    ([2, 5, 9, 8], 3, [5, 3], [1, 1], [0, 1], [1, 1], 1),
    ([2, 3, 5, 6], 4, [3, 3], [1, 1], [4, 3], [1, 1], 1),
    ([2, 5, 5, 6], 4, [3, 3], [1, 1], [4, 3], [1, 1], 1),
    ([3, 4, 8, 9], 5, [3, 3], [2, 2], [1, 1], [1, 1], 1),
    ([1, 5, 10, 7], 4, [4, 3], [2, 3], [1, 0], [1, 1], 1),
    ([2, 5, 11, 9], 4, [3, 3], [1, 1], [2, 2], [2, 2], 1),
    ([2, 4, 11, 9], 6, [3, 2], [2, 1], [1, 2], [2, 3], 1),
    ([2, 6, 8, 7], 6, [7, 7], [1, 1], [3, 3], [1, 1], 6),
    ([3, 4, 8, 7], 4, [3, 3], [2, 2], [1, 1], [1, 1], 4),
    ([2, 3, 8, 7], 6, [3, 3], [1, 1], [1, 1], [1, 1], 3),
    ([2, 8, 6, 7], 4, [3, 3], [1, 1], [1, 1], [1, 1], 2),
    ([2, 4, 6, 7], 8, [3, 3], [2, 1], [1, 0], [1, 1], 2),
    ([1, 1, 6, 7], 3, [3, 3], [1, 1], [1, 1], [1, 1], 1),
    // Planes that are read where they are, and planes that alias in the cache; several blocks of
    // channels and several tiles per part, so that buffers are used again.
    ([2, 5, 30, 31], 4, [1, 1], [1, 1], [0, 0], [1, 1], 1),
    ([2, 20, 50, 50], 40, [3, 3], [1, 1], [1, 1], [1, 1], 1),
    ([2, 34, 64, 48], 33, [3, 3], [1, 1], [1, 1], [1, 1], 1),
    // By minimal filtering: tiles that reach beyond the map on either side, every padding, a part
    // that ends within an image, more than one part.
    ([3, 17, 21, 26], 19, [3, 3], [1, 1], [1, 1], [1, 1], 1),
    ([2, 16, 23, 30], 16, [3, 3], [1, 1], [0, 0], [1, 1], 1),
    ([1, 18, 31, 33], 24, [3, 3], [1, 1], [2, 1], [1, 1], 1),
    ([3, 256, 20, 24], 384, [3, 3], [1, 1], [1, 1], [1, 1], 1),
    ([49, 16, 3, 2], 16, [3, 3], [1, 1], [1, 1], [1, 1], 1),
    // Gradients of the weight by it: few channels and tiles, images that share a task, blocks of
    // channels of which each is summed in several parts.
    ([2, 9, 6, 13], 8, [3, 3], [1, 1], [2, 0], [1, 1], 1),
    ([5, 40, 4, 5], 70, [3, 3], [1, 1], [1, 1], [1, 1], 1),
    ([2, 140, 40, 30], 18, [3, 3], [1, 1], [1, 1], [1, 1], 1),
    // The whole batch at once: several tasks, groups, windows that skip pixels.
    ([3, 70, 4, 5], 110, [3, 3], [1, 1], [1, 1], [1, 1], 1),
    ([2, 60, 7, 6], 80, [3, 3], [2, 1], [0, 1], [1, 2], 2),
    ([4, 130, 2, 2], 90, [1, 1], [1, 1], [0, 0], [1, 1], 1),
    // Single pixels of maps that are not small: several tasks, groups.
    ([2, 70, 30, 21], 130, [1, 1], [1, 1], [0, 0], [1, 1], 1),
    ([1, 12, 30, 21], 18, [1, 1], [1, 1], [0, 0], [1, 1], 2),
];

/// Values in [-1, 1] without a period that the sizes could share.
fn values<const D: usize>(shape: [usize; D], seed: u32) -> FlexTensor {
    let mut state = seed;
    let next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as f32 / (1 << 23) as f32 - 1.0
    };
    let count = shape.iter().product();
    tensor(std::iter::repeat_with(next).take(count).collect(), shape)
}

struct Operands {
    x: FlexTensor,
    weight: FlexTensor,
    bias: FlexTensor,
    grad: FlexTensor,
    options: ConvOptions<2>,
}

fn operands((size, channels, kernel, stride, padding, dilation, groups): Case) -> Operands {
    let options = ConvOptions::new(stride, padding, dilation, groups);
    let x = values(size, 1);
    let weight = values([channels, size[1] / groups, kernel[0], kernel[1]], 2);
    let out = Flex::conv2d(x.clone(), weight.clone(), None, options.clone());
    Operands {
        x,
        weight,
        bias: values([channels], 3),
        grad: values::<4>(out.shape().dims(), 4),
        options,
    }
}

/// Output without and with bias, and the gradients of input, weight and bias.
fn passes<B>(operands: &Operands) -> [FlexTensor; 5]
where
    B: burn_backend::Backend<FloatTensorPrimitive = FlexTensor>,
{
    let x = || operands.x.clone();
    let weight = || operands.weight.clone();
    let bias = || operands.bias.clone();
    let grad = || operands.grad.clone();
    let options = || operands.options.clone();
    [
        B::conv2d(x(), weight(), None, options()),
        B::conv2d(x(), weight(), Some(bias()), options()),
        B::conv2d_x_backward(x(), weight(), grad(), options()),
        B::conv2d_weight_backward(x(), weight(), grad(), options()),
        B::conv2d_bias_backward(x(), bias(), grad()),
    ]
}

fn assert_close(found: &FlexTensor, expected: &FlexTensor, what: &str) {
    assert_eq!(found.shape(), expected.shape(), "{what}");
    let (found, expected) = (found.to_contiguous(), expected.to_contiguous());
    let (found, expected) = (found.storage::<f32>(), expected.storage::<f32>());
    let scale = expected
        .iter()
        .fold(0.0f32, |max, value| max.max(value.abs()));
    for (index, (found, expected)) in found.iter().zip(expected).enumerate() {
        let difference = (found - expected).abs();
        assert!(
            difference <= 1e-5 * scale,
            "{what}[{index}]: {found} instead of {expected}, largest value {scale}"
        );
    }
}

const NAMES: [&str; 5] = ["output", "output with bias", "x", "weight", "bias"];

fn assert_like_flex(operands: &Operands, what: &str) {
    let found = passes::<Cpu>(operands);
    let expected = passes::<Flex>(operands);
    for ((found, expected), name) in found.iter().zip(&expected).zip(NAMES) {
        assert_close(found, expected, &format!("{name} of {what}"));
    }
}

#[test]
fn convolutions_and_gradients_are_those_of_flex() {
    for case in CASES {
        assert_like_flex(&operands(case), &format!("{case:?}"));
    }
}

#[test]
fn views_are_read_in_their_own_order() {
    for case in [CASES[2], CASES[6], CASES[7], CASES[13], CASES[17]] {
        let contiguous = operands(case);
        let view = |tensor: &FlexTensor| tensor.transpose(2, 3).to_contiguous().transpose(2, 3);
        let transposed = Operands {
            x: view(&contiguous.x),
            weight: view(&contiguous.weight),
            bias: contiguous.bias.clone(),
            grad: view(&contiguous.grad),
            options: contiguous.options.clone(),
        };
        assert_like_flex(&transposed, &format!("views, {case:?}"));
        let expanded = Operands {
            grad: Flex::float_expand(tensor(vec![0.5], [1, 1, 1, 1]), contiguous.grad.shape()),
            ..contiguous
        };
        assert_like_flex(&expanded, &format!("expanded gradient, {case:?}"));
    }
}

#[test]
fn other_types_take_the_way_of_flex() {
    let mut operands = operands(CASES[6]);
    for tensor in [
        &mut operands.x,
        &mut operands.weight,
        &mut operands.bias,
        &mut operands.grad,
    ] {
        *tensor = Flex::float_cast(tensor.clone(), FloatDType::F64);
    }
    let pairs = passes::<Cpu>(&operands)
        .into_iter()
        .zip(passes::<Flex>(&operands));
    for ((found, expected), name) in pairs.zip(NAMES) {
        assert_eq!(found.dtype(), DType::F64, "{name}");
        assert_eq!(found.into_data(), expected.into_data(), "{name}");
    }
}

#[test]
fn results_do_not_depend_on_the_number_of_threads() {
    let with = |threads: usize, operands: &Operands| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
        let run = || passes::<Cpu>(operands).map(|tensor| tensor.into_data().bytes.to_vec());
        pool.expect("a pool of a few threads starts").install(run)
    };
    for case in CASES {
        let operands = operands(case);
        let one = with(1, &operands);
        for threads in [2, 3] {
            let found = with(threads, &operands);
            for ((found, one), name) in found.iter().zip(&one).zip(NAMES) {
                assert!(found == one, "{name} of {case:?} with {threads} threads");
            }
        }
    }
}
