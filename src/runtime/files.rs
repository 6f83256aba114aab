//! Files that appear whole, files that anybody may have made, and hashes as text.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::Path;

use anyhow::{Context, Result, ensure};
use dp_sims_datasets::open_ordinary;

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

/// Most bytes of a file of settings, a protocol, a study, a manifest or results: all are written by
/// hand or by this program, and small.
pub const MOST_TEXT: u64 = 64 << 20;

/// The bytes of an ordinary file of at most `most` bytes.
///
/// # Errors
/// When there is no such file, it is no ordinary one, it is too large or cannot be read.
pub fn read(path: &Path, most: u64) -> io::Result<Vec<u8>> {
    let refused = || io::Error::other(format!("it is no ordinary file of at most {most} bytes"));
    let file = open_ordinary(path, most)?.ok_or_else(refused)?;
    let mut bytes = Vec::new();
    // A file may grow while it is read.
    file.take(most.saturating_add(1)).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > most {
        return Err(refused());
    }
    Ok(bytes)
}

/// The text of an ordinary file of at most [`MOST_TEXT`] bytes.
///
/// # Errors
/// Those of [`read`], or when it is no UTF-8 text.
pub fn read_text(path: &Path) -> io::Result<String> {
    String::from_utf8(read(path, MOST_TEXT)?).map_err(|_| io::Error::other("it is no UTF-8 text"))
}

/// Makes a folder for results and sees whether files can be written there: before the work that they are
/// the result of.
///
/// # Errors
/// When it cannot be made or written to.
pub fn make_folder(folder: &Path) -> Result<()> {
    let shown = folder.display();
    std::fs::create_dir_all(folder).with_context(|| format!("cannot create {shown}"))?;
    tempfile::tempfile_in(folder).with_context(|| format!("cannot write into {shown}"))?;
    Ok(())
}

/// Makes the names in a folder survive a power cut.
///
/// # Errors
/// When the folder cannot be opened or synchronised.
pub fn sync_folder(folder: &Path) -> io::Result<()> {
    // Other platforms cannot open folders.
    if cfg!(unix) {
        File::open(folder)?.sync_all()?;
    }
    Ok(())
}

/// Sees whether a file can be written at `path`, and makes the folder for it where that is missing.
///
/// # Errors
/// When a folder is in its place, or its folder cannot be made or written to.
pub fn check_place(path: &Path) -> Result<()> {
    ensure!(
        !path.is_dir(),
        "cannot write {}: it is a folder",
        path.display()
    );
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => make_folder(folder),
        _ => make_folder(Path::new(".")),
    }
}

/// Refuses to write over what took long to make, unless that is wanted.
///
/// # Errors
/// When there is something at `path`.
pub fn keep(path: &Path, overwrite: bool) -> Result<()> {
    ensure!(
        overwrite || !path.exists(),
        "{} is there already: choose another place with --out, or replace it with --overwrite",
        path.display()
    );
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
    fn only_ordinary_files_of_modest_size_are_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("protocol.toml");
        assert_eq!(
            read_text(&path).unwrap_err().kind(),
            io::ErrorKind::NotFound
        );
        std::fs::write(&path, "name").unwrap();
        assert_eq!(read_text(&path).unwrap(), "name");
        assert_eq!(read(&path, 4).unwrap(), b"name");
        let message = read(&path, 3).unwrap_err().to_string();
        assert!(message.contains("at most 3 bytes"), "{message}");
        std::fs::write(&path, [0xff]).unwrap();
        assert!(read_text(&path).unwrap_err().to_string().contains("UTF-8"));
        let refused = |path: &Path| read_text(path).unwrap_err().to_string();
        assert!(refused(folder.path()).contains("no ordinary file"));
        #[cfg(unix)]
        {
            assert!(refused(Path::new("/dev/zero")).contains("no ordinary file"));
            let pipe = folder.path().join("pipe");
            let made = std::process::Command::new("mkfifo").arg(&pipe).status();
            assert!(made.unwrap().success());
            assert!(refused(&pipe).contains("no ordinary file"));
        }
    }

    #[test]
    fn a_file_without_a_folder_is_an_error_that_names_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("missing").join("results.json");
        let error = write_whole(&path, b"x").unwrap_err();
        assert!(format!("{error:#}").contains("results.json"), "{error:#}");
    }

    #[test]
    fn a_place_that_cannot_be_written_to_is_known_before_the_work() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        std::fs::write(&file, "text").unwrap();
        make_folder(&folder.path().join("a/b")).unwrap();
        check_place(&folder.path().join("c/weights.safetensors")).unwrap();
        check_place(&file).unwrap();
        assert!(keep(&file, true).is_ok() && keep(&folder.path().join("new"), false).is_ok());
        let message = keep(&file, false).unwrap_err().to_string();
        assert!(message.contains("--overwrite"), "{message}");
        assert!(make_folder(&file.join("a")).is_err());
        assert!(check_place(&file.join("a")).is_err());
        assert!(check_place(folder.path()).is_err());
        assert_eq!(std::fs::read(&file).unwrap(), b"text");
        assert_eq!(
            std::fs::read_dir(folder.path().join("a/b"))
                .unwrap()
                .count(),
            0
        );
    }
}
