/// Channels of Cityscapes in this project: the ids 0 to 33, and one for license plates.
const CITYSCAPES_CHANNELS: usize = 35;
/// Id of each class of the 19 that are evaluated, in the order of their train ids
/// (`datasets/cityscapes/prepare_data.py` of fyu/drn, from the dataset's own scripts).
const CITYSCAPES_IDS: [usize; 19] = [
    7, 8, 11, 12, 13, 17, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 31, 32, 33,
];

/// Classes of a segmentation network, and how the classes of this project's datasets map to them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ClassSet {
    /// The 150 classes of scene parsing.
    Ade20k,
    /// The 182 ids of things and stuff, of which 11 occur in no label map.
    CocoStuff,
    /// The 19 train ids.
    Cityscapes,
}

impl ClassSet {
    /// How many classes the network tells apart.
    pub fn classes(self) -> usize {
        match self {
            Self::Ade20k => 150,
            Self::CocoStuff => 182,
            Self::Cityscapes => CITYSCAPES_IDS.len(),
        }
    }

    /// Class of the network for each channel of the dataset; none where pixels are left out of the
    /// evaluation.
    ///
    /// The channels are the class indices of `experiments/datasets/`: void first, then the classes
    /// in the order of the file.
    ///
    /// - ADE20K: channel i is id i, and the network's class is the id less 1
    ///   (`segm_transform` in `mit_semseg/dataset.py`; notes S1, M9).
    /// - COCO-Stuff: channel i is id i - 1, and the network's class is the id (notes S3, M11).
    /// - Cityscapes: channel i is id i, and the network's class is its train id (notes S4, M13).
    pub fn of_channels(self) -> Vec<Option<usize>> {
        match self {
            Self::Ade20k | Self::CocoStuff => {
                let classes = (0..self.classes()).map(Some);
                std::iter::once(None).chain(classes).collect()
            }
            Self::Cityscapes => (0..CITYSCAPES_CHANNELS)
                .map(|channel| CITYSCAPES_IDS.iter().position(|id| *id == channel))
                .collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    /// Channel, name and ids of every class of a dataset, void left out.
    fn dataset(file: &str) -> Vec<(usize, String, Vec<i64>)> {
        let path = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
            .join("../../experiments/datasets")
            .join(file);
        let text = std::fs::read_to_string(path).unwrap();
        let table: toml::Table = toml::from_str(&text).unwrap();
        let classes = table["class"].as_array().unwrap().iter();
        (1..)
            .zip(classes)
            .map(|(channel, class)| {
                let name = class["name"].as_str().unwrap().to_string();
                let ids = class["ids"].as_array().unwrap().iter();
                (
                    channel,
                    name,
                    ids.map(|id| id.as_integer().unwrap()).collect(),
                )
            })
            .collect()
    }

    /// Every class of the network belongs to one channel, and void to none.
    fn assert_complete(set: ClassSet, channels: usize) {
        let map = set.of_channels();
        assert_eq!(map.len(), channels, "{set:?}");
        assert_eq!(map[0], None, "{set:?}");
        let mut found: Vec<usize> = map.into_iter().flatten().collect();
        found.sort_unstable();
        let all: Vec<usize> = (0..set.classes()).collect();
        assert_eq!(found, all, "{set:?}");
    }

    #[test]
    fn ade20k_classes_are_the_ids_less_one() {
        let classes = dataset("ade20k.toml");
        assert_complete(ClassSet::Ade20k, classes.len() + 1);
        let map = ClassSet::Ade20k.of_channels();
        for (channel, name, ids) in &classes {
            assert_eq!(ids.len(), 1, "{name}");
            assert_eq!(map[*channel].unwrap() as i64, ids[0] - 1, "{name}");
        }
        // objectInfo150 of scene parsing: the first, the last and one between.
        for (class, name) in [(0, "wall"), (12, "person"), (149, "flag")] {
            let channel = map.iter().position(|found| *found == Some(class)).unwrap();
            assert_eq!(classes[channel - 1].1, name);
        }
    }

    #[test]
    fn coco_classes_are_the_ids() {
        for file in ["coco-stuff.toml", "coco-stuff-spade.toml"] {
            let classes = dataset(file);
            assert_complete(ClassSet::CocoStuff, classes.len() + 1);
            let map = ClassSet::CocoStuff.of_channels();
            for (channel, name, ids) in &classes {
                assert_eq!(ids.len(), 1, "{name}");
                assert_eq!(map[*channel].unwrap() as i64, ids[0], "{file}: {name}");
            }
        }
    }

    #[test]
    fn cityscapes_classes_are_the_train_ids() {
        let classes = dataset("cityscapes.toml");
        assert_complete(ClassSet::Cityscapes, classes.len() + 1);
        let map = ClassSet::Cityscapes.of_channels();
        let names: Vec<&str> = (0..19)
            .map(|class| {
                let channel = map.iter().position(|found| *found == Some(class)).unwrap();
                let (number, name, ids) = &classes[channel - 1];
                assert_eq!((*number, ids.as_slice()), (channel, &[channel as i64][..]));
                name.as_str()
            })
            .collect();
        // The 19 classes of the benchmark in the order of their train ids.
        let expected = [
            "road",
            "sidewalk",
            "building",
            "wall",
            "fence",
            "pole",
            "traffic light",
            "traffic sign",
            "vegetation",
            "terrain",
            "sky",
            "person",
            "rider",
            "car",
            "truck",
            "bus",
            "train",
            "motorcycle",
            "bicycle",
        ];
        assert_eq!(names, expected);
    }
}
