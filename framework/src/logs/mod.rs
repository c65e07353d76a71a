//! The access record and the error log, both through the `log` facade; and [`Logs`], a logger that makes no request
//! wait.
//!
//! * `kirsch::access`, level info: one record for each response, in Combined Log Format with duration and request
//!   number.
//! * `kirsch::error`, level error: failures of the program, each with the request's number. A client's mistake is never
//!   one of them; it is told at level debug.
//!
//! | file | what is in it |
//! |---|---|
//! | `access.rs` | the access record |
//! | `install.rs` | [`Logs`]: its settings, and the one logger of the process |
//! | `queue.rs`, `writer.rs` | the queue of lines, and the thread that writes them |
//! | `form.rs`, `levels.rs`, `clock.rs` | a record as a line; which records are wanted; the time of day |
//! | `place.rs`, `log_file.rs` | where lines go; a file and its rotation |
//!
//! Text of a client or an application is escaped, so that it cannot forge a record (CWE-117): see [`Line`].

mod access;
#[cfg(test)]
pub(crate) mod capture;
mod clock;
mod form;
mod install;
mod levels;
mod log_file;
mod place;
mod queue;
mod writer;

pub use crate::line::Line;
pub(crate) use crate::line::Lines;
use crate::line::record;
#[cfg(any(debug_assertions, feature = "dev"))]
pub(crate) use access::Unrecorded;
pub(crate) use access::access;
pub(crate) use clock::Timestamp;
pub(crate) use install::{HeldLogs, of_log, probe};
pub use install::{InstalledLogs, LogStatistics, Logs, reopen, statistics};

use crate::exchange::{Error, ErrorKind, Exchange, HttpError};
use crate::panics::guarded;
use std::fmt::Write;

/// The target of access records.
pub const ACCESS: &str = "kirsch::access";

/// The target of failures.
pub const ERROR: &str = "kirsch::error";

/// The target of what the log says about itself.
const LOGS: &str = "kirsch::logs";

/// Logs a failure of the program while it answered a request.
pub(crate) fn error(exchange: &Exchange, message: &str) {
    let request = &exchange.request;
    let id = request.id();
    record!(Error, target: ERROR, [request = id, trace = request.trace_id()], "request {id}: {} {:?} {message}", request.method(), request.path());
}

/// Logs a failure that no longer changes the answer.
pub(crate) fn error_in(exchange: &Exchange, place: &str, failure: &Error) {
    if matches!(failure.kind(), ErrorKind::Unexpected(_)) {
        error(exchange, &format!("also failed, in {place}: {}", causes(failure)));
    } else {
        let id = exchange.request.id();
        record!(Warn, target: ERROR, [request = id], "request {id}: {place} wanted another answer, too late: {failure}");
    }
}

/// Tells that the client gets an error page.
pub(crate) fn answered_with_error(exchange: &Exchange, error: &HttpError) {
    let (id, HttpError { status, message, .. }) = (exchange.request.id(), error);
    match &error.remedy {
        Some(remedy) => record!(Info, target: ERROR, [request = id], "request {id}: {status} {message:?}; {remedy}"),
        None => record!(Debug, target: ERROR, [request = id], "request {id}: {status} {message:?}"),
    }
}

/// The error with its place and all its causes, in one text.
pub(crate) fn causes(error: &Error) -> String {
    let mut chain = chain(error).into_iter();
    let mut text = chain.next().unwrap_or_default();
    if let Some(place) = error.place() {
        let _ = write!(text, ", at {place}");
    }
    for cause in chain {
        let _ = write!(text, "; caused by: {cause}");
    }
    text
}

/// The error and its causes, from the outside in. How they tell themselves is the application's code.
pub(crate) fn chain(error: &Error) -> Vec<String> {
    let told = guarded(|| {
        let mut chain = vec![error.to_string()];
        if let ErrorKind::Unexpected(error) = error.kind() {
            let mut cause = error.source();
            while let Some(error) = cause {
                chain.push(error.to_string());
                cause = error.source();
            }
        }
        Ok(chain)
    });
    told.unwrap_or_else(|failure| vec![format!("an error that cannot be told: {failure}")])
}
