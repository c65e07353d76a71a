//! The types that handlers may return.

use super::{Answer, Bytes, Error, FileBody, HttpError, Json, Redirect, Response, ResponseBody, Stream};
use crate::http::encode_reference;
use ::http::{HeaderName, HeaderValue, StatusCode, header};
use serde::Serialize;
use std::borrow::Cow;

/// A type that a handler may return: it writes itself into the response.
///
/// | return | response |
/// |---|---|
/// | `&str`, `String`, `Cow<str>` | the text as `text/html; charset=utf-8` |
/// | `Html(content)`, `Text(content)` | the content as HTML, as plain text |
/// | `Vec<u8>`, `&[u8]`, `Bytes`, `bytes::Bytes` | the bytes as `application/octet-stream` |
/// | [`File`](crate::File) | a file, with type, name, validators and ranges |
/// | `FileBody` | a part of an open file as `application/octet-stream` |
/// | `Json(value)` | the value as `application/json` |
/// | `Stream` | its items, sent as chunks one by one |
/// | `StatusCode` | no content; from 400 on the error page of that status |
/// | `(StatusCode, T)`, `([(HeaderName, text); N], T)`, `(StatusCode, [(HeaderName, text); N], T)` | `T` with this status, these fields; a text is `&str` or `String` |
/// | `Redirect` | a redirect to another address |
/// | `Problem` | an error as problem details |
/// | `Upgraded` | a conversation by WebSocket begins |
/// | `Option<T>` | `T`, or 404 |
/// | `Result<T, E>` | `T`, or the error for the error funnel |
/// | `Response` | itself, laid over the response so far |
/// | `()` | the response that the handler has written into `&mut Response` |
///
/// A content type that the handler has set through `&mut Response` stays.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be returned by a handler",
    label = "not a response",
    note = "return `&str`, `String`, `Vec<u8>`, `Html`, `Text`, `Json<T>`, `File`, `View`, `Stream`, `Redirect`, `Problem`, `Response`, \
            `StatusCode` or `()`",
    note = "or one of these within `Option<T>`, `Result<T, E>`, `(StatusCode, T)`, or with fields: `(StatusCode, [(HeaderName, text)], T)`",
    note = "a value of your own goes out as `Json(value)`, a number also as `value.to_string()`"
)]
pub trait IntoResponse {
    /// The tool that must be on where a handler returns it: the start refuses the handler otherwise.
    const REQUIRES: Option<&'static str> = None;

    /// What is known of the answer before a request comes.
    const ANSWER: Answer = Answer::UNKNOWN;

    /// Writes itself into `response`; fields that are already set stay.
    ///
    /// # Errors
    /// The answer of the error funnel instead.
    fn into_response(self, response: &mut Response) -> Result<(), Error>;
}

/// A page of HTML: the content with `text/html; charset=utf-8`.
#[derive(Clone, Debug)]
pub struct Html<T>(pub T);

/// Plain text: the content with `text/plain; charset=utf-8`.
#[derive(Clone, Debug)]
pub struct Text<T>(pub T);

// As values: checking the text costs more than all else that a small page does here.
const HTML: HeaderValue = HeaderValue::from_static("text/html; charset=utf-8");
const PLAIN: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");
const BYTES: HeaderValue = HeaderValue::from_static("application/octet-stream");
const JSON: HeaderValue = HeaderValue::from_static("application/json");

const TEXT_HTML: Answer = Answer::of("text/html; charset=utf-8");
const OCTETS: Answer = Answer::of("application/octet-stream");

impl IntoResponse for () {
    fn into_response(self, response: &mut Response) -> Result<(), Error> {
        if !matches!(response.body(), ResponseBody::Empty) {
            response.content_type_unless_set(HTML);
        }
        Ok(())
    }
}

impl IntoResponse for &str {
    const ANSWER: Answer = TEXT_HTML;

    fn into_response(self, response: &mut Response) -> Result<(), Error> {
        response.content_type_unless_set(HTML).copy_body(self.as_bytes());
        Ok(())
    }
}

impl IntoResponse for String {
    const ANSWER: Answer = TEXT_HTML;

