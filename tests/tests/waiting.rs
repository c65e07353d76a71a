//! Waits: with two workers, for every way to wait, a page that needs none of it answers at once; and a check before a
//! long wait is repeated after it.

use integration_tests::queues::Told;
use integration_tests::{Gate, wait_until};
use kirsch::engine::Running;
use kirsch::jobs::{
    self, Claimed, Enqueued, JobId, JobStatus, Jobs, Keep, NewJob, Outcome, Queue, QueueError, Renewed,
};
use kirsch::publish::PageCall;
use kirsch::sessions::{
    Answer, Commit, CookieSeal, Data, LockMode, MemoryStore, Moment, Record, SessionId, Store, StoreError, Terms,
    Version,
};
use kirsch::testing::{Client, RawConnection, TestResponse};
use kirsch::tools::{AuthBasic, Limit, Proxy, SessionAuth, Templates, View};
use kirsch::{passwords, prelude::*};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Duration;

#[derive(Clone, Default)]
struct Pages {
    gate: Gate,
}

#[handlers]
impl Pages {
    #[expose]
    fn index(&self) -> &'static str {
        "here"
    }

    #[expose]
    fn begin(&self, session: &Session) -> &'static str {
        session.set("name", "anna");
        "begun"
    }

    #[expose]
    fn count(&self, session: &Session) -> String {
        session.update("count", |count: &mut u64| *count += 1);
        session.get::<u64>("count").unwrap_or(0).to_string()
    }

    /// Has the session, from before its body is there until the body has ended.
    #[expose(post)]
    fn early(&self, session: &Session, body: Bytes) -> String {
        session.set("early", true);
        format!("{} bytes", body.0.len())
    }

    #[expose]
    fn acquire(&self, session: &Session) -> kirsch::Result<&'static str> {
        session.acquire_lock()?;
        Ok("acquired")
    }

    #[expose]
    fn view(&self) -> Response {
        Response::of(View::new("page.html", ()))
    }

    #[expose]
    fn slow(&self) -> &'static str {
        self.gate.pass();
        "made"
    }

    #[expose(put)]
    fn stream(&self, mut body: Body) -> kirsch::Result<String> {
        Ok(format!("{} bytes", body.read_all(1000)?.len()))
    }

    #[expose(post)]
    fn write(&self, session: &Session, body: Bytes) -> String {
        session.set("written", body.0.len());
        "written".to_owned()
    }

    #[expose(post)]
    fn order(&self, login: Option<&Login>, body: Bytes) -> String {
        format!("{} has ordered {} bytes", login.map_or("nobody", Login::name), body.0.len())
    }
}

/// A server with two workers, and the helpers of a test.
struct Stage {
    running: Running,
    gate: Gate,
    sessions: Sessions,
    anna: Client,
}

impl Stage {
    fn of(sessions: Sessions, more: impl FnOnce(App) -> App) -> Self {
        let pages = Pages::default();
        let gate = pages.gate.clone();
        let app = App::new(pages)
            .tool("/", sessions.clone())
            .tool("/early", sessions.clone().lock(LockMode::Early))
            .tool("/acquire", sessions.clone().lock(LockMode::Explicit))
            .server(|settings| settings.threads = 2);
        let running = more(app).start("127.0.0.1:0 h2c").expect("a free port");
        let anna = Client::connect(running.address());
        anna.get("/begin").send().assert_text("begun");
        Self { running, gate, sessions, anna }
    }

    fn new(more: impl FnOnce(App) -> App) -> Self {
        Self::of(Sessions::in_memory(), more)
    }

    fn cookies(&self) -> String {
        self.anna.cookie("session_id").map(|id| format!("Cookie: session_id={id}\r\n")).unwrap_or_default()
    }

    fn send(&self, request: &str) -> RawConnection {
        let mut connection = self.anna.raw();
        let (line, rest) = request.split_once("\r\n").unwrap_or((request, "\r\n"));
        connection.send(format!("{line} HTTP/1.1\r\nHost: a\r\n{}{rest}", self.cookies()));
        connection
    }

    /// A request of two bytes whose head was looked at, and whose body is still to come.
    fn begin(&self, line: &str) -> RawConnection {
        let mut connection = self.send(&format!("{line}\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n"));
        assert_eq!(connection.read_interim(), 100);
        connection
    }

