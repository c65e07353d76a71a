//! Hooks run in their order, tools cover their path, and a tool of one's own is short.

use integration_tests::both;
use kirsch::{prelude::*, testing::Client};
use std::{
    sync::{Arc, Mutex},
    time::Instant,
};

struct Pages;

#[handlers]
impl Pages {
    #[expose]
    fn index(&self) -> &'static str {
        "front"
    }

    #[expose]
    fn fail(&self) -> kirsch::Result {
        Err(Error::unexpected("asked for"))
    }

    #[expose]
    fn inner(&self) -> &'static str {
        "inner"
    }

    #[expose]
    fn moved(&self) -> kirsch::Result {
        Err(Error::internal_redirect("/inner"))
    }
}

/// Writes down which hook points a request reaches.
#[derive(Clone, Default)]
struct Diary {
    entries: Arc<Mutex<Vec<HookPoint>>>,
}

impl Tool for Diary {
    fn name(&self) -> &'static str {
        "diary"
    }

    fn attach(&self, hooks: &mut Hooks) {
        use HookPoint::*;
        for point in [
            OnStartResource,
            BeforeRequestBody,
            BeforeHandler,
            BeforeFinalize,
            OnEndResource,
            BeforeErrorResponse,
            AfterErrorResponse,
            OnEndRequest,
        ] {
            let entries = Arc::clone(&self.entries);
            hooks.at(point, move |_| entries.lock().expect("no hook panics").push(point));
        }
    }
}

impl Diary {
    fn of(path: &str) -> Vec<HookPoint> {
        let diary = Self::default();
        drop(Client::in_process(App::new(Pages).tool("/", diary.clone())).get(path).send());
        let entries = diary.entries.lock().expect("no hook panics");
        entries.clone()
    }
}

#[test]
fn a_page_passes_its_hook_points_in_order() {
    use HookPoint::*;
    let expected = [OnStartResource, BeforeRequestBody, BeforeHandler, BeforeFinalize, OnEndResource, OnEndRequest];
    assert_eq!(Diary::of("/"), expected);
}

#[test]
fn an_unexpected_error_passes_those_of_the_error_page() {
    use HookPoint::*;
    let expected = [
        OnStartResource,
        BeforeRequestBody,
        BeforeHandler,
        BeforeErrorResponse,
        AfterErrorResponse,
        OnEndResource,
        OnEndRequest,
    ];
    assert_eq!(Diary::of("/fail"), expected);
}

/// Logs how long each handler ran: the tool of the guide.
struct LogTime;

struct Started(Instant);

impl Tool for LogTime {
    fn name(&self) -> &'static str {
        "log_time"
    }

    fn attach(&self, hooks: &mut Hooks) {
        hooks
            .at(HookPoint::BeforeHandler, |exchange| {
                exchange.values.insert(Started(Instant::now()));
            })
            .priority(99);
        hooks.at(HookPoint::BeforeFinalize, |exchange| {
            if let Some(Started(start)) = exchange.values.remove() {
                log::info!("{} ran {:?}", exchange.request.path(), start.elapsed());
            }
        });
    }
}

#[test]
fn a_tool_of_ones_own_is_short() {
    both(
        || App::new(Pages).tool("/", LogTime),
        |client| {
            client.get("/").send().assert_text("front");
        },
    );
}

/// Answers in place of the handler.
struct Closed;

impl Tool for Closed {
    fn name(&self) -> &'static str {
        "closed"
    }

    fn attach(&self, hooks: &mut Hooks) {
        hooks.at(HookPoint::BeforeHandler, |_| {
            let mut response = Response::new();
            response.set_status(StatusCode::IM_A_TEAPOT).set_body("closed");
            Flow::Answer(response)
        });
    }
}

#[test]
fn a_tool_covers_its_path_and_all_paths_below() {
    let app = || App::new(Tree::new().child("open", Pages).child("closed", Pages)).tool("/closed", Closed);
    both(app, |client| {
        client.get("/open/inner").send().assert_text("inner");
        for path in ["/closed/", "/closed/inner", "//closed/inner", "/%63losed/inner"] {
            client.get(path).send().assert_status(418).assert_text("closed");
        }
    });
}

#[test]
fn an_internal_redirect_goes_on_with_another_page() {
    both(
        || App::new(Pages),
        |client| {
            client.get("/moved").send().assert_status(200).assert_text("inner");
        },
    );
}

struct Early;

impl Tool for Early {
    fn name(&self) -> &'static str {
        "early"
    }

    fn attach(&self, hooks: &mut Hooks) {
        hooks.at(HookPoint::BeforeRouting, |_| ());
    }
}

#[test]
fn a_tool_before_routing_can_only_be_on_for_everything() {
    assert!(App::new(Pages).tool("/", Early).build().is_ok());
    let error = App::new(Pages).tool("/moved", Early).build().unwrap_err().to_string();
    assert_eq!(
        error,
        "the tool `early` at `/moved`: it works before the path is looked at, so it can only be on at `/`"
    );
}
