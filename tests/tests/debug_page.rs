//! The debug page: everything for the developer, who has the key, nothing for other clients. And tickets, which keep
//! the same in files.

use integration_tests::wait_until;
use kirsch::testing::{Client, RequestBuilder, TestResponse};
use kirsch::{prelude::*, status};
use serde_json::Value;
use std::fmt;
use std::path::Path;
use std::time::Duration;

struct Shop;

#[derive(Debug)]
struct Broken(std::num::ParseIntError);

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the price of <cherries> is broken")
    }
}

impl std::error::Error for Broken {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.0)
    }
}

#[handlers]
impl Shop {
    #[expose]
    fn price(&self, fruit: String, password: Option<String>) -> kirsch::Result<String> {
        let _ = password;
        let price: u32 = "many".parse().map_err(Broken)?;
        Ok(format!("{fruit}: {price}"))
    }

    #[expose]
    fn panic(&self) -> &'static str {
        inner_step()
    }

    #[expose]
    fn sold_out(&self) -> Option<&'static str> {
        None
    }

    #[expose]
    fn weigh(&self, fruit: String) -> kirsch::Result<String> {
        weight(&fruit)
    }

    #[expect(dead_code, reason = "nobody has exposed it")]
    fn basket(&self, id: u32) -> String {
        id.to_string()
    }
}

#[inline(never)]
fn weight(fruit: &str) -> kirsch::Result<String> {
    Err(Broken("heavy".parse::<u32>().expect_err("a word is no number")))?;
    Ok(fruit.to_owned())
}

#[inline(never)]
fn inner_step() -> &'static str {
    panic!("no luck")
}

struct Marker;

impl Tool for Marker {
    fn name(&self) -> &'static str {
        "marker"
    }
    fn attach(&self, hooks: &mut Hooks) {
        hooks.at(HookPoint::OnStartResource, |_| {}).priority(7);
        hooks.at(HookPoint::BeforeHandler, |exchange| match exchange.request.query() {
            Some("hook") => Err(Error::unexpected("the marker is lost")),
            _ => Ok(()),
        });
    }
}

fn shop() -> App {
    App::new(Shop).tool("/", Marker).settings("/", |settings| settings.debug_page = true)
}

/// In process and over a socket, each the developer's.
fn both(app: impl Fn() -> App, test: impl Fn(&Client)) {
    for client in [Client::in_process(app()), Client::over_socket(app()).as_developer()] {
        test(&client);
    }
}

fn browser(client: &Client, target: &str) -> RequestBuilder {
    client.get(target).header("Accept", "text/html")
}

#[test]
fn a_failure_shows_its_causes_its_place_and_its_handler() {
    both(shop, |client| {
        let page = browser(client, "/price/cherries").send();
        page.assert_status(500).assert_header("content-type", "text/html; charset=utf-8");
        page.assert_contains("<h1>the price of &lt;cherries&gt; is broken</h1>").assert_lacks("<cherries>");
        page.assert_contains("caused by: invalid digit found in string");
        page.assert_contains("<code>tests/tests/debug_page.rs:").assert_contains("parse().map_err(Broken)?;");
        page.assert_contains("Shop::price")
            .assert_contains("/price/{fruit}/{password?}")
            .assert_contains("Failed in the handler.");
    });
}

#[test]
fn secrets_are_masked_wherever_they_came() {
    both(shop, |client| {
        client.set_cookie("session_id", "hunter2");
        let page = browser(client, "/price?fruit=plums&password=hunter2&x=%3Cscript%3E");
        let page = page.header("Authorization", "Basic hunter2").send();
        page.assert_contains("plums").assert_contains("••••••").assert_lacks("hunter2");
        page.assert_contains("&lt;script&gt;").assert_lacks("<script");
        let page = browser(client, "/price/plums/hunter2").send();
        page.assert_contains("GET /price/plums/•••••• HTTP/1.1").assert_lacks("hunter2");
        page.assert_contains("<th scope=\"row\">fruit</th><td>plums</td>");
    });
}

