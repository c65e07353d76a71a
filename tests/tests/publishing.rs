//! What is published is reachable, and nothing else; parameters are checked before a handler runs.

use integration_tests::both;
use kirsch::{Method, prelude::*, testing::Client};

struct Site {
    users: Users,
}

#[handlers]
impl Site {
    #[expose]
    fn index(&self) -> &'static str {
        "front"
    }

    #[expose(alias = "welcome")]
    fn greet(&self, name: Option<String>) -> String {
        format!("Hello, {}!", name.as_deref().unwrap_or("World"))
    }

    #[expose]
    fn add(&self, a: i64, b: i64) -> String {
        (a + b).to_string()
    }

    #[expose]
    fn tags(&self, tag: Vec<String>) -> String {
        tag.join("+")
    }

    #[expose]
    fn rest(&self, first: String, rest: Segments) -> String {
        format!("{first}:{}", rest.0.join("|"))
    }

    #[expose]
    fn color(&self, color: Color) -> String {
        format!("{color:?}")
    }

    #[expose(post)]
    fn save(&self, text: String) -> String {
        format!("saved {text}")
    }

    #[child]
    fn user(&self, id: u64) -> kirsch::Result<User<'_>> {
        self.users.find(id)
    }

    #[expect(dead_code, reason = "the test shows that nobody can call it")]
    fn secret(&self) -> &'static str {
        "secret"
    }
}

#[derive(Debug, Parameter)]
enum Color {
    Red,
    DarkBlue,
}

struct Users {
    names: Vec<String>,
}

impl Users {
    fn find(&self, id: u64) -> kirsch::Result<User<'_>> {
        let index = usize::try_from(id).map_err(|_| Error::not_found())?;
        self.names.get(index).map(|name| User { name }).ok_or_else(Error::not_found)
    }
}

struct User<'u> {
    name: &'u str,
}

#[handlers]
impl User<'_> {
    #[expose]
    fn index(&self) -> String {
        self.name.to_owned()
    }

    #[expose]
    fn orders(&self, number: Option<u32>) -> String {
        format!("{}'s order {number:?}", self.name)
    }
}

fn site() -> App {
    App::new(Site { users: Users { names: vec!["Anna".to_owned(), "Ben".to_owned()] } })
}

#[test]
fn paths_lead_to_the_handlers_of_their_names() {
    both(site, |client| {
        client.get("/").send().assert_text("front");
        client.get("/index").send().assert_status(404);
        client.get("/greet").send().assert_text("Hello, World!");
        client.get("//greet").send().assert_text("Hello, World!");
        client.get("/welcome/Ben").send().assert_text("Hello, Ben!");
    });
}

// Promise 5: only exposed pages are reachable.
#[test]
fn a_method_that_is_not_exposed_is_not_found() {
    both(site, |client| {
        client.get("/secret").send().assert_status(404);
        client.get("/users").send().assert_status(404);
    });
}

#[test]
fn a_parameter_comes_from_the_path_or_the_query_or_the_form() {
    both(site, |client| {
        client.get("/add/1/2").send().assert_text("3");
        client.get("/add/1?b=2").send().assert_text("3");
        client.get("/add?b=2&a=1").send().assert_text("3");
        client.post("/add").form(&[("a", "1"), ("b", "2")]).send().assert_text("3");
    });
}

#[test]
fn a_missing_parameter_is_404_and_in_a_form_400_and_the_page_names_it() {
    both(site, |client| {
        client.get("/add/1").send().assert_status(404).assert_contains("b");
        client.post("/save").form(&[("other", "1")]).send().assert_status(400).assert_contains("text");
    });
}

#[test]
fn a_value_that_does_not_fit_is_400_and_in_the_path_404() {
    both(site, |client| {
        client.get("/add?a=1&b=two").send().assert_status(400).assert_contains("b");
        client.get("/add/1/two").send().assert_status(404);
    });
}

#[test]
fn a_segment_too_many_is_404() {
    both(site, |client| {
        client.get("/add/1/2/3").send().assert_status(404);
    });
}

