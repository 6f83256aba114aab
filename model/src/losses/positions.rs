//! Random positions of feature maps for the contrastive loss.

use rand::RngExt;

use crate::init::counter_rng;

/// `count` different positions of a map with `hw` positions, all of them if it has fewer; a
/// function of its arguments.
pub fn sample_positions(rng_seed: u64, step: u64, hw: usize, count: usize) -> Vec<i32> {
    // The size is part of the purpose: the scales of one step draw independently.
    let mut rng = counter_rng(rng_seed, step, &format!("contrastive positions of {hw}"));
    let mut positions: Vec<i32> = (0..hw as i32).collect();
    let count = count.min(hw);
    for drawn in 0..count {
        let other = rng.random_range(drawn as u32..hw as u32) as usize;
        positions.swap(drawn, other);
    }
    positions.truncate(count);
    positions
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_differ_and_are_a_function_of_seed_and_step() {
        let drawn = sample_positions(1, 2, 256, 129);
        assert_eq!(drawn, sample_positions(1, 2, 256, 129));
        assert_ne!(drawn, sample_positions(1, 3, 256, 129));
        assert_ne!(drawn, sample_positions(2, 2, 256, 129));
        let mut sorted = drawn.clone();
        sorted.sort_unstable();
        sorted.dedup();
        assert_eq!(sorted.len(), 129);
        assert!(sorted[0] >= 0 && sorted[128] < 256);
        assert_ne!(drawn, sorted, "positions come in random order");
        let mut all = sample_positions(1, 2, 6, 129);
        all.sort_unstable();
        assert_eq!(all, [0, 1, 2, 3, 4, 5]);
    }

    #[test]
    fn positions_are_uniform() {
        let mut counts = [0; 16];
        for step in 0..4000 {
            for position in sample_positions(7, step, 16, 4) {
                counts[position as usize] += 1;
            }
        }
        // 1000 each; the standard deviation is 27.
        assert!(
            counts.iter().all(|count| (860..1140).contains(count)),
            "{counts:?}"
        );
    }
}
