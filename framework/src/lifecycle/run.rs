//! The stages of a request, in order.

/// A published tree with its plans: what the server calls.
#[derive(Debug)]
pub struct Application {}
