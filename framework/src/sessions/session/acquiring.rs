//! The way of a request to its session: to the lock, or only to a look at the record.
//!
//! ```text
//! Start ──► Choosing ──► Local ──► Locked ──► Asking ⇄ Shared ──► Loading ──► Extending ──► Over
//! ```
//!
//! A request goes the same way whether it is parked or waits on its worker, and whether the store answers now or later.
//! It leaves out the steps that it does not need. The lock in this process comes first, so one request of each process
//! competes for the lock between processes. A store whose calls block is asked on the worker. The number of such calls
//! at a time is limited: beyond it, a parked request waits in line for its place.

use super::Session;
use super::failures::{Failure, changed_elsewhere, try_again};
use super::state::{Known, Lock};
use crate::exchange::{Blocking, Class, InLine, WaitsFor};
use crate::primitive::block_on;
use crate::sessions::hold::{Asked, Contender, Hold};
use crate::sessions::lock_table::{LockGuard, Waiter};
use crate::sessions::{Answer, Answers, Moment, Record, SessionId, StoreError, Terms};
use std::borrow::Cow;
use std::future::poll_fn;
use std::task::{Poll, Waker};
use std::time::Instant;

/// A request on its way to its session.
pub(in crate::sessions) struct Acquiring {
    goal: Goal,
    manner: Manner,
    phase: Phase,
    /// For calls of a store that blocks.
    line: InLine,
    /// When a parked request began to wait for another one.
    since: Option<Instant>,
}

/// The aim of the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Goal {
    Lock,
    /// To see the values of the session, without its lock.
    Look,
}

/// How the request waits.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Manner {
    Parked,
    /// It holds a worker, so it comes before those that are parked.
    OnWorker,
}

/// The place of a request on its way.
enum Phase {
    /// The request has done nothing yet.
    Start,
    /// Asks which of several ids has a record.
    Choosing(Box<(SessionId, Answer<Option<Record>>)>),
    /// Waits for the lock in this process.
    Local(Waiter),
    /// Has the lock in this process.
    Locked(LockGuard),
    /// Has the lock in this process, and asks for the one between processes.
    Asking(Box<Contender>),
    /// Waits for the lock between processes, which another process has.
    Shared(Box<Contender>),
    /// Has the locks that it needs, and waits for the record.
    Loading(Box<(Option<Hold>, SessionId, Answer<Option<Record>>)>),
    /// Has the record, and extends its life, which must not end during the request.
    Extending(Box<Extending>),
    Over,
}

/// A record, the hold that it was loaded under, and the extension of its life.
type Extending = (Option<Hold>, SessionId, Record, Terms, Answer<()>);

impl Acquiring {
    pub(super) fn new(goal: Goal, manner: Manner) -> Self {
        Self { goal, manner, phase: Phase::Start, line: InLine::default(), since: None }
    }

    /// Goes on as far as possible. The waker is woken when polling again is worth it.
    pub(in crate::sessions) fn poll(
        &mut self,
        session: &Session,
        waker: &dyn Fn() -> Waker,
    ) -> Poll<Result<(), Failure>> {
        match self.go_on(session, waker) {
            Ok(true) => {
                self.count_waited(session);
                Poll::Ready(Ok(()))
            }
            Ok(false) => {
                let waits_for_others = matches!(self.phase, Phase::Local(_) | Phase::Shared(_));
                if self.since.is_none() && self.manner == Manner::Parked && waits_for_others {
                    self.since = Some(Instant::now());
                    session.shared.counters.count_wait();
                }
                Poll::Pending
            }
            Err(failure) => Poll::Ready(Err(failure)),
        }
    }

