//! The token of a form, as the other tool's, with a code that needs no key: the secret in another disguise on each
//! page.
//!
//! ```text
//! code = mask XOR secret
//! ```

use super::super::fields::keep_from_shared_caches;
use crate::exchange::form_token::{Half, SecretCookie, is_right, token};
use crate::exchange::{Argument, ArgumentInfo, Arguments, HttpError};
use crate::{Error, Exchange, Request, StatusCode, random};
use std::sync::{Arc, OnceLock};

/// The token that a form of this page brings back; see [`Csrf`](super::Csrf).
///
/// As an argument it is `token: &CsrfToken`, in templates `csrf_token`. `Display` shows the token,
/// [`field`](Self::field) the whole hidden input. A page that has looked at it is one visitor's: shared caches do not
/// keep it.
#[derive(Clone, Debug)]
pub struct CsrfToken(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    /// Read only on demand: a page that does not ask for the token is the same for all browsers.
    secret: OnceLock<Secret>,
    field: Arc<str>,
    shown: OnceLock<String>,
}

#[derive(Debug)]
struct Secret {
    /// The first one makes new tokens. The others came with it: a planted one must not make our tokens wrong.
    all: Vec<Half>,
    /// Whether the browser has it already.
    is_known: bool,
}

const COOKIE: SecretCookie = SecretCookie { name: "csrf", secure_name: "__Host-csrf" };

impl CsrfToken {
    /// The token of this request, if the tool is on for its path.
    #[must_use]
    pub fn of(exchange: &Exchange) -> Option<&Self> {
        exchange.values.get::<Self>().map(|token| token.asked_for(&exchange.request))
    }

    fn asked_for(&self, request: &Request) -> &Self {
        self.secret(|| COOKIE.read(request).collect());
        self
    }

    fn secret(&self, known: impl FnOnce() -> Vec<Half>) -> &Secret {
        self.0.secret.get_or_init(|| {
            let mut all = known();
            let is_known = !all.is_empty();
            if !is_known {
                all.push(random::bytes());
            }
            Secret { all, is_known }
        })
    }

    /// The token, 64 digits.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.shown.get_or_init(|| token(|mask| code(mask, &self.secret(Vec::new).all[0])))
    }

    /// The token as a hidden field for a form: `<input type="hidden" name="csrf_token" value="...">`.
    #[must_use]
    pub fn field(&self) -> String {
        format!("<input type=\"hidden\" name=\"{}\" value=\"{self}\">", crate::escape(&self.0.field))
    }

    /// Puts it where handlers find it. Nothing is read, made or sent unless a handler looks at it.
    pub(super) fn offer(exchange: &mut Exchange, field: &Arc<str>) {
        let inner = Inner { secret: OnceLock::new(), field: field.clone(), shown: OnceLock::new() };
        exchange.values.insert(Self(Arc::new(inner)));
    }

    /// Whether `text` is this token in any of its disguises. Takes the same time for all texts of the right length.
    pub(super) fn accepts(&self, text: &str) -> bool {
        let Secret { all, is_known } = self.secret(Vec::new);
        *is_known && all.iter().any(|secret| is_right(text, |mask| code(mask, secret)))
    }

    /// Gives the browser the secret, if the page has the token and the browser has not; keeps the page from shared
    /// caches.
    pub(super) fn give(exchange: &mut Exchange) -> Result<(), Error> {
        let Some(Self(inner)) = exchange.values.get::<Self>().filter(|token| token.0.shown.get().is_some()).cloned()
        else {
            return Ok(());
        };
        let Exchange { request, response, .. } = exchange;
        keep_from_shared_caches(response);
        if let Some(Secret { all, is_known: false }) = inner.secret.get() {
            response.set_cookie(COOKIE.give(request, &all[0]))?;
        }
        Ok(())
    }
}

impl std::fmt::Display for CsrfToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

impl<'a> Argument<'a> for &'a CsrfToken {
    const INFO: ArgumentInfo = ArgumentInfo { requires: Some("csrf"), ..ArgumentInfo::TYPED };

    fn take(_name: &'static str, arguments: &mut Arguments<'a>) -> Result<Self, HttpError> {
        arguments.values.get::<CsrfToken>().map(|token| token.asked_for(arguments.request)).ok_or_else(|| {
            crate::line::record!(Error, target: "kirsch::tools", "a handler asks for a token where the tool `csrf` is off");
            HttpError::new(StatusCode::INTERNAL_SERVER_ERROR, "")
        })
    }
}

fn code(mask: &Half, secret: &Half) -> Half {
    std::array::from_fn(|index| mask[index] ^ secret[index])
}
