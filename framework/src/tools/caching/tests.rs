//! The cache by itself: which request leads, which ones wait, which responses are kept and which go.

use super::cache::{Cache, Follower, Found, Inquiry, Lead, Limits, Polled};
use super::samples::{request, response, stored_for};
use super::shared::LIMITS;
use super::stored::Stored;
use crate::Request;
use crate::http::RequestDirectives;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Wake, Waker};
use std::time::{Duration, Instant};

/// Counts how often it was woken.
#[derive(Default)]
struct Bell(AtomicUsize);

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

impl Bell {
    fn rings(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }
}

fn inquiry<'r>(key: &'r str, request: &'r Request) -> Inquiry<'r> {
    Inquiry {
        key,
        request,
        directives: RequestDirectives::default(),
        is_authorized: false,
        may_lead: true,
        may_follow: true,
        now: Instant::now(),
    }
}

fn find(cache: &Arc<Cache>, key: &str, fields: &str) -> Found {
    cache.find(&inquiry(key, &request(fields)), None)
}

#[track_caller]
fn lead(cache: &Arc<Cache>, key: &str) -> Lead {
    match find(cache, key, "") {
        Found::Lead(lead) => lead,
        other => panic!("no lead: {other:?}"),
    }
}

#[track_caller]
fn follow(cache: &Arc<Cache>, key: &str, bell: &Arc<Bell>) -> Follower {
    match cache.find(&inquiry(key, &request("")), Some(Waker::from(Arc::clone(bell)))) {
        Found::Wait(follower) => follower,
        other => panic!("no wait: {other:?}"),
    }
}

fn stored(fields: &str, content: &str) -> Arc<Stored> {
    Arc::new(stored_for(&request(""), &response(fields, content)))
}

fn keep(cache: &Arc<Cache>, key: &str, content: &str) {
    lead(cache, key).keep(stored("", content));
}

/// Puts a response in for a request with these fields.
fn keep_variant(cache: &Arc<Cache>, key: &str, fields: &str, content: &str, vary: &str) {
    let request = request(fields);
    let response = response(&format!("Vary: {vary}"), content);
    cache.keep(key, Arc::new(stored_for(&request, &response)), cache.epoch());
}

fn content(cache: &Arc<Cache>, key: &str, fields: &str) -> Option<String> {
    match find(cache, key, fields) {
        Found::Hit(stored, age) => {
            let mut response = crate::Response::new();
            stored.write_into(&mut response, age);
            Some(String::from_utf8(response.body().as_bytes().expect("bytes").to_vec()).expect("text"))
        }
        _ => None,
    }
}

#[test]
fn the_first_leads_from_the_cold_start_and_the_others_wait() {
    let (cache, bell) = (Cache::new(LIMITS), Arc::<Bell>::default());
    let lead = lead(&cache, "a");
    assert!(matches!(find(&cache, "a", ""), Found::Busy));
    let mut followers = [follow(&cache, "a", &bell), follow(&cache, "a", &bell)];
    assert!(matches!(followers[0].poll(), Polled::Waiting));
    lead.keep(stored("", "made"));
    assert_eq!(bell.rings(), 2);
    assert!(followers.iter_mut().all(|follower| matches!(follower.poll(), Polled::Over)));
    assert_eq!(content(&cache, "a", "").as_deref(), Some("made"));
}

#[test]
fn a_leader_that_gives_up_is_followed_by_the_next_in_line() {
    let cache = Cache::new(LIMITS);
    let bells = [Arc::<Bell>::default(), Arc::<Bell>::default()];
    let lead = lead(&cache, "a");
    let mut first = follow(&cache, "a", &bells[0]);
    let mut second = follow(&cache, "a", &bells[1]);
    drop(lead);
    assert_eq!((bells[0].rings(), bells[1].rings()), (1, 0));
    assert!(matches!(second.poll(), Polled::Waiting));
    let Polled::Lead(lead) = first.poll() else { panic!("not offered") };
    drop(lead);
    assert!(matches!(second.poll(), Polled::Lead(_)));
    assert_eq!(cache.addresses(), 0, "nothing is left behind");
}

#[test]
fn a_follower_that_does_not_come_for_its_offer_passes_it_on() {
    let (cache, bell) = (Cache::new(LIMITS), Arc::<Bell>::default());
    let lead = lead(&cache, "a");
    let first = follow(&cache, "a", &bell);
    let mut second = follow(&cache, "a", &bell);
    drop(lead);
    drop(first);
    assert!(matches!(second.poll(), Polled::Lead(_)));
    assert_eq!(cache.addresses(), 0);
}

#[test]
fn without_a_response_to_share_no_request_waits_for_a_while() {
    let (cache, bell) = (Cache::new(LIMITS), Arc::<Bell>::default());
    let lead = lead(&cache, "a");
    let mut follower = follow(&cache, "a", &bell);
    lead.share_nothing();
    assert!(matches!(follower.poll(), Polled::Over));
    assert!(matches!(find(&cache, "a", ""), Found::Free(_)));
    assert!(matches!(find(&cache, "b", ""), Found::Lead(_)));
    assert_eq!(cache.sweep(Instant::now() + Duration::from_secs(121)), 1);
    assert_eq!(cache.addresses(), 0);
    assert!(matches!(find(&cache, "a", ""), Found::Lead(_)));
}

#[test]
fn a_response_of_an_independent_request_ends_the_wait_of_others() {
    let (cache, bell) = (Cache::new(LIMITS), Arc::<Bell>::default());
    let _hangs = lead(&cache, "a");
    let mut follower = follow(&cache, "a", &bell);
    cache.keep("a", stored("", "made"), cache.epoch());
    assert_eq!(bell.rings(), 1);
    assert!(matches!(follower.poll(), Polled::Over));
    assert!(matches!(find(&cache, "a", ""), Found::Hit(..)));
}

