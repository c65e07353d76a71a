//! Which hooks run in which case: the table at the top of `run.rs`, case by case.
//!
//! Each point has an `always` hook, which writes its letter in upper case, and behind it a normal one, which writes it
//! in lower case: P before_routing, S on_start_resource, B before_request_body, A admission, H before_handler, F
//! before_finalize, X before_error_response, Y after_error_response, E on_end_resource, R on_end_request. A failing
//! hook comes before both.

use super::*;
use crate::exchange::Error;
use crate::lifecycle::{Admission, Admit, Flow, HookPoint, Hooks, Tool};
use crate::{Method, Redirect, Response, StatusCode, Tree, exchange::MethodSet};
use HookPoint::*;
use std::sync::{Arc, Mutex};

const LETTERS: [(HookPoint, char); HookPoint::COUNT] = [
    (BeforeRouting, 'p'),
    (OnStartResource, 's'),
    (BeforeRequestBody, 'b'),
    (BeforeHandler, 'h'),
    (BeforeFinalize, 'f'),
    (BeforeErrorResponse, 'x'),
    (AfterErrorResponse, 'y'),
    (OnEndResource, 'e'),
    (OnEndRequest, 'r'),
];

#[derive(Clone, Default)]
struct Diary(Arc<Mutex<String>>);

impl Diary {
    fn write(&self, letter: char) {
        self.0.lock().unwrap().push(letter);
    }

    fn read(&self) -> String {
        std::mem::take(&mut *self.0.lock().unwrap())
    }
}

impl Tool for Diary {
    fn name(&self) -> &'static str {
        "diary"
    }

    fn attach(&self, hooks: &mut Hooks) {
        for (point, letter) in LETTERS {
            let diary = self.clone();
            hooks.at(point, move |_| diary.write(letter.to_ascii_uppercase())).priority(80).always();
            let diary = self.clone();
            hooks.at(point, move |_| diary.write(letter)).priority(90);
        }
        hooks.admission(self.clone());
    }
}

impl Admit for Diary {
    fn admit(&self, _: &mut Exchange, _: &dyn Wakers) -> Result<Admission, Error> {
        self.write('A');
        Ok(Admission::Go)
    }
}

#[derive(Clone, Copy, Debug)]
enum Act {
    Answer,
    Http,
    Redirect,
    Unexpected,
    Panic,
}

impl Act {
    fn perform(self) -> Result<Flow, Error> {
        match self {
            Self::Answer => {
                let mut response = Response::new();
                response.set_status(StatusCode::ACCEPTED);
                Ok(Flow::Answer(response))
            }
            Self::Http => Err(Error::new(StatusCode::FORBIDDEN, "not here")),
            Self::Redirect => Err(Redirect::to("/elsewhere").into()),
            Self::Unexpected => Err(Error::unexpected("a hook's own")),
            Self::Panic => panic!("a hook's own"),
        }
    }
}

/// Does something at one point, before the diary's hooks.
struct At(HookPoint, Act);

impl Tool for At {
    fn name(&self) -> &'static str {
        "act"
    }

    fn attach(&self, hooks: &mut Hooks) {
        let act = self.1;
        hooks.at(self.0, move |_| act.perform());
    }
}

