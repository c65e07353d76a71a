//! One truth about the client: every tool sees the word of a trusted proxy, and no tool sees that of an untrusted one.

use kirsch::{
    prelude::*,
    testing::{Client, RequestBuilder, TestResponse},
    tools::{Caching, Csrf, Proxy, RateLimit, RedirectTo, Referer, SecureHeaders, SessionAuth},
};
use std::{
    fs,
    path::{Path, PathBuf},
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

/// Behind a proxy that says everything.
fn behind(app: App) -> Client {
    let proxy = Proxy::trusting(["loopback"]).host("X-Forwarded-Host").prefix("X-Forwarded-Prefix");
    Client::over_socket(app.tool("/", proxy))
}

fn asked(request: RequestBuilder, url: &str) -> RequestBuilder {
    let (scheme, host) = url.split_once("://").expect("a URL");
    request.header("x-forwarded-proto", scheme).header("x-forwarded-host", host)
}

/// A page that says which call made it, and the origin that it was asked at.
fn counted() -> Tree {
    let calls = AtomicUsize::new(0);
    Tree::new()
        .page("page", move |call| format!("{} {}", call.request().origin(), calls.fetch_add(1, Ordering::Relaxed) + 1))
        .page("change", |_| "changed")
}

// The socket takes them for `::ffff:127.0.0.1`.
#[test]
fn a_list_of_ipv4_proxies_holds_for_those_that_come_by_an_ipv6_socket() {
    for (trusted, client) in [("127.0.0.0/8", "192.0.2.7"), ("::1", "127.0.0.1")] {
        let app = App::new(Tree::new().index(|call| call.request().remote().to_string()));
        let running = app.tool("/", Proxy::trusting([trusted])).start("[::]:0").expect("a free port");
        let proxy = Client::connect(([127, 0, 0, 1], running.address().port()).into());
        proxy.get("/").header("x-forwarded-for", "192.0.2.7").send().assert_text(client);
    }
}

#[test]
fn the_cache_keeps_origins_and_prefixes_apart() {
    let client = behind(App::new(counted()).tool("/", Caching::new()));
    let page = |url: &str| asked(client.get("/page"), url).send().text().to_owned();
    let origins = ["http://a.example", "https://a.example", "http://b.example", "http://a.example:8080"];
    for (number, origin) in (1..).zip(origins) {
        assert_eq!(page(origin), format!("{origin} {number}"));
        assert_eq!(page(origin), format!("{origin} {number}"));
    }
    for same in ["http://A.example", "http://a.example.", "http://a.example:80", "http://a.example:080"] {
        assert_eq!(page(same), "http://a.example 1");
    }
    let prefixed = asked(client.get("/page"), "http://a.example").header("x-forwarded-prefix", "/front").send();
    prefixed.assert_text("http://a.example 5");
}

#[test]
fn an_unvouched_host_poisons_no_page() {
    for proxy in [Proxy::trusting(["10.0.0.0/8"]).host("X-Forwarded-Host"), Proxy::trusting(["loopback"])] {
        let app = App::new(counted()).tool("/", Caching::new()).tool("/", proxy);
        let client = Client::over_socket(app);
        let evil = client.get("/page").header("host", "a.example").header("x-forwarded-host", "evil.example");
        evil.send().assert_text("http://a.example 1");
        client.get("/page").header("host", "a.example").send().assert_text("http://a.example 1");
    }
}

#[test]
fn a_change_removes_the_responses_of_its_own_origin_alone() {
    let tree = counted().page("save", |_| Redirect::to("/page"));
    let client = behind(App::new(tree).tool("/", Caching::new()));
    let page = |url: &str| asked(client.get("/page"), url).send().text().to_owned();
    assert_eq!((page("https://a.example"), page("https://b.example")).1, "https://b.example 2");
    for method in [Method::POST, Method::PUT, Method::DELETE] {
        asked(client.request(method, "/page"), "https://c.example").send();
    }
    assert_eq!(page("https://a.example"), "https://a.example 1");
    asked(client.post("/save"), "https://a.example").send();
    assert_ne!(page("https://a.example"), "https://a.example 1");
    assert_eq!(page("https://b.example"), "https://b.example 2");
}

#[test]
fn two_apps_that_share_a_cache_do_not_share_pages() {
    let caching = Caching::new();
    let app = |text: &'static str| App::new(Tree::new().page("page", move |_| text)).tool("/", caching.clone());
    let clients = [Client::in_process(app("one")), Client::in_process(app("two"))];
    for _ in 0..2 {
        clients[0].get("/page").send().assert_text("one");
        clients[1].get("/page").send().assert_text("two");
    }
    assert_eq!(caching.purge("/page"), 2);
}

#[test]
fn a_redirect_to_https_is_not_kept_for_https() {
    let app = App::new(Tree::new().page("page", |_| "safe"))
        .tool("/", Caching::new())
        .tool("/page", RedirectTo::external("https://a.example:443/page").status(StatusCode::PERMANENT_REDIRECT));
    let client = behind(app);
    for _ in 0..2 {
        asked(client.get("/page"), "http://a.example").send().assert_status(308);
        asked(client.get("/page"), "https://a.example").send().assert_status(200).assert_text("safe");
    }
}

#[test]
fn fields_for_secure_origins_and_secure_cookies_are_the_clients() {
    let tree = Tree::new().page("set", |call| {
        call.argument::<&Session>()?.set("a", 1);
        Ok::<_, Error>("set")
    });
    let headers = SecureHeaders::new().hsts(Duration::from_secs(3600));
    let client = behind(App::new(tree).tool("/", Sessions::in_memory()).tool("/", headers));
    let set = |url| asked(client.new_browser().get("/set"), url).send();
    let secure = set("https://a.example");
    assert!(secure.header("strict-transport-security").is_some());
    assert!(secure.header("set-cookie").is_some_and(|cookie| cookie.contains("; Secure")));
    let plain = set("http://a.example");
    plain.assert_no_header("strict-transport-security");
    assert!(plain.header("set-cookie").is_some_and(|cookie| !cookie.contains("; Secure")));
}

#[test]
fn forms_and_referers_are_compared_with_the_clients_origin() {
    let tree = || Tree::new().page("save", |_| "saved");
    let csrf = behind(App::new(tree()).tool("/", Csrf::new()));
    let referer = behind(App::new(tree()).tool("/", Referer::same_origin()));
    for (origin, status) in [
        ("https://shop.example:8443", 200),
        ("https://SHOP.example.:8443", 200),
        ("https://shop.example", 403),
        ("https://127.0.0.1", 403),
    ] {
        let sent = |client: &Client, name| {
            asked(client.post("/save"), "https://Shop.example:8443").header(name, origin).send()
        };
        sent(&csrf, "origin").assert_status(status);
        sent(&referer, "referer").assert_status(status);
    }
}

#[test]
fn limits_count_the_client_and_not_the_proxy() {
    let limit = RateLimit::per_hour(1).burst(1).per_address(true);
    let client = behind(App::new(Tree::new().index(|_| "in")).tool("/", limit));
    let from = |address| client.get("/").header("x-forwarded-for", address).send();
    from("203.0.113.1").assert_status(200);
    from("203.0.113.2").assert_status(200);
    from("203.0.113.1").assert_status(429);
    from("203.0.113.1, 198.51.100.9").assert_status(200);
}

fn site(sessions: &Sessions, password: &'static str) -> App {
    let auth = SessionAuth::new(move |name, given| name == "anna" && given == password);
    site_with(sessions, auth)
}

fn site_with(sessions: &Sessions, auth: SessionAuth) -> App {
    App::new(Tree::new().index(|_| "members")).tool("/", sessions.clone()).tool("/", auth)
}

/// Logs in at a host, and returns the session's cookie.
fn log_in(client: &Client, host: &str, password: &str) -> String {
    let page = client.get("/login").header("host", host).send();
    let token =
        page.text().split("name=\"token\" value=\"").nth(1).expect("a token").split('"').next().expect("a token");
    let form = [("token", token), ("name", "anna"), ("password", password)];
    client.post("/login").header("host", host).form(&form).send().assert_status(303);
    client.cookie("session_id").expect("a session")
}

fn with_session(client: &Client, host: &str, cookie: &str) -> TestResponse {
    let visitor = client.new_browser();
    visitor.set_cookie("session_id", cookie);
    visitor.get("/").header("host", host).send()
}

const SECRET: &str = "PHa3fI5XWqdyRCJNFVYh9IyTm0yvbS1u1kp4CoZQk6o=";

#[test]
fn a_login_is_good_for_its_own_host_alone() {
    for sessions in [Sessions::in_memory(), Sessions::cookie(SECRET)] {
        let app = site(&sessions, "one").virtual_host("b.example", site(&sessions, "two"));
        let client = Client::in_process(app);
        let cookie = log_in(&client, "a.example", "one");
        with_session(&client, "a.example", &cookie).assert_status(200);
        with_session(&client, "A.example.:80", &cookie).assert_status(200);
        for host in ["b.example", "c.example", "a.example:8080"] {
            with_session(&client, host, &cookie).assert_status(401);
        }
    }
}

#[test]
fn a_login_is_good_for_its_own_source_of_credentials_alone() {
    for sessions in [Sessions::in_memory(), Sessions::cookie(SECRET)] {
        let (one, two) = (Client::in_process(site(&sessions, "one")), Client::in_process(site(&sessions, "two")));
        let cookie = log_in(&one, "a.example", "one");
        with_session(&one, "a.example", &cookie).assert_status(200);
        with_session(&two, "a.example", &cookie).assert_status(401);
    }
}

#[test]
fn a_realm_is_one_for_all_that_name_it() {
    let sessions = Sessions::in_memory();
    let auth = |realm: &str| SessionAuth::new(|_, given| given == "one").realm(realm);
    let [one, two, other] =
        ["staff", "staff", "other"].map(|realm| Client::in_process(site_with(&sessions, auth(realm))));
    let cookie = log_in(&one, "a.example", "one");
    with_session(&two, "b.example", &cookie).assert_status(200);
    with_session(&other, "a.example", &cookie).assert_status(401);
}

#[test]
fn a_sealed_session_is_worth_nothing_at_another_host() {
    let tree = Tree::new().page("look", |call| {
        let session = call.argument::<&Session>()?;
        let before = session.get::<u32>("n");
        session.set("n", 1);
        Ok::<_, Error>(format!("{before:?}"))
    });
    let client = Client::in_process(App::new(tree).tool("/", Sessions::cookie(SECRET)));
    client.get("/look").header("host", "a.example").send().assert_text("None");
    client.get("/look").header("host", "a.example:81").send().assert_text("Some(1)");
    client.get("/look").header("host", "b.example").send().assert_text("None");
}

/// Where the connection or the raw host may be read, and why.
const RAW_READS: [(&str, &str); 9] = [
    ("exchange/origin.rs", "makes the client's origin and address of them, where no proxy has said other ones"),
    ("exchange/request.rs", "has the raw values, under names that say so"),
    ("exchange/argument_types.rs", "`Conn` is the connection, for who asks for it by name"),
    ("tools/proxy/mod.rs", "decides by the peer whom to believe"),
    ("http/head.rs", "reads them"),
    ("logs/access.rs", "writes down what came, beside the client that the proxy names"),
    ("dev/tool.rs", "answers this machine alone, whatever a proxy says"),
    ("lifecycle/redirects.rs", "answers on a listener of its own, before any tool"),
    ("server/", "has the socket"),
];

#[test]
fn nothing_reads_the_raw_client_past_the_proxy() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("../framework/src");
    let is_allowed = |place: &str| RAW_READS.iter().any(|(allowed, _)| place.starts_with(allowed));
    let mut found = Vec::new();
    for file in rust_files(&source) {
        let place = file.strip_prefix(&source).unwrap().display().to_string();
        if is_allowed(&place) || place.ends_with("tests.rs") {
            continue;
        }
        let text = fs::read_to_string(&file).unwrap();
        let library = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
        for (number, line) in (1..).zip(library.lines()) {
            let raw = ["raw_host(", "head.host(", ".connection().peer", ".connection().is_secure", ".connection.peer"];
            let is_header = line.contains("header(\"host\")") || line.contains("headers_named(\"host\")");
            if !line.trim_start().starts_with("//") && (is_header || raw.iter().any(|raw| line.contains(raw))) {
                found.push(format!("{place}:{number}: {}", line.trim()));
            }
        }
    }
    assert!(found.is_empty(), "ask the request for host(), origin(), is_secure() or remote(): {found:#?}");
}

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).expect("a folder of the sources").map(|entry| entry.expect("an entry").path());
    let below = |path: PathBuf| if path.is_dir() { rust_files(&path) } else { vec![path] };
    entries.flat_map(below).filter(|path| path.extension().is_some_and(|extension| extension == "rs")).collect()
}
