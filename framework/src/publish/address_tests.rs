//! The promises of links to typed pages, by the compiler's way and by name.
#![allow(unused_variables, reason = "only the shape of the tree is tested")]

use crate::exchange::{LinkError, PageLink};
use crate::testing::Client;
use crate::tools::Proxy;
use crate::{App, Form, Omit, Parameter, Redirect, Request, Response, Segments, Session, Tree};
use crate::{Sessions, handlers, link_to, resource};
use std::sync::{Arc, Mutex};

type MakeLink = fn() -> PageLink;

#[derive(Parameter)]
enum Order {
    NewestFirst,
}

struct Site;
struct Shop;
struct Customer;
struct Notes;

#[handlers]
impl Site {
    #[expose]
    fn index(&self) {}

    #[expose(name = "new")]
    fn new_page(&self) {}

    #[expose]
    fn about_us(&self, session: &Session, request: &Request, response: &mut Response) {}

    #[child]
    fn shop(&self) -> Shop {
        Shop
    }

    #[child(name = "kunde")]
    fn customer(&self, id: u32, request: &Request) -> Option<Customer> {
        None
    }

    #[child]
    fn notes(&self) -> &Notes {
        &Notes
    }

    #[child]
    fn words(&self) -> Words {
        Words
    }

    #[child]
    fn plugin(&self) -> Box<dyn crate::Publish> {
        Box::new(Tree::new())
    }

    #[child]
    fn default(&self, year: u16) -> Arc<Year> {
        Arc::new(Year)
    }
}

#[handlers]
impl Shop {
    #[expose]
    fn index(&self, page: Option<u32>) {}

    #[expose(alias = "ware")]
    fn item(&self, id: u32, order: Option<Order>, tags: Vec<String>) {}

    #[expose]
    fn search(&self, text: &str, near: Option<&str>) {}

    #[expose]
    fn files(&self, version: u8, path: Segments) {}

    #[expose(post)]
    fn buy(&self, id: u32, count: u8, form: Form<std::collections::BTreeMap<String, String>>) {}

    #[expose]
    fn default(&self, word: String) {}
}

#[handlers]
impl Customer {
    #[expose]
    fn index(&self) {}

    #[expose]
    fn orders(&self, page: Option<u8>) {}
}

struct Words;

#[handlers]
impl Words {
    #[expose]
    fn all(&self) {}

    #[expose]
    fn default(&self, word: &str) {}
}

struct Year;

#[handlers]
impl Year {
    #[expose]
    fn month(&self, month: u8) {}

    #[child]
    fn again(&self, year: Option<u16>) -> Self {
        Year
    }
}

#[resource]
impl Notes {
    fn get(&self, id: Option<u32>) {}
    fn put(&self, id: u32, text: String) {}
}

/// Asks a page of `app` for addresses: what it does with its request is `ask`.
fn asked(
    app: impl FnOnce(Tree) -> App,
    path: &str,
    ask: impl Fn(&Request) -> Result<String, LinkError> + Send + Sync + 'static,
) -> String {
    let answer = Arc::new(Mutex::new(String::new()));
    let kept = answer.clone();
    let probe = Tree::new().child("site", Site).page("probe", move |page| {
        *kept.lock().expect("one thread") = ask(page.request()).unwrap_or_else(|error| format!("error: {error}"));
    });
    let app = app(probe).settings("/", |settings| settings.show_tracebacks = true);
    Client::in_process(app.tool("/", Sessions::in_memory())).get(path).send().assert_status(200);
    answer.lock().expect("one thread").clone()
}

fn typed(link: impl Fn() -> PageLink + Send + Sync + 'static) -> String {
    asked(App::new, "/probe", move |request| Ok(request.link(link())?.local().to_string()))
}

/// With values in order, then `name=value`.
fn named(name: &'static str, values: &'static str) -> String {
    asked(App::new, "/probe", move |request| {
        let (by_name, in_order): (Vec<&str>, Vec<&str>) =
            values.split_whitespace().partition(|text| text.contains('='));
        let by_name: Vec<_> = by_name.iter().filter_map(|text| text.split_once('=')).collect();
        Ok(request.link_by_name(name, &in_order, &by_name)?.local().to_string())
    })
}

#[test]
fn names_children_and_values_make_the_path() {
    let table: Vec<(MakeLink, &str)> = vec![
        (|| link_to::<Site>().index(), "/site/"),
        (|| link_to::<Site>().new_page(), "/site/new"),
        (|| link_to::<Site>().about_us(), "/site/about_us"),
        (|| link_to::<Site>().shop().index(None), "/site/shop/"),
        (|| link_to::<Shop>().index(2), "/site/shop/?page=2"),
        (|| link_to::<Site>().customer(7).index(), "/site/kunde/7/"),
        (|| link_to::<Site>().customer(7).orders(Some(2)), "/site/kunde/7/orders?page=2"),
        (|| link_to::<Site>().default(1984).month(3), "/site/1984/month/3"),
        (|| link_to::<Site>().default(1984).again(None).again(7).month(3), "/site/1984/again/again/7/month/3"),
    ];
    for (link, path) in table {
        assert_eq!(typed(link), path);
    }
}

