use burn::optim::SimpleOptimizer;
use burn::tensor::Tensor;
use burn::tensor::backend::AutodiffBackend;

use super::{Case, ELEMENT, SUM, everywhere, of, of_one, of_two};
use crate::conformance::Layout;
use crate::conformance::input::Input;
use crate::fused;

pub(super) fn add<B: AutodiffBackend>(cases: &mut Vec<Case<B>>) {
    for input in everywhere(41) {
        let [batch, channels, height, width] = input.shape;
        let area = height * width;
        cases.push(of_one("leaky_relu", ELEMENT, input.clone(), |x| {
            fused::leaky_relu(x, 0.2)
        }));
        // Statistics of one element have no gradient to speak of.
        if batch * area > 4 && input.layout != Layout::Expanded {
            cases.push(of_one("normalise", SUM, input.clone(), move |x| {
                let normal = fused::normalise(x.reshape([batch, channels, area]), 1e-5).normal;
                normal.reshape([batch, channels, height, width])
            }));
        }
        let values = Input::new([3, channels, 1, 1], Layout::Contiguous, 42).constant();
        let inputs = [input.clone().constant(), values];
        cases.push(of_two("standardise", ELEMENT, inputs, move |x, values| {
            let [mean, scale, shift] = [0, 1, 2].map(|index| {
                let value = values.clone().inner().narrow(0, index, 1);
                value.reshape([channels])
            });
            let x = x.inner().reshape([batch, channels, area]);
            let output = fused::standardise(x, [mean, scale, shift]);
            Tensor::from_inner(output.reshape([batch, channels, height, width]))
        }));
        let modulation = Input::new([batch, 2 * channels, height, width], input.layout, 43);
        let inputs = [input.clone(), modulation];
        cases.push(of_two("modulate", ELEMENT, inputs, move |x, modulation| {
            fused::modulate(x.reshape([batch, channels, area]), modulation, Some(0.2))
        }));
        let other = Input::new(input.shape, Layout::Contiguous, 44);
        let inputs = [input.clone().constant(), other.clone().constant()];
        cases.push(of_two(
            "moving_average",
            ELEMENT,
            inputs,
            |average, current| {
                Tensor::from_inner(fused::moving_average(average.inner(), current.inner(), 0.9))
            },
        ));
        let inputs = [input.clone().constant(), other.constant()];
        cases.push(of_two("adam", ELEMENT, inputs, |parameter, gradient| {
            let adam = fused::FusedAdam::new(0.5, 0.999, 1e-8);
            let (mut parameter, gradient) = (parameter.inner(), gradient.inner());
            let mut state = None;
            for _ in 0..2 {
                (parameter, state) = adam.step(1e-2, parameter, gradient.clone(), state);
            }
            Tensor::from_inner(parameter)
        }));
        let left = Input::new([1, 1, batch * channels * height, 6], Layout::Contiguous, 45);
        let right = Input::new([1, 1, 6, width], Layout::Contiguous, 46).constant();
        cases.push(of(
            "add_product",
            SUM,
            "",
            vec![input, left, right],
            move |x| {
                let left = x[1].clone().reshape([batch * channels * height, 6]);
                let right = x[2].clone().reshape([6, width]);
                fused::add_product(x[0].clone(), left, right)
            },
        ));
    }
    for shape in [[8, 3, 3, 3], [5, 24, 1, 1], [1, 8, 3, 3], [40, 7, 4, 4]] {
        let [outputs, inputs, kernel, _] = shape;
        let columns = inputs * kernel * kernel;
        let operands = vec![
            Input::new(shape, Layout::Contiguous, 47),
            Input::new([1, 1, 1, outputs], Layout::Contiguous, 48).constant(),
            Input::new([1, 1, 1, columns], Layout::Contiguous, 49).constant(),
        ];
        cases.push(of("spectral_norm", SUM, "", operands, move |x| {
            let vectors = [
                x[1].clone().reshape([outputs]),
                x[2].clone().reshape([columns]),
            ];
            fused::spectral_norm(x[0].clone(), vectors, true).weight
        }));
    }
}
