//! Vectors, colours and the small filters that every surface of a scene shares.

use std::ops::{Add, Mul, Sub};

/// A point, a direction (metres; x right, y up, z into the picture) or a linear-light RGB colour.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Vec3 {
    pub(super) x: f32,
    pub(super) y: f32,
    pub(super) z: f32,
}

/// Shorthand for a [`Vec3`].
pub(super) const fn vec3(x: f32, y: f32, z: f32) -> Vec3 {
    Vec3 { x, y, z }
}

impl Vec3 {
    /// Scalar product.
    pub(super) fn dot(self, other: Self) -> f32 {
        self.x * other.x + self.y * other.y + self.z * other.z
    }

    /// The vector scaled to unit length.
    pub(super) fn normalised(self) -> Self {
        self * (1.0 / self.dot(self).sqrt())
    }

    /// Linear interpolation: `self` at `t` = 0, `other` at `t` = 1.
    pub(super) fn mix(self, other: Self, t: f32) -> Self {
        self + (other - self) * t
    }
}

impl Add for Vec3 {
    type Output = Self;
    fn add(self, o: Self) -> Self {
        vec3(self.x + o.x, self.y + o.y, self.z + o.z)
    }
}

impl Sub for Vec3 {
    type Output = Self;
    fn sub(self, o: Self) -> Self {
        vec3(self.x - o.x, self.y - o.y, self.z - o.z)
    }
}

impl Mul<f32> for Vec3 {
    type Output = Self;
    fn mul(self, s: f32) -> Self {
        vec3(self.x * s, self.y * s, self.z * s)
    }
}

impl Mul for Vec3 {
    type Output = Self;
    fn mul(self, o: Self) -> Self {
        vec3(self.x * o.x, self.y * o.y, self.z * o.z)
    }
}

/// Linear-light colour of a display colour `0xRRGGBB`, with the display curve taken as a square.
pub(super) const fn rgb(hex: u32) -> Vec3 {
    let r = ((hex >> 16) & 255) as f32 / 255.0;
    let g = ((hex >> 8) & 255) as f32 / 255.0;
    let b = (hex & 255) as f32 / 255.0;
    vec3(r * r, g * g, b * b)
}

/// Largest integer not above `x`, for |x| < 2³¹.
///
/// Written with a cast because `f32::floor` is a library call on processors without SSE4.1, and
/// textures spend much of their time here.
#[inline]
pub(super) fn floor(x: f32) -> f32 {
    let whole = x as i32 as f32;
    if whole > x { whole - 1.0 } else { whole }
}

/// The part of `x` above [`floor`], in [0, 1).
#[inline]
pub(super) fn fract(x: f32) -> f32 {
    x - floor(x)
}

/// Clamps to [0, 1].
pub(super) fn saturate(x: f32) -> f32 {
    x.clamp(0.0, 1.0)
}

/// Linear interpolation between two numbers.
pub(super) fn lerp(a: f32, b: f32, t: f32) -> f32 {
    a + (b - a) * t
}

/// 0 below `lo`, 1 above `hi`, a cubic ramp between; `lo` > `hi` gives the falling ramp.
pub(super) fn smoothstep(lo: f32, hi: f32, x: f32) -> f32 {
    let t = saturate((x - lo) / (hi - lo));
    t * t * (3.0 - 2.0 * t)
}

/// Share of the window of width `width` around `x` that lies in [`lo`, `hi`].
pub(super) fn band(x: f32, lo: f32, hi: f32, width: f32) -> f32 {
    let w = width.max(1e-4);
    saturate(((x + 0.5 * w).min(hi) - (x - 0.5 * w).max(lo)) / w)
}

/// Box-filtered pulse train of period 1 that is on for `lo..hi` of each period.
///
/// `width` is the filter's width in periods: the value tends to `hi - lo` as the pattern becomes
/// finer than a pixel, which is what keeps distant windows and paving free of moiré.
pub(super) fn pulse(x: f32, lo: f32, hi: f32, width: f32) -> f32 {
    let w = width.max(1e-4);
    let area = |v: f32| {
        let whole = floor(v);
        whole * (hi - lo) + (v - whole - lo).clamp(0.0, hi - lo)
    };
    // Near 0 the difference of the two areas keeps its precision.
    let x = fract(x);
    saturate((area(x + 0.5 * w) - area(x - 0.5 * w)) / w)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pulse_is_sharp_when_narrow_and_average_when_wide() {
        assert_eq!(pulse(3.25, 0.2, 0.6, 1e-4), 1.0);
        assert_eq!(pulse(-2.25, 0.2, 0.6, 1e-4), 0.0);
        assert!((pulse(0.3, 0.2, 0.6, 20.0) - 0.4).abs() < 1e-3);
    }

    #[test]
    fn floor_agrees_with_the_standard_library() {
        for x in [-2.5f32, -2.0, -0.1, -0.0, 0.0, 0.9, 1.0, 7.3] {
            assert_eq!(floor(x), x.floor(), "{x}");
            assert!((0.0..1.0).contains(&fract(x)));
        }
    }

    #[test]
    fn band_is_the_covered_share() {
        assert_eq!(band(0.0, 0.0, 1.0, 0.5), 0.5);
        assert_eq!(band(0.5, 0.0, 1.0, 0.5), 1.0);
        assert_eq!(band(2.0, 0.0, 1.0, 0.5), 0.0);
    }
}
