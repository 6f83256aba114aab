//! A folder of images that are to be judged.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use dp_sims_datasets::Size;
use image::{ColorType, ImageDecoder, ImageReader, Limits};

/// Most names that an error lists.
const LISTED: usize = 5;

/// Longest side of an image.
const LONGEST: u32 = 16_384;

/// Images by the index of their label map.
#[derive(Debug)]
pub struct ImageFolder {
    paths: Vec<PathBuf>,
    size: Size,
}

impl ImageFolder {
    /// Finds the image of every label map by its name and reads all headers.
    ///
    /// # Errors
    /// When an image is missing or belongs to no label map, cannot be read, is gray, or has another
    /// size than the first.
    pub fn open(folder: &Path, names: &[String]) -> Result<Self> {
        let (images, extra) = Self::of(folder, names)?;
        ensure!(
            extra.is_empty(),
            "{} holds {} image(s) that belong to no label map: {}. Remove them: they would be left out \
             in silence",
            folder.display(),
            extra.len(),
            listed(&extra)
        );
        Ok(images)
    }

    /// Finds the images of some label maps by their names; a folder may hold others.
    ///
    /// # Errors
    /// As [`Self::open`], but for images of no label map.
    pub fn open_some(folder: &Path, names: &[String]) -> Result<Self> {
        Ok(Self::of(folder, names)?.0)
    }

    /// The images of label maps, and the names of all others.
    fn of(folder: &Path, names: &[String]) -> Result<(Self, Vec<String>)> {
        let shown = folder.display();
        let mut found = find(folder)?;
        // A dataset in folders by scene or city names its images with the folder; images may have
        // all of that name, or the last part of it.
        let keys = |name: &str| {
            let last = name.rsplit('/').next().unwrap_or(name);
            [name.replace('/', "_"), last.to_string()]
        };
        let mut paths = Vec::with_capacity(names.len());
        let mut missing = Vec::new();
        for name in names {
            match keys(name).iter().find_map(|key| found.remove(key)) {
                Some(path) => paths.push(path),
                None => missing.push(name.clone()),
            }
        }
        ensure!(
            missing.is_empty(),
            "{shown} has no image of {} of {} label maps: {}. Images have the names of their label \
             maps; use --limit N for the first N only",
            missing.len(),
            names.len(),
            listed(&missing)
        );
        let extra: Vec<String> = found.into_keys().collect();
        let mut size = None;
        for path in &paths {
            let own = header(path)?;
            let first = *size.get_or_insert(own);
            ensure!(
                own == first,
                "{} is {own}, but {} is {first}: all images must have one size",
                path.display(),
                paths[0].display()
            );
        }
        let size = size.context("no label map")?;
        Ok((Self { paths, size }, extra))
    }

    /// Size of the first image of a folder, for those who choose by it what to compare it with.
    ///
    /// # Errors
    /// When there is no image, or the first is gray or cannot be read.
    pub fn first_size(folder: &Path) -> Result<Size> {
        let found = find(folder)?;
        header(found.values().next().context("no image")?)
    }

    /// Size of all images.
    pub fn size(&self) -> Size {
        self.size
    }

    /// Pixels of the image of label map `index`, `[height, width, 3]`.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn pixels(&self, index: usize) -> Result<Vec<u8>> {
        let path = &self.paths[index];
        let unreadable = || format!("cannot read {}", path.display());
        let image = reader(path)?.decode().with_context(unreadable)?;
        let pixels = image.into_rgb8().into_raw();
        ensure!(
            pixels.len() == 3 * self.size.pixels(),
            "{} changed its size while it was read",
            path.display()
        );
        Ok(pixels)
    }
}

