use super::*;
use crate::testing::{Client, TestResponse};
use crate::{App, Method, Session, SessionView, Sessions, StatusCode, Tree};
use std::sync::Mutex;

fn auth() -> SessionAuth {
    SessionAuth::new(|name, password| matches!((name, password), ("anna", "secret") | ("ben", "word")))
}

fn tree() -> Tree {
    let who = |call: &mut crate::publish::PageCall<'_>| {
        call.argument::<Option<&Login>>().map(|login| login.map_or("nobody", Login::name).to_owned())
    };
    let keep = |call: &mut crate::publish::PageCall<'_>| -> Result<(), Error> {
        call.argument::<&Session>()?.set("cart", 3);
        Ok(())
    };
    let cart = |call: &mut crate::publish::PageCall<'_>| -> Result<String, Error> {
        Ok(format!("{:?}", call.argument::<SessionView>()?.get::<u8>("cart")))
    };
    let members = Tree::new().index(who).page("page", who).page("cart", cart);
    Tree::new().index(who).page("keep", keep).page("cart", cart).child("members", members)
}

fn app(tool: SessionAuth) -> App {
    App::new(tree()).tool("/", Sessions::in_memory()).tool("/members", tool)
}

fn client(tool: SessionAuth) -> Client {
    Client::in_process(app(tool))
}

fn token(client: &Client) -> String {
    let page = client.get("/members/login").send();
    let (_, rest) = page.text().split_once("name=\"token\" value=\"").unwrap();
    rest.split_once('"').unwrap().0.to_owned()
}

fn log_in_to(client: &Client, name: &str, password: &str, next: &str) -> TestResponse {
    let token = token(client);
    let form = [("token", token.as_str()), ("name", name), ("password", password), ("next", next)];
    client.post("/members/login").header("accept", "text/html").form(&form).send()
}

fn log_in(client: &Client, name: &str, password: &str) -> TestResponse {
    log_in_to(client, name, password, "")
}

#[test]
fn strangers_are_sent_to_the_login_and_then_to_the_page_they_wanted() {
    let client = client(auth());
    let sent = client.get("/members/page?a=1&b=2").header("accept", "text/html,*/*;q=0.8").send();
    sent.assert_status(303).assert_header("location", "/members/login?next=%2Fmembers%2Fpage%3Fa%3D1%26b%3D2");
    sent.assert_header("cache-control", "no-store");
    let page = client.get(sent.header("location").unwrap()).send();
    page.assert_contains("name=\"next\" value=\"/members/page?a=1&amp;b=2\"")
        .assert_header("cache-control", "no-store");
    let entered = log_in_to(&client, "anna", "secret", "/members/page?a=1&b=2");
    entered.assert_status(303).assert_header("location", "/members/page?a=1&b=2");
    client.get("/members/page").send().assert_text("anna").assert_header("cache-control", "private, no-cache");
    client.get("/").send().assert_text("nobody");
}

#[test]
fn programs_get_401_and_no_hint_of_the_pages() {
    let client = client(auth());
    for accept in ["", "*/*", "application/json", "image/*"] {
        let refused = client.get("/members/").header("accept", accept).send();
        refused.assert_status(401).assert_header("www-authenticate", "Cookie form-action=\"/members/login\"");
    }
    client.get("/members/nowhere").send().assert_status(401);
    client.post("/members/").header("accept", "text/html").send().assert_header("location", "/members/login");
}

#[test]
fn whoever_names_html_before_other_types_is_sent_to_the_login() {
    let client = client(auth());
    let w3m = "text/html, text/*;q=0.5, image/*, application/*, audio/*, video/*";
    for (accept, status) in [("text/html", 303), ("text/html, */*", 303), ("*/*, text/html;q=0.9", 401), (w3m, 303)] {
        client.get("/members/page").header("accept", accept).send().assert_status(status);
    }
}

#[test]
fn a_page_that_takes_a_login_sends_strangers_to_it_where_others_let_them_in() {
    let closed = Tree::new().page("add", |call| call.argument::<&Login>().map(Login::to_string)).index(|_| "open");
    let app = App::new(closed).tool("/", Sessions::in_memory()).tool("/", auth().required(false));
    let client = Client::in_process(App::new(Tree::new()).mount("/library", app));
    client.get("/library/").send().assert_text("open");
    let sent = client.get("/library/add").header("accept", "text/html").send();
    sent.assert_status(303).assert_header("location", "/library/login?next=%2Flibrary%2Fadd");
    let refused = client.get("/library/add").send();
    refused.assert_status(401).assert_header("www-authenticate", "Cookie form-action=\"/library/login\"");
    client.get(sent.header("location").unwrap()).send().login("anna", "secret").assert_text("anna");
}

