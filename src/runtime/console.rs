//! What the program prints, on both streams.
//!
//! The macros below take the place of those of the standard library in this crate. Those panic where a
//! pipe is closed or a device is full, which would end work that has nothing to do with printing; and
//! they hand on control characters of file names, tensor names and class names, which tell a terminal
//! what to do. Here a stream that fails is given up, the work goes on, and [`failure`] says in the end
//! what was lost.

use std::borrow::Cow;
use std::fmt;
use std::io::{self, ErrorKind, Write};
use std::sync::Mutex;

/// Prints to the standard output.
macro_rules! print {
    ($($text:tt)*) => { $crate::runtime::console::Stream::Output.write(&format!($($text)*)) };
}

/// Prints to the standard output, and ends the line.
macro_rules! println {
    () => { $crate::runtime::console::Stream::Output.write("\n") };
    ($($text:tt)*) => {
        $crate::runtime::console::Stream::Output.write(&format!("{}\n", format_args!($($text)*)))
    };
}

/// Prints to the standard error, and ends the line.
macro_rules! eprintln {
    ($($text:tt)*) => {
        $crate::runtime::console::Stream::Error.write(&format!("{}\n", format_args!($($text)*)))
    };
}

/// Why a stream was given up, in the order of [`Stream`].
static GIVEN_UP: [Mutex<Option<ErrorKind>>; 2] = [Mutex::new(None), Mutex::new(None)];

/// A standard stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stream {
    /// Results.
    Output,
    /// Notes, warnings and errors.
    Error,
}

impl Stream {
    /// Writes text, control characters as escapes, until the stream fails for the first time.
    pub fn write(self, text: &str) {
        let mut given_up = GIVEN_UP[self as usize]
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner());
        if given_up.is_some() {
            return;
        }
        let text = visible(text);
        let written = match self {
            Self::Output => put(io::stdout().lock(), &text),
            Self::Error => put(io::stderr().lock(), &text),
        };
        *given_up = written.err().map(|error| error.kind());
    }
}

/// Never fails: see [`failure`].
impl Write for Stream {
    fn write(&mut self, text: &[u8]) -> io::Result<usize> {
        Stream::write(*self, &String::from_utf8_lossy(text));
        Ok(text.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl fmt::Display for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Output => "standard output",
            Self::Error => "standard error",
        })
    }
}

fn put(mut stream: impl Write, text: &str) -> io::Result<()> {
    stream.write_all(text.as_bytes())?;
    stream.flush()
}

/// The first stream that could not take what was printed, and why. A reader who has gone away, as
/// `head` does, wants no more and is no failure.
pub fn failure() -> Option<(Stream, ErrorKind)> {
    [Stream::Output, Stream::Error]
        .into_iter()
        .find_map(|stream| {
            let given_up = GIVEN_UP[stream as usize].lock().ok()?;
            let kind = (*given_up)?;
            (kind != ErrorKind::BrokenPipe).then_some((stream, kind))
        })
}

/// Text with every character that a terminal obeys, or that turns the direction of writing, as an
/// escape; ends of lines and tabs stay.
pub fn visible(text: &str) -> Cow<'_, str> {
    let is_hidden = |c: char| {
        c.is_control() && !matches!(c, '\n' | '\t')
            || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    if !text.chars().any(is_hidden) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if is_hidden(c) {
            shown.extend(c.escape_unicode());
        } else {
            shown.push(c);
        }
    }
    Cow::Owned(shown)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_terminal_obeys_is_shown_as_an_escape() {
        assert_eq!(
            visible("a\u{1b}[31mred\r\u{9b}2J\u{202e}gpj.exe\u{7}"),
            "a\\u{1b}[31mred\\u{d}\\u{9b}2J\\u{202e}gpj.exe\\u{7}"
        );
        for plain in ["größe 256×256\n\tθ", "", "Straße — 道路 🚗"] {
            assert!(matches!(visible(plain), Cow::Borrowed(text) if text == plain));
        }
    }
}
