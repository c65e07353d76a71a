//! Going together: requests that are made while others are under way share the next trip.
//!
//! A trip costs both sides system calls and changes of threads that are dearer than what is asked. So few trips are under way at once. Who
//! comes when there is room goes at once, alone; who comes later queues, and when a trip is back the first in the queue takes
//! all that is there along, and hands each his answers. Nobody waits for company: a trip waits only for the one before it.
//!
//! If even the quickest trip takes long, the way is long, and not what is done at its ends: then each goes on his own, since waiting for the trip
//! before would double the time.

use super::request::Request;
use ::redis::Value;
use parking_lot::{Condvar, Mutex};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The trips of one process to one server.
pub(super) struct Company<F: Failed> {
    state: Mutex<State<F>>,
}

struct State<F: Failed> {
    under_way: usize,
    batch: Batch<F>,
    quickest: Quickest,
}

/// What the next trip takes along.
struct Batch<F: Failed> {
    request: Request,
    /// With how many commands each has in it.
    tickets: Vec<(Arc<Ticket<F>>, usize)>,
    /// The first was told to lead, and comes.
    is_led: bool,
}

/// The answers of one request, or why there are none.
pub(super) type Answers<F> = Result<Vec<Value>, F>;

/// A failure that can be told to all who went along.
pub(super) trait Failed: Clone {
    /// Nobody was there to lead.
    const ABANDONED: Self;

    /// Whether those who wait for the next trip need not try.
    fn is_silence(&self) -> bool;
}

enum Word<F> {
    Lead,
    Answer(Answers<F>),
}

struct Ticket<F> {
    word: Mutex<Option<Word<F>>>,
    told: Condvar,
}

impl<F> Ticket<F> {
    fn tell(&self, word: Word<F>) {
        *self.word.lock() = Some(word);
        self.told.notify_one();
    }

    fn wait(&self) -> Word<F> {
        let mut word = self.word.lock();
        loop {
            match word.take() {
                Some(word) => return word,
                None => self.told.wait(&mut word),
            }
        }
    }
}

/// How many trips are under way at once where the way is short.
const TRIPS: usize = 1;
/// From here on the way is long.
const LONG: Duration = Duration::from_micros(400);

impl<F: Failed> Company<F> {
    pub(super) fn new() -> Self {
        Self { state: Mutex::new(State { under_way: 0, batch: Batch::new(), quickest: Quickest::default() }) }
    }

    /// The answers to a request. `travel` goes to the server and back.
    pub(super) fn send(&self, request: &Request, travel: impl Fn(&Request) -> Answers<F>) -> Answers<F> {
        let mut state = self.state.lock();
        if state.under_way < TRIPS || state.quickest.is_long() {
            state.under_way += 1;
            drop(state);
            return Trip::new(self).make(request, travel);
        }
        let ticket = Arc::new(Ticket { word: Mutex::new(None), told: Condvar::new() });
        state.batch.request.append(request);
        state.batch.tickets.push((Arc::clone(&ticket), request.commands));
        drop(state);
        match ticket.wait() {
            Word::Answer(answers) => answers,
            Word::Lead => self.lead(&ticket, travel),
        }
    }

    fn lead(&self, own: &Arc<Ticket<F>>, travel: impl Fn(&Request) -> Answers<F>) -> Answers<F> {
        let trip = Trip::new(self);
        let mut batch = std::mem::replace(&mut self.state.lock().batch, Batch::new());
        let mut answers = trip.make(&batch.request, travel).map(Vec::into_iter);
        let mut own_answers = Err(F::ABANDONED);
        for (ticket, commands) in batch.tickets.drain(..) {
            let part = match &mut answers {
                Ok(answers) => Ok(answers.by_ref().take(commands).collect()),
                Err(failure) => Err(failure.clone()),
            };
            if Arc::ptr_eq(&ticket, own) {
                own_answers = part;
            } else {
                ticket.tell(Word::Answer(part));
            }
        }
        own_answers
    }
}

impl<F: Failed> Batch<F> {
    fn new() -> Self {
        Self { request: Request::default(), tickets: Vec::new(), is_led: false }
    }
}

/// A leader that panicked leaves nobody waiting.
impl<F: Failed> Drop for Batch<F> {
    fn drop(&mut self) {
        self.tickets.drain(..).for_each(|(ticket, _)| ticket.tell(Word::Answer(Err(F::ABANDONED))));
    }
}

/// One trip. However it ends, the next is made.
struct Trip<'c, F: Failed> {
    company: &'c Company<F>,
    /// Known when it is back.
    took: Option<Duration>,
    failure: Option<F>,
}

impl<'c, F: Failed> Trip<'c, F> {
    fn new(company: &'c Company<F>) -> Self {
        Self { company, took: None, failure: None }
    }

    fn make(mut self, request: &Request, travel: impl Fn(&Request) -> Answers<F>) -> Answers<F> {
        let start = Instant::now();
        let answers = travel(request);
        match &answers {
            Ok(_) => self.took = Some(start.elapsed()),
            Err(failure) => self.failure = Some(failure.clone()),
        }
        answers
    }
}

