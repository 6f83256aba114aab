use proptest::prelude::*;

use super::*;
use crate::testing::assert_says;

const GARDEN: &str = r##"
name = "garden"
void = [255]

[[class]]
name = "grass"
colour = "#40a040"
ids = [1, 2]

[[class]]
name = "dog"
colour = [160, 96, 32]
ids = [7]
thing = true

[train.folders]
images = "photos"
labels = "masks"

[test.list]
file = "test.txt"
strip_prefix = "/old"
"##;

fn parse(text: &str) -> Result<Description, DatasetError> {
    Description::parse(text, Path::new("garden.toml"))
}

/// The message of the description error behind `text`, checked to name the file.
fn problem(text: &str) -> String {
    let error = parse(text).unwrap_err();
    assert!(error.to_string().contains("garden.toml"), "{error}");
    std::error::Error::source(&error).unwrap().to_string()
}

#[test]
fn plain_folder_has_defaults_classes_and_ids() {
    let garden = parse(GARDEN).unwrap();
    let Some(SplitFiles::Folders(folders)) = garden.files(Split::Train) else {
        panic!("train is described by folders");
    };
    assert_eq!(folders.image_suffixes, [".jpg", ".jpeg", ".png", ".webp"]);
    assert_eq!(folders.label_suffix, ".png");
    assert!(garden.files(Split::Validation).is_none());

    let table = garden.class_table();
    assert_eq!(table.len(), 3);
    assert_eq!(table.classes[0].name, "void");
    assert_eq!(table.colour(1), [0x40, 0xa0, 0x40]);
    assert!(table.classes[2].thing && !table.classes[1].thing);

    let map = garden.class_of_id();
    assert_eq!(
        (map[255], map[1], map[2], map[7]),
        (Some(0), Some(1), Some(1), Some(2))
    );
    assert_eq!(map.iter().flatten().count(), 4);
}

#[test]
fn round_trips_through_toml_and_json() {
    let garden = parse(GARDEN).unwrap();
    let text = toml::to_string(&garden).unwrap();
    assert_eq!(parse(&text).unwrap(), garden);
    let json = serde_json::to_string(&garden).unwrap();
    assert_eq!(serde_json::from_str::<Description>(&json).unwrap(), garden);
}

#[test]
fn duplicate_id_names_both_keys() {
    let message = problem(&GARDEN.replace("ids = [7]", "ids = [7, 2]"));
    assert_says(
        &message,
        &["id 2", "`class.grass.ids` and in `class.dog.ids`"],
    );
    let message = problem(&GARDEN.replace("[255]", "[7]"));
    assert_says(&message, &["`void` and in `class.dog.ids`"]);
    assert!(problem(&GARDEN.replace("[7]", "[7, 7]")).contains("id 7"));
}

#[test]
fn duplicate_and_reserved_names_are_refused() {
    assert!(problem(&GARDEN.replace("\"dog\"", "\"grass\"")).contains("`grass`"));
    assert!(problem(&GARDEN.replace("\"dog\"", "\"void\"")).contains("`void`"));
}

#[test]
fn class_count_is_bounded() {
    let class = |n: usize| {
        format!(
            "[[class]]\nname = \"c{n}\"\ncolour = \"#000000\"\nids = [{}]\n",
            n.min(255)
        )
    };
    let text = |count: usize| {
        let classes: String = (0..count).map(class).collect();
        format!("name = \"many\"\n{classes}[train.list]\nfile = \"t.txt\"\n")
    };
    assert_eq!(parse(&text(255)).unwrap().class_table().len(), 256);
    assert!(problem(&text(256)).contains("256 tables"));
    assert!(problem("name = \"none\"\nclass = []\ntrain.list.file = \"a\"").contains("`class`"));
}

#[test]
fn missing_splits_and_empty_keys_are_refused() {
    let cut = GARDEN.find("[train").unwrap();
    assert!(problem(&GARDEN[..cut]).contains("at least one split"));
    assert!(problem(&GARDEN.replace("\"test.txt\"", "\"\"")).contains("`test.list.file`"));
    assert!(problem(&GARDEN.replace("\"garden\"", "\"\"")).contains("`name`"));
    assert!(problem(&GARDEN.replace("[7]", "[]")).contains("`class.dog.ids`"));
    let masks = "labels = \"masks\"";
    let suffix = |line: &str| problem(&GARDEN.replace(masks, &format!("{masks}\n{line}")));
    assert!(suffix("label_suffix = \"\"").contains("`train.folders.label_suffix`"));
    assert!(suffix("image_suffixes = []").contains("`train.folders.image_suffixes`"));
    assert!(suffix("image_suffixes = [\"\"]").contains("`train.folders.image_suffixes`"));
}

