use std::collections::HashSet;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use dp_sims_datasets::Split;
use dp_sims_datasets::description::{Instances, SplitFiles};

use super::stream::image_file;
use crate::commands::maps::Maps;
use crate::evaluate::GRID;
use crate::paths::real;
use crate::snapshot::Snapshot;

/// Where images go.
pub(super) struct Outputs<'a> {
    pub(super) out: &'a Path,
    pub(super) maps: &'a Maps,
    /// Images of every label map.
    pub(super) count: usize,
}

impl Outputs<'_> {
    /// Paths of all images, relative to their folder.
    fn files(&self) -> impl Iterator<Item = String> {
        let count = self.count;
        let names = self.maps.names();
        names.flat_map(move |name| (0..count).map(move |k| image_file(name, k, count)))
    }

    /// File name of the overview: `grid.png`, or with a number behind `grid` where that is an image.
    pub(super) fn grid(&self) -> String {
        let taken: HashSet<String> = self.files().map(|file| file.to_lowercase()).collect();
        let names = (2..).map(|number| format!("{GRID}-{number}.png"));
        let mut names = std::iter::once(format!("{GRID}.png")).chain(names);
        // There are more numbers than images.
        names.find(|name| !taken.contains(name)).unwrap_or_default()
    }

    /// Refuses to write over what is read: label maps, instance maps, and the files of the dataset that
    /// the model was trained on.
    ///
    /// # Errors
    /// Names the file or folder.
    pub(super) fn refuse_inputs(&self, grid: bool, model: &Snapshot) -> Result<()> {
        let out = self.out.display();
        let place = real(self.out);
        for (folder, what) in dataset_folders(model) {
            ensure!(
                !place.starts_with(&folder),
                "--out {out} is in {}, where the dataset has its {what}: images would be taken for \
                 such; choose another folder",
                folder.display()
            );
        }
        if !self.out.is_dir() {
            return Ok(());
        }
        let inputs = self.maps.inputs();
        let inputs: HashSet<PathBuf> = inputs.filter_map(|path| path.canonicalize().ok()).collect();
        for file in self.files().chain(grid.then(|| self.grid())) {
            // A link is not followed when it is written over, but what it leads to is what is meant.
            if let Ok(target) = self.out.join(&file).canonicalize()
                && inputs.contains(&target)
            {
                bail!(
                    "--out {out}: {file} would be written over {}, which is read; choose another \
                     folder",
                    target.display()
                );
            }
        }
        Ok(())
    }

    /// Makes the folders that images go into.
    ///
    /// # Errors
    /// Names the folder that cannot be made.
    pub(super) fn make_folders(&self) -> Result<()> {
        for folder in self.maps.folders() {
            let folder = self.out.join(folder);
            std::fs::create_dir_all(&folder)
                .with_context(|| format!("cannot create {}", folder.display()))?;
        }
        Ok(())
    }
}

/// The folders of the dataset of a run, as far as they are there, and what they hold.
fn dataset_folders(model: &Snapshot) -> Vec<(PathBuf, &'static str)> {
    let mut found = Vec::new();
    let Some(root) = &model.root else {
        return found;
    };
    for split in Split::ALL {
        let Some(SplitFiles::Folders(folders)) = model.description.files(split) else {
            continue;
        };
        found.push((root.join(&folders.images), "photos"));
        found.push((root.join(&folders.labels), "label maps"));
        match &folders.instances {
            Some(Instances::Png(png)) => found.push((root.join(&png.folder), "instance maps")),
            Some(Instances::Panoptic(png)) => found.push((root.join(&png.folder), "segments")),
            Some(Instances::Coco(_)) | None => {}
        }
    }
    let real = |(path, what): (PathBuf, _)| Some((path.canonicalize().ok()?, what));
    found.into_iter().filter_map(real).collect()
}
