//! One site with every kind of argument and answer; its description is `golden.json`, which `bash check openapi` puts
//! to an independent validator. `GOLDEN=overwrite` writes it anew.

use crate::exchange::{FormErrors, HttpError};
use crate::testing::Client;
use crate::{
    App, Bytes, Error, Fields, Form, Json, Login, Parameter, Params, Query, Redirect, Request, Response, Segments,
    StatusCode, Stream, Text, Tree, Upload, handlers, resource,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::path::Path;

#[derive(Parameter)]
enum Order {
    Oldest,
    Newest,
}

#[derive(Parameter)]
struct SongId(u64);

/// A song as forms and programs bring it.
#[derive(Fields)]
struct NewSong {
    #[field(length = 1..=80)]
    title: String,
    #[field(range = 1..=600)]
    seconds: u32,
    order: Option<Order>,
    #[field(rename = "tag")]
    tags: Vec<String>,
    loud: bool,
    artist: Artist,
}

#[derive(Fields)]
struct Artist {
    name: String,
}

/// A song as it is answered.
#[derive(Serialize, Deserialize, JsonSchema)]
struct Song {
    /// Its number.
    id: u64,
    title: String,
    covers: Vec<Song>,
}

#[derive(Serialize, Deserialize)]
struct Plain {
    text: String,
}

#[derive(Deserialize, JsonSchema)]
struct Search {
    text: String,
    page: Option<u32>,
}

struct Site;

#[handlers]
impl Site {
    /// The front page.
    #[expose(get)]
    fn index(&self) -> &'static str {
        ""
    }

    /// Looks for songs.
    ///
    /// The text is looked for in titles and in names.
    #[expose(get)]
    fn search(&self, Query(search): Query<Search>, order: Option<Order>) -> Json<Vec<Song>> {
        let _ = (search.text, search.page, order.map(|order| matches!(order, Order::Oldest | Order::Newest)));
        Json(Vec::new())
    }

    #[expose]
    fn add(&self, a: i64, b: f64, round: bool, c: Vec<i8>) -> String {
        format!("{a} {b} {round} {c:?}")
    }

    #[expose(post)]
    fn photo(&self, title: Option<String>, photo: Upload, more: Vec<Upload>) -> Redirect {
        Redirect::to(format!("/{title:?}{}{}", photo.size(), more.len()))
    }

    #[expose(get)]
    fn files(&self, path: Segments) -> Option<Text<Stream>> {
        (path.iter().len() > 1).then(|| Text(Stream::new(["a"])))
    }

    #[expose(put)]
    fn raw(&self, content: Bytes, params: Params, request: &Request, response: &mut Response) {
        let _ = (content, params, request, response);
    }

    #[child]
    fn songs(&self) -> Songs {
        Songs
    }

    #[child]
    fn member(&self, name: String) -> Member {
        Member(name)
    }

    #[child]
    fn late(&self) -> Box<dyn crate::Publish> {
        Box::new(Tree::new())
    }
}

struct Songs;

#[handlers]
impl Songs {
    #[expose(get, name = "new")]
    fn blank(&self) -> Text<&'static str> {
        Text("")
    }

    /// Adds a song by a form.
    #[expose(post)]
    fn new(&self, form: Result<Form<NewSong>, FormErrors>) -> crate::Result<Redirect> {
        let Form(song) = form?;
        let _ = (song.title, song.seconds, song.order.is_some(), song.tags, song.loud, song.artist.name);
        Ok(Redirect::to("/songs/"))
    }

    #[child]
    fn default(&self, id: SongId) -> SongPage {
        SongPage(id.0)
    }
}

struct SongPage(u64);

#[resource]
impl SongPage {
    fn get(&self) -> Option<Json<Song>> {
        Some(Json(Song { id: self.0, title: String::new(), covers: Vec::new() }))
    }

    fn put(&self, song: Json<NewSong>) -> (StatusCode, Json<Song>) {
        (StatusCode::CREATED, Json(Song { id: self.0, title: song.0.title, covers: Vec::new() }))
    }

    fn patch(&self, change: Option<Json<Plain>>) -> Result<Json<Plain>, HttpError> {
        change.ok_or_else(|| HttpError::new(StatusCode::CONFLICT, "nothing to change"))
    }

    /// Forgets a song.
    fn delete(&self) -> StatusCode {
        StatusCode::NO_CONTENT
    }
}

struct Member(String);

#[resource]
impl Member {
    fn get(&self, login: &Login) -> String {
        format!("{} {}", self.0, login.name())
    }

    fn post(&self, text: String) -> impl crate::IntoResponse + use<> {
        text
    }
}

fn site() -> App {
    let by_hand = Tree::new().index(|_| Json([1])).page("item/{number}", |_| Ok::<_, Error>("item"));
    let app = App::new(Site).mount("/hand", App::new(by_hand));
    #[cfg(feature = "auth")]
    let app = app.tool("/member", crate::tools::AuthBasic::users("club", [("anna", "secret")]));
    app
}