#[test]
fn a_form_that_a_stranger_has_sent_leads_back_to_its_page() {
    let client = client(auth());
    for (referer, location) in [
        ("http://localhost/members/page?a=1", "/members/login?next=%2Fmembers%2Fpage%3Fa%3D1"),
        ("http://localhost/members/login", "/members/login"),
        ("http://evil.example/members/page", "/members/login"),
        ("http://localhost", "/members/login"),
    ] {
        let sent = client.post("/members/cart").header("host", "localhost").header("referer", referer);
        sent.header("accept", "text/html").send().assert_status(303).assert_header("location", location);
    }
}

#[test]
fn the_login_gives_the_session_another_id_and_keeps_its_values() {
    let client = client(auth());
    client.get("/keep").send();
    let planted = client.cookie("session_id").unwrap();
    let entered = log_in(&client, "anna", "secret");
    let renewed = client.cookie("session_id").unwrap();
    assert_ne!(renewed, planted);
    let flags = "; Path=/; HttpOnly; SameSite=Lax";
    assert!(entered.headers().any(|(_, value)| value.contains(&renewed) && value.ends_with(flags)), "{entered:?}");
    client.get("/members/cart").send().assert_text("Some(3)");
    let thief = client.new_browser();
    thief.set_cookie("session_id", &planted);
    thief.get("/members/").send().assert_status(401);
    thief.get("/cart").send().assert_text("None");
}

#[test]
fn a_login_after_another_user_gets_nothing_of_theirs() {
    let client = client(auth());
    client.get("/keep").send();
    log_in(&client, "anna", "secret");
    log_in(&client, "anna", "secret").assert_status(303);
    client.get("/members/cart").send().assert_text("Some(3)");
    log_in(&client, "ben", "word").assert_status(303);
    client.get("/members/").send().assert_text("ben");
    client.get("/members/cart").send().assert_text("None");
}

#[test]
fn a_logout_is_a_post_and_ends_the_session() {
    let client = client(auth());
    client.get("/members/logout").send().assert_status(303).assert_header("location", "/members/login");
    log_in(&client, "anna", "secret");
    let stolen = client.cookie("session_id").unwrap();
    client.get("/members/logout").send().assert_contains("<form method=\"post\" action=\"/members/logout\">");
    client.get("/members/").send().assert_text("anna");
    client.post("/members/logout").send().assert_status(303).assert_header("location", "/members/login");
    client.get("/members/").send().assert_status(401);
    let thief = client.new_browser();
    thief.set_cookie("session_id", &stolen).get("/members/").send().assert_status(401);
}

#[test]
fn the_two_pages_tell_their_methods_as_all_pages_do() {
    let client = client(auth());
    for path in ["/members/login", "/members/logout"] {
        let told = client.request(Method::OPTIONS, path).send();
        told.assert_status(204).assert_header("allow", "GET, HEAD, OPTIONS, POST");
        client.delete(path).send().assert_status(405).assert_header("allow", "GET, HEAD, OPTIONS, POST");
    }
}

#[test]
fn no_page_of_a_stranger_makes_a_session() {
    let sessions = Sessions::in_memory();
    let app = App::new(tree()).tool("/", sessions.clone()).tool("/", auth().required(false).login("members/login"));
    let client = Client::in_process(app);
    for path in ["/", "/members/", "/members/login", "/logout"] {
        client.get(path).send();
    }
    log_in(&client, "anna", "wrong").assert_status(401);
    assert_eq!((sessions.statistics().stored, client.cookie("session_id")), (Some(0), None));
}

#[test]
fn a_form_needs_the_token_that_goes_with_the_cookie() {
    let client = client(auth());
    let other = client.new_browser();
    let foreign = token(&other);
    let own = token(&client);
    let send = |client: &Client, token: &str| {
        client.post("/members/login").form(&[("token", token), ("name", "anna"), ("password", "secret")]).send()
    };
    for wrong in ["", "x", &foreign, &own[1..]] {
        send(&client, wrong).assert_status(403).assert_contains("open for too long");
    }
    client.get("/members/").send().assert_status(401);
    send(&client.new_browser(), &own).assert_status(403);
    // A planted cookie that comes first changes nothing.
    let cookies = format!("login_form={}; login_form={}", "0".repeat(32), client.cookie("login_form").unwrap());
    let form = [("token", own.as_str()), ("name", "anna"), ("password", "secret")];
    client.new_browser().post("/members/login").header("cookie", cookies).form(&form).send().assert_status(303);
    // Two forms may be open.
    assert_ne!(token(&client), own);
    send(&client, &own).assert_status(303);
}