fn pages() -> Tree {
    Tree::new()
        .page("ok", |_| "fine")
        .page("http", |_| Err::<(), _>(Error::new(StatusCode::FORBIDDEN, "no")))
        .page("redirect", |_| Redirect::to("/ok"))
        .page("unexpected", |_| Err::<(), _>(Error::unexpected("the handler's own")))
        .page("panic", |_| -> &'static str { panic!("the handler's own") })
        .page("inner", |_| Err::<(), _>(Error::internal_redirect("/ok")))
        .page_for(MethodSet::of(&Method::PUT), "upload", |page| page.argument::<crate::Bytes>().map(|bytes| bytes.0))
}

fn course(app: App, diary: &Diary, request: &str) -> (String, u16) {
    let status = ask(app.tool("/", diary.clone()), request).status;
    (diary.read(), status)
}

#[test]
fn the_handlers_result_decides_which_hooks_follow() {
    let diary = Diary::default();
    let table = [
        ("GET /ok", "PpSsBbAHhFfEeRr", 200),
        ("HEAD /ok", "PpSsBbAHhFfEeRr", 200),
        ("GET /nowhere", "PpSsBbAHhFfEeRr", 404),
        ("DELETE /ok", "PpSsBbAHhFfEeRr", 405),
        ("OPTIONS /ok", "PpSsBbAHhFfEeRr", 204),
        ("OPTIONS *", "PpSsBbAHhFfEeRr", 204),
        ("GET /%zz", "PpSsBbAHhFfEeRr", 400),
        ("GET /http", "PpSsBbAHhFfEeRr", 403),
        ("GET /redirect", "PpSsBbAHhFfEeRr", 303),
        ("GET /unexpected", "PpSsBbAHhXxYyFEeRr", 500),
        ("GET /panic", "PpSsBbAHhXxYyFEeRr", 500),
        ("GET /inner", "PpSsBbAHhEeSsBbAHhFfEeRr", 200),
    ];
    for (request, hooks, status) in table {
        assert_eq!(course(App::new(pages()), &diary, request), (hooks.to_owned(), status), "{request}");
    }
}

#[test]
fn a_hooks_result_decides_which_hooks_follow() {
    let diary = Diary::default();
    let table = [
        (BeforeRouting, Act::Answer, "PFfEeRr", 202),
        (BeforeRouting, Act::Http, "PFfEeRr", 403),
        (BeforeRouting, Act::Panic, "PXxYyFEeRr", 500),
        (OnStartResource, Act::Answer, "PpSFfEeRr", 202),
        (OnStartResource, Act::Http, "PpSFfEeRr", 403),
        (OnStartResource, Act::Redirect, "PpSFfEeRr", 303),
        (OnStartResource, Act::Unexpected, "PpSXxYyFEeRr", 500),
        (OnStartResource, Act::Panic, "PpSXxYyFEeRr", 500),
        (BeforeRequestBody, Act::Answer, "PpSsBFfEeRr", 202),
        (BeforeRequestBody, Act::Http, "PpSsBFfEeRr", 403),
        (BeforeRequestBody, Act::Panic, "PpSsBXxYyFEeRr", 500),
        (BeforeHandler, Act::Answer, "PpSsBbAHFfEeRr", 202),
        (BeforeHandler, Act::Redirect, "PpSsBbAHFfEeRr", 303),
        (BeforeHandler, Act::Unexpected, "PpSsBbAHXxYyFEeRr", 500),
        (BeforeFinalize, Act::Answer, "PpSsBbAHhFEeRr", 202),
        (BeforeFinalize, Act::Http, "PpSsBbAHhFEeRr", 403),
        (BeforeFinalize, Act::Redirect, "PpSsBbAHhFEeRr", 303),
        (BeforeFinalize, Act::Unexpected, "PpSsBbAHhXxYyFEeRr", 500),
        (BeforeFinalize, Act::Panic, "PpSsBbAHhXxYyFEeRr", 500),
        (OnEndResource, Act::Unexpected, "PpSsBbAHhFfERr", 200),
        (OnEndResource, Act::Panic, "PpSsBbAHhFfERr", 200),
        (OnEndRequest, Act::Panic, "PpSsBbAHhFfEeR", 200),
    ];
    for (point, act, hooks, status) in table {
        let app = App::new(pages()).tool("/", At(point, act));
        assert_eq!(course(app, &diary, "GET /ok"), (hooks.to_owned(), status), "{act:?} at {point:?}");
    }
}

#[test]
fn a_hook_that_fails_in_the_funnel_does_not_stop_it() {
    let diary = Diary::default();
    for (point, hooks) in [(BeforeErrorResponse, "PpSsBbAHhXYyFEeRr"), (AfterErrorResponse, "PpSsBbAHhXxYFEeRr")] {
        for act in [Act::Http, Act::Unexpected, Act::Panic] {
            let app = App::new(pages()).tool("/", At(point, act));
            assert_eq!(course(app, &diary, "GET /unexpected"), (hooks.to_owned(), 500), "{act:?} at {point:?}");
        }
    }
}

#[test]
fn a_hook_may_answer_in_place_of_the_error_page() {
    let app = App::new(pages()).tool("/", At(BeforeErrorResponse, Act::Answer));
    assert_eq!(course(app, &Diary::default(), "GET /panic"), ("PpSsBbAHhXYyFEeRr".to_owned(), 202));
}

#[test]
fn a_hook_that_fails_after_a_redirect_is_500_and_always_hooks_run() {
    let app = App::new(pages()).tool("/", At(BeforeFinalize, Act::Unexpected));
    assert_eq!(course(app, &Diary::default(), "GET /redirect"), ("PpSsBbAHhXxYyFEeRr".to_owned(), 500));
}

#[test]
fn a_tool_may_answer_where_the_tree_has_nothing() {
    let app = App::new(pages()).tool("/static", At(BeforeHandler, Act::Answer));
    assert_eq!(ask(app, "GET /static/style.css").status, 202);
}

#[test]
fn a_body_that_is_too_large_skips_admission_and_handler() {
    let diary = Diary::default();
    let app = App::new(pages()).tool("/", diary.clone()).settings("/upload", |settings| settings.max_body = 10);
    let answer = ask(app, "PUT /upload\nContent-Length: 11");
    assert_eq!((diary.read().as_str(), answer.status), ("PpSsBbFfEeRr", 413));
}

#[test]
fn a_refusal_in_the_middle_of_the_body_ends_the_resource() {
    let diary = Diary::default();
    let mut driver = Driver::new(App::new(pages()).tool("/", diary.clone()), "PUT /upload\nContent-Length: 10");
    assert!(matches!(driver.start(), BodyPlan::Read { .. }));
    assert_eq!(driver.refuse(Refusal::TooSlow { setting: "server.body_timeout" }).status, 408);
    assert_eq!(diary.read(), "PpSsBbFfEeRr");
}

#[test]
fn a_refusal_before_the_path_is_known_and_overload_run_no_hooks() {
    let diary = Diary::default();
    let mut driver = Driver::new(App::new(pages()).tool("/", diary.clone()), "GET /ok");
    assert_eq!(driver.refuse(Refusal::MissingHost).status, 400);
    assert_eq!(diary.read(), "");
    driver.read("GET /ok");
    driver.start();
    assert_eq!(driver.refuse(Refusal::Overloaded).status, 503);
    assert_eq!(diary.read(), "PpSsBb");
}

/// Three hooks fail at one point, two `always` hooks run.
#[test]
fn the_first_error_wins_and_the_others_are_logged() {
    struct Failing;
    impl Tool for Failing {
        fn name(&self) -> &'static str {
            "failing"
        }
        fn attach(&self, hooks: &mut Hooks) {
            hooks.at(BeforeHandler, |_| Err::<(), _>(Error::new(StatusCode::CONFLICT, "first")));
            hooks.at(BeforeHandler, |_| Err::<(), _>(Error::unexpected("skipped")));
            hooks.at(BeforeHandler, |_| Err::<(), _>(Error::unexpected("second"))).always();
            hooks.at(BeforeHandler, |_| Err::<(), _>(Error::unexpected("third"))).always();
        }
    }
    let mut status = 0;
    let records = crate::logs::capture::records("kirsch::error", || {
        status = ask(App::new(pages()).tool("/", Failing), "GET /ok").status;
    });
    assert_eq!(status, 409);
    let errors: Vec<_> = records.iter().filter(|line| line.starts_with("ERROR")).collect();
    assert_eq!(errors.len(), 2, "{records:?}");
    assert!(
        errors[0].ends_with("also failed, in failing: second") && errors[1].ends_with("also failed, in failing: third")
    );
}

