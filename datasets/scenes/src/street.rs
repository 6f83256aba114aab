//! Street furniture: lamp posts, traffic signs and litter bins.

use super::camera::{Bounds, Camera, Ray};
use super::light::Light;
use super::math::{Vec3, rgb, vec3};
use super::noise::Dice;
use super::solid::{Frame, Hit, Solid};

/// A post, with or without a street lamp on an arm.
pub(super) struct Pole {
    pub(super) x: f32,
    pub(super) z: f32,
    pub(super) height: f32,
    /// Half the thickness, metres.
    pub(super) half: f32,
    /// Reach of the lamp's arm to the right (negative: left), metres; 0 = no lamp.
    pub(super) arm: f32,
    pub(super) paint: Vec3,
}

impl Pole {
    /// The part of the picture that can show the pole.
    pub(super) fn bounds(&self, eye: f32) -> Bounds {
        let (low, high) = (self.arm.min(0.0) - 0.3, self.arm.max(0.0) + 0.3);
        Bounds::upright(
            (self.x + low, self.x + high),
            (0.0, self.height + 0.2),
            self.z,
            eye,
        )
    }

    /// Where the ray meets the pole: part 0 is the post, part 1 the lamp.
    pub(super) fn meet(&self, camera: &Camera, ray: Ray) -> Option<Hit> {
        let p = camera.at(ray, self.z);
        let (a, b) = (p.x - self.x, p.y);
        let hit = |part| {
            Some(Hit {
                t: self.z,
                part,
                local: vec3(a, b, 0.0),
            })
        };
        let thick = self.half * if b < 0.6 { 1.5 } else { 1.0 };
        if a.abs() < thick && (0.0..self.height).contains(&b) {
            return hit(0);
        }
        if self.arm != 0.0 {
            let along = a / self.arm;
            if (0.0..1.0).contains(&along) && (b - self.height + 0.1).abs() < 0.08 {
                return hit(0);
            }
            if (a - self.arm).abs() < 0.28 && (b - self.height + 0.05).abs() < 0.11 {
                return hit(1);
            }
        }
        None
    }

    /// Light from a hit.
    pub(super) fn shade(&self, light: &Light, hit: &Hit, sunny: f32) -> Vec3 {
        let across = (hit.local.x / (1.6 * self.half)).clamp(-0.9, 0.9);
        let round = vec3(across, 0.1, -(1.0 - across * across).sqrt()).normalised();
        let glow = if hit.part == 1 { light.dusk * 2.0 } else { 0.0 };
        light.shade(self.paint, round, sunny, 0.9) + rgb(0xFFD890) * glow
    }
}

/// Outline of a traffic sign.
#[derive(Clone, Copy, PartialEq)]
enum Plate {
    Disc,
    Triangle,
    Diamond,
    Board,
}

/// A traffic sign that faces the camera.
pub(super) struct Sign {
    x: f32,
    z: f32,
    /// Height of the centre, metres.
    pub(super) centre: f32,
    radius: f32,
    plate: Plate,
    rim: Vec3,
    field: Vec3,
    mark: Vec3,
    /// 0 = bar across, 1 = bar upright, 2 = dot.
    symbol: u32,
}

impl Sign {
    /// One of the common kinds of sign, its centre above a place on the ground.
    pub(super) fn draw((x, z): (f32, f32), dice: &mut Dice) -> Self {
        let (plate, rim, field, mark) = dice.pick([
            (Plate::Disc, 0xC01C24, 0xF0F0EC, 0x1C1C1E),
            (Plate::Disc, 0xE8E8E8, 0x1E50A0, 0xF0F0F0),
            (Plate::Disc, 0xC01C24, 0xC01C24, 0xF4F4F4),
            (Plate::Triangle, 0xC01C24, 0xF2F0E4, 0x1C1C1E),
            (Plate::Diamond, 0x1C1C1E, 0xE8B820, 0x1C1C1E),
            (Plate::Board, 0xF0F0F0, 0x1E50A0, 0xF0F0F0),
            (Plate::Board, 0xF0F0F0, 0x1F7A4A, 0xF0F0F0),
        ]);
        let board = plate == Plate::Board;
        Self {
            x,
            z,
            centre: dice.range(2.1, 2.7),
            radius: if board {
                dice.range(0.5, 0.9)
            } else {
                dice.range(0.40, 0.52)
            },
            plate,
            rim: rgb(rim),
            field: rgb(field),
            mark: rgb(mark),
            symbol: dice.bits() % 3,
        }
    }

