use std::path::Path;

use dp_sims_datasets::testing::assert_says;

use super::*;

/// A dataset whose classes have these ids, and colours of their own.
fn dataset(name: &str, void: &[u8], ids: std::ops::RangeInclusive<u8>, blue: u8) -> Description {
    let classes: String = ids
        .map(|id| {
            format!("[[class]]\nname = \"c{id}\"\ncolour = [{id}, 7, {blue}]\nids = [{id}]\n")
        })
        .collect();
    let text = format!(
        "name = \"{name}\"\nvoid = {void:?}\n{classes}[train.folders]\nimages = \"i\"\n\
         labels = \"l\"\n"
    );
    Description::parse(&text, Path::new("d.toml")).unwrap()
}

/// Evidence of ten narrow maps with these ids.
fn ids(values: impl IntoIterator<Item = u16>) -> Evidence {
    let tally = Tally {
        pixels: 1000,
        maps: 10,
    };
    Evidence {
        maps: 10,
        narrow: 10,
        judged: 10,
        ids: values.into_iter().map(|value| (value, tally)).collect(),
        ..Evidence::default()
    }
}

/// Evidence of ten colour maps with these colours and pixels.
fn colours(colours: &[([u8; 3], u64)]) -> Evidence {
    let tally = |&(colour, pixels)| (colour, Tally { pixels, maps: 10 });
    Evidence {
        maps: 10,
        coloured: 10,
        judged: 10,
        colours: colours.iter().map(tally).collect(),
        ..Evidence::default()
    }
}

fn known() -> Vec<Description> {
    vec![
        dataset("small", &[11], 0..=10, 1),
        dataset("large", &[255], 0..=181, 2),
        dataset("middle", &[0], 1..=150, 3),
    ]
}

fn found(evidence: &Evidence, description: &Description) -> Vec<FindingKind> {
    let findings = diagnose(evidence, description, LabelValues::Ids, &known());
    for finding in &findings {
        assert!(!finding.remedy.is_empty(), "{finding:?}");
    }
    findings.into_iter().map(|finding| finding.kind).collect()
}

fn message(evidence: &Evidence, description: &Description) -> String {
    let mut findings = diagnose(evidence, description, LabelValues::Ids, &known());
    assert_eq!(findings.len(), 1, "{findings:?}");
    findings.remove(0).message
}

#[test]
fn known_ids_need_no_diagnosis() {
    let [small, large, middle] = &known()[..] else {
        panic!()
    };
    assert_eq!(found(&ids(0..=11), small), []);
    assert_eq!(found(&ids((0..=181).chain([255])), large), []);
    assert_eq!(found(&ids(0..=150), middle), []);
    assert_eq!(found(&Evidence::default(), small), []);
    // A single unknown id that nothing explains.
    assert_eq!(found(&ids([0, 1, 2, 77]), small), []);
}

#[test]
fn ids_off_by_one_are_recognised_both_ways() {
    let [small, large, middle] = &known()[..] else {
        panic!()
    };
    // SPADE writes 0 to 149 and 255 where ADE20K has 1 to 150 and 0.
    let spade = ids((0..=149).chain([255]));
    use FindingKind::{ShiftedIds, Unlabelled};
    assert_eq!(found(&spade, middle), [Unlabelled, ShiftedIds]);
    let findings = diagnose(&spade, middle, LabelValues::Ids, &[]);
    assert!(findings[0].message.contains("one higher"), "{findings:?}");
    assert!(
        findings[1].message.contains("and 255 were 0"),
        "{findings:?}"
    );
    // The other way round: 0 takes the place of 255.
    let other = ids(0..=182);
    assert_eq!(found(&other, large), [ShiftedIds]);
    let text = message(&other, large);
    assert_says(&text, &["one lower", "and 0 were 255"]);
    let text = message(&ids(1..=12), small);
    assert!(
        text.contains("one lower") && !text.contains("255"),
        "{text}"
    );
    // Only 255 is unknown, and 10 one higher is void: no shift of 1 to 11.
    assert_eq!(found(&ids((1..=11).chain([255])), small), [Unlabelled]);
    // Too few ids to speak of a shift.
    assert_eq!(found(&ids([11, 12]), small), []);
}

#[test]
fn binary_masks_are_not_taken_for_unlabelled_pixels() {
    let [small, large, _] = &known()[..] else {
        panic!()
    };
    assert_eq!(found(&ids([0, 255]), small), [FindingKind::BinaryMask]);
    assert_eq!(found(&ids([255]), small), [FindingKind::BinaryMask]);
    // Where 255 is described, there is nothing to say.
    assert_eq!(found(&ids([0, 255]), large), []);
}

