use std::path::{Path, PathBuf};

use anyhow::Result;
use burn::tensor::backend::AutodiffBackend;
use dp_sims_model::generator::Generator;

use super::super::save::{State, files};
use super::Run;
use crate::checkpoint;
use crate::events::{Fanout, TrainEvent};

impl<B: AutodiffBackend> Run<'_, B> {
    /// Judges the averaged generator where that is due, and keeps the best checkpoint. An
    /// evaluation that fails does not end the run.
    pub(super) fn evaluate(&mut self, is_last: bool, events: &mut Fanout) -> Result<()> {
        let step = self.step;
        let Some(mut evaluation) = self.evaluation.take() else {
            return Ok(());
        };
        let is_due = evaluation.is_due(step, is_last);
        if is_due {
            self.report(events)?;
        }
        if self.finite && is_due {
            let mut generator = self.ready();
            match evaluation.run(&mut generator, step) {
                Ok(found) => {
                    events.emit(&TrainEvent::Evaluation {
                        step,
                        values: found.values,
                        is_best: found.is_best,
                    });
                    if found.is_best {
                        let root = evaluation.folder();
                        self.save(root, &generator)?;
                        checkpoint::keep_only(root, step)?;
                        evaluation.remember()?;
                    }
                }
                Err(error) => events.emit(&TrainEvent::Warning {
                    step,
                    message: format!("no evaluation: {error:#}"),
                }),
            }
        }
        self.evaluation = Some(evaluation);
        Ok(())
    }

    /// Writes the checkpoint of this step into a folder of checkpoints.
    fn save(&self, root: &Path, ready: &Generator<B::InnerBackend>) -> Result<PathBuf> {
        let state = State::new(self.step, self.images_seen, &self.options.backend);
        let description = &self.data.description;
        let files = files(&self.training, ready, &state, self.experiment, description);
        checkpoint::write(root, self.step, files)
    }

    /// Writes a checkpoint, unless the run has lost its numbers: a checkpoint without finite
    /// weights cannot be resumed, and keeping it would push out those that can.
    pub(super) fn write_checkpoint(&mut self, events: &mut Fanout) -> Result<()> {
        if !self.finite {
            let message = "no checkpoint written: a loss is not finite".to_string();
            events.emit(&TrainEvent::Warning {
                step: self.step,
                message,
            });
            return Ok(());
        }
        let ready = self.ready();
        let root = self.options.out.join("checkpoints");
        let path = self.save(&root, &ready)?;
        if self.experiment.run.keep_checkpoints > 0 {
            checkpoint::prune(&root, self.experiment.run.keep_checkpoints)?;
        }
        events.emit(&TrainEvent::Checkpoint {
            step: self.step,
            path,
        });
        Ok(())
    }
}