#[test]
fn the_hooks_that_ran_and_the_plan_are_listed() {
    both(shop, |client| {
        let page = browser(client, "/price/plums").send();
        page.assert_contains("<td>OnStartResource, 7</td><th scope=\"row\">marker</th>");
        page.assert_contains("<tr class=\"failed\"><td></td><th scope=\"row\">the handler</th>");
        page.assert_contains("<td>trailing_slash, ").assert_contains("max_body").assert_contains("100 MiB");
        let page = browser(client, "/price/plums?hook").send();
        page.assert_contains("the marker is lost").assert_lacks("the handler</th>");
        page.assert_contains("Failed in the hook of <code>marker</code> at BeforeHandler.");
    });
}

#[test]
fn a_panic_shows_its_place_and_a_short_backtrace() {
    both(shop, |client| {
        let page = browser(client, "/panic").send();
        page.assert_status(500).assert_contains("panicked: no luck").assert_contains("panic!(&quot;no luck&quot;)");
        page.assert_contains("debug_page::inner_step").assert_lacks("catch_unwind").assert_lacks("rust_begin_unwind");
    });
}

#[test]
fn a_path_that_leads_nowhere_lists_the_routes_near_it() {
    both(shop, |client| {
        let page = browser(client, "/prise/plums").send();
        page.assert_status(404).assert_contains("Routes near this path").assert_contains("/price/{fruit}/{password?}");
        browser(client, "/sold_out").send().assert_status(404).assert_contains("has given this answer itself");
        let page = client.put("/panic").header("Accept", "text/html").send();
        page.assert_status(405)
            .assert_contains("This page answers GET, HEAD, OPTIONS, POST only.")
            .assert_contains("Shop::panic");
    });
}

#[test]
fn each_step_of_the_program_has_its_source() {
    both(shop, |client| {
        let page = browser(client, "/panic").send();
        page.assert_contains("debug_page::inner_step").assert_contains("Shop::panic").assert_contains("<i>");
        let steps = page.text().split("Backtrace").nth(1).expect("a backtrace").to_owned();
        assert!(
            steps.contains("inner_step()</mark>") && steps.contains("panic!(&quot;no luck&quot;)</mark>"),
            "{steps}"
        );
        let page = browser(client, "/weigh/plums").send();
        let steps = page.text().split("Backtrace").nth(1).expect("a backtrace").to_owned();
        assert!(
            steps.contains("weight(&amp;fruit)</mark>") && steps.contains("is no number&quot;)))?;</mark>"),
            "{steps}"
        );
    });
}

#[test]
fn a_method_that_is_not_exposed_is_named() {
    both(shop, |client| {
        let page = browser(client, "/basket/7").send();
        page.assert_status(404).assert_contains("The method <code>Shop::basket</code> is not exposed");
        browser(client, "/casket").send().assert_status(404).assert_contains("No handler is at this path.");
    });
}

#[test]
fn a_handler_whose_argument_is_missing_was_not_called() {
    both(shop, |client| {
        let page = browser(client, "/price").send();
        page.assert_status(404)
            .assert_contains("the parameter `fruit` is missing")
            .assert_contains("it was not called");
        page.assert_lacks("has given this answer itself");
    });
}

#[test]
fn a_template_shows_its_own_lines() {
    let templates = || {
        let layout = "<html>\n{% block body %}{% endblock %}\n</html>";
        let page = "{% extends 'layout.html' %}\n{% block body %}\n<p>{{ nmae }}</p>\n{% endblock %}";
        tools::Templates::embedded([("layout.html", layout), ("page.html", page)])
    };
    let tree = || Tree::new().index(|_| tools::View::new("page.html", ()));
    let app = || App::new(tree()).tool("/", templates()).settings("/", |settings| settings.debug_page = true);
    both(app, |client| {
        let page = browser(client, "/").send();
        page.assert_status(500).assert_contains("<code>page.html:3</code>");
        page.assert_contains("<mark><i>3</i>&lt;p&gt;{{ nmae }}&lt;/p&gt;</mark>");
    });
}

#[test]
fn a_terminal_gets_it_as_text() {
    both(shop, |client| {
        let page = client.get("/price/plums").send();
        page.assert_header("content-type", "text/plain; charset=utf-8").assert_contains("caused by: invalid digit");
        page.assert_contains("handler      Shop::price").assert_contains("at           tests/tests/debug_page.rs:");
        client.get("/prise").send().assert_contains("Routes near it:\n  GET, HEAD, OPTIONS, POST /price/{fruit}");
    });
}

