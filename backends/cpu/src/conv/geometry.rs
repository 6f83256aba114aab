use std::ops::Range;

use burn_backend::TensorMetadata;
use burn_backend::ops::ConvOptions;
use burn_backend::ops::conv::calculate_conv_output_size;
use burn_flex::FlexTensor;

/// Positions per unfolded tile: long enough for the matrix product to run at full speed, short
/// enough for the tile to stay in the second-level cache.
const TILE: usize = 512;

/// One spatial axis of a convolution; lengths and steps in pixels.
#[derive(Clone, Copy, Debug)]
pub(in super::super) struct Axis {
    pub(in super::super) input: usize,
    pub(in super::super) output: usize,
    pub(in super::super) kernel: usize,
    pub(in super::super) stride: usize,
    pub(in super::super) padding: usize,
    pub(in super::super) dilation: usize,
}

impl Axis {
    /// Output positions at which kernel tap `tap` reads inside the input.
    pub(in super::super) fn inside(&self, tap: usize) -> Range<usize> {
        let offset = tap * self.dilation;
        let start = self.padding.saturating_sub(offset).div_ceil(self.stride);
        let reach = (self.input + self.padding).saturating_sub(offset);
        let end = reach.div_ceil(self.stride).min(self.output);
        start.min(end)..end
    }

    /// Input position that tap `tap` reads for an output position of [`Axis::inside`].
    pub(in super::super) fn read_at(&self, output: usize, tap: usize) -> usize {
        output * self.stride + tap * self.dilation - self.padding
    }

    /// Padding of the stride-1 convolution that undoes this one, if there is one.
    fn mirrored_padding(&self) -> Option<usize> {
        let reach = self.dilation * (self.kernel - 1);
        (self.stride == 1)
            .then(|| reach.checked_sub(self.padding))
            .flatten()
    }
}

/// Sizes of a convolution `[N, C_in, H, W] -> [N, C_out, H_out, W_out]`.
#[derive(Clone, Copy, Debug)]
pub(in super::super) struct Conv {
    pub(super) batch: usize,
    pub(super) groups: usize,
    /// Input channels of one group.
    pub(super) inputs: usize,
    /// Output channels of one group.
    pub(super) outputs: usize,
    pub(super) rows: Axis,
    pub(super) columns: Axis,
}

impl Conv {
    /// Reads the sizes from the operands.
    ///
    /// # Shapes
    /// - `x`: `[N, C_in, H, W]`
    /// - `weight`: `[C_out, C_in / groups, K_h, K_w]`
    pub(in super::super) fn new(
        x: &FlexTensor,
        weight: &FlexTensor,
        options: &ConvOptions<2>,
    ) -> Self {
        let [batch, _, height, width] = x.shape().dims();
        let [channels_out, inputs, kernel_height, kernel_width] = weight.shape().dims();
        let axis = |index: usize, input, kernel| {
            let (stride, padding) = (options.stride[index], options.padding[index]);
            let dilation = options.dilation[index];
            Axis {
                input,
                output: calculate_conv_output_size(kernel, stride, padding, dilation, input),
                kernel,
                stride,
                padding,
                dilation,
            }
        };
        Self {
            batch,
            groups: options.groups,
            inputs,
            outputs: channels_out / options.groups,
            rows: axis(0, height, kernel_height),
            columns: axis(1, width, kernel_width),
        }
    }

    /// Kernel positions.
    pub(super) fn taps(&self) -> usize {
        self.rows.kernel * self.columns.kernel
    }

    /// Pixels of one input channel.
    pub(super) fn input_plane(&self) -> usize {
        self.rows.input * self.columns.input
    }

    /// Pixels of one output channel.
    pub(super) fn output_plane(&self) -> usize {
        self.rows.output * self.columns.output
    }

    /// Output rows per unfolded tile.
    pub(super) fn tile_rows(&self) -> usize {
        TILE.div_ceil(self.columns.output.max(1))
    }

    /// Whether windows are single pixels, so that unfolding would only copy.
    pub(super) fn is_pointwise(&self) -> bool {
        self.taps() == 1
            && [self.rows, self.columns]
                .iter()
                .all(|axis| axis.stride == 1 && axis.padding == 0)
    }

    /// Whether every channel is convolved by itself, for which Flex has loops of their own.
    pub(in super::super) fn is_depthwise(&self) -> bool {
        self.inputs == 1 && self.outputs == 1
    }

    /// Multiply-adds, those with padding included.
    pub(in super::super) fn macs(&self) -> usize {
        let window = self.inputs * self.rows.kernel * self.columns.kernel;
        self.batch * self.groups * self.outputs * window * self.output_plane()
    }

    /// Whether there is no output at all.
    pub(in super::super) fn is_empty(&self) -> bool {
        self.batch * self.output_plane() * self.input_plane() == 0
    }

    /// Whether the output has fewer channels than the input, so that windows of the output are
    /// less to unfold than windows of the input.
    pub(in super::super) fn narrows(&self) -> bool {
        self.outputs < self.inputs
    }

    /// Options as burn writes them.
    pub(in super::super) fn options(&self) -> ConvOptions<2> {
        let axes = [self.rows, self.columns];
        ConvOptions::new(
            axes.map(|axis| axis.stride),
            axes.map(|axis| axis.padding),
            axes.map(|axis| axis.dilation),
            self.groups,
        )
    }