#[test]
fn values_that_must_be_there_are_segments_and_the_others_the_query() {
    let table: Vec<(MakeLink, &str)> = vec![
        (|| link_to::<Shop>().item(42, None, vec![]), "/site/shop/item/42"),
        (
            || link_to::<Shop>().item(42, Order::NewestFirst, ["a".to_owned(), "b/c".to_owned()]),
            "/site/shop/item/42?order=newest_first&tags=a&tags=b%2Fc",
        ),
        (|| link_to::<Shop>().search("a/b ü", None), "/site/shop/search/a%2Fb%20%C3%BC"),
        (|| link_to::<Shop>().search("", "x"), "/site/shop/search?text=&near=x"),
        (|| link_to::<Shop>().search("..", None), "/site/shop/search?text=.."),
        (|| link_to::<Shop>().search(Omit, Omit), "/site/shop/search"),
        (|| link_to::<Shop>().files(1, "a b/c.txt"), "/site/shop/files/1/a%20b/c.txt"),
        (|| link_to::<Shop>().buy(42, Omit), "/site/shop/buy/42"),
        (|| link_to::<Shop>().buy(42, 2).query("from", "a&b"), "/site/shop/buy/42/2?from=a%26b"),
        (|| link_to::<Shop>().default("tea"), "/site/shop/tea"),
    ];
    for (link, path) in table {
        assert_eq!(typed(link), path);
    }
}

#[test]
fn a_value_that_is_the_name_of_another_page_is_in_the_query_or_an_error() {
    assert_eq!(typed(|| link_to::<Words>().default("all")), "/site/words?word=all");
    assert_eq!(typed(|| link_to::<Words>().default("some")), "/site/words/some");
    let said = typed(|| link_to::<Shop>().default("search"));
    assert!(said.contains("a name goes before a value"), "{said}");
}

#[test]
fn a_resource_is_linked_to_by_its_methods() {
    assert_eq!(typed(|| link_to::<Notes>().get(None)), "/site/notes");
    assert_eq!(typed(|| link_to::<Notes>().get(7)), "/site/notes?id=7");
    assert_eq!(typed(|| link_to::<Notes>().put(7, Omit)), "/site/notes/7");
}

#[test]
fn below_a_node_that_only_its_value_knows_a_path_is_text() {
    assert_eq!(typed(|| link_to::<Site>().plugin().path("a b/c/")), "/site/plugin/a%20b/c/");
    assert_eq!(typed(|| link_to::<Site>().plugin().path("")), "/site/plugin/");
}

#[test]
fn a_link_that_says_too_little_is_an_error_that_says_how() {
    struct Elsewhere;
    #[handlers]
    impl Elsewhere {
        #[expose]
        fn index(&self) {}
    }
    let table: Vec<(MakeLink, &str)> = vec![
        (|| link_to::<Customer>().index(), "`Customer` is below /site/kunde/{id}, and the link has no value for `id`"),
        (|| link_to::<Elsewhere>().index(), "`Elsewhere` is not part of the tree that answers this request"),
        (|| link_to::<Site>().customer(Omit).index(), "the value of `id` is missing"),
    ];
    for (link, problem) in table {
        let said = typed(link);
        assert!(said.contains(problem), "{said}");
    }
}

#[test]
fn a_type_at_two_places_is_an_error_with_both_unless_the_link_begins_above() {
    struct Panel;
    #[handlers]
    impl Panel {
        #[expose]
        fn show(&self) {}
    }
    struct Desk;
    #[handlers]
    impl Desk {
        #[child]
        fn left(&self) -> Panel {
            Panel
        }
        #[child]
        fn right(&self) -> Panel {
            Panel
        }
    }
    let link = |link: fn() -> PageLink| {
        asked(
            |probe| App::new(probe.child("desk", Desk)),
            "/probe",
            move |request| Ok(request.link(link())?.local().to_string()),
        )
    };
    let said = link(|| link_to::<Panel>().show());
    assert!(
        said.contains("`Panel` is at two places, /desk/left and /desk/right: begin the link at a type above"),
        "{said}"
    );
    assert_eq!(link(|| link_to::<Desk>().right().show()), "/desk/right/show");
}

#[test]
fn a_link_counts_from_the_app_that_it_is_in_and_finds_other_apps() {
    let link = |path, link: fn() -> PageLink| {
        let apps = |probe: Tree| {
            let blog = || {
                let tree = Tree::new().child("posts", Shop);
                App::new(tree)
            };
            App::new(probe).mount("/one", blog()).mount("/two words", App::new(Notes))
        };
        asked(apps, path, move |request| Ok(request.link(link())?.local().to_string()))
    };
    assert_eq!(link("/probe", || link_to::<Shop>().item(1, None, vec![])), "/site/shop/item/1");
    let said = link("/probe", || link_to::<Notes>().get(None));
    assert_eq!(said, "/site/notes");
}

