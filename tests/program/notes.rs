//! Numbered notes that sources and pages cite, such as `notes L30`, are in the book.

use std::fs;
use std::path::Path;

/// Whether a word is a letter with a number, such as `L30`.
fn is_number(word: &str) -> bool {
    let digits = word.strip_prefix(|letter: char| letter.is_ascii_uppercase());
    digits.is_some_and(|digits| !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()))
}

/// Numbers that a text cites as notes, with the line where the citation begins. `facts`, a page that no
/// reader has, stands for itself where a number is near.
fn cited(text: &str) -> Vec<(usize, &str)> {
    let words: Vec<(usize, &str)> = (1..)
        .zip(text.lines())
        .flat_map(|(line, text)| text.split_whitespace().map(move |word| (line, word)))
        .map(|(line, word)| (line, word.trim_matches(|c: char| !c.is_alphanumeric())))
        .filter(|(_, word)| !word.is_empty())
        .collect();
    let mut found = Vec::new();
    for (index, &(line, word)) in words.iter().enumerate() {
        if ["notes", "Notes"].contains(&word) {
            let after = words[index + 1..].iter().map(|&(_, word)| word);
            let list = after.take_while(|word| is_number(word) || ["and", "to"].contains(word));
            found.extend(list.filter(|word| is_number(word)).map(|word| (line, word)));
        } else if ["facts", "Facts"].contains(&word) {
            let mut near = words[index..].iter().take(4);
            let has_number = near.any(|(_, word)| word.contains(char::is_numeric));
            found.extend(has_number.then_some((line, word)));
        }
    }
    found
}

/// Calls `look` with the path of every text file below a folder, but for packages of others.
fn walk(folder: &Path, look: &mut dyn FnMut(&Path)) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let end = path.extension().and_then(|end| end.to_str());
        if path.ends_with("node_modules") {
            continue;
        }
        if path.is_dir() {
            walk(&path, look);
        } else if matches!(end, Some("rs" | "toml" | "md")) {
            look(&path);
        }
    }
}

#[test]
fn every_note_that_is_cited_is_in_the_book() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = |name| fs::read_to_string(root.join("book/src/explanation").join(name)).unwrap();
    let pages = page("notes.md") + &page("open-choices.md");
    let mut count = 0;
    for room in "src backends model datasets experiments book".split(' ') {
        walk(&root.join(room), &mut |path: &Path| {
            let text = fs::read_to_string(path).unwrap();
            for (line, number) in cited(&text) {
                let is_there = pages.contains(&format!("<a id=\"{number}\"></a>"));
                assert!(is_there, "{}:{line}: no note {number}", path.display());
                count += 1;
            }
        });
    }
    assert!(count > 100, "{count} citations");
}

#[test]
fn a_citation_is_found_in_lists_and_over_the_end_of_a_line() {
    let text = "/// (notes\n/// L30 and O22, M1 to M4). A\n//! notes of mine: L2 norm";
    let found = [(1, "L30"), (1, "O22"), (1, "M1"), (1, "M4")];
    assert_eq!(cited(text), found);
    let text = "(facts\n// L30), Facts, section 8; all the facts are known";
    assert_eq!(cited(text), [(1, "facts"), (2, "Facts")]);
}