    /// Whether the request has arrived.
    fn go_on(&mut self, session: &Session, waker: &dyn Fn() -> Waker) -> Result<bool, Failure> {
        loop {
            if let Phase::Local(waiter) = &mut self.phase {
                match waiter.poll() {
                    Poll::Ready(Some(guard)) => self.phase = Phase::Locked(guard),
                    Poll::Ready(None) | Poll::Pending => return Ok(false),
                }
            }
            let _blocking = match (session.shared.answers, self.manner) {
                (Answers::Blocking, Manner::Parked) => match self.line.begin(WaitsFor::Store, waker)? {
                    Some(blocking) => Some(blocking),
                    None => return Ok(false),
                },
                (Answers::Blocking, Manner::OnWorker) => Some(Blocking::here(WaitsFor::Store)?),
                (Answers::AtOnce | Answers::Later, _) => None,
            };
            let step = Step { session, goal: self.goal, manner: self.manner, waker, now: Moment::now() };
            self.phase = step.go_on(std::mem::replace(&mut self.phase, Phase::Over))?;
            if !matches!(self.phase, Phase::Local(_)) {
                return Ok(matches!(self.phase, Phase::Over));
            }
        }
    }

    /// The aim of the wait, in words for the log.
    pub(in crate::sessions) fn waits_for(&self) -> Cow<'static, str> {
        if let Some(place) = self.line.waits_for() {
            return place;
        }
        match &self.phase {
            Phase::Local(waiter) => format!("the lock of session {}, {}", waiter.key(), waiter.behind()).into(),
            Phase::Shared(contender) => format!(
                "the lock of session {}, held in another process; its `Sessions::locks` says by whom",
                contender.id()
            )
            .into(),
            _ => Cow::Borrowed("the store of sessions"),
        }
    }

    /// The answer to a request that has waited too long.
    pub(in crate::sessions) fn expired(&mut self, session: &Session) -> Failure {
        self.count_waited(session);
        if let Some(refusal) = self.line.refusal() {
            return refusal.into();
        }
        if self.manner == Manner::OnWorker {
            let (path, request, limit) = (session.claim.path(), session.claim.request(), session.settings.lock_timeout);
            let what = self.waits_for();
            crate::line::record!(Warn, target: "kirsch::sessions", "{path} (request {request}) gave up after {limit:?}: it waited for {what}");
        }
        match std::mem::replace(&mut self.phase, Phase::Over) {
            Phase::Choosing(..) | Phase::Loading(..) | Phase::Extending(..) => {
                session.store_failed(&StoreError::new("the store did not answer in time", "while a session was loaded"))
            }
            _ => {
                session.shared.counters.count_lock_timeout();
                try_again("Another request of your session takes too long. Please try again.")
            }
        }
    }

    /// The side that the request waits for now.
    fn waits_for_whom(&self) -> WaitsFor {
        match &self.phase {
            Phase::Local(_) | Phase::Asking(_) | Phase::Shared(_) => WaitsFor::Others,
            _ => WaitsFor::Store,
        }
    }

    fn count_waited(&self, session: &Session) {
        if let Some(since) = self.since {
            session.shared.counters.count_waited(since.elapsed());
        }
    }
}

/// One step of a request, at this moment.
struct Step<'s> {
    session: &'s Session,
    goal: Goal,
    manner: Manner,
    waker: &'s dyn Fn() -> Waker,
    now: Moment,
}

