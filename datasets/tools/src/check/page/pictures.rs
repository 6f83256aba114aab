//! Small pictures of the images that are worth a look.

use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use dp_sims_datasets::files::Pair;
use dp_sims_datasets::labels::{LabelCode, classes_of, triples};
use dp_sims_datasets::photo::read_photo;
use dp_sims_datasets::raster::{Raster, read_png};
use dp_sims_datasets::resize::{resize_labels, resize_photo};
use dp_sims_datasets::{ClassTable, Size};
use image::codecs::jpeg::JpegEncoder;
use image::codecs::png::PngEncoder;
use image::{ExtendedColorType, ImageEncoder};
use png::ColorType;

use super::{count, percent};
use crate::check::fault::{Fault, FaultKind};
use crate::check::survey::SplitSurvey;

/// Longest side of a picture in pixels.
const SIDE: usize = 224;

/// Most pictures of faulty label maps, of rare classes, and of void.
const MAX_FAULTY: usize = 6;
const MAX_RARE: usize = 6;
const MAX_VOID: usize = 3;

/// Least share of void that makes an image worth a look.
const MIN_VOID: f64 = 0.01;

/// Unknown values are drawn in a colour that catches the eye.
const UNKNOWN: [u8; 3] = [255, 0, 255];

/// A photo with its label map.
pub(super) struct Exhibit {
    pub name: String,
    pub caption: String,
    /// Addresses with the pictures in them; `None` where there is nothing to show.
    pub photo: Option<String>,
    pub labels: Option<String>,
}

/// Pictures that show the same kind of thing.
pub(super) struct Group {
    pub title: &'static str,
    pub note: &'static str,
    pub exhibits: Vec<Exhibit>,
}

/// The pictures of a split; `left` is the number of bytes that they may still take.
pub(super) fn exhibits(survey: &SplitSurvey, left: &mut usize) -> Vec<Group> {
    let groups = [
        Group {
            title: "Faulty pairs",
            note: "Unknown values are magenta.",
            exhibits: faulty(survey, left),
        },
        Group {
            title: "Rarest classes",
            note: "An image of each of the classes in the fewest images; other classes are pale.",
            exhibits: rare(survey, left),
        },
        Group {
            title: "Most void",
            note: "The images with the largest share of void, which is black.",
            exhibits: void(survey, left),
        },
    ];
    groups
        .into_iter()
        .filter(|group| !group.exhibits.is_empty())
        .collect()
}

fn faulty(survey: &SplitSurvey, left: &mut usize) -> Vec<Exhibit> {
    let mut exhibits = Vec::new();
    let mut shown = BTreeSet::new();
    let files = |(index, pair): (usize, &'_ Pair)| {
        [(pair.labels.clone(), index), (pair.image.clone(), index)]
    };
    let pairs: HashMap<PathBuf, usize> = match survey.faults.is_empty() {
        true => HashMap::new(),
        false => survey.pairs().iter().enumerate().flat_map(files).collect(),
    };
    // One of each kind comes before a second one.
    let mut kinds = BTreeSet::new();
    let (first, rest): (Vec<&Fault>, Vec<&Fault>) = survey
        .faults
        .listed
        .iter()
        .filter(|fault| pairs.contains_key(&fault.file))
        .partition(|fault| kinds.insert(fault.kind));
    for fault in first.into_iter().chain(rest) {
        if exhibits.len() == MAX_FAULTY {
            break;
        }
        let Some(&index) = pairs.get(&fault.file) else {
            continue;
        };
        if !shown.insert(index) {
            continue;
        }
        exhibits.push(exhibit(survey, index, caption(fault), None, left));
    }
    exhibits
}

