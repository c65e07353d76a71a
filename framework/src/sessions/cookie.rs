//! The session cookie: the one place that reads it and the one place that renders it.
//!
//! Reading is lenient with everything around it: browsers send cookies of other programs, broken ones too, and none of
//! them may cost a visitor their session. Rendering is strict: a cookie that cannot be rendered is refused when it is
//! set, at start.

use super::{SessionId, Sessions};
pub use crate::exchange::SameSite;
use crate::exchange::{CookiePart, CookieText, Request};
use crate::settings::{Setting, SettingError, SettingValue, SettingWord, Settings, optional};
use ::http::HeaderValue;
use std::time::Duration;

/// How long the browser keeps the cookie.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CookieLifetime {
    /// As long as the session lives without use: `timeout`.
    #[default]
    Timeout,
    /// Until the browser ends (CherryPy's `persistent = False`).
    BrowserSession,
    /// This long.
    For(Duration),
}

/// Whether the browser is told to send the cookie over encrypted connections only.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Secure {
    /// When it was made over one.
    #[default]
    Automatic,
    /// Always: right behind a proxy that encrypts.
    Always,
    /// Never.
    Never,
}

/// `persistent` in a file: as long as the session, or until the browser ends. A time that code has set stays.
impl Setting for CookieLifetime {
    fn read(value: &SettingValue) -> Result<Self, String> {
        bool::read(value).map(|is_persistent| if is_persistent { Self::Timeout } else { Self::BrowserSession })
    }

    fn show(&self) -> String {
        (*self != Self::BrowserSession).show()
    }

    fn set(&mut self, value: &SettingValue) -> Result<(), String> {
        let read = Self::read(value)?;
        if read.show() != self.show() {
            *self = read;
        }
        Ok(())
    }
}

/// `true`, `false` or `"auto"` in a file.
impl Setting for Secure {
    fn read(value: &SettingValue) -> Result<Self, String> {
        let is_secure = optional(value, "auto", bool::read)?;
        Ok(is_secure.map_or(Self::Automatic, |is_secure| if is_secure { Self::Always } else { Self::Never }))
    }

    fn show(&self) -> String {
        let shown = match self {
            Self::Automatic => "\"auto\"",
            Self::Always => "true",
            Self::Never => "false",
        };
        shown.to_owned()
    }
}

impl SettingWord for SameSite {
    const WORDS: &'static [(&'static str, Self)] =
        &[("lax", Self::Lax), ("strict", Self::Strict), ("none", Self::None)];
}

/// A domain in a file; the empty one is none.
mod domain {
    use crate::settings::{Setting, SettingValue};

    pub(super) fn read(value: &SettingValue) -> Result<Option<String>, String> {
        Ok(Some(String::read(value)?).filter(|domain| !domain.is_empty()))
    }

    pub(super) fn show(domain: &Option<String>) -> String {
        domain.as_deref().unwrap_or_default().to_owned().show()
    }
}

/// How the cookie of a path looks. The texts are made once, when a setting changes.
#[derive(Clone, Debug, Settings)]
#[settings(check = Self::check, builders_on = Sessions, by = with_cookie)]
pub(super) struct CookieSettings {
    /// The name of the cookie.
    #[setting(key = "cookie_name", builder = "cookie_name", default = "session_id")]
    pub(super) name: String,
    /// The path that browsers send the cookie for.
    #[setting(key = "cookie_path", builder = "cookie_path", default = "/")]
    pub(super) path: String,
    /// The domain, with all below it, that browsers send the cookie to; empty for this host alone.
    #[setting(key = "cookie_domain", builder = "cookie_domain", with = domain)]
    pub(super) domain: Option<String>,
    /// Whether the cookie outlives the browser, for `timeout`.
    ///
    /// `persistent = false` is [`CookieLifetime::BrowserSession`]. The cookie is sent with a new id, and again when
    /// more than half of its life has passed.
    #[setting(key = "persistent", builder = "cookie_lifetime")]
    pub(super) lifetime: CookieLifetime,
    /// Whether browsers send the cookie over encrypted connections only: `true`, `false`, or `"auto"`, as the request
    /// came.
    pub(super) secure: Secure,
    /// Whether the cookie is hidden from scripts.
    #[setting(default = true)]
    pub(super) httponly: bool,
    /// Which requests from other sites bring the cookie: `"lax"`, `"strict"` or `"none"`.
    pub(super) same_site: SameSite,
    /// Whether the name begins with `__Host-` on encrypted connections, where path and domain allow that.
    ///
    /// Such a cookie comes from the host itself, and no neighbour below the same domain can plant one. A site that is
    /// reached by http and by https has a session for each.
    #[setting(default = true)]
    pub(super) host_prefix: bool,
}

