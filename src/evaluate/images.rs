//! A folder of images that are to be judged.

use std::collections::{BTreeMap, HashSet};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use dp_sims_datasets::description::PHOTO_ENDINGS;
use dp_sims_datasets::files::find_files;
use dp_sims_datasets::{Size, read_rgb, rgb_size};
use image::{ColorType, ImageDecoder, ImageReader, Limits};

/// Most names that an error lists.
const LISTED: usize = 5;

/// Name of the overview that `generate --grid` writes beside its images.
pub const GRID: &str = "grid";

/// Longest side of an image.
const LONGEST: u32 = 16_384;

/// Images by the index of their label map.
#[derive(Debug)]
pub struct ImageFolder {
    paths: Vec<PathBuf>,
    size: Size,
}

impl ImageFolder {
    /// Finds the image of every label map by its names, of which the first that is there counts, and
    /// reads all headers. Sub-folders are searched. An overview of `generate --grid` is passed over.
    ///
    /// `sample` takes image number k of every label map, as `generate --samples` names them; other
    /// numbers are passed over.
    ///
    /// # Errors
    /// When an image is missing or belongs to no label map, cannot be read, is gray, or has another
    /// size than the first; when there are several of every label map and none is chosen.
    pub fn open(folder: &Path, names: &[Vec<String>], sample: Option<usize>) -> Result<Self> {
        let (images, mut extra) = Self::of(folder, names, sample)?;
        extra.retain(|name| name != GRID);
        if sample.is_some() {
            let known: HashSet<&String> = names.iter().flatten().collect();
            let is_other = |name: &String| sample_of(name).is_some_and(|of| known.contains(&of));
            extra.retain(|name| !is_other(name));
        }
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
    pub fn open_some(folder: &Path, names: &[Vec<String>], sample: Option<usize>) -> Result<Self> {
        Ok(Self::of(folder, names, sample)?.0)
    }

    /// The images of label maps, and the names of all others.
    fn of(
        folder: &Path,
        names: &[Vec<String>],
        sample: Option<usize>,
    ) -> Result<(Self, Vec<String>)> {
        let shown = folder.display();
        let mut found = find(folder)?;
        let mut paths = Vec::with_capacity(names.len());
        let (mut missing, mut several) = (Vec::new(), Vec::new());
        for names in names {
            let named = |name: &String| sample.map_or(name.clone(), |k| sample_name(name, k));
            match names.iter().find_map(|name| found.remove(&named(name))) {
                Some(path) => paths.push(path),
                None => {
                    several.extend(names.iter().find(|name| {
                        sample.is_none() && found.contains_key(&sample_name(name, 0))
                    }));
                    missing.extend(names.first().map(named));
                }
            }
        }
        if let Some(name) = several.first() {
            bail!(
                "{shown} has several images of one label map, such as {}, as `dp-sims generate \
                 --samples` writes them: a measure takes one of each; choose which with `evaluate \
                 --sample K`, from 0",
                sample_name(name, 0)
            );
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
        let (size, pixels) = read_rgb(path)?;
        ensure!(
            size == self.size,
            "{} changed its size while it was read",
            path.display()
        );
        Ok(pixels)
    }
}

/// Name of image `k` of several of a label map.
pub fn sample_name(name: &str, k: usize) -> String {
    format!("{name}_{k:02}")
}

/// The name of the label map that an image is one of several of, by its name.
fn sample_of(name: &str) -> Option<String> {
    let (of, number) = name.rsplit_once('_')?;
    let k = number.parse().ok()?;
    (sample_name(of, k) == name).then(|| of.to_string())
}

/// Images of a folder and its sub-folders by their paths without endings.
fn find(folder: &Path) -> Result<BTreeMap<String, PathBuf>> {
    let shown = folder.display();
    let found = find_files(folder, &PHOTO_ENDINGS.map(String::from))?;
    ensure!(!found.is_empty(), "{shown} has no PNG, JPEG or WebP file");
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
    Ok(rgb_size(path)?)
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
        save("._a.png", 9);
        std::fs::create_dir(folder.path().join("e")).unwrap();
        save("e/f.png", 4);
        save("grid.png", 9);
        let names = [&["b"][..], &["A", "a"], &["c/d", "c_d"], &["e/f", "f"]];
        let names = names.map(|names| names.iter().map(ToString::to_string).collect());
        let images = ImageFolder::open(folder.path(), &names, None).unwrap();
        assert_eq!(images.size(), Size::new(2, 3));
        let first: Vec<u8> = (0..4)
            .map(|index| images.pixels(index).unwrap()[0])
            .collect();
        assert_eq!(first, [2, 1, 3, 4]);
    }

    #[test]
    fn one_of_several_images_of_a_label_map_is_chosen() {
        let folder = tempfile::tempdir().unwrap();
        let save = |name: String, value: u8| {
            let image = RgbImage::from_pixel(3, 2, image::Rgb([value, 0, 0]));
            image.save(folder.path().join(name)).unwrap();
        };
        // A label map may be called as an image of another one.
        for (place, name) in ["a", "a_01", "b"].iter().enumerate() {
            for k in 0..3 {
                save(format!("{name}_{k:02}.png"), 10 * place as u8 + k);
            }
        }
        save("grid.png".to_string(), 99);
        let names = ["a", "a_01", "b"].map(|name| vec![name.to_string()]);
        let open = |sample| ImageFolder::open(folder.path(), &names, sample);
        let first = |sample| -> Vec<u8> {
            let images = open(Some(sample)).unwrap();
            (0..3)
                .map(|index| images.pixels(index).unwrap()[0])
                .collect()
        };
        assert_eq!(first(0), [0, 10, 20]);
        assert_eq!(first(2), [2, 12, 22]);
        let message = open(None).unwrap_err().to_string();
        assert!(
            message.contains("a_00") && message.contains("--sample K"),
            "{message}"
        );
        let message = open(Some(3)).unwrap_err().to_string();
        assert!(message.contains("3 of 3 label maps: a_03"), "{message}");
        save("stray_00.png".to_string(), 0);
        let message = open(Some(0)).unwrap_err().to_string();
        assert!(
            message.contains("belong to no label map: stray_00"),
            "{message}"
        );
    }

    #[test]
    fn what_does_not_fit_is_named_before_any_work() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        let names = ["a", "b"].map(|name| vec![name.to_string()]);
        let problem = || {
            format!(
                "{:#}",
                ImageFolder::open(folder.path(), &names, None).unwrap_err()
            )
        };
        assert!(
            problem().contains("no PNG, JPEG or WebP file"),
            "{}",
            problem()
        );
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
