//! What borders the road on each side.

use super::fence::Build;
use super::noise::Dice;
use super::road::{Road, Verge};

/// The kind of place.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Place {
    City,
    Suburb,
    Country,
    Park,
}

/// What stands along one side of the road.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Row {
    Blocks,
    Houses,
    Trees,
    Shore,
}

/// The choices for one side of the road.
pub(super) struct Borders {
    pub(super) row: Row,
    /// Width of the pavement, metres; 0 = none.
    pub(super) pavement: f32,
    pub(super) verge: Verge,
    /// Distance of buildings from the pavement, metres.
    pub(super) setback: f32,
    pub(super) fence: Option<Build>,
}

impl Borders {
    /// Draws one side of a place.
    pub(super) fn draw(place: Place, dice: &mut Dice) -> Self {
        let roll = dice.unit();
        let row = match place {
            Place::City if roll < 0.80 => Row::Blocks,
            Place::City if roll < 0.90 => Row::Trees,
            Place::Suburb if roll < 0.80 => Row::Houses,
            Place::Country if roll < 0.12 => Row::Houses,
            Place::Country if roll < 0.78 => Row::Trees,
            Place::Park if roll < 0.45 => Row::Trees,
            Place::Suburb => Row::Trees,
            _ => Row::Shore,
        };
        let pavement = match place {
            Place::City => dice.range(2.4, 4.6),
            Place::Suburb if dice.chance(0.75) => dice.range(1.3, 2.2),
            Place::Park => dice.range(0.9, 1.6),
            _ => 0.0,
        };
        let verge = match row {
            Row::Blocks => Verge::Paved,
            Row::Shore if place == Place::City => river(0.0, dice.range(40.0, 120.0)),
            Row::Shore if dice.chance(0.5) => river(dice.range(1.0, 5.0), dice.range(25.0, 150.0)),
            Row::Shore => {
                let half = (dice.range(9.0, 30.0), dice.range(9.0, 40.0));
                let centre = (
                    half.0 + dice.range(0.5, 5.0),
                    half.1 + dice.range(3.0, 12.0),
                );
                Verge::Water { centre, half }
            }
            Row::Houses | Row::Trees => Verge::Grass,
        };
        let fence = match (place, row) {
            (Place::City, Row::Shore) => Some(Build::Railing),
            (Place::City, Row::Blocks) => None,
            (_, Row::Houses) => dice
                .chance(0.55)
                .then(|| dice.pick([Build::Picket, Build::Panel, Build::Railing])),
            _ => dice
                .chance(0.3)
                .then(|| dice.pick([Build::Picket, Build::Railing])),
        };
        let setback = if row == Row::Houses {
            dice.range(3.5, 7.5)
        } else {
            0.1
        };
        Self {
            row,
            pavement,
            verge,
            setback,
            fence,
        }
    }

    /// Distance of the row of facades from the road's centre; far away when there is none.
    pub(super) fn front(&self, road: &Road, side: usize) -> f32 {
        let pavement = road.sides[side].pavement;
        road.half + pavement + self.setback
    }
}

/// A verge of water that starts `bank` metres beyond the pavement.
fn river(bank: f32, width: f32) -> Verge {
    Verge::Water {
        centre: (bank + 0.5 * width, 60.0),
        half: (0.5 * width, 600.0),
    }
}
