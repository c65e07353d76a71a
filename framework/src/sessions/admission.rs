//! Waiting for the session's lock without a thread, in two phases: for the lock within this process, then for the one between processes.
//!
//! One deadline holds for both together. A request in the second phase has the local lock, so it alone competes with other processes; those
//! behind it in this process wait in the first.

use super::hold::{Asked, Contender, Hold};
use super::lock_table::{LockGuard, LockStatus, Waiter};
use super::{Moment, Session};
use crate::exchange::{Error, Exchange, HttpError};
use crate::lifecycle::{Admission, Admit, Wait};
use crate::server::Wakers;
use std::task::Waker;
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
        let phase = match locks.try_acquire(id, claim, now.monotonic) {
            Some(guard) if session.is_alone() => {
                session.enter(Hold::local(guard), None, now)?;
                return Ok(Admission::Go);
            }
            Some(guard) => Phase::first(session, guard, now, wakers)?,
            None => {
                let mut waiter = locks.enqueue(id, claim, wakers.waker());
                // Between the two calls it may have become free; then nobody would wake.
                match waiter.poll() {
                    Some(guard) => Phase::first(session, guard, now, wakers)?,
                    None => Phase::Local(waiter),
                }
            }
        };
        let behind = match &phase {
            Phase::Over => return Ok(Admission::Go),
            Phase::Local(waiter) => waiter.holder(),
            Phase::Shared(_) => None,
        };
        session.shared().count_wait();
        Ok(Admission::Park(Box::new(LockWait {
            phase,
            waker: wakers.waker(),
            started: now.monotonic,
            deadline: session.lock_deadline(now),
            behind,
        })))
    }
}

/// Where a request stands on its way to the lock.
enum Phase {
    /// Waits for the lock in this process.
    Local(Waiter),
    /// Has that, and waits for the one between processes.
    Shared(Box<Contender>),
    /// Has it, or has given up.
    Over,
}

impl Phase {
    /// At admission. What is parked is asked at once whether it is ready, so that one question here is enough.
    fn first(session: &Session, guard: LockGuard, now: Moment, wakers: &dyn Wakers) -> Result<Self, HttpError> {
        if session.is_alone() {
            return session.enter(Hold::local(guard), None, now).map(|()| Self::Over);
        }
        match session.answered(session.contend(guard).ask())? {
            Asked::Won(hold, record) => session.enter(hold, record, now).map(|()| Self::Over),
            Asked::Taken(mut contender) => {
                session.answered(contender.watch(wakers.waker()))?;
                Ok(Self::Shared(contender))
            }
        }
    }

    /// The local lock is there: goes on to the shared one, if there is one.
    fn second(
        session: &Session,
        guard: LockGuard,
        now: Moment,
        waker: impl FnOnce() -> Waker,
    ) -> Result<Self, HttpError> {
        if session.is_alone() {
            return session.enter(Hold::local(guard), None, now).map(|()| Self::Over);
        }
        Self::again(session, session.contend(guard), now, waker)
    }

    fn again(
        session: &Session,
        contender: Box<Contender>,
        now: Moment,
        waker: impl FnOnce() -> Waker,
    ) -> Result<Self, HttpError> {
        match session.answered(contender.ask_or_watch(waker))? {
            Asked::Won(hold, record) => session.enter(hold, record, now).map(|()| Self::Over),
            Asked::Taken(contender) => Ok(Self::Shared(contender)),
        }
    }
}

/// A request's place on the way to its session's lock.
struct LockWait {
    phase: Phase,
    waker: Waker,
    started: Instant,
    deadline: Instant,
    /// Who in this process had the lock when the wait began.
    behind: Option<LockStatus>,
}

impl LockWait {
    /// Waits above this are told to the log.
    const LONG: Duration = Duration::from_secs(1);

    fn tell_if_long(&self, session: &Session) {
        let waited = self.started.elapsed();
        session.shared().count_waited(waited);
        if waited >= Self::LONG {
            let (path, request) = (session.claim().path(), session.claim().request());
            let behind = self.behind.as_ref().map_or("another process", |behind| behind.path.as_str());
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
        let Some(session) = Session::of(exchange) else { return Ok(true) };
        let now = Moment::now();
        let waker = || self.waker.clone();
        self.phase = match std::mem::replace(&mut self.phase, Phase::Over) {
            Phase::Local(mut waiter) => match waiter.poll() {
                Some(guard) => Phase::second(session, guard, now, waker)?,
                None => Phase::Local(waiter),
            },
            Phase::Shared(contender) => Phase::again(session, contender, now, waker)?,
            Phase::Over => Phase::Over,
        };
        let is_over = matches!(self.phase, Phase::Over);
        if is_over {
            self.tell_if_long(session);
        }
        Ok(is_over)
    }

    fn deadline(&self) -> Option<Instant> {
        Some(self.deadline)
    }

    fn expired(&mut self, exchange: &mut Exchange) -> Result<(), Error> {
        let Some(session) = Session::of(exchange) else {
            return Err(Error::unexpected("the session of a waiting request is gone"));
        };
        session.shared().count_waited(self.started.elapsed());
        Err(match std::mem::replace(&mut self.phase, Phase::Over) {
            Phase::Shared(contender) => session.gave_up_elsewhere(contender.id()).into(),
            Phase::Local(waiter) => session.gave_up(waiter.holder().as_ref()).into(),
            Phase::Over => session.gave_up(None).into(),
        })
    }
}
