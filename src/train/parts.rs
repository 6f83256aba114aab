use std::fmt;

/// A part of a training step. An event of `tracing` says where it ends; with several batches a step each
/// part comes once for every one of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StepPart {
    /// Generator step: images under a pair of latents.
    Generator,
    /// Generator step: frozen backbone, discriminator and pixel loss on the images.
    Judgement,
    /// Generator step: from the pixel loss back to the images.
    JudgementBackward,
    /// Generator step: features of images and photos, and their contrastive loss.
    Contrastive,
    /// Generator step: from the contrastive loss back to the images.
    ContrastiveBackward,
    /// Generator step: diversity loss, forward and back to the generator's features.
    Diversity,
    /// Generator step: from what the losses ask of features back to the images, where they share a
    /// pass through the frozen network.
    FeaturesBackward,
    /// Generator step: from the images back through the generator.
    GeneratorBackward,
    /// Generator step: Adam of generator and projector.
    GeneratorOptimizer,
    /// Discriminator step: images without a graph.
    Fakes,
    /// Discriminator step: frozen backbone, discriminator and loss on images and photos.
    Discriminator,
    /// Discriminator step: from the loss back through the discriminator.
    DiscriminatorBackward,
    /// Discriminator step: Adam.
    DiscriminatorOptimizer,
    /// Moving average of the generator.
    Average,
}

impl StepPart {
    /// Target of the events.
    pub const TARGET: &'static str = "dp_sims::step_parts";

    /// Says that all since the part before, or since the step began, was this one. A device that works
    /// in the background may not have finished it.
    pub(super) fn end(self) {
        tracing::trace!(target: StepPart::TARGET, "{self}");
    }
}

impl fmt::Display for StepPart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Generator => "G step: generator",
            Self::Judgement => "G step: discriminator",
            Self::JudgementBackward => "G step: discriminator back",
            Self::Contrastive => "G step: contrastive",
            Self::ContrastiveBackward => "G step: contrastive back",
            Self::Diversity => "G step: diversity",
            Self::FeaturesBackward => "G step: features back",
            Self::GeneratorBackward => "G step: generator back",
            Self::GeneratorOptimizer => "G step: optimizer",
            Self::Fakes => "D step: fakes",
            Self::Discriminator => "D step: discriminator",
            Self::DiscriminatorBackward => "D step: discriminator back",
            Self::DiscriminatorOptimizer => "D step: optimizer",
            Self::Average => "moving average",
        })
    }
}
