//! The walk from a path to a handler. The traversal table in the guide is its test.

use super::Node;
use crate::exchange::{MethodSet, Request, Trail};

/// Where a path leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resolution {
    /// To a handler, or into a node that is resolved late; the trail is complete.
    Found,
    /// Nowhere: 404.
    NotFound,
    /// To a place that answers other methods: 405 with `Allow`, or the answer to OPTIONS.
    WrongMethod(MethodSet),
}

/// Finds the handler for the path segments of `request` from segment `first` on, starting at `root`; appends the steps to `trail`.
pub fn resolve(root: &Node, request: &Request, first: usize, trail: &mut Trail) -> Resolution {
    let _ = (root, request, first, trail);
    todo!()
}
