//! The API as programs meet it.

use kirsch::testing::Client;
use serde_json::{Value, json};

fn client() -> Client {
    Client::in_process(skeleton_name::app().config_file("site.toml"))
}

#[test]
fn a_note_lives_from_post_to_delete() {
    let client = client();
    let made = client
        .post("/notes")
        .json(&json!({ "title": "Tea", "text": "two cups" }))
        .send();
    made.assert_status(201)
        .assert_header("location", "http://localhost/notes/1");
    let expected = json!({ "id": 1, "title": "Tea", "text": "two cups" });
    client.get("/notes/1").send().assert_json(&expected);
    client.get("/notes").send().assert_json(&json!([expected]));
    let changed = client
        .put("/notes/1")
        .json(&json!({ "title": "Coffee" }))
        .send();
    changed.assert_json(&json!({ "id": 1, "title": "Coffee", "text": null }));
    client.delete("/notes/1").send().assert_status(204);
    client
        .get("/notes/1")
        .send()
        .assert_status(404)
        .assert_header("content-type", "application/problem+json");
}

#[test]
fn what_is_wrong_is_said_by_field() {
    let problem = client().post("/notes").json(&json!({ "title": "" })).send();
    problem
        .assert_status(422)
        .assert_header("content-type", "application/problem+json");
    assert_eq!(
        problem.json::<Value>()["errors"]["title"],
        json!(["Please fill in this field."])
    );
}

#[test]
fn a_note_that_is_not_there_is_404() {
    client()
        .put("/notes/7")
        .json(&json!({ "title": "Tea" }))
        .send()
        .assert_status(404);
    client().delete("/notes/7").send().assert_status(404);
}
