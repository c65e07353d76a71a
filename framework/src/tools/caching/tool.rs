//! The caching tool at work: its hooks, its background job, and what a program asks of it.

use super::key::target_of;
use super::settings::Caching;
use super::visit::{CachingAdmission, ask, ask_again, hand_on, is_visited, keep, leave};
use crate::Exchange;
use crate::lifecycle::{HookPoint, Hooks, StatusRow, StatusSource, Tool};
use crate::settings::{SettingError, SettingTable, Settings};
use percent_encoding::percent_decode_str;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// How often expired entries are removed.
const SWEEP_INTERVAL: Duration = Duration::from_secs(10);

impl Caching {
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
}

impl Tool for Caching {
    fn name(&self) -> &'static str {
        "caching"
    }

    fn attach(&self, hooks: &mut Hooks) {
        if let Err(error) = self.check_settings() {
            return hooks.refuse(error);
        }
        let settings = Arc::new(self.clone());
        let shared = Arc::clone(&self.shared);
        let tree = hooks.tree();
        // After the tools that serve files (90), in any order of switching on: files are never kept.
        hooks.at(HookPoint::BeforeRequestBody, move |exchange| ask(exchange, &shared, tree)).priority(95);
        hooks.early_admission(CachingAdmission(Arc::clone(&settings)));
        hooks.when_parked(hand_on);
        let shared = Arc::clone(&self.shared);
        hooks.at(HookPoint::BeforeHandler, move |exchange| ask_again(exchange, &shared)).priority(95);
        let keep = move |exchange: &mut Exchange| keep(exchange, &settings, tree);
        hooks.at(HookPoint::BeforeFinalize, keep).priority(95).always();
        hooks.at(HookPoint::OnEndResource, leave).always();
        hooks.status(self.clone());
        if !self.shared.is_swept.swap(true, Ordering::Relaxed) {
            let shared = Arc::clone(&self.shared);
            hooks.background("cache sweep", SWEEP_INTERVAL, move || {
                let swept = shared.cache.sweep(Instant::now());
                crate::line::record!(Debug, target: "kirsch::caching", "{swept} expired responses removed");
            });
        }
    }

    fn configure(&self, settings: &SettingTable) -> Result<Box<dyn Tool>, SettingError> {
        Ok(Box::new(self.configured(settings)?))
    }
}

impl StatusSource for Caching {
    fn title(&self) -> String {
        "Cache".to_owned()
    }

    fn rows(&self) -> Vec<StatusRow> {
        let CachingStatistics { hits, misses, waits, evicted, objects, bytes, .. } = self.statistics();
        vec![
            StatusRow::new("entries", objects),
            StatusRow::new("bytes", bytes),
            StatusRow::new("hits", hits),
            StatusRow::new("misses", misses),
            StatusRow::new("waits for another request", waits),
            StatusRow::new("evicted", evicted),
        ]
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

/// The segments of a path as the traversal compares them: decoded, without empty ones, `-` and `.` as `_`.
fn segments(path: &str) -> impl Iterator<Item = Vec<u8>> {
    let path = path.split('?').next().unwrap_or_default();
    let folded = |byte| if matches!(byte, b'-' | b'.') { b'_' } else { byte };
    path.split('/')
        .filter(|segment| !segment.is_empty())
        .map(move |segment| percent_decode_str(segment).map(folded).collect())
}
