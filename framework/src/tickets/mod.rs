//! Tickets: files about failures of the program, each named by the number that its visitor has read on the error page.
//!
//! Here is the folder with its bounds; what a ticket says is made in `lifecycle/`, and `status/` shows it. A request
//! counts its failure in a table in memory, and only the first few of a kind are written down: a flood costs a count.
//! One thread touches the disk, and its queue is bounded. So a disk that is full or asleep costs tickets, which are
//! counted, and never a request.
//!
//! | file | what is in it |
//! |---|---|
//! | `index.rs` | the kinds of failures with their counts, and the bounds |
//! | `keeper.rs` | the thread that reads and writes the folder |

mod index;
mod keeper;

pub(crate) use index::{FailureKind, Group};

use crate::exchange::{Error, RequestId, StatusRow, StatusSource};
use crate::line::record;
use crate::private_file;
use crate::seldom::Seldom;
use crossbeam_channel::{Sender, bounded};
use index::{Counted, TicketIndex};
use keeper::{Ask, Keeper};
use parking_lot::Mutex;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Most bytes of one ticket. With the limit of tickets it bounds the folder: 64 MiB.
pub(crate) const MAX_TICKET: usize = 64 << 10;

/// How many tickets may wait to be written.
const MAX_WAITING: usize = 64;

/// Longest wait for the thread that reads the folder.
const READING: Duration = Duration::from_secs(2);

/// The target of what is said about tickets.
const TARGET: &str = "kirsch::tickets";

/// A failure as it is written down.
#[derive(Debug)]
pub(crate) struct Ticket {
    pub(crate) number: RequestId,
    /// When it was, as RFC 3339 has it, in UTC: later times are greater texts.
    pub(crate) time: String,
    /// What the error says.
    pub(crate) message: String,
    /// The JSON object; at most [`MAX_TICKET`].
    pub(crate) text: String,
}

/// The tickets of one folder. Dropped, it lets its thread write the last ones and end.
#[derive(Debug)]
pub(crate) struct Tickets {
    waiting: Sender<(u64, Ticket)>,
    asked: Sender<Ask>,
    /// A word that counts have changed, for the thread to save them.
    changed: Sender<()>,
    known: Arc<Known>,
}

/// What both sides know.
#[derive(Debug, Default)]
struct Known {
    index: Mutex<TicketIndex>,
    /// Tickets that the queue had no room for.
    dropped: AtomicU64,
    /// Tickets that could not be written.
    lost: AtomicU64,
    said: Seldom,
}

impl Known {
    /// Tells that a ticket is missing, now and then.
    fn tell_missing(&self, why: &str) {
        if let Some(unsaid) = self.said.may_say(Instant::now()) {
            record!(Error, target: TARGET, "a ticket was not written, nor were {unsaid} others before: {why}");
        }
    }
}

/// The place of a failure's ticket until it is written.
#[derive(Debug)]
pub(crate) struct TicketPlace(u64);

impl Tickets {
    /// Opens the folder, or makes it for this user alone. What is in it is read beside the start.
    ///
    /// # Errors
    /// When nothing can be written there, or other users could.
    pub(crate) fn open(folder: &Path) -> Result<Arc<Self>, Error> {
        let name = folder.display();
        let refused = |problem: String| Error::unexpected(format!("the folder of tickets {name}: {problem}"));
        let failed = |error: std::io::Error| refused(error.to_string());
        let folder = std::path::absolute(folder).map_err(failed)?;
        private_file::folders().recursive(true).create(&folder).map_err(failed)?;
        private_file::require_own(&folder).map_err(|exposed| refused(exposed.to_string()))?;
        // Said at the start, and not when the first failure comes.
        drop(private_file::without_name(&folder).map_err(failed)?);
        let (waiting, tickets) = bounded(MAX_WAITING);
        let (asked, asks) = bounded(4);
        let (changed, changes) = bounded(1);
        let known = Arc::<Known>::default();
        let keeper = Keeper { folder, tickets, asks, changes, known: known.clone() };
        std::thread::Builder::new().name("kirsch-tickets".to_owned()).spawn(move || keeper.run()).map_err(failed)?;
        Ok(Arc::new(Self { waiting, asked, changed, known }))
    }