    /// Locks anna's session for as long as the last byte is missing. No worker has to do with it.
    fn lock(&self) -> RawConnection {
        let upload = self.send("POST /early\r\nContent-Length: 2\r\n\r\nx");
        wait_until(|| self.sessions.statistics().locks_held == 1);
        upload
    }

    fn log_in(&self) {
        let login = self.anna.raw().send(login_form(&self.anna)).read_response();
        let id = login.header("set-cookie").and_then(|cookie| cookie.split(['=', ';']).nth(1)).expect("a session");
        self.anna.set_cookie("session_id", id);
    }

    /// Another client, whose page waits for nothing.
    #[track_caller]
    fn others_are_served(&self) {
        for _ in 0..10 {
            self.anna.new_browser().get("/").send().assert_text("here");
        }
    }

    fn waiting(&self) -> u64 {
        self.sessions.statistics().waits
    }
}

fn all(connections: impl IntoIterator<Item = RawConnection>) -> Vec<TestResponse> {
    connections.into_iter().map(|mut connection| connection.read_response()).collect()
}

fn templates() -> Templates {
    Templates::embedded([("page.html", "<p>{{ session.name }}</p>")])
}

#[test]
fn an_error_page_shows_the_session_and_waits_for_no_lock() {
    let stage =
        Stage::new(|app| app.tool("/", templates()).error_page(StatusCode::NOT_FOUND, |_| View::new("page.html", ())));
    let mut upload = stage.lock();
    for page in all((0..5).map(|_| stage.send("GET /nowhere\r\n\r\n"))) {
        page.assert_status(404).assert_contains("<p>anna</p>");
    }
    stage.others_are_served();
    upload.send("y").read_response().assert_text("2 bytes");
}

/// A frame of HTTP/2.
fn frame(kind: u8, flags: u8, stream: u32, content: &[u8]) -> Vec<u8> {
    let length = u32::try_from(content.len()).expect("a short frame").to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), content].concat()
}

#[test]
fn a_hundred_requests_of_one_session_on_one_connection_hold_no_worker() {
    let stage = Stage::new(|app| app);
    let mut upload = stage.lock();
    let cookie = format!("session_id={}", stage.anna.cookie("session_id").expect("a session"));
    let text = |bytes: &str| [&[u8::try_from(bytes.len()).expect("short")], bytes.as_bytes()].concat();
    // GET, http, and by their places in the table of HPACK :path, :authority and cookie.
    let head =
        [vec![0x82, 0x86, 0x04], text("/count"), vec![0x01], text("a"), vec![0x0f, 0x11], text(&cookie)].concat();
    let mut bytes = [b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec(), frame(4, 0, 0, &[])].concat();
    bytes.extend((0..100).flat_map(|number| frame(1, 5, 2 * number + 1, &head)));
    let mut connection = TcpStream::connect(stage.running.address()).expect("the server listens");
    connection.set_read_timeout(Some(Duration::from_secs(10))).expect("a timeout");
    connection.write_all(&bytes).expect("the server reads");
    wait_until(|| stage.waiting() == 100);
    stage.others_are_served();
    upload.send("y").read_response().assert_text("2 bytes");
    let (mut head, mut counts) = ([0; 9], Vec::new());
    while counts.len() < 100 {
        connection.read_exact(&mut head).expect("a hundred answers");
        let mut content = vec![0; u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize];
        connection.read_exact(&mut content).expect("whole frames");
        if head[3] == 0 {
            counts.push(String::from_utf8_lossy(&content).parse::<u32>().expect("a count"));
        }
    }
    counts.sort_unstable();
    assert!(counts.into_iter().eq(1..=100));
}

#[test]
fn a_template_of_a_lazy_page_shows_the_session_and_waits_for_no_lock() {
    let sessions = Sessions::in_memory();
    let lazy = sessions.clone().lock(LockMode::Lazy);
    let stage = Stage::of(sessions, |app| app.tool("/", templates()).tool("/view", lazy));
    let mut upload = stage.lock();
    for page in all((0..5).map(|_| stage.send("GET /view\r\n\r\n"))) {
        page.assert_status(200).assert_contains("<p>anna</p>");
    }
    upload.send("y").read_response().assert_text("2 bytes");
}

