//! Trying code for one backend on operands whose backend is known by their type alone.

#![allow(
    clippy::result_large_err,
    reason = "an error is no failure: it hands all operands back, as they came"
)]

use std::any::Any;

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
