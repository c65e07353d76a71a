//! The traversal table: which path leads to which handler with which arguments. `docs/traversal.md` tells the same in
//! prose.

use super::probe::{answer, ask, exchange};
use super::{Publish, Resolution, Tree, resolve, routes};
use crate::exchange::{Error, MethodSet, Request, Segments, Trail};
use crate::{Parameter, handlers, resource};

struct Root {
    song: Song,
    blog: Blog,
}

#[handlers]
impl Root {
    #[expose]
    fn index(&self, q: Option<&str>) -> String {
        format!("index({q:?})")
    }

    #[expose(alias = "imprint", alias = "legal.html")]
    fn about_us(&self) -> &'static str {
        "about_us()"
    }

    #[expose]
    fn add(&self, a: i64, b: i64) -> String {
        format!("add({a}, {b})")
    }

    #[expose]
    fn search(&self, text: String, page: Option<u32>, tag: Vec<&str>) -> String {
        format!("search({text:?}, {page:?}, {tag:?})")
    }

    #[expose]
    fn files(&self, volume: &str, path: Segments) -> String {
        format!("files({volume:?}, {:?})", path.0)
    }

    #[expose(get)]
    fn read_only(&self) -> &'static str {
        "read_only()"
    }

    #[expose(name = "edit", get)]
    fn edit_form(&self) -> &'static str {
        "edit_form()"
    }

    #[expose(name = "edit", post)]
    fn edit_save(&self, text: &str) -> String {
        format!("edit_save({text:?})")
    }

    #[child]
    fn song(&self) -> &Song {
        &self.song
    }

    #[child]
    fn blog(&self) -> &Blog {
        &self.blog
    }

    #[child]
    fn user(&self, id: i64) -> Result<User<'_>, Error> {
        if id == 0 { Err(Error::not_found()) } else { Ok(User { id, blog: &self.blog }) }
    }

    #[child]
    fn archive(&self, year: u16, month: Option<u8>) -> Archive {
        Archive { year, month }
    }

    /// A child takes its arguments from segments alone.
    #[child]
    fn chapter(&self, part: Option<&str>) -> Archive {
        Archive { year: 1, month: part.and_then(|part| part.parse().ok()) }
    }

    /// By type a child may look at anything.
    #[child]
    fn asked(&self, request: &Request) -> Option<Archive> {
        let year = request.parameters("year").next()?.parse().ok()?;
        Some(Archive { year, month: None })
    }

    #[child]
    fn shop(&self) -> Shop {
        Shop
    }

    #[child]
    fn hollow(&self) -> Hollow {
        Hollow
    }

    #[child]
    fn late(&self) -> Box<dyn Publish> {
        Box::new(Song)
    }

    #[child]
    fn tree(&self) -> Option<Tree> {
        Some(
            Tree::new()
                .index(|_| "tree.index()")
                .page("add/{a}/{b}", |page| -> Result<String, Error> {
                    let b: i64 = page.parameter("b")?;
                    let a: i64 = page.parameter("a")?;
                    Ok(format!("tree.add({a}, {b})"))
                })
                .page("rest/{first}/{more*}", |page| {
                    let more: Vec<_> = page.segments().collect();
                    format!("tree.rest({more:?})")
                })
                .child("song", Song),
        )
    }

    #[expect(dead_code, reason = "private methods are not pages")]
    fn secret(&self) -> &'static str {
        "secret"
    }
}

struct Song;

#[resource]
impl Song {
    fn get(&self, id: Option<i64>) -> String {
        format!("song.get({id:?})")
    }

    fn post(&self, id: i64) -> String {
        format!("song.post({id})")
    }

    fn delete(&self) -> &'static str {
        "song.delete()"
    }

    #[expose]
    fn newest(&self) -> &'static str {
        "song.newest()"
    }

    #[child]
    fn cover(&self) -> Cover {
        Cover
    }
}

struct Cover;

#[resource]
impl Cover {
    fn put(&self) -> &'static str {
        "cover.put()"
    }
}

