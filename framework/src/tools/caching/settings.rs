//! The caching tool and its settings.

use super::shared::Shared;
use super::terms::Defaults;
use crate::settings::{SettingError, Settings};
use crate::{Method, StatusCode};
use std::sync::Arc;
use std::time::Duration;

/// The caching tool: keeps the responses of a path and below it, and sends them again. While one request makes a
/// response, others that want the same wait for it, without a worker, and the handler runs once.
///
/// ```
/// use kirsch::{prelude::*, testing::Client};
/// use std::sync::atomic::{AtomicU32, Ordering};
/// use std::time::Duration;
///
/// struct Slow {
///     calls: AtomicU32,
/// }
///
/// #[handlers]
/// impl Slow {
///     #[expose]
///     fn square(&self, number: i64) -> String {
///         let call = self.calls.fetch_add(1, Ordering::Relaxed) + 1;
///         format!("{} (call {call})", number * number)
///     }
/// }
///
/// let caching = Caching::new().delay(Duration::from_secs(60));
/// let client = Client::in_process(App::new(Slow { calls: 0.into() }).tool("/", caching.clone()));
/// client.get("/square?number=4").send().assert_text("16 (call 1)").assert_no_header("age");
/// client.get("/square?number=4").send().assert_text("16 (call 1)").assert_header("age", "0");
/// client.get("/square?number=5").send().assert_text("25 (call 2)");
///
/// assert_eq!(caching.statistics().hits, 1);
/// caching.purge("/square");
/// client.get("/square?number=4").send().assert_text("16 (call 3)");
/// ```
///
/// # What is kept
///
/// Answers to GET with one of the [`statuses`](Self::statuses), for as long as the response says in `Cache-Control`
/// (`s-maxage`, then `max-age`), then in `Expires`, then for [`delay`](Self::delay). HEAD is answered from the response
/// to GET. Never kept are:
///
/// * `no-store`, `no-cache`, `private`, `Vary: *`, and any response that sets a cookie;
/// * error pages: they say `no-store`, unless a page of your own says otherwise;
/// * answers to requests with `Authorization`, unless they say `public`, `s-maxage` or `must-revalidate`;
/// * answers of requests in which anything has looked into the session ([`Session::is_used`](crate::Session::is_used)):
///   handlers that take `&Session` or `SessionView` bypass the cache, others are noticed afterwards;
/// * answers to requests that came with content, files (the system has them in memory already), streams that break off.
///
/// **Anything else that decides about a response must be in `Vary`**: a handler that reads a cookie, `Accept-Language`
/// or the address of the client gives one person's response to all others unless it says so, or says `private`.
///
/// A hit runs no handler, no hook of `before_handler`, and waits for no session. So a tool that decides which visitors
/// may see a page must look at `on_start_resource` or `before_request_body` (with a priority below 95), or look into
/// the session.
///
/// # When it is not used
///
/// Clients are obeyed: `no-cache`, `max-age`, `min-fresh`, `max-stale`, `no-store`, `only-if-cached` (504 if there is
/// nothing). A successful POST, PUT, PATCH, DELETE or other method that changes something removes the responses for its
/// address and for those of the same origin in its `Location` and `Content-Location`.
///
/// # Whose it is
///
/// A response is kept for one address as the client sees it: scheme, host, port, the prefix of a trusted proxy
/// ([`Request::origin`](crate::Request::origin), [`Request::prefix`](crate::Request::prefix)), path and query. So two
/// hosts, or `http` and `https`, never share a page. Nor do two apps that share a cache.
///
/// # Waiting
///
/// The first request for a missing response makes it; others wait, first come, first served. When the response may be
/// kept, all get it. When it may not, all run by themselves, and for two minutes no request waits at this address. When
/// the first fails, or its client goes away, the next one makes it. If the first has to wait for something of its own,
/// such as its place in a limit of its address, the next one makes it, too. No request waits longer than
/// [`stampede_timeout`](Self::stampede_timeout).
///
/// A page that may be kept is for everybody, so a request for it does not wait for its session, unless its handler
/// takes it.
///
/// In a configuration file the settings have the same names: `caching.delay = "10m"`. Paths below may set them
/// otherwise; all responses are kept in one place, with one limit. A clone is a handle to it: keep one to ask for
/// [`statistics`](Self::statistics) or to [`purge`](Self::purge). CherryPy's `tools.caching` with its traps closed:
/// each `Caching` has a cache of its own, the first request is protected, too, and memory is given back.
#[derive(Clone, Debug, Settings)]
#[settings(check = Self::check)]
pub struct Caching {
    /// How long a response is fresh that does not say it itself; zero keeps only those that say it.
    #[setting(default = "10m")]
    delay: Duration,
    /// How long a stale response is still sent while one request makes a new one.
    ///
    /// That request runs the handler and waits for it; the others do not. A response may set its own time (RFC 5861).
    stale_while_revalidate: Duration,
    /// How long a response that is not fresh any more is sent in place of an answer from 500 on.
    ///
    /// A response may set its own time (RFC 5861).
    stale_if_error: Duration,
    /// How long a request waits for the response that another one makes. Then it runs the handler itself.
    ///
    /// CherryPy's `antistampede_timeout`. One request that hangs does not stop the others.
    #[setting(default = "5s")]
    pub(super) stampede_timeout: Duration,
    /// The largest response that is kept, in bytes of content. Larger ones are sent whole and not kept.
    #[setting(size, default = "100 kB")]
    pub(super) max_object_size: usize,
    #[setting(flatten, given)]
    pub(super) shared: Arc<Shared>,
    /// The statuses of responses that are kept. Those from 500 on never are.
    #[setting(with = statuses, default = KEPT.to_vec())]
    pub(super) statuses: Vec<StatusCode>,
    /// The methods whose success removes the responses for the address; `"auto"` is all but GET, HEAD, OPTIONS and
    /// TRACE.
    ///
    /// Leave out one that changes nothing, such as a POST that searches.
    #[setting(with = methods, none = "auto")]
    invalid_methods: Option<Vec<Method>>,
}

