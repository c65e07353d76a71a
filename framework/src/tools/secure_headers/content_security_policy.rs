//! A content security policy with a nonce: made for each request that uses it, and without the nonce for all others.

use super::super::fields;
use crate::exchange::{Argument, ArgumentInfo, Arguments, HttpError};
use crate::{Exchange, HeaderName, HeaderValue, StatusCode, header};
use std::sync::{Arc, OnceLock};

/// The random digits of this request that stand for `{nonce}` in
/// [`content_security_policy`](super::SecureHeaders::content_security_policy): for a page to write into `<script
/// nonce="...">`.
///
/// As an argument it is `nonce: &CspNonce`, in templates `csp_nonce`. Error pages and hooks find it in the exchange's
/// values. A page that has looked at it is never the same twice: it is kept by no cache and has no validators. Where
/// nothing has looked at it, the policy goes out without it, and allows no script by it.
#[derive(Clone, Debug, Default)]
pub struct CspNonce(Arc<OnceLock<String>>);

impl CspNonce {
    /// The nonce of this request, if the policy of its path has one.
    #[must_use]
    pub fn of(exchange: &Exchange) -> Option<&Self> {
        exchange.values.get()
    }

    /// Its 32 digits.
    ///
    /// # Panics
    /// When the kernel has no random bytes.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.get_or_init(crate::random::digits)
    }

    /// Whether anything has looked at it: then the page has it, and is good for this one answer.
    #[must_use]
    pub fn is_used(&self) -> bool {
        self.0.get().is_some()
    }

    /// Puts one where handlers find it.
    pub(super) fn offer(exchange: &mut Exchange) {
        exchange.values.insert(Self::default());
    }

    /// No client gets the page of another, nor, with a 304, the policy of another.
    pub(super) fn keep_from_caches(exchange: &mut Exchange) {
        if !Self::of(exchange).is_some_and(Self::is_used) {
            return;
        }
        let response = &mut exchange.response;
        response.remove_header(&header::ETAG).remove_header(&header::LAST_MODIFIED);
        fields::keep_from_shared_caches(response);
    }
}

impl std::fmt::Display for CspNonce {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

impl<'a> Argument<'a> for &'a CspNonce {
    const INFO: ArgumentInfo = ArgumentInfo::TYPED;

    fn take(_name: &'static str, arguments: &mut Arguments<'a>) -> Result<Self, HttpError> {
        arguments.values.get::<CspNonce>().ok_or_else(|| {
            crate::line::record!(Error,
                target: "kirsch::tools",
                "a handler asks for a nonce where `secure_headers.content_security_policy` has no 'nonce-{{nonce}}'"
            );
            HttpError::new(StatusCode::INTERNAL_SERVER_ERROR, "")
        })
    }
}

/// A policy, cut where the nonce belongs.
#[derive(Debug)]
pub(super) struct Policy {
    name: HeaderName,
    parts: Vec<String>,
    without: HeaderValue,
}

const NONCE: &str = "{nonce}";
const SOURCE: &str = "'nonce-{nonce}'";

impl Policy {
    pub(super) fn new(name: HeaderName, text: &str) -> Result<Self, String> {
        if text.matches(NONCE).count() != text.matches(SOURCE).count() {
            return Err(format!("is {text:?}; the nonce is a source in quotes: write {SOURCE}"));
        }
        fields::value(text)?;
        let without = text.split(';').map(without_nonce).collect::<Vec<_>>().join(";");
        let parts = text.trim().split(NONCE).map(str::to_owned).collect();
        Ok(Self { name, parts, without: fields::value(&without)? })
    }

    /// The value, if it is the same for all requests.
    pub(super) fn constant(&self) -> Option<HeaderValue> {
        (self.parts.len() == 1).then(|| self.without.clone())
    }

    pub(super) fn for_nonce(&self, nonce: Option<&CspNonce>) -> (HeaderName, HeaderValue) {
        let nonce = nonce.and_then(|nonce| nonce.0.get());
        let made = nonce.and_then(|nonce| HeaderValue::try_from(self.parts.join(nonce)).ok());
        (self.name.clone(), made.unwrap_or_else(|| self.without.clone()))
    }
}

/// A directive without its nonce; `'none'` if nothing else was allowed.
fn without_nonce(directive: &str) -> String {
    if !directive.contains(SOURCE) {
        return directive.to_owned();
    }
    let kept: Vec<_> = directive.split_ascii_whitespace().filter(|word| *word != SOURCE).collect();
    let start = if directive.starts_with(' ') { " " } else { "" };
    let end = if kept.len() < 2 { " 'none'" } else { "" };
    format!("{start}{}{end}", kept.join(" "))
}
