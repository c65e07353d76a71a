//! The one place where panics of the application's code are caught and become errors.
//!
//! It is right to go on after a panic. Values that the code could have left half-changed are either in the exchange,
//! which ends with this request, or behind the application's own locks, whose rules it must keep anyway. The worker,
//! the connection and every other request live on. (A program built with `panic = "abort"` ends instead; that is its
//! choice.)

use crate::exchange::{Error, backtrace};
use std::backtrace::Backtrace;
use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, PanicHookInfo, catch_unwind};
use std::sync::Once;

/// Runs a piece of the application's code; a panic is returned as an unexpected error that tells message and place.
pub(crate) fn guarded<T>(run: impl FnOnce() -> Result<T, Error>) -> Result<T, Error> {
    // AssertUnwindSafe: see the top of the file.
    match catch_unwind(AssertUnwindSafe(run)) {
        Ok(result) => result,
        Err(payload) => {
            let message = payload.downcast_ref::<&str>().map(|text| (*text).to_owned());
            let message = message.or_else(|| payload.downcast_ref::<String>().cloned());
            let (place, backtrace) = LAST_PANIC.with(RefCell::take).unzip();
            let message = message.unwrap_or_else(|| "a value that is not text".to_owned());
            Err(Panicked { message, place: place.flatten(), backtrace: backtrace.flatten() }.into())
        }
    }
}

/// Lets panics be logged with their place, which only a panic hook is told. The hook that was there before is called as
/// before, so that a program's own reporting goes on, the backtrace that `RUST_BACKTRACE` asks for included.
pub(crate) fn watch_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let previous = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            remember(panic);
            previous(panic);
        }));
    });
}

/// A panic that was caught.
#[derive(Debug)]
pub(crate) struct Panicked {
    pub(crate) message: String,
    /// As `file:line:column`.
    pub(crate) place: Option<String>,
    pub(crate) backtrace: Option<Backtrace>,
}

impl std::fmt::Display for Panicked {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "panicked: {}", self.message)?;
        match &self.place {
            Some(place) => write!(f, ", at {place}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Panicked {}

type PlaceAndBacktrace = (Option<String>, Option<Backtrace>);

thread_local! {
    /// Where the last panic of this thread came from, until it is caught.
    static LAST_PANIC: RefCell<Option<PlaceAndBacktrace>> = const { RefCell::new(None) };
}

fn remember(panic: &PanicHookInfo<'_>) {
    let place = panic.location().map(ToString::to_string);
    let backtrace = backtrace();
    // The thread may be ending, with its locals gone; then no one reads the place.
    let _ = LAST_PANIC.try_with(|last| last.replace(Some((place, backtrace))));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_becomes_an_error_with_message_and_place() {
        watch_panics();
        let error = guarded::<()>(|| panic!("no {}", "luck")).unwrap_err().to_string();
        assert!(error.starts_with("panicked: no luck, at framework/src/panics.rs:"), "{error}");
    }

    #[test]
    fn a_panic_with_any_payload_is_caught() {
        let error = guarded::<()>(|| std::panic::panic_any(7)).unwrap_err().to_string();
        assert!(error.starts_with("panicked: a value that is not text"), "{error}");
    }
}
