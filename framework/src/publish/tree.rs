//! A tree built by hand, from values and closures.

/// A node built at run time: pages from closures, children from values.
#[derive(Debug, Default)]
pub struct Tree {}
