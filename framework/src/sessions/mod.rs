//! Sessions: what a visitor's requests have in common, kept by the server and found by a cookie.
//!
//! | file | what it holds |
//! |---|---|
//! | `tool` | [`Sessions`], the tool: its hooks, its settings, its job |
//! | `shared` | what all paths of one tool share |
//! | `settings`, `cookie` | how sessions behave on a path; the one place that reads and renders the cookie |
//! | `cookie_seal` | sessions that are in the cookie itself (feature `cookie`) |
//! | `session`, `view` | [`Session`] and [`SessionView`], what handlers see |
//! | `admission` | waiting for the lock without a thread |
//! | `lock_table` | the wait list of the locks in this process |
//! | `hold`, `keeper` | a lock while a request has it, that between processes included; the thread that keeps leases from lapsing |
//! | `ended` | the sessions that have ended a short while ago, for requests that came before |
//! | `detached` | steps that go on where nobody waits for them any more |
//! | `health` | what the log hears of a store that fails |
//! | `store`, `answer`, `shared_lock`, `wire` | what a store is; how it answers; the lock between processes; how a session is written down |
//! | `memory` | the store in memory |
//! | `stores` | the stores outside of this process, each behind its cargo feature |
//! | `data`, `id` | the content of a session; its name |
//!
//! | feature | what it brings |
//! |---|---|
//! | none | [`Sessions::in_memory`], [`Sessions::new`] with a store of one's own |
//! | `cookie` | `Sessions::cookie`: no store at all |
//! | `redis`, `memcached` and others | stores that processes share; `docs/reference/session-stores.md` lists them |
//!
//! Two things are kept apart that are often mixed up. The **lock table** says who may change a session now; it knows
//! only requests and holds nothing when no request does. The **store** keeps content with a version; it knows no
//! requests. A sweep therefore never meets a lock, and a lock never keeps a record alive. A store that processes share
//! has a lock of its own, between them: whoever has the local one asks for it, a commit under it carries its fence, and
//! a commit of who has lost it is refused. Everything here uses the public hooks and admission, as any tool could.

mod admission;
mod answer;
mod cookie;
#[cfg(feature = "cookie")]
mod cookie_seal;
mod data;
mod detached;
mod ended;
mod flash;
mod health;
mod hold;
#[cfg(all(test, shuttle))]
mod hold_model;
mod id;
mod keeper;
mod lock_table;
mod memory;
mod outliving;
mod session;
mod settings;
mod shared;
mod shared_lock;
mod store;
#[cfg(any(feature = "file", feature = "memcached", feature = "postgres", feature = "redis", feature = "sqlite"))]
mod stores;
mod tool;
mod view;
pub mod wire;

#[cfg(all(test, feature = "cookie"))]
mod cookie_tests;
#[cfg(test)]
mod later_tests;
#[cfg(test)]
mod shared_tests;
#[cfg(test)]
mod tests;

pub use crate::databases::StoreError;
pub use answer::{Answer, Answers, StoreFuture};
pub use cookie::{CookieLifetime, SameSite, Secure};
#[cfg(feature = "cookie")]
pub use cookie_seal::CookieSeal;
pub use data::Data;
pub use id::SessionId;
pub use lock_table::LockStatus;
pub use memory::MemoryStore;
pub use session::Session;
pub use settings::LockMode;
pub use shared_lock::{Fence, Grant, SharedLock, Watch, Watchers};
pub use store::{Commit, Moment, Record, Store, Terms, Version};
#[cfg(feature = "file")]
pub use stores::file::FileStore;
#[cfg(feature = "memcached")]
pub use stores::memcached::MemcachedStore;
#[cfg(feature = "postgres")]
pub use stores::postgres::PostgresStore;
#[cfg(feature = "redis")]
pub use stores::redis::RedisStore;
#[cfg(feature = "sqlite")]
pub use stores::sqlite::SqliteStore;
pub use tool::{Sessions, SessionsStatistics};
pub use view::SessionView;
