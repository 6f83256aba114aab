//! What burn computes wrong, and our way around it, on the same device.

use burn::backend::Autodiff;
use burn::tensor::Tensor;
use burn::tensor::backend::AutodiffBackend;
use burn::tensor::module::interpolate;
use burn::tensor::ops::{InterpolateMode, InterpolateOptions};

use crate::fused::testing::{assert_close, numbers};
use crate::{WgpuAutodiff, conformance};

type Burn = Autodiff<burn_wgpu::CubeBackend<burn_wgpu::WgpuRuntime, f32, i32, u32>>;

/// Largest relative error of some values.
fn error(found: &[f32], expected: &[f32]) -> f32 {
    let largest = expected
        .iter()
        .fold(0f32, |most, value| most.max(value.abs()));
    let differences = found.iter().zip(expected).map(|(a, b)| (a - b).abs());
    differences.fold(0f32, f32::max) / largest
}

fn values<B: AutodiffBackend, const D: usize>(tensor: Tensor<B, D>) -> Vec<f32> {
    tensor.into_data().to_vec().unwrap()
}

/// Tokens `[4, 1, 8]` as a map `[4, 8, 1, 1]`, as attention over one position makes it.
fn map_of_tokens<B: AutodiffBackend>() -> Vec<f32> {
    let tokens = numbers::<B, 3>([4, 1, 8], 1);
    // Multiplied, so that what lies in memory is read by a kernel and not moved as it is.
    values(tokens.swap_dims(1, 2).reshape([4, 8, 1, 1]) * 2.0)
}

/// The gradient of nearest upsampling by 2 when the output's gradient has its channels innermost.
fn gradient_of_upsampling<B: AutodiffBackend>() -> Vec<f32> {
    let input = numbers::<B, 4>([2, 4, 3, 5], 2).require_grad();
    let options = InterpolateOptions::new(InterpolateMode::Nearest);
    let output = interpolate(input.clone(), [6, 10], options).permute([0, 2, 3, 1]);
    let gradients = (output * numbers([2, 6, 10, 4], 3)).sum().backward();
    values(Tensor::<B, 4>::from_inner(input.grad(&gradients).unwrap()))
}

#[test]
fn a_transposed_tensor_gets_a_unit_axis() {
    let expected = map_of_tokens::<crate::FlexAutodiff>();
    assert_eq!(map_of_tokens::<WgpuAutodiff>(), expected);
    let burn = error(&map_of_tokens::<Burn>(), &expected);
    assert!(
        burn > 0.5,
        "burn is right now ({burn}): the way around can go"
    );
}

#[test]
fn upsampling_passes_gradients_whose_channels_are_innermost() {
    let expected = gradient_of_upsampling::<crate::FlexAutodiff>();
    let own = error(&gradient_of_upsampling::<WgpuAutodiff>(), &expected);
    assert!(own < 1e-6, "{own}");
    let burn = error(&gradient_of_upsampling::<Burn>(), &expected);
    assert!(
        burn > 0.5,
        "burn is right now ({burn}): the way around can go"
    );
}

/// The rows of a table, chosen by more indices than the table has rows, and their gradient.
#[test]
fn rows_are_added_up_in_parts() {
    fn run<B: AutodiffBackend>() -> Tensor<B::InnerBackend, 2> {
        let table = numbers::<B, 2>([9, 20], 4).require_grad();
        let labels = (numbers::<B, 1>([5000], 5) + 1.0) * 4.5;
        let rows = table
            .clone()
            .select(0, labels.detach().clamp(0.0, 8.0).int());
        let gradients = (rows * numbers([5000, 20], 6)).sum().backward();
        table.grad(&gradients).unwrap()
    }
    let found = run::<WgpuAutodiff>().into_data();
    let found = Tensor::from_data(found, &Default::default());
    assert_close(found, run::<crate::FlexAutodiff>(), 1e-5, "table");
}

#[test]
fn every_operation_equals_that_of_the_processor() {
    let suite = conformance::Suite::default();
    let expected = suite.run::<crate::FlexAutodiff>(&Default::default(), |_| {});
    let found = suite.run::<WgpuAutodiff>(&Default::default(), |_| {});
    let wrong: Vec<_> = conformance::compare(&found, &expected)
        .into_iter()
        .filter(|verdict| !verdict.is_equal())
        .collect();
    assert!(
        wrong.is_empty(),
        "{} of {}: {wrong:#?}",
        wrong.len(),
        found.len()
    );
}

/// The same with burn's own backend finds its defects.
#[test]
fn the_suite_finds_what_burn_computes_wrong() {
    let suite = conformance::Suite::default();
    let expected = suite.run::<crate::FlexAutodiff>(&Default::default(), |_| {});
    let found = suite.run::<Burn>(&Default::default(), |_| {});
    let verdicts = conformance::compare(&found, &expected);
    let is_wrong = |operation: &str| {
        let mut of = verdicts.iter().filter(|one| one.operation == operation);
        of.any(|verdict| !verdict.is_equal())
    };
    for operation in ["tokens and back", "interpolate, nearest", "sum_dim"] {
        assert!(is_wrong(operation), "{operation}");
    }
}
