use std::io::{self, Read};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread;

use blake3::Hasher;

use super::FileEntry;

/// Bytes that are read and hashed at a time.
const CHUNK: usize = 1 << 18;

/// Chunks that wait to be hashed.
const WAITING: usize = 8;

/// Lets `parse` read from `inner`, whose bytes another thread hashes as they go by; what `parse` leaves
/// is read afterwards. Gives back what it made and what the bytes are.
///
/// # Errors
/// When reading what is left fails; what `parse` met it reports itself.
pub(super) fn hashed<T>(
    inner: impl Read,
    parse: impl FnOnce(&mut dyn Read) -> T,
) -> io::Result<(T, FileEntry)> {
    thread::scope(|scope| {
        let (to_hash, chunks) = sync_channel::<Vec<u8>>(WAITING);
        let hashing = scope.spawn(move || {
            let mut hasher = Hasher::new();
            for chunk in chunks {
                hasher.update(&chunk);
            }
            hasher.finalize().to_hex().to_string()
        });
        let mut reader = Passing {
            inner,
            to_hash,
            bytes: 0,
        };
        let parsed = parse(&mut reader);
        io::copy(&mut reader, &mut io::sink())?;
        let bytes = reader.bytes;
        // The last chunk has been sent.
        drop(reader);
        match hashing.join() {
            Ok(blake3) => Ok((parsed, FileEntry { bytes, blake3 })),
            Err(panic) => std::panic::resume_unwind(panic),
        }
    })
}

/// Passes on what it reads.
struct Passing<R> {
    inner: R,
    to_hash: SyncSender<Vec<u8>>,
    bytes: u64,
}

impl<R: Read> Read for Passing<R> {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        let most = to.len().min(CHUNK);
        let count = self.inner.read(&mut to[..most])?;
        if count > 0 {
            self.bytes += count as u64;
            let sent = self.to_hash.send(to[..count].to_vec());
            sent.map_err(|_| io::Error::other("the thread that hashes has ended"))?;
        }
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_is_hashed_whatever_is_parsed() {
        let bytes: Vec<u8> = (0..3 * CHUNK + 5).map(|i| ((i * i) >> 4) as u8).collect();
        for most in [0, 100, CHUNK + 1, bytes.len(), 2 * bytes.len()] {
            let parse = |reader: &mut dyn Read| {
                let mut read = Vec::new();
                let mut part = reader.take(most as u64);
                part.read_to_end(&mut read).unwrap();
                read
            };
            let (read, entry) = hashed(bytes.as_slice(), parse).unwrap();
            assert_eq!(read, bytes[..most.min(bytes.len())]);
            assert_eq!(entry, FileEntry::of(&bytes));
        }
    }

    /// Gives one byte at a time and then fails.
    struct Broken(usize);

    impl Read for Broken {
        fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
            if self.0 == 0 {
                return Err(io::Error::other("broken"));
            }
            self.0 -= 1;
            to[0] = 7;
            Ok(1)
        }
    }

    #[test]
    fn a_reader_that_fails_ends_both_threads() {
        let error = hashed(Broken(100), |_| ()).unwrap_err();
        assert_eq!(error.to_string(), "broken");
    }
}