/// Images of a folder by their names without endings.
fn find(folder: &Path) -> Result<BTreeMap<String, PathBuf>> {
    let shown = folder.display();
    let unreadable = || format!("cannot read images from {shown}");
    let mut found = BTreeMap::new();
    for entry in std::fs::read_dir(folder).with_context(unreadable)? {
        let path = entry.with_context(unreadable)?.path();
        let ending = path.extension().and_then(|ending| ending.to_str());
        let ending = ending.map(str::to_ascii_lowercase);
        let is_image = matches!(ending.as_deref(), Some("png" | "jpg" | "jpeg"));
        // A pipe or a device would be waited for.
        if !is_image || !path.is_file() {
            continue;
        }
        let stem = path
            .file_stem()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        if let Some(other) = found.insert(stem, path.clone()) {
            bail!(
                "{} and {} have the same name",
                other.display(),
                path.display()
            );
        }
    }
    ensure!(!found.is_empty(), "{shown} has no PNG or JPEG file");
    Ok(found)
}

fn reader(path: &Path) -> Result<ImageReader<std::io::BufReader<std::fs::File>>> {
    let unreadable = || format!("cannot read {}", path.display());
    let mut reader = ImageReader::open(path).with_context(unreadable)?;
    reader = reader.with_guessed_format().with_context(unreadable)?;
    let mut limits = Limits::default();
    limits.max_image_width = Some(LONGEST);
    limits.max_image_height = Some(LONGEST);
    reader.limits(limits);
    Ok(reader)
}

/// Size of an image, from its header.
fn header(path: &Path) -> Result<Size> {
    let unreadable = || format!("cannot read {}", path.display());
    let decoder = reader(path)?.into_decoder().with_context(unreadable)?;
    let gray = matches!(
        decoder.color_type(),
        ColorType::L8 | ColorType::L16 | ColorType::La8 | ColorType::La16
    );
    ensure!(
        !gray,
        "{} is a grayscale image: colour images are compared; is it a label map?",
        path.display()
    );
    let (width, height) = decoder.dimensions();
    Ok(Size::new(height as usize, width as usize))
}

fn listed(names: &[String]) -> String {
    let mut text = names[..names.len().min(LISTED)].join(", ");
    if names.len() > LISTED {
        text.push_str(", ...");
    }
    text
}

#[cfg(test)]
mod tests {
    use image::{GrayImage, RgbImage};

    use super::*;

    #[test]
    fn images_are_found_by_name_in_any_order() {
        let folder = tempfile::tempdir().unwrap();
        let save = |name: &str, value: u8| {
            let image = RgbImage::from_pixel(3, 2, image::Rgb([value, 0, 0]));
            image.save(folder.path().join(name)).unwrap();
        };
        save("b.png", 2);
        save("a.PNG", 1);
        save("c_d.png", 3);
        let names = ["b", "a", "c/d"].map(String::from);
        let images = ImageFolder::open(folder.path(), &names).unwrap();
        assert_eq!(images.size(), Size::new(2, 3));
        let first: Vec<u8> = (0..3)
            .map(|index| images.pixels(index).unwrap()[0])
            .collect();
        assert_eq!(first, [2, 1, 3]);
    }

    #[test]
    fn what_does_not_fit_is_named_before_any_work() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        let names = ["a", "b"].map(String::from);
        let problem = || {
            format!(
                "{:#}",
                ImageFolder::open(folder.path(), &names).unwrap_err()
            )
        };
        assert!(problem().contains("no PNG or JPEG file"), "{}", problem());
        RgbImage::new(3, 2).save(path("a.png")).unwrap();
        assert!(problem().contains("1 of 2 label maps: b"), "{}", problem());
        RgbImage::new(3, 3).save(path("b.png")).unwrap();
        assert!(problem().contains("b.png is 3x3"), "{}", problem());
        GrayImage::new(3, 2).save(path("b.png")).unwrap();
        assert!(
            problem().contains("b.png is a grayscale image"),
            "{}",
            problem()
        );
        std::fs::write(path("b.png"), "text").unwrap();
        assert!(problem().contains("b.png"), "{}", problem());
        RgbImage::new(3, 2).save(path("b.png")).unwrap();
        RgbImage::new(3, 2).save(path("z.png")).unwrap();
        assert!(
            problem().contains("belong to no label map: z"),
            "{}",
            problem()
        );
        std::fs::remove_file(path("z.png")).unwrap();
        RgbImage::new(3, 2).save(path("b.jpg")).unwrap();
        assert!(problem().contains("have the same name"), "{}", problem());
    }
}
