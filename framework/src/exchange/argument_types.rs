//! The arguments by type that need no tool.

use super::argument::A_FORM;
use super::body_reader::unreadable;
use super::fields::with_refused_fields;
use super::form_values::from_pairs;
use super::request_text::declared;
use super::{Argument, ArgumentInfo, Arguments, BodyUse, HttpError, Request, Source};
use crate::http::Charset;
use ::http::StatusCode;
use serde::de::DeserializeOwned;
use std::borrow::Cow;

/// The body read as JSON, or a value sent as JSON.
///
/// As an argument: 415 unless the content type is one of the setting `json_types` (`application/json`, types that end
/// in `+json`, and a few more), which is decided before the body is read; 413 beyond `max_json`; 400 with line and
/// column when the body is not JSON or not such a value. JSON is UTF-8, with or without a byte order mark.
/// `Option<Json<T>>` is `None` when there is no body.
///
/// As a return: `application/json`.
#[derive(Clone, Debug)]
pub struct Json<T>(pub T);

/// The form in the body as one value, a struct with a field for each text of the form: urlencoded, or multipart without
/// its files.
///
/// 415 when the body is not a form, 400 when it is not such a value. `Vec<T>` takes repeated fields, `Option<T>`
/// missing and blank ones.
#[derive(Clone, Debug)]
pub struct Form<T>(pub T);

/// The query as one value, by the rules of [`Form`]. A query that is not such a value is 400.
#[derive(Clone, Debug)]
pub struct Query<T>(pub T);

/// All parameters of query and form, in their order.
#[derive(Clone, Debug)]
pub struct Params(pub Vec<(String, String)>);

impl Params {
    /// The first value of that name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// All names and values.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }
}

/// The rest of the path, decoded: the segments that no argument by name before it has taken.
#[derive(Clone, Debug)]
pub struct Segments(pub Vec<String>);

impl Segments {
    /// The segments.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }
}

/// The whole body as bytes, or bytes sent as `application/octet-stream`.
#[derive(Clone, Debug)]
pub struct Bytes(pub Vec<u8>);

/// The cookies of the request, read leniently: anything but `name=value` is passed over, quotes around a value are
/// removed. A response sets them with [`Response::set_cookie`](super::Response::set_cookie).
#[derive(Clone, Debug)]
pub struct Cookies(Vec<(String, String)>);

impl Cookies {
    /// Reads the `Cookie` fields of a request.
    #[must_use]
    pub fn of(request: &Request) -> Self {
        request.note_reading("cookie");
        Self(request.head.cookies().map(|(name, value)| (name.to_owned(), value.to_owned())).collect())
    }

    /// The first cookie of that name: browsers send the one with the longest path first.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.iter().find(|(key, _)| *key == name).map(|(_, value)| value)
    }

    /// All names and values in the order received.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }
}

/// The connection that the request came by, as the server sees it; behind a proxy that is the proxy's: see
/// [`Connection`](super::Connection).
#[derive(Clone, Debug)]
pub struct Conn(pub super::Connection);

impl<'a> Argument<'a> for &'a Request {
    const INFO: ArgumentInfo = ArgumentInfo { source: Source::Parameters, body: BodyUse::Form, ..ArgumentInfo::TYPED };

    fn take(_name: &'static str, arguments: &mut Arguments<'a>) -> Result<Self, HttpError> {
        Ok(arguments.request)
    }
}

impl<'a> Argument<'a> for Segments {
    const INFO: ArgumentInfo = ArgumentInfo { source: Source::Segments, ..ArgumentInfo::TYPED };

    fn take(_name: &'static str, arguments: &mut Arguments<'a>) -> Result<Self, HttpError> {
        let mut segments = Vec::new();
        while let Some(segment) = arguments.next_segment() {
            segments.push(segment.to_owned());
        }
        Ok(Self(segments))
    }
}

impl<'a> Argument<'a> for Params {
    const INFO: ArgumentInfo = ArgumentInfo { source: Source::Parameters, body: BodyUse::Form, ..ArgumentInfo::TYPED };

