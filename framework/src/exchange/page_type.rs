//! The type of a page made from text: its content type, and how foreign values are written into it.
//!
//! Both come from the name of the page's template and from one table, so that they cannot disagree: a page that a
//! browser takes for HTML is escaped as HTML. Templates and error pages ask here. Files that are sent as they are do
//! not, since nothing is written into them.
//!
//! * Endings of template languages say nothing: `page.html.j2` is `page.html`.
//! * The case of letters does not count, and only the last component of a path does.
//! * A name that the table does not know, or that has no extension, is HTML, and escaped.

use super::escape::Escaped;
use ::http::HeaderValue;
use std::fmt::Write;

/// How values are written into a page so that they stay values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Escaping {
    /// As content and quoted attributes of HTML and XML: `<` is `&lt;`.
    Markup,
    /// As JSON, which scripts, YAML and TOML read as well. No value ends a script: `<` is `\u003c`.
    Json,
    /// As a word or the content of a string in a style sheet: all that has a meaning there is written as `\3c `.
    Css,
    /// As a text of iCalendar and vCard: a line break is `\n`, and no value begins a line of its own.
    ContentLine,
    /// Plain text: as it is.
    Text,
}

/// The content type of a page, and the escaping that belongs to it.
///
/// ```
/// use kirsch::exchange::{Escaping, PageType};
///
/// let page = PageType::of_name("articles/Latest.HTML.j2");
/// assert_eq!((page.content_type(), page.escaping()), ("text/html; charset=utf-8", Escaping::Markup));
/// assert_eq!(PageType::of_name("app.js").escaping(), Escaping::Json);
/// assert_eq!(PageType::of_name("what.ever").escaping(), Escaping::Markup);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PageType {
    content_type: &'static str,
    escaping: Escaping,
}

impl PageType {
    /// The type of a page called `name`, a path or its last component.
    #[must_use]
    pub fn of_name(name: &str) -> Self {
        let name = name.rsplit(['/', '\\']).next().unwrap_or_default().to_ascii_lowercase();
        let mut name = name.as_str();
        while let Some(inner) = OF_LANGUAGES.iter().find_map(|ending| name.strip_suffix(ending)) {
            name = inner;
        }
        // A name that is nothing but an extension is a hidden file without one.
        let extension = name.rsplit_once('.').filter(|(stem, _)| !stem.is_empty()).map(|(_, extension)| extension);
        extension.and_then(Self::of_extension).unwrap_or(HTML)
    }

    fn of_extension(extension: &str) -> Option<Self> {
        let (_, content_type, escaping) = TYPES.iter().find(|(names, ..)| names.contains(&extension))?;
        Some(Self { content_type, escaping: *escaping })
    }

    /// The value of `Content-Type`.
    #[must_use]
    pub fn content_type(self) -> &'static str {
        self.content_type
    }

    /// The content type as a value of a field.
    #[must_use]
    pub fn header_value(self) -> HeaderValue {
        HeaderValue::from_static(self.content_type)
    }

    /// How values are written into the page.
    #[must_use]
    pub fn escaping(self) -> Escaping {
        self.escaping
    }
}

impl Escaping {
    /// The escaping for a page that is sent with this value of `Content-Type`. An unknown type is
    /// [`Markup`](Self::Markup).
    #[must_use]
    pub fn of_content_type(value: &HeaderValue) -> Self {
        let essence = value.as_bytes().split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii();
        let essence_of = |content_type: &'static str| content_type.split(';').next().unwrap_or_default();
        let is_same = |content_type| essence.eq_ignore_ascii_case(str::as_bytes(essence_of(content_type)));
        let found = TYPES.iter().find(|(_, content_type, _)| is_same(content_type));
        found.map_or(Self::Markup, |(.., escaping)| *escaping)
    }

