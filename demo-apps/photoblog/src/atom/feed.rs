//! Feeds: what all of them have, pages of them, and their tags.

use super::{
    entry::{APP, ATOM, Names},
    write::Xml,
};
use kirsch::{HeaderValue, header, http::EntityTag, http::Precondition, http::Validators, prelude::*};

/// Entries of a page.
pub(crate) const PAGE: u32 = 20;

/// A page of a feed, before its entries.
pub(crate) struct Feed<'f> {
    pub(crate) names: &'f Names<'f>,
    /// What is behind the name of the blog in the identifier.
    pub(crate) id: &'f str,
    pub(crate) title: &'f str,
    /// The path of the feed, and that of the page for people.
    pub(crate) path: &'f str,
    pub(crate) page_for_people: &'f str,
    /// Of a feed for a part of the blog, the name and the value in its query.
    pub(crate) only: Option<(&'f str, &'f str)>,
    pub(crate) page: u32,
    pub(crate) has_more: bool,
    /// When the youngest of its entries was changed.
    pub(crate) updated: Option<&'f str>,
}

impl Feed<'_> {
    /// The document up to its entries.
    pub(crate) fn start(&self) -> Xml {
        let mut xml = Xml::document();
        xml.open("feed", &[("xmlns", ATOM), ("xmlns:app", APP)]);
        xml.leaf("id", &[], &format!("{}{}", self.names.blog, self.id)).leaf("title", &[], self.title);
        // A feed without entries has not been updated since the beginning.
        xml.leaf("updated", &[], self.updated.unwrap_or("2026-01-01T00:00:00Z"));
        xml.leaf("generator", &[("uri", "https://github.com/kirsch-web/kirsch")], "Kirsch photoblog");
        let address = |page: u32| {
            let mut url = self.names.request.url(self.path);
            if let Some((name, value)) = self.only {
                url = url.query(name, value);
            }
            if page > 1 { url.query("page", page).to_string() } else { url.to_string() }
        };
        xml.empty("link", &[("rel", "self"), ("type", "application/atom+xml"), ("href", &address(self.page))]);
        let people = self.names.address(self.page_for_people);
        xml.empty("link", &[("rel", "alternate"), ("type", "text/html"), ("href", &people)]);
        xml.empty("link", &[("rel", "first"), ("href", &address(1))]);
        if self.page > 1 {
            xml.empty("link", &[("rel", "previous"), ("href", &address(self.page - 1))]);
        }
        if self.has_more {
            xml.empty("link", &[("rel", "next"), ("href", &address(self.page + 1))]);
        }
        xml
    }
}

/// The tag of a feed at this edition of the blog. Where the feed differs for authors, so does its tag.
///
/// # Errors
/// The answer itself, 304, if the client has the feed already: then none is made.
pub(crate) fn tag(request: &Request, edition: &str, login: Option<&Login>) -> kirsch::Result<String> {
    let tag = format!("\"{edition}{}\"", if login.is_some() { "-author" } else { "" });
    let present = Validators { etag: EntityTag::parse(tag.as_bytes()), last_modified: None };
    match request.precondition(Some(&present)) {
        Precondition::NotModified => {
            let mut response = Response::new();
            if let Ok(tag) = HeaderValue::from_str(&tag) {
                response.set_header(header::ETAG, tag);
            }
            response.set_not_modified();
            Err(response.into())
        }
        _ => Ok(tag),
    }
}

/// The finished feed.
pub(crate) fn finish(xml: Xml, tag: &str) -> kirsch::Result<Response> {
    let mut response = super::document(xml, "application/atom+xml;type=feed;charset=utf-8");
    response.set_header(header::ETAG, HeaderValue::from_str(tag)?);
    Ok(response)
}