fn described() -> Value {
    site().openapi().expect("a description").as_value().clone()
}

#[test]
#[cfg(feature = "auth")]
fn a_site_is_described_as_before() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/openapi/golden.json");
    let text = site().openapi().expect("a description").title("Songs").version("1.2").to_string() + "\n";
    if std::env::var_os("GOLDEN").is_some_and(|what| what == "overwrite") {
        std::fs::write(&path, &text).expect("the file can be written");
    }
    let golden = std::fs::read_to_string(&path).expect("the golden file");
    assert!(text == golden, "the description differs from golden.json; GOLDEN=overwrite writes it:\n{text}");
}

#[test]
fn what_must_be_there_is_in_the_path_and_a_form_may_bring_it() {
    let api = described();
    let names = |operation: &Value| {
        let list = operation["parameters"].as_array().cloned().unwrap_or_default();
        list.iter().map(|one| format!("{} {}", one["in"], one["name"]).replace('"', "")).collect::<Vec<_>>()
    };
    let paths = &api["paths"];
    assert_eq!(names(&paths["/add/{a}/{b}/{round}"]["get"]), ["path a", "path b", "path round", "query c"]);
    assert_eq!(paths["/add"].get("get"), None);
    let form = &paths["/add"]["post"]["requestBody"]["content"]["application/x-www-form-urlencoded"]["schema"];
    assert_eq!(form["required"], serde_json::json!(["a", "b", "round"]));
    assert_eq!(names(&paths["/search"]["get"]), ["query page", "query text", "query order"]);
}

#[test]
fn rules_of_fields_are_in_the_schema_and_breaking_them_is_422() {
    let api = described();
    let operation = &api["paths"]["/songs/{id}"]["put"];
    let schema = &operation["requestBody"]["content"]["application/json"]["schema"];
    assert_eq!(
        (&schema["properties"]["title"]["maxLength"], &schema["properties"]["seconds"]["maximum"]),
        (&80.into(), &600.into())
    );
    assert_eq!(schema["properties"]["order"]["enum"], serde_json::json!(["oldest", "newest"]));
    assert_eq!(operation["responses"]["422"]["$ref"], "#/components/responses/InvalidFields");
    assert_eq!(api["paths"]["/songs/{id}"]["patch"]["responses"].get("422"), None);
}

#[test]
fn a_type_that_nothing_is_known_of_is_any_json() {
    let api = described();
    let body = &api["paths"]["/songs/{id}"]["patch"]["requestBody"];
    assert_eq!(
        (&body["required"], &body["content"]["application/json"]["schema"]),
        (&false.into(), &serde_json::json!({}))
    );
}

#[test]
#[cfg(feature = "auth")]
fn a_part_with_a_login_says_so() {
    let api = described();
    let operation = &api["paths"]["/member/{name}"]["get"];
    assert_eq!(operation["security"], serde_json::json!([{ "auth_basic": [] }]));
    assert_eq!(operation["responses"]["401"]["$ref"], "#/components/responses/Unauthorized");
    assert_eq!(api["paths"]["/"]["get"].get("security"), None);
    assert_eq!(api["components"]["securitySchemes"]["auth_basic"]["scheme"], "basic");
}

#[test]
fn the_page_shows_every_operation_and_escapes_what_it_shows() {
    struct Hostile;
    #[handlers]
    impl Hostile {
        /// <script>alert(1)</script>
        #[expose(get)]
        fn index(&self) -> &'static str {
            ""
        }
    }
    let app = App::new(Hostile);
    let api = app.openapi().expect("a description").title("<b>");
    let client = Client::in_process(app.mount("/api", api));
    let page = client.get("/api/").send();
    page.assert_contains("&lt;script&gt;").assert_lacks("<script").assert_lacks("<b>&lt;").assert_contains("&lt;b&gt;");
    client.get("/api/openapi.css").send().assert_header("content-type", "text/css; charset=utf-8");
    let whole = Client::in_process(App::new(Tree::new()).mount("/api", site().openapi().expect("a description")));
    let page = whole.get("/api/").send().text().to_owned();
    let operations = described()["paths"]
        .as_object()
        .expect("paths")
        .values()
        .map(|item| item.as_object().expect("an item").len())
        .sum::<usize>();
    assert_eq!(page.matches("<h3>Answers</h3>").count(), operations);
}

#[test]
fn a_client_that_has_the_description_gets_a_304() {
    let client = Client::in_process(App::new(Tree::new()).mount("/api", site().openapi().expect("a description")));
    for path in ["/api/", "/api/openapi.json"] {
        let tag = client.get(path).send().header("etag").expect("a tag").to_owned();
        client.get(path).header("if-none-match", &tag).send().assert_status(304);
    }
}