    /// Appends a value to a page. For [`Json`](Self::Json) it is the text between the quotes of a string.
    pub fn write(self, value: &str, page: &mut String) {
        match self {
            Self::Text => page.push_str(value),
            Self::Markup => {
                // Writing to a String cannot fail.
                let _ = write!(page, "{}", Escaped(value));
            }
            Self::Json => {
                let quoted = Self::json_for_scripts(&serde_json::Value::from(value).to_string());
                page.push_str(&quoted[1..quoted.len() - 1]);
            }
            Self::Css => {
                for character in value.chars() {
                    match character {
                        '-' | '_' | '.' | '%' | '#' | ',' | ' ' => page.push(character),
                        // NUL cannot be written, escaped or not (CSS Syntax, section 3.3).
                        '\0' => page.push('\u{fffd}'),
                        _ if character.is_ascii_alphanumeric()
                            || (!character.is_ascii() && !character.is_control()) =>
                        {
                            page.push(character);
                        }
                        _ => {
                            let _ = write!(page, "\\{:x} ", u32::from(character));
                        }
                    }
                }
            }
            Self::ContentLine => {
                let mut characters = value.chars().peekable();
                while let Some(character) = characters.next() {
                    match character {
                        '\r' if characters.peek() == Some(&'\n') => {}
                        '\r' | '\n' | '\u{85}' | '\u{2028}' | '\u{2029}' => page.push_str("\\n"),
                        '\\' | ';' | ',' => page.extend(['\\', character]),
                        '\t' => page.push('\t'),
                        // RFC 5545, section 3.1, has no place for other controls.
                        _ if character.is_control() => {}
                        _ => page.push(character),
                    }
                }
            }
        }
    }

    /// A JSON text, written so that it may stand in a script, in HTML too: characters that could end the script, or a
    /// line of it, are escaped. Its meaning stays.
    #[must_use]
    pub fn json_for_scripts(json: &str) -> String {
        let mut safe = String::with_capacity(json.len());
        for character in json.chars() {
            match character {
                // In JSON these stand within strings only.
                '<' | '>' | '&' | '\'' | '`' | '\u{7f}'..='\u{9f}' | '\u{2028}' | '\u{2029}' | '\u{feff}' => {
                    let _ = write!(safe, "\\u{:04x}", u32::from(character));
                }
                _ => safe.push(character),
            }
        }
        safe
    }
}

const HTML: PageType = PageType { content_type: "text/html; charset=utf-8", escaping: Escaping::Markup };

/// Endings that name the template language, and say nothing about the page.
const OF_LANGUAGES: [&str; 5] = [".j2", ".jinja", ".jinja2", ".tpl", ".tmpl"];

