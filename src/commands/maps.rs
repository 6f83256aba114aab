use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use dp_sims_datasets::description::{Instances, SplitFiles};
use dp_sims_datasets::files::{find_label_maps, label_map_name, names_of};
use dp_sims_datasets::resize::resize_labels;
use dp_sims_datasets::{
    Description, LabelMap, LabelReader, Sample, Size, Split, read_instance_png,
};
use rayon::prelude::*;

use crate::runtime::progress::progress_bar;

/// Label maps in files, for commands that make images of them, read one at a time at the size of the model.
/// Names and values are those of the splits of the description.
pub(super) struct Maps {
    /// Names and files.
    files: Vec<(String, PathBuf)>,
    instances: Option<PathBuf>,
    reader: LabelReader,
    description: Description,
    size: Size,
    /// The only label map, read when it was checked.
    only: Option<Sample>,
}

impl Maps {
    /// Finds the label maps and reads none. What lies in the folder `out` is passed over.
    ///
    /// # Errors
    /// When there is none, or two would give images of one name.
    pub(super) fn open(
        labels: &Path,
        instances: Option<&Path>,
        description: Description,
        size: Size,
        out: Option<&Path>,
    ) -> Result<Self> {
        Ok(Self {
            files: label_files(labels, &description, out)?,
            instances: instances.map(Path::to_owned),
            reader: LabelReader::new(&description),
            description,
            size,
            only: None,
        })
    }

    /// Reads each label map once, so that a wrong file is found before anything is computed. One alone is
    /// kept; several may be more than memory holds, and are read again when their turn comes.
    ///
    /// # Errors
    /// Names the first file that cannot be used.
    pub(super) fn checked(mut self) -> Result<Self> {
        if self.len() == 1 {
            self.only = Some(self.read(0)?);
            return Ok(self);
        }
        let bar = progress_bar("reading label maps", self.len() as u64);
        let wrong = (0..self.len()).into_par_iter().find_map_first(|index| {
            bar.inc(1);
            self.read(index).err()
        });
        bar.finish_and_clear();
        match wrong {
            Some(error) => Err(error),
            None => Ok(self),
        }
    }

    /// Number of label maps.
    pub(super) fn len(&self) -> usize {
        self.files.len()
    }

    /// Names of the label maps, with `/` between folders, which are those of their images.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.files.iter().map(|(name, _)| name.as_str())
    }

    /// Names that an image of a label map may have, best first.
    pub(super) fn image_names(&self, index: usize) -> Vec<String> {
        let (name, path) = &self.files[index];
        let folder = name.rfind('/').map_or("", |slash| &name[..=slash]);
        let stem = path.file_stem().unwrap_or_default().to_string_lossy();
        names_of(&[name.clone(), format!("{folder}{stem}")])
    }

    /// The folders, relative to that of the images, that images go into.
    pub(super) fn folders(&self) -> BTreeSet<&Path> {
        let parents = self.names().map(|name| Path::new(name).parent());
        parents.flatten().collect()
    }

    /// Every file that is read.
    pub(super) fn inputs(&self) -> impl Iterator<Item = PathBuf> {
        self.files.iter().flat_map(|(name, path)| {
            let instances = self.instances.as_deref();
            let instances = instances.map(|place| self.instance_file(place, name, path));
            [Some(path.clone()), instances].into_iter().flatten()
        })
    }

    /// A label map, and the instance map of the same name where there are any.
    ///
    /// # Errors
    /// When a file is unreadable, has unknown values, or the two differ in size.
    pub(super) fn read(&self, index: usize) -> Result<Sample> {
        if let Some(sample) = &self.only {
            return Ok(sample.clone());
        }
        let ((name, path), size) = (&self.files[index], self.size);
        let map = self.reader.read(path)?;
        let instances = self
            .instances
            .as_deref()
            .map(|place| {
                let numbers = self.read_instances(place, name, path, &map)?;
                anyhow::Ok(resize_labels(&numbers, map.size, size)?.into_owned())
            })
            .transpose()?;
        Ok(Sample {
            name: name.clone(),
            width: size.width,
            height: size.height,
            image: Vec::new(),
            labels: resize_labels(&map.labels, map.size, size)?.into_owned(),
            instances,
        })
    }

    /// Instance number of every pixel of a thing.
    fn read_instances(
        &self,
        place: &Path,
        name: &str,
        path: &Path,
        map: &LabelMap,
    ) -> Result<Vec<u16>> {
        let file = self.instance_file(place, name, path);
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
        Ok(numbers)
    }

    /// The instance map of a label map: the file itself, or in a folder that which ends as instance
    /// maps of the description do, or as the label map does.
    fn instance_file(&self, place: &Path, name: &str, path: &Path) -> PathBuf {
        if !place.is_dir() {
            return place.to_path_buf();
        }
        let described = Split::all().filter_map(|split| {
            let source = self.description.files(split)?.instances()?;
            match source {
                Instances::Png(png) => Some(place.join(format!("{name}{}", png.suffix))),
                Instances::Coco(_) | Instances::Panoptic(_) => None,
            }
        });
        let file_name = path.file_name().unwrap_or_default();
        let same = place.join(name).with_file_name(file_name);
        let plain = place.join(format!("{name}.png"));
        let mut places = described.chain([same.clone(), plain]);
        places.find(|file| file.exists()).unwrap_or(same)
    }

    /// The least id of an instance that is a single object.
    fn first_instance(&self) -> u16 {
        let files = Split::all().filter_map(|split| self.description.files(split));
        let mut firsts = files.filter_map(SplitFiles::first_instance);
        firsts.next().unwrap_or(1)
    }
}

