//! Errors that the user can put right.

use std::error::Error;
use std::fmt;

use anyhow::Result;

/// An error that the user can put right, which ends the program with exit code 2 instead of 1. It reads as
/// the error itself.
#[derive(Debug)]
pub struct Mistake(anyhow::Error);

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Error for Mistake {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.0.source()
    }
}

/// Says of a result that its error is the user's.
pub trait User<T, E> {
    /// Marks the error as a [`Mistake`].
    ///
    /// # Errors
    /// Those of the result.
    fn user(self) -> Result<T>;

    /// Marks the error as a [`Mistake`], unless the program or the machine failed by it.
    ///
    /// # Errors
    /// Those of the result.
    fn user_unless(self, has_failed: impl FnOnce(&E) -> bool) -> Result<T>;
}

impl<T, E: Into<anyhow::Error>> User<T, E> for Result<T, E> {
    fn user(self) -> Result<T> {
        self.user_unless(|_| false)
    }

    fn user_unless(self, has_failed: impl FnOnce(&E) -> bool) -> Result<T> {
        self.map_err(|error| match has_failed(&error) {
            true => error.into(),
            false => Mistake(error.into()).into(),
        })
    }
}

#[cfg(test)]
mod tests {
    use anyhow::{Context, anyhow};

    use super::*;

    #[test]
    fn a_mistake_reads_as_its_error_and_is_seen_below_a_context() {
        let error = || Err::<(), _>(anyhow!("no such file").context("cannot read a"));
        let marked = error().user().context("training").unwrap_err();
        assert!(marked.is::<Mistake>());
        assert_eq!(
            format!("{marked:#}"),
            "training: cannot read a: no such file"
        );
        assert!(!error().context("training").unwrap_err().is::<Mistake>());
        assert!(!error().user_unless(|_| true).unwrap_err().is::<Mistake>());
        assert!(error().user_unless(|_| false).unwrap_err().is::<Mistake>());
    }
}
