use burn_backend::ops::AttentionModuleOptions;
use burn_backend::{DType, Shape, TensorMetadata};
use burn_flex::FlexTensor;
use pulp::Arch;
use rayon::prelude::*;

use super::blank::{Blank, slots};
use super::conv::{Matrix, set_product, set_scaled_product, shaped, zeros};
use super::exponential::{Exponentials, Shares};
use super::matmul::Operand;

/// Queries that one task takes: many outweigh the packing of many keys, few leave tasks for all
/// threads and stay in the cache. Depends on sizes alone, so that results do not depend on the number
/// of threads.
fn queries_of_a_task(queries: usize, keys: usize) -> usize {
    (queries.min(keys) / 8).clamp(128, 512)
}

/// Fewest multiply-adds that are worth a second thread.
const FEWEST: usize = 1 << 21;

/// softmax(Q · Kᵀ · scale) · V, operands read where they lie.
///
/// Costs queries · keys · (d + d_v) multiply-adds; memory for the scores of up to 512 queries per
/// thread, so that it grows with the number of keys alone. Declines types other than `f32`, axes that run
/// backwards, empty operands, causal attention and capped scores.
///
/// # Shapes
/// - `query`: `[N, heads, queries, d]`
/// - `key`: `[N, heads, keys, d]`
/// - `value`: `[N, heads, keys, d_v]`
/// - result: `[N, heads, queries, d_v]`
pub(super) fn attention(
    query: &FlexTensor,
    key: &FlexTensor,
    value: &FlexTensor,
    options: &AttentionModuleOptions,
) -> Option<FlexTensor> {
    let tensors = [query, key, value];
    let is_plain = tensors.iter().all(|tensor| {
        let is_empty = tensor.shape().num_elements() == 0;
        tensor.dtype() == DType::F32 && !is_empty && tensor.shape().num_dims() == 4
    });
    if !is_plain || options.is_causal || options.softcap.is_some() {
        return None;
    }
    let [batch, heads, queries, depth] = query.shape().dims();
    let [_, _, keys, values] = value.shape().dims();
    if key.shape() != Shape::from([batch, heads, keys, depth])
        || value.shape() != Shape::from([batch, heads, keys, values])
    {
        return None;
    }
    let scale = options.scale.unwrap_or(1.0 / (depth as f64).sqrt()) as f32;
    let (query, key, value) = (Operand::of(query)?, Operand::of(key)?, Operand::of(value)?);
    let length = batch * heads * queries * values;
    let is_small = batch * heads * queries * keys * (depth + values) < FEWEST;
    let mut out = if is_small {
        vec![0.0; length]
    } else {
        zeros(length)
    };
    let per_task = queries_of_a_task(queries, keys);
    let heads_of_all = out.chunks_exact_mut(queries * values).enumerate();
    let tasks: Vec<_> = heads_of_all
        .flat_map(|(head, out)| {
            let blocks = out.chunks_mut(per_task * values).enumerate();
            blocks.map(move |(block, out)| (head, block * per_task, out))
        })
        .collect();
    let compute = |(head, first, out): (usize, usize, &mut [f32])| {
        let [query_start, key_start, value_start] =
            [&query, &key, &value].map(|operand| operand.start(&[batch, heads], head));
        let rows = out.len() / values;
        let mut scores = Blank::new(rows * keys);
        let keys_across = key.matrix(key_start);
        set_scaled_product(
            scores.slots(),
            [rows, depth, keys],
            query.matrix(query_start + first * query.row_stride),
            Matrix {
                row_stride: keys_across.column_stride,
                column_stride: keys_across.row_stride,
                ..keys_across
            },
            scale,
        );
        // SAFETY: a product fills its output.
        let mut scores = unsafe { scores.filled() };
        let mut sums = vec![0.0; rows];
        let arch = Arch::new();
        arch.dispatch(Exponentials {
            rows: &mut scores,
            sums: &mut sums,
        });
        let sums = &sums;
        // The shorter rows are divided: the scores, or what they make of the values.
        if keys < values {
            let rows = &mut scores;
            arch.dispatch(Shares { rows, sums });
        }
        let weights = Matrix {
            values: &scores,
            row_stride: keys,
            column_stride: 1,
        };
        let sizes = [rows, keys, values];
        // SAFETY: a product writes numbers.
        let slots = unsafe { slots(out) };
        set_product(slots, sizes, weights, value.matrix(value_start));
        if keys >= values {
            arch.dispatch(Shares { rows: out, sums });
        }
    };
    if is_small {
        tasks.into_iter().for_each(compute);
    } else {
        tasks.into_par_iter().for_each(compute);
    }
    Some(shaped(out, Shape::from([batch, heads, queries, values])))
}

#[cfg(test)]
mod tests {
    use burn_backend::ops::{AttentionModuleOptions, ModuleOps};
    use burn_flex::Flex;

    use super::super::Cpu;
    use super::*;

    fn numbers(shape: [usize; 4], offset: usize, factor: f32) -> FlexTensor {
        let count: usize = shape.iter().product();
        let number = |index: usize| ((index + offset) as f32 * 0.7371).sin() * factor;
        shaped((0..count).map(number).collect(), Shape::from(shape))
    }

