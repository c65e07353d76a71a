//! Comments and pages: how wide they are, and whether the tests that they name exist.

use std::fs;
use std::path::{Path, PathBuf};

const COLUMNS: usize = 120;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the checkout as it is in the repository").to_owned()
}

/// All files of the checkout whose names end so, with their texts.
fn files(extension: &str) -> Vec<(String, String)> {
    let mut folders = vec![root()];
    let mut found = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("the checkout as it is in the repository") {
            let path = entry.expect("the checkout as it is in the repository").path();
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            if path.is_dir() && !name.starts_with('.') && name != "target" && name != "node_modules" {
                folders.push(path);
            } else if name.ends_with(extension) {
                let text = fs::read_to_string(&path).expect("the checkout as it is in the repository");
                found.push((path.strip_prefix(root()).expect("within the checkout").display().to_string(), text));
            }
        }
    }
    found
}

/// The lines that are too wide, as `path:line`. Tables, code and drawings cannot be wrapped, nor can a long word.
fn wide<'t>(path: &str, lines: impl Iterator<Item = (usize, &'t str, &'t str)>) -> Vec<String> {
    let mut in_code = false;
    let mut wide = Vec::new();
    for (number, line, text) in lines {
        in_code ^= text.trim_start().starts_with("```");
        let is_drawn = text.starts_with('|') || text.trim_start().contains("   ");
        let breaks = line.trim_start().char_indices().any(|(at, c)| at > 4 && at < COLUMNS && c == ' ');
        if !in_code && !is_drawn && breaks && line.chars().count() > COLUMNS {
            wide.push(format!("{path}:{}", number + 1));
        }
    }
    wide
}

fn comment(line: &str) -> Option<&str> {
    let text = line.trim_start().strip_prefix("//")?;
    let text = text.strip_prefix(['/', '!']).unwrap_or(text);
    Some(text.strip_prefix(' ').unwrap_or(text))
}

#[test]
fn comments_keep_to_their_columns() {
    let mut found = Vec::new();
    for (path, text) in files(".rs") {
        let comments = text.lines().enumerate().filter_map(|(at, line)| Some((at, line, comment(line)?)));
        found.extend(wide(&path, comments));
    }
    assert!(found.is_empty(), "comments with more than {COLUMNS} columns: {found:#?}");
}

#[test]
fn pages_keep_to_their_columns() {
    let mut found = Vec::new();
    for (path, text) in files(".md") {
        found.extend(wide(&path, text.lines().enumerate().map(|(at, line)| (at, line, line))));
    }
    assert!(found.is_empty(), "pages with more than {COLUMNS} columns: {found:#?}");
}

#[test]
fn the_tests_against_old_pains_exist() {
    let sources: String = files(".rs").into_iter().map(|(_, text)| text).collect();
    let page = fs::read_to_string(root().join("docs/reliability.md")).expect("the page");
    let table = page.split_once("| pain | tests |").expect("the table of pains").1;
    let rows = table.lines().skip(2).take_while(|line| line.starts_with('|'));
    let mut names = 0;
    for name in rows.filter_map(|row| row.split(" | ").nth(1)).flat_map(|tests| tests.split('`').skip(1).step_by(2)) {
        names += 1;
        if !name.contains('/') {
            assert!(sources.contains(&format!("fn {name}(")), "docs/reliability.md names the test {name}");
        }
    }
    assert!(names > 100, "the table names {names} tests");
}
