//! Files that appear whole, and hashes as text.

use std::io::Write;
use std::path::Path;

use anyhow::{Context, Result};

/// Writes a file that appears whole or not at all.
///
/// # Errors
/// When it cannot be written.
pub fn write_whole(path: &Path, bytes: &[u8]) -> Result<()> {
    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty());
    let folder = folder.unwrap_or(Path::new("."));
    let unwritable = || format!("cannot write {}", path.display());
    let mut file = tempfile::Builder::new();
    // A temporary file is for its owner alone, a result for everybody who may see the folder.
    #[cfg(unix)]
    file.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o644));
    let mut file = file.tempfile_in(folder).with_context(unwritable)?;
    file.write_all(bytes).with_context(unwritable)?;
    file.persist(path)
        .map_err(|error| error.error)
        .with_context(unwritable)?;
    Ok(())
}

/// Bytes in lower-case hexadecimal digits.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_replaces_the_one_before_and_can_be_read_by_others() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("results.json");
        for content in ["first", "second"] {
            write_whole(&path, content.as_bytes()).unwrap();
            assert_eq!(std::fs::read_to_string(&path).unwrap(), content);
        }
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let mode = std::fs::metadata(&path).unwrap().permissions().mode();
            assert_eq!(mode & 0o444, 0o444);
        }
    }

    #[test]
    fn a_file_without_a_folder_is_an_error_that_names_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("missing").join("results.json");
        let error = write_whole(&path, b"x").unwrap_err();
        assert!(format!("{error:#}").contains("results.json"), "{error:#}");
    }
}
