/// Classes that are things: the categories 1 to 90 of COCO that occur.
const THINGS: usize = 80;
/// Classes of COCO-Stuff: ids 0 to 181.
const COCO_STUFF_IDS: usize = 182;
/// Id of the first class of COCO-Stuff that is stuff.
const FIRST_STUFF: usize = 91;
/// Things whose ids are kept free and occur in no image: street sign, hat, shoe, eye glasses, plate,
/// mirror, window, desk, door, blender, hair brush.
const ABSENT: [usize; 11] = [11, 25, 28, 29, 44, 65, 67, 68, 70, 82, 90];

/// The 133 classes of COCO panoptic in the order of the network
/// (`panoptic_coco_categories.json` of cocodataset/panopticapi; the network's class is the position
/// in the list).
#[rustfmt::skip]
pub const COCO_PANOPTIC_CLASSES: [&str; 133] = [
    "person", "bicycle", "car", "motorcycle", "airplane", "bus", "train", "truck", "boat",
    "traffic light", "fire hydrant", "stop sign", "parking meter", "bench", "bird", "cat", "dog",
    "horse", "sheep", "cow", "elephant", "bear", "zebra", "giraffe", "backpack", "umbrella",
    "handbag", "tie", "suitcase", "frisbee", "skis", "snowboard", "sports ball", "kite",
    "baseball bat", "baseball glove", "skateboard", "surfboard", "tennis racket", "bottle",
    "wine glass", "cup", "fork", "knife", "spoon", "bowl", "banana", "apple", "sandwich", "orange",
    "broccoli", "carrot", "hot dog", "pizza", "donut", "cake", "chair", "couch", "potted plant",
    "bed", "dining table", "toilet", "tv", "laptop", "mouse", "remote", "keyboard", "cell phone",
    "microwave", "oven", "toaster", "sink", "refrigerator", "book", "clock", "vase", "scissors",
    "teddy bear", "hair drier", "toothbrush", "banner", "blanket", "bridge", "cardboard",
    "counter", "curtain", "door-stuff", "floor-wood", "flower", "fruit", "gravel", "house",
    "light", "mirror-stuff", "net", "pillow", "platform", "playingfield", "railroad", "river",
    "road", "roof", "sand", "sea", "shelf", "snow", "stairs", "tent", "towel", "wall-brick",
    "wall-stone", "wall-tile", "wall-wood", "water-other", "window-blind", "window-other",
    "tree-merged", "fence-merged", "ceiling-merged", "sky-other-merged", "cabinet-merged",
    "table-merged", "floor-other-merged", "pavement-merged", "mountain-merged", "grass-merged",
    "dirt-merged", "paper-merged", "food-other-merged", "building-other-merged", "rock-merged",
    "wall-other-merged", "rug-merged",
];

/// Ids of COCO-Stuff of each stuff class, in the order of [`COCO_PANOPTIC_CLASSES`]: 36 that are
/// kept, then 17 that several were merged to.
///
/// Source: the text on the format of panoptic annotations at cocodataset.org, whose list of merged
/// and removed classes is quoted here by id.
#[rustfmt::skip]
const STUFF: [&[u8]; 53] = [
    &[91], &[92], &[94], &[99], &[106], &[108], &[111], &[117], &[118], &[121], &[124], &[127],
    &[129], &[132], &[137], &[140], &[143], &[144], &[146], &[147], &[148], &[150], &[153], &[154],
    &[155], &[158], &[160], &[165], &[167], &[170], &[174], &[175], &[176], &[177], &[179], &[180],
    // branch, bush, leaves, tree
    &[93, 96, 128, 168],
    // cage, fence, railing
    &[98, 112, 145],
    // ceiling-other, ceiling-tile
    &[101, 102],
    // clouds, fog, sky-other
    &[105, 119, 156],
    // cabinet, cupboard
    &[97, 107],
    // desk-stuff, table
    &[109, 164],
    // floor-marble, floor-other, floor-tile
    &[113, 114, 116],
    // floor-stone, pavement
    &[115, 139],
    // hill, mountain
    &[126, 134],
    // grass, moss, straw
    &[123, 133, 162],
    // dirt, mud
    &[110, 135],
    // napkin, paper
    &[136, 138],
    // food-other, salad, vegetable
    &[120, 152, 169],
    // building-other, skyscraper
    &[95, 157],
    // rock, stone
    &[149, 161],
    // wall-concrete, wall-other, wall-panel
    &[171, 172, 173],
    // carpet, mat, rug
    &[100, 130, 151],
];

