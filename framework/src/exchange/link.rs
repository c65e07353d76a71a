//! Links: addresses of this application, written as the client must ask for them.
//!
//! A program knows its own paths. Their addresses for a client depend on the proxy in front (scheme, host, port, a
//! prefix of the path: all in [`Origin`](super::Origin) and [`Forwarded`](super::Forwarded)) and on the place where the
//! app is mounted in another one. A [`Link`] puts them together, and encodes the parts, so that no value of a visitor
//! becomes another part of the address.

use super::Request;
use crate::http::encode_segment;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use std::fmt::{Display, Formatter, Write};

/// An address of this application: made by [`Request::url`] or [`Request::link`], finished with [`query`](Self::query),
/// [`segment`](Self::segment) and the like, written with `to_string()`, given to [`Redirect::to`](super::Redirect::to),
/// or put among the data of a template.
#[derive(Clone, Debug)]
#[must_use = "a link does nothing until it is written: `to_string()`"]
pub struct Link<'r> {
    request: &'r Request,
    start: Start,
    /// The path below the start, encoded; query and fragment follow it.
    path: String,
    query: String,
    fragment: String,
}

/// The part before the path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Start {
    Nothing,
    Path { of_mount: bool },
    Url { of_mount: bool },
}

impl Request {
    /// The address of a path of this app, as the client sees it: with scheme and host, with the prefix that a trusted
    /// proxy has put before it, and with the path at which the app is [mounted](crate::App::mount). CherryPy's
    /// `cherrypy.url()`.
    ///
    /// ```
    /// use kirsch::{prelude::*, testing::Client};
    ///
    /// let shop = Tree::new().page("search", |page| {
    ///     page.request().url("/rock & roll").segment("AC/DC").query("page", 2).to_string()
    /// });
    /// let client = Client::in_process(App::new(Tree::new()).mount("/shop", App::new(shop)));
    /// client.get("/shop/search").send().assert_text("http://localhost/shop/rock%20&%20roll/AC%2FDC?page=2");
    /// ```
    ///
    /// `path` is text: each of its segments is encoded, a `?` or `%` in it too. Empty segments are left out, a slash at
    /// the end stays. A path that does not begin with `/` is relative, and stays so: it counts from the page with the
    /// link. `.` and `..` cannot be names, since browsers resolve them in any spelling.
    ///
    /// In HTML the address is escaped like any other value.
    pub fn url(&self, path: &str) -> Link<'_> {
        let is_absolute = path.starts_with('/');
        let start = if is_absolute { Start::Url { of_mount: true } } else { Start::Nothing };
        let mut link =
            Link { request: self, start, path: String::new(), query: String::new(), fragment: String::new() };
        for segment in path.split('/').filter(|segment| !segment.is_empty()) {
            link = link.segment(segment);
        }
        if path.ends_with('/') { link.slash() } else { link }
    }
}

impl Link<'_> {
    /// Adds one segment to the path, a `/` in it encoded. An empty one adds nothing.
    pub fn segment(mut self, segment: impl Display) -> Self {
        let text = segment.to_string();
        if text.is_empty() {
            return self;
        }
        let is_first = self.path.is_empty();
        // The first segment of a relative address must not look like a scheme (RFC 3986, section 4.2).
        if is_first && self.start == Start::Nothing && text.contains(':') {
            self.path.push('.');
        }
        if !self.path.ends_with('/') && (!self.path.is_empty() || self.start != Start::Nothing) {
            self.path.push('/');
        }
        self.path.extend(encode_segment(&text));
        self
    }

    /// Adds a path that is encoded already, as [`RouteUrls::url`](crate::publish::RouteUrls::url) makes it.
    pub fn join(mut self, path: &str) -> Self {
        let path = path.trim_start_matches('/');
        if !self.path.ends_with('/') && (!self.path.is_empty() || self.start != Start::Nothing) {
            self.path.push('/');
        }
        self.path.push_str(path);
        self
    }

    pub(super) fn slash(mut self) -> Self {
        if !self.path.ends_with('/') {
            self.path.push('/');
        }
        self
    }

    /// Adds a parameter to the query.
    pub fn query(mut self, name: &str, value: impl Display) -> Self {
        self.query.push(if self.query.is_empty() { '?' } else { '&' });
        self.query.extend(utf8_percent_encode(name, QUERY));
        self.query.push('=');
        self.query.extend(utf8_percent_encode(&value.to_string(), QUERY));
        self
    }

    /// Sets the fragment: the part after `#`, a place in the page.
    pub fn fragment(mut self, id: &str) -> Self {
        self.fragment.clear();
        self.fragment.push('#');
        self.fragment.extend(utf8_percent_encode(id, QUERY));
        self
    }

    /// Leaves out scheme and host: `/shop/search`. For links within the site, which then stay right on any host.
    pub fn local(mut self) -> Self {
        if let Start::Url { of_mount } = self.start {
            self.start = Start::Path { of_mount };
        }
        self
    }

    /// Counts the path from the outermost app, not from the one that is mounted where the request is.
    pub fn from_outermost(mut self) -> Self {
        match &mut self.start {
            Start::Nothing => {}
            Start::Path { of_mount } | Start::Url { of_mount } => *of_mount = false,
        }
        self
    }
}

