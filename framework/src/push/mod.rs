//! Push: telling clients what happens, when it happens. None of them holds a worker while nothing does.
//!
//! ```text
//! publish ─► encoded once ─► ring of the topic ─► wakers of those who have read everything ─► lane `news`
//! worker or ticker ─► pull: copy from the cursor to the end, 64 KiB at most ─► socket ─► wait for the next heartbeat
//! ```
//!
//! A subscriber is a cursor into the ring of its topic, so an event is in memory once, however many read it. One that
//! reads too slowly falls out of the ring, and is told so.
//!
//! | file | what is in it |
//! |---|---|
//! | `event.rs` | [`Event`], its format, its number ([`EventId`], [`LastEventId`]) |
//! | `ring.rs` | the last values of a topic, cursors in them, and wakers of those who have read all |
//! | `topic.rs` | [`Topic`]: publishing, and the past of a topic |
//! | `events.rs` | [`Events`]: the event stream that a handler returns |
//! | `feed.rs` | [`Feed`]: the other end of a stream of one's own |
//! | `room.rs` | `Room`: what many conversations hear alike |
//! | `await_news.rs` | [`Await`]: long polling |

mod await_news;
mod event;
mod events;
mod feed;
mod ring;
#[cfg(feature = "websocket")]
mod room;
mod topic;

pub use crate::exchange::{Pulled, Push, PushTurn, Watch};
pub use await_news::{Await, Awaited};
pub use event::{Event, EventId, LastEventId};
pub use events::{Events, Lag};
pub use feed::{Feed, Undelivered};
#[cfg(feature = "websocket")]
pub use room::Room;
pub(crate) use topic::CountedTopic;
pub use topic::{Changes, Tell, Topic, TopicStatistics};
