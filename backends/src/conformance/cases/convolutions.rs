use burn::tensor::Tensor;
use burn::tensor::backend::AutodiffBackend;
use burn::tensor::module::{adaptive_avg_pool2d, avg_pool2d, conv_transpose2d, conv2d, max_pool2d};
use burn::tensor::ops::{ConvOptions, ConvTransposeOptions};

use super::{Case, SUM, of, of_one};
use crate::conformance::Layout;
use crate::conformance::input::Input;

/// Input, output channels, kernel, stride, padding, groups.
type Sizes = ([usize; 4], usize, usize, usize, usize, usize);

/// Convolutions of generator, discriminator, backbones and judging networks, made small.
const CONVOLUTIONS: [Sizes; 16] = [
    ([2, 3, 9, 12], 8, 3, 1, 1, 1),
    ([1, 16, 8, 8], 16, 3, 1, 1, 1),
    ([3, 24, 4, 6], 24, 3, 1, 1, 1),
    ([2, 8, 1, 1], 12, 3, 1, 1, 1),
    ([1, 7, 5, 3], 5, 3, 1, 1, 1),
    ([2, 3, 16, 16], 8, 3, 2, 1, 1),
    ([2, 3, 8, 8], 6, 4, 4, 0, 1),
    ([2, 8, 8, 8], 12, 2, 2, 0, 1),
    ([2, 24, 6, 6], 16, 1, 1, 0, 1),
    ([2, 40, 5, 4], 24, 1, 1, 0, 1),
    ([1, 104, 3, 7], 40, 1, 1, 0, 1),
    ([1, 112, 4, 4], 440, 1, 1, 0, 1),
    ([4, 440, 1, 1], 104, 1, 1, 0, 1),
    ([2, 8, 8, 8], 8, 7, 1, 3, 8),
    ([2, 12, 9, 9], 12, 3, 2, 1, 12),
    ([1, 8, 6, 6], 8, 3, 1, 1, 4),
];

pub(super) fn add<B: AutodiffBackend>(cases: &mut Vec<Case<B>>) {
    for (shape, outputs, kernel, stride, padding, groups) in CONVOLUTIONS {
        for layout in Layout::ALL {
            let inputs = vec![
                Input::new(shape, layout, 31),
                Input::new(
                    [outputs, shape[1] / groups, kernel, kernel],
                    Layout::Contiguous,
                    32,
                ),
                Input::new([1, outputs, 1, 1], Layout::Contiguous, 33),
            ];
            let more = format!("stride {stride}, padding {padding}, groups {groups}");
            let options = ConvOptions::new([stride; 2], [padding; 2], [1; 2], groups);
            cases.push(of("conv2d", SUM, &more, inputs, move |x| {
                let bias = x[2].clone().reshape([outputs]);
                conv2d(x[0].clone(), x[1].clone(), Some(bias), options.clone())
            }));
        }
    }
    for layout in Layout::ALL {
        let inputs = vec![
            Input::new([2, 6, 5, 4], layout, 34),
            Input::new([6, 3, 2, 2], Layout::Contiguous, 35),
        ];
        cases.push(of("conv_transpose2d", SUM, "stride 2", inputs, |x| {
            let options = ConvTransposeOptions::new([2, 2], [0, 0], [0, 0], [1, 1], 1);
            conv_transpose2d(x[0].clone(), x[1].clone(), None, options)
        }));
        let inputs = vec![
            Input::new([1, 6, 9, 9], layout, 36),
            Input::new([4, 6, 3, 3], Layout::Contiguous, 37),
        ];
        cases.push(of(
            "conv2d",
            SUM,
            "dilation 2",
            inputs,
            |x: Vec<Tensor<B, 4>>| {
                let options = ConvOptions::new([1, 1], [2, 2], [2, 2], 1);
                conv2d(x[0].clone(), x[1].clone(), None, options)
            },
        ));
        for shape in [[2, 6, 8, 8], [1, 5, 9, 7]] {
            let input = Input::new(shape, layout, 38);
            cases.extend([
                of_one("avg_pool2d", SUM, input.clone(), |x| {
                    avg_pool2d(x, [3, 3], [2, 2], [1, 1], false, false)
                }),
                of_one("avg_pool2d, halves", SUM, input.clone(), |x| {
                    avg_pool2d(x, [2, 2], [2, 2], [0, 0], true, false)
                }),
                of_one("adaptive_avg_pool2d", SUM, input.clone(), |x| {
                    adaptive_avg_pool2d(x, [1, 1])
                }),
            ]);
            if layout != Layout::Expanded {
                cases.extend([
                    of_one("max_pool2d", SUM, input.clone(), |x| {
                        max_pool2d(x, [2, 2], [2, 2], [0, 0], [1, 1], false)
                    }),
                    of_one("max_pool2d, overlapping", SUM, input, |x| {
                        max_pool2d(x, [3, 3], [2, 2], [1, 1], [1, 1], false)
                    }),
                ]);
            }
        }
    }
}
