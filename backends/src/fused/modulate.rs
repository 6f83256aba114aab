use burn::tensor::backend::Backend;
use burn::tensor::{Tensor, activation};
#[cfg(feature = "flex")]
use dp_sims_cpu::fused::modulate as kernels;

use super::on_gpus;
use super::standardise;
#[cfg(feature = "flex")]
use crate::attempt::attempt;

/// Scales and shifts every element by values of its own, as spatially adaptive normalisation does,
/// and applies a leaky ReLU of this slope, if any.
///
/// With a kernel, one pass forward, and one backward that writes the gradient of the modulation as a
/// whole; the graph keeps both operands, and the output where a leaky ReLU follows.
///
/// # Shapes
/// - normal: `[N, C, HW]`
/// - modulation: `[N, 2C, H, W]`, the scales before the shifts
/// - output: `[N, C, H, W]`
pub fn modulate<B: Backend>(
    normal: Tensor<B, 3>,
    modulation: Tensor<B, 4>,
    slope: Option<f64>,
) -> Tensor<B, 4> {
    in_one_pass(normal, modulation, slope)
        .unwrap_or_else(|(normal, modulation)| composed(normal, modulation, slope))
}

/// [`modulate`] of what [`standardise`] makes of features.
///
/// With a kernel, which there is without a graph alone, one pass.
///
/// # Shapes
/// - input: `[N, C, HW]`
/// - mean, scale, shift: `[C]`
/// - modulation: `[N, 2C, H, W]`, the scales before the shifts
/// - output: `[N, C, H, W]`
pub fn modulate_standardised<B: Backend>(
    input: Tensor<B, 3>,
    values @ [_, _, _]: [Tensor<B, 1>; 3],
    modulation: Tensor<B, 4>,
    slope: Option<f64>,
) -> Tensor<B, 4> {
    standardised_in_one_pass((input, values, modulation), slope.unwrap_or(1.0)).unwrap_or_else(
        |(input, values, modulation)| modulate(standardise(input, values), modulation, slope),
    )
}

type Standardised<B> = (Tensor<B, 3>, [Tensor<B, 1>; 3], Tensor<B, 4>);

fn standardised_in_one_pass<B: Backend>(
    operands: Standardised<B>,
    slope: f64,
) -> Result<Tensor<B, 4>, Standardised<B>> {
    #[cfg(feature = "flex")]
    let operands = match attempt(operands, |own| kernels::standardised(own, slope)) {
        Err(operands) => operands,
        output => return output,
    };
    let operands = on_gpus!(operands, Runtime, Bool, |own| {
        crate::gpu::fused::modulate::standardised::<Runtime, Bool>(own, slope)
    });
    let _ = slope;
    Err(operands)
}

fn in_one_pass<B: Backend>(
    normal: Tensor<B, 3>,
    modulation: Tensor<B, 4>,
    slope: Option<f64>,
) -> Result<Tensor<B, 4>, (Tensor<B, 3>, Tensor<B, 4>)> {
    let operands = (normal, modulation);
    let slope = slope.unwrap_or(1.0);
    #[cfg(feature = "flex")]
    let operands = match attempt(operands, |operands| kernels::plain(operands, slope)) {
        Err(operands) => match attempt(operands, |operands| kernels::tracked(operands, slope)) {
            Err(operands) => operands,
            output => return output,
        },
        output => return output,
    };
    let operands = on_gpus!(operands, Runtime, Bool, |own| {
        crate::gpu::fused::modulate::plain::<Runtime, Bool>(own, slope)
    });
    let operands = on_gpus!(operands, Runtime, Bool, |own| {
        crate::gpu::fused::modulate::tracked::<Runtime, Bool>(own, slope)
    });
    let _ = slope;
    Err(operands)
}

