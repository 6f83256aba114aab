//! Everything farther than the ground reaches: sky, clouds, mountains, woods and the city beyond.

use super::camera::Ray;
use super::classes::{BUILDING, MOUNTAIN, SKY, VEGETATION};
use super::light::{Light, Season};
use super::math::{Vec3, floor, fract, lerp, pulse, rgb, saturate, smoothstep, vec3};
use super::noise::{Dice, fbm, hash, value};

/// What a layer of the horizon shows.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Relief {
    Mountains,
    Hills,
    Woods,
    City,
}

/// One silhouette on the horizon.
struct Layer {
    relief: Relief,
    /// Distance for the haze, metres.
    distance: f32,
    /// Slopes of the ray between which the outline runs.
    low: f32,
    high: f32,
    /// Bumps per unit of sideways slope.
    frequency: f32,
    seed: u32,
}

impl Layer {
    /// Slope of the outline in the direction `x`.
    fn outline(&self, x: f32) -> f32 {
        let x = x * self.frequency;
        let share = match self.relief {
            Relief::Mountains => {
                let ridge = 1.0 - value(x, 0.5, self.seed).abs();
                0.75 * ridge * ridge + 0.35 * (0.5 + fbm(x * 2.3, 0.5, 0.0, self.seed ^ 1, 4))
            }
            Relief::Hills => 0.5 + 0.6 * fbm(x, 0.5, 0.0, self.seed, 3),
            Relief::Woods => {
                0.5 + 0.35 * fbm(x, 0.5, 0.0, self.seed, 2) + 0.2 * value(x * 6.0, 0.5, 3)
            }
            Relief::City => {
                let tall = hash(floor(x) as i32, 0, self.seed);
                let wide = hash(floor(x * 0.37) as i32, 1, self.seed);
                tall * tall * 0.6 + wide * 0.4
            }
        };
        lerp(self.low, self.high, saturate(share))
    }

    fn class(&self) -> u8 {
        match self.relief {
            Relief::Mountains | Relief::Hills => MOUNTAIN,
            Relief::Woods => VEGETATION,
            Relief::City => BUILDING,
        }
    }
}

/// The sky and the layers of the horizon, nearest first.
pub(super) struct Backdrop {
    layers: Vec<Layer>,
    season: Season,
    rock: Vec3,
    forest: Vec3,
    snowline: f32,
    cloud: (f32, f32),
    seed: u32,
}

impl Backdrop {
    /// A horizon with the given layers, nearest first.
    pub(super) fn draw(reliefs: &[Relief], season: Season, dice: &mut Dice) -> Self {
        let layers = reliefs.iter().map(|&relief| {
            let (distance, low, high, frequency) = match relief {
                Relief::Woods => (180.0, 0.012, dice.range(0.05, 0.10), dice.range(4.0, 8.0)),
                Relief::City => (280.0, 0.02, dice.range(0.10, 0.22), dice.range(14.0, 24.0)),
                Relief::Hills => (450.0, 0.03, dice.range(0.10, 0.24), dice.range(1.2, 2.4)),
                Relief::Mountains => (900.0, 0.06, dice.range(0.22, 0.48), dice.range(1.3, 2.6)),
            };
            Layer {
                relief,
                distance,
                low,
                high,
                frequency,
                seed: dice.bits(),
            }
        });
        let layers = layers.collect();
        Self {
            layers,
            season,
            rock: dice.pick([0x7A7470, 0x6E6A72, 0x8A7A68, 0x94887A].map(rgb)),
            forest: match season {
                Season::Spring => rgb(0x56783A),
                Season::Summer => rgb(0x3F6234),
                Season::Autumn => dice.pick([0x8A6A34, 0x7A5A30].map(rgb)),
                Season::Winter => rgb(0x5A5A58),
            },
            snowline: if season == Season::Winter {
                0.25
            } else {
                dice.range(0.5, 1.4)
            },
            cloud: (dice.range(0.0, 40.0), dice.range(0.5, 1.1)),
            seed: dice.bits(),
        }
    }

    /// The layer that a ray above the ground meets, if it is not the sky.
    fn layer(&self, ray: Ray) -> Option<(&Layer, f32)> {
        self.layers.iter().find_map(|layer| {
            if ray.y > layer.high {
                return None;
            }
            let top = layer.outline(ray.x);
            (ray.y < top).then_some((layer, top))
        })
    }

    /// Class in the direction of a ray that misses the ground.
    pub(super) fn class(&self, ray: Ray) -> u8 {
        self.layer(ray).map_or(SKY, |(layer, _)| layer.class())
    }

    /// Light from the direction of a ray that misses the ground, and the distance it has come
    /// (none for the sky, which is its own haze). `pixel` is the pixel's width as a slope.
    pub(super) fn colour(&self, light: &Light, ray: Ray, pixel: f32) -> (Vec3, Option<f32>) {
        match self.layer(ray) {
            None => (self.sky(light, ray, pixel), None),
            Some((layer, top)) => (
                self.relief(layer, top, light, ray, pixel),
                Some(layer.distance),
            ),
        }
    }

