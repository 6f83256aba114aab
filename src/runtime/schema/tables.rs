//! Tables of keys in the book, made of a schema.

use std::fs;
use std::path::Path;

use serde_json::Value;

/// An enumeration with more names than this is described in the text of its page.
const MOST_NAMES: usize = 6;

/// A key with its line in the table.
#[derive(Debug)]
pub(crate) struct Key {
    /// Dotted name.
    pub path: String,
    /// Whether it is a table, which a page may show as a line or as a section.
    pub is_table: bool,
    /// What the schema says of its value.
    pub property: Value,
    is_required: bool,
}

/// Every key of a schema, tables before what they hold.
pub(crate) fn keys(schema: &Value) -> Vec<Key> {
    let mut found = Vec::new();
    collect(schema, "", &mut found);
    found
}

/// Adds the keys of a table, of each table in a list, or of every table that may stand there.
fn collect(schema: &Value, below: &str, found: &mut Vec<Key>) {
    for schema in std::iter::once(schema)
        .chain(schema.get("items"))
        .chain(choices(schema))
    {
        for (name, property) in schema["properties"].as_object().into_iter().flatten() {
            let path = format!("{below}{name}");
            let required = schema["required"].as_array();
            let at = found.len();
            found.push(Key {
                path: path.clone(),
                is_table: false,
                property: property.clone(),
                is_required: required.is_some_and(|names| names.contains(&name.as_str().into())),
            });
            collect(property, &format!("{path}."), found);
            found[at].is_table = found.len() > at + 1;
        }
    }
}

fn choices(schema: &Value) -> impl Iterator<Item = &Value> {
    let lists = ["oneOf", "anyOf"]
        .into_iter()
        .filter_map(|name| schema.get(name)?.as_array());
    lists.flatten()
}

impl Key {
    fn path(&self) -> &str {
        &self.path
    }

    /// The name below a table.
    fn name_in(&self, table: &str) -> &str {
        let name = self.path.strip_prefix(table).unwrap_or(&self.path);
        name.trim_start_matches('.')
    }

    /// What a column of the table says.
    fn cell(&self, column: &str) -> String {
        match column {
            "default" => match self.property.get("default") {
                Some(default) => format!("`{}`", written(default)),
                None if self.is_required => "required".to_string(),
                None => "none".to_string(),
            },
            "range" => range(&self.property),
            "meaning" => self.meaning(),
            other => panic!("unknown column `{other}`"),
        }
    }

    /// The description, and those of the names that the value may be.
    fn meaning(&self) -> String {
        let description = |schema: &Value| {
            let text = schema["description"].as_str().unwrap_or_default();
            text.split_whitespace().collect::<Vec<_>>().join(" ")
        };
        let mut parts = vec![description(&self.property)];
        assert!(!parts[0].is_empty(), "`{}` has no description", self.path);
        let names: Vec<&Value> = choices(&self.property).collect();
        if !self.is_table && names.len() <= MOST_NAMES {
            for name in names {
                let text = description(name);
                match name.get("const") {
                    Some(name) => parts.push(format!("`{name}`: {text}")),
                    None if text.is_empty() => {}
                    None => parts.push(text),
                }
            }
        }
        parts.join(" ").replace('|', "\\|")
    }
}

/// A value as TOML has it.
fn written(value: &Value) -> String {
    match value {
        Value::Array(values) => {
            let values: Vec<String> = values.iter().map(written).collect();
            format!("[{}]", values.join(", "))
        }
        other => other.to_string(),
    }
}

/// The range of a number or of those in a list, in the words of error messages.
fn range(property: &Value) -> String {
    let bounds = property.get("items").unwrap_or(property);
    let bound = |name: &str| bounds.get(name);
    match (bound("minimum"), bound("maximum")) {
        (Some(from), Some(to)) => format!("{from} to {to}"),
        (Some(from), None) => match bound("exclusiveMaximum") {
            Some(to) => format!("{from} to below {to}"),
            None => format!("at least {from}"),
        },
        (None, Some(to)) => match bound("exclusiveMinimum") {
            Some(from) => format!("above {from}, up to {to}"),
            None => format!("up to {to}"),
        },
        (None, None) => String::new(),
    }
}

/// The name of the table that a heading such as "## `[run]`" is about; none for other headings.
fn heading(line: &str) -> Option<&str> {
    let title = line.trim_start_matches('#').strip_prefix(" `[")?;
    title.strip_suffix("]`").filter(|_| line.starts_with("##"))
}

/// The name in the first cell of a line.
fn first_cell(line: &str) -> &str {
    let cell = line
        .trim_start_matches('|')
        .split('|')
        .next()
        .unwrap_or_default();
    cell.trim().trim_matches('`')
}