const KEPT: [StatusCode; 8] = [
    StatusCode::OK,
    StatusCode::NON_AUTHORITATIVE_INFORMATION,
    StatusCode::NO_CONTENT,
    StatusCode::MULTIPLE_CHOICES,
    StatusCode::MOVED_PERMANENTLY,
    StatusCode::PERMANENT_REDIRECT,
    StatusCode::NOT_FOUND,
    StatusCode::GONE,
];

impl Caching {
    /// Caching with a cache of its own.
    #[must_use]
    pub fn new() -> Self {
        Self::defaults(Arc::default())
    }

    fn check(&self) -> Result<(), SettingError> {
        let refused = |key, problem| Err(SettingError::new(key, problem));
        let bytes = self.shared.cache.limits().bytes;
        if self.max_object_size > bytes {
            let problem = format!("is {}, more than `max_size` allows for all objects: {bytes}", self.max_object_size);
            return refused("max_object_size", problem);
        }
        // What is partial, an answer to a condition, or a failure is no answer to the next request.
        let is_kept = |status: &StatusCode| {
            !status.is_server_error() && !matches!(status.as_u16(), 100..200 | 206 | 304 | 412 | 416)
        };
        if let Some(status) = self.statuses.iter().find(|status| !is_kept(status)) {
            return refused("statuses", format!("has {}, which is not an answer to the next request", status.as_u16()));
        }
        let reads = |method: &&Method| matches!(**method, Method::GET | Method::HEAD);
        match self.invalid_methods.iter().flatten().find(reads) {
            Some(method) => refused("invalid_methods", format!("has {method}, which changes nothing")),
            None => Ok(()),
        }
    }

    /// Whether an answer to this method makes what is kept for the address invalid.
    pub(super) fn invalidates(&self, method: &Method) -> bool {
        match &self.invalid_methods {
            Some(methods) => methods.contains(method),
            None => !method.is_safe(),
        }
    }

    /// What holds for a response that says nothing itself.
    pub(super) fn unless_said(&self) -> Defaults {
        Defaults {
            lifetime: self.delay,
            stale_while_revalidate: self.stale_while_revalidate,
            stale_if_error: self.stale_if_error,
        }
    }
}

impl Default for Caching {
    fn default() -> Self {
        Self::new()
    }
}

