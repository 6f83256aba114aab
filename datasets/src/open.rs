//! Opening files that nothing is known about yet.

use std::fs::File;
use std::io::{self, Read};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use crate::error::DatasetError;

/// First bytes of a text that says in which order its bytes are.
pub(crate) const BYTE_ORDER_MARK: &[u8] = "\u{feff}".as_bytes();

/// Opens a file, or gives none where it is no ordinary one of at most `most` bytes.
///
/// A device never ends and a pipe nobody writes to never begins, so both are refused before they
/// are opened.
///
/// # Errors
/// When there is no such file or it cannot be opened.
pub fn open_ordinary(path: &Path, most: u64) -> io::Result<Option<File>> {
    let metadata = std::fs::metadata(path)?;
    let is_ordinary = metadata.is_file() && metadata.len() <= most;
    is_ordinary.then(|| File::open(path)).transpose()
}

/// Opens an ordinary file of at most `most` bytes.
///
/// # Errors
/// When there is no such file, it is no ordinary one or it is too large.
pub fn open_file(path: &Path, most: u64) -> Result<File, DatasetError> {
    let opened = open_ordinary(path, most).map_err(DatasetError::read(path))?;
    opened.ok_or_else(|| {
        let reason = format!("it is no ordinary file of at most {most} bytes");
        DatasetError::decode(path, reason)
    })
}

/// Has a decoder of others read a file. Some panic at damaged ones; that is an error here.
///
/// # Errors
/// Those of the work, and [`DatasetError::Decode`] where it panics.
pub(crate) fn contained<T>(
    path: &Path,
    work: impl FnOnce() -> Result<T, DatasetError>,
) -> Result<T, DatasetError> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_| {
        let reason = "it is damaged, or of a kind that the decoder does not know";
        Err(DatasetError::decode(path, reason))
    })
}

/// The text of an ordinary file of at most `most` bytes, without a byte order mark.
///
/// # Errors
/// Those of [`open_file`], or when the file is no UTF-8 text.
pub fn read_text(path: &Path, most: u64) -> Result<String, DatasetError> {
    let mut text = String::new();
    open_file(path, most)?
        .read_to_string(&mut text)
        .map_err(DatasetError::read(path))?;
    if text.starts_with('\u{feff}') {
        text.drain(..BYTE_ORDER_MARK.len());
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::assert_says;

    #[test]
    fn only_ordinary_files_of_modest_length_are_opened() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("list.txt");
        let problem = |path: &Path| open_file(path, 4).unwrap_err().to_string();
        assert!(problem(&path).contains("cannot read") && problem(&path).contains("list.txt"));
        std::fs::write(&path, "text").unwrap();
        assert_eq!(read_text(&path, 4).unwrap(), "text");
        std::fs::write(&path, "\u{feff}x").unwrap();
        assert_eq!(read_text(&path, 4).unwrap(), "x");
        std::fs::write(&path, "texts").unwrap();
        assert!(problem(&path).contains("list.txt: it is no ordinary file of at most 4 bytes"));
        assert!(problem(folder.path()).contains("no ordinary file"));
        std::fs::write(&path, [0xff; 4]).unwrap();
        assert!(matches!(
            read_text(&path, 4),
            Err(DatasetError::Read { .. })
        ));
    }

    #[cfg(unix)]
    #[test]
    fn devices_and_pipes_are_refused_before_they_are_opened() {
        let folder = tempfile::tempdir().unwrap();
        let pipe = crate::testing::pipe(folder.path());
        for path in [Path::new("/dev/zero"), &pipe] {
            let message = open_file(path, u64::MAX).unwrap_err().to_string();
            assert_says(&message, &["no ordinary file"]);
        }
    }
}
