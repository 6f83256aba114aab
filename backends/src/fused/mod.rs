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
pub use attention::attention;
pub use average::moving_average;
pub use labels::convolve_labels;
pub use modulate::{modulate, modulate_standardised};
pub use normalise::{Normalised, normalise, standardise};
pub use product::add_product;
pub use spectral::{Scaled, spectral_norm};

use std::any::Any;

/// Tries a kernel on the operands for every GPU backend that is compiled in, and returns from the
/// function around it where one takes them. `$Runtime` and `$Bool` are the types of the backend.
macro_rules! on_gpus {
    ($operands:ident, $Runtime:ident, $Bool:ident, |$own:ident| $kernel:expr) => {{
        #[cfg(feature = "wgpu")]
        let $operands = {
            type $Runtime = burn_wgpu::WgpuRuntime;
            type $Bool = u32;
            match crate::fused::attempt($operands, |$own| $kernel) {
                Ok(output) => return Ok(output),
                Err(operands) => operands,
            }
        };
        #[cfg(feature = "cuda")]
        let $operands = {
            type $Runtime = cubecl::cuda::CudaRuntime;
            type $Bool = u8;
            match crate::fused::attempt($operands, |$own| $kernel) {
                Ok(output) => return Ok(output),
                Err(operands) => operands,
            }
        };
        $operands
    }};
}
pub(crate) use on_gpus;

/// What a kernel makes of the operands if they are of its types, and the operands themselves if they
/// are not or it declines.
pub(crate) fn attempt<Operands, Own, OwnOutput, Output>(
    operands: Operands,
    kernel: impl FnOnce(Own) -> Result<OwnOutput, Own>,
) -> Result<Output, Operands>
where
    Operands: 'static,
    Own: 'static,
    OwnOutput: 'static,
    Output: 'static,
{
    match kernel(cast(operands)?) {
        Ok(output) => match cast(output) {
            Ok(output) => Ok(output),
            Err(_) => unreachable!("the backend of the output is that of the operands"),
        },
        Err(operands) => match cast(operands) {
            Ok(operands) => Err(operands),
            Err(_) => unreachable!("the operands had this type before"),
        },
    }
}

/// The same value under another name of its type, or as it came if its type is another.
fn cast<From: 'static, To: 'static>(value: From) -> Result<To, From> {
    let mut slot = Some(value);
    let place: &mut dyn Any = &mut slot;
    let taken = place.downcast_mut::<Option<To>>().and_then(Option::take);
    match (taken, slot) {
        (Some(value), _) => Ok(value),
        (None, Some(value)) => Err(value),
        (None, None) => unreachable!("what is taken out is handed on"),
    }
}

#[cfg(all(test, feature = "flex"))]
mod tests {
    use super::*;

    #[test]
    fn only_the_same_type_is_cast() {
        assert_eq!(cast::<u8, u8>(3), Ok(3));
        assert_eq!(cast::<u8, i8>(3), Err(3));
        let kernel = |text: String| {
            if text.is_empty() {
                Err(text)
            } else {
                Ok(text.len())
            }
        };
        assert_eq!(attempt::<String, _, _, usize>("four".into(), kernel), Ok(4));
        assert_eq!(
            attempt::<String, _, _, usize>(String::new(), kernel),
            Err(String::new())
        );
        assert_eq!(attempt::<u8, _, _, usize>(7, kernel), Err(7));
    }
}
