//! A kept response: complete, unchanging, ready to be sent again.
//!
//! It is shared and never changed, so no later request can spoil it (CherryPy's hits change the fields that they
//! share). A hit copies references: content and values of fields are counted, not copied. The conditions of a request
//! (If-None-Match and its kin) are not looked at here: the framework does that for every response with validators, as
//! its last step.

use super::terms::Terms;
use super::variant::Variant;
use crate::http::FixedDate;
use crate::{HeaderName, HeaderValue, Response, StatusCode, header};
use bytes::Bytes;
use std::hash::{BuildHasher, RandomState};
use std::time::{Duration, Instant, SystemTime};

/// A response without its content, before it is known that all of it comes.
#[derive(Debug)]
pub(super) struct Draft {
    variant: Variant,
    terms: Terms,
    status: StatusCode,
    fields: Vec<(HeaderName, HeaderValue)>,
    since: Instant,
    date: FixedDate,
}

impl Draft {
    /// The head of a response, without the fields of one connection or one moment.
    ///
    /// It is as old as its head: a stream that takes long has aged when it is complete.
    pub(super) fn of(response: &Response, variant: Variant, terms: Terms, now: SystemTime) -> Self {
        let fields = response.headers().filter(|(name, _)| !NOT_KEPT.contains(name));
        let fields = fields.map(|(name, value)| (name.clone(), value.clone())).collect();
        let date = response.date().copied().unwrap_or_else(|| FixedDate::of(now));
        Self { variant, terms, status: response.status(), fields, since: Instant::now(), date }
    }

    /// The whole response. Without a validator of its own it gets an entity tag made of its content, so that clients
    /// that have it need not get it again. The tag is strong: it changes with the content, and no client can foresee
    /// it.
    pub(super) fn finish(mut self, content: Bytes, tagging: &RandomState) -> Stored {
        let is_validator = |name: &HeaderName| [header::ETAG, header::LAST_MODIFIED].contains(name);
        if self.status == StatusCode::OK && !self.fields.iter().any(|(name, _)| is_validator(name)) {
            let tag = format!("\"{:016x}-{:x}\"", tagging.hash_one(&content), content.len());
            let tag = HeaderValue::try_from(tag).expect("digits in quotes are a field value");
            self.fields.push((header::ETAG, tag));
        }
        let Self { variant, terms, status, fields, since, date } = self;
        Stored { variant, terms, since, date, status, fields, content }
    }
}

/// A response that is kept.
#[derive(Debug)]
pub(super) struct Stored {
    pub(super) variant: Variant,
    pub(super) terms: Terms,
    since: Instant,
    /// Of the response when it was made: with another one its age would count twice, or not at all (RFC 9111, section
    /// 4.2).
    date: FixedDate,
    status: StatusCode,
    fields: Vec<(HeaderName, HeaderValue)>,
    content: Bytes,
}

impl Stored {
    pub(super) fn age(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.since).saturating_add(self.terms.age)
    }

    /// When it is of no use any more; a year from now at the latest, which any clock can say.
    pub(super) fn ends(&self) -> Instant {
        const YEAR: Duration = Duration::from_secs(365 * 24 * 3600);
        self.since + self.terms.time_of_use().min(YEAR)
    }

    /// Its entity tag.
    pub(super) fn etag(&self) -> Option<&HeaderValue> {
        self.fields.iter().find(|(name, _)| *name == header::ETAG).map(|(_, value)| value)
    }

    /// Memory in bytes, about.
    pub(super) fn size(&self) -> usize {
        let field = |(name, value): &(HeaderName, HeaderValue)| {
            size_of::<(HeaderName, HeaderValue)>() + name.as_str().len() + value.len()
        };
        let fields: usize = self.fields.iter().map(field).sum();
        size_of::<Self>() + fields + self.content.len() + self.variant.size()
    }

    /// Puts it into `response`, with its age. Other fields that tools have set there stay.
    pub(super) fn write_into(&self, response: &mut Response, age: Duration) {
        if response.headers().next().is_some() {
            for (name, _) in &self.fields {
                response.remove_header(name);
            }
            response.remove_header(&header::AGE);
        }
        for (name, value) in &self.fields {
            response.add_header(name.clone(), value.clone());
        }
        response.add_header(header::AGE, HeaderValue::from(age.as_secs()));
        response.set_status(self.status).set_date(self.date).set_body(self.content.clone());
    }
}

/// Fields of one connection or one moment (RFC 9111, section 3.1), and those that the server writes itself.
const NOT_KEPT: [HeaderName; 12] = [
    header::AGE,
    header::CONNECTION,
    header::CONTENT_LENGTH,
    header::DATE,
    HeaderName::from_static("keep-alive"),
    header::PROXY_AUTHENTICATE,
    HeaderName::from_static("proxy-authentication-info"),
    HeaderName::from_static("proxy-connection"),
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
];

#[cfg(test)]
mod tests {
    use super::super::samples::{response, stored_as};
    use super::*;

    // The next hit does not see changes of the one before.
    #[test]
    fn a_hit_leaves_the_entry_as_it_is() {
        let stored = stored_as(&response("X-A: 1\nCache-Control: max-age=60", "text"));
        let mut first = Response::new();
        stored.write_into(&mut first, Duration::from_secs(3));
        first.set_header(HeaderName::from_static("x-a"), HeaderValue::from_static("spoiled")).set_body("spoiled");
        let mut second = Response::new();
        stored.write_into(&mut second, Duration::from_secs(4));
        assert_eq!(second.header(&HeaderName::from_static("x-a")).unwrap(), "1");
        assert_eq!(second.header(&header::AGE).unwrap(), "4");
        assert_eq!(second.body().as_bytes(), Some(&b"text"[..]));
    }

    #[test]
    fn fields_of_a_connection_are_not_kept_and_fields_of_tools_stay() {
        let stored = stored_as(&response("Connection: X-A\nContent-Length: 9\nX-B: kept", "text"));
        let mut hit = response("X-B: of a tool\nX-C: of a tool", "");
        stored.write_into(&mut hit, Duration::ZERO);
        let names: Vec<_> = hit.headers().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["x-c", "x-b", "etag", "age"]);
        assert_eq!(hit.header(&HeaderName::from_static("x-b")).unwrap(), "kept");
    }

    #[test]
    fn the_tag_changes_with_the_content_and_one_of_the_page_stays() {
        let tag = |fields, content| stored_as(&response(fields, content)).etag().cloned();
        assert_eq!(tag("", "one"), tag("X-A: other", "one"));
        assert_ne!(tag("", "one"), tag("", "two"));
        assert_eq!(tag("ETag: W/\"1\"", "one").unwrap(), "W/\"1\"");
        assert_eq!(tag("Last-Modified: Sun, 06 Nov 1994 08:49:37 GMT", "one"), None);
    }
}