/// Statuses by their numbers, in a file.
mod statuses {
    use crate::StatusCode;
    use crate::settings::{Setting, SettingValue};

    pub(super) fn read(value: &SettingValue) -> Result<Vec<StatusCode>, String> {
        let status = |number: &usize| u16::try_from(*number).ok().and_then(|number| StatusCode::from_u16(number).ok());
        let read: Option<_> = Vec::<usize>::read(value)?.iter().map(status).collect();
        read.ok_or_else(|| "has a number that is not a status: they have three digits".to_owned())
    }

    pub(super) fn show(statuses: &[StatusCode]) -> String {
        let numbers: Vec<_> = statuses.iter().map(StatusCode::as_u16).collect();
        format!("{numbers:?}")
    }
}

/// Methods by their names, in a file.
mod methods {
    use crate::Method;
    use crate::settings::{Setting, SettingValue};

    pub(super) fn read(value: &SettingValue) -> Result<Vec<Method>, String> {
        let names = Vec::<String>::read(value)?;
        let read: Result<_, _> = names.iter().map(|name| Method::from_bytes(name.as_bytes())).collect();
        read.map_err(|_| "has a text that is not a method, such as \"POST\"".to_owned())
    }

    pub(super) fn show(methods: &[Method]) -> String {
        let names: Vec<_> = methods.iter().map(Method::as_str).collect();
        format!("{names:?}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tools::caching::cache::Limits;

    fn read(text: &str) -> Result<Caching, String> {
        Caching::new().configured(&text.parse().expect("TOML")).map_err(|error| error.to_string())
    }

    #[test]
    fn every_key_is_read() {
        let text = r#"
            delay = "1m"
            stale_while_revalidate = "10s"
            stale_if_error = "1h"
            stampede_timeout = "2s"
            max_objects = 7
            max_size = "1 MiB"
            max_object_size = "64 KiB"
            statuses = [200, 404]
            invalid_methods = ["POST", "PROPPATCH"]
        "#;
        let settings = read(text).expect("right");
        assert_eq!(settings.delay, Duration::from_secs(60));
        assert_eq!(settings.stale_while_revalidate, Duration::from_secs(10));
        assert_eq!(settings.stale_if_error, Duration::from_secs(3600));
        assert_eq!(settings.stampede_timeout, Duration::from_secs(2));
        assert_eq!(settings.shared.cache.limits(), Limits { objects: 7, bytes: 1 << 20 });
        assert_eq!(settings.max_object_size, 64 << 10);
        assert_eq!(settings.statuses, [StatusCode::OK, StatusCode::NOT_FOUND]);
        assert!(settings.invalidates(&Method::POST) && !settings.invalidates(&Method::PUT));
    }

    #[test]
    fn patch_invalidates_and_safe_methods_do_not() {
        let settings = Caching::new();
        for method in [Method::POST, Method::PUT, Method::PATCH, Method::DELETE, Method::CONNECT] {
            assert!(settings.invalidates(&method), "{method}");
        }
        for method in [Method::GET, Method::HEAD, Method::OPTIONS, Method::TRACE] {
            assert!(!settings.invalidates(&method), "{method}");
        }
    }

    #[test]
    fn wrong_settings_name_their_key() {
        for (text, start) in [
            ("dealy = '5m'", "`dealy` is not a setting; did you mean `delay`?"),
            ("delay = 600", "`delay` is 600"),
            ("max_objects = 0", "`max_objects` must be at least 1"),
            ("max_object_size = '20 MB'", "`max_object_size` is 20000000, more than `max_size`"),
            ("statuses = [200, 500]", "`statuses` has 500"),
            ("statuses = [206]", "`statuses` has 206"),
            ("statuses = [2000]", "`statuses` has a number that is not a status"),
            ("statuses = 200", "`statuses` is 200; it must be a list"),
            ("invalid_methods = ['GET']", "`invalid_methods` has GET"),
            ("invalid_methods = ['a b']", "`invalid_methods` has a text that is not a method"),
        ] {
            let problem = read(text).expect_err(text);
            assert!(problem.starts_with(start), "{text}: {problem}");
        }
    }
}