#[test]
fn forms_of_other_sites_are_refused() {
    let client = client(auth());
    let own = token(&client);
    let form = [("token", own.as_str()), ("name", "anna"), ("password", "secret")];
    for path in ["/members/login", "/members/logout"] {
        for (name, value) in
            [("sec-fetch-site", "cross-site"), ("sec-fetch-site", "same-site"), ("origin", "http://evil.example")]
        {
            client.post(path).header(name, value).form(&form).send().assert_status(403).assert_contains("another site");
        }
    }
    let origin = client.post("/members/login").header("host", "a.example").header("origin", "http://a.example");
    origin.form(&form).send().assert_status(303);
}

#[test]
fn a_login_leads_to_pages_of_this_site_only() {
    let client = client(auth());
    for next in [
        "//evil.example",
        "/\\evil.example",
        "/%2f%2fevil.example",
        "https:evil.example",
        "/\t/evil.example",
        "javascript:x",
    ] {
        log_in_to(&client, "anna", "secret", next).assert_status(303).assert_header("location", "/members");
    }
    let page = client.get("/members/login?next=//evil.example").send();
    page.assert_contains("name=\"next\" value=\"\"").assert_lacks("evil");
}

#[test]
fn a_login_does_not_lead_to_the_login_or_the_logout() {
    let client = client(auth());
    for next in [
        "/members/login",
        "/members//login/?next=/members/page",
        "/members/x/%2e%2E/login#a",
        "/members/logout",
        "/a/../members/./log%6Fut",
    ] {
        log_in_to(&client, "anna", "secret", next).assert_status(303).assert_header("location", "/members");
    }
    client.get("/members/login?next=/members/login").send().assert_contains("name=\"next\" value=\"\"");
    for next in ["/members/login/more", "/login", "/members/page?next=/members/login"] {
        log_in_to(&client, "anna", "secret", next).assert_header("location", next);
    }
}

#[test]
fn too_many_wrong_passwords_are_429_also_with_the_right_one() {
    let client = client(auth().attempts(2, 4, Duration::from_secs(600)));
    log_in(&client, "anna", "x").assert_status(401).assert_contains("is not right").assert_contains("value=\"anna\"");
    log_in(&client, "anna", "x").assert_status(401);
    let refused = log_in(&client, "anna", "secret");
    refused.assert_status(429).assert_contains("Please try again in 5 minutes").assert_header("retry-after", "300");
    // Another name, until the address has had enough.
    log_in(&client, "ben", "word").assert_status(303);
    log_in(&client, "x", "x").assert_status(401);
    log_in(&client, "y", "x").assert_status(401);
    log_in(&client, "ben", "word").assert_status(429).assert_header("retry-after", "150");
}

#[test]
fn text_in_the_form_cannot_become_markup() {
    let client = client(auth());
    log_in(&client, "\"><script>alert(1)</script>", "x").assert_status(401).assert_lacks("<script>");
    let policy = client.get("/members/login").send().header("content-security-policy").unwrap().to_owned();
    assert!(policy.contains("default-src 'none'") && policy.contains("frame-ancestors 'none'"));
}

#[test]
fn a_password_in_the_address_is_not_taken() {
    let client = client(auth());
    let token = token(&client);
    client.post(&format!("/members/login?name=anna&password=secret&token={token}")).send().assert_status(403);
    client.post("/members/login?name=anna&password=secret").form(&[("token", &token)]).send().assert_status(401);
}

#[test]
fn open_pages_know_the_visitor() {
    let app =
        App::new(tree()).tool("/", Sessions::in_memory()).tool("/", auth().required(false).login("members/login"));
    let client = Client::in_process(app.config_str("[\"/members\"]\nsession_auth.required = true"));
    client.get("/").send().assert_text("nobody");
    client.get("/members/").send().assert_status(401);
    log_in(&client, "anna", "secret").assert_status(303).assert_header("location", "/");
    client.get("/").send().assert_text("anna");
    client.get("/members/").send().assert_text("anna");
}

