//! Waiting for the session's lock without a thread, in two phases: for the lock within this process, then for the one between processes.
//!
//! One deadline holds for both together. A request in the second phase has the local lock, so it alone competes with other processes; those
//! behind it in this process wait in the first. A store whose answers come later lets it wait for the answer, too.

use super::hold::{Asked, Contender, Hold};
use super::lock_table::{LockGuard, LockStatus, Waiter};
use super::{Moment, Record, Session, SessionId, StoreError, StoreFuture};
use crate::exchange::{Error, Exchange, HttpError};
use crate::lifecycle::{Admission, Admit, Wait};
use crate::server::Wakers;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

/// Lets a request to its handler when it has the lock that the handler needs.
#[derive(Debug)]
pub(super) struct LockAdmission;

impl Admit for LockAdmission {
    fn admit(&self, exchange: &mut Exchange, wakers: &dyn Wakers) -> Result<Admission, Error> {
        let Some(session) = Session::of(exchange) else { return Ok(Admission::Go) };
        let now = Moment::now();
        let phase = match session.lock_for_handler(&exchange.trail) {
            Some(id) => match session.shared().locks.try_acquire(id, session.claim(), now.monotonic) {
                Some(guard) => Phase::held(session, guard, now)?,
                None => Phase::Local(session.shared().locks.enqueue(id, session.claim(), wakers.waker())),
            },
            None => match session.view_for_handler(&exchange.trail, now) {
                Some((id, record)) => Phase::Loading(None, id, record),
                None => Phase::Over,
            },
        };
        if let Phase::Over = phase {
            return Ok(Admission::Go);
        }
        Ok(Admission::Park(Box::new(LockWait {
            phase,
            waker: wakers.waker(),
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
    /// Has what it needs of locks, and waits for the record.
    Loading(Option<Hold>, SessionId, StoreFuture<Option<Record>>),
    /// Has it, or has given up.
    Over,
}

impl Phase {
    /// The local lock is there: goes on to the shared one, if there is one.
    fn held(session: &Session, guard: LockGuard, now: Moment) -> Result<Self, HttpError> {
        if !session.is_alone() {
            return Ok(Self::Asking(session.contend(guard)));
        }
        let (id, hold) = (*guard.id(), Hold::local(guard));
        match session.shared().store.later() {
            Some(store) => Ok(Self::Loading(Some(hold), id, store.load_later(&id, now))),
            None => session.enter(hold, None, now).map(|()| Self::Over),
        }
    }

    /// As far as it goes now.
    fn go_on(self, session: &Session, now: Moment, waker: &Waker) -> Result<Self, HttpError> {
        match self {
            Self::Local(mut waiter) => match waiter.poll() {
                Some(guard) => Self::held(session, guard, now)?.go_on(session, now, waker),
                None => Ok(Self::Local(waiter)),
            },
            Self::Asking(contender) | Self::Shared(contender) => Self::ask(session, contender, now, waker),
            Self::Loading(hold, id, mut record) => match record.as_mut().poll(&mut Context::from_waker(waker)) {
                Poll::Pending => Ok(Self::Loading(hold, id, record)),
                Poll::Ready(record) => {
                    let record = session.answered(record)?;
                    match hold {
                        Some(hold) => session.enter(hold, Some(record), now)?,
                        None => session.looked(id, record, now)?,
                    }
                    Ok(Self::Over)
                }
            },
            Self::Over => Ok(Self::Over),
        }
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
        if self.is_counted || !matches!(self.phase, Phase::Local(_) | Phase::Shared(_)) {
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
            crate::line::record!(Warn,
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
        self.phase = std::mem::replace(&mut self.phase, Phase::Over).go_on(session, now, &self.waker)?;
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
        if self.is_counted {
            session.shared().count_waited(self.started.elapsed());
        }
        Err(match std::mem::replace(&mut self.phase, Phase::Over) {
            Phase::Asking(contender) | Phase::Shared(contender) => session.gave_up_elsewhere(contender.id()).into(),
            Phase::Local(waiter) => session.gave_up(waiter.holder().as_ref()).into(),
            Phase::Loading(..) => session
                .store_failed(&StoreError::new("the store did not answer in time", "`AnswersLater::load_later`"))
                .into(),
            Phase::Over => session.gave_up(None).into(),
        })
    }
}
