//! Feeds and the Atom Publishing Protocol.

use super::{Blog, album, blog, jpeg, start};
use kirsch::testing::{Client, RequestBuilder, TestResponse};
use std::{cmp::Ordering, time::SystemTime};

/// `anna` and her password, as `AuthBasic` wants them.
const ANNA: &str = "Basic YW5uYTpjb3JyZWN0IGhvcnNl";
const ENTRY: &str = "application/atom+xml;type=entry";

fn entry(title: &str, inner: &str) -> String {
    format!(
        "<?xml version=\"1.0\"?><entry xmlns=\"http://www.w3.org/2005/Atom\" xmlns:app=\"http://www.w3.org/2007/app\">\
         <id>urn:x:1</id><title>{title}</title>{inner}</entry>"
    )
}

impl Blog {
    fn as_anna(&self, method: &str, path: &str) -> RequestBuilder {
        self.client.request(method.parse().expect("a method"), path).header("Authorization", ANNA)
    }

    fn add_story(&self, title: &str) -> TestResponse {
        let made = self.as_anna("POST", "/atom/stories").header("Content-Type", ENTRY).body(entry(title, "")).send();
        made.assert_status(201);
        made
    }

    fn add_media(&self, slug: &str, content: Vec<u8>) -> TestResponse {
        let post = self.as_anna("POST", "/atom/albums/1").header("Content-Type", "image/jpeg").header("Slug", slug);
        post.body(content).send()
    }
}

fn path_of(response: &TestResponse) -> String {
    let location = response.header("location").expect("a place");
    location.strip_prefix("http://localhost").expect("a whole address").to_owned()
}

/// The text of the first element of this name.
fn text_of<'t>(xml: &'t str, name: &str) -> &'t str {
    let after = xml.split(&format!("<{name}>")).nth(1).unwrap_or_else(|| panic!("no {name} in {xml}"));
    after.split("</").next().unwrap_or_default()
}

#[test]
fn the_service_document_is_public_and_names_the_collections() {
    let blog = blog();
    let anna = blog.author("anna");
    album(&anna, "Spring", true);
    album(&anna, "Hidden", false);
    let service = blog.client.get("/atom/service").send();
    service.assert_status(200).assert_header("content-type", "application/atomsvc+xml");
    service.assert_contains("href=\"http://localhost/atom/stories\"").assert_contains("<accept>image/jpeg</accept>");
    service.assert_contains("href=\"http://localhost/atom/albums/1\"").assert_lacks("Hidden");
    blog.as_anna("GET", "/atom/service").send().assert_contains("Hidden");
    blog.client.get("/atom/categories").send().assert_header("content-type", "application/atomcat+xml");
}

#[test]
fn writing_needs_a_login_by_basic_or_digest_and_shows_no_form() {
    let blog = blog();
    album(&blog.author("anna"), "Spring", true);
    for (method, path) in [
        ("POST", "/atom/stories"),
        ("PUT", "/atom/stories/1"),
        ("DELETE", "/atom/stories/1"),
        ("POST", "/atom/albums/1"),
        ("GET", "/atom/login"),
    ] {
        let request = blog.client.request(method.parse().expect("a method"), path).header("Accept", super::HTML);
        let refused = request.header("Content-Type", ENTRY).body(if method == "GET" { "" } else { "<entry/>" }).send();
        refused.assert_status(401);
        let offers: Vec<_> =
            refused.headers().filter(|(name, _)| *name == "www-authenticate").map(|(_, value)| value).collect();
        assert!(offers.iter().any(|offer| offer.starts_with("Basic realm=\"Cherry Light\"")), "{offers:?}");
        assert!(offers.iter().any(|offer| offer.starts_with("Digest") && offer.contains("SHA-256")), "{offers:?}");
    }
    blog.as_anna("GET", "/atom/login").send().assert_text("Hello, anna");
    // anna:wrong
    blog.client.get("/atom/login").header("Authorization", "Basic YW5uYTp3cm9uZw==").send().assert_status(401);
    // A browser that is logged in by its session is a stranger here.
    blog.author("anna").get("/atom/login").send().assert_status(401);
}

