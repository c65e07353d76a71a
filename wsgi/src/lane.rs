//! The lane: how many requests are in Python at a time. The others are parked, and hold no worker.
//!
//! ```text
//! admission ──► if it has a body: with Python (the lane and four more) ──► a place in the lane ──► call ──► response
//!                                                                            ▲   │ while the body is read
//!                                                                            └───┘ and between items of a stream
//! ```
//!
//! A request gives its place away while it waits for its client, and takes one again on its worker. That is bounded: no
//! more requests with a body than the lane and four are with Python. One without a body keeps its place to the end of
//! the call, so it waits in one line alone. Those in the lane may wait for a lock of the application that a request
//! without a place has, as of a session. So there is one spare place for a request that has waited for a second.

use kirsch::exchange::RequestId;
use kirsch::lifecycle::{
    Admission, Admit, Claim, Class, Entered, LineStatus, Place, StatusRow, StatusSource, Turn, Wait, WaitList, Wakers,
};
use kirsch::settings::SettingError;
use kirsch::{Error, Exchange, HookPoint, Hooks, Request, StatusCode, Tool};
use parking_lot::Mutex;
use std::borrow::Cow;
use std::sync::Arc;
use std::task::{Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

/// A handle to the lane of one application.
#[derive(Clone)]
pub(crate) struct Lane(Arc<OfLane>);

struct OfLane {
    name: String,
    size: usize,
    queue: usize,
    max_wait: Duration,
    /// Those with a body that are with Python.
    inside: WaitList<()>,
    /// Those in Python.
    places: WaitList<()>,
    /// One more place, for whom the others may be waiting.
    spare: WaitList<()>,
    /// A few: no more than workers.
    calls: Mutex<Vec<Call>>,
}

/// A call of the application.
struct Call {
    claim: Claim,
    since: Instant,
    /// It has Python's lock, or has given it away by itself.
    is_attached: bool,
}

/// Longer than any code should keep Python's lock, or a place that others wait for.
const LONG: Duration = Duration::from_secs(1);
/// How often a request that waits on its worker looks for the spare place.
const AGAIN: Duration = Duration::from_millis(50);

impl Lane {
    pub(crate) fn new(name: String, size: usize, readers: usize, queue: usize, max_wait: Duration) -> Self {
        let list = |what, places| WaitList::new(what, places).max_wait(max_wait).one_line_for_all(true);
        Self(Arc::new(OfLane {
            name,
            size,
            queue,
            max_wait,
            inside: list("a place with Python (`Wsgi::lane`)", size + readers).max_waiting(queue),
            // Those that were let in by `inside` are never refused here, however many others wait.
            places: list("a place in Python (`Wsgi::lane`)", size).max_waiting(queue + size + readers),
            spare: list("the spare place in Python", 1),
            calls: Mutex::default(),
        }))
    }

    /// Whether as many requests wait as may.
    fn is_full(&self) -> bool {
        self.0.inside.statistics().waiting + self.0.places.statistics().waiting >= self.0.queue
    }

    /// A place for this thread, if one comes free in time.
    fn enter(&self, claim: &Claim, within: Duration) -> Option<Place<()>> {
        let waker = || Waker::from(Arc::new(Unpark(thread::current())));
        let mut turn = match self.0.places.enter((), claim, Class::Urgent, waker) {
            Entered::Place(place) => return Some(place),
            Entered::Turn(turn) => turn,
            Entered::Full => return None,
        };
        let end = Instant::now() + within;
        loop {
            if let Poll::Ready(place) = turn.poll() {
                return place;
            }
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return None;
            }
            thread::park_timeout(left);
        }
    }

    /// Notes that this request asks for Python's lock.
    fn begin(&self, claim: &Claim) -> Begun {
        let call = Call { claim: claim.clone(), since: Instant::now(), is_attached: false };
        self.0.calls.lock().push(call);
        Begun { lane: self.clone(), request: claim.request() }
    }

    /// Tells the log of a call that does not get Python's lock. It never asks for the lock itself.
    fn look(&self) {
        let calls = self.0.calls.lock();
        let Some(waiting) = calls.iter().filter(|call| !call.is_attached).map(|call| call.since.elapsed()).max() else {
            return;
        };
        if waiting < LONG {
            return;
        }
        let within = calls.iter().filter(|call| call.is_attached);
        let within: Vec<_> = within.map(|call| format!("{} since {:.1?}", call.claim, call.since.elapsed())).collect();
        drop(calls);
        log::warn!(
            target: "kirsch::wsgi",
            "a request has waited for Python's lock for {waiting:.1?}: something keeps it, such as an extension in C. In Python: {}",
            if within.is_empty() { "no request, so a thread of the application's own".to_owned() } else { within.join(", ") }
        );
    }
}