    fn take(_name: &'static str, arguments: &mut Arguments<'a>) -> Result<Self, HttpError> {
        arguments.check_body()?;
        let all = arguments.request.all_parameters();
        Ok(Self(all.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()))
    }
}

impl<'a, T: DeserializeOwned> Argument<'a> for Query<T> {
    const INFO: ArgumentInfo = ArgumentInfo { source: Source::Parameters, ..ArgumentInfo::TYPED };

    fn take(_name: &'static str, arguments: &mut Arguments<'a>) -> Result<Self, HttpError> {
        reading("query", || from_pairs(arguments.request.query_fields())).map(Self)
    }
}

impl<'a, T: DeserializeOwned> Argument<'a> for Form<T> {
    const INFO: ArgumentInfo =
        ArgumentInfo { source: Source::Parameters, body: BodyUse::Fields, ..ArgumentInfo::TYPED };

    fn take(_name: &'static str, arguments: &mut Arguments<'a>) -> Result<Self, HttpError> {
        if !arguments.request.has_form() {
            return Err(arguments.request.unsupported(A_FORM));
        }
        reading("form", || from_pairs(arguments.request.form_fields())).map(Self)
    }
}

impl<'a, T: DeserializeOwned> Argument<'a> for Json<T> {
    const INFO: ArgumentInfo = ArgumentInfo { body: BodyUse::Json, ..ArgumentInfo::TYPED };

    fn take(_name: &'static str, arguments: &mut Arguments<'a>) -> Result<Self, HttpError> {
        if !arguments.request.has_json() {
            return Err(arguments.request.unsupported("JSON, `application/json`"));
        }
        let limits = arguments.request.limits();
        // Where the handler was not known when the body was read.
        if arguments.body.length().is_some_and(|length| length > limits.max_json.most) {
            return Err(limits.max_json.exceeded());
        }
        arguments.request.charge_whole(arguments.body)?;
        let content = arguments.body.read_whole().map_err(unreadable)?;
        let text = json_text(&content, arguments.request.content_type().unwrap_or_default())?;
        reading("JSON body", || serde_json::from_slice(&text)).map(Self)
    }
}

impl<'a, T: DeserializeOwned> Argument<'a> for Option<Json<T>> {
    const INFO: ArgumentInfo = Json::<T>::INFO;

    fn take(name: &'static str, arguments: &mut Arguments<'a>) -> Result<Self, HttpError> {
        let is_empty = match arguments.request.has_json() {
            true => arguments.body.length() == Some(0),
            false => !arguments.request.brings_content(),
        };
        if is_empty { Ok(None) } else { Json::take(name, arguments).map(Some) }
    }
}

/// JSON is UTF-8 (RFC 8259, section 8.1). A byte order mark is passed over, and a charset that is declared counts where
/// the body is no UTF-8: many clients declare one without meaning it.
fn json_text<'c>(content: &'c [u8], content_type: &str) -> Result<Cow<'c, [u8]>, HttpError> {
    let utf_16 = || {
        let message = "this page reads JSON in UTF-8, and the body is UTF-16";
        Err(HttpError::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, message))
    };
    let content = content.strip_prefix(b"\xef\xbb\xbf").unwrap_or(content);
    match (declared(content_type, "JSON")?, content) {
        (_, content) if content.trim_ascii().is_empty() => {
            Err(HttpError::new(StatusCode::BAD_REQUEST, "the JSON body is empty"))
        }
        // No JSON text has a NUL in it.
        (_, [0xff, 0xfe, ..] | [0xfe, 0xff, ..] | [0, _, ..] | [_, 0, ..]) => utf_16(),
        (Some(charset @ Charset::Windows1252), content) if std::str::from_utf8(content).is_err() => Ok(charset
            .decode(content)
            .map_or(Cow::Borrowed(content), |text| Cow::Owned(text.into_owned().into_bytes()))),
        (Some(Charset::Utf16 { .. }), content) if std::str::from_utf8(content).is_err() => utf_16(),
        (_, content) => Ok(Cow::Borrowed(content)),
    }
}

