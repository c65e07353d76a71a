//! Apps below apps, links, hosts, patterns, dispatchers of your own: which handler gets a request, and what its address
//! is.

use integration_tests::both;
use kirsch::exchange::MethodSet;
use kirsch::publish::{Abroad, Dispatcher, Foreign, PathRest, Way};
use kirsch::{prelude::*, testing::Client};
use std::sync::{Arc, Mutex};

struct Pages(&'static str);

#[handlers]
impl Pages {
    #[expose]
    fn index(&self) -> &'static str {
        self.0
    }

    #[expose]
    fn page(&self, a: Option<String>) -> String {
        format!("{} page {}", self.0, a.unwrap_or_default())
    }

    #[expose]
    fn echo(&self, body: Bytes) -> String {
        format!("{} bytes", body.0.len())
    }
}

fn blog() -> App {
    App::new(Pages("blog"))
}

fn refusal(app: App) -> String {
    app.build().expect_err("it is refused").to_string()
}

#[test]
fn a_mount_is_the_same_with_every_way_to_write_its_slashes() {
    for mount in ["/our/blog", "/our/blog/", "//our//blog//", "/our%2Fblog/.."] {
        let limit = |settings: &mut kirsch::lifecycle::PathSettings| settings.max_body = 3;
        let app = App::new(Pages("home")).mount(mount, blog().settings("/echo", limit).tool("/", tools::Etags::new()));
        let client = Client::in_process(app);
        if mount.ends_with("..") {
            client.get("/our%2Fblog/%2E./page").send().assert_text("blog page ");
            continue;
        }
        for path in ["/our/blog/", "//our/blog/", "/our//blog//", "/%6Fur/blog/"] {
            assert!(client.get(path).send().assert_text("blog").header("etag").is_some());
        }
        client.get("/our/blog").send().assert_status(301).assert_header("location", "/our/blog/");
        client.get("/our/blog/page/").send().assert_status(301).assert_header("location", "/our/blog/page");
        for path in ["/our/blog/page/7", "//our//blog//page//7"] {
            client.get(path).send().assert_text("blog page 7");
        }
        client.post("/our/blog/echo").body("four").send().assert_status(413);
        client.post("/echo").body("four").send().assert_text("4 bytes");
        client.get("/our").send().assert_status(404);
        client.get("/our/blogs").send().assert_status(404);
        client.get("/").send().assert_text("home");
    }
}

#[test]
fn an_app_below_inherits_and_has_the_last_word_nowhere_but_in_itself() {
    let not_found =
        |text: &'static str| move |pages: &mut kirsch::lifecycle::ErrorPages| pages.set_default(move |_| text);
    let inner = || {
        blog()
            .error_pages("/page", not_found("inner"))
            .tool_off("/", "secure_headers")
            .config_str("[\"/echo\"]\nmax_body = 2")
    };
    let outer = |app: App| App::new(Pages("home")).error_pages("/", not_found("outer")).mount("/blog", app);
    let client = Client::in_process(outer(inner()));
    client.get("/blog/x/y").send().assert_status(404).assert_text("outer");
    client.get("/blog/page/x/y").send().assert_status(404).assert_text("inner");
    client.get("/blog/").send().assert_no_header("x-content-type-options");
    client.get("/").send().assert_header("x-content-type-options", "nosniff");
    client.post("/blog/echo").body("abc").send().assert_status(413);
    let client = Client::in_process(outer(inner()).config_str("[\"/blog/echo\"]\nmax_body = 3"));
    client.post("/blog/echo").body("abc").send().assert_text("3 bytes");
    let twice = blog().tool("/", tools::Etags::new());
    let client = Client::in_process(App::new(Pages("home")).tool("/blog", tools::Etags::new()).mount("/blog", twice));
    assert!(client.get("/blog/").send().header("etag").is_some());
}

