//! Arguments of handlers: how a value of a handler's signature is taken out of an exchange.

use super::list_names::is_of_list;
use super::{Handler, HttpError, InvalidParameter, Parameter, Request, RequestBody, Trail, Values};
use ::http::StatusCode;
use std::ops::Range;

/// The types that can be an argument of a handler.
///
/// The macros ask every type in a handler's signature for [`INFO`](Argument::INFO) at compile time, and call
/// [`take`](Argument::take) before the handler runs. Implement it for a type of your own to hand a tool's value
/// to handlers:
///
/// ```
/// use kirsch::exchange::{Argument, ArgumentInfo, Arguments, HttpError};
/// use kirsch::prelude::*;
///
/// #[derive(Clone)]
/// struct User { name: String }
///
/// impl<'a> Argument<'a> for &'a User {
///     const INFO: ArgumentInfo = ArgumentInfo::TYPED;
///
///     fn take(_name: &'static str, arguments: &mut Arguments<'a>) -> Result<Self, HttpError> {
///         arguments.values.get().ok_or_else(|| HttpError::new(StatusCode::UNAUTHORIZED, "log in first"))
///     }
/// }
/// ```
///
/// A type made from one piece of text is an argument by name: derive [`Parameter`].
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be an argument of a handler",
    label = "not an argument",
    note = "by name, from the path, the query or a form: `i64`, `f64`, `bool`, `char`, `String`, `&str`, `Option<T>`, `Vec<T>`, \
            or your own enum or newtype with `#[derive(Parameter)]`",
    note = "by name, a file of a form: `Upload`, `Option<Upload>`, `Vec<Upload>`",
    note = "all of a form: `Form<T>`, or `Result<Form<T>, FormErrors>` where `T` has `#[derive(Fields)]`; `Query<T>` and `Json<T>` alike",
    note = "by type: `&Session`, `SessionView`, `&Login`, `&Accepted`, `&CspNonce`, `&CsrfToken`, `&Request`, `&mut Response`, `Json<T>`, \
            `Form<T>`, `Query<T>`, `Params`, `Segments`, `Bytes`, `Body`, `Multipart`, `Cookies`, `Conn`, \
            `TraceParent`, `Upgrade`"
)]
pub trait Argument<'a>: Sized {
    /// The facts about the argument before a request comes; the macro fills in `name`.
    const INFO: ArgumentInfo;

    /// Takes the value. `name` is the argument's name in the signature.
    ///
    /// # Errors
    /// The answer to the client: 404 or 400 by the rules for parameters, or the type's own.
    fn take(name: &'static str, arguments: &mut Arguments<'a>) -> Result<Self, HttpError>;
}

/// The facts about an argument from its type and name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ArgumentInfo {
    /// The name in the signature.
    pub name: &'static str,
    /// Where its value comes from.
    pub source: Source,
    /// Its need of the request body.
    pub body: BodyUse,
    /// The tool that must be on where the handler is published, or what a tool there must
    /// [provide](crate::Hooks::provides).
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

    /// A value by name that must be there.
    pub const PARAMETER: Self = Self { source: Source::Named { required: true }, body: BodyUse::Form, ..Self::TYPED };

    /// A value by name that may be missing.
    pub const OPTIONAL: Self = Self { source: Source::Named { required: false }, body: BodyUse::Form, ..Self::TYPED };

    /// All values of a name.
    pub const REPEATED: Self = Self { source: Source::Repeated, body: BodyUse::Form, ..Self::TYPED };

    /// Whether it is a value by name that must be there.
    #[cfg(feature = "openapi")]
    pub(crate) fn is_required(&self) -> bool {
        self.source == Source::Named { required: true }
    }

    /// These facts with a name; the macros use it.
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
    /// By its name: all values of query and form.
    Repeated,
    /// By its name: a file of a multipart form.
    File,
    /// All path segments that are left.
    Segments,
    /// All of query or form, under any name: the handler knows every field of it.
    Parameters,
    /// By its type.
    Typed,
}

/// A handler's need of the request body.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum BodyUse {
    /// Nothing.
    None,
    /// The texts of a form, if the client sent one: arguments by name. In memory, up to `max_form`.
    Form,
    /// The form as one value: any other body is refused.
    Fields,
    /// The files of a form, too: up to `max_body`, beyond `body_memory` in a temporary file.
    Files,
    /// JSON. In memory, up to `max_json`.
    Json,
    /// All of it before the handler runs, in any format, up to `max_body`.
    Whole,
    /// Known only when the handler runs, which may ask for any of the above.
    Any,
    /// The stream itself, read by the handler.
    Stream,
}

