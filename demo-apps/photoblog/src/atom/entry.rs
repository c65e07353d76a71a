//! Entries: what a client's entry says (RFC 4287), and how ours are written.

use super::{
    read::{Element, malformed},
    write::Xml,
};
use crate::model::{album::Album, moment, names, photo::Photo};
use kirsch::{Error, Request, StatusCode, escape};

pub(super) const ATOM: &str = "http://www.w3.org/2005/Atom";
pub(super) const APP: &str = "http://www.w3.org/2007/app";
/// The type of an entry.
pub(super) const ENTRY: &str = "application/atom+xml;type=entry;charset=utf-8";

/// Foreign elements of one entry, in bytes.
const MAX_FOREIGN: usize = 64 << 10;

/// What a client says about an entry.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Said {
    pub(super) id: Option<String>,
    pub(super) title: String,
    /// Its content, or its summary: text without elements.
    pub(super) text: String,
    pub(super) tags: Vec<String>,
    /// When it is published; `None` for a draft.
    pub(super) published: Option<String>,
    pub(super) foreign_elements: String,
}

impl Said {
    /// Reads the body of a request.
    ///
    /// # Errors
    /// 415 for another type than an entry, 400 for an entry without a title.
    pub(super) fn read(request: &Request, body: &[u8], published: Option<String>) -> kirsch::Result<Self> {
        if !is_entry(request.header("content-type").unwrap_or_default()) {
            let message = "An Atom entry is taken here: application/atom+xml;type=entry.";
            return Err(Error::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, message));
        }
        Self::of(&Element::read(body)?, published)
    }

    fn of(entry: &Element, published: Option<String>) -> kirsch::Result<Self> {
        if !entry.is(ATOM, "entry") {
            return Err(malformed("its root is not the element `entry` of Atom"));
        }
        let mut said = Self { published: Some(published.unwrap_or_else(moment::now)), ..Self::default() };
        let (mut summary, mut content, mut is_draft, mut tags) = (String::new(), String::new(), false, String::new());
        for element in entry.elements() {
            match (&*element.namespace, &*element.name) {
                (ATOM, "id") => said.id = Some(element.text().trim().to_owned()),
                (ATOM, "title") => said.title = plain_text(element),
                (ATOM, "summary") => summary = plain_text(element),
                (ATOM, "content") if element.attribute("src").is_none() => content = plain_text(element),
                (ATOM, "category") => {
                    tags.push(' ');
                    tags.push_str(&element.attribute("term").unwrap_or_default().replace(char::is_whitespace, "-"));
                }
                (ATOM, "published") => {
                    let moment = moment::read(&element.text()).ok_or_else(|| malformed("`published` is no moment"))?;
                    said.published = Some(moment);
                }
                (APP, "control") => {
                    let mut drafts = element.elements().filter(|element| element.is(APP, "draft"));
                    is_draft = drafts.any(|draft| draft.text().trim() == "yes");
                }
                // Ours to decide.
                (ATOM | APP, _) => {}
                _ => element.write(&mut said.foreign_elements),
            }
        }
        if said.title.is_empty() {
            return Err(malformed("it has no title"));
        }
        if said.title.chars().count() > 500 || content.len() > 100_000 || said.foreign_elements.len() > MAX_FOREIGN {
            return Err(Error::new(StatusCode::PAYLOAD_TOO_LARGE, "The entry has too long a title or content."));
        }
        said.text = if content.is_empty() { summary } else { content };
        said.tags = names::tags(&tags);
        if is_draft {
            said.published = None;
        }
        Ok(said)
    }
}

/// An entry, or a feed type without a parameter, as older clients send.
fn is_entry(content_type: &str) -> bool {
    let mut parts = content_type.split(';').map(str::trim);
    let is_atom = parts.next().is_some_and(|essence| essence.eq_ignore_ascii_case("application/atom+xml"));
    let mut kinds = parts.filter_map(|part| part.split_once('=')).filter(|(name, _)| name.eq_ignore_ascii_case("type"));
    is_atom && kinds.all(|(_, value)| value.trim_matches('"').eq_ignore_ascii_case("entry"))
}

/// The text of a text construct. Of HTML and XHTML the words stay, and no element: texts of this blog are plain.
fn plain_text(element: &Element) -> String {
    let text = element.text();
    let text = match element.attribute("type") {
        Some("html" | "text/html") => without_tags(&text),
        _ => text,
    };
    text.trim().to_owned()
}

fn without_tags(html: &str) -> String {
    let mut text = String::new();
    let mut rest = html;
    while let Some((before, tag)) = rest.split_once('<') {
        text.push_str(before);
        match tag.split_once('>') {
            Some((_, after)) => rest = after,
            None => {
                rest = "";
                break;
            }
        }
    }
    text.push_str(rest);
    let entities = [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&#39;", "'"), ("&nbsp;", " "), ("&amp;", "&")];
    entities.iter().fold(text, |text, (entity, letter)| text.replace(entity, letter))
}

/// The addresses and names that entries need.
pub(crate) struct Names<'n> {
    pub(crate) request: &'n Request,
    /// `tag:photoblog.example,2026-11-30:3f9a1c` of this blog: without an address in it, it stays when the site moves.
    pub(crate) blog: String,
}

impl Names<'_> {
    /// An address as the client sees it.
    pub(crate) fn address(&self, path: &str) -> String {
        self.request.url(path).to_string()
    }

    pub(super) fn album_id(&self, album: i64) -> String {
        format!("{}/album/{album}", self.blog)
    }

    pub(super) fn photo_id(&self, photo: i64) -> String {
        format!("{}/photo/{photo}", self.blog)
    }
}