/// A fault of a pair in a few words.
fn caption(fault: &Fault) -> String {
    let what = match (fault.kind, fault.id) {
        (FaultKind::UnknownId, Some(id)) => format!("unknown id {id}"),
        (_, Some(id)) => format!("value {id}"),
        (FaultKind::UnknownColour, _) => "unknown colour".to_string(),
        (FaultKind::Unreadable, _) => "cannot be read".to_string(),
        (FaultKind::Damaged, _) => "damaged".to_string(),
        (FaultKind::LabelFormat, _) => "no map of ids or class colours".to_string(),
        (FaultKind::SizeMismatch, _) => "photo and label map differ in size".to_string(),
        (FaultKind::Turned, _) => "the photo is turned, the label map is not".to_string(),
        (FaultKind::Instances, _) => "instances do not fit".to_string(),
        (FaultKind::AmbiguousName, _) => "another file has the same name".to_string(),
        (FaultKind::UnknownId | FaultKind::LargeId, None) => "unknown id".to_string(),
        (FaultKind::NotUtf8, _) => "the name is not UTF-8".to_string(),
        (FaultKind::MissingPartner, _) => "no partner".to_string(),
        (FaultKind::ListLine | FaultKind::EmptySplit, _)
        | (FaultKind::Unusable | FaultKind::Other, _) => "see the list of faults".to_string(),
    };
    match fault.x.zip(fault.y) {
        Some((x, y)) => format!("{what} at (x={x}, y={y})"),
        None => what,
    }
}

fn rare(survey: &SplitSurvey, left: &mut usize) -> Vec<Exhibit> {
    let report = &survey.report;
    let classes = (0..=u8::MAX).zip(report.images.iter().zip(&report.pixels));
    let mut rare: Vec<(u64, u64, u8)> = classes
        .skip(1)
        .filter(|(_, (images, _))| **images > 0)
        .map(|(class, (&images, &pixels))| (images, pixels, class))
        .collect();
    rare.sort_unstable();
    rare.truncate(MAX_RARE);
    let mut shown = BTreeSet::new();
    let mut exhibits = Vec::new();
    for (images, _, class) in rare {
        let with_class = |place: &usize| report.presence[*place].contains(class);
        let mut places = (0..report.presence.len()).filter(with_class);
        let Some(first) = places.next() else { continue };
        // An image that has been shown already only where there is no other.
        let place = match shown.contains(&first) {
            true => places.find(|place| !shown.contains(place)).unwrap_or(first),
            false => first,
        };
        shown.insert(place);
        let name = &survey.classes().classes[usize::from(class)].name;
        let caption = format!("{name}: in {}", count(images, "image"));
        exhibits.push(exhibit(
            survey,
            survey.sound[place],
            caption,
            Some(class),
            left,
        ));
    }
    exhibits
}

fn void(survey: &SplitSurvey, left: &mut usize) -> Vec<Exhibit> {
    let share = |&(void, all): &(u64, u64)| void as f64 / all.max(1) as f64;
    let mut shares: Vec<(f64, usize)> = survey
        .void
        .iter()
        .map(share)
        .zip(survey.sound.iter().copied())
        .filter(|(share, _)| *share >= MIN_VOID)
        .collect();
    shares.sort_by(|a, b| b.0.total_cmp(&a.0));
    shares.truncate(MAX_VOID);
    let show = |(share, index)| {
        exhibit(
            survey,
            index,
            format!("{} void", percent(share)),
            None,
            left,
        )
    };
    shares.into_iter().map(show).collect()
}

/// The pictures of pair `index`; other classes than `only` are pale.
fn exhibit(
    survey: &SplitSurvey,
    index: usize,
    caption: String,
    only: Option<u8>,
    left: &mut usize,
) -> Exhibit {
    let pair = &survey.pairs()[index];
    let mut within = |address: Option<String>| {
        let address = address.filter(|address| address.len() <= *left)?;
        *left -= address.len();
        Some(address)
    };
    Exhibit {
        name: pair.name.clone(),
        caption,
        photo: within(photo(&pair.image)),
        labels: within(labels(
            &pair.labels,
            survey.dataset().code(),
            survey.classes(),
            only,
        )),
    }
}

fn photo(path: &Path) -> Option<String> {
    let (pixels, size) = read_photo(path).ok()?;
    let small = small(size.upright);
    jpeg(&resize_photo(pixels, size.upright, small).ok()?, small)
}

