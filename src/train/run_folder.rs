//! The folder of a run: who works in it, whether it was used, and what going back or starting anew does
//! to what is there.

use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::checkpoint::{self, free_place};
use crate::consumers::jsonl::later_lines;
use crate::runtime::files::read_text;
use crate::runtime::lock::{FolderLock, LockState};

/// Checkpoints, below a run folder.
pub const CHECKPOINTS: &str = "checkpoints";
/// The best checkpoint of an evaluation while training.
pub const BEST: &str = "best";
/// File beside the best checkpoint that names the step that was judged last, the best or not.
pub(super) const JUDGED: &str = ".judged";
/// The log of steps.
pub const LOG: &str = "log.jsonl";
/// What a run that went back to an earlier step left behind.
pub const ABANDONED: &str = "abandoned";
/// Results of `evaluate`, a folder for each step.
const EVALUATION: &str = "evaluation";
/// Preview pictures.
const PREVIEWS: &str = "previews";
/// TensorBoard's files.
const TENSORBOARD: &str = "tensorboard";

/// How a run begins in its folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Beginning {
    /// After so many steps; 0 for the first one. What belongs to later steps is moved aside.
    After(u64),
    /// With the first step, in place of a run that is given up: its files are deleted.
    Overwriting,
}

/// A run folder in which no other process trains.
#[derive(Debug)]
pub struct RunFolder {
    lock: FolderLock,
}

impl RunFolder {
    /// Makes the folder where it is missing, and keeps others from training in it.
    ///
    /// # Errors
    /// When another process does, or the folder cannot be written to.
    pub fn claim(folder: &Path) -> Result<Self> {
        let lock = FolderLock::take(folder, "dp-sims train")?;
        Ok(Self { lock })
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        self.lock.folder()
    }

    /// Whether it is still there and ours.
    pub fn state(&self) -> LockState {
        self.lock.state()
    }

    /// Makes the folder ready for a run that begins like this. Gives a line about what was moved aside,
    /// if anything was.
    ///
    /// # Errors
    /// When a file cannot be read, moved or deleted, or the log holds what is no step.
    pub fn prepare(&self, beginning: Beginning) -> Result<Option<String>> {
        match beginning {
            Beginning::After(step) => self.go_back(step),
            Beginning::Overwriting => self.clear().map(|()| None),
        }
    }

    /// Moves what belongs to later steps than `step` into [`ABANDONED`].
    fn go_back(&self, step: u64) -> Result<Option<String>> {
        let folder = self.path();
        let aside = folder.join(ABANDONED);
        // First, since it may fail for what it reads.
        let lines = later_lines(&folder.join(LOG), step)?;
        let mut moved = checkpoint::go_back(&folder.join(CHECKPOINTS), step, &aside)?.len();
        let best = aside.join(BEST);
        let bests = checkpoint::go_back(&folder.join(BEST), step, &best)?.len();
        if bests > 0 {
            let note = folder.join(BEST).join("best.json");
            move_to(&note, &free_place(&best, "best.json"))?;
            moved += bests;
        }
        // That step is judged anew when the run comes to it again.
        if judged(folder).is_some_and(|judged| judged > step) {
            delete(&folder.join(BEST).join(JUDGED))?;
        }
        let previews = previews(folder, step)?;
        for preview in &previews {
            let place = aside.join(PREVIEWS);
            create(&place)?;
            let name = preview.file_name().unwrap_or_default().to_string_lossy();
            move_to(preview, &free_place(&place, &name))?;
        }
        // Those of a step would be taken for what the run makes of that step later.
        let results = evaluations(folder, step)?;
        for result in &results {
            let place = aside.join(EVALUATION);
            create(&place)?;
            let name = result.file_name().unwrap_or_default().to_string_lossy();
            move_to(result, &free_place(&place, &name))?;
        }
        if !lines.is_empty() {
            create(&aside)?;
            append(&aside.join(LOG), &lines)?;
        }
        let count = lines.iter().filter(|&&byte| byte == b'\n').count();
        let parts = [
            (moved, "checkpoint"),
            (count, "step of the log"),
            (previews.len(), "preview"),
            (results.len(), "evaluation"),
        ];
        let parts: Vec<String> = parts.into_iter().filter_map(several).collect();
        Ok((!parts.is_empty()).then(|| {
            let shown = aside.display();
            format!(
                "what came after step {step} is now in {shown}: {}",
                parts.join(", ")
            )
        }))
    }

