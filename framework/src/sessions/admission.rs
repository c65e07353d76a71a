//! Waiting for the session's lock without a thread, in two phases: for the lock within this process, then for the one between processes.
//!
//! One deadline holds for both together. A request in the second phase has the local lock, so it alone competes with other processes; those
//! behind it in this process wait in the first. A store whose answers come later lets it wait for the answer, too. One whose calls block is asked on the worker,
//! and there may be only so many such calls at a time: a request that would be one too many waits in line for its place, in the same way.

use super::hold::{Asked, Contender, Hold};
use super::lock_table::{LockGuard, Waiter};
use super::session::Wanted;
use super::{Answer, Answers, Moment, Record, Session, SessionId, StoreError};
use crate::exchange::Wakers;
use crate::exchange::{Error, Exchange, HttpError, InLine, WaitsFor};
use crate::lifecycle::{Admission, Admit, Wait};
use std::borrow::Cow;
use std::task::Waker;
use std::time::Instant;

/// Lets a request to its handler when it has the lock that the handler needs.
#[derive(Debug)]
pub(super) struct LockAdmission {
    /// Before the body.
    pub(super) is_early: bool,
}

impl Admit for LockAdmission {
    fn admit(&self, exchange: &mut Exchange, wakers: &dyn Wakers) -> Result<Admission, Error> {
        let Some(session) = Session::of(exchange) else { return Ok(Admission::Go) };
        let phase = match session.wanted(&exchange.trail, self.is_early, exchange.has_waited()) {
            Wanted::Nothing => return Ok(Admission::Go),
            Wanted::Look => Phase::Look,
            Wanted::Lock if session.shared().answers != Answers::AtOnce || !session.is_alone() => Phase::Start,
            Wanted::Lock => {
                // Nothing but another request can make it wait.
                let now = Moment::now();
                let Some(id) = session.lock_id(now)? else { return Ok(Admission::Go) };
                match session.shared().locks.try_acquire(id, session.claim(), now.monotonic) {
                    Some(guard) => {
                        session.enter(Hold::local(guard), None, now)?;
                        return Ok(Admission::Go);
                    }
                    None => Phase::Local(session.shared().locks.enqueue(id, session.claim(), wakers.waker())),
                }
            }
        };
        let at_most = session.lock_timeout();
        let mut wait = LockWait { phase, line: InLine::default(), started: Instant::now(), is_counted: false };
        let is_over = wait.go_on(session, wakers)?;
        Ok(if is_over { Admission::Go } else { Admission::park(wait, at_most) })
    }
}

/// Where a request stands on its way to the lock.
enum Phase {
    /// Wants the lock, and has done nothing yet.
    Start,
    /// Wants to see the record without a lock, and has done nothing yet.
    Look,
    /// Waits for the lock in this process.
    Local(Waiter),
    /// Has that.
    Locked(LockGuard),
    /// Has that, and asks for the one between processes.
    Asking(Box<Contender>),
    /// Somebody in another process has it: waits for that.
    Shared(Box<Contender>),
    /// Has what it needs of locks, and waits for the record.
    Loading(Option<Hold>, SessionId, Answer<Option<Record>>),
    /// Has it, or has given up.
    Over,
}

impl Phase {
    /// One step further, if it can be made now.
    fn go_on(self, session: &Session, now: Moment, waker: &Waker) -> Result<Self, HttpError> {
        match self {
            Self::Start => {
                let Some(id) = session.lock_id(now)? else { return Ok(Self::Over) };
                let locks = &session.shared().locks;
                match locks.try_acquire(id, session.claim(), now.monotonic) {
                    Some(guard) => Self::Locked(guard).go_on(session, now, waker),
                    None => Ok(Self::Local(locks.enqueue(id, session.claim(), waker.clone()))),
                }
            }
            Self::Look => match session.look_later(now) {
                Some((id, record)) => Self::Loading(None, id, record).go_on(session, now, waker),
                None => session.look().map(|()| Self::Over),
            },
            Self::Local(waiter) => Ok(Self::Local(waiter)),
            Self::Locked(guard) if !session.is_alone() => Self::ask(session, session.contend(guard), now, waker),
            Self::Locked(guard) => {
                let (id, hold) = (*guard.id(), Hold::local(guard));
                Self::Loading(Some(hold), id, session.shared().store.load(&id, now)).go_on(session, now, waker)
            }
            Self::Asking(contender) | Self::Shared(contender) => Self::ask(session, contender, now, waker),
            Self::Loading(hold, id, record) => {
                let record = match record.hear(waker) {
                    Ok(record) => session.answered(record)?,
                    Err(unheard) => return Ok(Self::Loading(hold, id, unheard)),
                };
                match hold {
                    Some(hold) => session.enter(hold, Some(record), now)?,
                    None => session.looked(id, record, now)?,
                }
                Ok(Self::Over)
            }
            Self::Over => Ok(Self::Over),
        }
    }