#[test]
fn an_entry_is_made_read_changed_and_deleted() {
    let blog = blog();
    let inner = "<content>By the &lt;sea&gt;.</content><x:place xmlns:x=\"urn:x\">pier</x:place>";
    let request = blog.as_anna("POST", "/atom/stories").header("Content-Type", ENTRY).header("Slug", "Am%20Meer!");
    let made = request.body(entry("The sea", inner)).send();
    made.assert_status(201).assert_contains("&lt;sea&gt;").assert_contains("<place xmlns=\"urn:x\">pier</place>");
    let (path, tag) = (path_of(&made), made.header("etag").expect("a tag").to_owned());
    assert_eq!(made.header("content-location"), made.header("location"));
    blog.client.get("/album/am-meer/").send().assert_status(200).assert_contains("<h1>The sea</h1>");
    let read = blog.client.get(&path).send();
    read.assert_header("etag", &tag).assert_contains("<app:edited>");
    assert_eq!(read.text(), made.text());

    let put = |tag: Option<&str>, body: &str| {
        let request = blog.as_anna("PUT", &path).header("Content-Type", ENTRY);
        let request = tag.into_iter().fold(request, |request, tag| request.header("If-Match", tag));
        request.body(body).send()
    };
    let changed = read.text().replace("The sea", "The lake");
    put(None, &changed).assert_status(428);
    let saved = put(Some(&tag), &changed);
    saved.assert_status(200).assert_contains("The lake").assert_contains("urn:x");
    put(Some(&tag), &changed).assert_status(412);
    let tag = saved.header("etag").expect("a tag");
    put(Some(tag), &changed.replace("/album/1<", "/album/2<")).assert_status(400);
    blog.as_anna("DELETE", &path).header("If-Match", "\"old\"").send().assert_status(412);
    blog.as_anna("DELETE", &path).header("If-Match", tag).send().assert_status(204);
    blog.client.get(&path).send().assert_status(404);
}

#[test]
fn what_is_no_entry_is_refused() {
    let blog = blog();
    let send = |content_type: &str, body: String| {
        blog.as_anna("POST", "/atom/stories").header("Content-Type", content_type).body(body).send()
    };
    send("text/plain", "hello".to_owned()).assert_status(415);
    send("application/atom+xml;type=feed", entry("t", "")).assert_status(415);
    send(ENTRY, "<entry/>".to_owned()).assert_status(400);
    send(ENTRY, entry("", "")).assert_status(400);
    send(ENTRY, entry("t", "<a>")).assert_status(400);
    send(ENTRY, format!("<!DOCTYPE x [<!ENTITY y 'z'>]>{}", entry("&y;", ""))).assert_status(400);
    send(ENTRY, entry("t", &"<b/>".repeat(20_000))).assert_status(400);
    send(ENTRY, entry("t", &"x".repeat(2 << 20))).assert_status(413);
    blog.client.get("/atom/stories").send().assert_lacks("<entry");
}

#[test]
fn drafts_are_shown_to_authors_alone() {
    let blog = blog();
    let draft = "<app:control><app:draft>yes</app:draft></app:control>";
    let request = blog.as_anna("POST", "/atom/stories").header("Content-Type", ENTRY);
    let made = request.body(entry("Secret", draft)).send();
    made.assert_status(201).assert_contains("<app:draft>yes</app:draft>");
    let path = path_of(&made);
    blog.client.get(&path).send().assert_status(404);
    blog.client.get("/atom/stories").send().assert_lacks("Secret");
    blog.as_anna("GET", &path).send().assert_status(200);
    blog.as_anna("GET", "/atom/stories").send().assert_contains("Secret");
    let tag = made.header("etag").expect("a tag");
    let request = blog.as_anna("PUT", &path).header("Content-Type", ENTRY).header("If-Match", tag);
    request.body(made.text().replace("<app:draft>yes", "<app:draft>no")).send().assert_status(200);
    blog.client.get(&path).send().assert_status(200).assert_lacks("app:draft");
}

