//! Vary: the fields of the request that have decided about the response (RFC 9110, section 12.5.5). Caches keep one
//! response for each value of the fields named here, so a missing name hands one client's response to another.

use super::Response;
use crate::http::list_has;
use ::http::{HeaderName, HeaderValue, header};

impl Response {
    /// Adds the name of a request field to `Vary`, once: a name that is there already, and `*`, say all that is to be
    /// said.
    ///
    /// ```
    /// use kirsch::{Response, header};
    ///
    /// let mut response = Response::new();
    /// response.add_vary(&header::ACCEPT).add_vary(&header::COOKIE).add_vary(&header::ACCEPT);
    /// assert_eq!(response.header(&header::VARY).unwrap(), "Accept, Cookie");
    /// ```
    pub fn add_vary(&mut self, name: &HeaderName) -> &mut Self {
        if *name == header::ACCEPT_ENCODING && self.header(&header::VARY).is_none() {
            // The value of nearly every response with a Vary, made once.
            return self.add_header(header::VARY, HeaderValue::from_static("Accept-Encoding"));
        }
        let is_said = |value: &HeaderValue| {
            let names = || [value.as_bytes()];
            list_has(names(), "*") || list_has(names(), name.as_str())
        };
        if self.headers().any(|(field, value)| *field == header::VARY && is_said(value)) {
            return self;
        }
        let mut all: Vec<u8> = Vec::new();
        for (_, value) in self.headers().filter(|(field, value)| **field == header::VARY && !value.is_empty()) {
            all.extend_from_slice(value.as_bytes());
            all.extend_from_slice(b", ");
        }
        all.extend(in_title_case(name.as_str()));
        let all = HeaderValue::from_maybe_shared(all).expect("field values and a name, joined by a comma");
        self.set_header(header::VARY, all)
    }
}

/// `Accept-Encoding` for `accept-encoding`: field names have no case, but programs that look for this one in a value
/// forget it.
fn in_title_case(name: &str) -> impl Iterator<Item = u8> {
    let mut before = b'-';
    name.bytes().map(move |byte| {
        let starts_word = std::mem::replace(&mut before, byte) == b'-';
        if starts_word { byte.to_ascii_uppercase() } else { byte }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(before: &[&'static str], expected: &[&str]) {
        let mut response = Response::new();
        for value in before {
            response.add_header(header::VARY, HeaderValue::from_static(value));
        }
        response.add_vary(&header::ACCEPT_ENCODING);
        let fields: Vec<_> = response.headers().map(|(_, value)| value.to_str().expect("ASCII")).collect();
        assert_eq!(fields, expected);
    }

    #[test]
    fn a_name_is_added_to_those_that_are_there() {
        check(&[], &["Accept-Encoding"]);
        check(&["Cookie"], &["Cookie, Accept-Encoding"]);
        check(&["Cookie", "Accept"], &["Cookie, Accept, Accept-Encoding"]);
        check(&[""], &["Accept-Encoding"]);
    }

    #[test]
    fn a_name_is_said_once_and_a_star_says_everything() {
        check(&["Accept-Encoding"], &["Accept-Encoding"]);
        check(&["Cookie,ACCEPT-ENCODING ,a"], &["Cookie,ACCEPT-ENCODING ,a"]);
        check(&["Cookie", "*"], &["Cookie", "*"]);
    }
}
