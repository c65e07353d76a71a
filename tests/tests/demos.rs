//! The demo applications do what the README promises.

use demo_apps::{chunks, page1_page2, quadruple, song_counter, thumbnails, upload};
use integration_tests::both;
use kirsch::{
    Method,
    sessions::MemoryStore,
    testing::{Client, FormData},
};
use std::{
    thread,
    time::{Duration, Instant},
};

const PAUSE: Duration = Duration::from_millis(500);

fn page1_page2() -> kirsch::App {
    page1_page2::app(PAUSE)
}

#[test]
fn page2_alone_never_makes_a_session() {
    both(page1_page2, |client| {
        client.get("/page2").send().assert_text("Hello World!").assert_no_header("set-cookie");
    });
}

#[test]
fn the_front_page_explains_links_and_starts_a_session() {
    both(page1_page2, |client| {
        let page = client.get("/").send();
        page.assert_status(200).assert_contains("href=\"/page1\"").assert_contains("href=\"/page1_released\"");
        assert!(page.header("set-cookie").is_some());
    });
}

/// Asks for `/page2` again and again until `first` of the same browser is answered: when each began and ended, and when
/// `first` did.
fn ask_for_page2_during(first: &str) -> (Vec<(Instant, Instant)>, Instant) {
    let client = Client::over_socket(page1_page2());
    client.get("/").send().assert_status(200);
    let cookie = client.cookie("session_id").expect("the front page begins a session");
    let mut page1 = client.raw();
    page1.send(format!("GET {first} HTTP/1.1\r\nHost: a\r\nCookie: session_id={cookie}\r\n\r\n"));
    let mut asked = Vec::new();
    while !page1.has_input() {
        let begin = Instant::now();
        client.get("/page2").send().assert_text("Hello World!");
        asked.push((begin, Instant::now()));
    }
    page1.read_response().assert_text("*Yawn*");
    (asked, Instant::now())
}

#[test]
fn page2_waits_for_page1_of_the_same_browser() {
    let (asked, _) = ask_for_page2_during("/page1");
    assert!(asked.iter().any(|(begin, end)| *end - *begin > PAUSE / 2), "none has waited");
}

#[test]
fn page2_does_not_wait_when_page1_has_released_the_lock() {
    let (asked, page1_ended) = ask_for_page2_during("/page1_released");
    // Asked for while page1 slept for certain, answered while it still did.
    let late = |(begin, end): &(Instant, Instant)| *begin + PAUSE / 2 > page1_ended && *end < page1_ended - PAUSE / 10;
    assert!(asked.iter().any(late), "none was answered while page1_released slept");
}

#[test]
fn songs_are_counted_by_path_or_query() {
    both(song_counter::app, |client| {
        client.get("/song/42").send().assert_text("0");
        client.post("/song/42").send().assert_status(200).assert_text("1");
        client.post("/song").form(&[("id", "42")]).send().assert_text("2");
        client.get("/song/42").send().assert_text("2");
        client.get("/song?id=42").send().assert_text("2");
    });
}

#[test]
fn the_root_lists_all_songs_and_delete_forgets_them() {
    both(song_counter::app, |client| {
        for id in ["42", "1", "1"] {
            client.post(&format!("/song/{id}")).send().assert_status(200);
        }
        client.get("/").send().assert_text("1=2,42=1");
        client.delete("/").send().assert_text("OK");
        client.get("/").send().assert_text("");
    });
}

#[test]
fn a_resource_names_the_methods_that_it_allows() {
    both(song_counter::app, |client| {
        client.put("/song/42").send().assert_status(405).assert_header("allow", "GET, HEAD, OPTIONS, POST");
        client.post("/").send().assert_status(405).assert_header("allow", "DELETE, GET, HEAD, OPTIONS");
    });
}

#[test]
fn songs_counted_at_the_same_time_are_all_counted() {
    let client = Client::over_socket(song_counter::app());
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| (0..50).for_each(|_| drop(client.post("/song/42").send())));
        }
    });
    client.get("/").send().assert_text("42=400");
}

#[test]
fn the_testbed_greets_in_plain_text() {
    both(testbed::app, |client| {
        let page = client.get("/").send();
        page.assert_text("Hello, World!").assert_header("content-type", "text/plain; charset=utf-8");
        page.assert_header("content-length", "13").assert_no_header("set-cookie");
    });
}

#[test]
fn echo_sends_the_body_back_with_its_type() {
    both(testbed::app, |client| {
        let content: Vec<u8> = (0..=255).cycle().take(100_000).collect();
        let response = client.post("/echo").header("Content-Type", "image/png").body(content.clone()).send();
        response.assert_status(200).assert_header("content-type", "image/png");
        assert_eq!(response.bytes(), content);
    });
}

#[test]
fn headers_and_cookies_come_back_as_lines() {
    both(testbed::app, |client| {
        client.get("/headers").header("x-one", "a: b").send().assert_contains("x-one: a: b\n");
        client.get("/cookie").header("Cookie", "a=1; b=2").send().assert_text("a=1\nb=2\n");
    });
}

