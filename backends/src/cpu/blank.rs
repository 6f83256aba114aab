//! Memory that is written before it is read: clearing it first would be one more pass over it.

use std::mem::MaybeUninit;

/// Memory of a number.
pub(super) type Slot = MaybeUninit<f32>;

/// Memory for numbers.
pub(super) struct Blank {
    /// As yet empty.
    numbers: Vec<f32>,
    length: usize,
}

impl Blank {
    /// For so many numbers.
    pub(super) fn new(length: usize) -> Self {
        let numbers = Vec::with_capacity(length);
        let mut blank = Self { numbers, length };
        if cfg!(test) {
            // What stays unwritten is seen by every test that reads it.
            fill(blank.slots(), f32::NAN);
        }
        blank
    }

    /// Where the numbers are to be written.
    pub(super) fn slots(&mut self) -> &mut [Slot] {
        &mut self.numbers.spare_capacity_mut()[..self.length]
    }

    /// The numbers.
    ///
    /// # Safety
    /// Every slot has been written to.
    pub(super) unsafe fn filled(mut self) -> Vec<f32> {
        // SAFETY: the memory is there since `new`, and the caller has written to all of it.
        unsafe { self.numbers.set_len(self.length) };
        self.numbers
    }
}

/// Numbers to be written over.
///
/// # Safety
/// Nothing but numbers is written to the slots: one without a number would leave the slice without it.
pub(super) unsafe fn slots(numbers: &mut [f32]) -> &mut [Slot] {
    let length = numbers.len();
    // SAFETY: a slot lies in memory as a number does, and the caller writes numbers alone.
    unsafe { std::slice::from_raw_parts_mut(numbers.as_mut_ptr().cast(), length) }
}

/// Numbers that were written.
///
/// # Safety
/// Every slot has been written to.
pub(super) unsafe fn written(slots: &mut [Slot]) -> &mut [f32] {
    // SAFETY: a slot lies in memory as a number does, and the caller has put a number into each.
    unsafe { std::slice::from_raw_parts_mut(slots.as_mut_ptr().cast(), slots.len()) }
}

/// Writes the numbers of a slice of the same length.
#[inline(always)]
pub(super) fn copy(to: &mut [Slot], from: &[f32]) {
    assert_eq!(to.len(), from.len(), "lengths of a copy");
    for (to, from) in to.iter_mut().zip(from) {
        to.write(*from);
    }
}

/// Writes one number to all slots.
#[inline(always)]
pub(super) fn fill(to: &mut [Slot], value: f32) {
    for to in to {
        to.write(value);
    }
}
