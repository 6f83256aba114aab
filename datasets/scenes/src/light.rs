//! Time of day and weather: sun, sky light, haze and the film's response.

use super::math::{Vec3, lerp, rgb, saturate, smoothstep, vec3};
use super::noise::Dice;

/// Season, which sets the palette of plants and ground.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Season {
    Spring,
    Summer,
    Autumn,
    Winter,
}

/// The light of one scene. Colours are linear-light RGB.
pub(super) struct Light {
    /// Unit vector towards the sun.
    pub(super) sun: Vec3,
    /// Light from the sun on a surface that faces it.
    pub(super) sunlight: Vec3,
    /// Light from the sky on a surface that faces up.
    pub(super) skylight: Vec3,
    /// Sky straight up.
    pub(super) zenith: Vec3,
    /// Sky at the horizon, also the colour of the haze.
    pub(super) horizon: Vec3,
    /// Share of the sky that clouds cover, 0..1.
    pub(super) cover: f32,
    /// Distance over which haze takes 63 % of a colour, metres.
    pub(super) visibility: f32,
    /// 0 by day, 1 when the windows are lit.
    pub(super) dusk: f32,
    exposure: f32,
}

impl Light {
    /// Draws a time of day and a weather.
    pub(super) fn draw(dice: &mut Dice) -> Self {
        let elevation = lerp(0.07, 1.05, dice.unit() * dice.range(0.4, 1.0));
        let azimuth = dice.range(0.0, std::f32::consts::TAU);
        let sun = vec3(
            azimuth.sin() * elevation.cos(),
            elevation.sin(),
            azimuth.cos() * elevation.cos(),
        );
        let overcast = dice.chance(0.22);
        let cover = if overcast {
            dice.range(0.85, 1.0)
        } else {
            dice.range(0.05, 0.65)
        };
        let low = smoothstep(0.40, 0.08, elevation);
        let dusk = if dice.chance(0.5) {
            smoothstep(0.22, 0.1, elevation)
        } else {
            0.0
        };
        let warm = dice.pick([rgb(0xFFB070), rgb(0xFFA585), rgb(0xF7C48A)]);
        let blue = dice.pick([rgb(0x3A78C8), rgb(0x4A8AD6), rgb(0x2F66B4), rgb(0x5896D2)]);
        let mut zenith = blue.mix(rgb(0x4C5F92), low).mix(rgb(0x2B3560), dusk * 0.8);
        let mut horizon = rgb(0xC6DCEE)
            .mix(warm, low * dice.range(0.5, 1.0))
            .mix(rgb(0xB06A62), dusk * 0.5);
        let mut sunlight = rgb(0xFFF4E2).mix(warm, low) * lerp(2.3, 1.3, low);
        let mut skylight = rgb(0xA8C4E6).mix(rgb(0x96A0C0), low) * 0.85;
        if overcast {
            let grey = rgb(0xBCC3CC).mix(rgb(0x9AA0B0), dice.unit());
            zenith = zenith.mix(grey, 0.8);
            horizon = horizon.mix(grey * 1.15, 0.75);
            sunlight = sunlight * 0.12;
            skylight = rgb(0xD2D8E0) * 1.3;
        }
        let scale = lerp(1.0, 0.45, dusk);
        let visibility = if overcast || dice.chance(0.15) {
            dice.range(90.0, 400.0)
        } else {
            dice.range(300.0, 1500.0)
        };
        let ground = sunlight.y * (0.25 + 0.75 * sun.y) + skylight.y;
        Self {
            sun,
            sunlight: sunlight * scale,
            skylight: skylight * scale,
            zenith: zenith * scale,
            horizon: horizon * scale,
            cover,
            visibility,
            dusk,
            exposure: dice.range(1.15, 1.5) / ground.powf(0.75),
        }
    }

    /// Light that leaves a matt surface; `sunny` is the sun's visibility and `open` the sky's.
    pub(super) fn shade(&self, albedo: Vec3, normal: Vec3, sunny: f32, open: f32) -> Vec3 {
        let facing = normal.dot(self.sun).max(0.0) * sunny;
        // Undersides still receive the ground's bounce, hence the floor of 0.35.
        let sky = (0.675 + 0.325 * normal.y) * open;
        albedo * (self.sunlight * facing + self.skylight * sky)
    }

    /// The clear sky in a direction whose upward slope is `up` (0 at the horizon, 1 overhead).
    pub(super) fn sky(&self, up: f32) -> Vec3 {
        let fall = 1.0 - saturate(up);
        let fall = fall * fall;
        self.zenith.mix(self.horizon, fall * fall)
    }

    /// Mixes in the haze of `distance` metres of air.
    pub(super) fn haze(&self, colour: Vec3, distance: f32) -> Vec3 {
        colour.mix(self.horizon, 1.0 - (-distance / self.visibility).exp())
    }

    /// Film response: exposure, soft highlights, display curve; in 0..255, not yet rounded.
    pub(super) fn develop(&self, colour: Vec3) -> Vec3 {
        let curve = |v: f32| {
            let v = v.max(0.0) * self.exposure;
            255.0 * saturate((v * (1.0 + 0.12 * v) / (1.0 + 0.55 * v)).sqrt())
        };
        // Film renders colours a little richer than they are.
        let grey = 0.3 * colour.x + 0.6 * colour.y + 0.1 * colour.z;
        let rich = vec3(grey, grey, grey).mix(colour, 1.25);
        vec3(curve(rich.x), curve(rich.y), curve(rich.z))
    }
}
