use anyhow::{Context, Result};
use burn::tensor::Tensor;
use burn::tensor::backend::Backend;
use dp_sims_datasets::Size;
use dp_sims_evaluators::{FidInception, SwavResNet};
use dp_sims_model::backbones::{Backbone, LiteHead};
use dp_sims_model::layers::resize_bilinear;

/// A network whose features are compared.
pub enum FeatureNetwork<B: Backend> {
    /// The network of FID and KID.
    Inception(Box<FidInception<B>>),
    /// The network of SwAV-FID.
    Swav(Box<SwavResNet<B>>),
    /// A backbone of the registry: its last feature map, averaged over positions, or what its head
    /// makes of that map.
    Backbone {
        /// The backbone.
        network: Box<Backbone<B>>,
        /// The head, where it counts.
        head: Option<Box<LiteHead<B>>>,
        /// Size that images are enlarged to first.
        enlarged: Option<Size>,
    },
}

impl<B: Backend> FeatureNetwork<B> {
    /// # Shapes
    /// - `images`: `[N, 3, H, W]` in [-1, 1]
    /// - output: `[N, length]`
    pub(super) fn forward(&self, images: Tensor<B, 4>) -> Result<Tensor<B, 2>> {
        match self {
            Self::Inception(network) => Ok(network.forward(images.add_scalar(1.0).mul_scalar(0.5))),
            Self::Swav(network) => Ok(network.forward(images)),
            Self::Backbone {
                network,
                head,
                enlarged,
            } => {
                let images = match enlarged {
                    Some(size) => resize_bilinear(images, size.height, size.width),
                    None => images,
                };
                let features = network
                    .forward(images)
                    .pop()
                    .context("a backbone without features")?;
                Ok(match head {
                    Some(head) => head.forward(features),
                    None => features.flatten::<3>(2, 3).mean_dim(2).squeeze_dim(2),
                })
            }
        }
    }
}
