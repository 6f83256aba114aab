//! The layout of a folder of one's own: photos/, masks/, instances/ and a dataset.toml.

use std::path::Path;

use dp_sims_datasets::description::{
    DescribedClass, Folders, InstancePng, Instances, LabelValues, SplitFiles,
};
use dp_sims_datasets::{ClassTable, DatasetError, Description, Split};

use super::write_error;

/// First lines of the description file.
const HEAD: &str = "# Procedural street scenes, written by `dp-sims dataset export`. The id of a \
                    class is its class\n# index; instance maps number the things of an image from \
                    1.\n\n";

/// The description of scenes in folders: ids are class indices, 0 is void, instances are counted
/// from 1.
pub fn folder_description(classes: &ClassTable) -> Description {
    let classes = (1..=u8::MAX).zip(classes.classes.iter().skip(1));
    let files = |split: Split| {
        Some(SplitFiles::Folders(Folders {
            images: format!("photos/{split}").into(),
            image_suffixes: vec![".png".to_string()],
            labels: format!("masks/{split}").into(),
            label_suffix: ".png".to_string(),
            label_values: LabelValues::Ids,
            instances: Some(Instances::Png(InstancePng {
                folder: format!("instances/{split}").into(),
                suffix: ".png".to_string(),
                first: 1,
            })),
        }))
    };
    Description {
        name: "scenes-folder".to_string(),
        void: vec![0],
        classes: classes
            .map(|(id, class)| DescribedClass {
                name: class.name.clone(),
                colour: class.colour,
                ids: vec![id],
                thing: class.thing,
            })
            .collect(),
        train: files(Split::Train),
        validation: files(Split::Validation),
        test: None,
    }
}

/// Writes a description as TOML.
///
/// # Errors
/// When the file cannot be written.
pub(super) fn write_description(
    description: &Description,
    path: &Path,
) -> Result<(), DatasetError> {
    let text = toml::to_string(description)
        .map_err(|error| write_error(path, std::io::Error::other(error)))?;
    std::fs::write(path, format!("{HEAD}{text}")).map_err(|source| write_error(path, source))
}
