//! The pages of authors, with forms alone: as a browser without scripts.

use super::{HTML, JSON, album, blog, jpeg, start, upload, upload_all};
use serde_json::{Value, json};

#[test]
fn strangers_are_sent_to_the_login_and_back() {
    let blog = blog();
    let login = blog.client.new_browser().get("/desk/").header("Accept", HTML).follow_redirects().send();
    login.assert_contains("<h1>Log in</h1>");
    let wrong = login.form("#login").set("name", "anna").set("password", "wrong").submit();
    wrong.assert_status(401).assert_contains("role=\"alert\"");
    login.login("anna", "correct horse").assert_contains("<h1>Desk</h1>");
    for path in ["/desk/", "/desk/album/1/", "/desk/photo/1/"] {
        blog.client.get(path).send().assert_status(401);
    }
    blog.client.post("/desk/add_album").form(&[("title", "x")]).send().assert_status(401);
}

#[test]
fn an_upload_of_many_photos_waits_for_no_picture() {
    let blog = blog();
    let anna = blog.author("anna");
    let form = album(&anna, "Spring", true).form("#upload");
    let page = form.file("photos", "first_light.jpg", "image/jpeg", jpeg(40, 30)).submit();
    page.assert_contains("1 photo came.").assert_contains("value=\"first light\"").assert_contains("data-job=\"/jobs/");
    let photos = ["noon.png", "night.jpg"].map(|name| (name.to_owned(), jpeg(50, 30)));
    upload_all(&anna, "/desk/album/1/", photos).assert_status(202);
    blog.client.get("/photo/1/").send().assert_status(404);
    blog.work();
    blog.client.get("/photo/1/").send().assert_contains("first light");
    anna.get("/desk/album/1/").send().assert_lacks("data-job");
}

#[test]
fn a_form_brings_many_photos_and_names_those_that_are_refused() {
    let blog = blog();
    let anna = blog.author("anna");
    let form = album(&anna, "Spring", true).form("#upload");
    let form = form.file("photos", "a.jpg", "image/jpeg", jpeg(40, 30)).file("photos", "b.txt", "image/jpeg", "b");
    let form = form.file("photos", "../../c.jpg", "image/jpeg", jpeg(41, 30));
    let page = form.clone().submit();
    page.assert_contains("2 photos came.").assert_contains("b.txt: This is no photo.").assert_contains("value=\"c\"");
    let page = form.request().header("Accept-Language", "de").send();
    page.assert_contains("2 Fotos sind gekommen.").assert_contains("b.txt: Das ist kein Foto.");
    assert_eq!(blog.files("originals").len(), 2, "the same photos are kept once");
}

#[test]
fn of_two_authors_of_a_story_the_second_sees_both() {
    let blog = blog();
    let (anna, ben) = (blog.author("anna"), blog.author("ben"));
    album(&anna, "Spring", true);
    let late = ben.get("/desk/album/1/").send().form("#album").set("story", "Ben's words");
    anna.get("/desk/album/1/").send().form("#album").set("story", "Anna's words").submit().assert_contains("Saved.");
    let conflict = late.submit();
    conflict.assert_status(412).assert_contains("Anna&#39;s words").assert_contains("Ben&#39;s words");
    // A mistake does not hide it.
    let conflict = conflict.form("#album").set("title", "").set("version", "1").submit();
    conflict.assert_status(422).assert_contains("Anna&#39;s words");
    conflict.form("#album").set("title", "Spring").submit().assert_status(200).assert_contains("Saved.");
    assert_eq!(blog.json("/album/spring/")["album"]["story"], "Ben's words");
}

#[test]
fn an_album_goes_once_it_has_no_photos() {
    let blog = blog();
    let anna = blog.author("anna");
    let empty = album(&anna, "Empty", true).form("/desk/album/1/delete");
    upload(&anna, "/desk/album/1/", "one.jpg", &jpeg(40, 30)).assert_status(202);
    empty.clone().submit().assert_status(409).assert_contains("The album still has photos.");
    let token = empty.value("csrf_token").to_owned();
    anna.post("/desk/photo/1/delete").form(&[("csrf_token", &token)]).send().assert_status(303);
    empty.submit().assert_status(200).assert_contains("The album is gone.");
    blog.client.get("/album/empty/").send().assert_status(404);
}

