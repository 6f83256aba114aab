//! Looks of the ground: asphalt, paint, paving, grass and water.

use super::backdrop::Backdrop;
use super::camera::Ray;
use super::classes::{GRASS, LANE_MARKING, PAVEMENT, ROAD, WATER};
use super::light::{Light, Season};
use super::math::{Vec3, band, floor, fract, lerp, pulse, rgb, saturate, smoothstep, vec3};
use super::noise::{Dice, faded, fbm, hash, value};
use super::road::Road;

/// Width of a kerb stone, metres.
const KERB: f32 = 0.16;

/// Materials of the ground of one scene.
pub(super) struct Ground {
    asphalt: Vec3,
    paving: Vec3,
    grass: [Vec3; 2],
    flowers: Vec3,
    water: Vec3,
    /// Height of the ripples, as a slope.
    ripple: f32,
    paint: Vec3,
    slab: (f32, f32),
    /// Spacing of mown or sown stripes, metres; 0 = none.
    stripes: f32,
    /// How much of the sky a wet road mirrors, 0..1.
    wet: f32,
    snow: f32,
    seed: u32,
}

/// A place on the ground as a pixel sees it.
#[derive(Clone, Copy)]
pub(super) struct Spot {
    /// World x and depth, metres.
    pub(super) x: f32,
    pub(super) z: f32,
    /// Width of the pixel across and along the view, metres.
    pub(super) width: (f32, f32),
    /// Shares of sunlight and skylight that arrive.
    pub(super) sunny: f32,
    pub(super) open: f32,
}

impl Ground {
    /// Materials that suit the season and the weather.
    pub(super) fn draw(season: Season, light: &Light, dice: &mut Dice) -> Self {
        let grass = match season {
            Season::Spring => dice.pick([[0x7DA63E, 0x5C8A34], [0x8CB04A, 0x6A9438]]),
            Season::Summer => dice.pick([
                [0x6E8F3C, 0x4E7530],
                [0x97964E, 0x6E7C38],
                [0x5F8A38, 0x86904A],
            ]),
            Season::Autumn => dice.pick([[0x8F8A48, 0x6A7438], [0xA08A4E, 0x7A7440]]),
            Season::Winter => [0x7E7A58, 0x666848],
        };
        let winter = season == Season::Winter;
        Self {
            asphalt: dice.pick([0x5C5D60, 0x4A4B4F, 0x6A6866, 0x747270].map(rgb)),
            paving: dice.pick([0xA8A39A, 0x9A958E, 0xB8A890, 0xA88E80, 0x8E9090].map(rgb)),
            grass: grass.map(rgb),
            flowers: dice.pick([0xE8D848, 0xF0F0F0, 0xC8A0D8, 0xE06A5A].map(rgb)),
            water: dice.pick([0x1E3A44, 0x27463E, 0x1C3452, 0x3A4A3C].map(rgb)),
            ripple: dice.range(0.01, 0.09),
            paint: dice.pick([0xE4E2DA, 0xE4E2DA, 0xD8D4C8, 0xE0B848].map(rgb)),
            slab: (dice.range(0.5, 1.1), dice.range(0.5, 1.4)),
            stripes: if dice.chance(0.35) {
                dice.range(0.8, 3.0)
            } else {
                0.0
            },
            wet: if light.cover > 0.6 && dice.chance(0.5) {
                dice.range(0.3, 0.8)
            } else {
                0.0
            },
            snow: if winter { dice.range(0.1, 1.0) } else { 0.0 },
            seed: dice.bits(),
        }
    }

    /// Light from the ground of class `class`.
    pub(super) fn shade(
        &self,
        class: u8,
        road: &Road,
        light: &Light,
        backdrop: &Backdrop,
        ray: Ray,
        spot: Spot,
    ) -> Vec3 {
        let up = vec3(0.0, 1.0, 0.0);
        let albedo = match class {
            ROAD | LANE_MARKING => {
                let matt = light.shade(self.carriageway(road, spot), up, spot.sunny, spot.open);
                if self.wet == 0.0 {
                    return matt;
                }
                let grazing = 1.0 - saturate(-ray.y / ray.length());
                let puddle = smoothstep(-0.2, 0.4, fbm(spot.x * 0.5, spot.z * 0.25, 0.0, 77, 3));
                let shine = self.wet * puddle * (0.05 + 0.55 * grazing * grazing * grazing);
                return matt * (1.0 - 0.45 * self.wet * puddle)
                    + light.sky(0.12) * (shine * spot.open);
            }
            PAVEMENT => self.pavement(road, spot),
            WATER => return self.lake(light, backdrop, ray, spot),
            _ => self.meadow(spot),
        };
        let open = if class == GRASS {
            spot.open * 0.9
        } else {
            spot.open
        };
        light.shade(albedo, up, spot.sunny, open)
    }

