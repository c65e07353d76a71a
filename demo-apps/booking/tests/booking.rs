//! The booking site as its visitors meet it: each test has a site of its own, in a folder that goes with it.

use chrono::{Days, Local};
use demo_apps::process::Program;
use kirsch::testing::{Client, PageForm, TestResponse};
use rustix::process::Signal;
use serde_json::{Value, json};
use std::{path::Path, sync::Barrier, thread};
use tempfile::TempDir;

const PASSWORD: &str = "correct horse";
/// `anna` and her password, as `AuthBasic` wants them.
const ANNA: &str = "Basic YW5uYTpjb3JyZWN0IGhvcnNl";
const HTML: &str = "text/html,application/xhtml+xml;q=0.9,*/*;q=0.8";

struct TestSite {
    client: Client,
    folder: TempDir,
}

fn site() -> TestSite {
    let folder = tempfile::tempdir().expect("a folder");
    TestSite { client: start(folder.path()), folder }
}

fn start(folder: &Path) -> Client {
    Client::in_process(booking::app(folder).expect("a new folder can be used"))
}

impl TestSite {
    /// The browser of somebody who has logged in.
    fn browser_of(&self, name: &str) -> Client {
        let browser = self.client.new_browser();
        browser.login(name, PASSWORD).assert_status(200);
        browser
    }
}

fn day(from_now: u64) -> String {
    (Local::now().date_naive() + Days::new(from_now)).to_string()
}

/// The form, filled in rightly.
fn filled(browser: &Client) -> PageForm {
    let form = browser.get("/book").send().form("#booking");
    form.set("title", "Tea & cake").set("room", "Kyoto").set("day", &day(1)).set("seats", "2")
}

fn booked(browser: &Client) -> TestResponse {
    let page = filled(browser).submit();
    page.assert_status(200).assert_contains("Kyoto is yours.");
    page
}

#[test]
fn the_api_describes_itself_to_those_who_may_use_it() {
    let site = site();
    site.client.get("/api/about/openapi.json").send().assert_status(401);
    let api: Value = site.client.get("/api/about/openapi.json").header("Authorization", ANNA).send().json();
    let post = &api["paths"]["/api/bookings"]["post"];
    assert_eq!((&post["summary"], &post["security"]), (&json!("Books a room."), &json!([{ "auth_basic": [] }])));
    let title = &post["requestBody"]["content"]["application/json"]["schema"]["properties"]["title"];
    assert_eq!(title["maxLength"], 80);
    let answer = &api["paths"]["/api/bookings/{id}"]["get"]["responses"]["200"]["content"]["application/json"];
    assert_eq!(answer["schema"]["$ref"], "#/components/schemas/Booking");
}

#[test]
fn strangers_are_sent_to_the_login_and_back() {
    let site = site();
    let login = site.client.get("/book").header("Accept", HTML).follow_redirects().send();
    login.assert_contains("<h1>Log in</h1>");
    let wrong = login.form("#login").set("name", "anna").set("password", "wrong").submit();
    wrong.assert_status(401).assert_contains("role=\"alert\"");
    login.login("anna", PASSWORD).assert_contains("<h1>Book a room</h1>");
    site.client.get("/api/bookings").send().assert_status(401);
}

#[test]
fn a_booking_is_shown_with_all_that_was_typed() {
    let site = site();
    let (anna, ben) = (site.browser_of("anna"), site.browser_of("ben"));
    let form = filled(&anna).set("remark", "Bring <cups>.").check("catering", true);
    let form =
        form.set("attendees[0].name", "Ida").set("attendees[2].name", "Leo").set("attendees[2].email", "leo@a.example");
    let page = form.file("attachment", "Ablauf ä.txt", "text/plain", b"1. Tea").submit();
    for text in ["Kyoto is yours.", "Tea &amp; cake", "coffee", "Ida", "leo@a.example", "Bring &lt;cups&gt;."] {
        page.assert_contains(text);
    }
    anna.get("/").send().assert_lacks("is yours").assert_contains("Tea &amp; cake");
    let file = ben.get("/booking/1/attachment").send();
    file.assert_text("1. Tea").assert_contains("Tea");
    assert!(file.header("content-disposition").is_some_and(|value| value.starts_with("attachment; filename=")));
    ben.get("/").send().assert_contains("2 seats, booked by anna");
}