/// A cookie of such a name is the host's own: browsers take it only from the host itself, over an encrypted connection,
/// for all of its paths (RFC 6265bis, section 4.1.3.2). So no neighbour below the same domain, and no attacker between
/// a browser and a site without TLS, can plant one.
const HOST_PREFIX: &str = "__Host-";

/// The longest name, in bytes: the value and the prefix need room, too.
const MAX_NAME: usize = 1024;

/// Maximum of ids of one request that are looked at. An attacker who plants more cookies than that has pushed ours out
/// of the browser already.
pub(super) const MAX_IDS: usize = 16;

impl Default for CookieSettings {
    fn default() -> Self {
        Self::defaults()
    }
}

impl CookieSettings {
    fn check(&self) -> Result<(), SettingError> {
        self.problem().map_or(Ok(()), |(key, problem)| Err(SettingError::new(key, problem)))
    }

    /// The first mistake in the settings together, if any: the key and the sentence.
    pub(super) fn problem(&self) -> Option<(&'static str, String)> {
        if self.name.len() > MAX_NAME {
            return Some(("cookie_name", format!("has more than {MAX_NAME} bytes: browsers drop that")));
        }
        let (part, problem) = self.text("", None, self.secure == Secure::Always).problem()?;
        let key = match part {
            CookiePart::Name => "cookie_name",
            CookiePart::Path => "cookie_path",
            CookiePart::Domain => "cookie_domain",
            CookiePart::SameSite => "same_site",
        };
        Some((key, problem))
    }

    /// How long the browser keeps the cookie; `None` is until it ends.
    pub(super) fn lifetime(&self, timeout: Duration) -> Option<Duration> {
        match self.lifetime {
            CookieLifetime::Timeout => Some(timeout),
            CookieLifetime::BrowserSession => None,
            CookieLifetime::For(lifetime) => Some(lifetime),
        }
    }

    /// The first id that the request brings, and the others in their order. A usual request brings one, which needs no
    /// list.
    pub(super) fn read(&self, request: &Request, is_encrypted: bool) -> (Option<SessionId>, Vec<SessionId>) {
        let (mut first, mut others) = (None, Vec::new());
        for id in self.all(request, is_encrypted).filter_map(SessionId::parse) {
            match first {
                None => first = Some(id),
                Some(known) if known == id || others.contains(&id) || others.len() + 1 >= MAX_IDS => {}
                Some(_) => others.push(id),
            }
        }
        (first, others)
    }

    /// The values of the cookies of that name, in their order.
    pub(super) fn all<'r>(&'r self, request: &'r Request, is_encrypted: bool) -> impl Iterator<Item = &'r [u8]> {
        let prefix = self.prefix(is_encrypted);
        request.head.headers_named("cookie").flat_map(move |field| values(field, prefix, &self.name))
    }