/// The view of the `always` hooks of `before_finalize`.
#[test]
fn always_hooks_know_that_the_request_has_failed() {
    #[derive(Clone, Default)]
    struct Seen(Arc<Mutex<Vec<(bool, u16)>>>);
    impl Tool for Seen {
        fn name(&self) -> &'static str {
            "seen"
        }
        fn attach(&self, hooks: &mut Hooks) {
            let seen = self.0.clone();
            hooks
                .at(BeforeFinalize, move |exchange| {
                    seen.lock().unwrap().push((exchange.failed(), exchange.response.status().as_u16()));
                })
                .priority(60)
                .always();
        }
    }
    let seen = Seen::default();
    for path in ["/ok", "/http", "/unexpected", "/panic"] {
        ask(App::new(pages()).tool("/", seen.clone()), &format!("GET {path}"));
    }
    ask(App::new(pages()).tool("/", seen.clone()).tool("/", At(BeforeFinalize, Act::Panic)), "GET /ok");
    assert_eq!(*seen.0.lock().unwrap(), [(false, 200), (false, 403), (true, 500), (true, 500), (true, 500)]);
}

#[test]
fn priorities_order_hooks_and_ties_keep_the_order_of_the_tools() {
    struct Named(&'static str, u8, Diary);
    impl Tool for Named {
        fn name(&self) -> &'static str {
            self.0
        }
        fn attach(&self, hooks: &mut Hooks) {
            let (letter, diary) = (self.0.chars().next().unwrap(), self.2.clone());
            hooks.at(BeforeHandler, move |_| diary.write(letter)).priority(self.1);
        }
    }
    let diary = Diary::default();
    let named = |name, priority| Named(name, priority, diary.clone());
    let app = App::new(pages())
        .tool("/", named("c", 50))
        .tool("/", named("a", 10))
        .tool("/", named("d", 50))
        .tool("/", named("b", 49));
    ask(app, "GET /ok");
    assert_eq!(diary.read(), "abcd");
}

