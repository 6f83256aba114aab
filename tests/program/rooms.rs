//! The rooms of the program, its top-level modules, use each other in one direction: no room needs
//! itself by way of others.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

/// A reference from one room to another.
#[derive(Debug, PartialEq)]
struct Use {
    from: String,
    to: String,
    file: PathBuf,
    line: usize,
}

impl fmt::Display for Use {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { from, to, .. } = self;
        write!(f, "{from} -> {to}  {}:{}", self.file.display(), self.line)
    }
}

/// A source file by its path below `src/`.
type Source = (PathBuf, String);

/// Path of the module that a file is, from the root of the crate.
fn module_of(path: &Path) -> Vec<String> {
    let path = path.with_extension("");
    let mut parts: Vec<String> = path
        .iter()
        .map(|part| part.to_string_lossy().into_owned())
        .collect();
    if parts.last().is_some_and(|part| part == "mod") {
        parts.pop();
    }
    parts
}

/// The lines of a source without comments and without what only tests have, and the modules that only
/// tests have. Relies on rustfmt: an item ends at the first line of its own indentation that closes it.
fn program_lines(text: &str) -> (Vec<(usize, &str)>, Vec<&str>) {
    let mut kept = Vec::new();
    let mut test_modules = Vec::new();
    let lines = text
        .lines()
        .map(|line| line.split("//").next().unwrap_or(""));
    let mut lines = (1..).zip(lines);
    while let Some((number, line)) = lines.next() {
        let indent = &line[..line.len() - line.trim_start().len()];
        let attribute = line.trim_start();
        let is_test =
            attribute.starts_with("#[cfg(test)]") || attribute.starts_with("#[cfg(all(test");
        if !is_test {
            kept.push((number, line));
            continue;
        }
        let mut first = true;
        for (_, line) in lines.by_ref() {
            let inner = line.trim();
            if first && inner.starts_with("#[") {
                continue;
            }
            if let Some(name) = inner.strip_prefix("mod ").filter(|_| first) {
                test_modules.extend(name.strip_suffix(';'));
            }
            let is_item = line
                .strip_prefix(indent)
                .is_some_and(|rest| !rest.starts_with(' '));
            if is_item && (inner.starts_with('}') || first && inner.ends_with([';', '}'])) {
                break;
            }
            first = false;
        }
    }
    (kept, test_modules)
}

/// Names at the root of the crate that code refers to, with where in it they begin: of `crate::a`, of
/// `crate::{a::b, c}`, and of as many `super::` as leave a module that lies `depth` below the root.
fn root_names(code: &str, depth: usize) -> Vec<(usize, &str)> {
    let up = "super::".repeat(depth);
    let mut found = Vec::new();
    for prefix in ["crate::", &up] {
        for (at, _) in code.match_indices(prefix) {
            if code[..at].ends_with(|c: char| c == '_' || c.is_alphanumeric()) {
                continue;
            }
            let rest = at + prefix.len();
            match code[rest..].strip_prefix('{') {
                Some(group) => {
                    let members = group_members(group);
                    found.extend(
                        members
                            .into_iter()
                            .map(|(start, name)| (rest + 1 + start, name)),
                    );
                }
                None => found.push((rest, identifier(&code[rest..]))),
            }
        }
    }
    found
}

/// First names of the members of a group, whose brace is open.
fn group_members(group: &str) -> Vec<(usize, &str)> {
    let (mut open, mut expects) = (1, true);
    let mut members = Vec::new();
    for (at, c) in group.char_indices() {
        match c {
            '{' => open += 1,
            '}' => open -= 1,
            ',' if open == 1 => expects = true,
            c if expects && !c.is_whitespace() => {
                members.push((at, identifier(&group[at..])));
                expects = false;
            }
            _ => {}
        }
        if open == 0 {
            break;
        }
    }
    members
}

fn identifier(text: &str) -> &str {
    let end = text.find(|c: char| c != '_' && !c.is_alphanumeric());
    &text[..end.unwrap_or(text.len())]
}