    /// The part of the picture that can show the sign.
    pub(super) fn bounds(&self, eye: f32) -> Bounds {
        let r = 1.2 * self.radius;
        let up = (self.centre - r, self.centre + r);
        Bounds::upright((self.x - r, self.x + r), up, self.z, eye)
    }

    /// Where the ray meets the plate; the hit's `local.z` is 0 at the centre and 1 at the rim.
    pub(super) fn meet(&self, camera: &Camera, ray: Ray) -> Option<Hit> {
        let p = camera.at(ray, self.z);
        let (a, b) = (
            (p.x - self.x) / self.radius,
            (p.y - self.centre) / self.radius,
        );
        let reach = match self.plate {
            Plate::Disc => (a * a + b * b).sqrt(),
            Plate::Triangle => (0.866 * a.abs() + 0.5 * b).max(-b) / 0.58,
            Plate::Diamond => a.abs() + b.abs(),
            Plate::Board => a.abs().max(b.abs() * 1.5),
        };
        (reach < 1.0).then_some(Hit {
            t: self.z,
            part: 0,
            local: vec3(a, b, reach),
        })
    }

    /// Light from a hit.
    pub(super) fn shade(&self, light: &Light, hit: &Hit, sunny: f32) -> Vec3 {
        let Vec3 {
            x: a,
            y: b,
            z: reach,
        } = hit.local;
        let marked = match self.symbol {
            0 => a.abs() < 0.5 && b.abs() < 0.13,
            1 => a.abs() < 0.11 && b.abs() < 0.4,
            _ => a * a + b * b < 0.1,
        };
        let rim = if self.plate == Plate::Board {
            0.93
        } else {
            0.76
        };
        let albedo = if reach > rim {
            self.rim
        } else if marked {
            self.mark
        } else {
            self.field
        };
        // Plates are retro-reflective: they look brighter than the matt surfaces around them.
        light.shade(albedo, vec3(0.0, 0.1, -1.0), sunny, 1.25)
    }
}

/// A litter bin. No class covers it: it is void in the label map.
pub(super) struct Bin {
    frame: Frame,
    solid: Solid,
    paint: Vec3,
}

impl Bin {
    /// A wheeled bin on a place on the ground.
    pub(super) fn draw(frame: Frame, dice: &mut Dice) -> Self {
        let solid = Solid::cuboid(vec3(-0.4, 0.0, -0.4), vec3(0.4, 1.25, 0.4))
            .cut(vec3(0.0, 1.2, 0.2), vec3(0.0, 1.0, 0.35))
            .cut(vec3(0.4, 1.1, 0.0), vec3(1.0, -0.12, 0.0))
            .cut(vec3(-0.4, 1.1, 0.0), vec3(-1.0, -0.12, 0.0));
        let paint = dice.pick([0x2E5A3A, 0x3A3E44, 0x2A4A7A, 0x8A6A2A].map(rgb));
        Self {
            frame,
            solid,
            paint,
        }
    }

    /// The part of the picture that can show the bin.
    pub(super) fn bounds(&self, eye: f32) -> Option<Bounds> {
        self.frame.bounds((0.4, 0.4), 1.25, eye)
    }

    /// Where the ray meets the bin.
    pub(super) fn meet(&self, camera: &Camera, ray: Ray) -> Option<Hit> {
        let (origin, direction) = self.frame.ray_in(camera, ray);
        let (t, part) = self.solid.meet(origin, direction)?;
        Some(Hit {
            t,
            part,
            local: origin + direction * t,
        })
    }

    /// Light from a hit.
    pub(super) fn shade(&self, light: &Light, hit: &Hit, sunny: f32) -> Vec3 {
        let normal = self.frame.turn_out(self.solid.normal(hit.part));
        let lid = if hit.local.y > 1.08 { 0.6 } else { 1.0 };
        light.shade(self.paint * lid, normal, sunny, 0.6 + 0.3 * hit.local.y)
    }
}
