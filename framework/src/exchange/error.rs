//! The one error type of handlers and hooks, sorted by what the client should see.

use super::Response;
use super::body_reader::NotUtf8;
use super::problem::ProblemMembers;
use crate::http::{MultipartError, Refusal, is_local_reference, reason};
use ::http::{HeaderName, HeaderValue, StatusCode, header};
use std::backtrace::Backtrace;
use std::borrow::Cow;
use std::panic::Location;
use std::sync::atomic::{AtomicBool, Ordering};

/// Why a handler or a hook did not end in an ordinary response.
///
/// With `?` every error of a program becomes one: any `std::error::Error`, `Box<dyn std::error::Error + Send + Sync>`,
/// `anyhow::Error`, and a `String` or `&str` that tells what went wrong. The client sees 500 and the request's number,
/// the log the cause. Only the `std::io::Error` of a request body that breaks a rule of HTTP, or a limit, is answered
/// with the status of that rule.
///
/// The log also tells the [place](Self::place) of the `?`.
pub struct Error(Box<Inner>);

struct Inner {
    kind: ErrorKind,
    place: Option<&'static Location<'static>>,
    /// The type that was made into this error.
    of: &'static str,
    /// The way to an unexpected error, where [`capture_backtraces`] was called.
    backtrace: Option<Backtrace>,
}

/// Lets unexpected errors and panics keep their backtrace, which the debug page shows. Taking one costs time, of a
/// panic milliseconds.
pub(crate) fn capture_backtraces() {
    CAPTURES_BACKTRACES.store(true, Ordering::Relaxed);
}

/// A backtrace, where they are captured.
pub(crate) fn backtrace() -> Option<Backtrace> {
    CAPTURES_BACKTRACES.load(Ordering::Relaxed).then(Backtrace::force_capture)
}

static CAPTURES_BACKTRACES: AtomicBool = AtomicBool::new(false);

/// The kinds of [`Error`].
#[derive(Debug)]
#[non_exhaustive]
pub enum ErrorKind {
    /// An answer with an error status and its error page.
    Http(HttpError),
    /// Elsewhere: 303 and friends.
    Redirect(Redirect),
    /// Go on with another path within this server.
    InternalRedirect(String),
    /// A ready response, in place of the usual one.
    Answer(Response),
    /// A failure of the program: 500 without details, the cause in the log.
    Unexpected(Box<dyn std::error::Error + Send + Sync>),
}

impl Error {
    /// An error with this status and a message for the client.
    pub fn new(status: StatusCode, message: impl Into<String>) -> Self {
        HttpError::new(status, message).into()
    }

    /// 404.
    #[must_use]
    pub fn not_found() -> Self {
        HttpError::new(StatusCode::NOT_FOUND, String::new()).into()
    }

    /// Goes on with another path (and query) of this server, as if the client had asked for it.
    ///
    /// CherryPy's `InternalRedirect`.
    pub fn internal_redirect(path: impl Into<String>) -> Self {
        ErrorKind::InternalRedirect(path.into()).into()
    }

    /// A failure that only its message describes: 500, the message in the log.
    #[track_caller]
    pub fn unexpected(message: impl Into<String>) -> Self {
        Self::at(ErrorKind::Unexpected(message.into().into()), MESSAGE, Location::caller())
    }

    /// The kind of an error.
    #[must_use]
    pub fn kind(&self) -> &ErrorKind {
        &self.0.kind
    }

    /// Where in the program a failure became this error: the place of the `?` in a function that returns
    /// [`kirsch::Result`](crate::Result), or of [`unexpected`](Self::unexpected). Only for unexpected errors, and not
    /// when the framework has converted it, as for a handler that returns `Result<_, std::io::Error>`.
    ///
    /// ```no_run
    /// fn read() -> kirsch::Result<String> {
    ///     Ok(std::fs::read_to_string("/no/such/file")?)
    /// }
    /// assert!(read().unwrap_err().place().is_some_and(|place| place.line() > 0));
    /// ```
    #[must_use]
    pub fn place(&self) -> Option<&'static Location<'static>> {
        self.0.place
    }

    /// The kind, owned.
    #[must_use]
    pub fn into_kind(self) -> ErrorKind {
        self.0.kind
    }
}

impl Error {
    /// Whether it is an answer of 400 to 499.
    pub(crate) fn is_clients_fault(&self) -> bool {
        matches!(self.kind(), ErrorKind::Http(error) if error.status.is_client_error())
    }

