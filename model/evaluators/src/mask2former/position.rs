use burn::tensor::{Tensor, TensorData, backend::Backend};

/// Base of the geometric progression of wavelengths.
const TEMPERATURE: f64 = 10_000.0;

/// Sine embeddings of the positions on a map (`PositionEmbeddingSine` with `normalize` of
/// facebookresearch/Mask2Former): the first half of the channels encodes the row, the second the
/// column, each from 1 to the side and scaled so that the side is 2π; sines and cosines alternate.
///
/// # Shapes
///
/// - output: `[1, rows · columns, channels]`, row by row
pub(super) fn sine_positions<B: Backend>(
    [rows, columns]: [usize; 2],
    channels: usize,
    device: &B::Device,
) -> Tensor<B, 3> {
    let half = channels / 2;
    let axis = |side: usize| -> Vec<Vec<f32>> {
        (1..=side)
            .map(|position| {
                let angle = position as f64 / (side as f64 + 1e-6) * std::f64::consts::TAU;
                let wave = |channel: usize| {
                    let exponent = (2 * (channel / 2)) as f64 / half as f64;
                    let angle = angle / TEMPERATURE.powf(exponent);
                    let value = if channel.is_multiple_of(2) {
                        angle.sin()
                    } else {
                        angle.cos()
                    };
                    value as f32
                };
                (0..half).map(wave).collect()
            })
            .collect()
    };
    let (down, across) = (axis(rows), axis(columns));
    let mut values = Vec::with_capacity(rows * columns * channels);
    for row in &down {
        for column in &across {
            values.extend_from_slice(row);
            values.extend_from_slice(column);
        }
    }
    Tensor::from_data(
        TensorData::new(values, [1, rows * columns, 2 * half]),
        device,
    )
}
