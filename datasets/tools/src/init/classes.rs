//! The classes of a surveyed folder: which ids are void, and names and colours for the others.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use dp_sims_datasets::hex;

use super::SurveyedClass;
use super::names::{Names, NamesBy, is_void};
use super::values::Values;
use crate::colours::{are_distinct, distinct_colours};

/// The id that means void where nothing says otherwise.
const VOID_ID: u8 = 255;

/// Classes and void.
pub(super) struct Found {
    pub classes: Vec<SurveyedClass>,
    pub void: Vec<u8>,
    pub void_pixels: u64,
    /// False when there are names, but not for such values.
    pub names_fit: bool,
    /// True when the colours are those of the files.
    pub own_colours: bool,
    /// Ids or colours that the list of names lacks, with their pixels; they are no classes.
    pub unlisted: Vec<(String, u64)>,
    /// What the list of names calls black, which is void in coloured label maps.
    pub black: Option<String>,
}

/// Finds the classes of label maps with such values; `complete` says that all maps were read.
pub(super) fn find_classes(values: &Values, names: Option<&Names>, complete: bool) -> Found {
    let by = names.map(|names| &names.by);
    match values {
        Values::Ids { pixels, palette } => {
            let names = match by {
                Some(NamesBy::Id(names)) => Some(names.clone()),
                Some(NamesBy::Colour(names)) => by_palette(palette.as_ref(), names),
                None => None,
            };
            let names =
                names.filter(|names| covers(pixels, |id| *id == VOID_ID || names.contains_key(id)));
            Found {
                names_fit: by.is_none() || names.is_some(),
                ..of_ids(pixels, palette.as_ref(), names.as_ref(), complete)
            }
        }
        Values::Colours(pixels) => {
            let names = match by {
                Some(NamesBy::Colour(names)) => Some(names),
                _ => None,
            };
            let names = names.filter(|names| {
                covers(pixels, |colour| {
                    *colour == [0; 3] || names.contains_key(colour)
                })
            });
            Found {
                names_fit: by.is_none() || names.is_some(),
                ..of_colours(pixels, names)
            }
        }
    }
}

/// Whether a list of names is for label maps with such pixels: it knows at least half of them.
fn covers<T>(pixels: &BTreeMap<T, u64>, is_known: impl Fn(&T) -> bool) -> bool {
    let known = pixels.iter().filter(|(value, _)| is_known(value));
    2 * known.map(|(_, count)| count).sum::<u64>() >= pixels.values().sum()
}

/// The names of the ids whose colours of a palette have names.
fn by_palette(
    palette: Option<&BTreeMap<u8, [u8; 3]>>,
    names: &HashMap<[u8; 3], String>,
) -> Option<HashMap<u8, String>> {
    let name = |(id, colour): (&u8, &[u8; 3])| Some((*id, names.get(colour)?.clone()));
    let found: HashMap<u8, String> = palette?.iter().filter_map(name).collect();
    (!found.is_empty()).then_some(found)
}

