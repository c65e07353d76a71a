//! The command `kirsch`.

use std::process::ExitCode;

fn main() -> ExitCode {
    kirsch_cli::run(std::env::args_os())
}
