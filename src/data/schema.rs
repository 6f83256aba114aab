use dp_sims_datasets::Description;
use serde_json::Value;

use crate::runtime::schema::of;

/// The JSON schema of dataset descriptions.
pub fn schema() -> Value {
    of::<Description>("dp-sims dataset description")
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::*;
    use crate::runtime::schema::check::faults_of_toml;
    use crate::runtime::schema::tables::{hold, keys};

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
        [train.folders.instances.png]
        folder = "numbers"
        first = 1000
    "##;

    /// What is written of one split holds for the others.
    #[test]
    fn the_reference_has_every_key_as_the_schema_has_it() {
        let schema = schema();
        let of_split = |name: &str| schema["properties"][name]["oneOf"].clone();
        assert!(of_split("train").is_array());
        assert_eq!(of_split("validation"), of_split("train"));
        assert_eq!(of_split("test"), of_split("train"));
        let mut keys = keys(&schema);
        keys.retain(|key| !key.path.starts_with("validation.") && !key.path.starts_with("test."));
        for key in &mut keys {
            key.path = key.path.replace("train.", "SPLIT.");
        }
        hold("dataset.md", &keys);
    }

    #[test]
    fn every_description_fits_the_schema() {
        let schema = schema();
        assert_eq!(faults_of_toml(&schema, GARDEN), [""; 0]);
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("experiments/datasets");
        let mut count = 0;
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let text = fs::read_to_string(&path).unwrap();
            assert_eq!(
                faults_of_toml(&schema, &text),
                [""; 0],
                "{}",
                path.display()
            );
            count += 1;
        }
        assert!(count >= 5, "{count}");
    }

    /// The schema refuses what the reader refuses.
    #[test]
    fn a_wrong_description_does_not_fit_the_schema() {
        let schema = schema();
        for (from, to) in [
            ("void =", "surprise = 1\nvoid ="),
            ("name = \"garden\"", ""),
            ("\"garden\"", "\"\""),
            ("\"garden\"", "3"),
            ("[255]", "[256]"),
            ("[7]", "[-1]"),
            ("#40a040", "#40a0"),
            ("[160, 96, 32]", "[160, 96]"),
            ("[160, 96, 32]", "[160, 96, 256]"),
            ("thing = true", "thing = 1"),
            ("thing =", "things ="),
            ("labels = \"masks\"", ""),
            ("labels =", "label_values = \"colour\"\nlabels ="),
            ("labels =", "image_suffixes = []\nlabels ="),
            ("labels =", "label_suffix = \"\"\nlabels ="),
            ("first = 1000", "first = 0"),
            ("first = 1000", "first = 65536"),
            ("instances.png", "instances.sketch"),
            ("[train.folders]", "[training.folders]"),
        ] {
            let text = GARDEN.replacen(from, to, 1);
            assert_ne!(text, GARDEN);
            assert_ne!(faults_of_toml(&schema, &text), [""; 0], "{to}");
            assert!(
                Description::parse(&text, Path::new("wrong.toml")).is_err(),
                "{to}"
            );
        }
    }
}