#[test]
fn apps_below_apps_below_apps() {
    let archive = App::new(Pages("archive")).mount("old", App::new(Tree::new()));
    assert!(refusal(blog().mount("/archive", archive)).contains("`old` is not a path: it must start with `/`"));
    let archive = App::new(Pages("archive")).mount("/old", App::new(Pages("old")));
    let app = App::new(Tree::new().default(|_| "default"))
        .mount("/b/c", App::new(Pages("c")))
        .mount("/b", blog().mount("/archive", archive));
    let routes: Vec<_> = app.routes().into_iter().map(|route| route.path).collect();
    assert!(routes.contains(&"/b/archive/old/page/{a?}".to_owned()), "{routes:?}");
    let client = Client::in_process(app);
    for (path, text) in [
        ("/b/page", "blog page "),
        ("/b/archive/", "archive"),
        ("/b/archive/old/page/x", "old page x"),
        ("/b/c/", "c"),
        ("/x", "default"),
    ] {
        client.get(path).send().assert_text(text);
    }
    client.get("/b/nothing").send().assert_status(404);
}

#[test]
fn a_path_of_two_apps_is_refused_at_start() {
    struct Root;
    #[handlers]
    impl Root {
        #[expose]
        fn shop(&self, _a: Option<i64>) -> &'static str {
            ""
        }
        #[child]
        fn blog(&self) -> Pages {
            Pages("")
        }
        #[child]
        fn user(&self, _id: i64) -> Pages {
            Pages("user")
        }
    }
    let at = |path: &str| App::new(Root).mount(path, App::new(Pages("mounted")));
    let table = [
        ("/shop", "an app is mounted at \"/shop\", but the page `Root::shop` answers there in the tree at \"/\""),
        ("/shop/x", "the page `Root::shop` answers there"),
        ("/blog", "the child `Root::blog` is there"),
        ("/user", "the child `Root::user` is there"),
        ("/blog/page/", "the page `Pages::page` answers there"),
        ("/", "an app is mounted at \"/\", where the application itself is"),
        ("", "it must start with `/`"),
        ("shop", "`shop` is not a path: it must start with `/`"),
        ("/x/default", "`default` is not the name of a path segment"),
    ];
    for (path, sentence) in table {
        let refused = refusal(at(path));
        assert!(refused.contains(sentence), "{path}: {refused}");
    }
    let client = Client::in_process(at("/blog/other").mount("/user/me", blog()).mount("/shop/1/2", blog()));
    client.get("/blog/other/").send().assert_text("mounted");
    client.get("/user/me/").send().assert_text("blog");
    client.get("/user/7/").send().assert_text("user");
    client.get("/shop/1/2/").send().assert_text("blog");
    let twins = at("/my-app").mount("//my_app/", blog());
    assert!(refusal(twins).contains("two apps are mounted at one path, \"/my-app\" and \"//my_app/\""));
    let hidden = at("/a").mount("/a/page", blog());
    assert!(refusal(hidden).contains("but the page `Pages::page` answers there in the tree at \"/a\""));
}

/// A page, one that answers GET alone, and perhaps one for all the rest.
fn app_of(name: &'static str, has_default: bool) -> App {
    let tree = Tree::new().index(move |_| format!("{name} index")).page("page", move |_| format!("{name} page"));
    let tree = tree.page_for(MethodSet::GET, "read", move |_| format!("{name} read"));
    App::new(match has_default {
        true => tree.default(move |call| format!("{name} rest at {:?}", call.request().mount())),
        false => tree,
    })
}

