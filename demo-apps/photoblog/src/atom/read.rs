//! XML that clients send: a tree, within limits. No DTD, so nothing is expanded and nothing is fetched.

use super::write::escape;
use kirsch::{Error, StatusCode};
use quick_xml::{
    NsReader, XmlVersion,
    events::{BytesStart, Event},
    name::ResolveResult,
};

/// An entry is a few kilobytes.
pub(super) const MAX_BYTES: usize = 1 << 20;
const MAX_DEPTH: usize = 64;
const MAX_ELEMENTS: usize = 10_000;

/// An element with all that is in it.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Element {
    pub(super) namespace: String,
    pub(super) name: String,
    /// Namespace, name, value.
    pub(super) attributes: Vec<(String, String, String)>,
    pub(super) content: Vec<Node>,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Node {
    Text(String),
    Element(Element),
}

impl Element {
    /// The root of a document.
    ///
    /// # Errors
    /// 400 for what is no XML, or has a DTD; 413 for too much of it.
    pub(super) fn read(document: &[u8]) -> kirsch::Result<Self> {
        if document.len() > MAX_BYTES {
            return Err(Error::new(StatusCode::PAYLOAD_TOO_LARGE, "An entry has at most 1 MiB."));
        }
        let document = std::str::from_utf8(document).map_err(|_| malformed("it is not UTF-8"))?;
        let mut reader = NsReader::from_str(document.trim_start_matches('\u{feff}'));
        let mut open: Vec<Self> = Vec::new();
        let mut root = None;
        let mut elements = 0;
        loop {
            let event = reader.read_event().map_err(|error| malformed(&error.to_string()))?;
            match event {
                Event::Start(start) => {
                    elements += 1;
                    if open.len() >= MAX_DEPTH || elements > MAX_ELEMENTS || (open.is_empty() && root.is_some()) {
                        return Err(malformed("it has too many elements"));
                    }
                    open.push(Self::started(&reader, &start)?);
                }
                Event::Empty(start) => {
                    elements += 1;
                    if elements > MAX_ELEMENTS {
                        return Err(malformed("it has too many elements"));
                    }
                    let element = Self::started(&reader, &start)?;
                    place(element, &mut open, &mut root)?;
                }
                Event::End(_) => {
                    let element = open.pop().ok_or_else(|| malformed("an element ends that has not begun"))?;
                    place(element, &mut open, &mut root)?;
                }
                Event::Text(text) => add_text(&text.xml10_content(), &mut open)?,
                Event::CData(text) => add_text(&text.xml10_content(), &mut open)?,
                Event::GeneralRef(reference) => {
                    let letter = match &*reference {
                        "amp" => Some('&'),
                        "lt" => Some('<'),
                        "gt" => Some('>'),
                        "quot" => Some('"'),
                        "apos" => Some('\''),
                        _ => reference.resolve_char_ref().map_err(|error| malformed(&error.to_string()))?,
                    };
                    let letter = letter.ok_or_else(|| malformed("it has an entity that XML does not know"))?;
                    add_text(letter.encode_utf8(&mut [0; 4]), &mut open)?;
                }
                Event::DocType(_) => return Err(malformed("it has a document type")),
                Event::Eof => break,
                Event::Comment(_) | Event::Decl(_) | Event::PI(_) => {}
            }
        }
        root.filter(|_| open.is_empty()).ok_or_else(|| malformed("it breaks off"))
    }

    fn started(reader: &NsReader<&[u8]>, start: &BytesStart<'_>) -> kirsch::Result<Self> {
        let (namespace, name) = reader.resolver().resolve_element(start.name());
        let namespace = bound(namespace)?;
        let name = name.as_ref().to_owned();
        let mut attributes = Vec::new();
        for attribute in start.attributes() {
            let attribute = attribute.map_err(|error| malformed(&error.to_string()))?;
            let key = attribute.key.as_ref();
            if key == "xmlns" || key.starts_with("xmlns:") {
                continue;
            }
            let value = attribute.normalized_value(XmlVersion::Implicit1_0);
            let value = value.map_err(|error| malformed(&error.to_string()))?.into_owned();
            let (namespace, name) = reader.resolver().resolve_attribute(attribute.key);
            attributes.push((bound(namespace)?, name.as_ref().to_owned(), value));
        }
        Ok(Self { namespace, name, attributes, content: Vec::new() })
    }

    pub(super) fn is(&self, namespace: &str, name: &str) -> bool {
        self.namespace == namespace && self.name == name
    }

    pub(super) fn elements(&self) -> impl Iterator<Item = &Self> {
        self.content.iter().filter_map(|node| match node {
            Node::Element(element) => Some(element),
            Node::Text(_) => None,
        })
    }

