//! The Atom Publishing Protocol (RFC 5023): programs read and write the blog.
//!
//! | address | what it is |
//! |---|---|
//! | `/atom/service`, `/atom/categories` | the collections, and the tags |
//! | `/atom/stories`, `/atom/stories/7` | the albums as entries |
//! | `/atom/albums/7` | the photos of an album: a collection of media |
//! | `/atom/photos/12`, `/atom/photos/12/media` | the entry of a photo, and the photo |
//!
//! Everybody may read what is published. Drafts and changes need a login, with Basic or Digest. A change names the
//! version that it is made to (`If-Match`): without it is 428, and with an old one 412.

pub(crate) mod entry;
pub(crate) mod feed;
mod photos;
mod read;
mod stories;
pub(crate) mod write;

use crate::{
    model::{Changed, album::Album, reading},
    site::Site,
};
use entry::{APP, ATOM, ENTRY, Names};
use kirsch::{
    HeaderValue, header,
    http::{EntityTag, Precondition, Validators},
    prelude::*,
};
use photos::{MediaCollections, PhotoEntries};
use stories::Stories;
use write::Xml;

/// `/atom/`
pub(crate) struct Atom<'s>(pub(crate) &'s Site);

#[handlers]
impl<'s> Atom<'s> {
    /// The service document: what there is to read and to write, and of which types.
    #[expose(get)]
    fn service(&self, login: Option<&Login>, request: &Request) -> kirsch::Result<Response> {
        let (names, albums) = (self.0.names(request)?, self.0.blog.database.read(Album::all)?);
        let mut xml = Xml::document();
        xml.open("service", &[("xmlns", APP), ("xmlns:atom", ATOM)]).open("workspace", &[]);
        xml.leaf("atom:title", &[], &self.0.settings.title);
        xml.open("collection", &[("href", &names.address("/atom/stories"))]).leaf("atom:title", &[], "Albums");
        xml.leaf("accept", &[], "application/atom+xml;type=entry").close();
        for album in albums.iter().filter(|album| login.is_some() || is_visible(album)) {
            xml.open("collection", &[("href", &names.address(&format!("/atom/albums/{}", album.id)))]);
            xml.leaf("atom:title", &[], &album.title);
            for media_type in ["image/jpeg", "image/png", "image/webp", "image/gif"] {
                xml.leaf("accept", &[], media_type);
            }
            xml.empty("categories", &[("href", &names.address("/atom/categories"))]).close();
        }
        Ok(document(xml, "application/atomsvc+xml"))
    }

    /// The tags that are in use. Others may be made.
    #[expose(get)]
    fn categories(&self) -> kirsch::Result<Response> {
        let mut xml = Xml::document();
        xml.open("app:categories", &[("xmlns:app", APP), ("xmlns", ATOM), ("fixed", "no")]);
        for tag in self.0.blog.database.read(reading::tags)? {
            xml.empty("category", &[("term", &tag.name)]);
        }
        Ok(document(xml, "application/atomcat+xml"))
    }

    /// Who the client is, for one that wants to know before it writes.
    #[expose(get)]
    fn login(&self, login: &Login) -> Text<String> {
        Text(format!("Hello, {login}"))
    }

    #[child]
    fn stories(&self) -> Stories<'s> {
        Stories(self.0)
    }

    #[child]
    fn albums(&self) -> MediaCollections<'s> {
        MediaCollections(self.0)
    }

    #[child]
    fn photos(&self) -> PhotoEntries<'s> {
        PhotoEntries(self.0)
    }
}

impl Site {
    /// What entries need to name themselves.
    pub(crate) fn names<'r>(&self, request: &'r Request) -> kirsch::Result<Names<'r>> {
        let name = self.blog.database.read(reading::name)?;
        Ok(Names { request, blog: format!("tag:{}:{name}", self.settings.tag_authority) })
    }
}

fn is_visible(album: &Album) -> bool {
    album.published.as_deref().is_some_and(|published| *published <= *crate::model::moment::now())
}

fn document(xml: Xml, media_type: &'static str) -> Response {
    let mut response = Response::of(xml.finish());
    response.set_header(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
    response
}

/// An entry as a document, with its tag.
fn entry_document(xml: Xml, tag: &str) -> kirsch::Result<Response> {
    let mut response = document(xml, ENTRY);
    response.set_header(header::ETAG, HeaderValue::from_str(tag)?);
    Ok(response)
}

/// 201 for an entry that is made, and where it is.
fn created(mut response: Response, place: &str) -> kirsch::Result<Response> {
    let place = HeaderValue::from_str(place)?;
    response.set_status(StatusCode::CREATED).set_header(header::LOCATION, place.clone());
    response.set_header(header::CONTENT_LOCATION, place);
    Ok(response)
}

/// Whether a change may be made to what has this tag.
fn check(request: &Request, tag: &str) -> kirsch::Result {
    if request.header("if-match").is_none() {
        let message = "Say which version you change: send its ETag in the field If-Match.";
        return Err(Error::new(StatusCode::PRECONDITION_REQUIRED, message));
    }
    let present = Validators { etag: EntityTag::parse(tag.as_bytes()), last_modified: None };
    match request.precondition(Some(&present)) {
        Precondition::Met { .. } => Ok(()),
        _ => Err(stale()),
    }
}

/// Somebody else was quicker, perhaps after [`check`].
fn done(changed: &Changed) -> kirsch::Result {
    if *changed == Changed::Done { Ok(()) } else { Err(stale()) }
}

fn stale() -> Error {
    Error::new(StatusCode::PRECONDITION_FAILED, "Somebody else has changed this meanwhile. Please fetch it again.")
}

/// The field Slug (RFC 5023, section 9.7): a wish for a name, in UTF-8 with percent signs.
fn slug(request: &Request) -> Option<String> {
    let slug = request.header("slug")?.as_bytes();
    let mut bytes = Vec::with_capacity(slug.len());
    let mut at = 0;
    while let Some(byte) = slug.get(at) {
        let digits = slug.get(at + 1..at + 3).and_then(|digits| std::str::from_utf8(digits).ok());
        match digits.filter(|_| *byte == b'%').and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(decoded) => {
                bytes.push(decoded);
                at += 3;
            }
            None => {
                bytes.push(*byte);
                at += 1;
            }
        }
    }
    let slug: String =
        String::from_utf8_lossy(&bytes).chars().filter(|letter| !letter.is_control()).take(120).collect();
    Some(slug.trim().to_owned()).filter(|slug| !slug.is_empty())
}
