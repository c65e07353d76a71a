//! Waiting for the session's lock without a thread.

use super::lock_table::{LockStatus, Waiter};
use super::{Moment, Session};
use crate::exchange::{Error, Exchange};
use crate::lifecycle::{Admission, Admit, Wait};
use crate::server::Wakers;
use std::time::{Duration, Instant};

/// Lets a request to its handler when it has the lock that the handler needs.
#[derive(Debug)]
pub(super) struct LockAdmission;

impl Admit for LockAdmission {
    fn admit(&self, exchange: &mut Exchange, wakers: &dyn Wakers) -> Result<Admission, Error> {
        let Some(session) = Session::of(exchange) else { return Ok(Admission::Go) };
        let Some(id) = session.lock_for_handler(&exchange.trail) else { return Ok(Admission::Go) };
        let (locks, claim) = (&session.shared().locks, session.claim());
        let now = Moment::now();
        if let Some(guard) = locks.try_acquire(id, claim, now.monotonic) {
            session.enter(guard, now)?;
            return Ok(Admission::Go);
        }
        let mut waiter = locks.enqueue(id, claim, wakers.waker());
        // Between the two calls it may have become free; then nobody would wake.
        if let Some(guard) = waiter.poll() {
            session.enter(guard, now)?;
            return Ok(Admission::Go);
        }
        session.shared().count_wait();
        let behind = waiter.holder();
        Ok(Admission::Park(Box::new(LockWait {
            waiter,
            started: now.monotonic,
            deadline: session.lock_deadline(now),
            behind,
        })))
    }
}

/// A request's place in the queue for its session's lock.
struct LockWait {
    waiter: Waiter,
    started: Instant,
    deadline: Instant,
    /// Who had the lock when the wait began.
    behind: Option<LockStatus>,
}

impl LockWait {
    /// Waits above this are told to the log.
    const LONG: Duration = Duration::from_secs(1);

    fn tell_if_long(&self, session: &Session) {
        let waited = self.started.elapsed();
        if waited >= Self::LONG {
            let (path, request) = (session.claim().path(), session.claim().request());
            let behind = self.behind.as_ref().map_or("", |behind| behind.path.as_str());
            log::warn!(
                target: "kirsch::sessions",
                "{path} (request {request}) waited {waited:.1?} for its session, at first behind {behind}; \
                 a handler that only reads does not wait if it takes SessionView"
            );
        }
    }
}

impl Wait for LockWait {
    fn ready(&mut self, exchange: &mut Exchange) -> Result<bool, Error> {
        let Some(guard) = self.waiter.poll() else { return Ok(false) };
        if let Some(session) = Session::of(exchange) {
            self.tell_if_long(session);
            session.enter(guard, Moment::now())?;
        }
        Ok(true)
    }

    fn deadline(&self) -> Option<Instant> {
        Some(self.deadline)
    }

    fn expired(&mut self, exchange: &mut Exchange) -> Result<(), Error> {
        let holder = self.waiter.holder();
        match Session::of(exchange) {
            Some(session) => Err(session.gave_up(holder.as_ref()).into()),
            None => Err(Error::unexpected("the session of a waiting request is gone")),
        }
    }
}