fn composed<B: Backend>(
    normal: Tensor<B, 3>,
    modulation: Tensor<B, 4>,
    slope: Option<f64>,
) -> Tensor<B, 4> {
    let [batch, channels, pixels] = normal.dims();
    let [_, _, height, width] = modulation.dims();
    let half = |from: usize| {
        modulation
            .clone()
            .slice([0..batch, from..from + channels])
            .reshape([batch, channels, pixels])
    };
    let (scale, shift) = (half(0), half(channels));
    let output = (normal * scale + shift).reshape([batch, channels, height, width]);
    match slope {
        Some(slope) => activation::leaky_relu(output, slope),
        None => output,
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::backend::AutodiffBackend;

    use super::super::testing::{assert_close, backend_tests, has_kernels, is_gpu, numbers};
    use super::*;

    type Form<B> = fn(Tensor<B, 3>, Tensor<B, 4>, Option<f64>) -> Tensor<B, 4>;

    fn operands<B: Backend>(
        [batch, channels, height, width]: [usize; 4],
    ) -> (Tensor<B, 3>, Tensor<B, 4>) {
        let normal = numbers([batch, channels, height * width], 1);
        (normal, numbers([batch, 2 * channels, height, width], 2))
    }

    const SHAPES: [[usize; 4]; 5] = [
        [1, 1, 1, 1],
        [2, 3, 5, 7],
        [3, 1, 1, 1],
        [1, 1, 170, 190],
        [3, 33, 27, 29],
    ];

    fn agrees_with_the_composed_form<B: AutodiffBackend>() {
        for shape in SHAPES {
            for slope in [None, Some(0.2)] {
                let run = |form: Form<B>, reused: bool| {
                    let (a, b) = operands::<B>(shape);
                    let (a, b) = (a.require_grad(), b.require_grad());
                    let (normal, modulation) = (a.clone() + 0.0, b.clone() + 0.0);
                    let output = form(normal.clone(), modulation.clone(), slope);
                    let mut loss = (output.clone() * numbers(shape, 3)).sum();
                    if reused {
                        loss = loss + normal.square().sum() + modulation.square().sum();
                    }
                    let gradients = loss.backward();
                    let of_modulation = b.grad(&gradients).unwrap();
                    (output.inner(), a.grad(&gradients).unwrap(), of_modulation)
                };
                for reused in [false, true] {
                    let (found, expected) = (run(modulate, reused), run(composed, reused));
                    assert_close(found.0, expected.0, 0.0, "output");
                    assert_close(found.1, expected.1, 1e-6, "gradient of normal");
                    assert_close(found.2, expected.2, 1e-6, "gradient of modulation");
                }
            }
        }
    }

    fn leaves_shared_operands_alone<B: AutodiffBackend>() {
        for shape in SHAPES {
            let (normal, modulation) = operands::<B::InnerBackend>(shape);
            let held = (normal.clone(), modulation.clone());
            let before = (normal.to_data(), modulation.to_data());
            let output = modulate(normal, modulation, Some(0.2));
            assert_eq!((held.0.to_data(), held.1.to_data()), before);
            let (normal, modulation) = operands(shape);
            let alone = modulate(normal, modulation, Some(0.2));
            assert_close(alone, output, 0.0, "in place");
        }
    }

    /// A gradient that other operations read as well stays as it is.
    fn leaves_a_shared_gradient_alone<B: AutodiffBackend>() {
        let shape = [2, 3, 5, 7];
        let run = |form: Form<B>| {
            let (normal, modulation) = operands::<B>(shape);
            let (normal, modulation) = (normal.require_grad(), modulation.require_grad());
            let other = numbers::<B, 4>(shape, 4).require_grad();
            let output = form(normal.clone(), modulation.clone(), Some(0.2));
            let sum = output + other.clone();
            let gradients = (sum * numbers(shape, 3)).sum().backward();
            (
                normal.grad(&gradients).unwrap(),
                other.grad(&gradients).unwrap(),
            )
        };
        let (found, expected) = (run(modulate), run(composed));
        assert_close(found.0, expected.0, 1e-6, "gradient of normal");
        assert_close(found.1, expected.1, 0.0, "gradient of the other");
    }

    fn takes_the_kernel<B: AutodiffBackend>() {
        let (normal, modulation) = operands::<B>([2, 3, 5, 7]);
        let taken = |normal: Tensor<B, 3>| {
            let plain = in_one_pass(normal.clone().inner(), modulation.clone().inner(), None);
            [
                plain.is_ok(),
                in_one_pass(normal, modulation.clone(), Some(0.2)).is_ok(),
            ]
        };
        let has_kernels = has_kernels::<B>() || is_gpu::<B>();
        assert_eq!(taken(normal.clone()), [has_kernels; 2]);
        let swapped = numbers::<B, 3>([35, 3, 2], 1).swap_dims(0, 2);
        assert_eq!(taken(swapped.clone()), [is_gpu::<B>(); 2]);
        let output = modulate(swapped.clone(), modulation.clone(), None);
        let bound = if is_gpu::<B>() { 1e-6 } else { 0.0 };
        assert_close(
            output,
            composed(swapped, modulation, None),
            bound,
            "swapped",
        );
    }

    /// Without a graph and with one.
    fn standardised_features_are_modulated_alike<B: AutodiffBackend>() {
        fn check<B: Backend>() {
            for shape in SHAPES {
                let (input, modulation) = operands::<B>(shape);
                let values = [1, 2, 3].map(|offset| numbers::<B, 1>([shape[1]], 5 + offset));
                for slope in [None, Some(0.2)] {
                    let found = modulate_standardised(
                        input.clone(),
                        values.clone(),
                        modulation.clone(),
                        slope,
                    );
                    let normal = standardise(input.clone(), values.clone());
                    let expected = modulate(normal, modulation.clone(), slope);
                    assert_close(found, expected, 0.0, "output");
                }
            }
        }
        check::<B::InnerBackend>();
        check::<B>();
    }

    backend_tests!(
        standardised_features_are_modulated_alike,
        agrees_with_the_composed_form,
        leaves_shared_operands_alone,
        leaves_a_shared_gradient_alone,
        takes_the_kernel
    );
}
