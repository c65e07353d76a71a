//! What typed forms promise: all faults at once, values as they came, the same rules for forms, queries and JSON.

use crate::exchange::FieldInfo;
use crate::testing::{Client, FormData, TestResponse};
use crate::{App, Fault, Fields, Form, FormErrors, Json, Parameter, Query, Redirect, Upload, handlers};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::net::Ipv4Addr;

#[derive(Debug, Parameter)]
enum Meal {
    Lunch,
    Dinner,
}

#[derive(Debug, Fields)]
#[expect(dead_code, reason = "shown by Debug")]
struct Guest {
    #[field(length = 1..)]
    name: String,
    age: Option<u8>,
}

#[derive(Debug, Fields)]
#[expect(dead_code, reason = "shown by Debug")]
#[fields(check = dinner_needs_two)]
struct Booking {
    #[field(length = 1..=20)]
    title: String,
    #[field(range = 1..=99)]
    seats: u32,
    vegetarian: bool,
    meal: Option<Meal>,
    #[field(count = ..=2)]
    tags: Vec<String>,
    #[field(email, message = "We need an address to write to.")]
    contact: Option<String>,
    #[field(parse = "an address, such as 127.0.0.1", rename = "ip-address")]
    address: Option<Ipv4Addr>,
    #[field(count = ..=3)]
    guests: Vec<Guest>,
    #[field(verbatim, check = no_spaces_only)]
    password: Option<String>,
}

fn dinner_needs_two(booking: &Booking) -> Result<(), (&'static str, &'static str)> {
    match booking {
        Booking { meal: Some(Meal::Dinner), seats: 1, .. } => Err(("seats", "Dinner is for two or more.")),
        _ => Ok(()),
    }
}

fn no_spaces_only(password: &str) -> Result<(), &'static str> {
    if password.trim().is_empty() { Err("Blanks are no password.") } else { Ok(()) }
}

#[derive(Fields)]
struct Party {
    host: Option<Guest>,
}

#[derive(Fields)]
struct Photo {
    #[field(length = 1..=10)]
    title: String,
    picture: Upload,
    more: Vec<Upload>,
}

struct Pages;

#[handlers]
impl Pages {
    #[expose]
    fn form(&self, form: Result<Form<Booking>, FormErrors>) -> Result<String, FormErrors> {
        form.map(|Form(booking)| format!("{booking:?}"))
    }

    #[expose]
    fn json(&self, form: Result<Json<Booking>, FormErrors>) -> Result<String, FormErrors> {
        form.map(|Json(booking)| format!("{booking:?}"))
    }

    #[expose]
    fn query(&self, form: Result<Query<Guest>, FormErrors>) -> Result<String, FormErrors> {
        form.map(|Query(guest)| format!("{guest:?}"))
    }

    #[expose]
    fn one(&self, page: Result<u8, FormErrors>) -> Result<String, FormErrors> {
        page.map(|page| page.to_string())
    }

    #[expose]
    fn plain(&self, Form(guest): Form<Guest>) -> String {
        format!("{guest:?}")
    }

    #[expose]
    fn plain_json(&self, Json(guests): Json<Vec<Guest>>) -> String {
        format!("{guests:?}")
    }

    /// Reads a typed form by itself, in vain, as any handler may.
    #[expose]
    fn by_hand(&self) -> &'static str {
        if serde_json::from_str::<Guest>("{}").is_ok() { "read" } else { "refused" }
    }

    #[expose]
    fn untyped(&self, Form(numbers): Form<HashMap<String, u8>>) -> String {
        numbers.len().to_string()
    }

    #[expose]
    fn optional(&self, Form(party): Form<Party>) -> String {
        format!("{:?}", party.host)
    }

    #[expose]
    fn photo(&self, form: Result<Form<Photo>, FormErrors>) -> Result<String, FormErrors> {
        form.map(|Form(photo)| format!("{} {} {}", photo.title, photo.picture.size(), photo.more.len()))
    }

    #[expose]
    fn shown(&self, form: Result<Form<Booking>, FormErrors>) -> crate::Result<Redirect> {
        form.map_err(|errors| errors.page(|errors| json!(errors).to_string()))?;
        Ok(Redirect::to("/"))
    }
}