// As CherryPy's: `tree.apps` are asked before any object is looked at, and the app that owns the path answers, be it
// 404.
#[test]
fn a_mounted_app_owns_its_path_and_so_the_404_in_it() {
    let inner = app_of("inner", true);
    let shop = app_of("shop", false).mount("/deep/own", inner).mount("/bare", App::new(Tree::new()));
    let client = Client::in_process(app_of("outer", true).mount("/my-shop", shop));
    let table = [
        ("/nowhere", 200, "outer rest at \"\""),
        ("/my", 200, "outer rest at \"\""),
        ("/my-shop/page", 200, "shop page"),
        ("/my_shop/page", 200, "shop page"),
        ("/my-shop/nowhere", 404, ""),
        ("/my_shop/nowhere", 404, ""),
        ("/my-shop/page/more", 404, ""),
        ("/my-shop/deep", 404, ""),
        ("/my-shop/deep/own/nowhere", 200, "inner rest at \"/my-shop/deep/own\""),
        ("/my-shop/bare", 404, ""),
        ("/my-shop/bare/nowhere", 404, ""),
    ];
    for (path, status, text) in table {
        let answer = client.get(path).send();
        answer.assert_status(status).assert_contains(text).assert_lacks(if status == 404 { "rest" } else { "<" });
    }
    client.get("/my-shop").send().assert_header("location", "/my-shop/");
    client.post("/my-shop/read").send().assert_status(405).assert_header("allow", "GET, HEAD, OPTIONS");
    client.post("/my-shop/nowhere").send().assert_status(404);
}

#[test]
fn the_404_of_a_mounted_app_is_its_own_page() {
    let page = |text: &'static str| move |_: &kirsch::ErrorPage<'_>| text;
    let shop = || app_of("shop", false).error_page(StatusCode::NOT_FOUND, page("sold out"));
    let outer = app_of("outer", true).error_page(StatusCode::NOT_FOUND, page("outer 404"));
    let client = Client::in_process(outer.mount("/shop", shop()).mount("/plain", app_of("plain", false)));
    client.get("/shop/nowhere").send().assert_status(404).assert_text("sold out");
    client.get("/plain/nowhere").send().assert_status(404).assert_text("outer 404");
}

#[test]
fn the_checks_at_start_hold_below_a_mount() {
    struct Needs;
    #[handlers]
    impl Needs {
        #[expose]
        fn index(&self, _session: &Session) -> &'static str {
            "has"
        }
    }
    let sessions = Sessions::in_memory;
    assert!(refusal(App::new(Tree::new()).mount("/a/b", App::new(Needs))).contains("Needs::index at /a/b"));
    for app in [
        App::new(Tree::new()).tool("/", sessions()).mount("/a/b", App::new(Needs)),
        App::new(Tree::new()).mount("/a/b", App::new(Needs).tool("/", sessions())),
    ] {
        Client::in_process(app).get("/a/b/").send().assert_text("has");
    }
    let proxy = App::new(Needs).tool("/", tools::Proxy::trusting(["loopback"]));
    let refused = refusal(App::new(Tree::new()).mount("/a", proxy));
    assert!(refused.contains("switch the tool on at \"/\""), "{refused}");
    let file = App::new(Tree::new()).config_str("[\"/x\"]\nmax_bodi = 1");
    let refused = refusal(App::new(Tree::new()).mount("/a", file));
    assert!(refused.contains("the configuration: line 2: [\"/x\"]: `max_bodi` is not a setting"), "{refused}");
}

#[test]
fn start_and_stop_of_an_app_below_run_in_order() {
    let done = Arc::new(Mutex::new(Vec::new()));
    let note = |word: &'static str| {
        let done = done.clone();
        move || {
            done.lock().unwrap().push(word);
            Ok(())
        }
    };
    let with = |app: App, start: &'static str, stop: &'static str| {
        let (start, stop) = (note(start), note(stop));
        app.on_start(move |_| start()).on_stop(stop)
    };
    let app = with(App::new(Tree::new()), "up 1", "down 1").mount("/a", with(blog(), "up 2", "down 2"));
    let running = with(app, "up 3", "down 3").start("127.0.0.1:0").unwrap();
    assert!(running.stop(std::time::Duration::from_secs(5)).unfinished.is_empty());
    assert_eq!(*done.lock().unwrap(), ["up 1", "up 2", "up 3", "down 3", "down 2", "down 1"]);
}