/// A page with the lines of its tables of keys made anew. A table has the keys of the heading above it
/// that have no heading of their own, in the order in which it had them, then those that it lacked.
///
/// # Panics
/// When a key has no table.
pub(crate) fn rewritten(page: &str, keys: &[Key]) -> String {
    let sections: Vec<&str> = page.lines().filter_map(heading).collect();
    let section_of = |key: &Key| {
        let above = |section: &&&str| key.path.starts_with(&format!("{section}."));
        let nearest = sections.iter().filter(above).max_by_key(|name| name.len());
        nearest.copied().unwrap_or_default()
    };
    let mut left: Vec<&str> = keys
        .iter()
        .filter(|key| !key.is_table)
        .map(Key::path)
        .collect();
    let (mut text, mut section) = (String::new(), "");
    let mut lines = page.lines().peekable();
    while let Some(line) = lines.next() {
        section = heading(line).unwrap_or(section);
        text.push_str(&format!("{line}\n"));
        if !line.starts_with("| key |") {
            continue;
        }
        let columns = line
            .split('|')
            .map(str::trim)
            .filter(|name| !name.is_empty());
        let columns: Vec<&str> = columns.skip(1).collect();
        text.push_str(&format!("{}\n", lines.next().unwrap_or_default()));
        let mut shown = Vec::new();
        while let Some(row) = lines.next_if(|line| line.starts_with('|')) {
            shown.push(first_cell(row));
        }
        let place = |key: &Key| shown.iter().position(|name| *name == key.name_in(section));
        let members = keys.iter().filter(|key| section_of(key) == section);
        let mut members: Vec<&Key> = members
            .filter(|key| !key.is_table || place(key).is_some())
            .collect();
        members.sort_by_key(|key| place(key).unwrap_or(usize::MAX));
        for key in members {
            left.retain(|path| *path != key.path);
            let cells = columns
                .iter()
                .map(|column| format!(" {} |", key.cell(column)));
            text.push_str(&format!(
                "| `{}` |{}\n",
                key.name_in(section),
                cells.collect::<String>()
            ));
        }
    }
    assert!(left.is_empty(), "no table has {left:?}");
    text
}

/// Compares a page of the reference with its schema, or writes it where `DP_SIMS_WRITE_PAGES` is set.
pub(crate) fn hold(page: &str, keys: &[Key]) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("book/src/reference");
    let path = folder.join(page);
    let text = fs::read_to_string(&path).unwrap();
    let expected = rewritten(&text, keys);
    if std::env::var_os("DP_SIMS_WRITE_PAGES").is_some() {
        fs::write(path, expected).unwrap();
        return;
    }
    let mut lines = text.lines().zip(expected.lines());
    if let Some((line, expected)) = lines.find(|(line, expected)| line != expected) {
        panic!(
            "{page} has\n{line}\nand the schema\n{expected}\n\
             `DP_SIMS_WRITE_PAGES=1 cargo test --workspace --lib -- the_reference_has_every_key` writes it"
        );
    }
    assert_eq!(text, expected, "{page}");
}

/// A page follows its schema: new keys come last, old ones go, and the rest keeps its place.
#[test]
fn a_page_gets_the_keys_that_it_lacks_and_loses_those_that_there_are_not() {
    let schema = serde_json::json!({
        "properties": {
            "alpha": { "type": "integer", "minimum": 1, "maximum": 3, "default": 2, "description": "First." },
            "mode": {
                "description": "Last,\nhere.",
                "oneOf": [{ "const": "a", "description": "This|that." }],
            },
            "table": {
                "description": "A table.",
                "properties": { "rate": { "exclusiveMinimum": 0.0, "maximum": 1.0, "description": "Rate." } },
                "required": ["rate"],
            },
        },
    });
    let page = "# Page\n\n| key | default | range | meaning |\n|---|---|---|---|\n\
                | `mode` | old | | old |\n| `gone` | | | |\n\nText.\n\n\
                ## `[table]`\n\n| key | default | meaning |\n|---|---|---|\n";
    let expected = "# Page\n\n| key | default | range | meaning |\n|---|---|---|---|\n\
                    | `mode` | none |  | Last, here. `\"a\"`: This\\|that. |\n\
                    | `alpha` | `2` | 1 to 3 | First. |\n\nText.\n\n\
                    ## `[table]`\n\n| key | default | meaning |\n|---|---|---|\n\
                    | `rate` | required | Rate. |\n";
    let keys = keys(&schema);
    assert_eq!(rewritten(page, &keys), expected);
    assert_eq!(range(&keys[3].property), "above 0.0, up to 1.0");
    assert_eq!(rewritten(expected, &keys), expected);
}