    /// Counts a failure. `Some` if it is to be written down.
    pub(crate) fn count(&self, kind: FailureKind, time: &str) -> Option<TicketPlace> {
        let counted = self.known.index.lock().count(kind, time, Instant::now());
        let place = match counted {
            Counted::Wanted(key) if self.waiting.is_full() => {
                self.known.index.lock().give_up(key);
                self.drop_one();
                None
            }
            Counted::Wanted(key) => Some(TicketPlace(key)),
            Counted::Enough => None,
        };
        // Full: the word is there already.
        let _ = self.changed.try_send(());
        place
    }

    /// Leaves a ticket to the thread that writes. Whether there was room.
    pub(crate) fn write(&self, TicketPlace(key): TicketPlace, ticket: Ticket) -> bool {
        let is_taken = self.waiting.try_send((key, ticket)).is_ok();
        if !is_taken {
            self.known.index.lock().give_up(key);
            self.drop_one();
        }
        is_taken
    }

    fn drop_one(&self) {
        self.known.dropped.fetch_add(1, Ordering::Relaxed);
        self.known.tell_missing("failures come faster than they can be written");
    }

    /// The kinds of failures, the latest first.
    pub(crate) fn groups(&self) -> Vec<Group> {
        self.known.index.lock().groups()
    }

    /// Reads a ticket; `None` where there is none of this number.
    ///
    /// # Errors
    /// A sentence for the operator.
    pub(crate) fn read(&self, number: RequestId) -> Result<Option<serde_json::Value>, String> {
        if !self.known.index.lock().has(number) {
            return Ok(None);
        }
        self.ask(|answer| Ask::Read(number, answer), READING)
            .ok_or(SILENT_DISK)?
            .map(Some)
            .map_err(|error| error.to_string())
    }

    /// Forgets a ticket, and its kind with the count if it is the last of that. Whether there was one of this number.
    ///
    /// # Errors
    /// A sentence for the operator.
    pub(crate) fn forget(&self, number: RequestId) -> Result<bool, String> {
        if !self.known.index.lock().forget(number) {
            return Ok(false);
        }
        let removed = self.ask(|answer| Ask::Forget(number, answer), READING).ok_or(SILENT_DISK)?;
        removed.map(|()| true).map_err(|error| error.to_string())
    }

    /// Waits for the last tickets when the application stops, but not for ever.
    pub(crate) fn finish(&self) {
        if !self.flush_within(READING) {
            record!(Warn, target: TARGET, "the disk took no tickets for {READING:?}: the last ones are missing");
        }
    }

    /// Waits until all that was left here is written. Whether it is.
    fn flush_within(&self, within: Duration) -> bool {
        self.ask(Ask::Flush, within).is_some()
    }

    /// The answer of the thread that writes; `None` where there is none in time.
    fn ask<T>(&self, question: impl FnOnce(Sender<T>) -> Ask, within: Duration) -> Option<T> {
        let deadline = Instant::now() + within;
        let (answer, answered) = bounded(1);
        self.asked.send_deadline(question(answer), deadline).ok()?;
        answered.recv_deadline(deadline).ok()
    }
}

const SILENT_DISK: &str = "The disk did not answer.";

/// The card of the status page.
#[derive(Debug)]
pub(crate) struct OfTickets(pub(crate) Arc<Tickets>);

impl StatusSource for OfTickets {
    fn title(&self) -> String {
        "Tickets".to_owned()
    }

    fn rows(&self) -> Vec<StatusRow> {
        let known = &self.0.known;
        let (failures, kinds, tickets, last) = known.index.lock().sums();
        let [dropped, lost] = [&known.dropped, &known.lost].map(|count| count.load(Ordering::Relaxed));
        vec![
            StatusRow::new("failures", failures),
            StatusRow::new("kinds of failures", kinds),
            StatusRow::new("tickets", tickets),
            StatusRow::new("the last", last),
            StatusRow::new("dropped", dropped).alarming(dropped > 0),
            StatusRow::new("not written", lost).alarming(lost > 0),
        ]
    }
}

#[cfg(test)]
mod tests;
