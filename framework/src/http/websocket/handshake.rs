//! The words of a handshake (RFC 6455, section 4): the key and its answer, and the offer to compress.

use crate::http::list_members;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha1::{Digest, Sha1};

/// What every server appends to the key (RFC 6455, section 1.3).
const GUID: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// Whether the value of `Sec-WebSocket-Key` is sixteen bytes in Base64.
#[must_use]
pub fn is_key(key: &[u8]) -> bool {
    STANDARD.decode(key).is_ok_and(|bytes| bytes.len() == 16)
}

/// The value of `Sec-WebSocket-Accept` for a key.
#[must_use]
pub fn accept_key(key: &[u8]) -> String {
    STANDARD.encode(Sha1::new().chain_update(key).chain_update(GUID).finalize())
}

/// How far back our compressed messages refer (RFC 7692, section 7.1.2.1). Each thread keeps a compressor for each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Window {
    /// The client does not care: as far as can be.
    Any,
    /// 512 bytes.
    Small,
    /// 4 KiB, as programs ask for that want to keep little.
    Medium,
    /// 32 KiB.
    Full,
}

impl Window {
    /// The largest of at most these bits. There is none of 8: compressors make 9 of it.
    fn of_at_most(bits: &[u8]) -> Option<Self> {
        match unquoted(bits) {
            b"9" | b"10" | b"11" => Some(Self::Small),
            b"12" | b"13" | b"14" => Some(Self::Medium),
            b"15" => Some(Self::Full),
            _ => None,
        }
    }

    /// The base-2 logarithm of its size.
    #[must_use]
    pub fn bits(self) -> u8 {
        match self {
            Self::Small => 9,
            Self::Medium => 12,
            Self::Any | Self::Full => 15,
        }
    }

    /// The extension as it is agreed on: each message by itself, in both directions, and the window if the client has
    /// asked for one.
    #[must_use]
    pub fn agreed(self) -> String {
        let each = "permessage-deflate; client_no_context_takeover; server_no_context_takeover";
        match self {
            Self::Any => each.to_owned(),
            _ => format!("{each}; server_max_window_bits={}", self.bits()),
        }
    }
}

/// Whether the client offers to compress messages in a way that we can do: `permessage-deflate` with a window of one of
/// our compressors. What the client remembers is ours to forbid (RFC 7692, section 7.1.1.2).
pub fn offers_deflate<'v>(extensions: impl IntoIterator<Item = &'v [u8]>) -> Option<Window> {
    list_members(extensions).find_map(|offer| {
        let mut window = Window::Any;
        let mut parts = offer.split(|&byte| byte == b';').map(<[u8]>::trim_ascii);
        let is_ours = parts.next() == Some(b"permessage-deflate") && {
            let mut seen: Vec<&[u8]> = Vec::new();
            parts.all(|part| {
                let (name, value) = match part.iter().position(|&byte| byte == b'=') {
                    Some(at) => (part[..at].trim_ascii(), Some(part[at + 1..].trim_ascii())),
                    None => (part, None),
                };
                let is_new = !seen.contains(&name);
                seen.push(name);
                is_new
                    && match (name, value) {
                        (b"client_no_context_takeover" | b"server_no_context_takeover", None) => true,
                        (b"client_max_window_bits", None) => true,
                        (b"client_max_window_bits", Some(bits)) => is_window(bits),
                        (b"server_max_window_bits", Some(bits)) => {
                            let found = Window::of_at_most(bits);
                            window = found.unwrap_or(window);
                            found.is_some()
                        }
                        _ => false,
                    }
            })
        };
        is_ours.then_some(window)
    })
}

fn is_window(bits: &[u8]) -> bool {
    matches!(unquoted(bits), b"8" | b"9" | b"10" | b"11" | b"12" | b"13" | b"14" | b"15")
}

fn unquoted(value: &[u8]) -> &[u8] {
    value.strip_prefix(b"\"").and_then(|value| value.strip_suffix(b"\"")).unwrap_or(value)
}

#[cfg(all(test, not(any(loom, shuttle))))]
mod tests {
    use super::*;

    #[test]
    fn the_answer_to_a_key_is_that_of_the_rfc() {
        assert_eq!(accept_key(b"dGhlIHNhbXBsZSBub25jZQ=="), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    }

    #[test]
    fn a_key_is_sixteen_bytes() {
        for (key, is_one) in [
            (&b"dGhlIHNhbXBsZSBub25jZQ=="[..], true),
            (b"dGhlIHNhbXBsZSBub25jZQ", false),
            (b"dGhlIHNhbXBsZSBub25j", false),
            (b"", false),
            (b"dGhlIHNhbXBsZSBub25jZQ==, dGhlIHNhbXBsZSBub25jZQ==", false),
        ] {
            assert_eq!(is_key(key), is_one, "{key:?}");
        }
    }

    #[test]
    fn an_offer_is_taken_if_we_can_keep_it() {
        let table = [
            ("", None),
            ("permessage-deflate", Some(Window::Any)),
            ("permessage-deflate; client_max_window_bits", Some(Window::Any)),
            ("permessage-deflate; client_max_window_bits=10; server_no_context_takeover", Some(Window::Any)),
            ("permessage-deflate; client_max_window_bits=16", None),
            ("permessage-deflate; server_max_window_bits=8", None),
            ("permessage-deflate; server_max_window_bits=16", None),
            ("permessage-deflate; server_max_window_bits", None),
            ("permessage-deflate; server_max_window_bits=9", Some(Window::Small)),
            ("permessage-deflate; server_max_window_bits=11; client_max_window_bits", Some(Window::Small)),
            ("permessage-deflate; server_max_window_bits=12; client_max_window_bits=12", Some(Window::Medium)),
            ("permessage-deflate; server_max_window_bits=8, permessage-deflate", Some(Window::Any)),
            ("permessage-deflate; server_max_window_bits=\"15\"", Some(Window::Full)),
            ("permessage-deflate; server_no_context_takeover; server_no_context_takeover", None),
            ("permessage-deflate; unknown", None),
            ("x-webkit-deflate-frame", None),
        ];
        for (offer, window) in table {
            assert_eq!(offers_deflate([offer.as_bytes()]), window, "{offer}");
        }
    }
}
