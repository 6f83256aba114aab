//! What is put side by side: generators and folders of images.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

use crate::checkpoint::MANIFEST;
use crate::checkpoint::snapshot::Snapshot;
use crate::evaluate::Results;

/// Where the images of a column come from.
pub(super) enum Source {
    /// They are made.
    Model(Box<Snapshot>),
    /// They are read: the folder, and the number of the image of every label map where it has several.
    Images(PathBuf, Option<usize>),
}

/// A column of a panel.
pub(super) struct Method {
    pub(super) title: String,
    pub(super) source: Source,
}

impl Method {
    /// Tells what lies at `path`: results of `evaluate` for what they judged, a run, a checkpoint, a
    /// model file, the name of the model inside the program, or a folder of images.
    ///
    /// # Errors
    /// When it is none of these, or what it names is not there any more.
    pub(super) fn open(path: &Path) -> Result<Self> {
        let is_results = path.extension().is_some_and(|ending| ending == "json")
            || path.join("results.json").is_file();
        if !is_results {
            return Self::of(path);
        }
        let subject = Results::read(path)?.subject;
        let judged = PathBuf::from(&subject.path);
        let gone = || {
            format!(
                "{} judged {}, which is not to be had from here",
                path.display(),
                judged.display()
            )
        };
        let mut method = Self::of(&judged).with_context(gone)?;
        if let Source::Images(_, sample) = &mut method.source {
            *sample = subject.sample;
        }
        Ok(method)
    }

    fn of(path: &Path) -> Result<Self> {
        let is_run = path.join("checkpoints").is_dir() || path.join(MANIFEST).is_file();
        let source = if path.is_dir() && !is_run {
            Source::Images(path.to_path_buf(), None)
        } else {
            Source::Model(Box::new(Snapshot::open(path)?))
        };
        Ok(Self {
            title: title(path),
            source,
        })
    }

    /// The generator, where there is one.
    pub(super) fn model(&self) -> Option<&Snapshot> {
        match &self.source {
            Source::Model(model) => Some(model),
            Source::Images(..) => None,
        }
    }
}

/// The last part of a path without the ending of a model file; of a checkpoint also that of its run.
fn title(path: &Path) -> String {
    let last = |path: &Path| {
        let name = path.file_name().unwrap_or(path.as_os_str());
        name.to_string_lossy().into_owned()
    };
    let name = last(path);
    if let Some(stem) = name.strip_suffix(".safetensors") {
        return stem.to_string();
    }
    let run = path
        .parent()
        .filter(|parent| parent.file_name().is_some_and(|name| name == "checkpoints"))
        .and_then(Path::parent);
    match run {
        Some(run) if !run.as_os_str().is_empty() => format!("{} {name}", last(run)),
        _ => name,
    }
}

/// Titles that were asked for in place of those of the paths.
///
/// # Errors
/// When there are not as many as methods.
pub(super) fn retitle(methods: &mut [Method], titles: Vec<String>) -> Result<()> {
    if titles.is_empty() {
        return Ok(());
    }
    ensure!(
        titles.len() == methods.len(),
        "--titles: {} titles for {} columns",
        titles.len(),
        methods.len()
    );
    for (method, title) in methods.iter_mut().zip(titles) {
        method.title = title;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn titles_are_the_last_part_of_a_path() {
        for (path, expected) in [
            ("runs/camvid", "camvid"),
            ("runs/camvid/", "camvid"),
            ("runs/camvid/checkpoints/step-000250", "camvid step-000250"),
            ("checkpoints/step-000250", "step-000250"),
            ("out/scenes.safetensors", "scenes"),
            ("scenes", "scenes"),
        ] {
            assert_eq!(title(Path::new(path)), expected);
        }
    }
}