struct Blog;

#[handlers]
impl Blog {
    #[expose]
    fn index(&self) -> &'static str {
        "blog.index()"
    }

    #[expose]
    fn default(&self, year: i64, month: Option<i64>) -> String {
        format!("blog.default({year}, {month:?})")
    }

    #[expose]
    fn feed(&self) -> &'static str {
        "blog.feed()"
    }

    #[child]
    fn drafts(&self) -> Hollow {
        Hollow
    }
}

struct User<'r> {
    id: i64,
    blog: &'r Blog,
}

#[handlers]
impl<'r> User<'r> {
    #[expose]
    fn index(&self) -> String {
        format!("user({}).index()", self.id)
    }

    #[expose]
    fn orders(&self, number: Option<i64>) -> String {
        format!("user({}).orders({number:?})", self.id)
    }

    #[child]
    fn blog(&self) -> &'r Blog {
        self.blog
    }
}

struct Archive {
    year: u16,
    month: Option<u8>,
}

#[handlers]
impl Archive {
    #[expose]
    fn index(&self) -> String {
        format!("archive({}, {:?}).index()", self.year, self.month)
    }

    #[expose]
    fn list(&self, sort: Option<&str>) -> String {
        format!("archive({}, {:?}).list({sort:?})", self.year, self.month)
    }
}

/// CherryPy's popargs: any segment is a shelf, named ways go first.
struct Shop;

#[handlers]
impl Shop {
    #[child]
    fn default(&self, shelf: String) -> Shelf {
        Shelf { shelf }
    }

    #[child]
    fn staff(&self) -> Cover {
        Cover
    }

    #[expose]
    fn cart(&self) -> &'static str {
        "shop.cart()"
    }
}

struct Shelf {
    shelf: String,
}

#[handlers]
impl Shelf {
    #[expose]
    fn index(&self) -> String {
        format!("shelf({:?}).index()", self.shelf)
    }

    #[expose]
    fn prices(&self) -> String {
        format!("shelf({:?}).prices()", self.shelf)
    }
}

struct Hollow;

#[handlers]
impl Hollow {
    #[expose]
    fn page(&self) -> &'static str {
        "hollow.page()"
    }
}

/// A node whose `default` takes all remaining segments.
struct CatchAll;

#[handlers]
impl CatchAll {
    #[expose]
    fn default(&self, rest: Segments) -> String {
        format!("catch_all({:?})", rest.0)
    }

    #[expose]
    fn page(&self) -> &'static str {
        "page()"
    }

    #[child]
    fn hollow(&self) -> Hollow {
        Hollow
    }

    #[child]
    fn blog(&self) -> Blog {
        Blog
    }
}

const ROOT: Root = Root { song: Song, blog: Blog };

#[track_caller]
fn check(root: &dyn Publish, table: &[(&str, &str)]) {
    for (request, expected) in table {
        assert_eq!(ask(root, request), *expected, "{request}");
    }
}

#[test]
fn pages_are_found_by_name() {
    check(
        &ROOT,
        &[
            ("GET /", "index(None)"),
            ("GET /?q=a%20b", "index(Some(\"a b\"))"),
            ("GET /about_us", "about_us()"),
            ("GET /about-us", "about_us()"),
            ("GET /about.us", "about_us()"),
            ("GET /about_us/", "about_us()"),
            ("GET //about_us//", "about_us()"),
            ("GET /imprint", "about_us()"),
            ("GET /legal.html", "about_us()"),
            ("GET /legal_html", "404"),
            ("GET /About_us", "404"),
            ("GET /about_us/more", "404"),
            ("GET /nothing", "404"),
            ("GET /index", "404"),
            ("GET /default", "404"),
            ("GET /blog/default", "404 the parameter `year` must be a whole number"),
            ("GET /add+", "404"),
        ],
    );
}

