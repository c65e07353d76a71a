//! The tags of a page of HTML, for finding its forms. This is no parser of HTML: it knows tags, attributes, texts and
//! character references, and nothing of how elements nest.

use std::borrow::Cow;

/// A piece of a page.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Piece<'p> {
    /// `<name ...>` with its attributes, names in lower case and values decoded.
    Start(String, Vec<(String, String)>),
    /// `</name>`.
    End(String),
    /// What stands between tags, decoded.
    Text(Cow<'p, str>),
}

/// Elements whose content is text, whatever it looks like.
const RAW: [&str; 4] = ["script", "style", "textarea", "title"];

/// Splits a page into its pieces. Comments are left out.
pub(super) fn pieces(mut page: &str) -> Vec<Piece<'_>> {
    let mut pieces = Vec::new();
    while !page.is_empty() {
        if let Some(rest) = page.strip_prefix("<!--") {
            page = rest.split_once("-->").map_or("", |(_, rest)| rest);
        } else if let Some(rest) = page.strip_prefix("</") {
            let (name, rest) = rest.split_once('>').unwrap_or((rest, ""));
            pieces.push(Piece::End(name.trim().to_ascii_lowercase()));
            page = rest;
        } else if page.starts_with('<') && page[1..].starts_with(|letter: char| letter.is_ascii_alphabetic()) {
            let (name, attributes, rest) = start_tag(&page[1..]);
            page = rest;
            let raw_end = RAW.contains(&&*name).then(|| find_end(page, &name));
            pieces.push(Piece::Start(name, attributes));
            if let Some(end) = raw_end {
                pieces.push(Piece::Text(decoded(&page[..end])));
                page = &page[end..];
            }
        } else {
            let end = find_behind_first(page, |letter| letter == '<');
            if !page.starts_with("<!") {
                pieces.push(Piece::Text(decoded(&page[..end])));
            }
            page = &page[end..];
        }
    }
    pieces
}

/// Where such a letter is, the first one aside; else the end.
fn find_behind_first(text: &str, is_wanted: impl Fn(char) -> bool) -> usize {
    text.char_indices().skip(1).find(|(_, letter)| is_wanted(*letter)).map_or(text.len(), |(at, _)| at)
}

/// Where `</name` begins, in any case.
fn find_end(page: &str, name: &str) -> usize {
    let end = format!("</{name}");
    page.to_ascii_lowercase().find(&end).unwrap_or(page.len())
}

/// The name and the attributes of a tag, and what follows its `>`.
fn start_tag(tag: &str) -> (String, Vec<(String, String)>, &str) {
    let is_end = |letter: char| letter.is_whitespace() || letter == '/' || letter == '>';
    let (name, mut rest) = tag.split_at(tag.find(is_end).unwrap_or(tag.len()));
    let mut attributes = Vec::new();
    loop {
        rest = rest.trim_start_matches(|letter: char| letter.is_whitespace() || letter == '/');
        if rest.is_empty() || rest.starts_with('>') {
            return (name.to_ascii_lowercase(), attributes, rest.strip_prefix('>').unwrap_or(rest));
        }
        let end = find_behind_first(rest, |letter| is_end(letter) || letter == '=');
        let (key, after) = rest.split_at(end);
        let Some(value) = after.trim_start().strip_prefix('=').map(str::trim_start) else {
            attributes.push((key.to_ascii_lowercase(), String::new()));
            rest = after;
            continue;
        };
        let (value, after) = match value.chars().next() {
            Some(quote @ ('"' | '\'')) => value[1..].split_once(quote).unwrap_or_else(|| (&value[1..], "")),
            _ => {
                let is_end = |letter: char| letter.is_whitespace() || letter == '>';
                value.split_at(value.find(is_end).unwrap_or(value.len()))
            }
        };
        attributes.push((key.to_ascii_lowercase(), decoded(value).into_owned()));
        rest = after;
    }
}

/// A text with the character references that templates write.
fn decoded(text: &str) -> Cow<'_, str> {
    const NAMED: [(&str, char); 6] =
        [("amp", '&'), ("lt", '<'), ("gt", '>'), ("quot", '"'), ("apos", '\''), ("nbsp", '\u{a0}')];
    if !text.contains('&') {
        return Cow::Borrowed(text);
    }
    let mut parts = text.split('&');
    let mut decoded = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let reference = part.split_once(';').and_then(|(name, rest)| {
            let letter = match name.strip_prefix('#') {
                Some(number) => match number.strip_prefix(['x', 'X']) {
                    Some(hexadecimal) => u32::from_str_radix(hexadecimal, 16).ok().and_then(char::from_u32),
                    None => number.parse().ok().and_then(char::from_u32),
                },
                None => NAMED.iter().find(|(known, _)| *known == name).map(|(_, letter)| *letter),
            };
            letter.map(|letter| (letter, rest))
        });
        match reference {
            Some((letter, rest)) => {
                decoded.push(letter);
                decoded.push_str(rest);
            }
            None => {
                decoded.push('&');
                decoded.push_str(part);
            }
        }
    }
    Cow::Owned(decoded)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn start(name: &str, attributes: &[(&str, &str)]) -> Piece<'static> {
        let attributes = attributes.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Piece::Start(name.to_owned(), attributes)
    }

    #[test]
    fn tags_attributes_and_texts_are_told_apart() {
        let page = "<!doctype html><!-- <form> --><P CLASS=a id='b' hidden data-x=\"&lt;&#x2f;&#39;&unknown;\">1 < 2 &amp;</p>";
        let attributes = [("class", "a"), ("id", "b"), ("hidden", ""), ("data-x", "</'&unknown;")];
        let expected =
            [start("p", &attributes), Piece::Text("1 ".into()), Piece::Text("< 2 &".into()), Piece::End("p".into())];
        assert_eq!(pieces(page), expected);
    }

    #[test]
    fn scripts_and_text_areas_hold_no_tags() {
        let expected = [start("textarea", &[]), Piece::Text("<b>".into()), Piece::End("textarea".into())];
        assert_eq!(pieces("<textarea><b></TEXTAREA>"), expected);
        let broken = [
            "\u{e9}",
            "<p>\u{2022}</p>",
            "<a \u{e9}=b>",
            "<",
            "<a",
            "<a b",
            "<a b=",
            "<a b='",
            "</",
            "<!--",
            "<script>",
            "&",
            "&#x;",
            "<a =>",
        ];
        for page in broken {
            let _ = pieces(page);
        }
    }
}
