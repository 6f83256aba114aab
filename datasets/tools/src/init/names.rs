//! Names of classes from a text file beside the images.

use std::collections::HashMap;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use dp_sims_datasets::DatasetError;
use dp_sims_datasets::open::open_file;

/// Most bytes of a list of names.
const MOST_BYTES: u64 = 16 << 20;

/// File names that are looked for, in this order.
const FILES: [&str; 6] = [
    "classes.txt",
    // Of labelme2voc.
    "class_names.txt",
    // Of CVAT, Datumaro.
    "labelmap.txt",
    "labels.txt",
    "names.txt",
    // Of CamVid on Kaggle.
    "class_dict.csv",
];

/// The first line of a `labels.txt` of labelme, whose id is -1; the next one is id 0.
const BEFORE_FIRST: &str = "__ignore__";

/// Names that mean void, in lower case and letters alone.
///
/// `background` is none of them: what is void is never learnt, and a background must be painted.
const VOID: [&str; 6] = [
    "void",
    "unlabeled",
    "unlabelled",
    "ignore",
    "ignored",
    "ignorelabel",
];

/// The names of a file.
#[derive(Debug)]
pub(super) struct Names {
    /// The file.
    pub file: PathBuf,
    pub by: NamesBy,
}

/// What the lines of the file give names to.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum NamesBy {
    /// One name a line, counted from 0, or from -1 where the first is `__ignore__`; or `ID NAME`.
    Id(HashMap<u8, String>),
    /// `R G B NAME`, `NAME,R,G,B` or `NAME:R,G,B:PARTS:ACTIONS`.
    Colour(HashMap<[u8; 3], String>),
}

impl Names {
    /// Reads the first file of names in `root` that exists.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn find(root: &Path) -> Result<Option<Self>, DatasetError> {
        let mut paths = FILES.iter().map(|name| root.join(name));
        let Some(file) = paths.find(|path| path.is_file()) else {
            return Ok(None);
        };
        let mut bytes = Vec::new();
        open_file(&file, MOST_BYTES)?
            .read_to_end(&mut bytes)
            .map_err(|source| DatasetError::Read {
                path: file.clone(),
                source,
            })?;
        let text = String::from_utf8_lossy(&bytes);
        let by = parse(text.trim_start_matches('\u{feff}'));
        Ok(Some(Self { file, by }))
    }
}

/// Whether a name means void.
pub(super) fn is_void(name: &str) -> bool {
    let letters = name.chars().filter(|letter| letter.is_alphabetic());
    let letters: String = letters.flat_map(char::to_lowercase).collect();
    VOID.contains(&letters.as_str())
}

fn parse(text: &str) -> NamesBy {
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    let full = lines
        .iter()
        .filter(|line| !line.is_empty() && !line.starts_with('#'));
    let rows = full.clone().filter(|line| !is_head(line));
    let coloured: Option<Vec<_>> = rows.map(|line| coloured(line)).collect();
    if let Some(rows) = coloured.filter(|rows| !rows.is_empty()) {
        return NamesBy::Colour(rows.into_iter().collect());
    }
    let numbered: Option<Vec<_>> = full.map(|line| numbered(line)).collect();
    let starts_below = lines.first().is_some_and(|line| name(line) == BEFORE_FIRST);
    let first = if starts_below { -1 } else { 0 };
    let rows = match numbered {
        Some(rows) => rows,
        None => (first..)
            .zip(&lines)
            .map(|(id, line)| (id, name(line)))
            .collect(),
    };
    // Cityscapes has an id of -1; what is no value of a PNG needs no name.
    let known = rows.into_iter().filter(|(_, name)| !name.is_empty());
    let known = known.filter_map(|(id, name)| Some((u8::try_from(id).ok()?, name)));
    NamesBy::Id(known.collect())
}

/// The number in front of a name.
fn numbered(line: &str) -> Option<(i64, String)> {
    let (number, rest) = split(line)?;
    let rest = name(rest);
    Some((number, rest)).filter(|(_, rest)| !rest.is_empty())
}

/// Whether a line of a table names its columns.
fn is_head(line: &str) -> bool {
    let words = line.split(',').map(|word| word.trim().to_ascii_lowercase());
    words.eq(["name", "r", "g", "b"])
}

/// Three numbers and a name, in either order.
fn coloured(line: &str) -> Option<([u8; 3], String)> {
    colour_first(line).or_else(|| colour_last(line))
}

/// The three numbers behind a name and a comma, or behind the first colon.
fn colour_last(line: &str) -> Option<([u8; 3], String)> {
    let numbers = |text: &str| {
        let values = text.split(',').map(|value| value.trim().parse().ok());
        let values: Option<Vec<u8>> = values.collect();
        <[u8; 3]>::try_from(values?).ok()
    };
    let (label, colour) = match line.split_once(':') {
        Some((label, rest)) => (label, numbers(rest.split(':').next()?)?),
        None => {
            let (place, _) = line.rmatch_indices(',').nth(2)?;
            (&line[..place], numbers(&line[place + 1..])?)
        }
    };
    Some((colour, name(label))).filter(|(_, name)| !name.is_empty())
}

