//! Topics: what happened last, for everybody who wants to know. Any thread publishes; nobody waits.

use super::await_news::Awaited;
use super::event::{Event, EventId, LastEventId};
use super::events::{Events, News, PIECE, Reading};
use super::ring::{Bounds, Cursor, Read, Ring, Wanted};
use crate::by_age::ByAge;
use crate::exchange::{Error, HttpError, Request, StatusRow, StatusSource, Watch};
use crate::primitive::Mutex;
use ::http::{HeaderValue, StatusCode, header};
use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Weak};
use std::task::Waker;

/// A value that a topic can tell: it says what clients get.
///
/// ```
/// use kirsch::push::{Event, Tell};
///
/// #[derive(Clone, serde::Serialize)]
/// struct Article { title: String }
///
/// impl Tell for Article {
///     fn event(&self) -> Event { Event::json("article", self) }
/// }
/// ```
pub trait Tell: Send + Sync + 'static {
    /// The event that clients get. It is called once for each value, by the thread that publishes it.
    fn event(&self) -> Event;
}

impl Tell for Event {
    fn event(&self) -> Event {
        self.clone()
    }
}

/// An event without a kind.
impl Tell for String {
    fn event(&self) -> Event {
        Event::text(self.as_str())
    }
}

/// Something that goes on, and what happened in it last. Clients follow it by event streams ([`events`](Self::events))
/// or long polls ([`Await`](super::Await)).
///
/// ```
/// use kirsch::push::{Events, LastEventId, Topic};
/// use kirsch::{prelude::*, testing::Client};
///
/// struct News { headlines: Topic<String> }
///
/// #[handlers]
/// impl News {
///     /// What was missed since the client's last event, then what comes.
///     #[expose]
///     fn events(&self, last: LastEventId) -> Events {
///         self.headlines.events(last)
///     }
///
///     #[expose(post)]
///     fn publish(&self, text: String) -> String {
///         self.headlines.publish(text).to_string()
///     }
/// }
///
/// let client = Client::in_process(App::new(News { headlines: Topic::new("headlines") }));
/// let mut stream = client.new_browser().get("/events").send_streaming();
/// client.post("/publish").form(&[("text", "Cherries ripe")]).send();
/// assert!(stream.next_event().unwrap().starts_with("data: Cherries ripe\n"));
/// ```
///
/// A topic keeps its last 256 events, and 1 MiB of them at most, in memory: a client that connects again gets what it
/// has missed if that is still there, and else is told of the gap. A clone is a handle to the same topic.
pub struct Topic<T> {
    core: Arc<TopicCore<T>>,
}

struct TopicCore<T> {
    name: Cow<'static, str>,
    rules: Rules,
    epoch: u64,
    ring: Arc<Ring<T>>,
    /// Requests that wait for the next event.
    watch: Watch<()>,
    counts: Counts,
    names: Mutex<Names<T>>,
}

#[derive(Clone, Copy, Debug)]
struct Rules {
    kept: Bounds,
    /// Event streams at once.
    most: usize,
    /// Long polls at once.
    most_waiting: usize,
    /// Named topics that are kept while nobody has them.
    most_names: usize,
}

impl Default for Rules {
    fn default() -> Self {
        let kept = Bounds { values: 256, bytes: 1 << 20 };
        Self { kept, most: usize::MAX, most_waiting: 10_000, most_names: 1_000 }
    }
}

#[derive(Debug, Default)]
struct Counts {
    open: AtomicUsize,
    opened: AtomicU64,
    refused: AtomicU64,
    told: AtomicU64,
    gaps: AtomicU64,
}

/// The topics below this one, by name.
struct Names<T> {
    by_name: HashMap<String, Named<T>>,
    /// Those that were asked for last: they keep their past while nobody has them.
    lately: ByAge<Kept<T>>,
    /// When `by_name` is looked through for those that are gone.
    sweep_at: usize,
}

/// A topic with its name.
type Kept<T> = (String, Arc<TopicCore<T>>);

struct Named<T> {
    core: Weak<TopicCore<T>>,
    /// Its place among those that were asked for last.
    place: Option<usize>,
}

/// The events of a topic behind one that a client has seen; see [`Topic::changes`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Changes<T> {
    /// The values with their ids, the oldest first.
    pub values: Vec<(EventId, T)>,
    /// Whether some are missing, which the topic does not have any more or the program has never had.
    pub is_gap: bool,
    /// What to ask for next time.
    pub last: EventId,
}

