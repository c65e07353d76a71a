//! The object tree: its shape, how a path finds its handler, how the handler is called.
//!
//! The idea: *resolve by type, call by value*. A type's published shape is a [`Node`], known without an instance. The
//! [`resolve`] walk turns a path into a trail of steps through nodes, before any code of the application runs; the call
//! then follows the trail through the values.

#[cfg(test)]
mod address_tests;
mod addresses;
mod call;
mod dispatch;
mod foreign;
mod graft;
mod node;
mod patterns;
#[cfg(test)]
pub(crate) mod probe;
mod resolve;
mod route_urls;
mod routes;
#[cfg(test)]
mod traversal_tests;
mod tree;

pub(crate) use addresses::Addresses;
pub use addresses::link_to;
#[doc(hidden)]
pub use call::child_arguments;
pub use call::{Call, Child};
pub use dispatch::{Dispatch, DispatchRef, Dispatcher, PathRest, Way};
pub use foreign::{Abroad, Foreign};
pub(crate) use graft::{Mount, graft};
pub use node::{ChildNode, ChildStep, Node, NodeKind, NodeRef};
pub use patterns::Routes;
pub(crate) use resolve::methods;
pub(crate) use resolve::same_segment;
pub use resolve::{Resolution, resolve};
pub use route_urls::RouteUrls;
#[cfg(feature = "openapi")]
pub(crate) use routes::each_route;
pub use routes::{Route, routes};
pub(crate) use routes::{has_dispatchers, keyed_routes, named_segments, route_at, route_key, route_of, unexposed};

pub use tree::{PageCall, Tree};

use crate::exchange::{Error, LinkWay};

/// A value whose methods are pages. Write it with `#[handlers]` or `#[resource]`, or build a [`Tree`].
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not published",
    label = "not a node of the tree",
    note = "put `#[handlers]` or `#[resource]` on an `impl {Self}` block"
)]
pub trait Publish: Send + Sync {
    /// The links to the pages of the type, for [`link_to`]. The macros write a type with a method for each page; write
    /// [`PathLinks`](crate::exchange::PathLinks) by hand.
    type Links: From<LinkWay>
    where
        Self: Sized;

    /// The shape of the type: its handlers and children.
    fn node() -> NodeRef
    where
        Self: Sized;

    /// The shape of this value, where it knows more than its type.
    fn describe(&self) -> NodeRef;

    /// Follows the next step of the trail: calls a handler, or goes down to a child.
    ///
    /// # Errors
    /// The answer of the handler, a child or an argument instead of a response.
    fn call(&self, call: &mut Call<'_>) -> Result<(), Error>;
}