#[test]
fn a_response_from_before_an_invalidation_is_not_kept() {
    let (cache, bell) = (Cache::new(LIMITS), Arc::<Bell>::default());
    let old = lead(&cache, "a");
    let epoch = cache.epoch();
    let mut follower = follow(&cache, "a", &bell);
    cache.invalidate("a");
    let Polled::Lead(new) = follower.poll() else { panic!("the next in line begins anew") };
    old.keep(stored("", "old"));
    cache.keep("a", stored("", "old"), epoch);
    assert!(matches!(find(&cache, "a", ""), Found::Busy));
    new.keep(stored("", "new"));
    assert_eq!(content(&cache, "a", "").as_deref(), Some("new"));
}

// Gzip and identity, in two languages.
#[test]
fn variants_do_not_overwrite_each_other() {
    let cache = Cache::new(LIMITS);
    let requests = [
        "Accept-Encoding: gzip\nAccept-Language: de",
        "Accept-Encoding: gzip\nAccept-Language: en",
        "Accept-Language: de",
        "Accept-Language: en",
    ];
    for fields in requests {
        keep_variant(&cache, "a", fields, fields, "Accept-Encoding, Accept-Language");
    }
    for fields in requests {
        assert_eq!(content(&cache, "a", fields).as_deref(), Some(fields));
    }
    assert_eq!(content(&cache, "a", "Accept-Encoding: gzip"), None);
    keep_variant(&cache, "a", requests[0], "renewed", "Accept-Encoding, Accept-Language");
    assert_eq!(content(&cache, "a", requests[0]).as_deref(), Some("renewed"));
    assert_eq!(cache.status().1, 4);
}

#[test]
fn different_variants_are_made_beside_each_other_once_their_names_are_known() {
    let cache = Cache::new(LIMITS);
    keep_variant(&cache, "a", "Accept-Language: de", "deutsch", "Accept-Language");
    let _english = find(&cache, "a", "Accept-Language: en");
    assert!(matches!(find(&cache, "a", "Accept-Language: en"), Found::Busy));
    assert!(matches!(find(&cache, "a", "Accept-Language: fr"), Found::Lead(_)));
}

#[test]
fn variants_without_end_have_one() {
    let cache = Cache::new(LIMITS);
    for number in 0..100 {
        keep_variant(&cache, "a", &format!("User-Agent: {number}"), "text", "User-Agent");
    }
    assert_eq!(cache.status().1, 32);
    assert!(content(&cache, "a", "User-Agent: 99").is_some());
    assert!(content(&cache, "a", "User-Agent: 0").is_none());
}

// At the limit the one used longest ago goes.
#[test]
fn the_response_used_longest_ago_goes_first() {
    let cache = Cache::new(Limits { objects: 2, ..LIMITS });
    keep(&cache, "a", "a");
    keep(&cache, "b", "b");
    assert!(content(&cache, "a", "").is_some());
    keep(&cache, "c", "c");
    assert!(content(&cache, "a", "").is_some() && content(&cache, "c", "").is_some());
    assert!(content(&cache, "b", "").is_none());
}

// A wave of addresses takes no more than the limit, and nothing is left of it when it is over.
#[test]
fn memory_has_a_limit_and_is_given_back() {
    let cache = Cache::new(Limits { objects: 1_000_000, bytes: 100_000 });
    for number in 0..5_000 {
        keep(&cache, &number.to_string(), &"x".repeat(number % 3_000));
        assert!(cache.status().2 <= 100_000);
    }
    assert!(cache.status().1 > 10 && cache.status().0.evicted > 4_000);
    cache.sweep(Instant::now() + Duration::from_secs(61));
    assert_eq!((cache.status().1, cache.status().2, cache.addresses()), (0, 0, 0));
}

#[test]
fn a_response_that_is_larger_than_the_cache_pushes_nothing_out() {
    let cache = Cache::new(Limits { bytes: 10_000, ..LIMITS });
    keep(&cache, "a", "a");
    keep(&cache, "b", &"b".repeat(20_000));
    assert!(content(&cache, "a", "").is_some());
    assert!(matches!(find(&cache, "b", ""), Found::Free(_)));
}

#[test]
fn a_limit_that_shrinks_is_kept_at_once() {
    let cache = Cache::new(LIMITS);
    ["a", "b", "c"].iter().for_each(|key| keep(&cache, key, key));
    cache.limit(|limits| limits.objects = 1);
    assert_eq!(cache.status().1, 1);
    assert!(content(&cache, "c", "").is_some());
}

#[test]
fn a_stale_response_serves_while_one_request_makes_a_new_one() {
    let cache = Cache::new(LIMITS);
    lead(&cache, "a").keep(stored("Cache-Control: max-age=0, stale-while-revalidate=60", "old"));
    let lead = lead(&cache, "a");
    assert_eq!(content(&cache, "a", "").as_deref(), Some("old"));
    lead.keep(stored("", "new"));
    assert_eq!(content(&cache, "a", "").as_deref(), Some("new"));
}

#[test]
fn logged_in_users_get_only_pages_for_everybody() {
    let cache = Cache::new(LIMITS);
    keep(&cache, "a", "a");
    lead(&cache, "b").keep(stored("Cache-Control: public", "b"));
    let request = request("");
    let ask = |key| {
        cache.find(&Inquiry { is_authorized: true, may_lead: false, may_follow: false, ..inquiry(key, &request) }, None)
    };
    assert!(matches!(ask("a"), Found::Free(_)));
    assert!(matches!(ask("b"), Found::Hit(..)));
}
