//! Cookies that a response sets (RFC 6265). Those that a request brings are [`Cookies`](super::Cookies); the session's
//! has its own settings.

use super::cookie_text::{CookieText, MAX_ATTRIBUTE};
use super::{Error, Response};
use ::http::{HeaderValue, header};
use std::borrow::Borrow;
use std::time::Duration;

/// A cookie for the browser with safe defaults: for all paths of this host, until the browser ends, hidden from scripts
/// (`HttpOnly`), and not sent along by other sites (`SameSite=Lax`). CherryPy's `response.cookie`.
///
/// ```
/// use kirsch::{SetCookie, prelude::*, testing::Client};
/// use std::time::Duration;
///
/// struct Site;
///
/// #[handlers]
/// impl Site {
///     #[expose(post)]
///     fn theme(&self, name: &str, response: &mut Response) -> kirsch::Result<Redirect> {
///         response.set_cookie(SetCookie::new("theme", name).max_age(Duration::from_secs(365 * 24 * 3600)))?;
///         Ok(Redirect::to("/"))
///     }
///
///     #[expose]
///     fn index(&self, cookies: Cookies) -> String {
///         format!("in {}", cookies.get("theme").unwrap_or("white"))
///     }
/// }
///
/// let client = Client::in_process(App::new(Site));
/// client.post("/theme").form(&[("name", "black")]).send().assert_status(303);
/// client.get("/").send().assert_text("in black");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "a cookie is set with Response::set_cookie"]
pub struct SetCookie {
    name: String,
    value: String,
    path: String,
    domain: Option<String>,
    max_age: Option<Duration>,
    secure: bool,
    http_only: bool,
    same_site: SameSite,
}

/// Which requests from other sites bring a cookie.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SameSite {
    /// Following a link does, a form or a script of another site does not.
    #[default]
    Lax,
    /// None.
    Strict,
    /// All. Browsers want such a cookie to be secure, too.
    None,
}

impl SetCookie {
    /// A cookie of this name and value.
    pub fn new(name: impl Into<String>, value: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            value: value.into(),
            path: "/".to_owned(),
            domain: None,
            max_age: None,
            secure: false,
            http_only: true,
            same_site: SameSite::default(),
        }
    }

    /// Takes the cookie of this name away. Path and domain must be those that it was set with.
    pub fn removal(name: impl Into<String>) -> Self {
        Self::new(name, "").max_age(Duration::ZERO)
    }

    /// Only for this path and everything below it.
    pub fn path(mut self, path: impl Into<String>) -> Self {
        self.path = path.into();
        self
    }

    /// For this domain and all hosts below it, not for this host alone.
    pub fn domain(mut self, domain: impl Into<String>) -> Self {
        self.domain = Some(domain.into());
        self
    }

    /// How long the browser keeps it, in whole seconds; without it, until the browser ends.
    pub fn max_age(mut self, age: Duration) -> Self {
        self.max_age = Some(age);
        self
    }

    /// Only over encrypted connections. `request.is_secure()` tells whether this one is, behind a trusted proxy too.
    pub fn secure(mut self, enabled: bool) -> Self {
        self.secure = enabled;
        self
    }

    /// Whether the cookie is hidden from scripts (default true).
    pub fn http_only(mut self, enabled: bool) -> Self {
        self.http_only = enabled;
        self
    }

    /// Which requests from other sites bring it.
    pub fn same_site(mut self, same_site: SameSite) -> Self {
        self.same_site = same_site;
        self
    }

    /// The field's value, or the mistake in the cookie.
    fn render(&self) -> Result<HeaderValue, String> {
        let Self { name, value, path, domain, max_age, secure, http_only, same_site } = self;
        let text = CookieText {
            prefix: "",
            name,
            path,
            domain: domain.as_deref(),
            max_age: max_age.map(|age| age.as_secs()),
            secure: *secure,
            http_only: *http_only,
            same_site: *same_site,
        };
        if let Some((part, problem)) = text.problem() {
            return Err(format!("its {part} {problem}"));
        }
        if !value.bytes().all(|byte| byte.is_ascii_graphic() && !b"\",;\\".contains(&byte)) {
            return Err(
                "its value has a character that no cookie can hold: encode it, as with percent signs".to_owned()
            );
        }
        check_size(name, value)?;
        HeaderValue::try_from(text.write(value)).map_err(|error| error.to_string())
    }
}