/// The counts of a topic; see the field names.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct TopicStatistics {
    /// Event streams open now.
    pub open: usize,
    /// Long polls that wait now.
    pub waiting: usize,
    /// Event streams since the start.
    pub opened: u64,
    /// Event streams that were answered 503.
    pub refused: u64,
    /// Events that streams were given: one for each event and stream.
    pub told: u64,
    /// Gaps that streams were told of.
    pub gaps: u64,
    /// Events published since the topic began.
    pub published: u64,
    /// Events that are kept.
    pub kept: usize,
    /// Their bytes.
    pub kept_bytes: usize,
}

impl<T: Tell> Topic<T> {
    /// A topic that begins now. `name` is for people: the log and the status page.
    #[must_use]
    pub fn new(name: impl Into<Cow<'static, str>>) -> Self {
        Self::of(name.into(), Rules::default(), fresh_epoch(), 0)
    }

    /// A topic that goes on where an earlier run of the program has stopped: its epoch ([`EventId::epoch`]), and the
    /// last values with their numbers, the oldest first. Clients that come back continue without a gap.
    ///
    /// Keep a value with its number *before* anybody can see it, in the order of the numbers: by one lock around
    /// [`next_id`](Self::next_id), your write, and [`publish`](Self::publish).
    #[must_use]
    pub fn restored(
        name: impl Into<Cow<'static, str>>,
        epoch: u64,
        values: impl IntoIterator<Item = (u64, T)>,
    ) -> Self {
        let mut values = values.into_iter().peekable();
        let before = values.peek().map_or(0, |(number, _)| number.saturating_sub(1));
        let mut topic = Self::of(name.into(), Rules::default(), epoch, before);
        for (number, value) in values {
            // Numbers without a value were lost: whoever has not seen them must hear of a gap.
            if number != topic.core.ring.last() + 1 {
                topic = Self::of(topic.core.name.clone(), Rules::default(), epoch, number.saturating_sub(1));
            }
            topic.publish(value);
        }
        topic
    }

    /// Tells everybody who wants to know, and returns the id of the event. Any thread may call it. It never waits, and
    /// it cannot fail.
    pub fn publish(&self, value: T) -> EventId {
        let epoch = self.core.epoch;
        let event = value.event();
        let mut encoded = Vec::new();
        event.write_fields(&mut encoded);
        // Room for the number, so that nothing is copied under the lock.
        encoded.reserve_exact(48);
        let finish = |number, out: &mut Vec<u8>| EventId { epoch, number }.write_last_field(out);
        let number = self.core.ring.publish(value, encoded, finish);
        self.core.watch.happened(&());
        EventId { epoch, number }
    }