impl<'a> Argument<'a> for Bytes {
    const INFO: ArgumentInfo = ArgumentInfo { body: BodyUse::Whole, ..ArgumentInfo::TYPED };

    fn take(_name: &'static str, arguments: &mut Arguments<'a>) -> Result<Self, HttpError> {
        arguments.request.charge_whole(arguments.body)?;
        arguments.body.read_whole().map(Self).map_err(unreadable)
    }
}

impl<'a> Argument<'a> for Cookies {
    const INFO: ArgumentInfo = ArgumentInfo::TYPED;

    fn take(_name: &'static str, arguments: &mut Arguments<'a>) -> Result<Self, HttpError> {
        Ok(Self::of(arguments.request))
    }
}

impl<'a> Argument<'a> for Conn {
    const INFO: ArgumentInfo = ArgumentInfo::TYPED;

    fn take(_name: &'static str, arguments: &mut Arguments<'a>) -> Result<Self, HttpError> {
        Ok(Self(arguments.request.connection().clone()))
    }
}

/// 422 with the errors by field for a typed form, 400 for any other type. The error may repeat the client's text: error
/// pages escape messages.
fn reading<T, E: std::fmt::Display>(part: &str, read: impl FnOnce() -> Result<T, E>) -> Result<T, HttpError> {
    with_refused_fields(read).map_err(|(error, fields)| match fields {
        Some(errors) => errors.into(),
        None => HttpError::new(StatusCode::BAD_REQUEST, format!("the {part} cannot be read: {error}")),
    })
}

#[cfg(test)]
mod tests {
    use crate::exchange::{
        Body, Bytes, Cookies, Form, Json, MethodSet, Params, Query, Request, RequestBody, Response, check_parameters,
    };
    use crate::publish::probe::{answer, exchange};
    use crate::{Parameter, StatusCode, handlers};
    use serde::Deserialize;
    use std::io::Read;

    struct Pages;

    #[derive(Deserialize)]
    struct Song {
        title: String,
        stars: Option<u8>,
    }

    #[derive(Debug, Parameter)]
    enum Order {
        NewestFirst,
    }

    #[handlers]
    impl Pages {
        #[expose]
        fn json(&self, Json(song): Json<Song>) -> String {
            format!("{} {:?}", song.title, song.stars)
        }

        #[expose]
        fn form(&self, Form(song): Form<Song>) -> String {
            format!("{} {:?}", song.title, song.stars)
        }

        #[expose]
        fn query(&self, Query(song): Query<Song>) -> String {
            format!("{} {:?}", song.title, song.stars)
        }

        #[expose]
        fn params(&self, params: Params) -> String {
            params.iter().map(|(name, value)| format!("{name}={value};")).collect()
        }

        #[expose]
        fn bytes(&self, bytes: Bytes) -> Bytes {
            bytes
        }

        #[expose]
        fn body(&self, mut body: Body) -> crate::Result<Vec<u8>> {
            let mut first = [0];
            body.read_exact(&mut first)?;
            Ok(body.read_all(4)?)
        }

        #[expose]
        fn cookies(&self, cookies: Cookies) -> String {
            format!("{:?} of {}", cookies.get("a"), cookies.iter().len())
        }

        #[expose]
        fn response(&self, request: &Request, response: &mut Response) {
            response.set_status(StatusCode::ACCEPTED).set_body(request.path().to_owned());
        }

        #[expose]
        fn sorted(&self, order: Option<Order>, by: Vec<u8>) -> String {
            format!("{order:?} {by:?}")
        }
    }

    #[track_caller]
    fn check(target: &str, fields: &str, body: &[u8], expected: &str) {
        assert_eq!(answer(&Pages, &mut exchange("POST", target, fields, body)), expected);
    }