#[test]
fn a_picture_makes_a_photo_and_its_entry() {
    let blog = blog();
    blog.add_story("Spring");
    let made = blog.add_media("K%C3%BCste <1>", jpeg(90, 60));
    made.assert_status(201).assert_contains("<title>Küste &lt;1&gt;</title>").assert_contains("rel=\"edit-media\"");
    made.assert_contains("<content type=\"image/jpeg\" src=\"http://localhost/picture/");
    blog.work();
    blog.client.get("/photo/1/").send().assert_contains("Küste");
    let path = path_of(&made);
    let body =
        made.text().replace("<summary type=\"text\">", "<category term=\"Coast\"/><summary type=\"text\">Low tide");
    let request = blog.as_anna("PUT", &path).header("Content-Type", ENTRY);
    let tag = made.header("etag").expect("a tag");
    let saved = request.header("If-Match", tag).body(body).send();
    saved.assert_status(200).assert_contains("Low tide").assert_contains("<category term=\"coast\"/>");
    blog.client.get("/tag/coast").send().assert_status(200);

    let media = format!("{path}/media");
    blog.client.get(&media).send().assert_status(401);
    let original = blog.as_anna("GET", &media).send();
    original.assert_header("content-type", "image/jpeg");
    assert_eq!(original.bytes(), jpeg(90, 60));
    let put = |tag: &str| {
        let request = blog.as_anna("PUT", &media).header("Content-Type", "image/jpeg");
        request.header("If-Match", tag).body(jpeg(60, 90)).send()
    };
    put(tag).assert_status(412);
    let tag = blog.as_anna("GET", &media).send().header("etag").expect("a tag").to_owned();
    let replaced = put(&tag);
    replaced.assert_status(204);
    blog.work();
    assert_eq!(blog.json("/photo/1/")["photo"]["height"], 90);
    assert_eq!(blog.client.get(&path).send().header("etag"), replaced.header("etag"));
    blog.as_anna("DELETE", &path).header("If-Match", &tag).send().assert_status(412);
    blog.as_anna("DELETE", &path).send().assert_status(204);
    blog.client.get("/photo/1/").send().assert_status(404);
}

#[test]
fn a_photo_that_is_deleted_takes_its_entry_along() {
    let blog = blog();
    blog.add_story("Spring");
    let path = path_of(&blog.add_media("one", jpeg(90, 60)));
    let media = format!("{path}/media");
    blog.client.delete(&media).send().assert_status(401);
    blog.as_anna("DELETE", &media).send().assert_status(204);
    for gone in [&path, &media] {
        blog.as_anna("GET", gone).send().assert_status(404);
        blog.as_anna("DELETE", gone).send().assert_status(404);
    }
    blog.as_anna("GET", "/atom/albums/1").send().assert_lacks("<entry>");
}

#[test]
fn a_slug_is_a_wish_in_any_script() {
    let blog = blog();
    for (wish, expected) in [
        ("Kirschbl%C3%BCte in K%C3%B6ln", "kirschblute-in-koln"),
        ("Kirschbl%C3%BCte in K%C3%B6ln", "kirschblute-in-koln-2"),
        ("%E6%97%A5%E6%9C%AC", "日本"),
        ("../../etc/passwd", "etc-passwd"),
        ("%2e%2e%2f%00%0d%0aX", "x"),
        ("100%", "100"),
        ("%FF%zz", "zz"),
    ] {
        let post = blog.as_anna("POST", "/atom/stories").header("Content-Type", ENTRY).header("Slug", wish);
        post.body(entry("t", "")).send().assert_status(201);
        let newest = blog.json("/albums")["albums"][0]["slug"].as_str().expect("a slug").to_owned();
        assert_eq!(newest, expected, "{wish}");
    }
}