    /// The convolution that maps output gradients to input gradients, where it is one of stride 1
    /// (its weight is that of [`mirror_weight`](super::mirror_weight)).
    pub(in super::super) fn exchanged(&self) -> Option<Self> {
        let exchange = |axis: Axis| {
            axis.mirrored_padding().map(|padding| Axis {
                input: axis.output,
                output: axis.input,
                padding,
                ..axis
            })
        };
        Some(Self {
            inputs: self.outputs,
            outputs: self.inputs,
            rows: exchange(self.rows)?,
            columns: exchange(self.columns)?,
            ..*self
        })
    }

    /// Unfolds windows: row `(channel, tap)` of `tile` holds what the tap reads at each position.
    ///
    /// # Shapes
    /// - `x`: `[N, C_in, H, W]`, all of it
    /// - `channels`: channels of `x` to unfold
    /// - `rows`: output rows to unfold, counted through the batch: `n * H_out + row`
    /// - `tile`: `[channels * K_h * K_w, pitch]`, of which `[.., ..rows * W_out]` is overwritten
    pub(super) fn unfold(
        &self,
        x: &[f32],
        channels: Range<usize>,
        rows: Range<usize>,
        pitch: usize,
        tile: &mut [f32],
    ) {
        let width = self.columns.input;
        let channels_in = self.groups * self.inputs;
        let mut windows = tile.chunks_exact_mut(pitch);
        for channel in channels {
            for tap_row in 0..self.rows.kernel {
                let inside_rows = self.rows.inside(tap_row);
                for tap_column in 0..self.columns.kernel {
                    let inside = self.columns.inside(tap_column);
                    let Some(lines) = windows.next() else { return };
                    let lines = lines.chunks_exact_mut(self.columns.output);
                    for (row, line) in rows.clone().zip(lines) {
                        let (image, row) = (row / self.rows.output, row % self.rows.output);
                        if !inside_rows.contains(&row) || inside.is_empty() {
                            line.fill(0.0);
                            continue;
                        }
                        let plane = (image * channels_in + channel) * self.input_plane();
                        let from = plane
                            + self.rows.read_at(row, tap_row) * width
                            + self.columns.read_at(inside.start, tap_column);
                        line[..inside.start].fill(0.0);
                        line[inside.end..].fill(0.0);
                        let line = &mut line[inside.clone()];
                        if self.columns.stride == 1 {
                            line.copy_from_slice(&x[from..from + line.len()]);
                        } else {
                            let read = x[from..].iter().step_by(self.columns.stride);
                            line.iter_mut().zip(read).for_each(|(to, from)| *to = *from);
                        }
                    }
                }
            }
        }
    }

    /// Adds a tile of window gradients back to where the windows came from.
    ///
    /// # Shapes
    /// - `tile`: `[channels * K_h * K_w, pitch]`, of which `[.., start..start + rows * W_out]` is read
    /// - `rows`: output rows of the tile, within one image
    /// - `x_grad`: `[channels, H, W]`, added to
    pub(super) fn fold(
        &self,
        tile: &[f32],
        pitch: usize,
        start: usize,
        rows: Range<usize>,
        x_grad: &mut [f32],
    ) {
        let width = self.columns.input;
        let mut windows = tile.chunks_exact(pitch);
        for plane in x_grad.chunks_exact_mut(self.input_plane()) {
            for tap_row in 0..self.rows.kernel {
                let inside_rows = self.rows.inside(tap_row);
                for tap_column in 0..self.columns.kernel {
                    let inside = self.columns.inside(tap_column);
                    let Some(window) = windows.next() else { return };
                    let lines = window[start..].chunks_exact(self.columns.output);
                    for (row, line) in rows.clone().zip(lines) {
                        if !inside_rows.contains(&row) || inside.is_empty() {
                            continue;
                        }
                        let from = self.rows.read_at(row, tap_row) * width
                            + self.columns.read_at(inside.start, tap_column);
                        let line = &line[inside.clone()];
                        if self.columns.stride == 1 {
                            let target = &mut plane[from..from + line.len()];
                            target
                                .iter_mut()
                                .zip(line)
                                .for_each(|(to, from)| *to += from);
                        } else {
                            let target = plane[from..].iter_mut().step_by(self.columns.stride);
                            target.zip(line).for_each(|(to, from)| *to += from);
                        }
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn taps_stay_inside_the_input() {
        for (input, kernel, stride, padding, dilation) in [
            (7, 3, 1, 1, 1),
            (7, 3, 2, 1, 1),
            (8, 5, 3, 4, 2),
            (3, 1, 2, 0, 1),
            (2, 3, 1, 3, 1),
        ] {
            let output = (input + 2 * padding - dilation * (kernel - 1) - 1) / stride + 1;
            let axis = Axis {
                input,
                output,
                kernel,
                stride,
                padding,
                dilation,
            };
            for tap in 0..kernel {
                for position in 0..output {
                    let read = (position * stride + tap * dilation).checked_sub(padding);
                    let expected = read.filter(|&read| read < input);
                    let found = axis
                        .inside(tap)
                        .contains(&position)
                        .then(|| axis.read_at(position, tap));
                    assert_eq!(found, expected, "{axis:?}, tap {tap}, output {position}");
                }
            }
        }
    }
}
