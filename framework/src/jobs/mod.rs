//! Jobs: work that takes longer than a page, on threads of its own.
//!
//! A [`Job`] is a value that is kept until its work is done: at least once, also when the process dies in the middle.
//! [`Jobs`] is a queue with the threads that do what is in it; the guide has a page about it.
//!
//! | file | what is in it |
//! |---|---|
//! | `job.rs` | [`Job`], and what it can ask while it runs: [`Work`] |
//! | `handle.rs` | [`Jobs`]: set-up, enqueueing, states |
//! | `crew.rs` | the threads: workers and keeper |
//! | `queue.rs` | [`Queue`], what a queue must do |
//! | `memory.rs`, `sqlite/`, `postgres/`, `redis/` | queues |
//! | `ear.rs` | hearing of jobs of other processes |
//! | `lost_claims.rs` | claims of an engine whose answers were lost |
//! | `room.rs` | whether a queue in an engine has room |
//! | `cron.rs` | [`Cron`], times that come again and again |
//! | `pages.rs` | requests that wait for a job; [`Accepted`], and the pages that show states |

mod crew;
mod cron;
#[cfg(any(feature = "postgres", feature = "redis"))]
mod ear;
mod handle;
mod job;
#[cfg(any(feature = "postgres", feature = "redis"))]
mod lost_claims;
mod memory;
mod pages;
#[cfg(feature = "postgres")]
mod postgres;
mod queue;
#[cfg(feature = "redis")]
mod redis;
#[cfg(any(feature = "sqlite", feature = "postgres"))]
mod room;
#[cfg(feature = "sqlite")]
mod sqlite;

pub use cron::{Cron, CronError};
pub use handle::{JobChanged, Jobs, Prepared};
pub use job::{Job, Retry, Work};
pub use memory::MemoryQueue;
pub(crate) use pages::wait;
pub use pages::{Accepted, JobPages};
#[cfg(feature = "postgres")]
pub use postgres::PostgresQueue;
pub use queue::{Claimed, Enqueued, JobId, JobStatus, Keep, NewJob, Outcome, Queue, QueueError, Renewed, Stage};
#[cfg(feature = "redis")]
pub use redis::RedisQueue;
#[cfg(feature = "sqlite")]
pub use sqlite::{Change, SqliteQueue};

#[cfg(all(test, not(any(loom, shuttle))))]
mod tests;
