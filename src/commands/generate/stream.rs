use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread;

use anyhow::{Context, Result};
use dp_sims_datasets::Sample;
use image::RgbImage;

use crate::commands::maps::Maps;
use crate::evaluate::sample_name;
use crate::runtime::pictures::save;
use crate::runtime::progress::progress_bar;

/// Label maps that are read ahead.
const AHEAD: usize = 2;

/// Threads that encode and write images.
const WRITERS: usize = 2;

/// Images that wait for them.
const WAITING: usize = 4;

/// An image and where it goes.
type Made = (RgbImage, PathBuf);

/// Makes images of every label map and writes them into `out`, whose sub-folders are there. The next label maps are read, and
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
            let read = |index| {
                let sample = maps.read(index);
                sample.context("a label map changed after it was checked: run this again")
            };
            (0..maps.len()).try_for_each(|index| to_generator.send(read(index)).ok())
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

/// Path, relative to the folder of the images, of image `k` of `count` of a label map.
pub(super) fn image_file(name: &str, k: usize, count: usize) -> String {
    match count {
        1 => format!("{name}.png"),
        _ => format!("{}.png", sample_name(name, k)),
    }
}

fn images_of(sample: &Sample, made: Vec<Vec<u8>>, out: &Path) -> Result<Vec<Made>> {
    let count = made.len();
    let (width, height) = (sample.width as u32, sample.height as u32);
    let images = made.into_iter().enumerate().map(|(k, pixels)| {
        let file = image_file(&sample.name, k, count);
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

#[cfg(test)]
mod tests {
    use std::fs;

    use dp_sims_datasets::Size;
    use image::{GrayImage, Luma};
    use tempfile::TempDir;

    use super::*;
    use crate::data::description;

    const SIDE: usize = 4;

    /// A folder of label maps, `m00.png` and so on, and what reads them.
    fn maps(count: usize) -> (TempDir, Maps) {
        let folder = tempfile::tempdir().unwrap();
        for index in 0..count {
            let map = GrayImage::from_pixel(SIDE as u32, SIDE as u32, Luma([1 + index as u8]));
            map.save(file(folder.path(), index)).unwrap();
        }
        let description = description("ade20k").unwrap();
        let size = Size::square(SIDE);
        let maps = Maps::open(folder.path(), None, description, size, None).unwrap();
        (folder, maps.checked().unwrap())
    }

    fn file(folder: &Path, index: usize) -> PathBuf {
        folder.join(format!("m{index:02}.png"))
    }

    /// An image of the class of the first pixel.
    fn image(sample: &Sample) -> Vec<Vec<u8>> {
        vec![vec![sample.labels[0]; 3 * SIDE * SIDE]]
    }

    #[test]
    fn every_image_is_that_of_its_label_map() {
        let (folder, maps) = maps(30);
        let out = tempfile::tempdir().unwrap();
        stream(&maps, out.path(), |sample| Ok(image(sample))).unwrap();
        for index in 0..30 {
            let made = image::open(file(out.path(), index)).unwrap().to_rgb8();
            let expected = maps.read(index).unwrap().labels[0];
            assert!(made.iter().all(|&value| value == expected), "{index}");
        }
        drop(folder);
    }

    #[test]
    fn few_label_maps_are_read_ahead() {
        let (folder, maps) = maps(30);
        let out = tempfile::tempdir().unwrap();
        let mut made = 0;
        let error = stream(&maps, out.path(), |sample| {
            made += 1;
            // What has not been read yet can not be read any more.
            for index in 0..30 {
                let _ = fs::remove_file(file(folder.path(), index));
            }
            Ok(image(sample))
        })
        .unwrap_err();
        // The one at work, those in the queue, and the one that waits to get in.
        assert!((1..=2 + AHEAD).contains(&made), "{made}");
        let message = format!("{error:#}");
        assert!(
            message.contains("changed after it was checked"),
            "{message}"
        );
        assert!(message.contains(".png"), "{message}");
    }

    #[test]
    fn a_failure_of_any_part_ends_it_and_names_the_file() {
        let (_folder, maps) = maps(30);
        let out = tempfile::tempdir().unwrap();
        let gone = out.path().join("gone");
        let mut made = 0;
        let error = stream(&maps, &gone, |sample| {
            made += 1;
            Ok(image(sample))
        })
        .unwrap_err();
        let message = format!("{error:#}");
        assert!(
            message.contains("gone") && message.contains(".png"),
            "{message}"
        );

        made = 0;
        let error = stream(&maps, out.path(), |_| {
            made += 1;
            anyhow::bail!("the device failed")
        })
        .unwrap_err();
        assert_eq!((error.to_string().as_str(), made), ("the device failed", 1));
    }
}