#[test]
fn a_large_answer_is_complete() {
    both(testbed::app, |client| {
        let response = client.get("/large?bytes=10000000").send();
        response.assert_status(200).assert_header("content-length", "10000000");
        assert!(response.bytes().iter().all(|&byte| byte == b'x'));
    });
}

#[test]
fn a_stream_comes_chunk_for_chunk() {
    both(testbed::app, |client| {
        let response = client.get("/stream?chunks=3").send();
        response.assert_header("transfer-encoding", "chunked");
        assert_eq!(response.chunks(), [b"Chunk 0\n", b"Chunk 1\n", b"Chunk 2\n"]);
    });
}

#[test]
fn parameters_in_the_path_are_typed() {
    both(testbed::app, |client| {
        client.get("/add/2/-5").send().assert_text("-3");
        client.get("/add/2/x").send().assert_status(404);
        client.get("/add/2").send().assert_status(404);
        client.get("/add/1/2/3").send().assert_status(404);
    });
}

#[test]
fn a_panic_is_a_500_and_the_worker_lives() {
    let client = Client::over_socket(testbed::app().threads(1));
    for _ in 0..3 {
        client.get("/panic").send().assert_status(500).assert_lacks("asked for");
    }
    client.get("/").send().assert_status(200);
}

#[test]
fn fail_answers_with_the_status_it_is_asked_for() {
    both(testbed::app, |client| {
        for status in [400, 404, 418, 500, 503] {
            client.get(&format!("/fail?status={status}")).send().assert_status(status);
        }
        client.get("/fail?status=200").send().assert_status(400);
    });
}

#[test]
fn the_testbed_shows_templates_redirects_and_links() {
    both(testbed::app, |client| {
        let page = client.get("/template?name=a.HTML.j2&value=%3Cscript%3E").send();
        page.assert_text("&lt;script&gt;").assert_header("content-type", "text/html; charset=utf-8");
        let page = client.get("/template?name=a.js&value=%3Cscript%3E").send();
        page.assert_text("\"\\u003cscript\\u003e\"").assert_header("content-type", "text/javascript; charset=utf-8");
        let redirect = |to| client.get(&format!("/redirect?to={to}")).send();
        redirect("/a%20b%22").assert_status(303).assert_header("location", "/a%20b%22");
        redirect("/%09/evil.example").assert_status(500).assert_no_header("location");
        let link = client.get("/link?to=//evil.example/a%20b").send().text().to_owned();
        assert!(link.starts_with("http://") && link.ends_with("/evil.example/a%20b"), "{link}");
    });
}

#[test]
fn count_is_per_browser() {
    both(testbed::app, |anna| {
        let ben = anna.new_browser();
        anna.get("/count").send().assert_text("1");
        anna.get("/count").send().assert_text("2");
        ben.get("/count").send().assert_text("1");
    });
}

#[test]
fn head_is_get_without_a_body() {
    both(testbed::app, |client| {
        client.head("/").send().assert_status(200).assert_header("content-length", "13").assert_text("");
        client.request(Method::OPTIONS, "/").send().assert_header("allow", "GET, HEAD, OPTIONS, POST");
    });
}

fn chunks() -> kirsch::App {
    chunks::app(3, Duration::ZERO)
}

#[test]
fn chunks_are_sent_one_by_one_to_programs() {
    both(chunks, |client| {
        for path in ["/", "/chunks", "/chunks?chunks=3&pause=1"] {
            let response = client.get(path).send();
            response.assert_header("transfer-encoding", "chunked");
            assert_eq!(response.chunks(), [b"Chunk 0\n", b"Chunk 1\n", b"Chunk 2\n"], "{path}");
        }
    });
}

#[test]
fn a_browser_gets_a_page_that_shows_the_chunks() {
    both(chunks, |client| {
        let page = client.get("/").header("Accept", "text/html,application/xml;q=0.9,*/*;q=0.8").send();
        page.assert_header("content-type", "text/html; charset=utf-8").assert_header("vary", "Accept");
        page.assert_contains("3 chunks, 0 ms apart");
    });
}

/// The `Accept` field of browsers.
const BROWSER: &str = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";

#[test]
fn every_page_fits_narrow_windows_and_dark_mode_and_has_an_icon() {
    for app in [
        page1_page2(),
        chunks(),
        upload::app(None),
        quadruple::app(Duration::ZERO),
        thumbnails::app(Duration::ZERO),
        components(),
        shared_session::app(),
    ] {
        let page = Client::in_process(app).get("/").header("Accept", BROWSER).send();
        page.assert_status(200).assert_contains("width=device-width").assert_contains("color-scheme: light dark");
        // Without one, browsers ask for /favicon.ico and complain.
        page.assert_contains("<link rel=\"icon\"");
        for placeholder in ["{style}", "{seconds}", "{chunks}", "{pause}", "{last}", "{statistics}", "{shell}"] {
            page.assert_lacks(placeholder);
        }
    }
}