const BROWSER: &str = "text/html,application/xhtml+xml;q=0.9,*/*;q=0.8";

fn client() -> Client {
    Client::in_process(App::new(Pages))
}

fn sent(fields: &[(&str, &str)]) -> TestResponse {
    client().post("/form").form(fields).send()
}

/// The errors by field of an answer of 422.
#[track_caller]
fn errors(response: &TestResponse) -> Value {
    response.assert_status(422).assert_header("content-type", "application/problem+json");
    serde_json::from_str::<Value>(response.text()).expect("problem details")["errors"].clone()
}

#[test]
fn a_right_form_is_a_value() {
    let fields = [
        ("title", " Tea\r\n"),
        ("seats", " 2 "),
        ("vegetarian", "on"),
        ("meal", "lunch"),
        ("tags[]", "a"),
        ("tags[]", "b"),
        ("contact", ""),
        ("ip-address", "10.0.0.1"),
        ("guests[1][name]", "Ben"),
        ("guests[0].name", "Anna"),
        ("guests[0].age", "7"),
        ("password", " x "),
        ("csrf_token", "unknown fields are ignored"),
    ];
    sent(&fields).assert_status(200).assert_text(
        "Booking { title: \"Tea\", seats: 2, vegetarian: true, meal: Some(Lunch), tags: [\"a\", \"b\"], contact: None, \
         address: Some(10.0.0.1), guests: [Guest { name: \"Anna\", age: Some(7) }, Guest { name: \"Ben\", age: None }], \
         password: Some(\" x \") }",
    );
}

#[test]
fn all_faults_are_told_at_once() {
    let fields = [
        ("title", "  "),
        ("seats", "many"),
        ("meal", "tea"),
        ("tags", "a"),
        ("tags", "b"),
        ("tags", "c"),
        ("contact", "anna@"),
        ("ip-address", "here"),
        ("guests[0].name", ""),
        ("guests[0].age", "300"),
        ("password", "  \t"),
    ];
    let expected = json!({
        "title": ["Please fill in this field."],
        "seats": ["Must be a whole number from 1 to 99."],
        "meal": ["Must be one of `lunch`, `dinner`."],
        "tags": ["Must have at most 2 values."],
        "contact": ["We need an address to write to."],
        "ip-address": ["Must be an address, such as 127.0.0.1."],
        "guests[0].name": ["Please fill in this field."],
        "guests[0].age": ["Must be a whole number from 0 to 255."],
    });
    assert_eq!(errors(&sent(&fields)), expected);
}

#[test]
fn a_group_of_a_list_in_which_all_is_blank_is_passed_over() {
    let right = [("title", "Tea"), ("seats", "2")];
    let rows = [("guests[0].name", " "), ("guests[0].age", ""), ("guests[1].name", "Ben"), ("guests[2].name", "")];
    sent(&[right.as_slice(), &rows].concat()).assert_status(200).assert_contains("guests: [Guest { name: \"Ben\"");
    let half = [right.as_slice(), &rows, &[("guests[2].age", "7")]].concat();
    assert_eq!(errors(&sent(&half)), json!({"guests[2].name": ["Please fill in this field."]}));
}

#[test]
fn an_optional_group_in_which_all_is_blank_is_none() {
    let opened = |fields: &[(&str, &str)]| client().post("/optional").form(fields).send();
    opened(&[("host.name", ""), ("host.age", " "), ("hostess.name", "Ida")]).assert_text("None");
    opened(&[("host.name", "Ben"), ("host.age", "")]).assert_text("Some(Guest { name: \"Ben\", age: None })");
    assert_eq!(errors(&opened(&[("host.age", "7")])), json!({"host.name": ["Please fill in this field."]}));
}