#[test]
fn parameters_are_checked_before_the_call() {
    check(
        &ROOT,
        &[
            ("GET /add/1/2", "add(1, 2)"),
            ("GET /add/1?b=2", "add(1, 2)"),
            ("GET /add?a=1&b=2", "add(1, 2)"),
            ("GET /add/1/2?a=9&b=9", "add(1, 2)"),
            ("GET /add/1", "404 the parameter `b` is missing"),
            ("GET /add", "404 the parameter `a` is missing"),
            ("GET /add/1/2/3", "404"),
            ("GET /add/1/x", "404 the parameter `b` must be a whole number"),
            ("GET /add/1?b=x", "400 the parameter `b` must be a whole number"),
            ("GET /add/1?b=", "400 the parameter `b` must be a whole number"),
            ("GET /add/1/2?utm_source=x", "add(1, 2)"),
            ("GET /search/a", "search(\"a\", None, [])"),
            ("GET /search?text=", "search(\"\", None, [])"),
            ("GET /search?text=a&page=&tag=x&tag=y", "search(\"a\", None, [\"x\", \"y\"])"),
            ("GET /search?text=a&page=2", "search(\"a\", Some(2), [])"),
            ("GET /search/a/2?tag=", "search(\"a\", Some(2), [\"\"])"),
            ("GET /search?text=a&page=-1", "400 the parameter `page` must be a whole number from 0 to 4294967295"),
        ],
    );
}

#[test]
fn segments_are_decoded_once_after_splitting() {
    check(
        &ROOT,
        &[
            ("GET /search/a%2Fb", "search(\"a/b\", None, [])"),
            ("GET /search/a%252Fb", "search(\"a%2Fb\", None, [])"),
            ("GET /search/caf%C3%A9", "search(\"café\", None, [])"),
            ("GET /search/a+b", "search(\"a+b\", None, [])"),
            ("GET /search?text=a+b", "search(\"a b\", None, [])"),
            ("GET /about%5Fus", "about_us()"),
            ("GET /search%2Fa", "404"),
        ],
    );
}

#[test]
fn only_an_ampersand_separates_parameters() {
    check(&ROOT, &[("GET /search?text=1;page=2", "search(\"1;page=2\", None, [])")]);
}

#[test]
fn the_rest_of_the_path_goes_to_segments() {
    check(
        &ROOT,
        &[
            ("GET /files/c/a/b", "files(\"c\", [\"a\", \"b\"])"),
            ("GET /files/c", "files(\"c\", [])"),
            ("GET /files/c/..%2F..", "files(\"c\", [\"../..\"])"),
            ("GET /files", "404 the parameter `volume` is missing"),
        ],
    );
}

#[test]
fn a_known_path_with_a_wrong_method_is_405() {
    check(
        &ROOT,
        &[
            ("POST /about_us", "about_us()"),
            ("HEAD /about_us", "about_us()"),
            ("PUT /about_us", "405 GET, HEAD, OPTIONS, POST"),
            ("OPTIONS /about_us", "405 GET, HEAD, OPTIONS, POST"),
            ("HEAD /read_only", "read_only()"),
            ("POST /read_only", "405 GET, HEAD, OPTIONS"),
            ("GET /edit", "edit_form()"),
            ("HEAD /edit", "edit_form()"),
            ("POST /edit?text=a", "edit_save(\"a\")"),
            ("DELETE /edit", "405 GET, HEAD, OPTIONS, POST"),
            ("PROPFIND /about_us", "405 GET, HEAD, OPTIONS, POST"),
            ("PUT /nothing", "404"),
        ],
    );
}

