use std::ops::Range;

use burn::tensor::{Tensor, backend::Backend};

/// Most blocks of a segment: deep stages have several.
const BLOCKS: usize = 9;

/// A part of a backbone, from one map to the next: some blocks of a stage, and what lies before its first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Segment {
    pub(crate) stage: usize,
    pub(crate) blocks: Range<usize>,
    /// Whether its output is one of the feature maps of the network.
    pub is_tap: bool,
}

impl Segment {
    /// Whether it begins its stage.
    pub(super) fn begins(&self) -> bool {
        self.blocks.start == 0
    }

    /// Whether it reads the image.
    pub(super) fn is_first(&self) -> bool {
        self.stage == 0 && self.begins()
    }

    /// Stages of so many blocks in segments of about equal length.
    pub(crate) fn of_stages(depths: &[usize], is_tap: impl Fn(usize) -> bool) -> Vec<Self> {
        let mut segments = Vec::new();
        for (stage, &depth) in depths.iter().enumerate() {
            let parts = depth.div_ceil(BLOCKS);
            for part in 0..parts {
                let [start, end] = [part, part + 1].map(|part| part * depth / parts);
                segments.push(Self {
                    stage,
                    blocks: start..end,
                    is_tap: end == depth && is_tap(stage),
                });
            }
        }
        segments
    }
}

/// The maps at all taps of a network that runs its segments by `run`.
pub(super) fn taps<B: Backend>(
    segments: &[Segment],
    image: Tensor<B, 4>,
    run: impl Fn(&Segment, Tensor<B, 4>) -> Tensor<B, 4>,
) -> Vec<Tensor<B, 4>> {
    let mut features = image;
    let mut taps = Vec::new();
    for segment in segments {
        features = run(segment, features);
        if segment.is_tap {
            taps.push(features.clone());
        }
    }
    taps
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_block_is_in_one_segment_and_every_stage_ends_one() {
        let depths = [3, 27, 1, 10];
        let segments = Segment::of_stages(&depths, |stage| stage != 2);
        let lengths: Vec<_> = segments
            .iter()
            .map(|segment| (segment.stage, segment.blocks.clone(), segment.is_tap))
            .collect();
        let expected = [
            (0, 0..3, true),
            (1, 0..9, false),
            (1, 9..18, false),
            (1, 18..27, true),
            (2, 0..1, false),
            (3, 0..5, false),
            (3, 5..10, true),
        ];
        assert_eq!(lengths, expected);
    }
}
