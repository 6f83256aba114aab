use burn::tensor::{Tensor, backend::Backend};

/// Features of a batch of images whose squared Euclidean distance is LPIPS.
#[derive(Debug, Clone)]
pub struct LpipsFeatures<B: Backend> {
    /// One map `[N, C, H, W]` per tap.
    maps: Vec<Tensor<B, 4>>,
}

impl<B: Backend> LpipsFeatures<B> {
    pub(super) fn new(maps: Vec<Tensor<B, 4>>) -> Self {
        Self { maps }
    }

    /// Number of images.
    pub fn images(&self) -> usize {
        self.maps.first().map_or(0, |map| map.dims()[0])
    }

    /// The maps, one `[N, C, H, W]` per tap.
    pub fn maps(&self) -> &[Tensor<B, 4>] {
        &self.maps
    }

    /// See [`Lpips::distance`](super::Lpips::distance).
    pub(super) fn distance(&self, other: &Self) -> Tensor<B, 1> {
        let terms = self.maps.iter().zip(&other.maps);
        let terms = terms.map(|(a, b)| squared_norms(a.clone() - b.clone()));
        sum(terms).squeeze_dim(1)
    }

    /// See [`Lpips::pairwise`](super::Lpips::pairwise).
    ///
    /// The sum of the squared distances of all pairs is K Σ |f - m|² with m the mean. The form
    /// without the mean, K Σ |f|² - |Σ f|², needs one pass less and loses all digits to
    /// cancellation when the samples are alike, which is the case this number is there to detect.
    pub(super) fn pairwise(samples: &[Self]) -> Option<Tensor<B, 1>> {
        let count: usize = samples.iter().map(Self::images).sum();
        if count < 2 {
            return None;
        }
        let taps = samples.iter().map(|sample| sample.maps.len()).min()?;
        let terms = (0..taps).flat_map(|tap| {
            let maps = || samples.iter().map(move |sample| sample.maps[tap].clone());
            let mean = sum(maps().map(|map| map.sum_dim(0))) / count as f64;
            maps().map(move |map| squared_norms(map - mean.clone()).sum_dim(0))
        });
        let spread: Tensor<B, 2> = sum(terms);
        Some(spread.squeeze_dim::<1>(1) * (2.0 / (count - 1) as f64))
    }
}

/// Sum of tensors of one shape; there is at least one.
fn sum<B: Backend, const D: usize>(terms: impl Iterator<Item = Tensor<B, D>>) -> Tensor<B, D> {
    terms.reduce(|total, term| total + term).unwrap()
}

/// Sum of the squares of each image, `[N, 1]`: rows, columns and channels one after another, so
/// that no sum in f32 runs over millions of values.
fn squared_norms<B: Backend>(map: Tensor<B, 4>) -> Tensor<B, 2> {
    let rows = map.square().sum_dim(3);
    rows.sum_dim(2).sum_dim(1).flatten(1, 3)
}
