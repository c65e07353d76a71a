//! The caching tool: its settings, its hooks, its background job.

use super::cache::{Cache, Limits};
use super::key::target_of;
use super::settings::{LIMITS, Settings};
use super::visit::{CachingAdmission, ask, ask_again, hand_on, is_visited, keep, leave};
use crate::lifecycle::{HookPoint, Hooks, SettingError, SettingTable, Tool};
use crate::{Exchange, Method, StatusCode};
use percent_encoding::percent_decode_str;
use std::hash::RandomState;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

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
#[derive(Clone, Debug)]
pub struct Caching {
    shared: Arc<Shared>,
    settings: Arc<Settings>,
}

/// How often expired entries are removed.
const SWEEP_INTERVAL: Duration = Duration::from_secs(10);

impl Caching {
    /// Caching with a cache of its own.
    #[must_use]
    pub fn new() -> Self {
        let shared = Shared {
            cache: Cache::new(LIMITS),
            tagging: RandomState::new(),
            copying: Arc::default(),
            is_swept: AtomicBool::new(false),
        };
        Self { shared: Arc::new(shared), settings: Arc::default() }
    }

    /// How long a response is fresh that does not say it itself (`delay`, default 10 minutes; zero keeps only those
    /// that say it).
    #[must_use]
    pub fn delay(self, delay: Duration) -> Self {
        self.with(|settings| settings.defaults.lifetime = delay)
    }

    /// How long a stale response is still sent while one request makes a new one (`stale_while_revalidate`, default
    /// zero). That request runs the handler and waits for it; the others do not. A response may set its own time (RFC
    /// 5861).
    #[must_use]
    pub fn stale_while_revalidate(self, time: Duration) -> Self {
        self.with(|settings| settings.defaults.stale_while_revalidate = time)
    }

    /// How long a response that is not fresh any more is sent in place of an answer from 500 on (`stale_if_error`,
    /// default zero). A response may set its own time (RFC 5861).
    #[must_use]
    pub fn stale_if_error(self, time: Duration) -> Self {
        self.with(|settings| settings.defaults.stale_if_error = time)
    }

    /// How long a request waits for the response that another one makes (`stampede_timeout`, default 5 s, CherryPy's
    /// `antistampede_timeout`). After that it runs the handler itself: one request that hangs does not stop the others.
    #[must_use]
    pub fn stampede_timeout(self, timeout: Duration) -> Self {
        self.with(|settings| settings.stampede_timeout = timeout)
    }

    /// The largest response that is kept, in bytes of content (`max_object_size`, default 100 kB). Larger ones are sent
    /// whole and not kept.
    #[must_use]
    pub fn max_object_size(self, bytes: usize) -> Self {
        self.with(|settings| settings.max_object_size = bytes)
    }

    /// Maximum of all kept responses in bytes (`max_size`, default 10 MB): fields, addresses and bookkeeping included.
    /// Beyond it the response used longest ago goes. It is the cache's, so it holds for all paths.
    #[must_use]
    pub fn max_size(self, bytes: usize) -> Self {
        self.shared.cache.limit(|limits| limits.bytes = bytes);
        self
    }

    /// Maximum of kept responses (`max_objects`, default 1000). It is the cache's, so it holds for all paths.
    #[must_use]
    pub fn max_objects(self, count: usize) -> Self {
        self.shared.cache.limit(|limits| limits.objects = count);
        self
    }

    /// The statuses of responses that are kept (`statuses = [200, 404]`; default 200, 203, 204, 300, 301, 308, 404,
    /// 410). Those from 500 on never are.
    #[must_use]
    pub fn statuses(self, statuses: impl IntoIterator<Item = StatusCode>) -> Self {
        self.with(|settings| settings.statuses = statuses.into_iter().collect())
    }

    /// The methods whose success removes the responses for the address (`invalid_methods = ["POST"]`; default: all but
    /// GET, HEAD, OPTIONS and TRACE). Leave out one that changes nothing, such as a POST that searches.
    #[must_use]
    pub fn invalid_methods(self, methods: impl IntoIterator<Item = Method>) -> Self {
        self.with(|settings| settings.invalid_methods = Some(methods.into_iter().collect()))
    }

    /// Removes the responses for a path, on all hosts, with all queries, in all variants; with a query
    /// (`/songs?page=2`), those for that query only. A response that is being made at the moment is not kept either.
    /// Returns how many responses went.
    ///
    /// The path is compared as pages are found: by its decoded segments.
    pub fn purge(&self, path: &str) -> usize {
        match path.split_once('?') {
            Some(_) => self.shared.cache.invalidate_all(|key| target_of(key) == path),
            None => self.shared.cache.invalidate_all(|key| {
                let (mut wanted, mut found) = (segments(path), segments(target_of(key)));
                loop {
                    match (wanted.next(), found.next()) {
                        (None, None) => return true,
                        (wanted, found) if wanted != found => return false,
                        _ => {}
                    }
                }
            }),
        }
    }

