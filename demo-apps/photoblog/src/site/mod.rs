//! The pages of readers. Each is HTML for people and JSON for programs, by `Accept`: the data of the template are the
//! answer to a program.

mod album;
mod archive;
mod feed;
mod photo;

use crate::{
    atom::Atom,
    blog::Blog,
    desk::Desk,
    model::reading::{self, Photos},
    settings::Settings,
};
use album::AlbumPages;
use archive::Archive;
use kirsch::{http::best_media_type, jobs::Jobs, prelude::*, tools::View};
use photo::{PhotoComments, PhotoPages};
use serde::Serialize;
use serde_json::json;
use std::sync::Arc;

/// The root of the tree.
pub(crate) struct Site {
    pub(crate) blog: Arc<Blog>,
    pub(crate) settings: Arc<Settings>,
    pub(crate) jobs: Jobs,
}

/// The template with its data, or the data alone for a client that likes JSON better.
pub(crate) fn show(request: &Request, template: &'static str, data: impl Serialize) -> Response {
    if wants_json(request) { Response::of(Json(data)) } else { Response::of(View::new(template, data)) }
}

/// The tool `autovary` notes that this looks at `Accept`.
pub(crate) fn wants_json(request: &Request) -> bool {
    let accept = request.list("accept").unwrap_or_default();
    best_media_type(&accept, &["text/html", "application/json"]) == Some("application/json")
}

/// A page of photos that are no album.
#[derive(Serialize)]
struct Listed<'l> {
    /// What they have in common.
    heading: &'l str,
    #[serde(flatten)]
    photos: Photos,
}

#[handlers]
impl Site {
    /// The latest photos, and on the first page the albums.
    #[expose]
    fn index(&self, page: Option<u32>, request: &Request) -> kirsch::Result<Response> {
        let page = page.unwrap_or(1);
        let (photos, albums) = self.blog.database.read(|database| {
            let albums = if page > 1 { Vec::new() } else { reading::albums(database)? };
            Ok((reading::latest(database, page)?, albums))
        })?;
        Ok(show(request, "front.html", json!({ "listed": photos, "albums": albums })))
    }

    #[expose]
    fn albums(&self, request: &Request) -> kirsch::Result<Response> {
        let albums = self.blog.database.read(reading::albums)?;
        Ok(show(request, "albums.html", json!({ "albums": albums })))
    }

    /// `/album/hills-at-dusk/`
    #[child]
    fn album(&self, slug: String) -> kirsch::Result<AlbumPages<'_>> {
        AlbumPages::open(&self.blog, &slug)
    }

    /// `/photo/7/`
    #[child]
    fn photo(&self, id: i64) -> kirsch::Result<PhotoPages<'_>> {
        PhotoPages::open(&self.blog, id)
    }

    /// `/comment/7`
    #[child]
    fn comment(&self, id: i64) -> kirsch::Result<PhotoComments<'_>> {
        Ok(PhotoComments(PhotoPages::open(&self.blog, id)?))
    }

    #[expose]
    fn tags(&self, request: &Request) -> kirsch::Result<Response> {
        let tags = self.blog.database.read(reading::tags)?;
        Ok(show(request, "tags.html", json!({ "tags": tags })))
    }

    /// The photos with a tag; 404 where it has none.
    #[expose]
    fn tag(&self, name: String, page: Option<u32>, request: &Request) -> kirsch::Result<Response> {
        let photos = self.blog.database.read(|database| reading::tagged(database, &name, page.unwrap_or(1)))?;
        if photos.photos.is_empty() {
            return Err(Error::not_found());
        }
        Ok(show(request, "tag.html", Listed { heading: &name, photos }))
    }

    /// `/archive/` and `/archive/2026/11`
    #[child]
    fn archive(&self) -> Archive<'_> {
        Archive(&self.blog)
    }

    /// The latest photos, those with a tag, or those of an album, for feed readers.
    #[expose(get)]
    fn feed(
        &self,
        page: Option<u32>,
        tag: Option<String>,
        album: Option<String>,
        request: &Request,
    ) -> kirsch::Result<Response> {
        feed::answer(self, page.unwrap_or(1), tag.as_deref(), album.as_deref(), request)
    }

    /// For programs that read and write.
    #[child]
    fn atom(&self) -> Atom<'_> {
        Atom(self)
    }

    /// For authors, who log in.
    #[child]
    fn desk(&self) -> Desk<'_> {
        Desk(self)
    }

    #[expose]
    fn search(&self, text: Option<String>, page: Option<u32>, request: &Request) -> kirsch::Result<Response> {
        let text = text.unwrap_or_default();
        let photos = self.blog.database.read(|database| reading::found(database, &text, page.unwrap_or(1)))?;
        Ok(show(request, "search.html", Listed { heading: &text, photos }))
    }
}