impl Step<'_> {
    /// Goes as far as it can without waiting.
    fn go_on(&self, phase: Phase) -> Result<Phase, Failure> {
        match phase {
            Phase::Start => self.start(),
            Phase::Choosing(asked) => match (asked.0, self.hear(asked.1)) {
                (id, Ok(record)) => self.chosen_or_next(id, self.session.answered(record)?),
                (id, Err(unheard)) => Ok(Phase::Choosing(Box::new((id, unheard)))),
            },
            Phase::Local(waiter) => Ok(Phase::Local(waiter)),
            Phase::Locked(guard) => self.locked(guard),
            Phase::Asking(contender) | Phase::Shared(contender) => self.contend(contender),
            Phase::Loading(asked) => {
                let (hold, id, record) = *asked;
                match self.hear(record) {
                    Ok(record) => self.loaded(hold, id, self.session.answered(record)?),
                    Err(unheard) => Ok(Phase::Loading(Box::new((hold, id, unheard)))),
                }
            }
            Phase::Extending(asked) => {
                let (hold, id, mut record, terms, extended) = *asked;
                match self.hear(extended) {
                    Ok(extended) => {
                        self.session.answered(extended)?;
                        record.remaining = terms.lifetime;
                        self.arrive(hold, id, Some(record))
                    }
                    Err(unheard) => Ok(Phase::Extending(Box::new((hold, id, record, terms, unheard)))),
                }
            }
            Phase::Over => Ok(Phase::Over),
        }
    }

    /// The answer, or the question if the store has not answered yet.
    fn hear<T>(&self, answer: Answer<T>) -> Result<Result<T, StoreError>, Answer<T>> {
        match answer {
            Answer::Now(answer) => Ok(answer),
            later => later.hear(&(self.waker)()),
        }
    }

    /// A client may send several ids. The first that has a record is its session: a neighbour below the same domain may
    /// have planted the others.
    fn start(&self) -> Result<Phase, Failure> {
        let first = {
            let state = self.session.state.borrow();
            state.client.filter(|_| !state.others.is_empty() && !state.known.is_current())
        };
        match first {
            Some(id) => self.go_on(Phase::Choosing(Box::new((id, self.session.shared.store.load(&id, self.now))))),
            None => self.chosen(),
        }
    }

    fn chosen_or_next(&self, id: SessionId, record: Option<Record>) -> Result<Phase, Failure> {
        let next = {
            let state = &mut *self.session.state.borrow_mut();
            if record.is_some() {
                state.client = Some(id);
                state.others.clear();
            }
            (!state.others.is_empty()).then(|| state.others.remove(0))
        };
        match (next, record) {
            (Some(id), _) => self.go_on(Phase::Choosing(Box::new((id, self.session.shared.store.load(&id, self.now))))),
            // The record is all that a look needs.
            (None, Some(record)) if self.goal == Goal::Look => self.loaded(None, id, Some(record)),
            (None, _) => self.chosen(),
        }
    }

    fn chosen(&self) -> Result<Phase, Failure> {
        let session = self.session;
        let id = {
            let state = &mut *session.state.borrow_mut();
            match self.goal {
                Goal::Look if state.known.is_current() => None,
                Goal::Look => state.record_id(),
                Goal::Lock => {
                    let id = state.record_id();
                    if id.is_none() {
                        // No other request can know a session without a record: there is nothing to lock.
                        state.lock = Lock::Held(None);
                    }
                    id
                }
            }
        };
        let Some(id) = id else { return Ok(Phase::Over) };
        if self.goal == Goal::Look {
            return self.load(None, id);
        }
        let class = match self.manner {
            Manner::Parked => Class::Usual,
            Manner::OnWorker => Class::Urgent,
        };
        match session.shared.locks.enter(id, &session.claim, class, self.now.monotonic, || (self.waker)()) {
            Ok(guard) => self.locked(guard),
            Err(waiter) => Ok(Phase::Local(waiter)),
        }
    }

    fn locked(&self, guard: LockGuard) -> Result<Phase, Failure> {
        let session = self.session;
        let id = *guard.key();
        let guard = match session.hold_alone(guard) {
            Ok(hold) => return self.load(Some(hold), id),
            Err(guard) => guard,
        };
        self.contend(Contender::new(&session.shared, &session.claim, session.settings.lock_lease, guard))
    }

    fn contend(&self, contender: Box<Contender>) -> Result<Phase, Failure> {
        match self.session.answered(contender.ask(&(self.waker)()))? {
            Asked::Won(hold, record) => {
                let id = *hold.id();
                match record {
                    Some(record) => self.loaded(Some(hold), id, record),
                    None => self.load(Some(hold), id),
                }
            }
            Asked::Taken(contender) => {
                self.session.state.borrow_mut().has_waited_elsewhere = true;
                Ok(Phase::Shared(contender))
            }
            Asked::Unanswered(contender) => Ok(Phase::Asking(contender)),
        }
    }

    fn load(&self, hold: Option<Hold>, id: SessionId) -> Result<Phase, Failure> {
        match self.session.shared.store.load(&id, self.now) {
            Answer::Now(record) => self.loaded(hold, id, self.session.answered(record)?),
            later => self.go_on(Phase::Loading(Box::new((hold, id, later)))),
        }
    }

    /// Extends the life of a session whose life could end during the request. All others are extended at its end.
    fn loaded(&self, hold: Option<Hold>, id: SessionId, record: Option<Record>) -> Result<Phase, Failure> {
        match record {
            Some(record) if record.remaining < self.session.settings.timeout / 2 => {
                let terms = Terms { now: self.now, ..self.session.terms(false) };
                let extended = self.session.shared.store.touch(&id, &terms);
                self.go_on(Phase::Extending(Box::new((hold, id, record, terms, extended))))
            }
            record => self.arrive(hold, id, record),
        }
    }

    /// Hands the record over, with the lock if that was the goal. Without a record there is nothing to lock.
    fn arrive(&self, hold: Option<Hold>, id: SessionId, record: Option<Record>) -> Result<Phase, Failure> {
        let state = &mut *self.session.state.borrow_mut();
        self.session.take(state, id, record, self.now);
        if self.goal == Goal::Lock {
            state.lock = Lock::Held(hold.filter(|_| state.known.stored().is_some()));
            state.is_read_unlocked = false;
        }
        Ok(Phase::Over)
    }
}

