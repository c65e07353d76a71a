//! Fields that are the same for many responses, written out once at start: sending them is one copy, however many they
//! are.
//!
//! A response holds a reference to them beside its own fields. Reads and changes cannot tell the difference: once one
//! of them is changed, they become ordinary fields.

use super::Response;
use crate::http::{is_reference, is_the_servers, write_field};
use ::http::{HeaderName, HeaderValue, header};

/// Fields that many responses have, ready to be sent as one piece; see [`Response::default_fields`].
///
/// They live as long as the program, and so must be made once, at start, never for a request: a count of their users
/// would be a number that all workers write to.
#[derive(Clone, Copy, Debug)]
pub struct ReadyFields(&'static Ready);

const OF_ONE_RESPONSE: [HeaderName; 3] = [header::ACCEPT_RANGES, header::ETAG, header::LAST_MODIFIED];

#[derive(Debug)]
struct Ready {
    fields: Vec<(HeaderName, HeaderValue)>,
    text: Vec<u8>,
}

impl ReadyFields {
    /// Writes the fields out. Their names differ. Left out are fields that the server writes itself (`Content-Length`,
    /// `Date` and their kin), those that conditions and ranges are compared with (`ETag`, `Last-Modified`,
    /// `Accept-Ranges`), and those that refer to other pages (`Location`, `Link` and their kin): they belong to one
    /// response.
    pub fn new(fields: impl IntoIterator<Item = (HeaderName, HeaderValue)>) -> Self {
        let is_sent =
            |name: &HeaderName| !is_the_servers(name) && !OF_ONE_RESPONSE.contains(name) && !is_reference(name);
        let fields: Vec<_> = fields.into_iter().filter(|(name, _)| is_sent(name)).collect();
        let mut text = Vec::new();
        for (name, value) in &fields {
            write_field(&mut text, name, value);
        }
        Self(Box::leak(Box::new(Ready { fields, text })))
    }

    pub(super) fn fields(self) -> &'static [(HeaderName, HeaderValue)] {
        &self.0.fields
    }

    pub(super) fn has(self, name: &HeaderName) -> bool {
        self.0.fields.iter().any(|(other, _)| other == name)
    }

    pub(super) fn text(self) -> &'static [u8] {
        &self.0.text
    }
}

impl Response {
    /// Sets those of the fields whose names are missing, like [`default_header`](Self::default_header): for tools that
    /// set the same fields on every response. Where none of them is set yet this costs next to nothing, and nothing is
    /// allocated.
    ///
    /// ```
    /// use kirsch::{HeaderName, HeaderValue, Response, header};
    /// use kirsch::exchange::ReadyFields;
    ///
    /// let fields = ReadyFields::new([
    ///     (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    ///     (header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY")),
    /// ]);
    /// let mut response = Response::new();
    /// response.set_header(header::X_FRAME_OPTIONS, HeaderValue::from_static("SAMEORIGIN"));
    /// response.default_fields(fields);
    /// assert_eq!(response.header(&header::X_FRAME_OPTIONS).unwrap(), "SAMEORIGIN");
    /// assert_eq!(response.headers().count(), 2);
    /// ```
    pub fn default_fields(&mut self, fields: ReadyFields) -> &mut Self {
        let (own, ready) = self.parts();
        let are_all_new = ready.is_none() && !own.iter().any(|(name, _)| fields.has(name));
        if are_all_new {
            self.set_ready(fields);
        } else {
            for (name, value) in fields.fields() {
                self.default_header(name.clone(), value.clone());
            }
        }
        self
    }

    /// The fields as they are sent: those of this response, and a text with the lines of the others.
    pub fn fields_to_send(&self) -> (impl Iterator<Item = (&HeaderName, &HeaderValue)>, &[u8]) {
        let (own, ready) = self.parts();
        (own.iter().map(|(name, value)| (name, value)), ready.map_or(&[][..], ReadyFields::text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ready() -> ReadyFields {
        let field = |name, value| (name, HeaderValue::from_static(value));
        let left_out = [field(header::CONTENT_LENGTH, "9"), field(header::ETAG, "\"1\"")];
        ReadyFields::new([field(header::VARY, "a"), field(header::AGE, "1")].into_iter().chain(left_out))
    }

    fn shown(response: &Response) -> Vec<String> {
        response.headers().map(|(name, value)| format!("{name}: {}", value.to_str().expect("text"))).collect()
    }

    #[test]
    fn they_are_sent_as_one_text_without_those_of_one_response() {
        let mut response = Response::new();
        response.add_header(header::ALLOW, HeaderValue::from_static("GET")).default_fields(ready());
        let (own, text) = response.fields_to_send();
        assert_eq!((own.count(), text), (1, &b"vary: a\r\nage: 1\r\n"[..]));
        assert_eq!(shown(&response), ["allow: GET", "vary: a", "age: 1"]);
        response.clear();
        assert_eq!((shown(&response).len(), response.fields_to_send().1), (0, &b""[..]));
    }

    #[test]
    fn they_can_be_asked_for_changed_and_removed_like_others() {
        let mut response = Response::new();
        response.default_fields(ready());
        assert_eq!(response.header(&header::AGE).unwrap(), "1");
        response.default_header(header::AGE, HeaderValue::from_static("2"));
        response.set_header(header::VARY, HeaderValue::from_static("b"));
        assert_eq!(shown(&response), ["age: 1", "vary: b"]);
        let mut response = Response::new();
        response.default_fields(ready()).remove_header(&header::AGE).remove_header(&header::ETAG);
        assert_eq!(shown(&response), ["vary: a"]);
        response.default_fields(ready());
        assert_eq!(shown(&response), ["vary: a", "age: 1"]);
    }

    #[test]
    fn they_never_replace_other_fields() {
        let mut response = Response::new();
        response.add_header(header::AGE, HeaderValue::from_static("7")).default_fields(ready());
        assert_eq!(shown(&response), ["age: 7", "vary: a"]);
        let mut twice = Response::new();
        twice.default_fields(ready()).default_fields(ready());
        assert_eq!(shown(&twice), ["vary: a", "age: 1"]);
    }
}