#[test]
fn a_mounted_app_has_its_login_below_the_mount() {
    let who = |call: &mut crate::publish::PageCall<'_>| call.argument::<&Login>().map(|login| login.name().to_owned());
    let club = App::new(Tree::new().page("für alle", who));
    let club = club.tool("/", Sessions::in_memory()).tool("/für alle", auth().home("/cart"));
    let client = Client::in_process(App::new(tree()).mount("/club", club));
    let login = "/club/f%C3%BCr%20alle/login";
    let sent = client.get("/club/f%C3%BCr%20alle").header("accept", "text/html").send();
    let next = "%2Fclub%2Ff%25C3%25BCr%2520alle";
    sent.assert_status(303).assert_header("location", &format!("{login}?next={next}"));
    let page = client.get(login).send();
    let token = page.text().split("name=\"token\" value=\"").nth(1).unwrap().split('"').next().unwrap();
    let form = [("token", token), ("name", "anna"), ("password", "secret")];
    client.post(login).form(&form).send().assert_header("location", "/club/cart");
    client.get("/club/f%C3%BCr%20alle").send().assert_text("anna");
}

#[test]
fn behind_a_proxy_addresses_are_those_that_the_browser_sees() {
    let proxy = crate::tools::Proxy::trusting(["loopback"]).prefix("X-Forwarded-Prefix");
    let client = Client::over_socket(app(auth()).tool("/", proxy));
    let by_proxy = |path| {
        let request = client.get(path).header("x-forwarded-prefix", "/shop").header("x-forwarded-proto", "https");
        request.header("accept", "text/html").send()
    };
    let sent = by_proxy("/members/page");
    sent.assert_header("location", "/shop/members/login?next=%2Fshop%2Fmembers%2Fpage");
    let page = by_proxy("/members/login");
    page.assert_contains("action=\"/shop/members/login\"");
    by_proxy("/members/login?next=/shop/members/login").assert_contains("name=\"next\" value=\"\"");
    assert!(page.headers().any(|(_, value)| value.starts_with("__Host-login_form=") && value.contains("; Secure")));
}

#[test]
fn a_login_at_one_prefix_of_a_proxy_is_none_at_another() {
    let proxy = crate::tools::Proxy::trusting(["loopback"]).prefix("X-Forwarded-Prefix");
    let client = Client::over_socket(app(auth()).tool("/", proxy));
    log_in(&client, "anna", "secret").assert_status(303);
    client.get("/members/").send().assert_text("anna");
    client.get("/members/").header("x-forwarded-prefix", "/other").send().assert_status(401);
}

#[test]
fn a_login_for_one_section_is_none_for_another() {
    let staff = SessionAuth::new(|_, _| false);
    let client = Client::in_process(app(auth()).tool("/cart", staff));
    log_in(&client, "anna", "secret").assert_status(303);
    client.get("/members/").send().assert_text("anna");
    client.get("/cart").send().assert_status(401);
}

#[test]
fn the_application_is_told_and_may_object() {
    let told = Arc::new(Mutex::new(Vec::new()));
    let (logins, logouts) = (told.clone(), told.clone());
    let tool = auth()
        .on_login(move |exchange, login| {
            logins.lock().unwrap().push(format!("{login} in"));
            Session::of(exchange).unwrap().set("cart", 7);
            if login.name() == "ben" { Err(Error::new(StatusCode::FORBIDDEN, "Not you.")) } else { Ok(()) }
        })
        .on_logout(move |_, login| logouts.lock().unwrap().push(format!("{login} out")));
    let client = client(tool);
    log_in(&client, "ben", "word").assert_status(403).assert_contains("Not you.");
    client.get("/members/").send().assert_status(401);
    log_in(&client, "anna", "secret").assert_status(303);
    client.get("/members/cart").send().assert_text("Some(7)");
    client.post("/members/logout").send().assert_status(303);
    assert_eq!(*told.lock().unwrap(), ["ben in", "anna in", "anna out"]);
}

#[test]
fn the_password_is_checked_while_no_request_waits_for_the_session() {
    let sessions = Sessions::in_memory();
    let locks = sessions.clone();
    let slow = SessionAuth::new(move |_, _| locks.locks().is_empty());
    // A page of a handler at that address has the session locked.
    let tree = Tree::new()
        .page("login", |call| call.argument::<&Session>().map(|_| "a page"))
        .page("keep", |call| call.argument::<&Session>().map(|session| session.set("cart", 1)));
    let app = App::new(tree).tool("/", sessions).tool("/", slow.required(false));
    let client = Client::in_process(app);
    client.get("/keep").send();
    let page = client.get("/login").send();
    let token = page.text().split("name=\"token\" value=\"").nth(1).unwrap().split('"').next().unwrap();
    client.post("/login").form(&[("token", token), ("name", "a"), ("password", "b")]).send().assert_status(303);
}

