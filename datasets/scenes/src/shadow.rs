//! Shadows: soft ellipses under objects and the long shadow of a row of buildings.

use super::light::Light;
use super::math::{Vec3, smoothstep};
use super::road::Road;

/// A soft elliptic shadow on the ground.
pub(super) struct Blob {
    x: f32,
    z: f32,
    /// Unit direction of the long axis.
    axis: (f32, f32),
    /// Half axes, metres.
    half: (f32, f32),
    /// Sunlight and skylight taken away at the centre, 0..1.
    sun: f32,
    sky: f32,
    /// Relative distance at which the shadow starts to fade: 0 = a soft patch, 1 = a sharp edge.
    core: f32,
}

impl Blob {
    /// The dark patch where an object of half axes `half` meets the ground.
    pub(super) fn contact((x, z): (f32, f32), axis: (f32, f32), half: (f32, f32)) -> Self {
        Self {
            x,
            z,
            axis,
            half,
            sun: 0.75,
            sky: 0.75,
            core: 0.55,
        }
    }

    /// The shadow that a thing `width` wide throws from `low` to `high` metres above the ground.
    pub(super) fn cast(
        (x, z): (f32, f32),
        width: f32,
        (low, high): (f32, f32),
        light: &Light,
    ) -> Self {
        let flat = (light.sun.x * light.sun.x + light.sun.z * light.sun.z).sqrt();
        let axis = (-light.sun.x / flat, -light.sun.z / flat);
        let per_metre = (flat / light.sun.y).min(6.0);
        let middle = 0.5 * (low + high) * per_metre;
        let along = 0.5 * (high - low) * per_metre + 0.5 * width;
        Self {
            x: x + axis.0 * middle,
            z: z + axis.1 * middle,
            axis,
            half: (along, 0.5 * width),
            sun: 0.85,
            sky: 0.12,
            core: 0.7,
        }
    }

    /// First and last depth that the shadow reaches.
    pub(super) fn depths(&self) -> (f32, f32) {
        let reach = self.half.0 * self.axis.1.abs() + self.half.1 * self.axis.0.abs();
        (self.z - reach, self.z + reach)
    }

    /// Shares of (sunlight, skylight) left at a place on the ground.
    pub(super) fn left(&self, x: f32, z: f32) -> (f32, f32) {
        let (dx, dz) = (x - self.x, z - self.z);
        let along = (dx * self.axis.0 + dz * self.axis.1) / self.half.0;
        let across = (dz * self.axis.0 - dx * self.axis.1) / self.half.1;
        let square = along * along + across * across;
        if square >= 1.0 {
            return (1.0, 1.0);
        }
        let dark = smoothstep(1.0, self.core, square.sqrt());
        (1.0 - self.sun * dark, 1.0 - self.sky * dark)
    }
}

/// Depth of the first entry of a skyline, metres; one entry per metre.
const FIRST: f32 = -40.0;

/// The heights of the buildings along one side of the road, as the sun sees them.
pub(super) struct Skyline {
    /// Distance of the facades from the road's centre, metres.
    front: f32,
    heights: Vec<f32>,
}

impl Skyline {
    /// A side whose facades stand `front` metres from the road's centre, without a building yet.
    pub(super) fn new(front: f32) -> Self {
        Self {
            front,
            heights: vec![0.0; 200],
        }
    }

    /// Adds a building of `height` between two depths.
    pub(super) fn add(&mut self, from: f32, to: f32, height: f32) {
        for (index, entry) in self.heights.iter_mut().enumerate() {
            let z = index as f32 + FIRST;
            if z >= from && z <= to {
                *entry = entry.max(height);
            }
        }
    }

    /// Visibility of the sun, 0..1, from a point on the road's side of this skyline.
    ///
    /// `side` is -1 for the left side and 1 for the right.
    pub(super) fn sunny(&self, road: &Road, light: &Light, p: Vec3, side: f32) -> f32 {
        let towards = light.sun.x * side;
        let gap = self.front - side * road.lateral(p.x, p.z);
        if towards < 0.05 || gap <= 0.3 {
            return 1.0;
        }
        let way = gap / towards;
        let (z, y) = (p.z + light.sun.z * way - FIRST, p.y + light.sun.y * way);
        if z < 0.0 || y > 40.0 {
            return 1.0;
        }
        let height = self.heights.get(z as usize).copied().unwrap_or(0.0);
        // The penumbra widens with the distance that the light has travelled.
        let soft = 0.15 + 0.02 * way;
        smoothstep(height - soft, height + soft, y).max(f32::from(height == 0.0))
    }
}