#[test]
fn unknown_fields_are_ignored() {
    both(site, |client| {
        client.get("/add/1/2?utm_source=news").send().assert_text("3");
    });
}

#[test]
fn repeated_fields_become_a_list() {
    both(site, |client| {
        client.get("/tags?tag=a&tag=b").send().assert_text("a+b");
        client.get("/tags").send().assert_text("");
    });
}

#[test]
fn an_encoded_slash_stays_in_its_segment() {
    both(site, |client| {
        client.get("/rest/a%2Fb/c%20d/e").send().assert_text("a/b:c d|e");
    });
}

#[test]
fn an_enum_is_a_parameter() {
    both(site, |client| {
        client.get("/color/dark_blue").send().assert_text("DarkBlue");
        client.get("/color?color=pink").send().assert_status(400);
    });
}

#[test]
fn a_child_takes_segments_and_may_say_404() {
    both(site, |client| {
        client.get("/user/1/").send().assert_text("Ben");
        client.get("/user/0/orders/7").send().assert_text("Anna's order Some(7)");
        client.get("/user/9/orders").send().assert_status(404);
        client.get("/user/x/orders").send().assert_status(404);
    });
}

#[test]
fn a_wrong_method_is_405_with_allow() {
    both(site, |client| {
        client.get("/save?text=a").send().assert_status(405).assert_header("allow", "OPTIONS, POST");
        client
            .request(Method::PATCH, "/add/1/2")
            .send()
            .assert_status(405)
            .assert_header("allow", "GET, HEAD, OPTIONS, POST");
        client.request(Method::OPTIONS, "/save").send().assert_header("allow", "OPTIONS, POST");
    });
}

struct Returns;

#[derive(serde::Serialize, serde::Deserialize)]
struct Song {
    id: u32,
    title: String,
}

#[handlers]
impl Returns {
    #[expose]
    fn song(&self, id: u32) -> Json<Song> {
        Json(Song { id, title: "Kirsch".to_owned() })
    }

    #[expose]
    fn title(&self, song: Json<Song>) -> String {
        song.0.title
    }

    #[expose]
    fn nothing(&self) -> Option<&'static str> {
        None
    }

    #[expose]
    fn created(&self) -> (StatusCode, &'static str) {
        (StatusCode::CREATED, "made")
    }

    #[expose]
    fn elsewhere(&self) -> Redirect {
        Redirect::to("/song/1")
    }

    #[expose]
    fn bytes(&self) -> Vec<u8> {
        vec![0, 159, 146, 150]
    }

    #[expose]
    fn gone(&self) -> StatusCode {
        StatusCode::NO_CONTENT
    }
}

fn returns() -> App {
    App::new(Returns)
}

#[test]
fn json_goes_both_ways() {
    both(returns, |client| {
        let song = client.get("/song/7").send();
        song.assert_header("content-type", "application/json")
            .assert_json(&serde_json::json!({"id": 7, "title": "Kirsch"}));
        client.post("/title").json(&song.json::<Song>()).send().assert_text("Kirsch");
        client.post("/title").header("Content-Type", "application/json").body("{").send().assert_status(400);
    });
}

#[test]
fn the_return_value_decides_status_and_type() {
    both(returns, |client| {
        client.get("/nothing").send().assert_status(404);
        client.get("/created").send().assert_status(201).assert_text("made");
        client.get("/gone").send().assert_status(204).assert_text("");
        client.get("/bytes").send().assert_header("content-type", "application/octet-stream");
    });
}

#[test]
fn a_redirect_is_an_answer_until_the_client_follows_it() {
    both(returns, |client| {
        client.get("/elsewhere").send().assert_status(303);
        client.get("/elsewhere").follow_redirects().send().assert_status(200).assert_contains("Kirsch");
    });
}

#[test]
fn a_tree_is_built_by_hand_from_closures() {
    let tree = Tree::new().index(|_| "front").child("inner", Tree::new().index(|_| "inner"));
    let client = Client::in_process(App::new(tree));
    client.get("/").send().assert_text("front");
    client.get("/inner/").send().assert_text("inner");
    client.get("/outer").send().assert_status(404);
}
