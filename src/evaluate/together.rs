//! Ranks that judge images together.

use anyhow::{Error, Result, ensure};
use dp_sims_datasets::Share;

/// The ranks that judge the images of a pass, each its part of the batches. What they find comes together on the
/// first one, in the order of the images.
pub struct Together<'a> {
    /// The part that is this rank's.
    pub share: Share,
    /// Every rank's numbers, by rank; all have as many.
    pub gather: &'a dyn Fn(Vec<f32>) -> Result<Vec<Vec<f32>>>,
}

impl Together<'_> {
    /// One rank, which judges all.
    pub fn alone() -> Self {
        Self {
            share: Share::default(),
            gather: &|own| Ok(vec![own]),
        }
    }

    /// Whether this is the rank that has the values in the end.
    pub fn is_first(&self) -> bool {
        self.share.part == 0
    }

    /// The first rank's numbers, on every rank.
    pub(super) fn of_first(&self, numbers: Vec<f32>) -> Result<Vec<f32>> {
        let mut all = (self.gather)(numbers)?;
        Ok(all.swap_remove(0))
    }
}

/// Rounds in each of which every rank works on one of so many pieces.
///
/// A rank that fails goes on to the end of the round, so that none waits for it, and then all end.
pub(super) struct Rounds<'a> {
    together: &'a Together<'a>,
    pieces: usize,
    /// Most numbers that are found in a piece.
    most: usize,
    /// The first piece of this round.
    first: usize,
    failure: Option<Error>,
}

impl<'a> Rounds<'a> {
    pub(super) fn new(together: &'a Together<'a>, pieces: usize, most: usize) -> Self {
        Self {
            together,
            pieces,
            most,
            first: 0,
            failure: None,
        }
    }

    /// One round: does the `work` on this rank's piece, and lets the first rank `take` what was found in all of
    /// them in their order, each with zeros behind it. False once there are no more pieces.
    ///
    /// # Errors
    /// What went wrong on this rank, or that something did on another one.
    pub(super) fn next<T>(
        &mut self,
        state: &mut T,
        work: impl FnOnce(&mut T, usize) -> Result<Vec<f32>>,
        mut take: impl FnMut(&mut T, usize, &[f32]) -> Result<()>,
    ) -> Result<bool> {
        let Share { part, parts } = self.together.share;
        let own = self.first + part;
        // The flag is 1 where a rank has failed.
        let mut numbers = vec![0.0; 1 + self.most];
        if self.failure.is_none() && own < self.pieces {
            match work(state, own) {
                Ok(found) => numbers[1..=found.len()].copy_from_slice(&found),
                Err(error) => self.failure = Some(error),
            }
        }
        numbers[0] = f32::from(u8::from(self.failure.is_some()));
        let all = (self.together.gather)(numbers)?;
        if let Some(error) = self.failure.take() {
            return Err(error);
        }
        let failed = all.iter().position(|numbers| numbers[0] > 0.0);
        ensure!(
            failed.is_none(),
            "rank {} could not judge its images",
            failed.unwrap_or_default()
        );
        if self.first >= self.pieces {
            return Ok(false);
        }
        if self.together.is_first() {
            for (piece, numbers) in (self.first..self.pieces).zip(&all) {
                // It is told with the next round, of which there is always one.
                if let Err(error) = take(state, piece, &numbers[1..]) {
                    self.failure = Some(error);
                    break;
                }
            }
        }
        self.first += parts;
        Ok(true)
    }
}

/// Counts as numbers that single precision has exactly: 20 bits, and those above.
pub(super) fn halves(counts: &[u64]) -> impl Iterator<Item = f32> {
    let low = counts.iter().map(|count| (count % HALF) as f32);
    low.chain(counts.iter().map(|count| (count / HALF) as f32))
}

/// The counts again.
pub(super) fn whole(halves: &[f32]) -> Vec<u64> {
    let (low, high) = halves.split_at(halves.len() / 2);
    let pairs = low.iter().zip(high);
    pairs
        .map(|(&low, &high)| low as u64 + high as u64 * HALF)
        .collect()
}

