//! Tools that come with the framework: one file each, nothing but hooks and admission through the public interface.

mod address;
mod caching;
mod etags;
mod expires;
mod fields;
#[cfg(feature = "gzip")]
mod gzip;
mod response_headers;
mod secure_headers;
mod static_files;
#[cfg(feature = "templates")]
mod templates;
mod trailing_slash;

pub use caching::{Caching, CachingStatistics};
pub use etags::Etags;
pub use expires::Expires;
#[cfg(feature = "gzip")]
pub use gzip::Gzip;
pub use response_headers::ResponseHeaders;
pub use secure_headers::{CspNonce, FrameOptions, SecureHeaders};
pub use static_files::{File, StaticDir, StaticFile, Symlinks, serve_download, serve_file};
#[cfg(feature = "templates")]
pub use templates::{Templates, View};
pub use trailing_slash::TrailingSlash;
