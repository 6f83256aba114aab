//! Files that describe or hold a dataset.

use std::path::Path;

use dp_sims_datasets::{DescribedFolder, Description, LabelledImages, Size, Split};

/// A dataset description.
pub mod description {
    use super::*;

    pub fn seeds() -> Vec<Vec<u8>> {
        let text = "name = \"garden\"\nvoid = [255]\n\
            [[class]]\nname = \"grass\"\ncolour = \"#40a040\"\nids = [1, 2]\n\
            [[class]]\nname = \"dog\"\ncolour = [160, 96, 32]\nids = [7]\nthing = true\n";
        let splits = [
            "[train.folders]\nimages = \"photos\"\nlabels = \"masks\"\nlabel_values = \"colours\"\n",
            "[train.list]\nfile = \"train.txt\"\nstrip_prefix = \"/data\"\n",
            "[validation.folders]\nimages = \"a\"\nlabels = \"b\"\nimage_suffixes = [\"_x.jpg\"]\n\
             instances = { coco = { file = \"i.json\", id_offset = -1 } }\n",
            "[test.folders]\nimages = \"a\"\nlabels = \"b\"\nlabel_suffix = \"_y.png\"\n\
             instances = { panoptic = { folder = \"c\", file = \"p.json\" } }\n",
            "[test.folders]\nimages = \"a\"\nlabels = \"b\"\n\
             instances = { png = { folder = \"c\", first = 1000 } }\n",
        ];
        let parsed = splits.map(|split| {
            let text = format!("{text}{split}");
            Description::parse(&text, Path::new("dataset.toml")).unwrap()
        });
        let written = parsed.map(|description| toml::to_string(&description).unwrap().into_bytes());
        written
            .into_iter()
            .chain([text_of(splits[0], text)])
            .collect()
    }

    fn text_of(split: &str, text: &str) -> Vec<u8> {
        format!("{text}{split}").into_bytes()
    }

    pub fn run(data: &[u8]) -> bool {
        let Ok(text) = std::str::from_utf8(data) else {
            return false;
        };
        let parse = |text: &str| Description::parse(text, Path::new("dataset.toml"));
        let Ok(description) = parse(text) else {
            return false;
        };
        let classes = description.class_table().len();
        assert!((2..=256).contains(&classes));
        let classes_of_ids = description.class_of_id();
        let classes_of_colours = description.class_of_colour();
        let named = classes_of_ids
            .iter()
            .flatten()
            .chain(classes_of_colours.values());
        assert!(named.into_iter().all(|&class| usize::from(class) < classes));
        let written = toml::to_string(&description).unwrap();
        assert_eq!(parse(&written).unwrap(), description);
        true
    }
}

/// A list of pairs of photos and label maps.
pub mod list {
    use std::sync::LazyLock;

    use super::*;
    use crate::{file, scratch};

    static DESCRIPTION: LazyLock<Description> = LazyLock::new(|| {
        for name in ["a.jpg", "a.png", "b.jpg", "b.png"] {
            file(name, b"");
        }
        let text = "name = \"fuzz\"\n[[class]]\nname = \"grass\"\ncolour = \"#40a040\"\nids = [1]\n\
            [train.list]\nfile = \"train.txt\"\nstrip_prefix = \"/d\"\n";
        Description::parse(text, Path::new("dataset.toml")).unwrap()
    });

    pub fn seeds() -> Vec<Vec<u8>> {
        let texts: [&[u8]; 4] = [
            b"/d/a.jpg /d/a.png\n/d/b.jpg /d/b.png\n",
            b"\xef\xbb\xbf/d/a.jpg\t/da.png\r\n\r\n",
            b"/d//b.jpg  /d/./b.png",
            "/d/a.jpg\u{a0}/d/a.png\n".as_bytes(),
        ];
        texts.map(<[u8]>::to_vec).to_vec()
    }

    pub fn run(data: &[u8]) -> bool {
        let description = &*DESCRIPTION;
        file("train.txt", data);
        let Ok(folder) = DescribedFolder::open(description, scratch(), Split::Train) else {
            return false;
        };
        assert!(!folder.is_empty());
        for pair in folder.pairs() {
            assert!(pair.image.is_file() && pair.labels.is_file(), "{pair:?}");
        }
        true
    }
}

/// A packed split whose checksums are made right, so that what they protect is reached.
pub mod pack {
    use dp_sims_datasets::{PackedImages, check_split, pack};
    use image::{GrayImage, ImageFormat, Luma, Rgb, RgbImage};

    use super::*;
    use crate::images::encoded;
    use crate::{file, scratch};

    /// Where the header begins.
    const FIXED: usize = 24;
    const PAGE: usize = 4096;

