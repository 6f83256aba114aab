//! Puts people and cars into a scene.

use super::borders::{Borders, Place};
use super::car::Car;
use super::classes::{CAR, PERSON};
use super::noise::Dice;
use super::object::Shape;
use super::person::Person;
use super::placing::Placer;
use super::shadow::Blob;
use super::solid::Frame;

impl Placer<'_> {
    /// Puts pedestrians on the pavement of one side and on the crossing.
    pub(super) fn people(&mut self, place: Place, side: f32, border: &Borders, dice: &mut Dice) {
        let most = match place {
            Place::City => 6.0,
            Place::Suburb => 2.5,
            Place::Park => 3.0,
            Place::Country => 0.0,
        };
        if border.pavement == 0.0 {
            return;
        }
        for _ in 0..(most * dice.unit()) as u32 {
            let z = 4.5 + 26.0 * dice.unit() * dice.unit();
            let u = self.road.half + border.pavement * dice.range(0.25, 0.85);
            let at = self.spot(side * u, z);
            self.person(at, dice);
        }
        if self.road.zebra.is_some() && dice.chance(0.35) {
            let z = self.road.zebra.unwrap_or(0.0) + dice.range(0.8, 2.4);
            let at = self.spot(side * self.road.half * dice.range(0.2, 0.95), z);
            self.person(at, dice);
        }
    }

    fn person(&mut self, at: (f32, f32), dice: &mut Dice) {
        let person = Person::draw(at, dice);
        self.blobs
            .push(Blob::cast(at, 0.42, (0.0, person.height), self.light));
        self.blobs.push(Blob::contact(at, (1.0, 0.0), (0.34, 0.22)));
        self.put(PERSON, Some(person.bounds(self.eye)), Shape::Person(person));
    }

    /// Puts moving and parked cars on the road.
    pub(super) fn traffic(&mut self, place: Place, dice: &mut Dice) {
        let half = self.road.half;
        let busy = match place {
            Place::City => dice.range(0.2, 0.9),
            Place::Suburb => dice.range(0.1, 0.6),
            _ => dice.range(0.0, 0.45),
        };
        // (distance from the centre, oncoming, first depth, spacing, chance of a car)
        let mut lanes = vec![
            (0.45 * half.min(3.6), false, 11.0, 16.0, 0.7 * busy),
            (-0.45 * half.min(3.6), true, 7.0, 14.0, busy),
        ];
        if half > 6.0 {
            lanes.push((4.9, false, 8.0, 14.0, busy));
            lanes.push((-4.9, true, 7.0, 14.0, busy));
        } else if half > 4.2 {
            let parked = dice.range(0.2, 0.95);
            lanes.push((half - 1.1, false, 5.5, 6.2, parked));
            lanes.push((
                1.1 - half,
                dice.chance(0.7),
                5.5,
                6.2,
                dice.range(0.2, 0.95),
            ));
        }
        for (u, oncoming, first, spacing, chance) in lanes {
            let mut z = first + dice.range(0.0, 6.0);
            while z < 80.0 {
                if dice.chance(chance) {
                    self.car(u, z, oncoming, dice);
                }
                z += spacing
                    * if spacing > 10.0 {
                        dice.range(0.8, 1.8)
                    } else {
                        1.0
                    };
            }
        }
    }

    fn car(&mut self, u: f32, z: f32, oncoming: bool, dice: &mut Dice) {
        let turn = if oncoming { std::f32::consts::PI } else { 0.0 };
        let (x, z) = self.spot(u + dice.range(-0.12, 0.12), z);
        let heading = self.heading(z);
        let car = Car::draw(Frame::new(x, z, heading + turn), dice);
        let along = (heading.sin(), heading.cos());
        let length = car.half_length();
        self.blobs
            .push(Blob::contact((x, z), along, (length * 1.22, 1.3)));
        self.blobs
            .push(Blob::cast((x, z), 2.2, (0.0, 1.2), self.light));
        self.put(CAR, car.bounds(self.eye), Shape::Car(car));
    }
}
