use burn::tensor::Tensor;
use burn::tensor::backend::AutodiffBackend;
use burn::tensor::module::attention;

use super::{Case, SUM, of, of_two};
use crate::conformance::Layout;
use crate::conformance::input::Input;

pub(super) fn add<B: AutodiffBackend>(cases: &mut Vec<Case<B>>) {
    // Inner lengths of our networks whose number of stages is odd in some kernels, and others.
    let sizes = [
        (64, 24, 16),
        (33, 40, 5),
        (7, 104, 64),
        (64, 112, 33),
        (16, 440, 24),
        (5, 1, 9),
        (1, 64, 129),
        (130, 7, 1),
        (65, 192, 66),
    ];
    for (rows, inner, columns) in sizes {
        for layout in Layout::ALL {
            let left = Input::new([2, 1, rows, inner], layout, 21);
            let right = |layout| Input::new([2, 1, inner, columns], layout, 22);
            for other in [Layout::Contiguous, Layout::Transposed] {
                let inputs = [left.clone(), right(other)];
                cases.push(of_two("matmul", SUM, inputs, |a, b| a.matmul(b)));
            }
            let shared = Input::new([1, 1, inner, columns], Layout::Contiguous, 23);
            cases.push(of_two(
                "matmul, one right operand",
                SUM,
                [left.clone(), shared],
                |a, b| a.matmul(b),
            ));
        }
    }
    for (queries, keys, width) in [(64, 64, 16), (35, 9, 8), (1, 1, 32)] {
        for layout in [Layout::Contiguous, Layout::Transposed, Layout::Narrowed] {
            let query = Input::new([2, 1, queries, width], layout, 24);
            let key = Input::new([2, 1, keys, width], layout, 25);
            let value = Input::new([2, 1, keys, width], Layout::Contiguous, 26);
            let inputs = [query, key, value].map(|input| input.constant()).into();
            cases.push(of("attention", SUM, "", inputs, |x: Vec<Tensor<B, 4>>| {
                let [query, key, value] = [0, 1, 2].map(|index| x[index].clone().inner());
                let read = attention(query, key, value, None, None, Default::default());
                Tensor::from_inner(read)
            }));
        }
    }
}
