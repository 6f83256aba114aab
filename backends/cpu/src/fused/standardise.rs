//! Normalisation of each channel by values that are given.

use burn::tensor::Tensor;
use burn_backend::TensorMetadata;
use pulp::NullaryFnOnce;

use super::super::Cpu;
use super::super::profile::Timer;
use super::{GRAIN, Place, Target, are_plain, primitive, read, run, tensor};

/// Values of each channel, `[C]`.
pub type PerChannel = Tensor<Cpu, 1>;

/// (x − mean) · scale + shift per channel of `[N, C, HW]`, without a graph.
///
/// # Errors
/// The operands, where there is no kernel for them.
pub fn standardise(
    (input, [mean, scale, shift]): (Tensor<Cpu, 3>, [PerChannel; 3]),
) -> Result<Tensor<Cpu, 3>, (Tensor<Cpu, 3>, [PerChannel; 3])> {
    let (input, values) = (primitive(input), [mean, scale, shift].map(primitive));
    let channels = input.shape()[1];
    let fit = values
        .iter()
        .all(|values| are_plain(&[values]) && values.shape()[0] == channels);
    if !fit || !are_plain(&[&input]) {
        return Err((tensor(input), values.map(tensor)));
    }
    let _timer = Timer::new("standardise");
    let pixels = input.shape()[2];
    let [mean, scale, shift] = [&values[0], &values[1], &values[2]].map(read);
    let mut target = Target::over(input);
    let place = target.place();
    let elements = place.to.len();
    // Whole rows of about as many elements as a job is worth.
    let grain = GRAIN.div_ceil(pixels) * pixels;
    let parts = place.parts(grain).into_iter().enumerate();
    let jobs = parts.map(|(index, place)| Standardise {
        place,
        pixels,
        first: index * (grain / pixels),
        mean,
        scale,
        shift,
    });
    run(jobs.collect(), elements);
    Ok(tensor(target.to))
}

/// Some rows.
struct Standardise<'a> {
    place: Place<'a>,
    pixels: usize,
    /// Row of the first one.
    first: usize,
    mean: &'a [f32],
    scale: &'a [f32],
    shift: &'a [f32],
}

impl NullaryFnOnce for Standardise<'_> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        let rows = self.place.filled().chunks_exact_mut(self.pixels);
        for (index, row) in rows.enumerate() {
            let channel = (self.first + index) % self.mean.len();
            let (mean, scale) = (self.mean[channel], self.scale[channel]);
            let shift = self.shift[channel];
            for value in row {
                *value = (*value - mean) * scale + shift;
            }
        }
    }
}
