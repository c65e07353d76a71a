//! The Atom feed for readers. Its tag is the edition of the blog: a reader that has the feed already costs one question
//! to the database.

use super::Site;
use crate::{
    atom::{
        entry::write_for_readers,
        feed::{self, Feed},
    },
    model::reading,
};
use kirsch::prelude::*;

pub(super) fn answer(
    site: &Site,
    page: u32,
    tag: Option<&str>,
    album: Option<&str>,
    request: &Request,
) -> kirsch::Result<Response> {
    let page = page.max(1);
    let edition = site.blog.database.read(reading::edition)?;
    let etag = feed::tag(request, &edition, None)?;
    let title = &site.settings.title;
    let (photos, title, id, path, only) = site.blog.database.read(|database| match (tag, album) {
        (Some(tag), _) => {
            let photos = reading::tagged(database, tag, page)?;
            Ok((photos, format!("{title}: {tag}"), format!("/tag/{tag}"), format!("/tag/{tag}"), Some(("tag", tag))))
        }
        (None, Some(slug)) => {
            let album = reading::album(database, slug)?.ok_or_else(Error::not_found)?;
            let photos = reading::of_album(database, album.id, page)?;
            let id = format!("/album/{}", album.id);
            Ok((photos, format!("{title}: {}", album.title), id, format!("/album/{slug}/"), Some(("album", slug))))
        }
        (None, None) => {
            Ok((reading::latest(database, page)?, title.clone(), "/photos".to_owned(), "/".to_owned(), None))
        }
    })?;
    let names = site.names(request)?;
    let feed = Feed {
        names: &names,
        id: &id,
        title: &title,
        path: "/feed",
        only,
        page_for_people: &path,
        page,
        has_more: photos.has_more,
        updated: photos.photos.iter().map(|photo| &*photo.edited).max(),
    };
    let mut xml = feed.start();
    for photo in &photos.photos {
        write_for_readers(&mut xml, &names, photo);
    }
    feed::finish(xml, &etag)
}