#[test]
fn each_rule_has_its_sentence() {
    let table = [
        ([("title", "123456789012345678901"), ("seats", "1")], "title", "Must have 1 to 20 characters."),
        ([("title", "a"), ("seats", "0")], "seats", "Must be from 1 to 99."),
        ([("title", "a"), ("seats", "100")], "seats", "Must be from 1 to 99."),
        ([("title", "a"), ("seats", "-1")], "seats", "Must be a whole number from 1 to 99."),
        ([("title", "a"), ("seats", "")], "seats", "Please fill in this field."),
        ([("title", "a"), ("other", "")], "seats", "Please fill in this field."),
        ([("seats", "1"), ("other", "")], "title", "Please fill in this field."),
    ];
    for (fields, name, sentence) in table {
        assert_eq!(errors(&sent(&fields)), json!({name: [sentence]}), "{fields:?}");
    }
    sent(&[("title", "äöüäöüäöüäöüäöüäöüäö"), ("seats", "99")]).assert_status(200);
    let alone = [("title", "a"), ("seats", "1"), ("meal", "dinner")];
    assert_eq!(errors(&sent(&alone)), json!({"seats": ["Dinner is for two or more."]}));
}

#[test]
fn json_keeps_the_same_rules_and_its_own_types() {
    let send = |body: Value| client().post("/json").json(&body).send();
    let right = json!({"title": "Tea", "seats": 2, "vegetarian": true, "tags": ["a"], "guests": [{"name": "Anna", "age": null}]});
    send(right)
        .assert_status(200)
        .assert_contains("tags: [\"a\"]")
        .assert_contains("Guest { name: \"Anna\", age: None }");
    let wrong = json!({"title": 7, "seats": "2", "vegetarian": "on", "tags": "a", "guests": [{"age": 1.5}, 3]});
    let expected = json!({
        "title": ["Must be text."],
        "seats": ["Must be a whole number from 1 to 99."],
        "vegetarian": ["Must be `true` or `false`."],
        "tags": ["Must be a list."],
        "guests[0].name": ["Please fill in this field."],
        "guests[0].age": ["Must be a whole number from 0 to 255."],
        "guests[1]": ["Must be an object."],
    });
    assert_eq!(errors(&send(wrong)), expected);
    for body in [json!([]), json!(null), json!("x"), json!({})] {
        assert_eq!(errors(&send(body))["title"], json!(["Please fill in this field."]));
    }
    client().post("/json").header("Content-Type", "application/json").body("{").send().assert_status(400);
}

#[test]
fn queries_and_single_values_tell_their_faults_too() {
    client().get("/query?name=Anna&age=7").send().assert_text("Guest { name: \"Anna\", age: Some(7) }");
    assert_eq!(errors(&client().get("/query?age=x").send())["name"], json!(["Please fill in this field."]));
    client().get("/one?page=7").send().assert_text("7");
    let expected = json!({"page": ["Must be a whole number from 0 to 255."]});
    assert_eq!(errors(&client().get("/one?page=300").send()), expected);
    assert_eq!(errors(&client().get("/one").send()), json!({"page": ["Please fill in this field."]}));
}

#[test]
fn a_typed_form_keeps_its_rules_without_result() {
    client().post("/plain").form(&[("name", "Anna")]).send().assert_text("Guest { name: \"Anna\", age: None }");
    let refused = client().post("/plain").form(&[("name", ""), ("age", "x")]).send();
    let expected = json!({"name": ["Please fill in this field."], "age": ["Must be a whole number from 0 to 255."]});
    assert_eq!(errors(&refused), expected);
    client().post("/plain_json").json(&json!([{"name": "Anna"}])).send().assert_status(200);
    let refused = client().post("/plain_json").json(&json!([{"name": ""}])).send();
    assert_eq!(errors(&refused), json!({"name": ["Please fill in this field."]}));
    client().post("/plain_json").json(&json!("x")).send().assert_status(400);
}

#[test]
fn the_errors_of_a_form_that_a_handler_has_read_by_itself_go_to_no_other_request() {
    let client = client();
    client.get("/by_hand").send().assert_text("refused");
    let refused = client.post("/untyped").form(&[("a", "x")]).send();
    refused.assert_status(400).assert_contains("the form cannot be read").assert_lacks("name");
}

#[test]
fn files_are_fields() {
    let form = || FormData::new().field("title", "Sea");
    let with = form().file("picture", "a.jpg", "image/jpeg", b"abc").file("more", "b", "text/plain", b"");
    client().post("/photo").form_data(with).send().assert_text("Sea 3 1");
    let without = client().post("/photo").form_data(form()).send();
    assert_eq!(errors(&without), json!({"picture": ["Please fill in this field."]}));
}

