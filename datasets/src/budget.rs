//! The memory that threads share while they look at large images.
//!
//! A small file can hold an image of a gigabyte. One at a time does no harm, one a thread may take all
//! the memory there is; so a thread waits until there is room.

use std::io::{Cursor, Read};
use std::path::Path;
use std::sync::{Condvar, Mutex, PoisonError};

use image::{ImageFormat, ImageReader};

use crate::files::Pair;
use crate::open::{contained, open_file};

/// Bytes that all threads together may take for decoding large images: 2 GiB. A pair that needs more has
/// them alone.
const BUDGET: u64 = 1 << 31;

/// Pairs that take fewer bytes than this, 64 MiB, are not counted.
const SMALL: u64 = 1 << 26;

/// Bytes a pixel while a pair is looked at: the samples of both files, twice while they are converted.
const BYTES_PER_PIXEL: u64 = 8;

static SHARED: Shared = Shared {
    used: Mutex::new(0),
    freed: Condvar::new(),
};

struct Shared {
    used: Mutex<u64>,
    freed: Condvar,
}

/// Room for what a pair takes, until it is dropped. A thread must not ask for two.
pub struct Room {
    shared: &'static Shared,
    bytes: u64,
}

/// Waits until there is room for a pair that takes so many bytes.
pub fn room(bytes: u64) -> Room {
    SHARED.room(bytes)
}

/// Bytes that a pair takes while it is decoded, by the headers of its files. About: it is not known how
/// many samples a pixel has.
pub fn decoding_bytes(pair: &Pair) -> u64 {
    let pixels = announced_pixels(&pair.image).max(announced_pixels(&pair.labels));
    pixels.saturating_mul(BYTES_PER_PIXEL)
}

/// Most bytes that so many threads take at once while they decode images of at most `largest` bytes
/// each: large ones share 2 GiB.
pub fn shared_bytes(largest: u64, threads: usize) -> u64 {
    let all = largest.saturating_mul(threads as u64);
    if largest < SMALL {
        all
    } else {
        all.min(BUDGET).max(largest)
    }
}

impl Shared {
    fn room(&'static self, bytes: u64) -> Room {
        let bytes = if bytes < SMALL { 0 } else { bytes.min(BUDGET) };
        if bytes > 0 {
            let used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
            let is_full = |used: &mut u64| *used + bytes > BUDGET;
            let used = self.freed.wait_while(used, is_full);
            *used.unwrap_or_else(PoisonError::into_inner) += bytes;
        }
        Room {
            shared: self,
            bytes,
        }
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        if self.bytes > 0 {
            let used = self.shared.used.lock();
            *used.unwrap_or_else(PoisonError::into_inner) -= self.bytes;
            self.shared.freed.notify_all();
        }
    }
}

/// The number of pixels that the header of a file announces; 0 where it cannot be read, which is for
/// others to say.
fn announced_pixels(path: &Path) -> u64 {
    let mut start = Vec::new();
    let read = open_file(path, u64::MAX).ok().and_then(|file| {
        let mut file = file.take(1 << 16);
        file.read_to_end(&mut start).ok()
    });
    if read.is_none() {
        return 0;
    }
    // Decoders of others may panic.
    let size = contained(path, || Ok(announced_size(&start)));
    let (width, height) = size.ok().flatten().unwrap_or_default();
    u64::from(width).saturating_mul(u64::from(height))
}

/// Width and height in the first bytes of a file, as the decoder of its pixels reads them, which may
/// refuse profiles and texts that are cut off there; then as those do that read no more of PNG and JPEG
/// than their frame header.
fn announced_size(start: &[u8]) -> Option<(u32, u32)> {
    let format = image::guess_format(start).ok()?;
    let reader = ImageReader::with_format(Cursor::new(start), format);
    reader.into_dimensions().ok().or_else(|| match format {
        ImageFormat::Png => {
            let mut decoder = png::Decoder::new(Cursor::new(start));
            let header = decoder.read_header_info().ok()?;
            Some((header.width, header.height))
        }
        ImageFormat::Jpeg => {
            let mut decoder = jpeg_decoder::Decoder::new(Cursor::new(start));
            decoder.read_info().ok()?;
            let info = decoder.info()?;
            Some((info.width.into(), info.height.into()))
        }
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use image::RgbImage;

    use super::*;

    #[test]
    fn large_images_share_the_budget_and_small_ones_do_not_count() {
        assert_eq!(shared_bytes(SMALL - 1, 64), 64 * (SMALL - 1));
        assert_eq!(shared_bytes(1 << 30, 1), 1 << 30);
        assert_eq!(shared_bytes(1 << 30, 8), BUDGET);
        assert_eq!(shared_bytes(BUDGET + 1, 8), BUDGET + 1);
    }

    #[test]
    fn headers_tell_the_number_of_pixels() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        for name in ["a.png", "a.jpg", "a.webp"] {
            RgbImage::new(30, 21).save(at(name)).unwrap();
            assert_eq!(announced_pixels(&at(name)), 630, "{name}");
        }
        std::fs::write(at("text.png"), "text").unwrap();
        for name in ["text.png", "none.png"] {
            assert_eq!(announced_pixels(&at(name)), 0, "{name}");
        }
        let jpeg = std::fs::read(at("a.jpg")).unwrap();
        for end in 0..jpeg.len() {
            let _ = announced_size(&jpeg[..end]);
        }
    }

    #[test]
    fn threads_together_take_no_more_than_the_budget() {
        static OWN: Shared = Shared {
            used: Mutex::new(0),
            freed: Condvar::new(),
        };
        let (now, most) = (AtomicU64::new(0), AtomicU64::new(0));
        std::thread::scope(|scope| {
            for thread in 0..8_u64 {
                let (now, most) = (&now, &most);
                scope.spawn(move || {
                    for step in 0..50 {
                        let bytes = (BUDGET / 5) * (1 + (thread + step) % 6);
                        let room = OWN.room(bytes);
                        let sum = now.fetch_add(room.bytes, Ordering::SeqCst) + room.bytes;
                        most.fetch_max(sum, Ordering::SeqCst);
                        std::thread::yield_now();
                        now.fetch_sub(room.bytes, Ordering::SeqCst);
                    }
                });
            }
        });
        assert!(most.into_inner() <= BUDGET);
        assert_eq!(*OWN.used.lock().unwrap(), 0);
        // What is small waits for nobody.
        let all = OWN.room(u64::MAX);
        assert_eq!((all.bytes, OWN.room(SMALL - 1).bytes), (BUDGET, 0));
    }
}
