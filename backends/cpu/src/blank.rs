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
        if cfg!(all(any(test, feature = "poison"), not(miri))) {
            // What stays unwritten is seen by every test that reads it; Miri sees it by itself.
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

// tests/unsafe.sh runs these under Miri: nothing but the standard library is used here.
#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_in_parts_is_there() {
        for length in [0, 1, 7, 64] {
            let mut blank = Blank::new(length);
            let (first, second) = blank.slots().split_at_mut(length / 3);
            std::thread::scope(|scope| {
                scope.spawn(|| fill(first, 2.0));
                scope.spawn(|| {
                    for (place, slot) in second.iter_mut().enumerate() {
                        slot.write(place as f32);
                    }
                });
            });
            // SAFETY: both threads wrote to all of their part.
            let numbers = unsafe { blank.filled() };
            let expected = (0..length).map(|place| match place.checked_sub(length / 3) {
                None => 2.0,
                Some(place) => place as f32,
            });
            assert_eq!(numbers, expected.collect::<Vec<_>>());
        }
    }

    #[test]
    fn memory_may_be_more_than_the_numbers() {
        let mut blank = Blank::new(3);
        assert_eq!(blank.slots().len(), 3);
        copy(blank.slots(), &[1.0, 2.0, 3.0]);
        // SAFETY: all three were written.
        let mut numbers = unsafe { blank.filled() };
        numbers.push(4.0);
        assert_eq!(numbers, [1.0, 2.0, 3.0, 4.0]);
    }

    #[test]
    fn one_that_is_dropped_was_never_read() {
        drop(Blank::new(1000));
    }

    #[test]
    fn numbers_are_slots_and_back() {
        let mut numbers = vec![1.0, 2.0, 3.0, 4.0];
        // SAFETY: numbers alone are written below.
        let slots = unsafe { slots(&mut numbers[1..3]) };
        fill(&mut slots[..1], 9.0);
        // SAFETY: the slots are those of numbers, of which one was written over.
        let written = unsafe { written(slots) };
        written[1] += 1.0;
        assert_eq!(numbers, [1.0, 9.0, 4.0, 4.0]);
    }

    #[test]
    #[should_panic(expected = "lengths of a copy")]
    fn a_copy_of_another_length_is_refused() {
        copy(Blank::new(3).slots(), &[1.0]);
    }
}