/// Class of COCO panoptic for each channel of COCO-Stuff; none where pixels are left out of the
/// evaluation (notes M18).
///
/// The channels are the class indices of `experiments/datasets/coco-stuff.toml`: void first, then
/// the ids 0 to 181. Of the 171 classes that occur, 12 are in no panoptic class and their pixels are
/// void there: cloth, clothes, furniture-other, ground-other, metal, plant-other, plastic,
/// solid-other, structural-other, textile-other, waterdrops and wood.
///
/// The panoptic annotations are not quite this map of those of COCO-Stuff: where things overlap
/// each other or stuff, their authors decided anew.
pub fn coco_panoptic_of_channels() -> Vec<Option<usize>> {
    let mut classes = vec![None; 1 + COCO_STUFF_IDS];
    let things = (0..FIRST_STUFF).filter(|id| !ABSENT.contains(id));
    for (class, id) in things.enumerate() {
        classes[1 + id] = Some(class);
    }
    for (class, ids) in STUFF.iter().enumerate() {
        for &id in *ids {
            classes[1 + usize::from(id)] = Some(THINGS + class);
        }
    }
    classes
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    /// Merged classes and what they were merged from, as the text at cocodataset.org lists them.
    #[rustfmt::skip]
    const MERGED: [(&str, &[&str]); 17] = [
        ("tree-merged", &["branch", "tree", "bush", "leaves"]),
        ("fence-merged", &["cage", "fence", "railing"]),
        ("ceiling-merged", &["ceiling-tile", "ceiling-other"]),
        ("sky-other-merged", &["clouds", "sky-other", "fog"]),
        ("cabinet-merged", &["cupboard", "cabinet"]),
        ("table-merged", &["desk-stuff", "table"]),
        ("floor-other-merged", &["floor-marble", "floor-other", "floor-tile"]),
        ("pavement-merged", &["floor-stone", "pavement"]),
        ("mountain-merged", &["hill", "mountain"]),
        ("grass-merged", &["moss", "grass", "straw"]),
        ("dirt-merged", &["mud", "dirt"]),
        ("paper-merged", &["napkin", "paper"]),
        ("food-other-merged", &["salad", "vegetable", "food-other"]),
        ("building-other-merged", &["skyscraper", "building-other"]),
        ("rock-merged", &["stone", "rock"]),
        ("wall-other-merged", &["wall-other", "wall-concrete", "wall-panel"]),
        ("rug-merged", &["mat", "rug", "carpet"]),
    ];
    #[rustfmt::skip]
    const REMOVED: [&str; 12] = [
        "furniture-other", "metal", "plastic", "solid-other", "structural-other", "waterdrops",
        "textile-other", "cloth", "clothes", "plant-other", "wood", "ground-other",
    ];
    #[rustfmt::skip]
    const ABSENT_NAMES: [&str; 11] = [
        "street sign", "hat", "shoe", "eye glasses", "plate", "mirror", "window", "desk", "door",
        "blender", "hair brush",
    ];

    /// Names of the channels of the dataset, void first.
    fn channels() -> Vec<String> {
        let path = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../../experiments/datasets/coco-stuff.toml"
        );
        let text = std::fs::read_to_string(path).unwrap();
        let quoted = |line: &str| line.split('"').nth(1).unwrap().to_string();
        let blocks = text.split("[[class]]").skip(1).enumerate();
        let names = blocks.map(|(index, block)| {
            assert!(block.contains(&format!("ids = [{index}]")), "{block}");
            quoted(block.lines().find(|line| line.starts_with("name")).unwrap())
        });
        std::iter::once("void".to_string()).chain(names).collect()
    }

    #[test]
    fn every_class_of_coco_stuff_goes_where_the_published_list_says() {
        let merged: BTreeMap<&str, &str> = MERGED
            .iter()
            .flat_map(|(merged, parts)| parts.iter().map(move |part| (*part, *merged)))
            .collect();
        let map = coco_panoptic_of_channels();
        let channels = channels();
        assert_eq!(map.len(), channels.len());
        for (name, class) in channels.iter().zip(&map) {
            let name = name.as_str();
            let left_out =
                name == "void" || REMOVED.contains(&name) || ABSENT_NAMES.contains(&name);
            let expected = (!left_out).then(|| *merged.get(name).unwrap_or(&name));
            let found = class.map(|class| COCO_PANOPTIC_CLASSES[class]);
            assert_eq!(found, expected, "{name}");
        }
    }

    #[test]
    fn every_panoptic_class_is_reached() {
        let map = coco_panoptic_of_channels();
        let reached: std::collections::BTreeSet<usize> = map.iter().flatten().copied().collect();
        assert_eq!(reached, (0..133).collect());
        // 80 things, 36 kept and 43 merged classes of stuff.
        assert_eq!(map.iter().flatten().count(), 80 + 36 + 43);
    }
}
