//! The error of a store.

use std::borrow::Cow;

/// The reason why a store could not do its work. The message goes to the log; the client gets 503, or 500 if the
/// program has put too much into a session.
#[derive(Debug)]
pub struct StoreError {
    what: Cow<'static, str>,
    place: String,
    cause: Option<Box<dyn std::error::Error + Send + Sync>>,
    pub(crate) is_too_large: bool,
}

impl StoreError {
    /// The failed action (`"cannot write the session"`) and its place (a path, an address).
    pub fn new(what: impl Into<Cow<'static, str>>, place: impl Into<String>) -> Self {
        Self { what: what.into(), place: place.into(), cause: None, is_too_large: false }
    }

    /// Adds the error that caused it.
    #[must_use]
    pub fn because(mut self, cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        self.cause = Some(cause.into());
        self
    }
}

impl std::fmt::Display for StoreError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} ({})", self.what, self.place)?;
        self.cause.as_ref().map_or(Ok(()), |cause| write!(f, ": {cause}"))
    }
}

impl std::error::Error for StoreError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.cause.as_deref().map(|cause| cause as _)
    }
}
