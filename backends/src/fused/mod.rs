//! What networks and their training do often, each in as few passes over memory as the backend
//! allows.
//!
//! A network written in burn's operations reads and writes a feature map once per operation. A
//! function of this module is one operation where there is a kernel for it: on [`cpu::Cpu`], in `f32`
//! and contiguous memory, with a graph and without. Everywhere else it is composed of burn's
//! operations. Both differ by rounding alone, which the tests of each function hold them to,
//! gradients included.
//!
//! Callers stay generic over [`Backend`](burn::tensor::backend::Backend): the kernels know their
//! backend by the type of the operands (`book/src/decisions/0020-fused-operations.md`).
//!
//! [`cpu::Cpu`]: crate::cpu::Cpu

#![allow(
    clippy::result_large_err,
    clippy::type_complexity,
    reason = "an error is no failure: it hands all operands back, as they came"
)]

mod activation;
pub(crate) mod adam;
pub(crate) mod attention;
mod average;
mod labels;
mod modulate;
mod normalise;
mod product;
pub(crate) mod spectral;
#[cfg(test)]
pub(crate) mod testing;

pub use activation::leaky_relu;
pub use adam::FusedAdam;
pub use attention::{attention, keeps_scores};
pub use average::moving_average;
pub use labels::convolve_labels;
pub use modulate::{modulate, modulate_standardised};
#[cfg(all(test, feature = "flex", feature = "distributed"))]
pub(crate) use normalise::composed as composed_normalise;
pub use normalise::{Normalised, normalise, standardise};
pub use product::add_product;
pub use spectral::{Scaled, spectral_norm};

/// Tries a kernel on the operands for every GPU backend that is compiled in, and returns from the
/// function around it where one takes them. `$Runtime` and `$Bool` are the types of the backend.
macro_rules! on_gpus {
    ($operands:ident, $Runtime:ident, $Bool:ident, |$own:ident| $kernel:expr) => {{
        #[cfg(feature = "wgpu")]
        let $operands = {
            type $Runtime = burn_wgpu::WgpuRuntime;
            type $Bool = u32;
            match crate::attempt::attempt($operands, |$own| $kernel) {
                Ok(output) => return Ok(output),
                Err(operands) => operands,
            }
        };
        #[cfg(feature = "cuda")]
        let $operands = {
            type $Runtime = cubecl::cuda::CudaRuntime;
            type $Bool = u8;
            match crate::attempt::attempt($operands, |$own| $kernel) {
                Ok(output) => return Ok(output),
                Err(operands) => operands,
            }
        };
        $operands
    }};
}
pub(crate) use on_gpus;
