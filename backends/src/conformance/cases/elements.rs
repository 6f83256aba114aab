use burn::tensor::activation;
use burn::tensor::backend::AutodiffBackend;

use super::{Case, ELEMENT, everywhere, of_one, of_two};
use crate::conformance::Layout;
use crate::conformance::input::Input;

pub(super) fn add<B: AutodiffBackend>(cases: &mut Vec<Case<B>>) {
    for input in everywhere(1) {
        let positive = input.clone().between(0.1, 3.0);
        cases.extend([
            of_one("exp", ELEMENT, input.clone(), |x| x.exp()),
            of_one("log", ELEMENT, positive.clone(), |x| x.log()),
            of_one("sqrt", ELEMENT, positive.clone(), |x| x.sqrt()),
            of_one("recip", ELEMENT, positive.clone(), |x| x.recip()),
            of_one("powf_scalar", ELEMENT, positive, |x| x.powf_scalar(1.7)),
            of_one("tanh", ELEMENT, input.clone(), |x| x.tanh()),
            of_one("erf", ELEMENT, input.clone(), |x| x.erf()),
            of_one("abs", ELEMENT, input.clone(), |x| x.abs()),
            of_one("neg", ELEMENT, input.clone(), |x| x.neg()),
            of_one("sin", ELEMENT, input.clone(), |x| x.sin()),
            of_one("cos", ELEMENT, input.clone(), |x| x.cos()),
            of_one("square", ELEMENT, input.clone(), |x| x.square()),
            of_one("scalars", ELEMENT, input.clone(), |x| {
                ((x + 1.5) * 0.3 - 0.7) / 1.9
            }),
            of_one("clamp", ELEMENT, input.clone(), |x| x.clamp(-0.4, 0.6)),
            of_one("clamp_min", ELEMENT, input.clone(), |x| x.clamp_min(0.1)),
            of_one("clamp_max", ELEMENT, input.clone(), |x| x.clamp_max(0.1)),
            of_one("relu", ELEMENT, input.clone(), activation::relu),
            of_one("sigmoid", ELEMENT, input.clone(), activation::sigmoid),
            of_one("mask_fill", ELEMENT, input.clone(), |x| {
                let mask = x.clone().lower_elem(0.2);
                x.mask_fill(mask, 0.5)
            }),
            of_one("mask_where", ELEMENT, input.clone(), |x| {
                let mask = x.clone().greater_elem(-0.1);
                let other = x.clone() * 3.0;
                x.mask_where(mask, other)
            }),
            of_one("comparisons", ELEMENT, input.clone().constant(), |x| {
                let half = x.clone().mul_scalar(0.5);
                let first = x.clone().greater(half.clone()).float();
                let second = x.clone().lower_equal(half).bool_not().float();
                let [thirds, halves] = [3.0, 2.0].map(|steps| (x.clone() * steps).int());
                let same = thirds.equal(halves).bool_and(x.clone().greater_elem(-0.4));
                let third = x.not_equal_elem(0.0).float();
                first + second * 2.0 + third * 4.0 + same.float() * 8.0
            }),
            of_one("floor", ELEMENT, input.clone().constant(), |x| {
                (x * 7.0).floor()
            }),
        ]);
        for layout in Layout::ALL {
            let other = Input::new(input.shape, layout, 2);
            cases.extend([
                of_two("add", ELEMENT, [input.clone(), other.clone()], |a, b| a + b),
                of_two("sub", ELEMENT, [input.clone(), other.clone()], |a, b| a - b),
                of_two("mul", ELEMENT, [input.clone(), other.clone()], |a, b| a * b),
                of_two(
                    "div",
                    ELEMENT,
                    [input.clone(), other.clone().between(0.5, 2.0)],
                    |a, b| a / b,
                ),
                of_two("max_pair", ELEMENT, [input.clone(), other], |a, b| {
                    a.max_pair(b)
                }),
            ]);
        }
        let [batch, channels, ..] = input.shape;
        for shape in [[1, channels, 1, 1], [batch, channels, 1, 1], [1, 1, 1, 1]] {
            let other = Input::new(shape, Layout::Contiguous, 3);
            cases.extend([
                of_two(
                    "add, broadcast",
                    ELEMENT,
                    [input.clone(), other.clone()],
                    |a, b| a + b,
                ),
                of_two("mul, broadcast", ELEMENT, [input.clone(), other], |a, b| {
                    a * b
                }),
            ]);
        }
    }
}
