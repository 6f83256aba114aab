use burn::tensor::activation;
use burn::tensor::backend::AutodiffBackend;

use super::{Case, SUM, everywhere, of_one};
use crate::conformance::Layout;
use crate::conformance::input::Input;

pub(super) fn add<B: AutodiffBackend>(cases: &mut Vec<Case<B>>) {
    let long = Layout::ALL.map(|layout| Input::new([2, 3, 65, 129], layout, 4));
    for input in everywhere(4).chain(long) {
        for dim in 0..4 {
            cases.extend([
                of_one("sum_dim", SUM, input.clone(), move |x| x.sum_dim(dim)),
                of_one("mean_dim", SUM, input.clone(), move |x| x.mean_dim(dim)),
            ]);
        }
        // A maximum of numbers that occur twice has a gradient that is shared in some way.
        if input.layout != Layout::Expanded {
            cases.extend([
                of_one("max_dim", SUM, input.clone(), |x| x.max_dim(1)),
                of_one("argmax", 0.0, input.clone().constant(), |x| {
                    x.argmax(1).float()
                }),
                of_one("softmax, channels", SUM, input.clone(), |x| {
                    activation::softmax(x, 1)
                }),
            ]);
        }
        cases.extend([
            of_one("sum", SUM, input.clone().between(0.0, 1.0), |x| {
                x.sum().reshape([1, 1, 1, 1])
            }),
            of_one("mean", SUM, input.clone().between(0.0, 1.0), |x| {
                x.mean().reshape([1, 1, 1, 1])
            }),
            of_one("softmax", SUM, input.clone(), |x| activation::softmax(x, 3)),
            of_one("log_softmax", SUM, input.clone(), |x| {
                activation::log_softmax(x, 1)
            }),
        ]);
    }
}