    /// The prefix of the name on this connection.
    pub(super) fn prefix(&self, is_encrypted: bool) -> &'static str {
        let is_allowed = self.is_secure(is_encrypted) && self.path == "/" && self.domain.is_none();
        if self.host_prefix && is_allowed && !self.name.starts_with("__") { HOST_PREFIX } else { "" }
    }

    fn is_secure(&self, is_encrypted: bool) -> bool {
        match self.secure {
            Secure::Always => true,
            Secure::Automatic => is_encrypted,
            Secure::Never => false,
        }
    }

    /// The field that gives the client this value: its id, or the whole session.
    pub(super) fn give(&self, value: &str, timeout: Duration, is_encrypted: bool) -> HeaderValue {
        let lifetime = self.lifetime(timeout).map(|lifetime| lifetime.as_secs());
        self.render(value, lifetime, is_encrypted)
    }

    /// The field that takes the cookie away.
    pub(super) fn take_away(&self, is_encrypted: bool) -> HeaderValue {
        self.render("", Some(0), is_encrypted)
    }

    fn render(&self, value: &str, max_age: Option<u64>, is_encrypted: bool) -> HeaderValue {
        let text = self.text(self.prefix(is_encrypted), max_age, self.is_secure(is_encrypted));
        HeaderValue::try_from(text.write(value)).expect("every part was checked when it was set")
    }

    fn text(&self, prefix: &'static str, max_age: Option<u64>, secure: bool) -> CookieText<'_> {
        CookieText {
            prefix,
            name: &self.name,
            path: &self.path,
            domain: self.domain.as_deref(),
            max_age,
            secure,
            http_only: self.httponly,
            same_site: self.same_site,
        }
    }
}

