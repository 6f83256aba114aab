//! Buildings: a block with a flat or pitched roof, windows, shops, brick and plaster.

use super::camera::{Bounds, Camera, Ray};
use super::light::Light;
use super::math::{Vec3, band, floor, fract, lerp, pulse, rgb, saturate, smoothstep, vec3};
use super::noise::{Dice, fbm, hash};
use super::solid::{Frame, Hit, Solid};

/// How a facade is made.
#[derive(Clone, Copy, PartialEq)]
enum Wall {
    Plaster,
    Brick,
    Curtain,
}

/// A building. Its own x axis runs along the street.
pub(super) struct Building {
    pub(super) frame: Frame,
    solid: Solid,
    half: (f32, f32),
    height: f32,
    eaves: f32,
    wall: Wall,
    paint: Vec3,
    trim: Vec3,
    roof: Vec3,
    storey: f32,
    bay: f32,
    window: (f32, f32),
    awning: Option<Vec3>,
    seed: u32,
}

impl Building {
    /// A town house or office block of the given length along the street, depth and height.
    pub(super) fn block(frame: Frame, half: (f32, f32), height: f32, dice: &mut Dice) -> Self {
        let wall = if height > 17.0 && dice.chance(0.5) {
            Wall::Curtain
        } else if dice.chance(0.4) {
            Wall::Brick
        } else {
            Wall::Plaster
        };
        let mut building = Self::draw(frame, half, height, height, wall, dice);
        if dice.chance(0.65) {
            building.awning = Some(
                dice.pick([0xA33B32, 0x2F6B4F, 0x2D4C86, 0xC79B3B, 0x6B2F4A, 0x3A3A3A].map(rgb)),
            );
        }
        building
    }

    /// A detached house with a pitched roof; `eaves` is the height of its walls.
    pub(super) fn house(frame: Frame, half: (f32, f32), eaves: f32, dice: &mut Dice) -> Self {
        let wall = if dice.chance(0.35) {
            Wall::Brick
        } else {
            Wall::Plaster
        };
        let rise = half.1 * dice.range(0.55, 0.95);
        let mut building = Self::draw(frame, half, eaves + rise, eaves, wall, dice);
        let along_street = dice.chance(0.6);
        for side in [-1.0, 1.0] {
            let (edge, outward) = if along_street {
                (
                    vec3(0.0, eaves, side * half.1),
                    vec3(0.0, half.1, side * rise),
                )
            } else {
                (
                    vec3(side * half.0, eaves, 0.0),
                    vec3(side * rise, half.0, 0.0),
                )
            };
            building.solid = building.solid.cut(edge, outward);
        }
        building
    }

    fn draw(
        frame: Frame,
        half: (f32, f32),
        height: f32,
        eaves: f32,
        wall: Wall,
        dice: &mut Dice,
    ) -> Self {
        let paint = match wall {
            Wall::Brick => dice.pick([0x9A5B45, 0x84493A, 0xA8745A, 0x7A4A44, 0xB28A6A].map(rgb)),
            Wall::Curtain => dice.pick([0x8A99A6, 0x6F7F8C, 0x9AA09C, 0x5C6B7A].map(rgb)),
            Wall::Plaster => dice.pick(
                [
                    0xD9CBB0, 0xCDB898, 0xE3DDD0, 0xC9A98C, 0xB9C2C0, 0xD8B48A, 0xBFA7A0, 0xC7C0A0,
                ]
                .map(rgb),
            ),
        };
        Self {
            frame,
            solid: Solid::cuboid(vec3(-half.0, 0.0, -half.1), vec3(half.0, height, half.1)),
            half,
            height,
            eaves,
            wall,
            paint: paint * dice.range(0.75, 1.1),
            trim: dice.pick([0xE8E4DA, 0xD0C8BC, 0x8A8378, 0x5A5148].map(rgb)),
            roof: dice.pick([0x8C4A3A, 0x6A4438, 0x5A5C62, 0x48484C, 0xA0583C].map(rgb)),
            storey: dice.range(2.8, 3.5),
            bay: dice.range(1.9, 3.2),
            window: (dice.range(0.38, 0.6), dice.range(0.45, 0.62)),
            awning: None,
            seed: dice.bits(),
        }
    }

    /// The part of the picture that can show the building.
    pub(super) fn bounds(&self, eye: f32) -> Option<Bounds> {
        self.frame.bounds(self.half, self.height, eye)
    }

    /// Where the ray meets the building.
    pub(super) fn meet(&self, camera: &Camera, ray: Ray) -> Option<Hit> {
        let (origin, direction) = self.frame.ray_in(camera, ray);
        let (t, part) = self.solid.meet(origin, direction)?;
        Some(Hit {
            t,
            part,
            local: origin + direction * t,
        })
    }

    /// World normal at a hit.
    pub(super) fn normal(&self, hit: &Hit) -> Vec3 {
        self.frame.turn_out(self.solid.normal(hit.part))
    }