#[test]
fn a_resource_answers_by_method() {
    check(
        &ROOT,
        &[
            ("GET /song", "song.get(None)"),
            ("GET /song/", "song.get(None)"),
            ("GET /song/42", "song.get(Some(42))"),
            ("HEAD /song/42", "song.get(Some(42))"),
            ("GET /song?id=42", "song.get(Some(42))"),
            ("POST /song/42", "song.post(42)"),
            ("POST /song", "404 the parameter `id` is missing"),
            ("DELETE /song", "song.delete()"),
            ("DELETE /song/42", "405 GET, HEAD, OPTIONS, POST"),
            ("PUT /song/42", "405 GET, HEAD, OPTIONS, POST"),
            ("PUT /song", "405 DELETE, GET, HEAD, OPTIONS, POST"),
            ("OPTIONS /song/42", "405 GET, HEAD, OPTIONS, POST"),
            ("GET /song/42/x", "404"),
            ("GET /song/x", "404 the parameter `id` must be a whole number"),
            ("GET /song/newest", "song.newest()"),
            ("PUT /song/cover", "cover.put()"),
            ("GET /song/cover", "405 OPTIONS, PUT"),
            ("GET /song/get", "404 the parameter `id` must be a whole number"),
        ],
    );
}

#[test]
fn children_take_segments_and_go_on() {
    check(
        &ROOT,
        &[
            ("GET /user/42", "user(42).index()"),
            ("GET /user/42/orders", "user(42).orders(None)"),
            ("GET /user/42/orders/7", "user(42).orders(Some(7))"),
            ("GET /user/42/orders/7/8", "404"),
            ("GET /user/42/blog/2024", "blog.default(2024, None)"),
            ("GET /user/0", "404"),
            ("GET /user/x", "404 the parameter `id` must be a whole number"),
            ("GET /user", "404"),
            ("GET /user?id=42", "404"),
            ("GET /archive/2024", "archive(2024, None).index()"),
            ("GET /archive/2024/5", "archive(2024, Some(5)).index()"),
            ("GET /archive/2024/5/list", "archive(2024, Some(5)).list(None)"),
            ("GET /archive/2024/list?sort=up", "archive(2024, None).list(Some(\"up\"))"),
            ("GET /archive/list", "404 the parameter `year` must be a whole number from 0 to 65535"),
            ("GET /archive/2024?month=5", "archive(2024, None).index()"),
            ("GET /chapter/list?part=5&sort=up", "archive(1, None).list(Some(\"up\"))"),
            ("GET /asked?year=7", "archive(7, None).index()"),
        ],
    );
}

#[test]
fn a_default_child_takes_any_segment_that_nothing_else_takes() {
    check(
        &ROOT,
        &[
            ("GET /shop/top", "shelf(\"top\").index()"),
            ("GET /shop/top/prices", "shelf(\"top\").prices()"),
            ("GET /shop/cart", "shop.cart()"),
            ("PUT /shop/staff", "cover.put()"),
            ("GET /shop/staff/prices", "shelf(\"staff\").prices()"),
            ("GET /shop/cart/prices", "shelf(\"cart\").prices()"),
            ("GET /shop/default", "shelf(\"default\").index()"),
            ("GET /shop", "404"),
        ],
    );
}

#[test]
fn the_walk_backs_up_to_the_nearest_default() {
    check(
        &ROOT,
        &[
            ("GET /blog", "blog.index()"),
            ("GET /blog/feed", "blog.feed()"),
            ("GET /blog/2024", "blog.default(2024, None)"),
            ("GET /blog/2024/5", "blog.default(2024, Some(5))"),
            ("GET /blog/2024/5/6", "404"),
            ("GET /blog/feed/5", "404 the parameter `year` must be a whole number"),
            ("GET /blog/drafts/page", "hollow.page()"),
            ("GET /blog/drafts/x", "404 the parameter `year` must be a whole number"),
        ],
    );
    check(
        &CatchAll,
        &[
            ("GET /", "catch_all([])"),
            ("GET /a/b", "catch_all([\"a\", \"b\"])"),
            ("GET /page", "page()"),
            ("GET /page/1", "catch_all([\"page\", \"1\"])"),
            ("GET /hollow", "catch_all([\"hollow\"])"),
            ("GET /hollow/page", "hollow.page()"),
            ("GET /hollow/page/x", "catch_all([\"hollow\", \"page\", \"x\"])"),
            ("GET /blog/1", "blog.default(1, None)"),
            ("GET /blog/1/2/3", "catch_all([\"blog\", \"1\", \"2\", \"3\"])"),
        ],
    );
}

