//! The albums as entries: their stories.

use super::{
    check, created, done,
    entry::{Said, write_story},
    entry_document,
    feed::{self, Feed, PAGE},
    is_visible,
    read::malformed,
    slug,
    write::Xml,
};
use crate::{
    model::{
        album::{Album, AlbumText},
        reading,
    },
    site::Site,
};
use kirsch::prelude::*;

/// `/atom/stories`
pub(super) struct Stories<'s>(pub(super) &'s Site);

#[resource]
impl<'s> Stories<'s> {
    fn get(&self, page: Option<u32>, login: Option<&Login>, request: &Request) -> kirsch::Result<Response> {
        let page = page.unwrap_or(1).max(1);
        let (edition, (albums, has_more)) = self.0.blog.database.read(|database| {
            Ok((reading::edition(database)?, Album::edited(database, login.is_some(), page, PAGE)?))
        })?;
        let tag = feed::tag(request, &edition, login)?;
        let names = self.0.names(request)?;
        let feed = Feed {
            names: &names,
            id: "/stories",
            title: &self.0.settings.title,
            path: "/atom/stories",
            page_for_people: "/albums",
            only: None,
            page,
            has_more,
            updated: albums.iter().map(|album| &*album.edited).max(),
        };
        let mut xml = feed.start();
        for album in &albums {
            write_story(&mut xml, &names, album, false);
        }
        feed::finish(xml, &tag)
    }

    fn post(&self, body: Bytes, login: &Login, request: &Request) -> kirsch::Result<Response> {
        let said = Said::read(request, &body.0, None)?;
        let wish = slug(request).unwrap_or_else(|| said.title.clone());
        let text = text_of(said);
        let album = self.0.blog.database.write(|database| {
            let id = Album::add(database, &wish, &text, login.name())?;
            Album::find(database, id)?.ok_or_else(Error::not_found)
        })?;
        let place = request.url("/atom/stories").segment(album.id).to_string();
        created(Story { site: self.0, album }.document(request)?, &place)
    }

    /// `/atom/stories/7`
    #[child]
    fn default(&self, id: i64) -> kirsch::Result<Story<'s>> {
        let album = self.0.blog.database.read(|database| Album::find(database, id))?;
        Ok(Story { site: self.0, album: album.ok_or_else(Error::not_found)? })
    }
}

pub(super) struct Story<'s> {
    site: &'s Site,
    album: Album,
}

#[resource]
impl Story<'_> {
    fn get(&self, login: Option<&Login>, request: &Request) -> kirsch::Result<Response> {
        if login.is_none() && !is_visible(&self.album) {
            return Err(Error::not_found());
        }
        self.document(request)
    }

    fn put(&self, body: Bytes, _login: &Login, request: &Request) -> kirsch::Result<Response> {
        check(request, &self.tag())?;
        let said = Said::read(request, &body.0, self.album.published.clone())?;
        let own = self.site.names(request)?.album_id(self.album.id);
        if said.id.as_ref().is_some_and(|id| *id != own) {
            return Err(malformed("its `id` is that of another entry"));
        }
        let (id, version, text) = (self.album.id, self.album.version, text_of(said));
        let album = self.site.blog.database.write(|database| {
            done(&Album::edit(database, id, version, &text)?)?;
            Album::find(database, id)?.ok_or_else(Error::not_found)
        })?;
        Story { site: self.site, album }.document(request)
    }

    /// Forgets the album and its photos.
    fn delete(&self, _login: &Login, request: &Request) -> kirsch::Result<StatusCode> {
        if request.header("if-match").is_some() {
            check(request, &self.tag())?;
        }
        let Album { id, version, .. } = self.album;
        self.site.blog.database.write(|database| done(&Album::remove(database, id, version)?))?;
        Ok(StatusCode::NO_CONTENT)
    }
}

impl Story<'_> {
    fn tag(&self) -> String {
        format!("\"album-{}-{}\"", self.album.id, self.album.version)
    }

    fn document(&self, request: &Request) -> kirsch::Result<Response> {
        let mut xml = Xml::document();
        write_story(&mut xml, &self.site.names(request)?, &self.album, true);
        entry_document(xml, &self.tag())
    }
}

fn text_of(said: Said) -> AlbumText {
    AlbumText {
        title: said.title,
        story: said.text,
        published: said.published,
        foreign_elements: Some(said.foreign_elements),
    }
}
