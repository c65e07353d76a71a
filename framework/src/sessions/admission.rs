//! Waiting for the session's lock without a thread, in two phases: for the lock within this process, then for the one between processes.
//!
//! One deadline holds for both together. A request in the second phase has the local lock, so it alone competes with other processes; those
//! behind it in this process wait in the first. A store whose answers come later lets it wait for the answer, too.

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
        let guard = locks.try_acquire(id, claim, now.monotonic);
        if session.is_alone()
            && let Some(guard) = guard
        {
            session.enter(Hold::local(guard), None, now)?;
            return Ok(Admission::Go);
        }
        let waker = wakers.waker();
        let phase = match guard {
            Some(guard) => Phase::Asking(session.contend(guard)),
            None => Phase::Local(locks.enqueue(id, claim, waker.clone())),
        };
        Ok(Admission::Park(Box::new(LockWait {
            phase,
            waker,
            started: now.monotonic,
            deadline: session.lock_deadline(now),
            behind: None,
            is_counted: false,
        })))
    }
}

/// Where a request stands on its way to the lock.
enum Phase {
    /// Waits for the lock in this process.
    Local(Waiter),
    /// Has that, and asks for the one between processes.
    Asking(Box<Contender>),
    /// Somebody in another process has it: waits for that.
    Shared(Box<Contender>),
    /// Has it, or has given up.
    Over,
}

impl Phase {
    /// The local lock is there: goes on to the shared one, if there is one.
    fn second(session: &Session, guard: LockGuard, now: Moment, waker: &Waker) -> Result<Self, HttpError> {
        if session.is_alone() {
            return session.enter(Hold::local(guard), None, now).map(|()| Self::Over);
        }
        Self::ask(session, session.contend(guard), now, waker)
    }

    fn ask(session: &Session, contender: Box<Contender>, now: Moment, waker: &Waker) -> Result<Self, HttpError> {
        match session.answered(contender.ask(waker))? {
            Asked::Won(hold, record) => session.enter(hold, record, now).map(|()| Self::Over),
            Asked::Taken(contender) => Ok(Self::Shared(contender)),
            Asked::Unanswered(contender) => Ok(Self::Asking(contender)),
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
    is_counted: bool,
}

impl LockWait {
    /// Waits above this are told to the log.
    const LONG: Duration = Duration::from_secs(1);

    /// Counts those who wait for somebody, not for the engine's answer alone.
    fn count(&mut self, session: &Session) {
        if self.is_counted || matches!(self.phase, Phase::Asking(_) | Phase::Over) {
            return;
        }
        self.is_counted = true;
        session.shared().count_wait();
        if let Phase::Local(waiter) = &self.phase {
            self.behind = waiter.holder();
        }
    }

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
        self.phase = match std::mem::replace(&mut self.phase, Phase::Over) {
            Phase::Local(mut waiter) => match waiter.poll() {
                Some(guard) => Phase::second(session, guard, now, &self.waker)?,
                None => Phase::Local(waiter),
            },
            Phase::Asking(contender) | Phase::Shared(contender) => Phase::ask(session, contender, now, &self.waker)?,
            Phase::Over => Phase::Over,
        };
        self.count(session);
        let is_over = matches!(self.phase, Phase::Over);
        if is_over && self.is_counted {
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
            Phase::Asking(contender) | Phase::Shared(contender) => session.gave_up_elsewhere(contender.id()).into(),
            Phase::Local(waiter) => session.gave_up(waiter.holder().as_ref()).into(),
            Phase::Over => session.gave_up(None).into(),
        })
    }
}
