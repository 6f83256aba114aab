//! Runs a generic test on every backend: flex and ndarray always, wgpu behind its feature.

/// `backend_tests!(a, b)` turns the generic functions `a` and `b` of the surrounding module,
/// `fn a<B: AutodiffBackend>()`, into tests on every backend.
macro_rules! backend_tests {
    ($($name:ident),+ $(,)?) => {
        mod flex {
            $(#[test] fn $name() { super::$name::<dp_sims_backends::FlexAutodiff>() })+
        }
        mod ndarray {
            $(#[test] fn $name() { super::$name::<dp_sims_backends::NdArrayAutodiff>() })+
        }
        #[cfg(feature = "wgpu")]
        mod wgpu {
            $(#[test] fn $name() { super::$name::<dp_sims_backends::WgpuAutodiff>() })+
        }
    };
}

/// Largest difference between two slices relative to the largest magnitude of the second.
pub(crate) fn relative_error(actual: &[f32], expected: &[f32]) -> f32 {
    assert_eq!(actual.len(), expected.len(), "lengths differ");
    assert!(
        actual.iter().all(|value| value.is_finite()),
        "a value is not finite"
    );
    let scale = expected
        .iter()
        .fold(f32::MIN_POSITIVE, |max, value| max.max(value.abs()));
    let largest = actual
        .iter()
        .zip(expected)
        .fold(0f32, |max, (a, e)| max.max((a - e).abs()));
    largest / scale
}
