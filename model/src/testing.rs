//! Runs a generic test on every backend (flex and ndarray always, wgpu behind its feature), and
//! makes the tensors that the reference scripts make.

use burn::tensor::{Tensor, TensorData, backend::Backend};
use sha2::{Digest, Sha256};

use crate::weights::StateDict;

/// `backend_tests!(a, b)` turns the generic functions `a` and `b` of the surrounding module,
/// `fn a<B: AutodiffBackend>()`, into tests on every backend.
///
/// `backend_tests!(a; without ndarray: b)` leaves `b` out on ndarray, whose convolutions take minutes
/// at the size of published networks. An attribute, such as `#[ignore = "…"]`, may stand before `b`.
///
/// The crate that calls it has a feature `wgpu` and depends on `dp-sims-backends` in its tests.
#[macro_export]
macro_rules! backend_tests {
    ($($name:ident),* $(; without ndarray: $($(#[$attribute:meta])* $large:ident),+)? $(,)?) => {
        mod flex {
            $(#[test] fn $name() { super::$name::<dp_sims_backends::FlexAutodiff>() })*
            $($(#[test] $(#[$attribute])* fn $large() { super::$large::<dp_sims_backends::FlexAutodiff>() })+)?
        }
        mod ndarray {
            $(#[test] fn $name() { super::$name::<dp_sims_backends::NdArrayAutodiff>() })*
        }
        #[cfg(feature = "wgpu")]
        mod wgpu {
            $(#[test] fn $name() { super::$name::<dp_sims_backends::WgpuAutodiff>() })*
            $($(#[test] $(#[$attribute])* fn $large() { super::$large::<dp_sims_backends::WgpuAutodiff>() })+)?
        }
    };
}

/// Largest difference between two slices relative to the largest magnitude of the second.
pub fn relative_error(actual: &[f32], expected: &[f32]) -> f32 {
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

/// The numbers of a tensor.
pub fn values<B: Backend, const D: usize>(tensor: Tensor<B, D>) -> Vec<f32> {
    tensor.into_data().convert::<f32>().to_vec().unwrap()
}

/// A tensor of the formula of `tests/reference/formula.py`: values of a trained network's size
/// that depend on the name and the position alone, so that networks of full size need no stored
/// weights.
pub fn formula(name: &str, shape: &[usize]) -> TensorData {
    let uniform = formula_uniform(name, shape.iter().product());
    let fan_in: usize = shape.iter().skip(1).product();
    let gain = (4.5 / fan_in as f64).sqrt() as f32;
    let values: Vec<f32> = uniform
        .map(|u| match shape.len() {
            _ if name.ends_with("running_var") => 0.75 + 0.25 * u,
            1 if name.ends_with("weight") => 1.0 + 0.2 * u,
            0 | 1 => 0.1 * u,
            _ => gain * u,
        })
        .collect();
    TensorData::new(values, shape.to_vec())
}

/// The numbers behind [`formula`], uniform in [-1, 1).
fn formula_uniform(name: &str, count: usize) -> impl Iterator<Item = f32> {
    let digest = Sha256::digest(name.as_bytes());
    let seed = u64::from_le_bytes(digest[..8].try_into().unwrap());
    (0..count as u64).map(move |index| {
        let z = seed.wrapping_add(index).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        let z = z ^ (z >> 31);
        (z >> 40) as f32 / (1u32 << 23) as f32 - 1.0
    })
}

/// Every tensor of a listing `[[name, shape], ...]` as JSON, which `formula.fill` returns.
pub fn formula_dict(listing: &str) -> StateDict {
    let listing: Vec<(String, Vec<usize>)> = serde_json::from_str(listing).unwrap();
    listing
        .into_iter()
        .map(|(name, shape)| {
            let data = formula(&name, &shape);
            (name, data)
        })
        .collect()
}

/// The picture of `formula.image`, `[1, 3, height, width]` in [-1, 1].
pub fn formula_image(height: usize, width: usize, phase: f64) -> TensorData {
    let mut pixels = Vec::with_capacity(3 * height * width);
    for channel in 0..3 {
        for y in 0..height {
            for x in 0..width {
                let (c, y, x) = (channel as f64, y as f64, x as f64);
                let value = 0.6 * (0.21 * x + 0.13 * (c + 1.0) * y + c + phase).sin()
                    + 0.4 * (0.003 * x * y + 0.5 * c).cos();
                pixels.push(value as f32);
            }
        }
    }
    TensorData::new(pixels, [1, 3, height, width])
}

#[test]
fn the_formula_is_that_of_the_reference_scripts() {
    let uniform: Vec<f32> = formula_uniform("a.weight", 4).collect();
    assert_eq!(
        uniform,
        [0.129_543_9, -0.690_177_1, 0.545_512_2, 0.536_226_4]
    );
    let weight: Vec<f32> = formula("a.weight", &[2, 2]).to_vec().unwrap();
    let expected = [0.194_315_85, -1.035_265_7, 0.818_268_3, 0.804_339_6];
    assert!(relative_error(&weight, &expected) < 1e-6, "{weight:?}");
}
