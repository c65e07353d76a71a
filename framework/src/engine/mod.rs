//! Start, stop, signals, background jobs: the application as a program.

/// An application: a tree, its tools and its settings.
#[derive(Debug)]
pub struct App {}
