use std::fs::File;
use std::io::Write;
use std::path::PathBuf;

use proptest::prelude::*;
use tempfile::TempDir;

use super::*;
use crate::testing::assert_says;
use crate::testing::crc32;

/// Reads a label PNG whose pixels mean what `code` says.
fn read_labels_with(path: &Path, code: &LabelCode) -> Result<LabelMap, DatasetError> {
    LabelReader::of(code.clone()).read(path)
}

fn write_png(
    name: &str,
    [width, height]: [u32; 2],
    (colour, depth): (ColorType, BitDepth),
    data: &[u8],
) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    let mut encoder = png::Encoder::new(File::create(&path).unwrap(), width, height);
    encoder.set_color(colour);
    encoder.set_depth(depth);
    if colour == ColorType::Indexed {
        // Colours unlike the indices, so that a decoder that expands them fails the tests.
        let colours = if depth == BitDepth::Eight {
            256
        } else {
            1 << depth as usize
        };
        encoder.set_palette(
            (0..colours * 3)
                .map(|i| 255 - (i % 256) as u8)
                .collect::<Vec<_>>(),
        );
    }
    encoder
        .write_header()
        .unwrap()
        .write_image_data(data)
        .unwrap();
    (folder, path)
}

fn ids(known: impl Fn(u8) -> bool) -> LabelCode {
    let class = |id: usize| Some(id as u8).filter(|&id| known(id));
    LabelCode::Ids(Box::new(std::array::from_fn(class)))
}

fn identity() -> LabelCode {
    ids(|_| true)
}

#[test]
fn gray_and_palette_values_are_ids() {
    let data: Vec<u8> = (0..6).map(|i| i * 50).collect();
    for colour in [ColorType::Grayscale, ColorType::Indexed] {
        let (_folder, path) = write_png("l.png", [3, 2], (colour, BitDepth::Eight), &data);
        let map = read_labels_with(&path, &identity()).unwrap();
        assert_eq!((map.size, &map.labels), (Size::new(2, 3), &data));
    }
}

#[test]
fn packed_samples_are_not_scaled() {
    for colour in [ColorType::Grayscale, ColorType::Indexed] {
        // Two rows of five pixels: the last bits of each row are padding.
        for (depth, data, expected) in [
            (
                BitDepth::One,
                vec![0b1011_0111, 0b0100_1111],
                vec![1, 0, 1, 1, 0, 0, 1, 0, 0, 1],
            ),
            (
                BitDepth::Two,
                vec![0b0001_1011, 0b1011_1111, 0b1110_0100, 0b0100_0000],
                vec![0, 1, 2, 3, 2, 3, 2, 1, 0, 1],
            ),
            (
                BitDepth::Four,
                vec![0x12, 0x3f, 0x5f, 0xab, 0xcd, 0xe0],
                vec![1, 2, 3, 15, 5, 10, 11, 12, 13, 14],
            ),
        ] {
            let (_folder, path) = write_png("l.png", [5, 2], (colour, depth), &data);
            assert_eq!(
                read_labels_with(&path, &identity()).unwrap().labels,
                expected
            );
        }
    }
}

#[test]
fn unknown_id_names_file_pixel_and_id() {
    let format = (ColorType::Grayscale, BitDepth::Eight);
    let (_folder, path) = write_png("street.png", [3, 2], format, &[0, 0, 0, 0, 9, 9]);
    let map = ids(|id| id != 9);
    let message = read_labels_with(&path, &map).unwrap_err().to_string();
    assert_says(
        &message,
        &["street.png: pixel (x=1, y=1)", "unknown id 9", "`void`"],
    );
}

#[test]
fn other_kinds_of_png_are_refused_by_name() {
    for (colour, depth, bytes, found) in [
        (ColorType::Rgb, BitDepth::Eight, 3, "colour PNG"),
        (ColorType::Rgba, BitDepth::Eight, 4, "colour PNG"),
        (ColorType::GrayscaleAlpha, BitDepth::Eight, 2, "alpha"),
    ] {
        let (_folder, path) = write_png("odd.png", [1, 1], (colour, depth), &vec![0; bytes]);
        let error = read_labels_with(&path, &identity()).unwrap_err();
        assert!(matches!(error, DatasetError::LabelFormat { .. }));
        let message = error.to_string();
        assert!(
            message.contains("odd.png") && message.contains(found),
            "{message}"
        );
        assert!(message.contains("8-bit gray"), "no remedy: {message}");
    }
}

