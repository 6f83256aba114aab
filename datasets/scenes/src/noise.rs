//! Lattice noise for textures and the random stream that composes a scene.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::math::{floor, lerp, smoothstep};

const STEP_X: u32 = 0x9E37_79B1;
const STEP_Y: u32 = 0x85EB_CA77;

/// Last stage of the lattice hash: mixes the bits and maps them to [0, 1).
#[inline]
fn finish(bits: u32) -> f32 {
    let bits = (bits ^ (bits >> 15)).wrapping_mul(0x2C1B_3C6D);
    let bits = (bits ^ (bits >> 13)).wrapping_mul(0x297A_2D39);
    (bits >> 8) as f32 * (1.0 / 16_777_216.0)
}

/// Integer hash of a lattice point, as a number in [0, 1).
#[inline]
pub(super) fn hash(x: i32, y: i32, seed: u32) -> f32 {
    let y = (y as u32).wrapping_mul(STEP_Y) ^ seed.wrapping_mul(0xC2B2_AE3D);
    finish((x as u32).wrapping_mul(STEP_X) ^ y)
}

/// Value noise of period-1 lattice cells, in [-1, 1].
#[inline]
pub(super) fn value(x: f32, y: f32, seed: u32) -> f32 {
    let (fx, fy) = (floor(x), floor(y));
    let (tx, ty) = (x - fx, y - fy);
    let sx = tx * tx * (3.0 - 2.0 * tx);
    let sy = ty * ty * (3.0 - 2.0 * ty);
    let seed = seed.wrapping_mul(0xC2B2_AE3D);
    let left = (fx as i32 as u32).wrapping_mul(STEP_X);
    let right = left.wrapping_add(STEP_X);
    let row = (fy as i32 as u32).wrapping_mul(STEP_Y);
    let (top, bottom) = (row ^ seed, row.wrapping_add(STEP_Y) ^ seed);
    let above = lerp(finish(left ^ top), finish(right ^ top), sx);
    let below = lerp(finish(left ^ bottom), finish(right ^ bottom), sx);
    lerp(above, below, sy) * 2.0 - 1.0
}

/// `keep * texture()`, without working out a texture that has faded out.
#[inline]
pub(super) fn faded(keep: f32, texture: impl FnOnce() -> f32) -> f32 {
    if keep > 0.0 { keep * texture() } else { 0.0 }
}

/// Fractal sum of `octaves` of [`value`], roughly in [-1, 1], mean 0.
///
/// `footprint` is the pixel's width in the same units as `x` and `y`. An octave fades out where
/// it would be finer than the pixel, so one scene has one look at every resolution.
#[inline]
pub(super) fn fbm(x: f32, y: f32, footprint: f32, seed: u32, octaves: u32) -> f32 {
    let (mut sum, mut amplitude, mut frequency) = (0.0, 0.55, 1.0);
    for octave in 0..octaves {
        let keep = 1.0 - smoothstep(0.35, 0.9, footprint * frequency);
        if keep <= 0.0 {
            break;
        }
        // The shift keeps the lattices of the octaves from meeting at the origin.
        let shift = 17.3 * octave as f32;
        sum += amplitude
            * keep
            * value(
                x * frequency + shift,
                y * frequency - shift,
                seed.wrapping_add(octave),
            );
        amplitude *= 0.5;
        frequency *= 2.03;
    }
    sum
}

/// The stream of random choices that composes one scene.
pub(super) struct Dice(ChaCha8Rng);

impl Dice {
    /// A stream that depends on `seed`, `index` and `purpose` alone.
    pub(super) fn new(seed: u64, index: u64, purpose: &[u8; 16]) -> Self {
        let mut key = [0u8; 32];
        key[..8].copy_from_slice(&seed.to_le_bytes());
        key[8..16].copy_from_slice(&index.to_le_bytes());
        key[16..].copy_from_slice(purpose);
        Self(ChaCha8Rng::from_seed(key))
    }

    /// 32 random bits.
    pub(super) fn bits(&mut self) -> u32 {
        self.0.next_u32()
    }

    /// Uniform in [0, 1).
    pub(super) fn unit(&mut self) -> f32 {
        (self.bits() >> 8) as f32 * (1.0 / 16_777_216.0)
    }

    /// Uniform in [`lo`, `hi`).
    pub(super) fn range(&mut self, lo: f32, hi: f32) -> f32 {
        lo + (hi - lo) * self.unit()
    }

    /// True with probability `p`.
    pub(super) fn chance(&mut self, p: f32) -> bool {
        self.unit() < p
    }

    /// -1 or 1.
    pub(super) fn sign(&mut self) -> f32 {
        if self.chance(0.5) { -1.0 } else { 1.0 }
    }

    /// One of `choices`, all equally likely.
    pub(super) fn pick<T: Copy, const N: usize>(&mut self, choices: [T; N]) -> T {
        choices[((self.unit() * N as f32) as usize).min(N - 1)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn noise_is_continuous_bounded_and_centred() {
        let mut sum = 0.0;
        for i in 0..4000 {
            let x = i as f32 * 0.173 - 300.0;
            let here = value(x, x * 0.31, 5);
            assert!((-1.0..=1.0).contains(&here));
            assert!((value(x + 1e-3, x * 0.31, 5) - here).abs() < 0.01);
            sum += here;
        }
        assert!((sum / 4000.0f32).abs() < 0.05, "mean {}", sum / 4000.0);
    }

    #[test]
    fn value_is_the_hash_at_lattice_points() {
        for (x, y) in [(0, 0), (3, -2), (-5, 7)] {
            let expected = 2.0 * hash(x, y, 9) - 1.0;
            assert!((value(x as f32, y as f32, 9) - expected).abs() < 1e-6);
        }
    }

    #[test]
    fn fbm_vanishes_below_the_footprint() {
        assert_eq!(fbm(0.3, 0.7, 2.0, 1, 5), 0.0);
        assert_ne!(fbm(0.3, 0.7, 0.0, 1, 5), 0.0);
    }

    #[test]
    fn dice_depend_on_every_part_of_the_key() {
        let purpose = b"test-scenes-dice";
        let first = Dice::new(1, 2, purpose).bits();
        assert_eq!(first, Dice::new(1, 2, purpose).bits());
        assert_ne!(first, Dice::new(2, 2, purpose).bits());
        assert_ne!(first, Dice::new(1, 3, purpose).bits());
        assert_ne!(first, Dice::new(1, 2, b"test-scenes-dic2").bits());
    }
}
