use std::sync::atomic::{AtomicUsize, Ordering};

use dp_sims_datasets::check::{check_split, load_or_check};
use dp_sims_datasets::description::{Instances, LabelValues};
use dp_sims_datasets::testing::assert_says;
use dp_sims_datasets::testing::{Garden, oriented};
use image::{DynamicImage, GrayImage, ImageBuffer, Luma, RgbImage};

use super::*;
use crate::check::{FaultKind, FindingKind};
use crate::scan::CHUNK;

/// Everything about the garden.
pub(in crate::check) fn look(garden: &Garden) -> SplitSurvey {
    let (description, root) = (&garden.description, garden.root());
    survey(
        description,
        root,
        Split::Train,
        &[],
        Depth::Pixels,
        &|_, _| {},
    )
    .unwrap()
}

/// Kind, file name, pixel and id of a fault.
type Place = (FaultKind, String, Option<(usize, usize)>, Option<u32>);

fn places(survey: &SplitSurvey) -> Vec<Place> {
    let place = |fault: &Fault| {
        let name = fault.file.file_name().unwrap_or_default().to_string_lossy();
        (
            fault.kind,
            name.into_owned(),
            fault.x.zip(fault.y),
            fault.id,
        )
    };
    survey.faults.listed.iter().map(place).collect()
}

#[test]
fn a_clean_split_has_the_report_of_the_check() {
    let garden = Garden::new(7);
    let found = look(&garden);
    assert!(
        found.faults.is_empty() && found.findings.is_empty(),
        "{found:?}"
    );
    let report = check_split(&garden.open().unwrap(), &|_, _| {}).unwrap();
    assert_eq!(found.report, report);
    assert_eq!(found.sound, [0, 1, 2, 3, 4, 5, 6]);
    assert_eq!(found.void, [(16, 48); 7]);
    assert_eq!((found.pixels(), found.split()), (7 * 48, Split::Train));
    assert!(found.absent().is_empty());
    // Void has no weight; grass is in 7 of 7 images and the dog in 2.
    assert_eq!((found.weight(0), found.weight(1)), (None, Some(1.0)));
    assert_eq!(found.weight(2), Some(3.5_f64.sqrt()));
    assert_eq!(found.weight(99), None);
    let weights = dp_sims_datasets::balanced_weights(&report.presence);
    assert_eq!(Some(weights[2]), found.weight(2));
    assert_eq!(found.instances, None);
}

#[test]
fn what_is_remembered_spares_the_next_check() {
    let garden = Garden::new(3);
    let cache = tempfile::tempdir().unwrap();
    let calls = AtomicUsize::new(0);
    let count = |_: usize, _: usize| {
        calls.fetch_add(1, Ordering::Relaxed);
    };
    let found = look(&garden);
    assert!(found.remember(cache.path()).unwrap());
    let folder = garden.open().unwrap();
    let (report, _) = load_or_check(&folder, cache.path(), &count).unwrap();
    assert_eq!((report, calls.load(Ordering::Relaxed)), (found.report, 0));

    // A split with a fault is not remembered.
    garden.write_labels(1, GrayImage::from_pixel(8, 6, Luma([9])).into());
    let cache = tempfile::tempdir().unwrap();
    assert!(!look(&garden).remember(cache.path()).unwrap());
    assert_eq!(std::fs::read_dir(cache.path()).unwrap().count(), 0);
    // Neither is what changed after the survey began.
    garden.write_labels(1, Garden::labels(1));
    let found = look(&garden);
    garden.write_labels(1, GrayImage::from_pixel(8, 6, Luma([9])).into());
    found.remember(cache.path()).unwrap();
    assert!(load_or_check(&garden.open().unwrap(), cache.path(), &count).is_err());
}