/// Until the call has ended.
pub(crate) struct Begun {
    lane: Lane,
    request: RequestId,
}

impl Begun {
    /// The thread has Python's lock.
    pub(crate) fn attached(&self) {
        let mut calls = self.lane.0.calls.lock();
        if let Some(call) = calls.iter_mut().find(|call| call.claim.request() == self.request) {
            call.is_attached = true;
        }
    }
}

impl Drop for Begun {
    fn drop(&mut self) {
        let mut calls = self.lane.0.calls.lock();
        if let Some(place) = calls.iter().position(|call| call.claim.request() == self.request) {
            calls.swap_remove(place);
        }
    }
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// The place of a request in the lane, which it gives away and takes again.
#[derive(Clone)]
pub(crate) struct Stay(Arc<OfStay>);

struct OfStay {
    lane: Lane,
    claim: Claim,
    place: Mutex<Option<Place<()>>>,
    /// Since when it has had no place of the lane's own, if it wanted one.
    since: Mutex<Option<Instant>>,
}

impl Stay {
    pub(crate) fn new(lane: &Lane, claim: Claim, place: Option<Place<()>>) -> Self {
        Self(Arc::new(OfStay { lane: lane.clone(), claim, place: Mutex::new(place), since: Mutex::default() }))
    }

    /// The request.
    pub(crate) fn claim(&self) -> &Claim {
        &self.0.claim
    }

    /// Notes that the request asks for Python's lock.
    pub(crate) fn begin(&self) -> Begun {
        self.0.lane.begin(&self.0.claim)
    }

    /// Takes a place, if one comes free in time; the spare one, if it has waited for long.
    pub(crate) fn enter(&self, within: Duration) -> bool {
        let OfStay { lane, claim, place, since } = &*self.0;
        let began = *since.lock().get_or_insert_with(Instant::now);
        let mut found = lane.enter(claim, within);
        if found.is_some() {
            *since.lock() = None;
        } else if began.elapsed() >= LONG {
            // It stays impatient: those in the lane wait for all that it still has to do.
            found = lane.0.spare.try_enter((), claim);
        }
        let has_place = found.is_some();
        *place.lock() = found;
        has_place
    }

    /// Runs something that waits for the client, without the place. Python's lock must be given away.
    pub(crate) fn outside<R>(&self, run: impl FnOnce() -> R) -> R {
        let had_place = self.leave();
        let result = run();
        if had_place {
            let since = Instant::now();
            // Nobody waits for ever: without a place it goes on at the deadline.
            while !self.enter(AGAIN) && since.elapsed() < self.0.lane.0.max_wait {}
        }
        result
    }

    /// Gives the place away, and says whether there was one.
    pub(crate) fn leave(&self) -> bool {
        let place = self.0.place.lock().take();
        place.is_some()
    }
}

/// The tool that lets requests through the lane.
pub(crate) struct InPython {
    lane: Lane,
    /// Why there is no application.
    problem: Option<String>,
}

impl InPython {
    pub(crate) fn new(lane: Lane) -> Self {
        Self { lane, problem: None }
    }

    pub(crate) fn broken(lane: Lane, problem: String) -> Self {
        Self { lane, problem: Some(problem) }
    }
}

impl Tool for InPython {
    fn name(&self) -> &'static str {
        "wsgi"
    }

    fn attach(&self, hooks: &mut Hooks) {
        if let Some(problem) = &self.problem {
            return hooks.refuse(SettingError::new("application", problem));
        }
        hooks.admission(Inside(self.lane.clone()));
        hooks.admission(Places(self.lane.clone()));
        let lane = self.lane.clone();
        hooks.at(HookPoint::OnEndResource, move |exchange| lane.0.inside.leave(exchange)).priority(60).always();
        hooks.status(self.lane.clone());
        let lane = self.lane.clone();
        hooks.background("wsgi-lock", LONG, move || lane.look());
    }
}

