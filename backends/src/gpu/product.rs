//! Products of matrices.

use burn_cubecl::CubeRuntime;
use burn_cubecl::kernel::matmul::{self, MatmulStrategy};

use super::T;

/// Lengths of which no number of stages of burn's kernels is odd.
const STEP: usize = 64;

/// A batched product of matrices.
///
/// The double-buffered kernels that autotune may choose take an even number of stages along the inner
/// axis; with an odd number they add what lies behind the operands in memory (tracel-ai/burn#5626). Inner
/// axes of such lengths take burn's kernel with one buffer, which is that of builds without autotune.
pub(super) fn matmul<R: CubeRuntime>(lhs: T<R>, rhs: T<R>) -> T<R> {
    let inner = lhs.meta.shape()[lhs.meta.shape().len() - 1];
    let strategy = if is_safe(inner) {
        MatmulStrategy::default()
    } else {
        MatmulStrategy::Cube
    };
    let dtype = lhs.dtype;
    // As burn's own product does: what it reports is a kernel that cannot be built.
    matmul::matmul(lhs, rhs, None, strategy, dtype).unwrap()
}

/// Whether every kernel of autotune computes an inner axis of this length.
///
/// They check bounds where the length is no multiple of a stage, and the length of a stage is a power of
/// two, at most 32, so that odd lengths are safe, and multiples of [`STEP`]. A product with one column has
/// stages of 128 where a device reads eight numbers at once: that case is left to the comparison with the
/// processor.
fn is_safe(inner: usize) -> bool {
    inner % 2 == 1 || inner.is_multiple_of(STEP)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_tuned_length_has_an_odd_number_of_stages() {
        for inner in (1..2000).filter(|&inner| is_safe(inner)) {
            for stage in [2, 4, 8, 16, 32] {
                let is_checked = !inner.is_multiple_of(stage);
                let is_even = (inner / stage).is_multiple_of(2);
                assert!(is_checked || is_even, "{inner}, {stage}");
            }
        }
        // Of the reports, and of our backbones and label pyramids.
        for inner in [104, 440, 24, 40, 112, 36] {
            assert!(!is_safe(inner), "{inner}");
        }
        assert!([63, 64, 128, 1024].map(is_safe).iter().all(|&safe| safe));
    }
}
