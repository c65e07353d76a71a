//! The page that lists a folder: names, sizes, dates. Every name is escaped twice, as an address and as text, since
//! visitors upload files of any name.

use super::directory::{Directory, Identity};
use super::file::is_visible;
use crate::exchange::Error;
use crate::http::encode_segment;
use rustix::fs::{Dir, FileType, OFlags};
use std::fmt::Write;
use std::time::{Duration, UNIX_EPOCH};

/// Entries on one page; a folder with more has better be searched.
const MAX_ENTRIES: usize = 10_000;

/// The page for the folder at `path`; `title` is its address as text. `None` when there is no such folder.
pub(super) fn listing(directory: &Directory, path: &str, title: &str, hidden: bool) -> Result<Option<String>, Error> {
    let Some(super::directory::Entry::Directory(handle)) = directory.find(path)? else { return Ok(None) };
    let mut entries: Vec<Listed> = Vec::new();
    let mut more = false;
    for entry in Dir::new(rustix::fs::openat(
        &handle,
        ".",
        OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC,
        rustix::fs::Mode::empty(),
    )?)? {
        let entry = entry?;
        // A name that is not UTF-8 has no address here.
        let Ok(name) = entry.file_name().to_str() else { continue };
        if !is_visible(name, hidden) {
            continue;
        }
        if entries.len() == MAX_ENTRIES {
            more = true;
            break;
        }
        let below = if path.is_empty() { name.to_owned() } else { format!("{path}/{name}") };
        // Files that may not be served are not listed either.
        if let Some(identity) = directory.identify(&below)
            && matches!(identity.kind, FileType::RegularFile | FileType::Directory)
        {
            entries.push(Listed { name: name.to_owned(), identity });
        }
    }
    entries.sort_by(|one, other| (one.is_file(), &one.name).cmp(&(other.is_file(), &other.name)));
    let has_parent = !path.is_empty();
    Ok(Some(page(title, &entries, has_parent, more)))
}

struct Listed {
    name: String,
    identity: Identity,
}

impl Listed {
    fn is_file(&self) -> bool {
        self.identity.kind == FileType::RegularFile
    }
}

fn page(title: &str, entries: &[Listed], has_parent: bool, more: bool) -> String {
    let title = escaped(title);
    let mut page = format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>{title}</title>\n<style>{STYLE}</style>\n\
         </head>\n<body>\n<h1>{title}</h1>\n<table>\n<tr><th>Name</th><th>Size</th><th>Changed (UTC)</th></tr>\n"
    );
    if has_parent {
        page.push_str("<tr><td><a href=\"../\">../</a></td><td></td><td></td></tr>\n");
    }
    for entry in entries {
        let slash = if entry.is_file() { "" } else { "/" };
        let address = encode_segment(&entry.name);
        let size = if entry.is_file() { shown_size(entry.identity.length) } else { String::new() };
        let name = escaped(&entry.name);
        let date = shown_date(&entry.identity);
        // Writing to a String cannot fail. `./` keeps a colon from making a scheme of the name.
        let _ = writeln!(
            page,
            "<tr><td><a href=\"./{address}{slash}\">{name}{slash}</a></td><td>{size}</td><td>{date}</td></tr>"
        );
    }
    page.push_str("</table>\n");
    if entries.is_empty() {
        page.push_str("<p>There is nothing here.</p>\n");
    }
    if more {
        let _ = writeln!(page, "<p>There is more: only {MAX_ENTRIES} entries are listed.</p>");
    }
    page.push_str("</body>\n</html>\n");
    page
}

const STYLE: &str = ":root{color-scheme:light dark}body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#222;background:#fff}\
h1{font-size:1.4rem;overflow-wrap:anywhere}table{width:100%;border-collapse:collapse}\
th,td{text-align:left;padding:.25rem .75rem .25rem 0;border-bottom:1px solid #ddd;white-space:nowrap}\
td:first-child{white-space:normal;overflow-wrap:anywhere}\
th:nth-child(2),td:nth-child(2){text-align:right;font-variant-numeric:tabular-nums}\
a{color:#a0142d;text-decoration:none}a:hover{text-decoration:underline}\
@media(prefers-color-scheme:dark){body{color:#ddd;background:#181818}th,td{border-color:#444}a{color:#ff8a9d}}";

fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            // A name could turn the direction of the page, or end the line.
            letter if letter.is_control() => escaped.push('\u{fffd}'),
            letter => escaped.push(letter),
        }
    }
    escaped
}

fn shown_size(bytes: u64) -> String {
    const UNITS: [&str; 4] = ["KiB", "MiB", "GiB", "TiB"];
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    let mut tenths = u128::from(bytes) * 10;
    let mut unit = 0;
    tenths /= 1024;
    while tenths >= 10_240 && unit + 1 < UNITS.len() {
        tenths /= 1024;
        unit += 1;
    }
    format!("{}.{} {}", tenths / 10, tenths % 10, UNITS[unit])
}

/// The date as `2026-11-21 04:30`, by way of the IMF-fixdate that httpdate writes: `Sat, 21 Nov 2026 04:30:00 GMT`.
fn shown_date(identity: &Identity) -> String {
    let seconds = u64::try_from(identity.modified.seconds).unwrap_or(0).min(LAST_SECOND);
    let date = httpdate::fmt_http_date(UNIX_EPOCH + Duration::from_secs(seconds));
    let month = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let number = month.iter().position(|name| *name == &date[8..11]).map_or(0, |index| index + 1);
    format!("{}-{number:02}-{} {}", &date[12..16], &date[5..7], &date[17..22])
}

/// The end of the year 9999.
const LAST_SECOND: u64 = 253_402_300_799;

#[cfg(test)]
mod tests {
    use super::super::directory::Symlinks;
    use super::*;
    use std::fs::{create_dir, write};
    use std::os::unix::fs::symlink;

    #[test]
    fn names_are_escaped_and_sorted_folders_first() {
        let place = tempfile::tempdir().unwrap();
        let at = |name: &str| place.path().join(name);
        create_dir(at("zebra")).unwrap();
        write(at("<script>alert(1)<"), "").unwrap();
        write(at("a\"b&c 100%.txt"), "x".repeat(1536)).unwrap();
        write(at("javascript:alert(1)"), "").unwrap();
        write(at(".secret"), "").unwrap();
        symlink("/etc/hostname", at("out")).unwrap();
        let directory = Directory::open(place.path(), Symlinks::Within).unwrap();
        let page = listing(&directory, "", "/a<b/", false).unwrap().unwrap();
        assert!(page.contains("<h1>/a&lt;b/</h1>"), "{page}");
        assert!(page.contains("<a href=\"./%3Cscript%3Ealert(1)%3C\">&lt;script&gt;alert(1)&lt;</a>"), "{page}");
        assert!(
            page.contains("<a href=\"./a%22b&c%20100%25.txt\">a&quot;b&amp;c 100%.txt</a></td><td>1.5 KiB"),
            "{page}"
        );
        assert!(page.contains("href=\"./javascript:alert(1)\""), "{page}");
        assert!(page.find("./zebra/").unwrap() < page.find("script").unwrap(), "{page}");
        assert!(!page.contains("secret") && !page.contains("out") && !page.contains("../"), "{page}");
    }

    #[test]
    fn a_folder_below_leads_up_again() {
        let place = tempfile::tempdir().unwrap();
        create_dir(place.path().join("sub")).unwrap();
        let directory = Directory::open(place.path(), Symlinks::Within).unwrap();
        let page = listing(&directory, "sub", "/sub/", false).unwrap().unwrap();
        assert!(page.contains("href=\"../\"") && page.contains("nothing here"), "{page}");
        assert!(listing(&directory, "nowhere", "/", false).unwrap().is_none());
    }

    #[test]
    fn sizes_have_one_decimal() {
        let table = [
            (0, "0 B"),
            (1023, "1023 B"),
            (1024, "1.0 KiB"),
            (1536, "1.5 KiB"),
            (1 << 20, "1.0 MiB"),
            (3 << 40, "3.0 TiB"),
        ];
        for (bytes, expected) in table {
            assert_eq!(shown_size(bytes), expected);
        }
        assert!(shown_size(u64::MAX).ends_with(" TiB"));
    }

    #[test]
    fn dates_are_in_the_order_that_sorts() {
        let mut identity = Identity::of(tempfile::tempfile().unwrap()).unwrap();
        identity.modified.seconds = 784_111_777;
        assert_eq!(shown_date(&identity), "1994-11-06 08:49");
        identity.modified.seconds = i64::MAX;
        assert_eq!(shown_date(&identity), "9999-12-31 23:59");
    }
}
