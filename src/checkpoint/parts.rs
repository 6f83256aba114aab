use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;

use blake3::Hasher;
use rayon::prelude::*;

use super::FileEntry;

/// Fewest bytes that are worth a second thread in hashing, as the package says.
const SHARED: usize = 128 << 10;

/// Reads a file in parts, of which each begins where the one before ends; all threads read.
///
/// A part beyond the end of the file is shorter than asked for.
///
/// # Errors
/// When the file cannot be read, or an end lies before the one before it.
pub(super) fn read_parts(path: &Path, ends: &[u64]) -> io::Result<Vec<Vec<u8>>> {
    let starts: Vec<u64> = std::iter::once(0).chain(ends.iter().copied()).collect();
    // One by one: a thread that takes many large ones would be waited for.
    let parts = starts.par_iter().zip(ends).with_max_len(1);
    let parts = parts.map(|(&start, &end)| {
        let backwards =
            || io::Error::new(io::ErrorKind::InvalidInput, "a part that runs backwards");
        let length = end.checked_sub(start).ok_or_else(backwards)?;
        let mut file = File::open(path)?;
        file.seek(SeekFrom::Start(start))?;
        let mut bytes = Vec::new();
        // The memory is not cleared first.
        bytes.reserve_exact(usize::try_from(length).map_err(io::Error::other)?);
        file.take(length).read_to_end(&mut bytes)?;
        Ok(bytes)
    });
    parts.collect()
}

/// What a file of these parts is, by all threads.
pub(super) fn entry_of(parts: &[Vec<u8>]) -> FileEntry {
    let mut hasher = Hasher::new();
    for part in parts {
        if part.len() < SHARED {
            hasher.update(part);
        } else {
            hasher.update_rayon(part);
        }
    }
    FileEntry {
        bytes: parts.iter().map(|part| part.len() as u64).sum(),
        blake3: hasher.finalize().to_hex().to_string(),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::super::{CheckpointError, open, write};
    use super::*;

    #[test]
    fn parts_are_the_file_and_hash_as_it_does() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("data");
        let bytes: Vec<u8> = (0..3 * SHARED + 5).map(|i| ((i * i) >> 4) as u8).collect();
        fs::write(&path, &bytes).unwrap();
        let length = bytes.len() as u64;
        for ends in [
            vec![length],
            vec![8, 8, 100, SHARED as u64, length - 1, length],
            (1..=length / 1000)
                .map(|part| part * 1000)
                .chain([length])
                .collect(),
        ] {
            let parts = read_parts(&path, &ends).unwrap();
            assert_eq!(parts.len(), ends.len());
            assert_eq!(parts.concat(), bytes);
            assert_eq!(entry_of(&parts), FileEntry::of(&bytes));
        }
    }

    #[test]
    fn what_is_not_there_is_missed_and_not_asked_for() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("data");
        fs::write(&path, b"0123456789").unwrap();
        assert_eq!(
            read_parts(&path, &[4, 20]).unwrap(),
            [&b"0123"[..], b"456789"]
        );
        assert_eq!(
            read_parts(&path, &[20, 30]).unwrap(),
            [&b"0123456789"[..], b""]
        );
        assert!(read_parts(&path, &[4, 3]).is_err());
        assert!(read_parts(&folder.path().join("none"), &[4]).is_err());
    }

    #[test]
    fn a_damaged_file_is_told_from_one_of_another_layout() {
        let folder = tempfile::tempdir().unwrap();
        let content = || Ok::<_, CheckpointError>(b"0123456789".to_vec());
        let path = write(folder.path(), 1, vec![("data".to_string(), content)]).unwrap();
        let checkpoint = open(&path).unwrap();
        let read = || {
            checkpoint.read_parts("data", |reader, length| {
                let mut first = [0];
                reader.read_exact(&mut first).map_err(|_| "empty")?;
                let is_known = first == *b"0";
                is_known
                    .then_some((first, vec![4, length]))
                    .ok_or("unknown")
            })
        };
        let parts = vec![b"0123".to_vec(), b"456789".to_vec()];
        assert_eq!(read().unwrap(), Ok(([b'0'], parts)));
        let unknown = checkpoint.read_parts("data", |_, _| Err::<((), _), _>("unknown"));
        assert_eq!(unknown.unwrap(), Err("unknown"));
        // Whatever the layout says of a damaged file, the damage is what there is to tell.
        for damaged in [b"0123456780", b"9123456789"] {
            fs::write(path.join("data"), damaged).unwrap();
            let error = read().unwrap_err();
            assert!(matches!(error, CheckpointError::Hash { .. }), "{error}");
        }
        fs::write(path.join("data"), b"0123").unwrap();
        let error = read().unwrap_err();
        assert!(matches!(error, CheckpointError::Size { .. }), "{error}");
    }
}