#[test]
fn a_comment_is_shown_once_an_author_has_read_it() {
    let blog = blog();
    let anna = blog.author("anna");
    blog.with_photos(&anna, &["one"]);
    let form = blog.client.get("/photo/1/").send().form("#comment");
    let attack = "<script>alert(1)</script>\n'\"><img src=x onerror=alert(1)>";
    let said = form.set("name", "Rea <b>").set("text", attack).submit();
    said.assert_status(200).assert_contains("once an author has read it").assert_lacks("alert(1)");
    let desk = anna.get("/desk/").send();
    desk.assert_contains("&lt;script&gt;alert(1)").assert_lacks("<script>alert").assert_lacks("<img src=x");
    let press = |way: &str| {
        let token = desk.form("#new-album").value("csrf_token").to_owned();
        anna.post(&format!("/desk/comment/1/{way}")).form(&[("csrf_token", &token)]).follow_redirects().send()
    };
    blog.client.post("/desk/comment/1/approve").send().assert_status(401);
    press("approve").assert_status(200).assert_lacks("alert(1)");
    let page = blog.client.get("/photo/1/").send();
    page.assert_contains("Rea &lt;b&gt;").assert_contains("&lt;script&gt;alert(1)").assert_lacks("<script>alert");
    press("delete").assert_status(200);
    blog.client.get("/photo/1/").send().assert_lacks("alert(1)");
}

#[test]
fn comments_of_robots_and_floods_are_not_kept() {
    let blog = blog();
    let anna = blog.author("anna");
    blog.with_photos(&anna, &["one"]);
    let form = || blog.client.get("/photo/1/").send().form("#comment").set("name", "Rob").set("text", "Buy!");
    form().set("homepage", "http://spam.example").submit().assert_status(200).assert_contains("Thank you.");
    anna.get("/desk/").send().assert_lacks("Buy!");
    form().set("text", "").submit().assert_status(422).assert_contains("Please fill in this field.");
    form().set("text", &"x".repeat(2001)).submit().assert_status(422);
    form().request().header("Sec-Fetch-Site", "cross-site").send().assert_status(403);
    let last = (0..10).map(|_| form().submit().status()).find(|status| *status != 200);
    assert_eq!(last.map(|status| status.as_u16()), Some(429));
    // Authors are believed.
    let own = anna.get("/photo/1/").send().form("#comment").set("name", "Anna").set("text", "Thanks");
    own.request().header("X-Forwarded-For", "203.0.113.7").send().assert_status(200).assert_contains("Thanks");
}

#[test]
fn the_job_of_a_tile_leads_to_its_picture() {
    let blog = blog();
    let anna = blog.author("anna");
    album(&anna, "Spring", true);
    let answer = upload(&anna, "/desk/album/1/", "one.jpg", &jpeg(40, 30));
    answer.assert_status(202);
    assert_eq!(answer.json::<Value>(), json!({ "photos": [1] }));
    let page = anna.get("/desk/album/1/").send();
    let job =
        page.text().split("data-job=\"").nth(1).and_then(|part| part.split('"').next()).expect("a job").to_owned();
    assert_eq!(anna.get(&job).send().json::<Value>()["state"], "queued");
    blog.work();
    let picture = anna.get(&job).header("Prefer", "wait=20").follow_redirects().send();
    picture.assert_status(200).assert_header("content-type", "image/jpeg");
}

#[test]
fn of_two_authors_the_second_sees_both_texts() {
    let blog = blog();
    let (anna, ben) = (blog.author("anna"), blog.author("ben"));
    blog.with_photos(&anna, &["one"]);
    let late = ben.get("/desk/photo/1/").send().form("#photo").set("caption", "Ben's words");
    anna.get("/desk/photo/1/").send().form("#photo").set("caption", "Anna's words").submit().assert_contains("Saved.");
    let conflict = late.submit();
    conflict.assert_status(412).assert_contains("Anna&#39;s words").assert_contains("Ben&#39;s words");
    assert_eq!(blog.json("/photo/1/")["photo"]["caption"], "Anna's words");
    conflict.form("#photo").submit().assert_status(200).assert_contains("Saved.");
    assert_eq!(blog.json("/photo/1/")["photo"]["caption"], "Ben's words");
}

