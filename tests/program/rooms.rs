//! Modules of one folder use each other in one direction, in every crate and in every folder of it: no
//! room of the house needs itself by way of others.

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

/// Names in the module `base` that code refers to, with where in it they begin: with `crate::` as the
/// base, of `crate::a`, of `crate::{a::b, c}`, and of as many `super::` as leave a module that lies
/// `depth` below it.
fn names_in<'a>(base: &str, code: &'a str, depth: usize) -> Vec<(usize, &'a str)> {
    let up = "super::".repeat(depth);
    let mut found = Vec::new();
    for prefix in [base, &up] {
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

/// Every reference between the rooms of a module, given its path, such as `crate::`.
fn uses(base: &str, sources: &[Source]) -> Vec<Use> {
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
        let is_test = test_modules.iter().any(|tests| module.starts_with(tests));
        if is_test || module.is_empty() {
            continue;
        }
        let code: String = lines.iter().map(|(_, line)| format!("{line}\n")).collect();
        for (at, name) in names_in(base, &code, module.len()) {
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

/// The sources below a folder, but for what puts the module together.
fn read(folder: &Path, below: &Path, sources: &mut Vec<Source>) {
    for entry in fs::read_dir(folder.join(below)).unwrap() {
        let path = below.join(entry.unwrap().file_name());
        let full = folder.join(&path);
        if path.ends_with("node_modules") {
            continue;
        }
        if full.is_dir() {
            read(folder, &path, sources);
        } else if path.extension().is_some_and(|ending| ending == "rs")
            && !["lib.rs", "main.rs", "mod.rs"]
                .map(Path::new)
                .contains(&path.as_path())
        {
            sources.push((path, fs::read_to_string(full).unwrap()));
        }
    }
}

/// Looks for circles between the modules of a folder, and of those below it. Returns how many references
/// there are.
fn check(folder: &Path, base: &str) -> usize {
    let mut sources = Vec::new();
    read(folder, Path::new(""), &mut sources);
    if sources.is_empty() {
        // Of another language.
        return 0;
    }
    // It says which modules only tests have.
    let module = ["mod.rs", "lib.rs", "main.rs"].map(|name| folder.join(name));
    let module = module.iter().find(|path| path.exists());
    let module = module.map_or_else(|| folder.with_extension("rs"), PathBuf::from);
    sources.push(("mod.rs".into(), fs::read_to_string(module).unwrap()));
    sources.sort();
    let uses = uses(base, &sources);
    if let Some(circle) = circle(&uses) {
        let edges: Vec<String> = circle.iter().map(|found| format!("  {found}")).collect();
        panic!("a circle in {}:\n{}", folder.display(), edges.join("\n"));
    }
    let mut count = uses.len();
    for entry in fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        if entry.path().is_dir() {
            let name = entry.file_name().into_string().unwrap();
            count += check(&entry.path(), &format!("{base}{name}::"));
        }
    }
    count
}

#[test]
fn no_room_needs_itself_by_way_of_others() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut count = 0;
    for member in [
        ".",
        "backends",
        "backends/cpu",
        "datasets",
        "datasets/scenes",
        "datasets/tools",
        "model",
        "model/evaluators",
        "model/evaluators/metrics",
        "tests/bench",
    ] {
        count += check(&root.join(member).join("src"), "crate::");
    }
    assert!(count > 500, "only {count} references found");
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
    let found: Vec<String> = uses("crate::", &sources)
        .iter()
        .map(Use::to_string)
        .collect();
    let expected = [
        "top -> middle  top/mod.rs:2",
        "top -> bottom  top/mod.rs:3",
        "middle -> bottom  middle.rs:2",
    ];
    assert_eq!(found, expected);
    assert_eq!(circle(&uses("crate::", &sources)), None);

    sources[4]
        .1
        .push_str("fn f() {\n    super::super::top::g();\n}\n");
    let uses = uses("crate::", &sources);
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