/// The three numbers in front of a name.
fn colour_first(line: &str) -> Option<([u8; 3], String)> {
    let mut rest = line;
    let mut colour = [0; 3];
    for value in &mut colour {
        let (number, after) = split(rest)?;
        *value = u8::try_from(number).ok()?;
        rest = after;
    }
    Some((colour, name(rest))).filter(|(_, name)| !name.is_empty())
}

/// A number and what follows it after white space or one of `,;:=`.
fn split(line: &str) -> Option<(i64, &str)> {
    let separator = |letter: char| letter.is_whitespace() || ",;:=".contains(letter);
    let (number, rest) = line.split_once(separator)?;
    Some((number.parse().ok()?, rest.trim_start_matches(separator)))
}

/// A name without quotes around it.
fn name(text: &str) -> String {
    text.trim_matches(|letter: char| letter.is_whitespace() || "\"',;".contains(letter))
        .to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn by_id(text: &str) -> Vec<(u8, String)> {
        let NamesBy::Id(names) = parse(text) else {
            panic!("{text} gives names by colour");
        };
        let mut names: Vec<_> = names.into_iter().collect();
        names.sort();
        names
    }

    fn expect(pairs: &[(u8, &str)]) -> Vec<(u8, String)> {
        let pairs = pairs.iter();
        pairs.map(|&(id, name)| (id, name.to_string())).collect()
    }

    #[test]
    fn lines_are_counted_from_zero() {
        let names = by_id("sky\r\ntall grass\r\n\r\n\"dog\"\r\n");
        assert_eq!(names, expect(&[(0, "sky"), (1, "tall grass"), (3, "dog")]));
        // Not every line has a number, so that none is an id.
        let names = by_id("2 wheelers\ncar");
        assert_eq!(names, expect(&[(0, "2 wheelers"), (1, "car")]));
        assert_eq!(by_id(""), []);
    }

    #[test]
    fn ids_in_front_of_names_count() {
        let expected = expect(&[(0, "void"), (7, "road lane"), (255, "x")]);
        for text in [
            "0 void\n7 road lane\n255 x\n",
            "0: void\n7: road lane\n255: x",
            "# id, name\n0,void\n\n7,'road lane'\n255,x\n-1,license plate\n1000,y",
            "0\tvoid\n7\troad lane\n255\tx",
        ] {
            assert_eq!(by_id(text), expected, "{text}");
        }
    }

    #[test]
    fn colours_in_front_of_names_count() {
        let names = parse("64 128 64\tAnimal\n192, 0, 128, Archway\n");
        let expected = [([64, 128, 64], "Animal"), ([192, 0, 128], "Archway")];
        let expected = expected.map(|(colour, name)| (colour, name.to_string()));
        assert_eq!(names, NamesBy::Colour(expected.into()));
        // 300 is no part of a colour: ids with odd names.
        assert_eq!(by_id("1 2 300 x"), expect(&[(1, "2 300 x")]));
    }

    #[test]
    fn lists_of_other_tools_are_understood() {
        // labelme: `__ignore__` is -1, and class_names.txt of its export begins with the background.
        let expected = expect(&[(0, "_background_"), (1, "kite"), (2, "sea")]);
        assert_eq!(by_id("__ignore__\n_background_\nkite\nsea\n"), expected);
        assert_eq!(by_id("_background_\nkite\nsea\n"), expected);
        // With a number in front the numbers count.
        assert_eq!(
            by_id("0 __ignore__\n1 kite"),
            expect(&[(0, "__ignore__"), (1, "kite")])
        );
        let colours = [([0, 0, 0], "background"), ([250, 50, 83], "kite, red")];
        let colours: HashMap<_, _> = colours.map(|(c, name)| (c, name.to_string())).into();
        let expected = NamesBy::Colour(colours);
        for text in [
            "# label:color_rgb:parts:actions\nbackground:0,0,0::\nkite, red:250,50,83:tail:fly\n",
            "name,r,g,b\nbackground,0,0,0\n\"kite, red\", 250, 50, 83\n",
        ] {
            assert_eq!(parse(text), expected, "{text}");
        }
        // Ids with odd names are no colours.
        assert_eq!(
            by_id("1: a,2,3,4\n2: b"),
            expect(&[(1, "a,2,3,4"), (2, "b")])
        );
    }

    #[test]
    fn void_has_several_names() {
        for name in ["void", "Unlabeled", "IGNORE", "ignore-label", "un-labelled"] {
            assert!(is_void(name), "{name}");
        }
        for name in ["background", "other", "avoid", ""] {
            assert!(!is_void(name), "{name}");
        }
    }
}
