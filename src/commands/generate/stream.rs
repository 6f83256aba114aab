use std::io::Cursor;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread;

use anyhow::{Context, Result};
use dp_sims_datasets::Sample;
use image::{ImageFormat, RgbImage};

use super::maps::Maps;
use crate::data::progress_bar;
use crate::files::write_whole;

/// Label maps that are read ahead.
const AHEAD: usize = 2;

/// Threads that encode and write images.
const WRITERS: usize = 2;

/// Images that wait for them.
const WAITING: usize = 4;

/// An image and where it goes.
type Made = (RgbImage, PathBuf);

/// Makes images of every label map and writes them into `out`. The next label maps are read, and
/// the last images written, while the device is at work; memory does not grow with their number.
///
/// `make` is given a label map and gives back its images as rows of RGB.
///
/// # Errors
/// The first that occurs ends everything.
pub(super) fn stream(
    maps: &Maps,
    out: &Path,
    mut make: impl FnMut(&Sample) -> Result<Vec<Vec<u8>>>,
) -> Result<()> {
    let bar = progress_bar("generating", maps.len() as u64);
    let has_failed = AtomicBool::new(false);
    let (to_writers, images) = sync_channel(WAITING);
    let images = Mutex::new(images);
    thread::scope(|scope| {
        let (to_generator, samples) = sync_channel(AHEAD);
        scope.spawn(move || {
            // Sending fails when nobody generates any more.
            (0..maps.len()).try_for_each(|index| to_generator.send(maps.read(index)).ok())
        });
        let writers: Vec<_> = (0..WRITERS)
            .map(|_| scope.spawn(|| write_all(&images, &has_failed)))
            .collect();

        let generate = || -> Result<()> {
            for sample in samples {
                let sample = sample?;
                for made in images_of(&sample, make(&sample)?, out)? {
                    if has_failed.load(Ordering::Relaxed) || to_writers.send(made).is_err() {
                        return Ok(());
                    }
                }
                bar.inc(1);
            }
            Ok(())
        };
        let outcome = generate();
        // Writers end when nothing can come any more.
        drop(to_writers);
        bar.finish_and_clear();
        for writer in writers {
            match writer.join() {
                Ok(written) => written?,
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        outcome
    })
}

fn images_of(sample: &Sample, made: Vec<Vec<u8>>, out: &Path) -> Result<Vec<Made>> {
    let (name, count) = (&sample.name, made.len());
    let (width, height) = (sample.width as u32, sample.height as u32);
    let images = made.into_iter().enumerate().map(|(k, pixels)| {
        let file = match count {
            1 => format!("{name}.png"),
            _ => format!("{name}_{k:02}.png"),
        };
        let image = RgbImage::from_raw(width, height, pixels)
            .context("the generator made an image of another size")?;
        Ok((image, out.join(file)))
    });
    images.collect()
}

fn write_all(images: &Mutex<Receiver<Made>>, has_failed: &AtomicBool) -> Result<()> {
    // A writer that panicked while it waited has lost nothing.
    let next = || {
        let images = images.lock();
        images
            .unwrap_or_else(|poisoned| poisoned.into_inner())
            .recv()
    };
    while let Ok((image, path)) = next() {
        if let Err(error) = save(&image, &path) {
            has_failed.store(true, Ordering::Relaxed);
            // Whoever waits to hand over an image must not wait for ever.
            while next().is_ok() {}
            return Err(error);
        }
    }
    Ok(())
}

/// Encodes an image as PNG and writes it whole.
pub(super) fn save(image: &RgbImage, path: &Path) -> Result<()> {
    let mut bytes = Cursor::new(Vec::new());
    image.write_to(&mut bytes, ImageFormat::Png)?;
    write_whole(path, bytes.get_ref())
}