#[test]
fn what_was_changed_last_is_first() {
    let blog = blog();
    let first = blog.add_story("First");
    blog.add_story("Second");
    let order = || {
        let feed = blog.client.get("/atom/stories").send().text().to_owned();
        let moments: Vec<_> = feed.split("<app:edited>").skip(1).filter_map(|part| part.split('<').next()).collect();
        assert!(moments.is_sorted_by(|first, second| first >= second), "{moments:?}");
        feed.find("First").cmp(&feed.find("Second"))
    };
    assert_eq!(order(), Ordering::Greater);
    // The moments are milliseconds: until the next one.
    let millisecond = || SystemTime::UNIX_EPOCH.elapsed().expect("a clock").as_millis();
    let written = millisecond();
    while millisecond() == written {}
    let put = blog.as_anna("PUT", &path_of(&first)).header("Content-Type", ENTRY);
    put.header("If-Match", first.header("etag").expect("a tag")).body(first.text()).send().assert_status(200);
    assert_eq!(order(), Ordering::Less);
}

#[test]
fn of_many_editors_at_once_one_wins() {
    let blog = blog();
    let story = blog.add_story("Mine");
    let (path, tag) = (path_of(&story), story.header("etag").expect("a tag").to_owned());
    let edit = |browser: Client| {
        let put = browser.request("PUT".parse().expect("a method"), &path).header("Authorization", ANNA);
        let put = put.header("Content-Type", ENTRY).header("If-Match", &tag).body(story.text());
        put.send().status().as_u16()
    };
    let mut answers: Vec<u16> = std::thread::scope(|scope| {
        let editors: Vec<_> = (0..8).map(|_| blog.client.new_browser()).collect();
        let editors: Vec<_> = editors.into_iter().map(|browser| scope.spawn(|| edit(browser))).collect();
        editors.into_iter().map(|editor| editor.join().expect("an answer")).collect()
    });
    answers.sort_unstable();
    assert_eq!(answers, [200, 412, 412, 412, 412, 412, 412, 412]);
}

#[test]
fn a_feed_is_another_one_when_the_moment_of_a_photo_comes() {
    let blog = blog();
    blog.with_photos(&blog.author("anna"), &["one", "later"]);
    let database = rusqlite::Connection::open(blog.folder.path().join("photoblog.sqlite")).expect("the database");
    let publish = |moment: &str| {
        database.execute("UPDATE photo SET published = ? WHERE id = 2", [moment]).expect("it is changed");
    };
    publish("2999-01-01T00:00:00Z");
    let feed = blog.client.get("/feed").send();
    feed.assert_lacks("later");
    // Time passes, and nobody changes anything.
    database.execute("DROP TRIGGER photo_changes", []).expect("it is dropped");
    database.execute("UPDATE photo SET published = '2026-01-01T00:00:00Z' WHERE id = 1", []).expect("it is changed");
    publish("2026-06-01T00:00:00Z");
    let again = blog.client.get("/feed").header("If-None-Match", feed.header("etag").expect("a tag")).send();
    again.assert_status(200).assert_contains("later");
}

#[test]
fn a_picture_that_is_too_large_is_refused_and_nothing_of_it_stays() {
    let blog = blog();
    blog.add_story("Spring");
    let mut large = jpeg(90, 60);
    large.resize(51 << 20, 0);
    blog.add_media("large", large).assert_status(413);
    assert!(blog.files("originals").is_empty());
}

#[test]
fn what_is_no_picture_is_refused() {
    let blog = blog();
    blog.add_story("Spring");
    blog.add_media("x", b"no picture".to_vec()).assert_status(415);
    let post = |content_type: &str| blog.as_anna("POST", "/atom/albums/1").header("Content-Type", content_type);
    post("text/html").body(jpeg(9, 9)).send().assert_status(415);
    post("application/atom+xml").body(entry("t", "")).send().assert_status(415);
    blog.as_anna("POST", "/atom/albums/7")
        .header("Content-Type", "image/jpeg")
        .body(jpeg(9, 9))
        .send()
        .assert_status(404);
}

