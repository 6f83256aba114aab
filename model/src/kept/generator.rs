use super::{GELU, Kept, pixels};
use crate::generator::{GeneratorArchitecture, GeneratorConfig, NoiseMode};

/// Indices that a convolution over a label map keeps for a pixel, one per tap.
const LABEL_INDICES: usize = 9;

/// Scores of one head from which on attention keeps none.
const MANY_SCORES: f64 = (1 << 20) as f64;

/// Matrices of scores that attention keeps below that: before and in its softmax.
const SCORES: f64 = 3.0;

/// What a training pass of a generator up to its images keeps for a label map of `size`, height and
/// width, under so many latents.
pub fn generator(config: &GeneratorConfig, size: [usize; 2], latents: usize) -> Kept {
    let channels = &config.encoder_channels;
    let widths = config.widths();
    let is_oasis = config.architecture == GeneratorArchitecture::Oasis;
    let mut kept = if is_oasis {
        Kept::default()
    } else {
        encoder(config, size, latents)
    };
    let blocks = config.blocks();
    for (index, pair) in widths.windows(2).enumerate() {
        let (from, to) = (pair[0], pair[1]);
        let middle = from.min(to);
        let area = pixels(size, config.start_stride() >> index);
        let images = latents as f64 * area;
        // A SPADE keeps its modulation, of twice the channels, and its output; both of the input share what
        // was normalised. Upsampling keeps its input.
        let inputs = if from == to { 1 } else { 2 };
        let upsampled = if index + 1 < blocks { to } else { 0 };
        let maps = from + 3 * inputs * from + 4 * middle + upsampled;
        kept += Kept::maps(maps, images);
        let condition = if is_oasis {
            // Each SPADE has a condition of its own, before and behind its ReLU.
            let hidden = (inputs + 1) * config.spade_hidden;
            kept += Kept::maps(2 * hidden, images);
            kept += Kept::maps((inputs + 1) * LABEL_INDICES, area);
            config.spade_hidden
        } else {
            channels[blocks] + channels[blocks - index]
        };
        // Modulations are convolved in parts.
        let mut weights = 9 * condition * 2 * (inputs * from + middle);
        if config.spectral_norm {
            let shortcut = if from == to { 0 } else { from * to };
            weights += 9 * middle * (from + to) + shortcut;
        }
        kept.weights += weights as f64;
    }
    // Leaky ReLU, and images before and behind their tanh.
    let last = widths[blocks];
    kept + Kept::maps(last + 6, latents as f64 * pixels(size, 1))
}

/// The label-map encoder. What lies before the noise enters is kept once per label map.
fn encoder(config: &GeneratorConfig, size: [usize; 2], latents: usize) -> Kept {
    let channels = &config.encoder_channels;
    let concat = config.noise == NoiseMode::Concat;
    let copies = |noisy: bool| if noisy { latents as f64 } else { 1.0 };
    let mut noisy = concat;
    let mut kept = Kept::maps(LABEL_INDICES, pixels(size, 1));
    // Normalised, in GELU, and behind it.
    kept += Kept::maps((2 + GELU) * channels[0], copies(noisy) * pixels(size, 1));
    for (level, &width) in channels[1..].iter().enumerate() {
        let stride = 1 << level;
        let area = pixels(size, stride);
        let attends = stride >= config.attention_stride;
        kept += Kept::maps((1 + GELU) * width, copies(noisy) * area);
        if attends && config.noise == NoiseMode::CrossAttention {
            noisy = true;
            // Tokens, queries before and behind their scale, what was read, and its sum with the input.
            kept += Kept::maps(5 * width, copies(noisy) * area);
            kept.maps += SCORES * config.tokens as f64 * copies(noisy) * area;
        }
        if attends && config.self_attention {
            // Tokens, queries twice, keys, values, what was read before and behind its layer, and the sum.
            kept += Kept::maps(8 * width, copies(noisy) * area);
            if area * area < MANY_SCORES {
                kept.maps += SCORES * area * area * copies(noisy);
            }
        }
        // What GELU makes, of which all images have a copy where the noise enters, and the output.
        let outputs = if config.pointwise { 2 } else { 1 };
        kept += Kept::maps(outputs * width, copies(noisy) * area);
        if !noisy && latents > 1 {
            kept += Kept::maps(width, latents as f64 * area);
        }
    }
    kept
}
