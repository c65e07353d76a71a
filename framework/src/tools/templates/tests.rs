//! The promises of views: one session for handler and template, escaping, errors that name their place.

use super::{Templates, View};
use crate::testing::Client;
use crate::{App, Error, Session, Sessions, StatusCode, Tree, handlers};
use serde_json::json;

struct Pages;

#[handlers]
impl Pages {
    #[expose]
    fn handler_first(&self, session: &Session) -> View {
        session.update("count", |count: &mut u64| *count += 1);
        View::new("count.html", ())
    }

    #[expose]
    fn template_first(&self) -> View {
        View::new("count.html", ())
    }

    #[expose]
    fn twice(&self, session: &Session) -> crate::Result<View> {
        session.acquire_lock()?;
        Ok(View::new("outer.html", json!({"name": "outer"})))
    }

    #[expose]
    fn released(&self, session: &Session) -> View {
        session.release_lock();
        View::new("count.html", ())
    }

    #[expose]
    fn typo(&self) -> (StatusCode, View) {
        (StatusCode::CREATED, View::new("typo.html", json!({"name": "x"})))
    }

    #[expose]
    fn missing(&self) -> View {
        View::new("nowhere.html", ())
    }

    #[expose]
    fn shown(&self, name: &str) -> View {
        View::new("shown.html", json!({"name": name}))
    }

    #[expose]
    fn own_session(&self) -> View {
        View::new("own.txt", json!({"session": "mine"}))
    }
}

fn templates() -> Templates {
    Templates::embedded([
        ("count.html", "{{ session.set('count', session.get('count', 0) + 1) }}{{ session.count }}"),
        ("outer.html", "{% include 'count.html' %} {{ name }} {{ 'count' in session }}"),
        ("typo.html", "<p>\n{{ nmae }}"),
        ("shown.html", "{{ name }} {{ request.path }} {{ login or 'nobody' }}"),
        ("own.txt", "{{ session }} {{ request.method }}"),
        ("error.html", "{{ status }} for {{ request.path }}"),
    ])
}

fn client(app: App) -> Client {
    Client::in_process(app.tool("/", templates()).tool("/", Sessions::in_memory()))
}

#[test]
fn handler_and_template_use_one_session_in_any_order() {
    let client = client(App::new(Pages));
    for (path, expected) in
        [("/handler_first", "2"), ("/template_first", "3"), ("/twice", "4 outer True"), ("/handler_first", "6")]
    {
        client.get(path).send().assert_status(200).assert_text(expected);
    }
}

#[test]
fn a_write_in_a_template_needs_the_lock_as_in_a_handler() {
    let client = client(App::new(Pages).settings("/", |settings| settings.show_tracebacks = true));
    client.get("/handler_first").send().assert_text("2");
    let response = client.get("/released").send();
    response.assert_status(500).assert_contains("the session is not locked any more").assert_contains("count.html:1");
    client.get("/template_first").send().assert_text("3");
}

#[test]
fn an_undefined_name_is_an_error_with_template_and_line() {
    let client = client(App::new(Pages).settings("/", |settings| settings.show_tracebacks = true));
    client.get("/typo").send().assert_status(500).assert_contains("typo.html:2");
    let missing = client.get("/missing").send();
    missing.assert_status(500).assert_contains("there is no template \"nowhere.html\"").assert_lacks("exist");
}

#[test]
fn values_are_escaped_and_names_are_there() {
    let client = client(App::new(Pages));
    client.get("/shown?name=<script>").send().assert_text("&lt;script&gt; /shown nobody");
    client
        .get("/own_session")
        .send()
        .assert_text("mine GET")
        .assert_header("content-type", "text/plain; charset=utf-8");
}

/// A page of one line under a name: its body and its content type.
fn page(name: &'static str, value: &'static str) -> (String, String) {
    let tree = Tree::new().index(move |_| View::from_source(name, "{{ value }}", json!({"value": value})));
    let page = Client::in_process(App::new(tree).tool("/", Templates::embedded::<&str, &str>([]))).get("/").send();
    page.assert_status(200).assert_header("x-content-type-options", "nosniff");
    (page.text().to_owned(), page.header("content-type").unwrap().to_owned())
}