// Neither an address nor a name proves who the client is: a proxy on this machine speaks for the internet.
#[test]
fn strangers_get_the_usual_page_from_any_address_with_any_fields() {
    let app = || shop().tool("/", tools::Proxy::trusting(["loopback"]).host("X-Forwarded-Host"));
    for client in [Client::over_socket(shop()), Client::over_socket(app())] {
        for (name, value) in [
            ("Host", "localhost"),
            ("Host", "127.0.0.1"),
            ("X-Forwarded-For", "127.0.0.1"),
            ("X-Forwarded-Host", "localhost"),
            ("Cookie", "kirsch_debug=; kirsch_debug=00000000000000000000000000000000; kirsch_debug"),
        ] {
            for target in ["/price/plums", "/panic", "/prise"] {
                let page = browser(&client, target).header(name, value).send();
                page.assert_lacks("invalid digit").assert_lacks("no luck").assert_lacks("Shop").assert_lacks("marker");
            }
        }
    }
}

#[test]
fn the_link_in_the_log_gives_the_key_and_leads_to_the_page() {
    let client = Client::over_socket(shop());
    let key = client.new_browser().as_developer().cookie("kirsch_debug").unwrap();
    let led = browser(&client, &format!("/panic?a=1&kirsch_debug={key}&b=2")).send();
    led.assert_status(303).assert_header("location", "/panic?a=1&b=2").assert_header("cache-control", "no-store");
    led.assert_header("set-cookie", &format!("kirsch_debug={key}; Path=/; HttpOnly; SameSite=Lax"));
    browser(&client, "/panic?a=1&b=2").send().assert_contains("panicked: no luck");
    client.post("/panic").header("Accept", "text/html").send().assert_contains("panicked: no luck");
    browser(&client.new_browser(), "/panic").send().assert_lacks("no luck");
    let led = browser(&client, &format!("//evil.example/?kirsch_debug={key}")).send();
    led.assert_header("location", "/evil.example/");
}

#[test]
fn a_link_of_an_earlier_start_says_so_and_gives_nothing() {
    let client = Client::over_socket(shop());
    for wrong in ["", "0", "00000000000000000000000000000000"] {
        let answer = browser(&client, &format!("/panic?kirsch_debug={wrong}")).send();
        answer.assert_status(403).assert_contains("the new one").assert_no_header("set-cookie");
    }
    let off = Client::over_socket(App::new(Shop));
    let key = off.new_browser().as_developer().cookie("kirsch_debug").unwrap();
    off.get(&format!("/sold_out?kirsch_debug={key}")).send().assert_status(404).assert_no_header("set-cookie");
}

#[test]
fn it_is_off_unless_it_is_on_for_the_path() {
    let app = || shop().settings("/price", |settings| settings.debug_page = false);
    both(app, |client| {
        browser(client, "/price/plums").send().assert_status(500).assert_lacks("invalid digit").assert_lacks("marker");
        browser(client, "/panic").send().assert_contains("no luck");
    });
}

#[test]
fn pages_of_the_applications_own_stay_for_404_and_give_way_to_a_failure() {
    both(
        || shop().default_error_page(|_| "ours"),
        |client| {
            browser(client, "/nowhere").send().assert_text("ours");
            browser(client, "/panic").send().assert_contains("no luck");
        },
    );
}

/// A shop in production: no debug page, tickets in the folder.
fn with_tickets(folder: &Path) -> App {
    App::new(Shop).tool("/", Marker).mount("/status", status::app()).tickets(folder)
}

fn number(answer: &TestResponse) -> String {
    answer.header("x-request-id").expect("error pages tell the number").to_owned()
}

/// The ticket of a failed request, once it is written.
fn ticket(client: &Client, failed: &TestResponse) -> Value {
    let address = format!("/status/tickets/{}?json", number(failed));
    wait_until(|| client.get(&address).send().status() == StatusCode::OK);
    client.get(&address).send().json()
}