#[test]
fn a_form_sent_without_a_script_leads_back_to_the_page_with_the_result() {
    both(
        || upload::app(None),
        |client| {
            client.get("/").send().assert_contains("nothing yet");
            let form = || FormData::new().file("file", "a.txt", "text/plain", b"123456789");
            client.post("/receive").form_data(form()).send().assert_text("a.txt: 9 bytes, CRC-32 cbf43926\n");
            let answer = client.post("/receive").header("Accept", BROWSER).form_data(form()).send();
            answer.assert_status(303).assert_header("location", "/");
            client.get("/").send().assert_contains("a.txt: 9 bytes, CRC-32 cbf43926");
        },
    );
}

#[test]
fn a_form_without_a_file_is_refused() {
    both(
        || upload::app(None),
        |client| {
            let form = FormData::new().field("file", "");
            client.post("/receive").form_data(form).send().assert_status(400).assert_contains("no file was chosen");
        },
    );
}

// With mod_python a page and its template that both opened the session waited for each other until the server gave up.
#[test]
fn handler_template_and_its_parts_may_all_open_the_session() {
    both(shared_session::app, |client| {
        client.get("/").send().assert_contains("no session yet").assert_no_header("set-cookie");
        for (path, who) in [
            ("/handler-first", "<li>the handler</li>\n<li>the template</li>\n</ol>"),
            ("/template-first", "<ol>\n<li>the template</li>\n</ol>"),
            ("/everybody", "<li>the handler, again</li>\n<li>the template</li>\n<li>part 1</li>"),
        ] {
            client.get(path).send().assert_status(200).assert_contains(who);
        }
        client.get("/").send().assert_contains("has seen 3 of these pages");
    });
}

fn components() -> kirsch::App {
    components::app(Duration::from_millis(100), MemoryStore::new())
}

fn time(part: &serde_json::Value, name: &str) -> f64 {
    part[name].as_f64().expect("a number")
}

/// When four parts of a variant, asked for at once with one session, began and ended.
fn parts(variant: &str) -> Vec<(f64, f64)> {
    let client = Client::over_socket(components());
    client.get("/").send().assert_status(200);
    if variant == "database" {
        client.get("/database/begin").send().assert_text("ready");
    }
    let cookies = ["session_id", "database_session"].map(|name| client.cookie(name).map(|id| format!("{name}={id}")));
    let cookies = cookies.into_iter().flatten().collect::<Vec<_>>().join("; ");
    thread::scope(|scope| {
        let asked = [1, 2, 3, 4].map(|number| {
            let (client, cookies) = (client.new_browser(), &cookies);
            scope.spawn(move || client.get(&format!("/{variant}/part/{number}")).header("Cookie", cookies).send())
        });
        let parts = asked.map(|part| part.join().expect("an answer").json::<serde_json::Value>());
        parts.iter().map(|part| (time(part, "began"), time(part, "ended"))).collect()
    })
}

// Parts of one page, loaded at once, with one session.
#[test]
fn parts_run_one_by_one_with_the_lock_and_side_by_side_without() {
    for (variant, side_by_side) in
        [("implicit", false), ("forget", true), ("view", true), ("lazy", true), ("database", true)]
    {
        let parts = parts(variant);
        let overlap = parts
            .iter()
            .enumerate()
            .any(|(index, one)| parts.iter().skip(index + 1).any(|other| one.0 < other.1 && other.0 < one.1));
        assert_eq!(overlap, side_by_side, "{variant}: {parts:?}");
    }
}

#[test]
fn an_upload_is_answered_at_once_and_its_pictures_come_by_a_job() {
    let client = Client::over_socket(thumbnails::app(Duration::ZERO));
    let ppm = [&b"P6 4 2 255\n"[..], &[7; 24]].concat();
    let form = FormData::new().file("photo", "a.ppm", "image/x-portable-pixmap", &ppm);
    let accepted = client.post("/photo").form_data(form.clone()).send();
    accepted.assert_status(202).assert_header("retry-after", "1");
    let job = accepted.header("location").expect("a place to look").to_owned();
    let done = client.get(&job).header("prefer", "wait=20").send();
    done.assert_status(303).assert_header("location", "/photo/1");
    client.get("/photo/1").send().assert_status(200).assert_contains("/small/1/320");
    client.get("/small/1/40").send().assert_status(200).assert_header("content-type", "image/bmp");
    client.post("/slow").form_data(form).send().assert_status(303).assert_header("location", "/photo/2");
}

#[test]
fn a_file_that_is_no_picture_ends_its_job_and_nothing_else() {
    let client = Client::over_socket(thumbnails::app(Duration::ZERO));
    let form = FormData::new().file("photo", "a.txt", "text/plain", b"no picture");
    let accepted = client.post("/photo").form_data(form).send();
    let job = accepted.assert_status(202).header("location").expect("a place to look").to_owned();
    client.get(&job).header("prefer", "wait=20").send().assert_status(200).assert_contains("\"state\":\"dead\"");
    client.post("/photo").send().assert_status(202);
}