impl BodyUse {
    /// Those that look into a form.
    pub(crate) const OF_A_FORM: [Self; 4] = [Self::Form, Self::Fields, Self::Files, Self::Any];
}

/// The parts of an exchange that arguments are taken from, while a handler or a child is called.
#[derive(Debug)]
pub struct Arguments<'a> {
    /// The request.
    pub request: &'a Request,
    /// The values that tools keep.
    pub values: &'a Values,
    /// The way of the path to this handler, and the values that dispatchers captured.
    pub trail: &'a Trail,
    /// The body, until an argument takes it.
    pub body: &'a mut RequestBody,
    /// The path segments left for arguments by name; they are taken from the front.
    pub(crate) segments: Range<usize>,
    /// A child's arguments: by name from the path alone, since the query belongs to the handler below.
    pub(crate) path_only: bool,
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

    /// The value of the argument `name`, which must be there: for types that derive [`Parameter`].
    ///
    /// # Errors
    /// A missing value is 404, 400 when a form was sent, 415 when another body was. A value of another type is 404 in
    /// the path, 400 in query or form.
    pub fn required<T: Parameter>(&mut self, name: &'static str) -> Result<T, HttpError> {
        let given = self.given(name).ok_or_else(|| self.not_given(name))?;
        T::from_text(given.text).map_err(|InvalidParameter| given.refused(name, T::EXPECTED))
    }

    /// The value of the argument `name`, if it was given. Empty text counts as missing if it is not a value of the
    /// type: a browser sends every field of a form, the ones left blank too.
    ///
    /// # Errors
    /// A value of another type is 404 in the path, 400 in query or form.
    pub fn optional<T: Parameter>(&mut self, name: &'static str) -> Result<Option<T>, HttpError> {
        let Some(given) = self.given(name) else { return self.check_body().map(|()| None) };
        match T::from_text(given.text) {
            Ok(value) => Ok(Some(value)),
            Err(InvalidParameter) if given.text.is_empty() => Ok(None),
            Err(InvalidParameter) => Err(given.refused(name, T::EXPECTED)),
        }
    }

    /// All values of the argument `name` in query and form, in their order, those of fields `name[]` and `name[0]` too;
    /// blank ones are left out as in [`optional`](Self::optional).
    ///
    /// # Errors
    /// 400 when one of them is not such a value.
    pub fn repeated<T: Parameter>(&mut self, name: &'static str) -> Result<Vec<T>, HttpError> {
        let mut values = Vec::new();
        for text in self.all_given(name)? {
            match T::from_text(text) {
                Ok(value) => values.push(value),
                Err(InvalidParameter) if text.is_empty() => {}
                Err(InvalidParameter) => return Err(Given { text, in_path: false }.refused(name, T::EXPECTED)),
            }
        }
        Ok(values)
    }

    /// The texts of the list `name`.
    fn all_given(&self, name: &str) -> Result<Vec<&'a str>, HttpError> {
        let texts: Vec<_> = self.request.values_of_list(name).collect();
        if texts.is_empty() {
            self.check_body()?;
        }
        Ok(texts)
    }

    /// The answer when the argument `name`, which must be there, is missing.
    pub(super) fn not_given(&self, name: &str) -> HttpError {
        self.check_body().err().unwrap_or_else(|| missing(name, self.request))
    }

    /// For a missing argument: 415 when the client has sent a body that is not a form and that no other argument takes.
    /// Without this the body would be lost silently.
    pub(super) fn check_body(&self) -> Result<(), HttpError> {
        const OTHERS: [BodyUse; 4] = [BodyUse::Json, BodyUse::Whole, BodyUse::Any, BodyUse::Stream];
        let is_taken = || self.trail.handler().is_none_or(|handler| handler.uses_body(&OTHERS));
        if self.path_only || !self.request.brings_content() || self.request.has_form() || is_taken() {
            return Ok(());
        }
        Err(self.request.unsupported(A_FORM))
    }

    /// The text of the argument `name`, wherever it stands.
    pub(super) fn text(&mut self, name: &str) -> Option<&'a str> {
        self.given(name).map(|given| given.text)
    }

    /// The text of the argument `name`: the value that a dispatcher has captured, else the next path segment, else the
    /// first value in the query, else in the form.
    fn given(&mut self, name: &str) -> Option<Given<'a>> {
        let captures = &self.trail.captures;
        if !captures.is_empty()
            && let Some(text) = captures.get(name)
        {
            return Some(Given { text, in_path: true });
        }
        if let Some(text) = self.next_segment() {
            return Some(Given { text, in_path: true });
        }
        let text = if self.path_only { None } else { self.parameter(name) };
        text.map(|text| Given { text, in_path: false })
    }
}

