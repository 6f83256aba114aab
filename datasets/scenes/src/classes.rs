//! The classes of the scenes. Colours follow Cityscapes where it has the class.

use dp_sims_datasets::{Class, ClassTable};

pub(super) const VOID: u8 = 0;
pub(super) const SKY: u8 = 1;
pub(super) const MOUNTAIN: u8 = 2;
pub(super) const BUILDING: u8 = 3;
pub(super) const ROAD: u8 = 4;
pub(super) const LANE_MARKING: u8 = 5;
pub(super) const PAVEMENT: u8 = 6;
pub(super) const GRASS: u8 = 7;
pub(super) const VEGETATION: u8 = 8;
pub(super) const WATER: u8 = 9;
pub(super) const FENCE: u8 = 10;
pub(super) const POLE: u8 = 11;
pub(super) const SIGN: u8 = 12;
pub(super) const CAR: u8 = 13;
pub(super) const PERSON: u8 = 14;

/// The class table, in the order of the constants above.
pub(super) fn table() -> ClassTable {
    let rows: [(&str, [u8; 3], bool); 15] = [
        ("void", [0, 0, 0], false),
        ("sky", [70, 130, 180], false),
        ("mountain", [150, 120, 90], false),
        ("building", [70, 70, 70], false),
        ("road", [128, 64, 128], false),
        ("lane marking", [255, 255, 255], false),
        ("pavement", [244, 35, 232], false),
        ("grass", [152, 251, 152], false),
        ("vegetation", [107, 142, 35], false),
        ("water", [61, 230, 250], false),
        ("fence", [190, 153, 153], false),
        ("pole", [153, 153, 153], true),
        ("traffic sign", [220, 220, 0], true),
        ("car", [0, 0, 142], true),
        ("person", [220, 20, 60], true),
    ];
    let classes = rows
        .into_iter()
        .map(|(name, colour, thing)| Class {
            name: name.to_owned(),
            colour,
            thing,
        })
        .collect();
    ClassTable { classes }
}

/// Whether the class is a countable object that carries an instance number.
pub(super) fn is_thing(class: u8) -> bool {
    matches!(class, POLE | SIGN | CAR | PERSON)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn things_agree_with_the_table() {
        for (index, class) in table().classes.iter().enumerate() {
            assert_eq!(class.thing, is_thing(index as u8), "{}", class.name);
        }
    }
}
