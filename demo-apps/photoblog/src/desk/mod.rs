//! The pages of authors. All of them work without a script: links, forms, and a redirect after each change. The script
//! sends the same forms and asks for JSON.

mod album;
mod comment;
mod photo;

use crate::{
    language,
    model::{
        album::{Album, AlbumText},
        comment::Comment,
        moment,
        photo::Photo,
    },
    site::{Site, show},
};
use album::AlbumDesk;
use comment::CommentDesk;
use kirsch::{Fields, prelude::*, tools::View};
use photo::PhotoDesk;
use serde::Serialize;
use serde_json::json;

/// `/desk/`
pub(crate) struct Desk<'s>(pub(crate) &'s Site);

/// An album as its author types it.
#[derive(Fields, Serialize)]
struct AlbumForm {
    #[field(length = 1..=120)]
    title: String,
    #[field(length = ..=4000)]
    story: Option<String>,
    published: bool,
}

impl AlbumForm {
    /// What is to be kept; an album that is published already keeps its moment.
    fn text(self, before: Option<String>) -> AlbumText {
        let published = self.published.then(|| before.unwrap_or_else(moment::now));
        AlbumText { title: self.title, story: self.story.unwrap_or_default(), published, foreign_elements: None }
    }
}

#[handlers]
impl<'s> Desk<'s> {
    /// The albums, a form for another one, comments that wait, and what was thrown away.
    #[expose]
    fn index(&self, request: &Request) -> kirsch::Result<Response> {
        self.page(request, &FormErrors::blank::<AlbumForm>())
    }

    #[expose(post)]
    fn add_album(
        &self,
        form: Result<Form<AlbumForm>, FormErrors>,
        login: &Login,
        session: &Session,
        request: &Request,
    ) -> kirsch::Result<Response> {
        let Form(form) = match form {
            Ok(form) => form,
            Err(errors) => {
                let page = self.page(request, &language::of_form(errors.clone(), request))?;
                return Err(errors.page(|_| page));
            }
        };
        let album = self.0.blog.database.write(|database| {
            let title = form.title.clone();
            Album::add(database, &title, &form.text(None), login.name())
        })?;
        session.flash(language::say(language::of(request), "The album is there."));
        Ok(Response::of(Redirect::to(request.link(link_to::<Site>().desk().album(album).index())?)))
    }

    /// `/desk/album/7/`
    #[child]
    fn album(&self, id: i64) -> kirsch::Result<AlbumDesk<'s>> {
        let album = self.0.blog.database.read(|database| Album::find(database, id))?;
        Ok(AlbumDesk { site: self.0, album: album.ok_or_else(Error::not_found)? })
    }

    /// `/desk/photo/7/`
    #[child]
    fn photo(&self, id: i64) -> kirsch::Result<PhotoDesk<'s>> {
        let photo = self.0.blog.database.read(|database| Photo::find(database, id))?;
        Ok(PhotoDesk { site: self.0, photo: photo.ok_or_else(Error::not_found)? })
    }

    /// `/desk/comment/7/`
    #[child]
    fn comment(&self, id: i64) -> CommentDesk<'s> {
        CommentDesk { site: self.0, id }
    }

    /// A page that logs in to the Atom interface by script, with Basic or with Digest.
    #[expose]
    fn by_script(&self, login: &Login) -> View {
        View::new("desk/by_script.html", json!({ "name": login.name() }))
    }
}

impl Desk<'_> {
    fn page(&self, request: &Request, form: &FormErrors) -> kirsch::Result<Response> {
        let (albums, deleted, comments) = self
            .0
            .blog
            .database
            .read(|database| Ok((Album::all(database)?, Photo::deleted(database)?, Comment::waiting(database)?)))?;
        let data = json!({ "albums": albums, "deleted": deleted, "comments": comments, "form": form });
        Ok(show(request, "desk/index.html", data))
    }
}