#[test]
fn ids_of_another_dataset_name_the_closest_one() {
    let [small, large, middle] = &known()[..] else {
        panic!()
    };
    let text = message(&ids((0..=150).step_by(3)), small);
    assert_says(&text, &["all are ids of `middle`"]);
    let text = message(&ids((0..=181).step_by(3).chain([255])), middle);
    assert_says(&text, &["all are ids of `large`"]);
    // The dataset itself is not another one, and ids of none stay unexplained.
    assert_eq!(found(&ids([0, 1, 190, 200, 210]), large), []);
    assert_eq!(found(&ids([0, 1, 190, 200, 210]), small), []);
}

#[test]
fn instance_maps_are_told_by_large_values() {
    let [small, ..] = &known()[..] else { panic!() };
    let wide = |values: &[u16]| Evidence {
        narrow: 7,
        wide: 3,
        ..ids(values.iter().copied())
    };
    let text = message(&wide(&[0, 1, 2, 8000, 8001, 9000]), small);
    assert_says(
        &text,
        &["3 of 10 label maps", "3 values of 1000", "divided by 1000"],
    );
    let text = message(&wide(&[0, 26_000, 60_001]), small);
    assert_says(&text, &["ids are 0 to 255"]);
    assert_eq!(found(&ids([0, 300]), small), []);
}

#[test]
fn smoothed_maps_photos_and_jpegs_are_counted() {
    let [small, ..] = &known()[..] else { panic!() };
    let mut evidence = ids(0..=200);
    (evidence.judged, evidence.smoothed) = (10, 6);
    // Their unknown ids are mixtures, so that no dataset is guessed from them.
    assert_eq!(found(&evidence, small), [FindingKind::Interpolated]);
    let text = message(&evidence, small);
    assert_says(&text, &["6 of 10", "look interpolated"]);
    evidence.smoothed = 5;
    assert!(!found(&evidence, small).contains(&FindingKind::Interpolated));

    let photos = Evidence {
        maps: 9,
        coloured: 9,
        photos: 9,
        ..Evidence::default()
    };
    let text = message(&photos, small);
    assert_says(&text, &["9 of 9 label maps look like photos"]);
    let jpegs = Evidence {
        jpegs: 4,
        ..Evidence::default()
    };
    assert_eq!(found(&jpegs, small), [FindingKind::Jpeg]);
}

#[test]
fn colour_maps_are_compared_with_class_colours() {
    let [small, ..] = &known()[..] else { panic!() };
    let kind = FindingKind::ColourCoded;
    let own = colours(&[
        ([0, 0, 0], 500),
        ([3, 7, 1], 900),
        ([5, 7, 1], 900),
        ([4, 7, 1], 20),
    ]);
    assert!(message(&own, small).contains("those of the described classes"));
    let other = colours(&[([0, 0, 0], 500), ([100, 7, 3], 900), ([90, 7, 3], 900)]);
    assert!(message(&other, small).contains("of the classes of `middle`"));
    let strange = colours(&[([0, 0, 0], 500), ([255, 0, 0], 900), ([0, 255, 0], 900)]);
    assert!(message(&strange, small).contains("3 colours in all, but not those"));
    assert_eq!(found(&strange, small), [kind]);
    // Black alone says nothing about the dataset.
    let black = colours(&[([0, 0, 0], 500)]);
    assert!(message(&black, small).contains("1 colours in all"));
}

#[test]
fn where_colours_are_asked_for_others_are_recognised() {
    let [small, ..] = &known()[..] else { panic!() };
    let look = |evidence: &Evidence| {
        let findings = diagnose(evidence, small, LabelValues::Colours, &known());
        findings
            .into_iter()
            .map(|finding| finding.kind)
            .collect::<Vec<_>>()
    };
    assert_eq!(look(&colours(&[([0, 0, 0], 5), ([3, 7, 1], 9)])), []);
    let other = colours(&[([100, 7, 3], 9), ([90, 7, 3], 9), ([91, 7, 3], 9)]);
    assert_eq!(look(&other), [FindingKind::OtherDataset]);
    assert_eq!(look(&ids(0..=11)), [FindingKind::NotColourCoded]);
    // Mixtures do not hide whose colours they are of.
    let mut smooth = colours(&[
        ([3, 7, 1], 600),
        ([5, 7, 1], 100),
        ([4, 7, 2], 150),
        ([4, 8, 2], 150),
    ]);
    smooth.smoothed = 10;
    assert_eq!(look(&smooth), [FindingKind::Interpolated]);
    assert_eq!(
        found(&smooth, small),
        [FindingKind::Interpolated, FindingKind::ColourCoded]
    );
}