    /// By the definition, in `f64`.
    fn expected([query, key, value]: [&FlexTensor; 3], scale: f64) -> Vec<f32> {
        let [batch, heads, queries, depth] = query.shape().dims();
        let [_, _, keys, values] = value.shape().dims();
        let [query, key, value] = [query, key, value].map(FlexTensor::to_contiguous);
        let [q, k, v] = [&query, &key, &value].map(|tensor| tensor.storage::<f32>());
        let mut out = Vec::new();
        for head in 0..batch * heads {
            for row in 0..queries {
                let q = &q[(head * queries + row) * depth..][..depth];
                let scores: Vec<f64> = (0..keys)
                    .map(|column| {
                        let k = &k[(head * keys + column) * depth..][..depth];
                        let products = q.iter().zip(k).map(|(a, b)| f64::from(*a) * f64::from(*b));
                        products.sum::<f64>() * scale
                    })
                    .collect();
                let largest = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
                let weights: Vec<f64> = scores.iter().map(|s| (s - largest).exp()).collect();
                let sum: f64 = weights.iter().sum();
                for column in 0..values {
                    let v = |index: usize| f64::from(v[(head * keys + index) * values + column]);
                    let total: f64 = weights.iter().enumerate().map(|(i, w)| w * v(i)).sum();
                    out.push((total / sum) as f32);
                }
            }
        }
        out
    }

    fn assert_attends(query: &FlexTensor, key: &FlexTensor, value: &FlexTensor, bound: f32) {
        for scale in [None, Some(0.4)] {
            let options = AttentionModuleOptions {
                scale,
                ..Default::default()
            };
            let found = attention(query, key, value, &options).unwrap();
            let depth = query.shape()[3] as f64;
            let wanted = expected([query, key, value], scale.unwrap_or(1.0 / depth.sqrt()));
            for (found, wanted) in found.storage::<f32>().iter().zip(&wanted) {
                let what = format!("{:?} {:?}", query.shape(), key.shape());
                assert!((found - wanted).abs() < bound, "{what}: {found}, {wanted}");
            }
        }
    }

    #[test]
    fn weights_are_the_softmax_of_scaled_products() {
        for ([batch, heads, queries, depth], keys, values) in [
            ([1, 1, 1, 1], 1, 1),
            ([2, 3, 5, 4], 7, 3),
            ([1, 1, 300, 33], 70, 20),
            ([2, 1, 513, 16], 1, 5),
            ([1, 1, 1100, 8], 1050, 4),
        ] {
            let query = numbers([batch, heads, queries, depth], 0, 1.0);
            let key = numbers([batch, heads, keys, depth], 1, 1.0);
            let value = numbers([batch, heads, keys, values], 2, 1.0);
            assert_attends(&query, &key, &value, 2e-6);
        }
    }

    #[test]
    fn operands_are_read_where_they_lie() {
        let query = numbers([2, 8, 1, 90], 0, 1.0).permute(&[0, 2, 3, 1]);
        let key = numbers([2, 8, 1, 50], 1, 1.0).permute(&[0, 2, 3, 1]);
        let value = numbers([2, 1, 60, 6], 2, 1.0).narrow(2, 7, 50);
        assert_attends(&query, &key, &value, 2e-6);
    }

    #[test]
    fn views_of_maps_are_attended_to_like_rows() {
        let [query, key, value] = [0, 1, 2].map(|offset| {
            let map = numbers([2, 1, 20, 400], offset, 1.0);
            map.transpose(2, 3)
        });
        assert_attends(&query, &key, &value, 2e-6);
        let options = Default::default();
        let found = attention(&query, &key, &value, &options).unwrap();
        let flex = Flex::attention(query, key, value, None, None, options).to_contiguous();
        for (found, wanted) in found.storage::<f32>().iter().zip(flex.storage::<f32>()) {
            assert!((found - wanted).abs() < 1e-5, "{found}, {wanted}");
        }
    }

    #[test]
    fn huge_scores_do_not_overflow() {
        let query = numbers([1, 1, 20, 4], 0, 300.0);
        let key = numbers([1, 1, 30, 4], 1, 300.0);
        let value = numbers([1, 1, 30, 4], 2, 1.0);
        // Products of this size are themselves rounded by a hundredth.
        assert_attends(&query, &key, &value, 2e-2);
    }

    #[test]
    fn the_key_of_an_extreme_score_takes_all_weight() {
        // Scores are 10⁴ or -10⁴ of whole numbers, which have no rounding.
        let key = shaped(vec![-1.0, 1.0, -1.0], Shape::from([1, 1, 3, 1]));
        let value = shaped(vec![5.0, 7.0, 9.0], Shape::from([1, 1, 3, 1]));
        let query = shaped(vec![1e4, -1e4, 0.0], Shape::from([1, 1, 3, 1]));
        let found = attention(&query, &key, &value, &Default::default()).unwrap();
        assert_eq!(found.storage::<f32>(), [7.0, 7.0, 7.0]);
    }

    #[test]
    fn results_do_not_depend_on_the_number_of_threads() {
        let query = numbers([1, 2, 700, 24], 0, 1.0);
        let key = numbers([1, 2, 90, 24], 1, 1.0);
        let value = numbers([1, 2, 90, 9], 2, 1.0);
        let with = |threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
            let run = || attention(&query, &key, &value, &Default::default()).unwrap();
            pool.expect("a pool of a few threads starts")
                .install(run)
                .into_data()
        };
        assert_eq!(with(1), with(2));
        assert_eq!(with(1), with(3));
    }

    #[test]
    fn what_it_declines_is_left_to_flex() {
        let query = numbers([1, 2, 6, 4], 0, 1.0);
        let options = AttentionModuleOptions {
            is_causal: true,
            ..Default::default()
        };
        assert!(attention(&query, &query, &query, &options).is_none());
        let attend = |options| {
            let operands = (query.clone(), query.clone(), query.clone());
            Cpu::attention(operands.0, operands.1, operands.2, None, None, options)
        };
        let first = attend(options).to_contiguous();
        // The first query sees nothing but the first key.
        let from = query.storage::<f32>();
        for (found, wanted) in first.storage::<f32>()[..4].iter().zip(from) {
            assert!((found - wanted).abs() < 1e-6, "{found}, {wanted}");
        }
    }
}