/// Maximum of a cookie's name and value together in bytes that browsers keep (RFC 6265bis, section 5.7).
const MAX_COOKIE: usize = 4096;

fn check_size(name: &str, value: &str) -> Result<(), String> {
    let size = name.len() + value.len();
    if size > MAX_COOKIE {
        return Err(format!("its name and value have {size} bytes, and browsers drop what has more than {MAX_COOKIE}"));
    }
    Ok(())
}

/// The mistake in the value of a Set-Cookie field that was written by hand: that browsers would drop it. The message
/// does not repeat the cookie's value.
pub(super) fn problem_with_field(field: &HeaderValue) -> Option<Error> {
    if field.len() <= MAX_ATTRIBUTE {
        return None;
    }
    let field = String::from_utf8_lossy(field.as_bytes());
    let mut parts = field.split(';').map(|part| part.trim().split_once('=').unwrap_or_else(|| (part.trim(), "")));
    let (name, value) = parts.next().unwrap_or_default();
    let too_long = |(_, value): (&str, &str)| value.len() > MAX_ATTRIBUTE;
    let problem = check_size(name.trim(), value.trim()).err().or_else(|| {
        let problem = format!("one of its attributes has more than {MAX_ATTRIBUTE} bytes, and browsers pass over it");
        parts.any(too_long).then_some(problem)
    })?;
    Some(Error::unexpected(format!("the cookie {:?}: {problem}", name.trim())))
}

impl Response {
    /// Sets a cookie, in place of one of the same name, path and domain that this response has set before.
    ///
    /// # Errors
    /// When the cookie cannot be written (a name that is not a token, a value with a line break, `SameSite=None` that
    /// is not secure), or browsers would drop it (more than 4096 bytes of name and value, more than 1024 of path or
    /// domain). The message names the remedy. Passed on with `?` it is an error of the program, 500; nothing of the
    /// value reaches the client.
    pub fn set_cookie(&mut self, cookie: impl Borrow<SetCookie>) -> Result<&mut Self, Error> {
        let cookie = cookie.borrow();
        let field =
            cookie.render().map_err(|problem| Error::unexpected(format!("the cookie {:?}: {problem}", cookie.name)))?;
        let same = |value: &HeaderValue| is_of(value.as_bytes(), cookie);
        let others: Vec<HeaderValue> = self
            .headers()
            .filter(|(name, value)| **name == header::SET_COOKIE && !same(value))
            .map(|(_, value)| value.clone())
            .collect();
        self.remove_header(&header::SET_COOKIE);
        for other in others {
            self.add_header(header::SET_COOKIE, other);
        }
        Ok(self.add_header(header::SET_COOKIE, field))
    }
}