#[test]
fn a_failure_leaves_a_ticket_under_the_number_that_its_visitor_reads() {
    let room = tempfile::tempdir().unwrap();
    let client = Client::over_socket(with_tickets(room.path())).as_developer();
    let ticket = ticket(&client, &client.get("/price/cherries").send());
    assert_eq!(ticket["causes"][0], "the price of <cherries> is broken");
    assert_eq!((&ticket["handler"], &ticket["route"]), (&"Shop::price".into(), &"/price/{fruit}/{password?}".into()));
    assert!(ticket["place"].as_str().unwrap().starts_with("tests/tests/debug_page.rs:"), "{ticket:#}");
    assert_eq!((&ticket["failed_in"], &ticket["method"]), (&"the handler".into(), &"GET".into()));
    let hooks: Vec<_> = ticket["hooks"].as_array().unwrap().iter().map(|hook| hook.as_str().unwrap()).collect();
    assert!(hooks.contains(&"OnStartResource 7: marker") && hooks.ends_with(&["the handler"]), "{hooks:?}");
}

#[test]
fn a_ticket_names_the_hook_that_failed_and_none_behind_it() {
    let room = tempfile::tempdir().unwrap();
    let client = Client::over_socket(with_tickets(room.path())).as_developer();
    let ticket = ticket(&client, &client.get("/panic?hook").send());
    assert_eq!(ticket["failed_in"], "the hook of `marker` at BeforeHandler");
    assert_eq!(ticket["hooks"].as_array().unwrap().last().unwrap(), "BeforeHandler 50: marker");
}

#[test]
fn no_secret_gets_into_the_folder() {
    let room = tempfile::tempdir().unwrap();
    let app = with_tickets(room.path()).error_page(StatusCode::NOT_FOUND, |_| "nothing");
    let client = Client::over_socket(app).as_developer();
    let request = client.post("/weigh?fruit=plum&api_key=hunter2").header("Cookie", "sid=hunter2");
    let request = request.header("Authorization", "Basic hunter2").header("X-Auth-Token", "hunter2");
    let failed = request.form(&[("password", "hunter2"), ("colour", "blue")]).send();
    let ticket = ticket(&client, failed.assert_status(500));
    assert!(ticket.to_string().contains("blue") && !ticket.to_string().contains("hunter2"), "{ticket:#}");
    let file = std::fs::read_to_string(room.path().join(format!("{}.json", number(&failed)))).unwrap();
    assert!(!file.contains("hunter2"), "{file}");
}

#[test]
fn a_request_full_of_text_leaves_a_small_ticket() {
    let room = tempfile::tempdir().unwrap();
    let client = Client::over_socket(with_tickets(room.path())).as_developer();
    let form: Vec<_> = (0..400).map(|field| (format!("{field}{}", "n".repeat(1000)), "v".repeat(1000))).collect();
    let form: Vec<_> = form.iter().map(|(name, value)| (&**name, &**value)).collect();
    let failed = client.post("/weigh?fruit=plum").form(&form).send();
    assert!(ticket(&client, &failed)["parameters"].as_str().unwrap().contains("left out"));
    let file = room.path().join(format!("{}.json", number(&failed)));
    assert!(file.metadata().unwrap().len() <= 64 << 10);
}

#[test]
fn tickets_are_for_those_who_may_see_the_status_and_their_texts_are_escaped() {
    let room = tempfile::tempdir().unwrap();
    let client = Client::over_socket(with_tickets(room.path()));
    let developer = client.new_browser().as_developer();
    let failed = client.get("/price/%3Cb%3E?a=%3Ci%3E").send();
    ticket(&developer, &failed);
    let page = format!("/status/tickets/{}", number(&failed));
    for path in ["/status/tickets", &page] {
        client.get(path).send().assert_status(404);
        let page = developer.get(path).send();
        page.assert_status(200).assert_contains("the price of &lt;cherries&gt; is broken").assert_lacks("<cherries>");
    }
    developer.get(&page).send().assert_contains("&lt;i&gt;").assert_lacks("<i>");
    developer
        .get("/status")
        .send()
        .assert_contains("<h2>Tickets</h2>")
        .assert_contains("/status/tickets\">Tickets</a>");
}

