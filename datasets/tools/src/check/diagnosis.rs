//! What the label maps of a split look like where they are not what the description says.
//!
//! Nothing here is certain: the same values can come about in several ways. So every finding says
//! what something looks like, and why.

use std::collections::HashSet;

use dp_sims_datasets::Description;
use dp_sims_datasets::description::LabelValues;
use serde::Serialize;

use crate::scan::{Evidence, Tally};

/// What label maps look like.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum FindingKind {
    /// Photos in place of label maps.
    Photos,
    /// JPEG files, which change values.
    Jpeg,
    /// Colours in place of ids.
    ColourCoded,
    /// Ids in place of colours.
    NotColourCoded,
    /// Values mixed along the edges.
    Interpolated,
    /// Instance numbers in place of ids.
    InstanceMaps,
    /// Nothing but 0 and 255.
    BinaryMask,
    /// Ids one above or below those described.
    ShiftedIds,
    /// 255 where nothing is labelled.
    Unlabelled,
    /// Two ids of void, of which one may be a class whose name is counted from another base.
    TwoVoids,
    /// The ids or colours of another dataset.
    OtherDataset,
}

impl FindingKind {
    /// Whether what looks so must not be trained on, even where every value is described.
    pub fn spoils(self) -> bool {
        matches!(self, Self::Photos | Self::Jpeg | Self::Interpolated)
    }
}

/// What the label maps of a split look like, and what to do if they are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What they look like.
    pub kind: FindingKind,
    /// What they look like and why, in words.
    pub message: String,
    /// What to do.
    pub remedy: String,
}

impl Finding {
    fn new(kind: FindingKind, message: String, remedy: impl Into<String>) -> Self {
        let remedy = remedy.into();
        Self {
            kind,
            message,
            remedy,
        }
    }
}

/// What the label maps look like, most likely first. `known` are the datasets that they may be of.
pub(crate) fn diagnose(
    evidence: &Evidence,
    description: &Description,
    values: LabelValues,
    known: &[Description],
) -> Vec<Finding> {
    let mut findings = Vec::new();
    let all = evidence.maps + evidence.jpegs;
    if evidence.jpegs > 0 {
        findings.push(Finding::new(
            FindingKind::Jpeg,
            format!("{} of the label maps are JPEG files, which do not keep values", evidence.jpegs),
            "write the label maps anew as PNG; converting the JPEG files does not bring the ids back",
        ));
    }
    if evidence.photos > 0 {
        findings.push(Finding::new(
            FindingKind::Photos,
            format!(
                "{} of {all} label maps look like photos: most neighbouring pixels differ",
                evidence.photos
            ),
            "check that `labels` and `label_suffix` of the split, or the second column of its list, \
             name the label maps",
        ));
    }
    if evidence.is_smoothed() {
        findings.push(Finding::new(
            FindingKind::Interpolated,
            format!(
                "{} of {} label maps look interpolated: along the edges are values between those of \
                 the two sides",
                evidence.smoothed, evidence.judged
            ),
            "make the label maps anew, resized with nearest neighbour and stored as PNG; bilinear, \
             bicubic and JPEG mix ids into others",
        ));
    }
    match values {
        LabelValues::Ids => {
            findings.extend(colours_for_ids(evidence, description, known));
            findings.extend(instances(evidence, description));
            findings.extend(two_voids(evidence, description));
            if !evidence.is_smoothed() {
                findings.extend(unknown_ids(evidence, description, known));
            }
        }
        LabelValues::Colours => findings.extend(unknown_colours(evidence, description, known)),
    }
    findings
}

/// Colour maps where ids are asked for.
fn colours_for_ids(
    evidence: &Evidence,
    description: &Description,
    known: &[Description],
) -> Option<Finding> {
    if evidence.coloured == 0 || evidence.colours.is_empty() {
        return None;
    }
    let (count, colours) = (evidence.coloured, evidence.colours.len());
    let found = |what: String, remedy: String| {
        let message = format!("{count} label maps look colour-coded: {what}");
        Some(Finding::new(FindingKind::ColourCoded, message, remedy))
    };
    if has_colours(description, evidence) {
        return found(
            "their colours are those of the described classes".to_string(),
            "set `label_values = \"colours\"` in the table of the split".to_string(),
        );
    }
    if let Some(other) = known.iter().find(|other| has_colours(other, evidence)) {
        return found(
            format!("their colours are those of the classes of `{}`", other.name),
            format!(
                "use the classes and colours of `{}` and set `label_values = \"colours\"`",
                other.name
            ),
        );
    }
    if colours > 256 {
        return None;
    }
    found(
        format!("they have {colours} colours in all, but not those of the described classes"),
        "give every class its `colour` of the label maps and set `label_values = \"colours\"`, or \
         convert the colours to ids"
            .to_string(),
    )
}