/// Whether a field sets the cookie that `cookie` is.
fn is_of(field: &[u8], cookie: &SetCookie) -> bool {
    let Ok(field) = std::str::from_utf8(field) else { return false };
    let mut parts = field.split("; ");
    let name = parts.next().and_then(|pair| pair.split_once('=')).map(|(name, _)| name);
    let attribute = |start: &str| field.split("; ").find_map(|part| part.strip_prefix(start));
    name == Some(&cookie.name)
        && attribute("Path=") == Some(&cookie.path)
        && attribute("Domain=") == cookie.domain.as_deref()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(response: &Response) -> Vec<&str> {
        response.headers().map(|(_, value)| value.to_str().expect("ASCII")).collect()
    }

    #[test]
    fn a_cookie_is_safe_unless_said_otherwise() {
        let plain = SetCookie::new("a", "b").render().expect("a cookie");
        assert_eq!(plain, "a=b; Path=/; HttpOnly; SameSite=Lax");
        let all = SetCookie::new("a", "b").path("/x").domain("example.org").max_age(Duration::from_millis(1500));
        let all = all.secure(true).http_only(false).same_site(SameSite::None).render().expect("a cookie");
        assert_eq!(all, "a=b; Max-Age=1; Path=/x; Domain=example.org; Secure; SameSite=None");
        assert_eq!(
            SetCookie::removal("a").render().expect("a cookie"),
            "a=; Max-Age=0; Path=/; HttpOnly; SameSite=Lax"
        );
    }

    #[test]
    fn a_malformed_cookie_is_refused() {
        let table = [
            (SetCookie::new("a b", ""), "token"),
            (SetCookie::new("", "b"), "token"),
            (SetCookie::new("a", "b\r\nSet-Cookie: c=d"), "encode it"),
            (SetCookie::new("a", "b; Domain=evil"), "encode it"),
            (SetCookie::new("a", "ä"), "encode it"),
            (SetCookie::new("a", "b").path("x"), "start with `/`"),
            (SetCookie::new("a", "b").path("/;x"), "start with `/`"),
            (SetCookie::new("a", "b").domain(""), "domain"),
            (SetCookie::new("a", "b").same_site(SameSite::None), "needs `secure"),
            (SetCookie::new("__Secure-a", "b"), "prefix"),
            (SetCookie::new("__SECURE-a", "b"), "prefix"),
            (SetCookie::new("__host-a", "b"), "prefix"),
            (SetCookie::new("__Host-a", "b").secure(true).path("/x"), "prefix"),
        ];
        for (cookie, problem) in table {
            let refused = cookie.render().expect_err("no cookie");
            assert!(refused.contains(problem), "{cookie:?}: {refused}");
        }
    }

    #[test]
    fn a_cookie_that_browsers_drop_is_an_error() {
        let sized = |size| SetCookie::new("abc", "x".repeat(size)).render();
        assert!(sized(4093).is_ok());
        assert!(sized(4094).unwrap_err().contains("4097 bytes"));
        let path = |size| SetCookie::new("a", "b").path(format!("/{}", "x".repeat(size))).render();
        assert!(path(1023).is_ok() && path(1024).unwrap_err().contains("1025 bytes"));
        assert!(SetCookie::new("a", "b").domain("x".repeat(1025)).render().is_err());
    }

    #[test]
    fn a_field_written_by_hand_is_no_way_around() {
        let mut response = Response::new();
        let field = |size| HeaderValue::try_from(format!("abc={}; Path=/", "x".repeat(size))).expect("text");
        response.add_header(header::SET_COOKIE, field(4093));
        assert!(response.take_unsendable().is_none());
        response.add_header(header::SET_COOKIE, field(4094));
        let problem = response.take_unsendable().expect("a problem").to_string();
        assert!(problem.contains("\"abc\"") && problem.contains("4097 bytes") && !problem.contains("xx"), "{problem}");
        assert_eq!(response.headers().count(), 1);
    }

    #[test]
    fn a_later_cookie_takes_the_place_of_the_same_and_leaves_others() {
        let mut response = Response::new();
        for cookie in [
            SetCookie::new("a", "1"),
            SetCookie::new("b", "2"),
            SetCookie::new("a", "3").path("/x"),
            SetCookie::new("a", "4"),
        ] {
            response.set_cookie(cookie).expect("a cookie");
        }
        let set: Vec<_> =
            fields(&response).into_iter().map(|field| field.split("; HttpOnly").next().unwrap_or("")).collect();
        assert_eq!(set, ["b=2; Path=/", "a=3; Path=/x", "a=4; Path=/"]);
    }
}
