//! Trees and bushes: upright cut-outs, shaded as heaps of leafy balls or as cones.

use super::camera::{Bounds, Camera, Ray};
use super::light::{Light, Season};
use super::math::{Vec3, fract, lerp, rgb, saturate, smoothstep, vec3};
use super::noise::{Dice, fbm, hash, value};
use super::solid::Hit;

const TRUNK: u8 = 0;

/// How a plant grows.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Growth {
    Broadleaf,
    Conifer,
    Bush,
}

/// A plant that stands at a place on the ground.
pub(super) struct Tree {
    pub(super) x: f32,
    pub(super) z: f32,
    pub(super) height: f32,
    /// Half the width of the crown, metres.
    pub(super) spread: f32,
    growth: Growth,
    /// Balls of leaves: centre across, centre up, radius, forward shift; metres.
    balls: Vec<[f32; 4]>,
    leaf: Vec3,
    snow: f32,
    /// True when the leaves have fallen and the sky shows between the branches.
    bare: bool,
    seed: u32,
}

impl Tree {
    /// A plant of `height` metres in the colours of the season.
    pub(super) fn draw(
        (x, z): (f32, f32),
        height: f32,
        growth: Growth,
        season: Season,
        dice: &mut Dice,
    ) -> Self {
        let spread = match growth {
            Growth::Broadleaf => height * dice.range(0.27, 0.42),
            Growth::Conifer => height * dice.range(0.17, 0.25),
            Growth::Bush => height * dice.range(0.55, 0.9),
        };
        let mut balls = Vec::new();
        if growth != Growth::Conifer {
            // A bush reaches into the ground, so that its lower edge is hidden.
            let foot = height * if growth == Growth::Bush { -0.35 } else { 0.3 };
            let (middle, tall) = (0.5 * (foot + height), 0.5 * (height - foot));
            balls.push([0.0, middle, 0.74 * spread.min(tall), 0.0]);
            for step in 0..8 {
                let turn = (step as f32 + dice.range(-0.3, 0.3)) * std::f32::consts::FRAC_PI_4;
                let radius = spread.min(tall) * dice.range(0.34, 0.52);
                let (across, up) = (spread - radius, tall - radius);
                balls.push([
                    across * turn.cos(),
                    middle + up * turn.sin(),
                    radius,
                    dice.range(-0.2, 0.5) * spread,
                ]);
            }
        }
        let leaf = if growth == Growth::Conifer {
            dice.pick([0x2C4A30, 0x35543A, 0x26402E].map(rgb))
        } else {
            match season {
                Season::Spring => dice.pick([0x7FA83C, 0x8DB548, 0x6F9E3E, 0xE3B6C4].map(rgb)),
                Season::Summer => dice.pick([0x4F7A2C, 0x446E2A, 0x5C8634, 0x3C6030].map(rgb)),
                Season::Autumn => dice.pick([0xC8862A, 0xB85A24, 0xD0A83A, 0x8C7A34].map(rgb)),
                Season::Winter => dice.pick([0x6A5A4C, 0x5C5048, 0x74665A].map(rgb)),
            }
        };
        let winter = season == Season::Winter;
        Self {
            x,
            z,
            height,
            spread,
            growth,
            balls,
            leaf: leaf * dice.range(0.85, 1.15),
            snow: if winter { dice.range(0.2, 0.8) } else { 0.0 },
            bare: winter && growth == Growth::Broadleaf,
            seed: dice.bits(),
        }
    }

    /// The part of the picture that can show the plant.
    pub(super) fn bounds(&self, eye: f32) -> Bounds {
        let half = 1.15 * self.spread + 0.3;
        let across = (self.x - half, self.x + half);
        Bounds::upright(across, (0.0, self.height + 0.4), self.z, eye)
    }

