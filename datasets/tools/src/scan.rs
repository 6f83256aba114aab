//! The one way in which folders of label PNGs are scanned: by a check of what is described, and by a
//! first description of what is not.

use std::sync::atomic::{AtomicUsize, Ordering};

use dp_sims_datasets::check::Progress;
use rayon::prelude::*;
use serde::Serialize;

mod evidence;

pub(crate) use evidence::{Evidence, MapEvidence, Seen};

/// Files that are looked at before what was found in them is summed up, which bounds the memory that
/// it takes.
pub(crate) const CHUNK: usize = 256;

/// Pixels and files with a value.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Tally {
    /// Number of pixels.
    pub pixels: u64,
    /// Number of label maps.
    pub maps: u64,
}

impl Tally {
    /// Adds a label map with so many pixels.
    pub(crate) fn add(&mut self, pixels: u64) {
        self.pixels += pixels;
        self.maps += 1;
    }
}

/// Looks at `count` files on all cores, and hands what was found in each to `add` in their order.
pub(crate) fn scan<T: Send>(
    count: usize,
    progress: &Progress,
    look: impl Fn(usize) -> T + Sync,
    mut add: impl FnMut(usize, T),
) {
    let done = AtomicUsize::new(0);
    let look = |index| {
        let found = look(index);
        progress(done.fetch_add(1, Ordering::Relaxed) + 1, count);
        found
    };
    for start in (0..count).step_by(CHUNK) {
        let end = (start + CHUNK).min(count);
        let found: Vec<T> = (start..end).into_par_iter().map(look).collect();
        (start..end)
            .zip(found)
            .for_each(|(index, found)| add(index, found));
    }
}
