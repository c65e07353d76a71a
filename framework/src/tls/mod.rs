//! TLS: [`Tls`], the certificates of a server and what it asks of its clients, for [`App::tls`](crate::App::tls).
//!
//! Here is which certificates a server shows, which clients it believes, how both are renewed while it runs, and the
//! keys of tickets. No socket and no thread is here: the server reads the configuration once for each connection and
//! drives the session (`server/transport/`), and the engine lets the files be looked at now and then. The cryptography
//! is passed explicitly wherever rustls takes it, never installed for the process: other crates may want another one.
//!
//! | file | what is in it |
//! |---|---|
//! | `settings.rs` | [`Tls`], what is set in code or in a file |
//! | `pem.rs` | files of certificates and keys, and what can be wrong with them |
//! | `certificate.rs` | a chain with its key, checked, and the facts of a certificate |
//! | `resolver.rs` | which certificate a client gets |
//! | `clients.rs` | which client certificates are believed |
//! | `ticketer.rs` | tickets, by which clients go on with a session, and their keys |
//! | `expiry.rs` | warnings before a certificate ends |
//! | `in_service.rs` | the configuration that is in force |

mod certificate;
mod clients;
mod expiry;
mod in_service;
mod pem;
mod resolver;
mod settings;
#[cfg(test)]
mod tests;
mod ticketer;

pub(crate) use clients::client_certificate;
pub(crate) use in_service::TlsInService;
pub use settings::{ClientCertificates, PlainRequests, Tls};

use rustls::crypto::CryptoProvider;
use std::sync::Arc;

/// The protocols above TLS that the server offers, the best first.
#[cfg(not(feature = "http2"))]
const PROTOCOLS: [&[u8]; 1] = [b"http/1.1"];
#[cfg(feature = "http2")]
const PROTOCOLS: [&[u8]; 2] = [b"h2", b"http/1.1"];

/// The cryptography of this build.
pub(crate) fn provider() -> Arc<CryptoProvider> {
    #[cfg(feature = "tls-aws-lc")]
    let provider = rustls::crypto::aws_lc_rs::default_provider();
    #[cfg(not(feature = "tls-aws-lc"))]
    let provider = rustls::crypto::ring::default_provider();
    Arc::new(provider)
}
