#[cfg(any(feature = "flex", feature = "wgpu", feature = "cuda"))]
mod ranks;

use burn::tensor::Tensor;
use burn::tensor::backend::Backend;
#[cfg(feature = "flex")]
use dp_sims_cpu::fused::{normalise as kernels, standardise as given};

use super::on_gpus;
#[cfg(feature = "flex")]
use crate::attempt::attempt;
use crate::collective::{Group, current, mean_over_ranks};

/// What [`normalise`] makes of a batch.
#[derive(Clone, Debug)]
pub struct Normalised<B: Backend> {
    /// The batch with mean zero and variance one in each channel, `[N, C, HW]`.
    pub normal: Tensor<B, 3>,
    /// Mean of each channel before, `[C]`; a constant for the gradient.
    pub mean: Tensor<B, 1>,
    /// Biased variance of each channel before, `[C]`; a constant for the gradient.
    pub variance: Tensor<B, 1>,
}

/// What a kernel makes: the batch, and mean and variance.
#[cfg(any(feature = "flex", feature = "wgpu", feature = "cuda"))]
fn normalised<B: Backend>(
    (normal, [mean, variance]): (Tensor<B, 3>, [Tensor<B, 1>; 2]),
) -> Normalised<B> {
    Normalised {
        normal,
        mean,
        variance,
    }
}

/// Normalises each channel by the statistics of the batch: (x − μ) / √(σ² + ε).
///
/// With a kernel, a channel is read three times and written once, in place where nobody else holds
/// the input, and stays in the cache meanwhile if it is small; backward, a channel is read twice. The
/// graph keeps the output alone. Sums are taken in double precision over sums of some elements in
/// single precision.
///
/// As one of a [group](crate::collective::Group::run), statistics and their gradient are those of all ranks'
/// batches together, which are of one shape. The kernels are cut in halves then, and one all-reduce comes between:
/// of `[2C]` for each rank forward, and of `[2C]` backward. Without a kernel there are two of `[C]` in each
/// direction. Where the mean is large beside the deviation, the variance is off by the rounding of the mean, not of its
/// square.
///
/// # Shapes
/// - input: `[N, C, HW]`
pub fn normalise<B: Backend>(input: Tensor<B, 3>, epsilon: f64) -> Normalised<B> {
    let output = match current().filter(|group| group.ranks() > 1) {
        Some(group) => in_halves(input, epsilon, group),
        None => in_few_passes(input, epsilon),
    };
    output.unwrap_or_else(|input| composed(input, epsilon))
}

fn in_few_passes<B: Backend>(
    input: Tensor<B, 3>,
    epsilon: f64,
) -> Result<Normalised<B>, Tensor<B, 3>> {
    #[cfg(feature = "flex")]
    let input = match attempt(input, |own| kernels::plain(own, epsilon).map(normalised)) {
        Err(input) => input,
        output => return output,
    };
    #[cfg(feature = "flex")]
    let input = match attempt(input, |own| kernels::tracked(own, epsilon).map(normalised)) {
        Err(input) => input,
        output => return output,
    };
    let input = on_gpus!(input, Runtime, Bool, |own| {
        crate::gpu::fused::normalise::plain::<Runtime, Bool>(own, epsilon).map(normalised)
    });
    let input = on_gpus!(input, Runtime, Bool, |own| {
        crate::gpu::fused::normalise::tracked::<Runtime, Bool>(own, epsilon).map(normalised)
    });
    let _ = epsilon;
    Err(input)
}

fn in_halves<B: Backend>(
    input: Tensor<B, 3>,
    epsilon: f64,
    group: Group,
) -> Result<Normalised<B>, Tensor<B, 3>> {
    #[cfg(feature = "flex")]
    let input = match attempt(input, |own| {
        ranks::plain::<dp_sims_cpu::Cpu>(own, epsilon, group)
    }) {
        Err(input) => input,
        output => return output,
    };
    #[cfg(feature = "flex")]
    let input = match attempt(input, |own| {
        ranks::tracked::<dp_sims_cpu::Cpu>(own, epsilon, group)
    }) {
        Err(input) => input,
        output => return output,
    };
    let input = on_gpus!(input, Runtime, Bool, |own| {
        ranks::plain::<crate::gpu::Gpu<Runtime, Bool>>(own, epsilon, group)
    });
    let input = on_gpus!(input, Runtime, Bool, |own| {
        ranks::tracked::<crate::gpu::Gpu<Runtime, Bool>>(own, epsilon, group)
    });
    let _ = (epsilon, group);
    Err(input)
}

