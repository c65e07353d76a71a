//! The cookie jar of one browser (RFC 6265, sections 5.3 and 5.4), as far as one server needs it.
//!
//! Kept: name, value, path, Max-Age, Expires, Secure. Domain is not looked at: a jar belongs to one server.

use std::time::{Duration, Instant, SystemTime};

#[derive(Debug, Default)]
pub(super) struct CookieJar {
    cookies: Vec<StoredCookie>,
}

#[derive(Debug)]
struct StoredCookie {
    name: String,
    value: String,
    path: String,
    expires: Option<Instant>,
    secure: bool,
}

impl CookieJar {
    /// Takes in one `Set-Cookie` value that came with the response to a request for `request_path`.
    pub(super) fn store(&mut self, set_cookie: &str, request_path: &str, now: Instant) {
        let mut parts = set_cookie.split(';');
        let Some((name, value)) = parts.next().and_then(|pair| pair.split_once('=')) else { return };
        let mut cookie = StoredCookie {
            name: name.trim().to_owned(),
            value: value.trim().to_owned(),
            path: default_path(request_path).to_owned(),
            expires: None,
            secure: false,
        };
        let (mut max_age, mut expires) = (None, None);
        for attribute in parts {
            let (key, value) = attribute.split_once('=').unwrap_or((attribute, ""));
            let value = value.trim();
            match key.trim().to_ascii_lowercase().as_str() {
                "path" if value.starts_with('/') => value.clone_into(&mut cookie.path),
                "max-age" => max_age = value.parse::<i64>().ok(),
                "expires" => expires = httpdate::parse_http_date(value).ok(),
                "secure" => cookie.secure = true,
                _ => {}
            }
        }
        // Max-Age wins over Expires (section 5.3, step 3).
        cookie.expires = match (max_age, expires) {
            (Some(seconds), _) => now.checked_add(Duration::from_secs(u64::try_from(seconds).unwrap_or(0))),
            (None, Some(date)) => now.checked_add(date.duration_since(SystemTime::now()).unwrap_or(Duration::ZERO)),
            (None, None) => None,
        };
        self.cookies.retain(|old| (&old.name, &old.path) != (&cookie.name, &cookie.path));
        if cookie.expires.is_none_or(|expires| expires > now) {
            self.cookies.push(cookie);
        }
    }

    /// The value of the `Cookie` field for a request; `None` when no cookie fits.
    pub(super) fn header(&self, path: &str, is_encrypted: bool, now: Instant) -> Option<String> {
        let fits = |cookie: &&StoredCookie| (is_encrypted || !cookie.secure) && path_matches(path, &cookie.path);
        let mut fitting: Vec<_> = self.alive(now).filter(fits).collect();
        fitting.sort_by_key(|cookie| std::cmp::Reverse(cookie.path.len()));
        let pairs: Vec<_> = fitting.iter().map(|cookie| format!("{}={}", cookie.name, cookie.value)).collect();
        (!pairs.is_empty()).then(|| pairs.join("; "))
    }

    /// The value of the cookie of that name, on any path.
    pub(super) fn get(&self, name: &str, now: Instant) -> Option<&str> {
        self.alive(now).find(|cookie| cookie.name == name).map(|cookie| cookie.value.as_str())
    }

    pub(super) fn clear(&mut self) {
        self.cookies.clear();
    }

    fn alive(&self, now: Instant) -> impl Iterator<Item = &StoredCookie> {
        self.cookies.iter().filter(move |cookie| cookie.expires.is_none_or(|expires| expires > now))
    }
}

/// The path of a cookie that names none: the request's folder (section 5.1.4).
fn default_path(request_path: &str) -> &str {
    match request_path.rfind('/') {
        None | Some(0) => "/",
        Some(end) => &request_path[..end],
    }
}

/// Whether a cookie for `cookie_path` goes with a request for `path` (section 5.1.4).
fn path_matches(path: &str, cookie_path: &str) -> bool {
    path.strip_prefix(cookie_path)
        .is_some_and(|rest| rest.is_empty() || cookie_path.ends_with('/') || rest.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn jar(cookies: &[&str]) -> (CookieJar, Instant) {
        let now = Instant::now();
        let mut jar = CookieJar::default();
        for cookie in cookies {
            jar.store(cookie, "/folder/page", now);
        }
        (jar, now)
    }

    #[test]
    fn a_cookie_comes_back_below_its_path_only() {
        let (jar, now) = jar(&["a=1; Path=/admin"]);
        assert_eq!(jar.header("/admin/users", false, now).as_deref(), Some("a=1"));
        assert_eq!(jar.header("/administrator", false, now), None);
        assert_eq!(jar.header("/", false, now), None);
    }

    #[test]
    fn without_a_path_it_belongs_to_the_folder_of_the_request() {
        let (jar, now) = jar(&["a=1"]);
        assert_eq!(jar.header("/folder/other", false, now).as_deref(), Some("a=1"));
        assert_eq!(jar.header("/", false, now), None);
    }

    #[test]
    fn a_later_cookie_replaces_one_of_the_same_name_and_path() {
        let (jar, now) = jar(&["a=1; Path=/", "a=2; Path=/"]);
        assert_eq!(jar.header("/", false, now).as_deref(), Some("a=2"));
    }

    #[test]
    fn max_age_ends_a_cookie() {
        let (jar, now) = jar(&["a=1; Path=/; Max-Age=60"]);
        assert_eq!(jar.get("a", now + Duration::from_secs(59)), Some("1"));
        assert_eq!(jar.get("a", now + Duration::from_secs(60)), None);
    }

    #[test]
    fn max_age_zero_and_a_past_date_delete() {
        let (jar, now) = jar(&[
            "a=1; Path=/",
            "b=1; Path=/",
            "a=; Path=/; Max-Age=0",
            "b=; Path=/; Expires=Thu, 01 Jan 1970 00:00:00 GMT",
        ]);
        assert_eq!(jar.header("/", false, now), None);
    }

    #[test]
    fn a_secure_cookie_stays_home_without_tls() {
        let (jar, now) = jar(&["a=1; Path=/; Secure"]);
        assert_eq!(jar.header("/", false, now), None);
        assert_eq!(jar.header("/", true, now).as_deref(), Some("a=1"));
    }
}
