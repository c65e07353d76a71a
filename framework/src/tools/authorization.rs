//! What the authentication tools share: the field `Authorization`, quoted texts, and what functions say about passwords.

use super::auth_digest::Ha1;
use crate::{Error, Request, StatusCode};

/// What a function that knows who is who may return: a `bool` (or what else the tool asks for), or a `Result` of it.
pub trait Verdict<T = bool> {
    /// The verdict, or the error for the funnel.
    ///
    /// # Errors
    /// The function's own.
    fn into_verdict(self) -> Result<T, Error>;
}

impl Verdict for bool {
    fn into_verdict(self) -> Result<bool, Error> {
        Ok(self)
    }
}

impl Verdict<Option<Ha1>> for Option<Ha1> {
    fn into_verdict(self) -> Result<Option<Ha1>, Error> {
        Ok(self)
    }
}

impl<T, E: Into<Error>> Verdict<T> for Result<T, E> {
    fn into_verdict(self) -> Result<T, Error> {
        self.map_err(Into::into)
    }
}

/// Scheme and credentials of the field `Authorization`.
pub(super) struct Authorization<'r> {
    pub(super) scheme: &'r str,
    pub(super) rest: &'r str,
}

impl<'r> Authorization<'r> {
    /// `None` when there is none. Two of them are 400: who would have logged in?
    pub(super) fn of(request: &'r Request) -> Result<Option<Self>, Error> {
        let mut fields = request.headers_named("authorization");
        let Some(field) = fields.next() else { return Ok(None) };
        if fields.next().is_some() {
            return Err(Error::new(StatusCode::BAD_REQUEST, "The field `Authorization` was sent more than once."));
        }
        let field = str::from_utf8(field).unwrap_or_default().trim();
        let (scheme, rest) = field.split_once(' ').unwrap_or((field, ""));
        Ok(Some(Self { scheme, rest: rest.trim_start() }))
    }
}

/// The text as a quoted string of HTTP, or what is wrong with it.
pub(super) fn quoted(text: &str) -> Result<String, String> {
    if let Some(wrong) = text.chars().find(|character| !matches!(character, ' '..='~')) {
        return Err(format!("has a character, {wrong:?}, that the field `WWW-Authenticate` cannot have; use ASCII"));
    }
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for character in text.chars() {
        if matches!(character, '"' | '\\') {
            quoted.push('\\');
        }
        quoted.push(character);
    }
    quoted.push('"');
    Ok(quoted)
}