#[test]
fn damaged_and_foreign_files_are_named() {
    let format = (ColorType::Grayscale, BitDepth::Eight);
    let data: Vec<u8> = (0..4096_u32)
        .map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8)
        .collect();
    let (_folder, path) = write_png("cut.png", [64, 64], format, &data);
    let whole = std::fs::read(&path).unwrap();
    for keep in [0, 4, 20, 60, whole.len() / 2] {
        File::create(&path)
            .unwrap()
            .write_all(&whole[..keep])
            .unwrap();
        let error = read_labels_with(&path, &identity()).unwrap_err();
        assert!(
            matches!(error, DatasetError::Decode { .. }),
            "{keep} bytes: {error}"
        );
        assert!(error.to_string().contains("cut.png"));
    }
    std::fs::write(&path, "a text, not an image").unwrap();
    let error = read_labels_with(&path, &identity()).unwrap_err();
    assert!(matches!(error, DatasetError::Decode { .. }));
    std::fs::remove_file(&path).unwrap();
    let error = read_labels_with(&path, &identity()).unwrap_err();
    assert!(matches!(error, DatasetError::Read { .. }));
}

#[test]
fn a_header_of_absurd_size_is_refused() {
    let format = (ColorType::Grayscale, BitDepth::Eight);
    let (_folder, path) = write_png("huge.png", [1, 1], format, &[0]);
    let mut bytes = std::fs::read(&path).unwrap();
    // The header chunk: length 4, type 4, then width, height and 5 more bytes, then its CRC.
    bytes[16..24].copy_from_slice(&[0, 1, 0, 0, 0, 1, 0, 0]);
    let crc = crc32(&bytes[12..29]);
    bytes[29..33].copy_from_slice(&crc.to_be_bytes());
    std::fs::write(&path, bytes).unwrap();
    let message = read_labels_with(&path, &identity())
        .unwrap_err()
        .to_string();
    assert_says(&message, &["65536x65536"]);
}

#[test]
fn a_file_in_memory_is_read_as_on_disk_up_to_a_number_of_pixels() {
    let gray = (ColorType::Grayscale, BitDepth::Eight);
    let (_folder, path) = write_png("map.png", [3, 2], gray, &[5, 4, 3, 2, 1, 0]);
    let bytes = std::fs::read(&path).unwrap();
    let (reader, name) = (LabelReader::of(identity()), Path::new("the upload"));
    assert_eq!(
        reader.parse(&bytes, name, 6).unwrap(),
        reader.read(&path).unwrap()
    );
    let error = reader.parse(&bytes, name, 5).unwrap_err().to_string();
    assert_says(&error, &["the upload", "is more than 5 pixels"]);
}

#[test]
fn wide_gray_values_are_ids_if_they_fit() {
    let format = (ColorType::Grayscale, BitDepth::Sixteen);
    let (_folder, path) = write_png("wide.png", [2, 2], format, &[0, 7, 0, 255, 0, 0, 0, 1]);
    let map = read_labels_with(&path, &identity()).unwrap();
    assert_eq!(map.labels, [7, 255, 0, 1]);
    let (_folder, path) = write_png("wide.png", [2, 2], format, &[0, 7, 0, 255, 101, 145, 0, 1]);
    let message = read_labels_with(&path, &identity())
        .unwrap_err()
        .to_string();
    assert_says(
        &message,
        &["wide.png: pixel (x=0, y=1)", "26001", "instance"],
    );
}

