//! A map plus a product of matrices, of which the right one has many zeros.

use burn::backend::Autodiff;
use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::NoCheckpointing;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::tensor::Tensor;
use burn_backend::TensorMetadata;
use burn_backend::ops::FloatTensorOps;
use burn_flex::FlexTensor;
use pulp::NullaryFnOnce;

use super::super::Cpu;
use super::super::profile::Timer;
use super::{GRAIN, Place, Target, are_plain, in_order, primitive, read, run, tensor};

/// Columns that are computed side by side.
const LANES: usize = 16;

/// Rows that are: as many sums as a processor needs at a time, each in a register.
const ROWS: usize = 8;

/// The map, `[N, C, H, W]`, and the matrices left, `[N · C · H · W / columns, inner]`, and right,
/// `[inner, columns]`.
pub type Operands<B> = (Tensor<B, 4>, Tensor<B, 2>, Tensor<B, 2>);

/// Without a graph: map + left · right, in place where nobody else holds the map.
///
/// # Errors
/// The operands, where there is no kernel for them.
pub fn plain((base, left, right): Operands<Cpu>) -> Result<Tensor<Cpu, 4>, Operands<Cpu>> {
    let (base, left, right) = (primitive(base), primitive(left), primitive(right));
    if !suit(&base, &left, &right) {
        return Err((tensor(base), tensor(left), tensor(right)));
    }
    Ok(tensor(forward(base, &left, &right)))
}

/// [`plain`] within a graph, which keeps the right matrix alone.
///
/// # Errors
/// The operands, where there is no kernel for them, or the right matrix has a part in a graph.
pub fn tracked(
    (base, left, right): Operands<Autodiff<Cpu>>,
) -> Result<Tensor<Autodiff<Cpu>, 4>, Operands<Autodiff<Cpu>>> {
    let (base, left, right) = (primitive(base), primitive(left), primitive(right));
    if !right.node.requirement.is_none()
        || !suit(&base.primitive, &left.primitive, &right.primitive)
    {
        return Err((tensor(base), tensor(left), tensor(right)));
    }
    let kind = AddProduct
        .prepare::<NoCheckpointing>([base.node.clone(), left.node.clone()])
        .compute_bound()
        .stateful();
    // What is left of the operands must live until the output is in the graph (decision 0017).
    let output = forward(base.primitive, &left.primitive, &right.primitive);
    let output = match kind {
        OpsKind::Tracked(prep) => prep.finish(right.primitive, output),
        OpsKind::UnTracked(prep) => prep.finish(output),
    };
    drop((base.rc, left.rc));
    Ok(tensor(output))
}

/// Whether the product has as many elements as the base.
fn suit(base: &FlexTensor, left: &FlexTensor, right: &FlexTensor) -> bool {
    let ([rows, inner], [inner_too, columns]) = (left.shape().dims(), right.shape().dims());
    are_plain(&[base, left, right])
        && inner == inner_too
        && base.shape().num_elements() == rows * columns
}

#[derive(Debug)]
struct AddProduct;

impl Backward<Cpu, 2> for AddProduct {
    /// The right matrix.
    type State = FlexTensor;

    fn backward(self, ops: Ops<FlexTensor, 2>, grads: &mut Gradients, _: &mut Checkpointer) {
        let gradient = grads.consume::<Cpu>(&ops.node);
        let [of_base, of_left] = ops.parents;
        if let Some(node) = of_left {
            let right = ops.state;
            let [_, columns] = right.shape().dims();
            let gradient = in_order(gradient.clone());
            let rows = gradient.shape().num_elements() / columns;
            let gradient = gradient.reshape([rows, columns].into());
            let of_left = Cpu::float_matmul(gradient, right.transpose(0, 1));
            grads.register::<Cpu>(node.id, of_left);
        }
        if let Some(node) = of_base {
            grads.register::<Cpu>(node.id, gradient);
        }
    }
}

fn forward(base: FlexTensor, left: &FlexTensor, right: &FlexTensor) -> FlexTensor {
    let [inner, columns] = right.shape().dims();
    let _timer = Timer::with_macs("add_product", || {
        (String::new(), left.shape().num_elements() * columns)
    });
    let right = Blocks::of(read(right), columns);
    let mut target = Target::over(base);
    let place = target.place();
    let elements = place.to.len();
    let rows = (GRAIN / columns).next_multiple_of(ROWS).max(ROWS);
    let parts = place.parts(rows * columns).into_iter();
    let jobs = parts.zip(read(left).chunks(rows * inner));
    let jobs = jobs.map(|(place, left)| Forward {
        place,
        left,
        right: &right,
    });
    run(jobs.collect(), elements);
    target.to
}

/// A matrix cut into blocks of columns, each without the rows that are zero in it.
struct Blocks {
    inner: usize,
    columns: usize,
    /// Rows of all blocks, one after the other, the last ones filled up with zeros.
    rows: Vec<(usize, [f32; LANES])>,
    /// Where the rows of each block end.
    ends: Vec<usize>,
}

impl Blocks {
    fn of(values: &[f32], columns: usize) -> Self {
        let (mut rows, mut ends) = (Vec::new(), Vec::new());
        for first in (0..columns).step_by(LANES) {
            for (index, row) in values.chunks_exact(columns).enumerate() {
                let part = &row[first..columns.min(first + LANES)];
                if part.iter().any(|&value| value != 0.0) {
                    let mut lanes = [0.0; LANES];
                    lanes[..part.len()].copy_from_slice(part);
                    rows.push((index, lanes));
                }
            }
            ends.push(rows.len());
        }
        Self {
            inner: values.len() / columns,
            columns,
            rows,
            ends,
        }
    }
}

struct Forward<'a> {
    place: Place<'a>,
    left: &'a [f32],
    right: &'a Blocks,
}

impl NullaryFnOnce for Forward<'_> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        let Blocks { inner, columns, .. } = *self.right;
        let to = self.place.filled().chunks_mut(ROWS * columns);
        for (to, left) in to.zip(self.left.chunks(ROWS * inner)) {
            if left.len() == ROWS * inner {
                add_rows::<ROWS>(to, left, self.right);
            } else {
                let rows = to.chunks_exact_mut(columns);
                for (to, left) in rows.zip(left.chunks_exact(inner)) {
                    add_rows::<1>(to, left, self.right);
                }
            }
        }
    }
}

/// Adds the product of `R` rows.
#[inline(always)]
fn add_rows<const R: usize>(to: &mut [f32], left: &[f32], right: &Blocks) {
    let Blocks { inner, columns, .. } = *right;
    let (to, left) = (&mut to[..R * columns], &left[..R * inner]);
    let mut from = 0;
    for (block, &end) in right.ends.iter().enumerate() {
        let first = block * LANES;
        let width = LANES.min(columns - first);
        let mut sums = [[0.0; LANES]; R];
        for &(index, lanes) in &right.rows[from..end] {
            for (row, sums) in sums.iter_mut().enumerate() {
                let factor = left[row * inner + index];
                for (sum, lane) in sums.iter_mut().zip(&lanes) {
                    *sum += factor * lane;
                }
            }
        }
        from = end;
        for (row, sums) in sums.iter().enumerate() {
            let to = &mut to[row * columns + first..][..width];
            for (value, sum) in to.iter_mut().zip(sums) {
                *value += sum;
            }
        }
    }
}
