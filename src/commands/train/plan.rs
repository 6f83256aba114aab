//! What a call of `train` is about to do, and in which folder.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};

use super::TrainArgs;
use super::continued::{Choice, chosen, continued};
use crate::checkpoint::Checkpoint;
use crate::checkpoint::snapshot::{newest_whole, open_whole};
use crate::config::{self, Experiment};
use crate::data;
use crate::train::run_folder::{ABANDONED, BEST, Beginning, CHECKPOINTS, RunFolder, trace};

/// What a call of `train` is about to do.
pub(super) struct Plan {
    /// The experiment with the settings of this call.
    pub(super) experiment: Experiment,
    /// The experiment as it was named, as TOML, without any flag.
    pub(super) named: Option<String>,
    /// Run folder.
    pub(super) out: PathBuf,
    /// Checkpoint to continue from.
    pub(super) resume: Option<Checkpoint>,
    /// The run folder, where it is there already and is to be written to.
    folder: Option<RunFolder>,
    /// Whether what the folder holds is of the run that is continued.
    continues: bool,
    overwrite: bool,
}

impl Plan {
    /// Resolves the experiment, the run folder and the checkpoint to continue from. A run folder that is
    /// there is claimed before anything in it is read.
    ///
    /// # Errors
    /// When the folder is in use, or holds a run that this call would lose; when there is no checkpoint
    /// that can be used, or a setting is wrong.
    pub(super) fn of(args: &TrainArgs) -> Result<Self> {
        let named = args.experiment.as_deref();
        let resumed = args.resume.as_deref();
        let source = resumed.filter(|&folder| folder != "auto").map(Path::new);
        let own = source.map(run_folder_of).transpose()?.flatten();
        let out = match (&args.out, source, &own) {
            (Some(out), ..) | (None, Some(_), Some(out)) => out.clone(),
            (None, Some(folder), None) => {
                // What is no checkpoint at all is the first thing to tell.
                open_whole(folder)?;
                bail!("--resume needs --out when the checkpoint is in no run folder")
            }
            (None, None, _) => {
                let experiment = config::load(named.unwrap_or("quickstart"), &args.set)?;
                experiment.check_name()?;
                Path::new("runs").join(&experiment.name)
            }
        };
        let continues = match source {
            None => resumed.is_some(),
            Some(_) => own.is_some_and(|own| is_same(&own, &out)),
        };
        ensure!(
            !(args.overwrite && continues),
            "--overwrite gives up the run in {} that --resume is to continue: leave one of them away",
            out.display()
        );
        // The first process alone writes to the run folder.
        let writes = !args.dry_run && args.ranks.is_first();
        let folder = (writes && out.is_dir())
            .then(|| RunFolder::claim(&out))
            .transpose()?;
        let resume = match source {
            Some(folder) => Some(open_whole(folder)?),
            None if resumed.is_some() => newest_whole(&out).with_context(|| {
                format!(
                    "{} cannot be continued: put its checkpoints right or move them away, or give \
                     them up with --overwrite in place of --resume",
                    out.display()
                )
            })?,
            None => None,
        };
        let Choice { experiment, named } = match &resume {
            None => chosen(named.unwrap_or("quickstart"), &args.set)?,
            Some(checkpoint) => continued(checkpoint, args)?,
        };
        let plan = Self {
            experiment: settled(experiment, args)?,
            named,
            out,
            resume,
            folder,
            continues,
            overwrite: args.overwrite,
        };
        if writes {
            plan.refuse_loss()?;
        }
        Ok(plan)
    }

    /// The run folder, made and claimed where that has not been done.
    ///
    /// # Errors
    /// When another process was faster, or the folder cannot be made.
    pub(super) fn claim(&mut self) -> Result<RunFolder> {
        if let Some(folder) = self.folder.take() {
            return Ok(folder);
        }
        let folder = RunFolder::claim(&self.out)?;
        self.refuse_loss()?;
        Ok(folder)
    }

    /// How the run begins in its folder.
    pub(super) fn beginning(&self) -> Beginning {
        if self.overwrite {
            Beginning::Overwriting
        } else {
            Beginning::After(self.finished())
        }
    }

    /// Steps that are in the checkpoint to continue from.
    pub(super) fn finished(&self) -> u64 {
        self.resume.as_ref().map_or(0, Checkpoint::step)
    }

    fn refuse_loss(&self) -> Result<()> {
        if self.continues || self.overwrite {
            return Ok(());
        }
        let Some(what) = trace(&self.out)? else {
            return Ok(());
        };
        bail!(
            "{} already holds a run ({what}): continue it with --resume auto, give it up with \
             --overwrite, or choose another folder with --out",
            self.out.display()
        );
    }
}

/// The run folder that a folder is, or that a checkpoint folder lies in; none where it lies elsewhere.
fn run_folder_of(folder: &Path) -> Result<Option<PathBuf>> {
    if folder.join(CHECKPOINTS).is_dir() {
        return Ok(Some(folder.to_path_buf()));
    }
    if let Some(run) = above(folder) {
        return Ok(Some(run));
    }
    // `.` and the like have their folders only in full.
    let full = folder
        .canonicalize()
        .with_context(|| format!("cannot read {}", folder.display()))?;
    Ok(above(&full))
}

fn above(folder: &Path) -> Option<PathBuf> {
    let is = |folder: &Path, names: &[&str]| {
        let name = folder.file_name();
        names
            .iter()
            .any(|known| name.is_some_and(|name| name == *known))
    };
    let mut place = folder;
    if !is(place, &[CHECKPOINTS, BEST, ABANDONED]) {
        place = place.parent()?;
    }
    while is(place, &[BEST]) && place.parent().is_some_and(|above| is(above, &[ABANDONED])) {
        place = place.parent()?;
    }
    if !is(place, &[CHECKPOINTS, BEST, ABANDONED]) {
        return None;
    }
    let run = place.parent()?;
    Some(if run.as_os_str().is_empty() {
        PathBuf::from(".")
    } else {
        run.to_path_buf()
    })
}

fn is_same(first: &Path, second: &Path) -> bool {
    match (first.canonicalize(), second.canonicalize()) {
        (Ok(first), Ok(second)) => first == second,
        _ => first == second,
    }
}

/// Applies the flags that are settings too, and checks the result.
fn settled(mut experiment: Experiment, args: &TrainArgs) -> Result<Experiment> {
    if let Some(steps) = args.steps {
        experiment.run.steps = steps;
    }
    if let Some(folder) = &args.data {
        data::place(&mut experiment.data, folder)?;
    }
    experiment.run.divide(args.ranks.count())?;
    experiment.validate()?;
    Ok(experiment)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_run_folder_of_a_checkpoint_is_found_by_names() {
        let cases = [
            ("run/checkpoints/step-000005", Some("run")),
            ("run/checkpoints/step-000005/", Some("run")),
            ("run/best/step-000005", Some("run")),
            ("run/best", Some("run")),
            ("run/checkpoints", Some("run")),
            ("run/abandoned/step-000005.2", Some("run")),
            ("run/abandoned/best/step-000005", Some("run")),
            ("checkpoints/step-000005", Some(".")),
            ("models/good one", None),
            ("good one", None),
        ];
        for (folder, expected) in cases {
            let found = above(Path::new(folder));
            assert_eq!(found.as_deref(), expected.map(Path::new), "{folder}");
        }
    }
}