#[test]
fn only_a_number_is_looked_for() {
    let room = tempfile::tempdir().unwrap();
    std::fs::write(room.path().join("secret.json"), "{\"causes\": [\"top secret\"]}").unwrap();
    let client = Client::over_socket(with_tickets(&room.path().join("tickets"))).as_developer();
    let names = ["..%2Fsecret", "..", "counts", "%2e%2e%2fsecret.json", "0123456789ABCDEF", "+123456789abcdef", "0%00"];
    for name in names.into_iter().chain(["0123456789abcdef", "0123456789abcdef.json", "0123456789abcdef/x"]) {
        let answer = client.get(&format!("/status/tickets/{name}")).send();
        assert!(answer.status().is_client_error(), "{name}: {}", answer.status());
        answer.assert_lacks("top secret");
    }
}

#[test]
fn failures_of_a_kind_are_counted_and_the_count_outlives_a_restart() {
    let room = tempfile::tempdir().unwrap();
    let running = with_tickets(room.path()).start("127.0.0.1:0").unwrap();
    let client = Client::connect(running.address());
    // The names of clients make no kinds.
    for fruit in 0..50 {
        client.get(&format!("/price/{fruit}")).send().assert_status(500);
    }
    client.get("/panic").send().assert_status(500);
    assert!(running.stop(Duration::from_secs(30)).unfinished.is_empty());
    let files = std::fs::read_dir(room.path())
        .unwrap()
        .filter(|file| file.as_ref().unwrap().file_name().to_str().unwrap() != "counts.json");
    assert_eq!(files.count(), 11);
    let client = Client::over_socket(with_tickets(room.path())).as_developer();
    let page = || client.get("/status/tickets").send();
    wait_until(|| page().text().contains("51 failures of 2 kinds"));
    page().assert_contains("<b>50</b>").assert_contains("no luck");
}

#[test]
fn a_ticket_is_forgotten_by_its_button_and_by_nothing_else() {
    let room = tempfile::tempdir().unwrap();
    let client = Client::over_socket(with_tickets(room.path())).as_developer();
    let failed = client.get("/price/cherries").send();
    ticket(&client, &failed);
    let address = format!("/status/tickets/{}", number(&failed));
    client.post(&address).send().assert_status(403);
    client.post(&address).form(&[("token", &*"0".repeat(64))]).send().assert_status(403);
    client.new_browser().post(&address).send().assert_status(404);
    client.post("/status/tickets").send().assert_status(405);
    let page = client.get(&address).send();
    page.form("form").submit().assert_contains("The program has not failed.");
    client.get(&address).send().assert_status(404);
    assert!(!room.path().join(format!("{}.json", number(&failed))).exists());
}

#[test]
fn pages_that_are_open_to_everybody_forget_no_ticket() {
    let room = tempfile::tempdir().unwrap();
    let app = App::new(Shop).tool("/", Marker).mount("/status", status::app().open()).tickets(room.path());
    let client = Client::over_socket(app);
    let failed = client.get("/price/cherries").send();
    ticket(&client, &failed);
    let address = format!("/status/tickets/{}", number(&failed));
    client.get(&address).send().assert_lacks("<form");
    client.post(&address).send().assert_status(405);
}

#[test]
fn the_debug_page_leads_to_the_ticket() {
    let room = tempfile::tempdir().unwrap();
    let app = with_tickets(room.path()).settings("/", |settings| settings.debug_page = true);
    let client = Client::over_socket(app).as_developer();
    let page = browser(&client, "/panic").send();
    let address = format!("/status/tickets/{}", number(&page));
    page.assert_contains(&format!("<a href=\"{address}\">The ticket of this failure</a>"));
    wait_until(|| client.get(&address).send().status() == StatusCode::OK);
}

#[test]
fn a_folder_that_cannot_be_written_stops_the_start() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let problem = with_tickets(file.path()).build().unwrap_err().to_string();
    assert!(problem.starts_with("the folder of tickets "), "{problem}");
    let mounted = App::new(Tree::new()).mount("/shop", with_tickets(file.path()));
    assert!(mounted.build().unwrap_err().to_string().contains("only the outermost app"));
}