const HALF: u64 = 1 << 20;

#[cfg(test)]
mod tests {
    use std::sync::{Barrier, Mutex};

    use anyhow::bail;

    use super::*;

    /// Pieces with their numbers as a rank took them, and why it failed.
    type Taken = (Vec<(usize, Vec<f32>)>, Option<String>);

    /// What each of some ranks makes of rounds over pieces, and how it ends.
    fn rounds(
        parts: usize,
        pieces: usize,
        work: impl Fn(usize) -> Result<Vec<f32>> + Sync,
        take: impl Fn(usize) -> Result<()> + Sync,
    ) -> Vec<Taken> {
        let barrier = Barrier::new(parts);
        let table = Mutex::new(vec![Vec::new(); parts]);
        let (barrier, table, work, take) = (&barrier, &table, &work, &take);
        std::thread::scope(|scope| {
            let rank = |part| {
                scope.spawn(move || {
                    let gather = |own: Vec<f32>| {
                        table.lock().unwrap()[part] = own;
                        barrier.wait();
                        let all = table.lock().unwrap().clone();
                        barrier.wait();
                        Ok(all)
                    };
                    let together = Together {
                        share: Share { part, parts },
                        gather: &gather,
                    };
                    let mut rounds = Rounds::new(&together, pieces, 2);
                    let mut taken = Vec::new();
                    loop {
                        let next = rounds.next(
                            &mut taken,
                            |_, piece| work(piece),
                            |taken, piece, numbers| {
                                taken.push((piece, numbers.to_vec()));
                                take(piece)
                            },
                        );
                        match next {
                            Ok(true) => {}
                            Ok(false) => return (taken, None),
                            Err(error) => return (taken, Some(error.to_string())),
                        }
                    }
                })
            };
            let ranks: Vec<_> = (0..parts).map(rank).collect();
            let ends = ranks.into_iter().map(|rank| rank.join().unwrap());
            ends.collect()
        })
    }

    #[test]
    fn the_first_rank_takes_all_in_their_order() {
        for parts in [1, 2, 3] {
            let found = |piece: usize| Ok(vec![piece as f32; 1 + piece % 2]);
            let ends = rounds(parts, 7, found, |_| Ok(()));
            for (part, (taken, error)) in ends.into_iter().enumerate() {
                assert_eq!(error, None);
                let expected = |piece: usize| {
                    let second = if piece % 2 == 1 { piece as f32 } else { 0.0 };
                    (piece, vec![piece as f32, second])
                };
                let pieces = if part == 0 { 7 } else { 0 };
                assert_eq!(taken, (0..pieces).map(expected).collect::<Vec<_>>());
            }
        }
    }

    #[test]
    fn all_end_where_one_fails() {
        // In the work of a rank, in what the first makes of it, and in that of the last piece.
        for (bad, in_work) in [(4, true), (2, false), (6, false)] {
            let fails = |now: bool, piece: usize| match now && piece == bad {
                true => bail!("piece {piece} is bad"),
                false => Ok(()),
            };
            let work = |piece| fails(in_work, piece).map(|()| Vec::new());
            let ends = rounds(3, 7, work, |piece| fails(!in_work, piece));
            let failed = if in_work { bad % 3 } else { 0 };
            for (part, (_, error)) in ends.into_iter().enumerate() {
                let expected = match part == failed {
                    true => format!("piece {bad} is bad"),
                    false => format!("rank {failed} could not judge its images"),
                };
                assert_eq!(error, Some(expected));
            }
        }
    }

    #[test]
    fn counts_come_back_whole() {
        let counts = [0, 1, (1 << 20) - 1, 1 << 20, 123_456_789_012, (1 << 43) + 7];
        let halves: Vec<f32> = halves(&counts).collect();
        assert_eq!(whole(&halves), counts);
    }
}
