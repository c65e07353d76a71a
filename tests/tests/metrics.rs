//! Metrics: read by a parser of others, bounded whatever strangers ask for, and the dashboard asks for names that
//! exist.

use integration_tests::wait_until;
use kirsch::push::{LastEventId, Topic};
use kirsch::testing::{Client, TestResponse};
use kirsch::{prelude::*, status, tools::AuthBasic};
use std::collections::BTreeSet;
use std::io::Write;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::SystemTime;

struct Shop;

#[handlers]
impl Shop {
    #[expose]
    fn index(&self) -> &'static str {
        "shop"
    }

    #[expose]
    fn song(&self, id: u64) -> String {
        id.to_string()
    }

    #[expose]
    fn broken(&self) -> kirsch::Result<&'static str> {
        Err(Error::unexpected("broken"))
    }

    #[expose]
    fn moved(&self) -> kirsch::Result<&'static str> {
        Err(Error::internal_redirect("/song/9"))
    }

    #[child]
    fn admin(&self) -> Admin {
        Admin
    }
}

struct Admin;

#[handlers]
impl Admin {
    #[expose]
    fn index(&self) -> &'static str {
        "admin"
    }
}

fn app() -> App {
    App::new(Shop).mount("/metrics", status::metrics().open())
}

/// Reads metrics with Prometheus' own client and prints all samples; what it does not understand is an error.
const PARSER: &str = r"
import sys
from prometheus_client.parser import text_string_to_metric_families as parse
for family in parse(sys.stdin.read()):
    assert family.type != 'unknown' and family.documentation, family
    for name, labels, value, *_ in family.samples:
        print(name, *(f'{key}={value}' for key, value in sorted(labels.items())), value, sep='|')
";

/// The samples of a scrape, as `name|label=value|number`.
#[track_caller]
fn parsed(scrape: &TestResponse) -> Vec<String> {
    scrape.assert_status(200).assert_header("content-type", "text/plain; version=0.0.4; charset=utf-8");
    // Debian's own: the module is a package of Debian.
    let mut command = Command::new("/usr/bin/python3");
    let command = command.args(["-X", "utf8", "-c", PARSER]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut parser = command.stderr(Stdio::piped()).spawn().expect("this test needs the package `python3`");
    parser.stdin.take().expect("it is piped").write_all(scrape.text().as_bytes()).expect("it reads");
    let output = parser.wait_with_output().expect("it ends");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "apt-get install python3-prometheus-client; {said}\n{}", scrape.text());
    String::from_utf8(output.stdout).expect("texts").lines().map(str::to_owned).collect()
}

fn value(samples: &[String], start: &str) -> Option<f64> {
    samples.iter().find_map(|sample| sample.strip_prefix(start)?.parse().ok())
}

#[test]
fn requests_are_counted_by_the_pattern_of_their_route() {
    let client = Client::over_socket(app());
    for path in ["/", "/song/1", "/song/2", "/admin/", "/nothing", "/broken"] {
        client.get(path).send();
    }
    client.post("/song/3").send();
    let samples = parsed(&client.get("/metrics").send());
    let table = [
        ("/|status=2xx", "GET", 1.0),
        ("/song/{id}|status=2xx", "GET", 2.0),
        ("/song/{id}|status=2xx", "POST", 1.0),
        ("/admin/|status=2xx", "GET", 1.0),
        ("/broken|status=5xx", "GET", 1.0),
        ("unmatched|status=4xx", "GET", 1.0),
    ];
    for (route, method, expected) in table {
        let found = value(&samples, &format!("kirsch_requests_total|method={method}|route={route}|"));
        assert_eq!(found, Some(expected), "{method} {route}: {samples:#?}");
    }
    assert_eq!(value(&samples, "kirsch_request_seconds_count|route=/song/{id}|"), Some(3.0));
    assert_eq!(value(&samples, "kirsch_handler_seconds_bucket|le=+Inf|route=/song/{id}|"), Some(3.0));
    assert!(value(&samples, "kirsch_request_seconds_sum|route=/song/{id}|").is_some_and(|sum| sum > 0.0));
    assert_eq!(value(&samples, "kirsch_queue_seconds_count|"), Some(7.0));
    assert_eq!(value(&samples, "kirsch_workers|"), Some(10.0));
}

