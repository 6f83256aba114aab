//! The words of the command line, before anything is made of them.

use std::ffi::{OsStr, OsString};

/// What is wrong with the first argument that is no text, if one is. Paths are written into
/// checkpoints, results and descriptions, which are text: one that is not would be lost there, or
/// become another one.
pub fn refusal(arguments: impl IntoIterator<Item = OsString>) -> Option<String> {
    let is_foreign = |argument: &OsString| argument.to_str().is_none();
    let argument = arguments.into_iter().find(is_foreign)?;
    let argument: &OsStr = &argument;
    Some(format!(
        "the argument {argument:?} is not UTF-8: rename the file or folder, or call the program from \
         inside of it"
    ))
}

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::ffi::OsStringExt;

    use super::*;

    #[test]
    fn an_argument_that_is_no_text_is_shown_with_its_bytes() {
        let text = |bytes: &[u8]| OsString::from_vec(bytes.to_vec());
        assert_eq!(refusal([text(b"train"), text("größe".as_bytes())]), None);
        let refused = refusal([text(b"train"), text(b"--data=caf\xe9\x1b[2J")]).unwrap();
        assert!(
            refused.starts_with(r#"the argument "--data=caf\xE9\u{1b}[2J" is not UTF-8"#),
            "{refused}"
        );
    }
}