    pub(super) fn attribute(&self, name: &str) -> Option<&str> {
        let found = self.attributes.iter().find(|(namespace, known, _)| namespace.is_empty() && known == name);
        found.map(|(_, _, value)| &**value)
    }

    /// All text in it, whatever elements are around it.
    pub(super) fn text(&self) -> String {
        let mut text = String::new();
        self.add_text(&mut text);
        text
    }

    fn add_text(&self, text: &mut String) {
        for node in &self.content {
            match node {
                Node::Text(part) => text.push_str(part),
                Node::Element(element) => element.add_text(text),
            }
        }
    }

    /// The element as XML that holds at any place: each element names its namespace.
    pub(super) fn write(&self, out: &mut String) {
        out.push('<');
        out.push_str(&self.name);
        out.push_str(" xmlns=\"");
        escape(&self.namespace, out);
        out.push('"');
        for (number, (namespace, name, value)) in self.attributes.iter().enumerate() {
            let prefix = match &**namespace {
                "" => String::new(),
                "http://www.w3.org/XML/1998/namespace" => "xml:".to_owned(),
                _ => {
                    out.push_str(&format!(" xmlns:a{number}=\""));
                    escape(namespace, out);
                    out.push('"');
                    format!("a{number}:")
                }
            };
            out.push_str(&format!(" {prefix}{name}=\""));
            escape(value, out);
            out.push('"');
        }
        out.push('>');
        for node in &self.content {
            match node {
                Node::Text(text) => escape(text, out),
                Node::Element(element) => element.write(out),
            }
        }
        out.push_str(&format!("</{}>", self.name));
    }
}

/// Puts a finished element where it belongs.
fn place(element: Element, open: &mut [Element], root: &mut Option<Element>) -> kirsch::Result {
    match open.last_mut() {
        Some(parent) => parent.content.push(Node::Element(element)),
        None if root.is_none() => *root = Some(element),
        None => return Err(malformed("it has two roots")),
    }
    Ok(())
}

fn add_text(text: &str, open: &mut [Element]) -> kirsch::Result {
    match open.last_mut().map(|element| &mut element.content) {
        Some(content) => match content.last_mut() {
            Some(Node::Text(before)) => before.push_str(text),
            _ => content.push(Node::Text(text.to_owned())),
        },
        None if text.trim().is_empty() => {}
        None => return Err(malformed("it has text outside of all elements")),
    }
    Ok(())
}

fn bound(namespace: ResolveResult<'_>) -> kirsch::Result<String> {
    match namespace {
        ResolveResult::Bound(namespace) => Ok(namespace.as_ref().to_owned()),
        ResolveResult::Unbound => Ok(String::new()),
        ResolveResult::Unknown(prefix) => Err(malformed(&format!("the prefix {prefix} has no namespace"))),
    }
}

pub(super) fn malformed(problem: &str) -> Error {
    Error::new(StatusCode::BAD_REQUEST, format!("This is no entry that can be taken: {problem}."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_that_attack_are_refused() {
        let deep = "<a>".repeat(100_000);
        let wide = format!("<a>{}</a>", "<b/>".repeat(20_000));
        let large = format!("<a>{}</a>", "x".repeat(MAX_BYTES));
        for document in [
            "<!DOCTYPE a [<!ENTITY x \"y\">]><a>&x;</a>",
            "<!DOCTYPE a SYSTEM \"file:///etc/passwd\"><a/>",
            "<a>&x;</a>",
            "<a>&#0;</a>",
            "<a><b></a>",
            "<a>",
            "<a/><b/>",
            "<x:a/>",
            "<a b=1/>",
            "<a b=\"1\" b=\"2\"/>",
            "",
            "text",
            &deep,
            &wide,
            &large,
        ] {
            assert!(Element::read(document.as_bytes()).is_err(), "{}", &document[..document.len().min(60)]);
        }
        assert!(Element::read(b"<a>\xff</a>").is_err());
    }

    #[test]
    fn what_is_written_is_read_again_as_the_same() {
        let document =
            "<x:a xmlns:x='urn:x' xmlns:y='urn:y' y:b='&lt;1&gt;' xml:lang='de'>t&amp;<c/>&#228;<![CDATA[<]]></x:a>";
        let element = Element::read(document.as_bytes()).expect("it is well-formed");
        let mut written = String::new();
        element.write(&mut written);
        assert_eq!(Element::read(written.as_bytes()).expect("so is this"), element);
        assert_eq!(element.text(), "t&ä<");
    }
}
