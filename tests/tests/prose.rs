//! Comments and pages: how wide they are, whether they lead on, and whether what they name exists.

use std::collections::BTreeSet;
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

/// The addresses of the links in a page, code aside.
fn links(page: &str) -> impl Iterator<Item = &str> {
    let text = page.split("```").step_by(2);
    text.flat_map(|text| text.split("](").skip(1)).filter_map(|rest| rest.split_once(')')).map(|(link, _)| link)
}

/// The headings of a page, as links name them.
fn anchors(page: &str) -> BTreeSet<String> {
    let headings = page.split("```").step_by(2).flat_map(str::lines).filter(|line| line.starts_with('#'));
    let is_kept = |c: &char| c.is_alphanumeric() || matches!(c, '_' | '-' | ' ');
    let anchor = |line: &str| line.trim_start_matches(['#', ' ']).to_lowercase().chars().filter(is_kept).collect();
    headings
        .map(|line| {
            let anchor: String = anchor(line);
            anchor.replace(' ', "-")
        })
        .collect()
}

#[test]
fn links_between_pages_lead_somewhere() {
    let mut broken = Vec::new();
    for (path, text) in files(".md") {
        for link in links(&text).filter(|link| !link.contains("://") && !link.starts_with("mailto:")) {
            let (file, anchor) = link.split_once('#').map_or((link, None), |(file, anchor)| (file, Some(anchor)));
            let here = root().join(&path);
            let target = if file.is_empty() { here } else { here.with_file_name(file) };
            let page = fs::read_to_string(&target).unwrap_or_default();
            if !target.exists() || anchor.is_some_and(|anchor| !anchors(&page).contains(anchor)) {
                broken.push(format!("{path}: {link}"));
            }
        }
    }
    assert!(broken.is_empty(), "links to pages or headings that are not there: {broken:#?}");
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The pages of the guide from the first on, as each names the next.
fn chain() -> Vec<String> {
    let mut chain = vec!["getting-started.md".to_owned()];
    loop {
        let page = read(&format!("docs/guide/{}", chain[chain.len() - 1]));
        match page.split_once("\nNext: ").and_then(|(_, rest)| links(rest).next()) {
            Some(next) if !chain.iter().any(|page| page == next) => chain.push(next.to_owned()),
            Some(next) => panic!("{:?} leads back to {next}", chain.last()),
            None => return chain,
        }
    }
}

#[test]
fn each_page_of_the_guide_leads_to_the_next_one() {
    let chain: BTreeSet<_> = chain().into_iter().collect();
    let names = files(".md").into_iter().filter_map(|(path, _)| Some(path.strip_prefix("docs/guide/")?.to_owned()));
    let pages: BTreeSet<_> = names.filter(|name| name != "README.md").collect();
    assert_eq!(chain, pages, "`Next: [title](page.md).` at the end of the page before leads to a page of docs/guide");
}

#[test]
fn the_index_of_the_guide_lists_its_pages_in_their_order() {
    let index = read("docs/guide/README.md");
    let rows: Vec<_> = index.lines().filter(|line| line.starts_with('|')).flat_map(links).collect();
    assert_eq!(rows, chain(), "docs/guide/README.md has one row for each page, in the order of `Next:`");
}

#[test]
fn the_table_of_contents_has_each_page_of_the_book_once() {
    let summary = read("docs/SUMMARY.md");
    let mut listed: Vec<_> = links(&summary).map(|link| format!("docs/{link}")).collect();
    let mut pages: Vec<_> =
        files(".md").into_iter().map(|(path, _)| path).filter(|path| path.starts_with("docs/")).collect();
    pages.retain(|path| path != "docs/SUMMARY.md");
    listed.sort();
    pages.sort();
    assert_eq!(listed, pages, "docs/SUMMARY.md lists the pages of docs");
}

#[test]
fn the_table_of_contents_has_the_guide_in_its_order() {
    let summary = read("docs/SUMMARY.md");
    let guide = links(&summary).filter_map(|link| link.strip_prefix("guide/")).filter(|link| *link != "README.md");
    assert_eq!(guide.collect::<Vec<_>>(), chain(), "docs/SUMMARY.md has the guide in the order of `Next:`");
}

#[test]
fn every_page_with_code_is_compiled() {
    let documents = read("framework/src/documents.rs");
    let pages = files(".md").into_iter().filter(|(path, _)| path.starts_with("docs/"));
    let is_code = |line: &str| line.trim_start().starts_with("```rust") && !line.contains("ignore");
    let with_code = pages.filter(|(_, text)| text.lines().any(is_code));
    let missing: Vec<_> = with_code.map(|(path, _)| path).filter(|path| !documents.contains(path.as_str())).collect();
    assert!(missing.is_empty(), "framework/src/documents.rs lists pages with code; these are missing: {missing:#?}");
}

/// Files that a page shows, each behind a line with its name: "`src/main.rs`:".
fn shown_files(page: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for (index, block) in page.split("\n```").enumerate().filter(|(index, _)| index % 2 == 1) {
        let before = page.split("\n```").nth(index - 1).unwrap_or_default();
        let name = before.trim_end().lines().last().and_then(|line| line.strip_prefix('`')?.strip_suffix("`:"));
        let content = block.split_once('\n').map_or("", |(_, content)| content);
        found.extend(name.map(|name| (name.to_owned(), format!("{content}\n"))));
    }
    found
}

#[test]
fn the_quick_start_shows_the_files_that_are_tested() {
    let shown = shown_files(&read("docs/quick-start.md"));
    assert_eq!(shown.len(), 3, "the program, its template and its style");
    for (name, content) in shown {
        assert_eq!(content, read(&format!("demo-apps/guest-book/{name}")), "{name}");
    }
}

#[test]
fn the_list_of_features_is_that_of_the_manifest() {
    let manifest = read("framework/Cargo.toml");
    let features = manifest.split_once("\n[features]\n").expect("features").1.split("\n\n").next().unwrap_or_default();
    let described = |line: &str| {
        let (name, rest) = line.split_once(" = [").expect("a feature in one line");
        let (parts, _) = rest.split_once(']').expect("a feature in one line");
        let parts = parts.split(", ").map(|part| part.trim_matches('"'));
        let others = parts.filter(|part| !part.is_empty() && !part.contains([':', '/'])).map(str::to_owned);
        (name.to_owned(), others.collect())
    };
    let expected: BTreeSet<(String, Vec<String>)> =
        features.lines().filter(|line| !line.starts_with('#')).map(described).collect();
    let page = read("docs/reference/features.md");
    let words = |cell: &str| cell.split('`').skip(1).step_by(2).map(str::to_owned).collect::<Vec<_>>();
    let row = |line: &str| {
        let cells: Vec<_> = line.split(" | ").collect();
        Some((words(cells.first()?).first()?.clone(), words(cells.get(2)?)))
    };
    let listed: BTreeSet<_> = page.lines().filter(|line| line.starts_with("| `")).filter_map(row).collect();
    assert_eq!(listed, expected, "docs/reference/features.md lists the features of framework/Cargo.toml");
}
