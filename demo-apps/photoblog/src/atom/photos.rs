//! The photos of an album as a collection of media: a POST of a picture makes a photo and the entry that goes with it.

use super::{
    check, created, done,
    entry::{Said, write_media_link},
    entry_document,
    feed::{self, Feed, PAGE},
    is_visible,
    read::malformed,
    slug,
    write::Xml,
};
use crate::{
    model::{
        album::Album,
        moment,
        photo::{NewPhoto, Photo, PhotoText},
        reading,
    },
    pictures::Original,
    site::Site,
};
use kirsch::{HeaderValue, header, prelude::*};

/// `/atom/albums/`
pub(super) struct MediaCollections<'s>(pub(super) &'s Site);

#[handlers]
impl<'s> MediaCollections<'s> {
    /// `/atom/albums/7`
    #[child]
    fn default(&self, id: i64) -> kirsch::Result<MediaCollection<'s>> {
        let album = self.0.blog.database.read(|database| Album::find(database, id))?;
        Ok(MediaCollection { site: self.0, album: album.ok_or_else(Error::not_found)? })
    }
}

pub(super) struct MediaCollection<'s> {
    site: &'s Site,
    album: Album,
}

#[resource]
impl MediaCollection<'_> {
    fn get(&self, page: Option<u32>, login: Option<&Login>, request: &Request) -> kirsch::Result<Response> {
        if login.is_none() && !is_visible(&self.album) {
            return Err(Error::not_found());
        }
        let (page, album) = (page.unwrap_or(1).max(1), self.album.id);
        let (edition, (photos, has_more)) = self.site.blog.database.read(|database| {
            Ok((reading::edition(database)?, Photo::edited(database, album, login.is_some(), page, PAGE)?))
        })?;
        let tag = feed::tag(request, &edition, login)?;
        let names = self.site.names(request)?;
        let feed = Feed {
            names: &names,
            id: &format!("/photos/{album}"),
            title: &self.album.title,
            path: &format!("/atom/albums/{album}"),
            page_for_people: &format!("/album/{}/", self.album.slug),
            only: None,
            page,
            has_more,
            updated: photos.iter().map(|photo| &*photo.edited).max(),
        };
        let mut xml = feed.start();
        for photo in &photos {
            write_media_link(&mut xml, &names, photo, false);
        }
        feed::finish(xml, &tag)
    }

    /// A picture, read while it arrives.
    fn post(&self, mut body: Body, login: &Login, request: &Request) -> kirsch::Result<Response> {
        let original = keep(self.site, &mut body, request)?;
        let title = slug(request).unwrap_or_else(|| "photo".to_owned());
        let new = NewPhoto {
            album: self.album.id,
            title: &title,
            author: login.name(),
            file: &original.file,
            media_type: original.media_type,
            bytes: original.bytes,
            published: Some(&moment::now()),
        };
        let id = self.site.blog.add_photo(&self.site.jobs, &new, |_, _| Ok(()))?;
        let photo = PhotoEntry::open(self.site, id)?;
        created(photo.document(request)?, &request.url("/atom/photos").segment(id).to_string())
    }
}

/// `/atom/photos/`
pub(super) struct PhotoEntries<'s>(pub(super) &'s Site);

#[handlers]
impl<'s> PhotoEntries<'s> {
    /// `/atom/photos/12`
    #[child]
    fn default(&self, id: i64) -> kirsch::Result<PhotoEntry<'s>> {
        PhotoEntry::open(self.0, id)
    }
}

pub(super) struct PhotoEntry<'s> {
    site: &'s Site,
    photo: Photo,
    is_visible: bool,
}

#[resource]
impl<'s> PhotoEntry<'s> {
    fn get(&self, login: Option<&Login>, request: &Request) -> kirsch::Result<Response> {
        if login.is_none() && !self.is_visible {
            return Err(Error::not_found());
        }
        self.document(request)
    }

