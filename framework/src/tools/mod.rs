//! Tools that come with the framework: one file each, nothing but hooks and admission through the public interface.

mod accept;
mod address;
mod allow;
#[cfg(feature = "auth")]
mod auth_basic;
#[cfg(feature = "auth")]
mod auth_digest;
#[cfg(feature = "auth")]
mod authorization;
mod autovary;
mod bucket;
mod caching;
mod cors;
mod csrf;
mod err_redirect;
mod etags;
mod expires;
mod fields;
#[cfg(feature = "gzip")]
mod gzip;
mod ignore_headers;
mod limit;
mod log_headers;
mod log_hooks;
mod log_time;
mod log_tracebacks;
mod neighbourhood;
mod origins;
mod params;
mod proxy;
mod rate_limit;
mod redirect;
mod referer;
#[cfg(feature = "tls")]
mod require_certificate;
mod response_headers;
mod secure_headers;
#[cfg(feature = "auth")]
mod session_auth;
mod static_files;
#[cfg(feature = "templates")]
mod templates;
mod timeout;
mod trailing_slash;
#[cfg(feature = "websocket")]
mod websockets;

pub use accept::{Accept, Accepted};
pub use allow::Allow;
#[cfg(feature = "auth")]
pub use auth_basic::AuthBasic;
#[cfg(feature = "auth")]
pub use auth_digest::{AuthDigest, DigestAlgorithm, Ha1};
#[cfg(feature = "auth")]
pub use authorization::Verdict;
pub use autovary::Autovary;
pub use caching::{Caching, CachingStatistics};
pub use cors::Cors;
pub use csrf::{Csrf, CsrfToken};
pub use err_redirect::ErrRedirect;
pub use etags::Etags;
pub use expires::Expires;
#[cfg(feature = "gzip")]
pub use gzip::Gzip;
pub use ignore_headers::IgnoreHeaders;
pub use limit::{Limit, LimitStatistics};
pub use log_headers::LogHeaders;
pub use log_hooks::LogHooks;
pub use log_time::LogTime;
pub use log_tracebacks::LogTracebacks;
pub use params::{ParamRule, Params};
pub use proxy::Proxy;
pub use rate_limit::RateLimit;
pub use redirect::RedirectTo;
pub use referer::Referer;
#[cfg(feature = "tls")]
pub use require_certificate::RequireCertificate;
pub use response_headers::ResponseHeaders;
pub use secure_headers::{CspNonce, FrameOptions, SecureHeaders};
#[cfg(feature = "auth")]
pub use session_auth::{LoginForm, SessionAuth};
pub use static_files::{File, StaticDir, StaticFile, Symlinks, serve_download, serve_file};
#[cfg(feature = "templates")]
pub use templates::{Templates, View};
pub use timeout::{Deadline, Timeout};
pub use trailing_slash::TrailingSlash;
#[cfg(feature = "websocket")]
pub use websockets::WebSockets;

#[cfg(test)]
mod watching_tests;
