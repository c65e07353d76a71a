//! `kirsch routes` and `kirsch check`: the program is built, and asked in place of being served.
//!
//! It is started by `cargo run` with the variable `KIRSCH_COMMAND`, which its `App::serve` obeys. A program that does
//! not come there runs as always; so it is told what is expected.

use crate::command_line::Question;
use crate::say;
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode};

/// Lets cargo build and start the program in place of this one. Only a failure comes back.
pub(crate) fn ask(question: &Question) -> ExitCode {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(["run", "--quiet"]).args(&question.package.0).arg("--").args(&question.arguments);
    let failed = command.env("KIRSCH_COMMAND", question.name).exec();
    say::note(format_args!("kirsch: cargo cannot be started: {failed}"));
    ExitCode::FAILURE
}
