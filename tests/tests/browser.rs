//! The pages of the demos in a real browser: their scripts run, and the console stays empty. Skipped where Chromium is
//! not installed.

use demo_apps::{certificate, chunks, page1_page2, quadruple, static_site, thumbnails, upload};
use kirsch::{App, Html, Tree, sessions::SqliteStore, testing::Client};
use std::{process::Command, time::Duration};

/// The page as it is after its script has run, or `None` without a browser.
fn after_its_script(address: &str) -> Option<String> {
    let profile = tempfile::tempdir().expect("room");
    let mut command = Command::new("chromium");
    command.args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"]);
    command.args(["--disable-background-networking", "--disable-component-update", "--disable-sync"]);
    // Timers run as fast as the network lets them.
    // Certificates of tests sign themselves.
    command.arg("--ignore-certificate-errors");
    command.args(["--dump-dom", "--virtual-time-budget=20000", "--enable-logging=stderr"]);
    command.arg(format!("--user-data-dir={}", profile.path().display())).arg(address);
    let Ok(output) = command.output() else {
        eprintln!("skipped: there is no chromium to run");
        return None;
    };
    let messages = String::from_utf8_lossy(&output.stderr);
    assert!(!messages.contains("CONSOLE"), "{address}: {messages}");
    Some(String::from_utf8_lossy(&output.stdout).into_owned())
}

#[test]
fn the_pages_of_the_demos_work_in_a_browser() {
    let room = tempfile::tempdir().expect("room");
    let components = |milliseconds| {
        components::app(Duration::from_millis(milliseconds), SqliteStore::new(room.path().join("sessions.sqlite")))
    };
    let cases: [(App, &str, [&str; 2]); 12] = [
        (page1_page2::app(Duration::ZERO), "/#/page1", ["/page1: \"*Yawn*\" after", "/page2: \"Hello World!\" after"]),
        (chunks::app(10, Duration::ZERO), "/#/chunks", ["s: Chunk 0", "Chunk 9"]),
        (quadruple::app(Duration::ZERO), "/#5", ["4 × 5 = 20 after", "asked         1\n"]),
        (upload::app(None).threads(2), "/", ["nothing yet", "<progress"]),
        (thumbnails::app(Duration::ZERO), "/#job", ["the pictures are there after", "/40\" width=\"40\""]),
        (components(50), "/#implicit", ["at most 1 at the same time", "<rect class=\"waiting\""]),
        // Six connections to a host: the other two parts are queued in the browser.
        (components(500), "/#view", ["at most 6 at the same time", "<rect class=\"queued\""]),
        (components(500), "/#forget", ["at most 6 ", "<rect class=\"running\""]),
        (components(500), "/#lazy", ["at most 6 ", "<rect class=\"running\""]),
        (components(500), "/#database", ["at most 6 ", "<rect class=\"running\""]),
        (shared_session::app().threads(2), "/everybody", ["part 3", "has seen 1 of"]),
        (static_site::app().expect("room"), "/assets/", [">cherry.svg</a>", ">site.css</a>"]),
    ];
    for (app, place, texts) in cases {
        let client = Client::over_socket(app);
        let address = client.address().expect("it listens");
        let Some(page) = after_its_script(&format!("http://{address}{place}")) else { return };
        for text in texts {
            assert!(page.contains(text), "{place} has no {text:?}: {page}");
        }
    }
}

#[test]
fn eight_parts_come_at_the_same_time_over_http2() {
    let room = tempfile::tempdir().expect("room");
    let database = SqliteStore::new(room.path().join("sessions.sqlite"));
    let app = components::app(Duration::from_millis(500), database);
    let client = Client::over_socket(app.tls(certificate::of_this_machine().expect("a key")));
    let address = client.address().expect("it listens");
    let Some(page) = after_its_script(&format!("https://{address}/#view")) else { return };
    assert!(page.contains("at most 8 at the same time, over h2"), "{page}");
}

/// Logs in, opens the chat twice, speaks in one, and shows what the other has heard. Time stands still in the browser
/// while it waits for a page, so that the news comes in time.
const TWO_TABS: &str = r#"<!DOCTYPE html><title>Two</title><link rel="icon" href="data:,"><pre id="heard"></pre><script>
const pause = () => fetch("/two/pause", { cache: "no-store" });
const until = async found => { for (let n = 0; n < 50 && !found(); n++) await pause(); return found(); };
(async () => {
  const page = new DOMParser().parseFromString(await (await fetch("/login")).text(), "text/html");
  const form = page.querySelector("form"), fields = new URLSearchParams(new FormData(form));
  form.querySelectorAll("input").forEach(field => {
    fields.set(field.name, { password: "kirsch", hidden: field.value }[field.type] ?? "anna");
  });
  await fetch("/login", { method: "POST", body: fields });
  const tabs = ["hall", "hall"].map(room => document.body.appendChild(document.createElement("iframe")));
  tabs.forEach(tab => tab.src = "/#hall");
  const text = (tab, id) => tab.contentDocument?.getElementById(id)?.textContent ?? "";
  await until(() => tabs.every(tab => text(tab, "state") === "connected"));
  const [one, other] = tabs, say = one.contentDocument.getElementById("say");
  say.text.value = "Good <b>morning</b>";
  say.requestSubmit();
  await until(() => text(other, "said").includes("morning"));
  document.getElementById("heard").textContent = `${text(other, "here")} | ${text(other, "said")}`;
})();
</script>"#;

#[test]
fn two_tabs_of_the_chat_hear_each_other() {
    let pause = || std::thread::sleep(Duration::from_millis(50));
    let two = App::new(Tree::new().index(|_| Html(TWO_TABS)).page("pause", move |_| pause()));
    let app = chat::app().mount("/two", two).config_str("[\"/two\"]\nsession_auth.required = false");
    let client = Client::over_socket(app);
    let address = client.address().expect("it listens");
    let Some(page) = after_its_script(&format!("http://{address}/two/")) else { return };
    assert!(page.contains("anna | anna: Good &lt;b&gt;morning&lt;/b&gt;"), "{page}");
}
