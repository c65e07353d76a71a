//! One photo, with those before and after it in its album, and what readers say about it.

use super::{Site, show};
use crate::{
    blog::Blog,
    language,
    model::{comment::Comment, photo::Photo, reading},
};
use kirsch::{Fields, prelude::*};
use serde_json::json;

/// `/photo/7/`
pub(super) struct PhotoPages<'b> {
    blog: &'b Blog,
    photo: Photo,
}

impl<'b> PhotoPages<'b> {
    pub(super) fn open(blog: &'b Blog, id: i64) -> kirsch::Result<Self> {
        let photo = blog.database.read(|database| reading::photo(database, id))?;
        Ok(Self { blog, photo: photo.ok_or_else(Error::not_found)? })
    }

    fn page(&self, request: &Request, form: &FormErrors, has_said: bool) -> kirsch::Result<Response> {
        let ((previous, next), comments) = self.blog.database.read(|database| {
            Ok((reading::neighbours(database, &self.photo)?, Comment::of_photo(database, self.photo.id)?))
        })?;
        let photo = &self.photo;
        let data = json!({
            "photo": photo, "previous": previous, "next": next, "comments": comments, "form": form,
            "has_said": has_said,
        });
        Ok(show(request, "photo.html", data))
    }
}

#[handlers]
impl PhotoPages<'_> {
    /// `said` is there after a comment that waits for an author. No session keeps that: readers have none.
    #[expose]
    fn index(&self, said: Option<bool>, request: &Request) -> kirsch::Result<Response> {
        self.page(request, &FormErrors::blank::<CommentForm>(), said.unwrap_or_default())
    }
}

/// `/comment/7`: a path of its own, since it has limits of its own.
pub(super) struct PhotoComments<'b>(pub(super) PhotoPages<'b>);

/// A comment as its author types it. It is text, and never HTML.
#[derive(Fields)]
struct CommentForm {
    #[field(length = 1..=60)]
    name: String,
    #[field(length = 1..=2000)]
    text: String,
    /// A field that people do not see. Robots fill it in.
    homepage: Option<String>,
}

#[resource]
impl PhotoComments<'_> {
    /// Back to the photo.
    fn get(&self, request: &Request) -> kirsch::Result<Redirect> {
        Ok(Redirect::to(request.link(link_to::<Site>().photo(self.0.photo.id).index(None))?))
    }

    fn post(
        &self,
        form: Result<Form<CommentForm>, FormErrors>,
        login: Option<&Login>,
        request: &Request,
    ) -> kirsch::Result<Redirect> {
        let Form(form) = match form {
            Ok(form) => form,
            Err(errors) => {
                let page = self.0.page(request, &language::of_form(errors.clone(), request), false)?;
                return Err(errors.page(|_| page));
            }
        };
        let id = self.0.photo.id;
        let is_approved = login.is_some();
        let page = request.link(link_to::<Site>().photo(id).index((!is_approved).then_some(true)))?;
        let back = Redirect::to(format!("{page}#comments"));
        // A robot reads that all went well.
        if form.homepage.is_some_and(|homepage| !homepage.is_empty()) {
            return Ok(back);
        }
        let is_kept =
            self.0.blog.database.write(|database| Comment::add(database, id, &form.name, &form.text, is_approved))?;
        if !is_kept {
            let message = "Too many comments wait to be read. Please come again tomorrow.";
            return Err(Error::new(StatusCode::SERVICE_UNAVAILABLE, message));
        }
        Ok(back)
    }
}
