//! The token of a form: a secret of the browser's, in another disguise on each page.
//!
//! ```text
//! cookie   secret                     16 bytes, as 32 digits
//! page     mask, mask XOR secret      64 digits, the mask new for each page
//! ```
//!
//! Whoever sends both back has read the page, or is the site itself: another site can make the browser send the cookie, but cannot see it. On
//! encrypted connections the cookie's name begins with `__Host-`, so that no neighbour below the same domain can plant one.

use crate::exchange::{Argument, ArgumentInfo, Arguments, HttpError, SetCookie};
use crate::http::ResponseDirectives;
use crate::{Error, Exchange, HeaderValue, Request, StatusCode, header};
use std::sync::{Arc, OnceLock};

/// The token that a form of this page brings back; see [`Csrf`](super::Csrf).
///
/// As an argument it is `token: &CsrfToken`, in templates `csrf_token`. `Display` shows the token, [`field`](Self::field) the whole hidden input. A page that
/// has looked at it is one visitor's: shared caches do not keep it.
#[derive(Clone, Debug)]
pub struct CsrfToken(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    /// Read when somebody asks for the token: a page that does not is the same for all browsers.
    secret: OnceLock<Secret>,
    field: Arc<str>,
    shown: OnceLock<String>,
}

#[derive(Debug)]
struct Secret {
    bytes: [u8; BYTES],
    /// Whether the browser has it already.
    is_known: bool,
}

const BYTES: usize = 16;
const COOKIE: &str = "csrf";
const SECURE_COOKIE: &str = "__Host-csrf";

impl CsrfToken {
    /// The token of this request, if the tool is on for its path.
    #[must_use]
    pub fn of(exchange: &Exchange) -> Option<&Self> {
        exchange.values.get::<Self>().map(|token| token.asked_for(&exchange.request))
    }

    fn asked_for(&self, request: &Request) -> &Self {
        self.secret(|| secret_of(request));
        self
    }

    fn secret(&self, known: impl FnOnce() -> Option<[u8; BYTES]>) -> &Secret {
        self.0.secret.get_or_init(|| {
            let known = known();
            Secret { bytes: known.unwrap_or_else(random), is_known: known.is_some() }
        })
    }

    /// The token, 64 digits.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.shown.get_or_init(|| {
            let mask = random();
            let secret = self.secret(|| None).bytes;
            let digits = mask.into_iter().chain(mask.iter().zip(secret).map(|(mask, secret)| mask ^ secret));
            digits.map(|byte| format!("{byte:02x}")).collect()
        })
    }

    /// The token as a hidden field for a form: `<input type="hidden" name="csrf_token" value="...">`.
    #[must_use]
    pub fn field(&self) -> String {
        format!("<input type=\"hidden\" name=\"{}\" value=\"{self}\">", crate::escape(&self.0.field))
    }

    /// Puts it where handlers find it. Nothing is read, made or sent unless somebody looks at it.
    pub(super) fn offer(exchange: &mut Exchange, field: &Arc<str>) {
        let inner = Inner { secret: OnceLock::new(), field: field.clone(), shown: OnceLock::new() };
        exchange.values.insert(Self(Arc::new(inner)));
    }

    /// Whether `text` is this token in any of its disguises. Takes the same time for all texts of the right length.
    pub(super) fn accepts(&self, text: &str) -> bool {
        let Some(bytes) = from_digits::<{ 2 * BYTES }>(text) else { return false };
        let (mask, masked) = bytes.split_at(BYTES);
        let Secret { bytes: secret, is_known } = self.secret(|| None);
        let differences = mask.iter().zip(masked).zip(secret).map(|((mask, masked), secret)| mask ^ masked ^ secret);
        *is_known && std::hint::black_box(differences.fold(0, |all, difference| all | difference)) == 0
    }

    /// Gives the browser the secret, if the page has the token and the browser has not; keeps the page from shared caches.
    pub(super) fn give(exchange: &mut Exchange) -> Result<(), Error> {
        let Some(Self(inner)) = exchange.values.get::<Self>().filter(|token| token.0.shown.get().is_some()).cloned()
        else {
            return Ok(());
        };
        let Exchange { request, response, .. } = exchange;
        let said = response.headers().filter(|(name, _)| **name == header::CACHE_CONTROL).map(|(_, value)| value);
        let directives = ResponseDirectives::read(said);
        if !directives.private && !directives.no_store {
            response.set_header(header::CACHE_CONTROL, HeaderValue::from_static("private, no-cache"));
        }
        if let Some(Secret { bytes, is_known: false }) = inner.secret.get() {
            let digits: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
            let is_secure = request.origin().is_secure();
            response.set_cookie(SetCookie::new(name(is_secure), digits).secure(is_secure))?;
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
            log::error!(target: "kirsch::tools", "a handler asks for a token where the tool `csrf` is off");
            HttpError::new(StatusCode::INTERNAL_SERVER_ERROR, "")
        })
    }
}

fn name(is_secure: bool) -> &'static str {
    if is_secure { SECURE_COOKIE } else { COOKIE }
}

fn secret_of(request: &Request) -> Option<[u8; BYTES]> {
    let wanted = name(request.origin().is_secure());
    let mut cookies = request.headers_named("cookie").flat_map(crate::http::cookies);
    cookies.find(|(name, _)| *name == wanted).and_then(|(_, value)| from_digits(value))
}

fn random() -> [u8; BYTES] {
    let mut bytes = [0; BYTES];
    getrandom::fill(&mut bytes).expect("the operating system has a random source");
    bytes
}

fn from_digits<const N: usize>(text: &str) -> Option<[u8; N]> {
    let digits = text.as_bytes();
    if digits.len() != 2 * N {
        return None;
    }
    let mut bytes = [0; N];
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        let (high, low) = (char::from(pair[0]).to_digit(16)?, char::from(pair[1]).to_digit(16)?);
        *byte = u8::try_from(high << 4 | low).ok()?;
    }
    Some(bytes)
}
