use dp_sims_datasets::testing::Garden;
use dp_sims_datasets::testing::assert_says;
use image::{DynamicImage, GrayImage, Luma, RgbImage};

use super::*;
use crate::check::survey::tests::look;

fn write(garden: &Garden) -> String {
    page(
        &garden.description.name,
        Path::new("some/folder"),
        &[look(garden)],
    )
}

/// How often a text occurs in a page.
fn occurrences(page: &str, text: &str) -> usize {
    page.matches(text).count()
}

#[test]
fn a_clean_dataset_has_its_figures_and_pictures() {
    let garden = Garden::new(7);
    let text = write(&garden);
    assert_says(&text, &["No fault. The dataset is ready"]);
    assert!(text.contains("<h1>garden</h1>") && text.contains("some/folder"));
    // Void, grass and dog: a bar and a dot each.
    assert_eq!(occurrences(&text, "<rect "), 3);
    assert_eq!(occurrences(&text, "<circle "), 3);
    assert_says(&text, &["dog: 16 pixels, 4.8 %; 2 images, 29 %"]);
    assert!(text.contains(">1.87<"), "the weight of the dog, sqrt(7/2)");
    // Two classes and three images with the most void.
    assert_eq!(occurrences(&text, "<figure>"), 5);
    assert_eq!(occurrences(&text, "data:image/jpeg"), 5);
    assert_eq!(occurrences(&text, "data:image/png"), 5);
    assert_eq!(
        text,
        write(&garden),
        "the same files must give the same bytes"
    );
    for outside in ["http:", "https:", "<script", "<link", "url("] {
        assert!(!text.contains(outside), "{outside}");
    }
}

#[cfg(unix)]
#[test]
fn names_are_escaped() {
    let mut garden = Garden::new(1);
    garden.description.name = "<b>&\"x".to_string();
    garden.description.classes[0].name = "<script>alert(1)</script>".to_string();
    garden.description.classes[1].name = "a & b".to_string();
    let evil = garden.root().join("masks/<img src=x>.png");
    std::fs::write(&evil, "").unwrap();
    let text = write(&garden);
    assert!(!text.contains("<script") && !text.contains("<img src=x>") && !text.contains("<b>"));
    assert!(text.contains("&lt;script&gt;alert(1)") && text.contains("a &amp; b"));
    assert_says(&text, &["&lt;img src=x&gt;.jpg is missing"]);
}

#[test]
fn faults_are_explained_and_drawn() {
    let garden = Garden::new(9);
    for index in 0..8 {
        garden.write_labels(index, GrayImage::from_pixel(8, 6, Luma([9])).into());
    }
    std::fs::write(garden.labels_path(0), "nothing").unwrap();
    garden.write_labels(8, Garden::labels(0));
    let text = write(&garden);
    assert_says(
        &text,
        &[
            "8 faults: put them right",
            "<strong>9</strong> 336 px, 7 maps",
        ],
    );
    assert!(text.contains("1 of them without fault"));
    assert!(text.contains("unknown id 9 at (x=0, y=0)") && text.contains("<br>damaged<"));
    assert!(
        text.contains("no label map"),
        "a damaged map has no picture"
    );
    assert_says(&text, &["1 class never occurs: dog."]);
    assert_eq!(occurrences(&text, "<li>"), 8);

    // Without a sound image there is no chart, and the page is still whole.
    garden.write_labels(8, GrayImage::from_pixel(8, 6, Luma([9])).into());
    let text = write(&garden);
    assert!(!text.contains("<svg") && text.ends_with("</html>"));
}

#[test]
fn a_page_stays_small() {
    // Noise cannot be packed, so that these pictures are as large as they get.
    let garden = Garden::new(40);
    let noise = |seed: u32| {
        DynamicImage::from(RgbImage::from_fn(400, 400, |x, y| {
            let value = (x * 7919 + y * 104_729 + seed).wrapping_mul(2_654_435_761);
            image::Rgb([(value >> 24) as u8, (value >> 16) as u8, (value >> 8) as u8])
        }))
    };
    for index in 0..40 {
        garden.write_photo(index, noise(index as u32));
        garden.write_labels(index, noise(1000 + index as u32).into_luma8().into());
    }
    let surveys = [look(&garden), look(&garden), look(&garden)];
    let text = page("noise", garden.root(), &surveys);
    println!("{} bytes", text.len());
    assert!(text.len() < 2_000_000, "{} bytes", text.len());
    // 254 unknown ids and 40 maps: all counted, few listed.
    assert!(text.contains("The first 200 of"));
}

#[test]
fn numbers_are_readable() {
    assert_eq!(grouped(0), "0");
    assert_eq!(grouped(1_234_567).replace('\u{202f}', " "), "1 234 567");
    assert_eq!(
        (count(1, "class"), count(2, "class")),
        ("1 class".into(), "2 classes".into())
    );
    assert_eq!(count(0, "fault"), "0 faults");
    let shares = [1.0, 0.25, 0.0123, 0.00456, 0.000_07, 0.000_001, 0.0];
    let texts = [
        "100 %",
        "25 %",
        "1.2 %",
        "0.46 %",
        "0.0070 %",
        "< 0.001 %",
        "0 %",
    ];
    assert_eq!(shares.map(percent), texts);
}