    /// Removes the responses for a path and all paths below it. `/songs` is not above `/songsters`. Returns how many
    /// responses went.
    pub fn purge_prefix(&self, path: &str) -> usize {
        self.shared.cache.invalidate_all(|key| {
            let mut found = segments(target_of(key));
            segments(path).all(|wanted| found.next() == Some(wanted))
        })
    }

    /// Removes everything. Returns how many responses went.
    pub fn clear(&self) -> usize {
        self.shared.cache.invalidate_all(|_| true)
    }

    /// Whether a cache waits for the response of this request: then it must come whole to `before_finalize` 95, even if
    /// this client needs only a part. For tools that would leave out content which the client has already.
    #[must_use]
    pub fn wants(exchange: &Exchange) -> bool {
        is_visited(exchange)
    }

    /// Counters and gauges of this moment.
    #[must_use]
    pub fn statistics(&self) -> CachingStatistics {
        let (counters, objects, bytes) = self.shared.cache.status();
        CachingStatistics {
            hits: counters.hits,
            misses: counters.misses,
            waits: counters.waits,
            stored: counters.stored,
            evicted: counters.evicted,
            expired: counters.expired,
            invalidated: counters.invalidated,
            objects,
            bytes,
        }
    }

    fn with(mut self, change: impl FnOnce(&mut Settings)) -> Self {
        change(Arc::make_mut(&mut self.settings));
        self
    }
}

impl Default for Caching {
    fn default() -> Self {
        Self::new()
    }
}

impl Tool for Caching {
    fn name(&self) -> &'static str {
        "caching"
    }

    fn attach(&self, hooks: &mut Hooks) {
        if let Some((key, problem)) = self.settings.problem(self.shared.cache.limits()) {
            return hooks.refuse(SettingError::new(key, problem));
        }
        let Self { shared, settings } = self.clone();
        let tree = hooks.tree();
        // After the tools that serve files (90), in any order of switching on: files are never kept.
        hooks.at(HookPoint::BeforeRequestBody, move |exchange| ask(exchange, &shared, tree)).priority(95);
        let Self { shared, settings: of_admission } = self.clone();
        hooks.early_admission(CachingAdmission { shared, settings: of_admission });
        hooks.when_parked(hand_on);
        let shared = Arc::clone(&self.shared);
        hooks.at(HookPoint::BeforeHandler, move |exchange| ask_again(exchange, &shared)).priority(95);
        let shared = Arc::clone(&self.shared);
        let keep = move |exchange: &mut Exchange| keep(exchange, &shared, &settings, tree);
        hooks.at(HookPoint::BeforeFinalize, keep).priority(95).always();
        hooks.at(HookPoint::OnEndResource, leave).always();
        if !self.shared.is_swept.swap(true, Ordering::Relaxed) {
            let shared = Arc::clone(&self.shared);
            hooks.background("cache sweep", SWEEP_INTERVAL, move || {
                let swept = shared.cache.sweep(Instant::now());
                crate::line::record!(Debug, target: "kirsch::caching", "{swept} expired responses removed");
            });
        }
    }

    fn configure(&self, table: &SettingTable) -> Result<Box<dyn Tool>, SettingError> {
        let mut configured = self.clone();
        let before = self.shared.cache.limits();
        let mut limits = before;
        Arc::make_mut(&mut configured.settings).read(table, &mut limits)?;
        if limits != before {
            self.shared.cache.limit(|present: &mut Limits| *present = limits);
        }
        Ok(Box::new(configured))
    }
}

/// The counts and the contents of a cache; see the field names.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CachingStatistics {
    /// Requests that were answered from the cache, those that waited for it included.
    pub hits: u64,
    /// Requests that ran their handler.
    pub misses: u64,
    /// Waits for the response that another request made.
    pub waits: u64,
    /// Responses that were put into the cache.
    pub stored: u64,
    /// Entries that had to go before their time because there were too many.
    pub evicted: u64,
    /// Entries whose time was over.
    pub expired: u64,
    /// Responses that were removed because something changed, or by a purge.
    pub invalidated: u64,
    /// Entries in the cache: responses, and notes that an address has none to share.
    pub objects: usize,
    /// Memory that they take, in bytes.
    pub bytes: usize,
}

/// The part that all paths of one caching tool share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) cache: Arc<Cache>,
    pub(super) tagging: RandomState,
    /// The bytes that copies of streams take now.
    pub(super) copying: Arc<AtomicUsize>,
    is_swept: AtomicBool,
}

/// The segments of a path as the traversal compares them: decoded, without empty ones, `-` and `.` as `_`.
fn segments(path: &str) -> impl Iterator<Item = Vec<u8>> {
    let path = path.split('?').next().unwrap_or_default();
    let folded = |byte| if matches!(byte, b'-' | b'.') { b'_' } else { byte };
    path.split('/')
        .filter(|segment| !segment.is_empty())
        .map(move |segment| percent_decode_str(segment).map(folded).collect())
}
