use anyhow::{Context, Result};
use burn::tensor::backend::AutodiffBackend;
use dp_sims_datasets::{Batch, Loader, LoaderConfig, Share};

use super::Run;
use crate::config::Experiment;
use crate::data::Data;
use crate::events::{Fanout, TrainEvent};
use crate::runtime::batch::DeviceBatch;

/// The batches of the training split in their order.
pub(super) struct Feed {
    loader: Loader,
    /// Position of the batch that the loader gives next.
    position: u64,
}

impl Feed {
    /// Begins with the batch, or a share of it, at a position, counted from 0.
    ///
    /// # Errors
    /// Those of [`Loader::new`].
    pub(super) fn new(
        experiment: &Experiment,
        data: &Data,
        share: Share,
        position: u64,
    ) -> Result<Self> {
        let loader = Loader::new(
            data.train.clone(),
            data.balance(&experiment.data),
            loader_config(experiment, experiment.run.seed, share),
            position,
        )?;
        Ok(Self { loader, position })
    }

    /// The batch at a position that is not before the last one. Those between are read and dropped; what
    /// was wrong with their images is said with this one.
    ///
    /// # Errors
    /// When images cannot be read.
    pub(super) fn batch(&mut self, position: u64) -> Result<Batch> {
        let mut unreadable = Vec::new();
        loop {
            let next = self.loader.next();
            let mut batch = next.context("the loader ended before the run")??;
            self.position += 1;
            unreadable.append(&mut batch.unreadable);
            if self.position > position {
                return Ok(Batch {
                    unreadable,
                    ..batch
                });
            }
        }
    }
}

impl<B: AutodiffBackend> Run<'_, B> {
    /// The batches of the next step.
    pub(super) fn batches(
        &mut self,
        events: &mut Fanout,
    ) -> Result<Vec<DeviceBatch<B::InnerBackend>>> {
        let classes = self.data.train.classes().len();
        let passes = self.experiment.run.accumulation as u64;
        let first = passes * batches_of(self.step + 1, &self.skipped);
        let feed = match &mut self.feed {
            Some(feed) => feed,
            none => none.insert(Feed::new(
                self.experiment,
                self.data,
                self.options.ranks.share(),
                first,
            )?),
        };
        (first..first + passes)
            .map(|position| {
                let batch = feed.batch(position)?;
                for message in &batch.unreadable {
                    let (step, message) = (self.step, message.clone());
                    events.emit(&TrainEvent::Warning { step, message });
                }
                let own = DeviceBatch::new(&batch, classes, &self.device);
                let ranks = self.options.ranks;
                let weights = ranks.class_weights(&batch.labels, classes, &self.device)?;
                Ok(DeviceBatch {
                    class_weights: weights.unwrap_or_else(|| own.class_weights.clone()),
                    ..own
                })
            })
            .collect()
    }
}

/// Number, from 0, of the batches that `step`, from 1, is computed with: step 1 takes the first, and what
/// is `skipped` (ascending) is left to no step.
pub(super) fn batches_of(step: u64, skipped: &[u64]) -> u64 {
    skipped
        .iter()
        .fold(step.saturating_sub(1), |number, &skip| {
            number + u64::from(skip <= number)
        })
}

/// How a run loads its batches, in an order of its own for every seed.
pub(super) fn loader_config(experiment: &Experiment, seed: u64, share: Share) -> LoaderConfig {
    LoaderConfig {
        size: experiment.data.size(),
        load: experiment.data.load(),
        batch: experiment.run.batch,
        workers: experiment.data.workers,
        queue: experiment.data.queue,
        seed,
        flip: experiment.data.flip,
        balanced: experiment.data.balanced,
        offsets: experiment.generator.offsets,
        share,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_take_the_batches_in_order_without_those_skipped() {
        let taken = |skipped: &[u64]| [1, 2, 3, 4].map(|step| batches_of(step, skipped));
        assert_eq!(taken(&[]), [0, 1, 2, 3]);
        assert_eq!(taken(&[0]), [1, 2, 3, 4]);
        assert_eq!(taken(&[2]), [0, 1, 3, 4]);
        assert_eq!(taken(&[1, 2]), [0, 3, 4, 5]);
        assert_eq!(taken(&[1, 3]), [0, 2, 4, 5]);
        assert_eq!(taken(&[9]), [0, 1, 2, 3]);
    }

    #[test]
    fn batches_that_are_passed_over_change_no_other() {
        let folder = tempfile::tempdir().unwrap();
        let mut experiment = Experiment::default();
        experiment.data.scenes = 8;
        (experiment.data.height, experiment.data.width) = (32, 32);
        let data = Data::open(&experiment.data, false, folder.path()).unwrap();
        let feed = |position| Feed::new(&experiment, &data, Share::default(), position).unwrap();
        let mut all = feed(0);
        let all: Vec<Batch> = (0..5).map(|at| all.batch(at).unwrap()).collect();
        let mut some = feed(1);
        for at in [1, 3, 4] {
            assert_eq!(some.batch(at).unwrap(), all[at as usize], "{at}");
        }
    }
}