#[test]
fn the_name_decides_how_a_value_is_written() {
    let html = ("&lt;/script&gt;", "text/html; charset=utf-8");
    let json = "\"\\u003c/script\\u003e\"";
    let table = [
        ("a", html.0.to_owned(), html.1),
        ("a.HTML.tpl", html.0.to_owned(), html.1),
        ("a.svg", html.0.to_owned(), "image/svg+xml"),
        ("a.js", json.to_owned(), "text/javascript; charset=utf-8"),
        ("a.yaml", json.to_owned(), "application/yaml"),
        ("a.css", "\\3c \\2f script\\3e ".to_owned(), "text/css; charset=utf-8"),
        ("a.ics", "</script>".to_owned(), "text/calendar; charset=utf-8"),
        ("a.txt.jinja2", "</script>".to_owned(), "text/plain; charset=utf-8"),
    ];
    for (name, expected, content_type) in table {
        assert_eq!(page(name, "</script>"), (expected, content_type.to_owned()), "{name}");
    }
    assert_eq!(page("a.js", "\u{2028}`").0, "\"\\u2028\\u0060\"");
    assert_eq!(page("a.vcf", "x\r\nURL:y").0, "x\\nURL:y");
}

#[test]
fn data_of_a_page_is_json_in_scripts() {
    let templates = Templates::embedded([
        ("a.html", "<script>x = {{ map|tojson }}</script>"),
        ("a.json", "{\"map\": {{ map }}, \"list\": {{ list }}, \"trusted\": {{ '<>'|safe }}}"),
    ]);
    let data = json!({"map": {"</script>": "<!--"}, "list": [1, 2.5, null, "\u{2029}"]});
    let (html, object) = (data.clone(), data);
    let tree = Tree::new()
        .page("html", move |_| View::new("a.html", html.clone()))
        .page("json", move |_| View::new("a.json", object.clone()));
    let client = Client::in_process(App::new(tree).tool("/", templates));
    client.get("/html").send().assert_text("<script>x = {\"\\u003c/script\\u003e\": \"\\u003c!--\"}</script>");
    let expected = "{\"map\": {\"\\u003c/script\\u003e\": \"\\u003c!--\"}, \"list\": [1, 2.5, null, \"\\u2029\"], \"trusted\": <>}";
    client.get("/json").send().assert_text(expected);
}

#[test]
fn plain_text_within_a_page_of_html_is_html() {
    let fragments = [
        ("part.txt", "{{ name }}{{ name|upper }}"),
        ("macros.txt", "{% macro show(name) %}{{ name }}{% endmacro %}"),
        ("part.ics", "{{ name }}"),
        ("included.html", "{% include 'part.txt' %}{% include 'part.ics' %}"),
        ("imported.html", "{% from 'macros.txt' import show %}{{ show(name) }}"),
        ("off.html", "{% autoescape false %}{{ name }}{% endautoescape %}"),
    ];
    let shown = |name: &'static str, content_type: Option<&'static str>| {
        let tree = Tree::new().index(move |page| {
            if let Some(content_type) = content_type {
                page.response().default_content_type(content_type);
            }
            View::new(name, json!({"name": "<"}))
        });
        let client = Client::in_process(App::new(tree).tool("/", Templates::embedded(fragments)));
        client.get("/").send().text().to_owned()
    };
    assert_eq!(shown("included.html", None), "&lt;&lt;&lt;");
    assert_eq!(shown("imported.html", None), "&lt;");
    assert_eq!(shown("off.html", None), "<");
    assert_eq!(shown("part.txt", None), "<<");
    assert_eq!(shown("part.txt", Some("Text/HTML")), "&lt;&lt;");
}