#[test]
fn only_exposed_methods_are_reachable() {
    check(
        &ROOT,
        &[
            ("GET /secret", "404"),
            ("GET /__class__/index?self=x", "404"),
            ("GET /call", "404"),
            ("GET /node", "404"),
            ("GET /describe", "404"),
            ("GET /edit_form", "404"),
            ("GET /song/id", "404 the parameter `id` must be a whole number"),
        ],
    );
}

#[test]
fn late_nodes_are_resolved_when_their_value_is_there() {
    check(
        &ROOT,
        &[
            ("GET /late/42", "song.get(Some(42))"),
            ("PUT /late/cover", "cover.put()"),
            ("GET /late/42/x", "404"),
            ("PUT /late/42", "405 GET, HEAD, OPTIONS, POST"),
            ("OPTIONS /late/42", "answered 204"),
            ("GET /tree", "tree.index()"),
            ("GET /tree/add/1/2", "tree.add(1, 2)"),
            ("GET /tree/add/1?b=2", "tree.add(1, 2)"),
            ("GET /tree/add/1/x", "404 the parameter `b` must be a whole number"),
            ("GET /tree/add/1/2/3", "404"),
            ("GET /tree/rest/a/b/c", "tree.rest([\"b\", \"c\"])"),
            ("POST /tree/song/1", "song.post(1)"),
        ],
    );
}

#[test]
fn parameters_come_from_a_form_too_and_are_400_when_missing_there() {
    let post = |target: &str, form: &str| {
        let fields = "Content-Type: application/x-www-form-urlencoded\r\n";
        answer(&ROOT, &mut exchange("POST", target, fields, form.as_bytes()))
    };
    assert_eq!(post("/add", "a=1&b=2"), "add(1, 2)");
    assert_eq!(post("/add?a=1", "a=5&b=2"), "add(1, 2)");
    assert_eq!(post("/add", "a=1"), "400 the parameter `b` is missing");
    assert_eq!(post("/add", "a=1&b=x"), "400 the parameter `b` must be a whole number");
}

#[test]
fn only_the_index_of_a_node_is_an_index() {
    for (target, expected) in
        [("/", true), ("/blog", true), ("/user/1/", true), ("/add", false), ("/song", false), ("/blog/1", false)]
    {
        let exchange = exchange("GET", target, "", b"");
        let mut trail = Trail::default();
        assert_eq!(resolve(&ROOT.describe(), &exchange.request, 0, &mut trail), Resolution::Found);
        assert_eq!(trail.is_index(), expected, "{target}");
    }
}

#[derive(Parameter)]
struct Id(u64);

struct Shapes;

#[resource]
impl Shapes {
    fn get(&self, id: Option<Id>) {
        let _ = id;
    }

    #[child]
    fn again(&self, id: Id) -> &Self {
        let _ = id;
        self
    }
}

#[test]
fn a_tree_is_listed_even_if_it_contains_itself() {
    let list = |root: &dyn Publish| -> Vec<String> {
        routes(&root.describe())
            .iter()
            .map(|route| format!("{} {}.{}", route.path, route.type_name, route.handler))
            .collect()
    };
    assert_eq!(list(&Shapes), ["/{id?} Shapes.get"]);
    assert_eq!(
        list(&Blog),
        ["/ Blog.index", "/{year}/{month?} Blog.default", "/feed Blog.feed", "/drafts/page Hollow.page"]
    );
    let all = list(&ROOT);
    for expected in [
        "/legal.html Root.about_us",
        "/files/{volume}/{path*} Root.files",
        "/user/{id}/orders/{number?} User.orders",
        "/shop/{shelf}/prices Shelf.prices",
        "/late/{*} dyn Publish.",
    ] {
        assert!(all.iter().any(|route| route == expected), "{expected} in {all:#?}");
    }
    let edit = routes(&ROOT.describe()).into_iter().find(|route| route.handler == "edit").expect("a route");
    assert_eq!(edit.methods, MethodSet::GET);
}