#[test]
fn the_start_of_the_server_is_a_moment_and_stays_one() {
    let before = SystemTime::now();
    let client = Client::over_socket(app());
    let after = SystemTime::now();
    let started = || value(&parsed(&client.get("/metrics").send()), "kirsch_start_time_seconds|");
    let first = started().expect("it is told");
    let seconds = |time: SystemTime| time.duration_since(SystemTime::UNIX_EPOCH).expect("a clock").as_secs_f64();
    assert!(first >= seconds(before).floor() && first <= seconds(after), "{first}");
    assert_eq!(started(), Some(first));
}

#[test]
fn after_an_internal_redirect_each_handler_counts_and_the_response_counts_once() {
    let client = Client::over_socket(app());
    client.get("/moved").send().assert_text("9");
    let samples = parsed(&client.get("/metrics").send());
    for (name, route, expected) in [
        ("handler", "/moved", Some(1.0)),
        ("handler", "/song/{id}", Some(1.0)),
        ("request", "/moved", Some(0.0)),
        ("request", "/song/{id}", Some(1.0)),
    ] {
        let found = value(&samples, &format!("kirsch_{name}_seconds_count|route={route}|"));
        assert_eq!(found, expected, "{name} {route}");
    }
}

// As a scanner does. What it asks for is in no label.
#[test]
fn random_paths_and_methods_make_no_series() {
    let client = Client::over_socket(app());
    client.get("/nothing").send();
    client.request(Method::from_bytes(b"FIRST").expect("a method"), "/nothing").send();
    let series = |samples: Vec<String>| samples.len();
    let before = series(parsed(&client.get("/metrics").send()));
    let before_too = series(parsed(&client.get("/metrics").send()));
    for number in 0..2000 {
        client.get(&format!("/{number}%C3%A9/wp-login.php?x={number}")).send().assert_status(404);
        let method = Method::from_bytes(format!("M{number}").as_bytes()).expect("a method");
        client.request(method, "/x").send();
    }
    let after = series(parsed(&client.get("/metrics").send()));
    assert!(after <= before.max(before_too) + 1, "{before} series, then {after}");
}

#[test]
fn metrics_are_whole_while_requests_run() {
    let client = Client::over_socket(app());
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        for _ in 0..3 {
            let client = client.new_browser();
            let is_over = &is_over;
            scope.spawn(move || {
                while !is_over.load(Ordering::Relaxed) {
                    client.get("/song/7").send().assert_text("7");
                }
            });
        }
        let mut last = 0.0;
        for _ in 0..10 {
            let samples = parsed(&client.get("/metrics").send());
            let count = value(&samples, "kirsch_request_seconds_count|route=/song/{id}|").unwrap_or_default();
            let all = value(&samples, "kirsch_request_seconds_bucket|le=+Inf|route=/song/{id}|").unwrap_or_default();
            assert!(count >= last && (count - all).abs() < 0.5, "counters never go back, and the last bucket has all");
            last = count;
        }
        is_over.store(true, Ordering::Relaxed);
        assert!(last > 0.0);
    });
}

#[test]
fn metrics_of_the_application_are_appended() {
    let own = |text: &mut String| text.push_str("# HELP orders_open Orders.\n# TYPE orders_open gauge\norders_open 3");
    let metrics = status::metrics().open().append(|_| panic!("broken")).append(own);
    let client = Client::over_socket(App::new(Shop).mount("/metrics", metrics));
    assert_eq!(value(&parsed(&client.get("/metrics").send()), "orders_open|"), Some(3.0));
}

