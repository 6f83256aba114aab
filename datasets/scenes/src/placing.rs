//! Puts the objects of a scene on the ground.

use super::borders::{Borders, Place, Row};
use super::building::Building;
use super::camera::Bounds;
use super::classes::{BUILDING, FENCE, POLE, SIGN, VEGETATION, VOID};
use super::fence::{Build, Fence};
use super::light::{Light, Season};
use super::math::rgb;
use super::noise::Dice;
use super::object::{Object, Shape};
use super::road::Road;
use super::shadow::{Blob, Skyline};
use super::solid::Frame;
use super::street::{Bin, Pole, Sign};
use super::tree::{Growth, Tree};

/// Depth beyond which nothing is placed, metres.
const FAR: f32 = 110.0;

/// Collects the objects and shadows of a scene.
pub(super) struct Placer<'a> {
    pub(super) eye: f32,
    season: Season,
    pub(super) light: &'a Light,
    pub(super) road: &'a Road,
    pub(super) objects: Vec<Object>,
    pub(super) blobs: Vec<Blob>,
    pub(super) skylines: [Skyline; 2],
}

impl<'a> Placer<'a> {
    /// A placer for an empty road.
    pub(super) fn new(
        eye: f32,
        season: Season,
        light: &'a Light,
        road: &'a Road,
        skylines: [Skyline; 2],
    ) -> Self {
        Self {
            eye,
            season,
            light,
            road,
            objects: Vec::new(),
            blobs: Vec::new(),
            skylines,
        }
    }

    /// Places everything.
    pub(super) fn furnish(&mut self, place: Place, borders: &[Borders; 2], dice: &mut Dice) {
        for (index, border) in borders.iter().enumerate() {
            let side = if index == 0 { -1.0 } else { 1.0 };
            self.buildings(index, side, border, dice);
            self.fence(side, border, dice);
            self.trees(place, side, border, dice);
            self.furniture(place, side, border, dice);
            self.people(place, side, border, dice);
        }
        if self.road.half > 0.0 {
            self.traffic(place, dice);
        }
    }

    /// Adds an object unless it lies behind the camera.
    pub(super) fn put(&mut self, class: u8, bounds: Option<Bounds>, shape: Shape) {
        if let Some(bounds) = bounds {
            self.objects.push(Object {
                class,
                instance: 0,
                bounds,
                shape,
            });
        }
    }

    /// World position of a place `u` metres right of the road's centre.
    pub(super) fn spot(&self, u: f32, z: f32) -> (f32, f32) {
        (self.road.curve.at(z) + u, z)
    }

    /// Heading of the road at depth `z`, radians to the right of the view.
    pub(super) fn heading(&self, z: f32) -> f32 {
        self.road.curve.slope(z).atan()
    }

    fn buildings(&mut self, index: usize, side: f32, border: &Borders, dice: &mut Dice) {
        let blocks = border.row == Row::Blocks;
        if !blocks && border.row != Row::Houses {
            return;
        }
        let edge = self.road.half + border.pavement + border.setback;
        let base = dice.range(6.5, 17.0);
        let mut z = dice.range(-6.0, 2.0);
        while z < FAR {
            let along = if blocks {
                dice.range(3.5, 10.0)
            } else {
                dice.range(3.8, 6.5)
            };
            let deep = if blocks { 6.0 } else { dice.range(3.2, 4.5) };
            let middle = z + along;
            let step_back = if blocks { 0.0 } else { dice.range(0.0, 1.5) };
            let (x, _) = self.spot(side * (edge + deep + step_back), middle);
            // Own x axis along the street, own z axis across it.
            let turn = self.heading(middle) - std::f32::consts::FRAC_PI_2;
            let frame = Frame::new(x, middle, turn);
            let (building, height) = if blocks {
                let height = (base * dice.range(0.65, 1.45)).max(5.5);
                (Building::block(frame, (along, deep), height, dice), height)
            } else {
                let eaves = dice.range(2.9, 5.8);
                (
                    Building::house(frame, (along, deep), eaves, dice),
                    eaves + 1.5,
                )
            };
            let bounds = building.bounds(self.eye);
            self.skylines[index].add(z, z + 2.0 * along, height);
            self.put(BUILDING, bounds, Shape::Building(building));
            let gap = match (blocks, dice.chance(0.14)) {
                (true, false) => 0.05,
                (true, true) => dice.range(3.0, 9.0),
                (false, _) => dice.range(3.0, 12.0),
            };
            z += 2.0 * along + gap;
        }
    }

    fn fence(&mut self, side: f32, border: &Borders, dice: &mut Dice) {
        let Some(build) = border.fence else { return };
        let margin = match border.row {
            Row::Shore => -0.15,
            Row::Houses => 0.3,
            _ => dice.range(0.8, 3.0),
        };
        let paint = match build {
            Build::Picket => dice.pick([0xE8E6E0, 0x8A6A4A, 0x6A5240]),
            Build::Panel => dice.pick([0x9A7450, 0x7A5C40, 0x8A8478]),
            Build::Railing => dice.pick([0x2A2E2C, 0x4A5258, 0x2A4434]),
        };
        let from = dice.range(0.5, 6.0);
        let fence = Fence {
            curve: self.road.curve,
            offset: side * (self.road.half + border.pavement + margin),
            reach: (from, from + dice.range(25.0, FAR)),
            height: if build == Build::Panel {
                dice.range(1.2, 1.7)
            } else {
                dice.range(0.9, 1.2)
            },
            build,
            paint: rgb(paint),
            seed: dice.bits(),
        };
        let bounds = Bounds {
            near: from,
            ..Bounds::ALL
        };
        self.put(FENCE, Some(bounds), Shape::Fence(fence));
    }