#[test]
fn a_template_finds_the_token_for_its_form() {
    let templates = Templates::embedded([("form.html", "{{ csrf_token }}")]);
    let tree = Tree::new().index(|_| View::new("form.html", ())).page("save", |_| "saved");
    let client =
        Client::in_process(App::new(tree).tool("/", templates).tool("/", crate::tools::Csrf::new().tokens(true)));
    let token = client.get("/").send().text().to_owned();
    client.post("/save").form(&[("csrf_token", &token)]).send().assert_text("saved");
}

#[test]
fn a_template_finds_the_nonce_of_the_policy() {
    let secure = crate::tools::SecureHeaders::new().content_security_policy("script-src 'nonce-{nonce}'");
    let tree = Tree::new().index(|_| View::new("nonce.html", ())).page("other", |_| "other");
    let templates = Templates::embedded([("nonce.html", "{{ csp_nonce }}")]);
    let client = Client::in_process(App::new(tree).tool("/", templates).tool("/", secure));
    let page = client.get("/").send();
    page.assert_header("content-security-policy", &format!("script-src 'nonce-{}'", page.text()));
    client.get("/other").send().assert_header("content-security-policy", "script-src 'none'");
}

#[test]
fn an_error_page_may_be_a_view_and_one_that_fails_is_replaced() {
    let app = || App::new(Pages);
    let good = app()
        .error_page(StatusCode::NOT_FOUND, |page| View::new("error.html", json!({"status": page.status.as_u16()})));
    client(good).get("/x").send().assert_status(404).assert_text("404 for /x");
    let bad = app().error_page(StatusCode::NOT_FOUND, |_| View::new("typo.html", ()));
    client(bad).get("/x").send().assert_status(404).assert_contains("There is no page at this address");
}

#[test]
fn a_view_without_the_tool_names_the_remedy() {
    // What a `Response` is made of is not in its type.
    let app = App::new(Tree::new().index(|_| crate::Response::of(View::new("a.html", ()))))
        .settings("/", |settings| settings.show_tracebacks = true);
    Client::in_process(app).get("/").send().assert_status(500).assert_contains("add .tool(");
}

#[test]
fn a_template_that_cannot_be_parsed_stops_the_start() {
    let problem = |templates| App::new(Tree::new()).tool("/", templates).build().unwrap_err().to_string();
    let spoiled = problem(Templates::embedded([("a.html", "ok"), ("b.html", "\n{% if %}")]));
    assert!(spoiled.contains("b.html:2"), "{spoiled}");
    let nowhere = problem(Templates::new("/nowhere/at/all"));
    assert!(nowhere.contains("does the folder exist?"), "{nowhere}");
}

#[test]
fn a_changed_template_is_read_again_while_developing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("page.html");
    std::fs::write(&path, "one").unwrap();
    let app = || App::new(Tree::new().index(|_| View::new("page.html", ())));
    let developing = Client::in_process(app().tool("/", Templates::new(folder.path()).reload(true)));
    let serving = Client::in_process(app().tool("/", Templates::new(folder.path()).reload(false)));
    developing.get("/").send().assert_text("one");
    std::fs::write(&path, "another").unwrap();
    let long_ago = std::time::SystemTime::now() - std::time::Duration::from_secs(3600);
    std::fs::File::options().write(true).open(&path).unwrap().set_modified(long_ago).unwrap();
    developing.get("/").send().assert_text("another");
    serving.get("/").send().assert_text("one");
}

#[test]
fn a_template_that_fails_rolls_the_session_back() {
    struct Failing;
    #[handlers]
    impl Failing {
        #[expose]
        fn index(&self, session: &Session) -> Result<View, Error> {
            session.set("count", 7);
            Ok(View::new("typo.html", ()))
        }
        #[expose]
        fn count(&self) -> View {
            View::new("count.html", ())
        }
    }
    let client = client(App::new(Failing));
    client.get("/count").send().assert_text("1");
    client.get("/").send().assert_status(500);
    client.get("/count").send().assert_text("2");
}