/// Whether the application may have to wait for its client.
pub(crate) fn has_body(request: &Request) -> bool {
    request.header("transfer-encoding").is_some()
        || request.header("content-length").is_some_and(|length| length != "0")
}

/// Behind the session's lock: no request waits there while it holds a place that others need.
const PRIORITY: u8 = 60;

struct Inside(Lane);

impl Admit for Inside {
    fn admit(&self, exchange: &mut Exchange, wakers: &dyn Wakers) -> Result<Admission, Error> {
        // An error page needs no Python.
        if exchange.route_error().is_some() || !has_body(&exchange.request) {
            return Ok(Admission::Go);
        }
        self.0.0.inside.admit((), exchange, wakers)
    }

    fn priority(&self) -> u8 {
        PRIORITY
    }
}

struct Places(Lane);

impl Admit for Places {
    fn admit(&self, exchange: &mut Exchange, wakers: &dyn Wakers) -> Result<Admission, Error> {
        if exchange.route_error().is_some() || exchange.values.get::<Stay>().is_some() {
            return Ok(Admission::Go);
        }
        let claim = Claim::of(&exchange.request);
        if let Some(place) = self.0.0.places.try_enter((), &claim) {
            exchange.values.insert(Stay::new(&self.0, claim, Some(place)));
            return Ok(Admission::Go);
        }
        if !has_body(&exchange.request) && self.0.is_full() {
            return Err(busy());
        }
        match self.0.0.places.enter((), &claim, Class::Usual, || wakers.waker()) {
            Entered::Place(place) => {
                exchange.values.insert(Stay::new(&self.0, claim, Some(place)));
                Ok(Admission::Go)
            }
            Entered::Turn(turn) => Ok(Admission::park(InLine { lane: self.0.clone(), turn }, self.0.0.max_wait)),
            Entered::Full => Err(busy()),
        }
    }

    fn priority(&self) -> u8 {
        PRIORITY + 1
    }
}

struct InLine {
    lane: Lane,
    turn: Turn<()>,
}

impl Wait for InLine {
    fn ready(&mut self, exchange: &mut Exchange, _: &dyn Wakers) -> Result<bool, Error> {
        let Poll::Ready(place) = self.turn.poll() else { return Ok(false) };
        let claim = Claim::of(&exchange.request);
        exchange.values.insert(Stay::new(&self.lane, claim, place));
        Ok(true)
    }

    fn waits_for(&self) -> Cow<'static, str> {
        format!("a place in Python (`Wsgi::lane`), {}", self.turn.behind()).into()
    }

    fn is_own(&self) -> bool {
        false
    }

    fn expired(&mut self, _: &mut Exchange) -> Result<(), Error> {
        Err(busy())
    }
}

fn busy() -> Error {
    let busy = "Too many requests are at work on this page at the moment. Please try again shortly.";
    let retry = (kirsch::header::RETRY_AFTER, kirsch::HeaderValue::from_static("1"));
    kirsch::exchange::HttpError::new(StatusCode::SERVICE_UNAVAILABLE, busy).with_header(retry.0, retry.1).into()
}

impl StatusSource for Lane {
    fn title(&self) -> String {
        format!("Python `{}`", self.0.name)
    }

    fn rows(&self) -> Vec<StatusRow> {
        let (inside, places) = (self.0.inside.statistics(), self.0.places.statistics());
        let line: Option<LineStatus> = self.0.places.status(&());
        let longest =
            line.map_or_else(|| "none".to_owned(), |line| format!("{} for {:.1?}", line.holder, line.held_for));
        let waiting = inside.waiting + places.waiting;
        vec![
            StatusRow::new("lane", self.0.size),
            StatusRow::new("in Python", places.held),
            StatusRow::new("waiting", waiting).alarming(waiting > 0),
            StatusRow::new("longest call", longest),
            StatusRow::new("admitted", inside.admitted),
            StatusRow::new("had to wait", inside.waited + places.waited),
            StatusRow::new("refused", inside.refused + places.refused).alarming(inside.refused + places.refused > 0),
        ]
    }
}
