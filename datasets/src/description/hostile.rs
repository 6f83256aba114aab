//! Descriptions that nobody would write: each is read or refused by name, and nothing panics.

use std::path::Path;

use proptest::prelude::*;

use super::*;

/// Every table a description has.
const FULL: &str = r##"
name = "full"
void = [0, 255]

[[class]]
name = "sky"
colour = "#4682b4"
ids = [1]

[[class]]
name = "dog"
colour = [160, 96, 32]
ids = [2, 3]
thing = true

[train.folders]
images = "photos"
image_suffixes = [".jpg"]
labels = "masks"
label_suffix = "_m.png"
label_values = "colours"

[train.folders.instances.png]
folder = "numbers"
suffix = "_i.png"
first = 1000

[validation.folders]
images = "v"
labels = "w"

[validation.folders.instances.coco]
file = "instances.json"
id_offset = -1

[test.list]
file = "test.txt"
strip_prefix = "/old"
"##;

fn parse(text: &str) -> Result<(), TestCaseError> {
    match Description::parse(text, Path::new("full.toml")) {
        Ok(description) => {
            prop_assert!(description.validate().is_ok());
            prop_assert!(description.class_table().len() <= 256);
            let classes = description.class_table().len();
            let ids = description.class_of_id();
            prop_assert!(
                ids.iter()
                    .flatten()
                    .all(|&class| usize::from(class) < classes)
            );
            let again = toml::to_string(&description).unwrap();
            let again = Description::parse(&again, Path::new("again.toml"));
            prop_assert_eq!(again.unwrap(), description);
        }
        Err(error) => prop_assert!(error.to_string().contains("full.toml"), "{}", error),
    }
    Ok(())
}

#[test]
fn the_full_description_is_valid() {
    assert!(Description::parse(FULL, Path::new("full.toml")).is_ok());
}

/// Nesting that a recursive reader would pay for with its stack.
#[test]
fn deep_nesting_is_refused() {
    let deep = 200_000;
    for text in [
        format!("name = {}", "[".repeat(deep)),
        format!("name = {}{}", "[".repeat(deep), "]".repeat(deep)),
        format!("name = {}", "{a = ".repeat(deep)),
        format!("{}a = 1", "a.".repeat(deep)),
        format!("[{}a]", "a.".repeat(deep)),
        format!("[train{}]\nfile = 1", ".folders".repeat(deep)),
    ] {
        let error = Description::parse(&text, Path::new("deep.toml")).unwrap_err();
        assert!(error.to_string().contains("deep.toml"));
    }
}

proptest! {
    #[test]
    fn random_texts(text in any::<String>(), lines in "([a-z\\[\\]{}\"=.,#0-9 -]{0,12}\n){0,8}") {
        parse(&text)?;
        parse(&lines)?;
    }

    /// Up to three places of a valid text are replaced by parts of it or by other signs.
    #[test]
    fn mutated_texts(
        edits in prop::collection::vec(
            (any::<prop::sample::Index>(), 0_usize..30, any::<prop::sample::Index>(), 0_usize..40),
            1..4,
        ),
        with in "[-+0-9a-z\\[\\]{}\"'=.,#\\\\\n ]{0,4}",
    ) {
        let mut text = FULL.to_string();
        for (place, cut, from, count) in edits {
            let start = place.index(text.len() + 1);
            let end = (start + cut).min(text.len());
            let from = from.index(FULL.len());
            let part = &FULL[from..(from + count).min(FULL.len())];
            text.replace_range(start..end, &format!("{with}{part}"));
        }
        parse(&text)?;
    }

    /// Values of every type in place of every value.
    #[test]
    fn values_of_other_types(
        line in 0_usize..40,
        value in prop::sample::select(vec![
            "1", "-1", "256", "1e400", "nan", "9999999999999999999", "true", "\"\"", "\"x\"",
            "[]", "[[]]", "[1, \"a\"]", "{}", "{a = 1}", "1979-05-27", "[255, 255, 256]", "\"#12345\"",
        ]),
    ) {
        let mut lines: Vec<String> = FULL.lines().map(String::from).collect();
        let line = line % lines.len();
        if let Some((key, _)) = lines[line].clone().split_once('=') {
            lines[line] = format!("{key}= {value}");
        }
        parse(&lines.join("\n"))?;
    }
}
