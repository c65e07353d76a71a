//! The promises of the tool: a number, a queue, and every place given back.

use super::Limit;
use crate::testing::Client;
use crate::{App, Error, Flow, HookPoint, Hooks, Stream, Tool, Tree, handlers};
use crossbeam_channel::{Receiver, Sender, unbounded};
use std::time::Duration;

/// Handlers that say when they begin, and end when they are told.
struct Slow {
    began: Sender<()>,
    end: Receiver<()>,
}

#[handlers]
impl Slow {
    #[expose]
    fn slow(&self) -> &'static str {
        self.began.send(()).expect("the test listens");
        self.end.recv().expect("the test says when");
        "slow"
    }

    #[expose]
    fn quick(&self) -> &'static str {
        "quick"
    }

    #[expose]
    fn fails(&self) -> Result<&'static str, Error> {
        panic!("on purpose")
    }

    #[expose]
    fn streams(&self) -> Stream {
        Stream::new(["a", "b"])
    }

    #[expose]
    fn elsewhere(&self) -> Result<&'static str, Error> {
        Err(Error::internal_redirect("/quick"))
    }
}

struct Site {
    client: Client,
    began: Receiver<()>,
    end: Sender<()>,
}

fn site(limit: &Limit, path: &str) -> Site {
    let ((began, begun), (end, ended)) = (unbounded(), unbounded());
    let app = App::new(Slow { began, end: ended }).threads(10).tool(path, limit.clone());
    Site { client: Client::over_socket(app), began: begun, end }
}

// Long polls leave workers for others.
#[test]
fn fifty_slow_requests_hold_as_many_workers_as_the_limit_says() {
    let limit = Limit::new(1).wait(Duration::from_secs(600));
    let Site { client, began, end } = site(&limit, "/slow");
    std::thread::scope(|scope| {
        let asked: Vec<_> = (0..50)
            .map(|_| {
                let browser = client.new_browser();
                scope.spawn(move || browser.get("/slow").send().status())
            })
            .collect();
        began.recv().unwrap();
        while limit.statistics().waiting < 49 {
            client.new_browser().get("/quick").send().assert_text("quick");
        }
        assert_eq!(limit.statistics().at_work, 1);
        (0..50).for_each(|_| end.send(()).unwrap());
        assert!(asked.into_iter().all(|asked| asked.join().unwrap() == 200));
    });
    let statistics = limit.statistics();
    assert_eq!((statistics.at_work, statistics.waiting, statistics.admitted, statistics.waited), (0, 0, 50, 49));
}

#[test]
fn a_request_without_room_or_after_a_long_wait_is_told_to_come_again() {
    let limit = Limit::new(1).queue(1).wait(Duration::from_millis(50));
    let Site { client, began, end } = site(&limit, "/slow");
    std::thread::scope(|scope| {
        let first = scope.spawn(|| client.new_browser().get("/slow").send().status());
        began.recv().unwrap();
        let late = client.new_browser().get("/slow").send();
        late.assert_status(503).assert_header("retry-after", "1").assert_contains("at work on this page");
        end.send(()).unwrap();
        assert_eq!(first.join().unwrap(), 200);
    });
    assert_eq!(limit.statistics().refused, 1);
    let none = Limit::new(1).queue(0);
    let Site { client, began, end } = site(&none, "/slow");
    std::thread::scope(|scope| {
        let first = scope.spawn(|| client.new_browser().get("/slow").send().status());
        began.recv().unwrap();
        client.new_browser().get("/slow").send().assert_status(503);
        end.send(()).unwrap();
        assert_eq!(first.join().unwrap(), 200);
    });
}

#[test]
fn the_place_of_a_request_is_always_free_again() {
    struct Answers;
    impl Tool for Answers {
        fn name(&self) -> &'static str {
            "answers"
        }
        fn attach(&self, hooks: &mut Hooks) {
            hooks.at(HookPoint::BeforeHandler, |exchange| match exchange.request.header("answer") {
                Some(_) => Flow::Answer(crate::Response::new()),
                None => Flow::Continue,
            });
        }
    }
    let limit = Limit::new(1).queue(0);
    let tree = Slow { began: unbounded().0, end: unbounded().1 };
    let client = Client::over_socket(App::new(tree).tool("/", limit.clone()).tool("/", Answers));
    for (path, status) in
        [("/quick", 200), ("/fails", 500), ("/nowhere", 404), ("/streams", 200), ("/elsewhere", 200), ("/quick", 200)]
    {
        client.get(path).send().assert_status(status);
    }
    client.get("/quick").header("answer", "1").send().assert_status(200);
    assert_eq!((limit.statistics().at_work, limit.statistics().refused), (0, 0));
}

#[test]
fn a_stream_keeps_its_place_until_its_last_byte() {
    let (begin, begun) = unbounded();
    let tree = Tree::new().page("stream", move |_| {
        let begun = begun.clone();
        Stream::new((0..2).map(move |number| {
            if number == 1 {
                begun.recv().expect("the test says when");
            }
            number.to_string()
        }))
    });
    let limit = Limit::new(1).queue(0);
    let client = Client::over_socket(App::new(tree).tool("/", limit.clone()));
    let mut streaming = client.get("/stream").send_streaming();
    assert_eq!(streaming.next().as_deref(), Some(&b"0"[..]));
    client.new_browser().get("/stream").send().assert_status(503);
    begin.send(()).unwrap();
    streaming.finish().assert_text("01");
    while limit.statistics().at_work > 0 {
        std::thread::yield_now();
    }
}

#[test]
fn addresses_may_have_places_of_their_own() {
    let limit = Limit::new(1).queue(0).per_address(true);
    let Site { client, began, end } = {
        let ((began, begun), (end, ended)) = (unbounded(), unbounded());
        let app = App::new(Slow { began, end: ended }).tool("/slow", limit);
        let app = app.tool("/", crate::tools::Proxy::trusting(["loopback"]));
        Site { client: Client::over_socket(app), began: begun, end }
    };
    let ask = |address: &'static str| client.new_browser().get("/slow").header("x-forwarded-for", address);
    std::thread::scope(|scope| {
        let asked = ["203.0.113.1", "203.0.113.2", "2001:db8::1"]
            .map(|address| scope.spawn(move || ask(address).send().status()));
        (0..3).for_each(|_| began.recv().unwrap());
        ask("203.0.113.1").send().assert_status(503);
        ask("2001:db8::2").send().assert_status(503);
        (0..3).for_each(|_| end.send(()).unwrap());
        assert!(asked.into_iter().all(|asked| asked.join().unwrap() == 200));
    });
}

#[test]
fn a_limit_of_nothing_stops_the_start() {
    let problem = |app: App| app.build().unwrap_err().to_string();
    assert!(problem(App::new(Tree::new()).tool("/", Limit::new(0))).contains("must be at least 1"));
    let file = App::new(Tree::new()).tool("/", Limit::new(1)).config_str("[\"/\"]\nlimit.mots = 2");
    assert!(problem(file).contains("did you mean `most`?"));
}
