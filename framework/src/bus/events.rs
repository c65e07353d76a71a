//! Events: typed messages from anywhere to observers, which run on one thread of their own.
//!
//! The thread that tells an event never waits: the queue is bounded, and an event that finds it full is dropped,
//! counted and told in the log. An event that nobody observes costs a look into a small table.

use crate::exchange::Error;
use crate::logs;
use crate::panics::guarded;
use crate::seldom::Seldom;
use crossbeam_channel::{Receiver, Sender, TrySendError, bounded, select_biased};
use std::any::{Any, TypeId, type_name};
use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

/// How many events may wait for the observers.
const MAX_WAITING: usize = 1024;
/// An observer that takes longer is named in the log: it keeps the others waiting.
const SLOW: Duration = Duration::from_secs(1);

/// A handle by which code tells events, such as a handler: typed values for the observers of an application
/// (`App::observe`). A clone is a handle to the same observers.
///
/// ```
/// use kirsch::{engine::Events, prelude::*, testing::Client};
///
/// struct Bought { article: String }
///
/// struct Shop { events: Events }
///
/// #[handlers]
/// impl Shop {
///     #[expose(post)]
///     fn buy(&self, article: String) -> &'static str {
///         self.events.emit(Bought { article });
///         "Thank you"
///     }
/// }
///
/// let events = Events::new();
/// let (told, seen) = crossbeam_channel::unbounded();
/// let app = App::new(Shop { events: events.clone() })
///     .events(&events)
///     .observe(move |bought: &Bought| told.send(bought.article.clone()).unwrap());
/// let running = app.start("127.0.0.1:0")?;
/// Client::connect(running.address()).post("/buy").form(&[("article", "tea")]).send().assert_text("Thank you");
/// assert_eq!(seen.recv().unwrap(), "tea");
/// # Ok::<_, kirsch::Error>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Events {
    /// Set when the application starts.
    bus: Arc<OnceLock<Arc<Bus>>>,
}

impl Events {
    /// A handle for one application, which gets it by `App::events`.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Tells the observers of `T`, and does not wait for them. The event is dropped, counted and told in the log where
    /// 1024 events wait already. Nothing happens when nobody observes `T`, and before the application starts.
    pub fn emit<T: Send + 'static>(&self, event: T) {
        if let Some(bus) = self.bus.get() {
            bus.tell(event);
        }
    }

    /// How many events were dropped because too many waited.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.bus.get().map_or(0, |bus| bus.dropped.load(Ordering::Relaxed))
    }

    pub(crate) fn connect(&self, bus: &Arc<Bus>) {
        let _ = self.bus.set(bus.clone());
    }
}

/// A function that is called with each event of a type.
pub(crate) struct Observer {
    of: TypeId,
    name: &'static str,
    run: Box<ObserverFunction>,
}

type ObserverFunction = dyn Fn(&dyn Any) -> Result<(), Error> + Send;

impl Observer {
    pub(crate) fn new<T: 'static>(run: impl Fn(&T) -> Result<(), Error> + Send + 'static) -> Self {
        let run = move |event: &dyn Any| event.downcast_ref::<T>().map_or(Ok(()), &run);
        Self { of: TypeId::of::<T>(), name: type_name::<T>(), run: Box::new(run) }
    }
}

/// The queue of one application, and what is observed in it.
pub(crate) struct Bus {
    queue: Sender<Box<dyn Any + Send>>,
    observed: HashMap<TypeId, &'static str>,
    dropped: AtomicU64,
    said: Seldom,
}

/// The other end of a [`Bus`], for its thread.
pub(crate) struct Observers {
    waiting: Receiver<Box<dyn Any + Send>>,
    by_type: HashMap<TypeId, Vec<Observer>>,
}

impl Bus {
    pub(crate) fn new(observers: Vec<Observer>) -> (Arc<Self>, Observers) {
        let (queue, waiting) = bounded(MAX_WAITING);
        let observed = observers.iter().map(|observer| (observer.of, observer.name)).collect();
        let mut by_type = HashMap::<_, Vec<_>>::new();
        for observer in observers {
            by_type.entry(observer.of).or_default().push(observer);
        }
        let bus = Self { queue, observed, dropped: AtomicU64::new(0), said: Seldom::default() };
        (Arc::new(bus), Observers { waiting, by_type })
    }

    fn tell<T: Send + 'static>(&self, event: T) {
        let Some(name) = self.observed.get(&TypeId::of::<T>()) else { return };
        // Disconnected: the application has stopped.
        if let Err(TrySendError::Full(_)) = self.queue.try_send(Box::new(event)) {
            self.dropped.fetch_add(1, Ordering::Relaxed);
            if let Some(unsaid) = self.said.may_say(Instant::now()) {
                crate::line::record!(Warn, target: "kirsch::engine", "an event {name} was dropped, and {unsaid} others before: {MAX_WAITING} wait for their observers, which are too slow");
            }
        }
    }
}

impl Observers {
    /// The life of the thread: until `stopped` disconnects, and then until the queue is empty.
    pub(crate) fn run(&self, stopped: &Receiver<Infallible>) {
        loop {
            select_biased! {
                recv(self.waiting) -> event => match event {
                    Ok(event) => self.observe(&*event),
                    Err(_) => return,
                },
                recv(stopped) -> _ => return,
            }
        }
    }

    fn observe(&self, event: &(dyn Any + Send)) {
        for observer in self.by_type.get(&event.type_id()).into_iter().flatten() {
            let began = Instant::now();
            let name = observer.name;
            if let Err(error) = guarded(|| (observer.run)(event)) {
                crate::line::record!(Error, target: logs::ERROR, "an observer of {name} failed: {}", logs::causes(&error));
            }
            let took = began.elapsed();
            if took > SLOW {
                crate::line::record!(Warn, target: "kirsch::engine", "an observer of {name} took {took:.1?}; other events waited");
            }
        }
    }
}

impl std::fmt::Debug for Bus {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Bus").field("waiting", &self.queue.len()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crossbeam_channel::unbounded;

    #[test]
    fn an_event_that_nobody_observes_takes_no_place() {
        let (bus, observers) = Bus::new(vec![Observer::new(|_: &u8| Ok(()))]);
        bus.tell("nobody observes texts");
        assert!(observers.waiting.is_empty());
    }

    #[test]
    fn a_full_queue_drops_and_counts_and_never_waits() {
        let (bus, _observers) = Bus::new(vec![Observer::new(|_: &usize| Ok(()))]);
        (0..MAX_WAITING + 3).for_each(|number| bus.tell(number));
        assert_eq!(bus.dropped.load(Ordering::Relaxed), 3);
    }

    #[test]
    fn an_observer_that_panics_delays_no_other_one() {
        let (seen, told) = unbounded();
        let panics = Observer::new(|number: &u8| panic!("at {number}"));
        let (bus, observers) =
            Bus::new(vec![panics, Observer::new(move |number: &u8| seen.send(*number).map_err(Error::from))]);
        bus.tell(1_u8);
        bus.tell(2_u8);
        // All that waits is observed before the end.
        let (going_on, stopped) = bounded(0);
        drop(going_on);
        observers.run(&stopped);
        assert_eq!(told.try_iter().collect::<Vec<_>>(), [1, 2]);
    }
}
