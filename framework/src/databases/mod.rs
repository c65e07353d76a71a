//! The ways to databases outside of the process: what sessions and jobs that are kept there have in common. What is
//! kept there is not the matter of this room.
//!
//! | file | what is in it |
//! |---|---|
//! | `configured` | settings until the first use, and the engine that is made of them then |
//! | `doubt` | which requests may ask a server while it does not answer |
//! | `listening` | hearing what other processes say, again and again after a break |
//! | `pool` | connections that are kept for the next request |
//! | `postgres` | connections to PostgreSQL, on a thread of tokio |
//! | `redis` | addresses of Redis, and connections |

#[cfg(any(feature = "file", feature = "memcached", feature = "postgres", feature = "redis", feature = "sqlite"))]
mod configured;
#[cfg(any(feature = "redis", feature = "memcached", feature = "postgres"))]
pub(crate) mod doubt;
mod error;
#[cfg(any(feature = "redis", feature = "postgres"))]
pub(crate) mod listening;
#[cfg(any(feature = "redis", feature = "memcached", feature = "sqlite"))]
pub(crate) mod pool;
#[cfg(feature = "postgres")]
pub(crate) mod postgres;
#[cfg(feature = "redis")]
pub(crate) mod redis;

#[cfg(any(feature = "file", feature = "memcached", feature = "postgres", feature = "redis", feature = "sqlite"))]
pub(crate) use configured::{Configured, StoreSettings};
#[cfg(any(feature = "redis", feature = "memcached", feature = "postgres"))]
pub(crate) use configured::{Connections, connection_builders};
pub use error::StoreError;

/// Whose database it is, for messages.
#[cfg(any(feature = "redis", feature = "postgres"))]
#[derive(Clone, Copy, Debug)]
pub(crate) struct Owner {
    /// How its settings begin: `sessions`.
    pub(crate) settings: &'static str,
    /// Its lines in the log.
    pub(crate) log: &'static str,
    /// The page that lists the permissions that it needs.
    #[cfg(feature = "redis")]
    pub(crate) page: &'static str,
}