/// Extensions, the content type that a page of such a name is sent with, and how values are written into it.
#[rustfmt::skip]
const TYPES: &[(&[&str], &str, Escaping)] = &[
    (&["html", "htm", "shtml"], HTML.content_type, Escaping::Markup),
    (&["xhtml", "xht"], "application/xhtml+xml", Escaping::Markup),
    (&["svg"], "image/svg+xml", Escaping::Markup),
    (&["xml", "xsd", "opml", "plist"], "application/xml", Escaping::Markup),
    (&["xsl", "xslt"], "application/xslt+xml", Escaping::Markup),
    (&["rss"], "application/rss+xml", Escaping::Markup),
    (&["atom"], "application/atom+xml", Escaping::Markup),
    (&["rdf"], "application/rdf+xml", Escaping::Markup),
    (&["mathml", "mml"], "application/mathml+xml", Escaping::Markup),
    (&["gpx"], "application/gpx+xml", Escaping::Markup),
    (&["kml"], "application/vnd.google-earth.kml+xml", Escaping::Markup),
    (&["js", "mjs", "cjs"], "text/javascript; charset=utf-8", Escaping::Json),
    (&["json", "map", "har"], "application/json", Escaping::Json),
    (&["json5"], "application/json5", Escaping::Json),
    (&["jsonld"], "application/ld+json", Escaping::Json),
    (&["geojson"], "application/geo+json", Escaping::Json),
    (&["webmanifest"], "application/manifest+json", Escaping::Json),
    (&["jsonl", "ndjson"], "application/x-ndjson", Escaping::Json),
    (&["yaml", "yml"], "application/yaml", Escaping::Json),
    (&["toml"], "application/toml", Escaping::Json),
    (&["css"], "text/css; charset=utf-8", Escaping::Css),
    (&["ics", "ifb"], "text/calendar; charset=utf-8", Escaping::ContentLine),
    (&["vcf", "vcard"], "text/vcard; charset=utf-8", Escaping::ContentLine),
    (&["txt", "text", "md", "markdown", "log"], "text/plain; charset=utf-8", Escaping::Text),
    (&["csv"], "text/csv; charset=utf-8", Escaping::Text),
    (&["tsv"], "text/tab-separated-values; charset=utf-8", Escaping::Text),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_decides_type_and_escaping() {
        let html = "a a. .txt txt html a.html A.HTML a.Htm a.shtml a.html.j2 a.html.jinja a.html.jinja2 a.HTML.J2 a.html.tpl a.html.tmpl a.html.j2.tpl \
                    a.j2 a.jinja a.jinja2 a.tpl a.tmpl .j2 a.txt/page a.txt\\page a.txt. a.txt.html a.txtx a.pdf a.png a.php a.hbs a.vue a.ts a.exe a.sh \
                    a.html5 a.js.x a.json.bak mail.txt~ ä.ö";
        let json = "a.json A.JSON a.json.j2 a.map app.js.map a.har";
        let script = "a.js a.JS a.mjs a.cjs a.min.js a.js.jinja a.html.js";
        let text = "a.txt A.TXT a.txt.jinja2 a.text a.md README.markdown a.log dir/a.txt robots.txt a.html.txt";
        let rows = [
            (html, "text/html; charset=utf-8", Escaping::Markup),
            ("a.xhtml a.xht a.XHTML.tmpl", "application/xhtml+xml", Escaping::Markup),
            ("a.svg a.SVG a.svg.j2", "image/svg+xml", Escaping::Markup),
            ("a.xml sitemap.XML a.xsd a.opml", "application/xml", Escaping::Markup),
            ("a.xsl a.xslt", "application/xslt+xml", Escaping::Markup),
            ("a.rss feed.rss.jinja2", "application/rss+xml", Escaping::Markup),
            ("a.atom", "application/atom+xml", Escaping::Markup),
            (json, "application/json", Escaping::Json),
            (script, "text/javascript; charset=utf-8", Escaping::Json),
            ("a.webmanifest", "application/manifest+json", Escaping::Json),
            ("a.jsonld", "application/ld+json", Escaping::Json),
            ("a.yaml a.yml a.YML.tpl", "application/yaml", Escaping::Json),
            ("a.css a.min.css", "text/css; charset=utf-8", Escaping::Css),
            ("a.ics", "text/calendar; charset=utf-8", Escaping::ContentLine),
            ("a.vcf", "text/vcard; charset=utf-8", Escaping::ContentLine),
            (text, "text/plain; charset=utf-8", Escaping::Text),
            ("a.csv a.csv.j2", "text/csv; charset=utf-8", Escaping::Text),
            ("a.tsv", "text/tab-separated-values; charset=utf-8", Escaping::Text),
        ];
        let mut count = 0;
        for (names, content_type, escaping) in rows {
            for name in names.split_whitespace().chain((content_type == HTML.content_type).then_some("")) {
                let page = PageType::of_name(name);
                assert_eq!((page.content_type(), page.escaping()), (content_type, escaping), "{name:?}");
                assert_eq!(Escaping::of_content_type(&page.header_value()), escaping, "{name:?}");
                count += 1;
            }
        }
        assert!(count >= 60, "{count}");
    }

    #[test]
    fn everything_that_browsers_run_is_escaped() {
        for (names, content_type, escaping) in TYPES {
            let is_plain = content_type.starts_with("text/plain") || content_type.starts_with("text/csv");
            let is_plain = is_plain || content_type.starts_with("text/tab-separated-values");
            assert_eq!(*escaping == Escaping::Text, is_plain, "{names:?}");
        }
        for foreign in ["text/HTML", " text/html ;charset=x", "image/svg+xml", "a/b", "", "text/xml"] {
            assert_eq!(Escaping::of_content_type(&HeaderValue::from_static(foreign)), Escaping::Markup, "{foreign}");
        }
    }

    #[test]
    fn a_value_stays_a_value() {
        let hostile = "</script>\"'<!--`&\\\r\nX:1;,\u{2028}\u{2029}\u{85}\0";
        let table = [
            (Escaping::Markup, "&lt;/script&gt;&quot;&#39;&lt;!--`&amp;\\\r\nX:1;,\u{2028}\u{2029}\u{85}\0"),
            (
                Escaping::Json,
                "\\u003c/script\\u003e\\\"\\u0027\\u003c!--\\u0060\\u0026\\\\\\r\\nX:1;,\\u2028\\u2029\\u0085\\u0000",
            ),
            (
                Escaping::Css,
                "\\3c \\2f script\\3e \\22 \\27 \\3c \\21 --\\60 \\26 \\5c \\d \\a X\\3a 1\\3b ,\u{2028}\u{2029}\\85 \u{fffd}",
            ),
            (Escaping::ContentLine, "</script>\"'<!--`&\\\\\\nX:1\\;\\,\\n\\n\\n"),
            (Escaping::Text, hostile),
        ];
        for (escaping, expected) in table {
            let mut page = String::new();
            escaping.write(hostile, &mut page);
            assert_eq!(page, expected, "{escaping:?}");
        }
        let mut json = String::new();
        Escaping::Json.write(hostile, &mut json);
        assert_eq!(serde_json::from_str::<String>(&format!("\"{json}\"")).unwrap(), hostile);
    }
}
