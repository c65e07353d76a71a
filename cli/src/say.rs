//! What people read. A reader that has gone stops nothing: `kirsch dev 2>&1 | head` serves on, and no pipe panics.

use std::fmt::Display;
use std::io::{ErrorKind, IsTerminal, Write, stderr, stdout};

/// A line beside the work.
pub(crate) fn note(line: impl Display) {
    let _ = writeln!(stderr(), "{line}");
}

/// Whether what is beside the work may have colours: at a terminal, unless its user has set `NO_COLOR`.
pub(crate) fn has_colours() -> bool {
    stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

/// The answer to a command. A reader that has seen enough, as `head` has, is no failure; a full disk is one.
pub(crate) fn answer(text: &str) -> Result<(), String> {
    let mut output = stdout();
    match output.write_all(text.as_bytes()).and_then(|()| output.flush()) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        written => written.map_err(|error| format!("the standard output cannot be written: {error}")),
    }
}
