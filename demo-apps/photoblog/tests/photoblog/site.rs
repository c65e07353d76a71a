//! The pages of readers.

use super::{HTML, JSON, album, blog, upload};
use kirsch::testing::Client;
use photoblog::Samples;

#[test]
fn the_first_start_shows_sample_photos() {
    let folder = tempfile::tempdir().expect("a folder");
    let client = Client::in_process(photoblog::app(folder.path(), Samples::WhereEmpty).expect("a blog"));
    let page = client.get("/").send();
    page.assert_status(200).assert_contains("Low sun").assert_contains("/album/hills-at-dusk");
    let picture = page.text().split("src=\"").nth(2).and_then(|part| part.split('"').next()).expect("a picture");
    client.get(picture).send().assert_status(200).assert_header("content-type", "image/jpeg");
    drop(client);
    let again = Client::in_process(photoblog::app(folder.path(), Samples::WhereEmpty).expect("the same blog"));
    let albums = again.get("/albums").header("Accept", JSON).send().json::<serde_json::Value>();
    assert_eq!(albums["albums"].as_array().map(Vec::len), Some(2));
}

#[test]
fn an_album_shows_its_photos_and_each_leads_to_the_next() {
    let blog = blog();
    blog.with_photos(&blog.author("anna"), &["one", "two", "three"]);
    let page = blog.client.get("/album/spring/").send();
    page.assert_contains("href=\"/photo/1/\"").assert_contains("srcset=\"").assert_contains("-1600.jpg 1600w");
    let second = blog.client.get("/photo/2/").send();
    second.assert_contains("rel=\"prev\" href=\"/photo/1/\"").assert_contains("rel=\"next\" href=\"/photo/3/\"");
    blog.client.get("/photo/1/").send().assert_lacks("rel=\"prev\"");
    blog.client.get("/photo/3/").send().assert_lacks("rel=\"next\"");
    blog.client.get("/photo/4/").send().assert_status(404);
}

#[test]
fn each_page_is_json_for_programs() {
    let blog = blog();
    blog.with_photos(&blog.author("anna"), &["one"]);
    assert_eq!(blog.json("/photo/1/")["photo"]["title"], "one");
    assert_eq!(blog.json("/album/spring/")["photos"][0]["id"], 1);
    assert_eq!(blog.json("/")["listed"]["photos"][0]["album_slug"], "spring");
    let page = blog.client.get("/photo/1/").header("Accept", HTML).send();
    page.assert_header("content-type", "text/html; charset=utf-8");
    assert!(page.header("vary").is_some_and(|vary| vary.to_lowercase().contains("accept")));
}

#[test]
fn search_tags_and_archive_find_a_photo() {
    let blog = blog();
    let anna = blog.author("anna");
    blog.with_photos(&anna, &["Kirschblüte", "Harbour"]);
    let form =
        anna.get("/desk/photo/1/").send().form("#photo").set("tags", "Spring, cherry").set("caption", "In Kyōto");
    form.submit().assert_contains("Saved.");
    for text in ["kirschblute", "KYOTO", "cher", "spring kirsch"] {
        let found = blog.json(&format!("/search?text={}", text.replace(' ', "+")));
        assert_eq!(found["photos"][0]["id"], 1, "{text}");
        assert_eq!(found["photos"].as_array().map(Vec::len), Some(1), "{text}");
    }
    blog.client.get("/tag/cherry").send().assert_contains("Kirschblüte").assert_lacks("Harbour");
    blog.client.get("/tags").send().assert_contains("href=\"/tag/spring\"");
    let month = blog.json("/archive/")["months"][0]["name"].as_str().expect("a month").replace('-', "/");
    blog.client.get(&format!("/archive/{month}/")).send().assert_contains("Harbour");
    for nowhere in ["/archive/2026/13/", "/archive/2026/0/", "/archive/1999/1/", "/archive/x/y/", "/tag/none"] {
        blog.client.get(nowhere).send().assert_status(404);
    }
}

