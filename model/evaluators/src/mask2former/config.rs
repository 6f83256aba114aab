use burn::config::Config;
use dp_sims_model::backbones::{SwinConfig, WindowFit};

/// Size of a Mask2Former with a Swin backbone. The defaults are those of the published networks
/// with Swin-L (`configs/*/swin/maskformer2_swin_large_IN21k_384_*.yaml` of
/// facebookresearch/Mask2Former; notes M15).
#[derive(Config, Debug)]
pub struct Mask2FormerConfig {
    /// Masks that are predicted.
    pub queries: usize,
    /// Classes, without the one that stands for no object.
    pub classes: usize,
    /// The backbone.
    #[config(default = "swin_large()")]
    pub swin: SwinConfig,
    /// Channels of the pixel decoder and of the transformer decoder, a multiple of 32.
    #[config(default = "256")]
    pub hidden: usize,
    /// Channels of the pixel embeddings with which masks are made.
    #[config(default = "256")]
    pub mask_features: usize,
    /// Attention heads of both decoders.
    #[config(default = "8")]
    pub heads: usize,
    /// Layers of deformable attention in the pixel decoder.
    #[config(default = "6")]
    pub encoder_layers: usize,
    /// Channels inside the perceptrons of the pixel decoder.
    #[config(default = "1024")]
    pub encoder_feedforward: usize,
    /// Layers of masked attention. The configurations say 10: they count the masks that come from
    /// the learned queries before the first layer.
    #[config(default = "9")]
    pub decoder_layers: usize,
    /// Channels inside the perceptrons of the transformer decoder.
    #[config(default = "2048")]
    pub decoder_feedforward: usize,
    /// Whether the masks are resized to the size of the label map, and then give the scores,
    /// instead of the scores made of them being resized. The project does so where it also
    /// predicts instances or panoptic segments (`sem_seg_postprocess_before_inference` of
    /// `maskformer_model.py`), as with COCO.
    #[config(default = "false")]
    pub masks_first: bool,
}

fn swin_large() -> SwinConfig {
    SwinConfig::new([2, 2, 18, 2], 192, [6, 12, 24, 48])
        .with_window(12)
        .with_fit(WindowFit::Pad)
}
