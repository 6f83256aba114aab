//! Everything about one pair: its faults, its classes and what its label map looks like.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;

use dp_sims_datasets::budget::{decoding_bytes, room};
use dp_sims_datasets::check::count_labels;
use dp_sims_datasets::files::Pair;
use dp_sims_datasets::folder::same_size;
use dp_sims_datasets::labels::{LabelCode, LabelMap, classes_of};
use dp_sims_datasets::open::open_file;
use dp_sims_datasets::photo::{photo_size, read_photo};
use dp_sims_datasets::raster::read_png;
use dp_sims_datasets::{DatasetError, DescribedFolder, LabelledImages, Size};

use super::Depth;
use super::fault::Fault;
use crate::scan::{MapEvidence, Seen};

/// What was found in a pair.
pub(super) struct PairCheck {
    pub faults: Vec<Fault>,
    /// What the label map looks like; `None` when it could not be decoded.
    pub evidence: Option<MapEvidence>,
    /// True when the label map is a JPEG file.
    pub jpeg: bool,
    /// Pixels of each class of a pair without fault.
    pub counts: Option<Vec<u64>>,
    /// Pixels of every instance by class and number, where instances are read.
    pub instances: BTreeMap<(u8, u16), u64>,
}

/// Looks at pair `index` of a split.
pub(super) fn check_pair(
    dataset: &DescribedFolder,
    index: usize,
    pair: &Pair,
    depth: Depth,
) -> PairCheck {
    let mut check = PairCheck {
        faults: Vec::new(),
        evidence: None,
        jpeg: false,
        counts: None,
        instances: BTreeMap::new(),
    };
    let _room = room(decoding_bytes(pair));
    let map = check.read_map(dataset, pair);
    let photo = match depth {
        Depth::Headers => photo_size(&pair.image),
        Depth::Pixels => read_photo(&pair.image).map(|(_, size)| size),
    };
    let photo = check.note(photo);
    // The size of a map with unknown values is known too, and compared.
    if let (Some((size, _)), Some(photo)) = (&map, photo) {
        check.note(same_size(pair, photo, *size));
    }
    let Some((_, Some(map))) = map else {
        return check;
    };
    if let Some(Some(instances)) = check.note(dataset.instances(index, pair, &map)) {
        let pixels = map.labels.iter().copied().zip(instances);
        let pixels: Vec<(u8, u16)> = pixels.filter(|(_, number)| *number > 0).collect();
        for run in pixels.chunk_by(PartialEq::eq) {
            *check.instances.entry(run[0]).or_default() += run.len() as u64;
        }
    }
    if check.faults.is_empty() {
        check.counts = Some(count_labels(&map.labels, dataset.classes().len()));
    }
    check
}

impl PairCheck {
    /// Keeps a fault, or gives the value back.
    fn note<T>(&mut self, result: Result<T, DatasetError>) -> Option<T> {
        match result {
            Ok(value) => Some(value),
            Err(error) => {
                self.faults.push(Fault::new(&error, None));
                None
            }
        }
    }

    /// The size of the label map, and the map where all its values are described.
    fn read_map(
        &mut self,
        dataset: &DescribedFolder,
        pair: &Pair,
    ) -> Option<(Size, Option<LabelMap>)> {
        let (path, code) = (&pair.labels, dataset.code());
        let raster = match read_png(path, |_, _| None) {
            Ok(raster) => raster,
            Err(error) => {
                self.jpeg = starts_like_jpeg(path);
                self.faults.push(Fault::new(&error, None));
                return None;
            }
        };
        let size = raster.size;
        let evidence = MapEvidence::of(&raster, code.values());
        let evidence = self.evidence.insert(evidence);
        if let Some((found, remedy)) = code.refuse(raster.colour, raster.depth()) {
            let path = path.clone();
            let error = DatasetError::LabelFormat {
                path,
                found,
                remedy,
            };
            self.faults.push(Fault::new(&error, None));
            return Some((size, None));
        }
        let unknown = unknown_values(evidence, path, size.width, code);
        match classes_of(raster, path, code) {
            Ok(map) => Some((size, Some(map))),
            Err(error) if unknown.is_empty() => {
                self.faults.push(Fault::new(&error, None));
                Some((size, None))
            }
            Err(_) => {
                self.faults.extend(unknown);
                Some((size, None))
            }
        }
    }
}

/// A fault for every unknown id of a map, one for all values above 255, and one for all unknown
/// colours.
fn unknown_values(
    evidence: &MapEvidence,
    path: &Path,
    width: usize,
    code: &LabelCode,
) -> Vec<Fault> {
    let at = |first: usize| (path.to_path_buf(), first % width, first / width);
    match code {
        LabelCode::Ids(class_of_id) => {
            let (ids, large): (Vec<&Seen<u16>>, Vec<&Seen<u16>>) = evidence
                .values
                .iter()
                .partition(|seen| seen.value <= u16::from(u8::MAX));
            let unknown = ids
                .into_iter()
                .filter(|seen| class_of_id[usize::from(seen.value)].is_none())
                .map(|seen| {
                    let ((path, x, y), id) = (at(seen.first), seen.value as u8);
                    let error = DatasetError::UnknownId { path, x, y, id };
                    Fault::new(&error, Some(seen.pixels))
                });
            let pixels = large.iter().map(|seen| seen.pixels).sum();
            let first = large.iter().min_by_key(|seen| (seen.first, seen.value));
            let large = first.map(|seen| {
                let ((path, x, y), id) = (at(seen.first), seen.value);
                let error = DatasetError::LargeId { path, x, y, id };
                Fault::new(&error, Some(pixels))
            });
            unknown.chain(large).collect()
        }
        LabelCode::Colours(class_of_colour) => {
            let colours = evidence.colours.iter();
            let unknown = colours.filter(|seen| !class_of_colour.contains_key(&seen.value));
            let pixels = unknown.clone().map(|seen| seen.pixels).sum();
            let first = unknown.min_by_key(|seen| seen.first).map(|seen| {
                let ((path, x, y), colour) = (at(seen.first), seen.value);
                let error = DatasetError::UnknownColour { path, x, y, colour };
                Fault::new(&error, Some(pixels))
            });
            first.into_iter().collect()
        }
    }
}

/// True when a file begins as a JPEG does.
fn starts_like_jpeg(path: &Path) -> bool {
    let mut start = [0; 3];
    open_file(path, u64::MAX).is_ok_and(|mut file| file.read_exact(&mut start).is_ok())
        && start == [0xff, 0xd8, 0xff]
}
