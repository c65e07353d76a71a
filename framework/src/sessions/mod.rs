//! Sessions: the session itself, the table of locks, the stores.

/// The session of this request, locked.
#[derive(Debug)]
pub struct Session {}

/// A snapshot of the session that never waits and cannot be written.
#[derive(Debug)]
pub struct SessionView {}

/// The sessions tool.
#[derive(Debug)]
pub struct Sessions {}