#[test]
fn topics_have_counts_under_their_names() {
    let (topic, other): (Topic<String>, Topic<String>) = (Topic::new("news").most(1), Topic::new("prices"));
    let page = {
        let topic = topic.clone();
        move |_: &mut kirsch::publish::PageCall<'_>| topic.events(LastEventId::None)
    };
    let metrics = status::metrics().topic(&topic).topic(&other).topic(&topic).open();
    let client = Client::over_socket(App::new(Tree::new().page("events", page)).mount("/metrics", metrics));
    let mut stream = client.new_browser().get("/events").send_streaming();
    client.get("/events").send().assert_status(503);
    topic.publish("one".to_owned());
    stream.next_event().expect("an event");
    let samples = parsed(&client.get("/metrics").send());
    let counts = ["streams", "polls", "events_total", "told_total", "gaps_total", "streams_refused_total"];
    let of = |topic| counts.map(|name| value(&samples, &format!("kirsch_topic_{name}|topic={topic}|")));
    assert_eq!(of("news"), [1.0, 0.0, 1.0, 1.0, 0.0, 1.0].map(Some));
    assert_eq!(of("prices"), [Some(0.0); 6]);
}

#[test]
fn strangers_see_no_metrics() {
    let client = Client::over_socket(App::new(Shop).metrics("/metrics"));
    client.get("/metrics").send().assert_status(404);
    client.get("/metrics").header("authorization", "Bearer 0123456789abcdef").send().assert_status(404);
    let login = AuthBasic::users("metrics", [("prometheus", "secret")]);
    let client = Client::over_socket(App::new(Shop).metrics("/metrics").tool("/metrics", login));
    client.get("/metrics").send().assert_status(401);
    client.get("/metrics").header("authorization", "Basic cHJvbWV0aGV1czpzZWNyZXQ=").send().assert_status(200);
}

// Dashboards and alerts of others ask for them.
#[test]
fn the_names_and_types_of_metrics_are_promised() {
    let client = Client::over_socket(app());
    client.get("/").send();
    let scrape = client.get("/metrics").send().text().to_owned();
    let promised = [
        ("kirsch_requests_total", "counter"),
        ("kirsch_request_seconds", "histogram"),
        ("kirsch_handler_seconds", "histogram"),
        ("kirsch_queue_seconds", "histogram"),
        ("kirsch_wait_seconds", "histogram"),
        ("kirsch_response_bytes_total", "counter"),
        ("kirsch_workers", "gauge"),
        ("kirsch_workers_busy", "gauge"),
        ("kirsch_workers_waiting", "gauge"),
        ("kirsch_workers_replaced_total", "counter"),
        ("kirsch_queue_length", "gauge"),
        ("kirsch_connections", "gauge"),
        ("kirsch_connections_accepted_total", "counter"),
        ("kirsch_overload_rejections_total", "counter"),
        ("kirsch_bodies_refused_total", "counter"),
        ("kirsch_body_bytes", "gauge"),
        ("kirsch_unsent_bytes", "gauge"),
        ("kirsch_responses_cut_off_total", "counter"),
        ("kirsch_start_time_seconds", "gauge"),
        ("kirsch_info", "gauge"),
        ("process_resident_memory_bytes", "gauge"),
        ("process_cpu_seconds_total", "counter"),
    ];
    for (name, kind) in promised {
        assert!(scrape.contains(&format!("# TYPE {name} {kind}\n")), "{name}: {scrape}");
    }
}

#[test]
fn the_dashboard_asks_for_metrics_that_exist() {
    let client = Client::over_socket(app());
    wait_until(|| client.get("/").send().text() == "shop");
    let samples = parsed(&client.get("/metrics").send());
    let known: BTreeSet<&str> = samples.iter().filter_map(|sample| sample.split('|').next()).collect();
    let text = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/grafana.json"));
    let dashboard: serde_json::Value =
        serde_json::from_str(&text.expect("the checkout as it is in the repository")).expect("it is JSON");
    let panels = dashboard["panels"].as_array().expect("it has panels");
    let queries = panels.iter().flat_map(|panel| panel["targets"].as_array().expect("it has queries"));
    let queries: Vec<_> = queries.map(|query| query["expr"].as_str().expect("it is a query")).collect();
    assert!(queries.len() >= 8);
    for query in queries {
        let words = query.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
        let names: Vec<_> = words.filter(|word| word.starts_with("kirsch_") || word.starts_with("process_")).collect();
        assert!(!names.is_empty(), "{query}");
        // The log has lines only where a program has installed one.
        let unknown = names.into_iter().filter(|name| !known.contains(name) && *name != "kirsch_log_lines_total");
        assert_eq!(unknown.collect::<Vec<_>>(), Vec::<&str>::new(), "{query}");
    }
}
