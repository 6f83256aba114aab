//! Composition: from a seed and an index to everything that a scene contains.

use super::backdrop::{Backdrop, Relief};
use super::borders::{Borders, Place};
use super::camera::Camera;
use super::classes::is_thing;
use super::ground::Ground;
use super::hood::Hood;
use super::light::{Light, Season};
use super::math::rgb;
use super::noise::Dice;
use super::object::Object;
use super::placing::Placer;
use super::road::{Curve, Line, Road, Side};
use super::shadow::{Blob, Skyline};

/// One composed scene, ready to be drawn at any size.
pub(super) struct Scene {
    pub(super) camera: Camera,
    pub(super) light: Light,
    pub(super) road: Road,
    pub(super) ground: Ground,
    pub(super) backdrop: Backdrop,
    /// Nearest first.
    pub(super) objects: Vec<Object>,
    pub(super) blobs: Vec<Blob>,
    /// Left and right.
    pub(super) skylines: [Skyline; 2],
    pub(super) hood: Option<Hood>,
}

impl Scene {
    /// Composes scene `index` of the sequence `seed`.
    pub(super) fn compose(seed: u64, index: u64) -> Self {
        let mut dice = Dice::new(seed, index, b"dp-sims scenes 1");
        let dice = &mut dice;
        let light = Light::draw(dice);
        let season = dice.pick([
            Season::Spring,
            Season::Summer,
            Season::Summer,
            Season::Autumn,
            Season::Winter,
        ]);
        let place = dice.pick([
            Place::City,
            Place::City,
            Place::City,
            Place::City,
            Place::Suburb,
            Place::Suburb,
            Place::Country,
            Place::Country,
            Place::Park,
            Place::Park,
        ]);
        let borders = [Borders::draw(place, dice), Borders::draw(place, dice)];
        let camera = Camera {
            eye: dice.range(1.35, 2.4),
            horizon: dice.range(0.40, 0.53),
            half: dice.range(0.46, 0.60),
        };
        let road = Self::road(place, &borders, dice);
        let ground = Ground::draw(season, &light, dice);
        let backdrop = Backdrop::draw(&Self::horizon(place, dice), season, dice);
        let skylines = [0, 1].map(|i| Skyline::new(borders[i].front(&road, i)));

        let mut placer = Placer::new(camera.eye, season, &light, &road, skylines);
        placer.furnish(place, &borders, dice);
        let Placer {
            mut objects,
            blobs,
            skylines,
            ..
        } = placer;
        objects.sort_by(|a, b| a.bounds.near.total_cmp(&b.bounds.near));
        let mut count = 0;
        for object in objects.iter_mut().filter(|object| is_thing(object.class)) {
            count += 1;
            object.instance = count;
        }
        let hood = (road.half > 0.0 && dice.chance(0.22)).then(|| Hood {
            top: camera.bottom() + dice.range(0.05, 0.11) * 2.0 * camera.half,
            paint: dice.pick([0x2A2C30, 0x8A8E92, 0x1F2F4A, 0x6A1E20].map(rgb)),
        });
        Self {
            camera,
            light,
            road,
            ground,
            backdrop,
            objects,
            blobs,
            skylines,
            hood,
        }
    }

    fn road(place: Place, borders: &[Borders; 2], dice: &mut Dice) -> Road {
        let half = match place {
            Place::City => dice.pick([3.3, 4.8, 5.4, 6.8]),
            Place::Suburb => dice.pick([3.0, 3.3, 4.6]),
            Place::Country => dice.pick([2.9, 3.4, 3.6]),
            Place::Park => 0.0,
        };
        let mut lines = Vec::new();
        if half > 3.1 {
            lines.push(Line {
                offset: 0.0,
                dashed: dice.chance(0.75),
            });
            if half > 6.0 {
                for side in [-1.0, 1.0] {
                    lines.push(Line {
                        offset: side * 3.3,
                        dashed: true,
                    });
                }
            }
        }
        if half > 0.0 && (place == Place::Country || dice.chance(0.4)) {
            for side in [-1.0, 1.0] {
                lines.push(Line {
                    offset: side * (half - 0.3),
                    dashed: false,
                });
            }
        }
        let offset = if half == 0.0 {
            dice.range(-2.5, 2.5)
        } else if dice.chance(0.15) {
            dice.sign() * (half + 0.8)
        } else {
            dice.range(0.25, 0.6) * half
        };
        let bend = if dice.chance(0.4) {
            0.0
        } else {
            dice.range(-1.0, 1.0)
        };
        let sharp = if place == Place::City { 0.0025 } else { 0.005 };
        let turn = dice.range(-0.07, 0.07);
        let town = matches!(place, Place::City | Place::Suburb);
        Road {
            curve: Curve([-offset, turn, bend * sharp]),
            half,
            lines,
            zebra: (town && dice.chance(0.3)).then(|| dice.range(5.0, 22.0)),
            sides: [0, 1].map(|i| Side {
                pavement: borders[i].pavement,
                verge: borders[i].verge,
            }),
            seed: dice.bits(),
        }
    }

    fn horizon(place: Place, dice: &mut Dice) -> Vec<Relief> {
        let mut layers = Vec::new();
        match place {
            Place::City => {
                layers.push(if dice.chance(0.7) {
                    Relief::City
                } else {
                    Relief::Woods
                });
                if dice.chance(0.35) {
                    layers.push(dice.pick([Relief::Hills, Relief::Mountains]));
                }
            }
            Place::Suburb => {
                layers.push(Relief::Woods);
                if dice.chance(0.5) {
                    layers.push(dice.pick([Relief::Hills, Relief::Mountains, Relief::City]));
                }
            }
            Place::Country | Place::Park => {
                if dice.chance(0.7) {
                    layers.push(Relief::Woods);
                }
                if dice.chance(0.6) {
                    layers.push(Relief::Hills);
                }
                if dice.chance(0.6) || layers.is_empty() {
                    layers.push(Relief::Mountains);
                }
            }
        }
        layers
    }
}
