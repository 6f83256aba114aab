//! Preview grids: label map, real photo and samples side by side.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context;
use image::RgbImage;

use crate::events::{Consumer, TrainEvent};
use crate::runtime::pictures::save;

/// Path of a preview inside a run folder, such as `previews/000123.png`.
pub fn relative_path(step: u64) -> PathBuf {
    Path::new("previews").join(format!("{step:06}.png"))
}

/// Saves preview grids as PNG files in the `previews` folder of a run.
#[derive(Clone, Debug)]
pub struct PreviewFolder {
    run_folder: PathBuf,
}

impl PreviewFolder {
    /// Saves below `run_folder`, which need not exist yet.
    pub fn new(run_folder: &Path) -> Self {
        Self {
            run_folder: run_folder.to_owned(),
        }
    }

    fn save(&self, step: u64, image: &RgbImage) -> anyhow::Result<()> {
        let path = self.run_folder.join(relative_path(step));
        fs::create_dir_all(self.run_folder.join("previews"))
            .with_context(|| format!("cannot write {}", path.display()))?;
        // A viewer never sees half a picture, and no link is followed.
        save(image, &path)
    }
}

impl Consumer for PreviewFolder {
    fn on_event(&mut self, event: &TrainEvent) -> anyhow::Result<()> {
        match event {
            TrainEvent::Preview { step, image } => self.save(*step, image),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use image::Rgb;

    use super::*;

    #[test]
    fn previews_are_saved_whole() {
        let folder = tempfile::tempdir().unwrap();
        let run = folder.path().join("run");
        let image = RgbImage::from_fn(5, 4, |x, y| Rgb([x as u8, y as u8, 77]));
        let event = TrainEvent::Preview {
            step: 123,
            image: image.clone(),
        };
        PreviewFolder::new(&run).on_event(&event).unwrap();
        let names: Vec<_> = fs::read_dir(run.join("previews"))
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        assert_eq!(names, ["000123.png"]);
        let read = image::open(run.join("previews/000123.png"))
            .unwrap()
            .into_rgb8();
        assert_eq!(read, image);
    }
}
