//! A picture of the same label maps under several methods, or under several noises.

use std::path::PathBuf;

use anyhow::{Context, Result, bail, ensure};
use burn::tensor::Tensor;
use burn::tensor::backend::{AutodiffBackend, Backend};
use clap::Args;
use dp_sims_backends::Task;
use dp_sims_datasets::{ClassTable, Description, Sample, Size, Split};
use dp_sims_model::layers::Mode;
use image::RgbImage;
use image::imageops::{FilterType, resize};

use super::methods::{Method, Source, retitle};
use crate::checkpoint::snapshot::Snapshot;
use crate::commands::dataset_of::of_model;
use crate::commands::maps::Maps;
use crate::commands::{User, count};
use crate::data;
use crate::evaluate::{ImageFolder, Photos};
use crate::runtime::batch::{label_maps, to_rgb};
use crate::runtime::noise::{Purpose, SeededDraws, latents};
use crate::runtime::pictures::{draw, save};

/// Most columns of noises.
const MOST_NOISES: usize = 64;

/// Flags of a panel.
#[derive(Debug, Args)]
pub(super) struct PanelArgs {
    /// Write a picture instead of a table: a row per label map with label map, photo, and a column per
    /// method.
    #[arg(long, value_name = "OUT.png")]
    panel: Option<PathBuf>,
    /// Label map (PNG) or folder of label maps; may be repeated. Then there are no photos.
    #[arg(
        long,
        value_name = "FILE | DIR",
        requires = "panel",
        conflicts_with = "maps"
    )]
    labels: Vec<PathBuf>,
    /// Label maps to take from the validation split, spread evenly.
    #[arg(long, default_value_t = 4, value_name = "N", requires = "panel", value_parser = count(1000))]
    maps: usize,
    /// Show one generator under N noises, a column each.
    #[arg(long, value_name = "N", requires = "panel", value_parser = count(1000))]
    noises: Option<usize>,
    /// Seed of the noise: images are those of `generate` with this seed.
    #[arg(long, default_value_t = 0, value_name = "S", requires = "panel")]
    seed: u64,
    /// What stands above the columns, in their order [default: names of the folders].
    #[arg(
        long,
        value_name = "TITLE,...",
        value_delimiter = ',',
        requires = "panel"
    )]
    titles: Vec<String>,
    /// Root folder of the dataset [default: that of the first run].
    #[arg(long, value_name = "DIR", requires = "panel")]
    data: Option<PathBuf>,
    /// Dataset, for folders of images alone: a built-in name or the path of a description.
    #[arg(long, value_name = "NAME | FILE.toml", requires = "panel")]
    dataset: Option<String>,
}

impl PanelArgs {
    /// Whether a picture is asked for.
    pub(super) fn is_wanted(&self) -> bool {
        self.panel.is_some()
    }
}

/// Where label maps come from.
enum Rows {
    Files(Vec<PathBuf>),
    Split(Photos, Vec<usize>),
}

impl Rows {
    /// Names that images of the label maps may have.
    fn names(&self, description: &Description, size: Size) -> Result<Vec<Vec<String>>> {
        match self {
            Self::Files(places) => {
                let mut names = Vec::new();
                for place in places {
                    let maps = Maps::open(place, None, description.clone(), size, None)?;
                    names.extend((0..maps.len()).map(|index| maps.image_names(index)));
                }
                Ok(names)
            }
            Self::Split(photos, chosen) => chosen
                .iter()
                .map(|&index| match photos.names() {
                    Some(names) => Ok(names[index].clone()),
                    None => Ok(vec![photos.sample(index)?.name]),
                })
                .collect(),
        }
    }

