use std::collections::HashSet;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use super::stream::image_file;
use crate::checkpoint::snapshot::Snapshot;
use crate::commands::maps::Maps;
use crate::data::refuse_among_inputs;
use crate::evaluate::GRID;

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
        refuse_among_inputs(self.out, &model.description, model.root.as_deref(), true)?;
        let out = self.out.display();
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
