//! Stores outside of this process. Each is behind the cargo feature of its name, and brings `Sessions::name(…)` with
//! it.

#[cfg(any(feature = "redis", feature = "memcached"))]
mod company;
mod configured;
#[cfg(any(feature = "redis", feature = "memcached", feature = "postgres"))]
mod doubt;
#[cfg(feature = "file")]
pub(super) mod file;
mod kept;
#[cfg(feature = "memcached")]
pub(super) mod memcached;
#[cfg(any(feature = "file", feature = "memcached", feature = "sqlite"))]
mod polling;
#[cfg(any(feature = "redis", feature = "memcached", feature = "sqlite"))]
mod pool;
#[cfg(feature = "postgres")]
pub(super) mod postgres;
#[cfg(any(feature = "file", feature = "sqlite"))]
mod range_lock;
#[cfg(feature = "redis")]
pub(super) mod redis;
#[cfg(feature = "sqlite")]
pub(super) mod sqlite;
