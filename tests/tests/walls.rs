//! The walls of the house: which room of the library may use which other one.
//!
//! The table of `docs/architecture.md` is the rule. The paths `crate::room` in the code are compared with it, file by
//! file. Test code may use everything, so it is left out.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// Rooms that each room may use, in the order of the table.
fn table() -> Vec<(String, Vec<String>)> {
    let page =
        fs::read_to_string(root().join("docs/architecture.md")).expect("the checkout as it is in the repository");
    let table = page.split_once("| room | may use |").expect("the table of the rooms").1;
    let rows = table.lines().skip(2).take_while(|line| line.starts_with('|'));
    let names = |cell: &str| cell.split('`').skip(1).step_by(2).map(str::to_owned).collect::<Vec<_>>();
    rows.flat_map(|row| {
        let cells: Vec<&str> = row.trim_matches('|').split('|').collect();
        names(cells[0]).into_iter().map(move |room| (room, names(cells[1]))).collect::<Vec<_>>()
    })
    .collect()
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the checkout as it is in the repository").to_owned()
}

/// All files of the library except tests, with their rooms.
fn files() -> Vec<(String, PathBuf)> {
    let source = root().join("framework/src");
    let mut folders = vec![source.clone()];
    let mut found = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("the checkout as it is in the repository") {
            let path = entry.expect("the checkout as it is in the repository").path();
            let name = path.file_stem().expect("the checkout as it is in the repository").to_str().expect("a name");
            let is_test = ["tests", "model", "properties", "noise", "mirror", "documents"].contains(&name)
                || name.ends_with("_tests")
                || name.ends_with("_model");
            match () {
                () if is_test => {}
                () if path.is_dir() => folders.push(path),
                () => {
                    let within = path.strip_prefix(&source).expect("the checkout as it is in the repository");
                    let room = within
                        .iter()
                        .next()
                        .expect("the checkout as it is in the repository")
                        .to_str()
                        .expect("a name")
                        .trim_end_matches(".rs");
                    found.push((room.to_owned(), path));
                }
            }
        }
    }
    found.sort();
    found
}

/// The names that the root of the crate passes on, with their rooms.
fn passed_on() -> BTreeMap<String, String> {
    let face =
        fs::read_to_string(root().join("framework/src/lib.rs")).expect("the checkout as it is in the repository");
    let statements = face.split("\npub use ").skip(1).filter_map(|rest| rest.split_once(';')).map(|(names, _)| names);
    let mut found = BTreeMap::from([("Result".to_owned(), "exchange".to_owned())]);
    for (room, names) in statements.filter_map(|names| names.trim_start_matches(':').split_once("::")) {
        found.extend(identifiers(names).map(|name| (name.to_owned(), room.to_owned())));
    }
    found
}

fn identifiers(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !c.is_alphanumeric() && c != '_').filter(|name| !name.is_empty())
}

/// The names behind each `crate::` in `code`, those in braces too, with the numbers of their lines.
fn named(code: &str) -> Vec<(usize, &str)> {
    let names = |at: usize| {
        let rest = &code[at + "crate::".len()..];
        let group = rest.strip_prefix('{').and_then(|group| group.split_once('}')).map(|(group, _)| group.split(','));
        let names: Vec<&str> = group.map_or_else(|| vec![rest], Iterator::collect);
        let line = code[..at].matches('\n').count() + 1;
        names.into_iter().filter_map(move |name| identifiers(name).next().map(|name| (line, name)))
    };
    code.match_indices("crate::").flat_map(|(at, _)| names(at)).collect()
}

/// A file without its tests and comments, with as many lines as before.
fn code_of(path: &Path) -> String {
    let source = fs::read_to_string(path).expect("the checkout as it is in the repository");
    let code = source.split("#[cfg(test)]\nmod tests {").next().expect("the checkout as it is in the repository");
    let code = code.split("#[cfg(all(test").next().expect("the checkout as it is in the repository");
    code.lines()
        .map(|line| if line.trim_start().starts_with("//") { "\n".into() } else { format!("{line}\n") })
        .collect()
}

#[test]
fn no_room_uses_another_that_the_table_does_not_grant() {
    let (table, passed_on) = (table(), passed_on());
    let mut broken = Vec::new();
    for (room, path) in files().iter().filter(|(room, _)| !["lib", "testing"].contains(&&room[..])) {
        let granted = table.iter().find(|(name, _)| name == room).map(|(_, granted)| &granted[..]);
        let granted = granted.unwrap_or_else(|| panic!("the room `{room}` is not in the table"));
        for (line, name) in named(&code_of(path)) {
            let used = passed_on.get(name).map_or(name, String::as_str);
            // Macros for generated code stand at the root, wherever they are written.
            let is_macro = name.starts_with("__");
            if !is_macro && used != room && used != "http" && !granted.iter().any(|granted| granted == used) {
                broken.push(format!("{}:{line}: `{room}` uses `{used}`", path.display()));
            }
        }
    }
    assert!(broken.is_empty(), "arrows that docs/architecture.md does not draw:\n{}", broken.join("\n"));
}

#[test]
fn a_room_may_only_use_rooms_above_it_in_the_table() {
    let table = table();
    for (index, (room, granted)) in table.iter().enumerate() {
        let above = |other: &String| table[..index].iter().any(|(name, _)| name == other);
        assert!(granted.iter().all(above), "`{room}` stands above a room that it may use: {granted:?}");
    }
}
