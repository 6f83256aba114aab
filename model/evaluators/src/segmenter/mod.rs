//! Segmentation networks that the literature judges generated images with.

mod kind;
mod labels;
#[cfg(test)]
mod parity;
mod pillow;

use burn::module::Module;
use burn::tensor::{Int, Tensor, backend::Backend};
use dp_sims_model::weights::{StateDict, WeightSource, WeightsError};

pub use kind::{ScaleFilter, SegmenterInfo, SegmenterKind};
pub use labels::ClassSet;
pub(crate) use pillow::pillow_bilinear;

use super::{DeepLab, DeepLabConfig, Drn, DrnConfig, UperNet, UperNetConfig};

/// A published segmentation network with the multi-scale rule of its project.
#[derive(Module, Debug)]
pub struct Segmenter<B: Backend> {
    #[module(skip)]
    kind: SegmenterKind,
    network: Network<B>,
}

#[derive(Module, Debug)]
#[allow(
    clippy::large_enum_variant,
    reason = "a program holds a few of them, never a collection"
)]
enum Network<B: Backend> {
    DeepLab(DeepLab<B>),
    Drn(Drn<B>),
    UperNet(UperNet<B>),
}

impl<B: Backend> Segmenter<B> {
    /// Builds the network `kind` with the tensors of its files, in the order of
    /// [`SegmenterInfo::files`], each with the name that messages call the file.
    ///
    /// # Errors
    ///
    /// [`WeightsError::Mismatch`] lists every tensor that is missing, unknown or misshapen;
    /// [`WeightsError::Format`] where the number of files is not that of the network.
    pub fn load(
        kind: SegmenterKind,
        files: Vec<(StateDict, String)>,
        device: &B::Device,
    ) -> Result<Self, WeightsError> {
        let name = kind.info().name;
        let network = match kind {
            SegmenterKind::DeepLabV2CocoStuff => {
                let [file] = needed(kind, files)?;
                Network::DeepLab(DeepLabConfig::new().load(file, name, device)?)
            }
            SegmenterKind::Drn105Cityscapes => {
                let [file] = needed(kind, files)?;
                Network::Drn(DrnConfig::new().load(file, name, device)?)
            }
            SegmenterKind::UperNetAde20k => {
                let [encoder, decoder] = needed(kind, files)?;
                Network::UperNet(UperNetConfig::new().load(encoder, decoder, name, device)?)
            }
        };
        Ok(Self { kind, network })
    }

    /// Which network this is.
    pub fn kind(&self) -> SegmenterKind {
        self.kind
    }

    /// Classes that the network tells apart.
    pub fn classes(&self) -> usize {
        match &self.network {
            Network::DeepLab(network) => network.classes(),
            Network::Drn(network) => network.classes(),
            Network::UperNet(network) => network.classes(),
        }
    }

    /// Class of every pixel, in the network's own numbering: see [`ClassSet::of_channels`].
    ///
    /// Costs one pass of the network per size (see `forward` of each network). Two maps of `size`
    /// with all classes are alive at a time, and a few while one is made: the maps of the sizes are
    /// added up one by one. Where classes tie the backend decides.
    ///
    /// # Shapes
    ///
    /// - `scaled`: the same images in the sizes of [`SegmenterKind::scales`], `[N, 3, h, w]`, RGB
    ///   in [0, 1]
    /// - output: `[N, size[0], size[1]]`; in the projects `size` is that of the label map
    ///
    /// # Panics
    ///
    /// Panics when `scaled` is empty.
    pub fn predict(&self, scaled: Vec<Tensor<B, 4>>, size: [usize; 2]) -> Tensor<B, 3, Int> {
        self.scores(scaled, size).argmax(1).squeeze_dim(1)
    }

    /// What [`Self::predict`] takes the largest of: the maximum of the logits (DeepLabV2; the
    /// softmax that follows in the project keeps their order), the sum of the log-softmax maps
    /// (DRN) or the mean of the probabilities (UPerNet) over the sizes.
    ///
    /// # Shapes
    ///
    /// - output: `[N, classes, size[0], size[1]]`
    ///
    /// # Panics
    ///
    /// Panics when `scaled` is empty.
    pub fn scores(&self, scaled: Vec<Tensor<B, 4>>, size: [usize; 2]) -> Tensor<B, 4> {
        let share = 1.0 / scaled.len() as f64;
        let scores = |image| match &self.network {
            Network::DeepLab(network) => network.scores(image, size),
            Network::Drn(network) => network.scores(image, size),
            Network::UperNet(network) => network.scores(image, size) * share,
        };
        scaled
            .into_iter()
            .map(scores)
            .reduce(|sum, scores| match &self.network {
                Network::DeepLab(_) => sum.max_pair(scores),
                Network::Drn(_) | Network::UperNet(_) => sum + scores,
            })
            .expect("an image in at least one size")
    }
}

/// As many files as the network has.
fn needed<const N: usize>(
    kind: SegmenterKind,
    files: Vec<(StateDict, String)>,
) -> Result<[WeightSource; N], WeightsError> {
    let files: Result<[(StateDict, String); N], _> = files.try_into();
    let sources = files.map(|files| files.map(|(dict, origin)| WeightSource::State(dict, origin)));
    sources.map_err(|files| {
        let info = kind.info();
        let origins: Vec<String> = files.into_iter().map(|(_, origin)| origin).collect();
        WeightsError::Format {
            origin: format!("[{}]", origins.join(", ")),
            reason: format!(
                "{} takes {N}, in this order: {}",
                info.name,
                info.files.join(", ")
            ),
        }
    })
}

/// `image · scale + shift` by colour channel.
pub(crate) fn affine<B: Backend>(
    image: Tensor<B, 4>,
    scale: [f32; 3],
    shift: [f32; 3],
) -> Tensor<B, 4> {
    let device = image.device();
    let channels = |values| Tensor::<B, 1>::from_floats(values, &device).reshape([1, 3, 1, 1]);
    image * channels(scale) + channels(shift)
}

/// `(image - mean) / std` by colour channel.
pub(crate) fn standardise<B: Backend>(
    image: Tensor<B, 4>,
    mean: [f32; 3],
    std: [f32; 3],
) -> Tensor<B, 4> {
    let shift = std::array::from_fn(|channel| -mean[channel] / std[channel]);
    affine(image, std.map(|std| 1.0 / std), shift)
}