    fn into_response(self, response: &mut Response) -> Result<(), Error> {
        response.content_type_unless_set(HTML).set_body(self);
        Ok(())
    }
}

impl IntoResponse for Cow<'_, str> {
    const ANSWER: Answer = TEXT_HTML;

    fn into_response(self, response: &mut Response) -> Result<(), Error> {
        match self {
            Cow::Borrowed(text) => text.into_response(response),
            Cow::Owned(text) => text.into_response(response),
        }
    }
}

impl IntoResponse for &[u8] {
    const ANSWER: Answer = OCTETS;

    fn into_response(self, response: &mut Response) -> Result<(), Error> {
        response.content_type_unless_set(BYTES).copy_body(self);
        Ok(())
    }
}

impl<const N: usize> IntoResponse for &[u8; N] {
    const ANSWER: Answer = OCTETS;

    fn into_response(self, response: &mut Response) -> Result<(), Error> {
        self.as_slice().into_response(response)
    }
}

impl IntoResponse for Vec<u8> {
    const ANSWER: Answer = OCTETS;

    fn into_response(self, response: &mut Response) -> Result<(), Error> {
        response.content_type_unless_set(BYTES).set_body(self);
        Ok(())
    }
}

impl IntoResponse for Bytes {
    const ANSWER: Answer = OCTETS;

    fn into_response(self, response: &mut Response) -> Result<(), Error> {
        self.0.into_response(response)
    }
}

/// Shared with its other holders, not copied.
impl IntoResponse for bytes::Bytes {
    const ANSWER: Answer = OCTETS;

    fn into_response(self, response: &mut Response) -> Result<(), Error> {
        response.content_type_unless_set(BYTES).set_body(self);
        Ok(())
    }
}

impl IntoResponse for FileBody {
    const ANSWER: Answer = OCTETS;

    fn into_response(self, response: &mut Response) -> Result<(), Error> {
        response.content_type_unless_set(BYTES).set_body(self);
        Ok(())
    }
}

impl<T: IntoResponse> IntoResponse for Html<T> {
    const REQUIRES: Option<&'static str> = T::REQUIRES;
    const ANSWER: Answer = T::ANSWER.with_media_type("text/html; charset=utf-8");

    fn into_response(self, response: &mut Response) -> Result<(), Error> {
        self.0.into_response(response.content_type_unless_set(HTML))
    }
}

impl<T: IntoResponse> IntoResponse for Text<T> {
    const REQUIRES: Option<&'static str> = T::REQUIRES;
    const ANSWER: Answer = T::ANSWER.with_media_type("text/plain; charset=utf-8");

    fn into_response(self, response: &mut Response) -> Result<(), Error> {
        self.0.into_response(response.content_type_unless_set(PLAIN))
    }
}

impl<T: Serialize> IntoResponse for Json<T> {
    const ANSWER: Answer = Answer::of("application/json");

    fn into_response(self, response: &mut Response) -> Result<(), Error> {
        let content = serde_json::to_vec(&self.0)?;
        response.content_type_unless_set(JSON).set_body(content);
        Ok(())
    }
}

impl IntoResponse for Stream {
    const ANSWER: Answer = TEXT_HTML;

    fn into_response(self, response: &mut Response) -> Result<(), Error> {
        response.content_type_unless_set(HTML).set_body(self);
        Ok(())
    }
}

/// From 400 on the answer is an error, with the error page of that status.
impl IntoResponse for StatusCode {
    fn into_response(self, response: &mut Response) -> Result<(), Error> {
        if self.is_client_error() || self.is_server_error() {
            return Err(HttpError::new(self, String::new()).into());
        }
        response.set_status(self);
        Ok(())
    }
}

impl<T: IntoResponse> IntoResponse for (StatusCode, T) {
    const REQUIRES: Option<&'static str> = T::REQUIRES;
    const ANSWER: Answer = T::ANSWER.with_status("2XX");

    fn into_response(self, response: &mut Response) -> Result<(), Error> {
        let (status, content) = self;
        content.into_response(response)?;
        response.set_status(status);
        Ok(())
    }
}