    pub fn seeds() -> Vec<Vec<u8>> {
        for folder in ["photos", "masks", "numbers"] {
            std::fs::create_dir_all(scratch().join(folder)).unwrap();
        }
        for index in 0..2u8 {
            let photo = RgbImage::from_fn(4, 4, |x, y| Rgb([index, x as u8, y as u8]));
            let labels = GrayImage::from_fn(4, 4, |x, _| Luma([u8::from(x > 1)]));
            let numbers = GrayImage::from_fn(4, 4, |_, y| Luma([u8::from(y > 1)]));
            let name = format!("{index}.png");
            for (folder, image) in [
                ("photos", photo.into()),
                ("masks", labels.into()),
                ("numbers", numbers.into()),
            ] {
                file(
                    &format!("{folder}/{name}"),
                    &encoded(&image, ImageFormat::Png),
                );
            }
        }
        let text = "name = \"fuzz\"\nvoid = [0]\n\
            [[class]]\nname = \"dog\"\ncolour = \"#40a040\"\nids = [1]\nthing = true\n\
            [train.folders]\nimages = \"photos\"\nlabels = \"masks\"\n\
            instances = { png = { folder = \"numbers\" } }\n";
        let description = Description::parse(text, Path::new("dataset.toml")).unwrap();
        let plain = DescribedFolder::open(&description, scratch(), Split::Train).unwrap();
        let report = check_split(&plain, &|_, _| ()).unwrap();
        let instances = plain.clone().with_instances().unwrap();
        [(plain, 2), (instances, 4)]
            .into_iter()
            .map(|(folder, side)| {
                let path = scratch().join(format!("{side}.dpspack"));
                pack(&folder, &report, Size::square(side), &path, &|_, _| ()).unwrap();
                without_padding(&std::fs::read(path).unwrap())
            })
            .collect()
    }

    /// The input has no bytes between header, index and records: [`mended`] puts them in.
    fn without_padding(bytes: &[u8]) -> Vec<u8> {
        let Some((head, rest)) = head_of(bytes) else {
            return bytes.to_vec();
        };
        let index = head.next_multiple_of(PAGE);
        let records = (index + 8 * rest.records).next_multiple_of(PAGE);
        let mut short = bytes[..head].to_vec();
        for record in 0..rest.records {
            let start = records + record * rest.length.next_multiple_of(64);
            short.extend(&bytes[start..start + rest.length]);
        }
        short
    }

    /// What a header says of the records.
    struct Rest {
        records: usize,
        length: usize,
    }

    /// Where the header ends and what follows it, as far as it can be read.
    fn head_of(bytes: &[u8]) -> Option<(usize, Rest)> {
        let length = u64::from_le_bytes(bytes.get(8..16)?.try_into().ok()?);
        let end = FIXED.checked_add(usize::try_from(length).ok()?)?;
        let head: serde_json::Value = serde_json::from_slice(bytes.get(FIXED..end)?).ok()?;
        let side = |name: &str| {
            head.get("size")?
                .get(name)?
                .as_u64()
                .filter(|side| *side < 64)
        };
        let bytes = if head.get("instances")?.as_bool()? {
            6
        } else {
            4
        };
        Some((
            end,
            Rest {
                records: head.get("names")?.as_array()?.len().min(8),
                length: bytes * (side("height")? * side("width")?) as usize,
            },
        ))
    }

    /// The input as a file with right checksums, where it has a header to make them for.
    fn mended(data: &[u8]) -> Vec<u8> {
        let Some((head, rest)) = head_of(data) else {
            return data.to_vec();
        };
        let mut file = data[..head].to_vec();
        file[16..20].copy_from_slice(&crc32c::crc32c(&data[FIXED..head]).to_le_bytes());
        file.resize(head.next_multiple_of(PAGE), 0);
        let mut records = data[head..].to_vec();
        records.resize(rest.records * rest.length, 0);
        let records: Vec<&[u8]> = match rest.length {
            0 => Vec::new(),
            length => records.chunks_exact(length).collect(),
        };
        for record in &records {
            file.extend(crc32c::crc32c(record).to_le_bytes());
            file.extend([1; 4]);
        }
        file.resize(file.len().next_multiple_of(PAGE), 0);
        for record in records {
            file.extend(record);
            file.resize(file.len().next_multiple_of(64), 0);
        }
        file
    }

    pub fn run(data: &[u8]) -> bool {
        let path = file("split.dpspack", &mended(data));
        let Ok(packed) = PackedImages::open(&path) else {
            return false;
        };
        let size = packed.size();
        let classes = packed.classes().len();
        for index in 0..packed.len() {
            let present = packed.present(index).unwrap();
            assert!(present.iter().all(|class| usize::from(class) < classes));
            let Ok(sample) = packed.sample(index, size) else {
                continue;
            };
            assert_eq!(sample.image.len(), 3 * size.pixels());
            assert_eq!(sample.labels.len(), size.pixels());
            assert!(
                sample
                    .labels
                    .iter()
                    .all(|&label| usize::from(label) < classes)
            );
            assert_eq!(sample.instances.is_some(), packed.has_instances());
            if let Some(offsets) = sample.offsets() {
                assert!(offsets.iter().all(|offset| offset.is_finite()));
            }
        }
        assert!(packed.sample(packed.len(), size).is_err());
        true
    }
}
