//! The desk of one photo: its text, its place in the album, and the way to the basket and back.
//!
//! The form carries the version that its author has seen. If it is not the present one any more, nothing is saved: the
//! answer is 412 with both texts.

use crate::{
    language,
    model::{
        Changed,
        comment::Comment,
        moment, names,
        photo::{Photo, PhotoText},
    },
    site::{Site, show, wants_json},
};
use kirsch::{Fields, prelude::*};
use serde::Serialize;
use serde_json::json;

/// `/desk/photo/7/`
pub(super) struct PhotoDesk<'s> {
    pub(super) site: &'s Site,
    pub(super) photo: Photo,
}

/// A photo as its author types it.
#[derive(Fields, Serialize)]
struct PhotoForm {
    #[field(length = 1..=120)]
    title: String,
    #[field(length = ..=4000)]
    caption: Option<String>,
    #[field(length = ..=500)]
    tags: Option<String>,
    published: bool,
    version: i64,
}

#[handlers]
impl PhotoDesk<'_> {
    #[expose]
    fn index(&self, request: &Request) -> kirsch::Result<Response> {
        let Photo { title, caption, tags, published, version, .. } = &self.photo;
        let form = FormErrors::filled::<PhotoForm>(&json!({
            "title": title, "caption": caption, "tags": tags.join(" "), "published": published.is_some(),
            "version": version,
        }))?;
        self.page(request, &form, false)
    }

    #[expose(post)]
    fn edit(
        &self,
        form: Result<Form<PhotoForm>, FormErrors>,
        session: &Session,
        request: &Request,
    ) -> kirsch::Result<Response> {
        let Form(form) = match form {
            Ok(form) => form,
            Err(errors) => {
                let page = self.page(request, &language::of_form(errors.clone(), request), false)?;
                return Err(errors.page(|_| page));
            }
        };
        let published = form.published.then(|| self.photo.published.clone().unwrap_or_else(moment::now));
        let text = PhotoText {
            title: form.title,
            caption: form.caption.unwrap_or_default(),
            tags: names::tags(&form.tags.unwrap_or_default()),
            published,
            foreign_elements: None,
        };
        let id = self.photo.id;
        let (changed, photo) = self.site.blog.database.write(|database| {
            let changed = Photo::edit(database, id, form.version, &text)?;
            Ok((changed, Photo::find(database, id)?.ok_or_else(Error::not_found)?))
        })?;
        match changed {
            Changed::Stale => self.conflict(request),
            Changed::Done if wants_json(request) => Ok(Response::of(Json(photo))),
            Changed::Done => {
                session.flash(language::say(language::of(request), "Saved."));
                self.back(request)
            }
        }
    }

    #[expose(post)]
    fn earlier(&self, request: &Request) -> kirsch::Result<Response> {
        self.shift(request, true)
    }

    #[expose(post)]
    fn later(&self, request: &Request) -> kirsch::Result<Response> {
        self.shift(request, false)
    }

    #[expose(post)]
    fn delete(&self, session: &Session, request: &Request) -> kirsch::Result<Response> {
        let id = self.photo.id;
        self.site.blog.database.write(|database| Photo::throw_away(database, id, None))?;
        let sentence = "The photo is away. You can take it back for ten minutes.";
        session.flash(language::say(language::of(request), sentence));
        Ok(Response::of(Redirect::to(request.link(link_to::<Site>().desk().index())?)))
    }

    #[expose(post)]
    fn restore(&self, session: &Session, request: &Request) -> kirsch::Result<Response> {
        self.site.blog.database.write(|database| Photo::take_back(database, self.photo.id))?;
        session.flash(language::say(language::of(request), "The photo is back."));
        self.back(request)
    }
}

impl PhotoDesk<'_> {
    fn page(&self, request: &Request, form: &FormErrors, is_conflict: bool) -> kirsch::Result<Response> {
        let comments = self.site.blog.database.read(|database| Comment::of_photo(database, self.photo.id))?;
        let photo = &self.photo;
        let data = json!({ "photo": photo, "form": form, "comments": comments, "is_conflict": is_conflict });
        Ok(show(request, "desk/photo.html", data))
    }

    /// The visitor's text and the other one. The form has the present version now: sent again it replaces the other.
    fn conflict(&self, request: &Request) -> kirsch::Result<Response> {
        let mut page = self.page(request, &FormErrors::of::<PhotoForm>(request), true)?;
        page.set_status(StatusCode::PRECONDITION_FAILED);
        Ok(page)
    }

    fn shift(&self, request: &Request, is_earlier: bool) -> kirsch::Result<Response> {
        self.site.blog.database.write(|database| Photo::shift(database, self.photo.id, is_earlier))?;
        self.back(request)
    }

    /// To the photo on the page of its album.
    fn back(&self, request: &Request) -> kirsch::Result<Response> {
        let album = request.link(link_to::<Site>().desk().album(self.photo.album).index())?;
        Ok(Response::of(Redirect::to(format!("{album}#photo-{}", self.photo.id))))
    }
}