#[test]
fn every_kind_of_fault_is_collected_with_its_place() {
    let garden = Garden::new(12);
    std::fs::remove_file(garden.labels_path(0)).unwrap();
    std::fs::remove_file(garden.photo_path(1)).unwrap();
    let ids = |value: fn(u32, u32) -> u8| {
        DynamicImage::from(GrayImage::from_fn(8, 6, |x, y| Luma([value(x, y)])))
    };
    // Row 3 has 7 and 9 in turn, from column 1 on.
    let odd = |x, y| {
        if y == 3 && x > 0 {
            7 + 2 * (x % 2) as u8
        } else {
            1
        }
    };
    garden.write_labels(2, ids(odd));
    std::fs::write(garden.labels_path(3), "no image").unwrap();
    garden.write_labels(4, DynamicImage::new_luma8(8, 5));
    garden.write_labels(5, DynamicImage::new_rgb8(8, 6));
    let wide = ImageBuffer::from_fn(8, 6, |x, y| {
        Luma([if y == 5 { 26_000 + x as u16 } else { 1 }])
    });
    garden.write_labels(6, DynamicImage::ImageLuma16(wide));
    let photo = std::fs::read(garden.photo_path(7)).unwrap();
    std::fs::write(garden.photo_path(7), &photo[..photo.len() - 40]).unwrap();
    // Both halves of a pair can be at fault.
    garden.write_labels(8, ids(|_, _| 77));
    garden.write_photo(8, DynamicImage::new_rgb8(9, 6));
    let mut jpeg = std::io::Cursor::new(Vec::new());
    RgbImage::new(8, 6)
        .write_to(&mut jpeg, image::ImageFormat::Jpeg)
        .unwrap();
    std::fs::write(garden.photo_path(9), oriented(&jpeg.into_inner(), 6)).unwrap();

    let found = look(&garden);
    use FaultKind::*;
    let at = |kind, name: &str| (kind, name.to_string(), None, None);
    let pixel = |kind, name: &str, place, id| (kind, name.to_string(), Some(place), Some(id));
    assert_eq!(
        places(&found),
        [
            at(MissingPartner, "00.png"),
            at(MissingPartner, "01.jpg"),
            pixel(UnknownId, "02.png", (2, 3), 7),
            pixel(UnknownId, "02.png", (1, 3), 9),
            at(Damaged, "03.png"),
            at(SizeMismatch, "04.png"),
            at(LabelFormat, "05.png"),
            pixel(LargeId, "06.png", (0, 5), 26_000),
            at(Damaged, "07.png"),
            pixel(UnknownId, "08.png", (0, 0), 77),
            at(SizeMismatch, "08.png"),
            at(Turned, "09.png"),
        ]
    );
    let pixels: Vec<_> = found
        .faults
        .listed
        .iter()
        .filter_map(|fault| fault.pixels)
        .collect();
    assert_eq!(pixels, [3, 4, 8, 48]);
    assert_eq!(found.faults.count, 12);
    assert_eq!(found.faults.by_kind[&UnknownId], 3);
    assert_eq!(
        found.faults.unknown_ids.keys().copied().collect::<Vec<_>>(),
        [7, 9, 77]
    );
    assert!(
        found
            .faults
            .listed
            .iter()
            .all(|fault| !fault.remedy.is_empty())
    );
    // Pairs 10 and 11, at places 8 and 9 among the ten pairs, are all that is counted.
    assert_eq!((found.pairs().len(), &found.sound[..]), (10, &[8, 9][..]));
    assert_eq!(found.report.images, [2, 2, 1]);

    // With headers alone the cut photo passes.
    let headers = survey(
        &garden.description,
        garden.root(),
        Split::Train,
        &[],
        Depth::Headers,
        &|_, _| {},
    );
    assert_eq!(headers.unwrap().faults.count, 11);
}

#[test]
fn the_result_does_not_depend_on_the_number_of_threads() {
    let garden = Garden::new(CHUNK + 40);
    for index in [3, 40, CHUNK, CHUNK + 39] {
        garden.write_labels(
            index,
            GrayImage::from_pixel(8, 6, Luma([index as u8 | 8])).into(),
        );
    }
    let seen = std::sync::Mutex::new(Vec::new());
    let run = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
        pool.unwrap().install(|| {
            let note = |done, total| seen.lock().unwrap().push((done, total));
            let (description, root) = (&garden.description, garden.root());
            survey(description, root, Split::Train, &[], Depth::Pixels, &note).unwrap()
        })
    };
    let (one, many) = (run(1), run(5));
    assert_eq!((&one.faults, &one.report), (&many.faults, &many.report));
    assert_eq!((one.faults.count, one.sound.len()), (4, CHUNK + 36));
    let total = CHUNK + 40;
    let mut seen = seen.into_inner().unwrap();
    seen.sort_unstable();
    let expected = (1..=total).flat_map(|done| [(done, total); 2]);
    assert_eq!(seen, expected.collect::<Vec<_>>());
}

#[test]
fn empty_and_missing_folders_are_faults_of_the_split() {
    let garden = Garden::new(0);
    let found = look(&garden);
    assert_eq!(found.faults.listed[0].kind, FaultKind::EmptySplit);
    assert_eq!((found.faults.count, found.pixels()), (1, 0));
    std::fs::remove_dir(garden.root().join("masks")).unwrap();
    let found = look(&garden);
    assert_eq!(found.faults.listed[0].kind, FaultKind::Unreadable);
    assert!(
        found.faults.listed[0].message.contains("masks"),
        "{:?}",
        found.faults
    );
    assert!(!found.remember(garden.root()).unwrap());
}

