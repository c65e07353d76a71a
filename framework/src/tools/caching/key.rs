//! The key of a kept response: the address that it is kept for, as the client sees it.
//!
//! ```text
//! tree prefix SP origin path ? query          7/front https://shop.example/songs?page=2
//! ```
//!
//! It contains everything that a page can see of its own address, right behind a proxy. So every difference keeps two
//! pages apart, and no client can put a page into the place of another host's. The app that is mounted there follows
//! from tree and path. Path and query are as they were sent.

use crate::Request;
use crate::exchange::origin_of;

/// The key of a path of this tree, asked for as the request was.
pub(super) fn address(tree: u64, request: &Request, path: &str, query: Option<&str>) -> String {
    let (prefix, origin) = (request.prefix(), request.origin());
    let query_length = query.map_or(0, |query| query.len() + 1);
    let mut key = String::with_capacity(32 + prefix.len() + origin.authority().len() + path.len() + query_length);
    for part in [itoa::Buffer::new().format(tree), prefix, " ", origin.scheme(), "://", origin.authority(), path] {
        key.push_str(part);
    }
    if let Some(query) = query {
        key.push('?');
        key.push_str(query);
    }
    key
}

/// Path and query of a key.
pub(super) fn target_of(key: &str) -> &str {
    let origin = key.split_once(' ').map_or(key, |(_, origin)| origin);
    let host = origin.split_once("://").map_or(origin, |(_, host)| host);
    host.find('/').map_or("", |start| &host[start..])
}

/// Path and query of the pages that a reference may mean, if it leads to the origin of the request by a path from the
/// root. Behind a proxy with a prefix the reference may have been written for the client or within the server: then
/// these are two.
pub(super) fn addressed<'t>(
    request: &Request,
    reference: &'t str,
) -> impl Iterator<Item = (&'t str, Option<&'t str>)> + use<'t> {
    let reference = reference.split('#').next().unwrap_or_default();
    let of_host = |scheme: &str, url: &str| {
        let url = format!("{scheme}{url}");
        let (origin, behind) = origin_of(&url)?;
        (origin == request.origin().to_string()).then_some(behind.len())
    };
    let behind = match reference {
        url if url.starts_with("//") => of_host(if request.is_secure() { "https:" } else { "http:" }, url),
        path if path.starts_with('/') => Some(path.len()),
        url => of_host("", url),
    };
    let local = behind.map_or("", |length| &reference[reference.len() - length..]);
    let inside =
        Some(request.prefix()).filter(|prefix| !prefix.is_empty()).and_then(|prefix| local.strip_prefix(prefix));
    let targets = [Some(local), inside].into_iter().flatten().filter(|target| target.starts_with('/'));
    targets.map(|target| target.split_once('?').map_or((target, None), |(path, query)| (path, Some(query))))
}

#[cfg(test)]
mod tests {
    use super::super::samples::request;
    use super::*;
    use crate::exchange::Forwarded;

    type Target = (&'static str, Option<&'static str>);

    #[test]
    fn the_key_is_all_of_the_address_as_the_client_sees_it() {
        let mut request = request("");
        let key = address(7, &request, "/A", Some("b=1&a=2"));
        assert_eq!((key.as_str(), target_of(&key)), ("7 http://a.example/A?b=1&a=2", "/A?b=1&a=2"));
        assert_ne!(address(7, &request, "/a", None), address(7, &request, "/a", Some("")));
        let authority = Some("Shop.example:443".to_owned());
        let prefix = Some("/front".to_owned());
        request.set_forwarded(Forwarded { is_secure: Some(true), authority, prefix, remote: None });
        let key = address(7, &request, "/a", None);
        assert_eq!((key.as_str(), target_of(&key)), ("7/front https://shop.example/a", "/a"));
    }

    #[test]
    fn only_references_to_the_same_origin_are_followed() {
        let found = |request: &Request, reference: &'static str| addressed(request, reference).collect::<Vec<_>>();
        let mut request = request("");
        let table: [(&str, &[Target]); 10] = [
            ("/song/4", &[("/song/4", None)]),
            ("/song?id=4#top", &[("/song", Some("id=4"))]),
            ("http://A.Example:80/song", &[("/song", None)]),
            ("//a.example./song", &[("/song", None)]),
            ("https://a.example/song", &[]),
            ("http://b.example/song", &[]),
            ("//b.example/song", &[]),
            ("http://a.example:80", &[]),
            ("song", &[]),
            ("", &[]),
        ];
        for (reference, expected) in table {
            assert_eq!(found(&request, reference), expected, "{reference}");
        }
        request.set_forwarded(Forwarded { prefix: Some("/front".to_owned()), ..Forwarded::default() });
        assert_eq!(found(&request, "/front/song"), [("/front/song", None), ("/song", None)]);
    }
}