    fn sky(&self, light: &Light, ray: Ray, pixel: f32) -> Vec3 {
        let direction = ray.direction() * (1.0 / ray.length());
        let up = direction.y.max(0.0);
        let mut colour = light.sky(up * 1.6);
        let near = direction.dot(light.sun).max(0.0);
        let n2 = near * near;
        let n8 = n2 * n2 * n2 * n2;
        let clear = 1.0 - 0.9 * light.cover;
        let disc = smoothstep(0.9992, 0.9997, near);
        colour = colour + light.sunlight * (0.10 * n8 + 0.35 * n8 * n8 * n8 + 3.0 * disc) * clear;
        // Clouds live on a plane overhead, so they crowd together towards the horizon.
        let plane = 1.0 / (up + 0.16);
        let (shift, scale) = self.cloud;
        let (cx, cz) = (
            direction.x * plane * scale * 1.4 + shift,
            direction.z * plane * scale * 1.9,
        );
        let blur = pixel * plane * plane * scale;
        let thick = fbm(cx, cz, blur, self.seed, 5);
        let edge = 0.75 - 1.45 * light.cover;
        let mass = smoothstep(edge, edge + 0.5, thick + 0.1);
        if mass > 0.0 {
            let ahead = fbm(
                cx + 0.25 * light.sun.x,
                cz + 0.25 * light.sun.z,
                blur,
                self.seed,
                3,
            );
            let lit = saturate(0.62 + 0.9 * (thick - ahead) - 0.35 * smoothstep(0.0, 0.7, thick));
            let bright = light.skylight * 0.8 + light.sunlight * (0.30 + 0.35 * n8);
            let dark = light.skylight * 0.55 + light.horizon * 0.12;
            let cloud = dark.mix(bright, lit);
            let fade = smoothstep(0.0, 0.16, up);
            colour = colour.mix(cloud, mass * (0.25 + 0.7 * fade));
        }
        colour
    }

    fn relief(&self, layer: &Layer, top: f32, light: &Light, ray: Ray, pixel: f32) -> Vec3 {
        let f = layer.frequency;
        let (x, y) = (ray.x * f, ray.y * f);
        let w = pixel * f;
        let up = ray.y / layer.high;
        match layer.relief {
            Relief::Mountains | Relief::Hills => {
                let rough = if layer.relief == Relief::Mountains {
                    1.0
                } else {
                    0.45
                };
                let folds = fbm(x * 3.0 + y * 1.5, y * 2.2, w * 3.0, layer.seed ^ 2, 5);
                let beside = fbm(x * 3.0 + 0.4 + y * 1.5, y * 2.2, w * 3.0, layer.seed ^ 2, 4);
                let normal =
                    vec3(2.2 * rough * (folds - beside), 0.75, -0.75 - 0.4 * folds).normalised();
                let woods =
                    self.forest * (1.0 + 0.5 * fbm(x * 14.0, y * 18.0, w * 16.0, layer.seed, 3));
                let bare = smoothstep(0.25, 0.6, up + 0.35 * folds) * rough;
                let snow = smoothstep(self.snowline, self.snowline + 0.2, up + 0.3 * folds);
                let snow = snow * f32::from(layer.relief == Relief::Mountains)
                    + 0.4
                        * f32::from(self.season == Season::Winter && layer.relief == Relief::Hills);
                let albedo = woods.mix(self.rock, bare).mix(rgb(0xEEF2F8), snow.min(1.0));
                light.shade(albedo, normal, 1.0, 0.9)
            }
            Relief::Woods => {
                let crowns = fbm(x * 6.0, y * 9.0, w * 6.0, layer.seed ^ 3, 4);
                let rim = smoothstep(0.0, 0.5, ray.y / top);
                let normal = vec3(1.5 * crowns, 0.6, -0.8).normalised();
                let albedo = self.forest * (0.75 + 0.6 * crowns + 0.3 * rim);
                light.shade(
                    albedo.mix(
                        rgb(0xE8ECF2),
                        0.2 * f32::from(self.season == Season::Winter),
                    ),
                    normal,
                    0.9,
                    lerp(0.5, 1.0, rim),
                )
            }
            Relief::City => {
                let block = hash(floor(x) as i32, 0, layer.seed ^ 4);
                let face = light.sun.x * (fract(x) - 0.5).signum();
                let normal = vec3(0.35 * face, 0.3, -0.9).normalised();
                let rows = pulse(ray.y * 110.0, 0.0, 0.5, pixel * 110.0);
                let columns = pulse(x * 4.0, 0.0, 0.6, w * 4.0);
                let wall = rgb(0xA89E92).mix(rgb(0x6E747C), block) * (1.0 - 0.35 * rows * columns);
                let lit = f32::from(hash((x * 4.0) as i32, (ray.y * 110.0) as i32, 5) < 0.3);
                light.shade(wall, normal, 0.9, 0.8)
                    + rgb(0xFFC877) * (rows * columns * light.dusk * lit)
            }
        }
    }
}
