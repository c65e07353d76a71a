//! Tokens of forms, for `csrf`, `session_auth` and the status pages: a client that sends one back has read the page
//! that the browser got.
//!
//! ```text
//! cookie   secret        16 bytes, as 32 digits
//! page     mask, code    64 digits; the mask is new for each page, the code is made from mask and secret
//! ```
//!
//! How the code is made is the tool's. Another site can make the browser send the cookie, but cannot see it, nor the
//! page. The mask makes each page's token look different, so that its length in a compressed page says nothing
//! (BREACH). On secure origins the cookie's name begins with `__Host-`, so that no neighbour below the same domain can
//! plant one.

use crate::{Request, SetCookie, random};

/// A secret, a mask, a code.
pub(crate) type Half = [u8; BYTES];

const BYTES: usize = 16;

/// Most secrets of one request that are tried.
const MAX_SECRETS: usize = 16;

/// The cookie with the browser's secret.
pub(crate) struct SecretCookie {
    pub(crate) name: &'static str,
    /// On secure origins: the same with `__Host-`.
    pub(crate) secure_name: &'static str,
}

impl SecretCookie {
    /// The secrets that the browser has sent, in their order. There is one, unless an attacker has planted another:
    /// then ours may be any of them.
    pub(crate) fn read(&self, request: &Request) -> impl Iterator<Item = Half> {
        let wanted = self.name_for(request);
        let cookies = request.headers_named("cookie").flat_map(crate::http::cookies);
        cookies.filter(move |(name, _)| *name == wanted).filter_map(|(_, value)| from_digits(value)).take(MAX_SECRETS)
    }

    /// The field that gives the browser this secret.
    pub(crate) fn give(&self, request: &Request, secret: &Half) -> SetCookie {
        SetCookie::new(self.name_for(request), digits(secret)).secure(request.is_secure())
    }

    fn name_for(&self, request: &Request) -> &'static str {
        if request.is_secure() { self.secure_name } else { self.name }
    }
}

/// A new token, whose code `code` makes from the mask.
pub(crate) fn token(code: impl FnOnce(&Half) -> Half) -> String {
    let mask = random::bytes();
    digits(&mask) + &digits(&code(&mask))
}

/// Whether `text` is a token with the code that `code` makes from its mask. Takes the same time for all texts of the
/// right length.
pub(crate) fn is_right(text: &str, code: impl FnOnce(&Half) -> Half) -> bool {
    let Some((mask, said)) = text.split_at_checked(2 * BYTES) else { return false };
    let (Some(mask), Some(said)) = (from_digits(mask), from_digits(said)) else { return false };
    let differences = code(&mask).iter().zip(said).fold(0, |all, (right, said)| all | (right ^ said));
    std::hint::black_box(differences) == 0
}

fn digits(half: &Half) -> String {
    half.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn from_digits(text: &str) -> Option<Half> {
    let digits = text.as_bytes();
    if digits.len() != 2 * BYTES {
        return None;
    }
    let mut bytes = [0; BYTES];
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        let (high, low) = (char::from(pair[0]).to_digit(16)?, char::from(pair[1]).to_digit(16)?);
        *byte = u8::try_from(high << 4 | low).ok()?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_right_for_its_code_alone_and_never_twice_the_same() {
        let flipped = |mask: &Half| mask.map(|byte| !byte);
        let (one, other) = (token(flipped), token(flipped));
        assert_ne!(one, other);
        assert!(is_right(&one, flipped) && is_right(&other.to_uppercase(), flipped));
        assert!(!is_right(&one, |mask| *mask) && !is_right(&format!("{}{}", &one[..32], &other[32..]), flipped));
    }

    #[test]
    fn a_token_of_which_one_bit_is_different_is_wrong() {
        let flipped = |mask: &Half| mask.map(|byte| !byte);
        let token = token(flipped);
        for (index, bit) in (0..token.len()).flat_map(|index| (0..4).map(move |bit| (index, bit))) {
            let digit = u32::from_str_radix(&token[index..=index], 16).unwrap() ^ (1 << bit);
            let changed = format!("{}{digit:x}{}", &token[..index], &token[index + 1..]);
            assert!(!is_right(&changed, flipped), "{index} {bit}");
        }
    }

    #[test]
    fn a_malformed_token_is_wrong() {
        let zeros = |_: &Half| [0; BYTES];
        assert!(is_right(&"0".repeat(64), zeros));
        for text in [
            "",
            "0",
            &"0".repeat(63),
            &"0".repeat(65),
            &"x".repeat(64),
            &format!("{}ü", "0".repeat(31)),
            &"ü".repeat(32),
        ] {
            assert!(!is_right(text, zeros), "{text}");
        }
    }
}
