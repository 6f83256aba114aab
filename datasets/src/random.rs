//! Random numbers as pure functions of a seed, a counter and a purpose.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// What random numbers are drawn for; each purpose has streams of its own.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Purpose {
    /// The order of an epoch; the counter is the epoch.
    Permutation,
    /// A draw with replacement; the counter is the position.
    Draw,
    /// A horizontal flip; the counter is the position.
    Flip,
    /// Where a sample is cut out of its image; the counter is the position.
    Crop,
}

/// The stream of `purpose` keyed by `seed` and `counter`.
pub(crate) fn stream(seed: u64, counter: u64, purpose: Purpose) -> ChaCha8Rng {
    let tag = match purpose {
        Purpose::Permutation => b"order of epoch  ",
        Purpose::Draw => b"balanced draw   ",
        Purpose::Flip => b"horizontal flip ",
        Purpose::Crop => b"place of a crop ",
    };
    let mut key = [0; 32];
    key[..8].copy_from_slice(&seed.to_le_bytes());
    key[8..16].copy_from_slice(&counter.to_le_bytes());
    key[16..].copy_from_slice(tag);
    ChaCha8Rng::from_seed(key)
}

/// A uniform number in [0, 1) with 53 random bits.
pub(crate) fn unit(random: &mut impl Rng) -> f64 {
    (random.next_u64() >> 11) as f64 / (1_u64 << 53) as f64
}

/// A uniform number in 0 to `bound` - 1; 0 when `bound` is 0.
pub(crate) fn below(random: &mut impl Rng, bound: usize) -> usize {
    ((u128::from(random.next_u64()) * bound as u128) >> 64) as usize
}
