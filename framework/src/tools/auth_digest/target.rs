//! Whether credentials are for the resource of the request, in any form of either name.

use crate::Request;
use crate::exchange::origin_of;
use crate::tools::origins::is_own;

/// Whether credentials for `uri` are for this request: the resource of its target as the client sent it, before proxies
/// that take a prefix away. Each of the two may be a path or a whole URL (RFC 7616, section 3.4.6).
pub(super) fn is_target(uri: &str, request: &Request) -> bool {
    let target = request.target();
    if uri == target {
        return true;
    }
    // The host of a target that is a whole URL is the request's.
    let (Some(asked), Some(named)) = (local(target, |_| true), local(uri, |url| is_own(request, url))) else {
        return false;
    };
    let within =
        Some(request.prefix()).filter(|prefix| !prefix.is_empty()).and_then(|prefix| named.strip_prefix(prefix));
    [Some(&*named), within].into_iter().flatten().any(|named| named == asked)
}

/// Path and query of a target, spelled in one way, if it is a path or a URL that `is_ours`.
fn local(target: &str, is_ours: impl Fn(&str) -> bool) -> Option<String> {
    let path = match target.strip_prefix('/') {
        Some(_) => target,
        None => origin_of(target).filter(|_| is_ours(target))?.1,
    };
    let slash = if path.starts_with('/') { "" } else { "/" };
    Some(format!("{slash}{}", one_spelling(path)))
}

/// A path or query in one of the spellings that mean the same: only necessary characters are encoded, with capital
/// digits (RFC 3986, section 6.2.2).
fn one_spelling(text: &str) -> String {
    let mut spelled = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('%') {
        let (before, encoded) = rest.split_at(at);
        spelled.push_str(before);
        let Some(byte) = encoded.get(1..3).and_then(|digits| u8::from_str_radix(digits, 16).ok()) else {
            return spelled + encoded;
        };
        match byte {
            b'-' | b'.' | b'_' | b'~' => spelled.push(byte.into()),
            byte if byte.is_ascii_alphanumeric() => spelled.push(byte.into()),
            _ => spelled.push_str(&encoded[..3].to_ascii_uppercase()),
        }
        rest = &encoded[3..];
    }
    spelled + rest
}