#[test]
fn a_collection_has_pages_and_a_tag() {
    let blog = blog();
    for number in 0..45 {
        blog.add_story(&format!("Story {number}"));
    }
    let first = blog.client.get("/atom/stories").send();
    assert_eq!(first.text().matches("<entry>").count(), 20);
    first
        .assert_contains("rel=\"next\" href=\"http://localhost/atom/stories?page=2\"")
        .assert_lacks("rel=\"previous\"");
    let last = blog.client.get("/atom/stories?page=3").send();
    assert_eq!(last.text().matches("<entry>").count(), 5);
    last.assert_contains("rel=\"previous\"").assert_lacks("rel=\"next\"");
    blog.client.get("/atom/stories?page=4294967295").send().assert_status(200);
    let tag = first.header("etag").expect("a tag").to_owned();
    let again = |client: &Client| client.get("/atom/stories").header("If-None-Match", &tag).send();
    again(&blog.client).assert_status(304).assert_header("etag", &tag);
    blog.as_anna("GET", "/atom/stories").header("If-None-Match", &tag).send().assert_status(200);
    blog.add_story("One more");
    again(&blog.client).assert_status(200);
}

#[test]
fn readers_have_feeds_of_all_of_an_album_and_of_a_tag() {
    let blog = blog();
    let anna = blog.author("anna");
    blog.with_photos(&anna, &["one", "a & b"]);
    anna.get("/desk/photo/1/").send().form("#photo").set("tags", "sea").submit().assert_status(200);
    let feed = blog.client.get("/feed").send();
    feed.assert_status(200).assert_header("content-type", "application/atom+xml;type=feed;charset=utf-8");
    feed.assert_contains("<title>a &amp; b</title>").assert_contains("rel=\"enclosure\" type=\"image/jpeg\"");
    blog.client.get("/feed?tag=sea").send().assert_contains("<title>one</title>").assert_lacks("a &amp; b");
    blog.client.get("/feed?album=spring").send().assert_contains("<title>Cherry Light: Spring</title>");
    blog.client.get("/feed?album=none").send().assert_status(404);
    let tag = feed.header("etag").expect("a tag").to_owned();
    blog.client.get("/feed").header("If-None-Match", tag).send().assert_status(304);
    blog.client.get("/").send().assert_contains("type=\"application/atom+xml\"").assert_contains("rel=\"service\"");
}

#[test]
fn identifiers_stay_when_the_site_moves() {
    let blog = blog();
    blog.with_photos(&blog.author("anna"), &["one"]);
    let feed = |blog: &Blog, host: &str| blog.client.get("/feed").header("Host", host).send().text().to_owned();
    let (here, there) = (feed(&blog, "old.example"), feed(&blog, "new.example:8080"));
    assert_eq!(text_of(&here, "id"), text_of(&there, "id"));
    let photo = text_of(here.split("<entry>").nth(1).expect("an entry"), "id").to_owned();
    assert!(photo.starts_with("tag:photoblog.example,2026-11-30:") && !photo.contains("http"), "{photo}");
    let Blog { client, jobs, folder } = blog;
    drop((client, jobs));
    assert!(feed(&start(folder), "third.example").contains(&photo));
}

#[test]
fn twenty_writers_and_a_backup_never_meet_a_locked_database() {
    let blog = blog();
    let copy = blog.folder.path().join("copy.sqlite");
    std::thread::scope(|scope| {
        let write = |number: usize| {
            let browser = blog.client.new_browser();
            move || {
                let post = browser.post("/atom/stories").header("Authorization", ANNA).header("Content-Type", ENTRY);
                post.body(entry(&format!("Story {number}"), "")).send().assert_status(201);
            }
        };
        let writers: Vec<_> = (0..20).map(write).collect();
        for writer in writers {
            scope.spawn(writer);
        }
        let database = rusqlite::Connection::open(blog.folder.path().join("photoblog.sqlite")).expect("the database");
        database.execute("VACUUM INTO ?", [copy.to_str().expect("a path")]).expect("a backup");
    });
    let stories = blog.client.get("/atom/stories?page=1").send();
    assert_eq!(stories.text().matches("<entry>").count(), 20);
    stories.assert_lacks("rel=\"next\"");
    let database = rusqlite::Connection::open(copy).expect("the copy");
    let verdict: String = database.query_row("PRAGMA integrity_check", [], |row| row.get(0)).expect("an answer");
    assert_eq!(verdict, "ok");
}
