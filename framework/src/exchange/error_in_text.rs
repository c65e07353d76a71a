//! An error at a place of a text that is no source of the program, such as a template.

use std::error::Error;
use std::fmt::{Display, Formatter};

/// An error at a place of a text: the debug page shows the lines around it.
#[derive(Debug)]
pub(crate) struct ErrorInText {
    /// What happened, the cause included.
    pub(crate) message: String,
    pub(crate) place: Option<TextPlace>,
    /// The errors behind the cause.
    pub(crate) source: Option<Box<dyn Error + Send + Sync>>,
}

/// A line of a text.
#[derive(Clone, Debug)]
pub(crate) struct TextPlace {
    /// The name of the text, as `shop.html`.
    pub(crate) name: String,
    pub(crate) line: usize,
    /// All of the text, where it is known.
    pub(crate) text: String,
}

impl Display for ErrorInText {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.message)
    }
}

impl Error for ErrorInText {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}
