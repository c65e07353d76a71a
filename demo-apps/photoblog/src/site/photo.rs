//! One photo, with those before and after it in its album.

use super::show;
use crate::{
    blog::Blog,
    model::{photo::Photo, reading},
};
use kirsch::prelude::*;
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
}

#[handlers]
impl PhotoPages<'_> {
    #[expose]
    fn index(&self, request: &Request) -> kirsch::Result<Response> {
        let (previous, next) = self.blog.database.read(|database| reading::neighbours(database, &self.photo))?;
        Ok(show(request, "photo.html", json!({ "photo": self.photo, "previous": previous, "next": next })))
    }
}
