//! The command `kirsch`: begins a program, serves it while it is written, shows its routes, checks it.
//!
//! | file | what is in it |
//! |---|---|
//! | `command_line.rs` | what was typed, and the help |
//! | `new.rs` | `kirsch new`: a folder for a new program |
//! | `skeleton.rs` | the files of new programs, which are in `skeletons/` |
//! | `dev/` | `kirsch dev`: the program is served, and built again when a file changes |
//! | `ask.rs` | `kirsch routes` and `kirsch check`: the program is asked |
//! | `say.rs` | what people read |

mod ask;
mod command_line;
mod dev;
mod new;
mod say;
mod skeleton;

use command_line::CommandLine;
use std::ffi::OsString;
use std::process::ExitCode;

/// Runs the command that these arguments name; the first of them is the program.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let done = match CommandLine::read(arguments) {
        Ok(CommandLine::Show(text)) => say::answer(&text),
        Ok(CommandLine::New(what)) => new::make(&what).and_then(|made| say::answer(&made)),
        Ok(CommandLine::Dev(development)) => dev::run(development),
        Ok(CommandLine::Front) => dev::front().map_err(|error| error.to_string()),
        Ok(CommandLine::Ask(question)) => return ask::ask(&question),
        Err(problem) => {
            say::note(format_args!("kirsch: {problem}"));
            return ExitCode::from(2);
        }
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            say::note(format_args!("kirsch: {problem}"));
            ExitCode::FAILURE
        }
    }
}