#[test]
fn internal_redirects_in_a_circle_end() {
    let tree = Tree::new()
        .page("a", |_| Err::<(), _>(Error::internal_redirect("/b")))
        .page("b", |_| Err::<(), _>(Error::internal_redirect("/a")));
    let mut status = 0;
    let records = crate::logs::capture::records("kirsch::error", || status = ask(App::new(tree), "GET /a").status);
    assert_eq!(status, 500);
    assert!(
        records
            .iter()
            .any(|line| line.ends_with("10 internal redirects in one request, then to \"/b\": they go in a circle")),
        "{records:?}"
    );
}

#[test]
fn an_internal_redirect_takes_its_own_query_and_is_a_get() {
    let tree = Tree::new().page("from", |_| Err::<(), _>(Error::internal_redirect("/to?a=2"))).page(
        "to",
        |page| -> Result<String, Error> {
            Ok(format!("{} {} {:?}", page.request().method(), page.parameter::<String>("a")?, page.request().query()))
        },
    );
    assert_eq!(
        send(App::new(tree), "POST /from?a=1\nContent-Type: application/x-www-form-urlencoded", "a=3").body,
        "GET 2 Some(\"a=2\")"
    );
}

#[test]
fn run_without_reason_is_harmless() {
    let mut driver = Driver::new(App::new(pages()), "GET /ok");
    driver.start();
    assert_eq!(driver.run(), Progress::Done);
    assert_eq!(driver.run(), Progress::Done);
    assert_eq!(driver.end().body, "fine");
}

/// The tool of the guide: logs how long each handler ran.
#[test]
fn a_tool_of_ones_own_is_short() {
    use std::time::Instant;
    struct LogTime;
    impl Tool for LogTime {
        fn name(&self) -> &'static str {
            "log_time"
        }
        fn attach(&self, hooks: &mut Hooks) {
            hooks
                .at(BeforeHandler, |exchange| {
                    exchange.values.insert(Instant::now());
                })
                .priority(99);
            hooks.at(BeforeFinalize, |exchange| {
                let ran = exchange.values.remove::<Instant>().map(|began| began.elapsed());
                log::info!(target: "log_time", "{} ran {ran:?}", exchange.request.path());
            });
        }
    }
    let records =
        crate::logs::capture::records("log_time", || drop(ask(App::new(pages()).tool("/", LogTime), "GET /ok")));
    assert!(records[0].starts_with("INFO log_time /ok ran Some("), "{records:?}");
}
