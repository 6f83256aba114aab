//! Walking through a whole split past every fault.

use std::io::ErrorKind;
use std::path::Path;
use std::sync::Arc;

use dp_sims_datasets::check::{self, Progress, Report};
use dp_sims_datasets::description::SplitFiles;
use dp_sims_datasets::files::Pair;
use dp_sims_datasets::sampler::class_weight;
use dp_sims_datasets::{
    ClassTable, DatasetError, DescribedFolder, Description, LabelledImages, Split,
};
use serde::Serialize;

use super::diagnosis::{Finding, diagnose};
use super::fault::{Fault, Faults};
use super::pair::{PairCheck, check_pair};
use crate::scan::{Evidence, scan};

/// How much of every photo is read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Depth {
    /// Its header.
    Headers,
    /// All of it, which finds damaged pixels.
    #[default]
    Pixels,
}

/// Instances of a class.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct InstanceTally {
    /// Number of instances over all images without fault.
    pub count: u64,
    /// Sum of their pixels.
    pub pixels: u64,
}

impl InstanceTally {
    /// Mean number of pixels, `None` without an instance.
    pub fn mean_pixels(&self) -> Option<f64> {
        (self.count > 0).then(|| self.pixels as f64 / self.count as f64)
    }
}

/// What was found in a split, faults included.
#[derive(Clone, Debug)]
pub struct SplitSurvey {
    /// Everything wrong.
    pub faults: Faults,
    /// What the label maps look like where they are not what the description says.
    pub findings: Vec<Finding>,
    /// The report over the images without fault, in dataset order.
    pub report: Report,
    /// Index, among all pairs, of every image of `report`.
    pub sound: Vec<usize>,
    /// Instances of each class, void first; `None` where they were not read.
    pub instances: Option<Vec<InstanceTally>>,
    /// Why instances were not read although they are described; a fault too, unless they are missing.
    pub instances_note: Option<String>,
    /// Void pixels and all pixels of every image of `report`.
    pub void: Vec<(u64, u64)>,
    dataset: Arc<DescribedFolder>,
    fingerprint: Option<String>,
}

/// Looks at all pairs of a split on all cores. Whatever is wrong with files is collected.
///
/// `known` are the datasets that label maps are compared with where they are not as described.
///
/// # Errors
/// When the description is not valid or has no such split.
pub fn survey(
    description: &Description,
    root: &Path,
    split: Split,
    known: &[Description],
    depth: Depth,
    progress: &Progress,
) -> Result<SplitSurvey, DatasetError> {
    let mut faults = Faults::default();
    let dataset = {
        let mut collect = |error: DatasetError| {
            faults.push(Fault::new(&error, None));
            Ok(())
        };
        DescribedFolder::open_with(description, root, split, &mut collect)?
    };
    if dataset.is_empty() && faults.is_empty() {
        faults.push(Fault::new(&dataset.empty(), None));
    }
    // Taken before the files are read: what changes in the meantime is not remembered as checked.
    let fingerprint = check::fingerprint(&dataset).ok();
    let files = description.files(split);
    let (dataset, instances_note) = match files.and_then(SplitFiles::instances) {
        Some(_) => match dataset.clone().with_instances() {
            Ok(dataset) => (dataset, None),
            Err(error) => {
                let fault = Fault::new(&error, None);
                let note = Some(fault.message.clone());
                // Training without offsets needs no instances: they may be missing, not be wrong.
                if !is_absent(&error) {
                    faults.push(fault);
                }
                (dataset, note)
            }
        },
        None => (dataset, None),
    };
    let mut survey = SplitSurvey {
        faults,
        findings: Vec::new(),
        report: Report::new(dataset.classes().len()),
        sound: Vec::new(),
        instances: dataset
            .has_instances()
            .then(|| vec![InstanceTally::default(); dataset.classes().len()]),
        instances_note,
        void: Vec::new(),
        dataset: Arc::new(dataset),
        fingerprint,
    };
    let evidence = survey.walk(depth, progress);
    let values = files.map(SplitFiles::label_values).unwrap_or_default();
    survey.findings = diagnose(&evidence, description, values, known);
    let place = match files {
        Some(SplitFiles::Folders(folders)) => root.join(&folders.labels),
        Some(SplitFiles::List(list)) => root.join(&list.file),
        None => root.to_path_buf(),
    };
    for finding in survey
        .findings
        .iter()
        .filter(|finding| finding.kind.spoils())
    {
        survey
            .faults
            .push(Fault::of_finding(finding, place.clone()));
    }
    Ok(survey)
}

