//! Looking at a computation from outside while it runs.

/// Is told where the parts of a computation end, for example to take their times.
pub trait Observer<P> {
    /// All since the call before, or since the computation began, was `part`. A device that works in
    /// the background may not have finished it.
    fn end_of(&mut self, part: P);
}

/// Nobody looks.
impl<P> Observer<P> for () {
    fn end_of(&mut self, _: P) {}
}