fn of_ids(
    pixels: &BTreeMap<u8, u64>,
    palette: Option<&BTreeMap<u8, [u8; 3]>>,
    names: Option<&HashMap<u8, String>>,
    complete: bool,
) -> Found {
    let name = |id: u8| names.and_then(|names| names.get(&id));
    // A mask of 0 and 255 tells two classes apart.
    let binary = pixels.keys().eq([0, VOID_ID].iter());
    let means_void = |id: u8| match name(id) {
        Some(name) => is_void(name),
        None => id == VOID_ID && !binary,
    };
    let mut ids: BTreeSet<u8> = pixels.keys().copied().collect();
    ids.extend(names.into_iter().flat_map(HashMap::keys));
    if !complete {
        ids.insert(VOID_ID);
    }
    let count = |id: u8| pixels.get(&id).copied().unwrap_or(0);
    let (mut void, mut void_pixels) = (Vec::new(), 0);
    let mut unlisted = Vec::new();
    let mut classes: Vec<SurveyedClass> = Vec::new();
    for id in ids {
        if means_void(id) {
            void.push(id);
            void_pixels += count(id);
            continue;
        }
        if names.is_some() && name(id).is_none() {
            unlisted.push((id.to_string(), count(id)));
            continue;
        }
        let name = name(id).cloned().unwrap_or_else(|| format!("class {id}"));
        match classes.iter_mut().find(|class| class.name == name) {
            Some(class) => {
                class.ids.push(id);
                class.pixels += count(id);
            }
            None => classes.push(SurveyedClass {
                name,
                colour: [0; 3],
                ids: vec![id],
                pixels: count(id),
            }),
        }
    }
    let of_palette = |class: &SurveyedClass| {
        let mut ids = class.ids.iter();
        let colour = ids.find_map(|id| palette?.get(id).copied());
        // Black is void; palettes of PASCAL VOC have it for the background.
        colour.filter(|colour| *colour != [0; 3])
    };
    let mut colours: Vec<_> = classes.iter().map(of_palette).collect();
    let known: Vec<[u8; 3]> = colours.iter().flatten().copied().collect();
    let own_colours = !known.is_empty() && are_distinct(&known);
    if !own_colours {
        colours.fill(None);
    }
    for (class, colour) in classes.iter_mut().zip(filled(&colours)) {
        class.colour = colour;
    }
    Found {
        classes,
        void,
        void_pixels,
        names_fit: true,
        own_colours,
        unlisted,
        black: None,
    }
}

/// Makes up colours where there are none, as different as possible from those that there are.
fn filled(colours: &[Option<[u8; 3]>]) -> Vec<[u8; 3]> {
    let known: Vec<[u8; 3]> = colours.iter().flatten().copied().collect();
    let far = |colour: &[u8; 3]| known.iter().all(|other| are_distinct(&[*colour, *other]));
    let made: Vec<[u8; 3]> = match known.is_empty() {
        true => distinct_colours(colours.len()),
        false => distinct_colours(255).into_iter().filter(far).collect(),
    };
    let mut made = made.into_iter();
    // More classes than colours is more than a description may have, which is refused elsewhere.
    let colour = |colour: &Option<[u8; 3]>| colour.or_else(|| made.next()).unwrap_or([255; 3]);
    colours.iter().map(colour).collect()
}

fn of_colours(pixels: &BTreeMap<[u8; 3], u64>, names: Option<&HashMap<[u8; 3], String>>) -> Found {
    let mut pixels = pixels.clone();
    let void_pixels = pixels.remove(&[0; 3]).unwrap_or(0);
    let black = names.and_then(|names| names.get(&[0; 3]));
    let black = black.filter(|name| !is_void(name)).cloned();
    let mut unlisted = Vec::new();
    if let Some(names) = names {
        pixels.retain(|colour, count| {
            let is_known = names.contains_key(colour);
            if !is_known {
                unlisted.push((hex(*colour), *count));
            }
            is_known
        });
    }
    let named = names.into_iter().flat_map(HashMap::keys);
    for colour in named.filter(|colour| **colour != [0; 3]) {
        pixels.entry(*colour).or_insert(0);
    }
    let mut rows: Vec<([u8; 3], u64)> = pixels.into_iter().collect();
    rows.sort_by_key(|&(_, count)| Reverse(count));
    // A colour is a class, so that a name may stand for one colour alone; `void` is black.
    let mut taken = HashSet::from(["void".to_string()]);
    let mut classes = Vec::with_capacity(rows.len());
    for (number, (colour, pixels)) in (1..).zip(rows) {
        let name = names.and_then(|names| names.get(&colour)).cloned();
        let name = name.unwrap_or_else(|| format!("class {number}"));
        let mut unique = name.clone();
        let mut count = 1;
        while !taken.insert(unique.clone()) {
            count += 1;
            unique = format!("{name} {count}");
        }
        classes.push(SurveyedClass {
            name: unique,
            colour,
            ids: Vec::new(),
            pixels,
        });
    }
    Found {
        classes,
        void: Vec::new(),
        void_pixels,
        names_fit: true,
        own_colours: true,
        unlisted,
        black,
    }
}
