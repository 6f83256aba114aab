use anyhow::{Result, ensure};
use burn::tensor::backend::AutodiffBackend;

use super::Run;
use crate::events::{Fanout, TrainEvent};
use crate::runtime::lock::LockState;
use crate::train::run_folder::RunFolder;

impl<B: AutodiffBackend> Run<'_, B> {
    /// Takes the claim on the run folder, which lasts as long as the run.
    pub fn hold(&mut self, folder: RunFolder) {
        self.folder = Some(folder);
    }

    /// Sees whether the run folder is still there. One that was removed is made again, which is told.
    ///
    /// # Errors
    /// When another run has begun in its place.
    pub(super) fn look_at_folder(&mut self, events: &mut Fanout) -> Result<()> {
        let Some(folder) = &self.folder else {
            return Ok(());
        };
        let state = folder.state();
        if state == LockState::Held {
            return Ok(());
        }
        let path = folder.path().to_path_buf();
        let shown = path.display();
        ensure!(
            state == LockState::Removed,
            "{shown} was removed and another run has begun in it, so that this one ends"
        );

        let made = RunFolder::claim(&path);
        let outcome = match &made {
            Ok(_) => "it is made again and the run goes on".to_string(),
            Err(error) => format!("the run goes on, but nothing can be kept: {error:#}"),
        };
        self.folder = made.ok();
        events.emit(&TrainEvent::Warning {
            step: self.step,
            message: format!("{shown} was removed, or the lock in it; {outcome}"),
        });
        Ok(())
    }
}
