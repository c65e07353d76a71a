//! Addresses of this server, written anew from decoded segments.

use crate::Request;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// The path and the query of the request, the path with `end` at its end. Of the segments none is empty, so it never starts with `//`, which
/// would be another host to browsers.
pub(super) fn address(request: &Request, end: &str) -> String {
    let mut address = String::new();
    for segment in request.segments() {
        address.push('/');
        address.extend(utf8_percent_encode(segment, SEGMENT));
    }
    address.push_str(end);
    if let Some(query) = request.query() {
        address.push('?');
        address.push_str(query);
    }
    address
}

/// What must be encoded in a path segment (RFC 3986, section 3.3: all but `pchar`).
pub(super) const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~')
    .remove(b'!')
    .remove(b'$')
    .remove(b'&')
    .remove(b'\'')
    .remove(b'(')
    .remove(b')')
    .remove(b'*')
    .remove(b'+')
    .remove(b',')
    .remove(b';')
    .remove(b'=')
    .remove(b':')
    .remove(b'@');
