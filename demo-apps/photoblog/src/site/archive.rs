//! The archive by months: a child that takes two segments of the path.

use super::{Listed, show};
use crate::{blog::Blog, model::reading};
use kirsch::prelude::*;
use serde_json::json;

/// `/archive/`
pub(super) struct Archive<'b>(pub(super) &'b Blog);

#[handlers]
impl<'b> Archive<'b> {
    #[expose]
    fn index(&self, request: &Request) -> kirsch::Result<Response> {
        let months = self.0.database.read(reading::months)?;
        Ok(show(request, "archive.html", json!({ "months": months })))
    }

    /// `/archive/2026/11/`
    #[child]
    fn default(&self, year: u16, month: u8) -> kirsch::Result<Month<'b>> {
        match (year, month) {
            (1000..=9999, 1..=12) => Ok(Month { blog: self.0, name: format!("{year}-{month:02}") }),
            _ => Err(Error::not_found()),
        }
    }
}

pub(super) struct Month<'b> {
    blog: &'b Blog,
    /// `2026-11`
    name: String,
}

#[handlers]
impl Month<'_> {
    #[expose]
    fn index(&self, page: Option<u32>, request: &Request) -> kirsch::Result<Response> {
        let photos = self.blog.database.read(|database| reading::of_month(database, &self.name, page.unwrap_or(1)))?;
        if photos.photos.is_empty() {
            return Err(Error::not_found());
        }
        Ok(show(request, "month.html", Listed { heading: &self.name, photos }))
    }
}