#[test]
fn an_app_below_answers_over_a_socket_too() {
    both(
        || App::new(Tree::new()).mount("/blog", blog()),
        |client| {
            client.get("/blog/page/7").send().assert_text("blog page 7");
        },
    );
}

/// A proxy on this machine, and its word about a request.
fn behind_a_proxy(app: App) -> Client {
    Client::in_process(
        app.tool("/", tools::Proxy::trusting(["loopback"]).host("X-Forwarded-Host").prefix("X-Forwarded-Prefix")),
    )
}

#[test]
fn links_and_redirects_of_tools_know_the_prefix_and_the_mount() {
    let blog = Tree::new()
        .page("link", |page| page.request().url("/page/ä").query("a", "b c").to_string())
        .child("dir", Tree::new().index(|_| "dir"))
        .page("new", |_| "new")
        .page("old", |_| "")
        .page("older", |_| "")
        .page("broken", |_| -> &'static str { panic!("on purpose") });
    let blog = App::new(blog)
        .tool("/old", tools::RedirectTo::external("/new"))
        .tool("/older", tools::RedirectTo::internal("/new"))
        .tool("/broken", tools::ErrRedirect::external("/new"));
    let client = behind_a_proxy(App::new(Tree::new()).mount("/our/blog", blog));
    let ask = |path: &str| {
        let request = client.get(path).header("X-Forwarded-Host", "shop.example").header("X-Forwarded-Proto", "https");
        request.header("X-Forwarded-For", "1.2.3.4").header("X-Forwarded-Prefix", "/front").send()
    };
    ask("/our/blog/link").assert_text("https://shop.example/front/our/blog/page/%C3%A4?a=b%20c");
    client.get("/our/blog/link").send().assert_text("http://localhost/our/blog/page/%C3%A4?a=b%20c");
    ask("/our/blog/dir").assert_status(301).assert_header("location", "/front/our/blog/dir/");
    ask("/our/blog/new/").assert_status(301).assert_header("location", "/front/our/blog/new");
    ask("/our/blog/old").assert_status(303).assert_header("location", "/front/our/blog/new");
    ask("/our/blog/older").assert_text("new");
    ask("/our/blog/broken").assert_status(303).assert_header("location", "/front/our/blog/new");
}

#[test]
fn a_tool_that_the_outer_app_has_on_leads_to_the_outer_apps_paths() {
    let inner =
        App::new(Tree::new().page("broken", |_| -> &'static str { panic!("on purpose") }).page("sorry", |_| "inner"));
    let outer = App::new(Tree::new().page("sorry", |_| "outer")).tool("/", tools::ErrRedirect::internal("/sorry"));
    Client::in_process(outer.mount("/a", inner)).get("/a/broken").send().assert_status(500).assert_text("outer");
}

fn ask(client: &Client, host: &str, path: &str) -> kirsch::testing::TestResponse {
    client.get(path).header("host", host).send()
}

#[test]
fn each_host_has_its_app_and_the_others_the_outermost() {
    let app = || {
        let shop = App::new(Pages("shop")).tool("/", tools::Etags::new()).mount("/blog", blog());
        let page = |pages: &mut kirsch::lifecycle::ErrorPages| pages.set_default(|_| "shop's page");
        let shop = shop.error_pages("/", page).settings("/echo", |settings| settings.max_body = 3);
        App::new(Pages("home"))
            .virtual_hosts(["shop.example", "shop.test:81"], shop)
            .virtual_host("*.example", App::new(Pages("any")))
            .error_pages("/", |pages| pages.set_default(|_| "home's page"))
    };
    both(app, |client| {
        let table = [
            ("shop.example", "shop"),
            ("Shop.Example:8080", "shop"),
            ("shop.test", "home"),
            ("shop.test:81", "shop"),
            ("www.shop.example", "any"),
            ("example", "home"),
            ("127.0.0.1", "home"),
        ];
        for (host, text) in table {
            ask(client, host, "/").assert_text(text);
        }
        assert!(ask(client, "shop.example", "/").header("etag").is_some());
        assert!(ask(client, "a.example", "/").header("etag").is_none());
        ask(client, "shop.example", "/blog/page/1").assert_text("blog page 1");
        ask(client, "a.example", "/blog/page/1").assert_status(404);
        ask(client, "shop.example", "/x").assert_status(404).assert_text("shop's page");
        ask(client, "shop.example", "/%zz").assert_status(400).assert_text("shop's page");
        ask(client, "nobody", "/x").assert_status(404).assert_text("home's page");
        client.post("/echo").header("host", "shop.example").body("four").send().assert_status(413);
        client.post("/echo").header("host", "a.example").body("four").send().assert_text("4 bytes");
    });
}

#[test]
fn only_a_trusted_proxy_says_another_host() {
    let app = || App::new(Pages("home")).virtual_host("shop.example", App::new(Pages("shop")));
    let forwarded = |client: &Client| client.get("/").header("X-Forwarded-Host", "shop.example").send();
    forwarded(&Client::in_process(app())).assert_text("home");
    forwarded(&behind_a_proxy(app())).assert_text("shop");
}

#[test]
fn hosts_that_are_not_named_are_421() {
    let app = || App::new(Pages("home")).hosts(["home.example", "*.home.example"]).virtual_host("shop.example", blog());
    let client = Client::in_process(app());
    ask(&client, "home.example", "/").assert_text("home");
    ask(&client, "www.home.example:81", "/").assert_text("home");
    ask(&client, "shop.example", "/").assert_text("blog");
    ask(&client, "<i>.example", "/").assert_status(400);
    let refused = ask(&client, "evil.example", "/");
    refused.assert_status(421).assert_contains("evil.example").assert_header("x-content-type-options", "nosniff");
}

#[test]
fn wrong_hosts_are_refused_at_start_and_routes_name_theirs() {
    let home = || App::new(Pages("home"));
    let twins = home().virtual_host("a.example", blog()).virtual_host("A.example", blog());
    assert!(refusal(twins).contains("two apps are there for the host \"A.example\""));
    assert!(refusal(home().virtual_host("http://a", blog())).contains("is not a host"));
    assert!(refusal(home().virtual_hosts([], blog())).contains("for no host at all"));
    let nested = home().virtual_host("a", blog().virtual_host("b", blog()));
    assert!(refusal(nested).contains("only the outermost app can have them"));
    assert!(refusal(home().mount("/a", blog().hosts(["b"]))).contains("only the outermost app can have them"));
    let early = refusal(home().virtual_host("a", blog().tool("/", tools::Proxy::trusting(["loopback"]))));
    assert!(early.contains("a: the tool `proxy` at `/`: it works before the host is looked at"), "{early}");
    let wrong = refusal(home().virtual_host("a", blog().config_str("[\"/\"]\nmax_bodi = 1")));
    assert!(wrong.starts_with("a: the configuration: line 2: [\"/\"]: `max_bodi`"), "{wrong}");
    let routes: Vec<_> = home().virtual_host("a.example", blog()).routes().iter().map(ToString::to_string).collect();
    assert!(routes.contains(&"GET, HEAD, OPTIONS, POST a.example/page/{a?} (Pages::page)".to_owned()), "{routes:?}");
}

#[test]
fn an_internal_redirect_stays_with_its_host() {
    let shop = App::new(Pages("shop")).tool("/page", tools::RedirectTo::internal("/"));
    let client = Client::in_process(App::new(Pages("home")).virtual_host("shop.example", shop));
    ask(&client, "shop.example", "/page").assert_text("shop");
}

struct Song;

#[handlers]
impl Song {
    #[expose]
    fn title(&self, language: &str, verse: Option<u8>) -> String {
        format!("{language} {verse:?}")
    }
}

/// `/de/title`, or the language of the field.
fn by_language() -> Dispatcher {
    Dispatcher::new(|rest: &mut PathRest<'_>| match rest.segments().next() {
        Some(language @ ("de" | "en")) => {
            rest.capture("language", language);
            Way::child(0).after(1)
        }
        Some("panic") => panic!("the dispatcher"),
        Some("far") => Way::child(7).after(9),
        Some("only") => Way::page(0).after(1).exactly(false),
        _ => {
            let field = rest.request().header("accept-language").unwrap_or("en");
            rest.capture("language", &field[..2]);
            Way::child(0)
        }
    })
    .child("{language}", Song)
    .page(MethodSet::GET, "only", "/only", |_| "got")
    .page(MethodSet::PUT, "only", "/only", |_| "put")
}

#[test]
fn d_25_captures_are_arguments_and_take_no_segment() {
    let client = Client::in_process(App::new(by_language()));
    client.get("/de/title").send().assert_text("de None");
    client.get("/de/title/4?language=fr").send().assert_text("de Some(4)");
    client.get("/de/title/4/5").send().assert_status(404);
    client.get("/title").header("Accept-Language", "fr-CH").send().assert_text("fr None");
    client.get("/far/title").send().assert_status(404);
}

#[test]
fn d_25_methods_are_looked_at_as_everywhere() {
    let client = Client::in_process(App::new(by_language()));
    client.get("/only").send().assert_text("got");
    client.put("/only").send().assert_text("put");
    client.head("/only").send().assert_status(200).assert_text("");
    client.delete("/only").send().assert_status(405).assert_header("allow", "GET, HEAD, OPTIONS, PUT");
    client
        .request(Method::OPTIONS, "/only")
        .send()
        .assert_status(204)
        .assert_header("allow", "GET, HEAD, OPTIONS, PUT");
    client.get("/only/").send().assert_status(301).assert_header("location", "/only");
}

#[test]
fn a_panic_in_a_dispatcher_is_a_500_and_the_next_request_is_answered() {
    let client = Client::in_process(App::new(by_language()));
    client.get("/panic").send().assert_status(500);
    client.get("/de/title").send().assert_text("de None");
}

#[test]
fn below_a_typed_node_it_is_resolved_late_and_captures_as_well() {
    struct Root(Dispatcher);

    #[handlers]
    impl Root {
        #[child]
        fn below(&self) -> &Dispatcher {
            &self.0
        }
    }
    let client = Client::in_process(App::new(Root(by_language())));
    client.get("/below/de/title/1").send().assert_text("de Some(1)");
}

#[test]
fn apps_are_mounted_over_a_dispatcher_and_before_it() {
    let client =
        Client::in_process(App::new(by_language()).mount("/de/blog", blog()).mount("/x", App::new(by_language())));
    client.get("/de/blog/page/7").send().assert_text("blog page 7");
    client.get("/de/title").send().assert_text("de None");
    client.get("/x/de/title").send().assert_text("de None");
    client.get("/en/title").send().assert_text("en None");
    client.put("/only").send().assert_text("put");
    client.get("/x").send().assert_status(404);
}

#[test]
fn the_target_of_a_dispatcher_is_known_before_the_body() {
    let limit = |settings: &mut kirsch::lifecycle::PathSettings| settings.max_body = 3;
    let tree = Dispatcher::new(|_: &mut PathRest<'_>| Way::child(0)).child("", Pages("deep"));
    let client = Client::in_process(App::new(tree).settings("/echo", limit));
    client.post("/echo").body("four").send().assert_status(413);
    client.post("/echo").body("two").send().assert_text("3 bytes");
    client.put("/page").send().assert_status(405).assert_header("allow", "GET, HEAD, OPTIONS, POST");
}

fn shop_routes() -> Routes {
    let routes = Routes::new();
    let urls = routes.urls();
    routes
        .page("/", |_| "front")
        .page_for(MethodSet::GET, "/user/{id}", |page| -> kirsch::Result<String> {
            let (id, full): (u32, Option<bool>) = (page.parameter("id")?, page.parameter("full")?);
            Ok(format!("user {id} {full:?}"))
        })
        .page_for(MethodSet::DELETE, "/user/{id}", |_| "gone")
        .page("/user/me", |_| "me")
        .page("/user/{id}/orders/{order}", |page| -> kirsch::Result<String> {
            Ok(format!("{} of {}", page.parameter::<&str>("order")?, page.parameter::<u32>("id")?))
        })
        .name("order")
        .page("/files/{*path}", |page| -> kirsch::Result<String> { Ok(page.parameter("path")?) })
        .page("/list/", |_| "list")
        .page("/link", move |page| -> kirsch::Result<String> {
            let order = urls.url("order", &[("id", &7), ("order", &"a/b")])?;
            Ok(page.request().url("/").join(&order).query("q", "x y").to_string())
        })
}

#[test]
fn patterns_find_their_pages() {
    both(
        || App::new(shop_routes()),
        |client| {
            for (path, text) in [
                ("/", "front"),
                ("/user/7?full=true&id=9", "user 7 Some(true)"),
                ("/user/me", "me"),
                ("//user//7", "user 7 None"),
                ("/user/7/orders/a%2Fb", "a/b of 7"),
                ("/files/a/b%2Fc/%C3%A9", "a/b/c/é"),
                ("/list/", "list"),
            ] {
                client.get(path).send().assert_text(text);
            }
            client.get("/user/7/").send().assert_status(301).assert_header("location", "/user/7");
            client.get("/list").send().assert_status(301).assert_header("location", "/list/");
            for path in [
                "/user",
                "/user/",
                "/user/anna",
                "/user/7/orders",
                "/files",
                "/files/",
                "/User/7",
                "/user/7/orders/1/2",
            ] {
                client.get(path).send().assert_status(404);
            }
        },
    );
}

#[test]
fn an_unknown_path_or_method_of_a_pattern_is_no_error_of_the_server() {
    let client = Client::in_process(App::new(shop_routes()));
    client.delete("/user/7").send().assert_text("gone");
    client.head("/user/7").send().assert_status(200).assert_text("");
    client.put("/user/7").send().assert_status(405).assert_header("allow", "DELETE, GET, HEAD, OPTIONS");
    client
        .request(Method::OPTIONS, "/user/7")
        .send()
        .assert_status(204)
        .assert_header("allow", "DELETE, GET, HEAD, OPTIONS");
    client.put("/unknown").send().assert_status(404);
    client.get("/user/99999999999999999999").send().assert_status(404);
}

#[test]
fn routes_below_a_mount_are_linked_and_listed() {
    let app = App::new(Tree::new())
        .mount("/shop", App::new(shop_routes()).settings("/user", |settings| settings.max_form = 3));
    let routes: Vec<_> = app.routes().iter().map(ToString::to_string).collect();
    assert!(
        routes.contains(&"GET, HEAD, OPTIONS, POST /shop/user/{id}/orders/{order} (Routes::order)".to_owned()),
        "{routes:?}"
    );
    let client = Client::in_process(app);
    client.get("/shop/link").send().assert_text("http://localhost/shop/user/7/orders/a%2Fb?q=x%20y");
    client.post("/shop/user/me").form(&[("a", "long")]).send().assert_status(413);
    let below = Client::in_process(App::new(Tree::new().child("below", shop_routes())));
    below.get("/below/user/7/orders/1").send().assert_text("1 of 7");
}

/// Code of others: it knows the crates `http` and `bytes`, and nothing of the framework.
mod abroad {
    use bytes::Bytes;
    use http::{Request, Response, StatusCode};

    pub(super) fn application(request: Request<Bytes>) -> Response<Vec<u8>> {
        let (parts, body) = request.into_parts();
        match parts.uri.path() {
            "/panic" => panic!("abroad"),
            "/fields" => {
                let fields =
                    parts.headers.iter().map(|(name, value)| format!("{name}: {}\n", value.to_str().unwrap_or("?")));
                Response::new(fields.collect::<String>().into_bytes())
            }
            "/framing" => {
                let answer = Response::builder().header("content-length", "1").header("transfer-encoding", "chunked");
                let answer = answer
                    .header("connection", "close, x-hop")
                    .header("x-hop", "1")
                    .header("x-own", "1")
                    .header("x-own", "2");
                answer.header("set-cookie", "a=1").body(b"whole".to_vec()).expect("a response")
            }
            "/continue" => Response::builder().status(101).body(Vec::new()).expect("a response"),
            path => {
                let text = format!("{} {path} {:?} {:?}", parts.method, parts.uri.query(), body);
                Response::builder().status(StatusCode::ACCEPTED).body(text.into_bytes()).expect("a response")
            }
        }
    }
}

fn with_foreign() -> App {
    let tree = Tree::new().child("old", Foreign::new(abroad::application));
    App::new(tree).settings("/old/small", |settings| settings.max_body = 3)
}

#[test]
fn a_foreign_handler_gets_all_paths_below_its_place() {
    both(with_foreign, |client| {
        let table = [
            ("/old", "GET / None b\"\""),
            ("/old/", "GET / None b\"\""),
            ("//old//a%20b/c%2Fd/?e=%20f&g", "GET /a%20b/c%2Fd/ Some(\"e=%20f&g\") b\"\""),
        ];
        for (path, text) in table {
            client.get(path).send().assert_status(202).assert_text(text);
        }
        client.post("/old/x").form(&[("a", "b")]).send().assert_text("POST /x None b\"a=b\"");
        for method in [Method::PUT, Method::PATCH, Method::DELETE, Method::OPTIONS] {
            client.request(method.clone(), "/old/x").send().assert_text(&format!("{method} /x None b\"\""));
        }
        client.request(Method::from_bytes(b"PROPFIND").unwrap(), "/old/x").send().assert_text("PROPFIND /x None b\"\"");
        client.head("/old/x").send().assert_status(202).assert_text("");
        client.post("/old/small").body("four").send().assert_status(413);
        client.get("/elsewhere").send().assert_status(404);
    });
}

#[test]
fn w7_fields_pass_both_ways_but_those_of_the_connection() {
    both(with_foreign, |client| {
        let request = client.post("/old/fields").header("x-own", "1").header("te", "trailers").body("four");
        let answer = request.header("connection", "x-secret").header("x-secret", "1").send();
        answer.assert_contains("x-own: 1\n").assert_contains("content-length: 4\n").assert_contains("host: ");
        answer.assert_lacks("connection").assert_lacks("te: ").assert_lacks("x-secret");
        let answer = client.get("/old/framing").send();
        answer.assert_text("whole").assert_header("set-cookie", "a=1").assert_no_header("x-hop");
        assert_eq!(answer.headers().filter(|(name, _)| *name == "x-own").count(), 2);
        answer.assert_header("x-content-type-options", "nosniff");
    });
}

#[test]
fn a_mistake_of_a_foreign_handler_is_a_500_and_the_next_request_is_answered() {
    both(with_foreign, |client| {
        client.get("/old/panic").send().assert_status(500).assert_lacks("abroad");
        client.get("/old/continue").send().assert_status(500);
        client.get("/old/x").send().assert_status(202);
    });
}

#[test]
fn w7_a_foreign_handler_knows_where_it_is() {
    let tell = |request: http::Request<bytes::Bytes>| {
        let abroad = request.extensions().get::<Abroad>().expect("it is always there");
        http::Response::new(format!("{} {} {} {}", abroad.place, abroad.uri, abroad.remote, abroad.is_secure))
    };
    let client =
        behind_a_proxy(App::new(Tree::new()).mount("/a/b", App::new(Tree::new().child("c", Foreign::new(tell)))));
    let request = client.get("/a/b/c/d?e").header("X-Forwarded-For", "1.2.3.4").header("X-Forwarded-Proto", "https");
    request.header("X-Forwarded-Prefix", "/front").send().assert_text("/front/a/b/c /a/b/c/d?e 1.2.3.4 true");
}