/// True when nearly all pixels, 19 of 20, have colours of the classes of a dataset. Where edges are
/// smoothed, half of the pixels are enough.
fn has_colours(description: &Description, evidence: &Evidence) -> bool {
    let classes = description.class_of_colour();
    let sum = |known: bool| {
        let colours = evidence.colours.iter();
        let kept = colours.filter(|(colour, _)| !known || classes.contains_key(*colour));
        kept.map(|(_, tally)| tally.pixels).sum::<u64>()
    };
    // Black alone is void in every dataset.
    let several = evidence
        .colours
        .keys()
        .filter(|colour| classes.contains_key(*colour))
        .count()
        > 1;
    let least = if evidence.is_smoothed() { 10 } else { 19 };
    several && 20 * sum(true) >= least * sum(false)
}

/// Void at both ends: lists of names that begin with `unlabeled` are one too high for label maps that
/// have 255 in its place, as those of COCO-Stuff.
fn two_voids(evidence: &Evidence, description: &Description) -> Option<Finding> {
    let [first, last] = [0, u8::MAX].map(|id| {
        let tally = evidence.ids.get(&u16::from(id));
        tally.filter(|_| description.void.contains(&id))
    });
    let (first, last) = (first?, last?);
    let all: u64 = evidence.ids.values().map(|tally| tally.pixels).sum();
    let share = |tally: &Tally| 100.0 * tally.pixels as f64 / all.max(1) as f64;
    Some(Finding::new(
        FindingKind::TwoVoids,
        format!(
            "0 and 255 are both void and both occur, in {:.1} % and {:.1} % of the pixels: so it looks \
             where names are counted from another base than ids, as in COCO-Stuff, whose labels.txt \
             calls 0 unlabeled while its label maps have 255 for that and 0 for the first class",
            share(first),
            share(last)
        ),
        "look at pixels of id 0: where they show something, all names are one id too high; subtract 1 \
         from every number in the list of names, or write its names without the first one a line each, \
         and describe the folder anew with `dataset init --force`",
    ))
}

/// Values that only instance maps have.
fn instances(evidence: &Evidence, description: &Description) -> Option<Finding> {
    let large: Vec<u16> = evidence
        .ids
        .range(1000..)
        .map(|(&value, _)| value)
        .collect();
    if large.is_empty() {
        return None;
    }
    let class_of_id = description.class_of_id();
    let known = |&&value: &&u16| {
        let id = usize::from(value / 1000);
        class_of_id[id].is_some()
    };
    let explained = large.iter().filter(known).count();
    let (count, maps, all) = (large.len(), evidence.wide, evidence.maps);
    let values = if count == 1 { "value" } else { "values" };
    let why = if 10 * explained >= 9 * count {
        "divided by 1000, as in the instanceIds of Cityscapes, they are ids"
    } else {
        "ids are 0 to 255"
    };
    Some(Finding::new(
        FindingKind::InstanceMaps,
        format!(
            "{maps} of {all} label maps look like instance maps: {count} {values} of 1000 and more; {why}"
        ),
        "name the maps of ids in `labels` and `label_suffix`, such as `_gtFine_labelIds.png`; \
         instance maps belong into `instances.png`",
    ))
}

