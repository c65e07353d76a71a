//! Moderation: an author lets others see what a reader has said, or throws it away.

use crate::{model::comment::Comment, site::Site};
use kirsch::prelude::*;

/// `/desk/comment/7/`
pub(super) struct CommentDesk<'s> {
    pub(super) site: &'s Site,
    pub(super) id: i64,
}

#[handlers]
impl CommentDesk<'_> {
    #[expose(post)]
    fn approve(&self, request: &Request) -> kirsch::Result<Redirect> {
        self.site.blog.database.write(|database| Comment::approve(database, self.id))?;
        self.back(request)
    }

    #[expose(post)]
    fn delete(&self, request: &Request) -> kirsch::Result<Redirect> {
        self.site.blog.database.write(|database| Comment::remove(database, self.id))?;
        self.back(request)
    }
}

impl CommentDesk<'_> {
    fn back(&self, request: &Request) -> kirsch::Result<Redirect> {
        Ok(Redirect::to(request.link(link_to::<Site>().desk().index())?))
    }
}
