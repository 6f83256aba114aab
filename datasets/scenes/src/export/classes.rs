//! From the classes of the scenes to those of other datasets, by name.

use dp_sims_datasets::{ClassTable, Description};

use super::{ExportError, Layout};

/// Every class of the scenes with the class of nearest meaning in ADE20K, COCO-Stuff and Cityscapes.
///
/// COCO-Stuff has a `street sign`, but in no file; stop signs are the traffic signs that occur.
/// Cityscapes counts lawns and hills as terrain, and water beside the road as ground.
const NEAREST: [(&str, [&str; 3]); 14] = [
    ("sky", ["sky", "sky-other", "sky"]),
    ("mountain", ["mountain", "mountain", "terrain"]),
    ("building", ["building", "building-other", "building"]),
    ("road", ["road", "road", "road"]),
    ("lane marking", ["road", "road", "road"]),
    ("pavement", ["sidewalk", "pavement", "sidewalk"]),
    ("grass", ["grass", "grass", "terrain"]),
    ("vegetation", ["tree", "tree", "vegetation"]),
    ("water", ["water", "water-other", "ground"]),
    ("fence", ["fence", "fence", "fence"]),
    ("pole", ["pole", "structural-other", "pole"]),
    ("traffic sign", ["signboard", "stop sign", "traffic sign"]),
    ("car", ["car", "car", "car"]),
    ("person", ["person", "person", "person"]),
];

/// The name in `layout` of the class `name` of the scenes; `None` for a class that is not listed.
pub(super) fn nearest(layout: Layout, name: &str) -> Option<&str> {
    let column = match layout {
        Layout::Ade20k => 0,
        Layout::CocoStuff => 1,
        Layout::Cityscapes => 2,
        Layout::Folder => return Some(name),
    };
    let row = NEAREST.iter().find(|(scene, _)| *scene == name)?;
    Some(row.1[column])
}

/// What becomes of the class indices of the scenes.
pub(super) struct ClassMap {
    /// By class index: the id to write, and whether its class is a thing.
    targets: Vec<(u8, bool)>,
    /// The id to write for void.
    void: u8,
}

impl ClassMap {
    /// Finds the class of nearest meaning for every class of `source`; void becomes void.
    ///
    /// # Errors
    /// When the description lacks such a class or an id of void.
    pub fn new(
        layout: Layout,
        source: &ClassTable,
        description: &Description,
    ) -> Result<Self, ExportError> {
        let missing = |class: &str| ExportError::NoClass {
            dataset: description.name.clone(),
            class: class.to_string(),
        };
        let void = *description.void.first().ok_or_else(|| missing("void"))?;
        let mut targets = vec![(void, false)];
        for class in source.classes.iter().skip(1) {
            let name = nearest(layout, &class.name).unwrap_or(&class.name);
            let mut classes = description.classes.iter();
            let target = classes
                .find(|class| class.name == name)
                .and_then(|class| Some((*class.ids.first()?, class.thing)));
            targets.push(target.ok_or_else(|| missing(name))?);
        }
        Ok(Self { targets, void })
    }

    /// The id of a class index; that of void for an index outside the table.
    pub fn id(&self, label: u8) -> u8 {
        let target = self.targets.get(usize::from(label));
        target.map_or(self.void, |target| target.0)
    }

    /// Whether a class index becomes a thing.
    pub fn is_thing(&self, label: u8) -> bool {
        let target = self.targets.get(usize::from(label));
        target.is_some_and(|target| target.1)
    }

    /// The id that means void.
    pub fn void(&self) -> u8 {
        self.void
    }
}