    fn carriageway(&self, road: &Road, spot: Spot) -> Vec3 {
        let Spot { x, z, width, .. } = spot;
        let u = road.lateral(x, z);
        let fine = width.0.max(width.1 * 0.3);
        let grain = faded(smoothstep(0.05, 0.015, fine), || {
            value(x * 22.0, z * 22.0, self.seed)
        });
        let patches = fbm(u * 0.5, z * 0.12, width.1 * 0.12, self.seed, 4);
        // Wheel tracks: two polished strips in each lane of about 3.3 m.
        let lane = (fract(u / 3.3) - 0.5).abs();
        let track = smoothstep(0.12, 0.0, (lane - 0.25).abs());
        let crack = faded(smoothstep(0.07, 0.02, fine), || {
            let ridge = value(u * 0.9 + value(z * 0.7, u, 3), z * 0.35, self.seed ^ 11);
            smoothstep(0.035, 0.0, ridge.abs())
        });
        let tone = 1.0 + 0.22 * grain + 0.28 * patches + 0.12 * track - 0.35 * crack;
        let mut colour = self.asphalt * tone;
        let snow = self.snow * smoothstep(0.3, 0.9, self.snow) * (1.0 - 0.8 * track);
        colour = colour.mix(rgb(0xD8DCE2), snow * smoothstep(-0.3, 0.3, patches));
        let gutter = smoothstep(0.5, 0.0, road.half - u.abs());
        colour = colour * (1.0 - 0.3 * gutter);
        let wear = 0.85 + 0.3 * patches + 0.12 * grain;
        colour.mix(self.paint, saturate(road.paint(u, z, width) * wear))
    }

    fn pavement(&self, road: &Road, spot: Spot) -> Vec3 {
        let Spot { x, z, width, .. } = spot;
        let u = road.lateral(x, z);
        let across = u.abs() - road.half;
        let (su, sz) = (across / self.slab.0, z / self.slab.1);
        let (wu, wz) = (width.0 / self.slab.0, width.1 / self.slab.1);
        let stain = fbm(x * 0.8, z * 0.5, width.1 * 0.5, self.seed ^ 2, 4);
        if road.half == 0.0 {
            // A gravel path.
            let grit = faded(smoothstep(0.08, 0.02, width.0), || {
                value(x * 16.0, z * 16.0, self.seed)
            });
            return self.paving * (1.0 + 0.25 * stain + 0.3 * grit);
        }
        let kerb = band(across, 0.0, KERB, width.0);
        let joint = pulse(su, 0.0, 0.05, wu).max(pulse(sz, 0.0, 0.04, wz));
        let slab = hash(floor(su) as i32, floor(sz) as i32, self.seed) - 0.5;
        let slab = slab * smoothstep(1.2, 0.3, wz);
        let stone = self.paving * (1.0 + 0.28 * slab + 0.3 * stain - 0.4 * joint);
        let stone = stone.mix(
            rgb(0xE4E8EE),
            0.5 * self.snow * smoothstep(-0.2, 0.5, stain),
        );
        stone.mix(
            rgb(0xBDB9B0) * (1.0 - 0.3 * pulse(z, 0.0, 0.06, width.1)),
            kerb,
        )
    }

    fn meadow(&self, spot: Spot) -> Vec3 {
        let Spot { x, z, width, .. } = spot;
        let broad = fbm(x * 0.09, z * 0.06, width.1 * 0.06, self.seed ^ 4, 4);
        let tufts = fbm(x * 1.7, z * 0.9, width.1 * 0.9, self.seed ^ 6, 4);
        let blade = faded(smoothstep(0.09, 0.02, width.0.max(width.1 * 0.3)), || {
            value(x * 24.0, z * 9.0, self.seed ^ 8)
        });
        let mut colour = self.grass[0].mix(self.grass[1], saturate(0.5 + 0.9 * broad));
        colour = colour * (1.0 + 0.45 * tufts + 0.4 * blade);
        if self.stripes > 0.0 {
            let row = pulse(x / self.stripes, 0.0, 0.5, width.0 / self.stripes);
            colour = colour * lerp(0.86, 1.12, row);
        }
        let near = smoothstep(0.05, 0.015, width.0.max(width.1 * 0.4));
        let bloom = faded(near * f32::from(self.snow == 0.0), || {
            let (fx, fz) = (x * 6.0, z * 6.0);
            let there = hash(floor(fx) as i32, floor(fz) as i32, self.seed ^ 12);
            let (dx, dz) = (fract(fx) - 0.5, fract(fz) - 0.5);
            f32::from(there > 0.97 - 0.12 * saturate(broad))
                * band(dx * dx + dz * dz, -1.0, 0.07, 0.05)
        });
        colour = colour.mix(self.flowers, 0.85 * bloom);
        let snow = smoothstep(
            1.0 - self.snow,
            1.25 - self.snow,
            0.55 + 0.5 * tufts + 0.3 * broad,
        );
        colour.mix(rgb(0xEAF0F8), f32::from(self.snow > 0.0) * snow)
    }

    fn lake(&self, light: &Light, backdrop: &Backdrop, ray: Ray, spot: Spot) -> Vec3 {
        let Spot { x, z, width, .. } = spot;
        // Ripples far away are finer than a pixel and even out.
        let wave = fbm(x * 0.9, z * 1.8, width.1 * 1.8, self.seed ^ 14, 4);
        let sway = fbm(x * 0.5, z * 0.9, width.1 * 0.9, self.seed ^ 15, 3);
        let (dx, dy) = (self.ripple * sway, self.ripple * (wave + 0.35));
        let mirrored = Ray {
            x: ray.x + dx,
            y: (-ray.y + dy).max(0.003),
        };
        let seen = backdrop.colour(light, mirrored, 0.02).0;
        let grazing = 1.0 - saturate((-ray.y + 0.5 * dy) / ray.length());
        let grazing = grazing * grazing;
        let mirror = 0.06 + 0.86 * grazing * grazing;
        let deep = light.shade(self.water, vec3(0.0, 1.0, 0.0), 0.6, 1.0);
        let direction = mirrored.direction().normalised();
        let glint = smoothstep(0.985, 0.999, direction.dot(light.sun) + 0.02 * wave);
        deep * (1.0 - mirror)
            + seen * (mirror * spot.open)
            + light.sunlight * (glint * 1.5 * (1.0 - light.cover))
    }
}