#[test]
fn instances_are_counted_or_their_absence_is_noted() {
    let mut garden = Garden::new(6);
    let Some(SplitFiles::Folders(folders)) = &mut garden.description.train else {
        panic!("the garden is described by folders");
    };
    let source = "[png]\nfolder = \"numbers\"";
    folders.instances = Some(toml::from_str::<Instances>(source).unwrap());
    let found = look(&garden);
    assert_eq!(found.instances, None);
    let note = found.instances_note.unwrap();
    assert_says(&note, &["numbers"]);
    // What training does not read is no fault.
    assert!(found.faults.is_empty());

    std::fs::create_dir(garden.root().join("numbers")).unwrap();
    for index in 0..6 {
        let numbers = GrayImage::from_fn(8, 6, |x, _| Luma([1 + x as u8]));
        numbers
            .save(garden.root().join(format!("numbers/{index:02}.png")))
            .unwrap();
    }
    // Columns 0 and 1 of rows 2 to 5 are a dog in images 2 and 5.
    let found = look(&garden);
    let tallies = found.instances.unwrap();
    assert_eq!(
        tallies[2],
        InstanceTally {
            count: 4,
            pixels: 16
        }
    );
    assert_eq!(tallies[2].mean_pixels(), Some(4.0));
    assert_eq!((tallies[1].count, tallies[1].mean_pixels()), (0, None));
    // Damage in an instance map that is there is a fault.
    let path = garden.root().join("numbers/04.png");
    GrayImage::new(3, 3).save(path).unwrap();
    let found = look(&garden);
    assert_eq!(found.faults.listed[0].kind, FaultKind::Instances);
    assert_eq!(found.sound, [0, 1, 2, 3, 5]);
}

#[test]
fn typical_mistakes_are_recognised_in_files() {
    let kinds = |garden: &Garden| {
        let known = [garden.description.clone()];
        let (description, root) = (&garden.description, garden.root());
        let found = survey(
            description,
            root,
            Split::Train,
            &known,
            Depth::Pixels,
            &|_, _| {},
        );
        let found = found.unwrap();
        found
            .findings
            .into_iter()
            .map(|finding| finding.kind)
            .collect::<Vec<_>>()
    };
    let mut garden = Garden::new(4);
    let write_all = |garden: &Garden, image: &DynamicImage| {
        for index in 0..4 {
            garden.write_labels(index, image.clone());
            garden.write_photo(index, DynamicImage::new_rgb8(image.width(), image.height()));
        }
    };
    let noise = |x: u32, y: u32| (x * 37 + y * 101 + x * y) as u8;
    let photo = RgbImage::from_fn(64, 64, |x, y| {
        image::Rgb([noise(x, y), noise(y, x), x as u8])
    });
    write_all(&garden, &photo.clone().into());
    assert_eq!(kinds(&garden), [FindingKind::Photos]);
    for index in 0..4 {
        photo
            .save_with_format(garden.labels_path(index), image::ImageFormat::Jpeg)
            .unwrap();
    }
    assert_eq!(kinds(&garden), [FindingKind::Jpeg]);
    let colours = [[0, 0, 0], [0x40, 0xa0, 0x40], [0xa0, 0x60, 0x20]];
    let coded = RgbImage::from_fn(64, 64, |x, _| image::Rgb(colours[(x / 7 % 3) as usize]));
    write_all(&garden, &coded.into());
    assert_eq!(kinds(&garden), [FindingKind::ColourCoded]);
    let ids = GrayImage::from_fn(64, 64, |x, _| Luma([x as u8 / 7 % 3 * 100]));
    let small = image::imageops::resize(&ids, 40, 40, image::imageops::FilterType::Triangle);
    write_all(&garden, &small.into());
    assert_eq!(kinds(&garden), [FindingKind::Interpolated]);
    let sharp = image::imageops::resize(&ids, 40, 40, image::imageops::FilterType::Nearest);
    write_all(&garden, &sharp.into());
    assert_eq!(kinds(&garden), []);
    let mask = GrayImage::from_fn(8, 6, |x, _| Luma([255 * (x as u8 % 2)]));
    write_all(&garden, &mask.into());
    assert_eq!(kinds(&garden), [FindingKind::BinaryMask]);

    let Some(SplitFiles::Folders(folders)) = &mut garden.description.train else {
        panic!("the garden is described by folders");
    };
    folders.label_values = LabelValues::Colours;
    assert_eq!(kinds(&garden), [FindingKind::NotColourCoded]);
}
