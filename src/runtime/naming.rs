//! Names that were perhaps mistyped.

/// Likeness from 0 to 1 from which on a name is taken for a mistyped other one.
const LIKENESS: f64 = 0.7;

/// Fewest letters of a name that another one begins with.
const PART: usize = 4;

/// The name among `known` that is most like `name`, if one is like it at all.
pub fn closest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let name = name.to_lowercase();
    let likeness = |known: &str| {
        let known = known.to_lowercase();
        let alike = strsim::normalized_damerau_levenshtein(&name, &known);
        // A name with a word too much or too little.
        let is_part = known.starts_with(&name) || name.starts_with(&known);
        if is_part && name.len().min(known.len()) >= PART {
            alike.max(LIKENESS)
        } else {
            alike
        }
    };
    let liked = known.into_iter().map(|known| (likeness(known), known));
    let best = liked.max_by(|(a, _), (b, _)| a.total_cmp(b))?;
    (best.0 >= LIKENESS).then_some(best.1)
}

/// `; did you mean `NAME`?`, or nothing where no name is alike.
pub fn hint<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    closest(name, known).map_or_else(String::new, |known| format!("; did you mean `{known}`?"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mistyped_name_is_recognised_and_another_is_not() {
        let known = ["quickstart", "camvid", "ade20k"];
        for (name, expected) in [
            ("quikstart", Some("quickstart")),
            ("CamVid", Some("camvid")),
            ("ade20", Some("ade20k")),
            ("quick", Some("quickstart")),
            ("ade", None),
            ("garden.toml", None),
            ("", None),
        ] {
            assert_eq!(closest(name, known), expected, "{name}");
        }
        assert_eq!(hint("camvod", known), "; did you mean `camvid`?");
        assert_eq!(hint("meadow", known), "");
    }
}