#[test]
fn a_hook_that_reads_the_session_waits_for_no_lock() {
    struct Greets;
    impl Tool for Greets {
        fn name(&self) -> &'static str {
            "greets"
        }
        fn attach(&self, hooks: &mut Hooks) {
            hooks.at(HookPoint::BeforeFinalize, |exchange| {
                let name: Option<String> = Session::of(exchange).and_then(|session| session.get("name"));
                exchange.response.set_body(format!("Hello, {}", name.unwrap_or_default()));
            });
        }
    }
    let sessions = Sessions::in_memory();
    let lazy = sessions.clone().lock(LockMode::Lazy);
    let stage = Stage::of(sessions, |app| app.tool("/slow", lazy).tool("/slow", Greets));
    stage.gate.open();
    let _upload = stage.lock();
    for page in all((0..5).map(|_| stage.send("GET /slow\r\n\r\n"))) {
        page.assert_text("Hello, anna");
    }
}

/// The form of the login page, filled in.
fn login_form(client: &Client) -> String {
    let page = client.get("/login").send();
    let token = page.text().split("name=\"token\" value=\"").nth(1).and_then(|rest| rest.split('"').next());
    let form = format!("token={}&name=anna&password=secret", token.expect("a token"));
    let cookie = client.cookie("login_form").expect("its cookie");
    let session = client.cookie("session_id").map(|id| format!("; session_id={id}")).unwrap_or_default();
    format!(
        "POST /login HTTP/1.1\r\nHost: a\r\nCookie: login_form={cookie}{session}\r\n\
         Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n{form}",
        form.len()
    )
}

fn with_login(app: App) -> App {
    let auth = SessionAuth::new(|name, password| name == "anna" && password == "secret");
    app.tool("/", auth.required(false)).config_str("[\"/order\"]\nsession_auth.required = true")
}

#[test]
fn a_login_waits_for_the_lock_without_a_worker() {
    let stage = Stage::new(with_login);
    let form = login_form(&stage.anna);
    let mut upload = stage.lock();
    let logins: Vec<_> = (0..5)
        .map(|_| {
            let mut connection = stage.anna.raw();
            connection.send(&form);
            connection
        })
        .collect();
    wait_until(|| stage.waiting() >= 5);
    stage.others_are_served();
    upload.send("y").read_response().assert_text("2 bytes");
    for login in all(logins) {
        login.assert_status(303);
        assert_ne!(login.header("set-cookie"), None, "each login gives a session");
    }
}

#[test]
fn a_logout_waits_for_the_lock_without_a_worker() {
    let stage = Stage::new(with_login);
    stage.log_in();
    let mut upload = stage.lock();
    let logouts: Vec<_> = (0..5).map(|_| stage.send("POST /logout\r\n\r\n")).collect();
    wait_until(|| stage.waiting() >= 5);
    stage.others_are_served();
    upload.send("y").read_response().assert_text("2 bytes");
    let ended = all(logouts).iter().filter(|logout| logout.assert_status(303).header("set-cookie").is_some()).count();
    assert_eq!(ended, 1, "one of them has ended the session, and the others have found it ended");
}

#[test]
fn a_handler_that_asks_for_a_lock_holds_its_worker_and_others_like_it_are_503() {
    let stage = Stage::new(|app| app);
    let mut upload = stage.lock();
    let mut first = stage.send("GET /acquire\r\n\r\n");
    wait_until(|| stage.running.statistics().workers_waiting == 1);
    for refused in all((0..5).map(|_| stage.send("GET /acquire\r\n\r\n"))) {
        refused.assert_status(503).assert_header("retry-after", "1");
    }
    stage.others_are_served();
    upload.send("y").read_response().assert_text("2 bytes");
    first.read_response().assert_text("acquired");
}

#[test]
fn handlers_that_read_their_body_hold_a_part_of_the_workers() {
    let stage = Stage::new(|app| app);
    let mut uploads: Vec<_> = (0..10).map(|_| stage.send("PUT /stream\r\nContent-Length: 2\r\n\r\nx")).collect();
    wait_until(|| stage.running.statistics().workers_waiting == 1);
    stage.others_are_served();
    for upload in &mut uploads {
        upload.send("y");
    }
    for done in all(uploads) {
        done.assert_text("2 bytes");
    }
    wait_until(|| stage.running.statistics().workers_waiting == 0);
}