/// The values of the cookies of that name, which begins with `prefix`, in a `Cookie` field. They may stand in quotes.
fn values<'f>(field: &'f [u8], prefix: &'static str, name: &'f str) -> impl Iterator<Item = &'f [u8]> {
    let mut left = Some(field);
    std::iter::from_fn(move || {
        let rest = left?;
        let end = memchr::memchr(b';', rest);
        left = end.map(|end| &rest[end + 1..]);
        Some(&rest[..end.unwrap_or(rest.len())])
    })
    .filter_map(move |pair| {
        let pair = pair.trim_ascii().strip_prefix(prefix.as_bytes())?;
        let value = pair.strip_prefix(name.as_bytes())?.trim_ascii_start().strip_prefix(b"=")?.trim_ascii();
        Some(value.strip_prefix(b"\"").and_then(|value| value.strip_suffix(b"\"")).unwrap_or(value))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "0123456789abcdef0123456789abcdef01234567";
    const HOUR: Duration = Duration::from_secs(3600);

    fn id() -> SessionId {
        SessionId::parse(TEXT.as_bytes()).expect("an id")
    }

    fn find_id(field: &[u8], name: &str) -> Option<SessionId> {
        values(field, "", name).find_map(SessionId::parse)
    }

    #[test]
    fn the_name_is_the_hosts_own_where_the_cookie_is_for_all_of_the_host_and_secure() {
        type Change = fn(&mut CookieSettings);
        let named = |change: Change, is_encrypted| {
            let mut cookie = CookieSettings::default();
            change(&mut cookie);
            let field = cookie.give("1", HOUR, is_encrypted);
            field.to_str().expect("ASCII").split('=').next().unwrap_or_default().to_owned()
        };
        let table: [(Change, &str); 7] = [
            (|_| (), "__Host-session_id"),
            (|cookie| cookie.name = "sid".to_owned(), "__Host-sid"),
            (|cookie| cookie.path = "/shop".to_owned(), "session_id"),
            (|cookie| cookie.domain = Some("example.org".to_owned()), "session_id"),
            (|cookie| cookie.secure = Secure::Never, "session_id"),
            (|cookie| cookie.host_prefix = false, "session_id"),
            (|cookie| cookie.name = "__Secure-id".to_owned(), "__Secure-id"),
        ];
        for (change, name) in table {
            assert_eq!(named(change, true), name);
        }
        assert_eq!(named(|_| (), false), "session_id");
        assert_eq!(named(|cookie| cookie.secure = Secure::Always, false), "__Host-session_id");
    }

    #[test]
    fn bad_cookies_are_skipped_and_the_first_id_counts() {
        let other = TEXT.replace('0', "f");
        for field in [
            format!("session_id={TEXT}"),
            format!("a=b; session_id=\"{TEXT}\" ;c"),
            format!(
                ";;=;session_id;session_id=;session_id=evil;session_id=../../x; session_id={TEXT}; session_id={other}"
            ),
            format!("xsession_id={other}; session_idx={other}; session_id = {TEXT}"),
            format!("\u{fffd}\"=\\; session_id={TEXT}"),
        ] {
            assert_eq!(find_id(field.as_bytes(), "session_id"), Some(id()), "{field}");
        }
        assert_eq!(find_id(b"session_id=evil; other=1", "session_id"), None);
        assert_eq!(find_id(b"", "session_id"), None);
    }

    #[test]
    fn the_defaults_are_httponly_and_lax_and_secure_when_encrypted() {
        let cookie = CookieSettings::default();
        let plain = format!("session_id={TEXT}; Max-Age=3600; Path=/; HttpOnly; SameSite=Lax");
        assert_eq!(cookie.give(TEXT, HOUR, false), plain);
        let encrypted = format!("__Host-session_id={TEXT}; Max-Age=3600; Path=/; Secure; HttpOnly; SameSite=Lax");
        assert_eq!(cookie.give(TEXT, HOUR, true), encrypted);
    }

    #[test]
    fn the_lifetime_is_max_age_or_nothing() {
        let max_age = |lifetime| {
            let cookie = CookieSettings { lifetime, ..CookieSettings::default() };
            let field = cookie.give(TEXT, HOUR, false);
            let text = field.to_str().expect("ASCII").to_owned();
            text.split("; ").find_map(|part| part.strip_prefix("Max-Age=").map(str::to_owned))
        };
        assert_eq!(max_age(CookieLifetime::Timeout).as_deref(), Some("3600"));
        assert_eq!(max_age(CookieLifetime::For(Duration::from_secs(60))).as_deref(), Some("60"));
        assert_eq!(max_age(CookieLifetime::BrowserSession), None);
    }

    #[test]
    fn every_flag_is_rendered_and_a_cookie_is_taken_away_with_the_same_flags() {
        let cookie = CookieSettings {
            name: "sid".to_owned(),
            path: "/shop".to_owned(),
            domain: Some("example.org".to_owned()),
            lifetime: CookieLifetime::BrowserSession,
            secure: Secure::Always,
            httponly: false,
            same_site: SameSite::None,
            host_prefix: true,
        };
        assert_eq!(cookie.problem(), None);
        let flags = "Path=/shop; Domain=example.org; Secure; SameSite=None";
        assert_eq!(cookie.give(TEXT, HOUR, false), format!("sid={TEXT}; {flags}"));
        assert_eq!(cookie.take_away(false), format!("sid=; Max-Age=0; {flags}"));
    }

    #[test]
    fn a_cookie_that_browsers_drop_is_refused() {
        let refused = |change: fn(&mut CookieSettings)| {
            let mut cookie = CookieSettings::default();
            change(&mut cookie);
            cookie.problem().map(|(key, _)| key)
        };
        assert_eq!(refused(|_| ()), None);
        assert_eq!(refused(|cookie| cookie.name = "a b".to_owned()), Some("cookie_name"));
        assert_eq!(refused(|cookie| cookie.name = "__Host-id".to_owned()), Some("cookie_name"));
        assert_eq!(refused(|cookie| cookie.name = "__host-id".to_owned()), Some("cookie_name"));
        assert_eq!(refused(|cookie| cookie.name = "__Secure-id".to_owned()), Some("cookie_name"));
        assert_eq!(refused(|cookie| cookie.path = "/;x".to_owned()), Some("cookie_path"));
        assert_eq!(refused(|cookie| cookie.path = "x".to_owned()), Some("cookie_path"));
        assert_eq!(refused(|cookie| cookie.domain = Some("a\r\nb".to_owned())), Some("cookie_domain"));
        assert_eq!(refused(|cookie| cookie.same_site = SameSite::None), Some("same_site"));
    }
}
