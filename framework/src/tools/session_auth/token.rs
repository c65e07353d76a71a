//! The token of the login form, which proves that the form is ours: before the login there is no session that could
//! hold one.
//!
//! ```text
//! code = HMAC-SHA-256( key, secret ‖ mask )[..16]
//! ```
//!
//! Another site can make a browser send a login form, and so log a visitor in under a foreign name, whose owner then
//! reads what the visitor types. It cannot know the token that goes with the visitor's cookie.
//!
//! The cookie is not signed: an attacker who can plant one could as well plant their own, along with its token. So all
//! login forms of a host share it, under any key, and several that are open at the same time do not disturb each other.

use crate::exchange::SameSite;
use crate::exchange::form_token::{Half, SecretCookie, is_right, token};
use crate::random::{self, CodeKey};
use crate::{Error, Exchange, Request};
use std::time::Duration;

pub(super) struct Tokens {
    key: CodeKey,
}

const COOKIE: SecretCookie = SecretCookie { name: "login_form", secure_name: "__Host-login_form" };

/// For how long a login page can be left open.
const AGE: Duration = Duration::from_secs(12 * 60 * 60);

impl Tokens {
    /// Signed with `secret`; with a key of this process if it is empty.
    pub(super) fn new(secret: &[u8]) -> Self {
        Self { key: if secret.is_empty() { CodeKey::of_this_process() } else { CodeKey::new(secret) } }
    }

    /// The token for a form, and its cookie into the response. A cookie that the browser has stays, so that several
    /// open forms work.
    pub(super) fn give(&self, exchange: &mut Exchange) -> Result<String, Error> {
        let Exchange { request, response, .. } = exchange;
        let secret = COOKIE.read(request).next().unwrap_or_else(random::bytes);
        response.set_cookie(COOKIE.give(request, &secret).same_site(SameSite::Lax).max_age(AGE))?;
        Ok(token(|mask| self.code(&secret, mask)))
    }

    /// Whether the token goes with a cookie of the browser.
    pub(super) fn is_right(&self, request: &Request, token: &str) -> bool {
        COOKIE.read(request).any(|secret| is_right(token, |mask| self.code(&secret, mask)))
    }

    fn code(&self, secret: &Half, mask: &Half) -> Half {
        self.key.code(&[secret, mask])
    }
}
