use super::{GELU, Kept, KeptSegments, pixels};
use crate::generator::{GeneratorArchitecture, GeneratorConfig, NoiseMode};

/// Indices that a convolution over a label map keeps for a pixel, one per tap.
const LABEL_INDICES: usize = 9;

/// Scores of one head from which on attention keeps none.
const MANY_SCORES: f64 = (1 << 20) as f64;

/// Matrices of scores that attention keeps below that: before and in its softmax.
const SCORES: f64 = 3.0;

/// What a training pass of a generator up to its images keeps for a label map of `size`, height and
/// width, under so many latents.
pub fn generator(config: &GeneratorConfig, size: [usize; 2], latents: usize) -> KeptSegments {
    let channels = &config.encoder_channels;
    let widths = config.widths();
    let is_oasis = config.architecture == GeneratorArchitecture::Oasis;
    let mut segments = KeptSegments::default();
    let start = latents as f64 * pixels(size, config.start_stride());
    segments.push(Kept::default(), widths[0] as f64 * start);
    if !is_oasis {
        encoder(&mut segments, config, size, latents);
    }
    let blocks = config.blocks();
    for (index, pair) in widths.windows(2).enumerate() {
        let (from, to) = (pair[0], pair[1]);
        let middle = from.min(to);
        let area = pixels(size, config.start_stride() >> index);
        let images = latents as f64 * area;
        // A SPADE keeps its modulation, of twice the channels, and its output; both of the input share what
        // was normalised. Upsampling keeps its input.
        let inputs = if from == to { 1 } else { 2 };
        let upsampled = if index > 0 { from as f64 / 4.0 } else { 0.0 };
        let maps = from + 3 * inputs * from + 4 * middle;
        let mut kept = Kept::maps(maps, images);
        kept.maps += upsampled * images;
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
        if index + 1 == blocks {
            // Leaky ReLU.
            kept += Kept::maps(to, images);
        }
        segments.push(kept, to as f64 * images);
    }
    // Images before and behind their tanh.
    let images = latents as f64 * pixels(size, 1);
    segments.push(Kept::maps(6, images), 3.0 * images);
    segments
}

/// The label-map encoder. What lies before the noise enters is kept once per label map.
fn encoder(
    segments: &mut KeptSegments,
    config: &GeneratorConfig,
    size: [usize; 2],
    latents: usize,
) {
    let channels = &config.encoder_channels;
    let concat = config.noise == NoiseMode::Concat;
    let copies = |noisy: bool| if noisy { latents as f64 } else { 1.0 };
    let mut noisy = concat;
    let mut kept = Kept::maps(LABEL_INDICES, pixels(size, 1));
    // Normalised, in GELU, and behind it.
    let stem = copies(noisy) * pixels(size, 1);
    kept += Kept::maps((2 + GELU) * channels[0], stem);
    segments.push(kept, channels[0] as f64 * stem);
    for (level, &width) in channels[1..].iter().enumerate() {
        let stride = 1 << level;
        let area = pixels(size, stride);
        let attends = stride >= config.attention_stride;
        let mut kept = Kept::maps((1 + GELU) * width, copies(noisy) * area);
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
        let mut made = width as f64 * copies(noisy) * area;
        if !noisy && latents > 1 {
            let repeated = Kept::maps(width, latents as f64 * area);
            kept += repeated;
            made += repeated.maps;
        }
        segments.push(kept, made);
    }
}