#[test]
fn browsers_get_the_form_again_with_its_values_and_errors() {
    let fields = [("title", " <b> "), ("seats", "0"), ("guests[3].age", "x"), ("nobody.knows[1]", "y")];
    let page = client().post("/shown").form(&fields).header("Accept", BROWSER).send();
    page.assert_status(422);
    let shown: Value = serde_json::from_str(page.text()).expect("the page is JSON here");
    assert_eq!(shown["title"], json!({"value": " <b> ", "values": [" <b> "], "error": "", "groups": []}));
    assert_eq!(shown["seats"]["error"], "Must be from 1 to 99.");
    assert_eq!(shown["guests"]["groups"][0]["age"]["value"], "x");
    assert_eq!(shown["guests"]["groups"][0]["name"]["error"], "Please fill in this field.");
    assert_eq!(shown["guests"]["blank"]["name"]["value"], "");
    assert_eq!(shown["problems"][0], json!({"field": "seats", "message": "Must be from 1 to 99."}));
    client()
        .post("/shown")
        .form(&fields)
        .send()
        .assert_status(422)
        .assert_header("content-type", "application/problem+json");
    client().post("/shown").form(&[("title", "a"), ("seats", "1")]).send().assert_status(303);
}

#[test]
fn a_blank_form_has_all_fields_and_no_errors() {
    let blank = FormErrors::blank::<Booking>();
    assert!(blank.is_empty());
    let shown = json!(blank);
    for FieldInfo { name, .. } in Booking::FIELDS {
        assert_eq!(shown[name]["value"], "", "{name}");
    }
    assert_eq!(shown["problems"], json!([]));
}

#[test]
fn a_record_fills_its_fields_in_and_no_others() {
    let guests = json!([{"name": "Anna", "age": 7}, {"name": "Ben", "age": null}]);
    let record =
        json!({"title": "Tea", "seats": 2, "vegetarian": false, "tags": ["a", "b"], "guests": guests, "secret": "x"});
    let shown = json!(FormErrors::filled::<Booking>(&record).unwrap());
    assert_eq!((&shown["seats"]["value"], &shown["vegetarian"]["value"]), (&json!("2"), &json!("")));
    assert_eq!((&shown["tags"]["values"], &shown["problems"]), (&json!(["a", "b"]), &json!([])));
    assert_eq!(shown["guests"]["groups"][1]["name"]["value"], "Ben");
    assert!(!shown.to_string().contains("secret"));
    assert!(FormErrors::filled::<Booking>(&HashMap::from([(vec![1], 1)])).is_err());
}

#[test]
fn errors_of_the_application_and_translations_join_in() {
    let errors = FormErrors::blank::<Guest>().with("name", "This name is taken.").with("", "Please try again.");
    let german = errors.translated(|error| match error.fault() {
        Fault::Own(sentence) if sentence.contains("taken") => Some("Der Name ist vergeben.".to_owned()),
        _ => None,
    });
    assert_eq!(german.of_field("name").map(|error| error.message()).as_deref(), Some("Der Name ist vergeben."));
    assert_eq!(json!(german)["error"], "Please try again.");
    assert_eq!(german.to_string(), "`name`: Der Name ist vergeben. Please try again.");
}

#[test]
fn a_hostile_form_costs_no_more_than_its_bytes() {
    let names: Vec<String> = (0..20_000).map(|index| format!("guests[{index}].name")).collect();
    let mut fields: Vec<(&str, &str)> = names.iter().map(|name| (&**name, "x")).collect();
    let deep = "a".to_owned() + &".b".repeat(5_000) + &"[1]".repeat(5_000);
    fields.push((&deep, "x"));
    let page = client().post("/shown").form(&fields).header("Accept", BROWSER).send();
    page.assert_status(422).assert_contains("Must have at most 3 values.");
}

#[test]
fn what_is_known_of_a_field_is_known_before_a_request() {
    let [title, seats, vegetarian, ..] = Booking::FIELDS else { panic!("three fields or more") };
    assert_eq!((title.name, title.required, title.length), ("title", true, Some((1, 20))));
    assert_eq!((seats.min, seats.max), (Some("1"), Some("99")));
    assert!(!vegetarian.required && FieldInfo::any_file(Photo::FIELDS) && !FieldInfo::any_file(Booking::FIELDS));
}