/// Whether a file or folder is not there at all.
fn is_absent(error: &DatasetError) -> bool {
    matches!(error, DatasetError::Read { source, .. } if source.kind() == ErrorKind::NotFound)
}

impl SplitSurvey {
    /// Looks at every pair and sums up in dataset order.
    fn walk(&mut self, depth: Depth, progress: &Progress) -> Evidence {
        let dataset = Arc::clone(&self.dataset);
        let pairs = dataset.pairs();
        let look = |index: usize| check_pair(&dataset, index, &pairs[index], depth);
        let mut evidence = Evidence::default();
        scan(pairs.len(), progress, look, |index, check| {
            self.add(index, check, &mut evidence);
        });
        evidence
    }

    fn add(&mut self, index: usize, check: PairCheck, evidence: &mut Evidence) {
        if let Some(map) = &check.evidence {
            evidence.add(map);
        }
        evidence.jpegs += usize::from(check.jpeg);
        for fault in check.faults {
            self.faults.push(fault);
        }
        let Some(counts) = check.counts else { return };
        self.sound.push(index);
        self.void.push((counts[0], counts.iter().sum()));
        self.report.add(&counts);
        if let Some(tallies) = &mut self.instances {
            for ((class, _), pixels) in check.instances {
                let tally = &mut tallies[usize::from(class)];
                tally.count += 1;
                tally.pixels += pixels;
            }
        }
    }

    /// The split.
    pub fn split(&self) -> Split {
        self.dataset.split()
    }

    /// The pairs found, in dataset order.
    pub fn pairs(&self) -> &[Pair] {
        self.dataset.pairs()
    }

    /// The classes.
    pub fn classes(&self) -> &ClassTable {
        self.dataset.classes()
    }

    /// The split itself, for looking at single images.
    pub(super) fn dataset(&self) -> &DescribedFolder {
        &self.dataset
    }

    /// Sum of all pixels of the images without fault.
    pub fn pixels(&self) -> u64 {
        self.report.pixels.iter().sum()
    }

    /// The weight with which balanced sampling draws an image whose rarest class is `class`.
    ///
    /// `None` for void, which never counts as the rarest class, and for a class that does not occur.
    pub fn weight(&self, class: usize) -> Option<f64> {
        let images = *self.report.images.get(class)?;
        (class > 0 && images > 0).then(|| class_weight(self.sound.len(), images as usize))
    }

    /// Names of the classes that occur in no image without fault, void aside.
    pub fn absent(&self) -> Vec<&str> {
        let classes = self
            .classes()
            .classes
            .iter()
            .zip(&self.report.images)
            .skip(1);
        let absent = classes.filter(|(_, images)| **images == 0);
        absent.map(|(class, _)| class.name.as_str()).collect()
    }

    /// Remembers the report in `cache_dir` for [`dp_sims_datasets::load_or_check`], if the split is without
    /// fault. Returns whether it did.
    ///
    /// # Errors
    /// [`DatasetError::Write`] when the report cannot be written.
    pub fn remember(&self, cache_dir: &Path) -> Result<bool, DatasetError> {
        match &self.fingerprint {
            Some(fingerprint) if self.faults.is_empty() => {
                check::save(cache_dir, fingerprint, &self.report).map(|()| true)
            }
            _ => Ok(false),
        }
    }
}

#[cfg(test)]
pub(super) mod tests;