    /// The type that was made into this error, as `std::io::Error`.
    pub(crate) fn type_name(&self) -> &'static str {
        self.0.of
    }

    pub(crate) fn backtrace(&self) -> Option<&Backtrace> {
        self.0.backtrace.as_ref()
    }

    /// The path of an internal redirect, or the error that it is instead.
    pub(crate) fn into_internal_redirect(self) -> Result<String, Self> {
        match self.0.kind {
            ErrorKind::InternalRedirect(path) => Ok(path),
            _ => Err(self),
        }
    }

    /// An error that knows its place, if that is in the program itself.
    fn at(kind: ErrorKind, of: &'static str, place: &'static Location<'static>) -> Self {
        let is_ours = place.file().starts_with(self_path()) || place.file().starts_with("/rustc/");
        Self(Box::new(Inner { kind, place: (!is_ours).then_some(place), of, backtrace: backtrace() }))
    }
}

/// Stands for the type of an error that only its message describes.
const MESSAGE: &str = "message";

/// The folder of this crate's files, as `file!` writes it.
fn self_path() -> &'static str {
    file!().strip_suffix("exchange/error.rs").unwrap_or(file!())
}

impl From<ErrorKind> for Error {
    fn from(kind: ErrorKind) -> Self {
        Self(Box::new(Inner { kind, place: None, of: MESSAGE, backtrace: None }))
    }
}

impl From<HttpError> for Error {
    fn from(error: HttpError) -> Self {
        ErrorKind::Http(error).into()
    }
}

impl From<Box<HttpError>> for Error {
    fn from(error: Box<HttpError>) -> Self {
        (*error).into()
    }
}

impl From<Redirect> for Error {
    fn from(redirect: Redirect) -> Self {
        ErrorKind::Redirect(redirect).into()
    }
}

impl From<Response> for Error {
    fn from(response: Response) -> Self {
        ErrorKind::Answer(response).into()
    }
}

impl<E: Into<Box<dyn std::error::Error + Send + Sync>>> From<E> for Error {
    #[track_caller]
    fn from(error: E) -> Self {
        let error = error.into();
        match clients_fault(&*error) {
            Some(fault) => fault.into(),
            None => Self::at(ErrorKind::Unexpected(error), std::any::type_name::<E>(), Location::caller()),
        }
    }
}

/// The client's fault that the reader of a body has met, wherever it was passed on.
fn clients_fault(error: &(dyn std::error::Error + 'static)) -> Option<HttpError> {
    if let Some(refusal) = error.downcast_ref::<Refusal>() {
        return Some(HttpError::of(refusal));
    }
    if let Some(error) = error.downcast_ref::<MultipartError>() {
        return Some(HttpError::new(error.status(), error.to_string()));
    }
    if let Some(error) = error.downcast_ref::<NotUtf8>() {
        return Some(HttpError::new(StatusCode::BAD_REQUEST, error.to_string()));
    }
    match error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref) {
        // Its `source` is that of the error within, not the error within.
        Some(within) => clients_fault(within),
        None => clients_fault(error.source()?),
    }
}

impl std::fmt::Display for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.kind() {
            ErrorKind::Http(error) => write!(f, "{}: {}", named(error.status), error.message),
            ErrorKind::Redirect(redirect) => write!(f, "{} to {}", named(redirect.status), redirect.location),
            ErrorKind::InternalRedirect(path) => write!(f, "internal redirect to {path}"),
            ErrorKind::Answer(response) => write!(f, "answered with {}", named(response.status())),
            ErrorKind::Unexpected(error) => write!(f, "{error}"),
        }
    }
}

/// The status as the status line has it: the `Display` of [`StatusCode`] has other names for some.
fn named(status: StatusCode) -> String {
    format!("{} {}", status.as_str(), reason(status).unwrap_or("Error"))
}

/// Prints the message alone: it is what `fn main() -> kirsch::Result` shows when the server cannot start.
impl std::fmt::Debug for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Display::fmt(self, f)
    }
}

/// An answer with an error status, like CherryPy's `HTTPError`.
///
/// For clients that are programs, [`Problem`](super::Problem) says more about it.
#[derive(Clone, Debug)]
pub struct HttpError {
    /// The status, 400 to 599.
    pub status: StatusCode,
    /// The message of the error page; empty for the usual sentence of the status.
    pub message: String,
    /// Fields that belong to the answer, such as `Allow` or `Retry-After`.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// Further members of a [`Problem`](super::Problem).
    pub(crate) problem: Option<Box<ProblemMembers>>,
    /// What the operator can do about it, for the log and for pages that show details.
    pub(crate) remedy: Option<Cow<'static, str>>,
    /// Whether an argument could not be made, so that the handler was not called.
    pub(crate) is_of_argument: bool,
}

impl HttpError {
    /// An error with this status and message.
    pub fn new(status: StatusCode, message: impl Into<String>) -> Self {
        Self {
            status,
            message: message.into(),
            headers: Vec::new(),
            problem: None,
            remedy: None,
            is_of_argument: false,
        }
    }

    /// Adds a sentence for the operator: the log has it, and the page where it may show details.
    pub(crate) fn with_remedy(mut self, remedy: impl Into<Cow<'static, str>>) -> Self {
        self.remedy = Some(remedy.into());
        self
    }

