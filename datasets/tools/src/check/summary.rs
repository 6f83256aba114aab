//! The survey of a split in figures, for machines.

use std::collections::BTreeMap;

use dp_sims_datasets::Split;
use serde::Serialize;

use super::diagnosis::Finding;
use super::fault::{Fault, FaultKind};
use super::survey::SplitSurvey;
use crate::scan::Tally;

/// A survey as it is written to JSON. Classes are counted over the pairs without fault.
#[derive(Debug, Serialize)]
pub struct Summary<'a> {
    /// The split.
    pub split: Split,
    /// Number of pairs of a photo and a label map.
    pub pairs: usize,
    /// Number of pairs without fault.
    pub sound: usize,
    /// Number of pixels of these.
    pub pixels: u64,
    /// The classes by index, void first.
    pub classes: Vec<ClassSummary<'a>>,
    /// Why instances were not counted although they are described.
    pub instances_note: Option<&'a str>,
    /// Number of faults, listed or not.
    pub fault_count: u64,
    /// Number of faults by kind.
    pub faults_by_kind: &'a BTreeMap<FaultKind, u64>,
    /// Pixels and label maps of every unknown id.
    pub unknown_ids: &'a BTreeMap<u32, Tally>,
    /// The faults, at most 10,000.
    pub faults: &'a [Fault],
    /// What the label maps look like where they are not as described.
    pub diagnosis: &'a [Finding],
}

/// A class in figures.
#[derive(Debug, Serialize)]
pub struct ClassSummary<'a> {
    /// Class index.
    pub index: usize,
    /// Name.
    pub name: &'a str,
    /// True for countable objects.
    pub thing: bool,
    /// Number of pixels.
    pub pixels: u64,
    /// Share of all pixels, 0 to 1.
    pub share: f64,
    /// Number of images with the class.
    pub images: u64,
    /// Weight with which balanced sampling draws an image whose rarest class it is; null for void
    /// and for a class that does not occur.
    pub weight: Option<f64>,
    /// Number of instances; null where they were not read.
    pub instances: Option<u64>,
    /// Mean number of pixels of an instance.
    pub mean_instance_pixels: Option<f64>,
}

impl SplitSurvey {
    /// The survey in figures.
    pub fn summary(&self) -> Summary<'_> {
        let all = self.pixels().max(1) as f64;
        let classes = self.classes().classes.iter().enumerate();
        let classes = classes.map(|(index, class)| {
            let tally = self.instances.as_ref().map(|tallies| tallies[index]);
            ClassSummary {
                index,
                name: &class.name,
                thing: class.thing,
                pixels: self.report.pixels[index],
                share: self.report.pixels[index] as f64 / all,
                images: self.report.images[index],
                weight: self.weight(index),
                instances: tally.map(|tally| tally.count),
                mean_instance_pixels: tally.and_then(|tally| tally.mean_pixels()),
            }
        });
        Summary {
            split: self.split(),
            pairs: self.pairs().len(),
            sound: self.sound.len(),
            pixels: self.pixels(),
            classes: classes.collect(),
            instances_note: self.instances_note.as_deref(),
            fault_count: self.faults.count,
            faults_by_kind: &self.faults.by_kind,
            unknown_ids: &self.faults.unknown_ids,
            faults: &self.faults.listed,
            diagnosis: &self.findings,
        }
    }
}
