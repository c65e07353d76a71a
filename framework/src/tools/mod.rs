//! Tools that come with the framework: one file each, nothing but hooks and admission through the public interface.

mod caching;
#[cfg(feature = "gzip")]
mod gzip;
mod trailing_slash;

pub use caching::{Caching, CachingStatistics};
#[cfg(feature = "gzip")]
pub use gzip::Gzip;
pub use trailing_slash::TrailingSlash;
