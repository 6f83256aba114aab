use burn::tensor::Tensor;
use burn::tensor::backend::AutodiffBackend;

use super::{Case, ELEMENT, SUM, of};
use crate::conformance::Layout;
use crate::conformance::indices;
use crate::conformance::input::Input;

pub(super) fn add<B: AutodiffBackend>(cases: &mut Vec<Case<B>>) {
    // Rows of a table chosen by every pixel of a label map, as the label convolution does.
    for (classes, channels, pixels) in [(12, 24, 4096), (151, 40, 2048), (3, 7, 50), (1, 4, 300)] {
        for layout in [Layout::Contiguous, Layout::Transposed, Layout::Narrowed] {
            let table = Input::new([1, 1, classes, channels], layout, 11);
            let labels = Input::new([1, 1, 1, pixels], Layout::Contiguous, 12).constant();
            cases.push(of("select", SUM, "rows", vec![table, labels], move |x| {
                let table: Tensor<B, 2> = x[0].clone().reshape([classes, channels]);
                let labels = indices(x[1].clone().reshape([pixels]), classes);
                table.select(0, labels).reshape([1, 1, pixels, channels])
            }));
        }
    }
    for layout in Layout::ALL {
        let map = Input::new([2, 6, 5, 9], layout, 13);
        let places = Input::new([1, 1, 1, 20], Layout::Contiguous, 14).constant();
        for dim in [2, 3] {
            let more = format!("axis {dim}");
            let inputs = vec![map.clone(), places.clone()];
            cases.push(of("select", SUM, &more, inputs, move |x| {
                let count = x[0].dims()[dim];
                let places = indices(x[1].clone().reshape([20]), count);
                x[0].clone().select(dim, places)
            }));
        }
        let chosen = Input::new([2, 1, 5, 9], Layout::Contiguous, 15).constant();
        let inputs = vec![map.clone(), chosen];
        cases.push(of("gather", ELEMENT, "channels", inputs, |x| {
            x[0].clone().gather(1, indices(x[1].clone(), 6))
        }));
        let places = Input::new([2, 1, 1, 8], Layout::Contiguous, 16).constant();
        cases.push(of("gather", SUM, "positions", vec![map, places], |x| {
            let positions = indices(x[1].clone().reshape([2, 1, 8]), 45);
            let positions = positions.repeat_dim(1, 6);
            let map: Tensor<B, 3> = x[0].clone().reshape([2, 6, 45]);
            map.gather(2, positions).reshape([2, 6, 1, 8])
        }));
    }
    // Labels of classes counted, compared and resized.
    let labels = Input::new([2, 1, 6, 8], Layout::Contiguous, 17).constant();
    cases.push(of("int", 0.0, "labels", vec![labels], |x| {
        let labels = indices(x[0].clone(), 5);
        let is_two = labels.clone().equal_elem(2).float();
        let next = (labels.clone() + 1).clamp(0, 4);
        let smaller = labels.clone().repeat_dim(1, 2).narrow(1, 0, 1);
        is_two
            + next.float() * 10.0
            + smaller.lower_elem(3).int().float() * 100.0
            + labels.sum().float().reshape([1, 1, 1, 1])
    }));
}
