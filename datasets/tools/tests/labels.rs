//! Label PNGs that nobody would write: each is read or refused by name, and nothing panics.

use std::collections::HashMap;
use std::path::Path;

use dp_sims_dataset_tools::check::{Depth, FaultKind, page, survey};
use dp_sims_datasets::labels::LabelCode;
use dp_sims_datasets::testing::{Garden, PngHeader, raw_png};
use dp_sims_datasets::{LabelReader, Size, Split};
use proptest::prelude::*;

fn ids(known: impl Fn(u8) -> bool) -> LabelCode {
    let class = |id: usize| known(id as u8).then_some(id as u8);
    LabelCode::Ids(Box::new(std::array::from_fn(class)))
}

fn codes() -> [LabelCode; 3] {
    let colours = HashMap::from([([0; 3], 0), ([1, 2, 3], 1)]);
    [ids(|_| true), ids(|id| id < 2), LabelCode::Colours(colours)]
}

/// Reads bytes as a label map under every code, and as a pair of a survey.
fn read(bytes: &[u8]) -> Result<(), TestCaseError> {
    let garden = Garden::new(2);
    let path = garden.labels_path(1);
    std::fs::write(&path, bytes).unwrap();
    let names_file = |error: &str| error.contains("01.png");
    for code in codes() {
        match LabelReader::of(code).read(&path) {
            Ok(map) => prop_assert_eq!(map.labels.len(), map.size.pixels()),
            Err(error) => prop_assert!(names_file(&error.to_string()), "{}", error),
        }
    }
    let (description, root) = (&garden.description, garden.root());
    let found = survey(
        description,
        root,
        Split::Train,
        &[],
        Depth::Pixels,
        &|_, _| {},
    )
    .unwrap();
    prop_assert!(found.sound.contains(&0));
    for fault in &found.faults.listed {
        // What is said of all label maps together names their folder.
        let of_all = fault.kind == FaultKind::Unusable && fault.message.contains("masks: ");
        prop_assert!(of_all || names_file(&fault.message), "{}", fault.message);
    }
    let page = page("garden", Path::new("garden"), &[found]);
    prop_assert!(page.ends_with("</html>"));
    Ok(())
}

/// Headers of every kind the format has, and some that it has not.
fn header() -> impl Strategy<Value = PngHeader> {
    let depth = prop::sample::select(vec![1, 2, 4, 8, 16, 3]);
    let colour = prop::sample::select(vec![0, 2, 3, 4, 6, 1]);
    let side = prop_oneof![8 => 0_u32..12, 1 => any::<u32>()];
    ([side.clone(), side], depth, colour, 0_u8..3).prop_map(|(size, depth, colour, interlace)| {
        PngHeader {
            size,
            depth,
            colour,
            interlace,
        }
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn random_bytes(bytes in prop::collection::vec(any::<u8>(), 0..200), png: bool) {
        let start: &[u8] = if png { b"\x89PNG\r\n\x1a\n" } else { b"" };
        read(&[start, &bytes].concat())?;
    }

    /// Valid checksums, whatever the header, the palette, the frame and the length of the pixels.
    #[test]
    fn random_headers(
        header in header(),
        palette in prop::collection::vec(any::<u8>(), 0..24),
        frame in prop::option::of([0_u8..12, 0..12, 0..3, 0..3]),
        pixels in prop::collection::vec(0_u8..4, 0..900),
    ) {
        let mut chunks: Vec<(&[u8; 4], &[u8])> = Vec::new();
        let control = frame.map(|[width, height, x, y]| {
            let mut control = [0; 26];
            (control[7], control[11], control[15], control[19]) = (width, height, x, y);
            control
        });
        if let Some(control) = &control {
            chunks.push((b"acTL", &[0, 0, 0, 1, 0, 0, 0, 0]));
            chunks.push((b"fcTL", control));
        }
        if !palette.is_empty() {
            chunks.push((b"PLTE", &palette));
        }
        read(&raw_png(header, &chunks, &pixels))?;
    }

    /// As many bytes as the header asks for, so that the file is whole, and then cut off.
    #[test]
    fn whole_and_cut_files(
        size in [1_u32..12, 1..12],
        kind in prop::sample::select(vec![(1, 0), (2, 3), (4, 3), (8, 0), (8, 2), (8, 3), (8, 6), (16, 0)]),
        value in 0_u8..4,
        cut in any::<prop::sample::Index>(),
    ) {
        let (depth, colour) = kind;
        let header = PngHeader { size, depth, colour, interlace: 0 };
        let samples = match colour { 2 => 3, 6 => 4, _ => 1 };
        let row = 1 + (size[0] as usize * samples * usize::from(depth)).div_ceil(8);
        let mut pixels = vec![value; row * size[1] as usize];
        pixels.iter_mut().step_by(row).for_each(|filter| *filter = 0);
        let palette: Vec<u8> = (0..12).collect();
        let palette: &[(&[u8; 4], &[u8])] = &[(b"PLTE", &palette)];
        let whole = raw_png(header, if colour == 3 { palette } else { &[] }, &pixels);
        read(&whole)?;
        // A file of ids is whole, so it is read; this keeps the generator honest.
        if colour == 0 || colour == 3 {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("whole.png");
            std::fs::write(&path, &whole).unwrap();
            let map = LabelReader::of(ids(|_| true)).read(&path);
            match map {
                Ok(map) => prop_assert_eq!(map.size, Size::new(size[1] as usize, size[0] as usize)),
                // Two equal bytes of 16 bits are a value above 255.
                Err(error) => prop_assert!(depth == 16 && value > 0, "{}", error),
            }
        }
        read(&whole[..cut.index(whole.len())])?;
    }
}