    /// The events behind `last`, and all that come, as the answer of a handler. A client without a last event gets what
    /// comes from now on. It is answered 503 with `Retry-After` when [`most`](Self::most) streams are open.
    pub fn events(&self, last: impl Into<LastEventId>) -> Events {
        let core = &self.core;
        let counts = &core.counts;
        let is_open = counts
            .open
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |open| (open < core.rules.most).then_some(open + 1));
        if is_open.is_err() {
            counts.refused.fetch_add(1, Ordering::Relaxed);
            let busy = "Too many visitors follow this at the moment. Please try again shortly.";
            let error = HttpError::new(StatusCode::SERVICE_UNAVAILABLE, busy);
            return Events::refused(error.with_header(header::RETRY_AFTER, HeaderValue::from_static("10")));
        }
        counts.opened.fetch_add(1, Ordering::Relaxed);
        let (cursor, is_gap) = self.cursor(last.into());
        Events::of_news(NewsOf { cursor, is_gap, open: OpenStream(Arc::clone(core)) })
    }

    /// A cursor behind the client's last event, and whether there is a gap before it.
    fn cursor(&self, last: LastEventId) -> (Cursor<T>, bool) {
        let Self { core } = self;
        let newest = core.ring.last();
        let (number, is_gap) = match last {
            LastEventId::None => (newest, false),
            LastEventId::Known(id) if id.epoch == core.epoch && id.number <= newest => (id.number, false),
            LastEventId::Known(_) | LastEventId::Unknown => (newest, true),
        };
        (Cursor::behind(&core.ring, number), is_gap)
    }

    /// The kept values behind an event, for a page that answers a long poll; all of them without one.
    #[must_use]
    pub fn changes(&self, after: Option<EventId>) -> Changes<T>
    where
        T: Clone,
    {
        let Self { core } = self;
        let epoch = core.epoch;
        let known = after.filter(|id| id.epoch == epoch && id.number <= core.ring.last());
        let from = known.map_or(0, |id| id.number);
        let mut values = Vec::new();
        let last = core.ring.after(from, |number, value| values.push((EventId { epoch, number }, value.clone())));
        let first = values.first().map_or(last + 1, |(id, _)| id.number);
        let is_gap = match (after, known) {
            (None, _) => false,
            (Some(_), None) => true,
            (Some(_), Some(id)) => first > id.number + 1,
        };
        Changes { values, is_gap, last: EventId { epoch, number: last } }
    }

    /// The id of the last event.
    #[must_use]
    pub fn last_id(&self) -> EventId {
        EventId { epoch: self.core.epoch, number: self.core.ring.last() }
    }

    /// The id that the next event will have, unless another thread publishes one before.
    #[must_use]
    pub fn next_id(&self) -> EventId {
        let EventId { epoch, number } = self.last_id();
        EventId { epoch, number: number + 1 }
    }

    /// The topic of this name below this one, with the same rules: for rooms, or one for each user. It exists from the
    /// first call on. While nobody has it or follows it, it is kept with its events if it is among the 1000 that were
    /// asked for last ([`most_names`](Self::most_names)); else the next call begins a new one.
    #[must_use]
    pub fn named(&self, name: &str) -> Self {
        let make = || {
            let full_name = format!("{}/{name}", self.core.name);
            Self::of(full_name.into(), self.core.rules, fresh_epoch(), 0).core
        };
        let mut names = self.core.names.lock();
        let (core, gone) = names.find(name, self.core.rules.most_names, make);
        drop(names);
        drop(gone);
        Self { core }
    }

    fn of(name: Cow<'static, str>, rules: Rules, epoch: u64, last: u64) -> Self {
        let names = Names { by_name: HashMap::new(), lately: ByAge::default(), sweep_at: 64 };
        let core = TopicCore {
            rules,
            epoch,
            ring: Arc::new(Ring::new(rules.kept, last)),
            watch: Watch::new("the next event of a topic", rules.most_waiting),
            counts: Counts::default(),
            names: Mutex::new(names),
            name,
        };
        Self { core: Arc::new(core) }
    }

    fn change(self, change: impl FnOnce(&mut Rules)) -> Self {
        let mut rules = self.core.rules;
        change(&mut rules);
        Self::of(self.core.name.clone(), rules, self.core.epoch, self.core.ring.last())
    }

    /// A new topic that keeps so many events (default 256).
    #[must_use]
    pub fn keep(self, events: usize) -> Self {
        self.change(|rules| rules.kept.values = events)
    }

    /// A new topic that keeps so many bytes of events (default 1 MiB). A larger event is a gap for everybody.
    #[must_use]
    pub fn keep_bytes(self, bytes: usize) -> Self {
        self.change(|rules| rules.kept.bytes = bytes)
    }

    /// A new topic with so many event streams at most (default: as many as the server takes); more are 503.
    #[must_use]
    pub fn most(self, streams: usize) -> Self {
        self.change(|rules| rules.most = streams)
    }

    /// A new topic of whose [named](Self::named) topics so many are kept while nobody has them (default 1000).
    #[must_use]
    pub fn most_names(self, topics: usize) -> Self {
        self.change(|rules| rules.most_names = topics)
    }

    /// Counters and gauges of this moment.
    #[must_use]
    pub fn statistics(&self) -> TopicStatistics {
        let Self { core } = self;
        let counts = &core.counts;
        let (kept, kept_bytes) = core.ring.size();
        TopicStatistics {
            open: counts.open.load(Ordering::Relaxed),
            waiting: core.watch.waiting(&()),
            opened: counts.opened.load(Ordering::Relaxed),
            refused: counts.refused.load(Ordering::Relaxed),
            told: counts.told.load(Ordering::Relaxed),
            gaps: counts.gaps.load(Ordering::Relaxed),
            published: core.ring.last(),
            kept,
            kept_bytes,
        }
    }
}

impl<T> Names<T> {
    /// The topic of this name, and another one that is not kept any more: to be dropped without the lock.
    fn find(
        &mut self,
        name: &str,
        most: usize,
        make: impl FnOnce() -> Arc<TopicCore<T>>,
    ) -> (Arc<TopicCore<T>>, Option<Kept<T>>) {
        let Self { by_name, lately, sweep_at } = self;
        let found = by_name.get(name).and_then(|named| Some((named.core.upgrade()?, named.place)));
        if let Some((core, Some(place))) = found {
            lately.touch(place, 0);
            return (core, None);
        }
        if by_name.len() >= *sweep_at {
            by_name.retain(|_, named| named.core.strong_count() > 0);
            *sweep_at = 2 * by_name.len() + 64;
        }
        let core = found.map_or_else(make, |(core, _)| core);
        let place = Some(lately.insert(0, (name.to_owned(), Arc::clone(&core))));
        by_name.insert(name.to_owned(), Named { core: Arc::downgrade(&core), place });
        let oldest = if lately.len() > most { lately.oldest(0) } else { None };
        let gone = oldest.and_then(|place| lately.remove(place));
        if let Some(named) = gone.as_ref().and_then(|(name, _)| by_name.get_mut(name)) {
            named.place = None;
        }
        (core, gone)
    }
}