/// What all entries begin with. An entry that is a document names the namespaces.
fn start(xml: &mut Xml, is_document: bool) {
    let namespaces = [("xmlns", ATOM), ("xmlns:app", APP)];
    xml.open("entry", if is_document { &namespaces } else { &[] });
}

fn draft(xml: &mut Xml, published: Option<&str>) {
    match published {
        Some(moment) => xml.leaf("published", &[], moment),
        None => xml.open("app:control", &[]).leaf("app:draft", &[], "yes").close(),
    };
}

/// The story of an album.
pub(super) fn write_story(xml: &mut Xml, names: &Names<'_>, album: &Album, is_document: bool) {
    start(xml, is_document);
    xml.leaf("id", &[], &names.album_id(album.id)).leaf("title", &[], &album.title);
    xml.leaf("updated", &[], &album.edited).leaf("app:edited", &[], &album.edited);
    draft(xml, album.published.as_deref());
    xml.open("author", &[]).leaf("name", &[], &album.author).close();
    xml.empty("link", &[("rel", "edit"), ("href", &names.address(&format!("/atom/stories/{}", album.id)))]);
    let page = names.request.url("/album").segment(&album.slug).to_string() + "/";
    xml.empty("link", &[("rel", "alternate"), ("type", "text/html"), ("href", &page)]);
    xml.leaf("content", &[("type", "text")], &album.story).written(&album.foreign_elements).close();
}

/// A photo: the entry that goes with a file.
pub(super) fn write_media_link(xml: &mut Xml, names: &Names<'_>, photo: &Photo, is_document: bool) {
    start(xml, is_document);
    write_photo(xml, names, photo);
    xml.leaf("app:edited", &[], &photo.edited);
    let place = names.address(&format!("/atom/photos/{}", photo.id));
    xml.empty("link", &[("rel", "edit"), ("href", &place)]);
    xml.empty("link", &[("rel", "edit-media"), ("type", &photo.media_type), ("href", &format!("{place}/media"))]);
    xml.leaf("summary", &[("type", "text")], &photo.caption);
    xml.empty("content", &[("type", "image/jpeg"), ("src", &picture(names, photo, 1600))]);
    xml.written(&photo.foreign_elements).close();
}

/// A photo in a feed for readers.
pub(crate) fn write_for_readers(xml: &mut Xml, names: &Names<'_>, photo: &Photo) {
    start(xml, false);
    write_photo(xml, names, photo);
    let (large, medium) = (picture(names, photo, 1600), picture(names, photo, 800));
    xml.empty("link", &[("rel", "enclosure"), ("type", "image/jpeg"), ("href", &large)]);
    let (title, caption) = (escape(&photo.title), escape(&photo.caption));
    let html = format!("<p><img src=\"{medium}\" alt=\"{title}\"></p><p>{caption}</p>");
    xml.leaf("content", &[("type", "html")], &html).close();
}

fn write_photo(xml: &mut Xml, names: &Names<'_>, photo: &Photo) {
    xml.leaf("id", &[], &names.photo_id(photo.id)).leaf("title", &[], &photo.title);
    xml.leaf("updated", &[], &photo.edited);
    draft(xml, photo.published.as_deref());
    xml.open("author", &[]).leaf("name", &[], &photo.author).close();
    for tag in &photo.tags {
        xml.empty("category", &[("term", tag)]);
    }
    let page = names.address(&format!("/photo/{}/", photo.id));
    xml.empty("link", &[("rel", "alternate"), ("type", "text/html"), ("href", &page)]);
}

fn picture(names: &Names<'_>, photo: &Photo, width: u32) -> String {
    names.address(&format!("/picture/{}-{width}.jpg", photo.file))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(inner: &str) -> kirsch::Result<Said> {
        let entry = format!("<entry xmlns='{ATOM}' xmlns:app='{APP}' xmlns:x='urn:x'>{inner}</entry>");
        Said::of(&Element::read(entry.as_bytes())?, None)
    }

    #[test]
    fn an_entry_says_what_a_blog_needs() {
        let said = said(
            "<title type='html'>A &lt;b&gt;day&lt;/b&gt; &amp;amp; night</title><summary>no</summary>\
             <content type='xhtml'><div xmlns='http://www.w3.org/1999/xhtml'>by <script>the</script> sea</div></content>\
             <category term='Sea side'/><category term='sky'/><published>2026-05-01T02:00:00+02:00</published>\
             <x:place lat='1'>pier</x:place>",
        )
        .expect("an entry");
        assert_eq!((&*said.title, &*said.text), ("A day & night", "by the sea"));
        assert_eq!(said.tags, ["sea-side", "sky"]);
        assert_eq!(said.published.as_deref(), Some("2026-05-01T00:00:00Z"));
        assert_eq!(said.foreign_elements, "<place xmlns=\"urn:x\" lat=\"1\">pier</place>");
    }

    #[test]
    fn drafts_have_no_moment_and_entries_a_title() {
        let draft = said("<title>t</title><app:control><app:draft>yes</app:draft></app:control>").expect("an entry");
        assert_eq!(draft.published, None);
        for inner in ["", "<title/>", "<title>t</title><published>yesterday</published>"] {
            assert!(said(inner).is_err(), "{inner}");
        }
    }

    #[test]
    fn the_type_is_that_of_an_entry() {
        for (content_type, expected) in [
            ("application/atom+xml", true),
            ("application/atom+xml;type=entry", true),
            ("Application/Atom+XML; charset=utf-8; type=\"entry\"", true),
            ("application/atom+xml;type=feed", false),
            ("text/xml", false),
            ("", false),
        ] {
            assert_eq!(is_entry(content_type), expected, "{content_type}");
        }
    }
}