    /// The label maps, with photos where there are any, for images of this size.
    fn samples(&self, description: &Description, size: Size) -> Result<Vec<Sample>> {
        match self {
            Self::Files(places) => {
                let mut samples = Vec::new();
                for place in places {
                    let maps = Maps::open(place, None, description.clone(), size, None)?;
                    for index in 0..maps.len() {
                        samples.push(maps.read(index)?);
                    }
                }
                Ok(samples)
            }
            Self::Split(photos, chosen) => {
                let photos = photos.clone().at(size);
                chosen.iter().map(|&index| photos.sample(index)).collect()
            }
        }
    }
}

/// A panel to be drawn.
pub(super) struct Job {
    out: PathBuf,
    methods: Vec<Method>,
    rows: Rows,
    description: Description,
    classes: ClassTable,
    size: Size,
    seed: u64,
    /// Columns of a generator.
    noises: Option<usize>,
}

impl Job {
    /// Finds label maps and methods.
    ///
    /// # Errors
    /// When something is not there, or the methods are not for the same label maps.
    pub(super) fn open(args: PanelArgs, paths: &[PathBuf]) -> Result<Self> {
        let out = args.panel.context("--panel names the picture")?;
        let mut methods = paths
            .iter()
            .map(|path| Method::open(path))
            .collect::<Result<Vec<_>>>()?;
        retitle(&mut methods, args.titles)?;
        if let Some(noises) = args.noises {
            ensure!(
                methods.len() == 1 && methods[0].model().is_some(),
                "--noises shows one generator: name one run, checkpoint or model file"
            );
            ensure!(
                (1..=MOST_NOISES).contains(&noises),
                "--noises must be from 1 to {MOST_NOISES}"
            );
        }
        let first = methods.iter().find_map(Method::model);
        let (description, root) = match (first, &args.dataset) {
            (Some(model), name) => of_model(model, name.as_deref(), args.data.as_deref())?,
            (None, name) => {
                let (description, root) = data::source(name.as_deref(), args.data.as_deref())?;
                (description, Some(root))
            }
        };
        data::refuse_among_inputs(&out, &description, root.as_deref(), true)?;
        let classes = description.class_table();
        for method in &methods {
            if let Some(model) = method.model() {
                ensure!(
                    model.description.class_table() == classes,
                    "{} was trained on other classes than those of `{}`: their label maps do not mean \
                     the same",
                    model.path().display(),
                    description.name
                );
            }
        }
        let size = match (first, &methods[0].source) {
            (Some(model), _) => model.size,
            (None, Source::Images(folder, _)) => ImageFolder::first_size(folder)?,
            (None, Source::Model(model)) => model.size,
        };
        let rows = if args.labels.is_empty() {
            ensure!(args.maps > 0, "--maps must be at least 1");
            let offsets = methods
                .iter()
                .filter_map(Method::model)
                .any(|model| model.generator.offsets);
            let root = root.as_deref();
            let photos = Photos::open(&description, root, Split::Validation, size, offsets, None)?;
            let count = args.maps.min(photos.len());
            let chosen = (0..count).map(|row| row * photos.len() / count).collect();
            Rows::Split(photos, chosen)
        } else {
            Rows::Files(args.labels)
        };
        Ok(Self {
            out,
            methods,
            rows,
            description,
            classes,
            size,
            seed: args.seed,
            noises: args.noises,
        })
    }

    /// Columns of a method: its images by noise, then by label map, at the size of the panel.
    fn columns<B: Backend>(&self, method: &Method, device: &B::Device) -> Result<Vec<Vec<Tile>>> {
        match &method.source {
            Source::Model(model) => self.made::<B>(model, device),
            Source::Images(folder, sample) => {
                let names = self.rows.names(&self.description, self.size)?;
                let images = ImageFolder::open_some(folder, &names, *sample)?;
                let tiles = (0..names.len())
                    .map(|index| fitted(images.pixels(index)?, images.size(), self.size))
                    .collect::<Result<_>>()?;
                Ok(vec![tiles])
            }
        }
    }