fn labels(path: &Path, code: &LabelCode, classes: &ClassTable, only: Option<u8>) -> Option<String> {
    let raster = read_png(path, |_, _| None).ok()?;
    let size = raster.size;
    let to = small(size);
    let pixels = draw(raster, path, code, classes, only)?;
    let pixels = resize_labels(&pixels, size, to).ok()?.concat();
    let mut file = Vec::new();
    PngEncoder::new(&mut file)
        .write_image(
            &pixels,
            to.width as u32,
            to.height as u32,
            ExtendedColorType::Rgb8,
        )
        .ok()?;
    // What is no label map, noise above all, is smaller as JPEG.
    if file.len() > 1 << 15 {
        return jpeg(&pixels, to);
    }
    Some(format!("data:image/png;base64,{}", STANDARD.encode(file)))
}

/// The colour of every pixel of a label map; `None` for files with 16-bit colours and with alpha.
fn draw(
    raster: Raster,
    path: &Path,
    code: &LabelCode,
    classes: &ClassTable,
    only: Option<u8>,
) -> Option<Vec<[u8; 3]>> {
    let pale = |[red, green, blue]: [u8; 3]| [red, green, blue].map(|value| 150 + value / 8);
    let colour = |class: u8| match only {
        Some(only) if only != class => pale(classes.colour(class)),
        _ => classes.colour(class),
    };
    match (raster.colour, code) {
        (ColorType::Grayscale | ColorType::Indexed, LabelCode::Ids(class_of_id)) => {
            let known = |value: u16| class_of_id[usize::from(u8::try_from(value).ok()?)];
            let values = raster.values().into_iter();
            Some(
                values
                    .map(|value| known(value).map_or(UNKNOWN, colour))
                    .collect(),
            )
        }
        (ColorType::Rgb | ColorType::Rgba, LabelCode::Ids(_)) if !raster.wide => {
            Some(triples(&raster.bytes, raster.colour.samples()).collect())
        }
        (ColorType::Rgb | ColorType::Rgba, LabelCode::Colours(class_of_colour)) if !raster.wide => {
            let known = |rgb: [u8; 3]| class_of_colour.get(&rgb).copied();
            let pixels = triples(&raster.bytes, raster.colour.samples());
            Some(
                pixels
                    .map(|rgb| known(rgb).map_or(UNKNOWN, colour))
                    .collect(),
            )
        }
        (ColorType::Indexed, LabelCode::Colours(_)) => {
            let map = classes_of(raster, path, code).ok()?;
            Some(map.labels.into_iter().map(colour).collect())
        }
        (ColorType::Grayscale, LabelCode::Colours(_)) => {
            let gray = |value: u16| [value.min(255) as u8; 3];
            Some(raster.values().into_iter().map(gray).collect())
        }
        _ => None,
    }
}

/// The size of a picture: not larger than the image, with sides of at most [`SIDE`].
fn small(size: Size) -> Size {
    let longest = size.height.max(size.width).max(SIDE);
    let side = |side: usize| (side * SIDE / longest).max(1);
    Size::new(side(size.height), side(size.width))
}

fn jpeg(pixels: &[u8], size: Size) -> Option<String> {
    let mut file = Vec::new();
    JpegEncoder::new_with_quality(&mut file, 80)
        .write_image(
            pixels,
            size.width as u32,
            size.height as u32,
            ExtendedColorType::Rgb8,
        )
        .ok()?;
    Some(format!("data:image/jpeg;base64,{}", STANDARD.encode(file)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pictures_are_small_and_never_enlarged() {
        assert_eq!(small(Size::new(480, 640)), Size::new(168, 224));
        assert_eq!(small(Size::new(128, 171)), Size::new(128, 171));
        assert_eq!(small(Size::new(1, 60_000)), Size::new(1, 224));
        let picture = jpeg(&[200; 3 * 6], Size::new(2, 3)).unwrap();
        assert!(
            picture.starts_with("data:image/jpeg;base64,/9j/"),
            "{picture}"
        );
    }
}