#[test]
fn an_app_that_is_mounted_twice_links_to_itself() {
    struct Blog;
    #[handlers]
    impl Blog {
        #[expose]
        fn index(&self, request: &Request) -> crate::Result<String> {
            Ok(request.link(link_to::<Self>().post(1))?.to_string())
        }
        #[expose]
        fn post(&self, id: u32, request: &Request) -> crate::Result<Redirect> {
            Ok(Redirect::to(request.link(link_to::<Blog>().post(id + 1))?))
        }
    }
    let outer =
        Tree::new().index(|page| Ok::<_, crate::Error>(page.request().link(link_to::<Blog>().index())?.to_string()));
    let app = App::new(outer).mount("/our/blog", App::new(Blog)).mount("/their-blog", App::new(Blog));
    let client = Client::in_process(app.settings("/", |settings| settings.show_tracebacks = true));
    client.get("/our/blog/").send().assert_text("http://localhost/our/blog/post/1");
    client.get("/their-blog/").send().assert_text("http://localhost/their-blog/post/1");
    client.get("/their-blog/post/1").send().assert_header("location", "http://localhost/their-blog/post/2");
    client.get("/").send().assert_status(500).assert_contains("at two places, /our/blog and /their-blog");
}

#[test]
fn links_hold_behind_a_proxy_and_on_a_virtual_host() {
    let page = |page: &mut super::PageCall<'_>| -> crate::Result<String> {
        Ok(page.request().link(link_to::<Shop>().item(1, None, vec![]))?.to_string())
    };
    let shop = App::new(Tree::new().page("probe", page).child("here", Shop));
    let app = App::new(Tree::new().page("probe", page).child("there", Shop)).virtual_host("shop.example", shop);
    let proxy = Proxy::trusting(["0.0.0.0/0", "::/0"]).host("X-Forwarded-Host").prefix("X-Forwarded-Prefix");
    let client = Client::in_process(app.tool("/", proxy));
    client.get("/probe").send().assert_text("http://localhost/there/item/1");
    client.get("/probe").header("Host", "shop.example").send().assert_text("http://shop.example/here/item/1");
    let request = client.get("/probe").header("X-Forwarded-Host", "shop.example").header("X-Forwarded-Proto", "https");
    request.header("X-Forwarded-Prefix", "/front").send().assert_text("https://shop.example/front/here/item/1");
}

#[test]
fn the_address_of_a_link_is_the_one_that_trailing_slash_keeps() {
    let client = Client::in_process(App::new(Site).tool("/", Sessions::in_memory()));
    for path in ["/", "/shop/", "/shop/item/42", "/new", "/kunde/7/orders"] {
        let status = client.get(path).send().status();
        assert!(status != 303 && status != 301, "{path}: {status}");
    }
}

#[test]
fn pages_have_names_by_which_templates_find_them() {
    let table = [
        ("Site.index", "", "/site/"),
        ("Site.new", "", "/site/new"),
        ("Shop.item", "42 order=newest_first", "/site/shop/item/42?order=newest_first"),
        ("Shop.item", "id=42", "/site/shop/item/42"),
        ("Customer.orders", "7", "/site/kunde/7/orders"),
        ("Customer.orders", "7 2", "/site/kunde/7/orders?page=2"),
        ("Year.month", "1984 3", "/site/1984/month/3"),
        ("Shop.buy", "42", "/site/shop/buy/42"),
        ("Shop.files", "1 a b.txt", "/site/shop/files/1/a/b.txt"),
        ("Site.about_us", "utm=1", "/site/about_us?utm=1"),
    ];
    for (name, values, path) in table {
        assert_eq!(named(name, values), path, "{name}");
    }
}

#[test]
fn a_wrong_name_or_value_is_an_error_with_a_suggestion() {
    let table = [
        ("Shop.itm", "1", "`Shop` has no page `itm` (did you mean `item`?)"),
        ("Shp.item", "1", "the tree has no type `Shp` (did you mean `Shop`?)"),
        ("Shop.item", "", "`Shop.item` (/site/shop/item takes id order tags): the value of `id` is missing"),
        ("Shop.search", "a b c", "the link has 1 values more than the page has arguments"),
        ("Shop.search", "a naer=b", "the page has no argument `naer` (did you mean `near`?)"),
        ("Customer.orders", "", "the value of `id` is missing"),
        ("Customer.orders", ".. 2", "the value \"..\" of `id` cannot be a segment of a path"),
    ];
    for (name, values, problem) in table {
        let said = named(name, values);
        assert!(said.contains(problem), "{said}");
    }
}
