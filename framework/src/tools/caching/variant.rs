//! Variants: which requests for one address get the same response.
//!
//! A response names in Vary the request fields that have decided about it. A variant is those names with the values
//! that they had: it fits a request whose fields have the same values. Names and values stay together, so that two
//! fields cannot swap their values (CherryPy's key is the sorted values). Fields that are absent fit only absent ones.

use crate::http::list_members;
use crate::{HeaderName, Request, Response, header};

/// The names in Vary with the values of a request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Variant {
    fields: Vec<(HeaderName, Option<Vec<u8>>)>,
}

impl Variant {
    /// The variant that `request` asks for, where these names decide.
    pub(super) fn of(request: &Request, names: &[HeaderName]) -> Self {
        let value = |name: &HeaderName| is_present(request, name).then(|| normalised(request, name).collect());
        Self { fields: names.iter().map(|name| (name.clone(), value(name))).collect() }
    }

    /// Whether `request` asks for this variant.
    pub(super) fn fits(&self, request: &Request) -> bool {
        self.fields.iter().all(|(name, value)| match value {
            Some(value) => is_present(request, name) && normalised(request, name).eq(value.iter().copied()),
            None => !is_present(request, name),
        })
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &HeaderName> {
        self.fields.iter().map(|(name, _)| name)
    }

    /// Memory in bytes, about.
    pub(super) fn size(&self) -> usize {
        let size = |(name, value): &(HeaderName, Option<Vec<u8>>)| {
            size_of::<(HeaderName, Option<Vec<u8>>)>() + name.as_str().len() + value.as_ref().map_or(0, Vec::len)
        };
        self.fields.iter().map(size).sum()
    }
}

/// The names in the Vary fields of a response, each once. `None` for `*` and for anything but a name: no other request
/// gets such a response.
pub(super) fn vary(response: &Response) -> Option<Vec<HeaderName>> {
    let mut names = Vec::new();
    for (_, value) in response.headers().filter(|(name, _)| **name == header::VARY) {
        for part in list_members([value.as_bytes()]) {
            if part == b"*" {
                return None;
            }
            let name = HeaderName::from_bytes(part).ok()?;
            if !names.contains(&name) {
                names.push(name);
            }
        }
    }
    Some(names)
}

fn values<'r>(request: &'r Request, name: &'r HeaderName) -> impl Iterator<Item = &'r [u8]> {
    request.headers().filter(move |(field, _)| field.eq_ignore_ascii_case(name.as_str())).map(|(_, value)| value)
}

fn is_present(request: &Request, name: &HeaderName) -> bool {
    values(request, name).next().is_some()
}

/// The values of all fields of that name as one text that keeps only differences with a possible meaning (RFC 9111,
/// section 4.1). In the fields that negotiate by words neither case nor white space has a meaning. The separator
/// between the values of two fields can be in none of them.
fn normalised<'r>(request: &'r Request, name: &'r HeaderName) -> impl Iterator<Item = u8> {
    let is_words = [header::ACCEPT_ENCODING, header::ACCEPT_LANGUAGE, header::ACCEPT_CHARSET].contains(name);
    let separator = if is_words { b',' } else { b'\n' };
    let bytes = values(request, name)
        .enumerate()
        .flat_map(move |(index, value)| (index > 0).then_some(separator).into_iter().chain(value.iter().copied()));
    bytes
        .filter(move |byte| !is_words || !matches!(byte, b' ' | b'\t'))
        .map(move |byte| if is_words { byte.to_ascii_lowercase() } else { byte })
}

#[cfg(test)]
mod tests {
    use super::super::samples::request;
    use super::*;
    use crate::HeaderValue;

    fn names(fields: &[&'static str]) -> Option<Vec<HeaderName>> {
        let mut response = Response::new();
        for field in fields {
            response.add_header(header::VARY, HeaderValue::from_static(field));
        }
        vary(&response)
    }

    #[test]
    fn all_names_count_once_and_a_star_fits_no_request() {
        assert_eq!(names(&[]), Some(vec![]));
        assert_eq!(names(&["Accept, Cookie", "accept"]), Some(vec![header::ACCEPT, header::COOKIE]));
        assert_eq!(names(&["Accept", "Cookie, *"]), None);
        assert_eq!(names(&["not a name"]), None);
    }

    fn fits(name: HeaderName, one: &str, other: &str) -> bool {
        Variant::of(&request(one), &[name]).fits(&request(other))
    }

    #[test]
    fn names_and_values_stay_together() {
        let both = [HeaderName::from_static("x-a"), HeaderName::from_static("x-b")];
        let variant = Variant::of(&request("X-A: 1\nX-B: 2"), &both);
        assert!(variant.fits(&request("x-b: 2\nx-a: 1")));
        assert!(!variant.fits(&request("X-A: 2\nX-B: 1")));
        assert!(!variant.fits(&request("X-A: 1")));
    }

    #[test]
    fn an_absent_field_is_not_an_empty_one() {
        assert!(fits(header::COOKIE, "", ""));
        assert!(!fits(header::COOKIE, "", "Cookie:"));
        assert!(!fits(header::COOKIE, "Cookie:", ""));
    }

    #[test]
    fn white_space_and_case_of_words_mean_nothing() {
        assert!(fits(header::ACCEPT_ENCODING, "Accept-Encoding: gzip, BR;q=0.5", "Accept-Encoding: gzip,br; q=0.5"));
        assert!(fits(header::ACCEPT_LANGUAGE, "Accept-Language: de\nAccept-Language: en", "Accept-Language: de, en"));
        assert!(!fits(header::ACCEPT_ENCODING, "Accept-Encoding: gzip", "Accept-Encoding: gzip;q=0"));
    }

    #[test]
    fn other_values_are_compared_byte_for_byte() {
        assert!(!fits(header::COOKIE, "Cookie: a=B", "Cookie: a=b"));
        assert!(!fits(header::COOKIE, "Cookie: a=1, 2", "Cookie: a=1,2"));
        assert!(!fits(header::ACCEPT, "Accept: a\nAccept: b", "Accept: a,b"));
    }
}