    /// Notes that an argument of the handler could not be made.
    pub(crate) fn of_argument(mut self) -> Self {
        self.is_of_argument = true;
        self
    }

    /// The answer to a request that breaks a rule of the protocol, or meets a limit.
    pub(crate) fn of(refusal: &Refusal) -> Self {
        let mut error = Self::new(refusal.status(), refusal.to_string());
        if let Some(seconds) = refusal.retry_after() {
            error = error.with_header(header::RETRY_AFTER, HeaderValue::from_static(seconds));
        }
        match refusal.setting() {
            Some(setting) => error.with_remedy(format!("the setting is `{setting}`")),
            None => error,
        }
    }

    /// Adds one more field.
    #[must_use]
    pub fn with_header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.push((name, value));
        self
    }
}

/// An answer that sends the client to another address, like CherryPy's `HTTPRedirect`.
///
/// The target is encoded as a URI reference; control characters in it are an error of the program (500). It leads
/// wherever it says: for a target that a visitor has sent there is [`local`](Self::local).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Redirect {
    /// 303 unless said otherwise.
    pub status: StatusCode,
    /// The target, as it goes into `Location`.
    pub location: String,
}

impl Redirect {
    /// 303: GET `location` instead.
    pub fn to(location: impl Into<String>) -> Self {
        Self { status: StatusCode::SEE_OTHER, location: location.into() }
    }

    /// 303 to a page of this site that the visitor has named, as in a field `next`: anybody can send a link with
    /// another site in it.
    ///
    /// ```
    /// use kirsch::Redirect;
    ///
    /// assert!(Redirect::local("/members?page=2").is_ok());
    /// assert!(Redirect::local("//evil.example").is_err() && Redirect::local("/\\evil.example").is_err());
    /// ```
    ///
    /// # Errors
    /// 400 for anything but a path of this site ([`is_local_reference`](crate::http::is_local_reference)).
    pub fn local(location: impl Into<String>) -> Result<Self, Error> {
        let location = location.into();
        if !is_local_reference(&location) {
            return Err(Error::new(StatusCode::BAD_REQUEST, "The address to go on with is not a page of this site."));
        }
        Ok(Self::to(location))
    }

    /// 301: `location` from now on.
    pub fn permanent(location: impl Into<String>) -> Self {
        Self { status: StatusCode::MOVED_PERMANENTLY, location: location.into() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exchange::body_reader::BodyError;
    use std::io;

    #[test]
    fn a_refusal_that_passes_says_when_to_come_again() {
        let wait = |refusal| HttpError::of(&refusal).headers.pop().map(|(_, value)| value);
        assert_eq!(wait(Refusal::NoRoomForMore), Some(HeaderValue::from_static("10")));
        assert_eq!(wait(Refusal::NoRoomForBody), None, "nothing tells when the disk has room");
    }

    #[test]
    fn a_clients_fault_is_found_through_the_error_of_a_parser() {
        struct Broken;
        impl io::Read for Broken {
            fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
                Err(BodyError::from(Refusal::IncompleteBody).into())
            }
        }
        let parsed = serde_json::from_reader::<_, u64>(Broken).expect_err("the body breaks off");
        assert!(matches!(Error::from(parsed).kind(), ErrorKind::Http(HttpError { status, .. }) if *status == 400));
        let parsed = serde_json::from_str::<u64>("x").expect_err("no number");
        assert!(matches!(Error::from(parsed).kind(), ErrorKind::Unexpected(_)));
    }

    #[test]
    fn every_error_of_a_program_becomes_one_with_its_causes() {
        fn boxed() -> Result<(), Error> {
            let cause: Box<dyn std::error::Error + Send + Sync> = io::Error::other("the disk is full").into();
            Err(cause)?
        }
        fn text() -> Result<(), Error> {
            Err("out of cherries")?
        }
        for (failure, told) in [(boxed(), "the disk is full"), (text(), "out of cherries")] {
            let error = failure.expect_err("it fails");
            assert!(matches!(error.kind(), ErrorKind::Unexpected(_)));
            assert_eq!(error.to_string(), told);
        }
    }

    #[test]
    fn a_clients_fault_met_while_reading_its_body_keeps_its_status() {
        let refusal = Refusal::TooSlow { setting: "server.body_timeout" };
        let direct = io::Error::new(io::ErrorKind::TimedOut, refusal);
        let parsed = io::Error::other(io::Error::new(io::ErrorKind::TimedOut, refusal));
        for error in [Error::from(direct), Error::from(parsed)] {
            assert!(matches!(error.kind(), ErrorKind::Http(HttpError { status, .. }) if *status == 408), "{error}");
        }
        let other = Error::from(io::Error::other("the disk"));
        assert!(matches!(other.kind(), ErrorKind::Unexpected(_)));
    }
}