    /// Deletes what training wrote; what else is in the folder stays, [`ABANDONED`] as well.
    fn clear(&self) -> Result<()> {
        let folder = self.path();
        for root in [CHECKPOINTS, BEST] {
            checkpoint::delete_all(&folder.join(root))?;
        }
        let best = folder.join(BEST);
        let mut files = vec![best.join("best.json"), best.join(JUDGED), folder.join(LOG)];
        files.extend(previews(folder, 0)?);
        files.extend(
            entries(&folder.join(TENSORBOARD))?
                .into_iter()
                .filter(|path| {
                    let name = path.file_name().unwrap_or_default().to_string_lossy();
                    name.starts_with("events.out.tfevents.") && name.ends_with(".dp-sims")
                }),
        );
        files.iter().try_for_each(|file| delete(file))
    }
}

/// What in a folder is of an earlier run, if anything is: what a new one would lose.
///
/// # Errors
/// When it cannot be found out.
pub fn trace(folder: &Path) -> Result<Option<&'static str>> {
    for root in [CHECKPOINTS, BEST] {
        if checkpoint::has_any(&folder.join(root))? {
            return Ok(Some("checkpoints"));
        }
    }
    let log = folder.join(LOG);
    match fs::metadata(&log) {
        Ok(found) if found.len() > 0 => return Ok(Some("the log")),
        Err(error) if error.kind() != ErrorKind::NotFound => {
            return Err(error).with_context(|| format!("cannot read {}", log.display()));
        }
        _ => {}
    }
    Ok((!previews(folder, 0)?.is_empty()).then_some("previews"))
}

/// The step that was judged last in a run folder, where it is known.
pub(super) fn judged(folder: &Path) -> Option<u64> {
    let text = read_text(&folder.join(BEST).join(JUDGED)).ok()?;
    text.trim_end().parse().ok()
}

/// Previews of later steps than `step`.
fn previews(folder: &Path, step: u64) -> Result<Vec<PathBuf>> {
    let mut found = entries(&folder.join(PREVIEWS))?;
    found.retain(|path| {
        let number = path
            .file_stem()
            .and_then(|stem| stem.to_str()?.parse().ok());
        path.extension().is_some_and(|ending| ending == "png")
            && number.is_some_and(|number: u64| number > step)
    });
    Ok(found)
}

/// Results of `evaluate` of later steps than `step`.
fn evaluations(folder: &Path, step: u64) -> Result<Vec<PathBuf>> {
    let mut found = entries(&folder.join(EVALUATION))?;
    found.retain(|path| {
        let name = path.file_name().and_then(|name| name.to_str());
        let number = name.and_then(|name| name.strip_prefix("step-")?.parse::<u64>().ok());
        path.is_dir() && number.is_some_and(|number| number > step)
    });
    Ok(found)
}

/// What is in a folder, by name; nothing where there is none.
fn entries(folder: &Path) -> Result<Vec<PathBuf>> {
    let unreadable = || format!("cannot read {}", folder.display());
    let listed = match fs::read_dir(folder) {
        Ok(listed) => listed,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error).with_context(unreadable),
    };
    let paths = listed.map(|entry| Ok(entry?.path()));
    let mut paths: Vec<PathBuf> = paths
        .collect::<std::io::Result<_>>()
        .with_context(unreadable)?;
    paths.sort();
    Ok(paths)
}

fn create(folder: &Path) -> Result<()> {
    fs::create_dir_all(folder).with_context(|| format!("cannot create {}", folder.display()))
}

fn delete(file: &Path) -> Result<()> {
    match fs::remove_file(file) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot delete {}", file.display()))
        }
        _ => Ok(()),
    }
}

fn move_to(from: &Path, to: &Path) -> Result<()> {
    match fs::rename(from, to) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot move {}", from.display()))
        }
        _ => Ok(()),
    }
}

/// Appends to a file and has it on disk.
fn append(path: &Path, bytes: &[u8]) -> Result<()> {
    let append = || -> std::io::Result<()> {
        let mut file = OpenOptions::new().create(true).append(true).open(path)?;
        file.write_all(bytes)?;
        file.sync_all()
    };
    append().with_context(|| format!("cannot write {}", path.display()))
}

