use burn::tensor::backend::AutodiffBackend;
use burn::tensor::module::interpolate;
use burn::tensor::ops::{InterpolateMode, InterpolateOptions};
use burn::tensor::{Int, Tensor};

use super::{Case, ELEMENT, SUM, everywhere, of, of_one, of_two};
use crate::conformance::Layout;
use crate::conformance::input::Input;

pub(super) fn add<B: AutodiffBackend>(cases: &mut Vec<Case<B>>) {
    for input in everywhere(5) {
        let [batch, channels, height, width] = input.shape;
        let area = height * width;
        cases.extend([
            of_one("tokens and back", ELEMENT, input.clone(), move |x| {
                let tokens = x.reshape([batch, channels, area]).swap_dims(1, 2) * 2.0;
                tokens
                    .swap_dims(1, 2)
                    .reshape([batch, channels, height, width])
            }),
            of_one("tokens", ELEMENT, input.clone(), move |x| {
                let tokens = x.reshape([batch, channels, area]).swap_dims(1, 2);
                tokens.reshape([batch, area, channels, 1])
            }),
            of_one("permute and reshape", ELEMENT, input.clone(), move |x| {
                x.permute([0, 2, 3, 1])
                    .reshape([batch * area, channels, 1, 1])
            }),
            of_one("reshape", ELEMENT, input.clone(), move |x| {
                x.reshape([batch * channels, 1, height, width])
            }),
            of_one("unsqueeze", ELEMENT, input.clone(), move |x| {
                let split: Tensor<B, 6> = x.reshape([batch, channels, height, 1, width, 1]);
                split
                    .permute([0, 1, 3, 2, 5, 4])
                    .reshape([batch, channels, height, width])
            }),
            of_one("repeat_dim", ELEMENT, input.clone(), |x| x.repeat_dim(1, 3)),
            of_one("flip", ELEMENT, input.clone(), |x| x.flip([3])),
            of_one("narrow", ELEMENT, input.clone(), move |x| {
                x.narrow(1, channels / 2, channels - channels / 2)
            }),
            of_one("pad", ELEMENT, input.clone(), |x| x.pad((1, 2, 0, 1), 0.5)),
            of_one("roll", ELEMENT, input.clone(), |x| x.roll(&[1, 2], &[2, 3])),
            of_one("split windows", ELEMENT, input.clone(), move |x| {
                let last: Tensor<B, 6> = x
                    .permute([0, 2, 3, 1])
                    .reshape([batch, height, 1, width, 1, channels]);
                last.permute([0, 1, 3, 2, 4, 5])
                    .reshape([batch * area, 1, 1, channels])
            }),
        ]);
        for layout in Layout::ALL {
            let other = Input::new(input.shape, layout, 6);
            cases.push(of_two(
                "cat",
                ELEMENT,
                [input.clone(), other.clone()],
                |a, b| Tensor::cat(vec![a, b], 1),
            ));
            cases.push(of_two(
                "slice_assign",
                ELEMENT,
                [input.clone(), other],
                move |a, b| {
                    let half = channels.div_ceil(2);
                    let part = b.narrow(1, 0, half);
                    a.slice_assign([0..batch, 0..half, 0..height, 0..width], part)
                },
            ));
        }
    }
    // Nearest upsampling: by 2 as the networks do, and to heights that positions in `f32` miss.
    for layout in Layout::ALL {
        let sizes = [
            ([2, 4, 4, 6], [8, 12]),
            ([3, 5, 1, 1], [2, 2]),
            ([1, 8, 7, 3], [14, 6]),
            ([1, 2, 107, 4], [214, 8]),
            ([1, 3, 3, 5], [7, 12]),
        ];
        for (shape, size) in sizes {
            let input = Input::new(shape, layout, 7);
            let more = format!("to {}x{}", size[0], size[1]);
            cases.push(of(
                "interpolate, nearest",
                SUM,
                &more,
                vec![input],
                move |x| {
                    let options = InterpolateOptions::new(InterpolateMode::Nearest);
                    interpolate(x[0].clone(), size, options)
                },
            ));
        }
    }
    let image = Input::new([1, 1, 3, 4], Layout::Contiguous, 8).constant();
    cases.push(of_one("arange", 0.0, image, |x| {
        let range = Tensor::<B, 1, Int>::arange(0..12, &x.device());
        x * 0.0 + range.float().reshape([1, 1, 3, 4])
    }));
}
