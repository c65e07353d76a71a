//! Addresses of this server, written again from decoded segments.

use crate::Request;
use crate::exchange::origin_of;
use crate::http::{encode_reference, encode_segment, is_local_reference};
use percent_encoding::percent_decode_str;

/// The path and the query of the request as the client sees them, the path with `end` at its end. Of the segments none
/// is empty, so it never starts with `//`, which would be another host to browsers.
pub(super) fn address(request: &Request, end: &str) -> String {
    let mut address = request.prefix().to_owned();
    for segment in request.segments() {
        address.push('/');
        address.extend(encode_segment(segment));
    }
    address.push_str(end);
    if let Some(query) = request.query() {
        address.push('?');
        address.push_str(query);
    }
    address
}

/// `location`, a path of this server or a whole URL, as the client must ask for it.
pub(super) fn to_client(request: &Request, location: String) -> String {
    let prefix = request.prefix();
    if location.starts_with('/') && !prefix.is_empty() { format!("{prefix}{location}") } else { location }
}

/// `location` as an app says it that is mounted at `mount`: its paths are below.
pub(super) fn from_mount(mount: &str, location: &str) -> String {
    if location.starts_with('/') { format!("{mount}{location}") } else { location.to_owned() }
}

/// Whether `location`, a path of this server or a whole URL, is the address of the request itself: a redirect to it
/// would come back.
pub(super) fn is_here(request: &Request, location: &str) -> bool {
    let location = location.split('#').next().unwrap_or_default();
    let local = if location.starts_with('/') {
        Some(location)
    } else {
        let behind = origin_of(location).filter(|(origin, _)| *origin == request.origin().to_string());
        behind.and_then(|(_, behind)| behind.strip_prefix(request.prefix()))
    };
    let Some(local) = local else { return false };
    let (path, query) = local.split_once('?').map_or((local, None), |(path, query)| (path, Some(query)));
    if !path.is_empty() && !path.starts_with('/') {
        return false;
    }
    let segments = path.split('/').filter(|segment| !segment.is_empty());
    let segments = segments.map(|segment| percent_decode_str(segment).decode_utf8_lossy());
    query == request.query() && segments.eq(request.segments())
}

/// The mistake in a text that should be an address: a path, or a URL of `http` or `https`.
pub(super) fn problem(location: &str) -> Option<String> {
    let is_path = encode_reference(location).is_ok_and(|encoded| is_local_reference(&encoded));
    let is_url = ["http://", "https://"].iter().any(|scheme| {
        let rest = location.get(scheme.len()..).unwrap_or_default();
        location[..location.len() - rest.len()].eq_ignore_ascii_case(scheme)
            && !rest.is_empty()
            && !rest.starts_with('/')
    });
    if location.chars().any(char::is_control) {
        return Some(format!("is {location:?}, which has control characters: they would begin another field"));
    }
    let expected = "it must be a path that begins with one `/`, or a URL of `http://` or `https://`";
    (!is_path && !is_url).then(|| format!("is {location:?}; {expected}"))
}