    fn ask(session: &Session, contender: Box<Contender>, now: Moment, waker: &Waker) -> Result<Self, HttpError> {
        match session.answered(contender.ask(waker))? {
            Asked::Won(hold, record) => session.enter(hold, record, now).map(|()| Self::Over),
            Asked::Taken(contender) => {
                session.note_wait_elsewhere();
                Ok(Self::Shared(contender))
            }
            Asked::Unanswered(contender) => Ok(Self::Asking(contender)),
        }
    }
}

/// A request's place on the way to its session's lock.
struct LockWait {
    phase: Phase,
    /// For calls of a store that blocks.
    line: InLine,
    started: Instant,
    is_counted: bool,
}

impl LockWait {
    /// As far as it goes now. Whether it is over.
    fn go_on(&mut self, session: &Session, wakers: &dyn Wakers) -> Result<bool, HttpError> {
        loop {
            let mut phase = std::mem::replace(&mut self.phase, Phase::Over);
            if let Phase::Local(waiter) = &mut phase {
                match waiter.poll() {
                    Some(guard) => phase = Phase::Locked(guard),
                    None => {
                        self.phase = phase;
                        return Ok(false);
                    }
                }
            }
            self.phase = phase;
            let _blocking = match session.needs_place() {
                true => match self.line.begin(WaitsFor::Store, || wakers.waker())? {
                    Some(blocking) => Some(blocking),
                    None => return Ok(false),
                },
                false => None,
            };
            let phase = std::mem::replace(&mut self.phase, Phase::Over);
            self.phase = phase.go_on(session, Moment::now(), &wakers.waker())?;
            if !matches!(self.phase, Phase::Local(_)) {
                return Ok(matches!(self.phase, Phase::Over));
            }
        }
    }

    /// Counts those who wait for somebody, not for the engine's answer alone.
    fn count(&mut self, session: &Session) {
        if self.is_counted || !matches!(self.phase, Phase::Local(_) | Phase::Shared(_)) {
            return;
        }
        self.is_counted = true;
        session.shared().count_wait();
    }
}

impl Wait for LockWait {
    fn ready(&mut self, exchange: &mut Exchange, wakers: &dyn Wakers) -> Result<bool, Error> {
        let Some(session) = Session::of(exchange) else { return Ok(true) };
        let is_over = self.go_on(session, wakers)?;
        self.count(session);
        if is_over && self.is_counted {
            session.shared().count_waited(self.started.elapsed());
        }
        Ok(is_over)
    }

    fn waits_for(&self) -> Cow<'static, str> {
        if let Some(place) = self.line.waits_for() {
            return place;
        }
        match &self.phase {
            Phase::Local(waiter) => waiter.waits_for().into(),
            Phase::Shared(contender) => format!(
                "the lock of session {}, held in another process; its `Sessions::locks` says by whom",
                contender.id()
            )
            .into(),
            _ => Cow::Borrowed("the store of sessions"),
        }
    }

    fn expired(&mut self, exchange: &mut Exchange) -> Result<(), Error> {
        let Some(session) = Session::of(exchange) else {
            return Err(Error::unexpected("the session of a waiting request is gone"));
        };
        if self.is_counted {
            session.shared().count_waited(self.started.elapsed());
        }
        if let Some(refusal) = self.line.refusal() {
            return Err(refusal.into());
        }
        Err(match std::mem::replace(&mut self.phase, Phase::Over) {
            Phase::Loading(..) => session
                .store_failed(&StoreError::new("the store did not answer in time", "while a session was loaded"))
                .into(),
            _ => session.gave_up().into(),
        })
    }
}