    fn tree(&mut self, at: (f32, f32), height: f32, growth: Growth, dice: &mut Dice) {
        let tree = Tree::draw(at, height, growth, self.season, dice);
        let foot = if growth == Growth::Broadleaf {
            0.3 * height
        } else {
            0.0
        };
        let wide = 1.7 * tree.spread;
        self.blobs
            .push(Blob::cast(at, wide, (foot, height), self.light));
        self.blobs.push(Blob::contact(
            at,
            (1.0, 0.0),
            (0.6 * tree.spread, 0.5 * tree.spread),
        ));
        self.put(VEGETATION, Some(tree.bounds(self.eye)), Shape::Tree(tree));
    }

    fn trees(&mut self, place: Place, side: f32, border: &Borders, dice: &mut Dice) {
        let edge = self.road.half + border.pavement;
        let conifers = dice.unit() * dice.unit();
        if border.row == Row::Blocks {
            if dice.chance(0.5) {
                let step = dice.range(8.0, 16.0);
                let mut z = dice.range(6.0, 14.0);
                while z < 70.0 {
                    let at = self.spot(side * (self.road.half + 0.8), z);
                    self.tree(at, dice.range(4.5, 7.5), Growth::Broadleaf, dice);
                    z += step * dice.range(0.8, 1.5);
                }
            }
            return;
        }
        let (count, near, wide) = match border.row {
            Row::Houses => (dice.range(4.0, 10.0), 1.0, 3.0),
            Row::Shore => (dice.range(2.0, 7.0), 0.3, 0.7),
            _ => (
                dice.range(8.0, 26.0),
                1.2,
                if place == Place::City { 14.0 } else { 26.0 },
            ),
        };
        for _ in 0..count as u32 {
            // Squaring draws more trees near the camera's end than a uniform depth would show.
            let share = dice.unit();
            let z = 6.0 + 74.0 * share * share.sqrt();
            let at = self.spot(side * (edge + near + wide * dice.unit() + 0.05 * z), z);
            if dice.chance(0.25) {
                self.tree(at, dice.range(0.7, 1.6), Growth::Bush, dice);
            } else if dice.chance(conifers) {
                self.tree(at, dice.range(5.0, 13.0), Growth::Conifer, dice);
            } else {
                self.tree(at, dice.range(4.0, 9.0), Growth::Broadleaf, dice);
            }
        }
    }

    fn furniture(&mut self, place: Place, side: f32, border: &Borders, dice: &mut Dice) {
        let kerb = self.road.half + if border.pavement > 0.0 { 0.45 } else { 0.9 };
        let lamps = match place {
            Place::City => dice.chance(0.75),
            Place::Suburb => dice.chance(0.5),
            Place::Country => dice.chance(0.3),
            Place::Park => dice.chance(0.45),
        };
        if lamps {
            let tall = if place == Place::Park {
                dice.range(3.2, 4.2)
            } else {
                dice.range(5.5, 8.0)
            };
            let step = dice.range(14.0, 26.0);
            let paint = rgb(dice.pick([0x3A3E40, 0x6E7478, 0x8A9094, 0x2A3A34]));
            let reach = if place == Place::Country {
                0.0
            } else {
                -side * dice.range(0.9, 1.8)
            };
            let mut z = dice.range(5.0, 16.0);
            while z < 90.0 {
                let (x, z_pole) = self.spot(side * (kerb + border.pavement.min(0.5)), z);
                let pole = Pole {
                    x,
                    z: z_pole,
                    height: tall,
                    half: 0.08,
                    arm: reach,
                    paint,
                };
                self.pole(pole);
                z += step;
            }
        }
        if self.road.half > 0.0 && dice.chance(0.45) {
            let at = self.spot(side * (kerb + 0.2), dice.range(6.0, 20.0));
            let sign = Sign::draw(at, dice);
            let (x, z) = at;
            // The post stands behind its plate.
            let paint = rgb(0x8A8E90);
            let z_post = z + 0.06;
            self.pole(Pole {
                x,
                z: z_post,
                height: sign.centre + 0.2,
                half: 0.05,
                arm: 0.0,
                paint,
            });
            self.put(SIGN, Some(sign.bounds(self.eye)), Shape::Sign(sign));
        }
        if border.pavement > 0.0 && dice.chance(0.22) {
            let z = dice.range(5.0, 14.0);
            let u = self.road.half + border.pavement * dice.range(0.6, 0.95);
            let (x, z) = self.spot(side * u, z);
            let bin = Bin::draw(Frame::new(x, z, dice.range(-0.5, 0.5)), dice);
            self.blobs
                .push(Blob::contact((x, z), (1.0, 0.0), (0.65, 0.6)));
            self.put(VOID, bin.bounds(self.eye), Shape::Bin(bin));
        }
    }

    fn pole(&mut self, pole: Pole) {
        let shadow = Blob::cast((pole.x, pole.z), 0.3, (0.0, pole.height), self.light);
        self.blobs.push(shadow);
        self.put(POLE, Some(pole.bounds(self.eye)), Shape::Pole(pole));
    }
}
