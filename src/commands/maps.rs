use std::collections::HashMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use dp_sims_datasets::resize::resize_labels;
use dp_sims_datasets::{Description, Sample, Size, Split, read_instance_png, read_labels};
use rayon::prelude::*;

use crate::data::progress_bar;

/// Label maps in files, for commands that make images of them, read one at a time at the size of the model.
pub(super) struct Maps {
    files: Vec<PathBuf>,
    instances: Option<PathBuf>,
    description: Description,
    size: Size,
}

impl Maps {
    /// Finds the label maps and reads each once, so that a wrong file is found before anything is
    /// computed. None of them is kept.
    ///
    /// # Errors
    /// Names the first file that cannot be used, or two that would give images of one name.
    pub(super) fn open(
        labels: &Path,
        instances: Option<&Path>,
        description: Description,
        size: Size,
    ) -> Result<Self> {
        let maps = Self {
            files: label_files(labels)?,
            instances: instances.map(Path::to_owned),
            description,
            size,
        };
        let mut names = HashMap::with_capacity(maps.len());
        for path in &maps.files {
            if let Some(other) = names.insert(name_of(path)?, path) {
                bail!(
                    "{} and {} have one name: their images would overwrite each other",
                    other.display(),
                    path.display()
                );
            }
        }
        let bar = progress_bar("reading label maps", maps.len() as u64);
        let wrong = (0..maps.len()).into_par_iter().find_map_first(|index| {
            bar.inc(1);
            maps.read(index).err()
        });
        bar.finish_and_clear();
        match wrong {
            Some(error) => Err(error),
            None => Ok(maps),
        }
    }

    /// Number of label maps.
    pub(super) fn len(&self) -> usize {
        self.files.len()
    }

    /// A label map, and the instance map of the same name where there are any.
    ///
    /// # Errors
    /// When a file is unreadable, has unknown ids, or the two differ in size.
    pub(super) fn read(&self, index: usize) -> Result<Sample> {
        let (path, size) = (&self.files[index], self.size);
        let map = read_labels(path, &self.description)?;
        let instances = self
            .instances
            .as_ref()
            .map(|place| -> Result<Vec<u16>> {
                let file = if place.is_dir() {
                    place.join(path.file_name().unwrap_or_default())
                } else {
                    place.clone()
                };
                let (found, mut numbers) = read_instance_png(&file, self.first_instance())?;
                ensure!(
                    found == map.size,
                    "{} is {found}, but its label map {} is {}: both must have the same size",
                    file.display(),
                    path.display(),
                    map.size
                );
                let classes = self.description.class_table().classes;
                for (number, &label) in numbers.iter_mut().zip(&map.labels) {
                    if !classes[usize::from(label)].thing {
                        *number = 0;
                    }
                }
                Ok(resize_labels(&numbers, map.size, size)?.into_owned())
            })
            .transpose()?;
        Ok(Sample {
            name: name_of(path)?,
            width: size.width,
            height: size.height,
            image: Vec::new(),
            labels: resize_labels(&map.labels, map.size, size)?.into_owned(),
            instances,
        })
    }

    /// The least id of an instance that is a single object.
    fn first_instance(&self) -> u16 {
        let files = Split::ALL
            .iter()
            .filter_map(|&split| self.description.files(split));
        let mut firsts = files.filter_map(|files| files.first_instance());
        firsts.next().unwrap_or(1)
    }
}

fn name_of(path: &Path) -> Result<String> {
    let name = path.file_stem().context("a label map without a name")?;
    Ok(name.to_string_lossy().into_owned())
}

fn label_files(path: &Path) -> Result<Vec<PathBuf>> {
    let shown = path.display();
    let unreadable = || format!("cannot read label maps from {shown}");
    if !std::fs::metadata(path).with_context(unreadable)?.is_dir() {
        return Ok(vec![path.to_path_buf()]);
    }
    let mut files = Vec::new();
    for entry in std::fs::read_dir(path).with_context(unreadable)? {
        let file = entry.with_context(unreadable)?.path();
        if file
            .extension()
            .is_some_and(|ending| ending.eq_ignore_ascii_case("png"))
        {
            files.push(file);
        }
    }
    if files.is_empty() {
        bail!("{shown} has no PNG file: label maps are PNG files of class ids");
    }
    files.sort();
    Ok(files)
}