#[test]
fn no_text_is_an_operator_of_the_search() {
    let blog = blog();
    blog.with_photos(&blog.author("anna"), &["one"]);
    for text in ["\"", "*", "a AND", "title:", "NEAR(", "'; DROP TABLE photo; --", "(", "-", "%", "", "OR"] {
        let answer = blog.client.get("/").send().form("/search").set("text", text).submit();
        answer.assert_status(200).assert_contains("<h1>Search</h1>");
    }
}

#[test]
fn drafts_are_for_authors() {
    let blog = blog();
    let anna = blog.author("anna");
    album(&anna, "Secret", false);
    upload(&anna, "/desk/album/1/", "hidden.jpg", &super::jpeg(30, 20)).assert_status(202);
    blog.work();
    blog.client.get("/").send().assert_lacks("hidden");
    blog.client.get("/album/secret/").send().assert_status(404);
    blog.client.get("/photo/1/").send().assert_status(404);
    blog.client.get("/search?text=hidden").send().assert_contains("No photo has these words.");
    anna.get("/desk/album/1/").send().assert_contains("value=\"hidden\"");
}

#[test]
fn a_page_that_has_not_changed_is_304() {
    let blog = blog();
    blog.with_photos(&blog.author("anna"), &["one"]);
    for path in ["/", "/album/spring/", "/photo/1/", "/tags"] {
        let tag = blog.client.get(path).send().header("etag").expect("a tag").to_owned();
        blog.client.get(path).header("If-None-Match", tag).send().assert_status(304);
    }
}

#[test]
fn germans_read_german_on_error_pages_and_at_the_login_too() {
    let blog = blog();
    let ask =
        |path: &str| blog.client.get(path).header("Accept", HTML).header("Accept-Language", "de-AT, en;q=0.5").send();
    let front = ask("/");
    front.assert_contains("<html lang=\"de\">").assert_contains("Neueste Fotos");
    assert!(front.header("vary").is_some_and(|vary| vary.to_lowercase().contains("accept-language")));
    ask("/nowhere").assert_status(404).assert_contains("Zurück zum Blog");
    ask("/login").assert_contains("<h1>Anmelden</h1>");
    blog.client.get("/").header("Accept-Language", "fr").send().assert_contains("<html lang=\"en\">");
}

#[test]
fn what_people_type_is_text() {
    let blog = blog();
    let anna = blog.author("anna");
    let attack = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)>";
    blog.with_photos(&anna, &["one"]);
    let form = anna.get("/desk/photo/1/").send().form("#photo");
    form.set("title", attack).set("caption", attack).set("tags", attack).submit().assert_contains("Saved.");
    for path in ["/", "/photo/1/", "/album/spring/", "/tags", "/desk/album/1/", "/desk/photo/1/"] {
        let page = anna.get(path).send();
        page.assert_status(200).assert_lacks("<script>alert").assert_lacks("<img src=x");
    }
    blog.client.get("/").send().form("/search").set("text", attack).submit().assert_lacks("<script>alert");
}

#[test]
fn pages_load_nothing_from_elsewhere_and_pictures_stay_for_a_year() {
    let blog = blog();
    blog.with_photos(&blog.author("anna"), &["one"]);
    let page = blog.client.get("/").send();
    assert!(page.header("content-security-policy").is_some_and(|policy| policy.starts_with("default-src 'self';")));
    let file = blog.json("/photo/1/")["photo"]["file"].as_str().expect("a file").to_owned();
    let picture = blog.client.get(&format!("/picture/{file}-320.jpg")).send();
    picture.assert_header("cache-control", "public, max-age=31536000, immutable");
    for name in [".making", "../photoblog.sqlite", "..%2Fphotoblog.sqlite", "%2e%2e/originals"] {
        blog.client.get(&format!("/picture/{name}")).send().assert_status(404);
    }
}