    #[test]
    fn json_is_read_by_its_content_type() {
        let json = "Content-Type: application/json; charset=utf-8\r\n";
        check("/json", json, br#"{"title": "One", "stars": 5}"#, "One Some(5)");
        check("/json", "Content-Type: application/ld+json\r\n", br#"{"title": "One"}"#, "One None");
        check("/json", json, b"{", "400 the JSON body cannot be read: EOF while parsing an object at line 1 column 1");
        check("/json", json, b"{}", "400 the JSON body cannot be read: missing field `title` at line 1 column 2");
        check("/json", "", b"{}", "415 this page reads JSON, `application/json`");
    }

    #[test]
    fn forms_and_queries_are_read_as_values() {
        let form = "Content-Type: application/x-www-form-urlencoded\r\n";
        check("/form?title=no", form, b"title=One&stars=", "One None");
        check(
            "/form",
            form,
            b"title=One&stars=x",
            "400 the form cannot be read: the parameter `stars` must be a whole number from 0 to 255",
        );
        check(
            "/form?title=no",
            "",
            b"",
            "415 this page reads a form, `application/x-www-form-urlencoded` or `multipart/form-data`",
        );
        check("/query?title=One&stars=3", form, b"title=no", "One Some(3)");
        check("/params?a=1&b=2", form, b"a=3", "a=1;b=2;a=3;");
    }

    #[test]
    fn a_body_is_read_up_to_a_limit() {
        check("/bytes", "", b"abc", "abc");
        check("/body", "", b"abcde", "bcde");
        check("/body", "", b"", "400 the request body is shorter than what the page reads");
        check("/body", "", b"abcdef", "413 the body is larger than the 4 bytes that this page reads");
    }

    #[test]
    fn a_body_that_fails_names_the_side_at_fault() {
        struct Failing(fn() -> std::io::Error);
        impl Read for Failing {
            fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
                Err((self.0)())
            }
        }
        let refusal = || std::io::Error::other(crate::http::Refusal::TooSlow { setting: "server.body_timeout" });
        let disk = || std::io::Error::other("the disk");
        for (cause, status) in [(refusal as fn() -> _, "408"), (disk, "500")] {
            let mut exchange = exchange("POST", "/bytes", "", b"");
            exchange.request.body = RequestBody::Stream(Box::new(Failing(cause)));
            let answer = answer(&Pages, &mut exchange);
            assert!(answer.starts_with(status) && !answer.contains("disk"), "{answer}");
        }
    }

    #[test]
    fn cookies_are_read_leniently() {
        check("/cookies", "Cookie: junk; a=\"1\"; b=2; a=3\r\n", b"", "Some(\"1\") of 3");
    }

    #[test]
    fn a_handler_without_a_return_writes_into_the_response() {
        let mut exchange = exchange("GET", "/response", "", b"");
        assert_eq!(answer(&Pages, &mut exchange), "/response");
        assert_eq!(exchange.response.status(), StatusCode::ACCEPTED);
    }

    #[test]
    fn blank_fields_of_a_form_are_not_given() {
        check("/sorted?order=&by=&by=2", "", b"", "None [2]");
        check("/sorted?order=newest_first", "", b"", "Some(NewestFirst) []");
        check("/sorted?order=x", "", b"", "400 the parameter `order` must be `newest_first`");
        check("/sorted?by=x", "", b"", "400 the parameter `by` must be a whole number from 0 to 255");
    }

    #[test]
    fn strict_parameters_refuse_unknown_names() {
        let strict = |target: &str| {
            let mut exchange = exchange("GET", target, "", b"");
            answer(&Pages, &mut exchange);
            let handler = exchange.trail.handler().expect("a handler");
            assert!(handler.methods.contains(MethodSet::GET));
            exchange.request.decode_parameters().expect("text");
            check_parameters(handler, &exchange.request).map_err(|error| (error.status, error.message))
        };
        assert_eq!(strict("/sorted?by=1&order="), Ok(()));
        let unknown = (StatusCode::NOT_FOUND, "the parameter `<b>` is not known here".to_owned());
        assert_eq!(strict("/sorted?by=1&%3Cb%3E=2"), Err(unknown));
        assert_eq!(strict("/params?x=1"), Ok(()));
        assert_eq!(strict("/response?x=1"), Ok(()));
    }
}
