//! The desk of one album: its text, its photos in their order, and the upload.

use super::AlbumForm;
use crate::{
    language,
    model::{
        Changed,
        album::Album,
        moment,
        photo::{NewPhoto, Photo},
    },
    site::{Site, show, wants_json},
};
use kirsch::{exchange::ErrorKind, prelude::*};
use serde_json::json;
use std::path::Path;

/// `/desk/album/7/`
pub(super) struct AlbumDesk<'s> {
    pub(super) site: &'s Site,
    pub(super) album: Album,
}

#[handlers]
impl AlbumDesk<'_> {
    #[expose]
    fn index(&self, request: &Request) -> kirsch::Result<Response> {
        let form = FormErrors::filled::<AlbumForm>(&json!({
            "title": self.album.title, "story": self.album.story, "published": self.album.published.is_some(),
        }))?;
        self.page(request, &form, None)
    }

    #[expose(post)]
    fn edit(
        &self,
        form: Result<Form<AlbumForm>, FormErrors>,
        version: i64,
        session: &Session,
        request: &Request,
    ) -> kirsch::Result<Response> {
        let Form(form) = match form {
            Ok(form) => form,
            Err(errors) => {
                let page = self.page(request, &language::of_form(errors.clone(), request), Some(version))?;
                return Err(errors.page(|_| page));
            }
        };
        let text = form.text(self.album.published.clone());
        let id = self.album.id;
        if self.site.blog.database.write(|database| Album::edit(database, id, version, &text))? == Changed::Stale {
            let mut page = self.page(request, &FormErrors::of::<AlbumForm>(request), Some(version))?;
            page.set_status(StatusCode::PRECONDITION_FAILED);
            return Ok(page);
        }
        session.flash(language::say(language::of(request), "Saved."));
        self.back(request)
    }

    /// Forgets the album, once its photos are thrown away.
    #[expose(post)]
    fn delete(&self, session: &Session, request: &Request) -> kirsch::Result<Redirect> {
        if self.site.blog.database.write(|database| Album::remove_empty(database, self.album.id))? == Changed::Stale {
            let message = "The album still has photos. Please delete them first.";
            return Err(Error::new(StatusCode::CONFLICT, message));
        }
        session.flash(language::say(language::of(request), "The album is gone."));
        Ok(Redirect::to(request.link(link_to::<Site>().desk().index())?))
    }

    /// Takes any number of photos. The pictures are made later; each tile shows when its own is there.
    #[expose(post)]
    fn upload(
        &self,
        photos: Vec<Upload>,
        login: &Login,
        session: &Session,
        request: &Request,
    ) -> kirsch::Result<Response> {
        let language = language::of(request);
        let mut added = Vec::new();
        let mut refusals = Vec::new();
        for mut photo in photos {
            let name = photo.file_name().unwrap_or("photo").to_owned();
            match self.add(&mut photo, &name, login) {
                Ok(id) => added.push(id),
                Err(error) => match error.kind() {
                    // One photo that cannot be taken does not keep the others out.
                    ErrorKind::Http(refusal) if refusal.status.is_client_error() => {
                        let message = language::say(language, &refusal.message).to_owned();
                        refusals.push((name, refusal.status, message));
                    }
                    _ => return Err(error),
                },
            }
        }
        if let ([], [(_, status, message), ..]) = (&*added, &*refusals)
            && wants_json(request)
        {
            return Err(Error::new(*status, message.clone()));
        }
        if wants_json(request) {
            return Ok(Response::of((StatusCode::ACCEPTED, Json(json!({ "photos": added })))));
        }
        for (name, _, message) in refusals {
            session.flash(format!("{name}: {message}"));
        }
        if !added.is_empty() {
            session.flash(language::photos_came(language, added.len()));
        }
        self.back(request)
    }
}

impl AlbumDesk<'_> {
    /// `seen` is the version that the author has changed. If it is not the present one, the page shows both texts, and
    /// the form has the present version: sent again it replaces the other text.
    fn page(&self, request: &Request, form: &FormErrors, seen: Option<i64>) -> kirsch::Result<Response> {
        let (album, photos) = self.site.blog.database.read(|database| {
            let album = Album::find(database, self.album.id)?.ok_or_else(Error::not_found)?;
            Ok((album, Photo::all_of(database, self.album.id)?))
        })?;
        let is_conflict = seen.is_some_and(|seen| seen != album.version);
        let data = json!({
            "version": album.version, "album": album, "photos": photos, "form": form, "is_conflict": is_conflict,
        });
        Ok(show(request, "desk/album.html", data))
    }

    fn back(&self, request: &Request) -> kirsch::Result<Response> {
        let here = request.link(link_to::<Site>().desk().album(self.album.id).index())?;
        Ok(Response::of(Redirect::to(here)))
    }

    /// The file first, then the row and the job in one transaction: a program that is killed in between leaves a file
    /// that is swept away.
    fn add(&self, photo: &mut Upload, name: &str, login: &Login) -> kirsch::Result<i64> {
        let original = self.site.blog.pictures.keep(photo)?;
        let title = Path::new(name).file_stem().unwrap_or_default().to_string_lossy().replace(['_', '-'], " ");
        let title: String = title.trim().chars().take(120).collect();
        let new = NewPhoto {
            album: self.album.id,
            title: if title.is_empty() { "photo" } else { &title },
            author: login.name(),
            file: &original.file,
            media_type: original.media_type,
            bytes: original.bytes,
            published: Some(&moment::now()),
        };
        self.site.blog.add_photo(&self.site.jobs, &new, |_, _| Ok(()))
    }
}