impl Display for Link<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        if let Start::Url { .. } = self.start {
            self.request.origin().fmt(f)?;
        }
        if let Start::Url { of_mount } | Start::Path { of_mount } = self.start {
            f.write_str(self.request.prefix())?;
            f.write_str(if of_mount { self.request.mount() } else { "" })?;
            if self.path.is_empty() {
                f.write_char('/')?;
            }
        }
        f.write_str(&self.path)?;
        f.write_str(&self.query)?;
        f.write_str(&self.fragment)
    }
}

/// As text: a template that gets a link in its data shows the address.
impl serde::Serialize for Link<'_> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl From<Link<'_>> for String {
    fn from(link: Link<'_>) -> Self {
        link.to_string()
    }
}

/// The characters to encode in names and values of a query, and in fragments: all but the unreserved characters (RFC
/// 3986, section 2.3).
const QUERY: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exchange::Forwarded;
    use crate::http::HeadLimits;

    fn request() -> Request {
        let mut request = Request::default();
        let head = b"GET / HTTP/1.1\r\nHost: inner:8080\r\n\r\n";
        request.head.read(head, &mut 0, &HeadLimits::default()).unwrap();
        request
    }

    fn behind_a_proxy() -> Request {
        let mut request = request();
        let (authority, prefix) = (Some("shop.example".to_owned()), Some("/front".to_owned()));
        request.set_forwarded(Forwarded { is_secure: Some(true), authority, prefix, remote: None });
        request.mount = Some("/our/blog".into());
        request
    }

    #[test]
    fn slashes_at_the_end_stay_and_double_ones_go() {
        let table = [
            ("/", "http://inner:8080/"),
            ("/a", "http://inner:8080/a"),
            ("/a/", "http://inner:8080/a/"),
            ("//evil.example//b//", "http://inner:8080/evil.example/b/"),
            ("", ""),
            ("a/b", "a/b"),
            ("a/", "a/"),
            ("../a", "../a"),
            ("javascript:alert(1)", "./javascript:alert(1)"),
        ];
        for (path, expected) in table {
            assert_eq!(request().url(path).to_string(), expected, "{path}");
        }
        assert_eq!(request().url("//evil.example").local().to_string(), "/evil.example");
    }

    #[test]
    fn prefix_and_mount_come_before_the_path() {
        let request = behind_a_proxy();
        assert_eq!(request.url("/a").to_string(), "https://shop.example/front/our/blog/a");
        assert_eq!(request.url("/").to_string(), "https://shop.example/front/our/blog/");
        assert_eq!(request.url("/a").local().to_string(), "/front/our/blog/a");
        assert_eq!(request.url("/").local().from_outermost().to_string(), "/front/");
        assert_eq!(request.url("a").local().from_outermost().to_string(), "a");
    }

    #[test]
    fn values_stay_in_their_part_of_the_address() {
        let request = request();
        let link = request.url("/a?b#c%20").segment("d/e").segment("").segment("ü").local();
        assert_eq!(link.to_string(), "/a%3Fb%23c%2520/d%2Fe/%C3%BC");
        let link = request.url("/").query("a b", "c&d=e+ü#\r\n").query("n", 7).fragment("x y").local();
        assert_eq!(link.to_string(), "/?a%20b=c%26d%3De%2B%C3%BC%23%0D%0A&n=7#x%20y");
    }
}
