//! Failures of a session: the record in the log, and the answer to the client.

use super::Session;
use crate::exchange::HttpError;
use crate::sessions::{Data, StoreError};
use ::http::{HeaderValue, StatusCode, header};

/// The answer to the client in place of its page. It is boxed, since every step of a session may fail and few do.
pub(in crate::sessions) type Failure = Box<HttpError>;

/// Why nothing of a request was saved.
pub(super) enum NotKept {
    Conflict,
    LockLost,
    Failed(StoreError),
}

pub(super) fn changed_elsewhere() -> Failure {
    let message = "Your session was changed by another request meanwhile. Please try again.";
    HttpError::new(StatusCode::CONFLICT, message).into()
}

pub(super) fn try_again(message: &str) -> Failure {
    let retry_after = HeaderValue::from_static("1");
    HttpError::new(StatusCode::SERVICE_UNAVAILABLE, message).with_header(header::RETRY_AFTER, retry_after).into()
}

impl Session {
    /// The failure of a commit. For a session that has grown too large, the log names its largest values.
    pub(super) fn not_saved(&self, reason: NotKept, data: &Data) -> Failure {
        match reason {
            NotKept::Failed(error) if error.is_too_large() => {
                let (path, request) = (self.claim.path(), self.claim.request());
                let largest: Vec<_> =
                    data.largest(3).into_iter().map(|(key, size)| format!("{key:?} ({size} bytes)")).collect();
                crate::line::record!(Error,
                    target: "kirsch::sessions",
                    "{path} (request {request}): {error}; the largest names are {}; nothing of this request was saved. \
                     The limit is `sessions.max_size`, or the store's own",
                    largest.join(", ")
                );
                HttpError::new(StatusCode::INTERNAL_SERVER_ERROR, "").into()
            }
            reason => self.not_kept(reason),
        }
    }

    pub(super) fn not_kept(&self, reason: NotKept) -> Failure {
        let (path, request) = (self.claim.path(), self.claim.request());
        match reason {
            NotKept::Failed(error) => return self.store_failed(&error),
            NotKept::Conflict => crate::line::record!(Warn,
                target: "kirsch::sessions",
                "{path} (request {request}): the session was changed or ended elsewhere meanwhile, nothing of this request was saved"
            ),
            NotKept::LockLost => crate::line::record!(Warn,
                target: "kirsch::sessions",
                "{path} (request {request}): the lock of the session was lost while the request ran, since its lease lapsed (the process was \
                 paused, or could not reach the store in time); others may have changed the session since, nothing of this request was saved"
            ),
        }
        self.shared.counters.count_conflict();
        changed_elsewhere()
    }

    /// The store's answer. A failure of the store becomes the answer to the client.
    pub(super) fn answered<T>(&self, result: Result<T, StoreError>) -> Result<T, Failure> {
        match result {
            Ok(value) => {
                self.shared.health.worked();
                Ok(value)
            }
            Err(error) => Err(self.store_failed(&error)),
        }
    }

    #[cold]
    pub(super) fn store_failed(&self, error: &StoreError) -> Failure {
        let (path, request) = (self.claim.path(), self.claim.request());
        self.shared.health.failed(error, format_args!("{path}, request {request}"));
        try_again("Your session is not available at the moment. Please try again.")
    }
}