impl<F: Failed> Drop for Trip<'_, F> {
    fn drop(&mut self) {
        let mut state = self.company.state.lock();
        if let Some(took) = self.took {
            state.quickest.learn(took);
        }
        let batch = &mut state.batch;
        match (self.failure.take().filter(F::is_silence), batch.tickets.first()) {
            (Some(failure), _) if !batch.is_led => {
                let tickets = std::mem::take(&mut batch.tickets);
                *batch = Batch::new();
                state.under_way -= 1;
                drop(state);
                tickets.iter().for_each(|(ticket, _)| ticket.tell(Word::Answer(Err(failure.clone()))));
            }
            (_, Some((first, _))) if !batch.is_led => {
                let first = Arc::clone(first);
                batch.is_led = true;
                drop(state);
                first.tell(Word::Lead);
            }
            // Who was told to lead and has not come yet takes all along that are there.
            _ => state.under_way -= 1,
        }
    }
}

/// The quickest of the last trips: how long the way itself is, whatever else kept some of them.
#[derive(Default)]
struct Quickest {
    before: Option<Duration>,
    now: Option<Duration>,
    trips: u8,
}

impl Quickest {
    const TRIPS: u8 = 64;

    fn learn(&mut self, took: Duration) {
        self.now = Some(self.now.map_or(took, |now| now.min(took)));
        self.trips += 1;
        if self.trips == Self::TRIPS {
            *self = Self { before: self.now, now: None, trips: 0 };
        }
    }

    fn is_long(&self) -> bool {
        self.before.is_some_and(|before| before > LONG)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::{Receiver, Sender, channel};

    #[derive(Clone, Debug, PartialEq)]
    struct Silent;

    impl Failed for Silent {
        const ABANDONED: Self = Self;

        fn is_silence(&self) -> bool {
            true
        }
    }

    fn request(name: &str) -> Request {
        Request::of(&[name.as_bytes()])
    }

    /// Answers each command with its place in the trip.
    fn places(request: &Request) -> Answers<Silent> {
        Ok((0..request.commands).map(|place| Value::Int(place as i64)).collect())
    }

    /// The first trip lasts until the sender is dropped; the others queue behind it. Returns how many commands each later trip had, and all answers.
    fn behind(company: &Company<Silent>, others: usize, first: Answers<Silent>) -> (Vec<usize>, Vec<Answers<Silent>>) {
        let trips = Mutex::new(Vec::new());
        let travel = |request: &Request| {
            trips.lock().push(request.commands);
            places(request)
        };
        let (is_gone, gone): (Sender<()>, Receiver<()>) = channel();
        let (end, ended): (Sender<()>, Receiver<()>) = channel();
        let answers = std::thread::scope(|scope| {
            scope.spawn(move || {
                let _ = company.send(&request("first"), |_| {
                    is_gone.send(()).expect("the test waits");
                    let _ = ended.recv();
                    first.clone()
                });
            });
            gone.recv().expect("the first goes");
            let threads: Vec<_> =
                (0..others).map(|_| scope.spawn(|| company.send(&request("other"), travel))).collect();
            while company.state.lock().batch.tickets.len() < others {
                std::thread::yield_now();
            }
            drop(end);
            threads.into_iter().map(|thread| thread.join().expect("no panic")).collect()
        });
        (trips.into_inner(), answers)
    }

    #[test]
    fn who_comes_while_one_is_under_way_goes_together_and_gets_his_own_answers() {
        let (trips, answers) = behind(&Company::new(), 3, Ok(vec![Value::Nil]));
        assert_eq!(trips, [3]);
        let mut places: Vec<_> = answers.into_iter().map(|answers| answers.expect("answered")).collect();
        places.sort_by_key(|answers| format!("{answers:?}"));
        assert_eq!(places, [[Value::Int(0)], [Value::Int(1)], [Value::Int(2)]]);
    }

    #[test]
    fn who_queues_for_a_silent_server_is_told() {
        let company = Company::new();
        let (trips, answers) = behind(&company, 3, Err(Silent));
        assert_eq!((trips, answers), (vec![], vec![Err(Silent), Err(Silent), Err(Silent)]));
        assert_eq!(company.send(&request("next"), places), Ok(vec![Value::Int(0)]));
    }

    #[test]
    fn a_trip_that_panics_is_in_nobodys_way() {
        let company = Company::new();
        let travel = |_: &Request| -> Answers<Silent> { panic!("on the way") };
        let send = std::panic::AssertUnwindSafe(|| company.send(&request("first"), travel));
        assert!(std::panic::catch_unwind(send).is_err());
        assert_eq!(company.send(&request("next"), places), Ok(vec![Value::Int(0)]));
        assert_eq!(company.state.lock().under_way, 0);
    }

    #[test]
    fn on_a_long_way_nobody_waits_for_another() {
        let company = Company::<Silent>::new();
        for _ in 0..Quickest::TRIPS {
            company.state.lock().quickest.learn(2 * LONG);
        }
        let answers = company.send(&request("first"), |_| company.send(&request("second"), places));
        assert_eq!(answers, Ok(vec![Value::Int(0)]));
        company.state.lock().quickest.learn(LONG / 2);
        assert!(company.state.lock().quickest.is_long(), "one trip alone says little");
    }
}
