//! The net below everything: panics of the service and of the server itself. Panics of the application are caught long
//! before.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Makes a call; `None` when it panicked, after `tell` was given the message.
///
/// Values that the call has left half-changed are not used again: its caller ends the request, or the connection.
pub(super) fn guarded<T>(tell: impl FnOnce(&str), call: impl FnOnce() -> T) -> Option<T> {
    catch_unwind(AssertUnwindSafe(call))
        .map_err(|payload| {
            tell(text_of(&*payload));
            // Its drop could panic in its turn.
            std::mem::forget(payload);
        })
        .ok()
}

fn text_of(payload: &(dyn Any + Send)) -> &str {
    payload
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| payload.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("(no message)")
}