#[test]
fn unknown_keys_wrong_ids_and_bad_colours_name_the_place() {
    assert!(problem(&format!("surprise = 1\n{GARDEN}")).contains("surprise"));
    let message = problem(&GARDEN.replace("strip_prefix", "strip_prefixes"));
    assert_says(&message, &["strip_prefixes"]);
    assert!(problem(&GARDEN.replace("[7]", "[300]")).contains("300"));
    assert!(problem(&GARDEN.replace("#40a040", "#40a0")).contains("`#40a0` is not a colour"));
    assert!(problem(&GARDEN.replace("#40a040", "#+0a040")).contains("is not a colour"));
    let message = problem(&GARDEN.replace("[160, 96, 32]", "[160, 96]"));
    assert_says(&message, &["#rrggbb", "line"]);
}

#[test]
fn an_absent_file_is_named() {
    let error = Description::read(Path::new("absent/none.toml")).unwrap_err();
    assert_eq!(error.to_string(), "cannot read absent/none.toml");
}

/// The garden with a source of instances.
fn with_instances(kind: &str, keys: &str) -> String {
    GARDEN.replace(
        "[test.list]",
        &format!("[train.folders.instances.{kind}]\n{keys}\n\n[test.list]"),
    )
}

#[test]
fn instance_sources_have_defaults_and_round_trip() {
    for (kind, keys, expected) in [
        (
            "png",
            "folder = \"numbers\"",
            Instances::Png(InstancePng {
                folder: "numbers".into(),
                suffix: ".png".to_string(),
                first: 1,
            }),
        ),
        (
            "coco",
            "file = \"i.json\"\nid_offset = -1",
            Instances::Coco(CocoFile {
                file: "i.json".into(),
                id_offset: -1,
            }),
        ),
        (
            "panoptic",
            "file = \"p.json\"\nfolder = \"p\"",
            Instances::Panoptic(PanopticFiles {
                folder: "p".into(),
                suffix: ".png".to_string(),
                file: "p.json".into(),
                id_offset: 0,
            }),
        ),
    ] {
        let text = with_instances(kind, keys);
        let garden = parse(&text).unwrap();
        let files = garden.files(Split::Train).unwrap();
        assert_eq!(files.instances(), Some(&expected));
        assert_eq!(parse(&toml::to_string(&garden).unwrap()).unwrap(), garden);
        assert!(problem(&text.replace("thing = true", "")).contains("`thing = true`"));
    }
    for (kind, keys, expected) in [
        (
            "png",
            "folder = \"\"\nsuffix = \"\"",
            "`train.folders.instances.png.suffix`",
        ),
        (
            "png",
            "folder = \"\"\nfirst = 0",
            "`train.folders.instances.png.first`",
        ),
        ("coco", "file = \"\"", "`train.folders.instances.coco.file`"),
        (
            "panoptic",
            "file = \"\"\nfolder = \"\"",
            "`train.folders.instances.panoptic.file`",
        ),
        ("sketch", "file = \"\"", "sketch"),
    ] {
        let message = problem(&with_instances(kind, keys));
        assert!(message.contains(expected), "{message}");
    }
}

#[test]
fn colour_coded_labels_need_colours_of_their_own_and_no_ids() {
    let values = "label_values = \"colours\"\n";
    let text = GARDEN
        .replace("strip_prefix", &format!("{values}strip_prefix"))
        .replace(
            "labels = \"masks\"",
            &format!("labels = \"masks\"\n{values}"),
        );
    let garden = parse(&text.replace("ids = [7]", "")).unwrap();
    assert_eq!(
        garden.files(Split::Test).unwrap().label_values(),
        LabelValues::Colours
    );
    let colours = garden.class_of_colour();
    assert_eq!(colours.len(), 3);
    assert_eq!((colours[&[0, 0, 0]], colours[&[160, 96, 32]]), (0, 2));
    // A split with ids still needs them.
    let mixed = text.replacen(values, "", 1).replace("ids = [7]", "");
    assert!(problem(&mixed).contains("`class.dog.ids`"));
    let message = problem(&text.replace("[160, 96, 32]", "\"#40a040\""));
    assert_says(&message, &["`grass` and `dog`"]);
    let message = problem(&text.replace("[160, 96, 32]", "[0, 0, 0]"));
    assert_says(&message, &["`void` and `dog`"]);
    assert!(problem(&text.replace("colours\"", "colour\"")).contains("colour"));
}

proptest! {
    #[test]
    fn damaged_texts_never_panic(
        place in any::<prop::sample::Index>(),
        with in "[-0-9a-z\\[\\]{}\"=.,\n ]{0,6}",
        cut in 0_usize..12,
    ) {
        let mut text = with_instances("png", "folder = \"numbers\"");
        let start = place.index(text.len());
        let end = (start + cut).min(text.len());
        text.replace_range(start..end, &with);
        match parse(&text) {
            Ok(description) => prop_assert!(description.validate().is_ok()),
            Err(error) => prop_assert!(error.to_string().contains("garden.toml")),
        }
    }
}
