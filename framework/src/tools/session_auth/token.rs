//! The token of the login form, which says that the form is ours: before the login there is no session that could hold one.
//!
//! ```text
//! cookie = base64url( random (16) )
//! token  = base64url( mask (16) ‖ HMAC-SHA-256( key, random ‖ mask )[..16] )
//! ```
//!
//! Another site can make a browser send a login form, and so log a visitor in as somebody else, who then reads what he types. It cannot know the token that
//! goes with the visitor's cookie. On secure origins the cookie's name starts with `__Host-`, so that no neighbour under the same domain can set it. The mask makes
//! each form's token look different, so that its length in a compressed page says nothing.
//!
//! The cookie is not signed: who can plant one could as well plant one that he was given, along with its token. So all login forms of a host share
//! it, whatever their keys, and several that are open at the same time do not disturb each other.

use crate::exchange::SameSite;
use crate::{Cookies, Error, Exchange, Request, SetCookie};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use std::time::Duration;
use subtle::ConstantTimeEq;

pub(super) struct Tokens {
    key: Vec<u8>,
}

type Half = [u8; 16];

/// For how long a login page can be left open.
const AGE: Duration = Duration::from_secs(12 * 60 * 60);

impl Tokens {
    /// Signed with `secret`; with a key of this process if it is empty.
    pub(super) fn new(secret: &[u8]) -> Self {
        if secret.is_empty() {
            return Self { key: [random(), random()].concat() };
        }
        Self { key: secret.to_vec() }
    }

    /// The token for a form, and its cookie into the response. A cookie that the browser has stays, so that several open forms work.
    pub(super) fn give(&self, exchange: &mut Exchange) -> Result<String, Error> {
        let random = read(&exchange.request).unwrap_or_else(random);
        let value = URL_SAFE_NO_PAD.encode(random);
        let is_secure = exchange.request.origin().is_secure();
        let cookie = SetCookie::new(name(is_secure), value).secure(is_secure).same_site(SameSite::Lax).max_age(AGE);
        exchange.response.set_cookie(cookie)?;
        let mask = self::random();
        Ok(URL_SAFE_NO_PAD.encode([mask, self.code(&random, &mask)].concat()))
    }

    /// Whether the token goes with the browser's cookie.
    pub(super) fn is_right(&self, request: &Request, token: &str) -> bool {
        let (Some(random), Some((mask, code))) = (read(request), halves(token)) else { return false };
        bool::from(self.code(&random, &mask).ct_eq(&code))
    }

    fn code(&self, random: &Half, mask: &Half) -> Half {
        let mac = Hmac::<Sha256>::new_from_slice(&self.key).expect("a key may have any length");
        let mac = mac.chain_update(random).chain_update(mask);
        mac.finalize().into_bytes()[..16].try_into().expect("a hash has 32 bytes")
    }
}

/// The bytes in the browser's cookie.
fn read(request: &Request) -> Option<Half> {
    let name = name(request.origin().is_secure());
    URL_SAFE_NO_PAD.decode(Cookies::of(request).get(name)?).ok()?.try_into().ok()
}

fn name(is_secure: bool) -> &'static str {
    if is_secure { "__Host-login_form" } else { "login_form" }
}

fn halves(text: &str) -> Option<(Half, Half)> {
    let bytes: [u8; 32] = URL_SAFE_NO_PAD.decode(text).ok()?.try_into().ok()?;
    Some((bytes[..16].try_into().ok()?, bytes[16..].try_into().ok()?))
}

fn random() -> Half {
    let mut random = [0; 16];
    getrandom::fill(&mut random).expect("the operating system has a random source");
    random
}
