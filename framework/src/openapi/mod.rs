//! The pages of an application described for programs, in [OpenAPI 3.1](https://spec.openapis.org/oas/v3.1.1.html), and
//! a small page to read that.
//!
//! | file | what it holds |
//! |---|---|
//! | `mod` | [`OpenApi`], what [`App::openapi`](crate::App::openapi) makes |
//! | `document` | from the routes of a tree to paths and operations |
//! | `operation` | one operation: its parameters, its body, its answers |
//! | `page` | the page to read it, without a script |
//!
//! The idea: the tree knows its shape from its types when the program starts. So the description is made from what
//! runs, and cannot be out of date. What no type says is left out.

mod document;
mod operation;
mod page;
#[cfg(test)]
mod tests;

pub(crate) use document::{Login, describe};
pub(crate) use page::pages;

use serde_json::{Value, json};

/// A description in OpenAPI 3.1; [`App::openapi`](crate::App::openapi) makes it. Its text is JSON.
///
/// Mounted, it is a page to read at its path, and the description itself at `openapi.json` below it.
#[derive(Clone, Debug, PartialEq)]
pub struct OpenApi(Value);

impl OpenApi {
    pub(crate) fn new(document: Value) -> Self {
        Self(document)
    }

    /// With a title in place of the name of the root's type.
    #[must_use]
    pub fn title(self, title: impl Into<String>) -> Self {
        self.with("title", &title.into())
    }

    /// With the version of your interface, in place of `0`.
    #[must_use]
    pub fn version(self, version: impl Into<String>) -> Self {
        self.with("version", &version.into())
    }

    /// With words about the whole of it.
    #[must_use]
    pub fn description(self, text: impl Into<String>) -> Self {
        self.with("description", &text.into())
    }

    fn with(mut self, key: &str, text: &str) -> Self {
        self.0["info"][key] = json!(text);
        self
    }

    /// The description as a value, to be looked at or added to.
    #[must_use]
    pub fn as_value(&self) -> &Value {
        &self.0
    }

    /// The same, to be changed: for what no type says.
    pub fn as_value_mut(&mut self) -> &mut Value {
        &mut self.0
    }
}

/// JSON, with line breaks.
impl std::fmt::Display for OpenApi {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:#}", self.0)
    }
}
