use std::ops::{Add, Mul, Sub};

/// Numbers that are computed side by side where the processor's vectors are not asked for.
pub(super) const LANES: usize = 8;

/// A few numbers; the compiler keeps them in vector registers where the processor has such.
///
/// Loops over them are written out: closures of `array::map` and `array::from_fn` are not always
/// inlined, and run without the vector registers then.
#[derive(Clone, Copy)]
pub(super) struct Lanes<const L: usize = LANES>(pub(super) [f32; L]);

impl<const L: usize> Lanes<L> {
    pub(super) const ZERO: Self = Self([0.0; L]);

    #[inline(always)]
    pub(super) fn load(from: &[f32]) -> Self {
        // Cut first: the length is known then, and there is nothing to fall back to.
        Self(from[..L].first_chunk().copied().unwrap_or([0.0; L]))
    }

    #[inline(always)]
    pub(super) fn store(self, to: &mut [f32]) {
        to[..L].copy_from_slice(&self.0);
    }

    #[inline(always)]
    pub(super) fn with(self, other: Self, operation: impl Fn(f32, f32) -> f32) -> Self {
        let mut lanes = self.0;
        for (lane, other) in lanes.iter_mut().zip(other.0) {
            *lane = operation(*lane, other);
        }
        Self(lanes)
    }
}

impl<const L: usize> Add for Lanes<L> {
    type Output = Self;

    #[inline(always)]
    fn add(self, other: Self) -> Self {
        self.with(other, |a, b| a + b)
    }
}

impl<const L: usize> Sub for Lanes<L> {
    type Output = Self;

    #[inline(always)]
    fn sub(self, other: Self) -> Self {
        self.with(other, |a, b| a - b)
    }
}

impl<const L: usize> Mul<f32> for Lanes<L> {
    type Output = Self;

    #[inline(always)]
    fn mul(self, factor: f32) -> Self {
        self.with(self, |value, _| value * factor)
    }
}
