use burn::tensor::TensorData;

/// Tensors of a batch norm in inference mode, one number per channel each.
pub(super) const NORM: [&str; 4] = ["weight", "bias", "running_mean", "running_var"];

/// Folds batch norm in inference mode into the convolution before it: the weight is scaled by
/// γ / √(σ² + ε), the bias becomes β - μ γ / √(σ² + ε).
///
/// A frozen network needs no batch norm modules then, and cannot drift by updating statistics.
///
/// # Shapes
///
/// - `weight`: `[channels, ..]`
/// - each of `norm`, γ, β, μ and σ² in this order: `[channels]`
/// - output: weight and bias of the same shapes
pub(super) fn fold(
    weight: &TensorData,
    [gamma, beta, mean, variance]: [TensorData; 4],
    epsilon: f64,
) -> (TensorData, TensorData) {
    let scale: Vec<f64> = gamma
        .iter::<f64>()
        .zip(variance.iter::<f64>())
        .map(|(gamma, variance)| gamma / (variance + epsilon).sqrt())
        .collect();
    let bias: Vec<f32> = beta
        .iter::<f64>()
        .zip(mean.iter::<f64>())
        .zip(&scale)
        .map(|((beta, mean), scale)| (beta - mean * scale) as f32)
        .collect();
    let per_channel = weight.num_elements() / scale.len().max(1);
    let values: Vec<f32> = weight
        .iter::<f64>()
        .enumerate()
        .map(|(index, value)| (value * scale[index / per_channel]) as f32)
        .collect();
    (
        TensorData::new(values, weight.shape.clone()),
        TensorData::new(bias, beta.shape),
    )
}
