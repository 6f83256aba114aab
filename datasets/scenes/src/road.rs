//! The plan of the ground: a curved road, its markings, and the land on its two sides.

use super::classes::{GRASS, LANE_MARKING, PAVEMENT, ROAD, WATER};
use super::math::{band, pulse};
use super::noise::value;

/// Centre line of the road: x = a0 + a1 z + a2 z², metres.
#[derive(Clone, Copy, Debug)]
pub(super) struct Curve(pub(super) [f32; 3]);

impl Curve {
    /// The centre line's x at depth `z`.
    pub(super) fn at(self, z: f32) -> f32 {
        let [a0, a1, a2] = self.0;
        a0 + z * (a1 + z * a2)
    }

    /// The centre line's slope dx/dz at depth `z`.
    pub(super) fn slope(self, z: f32) -> f32 {
        self.0[1] + 2.0 * self.0[2] * z
    }
}

/// A painted line along the road.
#[derive(Clone, Copy, Debug)]
pub(super) struct Line {
    /// Distance from the road's centre, positive to the right, metres.
    pub(super) offset: f32,
    pub(super) dashed: bool,
}

/// What lies beyond the pavement.
#[derive(Clone, Copy, Debug)]
pub(super) enum Verge {
    Grass,
    Paved,
    /// An elliptic lake or, when long, a river; grass around it.
    Water {
        /// Centre: distance from the pavement's edge and depth, metres.
        centre: (f32, f32),
        /// Half axes across and along, metres.
        half: (f32, f32),
    },
}

/// The land on one side of the road.
#[derive(Clone, Copy, Debug)]
pub(super) struct Side {
    /// Width of the pavement, metres; 0 = none.
    pub(super) pavement: f32,
    pub(super) verge: Verge,
}

/// The plan of the whole ground.
pub(super) struct Road {
    pub(super) curve: Curve,
    /// Half the width of the carriageway, metres; 0 = there is a footpath only.
    pub(super) half: f32,
    pub(super) lines: Vec<Line>,
    /// Near edge of a zebra crossing, metres of depth.
    pub(super) zebra: Option<f32>,
    /// Left and right.
    pub(super) sides: [Side; 2],
    pub(super) seed: u32,
}

/// Half the width of a painted line, metres.
const LINE: f32 = 0.09;
/// Length of a zebra crossing along the road, metres.
const ZEBRA: f32 = 3.4;

impl Road {
    /// Signed distance from the centre line, positive to the right.
    pub(super) fn lateral(&self, x: f32, z: f32) -> f32 {
        x - self.curve.at(z)
    }

    /// The side on which a lateral distance lies.
    pub(super) fn side(&self, lateral: f32) -> &Side {
        &self.sides[usize::from(lateral > 0.0)]
    }

    /// Share of a pixel of `width` (across, along) metres that road paint covers.
    pub(super) fn paint(&self, u: f32, z: f32, width: (f32, f32)) -> f32 {
        let mut share = 0.0f32;
        if let Some(near) = self.zebra {
            let along = band(z, near, near + ZEBRA, width.1);
            if along > 0.0 {
                share = along * pulse(u + 0.25, 0.0, 0.5, width.0);
            }
            // Lines stop before a crossing.
            if z > near - 1.5 && z < near + ZEBRA + 1.5 {
                return share;
            }
        }
        for line in &self.lines {
            let across = band(u, line.offset - LINE, line.offset + LINE, width.0);
            if across > 0.0 {
                let dash = if line.dashed {
                    pulse(z / 6.0, 0.0, 0.5, width.1 / 6.0)
                } else {
                    1.0
                };
                share = share.max(across * dash);
            }
        }
        share
    }

    /// Class of the ground at (x, z).
    pub(super) fn class_at(&self, x: f32, z: f32) -> u8 {
        let u = self.lateral(x, z);
        let side = self.side(u);
        let mut across = u.abs();
        if side.pavement == 0.0 {
            // Grass grows over an edge without a kerb.
            across += 0.18 * value(z * 0.9, u.signum() * 7.0, self.seed);
        }
        if self.half == 0.0 {
            // Grass creeps over the edge of a path, but never over its middle.
            across = (across + 0.15 * value(z * 0.9, u.signum() * 7.0, self.seed)).max(0.0);
        } else if across < self.half {
            let marked = self.paint(u, z, (0.0, 0.0)) > 0.5;
            return if marked { LANE_MARKING } else { ROAD };
        }
        let beyond = across - self.half - side.pavement;
        if beyond < 0.0 {
            return PAVEMENT;
        }
        match side.verge {
            Verge::Grass => GRASS,
            Verge::Paved => PAVEMENT,
            Verge::Water { centre, half } => {
                let (dx, dz) = ((beyond - centre.0) / half.0, (z - centre.1) / half.1);
                let shore = 1.0 + 0.10 * value(x * 0.12, z * 0.12, self.seed ^ 5);
                if dx * dx + dz * dz < shore {
                    WATER
                } else {
                    GRASS
                }
            }
        }
    }
}