    /// Where the ray meets the plant.
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
        if b < 0.0 {
            return None;
        }
        if self.crown(a, b).is_some() {
            return hit(TRUNK + 1);
        }
        let girth = 0.02 * self.height + 0.05;
        let trunk = self.growth != Growth::Bush && b < 0.6 * self.height;
        if trunk && a.abs() < girth * (1.2 - 0.6 * b / self.height) {
            hit(TRUNK)
        } else {
            None
        }
    }

    /// Outward direction of the crown's surface at (across, up), if the crown is there.
    fn crown(&self, a: f32, b: f32) -> Option<Vec3> {
        let rough = 0.10 * self.spread.min(2.0) + 0.05;
        if a.abs() > self.spread + rough || b > self.height + rough {
            return None;
        }
        let wobble = value(a * 1.9, b * 1.9, self.seed);
        if self.growth == Growth::Conifer {
            let foot = 0.08 * self.height;
            let up = (b - foot) / (self.height - foot);
            if !(0.0..1.0).contains(&up) {
                return None;
            }
            let tier = fract(up * 7.0);
            let half = self.spread * (1.0 - up) * (1.12 - 0.3 * tier) + rough * wobble;
            let across = a / half.max(1e-3);
            let bulge = 1.0 - across * across;
            return (half > 0.0 && bulge > 0.0)
                .then(|| vec3(across, 0.35 - 0.5 * tier, -bulge.sqrt()).normalised());
        }
        let (wa, wb) = (
            a + rough * wobble,
            b + rough * value(b * 2.1, a * 2.1, self.seed ^ 7),
        );
        let mut best: Option<(f32, Vec3)> = None;
        for &[across, up, radius, forward] in &self.balls {
            let (da, db) = ((wa - across) / radius, (wb - up) / radius);
            let inside = 1.0 - da * da - db * db;
            if inside > 0.0 {
                let out = inside.sqrt();
                let front = out * radius + forward;
                if best.is_none_or(|(other, _)| front > other) {
                    best = Some((front, vec3(da, db, -out)));
                }
            }
        }
        best.map(|(_, normal)| normal)
    }

    /// Whether nothing shows through the crown.
    pub(super) fn opaque(&self) -> bool {
        !self.bare
    }

    /// Share of the pixel that the plant hides: below 1 between bare branches.
    pub(super) fn coverage(&self, hit: &Hit, pixel: f32) -> f32 {
        if !self.bare || hit.part == TRUNK {
            return 1.0;
        }
        let (a, b) = (hit.local.x, hit.local.y);
        // Twigs fan out from the trunk, so their lattice is stretched along the way outwards.
        let fan = a / (0.5 + 0.35 * b);
        let twig = |scale: f32, seed: u32| {
            let ridge = value(fan * 3.0 * scale, b * 0.5 * scale - a.abs() * 0.3, seed).abs();
            smoothstep(0.16, 0.05, ridge)
        };
        let sharp = twig(1.0, self.seed)
            .max(twig(2.3, self.seed ^ 21))
            .max(twig(4.6, self.seed ^ 5));
        let height = b / self.height;
        lerp(sharp, 0.42, smoothstep(0.03, 0.25, pixel)) * lerp(1.0, 0.7, height)
    }

    /// Light from a hit; `pixel` is the pixel's width at the hit in metres.
    pub(super) fn shade(&self, light: &Light, hit: &Hit, pixel: f32, sunny: f32) -> Vec3 {
        let (a, b) = (hit.local.x, hit.local.y);
        let bark = rgb(0x5A4A3C) * (1.0 + 0.5 * fbm(a * 9.0, b * 2.0, pixel * 9.0, self.seed, 2));
        if hit.part == TRUNK || self.bare {
            let round = vec3(saturate(a * 6.0 + 0.5) * 1.6 - 0.8, 0.1, -0.6).normalised();
            let bark = bark.mix(
                rgb(0xF0F4FA),
                if self.bare { 0.35 * self.snow } else { 0.0 },
            );
            return light.shade(bark, round, 0.7 * sunny, 0.7);
        }
        let normal = self.crown(a, b).unwrap_or(vec3(0.0, 1.0, 0.0));
        let clump = fbm(a * 2.4, b * 2.4, pixel * 2.4, self.seed ^ 3, 4);
        let speck = hash((a * 14.0) as i32, (b * 14.0) as i32, self.seed) - 0.5;
        let speck = speck * smoothstep(0.09, 0.03, pixel);
        let tone = 1.0 + 0.75 * clump + 0.5 * speck;
        let up = b / self.height;
        let snow = self.snow * smoothstep(-0.1, 0.5, normal.y + 0.6 * clump);
        let leaf = (self.leaf * tone.max(0.15)).mix(rgb(0xF2F6FC), snow);
        let open = lerp(0.45, 1.0, saturate(up + 0.4 * normal.y)) * (1.0 + 0.3 * clump);
        // Leaves let light through: a crown against the sun glows at its rim.
        let through = 0.25 * (1.0 + normal.z) * light.sun.z.max(0.0) * sunny;
        light.shade(leaf, normal, sunny * open, open)
            + leaf * light.sunlight * vec3(through, through, 0.4 * through)
    }
}