#[test]
fn a_wrong_form_comes_back_with_its_values_and_an_error_beside_each_field() {
    let site = site();
    let anna = site.browser_of("anna");
    let form = filled(&anna).set("title", "").set("seats", "many").set("day", "2020-02-29").set("remark", "<b>");
    let page = form.set("attendees[1].email", "leo").submit();
    page.assert_status(422).assert_contains("&lt;b&gt;").assert_contains("value=\"many\"");
    for (field, sentence) in [
        ("title", "Please fill in this field."),
        ("seats", "Must be a whole number from 1 to 200."),
        ("day", "This day is over."),
        ("attendees[1].name", "Please fill in this field."),
        ("attendees[1].email", "Must be an e-mail address, such as anna@example.org."),
    ] {
        page.assert_contains(&format!("id=\"{field}-error\">{sentence}"));
        page.assert_contains(&format!("aria-describedby=\"{field}-error\""));
    }
    let form = page.form("#booking").set("title", "Tea").set("seats", "2").set("day", &day(0));
    form.set("attendees[1].name", "Leo").set("attendees[1].email", "").submit().assert_contains("Kyoto is yours.");
}

#[test]
fn the_room_must_have_enough_seats() {
    let site = site();
    let anna = site.browser_of("anna");
    let page = filled(&anna).set("seats", "9").submit();
    page.assert_status(422).assert_contains("id=\"seats-error\">Kyoto has 8 seats.");
    let crowded =
        page.form("#booking").set("seats", "1").set("attendees[0].name", "Ida").set("attendees[1].name", "Leo");
    crowded.submit().assert_status(422).assert_contains("id=\"seats-error\">You have named 2 people.");
}

#[test]
fn a_link_fills_in_the_form() {
    let site = site();
    let form = site.browser_of("anna").get("/book?room=Oslo&seats=12").send().form("#booking");
    assert_eq!((form.value("room"), form.value("seats"), form.value("title")), ("Oslo", "12", ""));
}

#[test]
fn of_people_who_book_a_room_at_the_same_time_one_gets_it() {
    let site = site();
    let forms: Vec<_> = (0..4).map(|_| filled(&site.browser_of("anna"))).collect();
    let barrier = Barrier::new(forms.len());
    let pages: Vec<_> = thread::scope(|scope| {
        let send = |form: PageForm| {
            barrier.wait();
            form.submit()
        };
        let running: Vec<_> = forms.into_iter().map(|form| scope.spawn(move || send(form))).collect();
        running.into_iter().map(|thread| thread.join().expect("an answer")).collect()
    });
    let (won, lost): (Vec<_>, Vec<_>) = pages.iter().partition(|page| page.status() == 200);
    assert_eq!((won.len(), lost.len()), (1, 3));
    for page in lost {
        page.assert_status(422).assert_contains("id=\"room-error\">Kyoto is taken on this day.");
    }
}

#[test]
fn a_booking_is_cancelled_by_its_owner_alone() {
    let site = site();
    let (anna, ben) = (site.browser_of("anna"), site.browser_of("ben"));
    let page = booked(&anna);
    ben.get("/booking/1/").send().assert_status(200).assert_lacks("Cancel this booking");
    let token = ben.get("/book").send().form("#booking").value("csrf_token").to_owned();
    let refused = ben.post("/booking/1/cancel").form(&[("csrf_token", &token)]).send();
    refused.assert_status(403).assert_contains("Please ask anna to cancel this.");
    page.form("#cancel").submit().assert_contains("Kyoto is free again.").assert_contains("All rooms are free.");
    booked(&ben);
}

