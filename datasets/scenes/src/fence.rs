//! Fences, which follow the curve of the road.

use super::camera::{Camera, Ray};
use super::light::Light;
use super::math::{Vec3, band, floor, pulse, saturate, vec3};
use super::noise::{fbm, hash};
use super::road::Curve;
use super::solid::Hit;

/// How a fence is built.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Build {
    Picket,
    Railing,
    Panel,
}

/// A fence that follows the road at a fixed distance from its centre.
pub(super) struct Fence {
    pub(super) curve: Curve,
    /// Distance from the road's centre, positive to the right, metres.
    pub(super) offset: f32,
    /// First and last depth, metres.
    pub(super) reach: (f32, f32),
    pub(super) height: f32,
    pub(super) build: Build,
    pub(super) paint: Vec3,
    pub(super) seed: u32,
}

impl Fence {
    /// Where the ray meets the fence; `local` is (depth, height, 0).
    pub(super) fn meet(&self, camera: &Camera, ray: Ray) -> Option<Hit> {
        let [a0, a1, a2] = self.curve.0;
        let (b, c) = (a1 - ray.x, a0 + self.offset);
        let mut roots = [f32::NAN; 2];
        if a2.abs() < 1e-5 {
            roots[0] = -c / b;
        } else {
            let root = (b * b - 4.0 * a2 * c).sqrt();
            roots = [(-b - root) / (2.0 * a2), (-b + root) / (2.0 * a2)];
            if roots[0] > roots[1] {
                roots.swap(0, 1);
            }
        }
        // A ray past the curve has no root: its NaN fails the comparison below.
        roots.into_iter().find_map(|t| {
            let y = camera.eye + ray.y * t;
            let met = t >= self.reach.0 && t <= self.reach.1 && y >= 0.0 && y <= self.height;
            met.then_some(Hit {
                t,
                part: 0,
                local: vec3(t, y, 0.0),
            })
        })
    }

    fn normal(&self, t: f32) -> Vec3 {
        let towards_road = if self.offset > 0.0 { -1.0 } else { 1.0 };
        vec3(1.0, 0.0, -self.curve.slope(t)).normalised() * towards_road
    }

    fn width(&self, ray: Ray, hit: &Hit, pixel: f32) -> f32 {
        let slant = self.normal(hit.t).dot(ray.direction()).abs() / ray.length();
        pixel / slant.max(0.05)
    }

    /// Share of the pixel that the fence hides: below 1 where one sees between its slats.
    pub(super) fn coverage(&self, ray: Ray, hit: &Hit, pixel: f32) -> f32 {
        let (s, y, w) = (hit.local.x, hit.local.y, self.width(ray, hit, pixel));
        let up = y / self.height;
        let rail = |at: f32, half: f32| band(y, at - half, at + half, pixel);
        match self.build {
            Build::Panel => 1.0,
            Build::Picket => {
                let slats = pulse(s * 6.0, 0.0, 0.62, w * 6.0);
                slats
                    .max(rail(0.3 * self.height, 0.05))
                    .max(rail(0.75 * self.height, 0.05))
            }
            Build::Railing => {
                let bars = pulse(s * 5.0, 0.0, 0.2, w * 5.0) * f32::from(up > 0.08);
                let posts = pulse(s / 2.4, 0.0, 0.035, w / 2.4);
                let rails = rail(self.height - 0.05, 0.05).max(rail(0.12, 0.03));
                bars.max(posts).max(rails)
            }
        }
    }

    /// Light from a hit.
    pub(super) fn shade(&self, light: &Light, ray: Ray, hit: &Hit, pixel: f32, sunny: f32) -> Vec3 {
        let (s, y, w) = (hit.local.x, hit.local.y, self.width(ray, hit, pixel));
        let mut albedo = self.paint;
        if self.build == Build::Panel {
            let board = hash(floor(s * 5.0) as i32, 0, self.seed) - 0.5;
            let joint = pulse(s * 5.0, 0.0, 0.1, w * 5.0);
            albedo = albedo * (1.0 + 0.35 * board * saturate(1.5 - w * 5.0) - 0.5 * joint);
        }
        let weather = fbm(s * 0.7, y * 2.0, w * 0.7, self.seed, 3);
        let normal = self.normal(hit.t)
            * if self.normal(hit.t).dot(ray.direction()) > 0.0 {
                -1.0
            } else {
                1.0
            };
        light.shade(
            albedo * (1.0 + 0.3 * weather),
            normal,
            sunny,
            0.6 + 0.4 * y / self.height,
        )
    }
}