/// A text that cannot be a field value, such as one with a line break, is an error of the program: 500.
impl<T: IntoResponse, V: AsRef<str>, const N: usize> IntoResponse for ([(HeaderName, V); N], T) {
    const REQUIRES: Option<&'static str> = T::REQUIRES;
    const ANSWER: Answer = T::ANSWER;

    fn into_response(self, response: &mut Response) -> Result<(), Error> {
        let (fields, content) = self;
        for (name, value) in fields {
            let value = value.as_ref();
            let value = HeaderValue::from_str(value)
                .map_err(|_| Error::unexpected(format!("{value:?} cannot be the value of the field `{name}`")))?;
            response.set_header(name, value);
        }
        content.into_response(response)
    }
}

impl<T: IntoResponse, V: AsRef<str>, const N: usize> IntoResponse for (StatusCode, [(HeaderName, V); N], T) {
    const REQUIRES: Option<&'static str> = T::REQUIRES;
    const ANSWER: Answer = T::ANSWER.with_status("2XX");

    fn into_response(self, response: &mut Response) -> Result<(), Error> {
        let (status, fields, content) = self;
        (status, (fields, content)).into_response(response)
    }
}

impl<T: IntoResponse> IntoResponse for Option<T> {
    const REQUIRES: Option<&'static str> = T::REQUIRES;
    const ANSWER: Answer = T::ANSWER.or_missing();

    fn into_response(self, response: &mut Response) -> Result<(), Error> {
        self.ok_or_else(Error::not_found)?.into_response(response)
    }
}

impl<T: IntoResponse, E: Into<Error>> IntoResponse for Result<T, E> {
    const REQUIRES: Option<&'static str> = T::REQUIRES;
    const ANSWER: Answer = T::ANSWER;

    fn into_response(self, response: &mut Response) -> Result<(), Error> {
        self.map_err(Into::into)?.into_response(response)
    }
}

/// Sends the client to `location`, with no content. Characters that a reference cannot hold are percent-encoded (RFC
/// 3986), letters outside of ASCII as UTF-8. A TAB, a line break or another control character is an error of the
/// program (500).
impl IntoResponse for Redirect {
    const ANSWER: Answer = Answer::UNKNOWN.with_status("3XX");

    fn into_response(self, response: &mut Response) -> Result<(), Error> {
        let location = encode_reference(&self.location).map_err(|problem| {
            Error::unexpected(format!("{:?} cannot be the target of a redirect: {problem}", self.location))
        })?;
        let location = HeaderValue::from_str(&location)?;
        response.set_status(self.status).set_header(header::LOCATION, location).set_body(ResponseBody::Empty);
        Ok(())
    }
}