fn several((count, what): (usize, &str)) -> Option<String> {
    let (first, rest) = what
        .split_once(' ')
        .map_or((what, String::new()), |(first, rest)| {
            (first, format!(" {rest}"))
        });
    match count {
        0 => None,
        1 => Some(format!("1 {what}")),
        count => Some(format!("{count} {first}s{rest}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A folder as a run of five steps with a checkpoint at every step leaves it.
    fn used() -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let run = folder.path().join("run");
        for step in 1..=5u64 {
            let made = || Ok::<_, anyhow::Error>(step.to_string().into_bytes());
            let files = vec![("weights".to_string(), made)];
            checkpoint::write(&run.join(CHECKPOINTS), step, files).unwrap();
        }
        fs::create_dir(run.join(PREVIEWS)).unwrap();
        for step in [0, 3, 5] {
            fs::write(run.join(format!("previews/{step:06}.png")), "picture").unwrap();
        }
        let line = |step: u64| format!("{{\"step\":{step},\"seconds\":1}}\n");
        fs::write(run.join(LOG), (1..=5).map(line).collect::<String>()).unwrap();
        (folder, run)
    }

    fn names(folder: &Path) -> Vec<String> {
        let paths = entries(folder).unwrap();
        let names = paths.iter().map(|path| path.file_name().unwrap());
        let names = names.map(|name| name.to_string_lossy().into_owned());
        names.filter(|name| !name.starts_with('.')).collect()
    }

    #[test]
    fn what_a_new_run_would_lose_is_seen() {
        let folder = tempfile::tempdir().unwrap();
        let run = folder.path().join("run");
        assert_eq!(trace(&run).unwrap(), None);
        // A start that ended before its first step leaves nothing that could be lost.
        fs::create_dir_all(run.join(PREVIEWS)).unwrap();
        fs::write(run.join("previews/000000.png"), "").unwrap();
        fs::write(run.join(LOG), "").unwrap();
        fs::write(run.join("experiment.toml"), "").unwrap();
        assert_eq!(trace(&run).unwrap(), None);
        fs::write(run.join("previews/000250.png"), "").unwrap();
        assert_eq!(trace(&run).unwrap(), Some("previews"));
        fs::write(run.join(LOG), "x").unwrap();
        assert_eq!(trace(&run).unwrap(), Some("the log"));
        fs::create_dir_all(run.join("checkpoints/step-000001")).unwrap();
        assert_eq!(
            trace(&run).unwrap(),
            Some("checkpoints"),
            "damaged ones, too"
        );
        fs::remove_dir_all(run.join(CHECKPOINTS)).unwrap();
        fs::write(run.join(CHECKPOINTS), "").unwrap();
        assert!(trace(&run).is_err(), "what cannot be listed is not nothing");
    }

    #[test]
    fn going_back_loses_nothing() {
        let (_folder, run) = used();
        for name in ["step-000003", "step-000005", "mine"] {
            fs::create_dir_all(run.join("evaluation").join(name)).unwrap();
        }
        fs::create_dir(run.join(BEST)).unwrap();
        fs::write(run.join("best/.judged"), "4\n").unwrap();
        let folder = RunFolder::claim(&run).unwrap();
        assert_eq!(folder.prepare(Beginning::After(5)).unwrap(), None);
        assert!(!run.join(ABANDONED).exists());
        assert_eq!(judged(&run), Some(4));
        let said = folder.prepare(Beginning::After(3)).unwrap().unwrap();
        assert!(
            said.ends_with("2 checkpoints, 2 steps of the log, 1 preview, 1 evaluation"),
            "{said}"
        );
        assert_eq!(
            names(&run.join(CHECKPOINTS)),
            ["step-000001", "step-000002", "step-000003"]
        );
        assert_eq!(judged(&run), None, "step 4 is yet to come");
        assert_eq!(names(&run.join(PREVIEWS)), ["000000.png", "000003.png"]);
        let aside = run.join(ABANDONED);
        assert_eq!(
            names(&aside),
            [
                "evaluation",
                "log.jsonl",
                "previews",
                "step-000004",
                "step-000005"
            ]
        );
        assert_eq!(names(&run.join("evaluation")), ["mine", "step-000003"]);
        assert_eq!(names(&aside.join("evaluation")), ["step-000005"]);
        assert_eq!(names(&aside.join(PREVIEWS)), ["000005.png"]);
        let log = fs::read_to_string(aside.join(LOG)).unwrap();
        assert!(
            log.starts_with("{\"step\":4,") && log.lines().count() == 2,
            "{log}"
        );
    }

    #[test]
    fn overwriting_deletes_what_training_wrote_and_nothing_else() {
        let (_folder, run) = used();
        fs::create_dir_all(run.join("tensorboard")).unwrap();
        let event = run.join("tensorboard/events.out.tfevents.1.0000.2.dp-sims");
        let kept =
            ["notes.txt", "previews/mine.png", "tensorboard/mine"].map(|name| run.join(name));
        for file in kept.iter().chain([&event]) {
            fs::write(file, "text").unwrap();
        }
        let folder = RunFolder::claim(&run).unwrap();
        folder.prepare(Beginning::Overwriting).unwrap();
        assert_eq!(trace(&run).unwrap(), None);
        assert!(!event.exists());
        assert!(kept.iter().all(|file| file.exists()));
    }
}
