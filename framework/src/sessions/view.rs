//! The snapshot: reading the session without its lock.

use super::Data;
use super::session::{Session, from_value, tool_is_off};
use crate::exchange::{Argument, ArgumentInfo, Arguments, Error, Exchange, HttpError};
use serde::de::DeserializeOwned;

/// A snapshot of the session: it does not wait, in any lock mode, and cannot be written.
///
/// Take it in handlers that only read: progress polls, dashboards, most Ajax calls. They run beside each other and
/// beside a request that has the session locked, and see the session as it was saved last.
///
/// ```no_run
/// # use kirsch::prelude::*;
/// fn progress(session: SessionView) -> String {
///     format!("{} %", session.get::<u8>("progress").unwrap_or(0))
/// }
/// ```
///
/// ```compile_fail
/// # use kirsch::prelude::*;
/// fn progress(session: SessionView) {
///     session.set("progress", 1);
/// }
/// ```
#[derive(Clone, Debug)]
pub struct SessionView {
    data: Data,
}

impl SessionView {
    pub(super) fn new(data: Data) -> Self {
        Self { data }
    }

    /// The snapshot of the request's session, `None` where the tool [`Sessions`](super::Sessions) is off. For hooks and
    /// other code with the exchange; the request's lock is neither waited for nor taken.
    ///
    /// # Errors
    /// 503 when the store cannot be reached.
    pub fn of(exchange: &Exchange) -> Result<Option<Self>, Error> {
        Ok(Session::of(exchange).map(Session::view).transpose()?)
    }

    /// The value of that name, if it is there and is a `T`.
    #[must_use]
    pub fn get<T: DeserializeOwned>(&self, key: &str) -> Option<T> {
        from_value(key, self.data.get(key)?)
    }

    /// Whether there is a value of that name.
    #[must_use]
    pub fn contains(&self, key: &str) -> bool {
        self.data.get(key).is_some()
    }

    /// The names, in the order in which they came.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.data.iter().map(|(key, _)| key)
    }

    /// All of it.
    #[must_use]
    pub fn data(&self) -> &Data {
        &self.data
    }
}

impl<'a> Argument<'a> for SessionView {
    const INFO: ArgumentInfo = ArgumentInfo { requires: Some("sessions"), views_session: true, ..ArgumentInfo::TYPED };

    fn take(_name: &'static str, arguments: &mut Arguments<'a>) -> Result<Self, HttpError> {
        arguments.values.get::<Session>().ok_or_else(tool_is_off)?.view().map_err(|failure| *failure)
    }
}
