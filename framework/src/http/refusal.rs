//! Why the server refuses a request before any handler saw it: one variant for each rule.

use ::http::StatusCode;

/// A request that breaks a rule of HTTP or a limit of the server.
///
/// The connection always ends after a refusal: what follows in the stream cannot be trusted.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Refusal {
    /// The request line is not `method SP target SP HTTP/1.x`.
    MalformedRequestLine,
    /// The body is larger than the limit (bytes) that the named setting sets.
    BodyTooLarge {
        /// The limit in bytes.
        limit: u64,
    },
    /// The client did not send what it promised in time.
    TooSlow {
        /// The setting that holds the deadline.
        setting: &'static str,
    },
    /// No worker became free in time, or the queue is full.
    Overloaded,
}

impl Refusal {
    /// The status that the client is answered with.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        match self {
            Self::MalformedRequestLine => StatusCode::BAD_REQUEST,
            Self::BodyTooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            Self::TooSlow { .. } => StatusCode::REQUEST_TIMEOUT,
            Self::Overloaded => StatusCode::SERVICE_UNAVAILABLE,
        }
    }
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let _ = f;
        todo!()
    }
}

impl std::error::Error for Refusal {}
