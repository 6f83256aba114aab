//! Folders of a dataset, in which no results belong.

use std::path::Path;

use anyhow::{Result, ensure};
use dp_sims_datasets::files::folders_of;
use dp_sims_datasets::{Description, Split};

use crate::runtime::paths::real;

/// Refuses to put what a command writes, a file or a folder, among the photos, label maps or instance maps
/// of a dataset. `pictures` says whether there are pictures among it, which would be taken for some.
///
/// Where a dataset has photos in its root folder, other files may go into folders beside them.
///
/// # Errors
/// Names the place and the folder of the dataset.
pub fn refuse_among_inputs(
    out: &Path,
    description: &Description,
    root: Option<&Path>,
    pictures: bool,
) -> Result<()> {
    let Some(root) = root else {
        return Ok(());
    };
    let (place, whole) = (real(out), real(root));
    for files in Split::all().filter_map(|split| description.files(split)) {
        // Sub-folders of what a list names are none of the dataset's.
        let searched = matches!(files, dp_sims_datasets::description::SplitFiles::Folders(_));
        for (folder, what) in folders_of(files, root) {
            let Ok(folder) = folder.canonicalize() else {
                continue;
            };
            let is_inside = if folder == whole && !(pictures && searched) {
                place == folder
            } else {
                place.starts_with(&folder)
            };
            ensure!(
                !is_inside,
                "--out {} is in {}, where the dataset has its {what}: results would lie among them, and \
                 images be taken for such; choose another folder",
                out.display(),
                folder.display()
            );
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn description(files: &str) -> Description {
        let class = "[[class]]\nname = \"a\"\ncolour = \"#000001\"\nids = [1]\n";
        let text = format!("name = \"meadow\"\n{class}{files}");
        Description::parse(&text, Path::new("meadow.toml")).unwrap()
    }

    #[test]
    fn nothing_goes_among_photos_and_label_maps_of_folders_or_lists() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        for name in ["photos/a.jpg", "masks/a.png", "b.jpg", "b.png"] {
            let path = root.join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "").unwrap();
        }
        std::fs::write(root.join("list.txt"), "photos/a.jpg masks/a.png\n").unwrap();
        std::fs::write(root.join("flat.txt"), "b.jpg b.png\n").unwrap();
        let folders = "[train.folders]\nimages = \"photos\"\nlabels = \"masks\"\n";
        let nested = "[train.folders]\nimages = \"\"\nlabels = \"masks\"\n";
        let list = "[train.list]\nfile = \"list.txt\"\n";
        let flat = "[train.list]\nfile = \"flat.txt\"\n";
        for (files, out, pictures, allowed) in [
            (folders, "photos", false, false),
            (folders, "photos/../masks/new", false, false),
            (folders, "runs", true, true),
            (list, "photos", false, false),
            (list, "masks/new/x.png", true, false),
            (list, "photos2", true, true),
            (list, "", true, true),
            (flat, "", false, false),
            (flat, "runs", true, true),
            (nested, "runs", true, false),
            (nested, "report.html", false, true),
            (nested, "masks/report.html", false, false),
        ] {
            let found =
                refuse_among_inputs(&root.join(out), &description(files), Some(root), pictures);
            assert_eq!(found.is_ok(), allowed, "{files} {out}: {found:?}");
        }
        assert!(refuse_among_inputs(root, &description(list), None, true).is_ok());
    }
}
