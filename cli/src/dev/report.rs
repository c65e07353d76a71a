//! What browsers and other clients read while there is no program that could answer.
//!
//! The compiler's own words, with their colours, and a link into the editor for each place. All of it is text from
//! files and programs, so all of it is escaped.

use std::fmt::Write;
use std::path::{Path, PathBuf};

/// A report, as a page and as text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Reported {
    pub(crate) html: String,
    pub(crate) text: String,
}

/// One message of the compiler.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Diagnostic {
    /// As the compiler shows it, with colours.
    pub(crate) rendered: String,
    /// Its place, if it has one.
    pub(crate) place: Option<Place>,
}

/// A place in a source, from the root of the workspace on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) file: PathBuf,
    pub(crate) line: u64,
    pub(crate) column: u64,
}

/// The variable that says how a link into the editor looks.
const EDITOR: &str = "KIRSCH_EDITOR";
const USUAL_EDITOR: &str = "vscode://file/{path}:{line}:{column}";

impl Reported {
    /// A page with a text.
    pub(crate) fn text(title: &str, text: &str) -> Self {
        let html = page(title, &format!("<pre>{}</pre>", coloured(text)));
        Self { html, text: format!("{title}\n\n{}\n", plain(text).trim_end()) }
    }

    /// The first build is under way.
    pub(crate) fn first() -> Self {
        let text = "The first build is under way. This page reloads when there is something to see.";
        Self { html: page("Building …", &format!("<p>{text}</p>")), text: format!("{text}\n") }
    }

    /// A build that has failed, with the rest of what cargo said.
    pub(crate) fn of_build(diagnostics: &[Diagnostic], rest: &str, root: &Path) -> Self {
        if diagnostics.is_empty() {
            return Self::text("The build has failed", rest);
        }
        let editor = std::env::var(EDITOR).unwrap_or_else(|_| USUAL_EDITOR.to_owned());
        let mut content = String::new();
        let mut text = String::new();
        for Diagnostic { rendered, place } in diagnostics {
            let link = place.as_ref().map(|place| place.link(root, &editor)).unwrap_or_default();
            // Nothing is written to a String that could fail.
            let _ = write!(content, "<section>{link}<pre>{}</pre></section>", coloured(rendered.trim_end()));
            let _ = writeln!(text, "{}", plain(rendered));
        }
        let title = match diagnostics.len() {
            1 => "1 error".to_owned(),
            many => format!("{many} errors"),
        };
        Self { html: page(&title, &content), text: format!("The build has failed: {title}\n\n{text}") }
    }
}

impl Place {
    fn link(&self, root: &Path, editor: &str) -> String {
        let Self { file, line, column } = self;
        let path = root.join(file);
        let path: String = path
            .to_string_lossy()
            .chars()
            .map(|c| match c {
                ' ' => "%20".to_owned(),
                '%' => "%25".to_owned(),
                '#' => "%23".to_owned(),
                '?' => "%3F".to_owned(),
                c => c.to_string(),
            })
            .collect();
        let target = editor
            .replace("{path}", &path)
            .replace("{line}", &line.to_string())
            .replace("{column}", &column.to_string());
        let shown = format!("{}:{line}:{column}", file.display());
        format!("<a href=\"{}\">{}</a>", kirsch::escape(&target), kirsch::escape(&shown))
    }
}

fn page(title: &str, content: &str) -> String {
    include_str!("report.html").replace("{title}", &kirsch::escape(title).to_string()).replace("{content}", content)
}

/// Text without the codes of a terminal.
pub(crate) fn plain(text: &str) -> String {
    pieces(text).map(|(_, text)| text).collect()
}

/// Text with the colours of a terminal, as HTML.
fn coloured(text: &str) -> String {
    let (mut html, mut open) = (String::new(), false);
    for (codes, text) in pieces(text) {
        if let Some(codes) = codes {
            if std::mem::take(&mut open) {
                html.push_str("</span>");
            }
            let classes = classes(codes);
            if !classes.is_empty() {
                let _ = write!(html, "<span class=\"{classes}\">");
                open = true;
            }
        }
        let _ = write!(html, "{}", kirsch::escape(text));
    }
    html + if open { "</span>" } else { "" }
}

/// Each piece of text with the codes before it, if there are any: `1;31`. Other codes of a terminal are left out.
fn pieces(text: &str) -> impl Iterator<Item = (Option<&str>, &str)> {
    text.split('\u{1b}').enumerate().map(|(index, piece)| {
        let Some(rest) = piece.strip_prefix('[').filter(|_| index > 0) else { return (None, piece) };
        let end = rest.find(|c: char| c.is_ascii_alphabetic()).unwrap_or(rest.len());
        let codes = rest[end..].starts_with('m').then_some(&rest[..end]);
        (codes, rest.get(end + 1..).unwrap_or_default())
    })
}

fn classes(codes: &str) -> String {
    let codes: Vec<_> = codes.split(';').collect();
    let colour = match codes.as_slice() {
        [.., "38", "5", number] => Some(*number),
        _ => codes
            .iter()
            .find_map(|code| code.strip_prefix('3').or_else(|| code.strip_prefix('9')).filter(|rest| rest.len() == 1)),
    };
    let colour = colour.and_then(|number| match number {
        "1" | "9" => Some("red"),
        "2" | "10" => Some("green"),
        "3" | "11" => Some("yellow"),
        "4" | "12" => Some("blue"),
        "5" | "13" => Some("magenta"),
        "6" | "14" => Some("cyan"),
        _ => None,
    });
    let bold = codes.first().is_some_and(|code| *code == "1").then_some("bold");
    bold.into_iter().chain(colour).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_the_compiler_are_text_and_never_markup() {
        let rendered = "\u{1b}[0m\u{1b}[1m\u{1b}[38;5;9merror\u{1b}[0m: expected `<script>`\n".to_owned();
        let place = Some(Place { file: "src/a \"b.rs".into(), line: 3, column: 5 });
        let reported = Reported::of_build(&[Diagnostic { rendered, place }], "", Path::new("/site"));
        assert!(
            reported.html.contains("<span class=\"red\">error</span>: expected `&lt;script&gt;`"),
            "{}",
            reported.html
        );
        assert!(reported.html.contains("href=\"vscode://file//site/src/a%20&quot;b.rs:3:5\""), "{}", reported.html);
        assert!(reported.text.contains("error: expected `<script>`") && !reported.text.contains('\u{1b}'));
    }

    #[test]
    fn codes_that_are_cut_off_do_no_harm() {
        for text in ["\u{1b}", "\u{1b}[", "\u{1b}[1", "\u{1b}]8;;x\u{7}", "a\u{1b}[1mb"] {
            assert!(!coloured(text).contains('\u{1b}'), "{text:?}");
        }
        assert_eq!(coloured("a\u{1b}[1mb\u{1b}[0mc"), "a<span class=\"bold\">b</span>c");
        assert_eq!(plain("a\u{1b}[1mb\u{1b}[2Kc"), "abc");
    }
}
