//! Cars: convex bodies with glass, lamps and wheels.

use super::camera::{Bounds, Camera, Ray};
use super::light::Light;
use super::math::{Vec3, lerp, rgb, saturate, smoothstep, vec3};
use super::noise::Dice;
use super::solid::{Frame, Hit, Solid};

/// A car. Its own z axis points to its front.
pub(super) struct Car {
    pub(super) frame: Frame,
    axles: [Solid; 2],
    body: Solid,
    cabin: Solid,
    paint: Vec3,
    half_length: f32,
    roof: f32,
}

/// Half the width of every car, metres.
const HALF_WIDTH: f32 = 0.9;
/// Radius of a wheel, metres.
const WHEEL: f32 = 0.33;
/// Height of the lower edge of the windows, metres.
const BELT: f32 = 0.92;
/// First number of the cabin's faces; those of the body start at 0.
const CABIN: u8 = 32;
/// First number of the axles' faces.
const AXLE: u8 = 64;

impl Car {
    /// A hatchback, saloon, estate or van in a common colour.
    pub(super) fn draw(frame: Frame, dice: &mut Dice) -> Self {
        // Roof height, length, cabin from rear to front at the belt, then at the roof (shares).
        let (roof, length, belt, top) = dice.pick([
            (1.48, 3.9, (-0.97, 0.42), (-0.78, 0.10)),
            (1.44, 4.6, (-0.72, 0.42), (-0.42, 0.10)),
            (1.50, 4.6, (-0.97, 0.42), (-0.88, 0.10)),
            (1.72, 4.5, (-0.97, 0.48), (-0.86, 0.18)),
            (2.10, 5.0, (-0.99, 0.72), (-0.97, 0.46)),
        ]);
        let half = 0.5 * length * dice.range(0.95, 1.05);
        let w = HALF_WIDTH;
        let slope = |share: f32, top_share: f32| (roof - BELT, (share - top_share) * half);
        let (rise, front) = slope(belt.1, top.1);
        let (_, rear) = slope(belt.0, top.0);
        let cabin = Solid::cuboid(vec3(-w, BELT - 0.1, -half), vec3(w, roof, half))
            .cut(vec3(0.0, BELT, belt.1 * half), vec3(0.0, front, rise))
            .cut(vec3(0.0, BELT, belt.0 * half), vec3(0.0, -rear, -rise))
            .cut(vec3(w, BELT, 0.0), vec3(1.0, 0.28, 0.0))
            .cut(vec3(-w, BELT, 0.0), vec3(-1.0, 0.28, 0.0));
        let body = Solid::cuboid(vec3(-w, 0.27, -half), vec3(w, BELT, half))
            .cut(vec3(0.0, BELT - 0.02, belt.1 * half), vec3(0.0, 1.0, 0.16))
            .cut(vec3(0.0, 0.6, half), vec3(0.0, 0.35, 1.0))
            .cut(vec3(0.0, 0.5, half), vec3(0.0, -0.4, 1.0))
            .cut(vec3(0.0, 0.5, -half), vec3(0.0, -0.4, -1.0));
        let axle = |z: f32| {
            Solid::cuboid(
                vec3(0.02 - w, 0.0, z - WHEEL),
                vec3(w - 0.02, 2.0 * WHEEL, z + WHEEL),
            )
        };
        Self {
            frame,
            axles: [axle(-0.6 * half), axle(0.62 * half)],
            body,
            cabin,
            paint: dice.pick(
                [
                    0xE6E6E4, 0xB9BDC1, 0x2A2C30, 0x6A6F75, 0xA01E22, 0x1F3F7A, 0x3D5A4A, 0xC8B48C,
                    0xD06A20, 0x4A86B8,
                ]
                .map(rgb),
            ),
            half_length: half,
            roof,
        }
    }

    /// Half the length, metres.
    pub(super) fn half_length(&self) -> f32 {
        self.half_length
    }

    /// The part of the picture that can show the car.
    pub(super) fn bounds(&self, eye: f32) -> Option<Bounds> {
        self.frame
            .bounds((HALF_WIDTH, self.half_length), self.roof, eye)
    }

    /// Where the ray meets the car.
    pub(super) fn meet(&self, camera: &Camera, ray: Ray) -> Option<Hit> {
        let (origin, direction) = self.frame.ray_in(camera, ray);
        let mut best: Option<Hit> = None;
        let mut offer = |t: f32, part: u8| {
            if best.as_ref().is_none_or(|hit| t < hit.t) {
                best = Some(Hit {
                    t,
                    part,
                    local: origin + direction * t,
                });
            }
        };
        if let Some((t, part)) = self.body.meet(origin, direction) {
            offer(t, part);
        }
        if let Some((t, part)) = self.cabin.meet(origin, direction) {
            offer(t, CABIN + part);
        }
        for axle in &self.axles {
            if let Some((t, part)) = axle.meet(origin, direction) {
                let p = origin + direction * t;
                let round = self.wheel(p) < 1.0;
                if part > 1 && p.y < WHEEL || round {
                    offer(t, AXLE + part);
                }
            }
        }
        best
    }

