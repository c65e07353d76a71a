//! Composing a request, call by call, and sending it.

use super::{
    Client, ClientError, FormData, StreamingResponse, TestResponse,
    browser::{Arriving, Prepared},
};
use ::http::{Method, header};
use std::{io::Write, time::Instant};

/// Maximum of redirects that [`RequestBuilder::follow_redirects`] follows: the limit of browsers.
const MAX_REDIRECTS: usize = 20;

/// A request on its way: add fields and a body, then [`send`](RequestBuilder::send) it.
#[derive(Clone)]
#[must_use = "a request is sent by `send`"]
pub struct RequestBuilder {
    client: Client,
    method: Method,
    path: String,
    fields: Vec<(String, String)>,
    body: Option<Vec<u8>>,
    follow: bool,
}

impl RequestBuilder {
    pub(super) fn new(client: Client, method: Method, path: &str) -> Self {
        Self { client, method, path: path.to_owned(), fields: Vec::new(), body: None, follow: false }
    }

    /// Adds a field. `Host`, `Cookie`, `Content-Length` and `Content-Type` given here replace the client's own.
    pub fn header(mut self, name: impl AsRef<str>, value: impl AsRef<str>) -> Self {
        self.fields.push((name.as_ref().to_owned(), value.as_ref().to_owned()));
        self
    }

    /// Sends these bytes as the body, with their length.
    pub fn body(mut self, content: impl Into<Vec<u8>>) -> Self {
        self.body = Some(content.into());
        self
    }

    /// Sends an urlencoded form, as a browser does for a form without files.
    pub fn form(self, fields: &[(&str, &str)]) -> Self {
        let form = form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        self.default_type("application/x-www-form-urlencoded").body(form)
    }

    /// Sends a form with files, as a browser does.
    pub fn form_data(self, form: FormData) -> Self {
        self.default_type(&form.content_type()).body(form.into_body())
    }

    /// Sends a value as JSON.
    ///
    /// # Panics
    /// If the value cannot be written as JSON, such as a map whose keys are not strings.
    #[track_caller]
    pub fn json<T: serde::Serialize + ?Sized>(self, value: &T) -> Self {
        match serde_json::to_vec(value) {
            Ok(content) => self.default_type("application/json").body(content),
            Err(error) => panic!("the value cannot be sent as JSON: {error}"),
        }
    }

    /// Follows redirects, as a browser does; without this a redirect is the response.
    pub fn follow_redirects(mut self) -> Self {
        self.follow = true;
        self
    }

    /// Sends the request and waits for the whole response.
    ///
    /// # Panics
    /// If no response comes by the deadline, or if it breaks the rules of HTTP. [`try_send`](RequestBuilder::try_send)
    /// tells instead.
    #[track_caller]
    pub fn send(self) -> TestResponse {
        let asked = self.line();
        self.try_send().unwrap_or_else(|error| panic!("{asked}: {error}"))
    }

    /// Sends the request and waits for the whole response.
    ///
    /// # Errors
    /// If no response comes by the deadline, or if it breaks the rules of HTTP.
    pub fn try_send(self) -> Result<TestResponse, ClientError> {
        let (asked, client) = (self.line(), self.client.clone());
        let (arriving, path) = self.arrive()?;
        TestResponse::read(asked, arriving).map(|response| response.at(client, path))
    }

    /// Sends the request and waits for the head of the response; the body is then read piece by piece as it arrives.
    ///
    /// # Panics
    /// As [`send`](RequestBuilder::send).
    #[track_caller]
    pub fn send_streaming(self) -> StreamingResponse {
        let asked = self.line();
        self.try_send_streaming().unwrap_or_else(|error| panic!("{asked}: {error}"))
    }

    /// Sends the request and waits for the head of the response.
    ///
    /// # Errors
    /// As [`try_send`](RequestBuilder::try_send).
    pub fn try_send_streaming(self) -> Result<StreamingResponse, ClientError> {
        let asked = self.line();
        Ok(StreamingResponse::new(asked, self.arrive()?.0))
    }

    fn line(&self) -> String {
        format!("{} {}", self.method, self.path)
    }

    /// The response, and the path that it came from after redirects.
    fn arrive(mut self) -> Result<(Arriving, String), ClientError> {
        for _ in 0..=MAX_REDIRECTS {
            let arriving = self.arrive_once()?;
            let location = arriving.head.field("location").map(str::to_owned);
            match location {
                Some(location) if self.follow && matches!(arriving.head.status, 301 | 302 | 303 | 307 | 308) => {
                    self.redirect(arriving.head.status, &location)?;
                }
                _ => return Ok((arriving, self.path)),
            }
        }
        Err(ClientError::new(format!("more than {MAX_REDIRECTS} redirects, the last to {}", self.path)))
    }