#[test]
fn links_of_a_template_hold_below_a_mount() {
    let source = "{{ url('/song', 'AC/DC', none, page=2, of='a&b', skip=none) }} {{ url('/') }} {{ url('next', 1) }}";
    let page = || Tree::new().index(move |_| View::from_source("a.txt", source, ()));
    let app = || {
        App::new(page())
            .tool("/", Templates::embedded::<&str, &str>([]))
            .settings("/", |settings| settings.show_tracebacks = true)
    };
    let plain = "/song/AC%2FDC?of=a%26b&page=2 / next/1";
    Client::in_process(app()).get("/").send().assert_text(plain);
    let mounted = "/shop/song/AC%2FDC?of=a%26b&page=2 /shop/ next/1";
    Client::in_process(App::new(Tree::new()).mount("/shop", app())).get("/shop/").send().assert_text(mounted);
}

#[test]
fn a_bool_in_a_link_is_written_as_links_in_code_write_it() {
    let text = "{{ url('/songs', true, all=false) }} {{ url('Songs.list', true) }} {{ url('Songs.list', all=false) }}";
    let app = App::new(Songs).tool("/", Templates::embedded([("songs.txt", text)]));
    Client::in_process(app).get("/").send().assert_text("/songs/true?all=false /list/true /list/false");
}

struct Songs;

#[handlers]
impl Songs {
    #[expose]
    fn list(&self, all: bool) -> String {
        all.to_string()
    }

    #[expose]
    fn index(&self, request: &crate::Request) -> crate::Result<View> {
        let next = request.link(crate::link_to::<Self>().song(43, None))?.local();
        Ok(View::new("songs.txt", json!({"next": next})))
    }

    #[expose]
    fn song(&self, id: u32, page: Option<u32>) -> String {
        format!("{id} {page:?}")
    }
}

#[test]
fn pages_of_typed_blocks_are_linked_to_by_name() {
    let app = |text: &str| App::new(Songs).tool("/", Templates::embedded([("songs.txt", text)]));
    let text = "{{ url('Songs.song', 42, page=2) }} {{ url('Songs.song', id=1, page=none) }} {{ url('Songs.index') }} {{ next }}";
    Client::in_process(app(text)).get("/").send().assert_text("/song/42?page=2 /song/1 / /song/43");
    let mounted = Client::in_process(App::new(Tree::new()).mount("/s", app(text)));
    mounted.get("/s/").send().assert_text("/s/song/42?page=2 /s/song/1 /s/ /s/song/43");
}

#[test]
fn a_template_that_links_to_no_page_stops_the_start() {
    let templates = Templates::embedded([("songs.txt", "<p>\n{{ url('Songs.sing', 1) }}")]);
    let error = App::new(Songs).tool("/", templates).build().expect_err("no page has that name").to_string();
    assert!(error.contains("the template songs.txt, line 2: no page is named `Songs.sing`"), "{error}");
    assert!(error.contains("`Songs` has no page `sing` (did you mean `song`?)"), "{error}");
}

#[test]
fn a_wrong_value_of_a_link_names_template_and_line() {
    let templates = Templates::embedded([("songs.txt", "<p>\n{{ url('Songs.song', pgae=1) }}")]);
    let app = App::new(Songs).tool("/", templates).settings("/", |settings| settings.show_tracebacks = true);
    Client::in_process(app)
        .get("/")
        .send()
        .assert_status(500)
        .assert_contains("the value of `id` is missing")
        .assert_contains("songs.txt:2");
}

#[test]
fn a_view_where_no_templates_are_stops_the_start() {
    let sessions = || Sessions::in_memory();
    let error = App::new(Pages).tool("/", sessions()).build().expect_err("there are no templates").to_string();
    assert!(
        error.starts_with("Pages::handler_first at /handler_first: what it returns needs the tool `templates`"),
        "{error}"
    );
    assert!(error.contains(".tool(\"/\", Templates::new(\"templates\"))"), "{error}");
    let tree = Tree::new().index(|_| Some((StatusCode::CREATED, View::new("x.html", ()))));
    assert!(App::new(tree).build().is_err());
}