    /// Distance from the nearer wheel's hub, in wheel radii.
    fn wheel(&self, p: Vec3) -> f32 {
        let hub = if p.z < 0.0 {
            -0.6 * self.half_length
        } else {
            0.62 * self.half_length
        };
        let (dy, dz) = (p.y - WHEEL, p.z - hub);
        (dy * dy + dz * dz).sqrt() / WHEEL
    }

    /// Light from a hit; `pixel` is the pixel's width at the hit in metres.
    pub(super) fn shade(&self, light: &Light, ray: Ray, hit: &Hit, pixel: f32, sunny: f32) -> Vec3 {
        let p = hit.local;
        let edge = |distance: f32| smoothstep(-0.5 * pixel, 0.5 * pixel, distance);
        if hit.part >= AXLE {
            let side = hit.part < AXLE + 2;
            let between = if side {
                1.0
            } else {
                edge(p.x.abs() - (HALF_WIDTH - 0.24))
            };
            let rubber = rgb(0x0A0A0B).mix(rgb(0x2C2C2E), between);
            let hub = if side {
                edge((0.6 - self.wheel(p)) * WHEEL)
            } else {
                0.0
            };
            let tyre = rubber.mix(rgb(0x9A9DA0), hub);
            return light.shade(tyre, vec3(0.0, 0.4, -0.9), 0.4 * sunny, 0.7);
        }
        let cabin = hit.part >= CABIN;
        let own = if cabin {
            self.cabin.normal(hit.part - CABIN)
        } else {
            self.body.normal(hit.part)
        };
        let side = own.x.abs() > 0.7;
        let normal = self.frame.turn_out(own);
        let view = ray.direction() * (1.0 / ray.length());
        let bounce = view - normal * (2.0 * view.dot(normal));
        let mirror = if bounce.y > 0.0 {
            light.sky(bounce.y)
        } else {
            light.skylight * 0.10
        };
        let grazing = 1.0 - saturate(-view.dot(normal));
        let glint = {
            let d = bounce.dot(light.sun).max(0.0);
            let d = d * d * d * d;
            light.sunlight * (d * d * d * d * sunny * 1.5)
        };
        let paint = light.shade(self.paint, normal, sunny, lerp(0.6, 1.0, saturate(p.y)))
            + mirror * (0.06 + 0.35 * grazing * grazing * grazing)
            + glint * 0.5;
        if cabin {
            let rim = edge(p.y - BELT - 0.03) * edge(self.roof - 0.09 - p.y);
            let posts = if side {
                let middle = edge((p.z + 0.08 * self.half_length).abs() - 0.05);
                middle * edge(self.half_length * 0.97 - p.z.abs())
            } else {
                edge(HALF_WIDTH - 0.12 - 0.28 * (p.y - BELT) - p.x.abs())
            };
            let glass = if own.y > 0.93 { 0.0 } else { rim * posts };
            let pane = light.shade(rgb(0x15191D), normal, 0.3 * sunny, 1.0)
                + mirror * (0.18 + 0.5 * grazing * grazing)
                + glint;
            return paint.mix(pane, glass);
        }
        let mut colour = paint;
        if own.z.abs() > 0.8 {
            let lamp = edge(0.07 - (p.y - 0.68).abs()) * edge(0.17 - (p.x.abs() - 0.68).abs());
            let lens = if own.z > 0.0 {
                light.skylight * 0.8 + rgb(0xFFF0D0) * (0.4 + 2.0 * light.dusk)
            } else {
                light.shade(rgb(0xB01818), normal, sunny, 1.0)
                    + rgb(0xFF2010) * (0.12 + 0.6 * light.dusk)
            };
            let plate = edge(0.06 - (p.y - 0.5).abs()) * edge(0.26 - p.x.abs());
            let bumper = edge(0.42 - p.y);
            let grille = if own.z > 0.0 {
                edge(0.05 - (p.y - 0.66).abs()) * edge(0.4 - p.x.abs())
            } else {
                0.0
            };
            let dark = light.shade(rgb(0x2A2A2C), normal, sunny, 0.7);
            colour = colour.mix(dark, (0.75 * bumper).max(grille));
            colour = colour.mix(light.shade(rgb(0xE8E4C8), normal, sunny, 1.0), plate);
            colour = colour.mix(lens, lamp);
        } else if side {
            let arch = self.wheel(p);
            colour = colour.mix(
                light.shade(rgb(0x111112), normal, 0.2, 0.5),
                edge((1.16 - arch) * WHEEL),
            );
            let door =
                edge(0.012 - (p.z + 0.08 * self.half_length).abs()) * smoothstep(0.08, 0.02, pixel);
            colour = colour * (1.0 - 0.5 * door) * lerp(0.7, 1.0, edge(p.y - 0.34));
        }
        colour
    }
}
