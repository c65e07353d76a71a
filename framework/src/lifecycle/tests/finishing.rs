//! Hooks at `before_finalize` that let the request wait.

use super::*;
use crate::exchange::{Error, IntoResponse, Response};
use crate::lifecycle::{Admission, Admit, HookPoint, Hooks, Tool, Wait};
use crate::{StatusCode, Tree};
use std::borrow::Cow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// Keeps a receipt of each response somewhere, which takes until it is `kept`.
#[derive(Clone, Default)]
struct Receipts {
    kept: Arc<AtomicBool>,
    asked: Arc<AtomicUsize>,
    fails: bool,
}

impl Tool for Receipts {
    fn name(&self) -> &'static str {
        "receipts"
    }

    fn attach(&self, hooks: &mut Hooks) {
        let note = |text: &'static str| {
            move |exchange: &mut Exchange| {
                let body =
                    String::from_utf8_lossy(exchange.response.body().as_bytes().unwrap_or_default()).into_owned();
                exchange.response.set_body(body + text);
            }
        };
        hooks.at(HookPoint::BeforeFinalize, note(", before")).priority(40);
        hooks.before_finalize(self.clone()).priority(50).always();
        hooks.at(HookPoint::BeforeFinalize, note(", after")).priority(60);
        hooks.at(HookPoint::BeforeFinalize, note(", always")).priority(70).always();
    }
}

impl Admit for Receipts {
    fn admit(&self, _: &mut Exchange, _: &dyn Wakers) -> Result<Admission, Error> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        Ok(Admission::park(self.clone(), Duration::from_secs(60)))
    }
}

impl Wait for Receipts {
    fn ready(&mut self, _: &mut Exchange, _: &dyn Wakers) -> Result<bool, Error> {
        match self.kept.load(Ordering::SeqCst) {
            true if self.fails => Err(Error::new(StatusCode::SERVICE_UNAVAILABLE, "no receipt")),
            is_kept => Ok(is_kept),
        }
    }

    fn waits_for(&self) -> Cow<'static, str> {
        Cow::Borrowed("a receipt")
    }

    fn expired(&mut self, _: &mut Exchange) -> Result<(), Error> {
        Ok(())
    }
}

fn page() -> Tree {
    let answer = |text: &str| -> Result<Response, Error> {
        let mut response = Response::new();
        text.into_response(&mut response)?;
        Ok(response)
    };
    Tree::new().index(move |_| answer("page")).page("broken", |_| -> Response { panic!("broken") })
}

fn driver(receipts: &Receipts, request: &str) -> Driver {
    let mut driver = Driver::new(App::new(page()).tool("/", receipts.clone()), request);
    driver.start();
    driver
}

#[test]
fn a_response_waits_between_two_hooks_and_each_runs_once() {
    let receipts = Receipts::default();
    let mut driver = driver(&receipts, "GET /");
    for _ in 0..3 {
        assert!(matches!(driver.run(), Progress::Park { deadline: Some(_) }));
    }
    receipts.kept.store(true, Ordering::SeqCst);
    assert_eq!(driver.finish().body, "page, before, after, always");
    assert_eq!(receipts.asked.load(Ordering::SeqCst), 1);
}

#[test]
fn a_wait_may_fail_and_only_always_hooks_follow() {
    let receipts = Receipts { fails: true, ..Receipts::default() };
    let mut driver = driver(&receipts, "GET /");
    driver.run();
    receipts.kept.store(true, Ordering::SeqCst);
    let answer = driver.finish();
    assert_eq!(answer.status, 503);
    assert!(answer.body.contains("no receipt") && answer.body.ends_with(", always"), "{}", answer.body);
}

#[test]
fn after_a_failure_it_is_remembered_which_hooks_are_left() {
    let receipts = Receipts::default();
    let mut driver = driver(&receipts, "GET /broken");
    assert!(matches!(driver.run(), Progress::Park { .. }));
    receipts.kept.store(true, Ordering::SeqCst);
    let answer = driver.finish();
    assert_eq!(answer.status, 500);
    assert!(!answer.body.contains(", before") && !answer.body.contains(", after"), "{}", answer.body);
    assert!(answer.body.ends_with(", always"), "{}", answer.body);
}

#[test]
fn a_client_that_goes_away_during_the_wait_is_not_waited_for() {
    let receipts = Receipts::default();
    let mut driver = driver(&receipts, "GET /");
    let places = || Arc::strong_count(&receipts.kept);
    let before = places();
    driver.run();
    assert_eq!(places(), before + 1);
    let records = crate::logs::capture::records("kirsch::access", || drop(driver.end()));
    assert_eq!((records, places()), (Vec::new(), before));
}

#[test]
fn a_refusal_waits_on_its_thread() {
    let receipts = Receipts::default();
    let kept = Arc::clone(&receipts.kept);
    let mut driver = driver(&receipts, "GET /");
    kept.store(true, Ordering::SeqCst);
    let answer = driver.refuse(Refusal::BodyTooLarge { limit: 1 });
    assert_eq!(answer.status, 413);
    assert!(answer.body.ends_with(", always"), "{}", answer.body);
    assert_eq!(receipts.asked.load(Ordering::SeqCst), 1);
}
