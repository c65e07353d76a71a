//! Admission: requests that wait, are woken, give up.

use super::*;
use crate::exchange::Error;
use crate::lifecycle::{Admission, Admit, HookPoint, Hooks, Tool, Wait};
use crate::{StatusCode, Tree};
use std::borrow::Cow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// Lets requests in while it is open.
#[derive(Clone, Default)]
struct Door {
    open: Arc<AtomicBool>,
    waiting: Arc<AtomicUsize>,
    at_most: Option<Duration>,
    broken: bool,
    /// A request that has waited long enough comes in by another door.
    patient: bool,
}

struct Place(Door);

impl Tool for Door {
    fn name(&self) -> &'static str {
        "door"
    }

    fn attach(&self, hooks: &mut Hooks) {
        hooks.admission(self.clone());
        hooks.admission(self.clone());
    }
}

impl Admit for Door {
    fn admit(&self, _: &mut Exchange, _: &dyn Wakers) -> Result<Admission, Error> {
        if self.open.load(Ordering::SeqCst) {
            return Ok(Admission::Go);
        }
        self.waiting.fetch_add(1, Ordering::SeqCst);
        Ok(Admission::park(Place(self.clone()), self.at_most.unwrap_or(Duration::from_secs(3600))))
    }
}

impl Wait for Place {
    fn ready(&mut self, _: &mut Exchange, _: &dyn Wakers) -> Result<bool, Error> {
        assert!(!self.0.broken, "the door is broken");
        Ok(self.0.open.load(Ordering::SeqCst))
    }

    fn waits_for(&self) -> Cow<'static, str> {
        Cow::Borrowed("the door, held by the wind")
    }

    fn expired(&mut self, _: &mut Exchange) -> Result<(), Error> {
        if self.0.patient {
            return Ok(());
        }
        Err(Error::new(StatusCode::SERVICE_UNAVAILABLE, "the door stayed shut"))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Ordering::SeqCst);
    }
}

fn driver(door: &Door) -> Driver {
    let mut driver = Driver::new(App::new(Tree::new().index(|_| "inside")).tool("/", door.clone()), "GET /");
    driver.start();
    driver
}

#[test]
fn a_parked_request_goes_on_when_its_wait_is_over() {
    let door = Door::default();
    let mut driver = driver(&door);
    let parked = driver.run();
    assert!(matches!(parked, Progress::Park { deadline: Some(_) }));
    assert_eq!(driver.run(), parked, "the deadline stays");
    assert_eq!(door.waiting.load(Ordering::SeqCst), 1);
    door.open.store(true, Ordering::SeqCst);
    assert_eq!(driver.finish().body, "inside");
    assert_eq!(door.waiting.load(Ordering::SeqCst), 0);
}

#[test]
fn a_wait_that_is_too_long_answers_for_itself() {
    let door = Door { at_most: Some(Duration::ZERO), ..Door::default() };
    let records = crate::logs::capture::records("kirsch::waits", || {
        let answer = driver(&door).finish();
        assert_eq!(answer.status, 503);
        assert!(answer.body.contains("the door stayed shut"));
    });
    assert!(
        matches!(&*records, [line] if line.starts_with("WARN kirsch::waits / (request ") && line.ends_with("it waited for the door, held by the wind")),
        "{records:?}"
    );
    assert_eq!(door.waiting.load(Ordering::SeqCst), 0);
}

#[test]
fn a_wait_that_is_too_long_may_let_the_request_go_on() {
    let door = Door { at_most: Some(Duration::ZERO), patient: true, ..Door::default() };
    assert_eq!(driver(&door).finish().body, "inside");
    assert_eq!(door.waiting.load(Ordering::SeqCst), 0);
}

#[test]
fn a_client_that_goes_away_gives_its_place_up() {
    let door = Door::default();
    let mut driver = driver(&door);
    driver.run();
    let records = crate::logs::capture::records("kirsch::access", || drop(driver.end()));
    assert_eq!(door.waiting.load(Ordering::SeqCst), 0);
    assert_eq!(records, Vec::<String>::new(), "there was no response");
}

#[test]
fn a_refusal_while_waiting_gives_the_place_up() {
    let door = Door::default();
    let mut driver = driver(&door);
    driver.run();
    assert_eq!(driver.refuse(Refusal::Overloaded).status, 503);
    assert_eq!(door.waiting.load(Ordering::SeqCst), 0);
}

#[test]
fn a_wait_that_panics_is_500() {
    let door = Door { broken: true, ..Door::default() };
    assert_eq!(driver(&door).finish().status, 500);
    assert_eq!(door.waiting.load(Ordering::SeqCst), 0);
}

#[test]
fn a_check_before_a_wait_is_repeated_after_it() {
    struct Checks(Arc<AtomicUsize>);
    impl Tool for Checks {
        fn name(&self) -> &'static str {
            "checks"
        }
        fn attach(&self, hooks: &mut Hooks) {
            let count = self.0.clone();
            hooks.check(HookPoint::OnStartResource, move |_| {
                count.fetch_add(1, Ordering::SeqCst);
            });
        }
    }
    let (door, count) = (Door::default(), Arc::new(AtomicUsize::new(0)));
    let app = || App::new(Tree::new().index(|_| "inside")).tool("/", door.clone()).tool("/", Checks(count.clone()));
    let mut waits = Driver::new(app(), "GET /");
    waits.start();
    assert!(matches!(waits.run(), Progress::Park { .. }));
    door.open.store(true, Ordering::SeqCst);
    assert_eq!((waits.run(), count.load(Ordering::SeqCst)), (Progress::Done, 2));
    let mut goes_on = Driver::new(app(), "GET /");
    goes_on.start();
    assert_eq!((goes_on.run(), count.load(Ordering::SeqCst)), (Progress::Done, 3));
}
