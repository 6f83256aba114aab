use burn::module::Module;
use burn::tensor::activation::softmax;
use burn::tensor::{Int, Tensor, TensorData, backend::Backend};
use dp_sims_model::init::InitRng;
use dp_sims_model::layers::Linear;

use super::{INIT_STD, LEVELS};

/// Points that a head samples in each map.
pub(super) const POINTS: usize = 4;

/// Maps of several sizes, one behind the other as rows of one tensor, and where each pixel of any
/// of them lies in each of them.
#[derive(Debug)]
pub(super) struct Pyramid<B: Backend> {
    /// Height and width of each map.
    pub(super) sizes: [[usize; 2]; LEVELS],
    /// Row and column of every pixel, in pixels of each map: `[1, pixels, 1, 1]`.
    centres: [[Tensor<B, 4>; 2]; LEVELS],
}

impl<B: Backend> Pyramid<B> {
    pub(super) fn new(sizes: [[usize; 2]; LEVELS], device: &B::Device) -> Self {
        let centres = sizes.map(|target| {
            let mut found = [Vec::new(), Vec::new()];
            for [height, width] in sizes {
                let scales = [
                    target[0] as f64 / height as f64,
                    target[1] as f64 / width as f64,
                ];
                for row in 0..height {
                    for column in 0..width {
                        // Pixel centres of both maps are aligned.
                        found[0].push(((row as f64 + 0.5) * scales[0] - 0.5) as f32);
                        found[1].push(((column as f64 + 0.5) * scales[1] - 0.5) as f32);
                    }
                }
            }
            found.map(|values| {
                let count = values.len();
                Tensor::from_data(TensorData::new(values, [1, count, 1, 1]), device)
            })
        });
        Self { sizes, centres }
    }

    /// Pixels of each map.
    pub(super) fn counts(&self) -> [usize; LEVELS] {
        self.sizes.map(|[height, width]| height * width)
    }
}

/// Attention of the pixels of a pyramid to a few points of each of its maps: a pixel predicts for
/// every head where the points lie relative to itself, and their weights (Deformable DETR).
#[derive(Module, Debug)]
pub struct DeformableAttention<B: Backend> {
    /// Column and row of every point relative to the pixel, in pixels of the sampled map:
    /// C → heads · levels · points · 2.
    pub sampling_offsets: Linear<B>,
    /// Weights of the points before the softmax: C → heads · levels · points.
    pub attention_weights: Linear<B>,
    /// Values, C → C.
    pub value_proj: Linear<B>,
    /// Output, C → C.
    pub output_proj: Linear<B>,
    heads: usize,
}

impl<B: Backend> DeformableAttention<B> {
    pub(super) fn new(
        channels: usize,
        heads: usize,
        rng: &mut InitRng,
        device: &B::Device,
    ) -> Self {
        let points = heads * LEVELS * POINTS;
        let mut linear = |output| Linear::normal([channels, output], INIT_STD, rng, device);
        Self {
            sampling_offsets: linear(2 * points),
            attention_weights: linear(points),
            value_proj: linear(channels),
            output_proj: linear(channels),
            heads,
        }
    }

    /// Values are read bilinearly, and are zero outside their map (`grid_sample` of PyTorch with
    /// `align_corners=False`). Rows of whole heads are gathered, for one map and one of the four
    /// neighbours at a time: twelve reads of N · pixels · points · C numbers, of which two are alive
    /// at once, and no product of pixels and pixels. burn's `grid_sample_2d` gives the same, but
    /// reads channel by channel and on one core on flex.
    ///
    /// # Shapes
    ///
    /// - `query`: `[N, pixels, C]`, with positions
    /// - `source`: `[N, pixels, C]`, of which values are made
    /// - output: `[N, pixels, C]`
    pub(super) fn forward(
        &self,
        query: Tensor<B, 3>,
        source: Tensor<B, 3>,
        pyramid: &Pyramid<B>,
    ) -> Tensor<B, 3> {
        let [batch, count, channels] = query.dims();
        let (heads, width) = (self.heads, channels / self.heads);
        let rows = batch * count * heads;
        // Row (n · pixels + pixel) · heads + head holds what a head reads of a pixel.
        let values = self.value_proj.forward(source).reshape([rows, width]);
        let offsets = self.sampling_offsets.forward(query.clone()).reshape([
            batch,
            count,
            heads,
            LEVELS * POINTS * 2,
        ]);
        let weights = self.attention_weights.forward(query);
        let weights = softmax(weights.reshape([batch, count, heads, LEVELS * POINTS]), 3);

        let mut sum = Tensor::zeros([rows, 1, width], &values.device());
        let mut start = 0;
        for (level, size) in pyramid.sizes.into_iter().enumerate() {
            let offsets = offsets
                .clone()
                .narrow(3, level * POINTS * 2, POINTS * 2)
                .reshape([batch, count, heads, POINTS, 2]);
            let weights = weights.clone().narrow(3, level * POINTS, POINTS);
            let neighbours = |axis: usize| {
                // Offsets say the column first, centres the row.
                let offset = offsets.clone().narrow(4, 1 - axis, 1);
                let offset = offset.reshape([batch, count, heads, POINTS]);
                neighbours(offset + pyramid.centres[level][axis].clone(), size[axis])
            };
            let (down, across) = (neighbours(0), neighbours(1));
            let first = first_rows::<B>(batch, count, heads, start, &values.device());
            for (row, row_share) in &down {
                for (column, column_share) in &across {
                    let pixel = (row.clone() * size[1] as f64 + column.clone()).int();
                    let index = pixel * heads as i64 + first.clone();
                    let read = values.clone().select(0, index.reshape([-1]));
                    let share = weights.clone() * row_share.clone() * column_share.clone();
                    let read = read.reshape([rows, POINTS, width]);
                    sum = sum + (read * share.reshape([rows, POINTS, 1])).sum_dim(1);
                }
            }
            start += size[0] * size[1];
        }
        self.output_proj
            .forward(sum.reshape([batch, count, channels]))
    }
}

/// The pixels before and behind a position along one axis of `side` pixels, and their shares; those
/// outside have none and are moved to the border.
fn neighbours<B: Backend>(
    position: Tensor<B, 4>,
    side: usize,
) -> [(Tensor<B, 4>, Tensor<B, 4>); 2] {
    let before = position.clone().floor();
    let behind_share = position - before.clone();
    let before_share = -behind_share.clone() + 1.0;
    let within = |pixel: Tensor<B, 4>, share: Tensor<B, 4>| {
        let border = pixel.clone().clamp(0.0, (side - 1) as f64);
        let inside = pixel.equal(border.clone()).float();
        (border, share * inside)
    };
    let behind = before.clone() + 1.0;
    [within(before, before_share), within(behind, behind_share)]
}

/// The row of the values that belongs to the first pixel of a map, `[N, 1, heads, 1]`.
fn first_rows<B: Backend>(
    batch: usize,
    count: usize,
    heads: usize,
    start: usize,
    device: &B::Device,
) -> Tensor<B, 4, Int> {
    let image = (0..batch).map(|image| (image * count + start) * heads);
    let rows: Vec<i32> = image
        .flat_map(|row| (0..heads).map(move |head| (row + head) as i32))
        .collect();
    Tensor::from_data(TensorData::new(rows, [batch, 1, heads, 1]), device)
}
