//! The facts about a handler without calling it.

use super::{Answer, ArgumentInfo, BodyUse, Description, Error, HttpError, Response, Source};
use ::http::{HeaderValue, Method, StatusCode, header};
use std::{borrow::Cow, ops::Deref, sync::Arc};

/// The description of one handler: made from its signature, read before any of its code runs.
#[derive(Clone, Debug)]
pub struct Handler {
    /// The name in the path: the method's name, `index`, `default`; in a resource the method, such as `get`.
    pub name: Cow<'static, str>,
    /// Other names in the path.
    pub aliases: Cow<'static, [&'static str]>,
    /// The HTTP methods it answers. HEAD follows GET; OPTIONS is answered for it.
    pub methods: MethodSet,
    /// Its arguments, in order.
    pub arguments: Cow<'static, [ArgumentInfo]>,
    /// The tool that must be on for what it returns, as `templates` for a `View`.
    pub return_requires: Option<&'static str>,
    /// What its types tell about it.
    pub description: Description,
}

impl Handler {
    /// Stands in the place of a handler that a `#[cfg]` removed: no path matches it.
    #[doc(hidden)]
    pub const ABSENT: Self = Self {
        name: Cow::Borrowed(""),
        aliases: Cow::Borrowed(&[]),
        methods: MethodSet::NONE,
        arguments: Cow::Borrowed(&[]),
        return_requires: None,
        description: Description::of(Answer::UNKNOWN),
    };

    /// How many path segments it can take: `None` is any number.
    #[must_use]
    pub fn segment_capacity(&self) -> Option<usize> {
        let mut named = 0;
        for argument in self.arguments.iter() {
            match argument.source {
                Source::Segments => return None,
                Source::Named { .. } => named += 1,
                Source::Repeated | Source::File | Source::Parameters | Source::Typed => {}
            }
        }
        Some(named)
    }

    /// Its need of the request body.
    #[must_use]
    pub fn body_use(&self) -> BodyUse {
        self.arguments.iter().map(|argument| argument.body).max().unwrap_or(BodyUse::None)
    }

    /// Whether one of its arguments uses the body in one of these ways.
    pub(crate) fn uses_body(&self, ways: &[BodyUse]) -> bool {
        self.arguments.iter().any(|argument| ways.contains(&argument.body))
    }

    /// Whether one of its arguments or its return value needs the tool of this name, such as `&Session` needs
    /// `sessions`.
    #[must_use]
    pub fn requires(&self, tool: &str) -> bool {
        self.arguments.iter().any(|argument| argument.requires == Some(tool)) || self.return_requires == Some(tool)
    }
}

/// A handler's description, shared: `'static` from the macros, counted from a tree built by hand.
#[derive(Clone, Debug)]
pub enum HandlerRef {
    /// Made by a macro.
    Static(&'static Handler),
    /// Made at run time.
    Shared(Arc<Handler>),
}

impl HandlerRef {
    /// A number that no other description has, for as long as this one lives. It is compared, never followed.
    #[inline]
    pub(crate) fn address(&self) -> usize {
        std::ptr::from_ref::<Handler>(self).addr()
    }
}

impl Deref for HandlerRef {
    type Target = Handler;

    fn deref(&self) -> &Handler {
        match self {
            Self::Static(handler) => handler,
            Self::Shared(handler) => handler,
        }
    }
}

/// A set of HTTP methods, of those that a handler can answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MethodSet(u16);

impl MethodSet {
    /// No method.
    pub const NONE: Self = Self(0);
    /// GET.
    pub const GET: Self = Self(1);
    /// HEAD.
    pub const HEAD: Self = Self(1 << 1);
    /// POST.
    pub const POST: Self = Self(1 << 2);
    /// PUT.
    pub const PUT: Self = Self(1 << 3);
    /// PATCH.
    pub const PATCH: Self = Self(1 << 4);
    /// DELETE.
    pub const DELETE: Self = Self(1 << 5);
    /// OPTIONS.
    pub const OPTIONS: Self = Self(1 << 6);
    /// Every method, those that no other set can hold too: for handlers that decide about the method themselves.
    pub const ANY: Self = Self(u16::MAX);
    /// The methods that a page answers by default: GET, HEAD and POST.
    pub const PAGE: Self = Self(Self::GET.0 | Self::HEAD.0 | Self::POST.0);

    const NAMES: [(Self, &'static str); 7] = [
        (Self::DELETE, "DELETE"),
        (Self::GET, "GET"),
        (Self::HEAD, "HEAD"),
        (Self::OPTIONS, "OPTIONS"),
        (Self::PATCH, "PATCH"),
        (Self::POST, "POST"),
        (Self::PUT, "PUT"),
    ];

    /// Both sets together.
    #[must_use]
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// The set that holds just `method`; empty for a method that no handler can answer.
    #[must_use]
    pub fn of(method: &Method) -> Self {
        match *method {
            Method::GET => Self::GET,
            Method::HEAD => Self::HEAD,
            Method::POST => Self::POST,
            Method::PUT => Self::PUT,
            Method::PATCH => Self::PATCH,
            Method::DELETE => Self::DELETE,
            Method::OPTIONS => Self::OPTIONS,
            _ => Self::NONE,
        }
    }

    /// Whether `self` has all methods of `other`, which must not be empty.
    #[must_use]
    pub const fn contains(self, other: Self) -> bool {
        other.0 != 0 && self.0 & other.0 == other.0
    }

    /// Whether the sets have a method in common.
    #[must_use]
    pub const fn overlaps(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    /// The methods that are in both sets.
    #[must_use]
    pub const fn common(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// The methods that are in this set and not in the other; HEAD goes with GET.
    #[must_use]
    pub const fn without(self, other: Self) -> Self {
        let reads = Self::GET.with(Self::HEAD);
        Self(self.0 & !(if other.overlaps(reads) { other.with(reads) } else { other }).0)
    }

    /// The answer to a request with another method: 405 with `Allow`, and 204 with `Allow` for OPTIONS.
    #[cold]
    pub(crate) fn refuse(self, method: &Method) -> Error {
        let allow = self.allow();
        let message = format!("This page answers {allow} only.");
        let allow = HeaderValue::try_from(allow).expect("method names are valid in a field");
        if *method == Method::OPTIONS {
            let mut answer = Response::new();
            answer.set_status(StatusCode::NO_CONTENT).set_header(header::ALLOW, allow);
            return answer.into();
        }
        HttpError::new(StatusCode::METHOD_NOT_ALLOWED, message).with_header(header::ALLOW, allow).into()
    }

    /// The value of an `Allow` field for this set: HEAD goes with GET, OPTIONS always.
    #[must_use]
    pub fn allow(self) -> String {
        let mut set = self.with(Self::OPTIONS);
        if set.contains(Self::GET) {
            set = set.with(Self::HEAD);
        }
        let names = Self::NAMES.iter().filter(|(method, _)| set.contains(*method));
        names.map(|(_, name)| *name).collect::<Vec<_>>().join(", ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn allow_lists_head_with_get_and_options_always() {
        assert_eq!(MethodSet::GET.allow(), "GET, HEAD, OPTIONS");
        assert_eq!(MethodSet::DELETE.with(MethodSet::POST).allow(), "DELETE, OPTIONS, POST");
    }
}