#[test]
fn an_upload_that_finds_no_place_in_time_is_503() {
    let stage = Stage::new(|app| app.server(|settings| settings.queue_timeout = Duration::from_millis(50)));
    let mut first = stage.send("PUT /stream\r\nContent-Length: 2\r\n\r\nx");
    wait_until(|| stage.running.statistics().workers_waiting == 1);
    stage
        .send("PUT /stream\r\nContent-Length: 2\r\n\r\nx")
        .read_response()
        .assert_status(503)
        .assert_header("retry-after", "1");
    first.send("y").read_response().assert_text("2 bytes");
}

#[test]
fn waits_for_a_limit_or_a_page_in_the_making_hold_no_worker() {
    let (limit, caching) = (Limit::new(1), Caching::new());
    for tool in [true, false] {
        let stage =
            Stage::new(|app| if tool { app.tool("/slow", limit.clone()) } else { app.tool("/slow", caching.clone()) });
        let mut pages = vec![stage.send("GET /slow\r\n\r\n")];
        stage.gate.wait_for(1);
        pages.extend((0..5).map(|_| stage.send("GET /slow\r\n\r\n")));
        wait_until(|| if tool { limit.statistics().waiting == 5 } else { caching.statistics().waits == 5 });
        stage.others_are_served();
        stage.gate.open();
        for page in all(pages) {
            page.assert_text("made");
        }
    }
}

/// A store whose calls wait at a gate.
#[derive(Clone)]
struct Hangs {
    gate: Gate,
    store: Arc<MemoryStore>,
}

impl Store for Hangs {
    fn load(&self, id: &SessionId, now: Moment) -> Answer<Option<Record>> {
        self.gate.pass();
        self.store.load(id, now)
    }
    fn commit(&self, id: &SessionId, expected: Option<Version>, data: &Data, terms: &Terms) -> Answer<Commit> {
        self.store.commit(id, expected, data, terms)
    }
    fn touch(&self, id: &SessionId, terms: &Terms) -> Answer<()> {
        self.store.touch(id, terms)
    }
    fn delete(&self, id: &SessionId) -> Answer<()> {
        self.store.delete(id)
    }
    fn sweep(&self, now: Moment) -> Result<usize, StoreError> {
        self.store.sweep(now)
    }
    fn count(&self) -> Result<Option<usize>, StoreError> {
        self.store.count()
    }
}

#[test]
fn a_store_that_hangs_holds_a_part_of_the_workers() {
    let store = Hangs { gate: Gate::new(), store: Arc::new(MemoryStore::new()) };
    let stage = Stage::of(Sessions::new(store.clone()), |app| app);
    let pages: Vec<_> = (0..5).map(|_| stage.send("GET /count\r\n\r\n")).collect();
    store.gate.wait_for(1);
    stage.others_are_served();
    store.gate.open();
    let mut counts: Vec<_> = all(pages).iter().map(|page| page.text().to_owned()).collect();
    counts.sort();
    assert_eq!(counts, ["1", "2", "3", "4", "5"]);
}

/// A queue of jobs whose calls wait at a gate.
struct HangingQueue(Gate);

impl Queue for HangingQueue {
    fn enqueue(&self, _: &NewJob<'_>) -> Result<Enqueued, QueueError> {
        self.0.pass();
        Ok(Enqueued::New)
    }
    fn claim(&self, _: &[&str], _: Duration) -> Result<Option<Claimed>, QueueError> {
        Ok(None)
    }
    fn renew(&self, _: JobId, _: u32, _: Duration, _: f32) -> Result<Renewed, QueueError> {
        Ok(Renewed::Lost)
    }
    fn finish(&self, _: JobId, _: u32, _: &Outcome) -> Result<bool, QueueError> {
        Ok(false)
    }
    fn cancel(&self, _: JobId) -> Result<bool, QueueError> {
        Ok(false)
    }
    fn revive(&self, _: JobId) -> Result<bool, QueueError> {
        Ok(false)
    }
    fn status(&self, _: JobId) -> Result<Option<JobStatus>, QueueError> {
        Ok(None)
    }
    fn list(&self, _: jobs::Stage, _: usize) -> Result<Vec<JobStatus>, QueueError> {
        Ok(Vec::new())
    }
    fn counts(&self) -> Result<[usize; 5], QueueError> {
        Ok([0; 5])
    }
    fn next_due(&self) -> Result<Option<Duration>, QueueError> {
        Ok(None)
    }
    fn last_turn(&self, _: &str) -> Result<Option<u64>, QueueError> {
        Ok(None)
    }
    fn sweep(&self, _: &Keep) -> Result<usize, QueueError> {
        Ok(0)
    }
    fn is_shared(&self) -> bool {
        true
    }
}