/// On the worker.
impl Session {
    /// Makes the session ready for a handler that takes it. The admission has taken the lock, unless the handler's
    /// signature was not known at start.
    pub(super) fn prepare(&self) -> Result<(), Failure> {
        self.is_used.set(true);
        let wants_lock = matches!(self.state.borrow().lock, Lock::Wanted);
        if wants_lock { self.lock_now() } else { self.look() }?;
        self.is_still_there()
    }

    /// 409 if the session has ended while the request waited. The session that came in its place belongs to the client
    /// with the new cookie. A request with the old id must not follow to it: an attacker may have planted that id.
    pub(super) fn is_still_there(&self) -> Result<(), Failure> {
        if matches!(self.state.borrow().known, Known::Vanished) {
            self.shared.counters.count_conflict();
            return Err(changed_elsewhere());
        }
        Ok(())
    }

    /// Reads the record without its lock, if nothing was read yet.
    pub(in crate::sessions) fn look(&self) -> Result<(), Failure> {
        {
            let state = &mut *self.state.borrow_mut();
            if self.backing.open(self, state)? {
                return Ok(());
            }
        }
        self.acquire_here(Goal::Look)
    }

    pub(super) fn lock_now(&self) -> Result<(), Failure> {
        {
            let state = &mut *self.state.borrow_mut();
            if state.is_held() {
                return Ok(());
            }
            if !self.backing.is_lockable() {
                self.backing.open(self, state)?;
                state.lock = Lock::Held(None);
                return Ok(());
            }
        }
        self.acquire_here(Goal::Lock)
    }

    /// Goes the same way as a parked request, and waits on this thread.
    fn acquire_here(&self, goal: Goal) -> Result<(), Failure> {
        let mut acquiring = Acquiring::new(goal, Manner::OnWorker);
        let deadline = Moment::now().later(self.settings.lock_timeout).monotonic;
        let mut blocking = None;
        let acquired = block_on(
            poll_fn(|context| {
                let polled = acquiring.poll(self, &|| context.waker().clone());
                if polled.is_ready() || blocking.is_some() {
                    return polled;
                }
                match Blocking::here(acquiring.waits_for_whom()) {
                    Ok(place) => blocking = Some(place),
                    Err(refusal) => return Poll::Ready(Err(refusal.into())),
                }
                Poll::Pending
            }),
            deadline,
        );
        acquired.unwrap_or_else(|| Err(acquiring.expired(self)))
    }
}
