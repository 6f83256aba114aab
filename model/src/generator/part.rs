use std::fmt;

/// A part of a generator. An event of `tracing` says where it ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GeneratorPart {
    /// Latent to tokens.
    Mapping,
    /// First convolution of the image branch, over the label map on the start grid.
    Start,
    /// The label-map encoder: the pyramid of conditions.
    Pyramid,
    /// A SPADE block, with what makes its conditions and the upsampling before it.
    Block {
        /// Height of its features in pixels.
        height: usize,
        /// Width of its features in pixels.
        width: usize,
    },
    /// Last activation, convolution to RGB and tanh.
    ToImage,
}

impl GeneratorPart {
    /// Target of the events.
    pub const TARGET: &'static str = "dp_sims::generator_parts";

    /// Says that all since the part before, or since the computation began, was this one. A device that
    /// works in the background may not have finished it.
    pub(super) fn end(self) {
        tracing::trace!(target: GeneratorPart::TARGET, "{self}");
    }
}

impl fmt::Display for GeneratorPart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Mapping => f.write_str("mapping"),
            Self::Start => f.write_str("start"),
            Self::Pyramid => f.write_str("label pyramid"),
            Self::Block { height, width } => write!(f, "SPADE block {height}x{width}"),
            Self::ToImage => f.write_str("to image"),
        }
    }
}