#[test]
fn a_queue_of_jobs_that_hangs_holds_a_part_of_the_workers() {
    let gate = Gate::new();
    let jobs = Jobs::with(HangingQueue(gate.clone()));
    let enqueue = move |_: &mut PageCall<'_>| jobs.enqueue(&Told(1)).map(|_| "enqueued");
    let stage = Stage::new(|app| app.mount("/job", App::new(Tree::new().index(enqueue))));
    let page = stage.send("GET /job/\r\n\r\n");
    gate.wait_for(1);
    stage.anna.new_browser().get("/job/").send().assert_status(503);
    stage.others_are_served();
    gate.open();
    all(vec![page])[0].assert_text("enqueued");
}

/// A request that does not wait answers from the store's own error page, too.
#[test]
fn an_error_page_is_503_where_no_other_wait_for_the_store_may_begin() {
    let store = Hangs { gate: Gate::new(), store: Arc::new(MemoryStore::new()) };
    let stage = Stage::of(Sessions::new(store.clone()), |app| {
        app.tool("/", templates()).error_page(StatusCode::NOT_FOUND, |_| View::new("page.html", ()))
    });
    let _first = stage.send("GET /nowhere\r\n\r\n");
    store.gate.wait_for(1);
    for page in all((0..3).map(|_| stage.send("GET /nowhere\r\n\r\n"))) {
        assert!(page.status().is_client_error() || page.status().is_server_error());
    }
    stage.others_are_served();
    store.gate.open();
}

#[test]
fn a_page_for_everybody_does_not_wait_for_a_session() {
    let caching = Caching::new();
    let stage = Stage::new(|app| app.tool("/slow", caching.clone()));
    let mut upload = stage.lock();
    let mut hers = stage.send("GET /slow\r\n\r\n");
    stage.gate.wait_for(1);
    stage.gate.open();
    hers.read_response().assert_text("made");
    let mut others = stage.anna.raw();
    others.send("GET /slow HTTP/1.1\r\nHost: a\r\n\r\n").read_response().assert_text("made").assert_header("age", "0");
    upload.send("y").read_response().assert_text("2 bytes");
}

#[test]
fn a_wait_for_an_own_place_does_not_keep_others_from_a_page() {
    let (limit, caching) = (Limit::new(1).per_address(true), Caching::new());
    let stage = Stage::new(|app| {
        app.tool("/", Proxy::trusting(["loopback"]))
            .tool("/slow", limit.clone())
            .tool("/slow", caching.clone().stampede_timeout(Duration::from_secs(3600)))
    });
    let ask = |address: &str, path: &str| stage.send(&format!("GET {path}\r\nX-Forwarded-For: {address}\r\n\r\n"));
    let mut slow = ask("203.0.113.1", "/slow?first");
    stage.gate.wait_for(1);
    let mut own = ask("203.0.113.1", "/slow");
    wait_until(|| limit.statistics().waiting == 1);
    let mut other = ask("203.0.113.2", "/slow");
    stage.gate.wait_for(2);
    stage.gate.open();
    other.read_response().assert_text("made");
    own.read_response().assert_text("made");
    slow.read_response().assert_text("made");
}

#[test]
fn a_visitor_logged_out_during_an_upload_is_not_served() {
    let stage = Stage::new(with_login);
    stage.log_in();
    stage.begin("POST /order").send("xy").read_response().assert_text("anna has ordered 2 bytes");
    let mut late = stage.begin("POST /order");
    stage.send("POST /logout\r\n\r\n").read_response().assert_status(303);
    late.send("xy").read_response().assert_status(401).assert_no_header("set-cookie");
}