#[test]
fn a_form_of_another_site_books_nothing() {
    let site = site();
    let anna = site.browser_of("anna");
    filled(&anna).set("csrf_token", "guessed").submit().assert_status(403);
    filled(&anna).request().header("Sec-Fetch-Site", "cross-site").send().assert_status(403);
    anna.get("/").send().assert_contains("All rooms are free.");
}

#[test]
fn programs_have_the_same_bookings() {
    let site = site();
    booked(&site.browser_of("ben"));
    let ask = |method: &str, path: &str| {
        site.client.request(method.parse().expect("a method"), path).header("Authorization", ANNA)
    };
    let new = json!({ "title": "Talk", "room": "Oslo", "day": day(2), "seats": 12, "attendees": [{ "name": "Ida" }] });
    let made = ask("POST", "/api/bookings").json(&new).send();
    made.assert_status(201).assert_header("location", "http://localhost/api/bookings/2");
    let all: Vec<Value> = ask("GET", "/api/bookings").send().json();
    assert_eq!((&all[0]["booked_by"], &all[1]["booked_by"]), (&json!("ben"), &json!("anna")));
    assert_eq!(all[1]["attendees"], json!([{ "name": "Ida", "email": null }]));
    ask("DELETE", "/api/bookings/1").send().assert_status(403);
    ask("DELETE", "/api/bookings/2").send().assert_status(204);
    ask("GET", "/api/bookings/2").send().assert_status(404).assert_header("content-type", "application/problem+json");
}

#[test]
fn programs_get_problems_by_field() {
    let site = site();
    let send = |new: Value| site.client.post("/api/bookings").header("Authorization", ANNA).json(&new).send();
    let problem = send(json!({ "title": "", "room": "Kyoto", "day": day(1), "seats": "2" }));
    problem.assert_status(422).assert_header("content-type", "application/problem+json");
    let expected =
        json!({ "title": ["Please fill in this field."], "seats": ["Must be a whole number from 1 to 200."] });
    assert_eq!(problem.json::<Value>()["errors"], expected);
    let nowhere = send(json!({ "title": "Tea", "room": "Rome", "day": day(1), "seats": 2 })).json::<Value>();
    assert_eq!(nowhere["errors"], json!({ "room": ["Please choose one of the rooms."] }));
}

#[test]
fn bookings_and_logins_survive_a_restart() {
    let site = site();
    let anna = site.browser_of("anna");
    booked(&anna);
    let cookie = anna.cookie("session_id").expect("a session");
    let restarted = start(site.folder.path());
    restarted.set_cookie("session_id", &cookie);
    restarted.get("/").send().assert_status(200).assert_contains("Tea &amp; cake");
}

#[test]
fn errors_look_like_the_site_in_browsers() {
    let site = site();
    let anna = site.browser_of("anna");
    let page = anna.get("/nowhere").header("Accept", HTML).send();
    page.assert_status(404).assert_contains("<h1>Not Found</h1>").assert_contains("Log out");
    anna.get("/booking/7/").send().assert_status(404).assert_header("content-type", "text/plain; charset=utf-8");
}

#[test]
fn styles_are_cached_and_pages_load_nothing_from_elsewhere() {
    let site = site();
    let style = site.client.get("/static/site.css").send();
    style.assert_status(200).assert_header("cache-control", "public, max-age=3600");
    let tag = style.header("etag").expect("a tag").to_owned();
    site.client.get("/static/site.css").header("If-None-Match", tag).send().assert_status(304);
    let page = site.client.get("/login").send();
    assert!(page.header("content-security-policy").is_some_and(|policy| policy.starts_with("default-src 'self';")));
}

#[test]
fn the_program_serves_and_ends_after_sigterm() {
    let program = Program::start(env!("CARGO_BIN_EXE_booking"), &[]);
    program.client.login("anna", PASSWORD).assert_contains("All rooms are free.");
    assert_eq!(program.end_with(Signal::TERM), (Some(0), String::new()));
}