/// Status and body take the place of those that are there; a field takes the place of fields of its name, but cookies
/// that are there stay.
impl IntoResponse for Response {
    fn into_response(mut self, response: &mut Response) -> Result<(), Error> {
        response.take_over(&mut self);
        if response.headers().next().is_none() {
            self.take_over(response);
            *response = self;
            return Ok(());
        }
        for (index, (name, value)) in self.headers().enumerate() {
            let is_first = self.headers().take(index).all(|(earlier, _)| earlier != name);
            if is_first && *name != header::SET_COOKIE {
                response.remove_header(name);
            }
            response.add_header(name.clone(), value.clone());
        }
        response.set_status(self.status());
        response.set_body(self.take_body());
        if let Some(deferred) = self.take_deferred() {
            response.defer(|exchange| deferred.make(exchange));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HTML: &str = "text/html; charset=utf-8";
    const PLAIN: &str = "text/plain; charset=utf-8";
    const BYTES: &str = "application/octet-stream";

    fn answer(value: impl IntoResponse) -> Result<Response, Error> {
        let mut response = Response::new();
        value.into_response(&mut response).map(|()| response)
    }

    fn status_of(error: &Error) -> Option<StatusCode> {
        match error.kind() {
            super::super::ErrorKind::Http(error) => Some(error.status),
            _ => None,
        }
    }

    fn shown(value: impl IntoResponse) -> (u16, String, String) {
        let response = answer(value).expect("a response");
        let content_type = response.header(&header::CONTENT_TYPE).map_or("", |value| value.to_str().expect("text"));
        let content = String::from_utf8_lossy(response.body().as_bytes().expect("no stream")).into_owned();
        (response.status().as_u16(), content_type.to_owned(), content)
    }

    #[test]
    fn text_is_html_and_bytes_are_bytes() {
        let html = (200, HTML.to_owned(), "a".to_owned());
        assert_eq!(shown("a"), html);
        assert_eq!(shown("a".to_owned()), html);
        assert_eq!(shown(Cow::Borrowed("a")), html);
        assert_eq!(shown(Html("a")), html);
        assert_eq!(shown(Text("a")), (200, PLAIN.to_owned(), "a".to_owned()));
        assert_eq!(shown(bytes::Bytes::from_static(b"a")), (200, BYTES.to_owned(), "a".to_owned()));
        assert_eq!(shown(b"a"), (200, BYTES.to_owned(), "a".to_owned()));
        assert_eq!(shown(Json([1, 2])), (200, "application/json".to_owned(), "[1,2]".to_owned()));
        assert_eq!(shown(()), (200, String::new(), String::new()));
    }

    #[test]
    fn a_content_type_that_is_set_stays() {
        let mut response = Response::new();
        response.set_header(header::CONTENT_TYPE, HeaderValue::from_static("text/css"));
        "p {}".into_response(&mut response).unwrap();
        assert_eq!(response.header(&header::CONTENT_TYPE).unwrap(), "text/css");
    }

    #[test]
    fn tuples_set_status_and_fields() {
        let response = answer((StatusCode::CREATED, [(header::ETAG, "\"1\"".to_owned())], "made")).unwrap();
        assert_eq!(response.status(), StatusCode::CREATED);
        assert_eq!(response.header(&header::ETAG).unwrap(), "\"1\"");
        assert_eq!(shown((StatusCode::NOT_FOUND, "my own page")), (404, HTML.to_owned(), "my own page".to_owned()));
    }

    #[test]
    fn none_is_404_and_an_error_status_alone_is_its_error_page() {
        assert_eq!(status_of(&answer(None::<&str>).unwrap_err()), Some(StatusCode::NOT_FOUND));
        assert_eq!(status_of(&answer(StatusCode::CONFLICT).unwrap_err()), Some(StatusCode::CONFLICT));
        assert_eq!(answer(StatusCode::NO_CONTENT).unwrap().status(), StatusCode::NO_CONTENT);
    }

    #[test]
    fn a_line_break_in_a_redirect_or_field_is_an_error_of_the_program() {
        for target in ["a\r\nSet-Cookie: x=y", "a\nb", "a\0", "/\t/evil.example", "a\u{7f}"] {
            assert!(matches!(answer(Redirect::to(target)).unwrap_err().kind(), super::super::ErrorKind::Unexpected(_)));
        }
        assert!(answer(([(header::ETAG, "a\r\nb")], "")).is_err());
    }

    #[test]
    fn a_redirect_has_no_content_to_inject_into() {
        let response = answer(Redirect::to("/<script>?ä")).unwrap();
        assert_eq!(response.status(), StatusCode::SEE_OTHER);
        assert_eq!(response.header(&header::LOCATION).unwrap(), "/%3Cscript%3E?%C3%A4");
        assert_eq!(response.body().as_bytes(), Some(&b""[..]));
    }

    #[test]
    fn a_returned_response_is_laid_over_what_is_there() {
        let mut response = Response::new();
        response.add_header(header::SET_COOKIE, HeaderValue::from_static("a=1"));
        response.set_header(header::VARY, HeaderValue::from_static("Accept"));
        let mut returned = Response::new();
        returned.set_status(StatusCode::ACCEPTED).add_header(header::SET_COOKIE, HeaderValue::from_static("b=2"));
        returned.set_header(header::VARY, HeaderValue::from_static("Cookie"));
        returned.into_response(&mut response).unwrap();
        let fields: Vec<_> = response.headers().map(|(_, value)| value.to_str().unwrap()).collect();
        assert_eq!(fields, ["a=1", "b=2", "Cookie"]);
        assert_eq!(response.status(), StatusCode::ACCEPTED);
    }
}