    fn put(&self, body: Bytes, _login: &Login, request: &Request) -> kirsch::Result<Response> {
        check(request, &self.tag())?;
        let said = Said::read(request, &body.0, self.photo.published.clone())?;
        let own = self.site.names(request)?.photo_id(self.photo.id);
        if said.id.as_ref().is_some_and(|id| *id != own) {
            return Err(malformed("its `id` is that of another entry"));
        }
        let text = PhotoText {
            title: said.title,
            caption: said.text,
            tags: said.tags,
            published: said.published,
            foreign_elements: Some(said.foreign_elements),
        };
        let Photo { id, version, .. } = self.photo;
        self.site.blog.database.write(|database| done(&Photo::edit(database, id, version, &text)?))?;
        Self::open(self.site, id)?.document(request)
    }

    /// Throws the photo away. At the desk it can be taken back for ten minutes.
    fn delete(&self, _login: &Login, request: &Request) -> kirsch::Result<StatusCode> {
        let has_condition = request.header("if-match").is_some();
        if has_condition {
            check(request, &self.tag())?;
        }
        let (id, version) = (self.photo.id, has_condition.then_some(self.photo.version));
        self.site.blog.database.write(|database| done(&Photo::throw_away(database, id, version)?))?;
        Ok(StatusCode::NO_CONTENT)
    }

    /// `/atom/photos/12/media`
    #[child]
    fn media(&self) -> kirsch::Result<Media<'s>> {
        Ok(Media(Self::open(self.site, self.photo.id)?))
    }
}

impl<'s> PhotoEntry<'s> {
    fn open(site: &'s Site, id: i64) -> kirsch::Result<Self> {
        let (photo, visible) =
            site.blog.database.read(|database| Ok((Photo::find(database, id)?, reading::photo(database, id)?)))?;
        let photo = photo.filter(|photo| photo.deleted.is_none()).ok_or_else(Error::not_found)?;
        Ok(Self { site, photo, is_visible: visible.is_some() })
    }

    fn tag(&self) -> String {
        format!("\"photo-{}-{}\"", self.photo.id, self.photo.version)
    }

    fn document(&self, request: &Request) -> kirsch::Result<Response> {
        let mut xml = Xml::document();
        write_media_link(&mut xml, &self.site.names(request)?, &self.photo, true);
        entry_document(xml, &self.tag())
    }
}

/// The original of a photo. It may tell where it was taken, so it is for authors.
pub(super) struct Media<'s>(PhotoEntry<'s>);

#[resource]
impl Media<'_> {
    fn get(&self, _login: &Login) -> kirsch::Result<Response> {
        let Photo { file, media_type, .. } = &self.0.photo;
        let mut response = Response::of(File::open(self.0.site.blog.pictures.original(file))?);
        response.set_header(header::CONTENT_TYPE, HeaderValue::from_str(media_type)?);
        response.set_header(header::ETAG, HeaderValue::from_str(&self.0.tag())?);
        Ok(response)
    }

    /// Another picture in its place. The tag is that of the entry.
    fn put(&self, mut body: Body, _login: &Login, request: &Request) -> kirsch::Result<Response> {
        let PhotoEntry { site, photo, .. } = &self.0;
        check(request, &self.0.tag())?;
        let original = keep(site, &mut body, request)?;
        done(&site.blog.replace_file(&site.jobs, photo.id, photo.version, &original)?)?;
        let mut response = Response::of(StatusCode::NO_CONTENT);
        response.set_header(header::ETAG, HeaderValue::from_str(&PhotoEntry::open(site, photo.id)?.tag())?);
        Ok(response)
    }

    /// A photo and its entry go together (RFC 5023, section 9.4).
    fn delete(&self, login: &Login, request: &Request) -> kirsch::Result<StatusCode> {
        self.0.delete(login, request)
    }
}

/// Keeps a picture that is the body of a request.
fn keep(site: &Site, body: &mut Body, request: &Request) -> kirsch::Result<Original> {
    let said = request.header("content-type").unwrap_or_default();
    if !said.trim_start().to_ascii_lowercase().starts_with("image/") {
        let message = "A picture is taken here: image/jpeg, image/png, image/webp or image/gif.";
        return Err(Error::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, message));
    }
    site.blog.pictures.keep(body)
}