/// Means are taken over the contiguous axis first.
pub(crate) fn composed<B: Backend>(input: Tensor<B, 3>, epsilon: f64) -> Normalised<B> {
    let [batch, channels, _] = input.dims();
    let mean_per_channel = |values: Tensor<B, 3>| {
        let own = values.mean_dim(2).mean_dim(0).reshape([channels]);
        mean_over_ranks(own).reshape([1, channels, 1])
    };
    let mean = mean_per_channel(input.clone());
    let centred = input - mean.clone().repeat_dim(0, batch);
    let variance = mean_per_channel(centred.clone().square());
    let scale = variance.clone().add_scalar(epsilon).sqrt().recip();
    let constant = |values: Tensor<B, 3>| values.detach().reshape([channels]);
    Normalised {
        normal: centred * scale.repeat_dim(0, batch),
        mean: constant(mean),
        variance: constant(variance),
    }
}

/// Scales and shifts each channel by values that are given: (x − mean) · scale + shift.
///
/// With a kernel, which there is without a graph alone, one pass.
///
/// # Shapes
/// - input: `[N, C, HW]`
/// - mean, scale, shift: `[C]`
/// - output: `[N, C, HW]`
pub fn standardise<B: Backend>(
    input: Tensor<B, 3>,
    values @ [_, _, _]: [Tensor<B, 1>; 3],
) -> Tensor<B, 3> {
    standardised_in_one_pass((input, values)).unwrap_or_else(|(input, values)| {
        let [batch, channels, _] = input.dims();
        // CPU backends have a fast path for one value per contiguous row, and a slow one for the general
        // broadcast.
        let rows = values.map(|values| values.reshape([1, channels, 1]).repeat_dim(0, batch));
        let [mean, scale, shift] = rows;
        (input - mean) * scale + shift
    })
}

type Standardised<B> = (Tensor<B, 3>, [Tensor<B, 1>; 3]);

fn standardised_in_one_pass<B: Backend>(
    operands: Standardised<B>,
) -> Result<Tensor<B, 3>, Standardised<B>> {
    #[cfg(feature = "flex")]
    let operands = match attempt(operands, given::standardise) {
        Err(operands) => operands,
        output => return output,
    };
    let operands = on_gpus!(operands, Runtime, Bool, |own| {
        crate::gpu::fused::standardise::standardise::<Runtime, Bool>(own)
    });
    Err(operands)
}

#[cfg(test)]
mod tests {
    use burn::tensor::backend::AutodiffBackend;

    use super::super::testing::{assert_close, backend_tests, has_kernels, is_gpu, numbers};
    use super::*;
    use crate::collective::Place;

    const EPSILON: f64 = 1e-5;
    const SHAPES: [[usize; 3]; 6] = [
        [1, 1, 9],
        [2, 3, 35],
        [3, 5, 1],
        [1, 1, 40_000],
        [5, 33, 999],
        [2, 2, 33_000],
    ];

    /// A batch whose mean is large beside its deviation.
    fn batch<B: Backend>(shape: [usize; 3]) -> Tensor<B, 3> {
        numbers(shape, 1) + 3.0
    }

    fn agrees_with_the_composed_form<B: AutodiffBackend>() {
        for shape in SHAPES {
            let run = |form: fn(Tensor<B, 3>, f64) -> Normalised<B>, reused: bool| {
                let leaf = batch::<B>(shape).require_grad();
                let input = leaf.clone() + 0.0;
                let Normalised {
                    normal,
                    mean,
                    variance,
                } = form(input.clone(), EPSILON);
                // Means and variances carry no gradient.
                let statistics = mean.clone().sum() + variance.clone().sum();
                let mut loss = (normal.clone() * numbers(shape, 3)).sum() + statistics;
                if reused {
                    loss = loss + input.square().sum();
                }
                let gradient = leaf.grad(&loss.backward()).unwrap();
                (normal.inner(), mean.inner(), variance.inner(), gradient)
            };
            for reused in [false, true] {
                let (found, expected) = (run(normalise, reused), run(composed, reused));
                // The mean of thousands of numbers around 3, in single precision, differs by some
                // 1e-6 from one that is summed in double precision, and everything follows it.
                assert_close(found.0, expected.0, 5e-6, "normal");
                assert_close(found.1, expected.1, 2e-6, "mean");
                assert_close(found.2, expected.2, 5e-6, "variance");
                assert_close(found.3, expected.3, 5e-6, "gradient");
            }
        }
    }

