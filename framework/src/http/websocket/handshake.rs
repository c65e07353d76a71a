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

/// Whether the client offers to compress messages in a way that we can do: `permessage-deflate` with a window of our
/// compressor's size. What the client remembers is ours to forbid (RFC 7692, section 7.1.1.2).
pub fn offers_deflate<'v>(extensions: impl IntoIterator<Item = &'v [u8]>) -> bool {
    list_members(extensions).any(|offer| {
        let mut parts = offer.split(|&byte| byte == b';').map(<[u8]>::trim_ascii);
        parts.next() == Some(b"permessage-deflate") && {
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
                        (b"server_max_window_bits", Some(bits)) => unquoted(bits) == b"15",
                        _ => false,
                    }
            })
        }
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
            ("", false),
            ("permessage-deflate", true),
            ("permessage-deflate; client_max_window_bits", true),
            ("permessage-deflate; client_max_window_bits=10; server_no_context_takeover", true),
            ("permessage-deflate; client_max_window_bits=16", false),
            ("permessage-deflate; server_max_window_bits=10", false),
            ("permessage-deflate; server_max_window_bits=10, permessage-deflate", true),
            ("permessage-deflate; server_max_window_bits=\"15\"", true),
            ("permessage-deflate; server_no_context_takeover; server_no_context_takeover", false),
            ("permessage-deflate; unknown", false),
            ("x-webkit-deflate-frame", false),
        ];
        for (offer, is_taken) in table {
            assert_eq!(offers_deflate([offer.as_bytes()]), is_taken, "{offer}");
        }
    }
}
