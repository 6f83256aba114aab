//! Pedestrians: upright cut-outs of rounded limbs.

use super::camera::{Bounds, Camera, Ray};
use super::light::Light;
use super::math::{Vec3, rgb, smoothstep, vec3};
use super::noise::Dice;
use super::solid::Hit;

/// A pedestrian who stands or walks at a place on the ground.
pub(super) struct Person {
    pub(super) x: f32,
    pub(super) z: f32,
    /// Body height, metres.
    pub(super) height: f32,
    /// Limbs from front to back: ends (across, up), radius; all in body heights.
    limbs: Vec<Limb>,
    colours: [Vec3; 4],
}

struct Limb {
    from: (f32, f32),
    to: (f32, f32),
    radius: (f32, f32),
    /// Index into the person's colours: skin, hair, top, trousers.
    cloth: u8,
}

impl Person {
    /// A person with a random stride, build and clothes.
    pub(super) fn draw((x, z): (f32, f32), dice: &mut Dice) -> Self {
        let stride = dice.range(-0.12, 0.12);
        let swing = -0.8 * stride + dice.range(-0.02, 0.02);
        let build = dice.range(0.9, 1.2);
        let limb = |from, to, radius: (f32, f32), cloth| Limb {
            from,
            to,
            radius: (radius.0 * build, radius.1 * build),
            cloth,
        };
        let coat = dice.chance(0.3);
        let mut limbs = vec![
            limb((0.0, 0.915), (0.0, 0.935), (0.048, 0.046), 1),
            limb((0.0, 0.885), (0.0, 0.915), (0.046, 0.050), 0),
            limb((-0.10, 0.78), (-0.12 + swing, 0.52), (0.035, 0.026), 2),
            limb((0.10, 0.78), (0.12 - swing, 0.52), (0.035, 0.026), 2),
            limb(
                (-0.12 + swing, 0.49),
                (-0.12 + swing, 0.48),
                (0.024, 0.024),
                0,
            ),
            limb(
                (0.12 - swing, 0.49),
                (0.12 - swing, 0.48),
                (0.024, 0.024),
                0,
            ),
            limb((0.0, 0.76), (0.0, 0.54), (0.095, 0.08), 2),
        ];
        if coat {
            limbs.push(limb((0.0, 0.56), (0.0, 0.36), (0.085, 0.10), 2));
        }
        limbs.push(limb(
            (-0.035, 0.5),
            (-0.045 - stride, 0.03),
            (0.055, 0.032),
            3,
        ));
        limbs.push(limb(
            (0.035, 0.5),
            (0.045 + stride, 0.03),
            (0.055, 0.032),
            3,
        ));
        Self {
            x,
            z,
            height: dice.range(1.55, 1.88),
            limbs,
            colours: [
                dice.pick([0xE8BE9C, 0xC8946A, 0x8A5A3C, 0xD8A888].map(rgb)),
                dice.pick([0x1E1814, 0x4A3424, 0x8A6A3C, 0x9A948C].map(rgb)),
                dice.pick(
                    [
                        0xB02A2A, 0x2A4A8A, 0xE8E4DC, 0x2A2A30, 0xD8A830, 0x3A7A4A, 0x8A4A7A,
                        0x8A8A90,
                    ]
                    .map(rgb),
                ),
                dice.pick([0x2A344E, 0x1C1C20, 0x6A5A48, 0x54606E, 0x8C8470].map(rgb)),
            ],
        }
    }

    /// The part of the picture that can show the person.
    pub(super) fn bounds(&self, eye: f32) -> Bounds {
        let half = 0.32 * self.height;
        Bounds::upright(
            (self.x - half, self.x + half),
            (0.0, self.height * 1.02),
            self.z,
            eye,
        )
    }

    /// Where the ray meets the person.
    pub(super) fn meet(&self, camera: &Camera, ray: Ray) -> Option<Hit> {
        let p = camera.at(ray, self.z);
        let (a, b) = ((p.x - self.x) / self.height, p.y / self.height);
        if b < 0.0 {
            return None;
        }
        for (index, limb) in self.limbs.iter().enumerate() {
            let (dx, dy) = (limb.to.0 - limb.from.0, limb.to.1 - limb.from.1);
            let (px, py) = (a - limb.from.0, b - limb.from.1);
            let t = ((px * dx + py * dy) / (dx * dx + dy * dy)).clamp(0.0, 1.0);
            let radius = limb.radius.0 + (limb.radius.1 - limb.radius.0) * t;
            let (ox, oy) = ((px - dx * t) / radius, (py - dy * t) / radius);
            let square = ox * ox + oy * oy;
            if square < 1.0 {
                let local = vec3(ox, b, -(1.0 - square).sqrt());
                return Some(Hit {
                    t: self.z,
                    part: index as u8,
                    local,
                });
            }
        }
        None
    }

    /// Light from a hit.
    pub(super) fn shade(&self, light: &Light, hit: &Hit, sunny: f32) -> Vec3 {
        let limb = &self.limbs[usize::from(hit.part)];
        let normal = vec3(hit.local.x, 0.15, hit.local.z).normalised();
        let shoe = if limb.cloth == 3 {
            smoothstep(0.05, 0.035, hit.local.y)
        } else {
            0.0
        };
        let albedo = self.colours[usize::from(limb.cloth)].mix(rgb(0x18161A), shoe);
        light.shade(albedo, normal, sunny, 0.75 + 0.25 * hit.local.y)
    }
}