#[test]
fn every_lock_mode_will_do() {
    use crate::sessions::LockMode;
    for mode in [LockMode::Implicit, LockMode::Early, LockMode::Explicit, LockMode::Lazy] {
        let app = App::new(tree()).tool("/", Sessions::in_memory().lock(mode)).tool("/members", auth());
        let client = Client::in_process(app);
        log_in(&client, "anna", "secret").assert_status(303);
        client.get("/members/").send().assert_text("anna");
        log_in(&client, "ben", "word").assert_status(303);
        client.get("/members/").send().assert_text("ben");
        client.post("/members/logout").send().assert_status(303);
        client.get("/members/").send().assert_status(401);
    }
}

#[test]
fn the_form_of_another_process_is_good_with_the_same_secret() {
    let secret = "0123456789abcdef0123456789abcdef";
    let one = client(auth().secret(secret));
    let token = token(&one);
    let form = [("token", token.as_str()), ("name", "anna"), ("password", "secret")];
    for (other, status) in [(client(auth().secret(secret)), 303), (client(auth()), 403)] {
        other.set_cookie("login_form", &one.cookie("login_form").unwrap());
        other.post("/members/login").form(&form).send().assert_status(status);
    }
}

#[test]
fn login_forms_of_two_sections_can_be_open_at_the_same_time() {
    let tree = tree().child("staff", Tree::new().index(|_| "staff"));
    let app = App::new(tree).tool("/", Sessions::in_memory()).tool("/members", auth());
    let client = Client::in_process(app.tool("/staff", auth().secret("0123456789abcdef0123456789abcdef")));
    let open = |path: &str| {
        let page = client.get(path).send();
        page.text().split("name=\"token\" value=\"").nth(1).unwrap().split('"').next().unwrap().to_owned()
    };
    let (members, staff) = (open("/members/login"), open("/staff/login"));
    for (path, token, status) in
        [("/members/login", &staff, 403), ("/members/login", &members, 303), ("/staff/login", &staff, 303)]
    {
        let form = [("token", token.as_str()), ("name", "anna"), ("password", "secret")];
        client.post(path).form(&form).send().assert_status(status);
    }
}

#[test]
fn strangers_are_sent_to_the_login_from_any_path() {
    let client = Client::in_process(App::new(tree()).tool("/", Sessions::in_memory()).tool("/", auth()));
    for path in ["/members", "/nowhere", "/keep/", "/nowhere/"] {
        client.get(path).send().assert_status(401);
        let sent = client.get(path).header("accept", "text/html").send();
        let next = path.replace('/', "%2F");
        sent.assert_status(303).assert_header("location", &format!("/login?next={next}"));
    }
}

#[test]
fn wrong_set_ups_stop_the_start() {
    let error = App::new(tree()).tool("/members", auth()).build().unwrap_err().to_string();
    assert!(error.contains("the tool `session_auth` at `/members`"), "{error}");
    assert!(
        error.contains("it needs the tool `sessions`, which is not on there: add .tool(\"/\", Sessions::in_memory())"),
        "{error}"
    );
    let table = [
        ("login = \"\"", "login` is \"\"; it must be a path"),
        ("login = \"a?b\"", "it must be a path"),
        ("logout = \"login\"", "is the same as `login`"),
        ("home = \"//evil.example\"", "it must be a path of this site"),
        ("attempts = 0", "no user could log in"),
        ("attempts_window = \"10ms\"", "a second at least"),
        ("secret = \"short\"", "at least 32 random bytes"),
        ("logn = \"x\"", "did you mean `login`?"),
        (
            "file = \"/no/such\"",
            if cfg!(feature = "passwords") { "/no/such: No such file" } else { "needs the cargo feature" },
        ),
    ];
    for (line, problem) in table {
        let text = format!("[\"/members\"]\nsession_auth.{line}");
        let error = app(auth()).config_str(text).build().unwrap_err().to_string();
        assert!(error.contains(problem), "{line}: {error}");
    }
}

#[cfg(feature = "templates")]
#[test]
fn the_page_may_be_a_template() {
    use crate::tools::{Templates, View};
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("login.html"), "{{ action }} {{ message }} {{ token|length }} {{ name }}")
        .unwrap();
    let tool = auth().page(|form| View::new("login.html", form.clone()));
    let client = Client::in_process(app(tool).tool("/", Templates::new(folder.path())));
    client.get("/members/login").send().assert_contains("login None 64 ");
    let refused = client.post("/members/login").header("accept", "text/html").form(&[("name", "<b>")]).send();
    refused.assert_status(403).assert_contains("open for too long").assert_contains("64 &lt;b&gt;");
}