    /// Light from a hit; `pixel` is the pixel's width at the hit in metres.
    pub(super) fn shade(&self, light: &Light, ray: Ray, hit: &Hit, pixel: f32, sunny: f32) -> Vec3 {
        let normal = self.normal(hit);
        if hit.part == 3 || hit.part >= 6 {
            let course = hit.local.y * 3.4;
            let tiles = pulse(course, 0.0, 0.22, pixel * 3.4 * 1.4);
            let stain = fbm(hit.local.x, hit.local.z, pixel, self.seed, 4);
            let albedo = self.roof * (0.95 - 0.35 * tiles + 0.35 * stain);
            return light.shade(albedo, normal, sunny, 1.0);
        }
        let front = hit.part >= 4;
        let along = if front {
            hit.local.x + self.half.0
        } else {
            hit.local.z + self.half.1
        };
        let slant = (normal.dot(ray.direction()).abs() / ray.length()).max(0.08);
        let wide = pixel / slant;
        self.facade(
            light,
            normal,
            (along, hit.local.y),
            (wide, pixel),
            front,
            sunny,
        )
    }

    fn facade(
        &self,
        light: &Light,
        normal: Vec3,
        (s, y): (f32, f32),
        (ws, wy): (f32, f32),
        front: bool,
        sunny: f32,
    ) -> Vec3 {
        let length = 2.0 * if front { self.half.0 } else { self.half.1 };
        let bays = floor(length / self.bay).max(1.0);
        let storeys = floor(self.eaves / self.storey).max(1.0);
        let (u, v) = (s * bays / length, y * storeys / self.eaves);
        let (wu, wv) = (ws * bays / length, wy * storeys / self.eaves);
        let shop = self.awning.is_some() && front && v < 1.0;
        let (mut ww, mut wh) = self.window;
        let mut glass = 1.0;
        if self.wall == Wall::Curtain {
            (ww, wh) = (0.9, 0.82);
        } else if !front {
            // Only some columns of an end wall have windows.
            glass = lerp(
                f32::from(hash(floor(u) as i32, 3, self.seed) < 0.4),
                0.4,
                saturate(wu),
            );
        }
        if shop {
            (ww, wh, glass) = (0.84, 0.62, 1.0);
        }
        let (left, low) = (0.5 - 0.5 * ww, if shop { 0.05 } else { 0.56 - 0.5 * wh });
        let inside = glass * band(v, 0.0, storeys, wv);
        let pane = pulse(u, left, left + ww, wu) * pulse(v, low, low + wh, wv) * inside;
        let frame = pulse(u, left - 0.05, left + ww + 0.05, wu)
            * pulse(v, low - 0.05, (low + wh + 0.06).min(0.99), wv)
            * inside;

        let mut wall = self.paint;
        let grime = fbm(s * 0.5, y * 0.35, wy * 0.5, self.seed, 4);
        wall = wall * (1.0 + 0.22 * grime);
        if self.wall == Wall::Brick {
            let row = floor(y * 9.0);
            let joint = pulse(y * 9.0, 0.0, 0.22, wy * 9.0).max(pulse(
                s * 3.6 + 0.5 * 2.0 * fract(0.5 * row),
                0.0,
                0.09,
                ws * 3.6,
            ));
            let near = smoothstep(0.16, 0.04, wy);
            let tone = hash(floor(s * 3.6) as i32, row as i32, self.seed) - 0.5;
            wall = wall * (1.0 + 0.5 * tone * near) + vec3(0.12, 0.11, 0.10) * joint * near;
        }
        // Cornice below the eaves, plinth at the foot.
        let cornice = band(y, self.eaves - 0.45, self.eaves, wy);
        wall = wall.mix(self.trim * 0.9, 0.8 * cornice);
        wall = wall * (1.0 - 0.35 * band(y, 0.0, 0.5, wy));
        wall = wall.mix(self.trim, saturate(frame - pane));

        let open = 0.55 + 0.45 * smoothstep(0.0, 4.0, y);
        let mut colour = light.shade(wall, normal, sunny, open);
        let (cu, cv) = (floor(u) as i32, floor(v) as i32);
        let own = lerp(
            hash(cu, cv, self.seed),
            0.5,
            smoothstep(0.4, 1.2, wu.max(wv)),
        );
        let mirror = if self.wall == Wall::Curtain {
            0.45
        } else {
            0.16
        };
        let inside = rgb(0x252B33).mix(rgb(0x6F6A60), 0.5 * own * own);
        let mut window = light.shade(inside, normal, 0.3 * sunny, open)
            + light.sky(0.15 + 0.3 * own) * (mirror + 0.25 * own);
        let lit = f32::from(hash(cu, cv, self.seed ^ 9) < 0.45) * light.dusk;
        window = window + rgb(0xFFC877) * (1.3 * lit * (0.5 + own));
        colour = colour.mix(window, saturate(pane));
        if let Some(paint) = self.awning.filter(|_| shop) {
            let stripes = if self.seed & 1 == 0 {
                pulse(s * 1.6, 0.0, 0.5, ws * 1.6)
            } else {
                0.0
            };
            let cloth = light.shade(
                paint.mix(rgb(0xE8E4DA), stripes),
                vec3(0.0, 0.8, 0.0) + normal * 0.6,
                sunny,
                1.0,
            );
            colour = colour.mix(cloth, band(v, 0.72, 0.93, wv));
        }
        colour
    }
}
