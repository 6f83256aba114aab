use pulp::{Arch, NullaryFnOnce};
use rayon::prelude::*;

use super::lanes::Lanes;
use super::points::{Grid, OfWeights, Points, TAPS, both};
use super::tiles::POINTS;
use crate::conv::panels::ROWS;
use crate::conv::zeros;

/// Kernels `[C_out, C_in, 3, 3]` of a convolution.
#[derive(Clone, Copy)]
pub(in super::super::super) enum Kernels<'a> {
    /// As they are.
    Plain(&'a [f32]),
    /// Those of the convolution that this one undoes, `[C_in, C_out, 3, 3]`: the taps of each are
    /// read backwards.
    Mirrored(&'a [f32]),
}

impl Kernels<'_> {
    /// The taps from one input to `count` outputs, side by side.
    #[inline(always)]
    fn taps<const L: usize>(
        self,
        [outputs, inputs]: [usize; 2],
        first: usize,
        count: usize,
        input: usize,
    ) -> Grid<TAPS, TAPS, L> {
        let mut taps = [[0.0; L]; TAPS * TAPS];
        let (from, distance, is_mirrored) = match self {
            Self::Plain(values) => (&values[input * 9..], inputs * 9, false),
            Self::Mirrored(values) => (&values[input * outputs * 9..], 9, true),
        };
        for lane in 0..count {
            let kernel: &[f32; 9] = match from[(first + lane) * distance..].first_chunk() {
                Some(kernel) => kernel,
                None => &[0.0; 9],
            };
            for (tap, taps) in taps.iter_mut().enumerate() {
                taps[lane] = if is_mirrored {
                    kernel[8 - tap]
                } else {
                    kernel[tap]
                };
            }
        }
        let mut grid = [[Lanes::ZERO; TAPS]; TAPS];
        for (lanes, taps) in grid.iter_mut().flatten().zip(taps) {
            *lanes = Lanes(taps);
        }
        grid
    }
}

/// Transforms kernels: panels of output channels, `[C_out / ROWS, POINTS, C_in, ROWS]`.
pub(super) fn transformed_weight(kernels: Kernels, outputs: usize, inputs: usize) -> Vec<f32> {
    let panel = POINTS * inputs * ROWS;
    let mut values = zeros(outputs.div_ceil(ROWS) * panel);
    let panels = values.par_chunks_exact_mut(panel).enumerate();
    panels.for_each(|(panel, to)| {
        Arch::new().dispatch(There {
            kernels,
            sizes: [outputs, inputs],
            first: panel * ROWS,
            to,
        });
    });
    values
}

/// Transforms the kernels of one panel of output channels to `[POINTS, C_in, ROWS]`.
struct There<'a> {
    kernels: Kernels<'a>,
    /// Output and input channels.
    sizes: [usize; 2],
    /// The first output channel.
    first: usize,
    to: &'a mut [f32],
}

impl NullaryFnOnce for There<'_> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        let [outputs, inputs] = self.sizes;
        let count = ROWS.min(outputs - self.first);
        for input in 0..inputs {
            let taps = self
                .kernels
                .taps::<ROWS>(self.sizes, self.first, count, input);
            let points: Points<ROWS> = both::<OfWeights, _, _, _, _, _>(taps);
            for (point, lanes) in points.into_iter().flatten().enumerate() {
                lanes.store(&mut self.to[(point * inputs + input) * ROWS..]);
            }
        }
    }
}
