//! What handlers may return.

use super::{Error, Response};

/// What a handler may return: it writes itself into the response.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be returned by a handler",
    label = "not a response",
    note = "return `&str`, `String`, `Vec<u8>`, `Html`, `Text`, `Json<T>`, `StatusCode`, `(StatusCode, T)`, `Option<T>`, `Result<T, E>`, \
            `Stream`, `Redirect`, `Response` or `()`"
)]
pub trait IntoResponse {
    /// Writes itself into `response`; fields that are already set stay.
    ///
    /// # Errors
    /// What the error funnel shall answer instead.
    fn into_response(self, response: &mut Response) -> Result<(), Error>;
}

/// A page of HTML: the content with `text/html; charset=utf-8`.
#[derive(Clone, Debug)]
pub struct Html<T>(pub T);

/// Plain text: the content with `text/plain; charset=utf-8`.
#[derive(Clone, Debug)]
pub struct Text<T>(pub T);