/// Every reference between rooms.
fn uses(sources: &[Source]) -> Vec<Use> {
    let parsed: Vec<_> = sources
        .iter()
        .map(|(path, text)| (path, module_of(path), program_lines(text)))
        .collect();
    let rooms: BTreeSet<&String> = parsed
        .iter()
        .filter_map(|(_, module, _)| module.first())
        .collect();
    let test_modules: Vec<Vec<String>> = parsed
        .iter()
        .flat_map(|(_, module, (_, tests))| {
            let below = |name: &&str| [module.clone(), vec![name.to_string()]].concat();
            tests.iter().map(below)
        })
        .collect();
    let mut uses = Vec::new();
    for (path, module, (lines, _)) in &parsed {
        if test_modules.iter().any(|tests| module.starts_with(tests)) {
            continue;
        }
        let code: String = lines.iter().map(|(_, line)| format!("{line}\n")).collect();
        for (at, name) in root_names(&code, module.len()) {
            if *name != module[0] && rooms.contains(&name.to_string()) {
                uses.push(Use {
                    from: module[0].clone(),
                    to: name.to_string(),
                    file: path.to_path_buf(),
                    line: lines[code[..at].matches('\n').count()].0,
                });
            }
        }
    }
    uses
}

/// A circle of references, if there is one.
fn circle(uses: &[Use]) -> Option<Vec<&Use>> {
    let mut edges: BTreeMap<(&str, &str), &Use> = BTreeMap::new();
    for found in uses {
        edges.entry((&found.from, &found.to)).or_insert(found);
    }
    let mut done = BTreeSet::new();
    edges
        .keys()
        .find_map(|(room, _)| walk(room, &edges, &mut Vec::new(), &mut done))
}

/// Follows the references of a room; `path` leads to it. Rooms that are `done` lead to no circle.
fn walk<'a>(
    room: &'a str,
    edges: &BTreeMap<(&'a str, &'a str), &'a Use>,
    path: &mut Vec<&'a Use>,
    done: &mut BTreeSet<&'a str>,
) -> Option<Vec<&'a Use>> {
    if let Some(start) = path.iter().position(|found| found.from == room) {
        return Some(path.split_off(start));
    }
    if done.contains(room) {
        return None;
    }
    for (_, &found) in edges.iter().filter(|((from, _), _)| *from == room) {
        path.push(found);
        if let Some(circle) = walk(&found.to, edges, path, done) {
            return Some(circle);
        }
        path.pop();
    }
    done.insert(room);
    None
}

/// The sources below a folder, but for those at its top that put the crate together.
fn read(folder: &Path, below: &Path, sources: &mut Vec<Source>) {
    for entry in fs::read_dir(folder.join(below)).unwrap() {
        let path = below.join(entry.unwrap().file_name());
        let full = folder.join(&path);
        if full.is_dir() {
            read(folder, &path, sources);
        } else if path.extension().is_some_and(|ending| ending == "rs")
            && !["lib.rs", "main.rs"]
                .map(Path::new)
                .contains(&path.as_path())
        {
            sources.push((path, fs::read_to_string(full).unwrap()));
        }
    }
}

#[test]
fn no_room_needs_itself_by_way_of_others() {
    let mut sources = Vec::new();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    read(&folder, Path::new(""), &mut sources);
    sources.sort();
    let uses = uses(&sources);
    assert!(uses.len() > 100, "only {} references found", uses.len());
    if let Some(circle) = circle(&uses) {
        let edges: Vec<String> = circle.iter().map(|found| format!("  {found}")).collect();
        panic!("a circle between rooms of src/:\n{}", edges.join("\n"));
    }
}

#[test]
fn a_circle_is_found_and_tests_close_none() {
    let mut sources: Vec<Source> = [
        (
            "top/mod.rs",
            "use crate::{\n    middle::{bottom, A},\n    bottom,\n};\n",
        ),
        (
            "middle.rs",
            "//! Not crate::top.\nuse crate::bottom;\n#[cfg(test)]\nmod tests;\n",
        ),
        ("middle/tests.rs", "use crate::top;\n"),
        (
            "bottom/mod.rs",
            "mod part;\n#[cfg(all(test, unix))]\nmod tests {\n    use crate::top;\n}\n",
        ),
        ("bottom/part.rs", "use super::middle;\n"),
    ]
    .map(|(path, text)| (path.into(), text.to_string()))
    .into();
    let found: Vec<String> = uses(&sources).iter().map(Use::to_string).collect();
    let expected = [
        "top -> middle  top/mod.rs:2",
        "top -> bottom  top/mod.rs:3",
        "middle -> bottom  middle.rs:2",
    ];
    assert_eq!(found, expected);
    assert_eq!(circle(&uses(&sources)), None);

    sources[4]
        .1
        .push_str("fn f() {\n    super::super::top::g();\n}\n");
    let uses = uses(&sources);
    let edges: Vec<String> = circle(&uses)
        .unwrap()
        .iter()
        .map(|found| found.to_string())
        .collect();
    assert_eq!(
        edges,
        [
            "bottom -> top  bottom/part.rs:3",
            "top -> bottom  top/mod.rs:3"
        ]
    );
}