    fn arrive_once(&self) -> Result<Arriving, ClientError> {
        let browser = &self.client.browser;
        let path = self.path.split('?').next().unwrap_or_default();
        let prepared = Prepared { method: self.method.clone(), bytes: self.render(path), timeout: self.client.timeout };
        let arriving = browser.exchange(&self.client.target, &prepared)?;
        let mut cookies = browser.cookies.lock();
        for cookie in arriving.head.values("set-cookie") {
            cookies.store(cookie, path, Instant::now());
        }
        drop(cookies);
        Ok(arriving)
    }

    /// The request as bytes.
    fn render(&self, path: &str) -> Vec<u8> {
        let mut out = Vec::new();
        let mut line = |text: String| {
            // Writing to a Vec cannot fail.
            let _ = out.write_all(text.as_bytes());
            let _ = out.write_all(b"\r\n");
        };
        line(format!("{} {} HTTP/1.1", self.method, self.path));
        if !self.has(&header::HOST) {
            line(format!("Host: {}", self.client.target.host()));
        }
        if !self.has(&header::COOKIE)
            && let Some(cookies) =
                self.client.browser.cookies.lock().header(path, self.client.target.is_encrypted(), Instant::now())
        {
            line(format!("Cookie: {cookies}"));
        }
        for (name, value) in &self.fields {
            line(format!("{name}: {value}"));
        }
        let wants_length = self.body.is_some() || matches!(self.method, Method::POST | Method::PUT | Method::PATCH);
        let framed = self.has(&header::CONTENT_LENGTH) || self.has(&header::TRANSFER_ENCODING);
        if wants_length && !framed {
            line(format!("Content-Length: {}", self.body.as_ref().map_or(0, Vec::len)));
        }
        line(String::new());
        out.extend_from_slice(self.body.as_deref().unwrap_or_default());
        out
    }

    fn has(&self, wanted: &header::HeaderName) -> bool {
        self.fields.iter().any(|(name, _)| name.eq_ignore_ascii_case(wanted.as_str()))
    }

    fn default_type(self, value: &str) -> Self {
        if self.has(&header::CONTENT_TYPE) { self } else { self.header(header::CONTENT_TYPE, value) }
    }

    /// Turns this into the request that a redirect asks for (RFC 9110, section 15.4).
    fn redirect(&mut self, status: u16, location: &str) -> Result<(), ClientError> {
        self.path = resolve(&self.path, location, &self.client.target.host())?;
        let rewrites = status == 303 || (status < 303 && self.method == Method::POST);
        if rewrites && self.method != Method::HEAD {
            self.method = Method::GET;
            self.body = None;
            self.fields.retain(|(name, _)| !name.to_ascii_lowercase().starts_with("content-"));
        }
        Ok(())
    }
}

/// The path of `location`, seen from the page at `base`.
pub(super) fn resolve(base: &str, location: &str, host: &str) -> Result<String, ClientError> {
    let location = location.split('#').next().unwrap_or_default();
    if let Some(rest) = location.strip_prefix("http://").or_else(|| location.strip_prefix("//")) {
        let (authority, path) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
        if !authority.eq_ignore_ascii_case(host) {
            return Err(ClientError::new(format!("a redirect leaves the server {host}: {location}")));
        }
        return Ok(if path.starts_with('/') { path.to_owned() } else { format!("/{path}") });
    }
    let base_path = base.split('?').next().unwrap_or_default();
    let folder = &base_path[..base_path.rfind('/').map_or(0, |end| end + 1)];
    Ok(match location.as_bytes().first() {
        None => base.to_owned(),
        Some(b'/') => location.to_owned(),
        Some(b'?') => format!("{base_path}{location}"),
        Some(_) if location.starts_with("../") || location.contains("://") => {
            return Err(ClientError::new(format!("a redirect that this client does not follow: {location}")));
        }
        Some(_) => format!("{folder}{location}"),
    })
}

impl std::fmt::Debug for RequestBuilder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.line())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_redirect_is_resolved_against_the_page_it_came_from() {
        for (location, target) in [
            ("/new", "/new"),
            ("next", "/folder/next"),
            ("?a=1", "/folder/page?a=1"),
            ("http://here/x?y", "/x?y"),
            ("//here", "/"),
            ("/new#top", "/new"),
        ] {
            assert_eq!(resolve("/folder/page?q", location, "here").as_deref(), Ok(target), "{location}");
        }
    }

    #[test]
    fn a_redirect_to_another_server_is_not_followed() {
        let error = resolve("/", "http://elsewhere/", "here").expect_err("followed");
        assert!(error.to_string().contains("leaves the server"));
    }
}
