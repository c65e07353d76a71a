//! Arguments of handlers: how a value of a handler's signature is taken out of an exchange.

use super::{HttpError, Request, RequestBody, Values};
use ::http::StatusCode;

/// What can be an argument of a handler.
///
/// The macros ask every type in a handler's signature for [`INFO`](Argument::INFO) at compile time, and call
/// [`take`](Argument::take) before the handler runs. Implement it for a type of your own to hand a tool's value
/// to handlers.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be an argument of a handler",
    label = "not an argument",
    note = "by name, from the path, the query or a form: `i64`, `f64`, `bool`, `char`, `String`, `&str`, `Option<T>`, `Vec<T>`, \
            or your own enum or newtype with `#[derive(Parameter)]`",
    note = "by type: `&Session`, `SessionView`, `&Request`, `&mut Response`, `Json<T>`, `Form<T>`, `Query<T>`, `Params`, `Segments`, \
            `Bytes`, `Body`, `Cookies`, `Conn`"
)]
pub trait Argument<'a>: Sized {
    /// What is known about the argument before a request comes; `name` is filled in by the macro.
    const INFO: ArgumentInfo;

    /// Takes the value. `name` is the argument's name in the signature.
    ///
    /// # Errors
    /// Answers the client: 404 or 400 as the parameter rules say, or what the type itself decides.
    fn take(name: &'static str, arguments: &mut Arguments<'a>) -> Result<Self, HttpError>;
}

/// What is known about an argument from its type and name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ArgumentInfo {
    /// The name in the signature.
    pub name: &'static str,
    /// Where its value comes from.
    pub source: Source,
    /// What it needs of the request body.
    pub body: BodyUse,
    /// The tool that must be on where the handler is published.
    pub requires: Option<&'static str>,
    /// Whether it asks for the session to be locked.
    pub locks_session: bool,
    /// Whether it is content with a snapshot of the session, so that nothing waits for the lock.
    pub views_session: bool,
}

impl ArgumentInfo {
    /// A value by type, that needs nothing special.
    pub const TYPED: Self = Self {
        name: "",
        source: Source::Typed,
        body: BodyUse::None,
        requires: None,
        locks_session: false,
        views_session: false,
    };

    /// The same with a name; the macros use it.
    #[must_use]
    pub const fn named(mut self, name: &'static str) -> Self {
        self.name = name;
        self
    }
}

/// Where an argument's value comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// By its name: path segments in order, then query, then form.
    Named {
        /// Whether a request without it is refused.
        required: bool,
    },
    /// All path segments that are left.
    Segments,
    /// By its type.
    Typed,
}

/// What a handler needs of the request body.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum BodyUse {
    /// Nothing.
    None,
    /// A form, if the client sent one: arguments by name.
    Form,
    /// All of it before the handler runs.
    Whole,
    /// The stream itself, read by the handler.
    Stream,
}

/// The parts of an exchange that arguments are taken from, while a handler or a child is called.
#[derive(Debug)]
pub struct Arguments<'a> {
    /// The request.
    pub request: &'a Request,
    /// The values that tools keep.
    pub values: &'a Values,
    /// The body, until an argument takes it.
    pub body: &'a mut RequestBody,
    /// The path segments left for arguments by name; they are taken from the front.
    pub(crate) segments: std::ops::Range<usize>,
}

impl<'a> Arguments<'a> {
    /// The next path segment, decoded, if one is left.
    pub fn next_segment(&mut self) -> Option<&'a str> {
        self.segments.next().map(|index| self.request.segment(index))
    }

    /// The first value of that name in the query, then in the form.
    #[must_use]
    pub fn parameter(&self, name: &str) -> Option<&'a str> {
        self.request.parameters(name).next()
    }
}

/// The answer to a request that lacks a parameter: 404 as in CherryPy, 400 when a form was sent.
pub(crate) fn missing(name: &str, request: &Request) -> HttpError {
    let status = if request.has_form() { StatusCode::BAD_REQUEST } else { StatusCode::NOT_FOUND };
    HttpError::new(status, format!("the parameter `{name}` is missing"))
}