#[test]
fn class_colours_are_read_from_rgb_and_palettes() {
    let colours = [[0, 0, 0], [255, 254, 253], [252, 251, 250]];
    let code = LabelCode::Colours(colours.into_iter().zip([0, 4, 9]).collect());
    let pixels = [2, 0, 1, 1].map(|index: usize| colours[index]);
    let expected = [9, 0, 4, 4];

    let rgb = pixels.concat();
    let format = (ColorType::Rgb, BitDepth::Eight);
    let (_folder, path) = write_png("c.png", [2, 2], format, &rgb);
    assert_eq!(read_labels_with(&path, &code).unwrap().labels, expected);
    let rgba = pixels.map(|[r, g, b]| [r, g, b, 3]).concat();
    let format = (ColorType::Rgba, BitDepth::Eight);
    let (_folder, path) = write_png("c.png", [2, 2], format, &rgba);
    assert_eq!(read_labels_with(&path, &code).unwrap().labels, expected);
    // The palette of `write_png` starts with the colours of classes 4 and 9.
    let format = (ColorType::Indexed, BitDepth::Four);
    let (_folder, path) = write_png("c.png", [2, 2], format, &[0x10, 0x01]);
    assert_eq!(read_labels_with(&path, &code).unwrap().labels, [9, 4, 4, 9]);

    let mixed = [rgb[..9].to_vec(), vec![255, 254, 252]].concat();
    let format = (ColorType::Rgb, BitDepth::Eight);
    let (_folder, path) = write_png("mixed.png", [2, 2], format, &mixed);
    let message = read_labels_with(&path, &code).unwrap_err().to_string();
    assert_says(&message, &["mixed.png: pixel (x=1, y=1)", "#fffefc"]);
    for (colour, depth, bytes, found) in [
        (ColorType::Grayscale, BitDepth::Eight, 1, "a gray PNG"),
        (ColorType::Rgb, BitDepth::Sixteen, 6, "16-bit colour"),
    ] {
        let (_folder, path) = write_png("odd.png", [1, 1], (colour, depth), &vec![0; bytes]);
        let message = read_labels_with(&path, &code).unwrap_err().to_string();
        assert!(message.contains(found), "{message}");
    }
}

proptest! {
    /// Whatever bytes a file has, it is read or refused by name, and nothing panics.
    #[test]
    fn damaged_bytes_never_panic(
        place in 0_usize..1000,
        bytes in prop::collection::vec(any::<u8>(), 1..6),
        depth in prop::sample::select(vec![BitDepth::One, BitDepth::Eight, BitDepth::Sixteen]),
    ) {
        let format = (ColorType::Grayscale, depth);
        let data = vec![0x41; 8 * depth as usize];
        let (_folder, path) = write_png("fuzz.png", [8, 8], format, &data);
        let mut file = std::fs::read(&path).unwrap();
        let place = place % file.len();
        let end = (place + bytes.len()).min(file.len());
        file[place..end].copy_from_slice(&bytes[..end - place]);
        std::fs::write(&path, file).unwrap();
        for code in [identity(), ids(|id| id < 2), LabelCode::Colours(HashMap::new())] {
            match read_labels_with(&path, &code) {
                Ok(map) => prop_assert_eq!(map.labels.len(), map.size.pixels()),
                Err(error) => prop_assert!(error.to_string().contains("fuzz.png")),
            }
        }
    }
}

#[test]
fn files_that_belong_to_no_split_are_read_as_those_of_a_split() {
    let text = |values: &str, ids: [&str; 2]| {
        let [first, second] = ids;
        format!(
            "name = \"x\"\n[[class]]\nname = \"a\"\ncolour = \"#0a141e\"\n{first}\n[[class]]\n\
             name = \"b\"\ncolour = \"#c80000\"\n{second}\n[train.folders]\nimages = \"i\"\n\
             labels = \"l\"\nlabel_values = \"{values}\"\n"
        )
    };
    let reader = |text: String| {
        let description = Description::parse(&text, Path::new("dataset.toml")).unwrap();
        LabelReader::new(&description)
    };
    let both = || text("colours", ["ids = [7]", "ids = [9]"]);
    let pixels = [[200, 0, 0], [10, 20, 30], [0, 0, 0]];
    let rgb = (ColorType::Rgb, BitDepth::Eight);
    let (_folder, path) = write_png("l.png", [3, 1], rgb, &pixels.concat());
    assert_eq!(reader(both()).read(&path).unwrap().labels, [2, 1, 0]);
    // Ids alone do not make colours of a file mean anything.
    let ids = text("ids", ["ids = [7]", "ids = [9]"]);
    let message = reader(ids).read(&path).unwrap_err().to_string();
    assert_says(&message, &["is a colour PNG"]);
    // A palette file holds colours, whatever its indices; the last colour of this palette is that
    // of no class.
    let palette = (ColorType::Indexed, BitDepth::Eight);
    let (_folder, path) = write_png("p.png", [1, 1], palette, &[7]);
    let message = reader(both()).read(&path).unwrap_err().to_string();
    assert_says(&message, &["unknown colour"]);
    // A gray one holds ids, where the description has some for every class.
    let gray = (ColorType::Grayscale, BitDepth::Eight);
    let (_folder, path) = write_png("g.png", [2, 1], gray, &[9, 7]);
    assert_eq!(reader(both()).read(&path).unwrap().labels, [2, 1]);
    let without = text("colours", ["", "ids = [9]"]);
    let message = reader(without).read(&path).unwrap_err().to_string();
    assert_says(&message, &["is a gray PNG"]);
}