/// Names and files of the label maps in a place.
fn label_files(
    path: &Path,
    description: &Description,
    out: Option<&Path>,
) -> Result<Vec<(String, PathBuf)>> {
    let shown = path.display();
    let unreadable = || format!("cannot read label maps from {shown}");
    if !std::fs::metadata(path).with_context(unreadable)?.is_dir() {
        let name = label_map_name(path, description);
        ensure!(!name.is_empty(), "{shown} is a label map without a name");
        return Ok(vec![(name, path.to_path_buf())]);
    }
    let found = find_label_maps(path, description, out)?;
    if found.maps.is_empty() {
        bail!("{shown} has no PNG file: label maps are PNG files of class ids or colours");
    }
    if found.others > 0 {
        tracing::info!(
            "{} other PNG file(s) in {shown} are passed over: label maps end in `{}`",
            found.others,
            found.suffix
        );
    }
    Ok(found.maps.into_iter().collect())
}

#[cfg(test)]
mod tests {
    use image::{GrayImage, Luma};

    use super::*;
    use crate::data::description;

    #[test]
    fn one_label_map_is_decoded_once_and_several_are_not_kept() {
        for count in [1, 2] {
            let folder = tempfile::tempdir().unwrap();
            let file = |index: usize| folder.path().join(format!("{index}.png"));
            for index in 0..count {
                let map = GrayImage::from_pixel(8, 8, Luma([1 + index as u8]));
                map.save(file(index)).unwrap();
            }
            let description = description("ade20k").unwrap();
            let maps = Maps::open(folder.path(), None, description, Size::square(4), None).unwrap();
            let expected = maps.read(0).unwrap();
            let maps = maps.checked().unwrap();
            std::fs::remove_file(file(0)).unwrap();
            assert_eq!(maps.read(0).ok(), (count == 1).then_some(expected));
        }
    }

    #[test]
    fn a_folder_of_cityscapes_is_read_as_it_is() {
        let root = tempfile::tempdir().unwrap();
        let save = |name: &str, value: u8| {
            let path = root.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            let map = GrayImage::from_pixel(4, 4, Luma([value]));
            map.save(path).unwrap();
        };
        for city in ["ulm", "bonn"] {
            save(&format!("{city}/{city}_1_gtFine_labelIds.png"), 7);
            save(&format!("{city}/{city}_1_gtFine_instanceIds.png"), 7);
            save(&format!("{city}/{city}_1_gtFine_color.png"), 200);
        }
        save("ulm/._ulm_1_gtFine_labelIds.png", 0);
        let (place, size) = (root.path(), Size::square(4));
        let description = description("cityscapes").unwrap();
        let maps = Maps::open(place, Some(place), description, size, None).unwrap();
        assert_eq!(
            maps.names().collect::<Vec<_>>(),
            ["bonn/bonn_1", "ulm/ulm_1"]
        );
        let folders: Vec<_> = maps.folders().into_iter().collect();
        assert_eq!(folders, [Path::new("bonn"), Path::new("ulm")]);
        let read: Vec<_> = maps.inputs().collect();
        assert_eq!(read.len(), 4);
        assert!(
            read[1].ends_with("bonn/bonn_1_gtFine_instanceIds.png"),
            "{read:?}"
        );
        assert_eq!(maps.read(1).unwrap().name, "ulm/ulm_1");
        assert!(
            maps.image_names(1)
                .contains(&"ulm_1_gtFine_labelIds".to_string())
        );
    }
}