#[test]
fn a_visitor_struck_from_the_file_during_an_upload_is_not_served() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("members");
    std::fs::write(&file, format!("anna:{}\n", passwords::hash("secret"))).expect("a file");
    let stage = Stage::new(|app| app.tool("/order", AuthBasic::file("Members", &file)));
    let order = "POST /order\r\nAuthorization: Basic YW5uYTpzZWNyZXQ=";
    let mut late = stage.begin(order);
    stage.begin(order).send("xy").read_response().assert_text("anna has ordered 2 bytes");
    std::fs::write(&file, format!("ben:{}\n", passwords::hash("secret"))).expect("a file");
    let again = format!("{order}\r\nContent-Length: 2\r\n\r\nxy");
    wait_until(|| stage.send(&again).read_response().status() == 401);
    late.send("xy").read_response().assert_status(401);
}

#[test]
fn a_visitor_logged_out_is_not_served_with_a_session_in_the_cookie_either() {
    let secret = "PHa3fI5XWqdyRCJNFVYh9IyTm0yvbS1u1kp4CoZQk6o=";
    for paired in [true, false] {
        let seal = CookieSeal::encrypted(secret);
        let seal = if paired { seal.paired_with(MemoryStore::new()) } else { seal };
        let stage = Stage::of(Sessions::cookie(seal), with_login);
        stage.log_in();
        stage.begin("POST /order").send("xy").read_response().assert_text("anna has ordered 2 bytes");
        let mut late = stage.begin("POST /order");
        stage.send("POST /logout\r\n\r\n").read_response().assert_status(303);
        late.send("xy").read_response().assert_status(401).assert_no_header("set-cookie");
    }
}

#[test]
fn a_slow_body_that_comes_after_a_login_or_a_logout_does_not_undo_it() {
    for ends_it in [true, false] {
        let stage = Stage::new(with_login);
        if ends_it {
            stage.log_in();
        }
        let mut late = stage.begin("POST /write");
        if ends_it {
            stage.send("POST /logout\r\n\r\n").read_response().assert_status(303);
        } else {
            stage.log_in();
        }
        late.send("xy").read_response().assert_status(409).assert_no_header("set-cookie");
    }
}

#[test]
fn a_request_that_has_waited_behind_a_login_does_not_end_it() {
    let stage = Stage::new(with_login);
    let form = login_form(&stage.anna);
    let mut upload = stage.lock();
    let mut login = stage.anna.raw();
    login.send(form);
    wait_until(|| stage.waiting() >= 1);
    let mut count = stage.send("GET /count\r\n\r\n");
    wait_until(|| stage.waiting() >= 2);
    upload.send("y").read_response().assert_text("2 bytes");
    assert_ne!(login.read_response().assert_status(303).header("set-cookie"), None);
    count.read_response().assert_status(409).assert_no_header("set-cookie");
}

#[test]
fn a_planted_cookie_before_the_right_one_is_passed_over() {
    let stage = Stage::new(|app| app);
    let id = stage.anna.cookie("session_id").expect("a session");
    stage.anna.get("/count").send().assert_text("1");
    let planted = "0123456789abcdef0123456789abcdef01234567";
    let cookies = format!("session_id=x; session_id={planted}; session_id={id}");
    let client = stage.anna.new_browser();
    let count = client.get("/count").header("cookie", &cookies).send();
    count.assert_text("2").assert_no_header("set-cookie");
}

#[test]
fn on_a_secure_origin_the_session_is_the_hosts_own() {
    let sessions = Sessions::in_memory();
    let stage = Stage::of(sessions, |app| app.tool("/", Proxy::trusting(["loopback"])));
    let secure = |cookies: &str| {
        let client = stage.anna.new_browser();
        client.get("/count").header("x-forwarded-proto", "https").header("cookie", cookies).send()
    };
    let first = secure("");
    let given = first.header("set-cookie").expect("a session");
    assert!(given.starts_with("__Host-session_id=") && given.contains("Secure"), "{given}");
    let pair = given.split(';').next().expect("a pair");
    secure(pair).assert_text("2");
    let id = stage.anna.cookie("session_id").expect("a session of http");
    secure(&format!("session_id={id}")).assert_text("1");
}