/// An epoch that no other topic has, nor this one in another run.
fn fresh_epoch() -> u64 {
    u64::from(u32::from_ne_bytes(crate::random::bytes()))
}

/// The place of one event stream, for as long as it lives. While it does, the topic is the one of its name.
struct OpenStream<T>(Arc<TopicCore<T>>);

impl<T> Drop for OpenStream<T> {
    fn drop(&mut self) {
        self.0.counts.open.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The events of a topic, for one stream.
struct NewsOf<T> {
    cursor: Cursor<T>,
    is_gap: bool,
    open: OpenStream<T>,
}

impl<T> NewsOf<T> {
    fn count_gap(&self) {
        self.open.0.counts.gaps.fetch_add(1, Ordering::Relaxed);
    }

    fn id(&self) -> EventId {
        EventId { epoch: self.open.0.epoch, number: self.cursor.last() }
    }
}

impl<T: Send + Sync> News for NewsOf<T> {
    fn position(&self) -> Option<EventId> {
        Some(self.id())
    }

    fn begins_with_gap(&mut self) -> bool {
        let is_gap = std::mem::take(&mut self.is_gap);
        if is_gap {
            self.count_gap();
        }
        is_gap
    }

    fn read(&mut self, out: &mut Vec<u8>, wanted: Wanted, waker: &dyn Fn() -> Waker) -> Reading {
        let before = self.cursor.last();
        let reading = match self.cursor.read(out, PIECE, wanted, waker) {
            Read::Missed(count) => {
                self.count_gap();
                return Reading::Missed(count);
            }
            Read::More => Reading::More,
            Read::All => Reading::All,
        };
        let told = match wanted {
            Wanted::All => self.cursor.last() - before,
            Wanted::Latest => u64::from(self.cursor.last() > before),
        };
        if told > 0 {
            self.open.0.counts.told.fetch_add(told, Ordering::Relaxed);
        }
        reading
    }

    fn waits_for(&self) -> Cow<'static, str> {
        format!("topic {} after {}", self.open.0.name, self.id()).into()
    }
}

/// A request with an id waits for the event behind that; one without waits for the first of all.
impl<T: Tell> Awaited for Topic<T> {
    type Key = ();

    fn watch(&self) -> &Watch<()> {
        &self.core.watch
    }

    fn key(&self, _: &Request) -> Option<()> {
        Some(())
    }

    fn has_happened(&self, (): &(), since: Option<&str>) -> Result<bool, Error> {
        let last = self.last_id();
        let seen = match since.map(str::parse::<EventId>) {
            None => 0,
            Some(Ok(id)) if id.epoch == last.epoch && id.number <= last.number => id.number,
            // The page itself says what is wrong with it.
            Some(_) => return Ok(true),
        };
        Ok(last.number > seen)
    }

    fn waits_for(&self, (): &(), since: Option<&str>) -> Cow<'static, str> {
        format!("topic {} after {}", self.core.name, since.unwrap_or("its beginning")).into()
    }
}

impl<T: Tell> StatusSource for Topic<T> {
    fn title(&self) -> String {
        format!("Topic {}", self.core.name)
    }

    fn rows(&self) -> Vec<StatusRow> {
        let TopicStatistics { open, waiting, opened, refused, told, gaps, published, kept, kept_bytes } =
            self.statistics();
        vec![
            StatusRow::new("streams open", open),
            StatusRow::new("polls waiting", waiting),
            StatusRow::new("streams since the start", opened),
            StatusRow::new("streams refused", refused).alarming(refused > 0),
            StatusRow::new("events given to streams", told),
            StatusRow::new("gaps told", gaps),
            StatusRow::new("last event", published),
            StatusRow::new("events kept", kept),
            StatusRow::new("bytes kept", kept_bytes),
        ]
    }
}

/// A topic of any type, for the metrics.
pub(crate) trait CountedTopic: Send + Sync {
    fn name(&self) -> &str;

    fn statistics(&self) -> TopicStatistics;
}

impl<T: Tell> CountedTopic for Topic<T> {
    fn name(&self) -> &str {
        &self.core.name
    }

    fn statistics(&self) -> TopicStatistics {
        Self::statistics(self)
    }
}

impl<T> Clone for Topic<T> {
    fn clone(&self) -> Self {
        Self { core: Arc::clone(&self.core) }
    }
}

impl<T> std::fmt::Debug for Topic<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Topic").field("name", &self.core.name).finish_non_exhaustive()
    }
}