/// The text of a parameter and where it was found.
struct Given<'a> {
    text: &'a str,
    in_path: bool,
}

impl Given<'_> {
    /// A path that cannot be is not there; a query or form that cannot be is a mistake. The text itself is not
    /// repeated.
    fn refused(&self, name: &str, expected: &str) -> HttpError {
        let status = if self.in_path { StatusCode::NOT_FOUND } else { StatusCode::BAD_REQUEST };
        HttpError::new(status, format!("the parameter `{name}` must be {expected}")).of_argument()
    }
}

/// The bodies that a page with a form reads.
pub(super) const A_FORM: &str = "a form, `application/x-www-form-urlencoded` or `multipart/form-data`";

/// The answer to a request that lacks a parameter: 404 as in CherryPy, 400 when a form was sent.
pub(crate) fn missing(name: &str, request: &Request) -> HttpError {
    let status = if request.has_form() { StatusCode::BAD_REQUEST } else { StatusCode::NOT_FOUND };
    HttpError::new(status, format!("the parameter `{name}` is missing")).of_argument()
}

/// Checks that `handler` knows every parameter in query and form by name, as the setting `strict_params` asks. A
/// handler that takes all parameters, or the request itself, knows every name.
///
/// # Errors
/// 404 as in CherryPy, 400 when a form was sent; names the parameter.
pub fn check_parameters(handler: &Handler, request: &Request) -> Result<(), HttpError> {
    if handler.arguments.iter().any(|argument| argument.source == Source::Parameters) {
        return Ok(());
    }
    let is_known = |name: &str| {
        handler.arguments.iter().any(|argument| match argument.source {
            Source::Named { .. } => argument.name == name,
            Source::Repeated | Source::File => is_of_list(name, argument.name),
            Source::Segments | Source::Parameters | Source::Typed => false,
        })
    };
    let mut names = request.all_parameters().map(|(name, _)| name).chain(request.upload_names());
    match names.find(|name| !is_known(name)) {
        None => Ok(()),
        Some(name) => {
            let status = if request.has_form() { StatusCode::BAD_REQUEST } else { StatusCode::NOT_FOUND };
            Err(HttpError::new(status, format!("the parameter `{}` is not known here", name.escape_debug())))
        }
    }
}

impl<'a> Argument<'a> for &'a str {
    const INFO: ArgumentInfo = ArgumentInfo::PARAMETER;

    fn take(name: &'static str, arguments: &mut Arguments<'a>) -> Result<Self, HttpError> {
        let given = arguments.given(name).ok_or_else(|| arguments.not_given(name))?;
        Ok(given.text)
    }
}

impl<'a> Argument<'a> for Option<&'a str> {
    const INFO: ArgumentInfo = ArgumentInfo::OPTIONAL;

    fn take(name: &'static str, arguments: &mut Arguments<'a>) -> Result<Self, HttpError> {
        match arguments.given(name) {
            Some(given) => Ok(Some(given.text)),
            None => arguments.check_body().map(|()| None),
        }
    }
}

impl<'a> Argument<'a> for Vec<&'a str> {
    const INFO: ArgumentInfo = ArgumentInfo::REPEATED;

    fn take(name: &'static str, arguments: &mut Arguments<'a>) -> Result<Self, HttpError> {
        arguments.all_given(name)
    }
}

impl<'a, T: Parameter> Argument<'a> for Option<T> {
    const INFO: ArgumentInfo = ArgumentInfo::OPTIONAL;

    fn take(name: &'static str, arguments: &mut Arguments<'a>) -> Result<Self, HttpError> {
        arguments.optional(name)
    }
}

impl<'a, T: Parameter> Argument<'a> for Vec<T> {
    const INFO: ArgumentInfo = ArgumentInfo::REPEATED;

    fn take(name: &'static str, arguments: &mut Arguments<'a>) -> Result<Self, HttpError> {
        arguments.repeated(name)
    }
}

/// Each type has its own impl, as `derive(Parameter)` writes it. One impl for all `T: Parameter` would make the
/// compiler ask for `Parameter` where a type is not an argument at all, and hide the list of possible types.
macro_rules! argument_by_name {
    ($($type:ty),* $(,)?) => {$(
        impl<'a> Argument<'a> for $type {
            const INFO: ArgumentInfo = ArgumentInfo::PARAMETER;

            fn take(name: &'static str, arguments: &mut Arguments<'a>) -> Result<Self, HttpError> {
                arguments.required(name)
            }
        }
    )*};
}

argument_by_name!(i8, i16, i32, i64, i128, isize, u8, u16, u32, u64, u128, usize, f32, f64, bool, char, String);
