//! Stores outside of this process. Each is behind the cargo feature of its name, and brings `Sessions::name(…)` with
//! it.

#[cfg(any(feature = "redis", feature = "memcached"))]
mod company;
#[cfg(feature = "file")]
pub(super) mod file;
mod kept;
#[cfg(feature = "memcached")]
pub(super) mod memcached;
#[cfg(any(feature = "file", feature = "memcached", feature = "sqlite"))]
mod polling;
#[cfg(feature = "postgres")]
pub(super) mod postgres;
#[cfg(any(feature = "file", feature = "sqlite"))]
mod range_lock;
#[cfg(feature = "redis")]
pub(super) mod redis;
#[cfg(feature = "sqlite")]
pub(super) mod sqlite;
#[cfg(any(feature = "redis", feature = "postgres"))]
mod wakeups;

#[cfg(any(feature = "redis", feature = "postgres"))]
use crate::databases::Owner;
#[cfg(any(feature = "redis", feature = "memcached"))]
use crate::databases::{Configured, StoreSettings};
#[cfg(any(feature = "redis", feature = "memcached"))]
use crate::sessions::{Answer, StoreError};
#[cfg(any(feature = "redis", feature = "memcached"))]
use std::sync::Arc;

#[cfg(any(feature = "redis", feature = "postgres"))]
const SESSIONS: Owner = Owner {
    settings: "sessions",
    log: "kirsch::sessions",
    #[cfg(feature = "redis")]
    page: "docs/reference/session-stores.md",
};

#[cfg(any(feature = "redis", feature = "memcached"))]
impl<E, S: StoreSettings<Engine = Arc<E>>> Configured<S> {
    /// The result of the engine's steps.
    fn answer<T, F>(&self, steps: impl FnOnce(Arc<E>) -> Result<F, StoreError>) -> Answer<T>
    where
        F: Future<Output = Result<T, StoreError>> + Send + 'static,
    {
        match self.engine().and_then(|engine| steps(Arc::clone(engine))) {
            Ok(answer) => Answer::later(answer),
            Err(error) => Answer::Now(Err(error)),
        }
    }
}
