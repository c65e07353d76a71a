//! The site as its visitors meet it: each test has a site of its own, in a folder that goes with it.

use kirsch::{passwords, testing::Client};
use tempfile::TempDir;

const PASSWORD: &str = "correct horse";

struct TestSite {
    client: Client,
    folder: TempDir,
}

/// A site with two people.
fn site() -> TestSite {
    let folder = tempfile::tempdir().expect("a folder");
    let hash = passwords::hash(PASSWORD);
    std::fs::write(
        folder.path().join("people"),
        format!("anna:{hash}\nben:{hash}\n"),
    )
    .expect("a file");
    let client = start(&folder);
    TestSite { client, folder }
}

fn start(folder: &TempDir) -> Client {
    Client::in_process(skeleton_name::app(folder.path()).expect("a new folder can be used"))
}

impl TestSite {
    /// The browser of somebody who has logged in.
    fn browser_of(&self, name: &str) -> Client {
        let browser = self.client.new_browser();
        browser.login(name, PASSWORD).assert_status(200);
        browser
    }
}

/// Puts a note on the board.
fn write(browser: &Client, title: &str) {
    let form = browser.get("/write").send().form("#write");
    form.set("title", title)
        .set("text", "two cups")
        .submit()
        .assert_contains("Your note is on the board.");
}

#[test]
fn everybody_reads_and_nobody_writes_without_a_login() {
    let site = site();
    site.client
        .get("/")
        .send()
        .assert_status(200)
        .assert_contains("The board is empty.");
    let form = site
        .client
        .get("/write")
        .header("Accept", "text/html")
        .follow_redirects()
        .send();
    form.assert_contains("<h1>Log in</h1>");
    let wrong = form
        .form("#login")
        .set("name", "anna")
        .set("password", "wrong");
    wrong
        .submit()
        .assert_status(401)
        .assert_contains("role=\"alert\"");
    form.login("anna", PASSWORD)
        .assert_contains("<h1>Write a note</h1>");
}

#[test]
fn a_note_is_shown_to_all_as_it_was_written() {
    let site = site();
    write(&site.browser_of("anna"), "Tea <b>");
    let page = site.client.get("/").send();
    page.assert_contains("Tea &lt;b&gt;")
        .assert_contains("by anna")
        .assert_lacks("Remove");
}

#[test]
fn a_wrong_form_comes_back_with_its_values_and_an_error_beside_the_field() {
    let site = site();
    let form = site.browser_of("anna").get("/write").send().form("#write");
    let page = form.set("title", "").set("text", "two cups").submit();
    page.assert_status(422)
        .assert_contains("id=\"title-error\">Please fill in this field.");
    page.assert_contains("two cups</textarea>");
}

#[test]
fn only_its_author_removes_a_note() {
    let site = site();
    let (anna, ben) = (site.browser_of("anna"), site.browser_of("ben"));
    write(&anna, "Tea");
    let token = ben
        .get("/write")
        .send()
        .form("#write")
        .value("csrf_token")
        .to_owned();
    let refused = ben
        .post("/note/1/remove")
        .form(&[("csrf_token", &token)])
        .send();
    refused
        .assert_status(403)
        .assert_contains("Please ask anna");
    anna.get("/")
        .send()
        .form("#remove-1")
        .submit()
        .assert_contains("The note is gone.");
    anna.get("/").send().assert_contains("The board is empty.");
}

#[test]
fn a_form_of_another_site_changes_nothing() {
    let site = site();
    let anna = site.browser_of("anna");
    let form = anna
        .get("/write")
        .send()
        .form("#write")
        .set("title", "Tea")
        .set("text", "two cups");
    form.set("csrf_token", "guessed")
        .submit()
        .assert_status(403);
    anna.get("/").send().assert_contains("The board is empty.");
}

#[test]
fn notes_and_logins_survive_a_restart() {
    let site = site();
    let anna = site.browser_of("anna");
    write(&anna, "Tea");
    let restarted = start(&site.folder);
    restarted.set_cookie("session_id", &anna.cookie("session_id").expect("a session"));
    restarted
        .get("/")
        .send()
        .assert_contains("Tea")
        .assert_contains("Log out");
}

#[test]
fn errors_look_like_the_site() {
    let page = site()
        .client
        .get("/nowhere")
        .header("Accept", "text/html")
        .send();
    page.assert_status(404)
        .assert_contains("<h1>Not Found</h1>")
        .assert_contains("All notes");
}