#[test]
fn the_script_gets_the_changed_photo_or_the_errors_by_field() {
    let blog = blog();
    let anna = blog.author("anna");
    blog.with_photos(&anna, &["one"]);
    let token = anna.get("/desk/").send().form("#new-album").value("csrf_token").to_owned();
    let send = |title: &str, version: &str| {
        let form = [("csrf_token", &*token), ("title", title), ("version", version), ("published", "on")];
        anna.post("/desk/photo/1/edit").header("Accept", JSON).form(&form).send()
    };
    let version = blog.json("/photo/1/")["photo"]["version"].to_string();
    let changed = send("Two", &version);
    changed.assert_status(200);
    assert_ne!(changed.json::<Value>()["version"].to_string(), version);
    send("Three", &version).assert_status(412);
    let wrong = send("", &version);
    wrong.assert_status(422);
    assert_eq!(wrong.json::<Value>()["errors"]["title"], json!(["Please fill in this field."]));
}

#[test]
fn the_order_is_changed_by_buttons() {
    let blog = blog();
    let anna = blog.author("anna");
    blog.with_photos(&anna, &["one", "two", "three"]);
    let token = anna.get("/desk/").send().form("#new-album").value("csrf_token").to_owned();
    let order = || -> Vec<i64> {
        let photos = blog.json("/album/spring/");
        photos["photos"].as_array().expect("a list").iter().filter_map(|photo| photo["id"].as_i64()).collect()
    };
    for (photo, way, expected) in [
        (3, "earlier", [1, 3, 2]),
        (3, "earlier", [3, 1, 2]),
        (3, "earlier", [3, 1, 2]),
        (1, "later", [3, 2, 1]),
        (1, "later", [3, 2, 1]),
    ] {
        let answer = anna.post(&format!("/desk/photo/{photo}/{way}")).form(&[("csrf_token", &token)]).send();
        let place = format!("/desk/album/1/#photo-{photo}");
        answer.assert_status(303);
        assert!(answer.header("location").is_some_and(|location| location.ends_with(&place)));
        assert_eq!(order(), expected);
    }
}

#[test]
fn a_photo_comes_back_from_the_basket() {
    let blog = blog();
    let anna = blog.author("anna");
    blog.with_photos(&anna, &["one"]);
    let token = anna.get("/desk/").send().form("#new-album").value("csrf_token").to_owned();
    let press = |way: &str| {
        anna.post(&format!("/desk/photo/1/{way}")).form(&[("csrf_token", &token)]).follow_redirects().send()
    };
    press("delete").assert_contains("You can take it back for ten minutes.").assert_contains("Take back");
    blog.client.get("/photo/1/").send().assert_status(404);
    press("restore").assert_contains("The photo is back.");
    blog.client.get("/photo/1/").send().assert_status(200);
}

#[test]
fn a_form_of_another_site_changes_nothing() {
    let blog = blog();
    let anna = blog.author("anna");
    blog.with_photos(&anna, &["one"]);
    anna.post("/desk/photo/1/delete").send().assert_status(403);
    let form = anna.get("/desk/photo/1/").send().form("#photo").set("title", "stolen");
    form.request().header("Sec-Fetch-Site", "cross-site").send().assert_status(403);
    assert_eq!(blog.json("/photo/1/")["photo"]["title"], "one");
}

#[test]
fn everything_is_there_after_a_restart() {
    let blog = blog();
    let anna = blog.author("anna");
    blog.with_photos(&anna, &["one"]);
    upload(&anna, "/desk/album/1/", "two.jpg", &jpeg(30, 50)).assert_status(202);
    let (folder, client) = (blog.folder, blog.client);
    drop((anna, client, blog.jobs));
    let again = start(folder);
    again.work();
    assert_eq!(again.json("/album/spring/")["photos"].as_array().map(Vec::len), Some(2));
}
