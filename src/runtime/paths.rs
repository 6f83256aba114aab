//! Paths as people write them: `DIR/`, `.`, `../x`, with links.

use std::ffi::{OsStr, OsString};
use std::path::{Component, Path, PathBuf};

/// A path from the root of the file system and without links, of which the last folders may not be there
/// yet. Unlike the path itself it has a parent and a name, whatever way it was written: `DIR/`, `.`,
/// `../x`.
pub fn real(path: &Path) -> PathBuf {
    if let Ok(path) = path.canonicalize() {
        return path;
    }
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf());
    match (path.parent(), path.file_name()) {
        (Some(parent), Some(name)) => real(parent).join(name),
        _ => path,
    }
}

/// The path of a folder or file with something behind its name: beside `DIR`, whatever way that is
/// written. Without a name of its own, as `/`, it is inside.
pub fn beside(path: &Path, name: impl FnOnce(&OsStr) -> OsString) -> PathBuf {
    let has_name = path.components().next_back();
    let is_plain = matches!(has_name, Some(Component::Normal(_)));
    // A path that can be shown as it was written is.
    let path = if is_plain {
        path.components().collect()
    } else {
        real(path)
    };
    let name = name(path.file_name().unwrap_or_default());
    path.parent().unwrap_or(&path).join(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_lies_beside_a_folder_does_so_however_it_is_written() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap();
        std::fs::create_dir_all(root.join("a/b")).unwrap();
        let with_end = |path: &Path| {
            beside(path, |name| {
                let mut name = name.to_os_string();
                name.push("-end");
                name
            })
        };
        for (path, expected) in [
            ("a/b", "a/b-end"),
            ("a/b/", "a/b-end"),
            ("a/b/.", "a/b-end"),
        ] {
            assert_eq!(with_end(Path::new(path)), Path::new(expected), "{path}");
        }
        for path in ["a/b/..", "a/b/../."] {
            assert_eq!(with_end(&root.join(path)), root.join("a-end"), "{path}");
        }
        let here = with_end(Path::new("."));
        assert!(
            here.is_absolute() && here.to_string_lossy().ends_with("-end"),
            "{here:?}"
        );
        assert_eq!(real(&root.join("a/b/../new/z")), root.join("a/new/z"));
    }
}
