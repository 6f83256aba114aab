use super::{Kept, KeptSegments, pixels};
use crate::discriminator::{DiscriminatorArchitecture, DiscriminatorConfig};

/// What a training pass of a discriminator keeps, up to its logits, over features with these channels and
/// strides, fine to coarse, for an image of `size`, height and width.
pub fn discriminator(
    config: &DiscriminatorConfig,
    channels: &[usize],
    strides: &[usize],
    size: [usize; 2],
) -> KeptSegments {
    let mut segments = match config.architecture {
        DiscriminatorArchitecture::DpSims => dp_sims(config, channels, strides, size),
        DiscriminatorArchitecture::Oasis => oasis(config, size),
    };
    if !config.spectral_norm {
        for segment in &mut segments.0 {
            segment.kept.weights = 0.0;
        }
    }
    segments
}

fn dp_sims(
    config: &DiscriminatorConfig,
    channels: &[usize],
    strides: &[usize],
    size: [usize; 2],
) -> KeptSegments {
    let mut segments = KeptSegments::default();
    let mut kept = Kept::default();
    let conditioning = config.conditioning;
    let squashed = usize::from(conditioning.has_sigmoid());
    let normalised = usize::from(conditioning.has_batch_norm());
    for (level, (&channels, &stride)) in channels.iter().zip(strides).enumerate() {
        let area = pixels(size, stride);
        kept += Kept::maps((squashed + normalised) * channels, area);
        if conditioning.has_projection() {
            // Between the projection across channels and the one across scales.
            kept += Kept::maps(config.projection_channels << level, area);
        }
    }
    let plan = config.decoder_plan(channels, strides);
    let conditioned = plan.channels.iter().zip(&plan.strides);
    let conditioned =
        conditioned.map(|(&channels, &stride)| channels as f64 * pixels(size, stride));
    segments.push(kept, conditioned.sum());
    let blocks = plan.widths.len();
    let mut decoded = 0;
    for (index, &to) in plan.widths.iter().enumerate() {
        let stride = 1 << (blocks - index);
        let skips = plan.strides.iter().zip(&plan.channels);
        let skip: usize = skips
            .filter(|(of_skip, _)| **of_skip == stride)
            .map(|(_, channels)| *channels)
            .sum();
        let fine = pixels(size, stride / 2);
        segments.push(up_block(skip + decoded, to, fine), to as f64 * fine);
        decoded = to;
    }
    let full = config.full_resolution_channels;
    for index in 0..config.full_resolution_blocks {
        // The inputs of both convolutions.
        let from = if index == 0 { 3 } else { full };
        let mut kept = Kept::maps(from + full, pixels(size, 1));
        kept.weights += residual_weights(from, full);
        segments.push(kept, full as f64 * pixels(size, 1));
    }
    // Logits are those of the losses.
    segments.push(Kept::maps(decoded + full, pixels(size, 1)), 0.0);
    segments
}

fn oasis(config: &DiscriminatorConfig, size: [usize; 2]) -> KeptSegments {
    let down = &config.oasis.encoder_channels;
    let mut segments = KeptSegments::default();
    let mut from = 3;
    for (index, &to) in down.iter().enumerate() {
        let area = pixels(size, 1 << index);
        // The inputs of both convolutions and of both means; the first block reads its input as it is.
        let inputs = if index == 0 { from } else { 2 * from };
        let mut kept = Kept::maps(inputs + 2 * to, area) + Kept::maps(from, area / 4.0);
        kept.weights += residual_weights(from, to);
        segments.push(kept, to as f64 * area / 4.0);
        from = to;
    }
    let blocks = down.len();
    for (index, &to) in config.oasis.decoder_channels.iter().enumerate() {
        let skip = if index == 0 {
            0
        } else {
            down[blocks - 1 - index]
        };
        let fine = pixels(size, 1 << (blocks - 1 - index));
        segments.push(up_block(skip + from, to, fine), to as f64 * fine);
        from = to;
    }
    segments.push(Kept::maps(from, pixels(size, 1)), 0.0);
    segments
}

/// A block that doubles the resolution, to so many pixels: the inputs of its 3×3 convolutions, and on the
/// coarse side its input, that behind its activation, and the shortcut before it is upsampled.
fn up_block(from: usize, to: usize, fine: f64) -> Kept {
    let mut kept = Kept::maps(from + to, fine) + Kept::maps(2 * from + to, fine / 4.0);
    kept.weights = residual_weights(from, to);
    kept
}

/// Weights of two 3×3 convolutions and of the shortcut.
fn residual_weights(from: usize, to: usize) -> f64 {
    let shortcut = if from == to { 0 } else { from * to };
    (9 * (from * to + to * to) + shortcut) as f64
}
