use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use dp_sims::runtime::memory::Memory;
use dp_sims_datasets::{DescribedFolder, LabelledImages, Loader, LoaderConfig};
use serde::Serialize;

/// Samples of the dataset whose reading is timed part by part.
const TIMED_SAMPLES: usize = 64;

/// Speed of the loader, as `--json` prints it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LoaderReport {
    /// `loader`.
    pub bench: &'static str,
    /// Name of the dataset.
    pub dataset: String,
    /// Images of the split.
    pub images: usize,
    /// Whether samples came from a packed split.
    pub packed: bool,
    /// Height of a sample in pixels.
    pub height: usize,
    /// Width of a sample in pixels.
    pub width: usize,
    /// Samples per batch.
    pub batch: usize,
    /// Threads that read.
    pub workers: usize,
    /// Samples per round.
    pub samples: usize,
    /// Samples per second in each round.
    pub rounds: Vec<f64>,
    /// Their median.
    pub samples_per_second: f64,
    /// Where the time of a sample goes; of the files alone, nothing for a packed split.
    pub shares: Option<Shares>,
    /// Most resident memory of the process that was seen after a batch, in bytes.
    pub peak_memory_bytes: u64,
}

/// Parts of the time that reading a sample takes on one thread.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Shares {
    /// Decoding photo, label map and instances.
    pub decode: f64,
    /// Resizing them.
    pub resize: f64,
    /// Computing centre offsets.
    pub offsets: f64,
    /// All of it, in milliseconds.
    pub milliseconds: f64,
}

/// Times the loader: `rounds` times `samples` samples, after the queue has been filled.
///
/// # Errors
/// When a setting is 0 or images cannot be read.
pub fn loader(
    dataset: Arc<dyn LabelledImages>,
    config: &LoaderConfig,
    samples: usize,
    rounds: usize,
) -> Result<LoaderReport> {
    ensure!(rounds > 0, "--repeats 0: give a number of at least 1");
    let batches = samples.div_ceil(config.batch.max(1)).max(1);
    let mut loader = Loader::new(dataset.clone(), None, config.clone(), 0)?;
    let mut memory = Memory::new();
    let mut next = || -> Result<()> {
        loader.next().context("the loader ended")??;
        Ok(())
    };
    // Until here batches may have been ready in advance; from here on workers are always behind.
    for _ in 0..config.queue + 2 * config.workers {
        next()?;
    }
    let mut speeds = Vec::with_capacity(rounds);
    let mut peak = 0;
    for _ in 0..rounds {
        let started = Instant::now();
        for _ in 0..batches {
            next()?;
        }
        speeds.push((batches * config.batch) as f64 / started.elapsed().as_secs_f64());
        peak = peak.max(memory.resident());
    }
    let mut sorted = speeds.clone();
    sorted.sort_by(f64::total_cmp);
    Ok(LoaderReport {
        bench: "loader",
        dataset: dataset.name().to_string(),
        images: dataset.len(),
        packed: false,
        height: config.size.height,
        width: config.size.width,
        batch: config.batch,
        workers: config.workers,
        samples: batches * config.batch,
        samples_per_second: sorted[rounds / 2],
        rounds: speeds,
        shares: None,
        peak_memory_bytes: peak,
    })
}

/// Times the parts of reading a sample from files, on one thread, over some images of the dataset.
///
/// # Errors
/// When an image cannot be read.
pub fn shares(folder: &DescribedFolder, config: &LoaderConfig) -> Result<Shares> {
    let size = config.load.unwrap_or(config.size);
    let mut sum = [Duration::ZERO; 3];
    let count = folder.len().clamp(1, TIMED_SAMPLES);
    let rounds = TIMED_SAMPLES.div_ceil(count);
    for index in (0..count).cycle().take(rounds * count) {
        let started = Instant::now();
        let pair = folder.decode(index, size)?;
        sum[0] += started.elapsed();
        let started = Instant::now();
        let sample = pair.resize(size)?;
        sum[1] += started.elapsed();
        if config.offsets {
            let started = Instant::now();
            std::hint::black_box(sample.offsets());
            sum[2] += started.elapsed();
        }
    }
    let total = sum.iter().sum::<Duration>().as_secs_f64();
    let [decode, resize, offsets] = sum.map(|part| part.as_secs_f64() / total);
    Ok(Shares {
        decode,
        resize,
        offsets,
        milliseconds: 1000.0 * total / (rounds * count) as f64,
    })
}

impl fmt::Display for LoaderReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let source = if self.packed { "packed" } else { "files" };
        writeln!(
            f,
            "{} ({source}), {} images at {}x{}, batch {}, {} workers",
            self.dataset, self.images, self.height, self.width, self.batch, self.workers
        )?;
        let (slowest, fastest) = self
            .rounds
            .iter()
            .fold((f64::MAX, 0.0_f64), |range, &speed| {
                (range.0.min(speed), range.1.max(speed))
            });
        writeln!(
            f,
            "{:.0} samples/s, median of {} rounds of {} ({slowest:.0} to {fastest:.0})",
            self.samples_per_second,
            self.rounds.len(),
            self.samples
        )?;
        if let Some(shares) = &self.shares {
            writeln!(
                f,
                "{:.2} ms per sample on one thread: decode {:.0} %, resize {:.0} %, offsets {:.0} %",
                shares.milliseconds,
                100.0 * shares.decode,
                100.0 * shares.resize,
                100.0 * shares.offsets
            )?;
        }
        let megabytes = self.peak_memory_bytes as f64 / (1 << 20) as f64;
        writeln!(f, "peak memory {megabytes:.0} MiB")
    }
}