    fn made<B: Backend>(&self, model: &Snapshot, device: &B::Device) -> Result<Vec<Vec<Tile>>> {
        let mut generator = model.load::<B>(device)?;
        let count = self.noises.unwrap_or(1);
        let draws = SeededDraws { seed: self.seed };
        // The streams of `generate`: sample k of every label map has the same noise.
        let shape = [1, generator.latent_dim()];
        let latent = (0..count as u64)
            .map(|k| latents(&draws, k, Purpose::Generate, shape, device))
            .collect();
        let latent = Tensor::<B, 2>::cat(latent, 0);
        let mut columns = vec![Vec::new(); count];
        for mut sample in self.rows.samples(&model.description, model.size)? {
            if !model.generator.offsets {
                sample.instances = None;
            }
            let shape = [1, sample.height, sample.width];
            let maps = label_maps(&sample.labels, sample.offsets(), shape, device);
            let images = to_rgb(generator.forward(maps, latent.clone(), Mode::Eval))?;
            for (column, image) in columns.iter_mut().zip(images) {
                column.push(fitted(image, model.size, self.size)?);
            }
        }
        Ok(columns)
    }

    fn draw<B: Backend>(&self, device: &B::Device) -> Result<RgbImage> {
        let samples = self.rows.samples(&self.description, self.size)?;
        let mut titles = vec!["label map".to_string()];
        let mut columns: Vec<Vec<Tile>> = vec![
            samples
                .iter()
                .map(|sample| self.classes.colourise(&sample.labels))
                .collect(),
        ];
        if let Rows::Split(..) = self.rows {
            titles.push("photo".to_string());
            columns.push(samples.into_iter().map(|sample| sample.image).collect());
        }
        for method in &self.methods {
            let made = self.columns::<B>(method, device)?;
            match self.noises {
                Some(noises) => titles.extend((1..=noises).map(|k| format!("noise {k}"))),
                None => titles.push(method.title.clone()),
            }
            columns.extend(made);
        }
        let rows: Vec<Vec<Option<&[u8]>>> = (0..columns[0].len())
            .map(|row| {
                columns
                    .iter()
                    .map(|column| column.get(row).map(Vec::as_slice))
                    .collect()
            })
            .collect();
        draw(
            &titles,
            &rows,
            self.size.width as u32,
            self.size.height as u32,
        )
    }
}

/// Row-major RGB of one image.
type Tile = Vec<u8>;

/// An image at another size, of the same proportions.
fn fitted(pixels: Vec<u8>, from: Size, to: Size) -> Result<Tile> {
    if from == to {
        return Ok(pixels);
    }
    if from.height * to.width != from.width * to.height {
        bail!(
            "images of {from} and of {to} pixels have other proportions: they are not put side by side"
        );
    }
    let image = RgbImage::from_raw(from.width as u32, from.height as u32, pixels)
        .context("an image without all of its pixels")?;
    let filter = FilterType::CatmullRom;
    Ok(resize(&image, to.width as u32, to.height as u32, filter).into_raw())
}

impl Task for Job {
    type Output = Result<()>;

    fn run<B: AutodiffBackend>(self, device: &B::Device) -> Self::Output {
        let picture = self.draw::<B::InnerBackend>(device).user()?;
        save(&picture, &self.out)?;
        let (width, height) = picture.dimensions();
        println!("{}: {width}x{height} pixels", self.out.display());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_of_other_sizes_are_fitted_and_of_other_proportions_refused() {
        let (small, large) = (Size::new(2, 4), Size::new(4, 8));
        let pixels = vec![77; 3 * small.pixels()];
        assert_eq!(fitted(pixels.clone(), small, small).unwrap(), pixels);
        assert_eq!(
            fitted(pixels.clone(), small, large).unwrap(),
            vec![77; 3 * large.pixels()]
        );
        let message = fitted(pixels, small, Size::square(4))
            .unwrap_err()
            .to_string();
        assert!(
            message.contains("2x4") && message.contains("4x4"),
            "{message}"
        );
    }
}
