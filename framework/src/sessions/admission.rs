//! Waiting for a session's lock, or for a look at its record, without a thread: the way there is
//! `session/acquiring.rs`.

use super::Session;
use super::session::Acquiring;
use crate::exchange::{Error, Exchange, Wakers};
use crate::lifecycle::{Admission, Admit, Wait};
use std::borrow::Cow;
use std::task::Poll;

/// Lets a request to its handler when it has of its session what the handler needs.
#[derive(Debug)]
pub(super) struct LockAdmission {
    /// Before the body.
    pub(super) is_early: bool,
}

impl Admit for LockAdmission {
    fn admit(&self, exchange: &mut Exchange, wakers: &dyn Wakers) -> Result<Admission, Error> {
        let Some(session) = Session::of(exchange) else { return Ok(Admission::Go) };
        let acquiring = session.acquiring(&exchange.trail, self.is_early, exchange.has_waited());
        let Some(mut acquiring) = acquiring else { return Ok(Admission::Go) };
        match acquiring.poll(session, &|| wakers.waker()) {
            Poll::Ready(acquired) => Ok(acquired.map(|()| Admission::Go)?),
            Poll::Pending => Ok(Admission::park(acquiring, session.lock_timeout())),
        }
    }
}

impl Wait for Acquiring {
    fn ready(&mut self, exchange: &mut Exchange, wakers: &dyn Wakers) -> Result<bool, Error> {
        let Some(session) = Session::of(exchange) else { return Ok(true) };
        match self.poll(session, &|| wakers.waker()) {
            Poll::Ready(acquired) => Ok(acquired.map(|()| true)?),
            Poll::Pending => Ok(false),
        }
    }

    fn waits_for(&self) -> Cow<'static, str> {
        Acquiring::waits_for(self)
    }

    fn expired(&mut self, exchange: &mut Exchange) -> Result<(), Error> {
        match Session::of(exchange) {
            Some(session) => Err(Acquiring::expired(self, session).into()),
            None => Err(Error::unexpected("the session of a waiting request is gone")),
        }
    }
}
