//! Templates: pages written in Jinja's language, by the engine minijinja.
//!
//! | file | what is in it |
//! |---|---|
//! | `tool` | [`Templates`], the tool: where templates come from, and the engine with all of them |
//! | `view` | [`View`], the return value of handlers: a template's name and its data |
//! | `escaping` | how the engine writes values, by the type of the page |
//! | `links` | the pages that a template links to by name |
//! | `context` | the values for a template besides its data: the session, the request, the visitor who is logged in |
//!
//! A view is rendered after its handler has returned, as part of the same request: the session that a template shows or
//! changes is the handler's own, with the same lock. Rendering needs nothing but hooks, values and
//! [`Response::defer`](crate::Response::defer).

mod context;
mod escaping;
mod links;
mod tool;
mod view;

pub use tool::Templates;
pub use view::View;

#[cfg(test)]
mod tests;
