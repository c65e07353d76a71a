//! Error pages: one for each status, or one for all, in HTML, JSON or text as the client accepts.

/// What an error page is made from.
#[derive(Debug)]
pub struct ErrorPage {}

/// The application's own error pages.
#[derive(Clone, Debug, Default)]
pub struct ErrorPages {}