/// Ids that are not described, all together.
fn unknown_ids(
    evidence: &Evidence,
    description: &Description,
    known: &[Description],
) -> Vec<Finding> {
    let class_of_id = description.class_of_id();
    let narrow = |value: &u16| u8::try_from(*value).ok();
    let seen: Vec<u8> = evidence.ids.keys().filter_map(narrow).collect();
    let is_known = |id: &u8| class_of_id[usize::from(*id)].is_some();
    let unknown: Vec<u8> = seen.iter().copied().filter(|id| !is_known(id)).collect();
    if unknown.is_empty() || seen.len() < evidence.ids.len() {
        return Vec::new();
    }
    if unknown.contains(&255) && seen.iter().all(|&id| id == 0 || id == 255) {
        return vec![Finding::new(
            FindingKind::BinaryMask,
            "the label maps look like binary masks: all pixels are 0 or 255".to_string(),
            "add 255 to the `ids` of the class that the masks show",
        )];
    }
    let mut findings = Vec::new();
    let up = shifted(&seen, 1, &class_of_id);
    let down = shifted(&seen, -1, &class_of_id);
    if unknown == [255] {
        let also = if up {
            "; the other ids would be known too if all were one higher, as where ADE20K is written \
             with 0 to 149 and 255"
        } else {
            ""
        };
        findings.push(Finding::new(
            FindingKind::Unlabelled,
            format!("the only unknown id is 255, which looks like pixels without label{also}"),
            "add 255 to `void`",
        ));
    }
    for (fits, way, remedy) in [
        (up, "higher", "subtract 1 from every id of the description"),
        (down, "lower", "add 1 to every id of the description"),
    ] {
        if fits {
            let wrap = match way {
                "higher" => ", and 255 were 0",
                _ => ", and 0 were 255",
            };
            let wraps = seen.contains(if way == "higher" { &255 } else { &0 });
            let message = format!(
                "the ids look shifted by one: all {} would be known if they were one {way}{}",
                seen.len(),
                if wraps { wrap } else { "" }
            );
            let remedy = format!("{remedy}, or convert the label maps; look at a few before");
            findings.push(Finding::new(FindingKind::ShiftedIds, message, remedy));
        }
    }
    // With one or two unknown ids nearly every larger dataset would fit.
    if findings.is_empty() && unknown.len() > 2 {
        findings.extend(other_ids(&seen, &unknown, description, known));
    }
    findings
}

/// True when adding `by` to all ids makes all of them known, where 255 and 0 are neighbours.
fn shifted(seen: &[u8], by: i8, class_of_id: &[Option<u8>; 256]) -> bool {
    let moved = seen.iter().map(|id| id.wrapping_add_signed(by));
    // One or two ids fit too easily.
    seen.len() > 2
        && moved
            .clone()
            .all(|id| class_of_id[usize::from(id)].is_some())
}

/// The dataset with the fewest ids that knows all seen ones.
fn other_ids(
    seen: &[u8],
    unknown: &[u8],
    description: &Description,
    known: &[Description],
) -> Option<Finding> {
    let ids = |other: &Description| other.class_of_id().iter().flatten().count();
    let fits = |other: &&Description| {
        let class_of_id = other.class_of_id();
        let all = seen
            .iter()
            .all(|&id| class_of_id[usize::from(id)].is_some());
        all && other.classes != description.classes
    };
    let other = known.iter().filter(fits).min_by_key(|other| ids(other))?;
    Some(Finding::new(
        FindingKind::OtherDataset,
        format!(
            "the label maps look like those of another dataset: {} of {} ids are not those of `{}`, \
             but all are ids of `{}`",
            unknown.len(),
            seen.len(),
            description.name,
            other.name
        ),
        format!(
            "check `{}` instead, or complete the description",
            other.name
        ),
    ))
}

/// Maps without class colours where these are asked for.
fn unknown_colours(
    evidence: &Evidence,
    description: &Description,
    known: &[Description],
) -> Vec<Finding> {
    let mut findings = Vec::new();
    let gray = evidence.narrow + evidence.wide;
    if gray > 0 {
        findings.push(Finding::new(
            FindingKind::NotColourCoded,
            format!("{gray} label maps are gray: they look like maps of ids"),
            "remove `label_values = \"colours\"` from the table of the split and list the `ids`",
        ));
    }
    let classes: HashSet<_> = description.class_of_colour().into_keys().collect();
    let unknown = |(colour, _): &(&[u8; 3], &Tally)| !classes.contains(*colour);
    if evidence.colours.iter().filter(unknown).count() > 2 && !has_colours(description, evidence) {
        let other = known.iter().find(|other| has_colours(other, evidence));
        findings.extend(other.map(|other| {
            Finding::new(
                FindingKind::OtherDataset,
                format!(
                    "the colours look like those of the classes of `{}`",
                    other.name
                ),
                format!("use the classes and colours of `{}`", other.name),
            )
        }));
    }
    findings
}

#[cfg(test)]
mod tests;
