//! An album: its story, and its photos in their order.

use super::show;
use crate::{
    blog::Blog,
    model::{album::Album, photo::Photo, reading},
};
use kirsch::prelude::*;
use serde_json::json;

/// `/album/hills-at-dusk/`
pub(super) struct AlbumPages<'b> {
    blog: &'b Blog,
    album: Album,
}

impl<'b> AlbumPages<'b> {
    pub(super) fn open(blog: &'b Blog, slug: &str) -> kirsch::Result<Self> {
        let album = blog.database.read(|database| reading::album(database, slug))?;
        Ok(Self { blog, album: album.ok_or_else(Error::not_found)? })
    }

    fn photos(&self) -> kirsch::Result<Vec<Photo>> {
        self.blog.database.read(|database| reading::photos_of(database, self.album.id))
    }
}

#[handlers]
impl AlbumPages<'_> {
    #[expose]
    fn index(&self, request: &Request) -> kirsch::Result<Response> {
        Ok(show(request, "album.html", json!({ "album": self.album, "photos": self.photos()? })))
    }
}