    fn leaves_shared_operands_alone<B: AutodiffBackend>() {
        for shape in SHAPES {
            let input = batch::<B::InnerBackend>(shape);
            let (held, before) = (input.clone(), input.to_data());
            let output = normalise(input, EPSILON);
            assert_eq!(held.to_data(), before);
            let alone = normalise(batch(shape), EPSILON);
            assert_close(alone.normal, output.normal, 0.0, "in place");
        }
    }

    fn takes_the_kernel<B: AutodiffBackend>() {
        let input = batch::<B>([2, 3, 35]);
        let taken = |input: Tensor<B, 3>| {
            let plain = in_few_passes(input.clone().inner(), EPSILON).is_ok();
            [plain, in_few_passes(input, EPSILON).is_ok()]
        };
        let has_kernels = has_kernels::<B>() || is_gpu::<B>();
        assert_eq!(taken(input), [has_kernels; 2]);
        let swapped = batch::<B>([35, 3, 2]).swap_dims(0, 2);
        assert_eq!(taken(swapped.clone()), [is_gpu::<B>(); 2]);
        let (found, expected) = (
            normalise(swapped.clone(), EPSILON),
            composed(swapped, EPSILON),
        );
        let bound = if is_gpu::<B>() { 1e-6 } else { 0.0 };
        assert_close(found.normal, expected.normal, bound, "swapped");
    }

    /// A rank without others puts its own sums between the halves.
    fn halves_make_the_whole<B: AutodiffBackend>() {
        let alone = Place {
            rank: 0,
            ranks: 1,
            thread: 0,
            threads: 1,
        };
        let group = Group::join::<B::InnerBackend>(alone, None, &Default::default()).unwrap();
        for shape in SHAPES {
            let run = |halves: bool| {
                let leaf = batch::<B>(shape).require_grad();
                let input = leaf.clone() + 0.0;
                let output = match halves {
                    true => in_halves(input, EPSILON, group),
                    false => in_few_passes(input, EPSILON),
                };
                let output = output.ok()?;
                let loss = (output.normal.clone() * numbers(shape, 3)).sum();
                let gradient = leaf.grad(&loss.backward()).unwrap();
                let [mean, variance] = [output.mean, output.variance].map(Tensor::inner);
                Some((output.normal.inner(), mean, variance, gradient))
            };
            let Some(found) = run(true) else {
                assert!(!has_kernels::<B>() && !is_gpu::<B>());
                return;
            };
            let expected = run(false).unwrap();
            // Both do the same in the same order; a GPU's compiler may fuse a product and a sum.
            let bound = if is_gpu::<B>() { 1e-6 } else { 0.0 };
            assert_close(found.0, expected.0, bound, "normal");
            assert_close(found.1, expected.1, bound, "mean");
            assert_close(found.2, expected.2, bound, "variance");
            assert_close(found.3, expected.3, bound, "gradient");
            let plain = in_halves(batch::<B>(shape).inner(), EPSILON, group).unwrap();
            let expected = normalise(batch::<B>(shape).inner(), EPSILON);
            assert_close(plain.normal, expected.normal, bound, "without a graph");
        }
    }

    fn given_values_are_taken<B: AutodiffBackend>() {
        for shape in SHAPES {
            let values = [4, 5, 6].map(|offset| numbers::<B, 1>([shape[1]], offset));
            let input = batch::<B>(shape);
            let expected = standardise(input.clone(), values.clone()).inner();
            let values = values.map(Tensor::inner);
            let input = input.inner();
            let (held, before) = (input.clone(), input.to_data());
            let found = standardise(input, values.clone());
            assert_eq!(held.to_data(), before);
            assert_close(found, expected.clone(), 0.0, "shared");
            assert_close(standardise(batch(shape), values), expected, 0.0, "in place");
        }
    }

    backend_tests!(
        agrees_with_the_composed_form,
        leaves_shared_operands_alone,
        takes_the_kernel,
        halves_make_the_whole,
        given_values_are_taken
    );
}
