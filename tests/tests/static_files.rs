//! Files: folders and single files by tool, files from handlers; conditions, ranges, codings; files out of reach stay
//! out of reach.

use integration_tests::{both, resources::Resources, wait_until};
use kirsch::{Method, prelude::*, testing::Client, testing::TestResponse};
use std::{
    fs,
    os::unix::fs::{FileExt, symlink},
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, SystemTime},
};

/// A folder `public` in a place of its own.
struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Self {
        let place = Self(tempfile::tempdir().expect("room for files"));
        fs::create_dir(place.path("public")).expect("room for files");
        fs::write(place.path("secret"), "secret").expect("room for files");
        place
            .file("site.css", "body {}")
            .file("page.html", "<p>page</p>")
            .file("ten", "0123456789")
            .file("empty.txt", "")
    }

    fn file(self, name: &str, content: impl AsRef<[u8]>) -> Self {
        let path = self.path("public").join(name);
        fs::create_dir_all(path.parent().expect("a folder above")).expect("room for files");
        fs::write(path, content).expect("room for files");
        self
    }

    fn path(&self, below: &str) -> PathBuf {
        self.0.path().join(below)
    }

    fn dir(&self) -> StaticDir {
        StaticDir::new(self.path("public"))
    }

    fn app(&self) -> App {
        App::new(Tree::new().index(|_| "index").default(|_| "tree")).tool("/static", self.dir())
    }

    /// Over a socket, when the files have become old enough for strong tags.
    fn client(&self) -> Client {
        let client = Client::over_socket(self.app());
        settle(&client, "/static/ten");
        client
    }
}

fn settle(client: &Client, path: &str) {
    wait_until(|| client.get(path).send().header("etag").is_some_and(|etag| !etag.starts_with("W/")));
}

fn range(client: &Client, value: &str) -> TestResponse {
    client.get("/static/ten").header("range", value).send()
}

#[test]
fn files_have_type_length_and_validators() {
    let place = Place::new();
    both(
        || place.app(),
        |client| {
            let file = client.get("/static/site.css").send();
            file.assert_status(200).assert_text("body {}").assert_header("content-type", "text/css; charset=utf-8");
            file.assert_header("content-length", "7").assert_header("accept-ranges", "bytes");
            file.assert_header("x-content-type-options", "nosniff").assert_no_header("set-cookie");
            assert!(file.header("etag").is_some() && file.header("last-modified").is_some());
            let head = client.head("/static/site.css").send();
            head.assert_status(200).assert_header("content-length", "7").assert_text("");
            client
                .get("/static/empty.txt")
                .send()
                .assert_status(200)
                .assert_text("")
                .assert_header("content-length", "0");
        },
    );
}

#[test]
fn a_missing_file_falls_through_or_is_404() {
    let place = Place::new();
    place.client().get("/static/nothing.css").send().assert_text("tree");
    let strict = App::new(Tree::new().default(|_| "tree")).tool("/static", place.dir().fallthrough(false));
    Client::in_process(strict).get("/static/nothing.css").send().assert_status(404);
    let bare = Client::in_process(App::new(Tree::new()).tool("/static", place.dir()));
    bare.get("/static/nothing.css").send().assert_status(404);
    bare.get("/static/ten").send().assert_status(200);
}

#[test]
fn other_methods_than_get_and_head_are_405_unless_a_handler_answers() {
    let place = Place::new();
    let bare = Client::in_process(App::new(Tree::new()).tool("/static", place.dir()));
    bare.post("/static/ten").send().assert_status(405).assert_header("allow", "GET, HEAD, OPTIONS");
    bare.delete("/static/nothing").send().assert_status(404);
    let options = bare.request(Method::OPTIONS, "/static/ten").send();
    options.assert_status(204).assert_header("allow", "GET, HEAD, OPTIONS");
    place.client().post("/static/ten").send().assert_text("tree");
}

#[test]
fn a_folder_whose_name_starts_alike_is_out_of_reach() {
    let place = Place::new();
    fs::create_dir(place.path("public-secret")).unwrap();
    fs::write(place.path("public-secret/key"), "secret").unwrap();
    let client = place.client();
    for path in [
        "/static/../public-secret/key",
        "/static/-secret/key",
        "/static-secret/key",
        "/static/%2e%2e/public-secret/key",
    ] {
        client.get(path).send().assert_lacks("secret");
    }
}

#[test]
fn nothing_leads_out_of_the_folder() {
    let place = Place::new();
    symlink("../secret", place.path("public/out")).unwrap();
    symlink(place.path("secret"), place.path("public/absolute")).unwrap();
    symlink("ten", place.path("public/within")).unwrap();
    let client = place.client();
    for path in [
        "/static/../secret",
        "/static/..%2fsecret",
        "/static/%2e%2e/secret",
        "/static/%2e%2e%2fsecret",
        "/static/%252e%252e/secret",
        "/static/..%5csecret",
        "/static/..\\secret",
        "/static/%5c..%5csecret",
        "/static/./../secret",
        "/static/x/../../secret",
        "/static/ten/../../secret",
        "/static//secret",
        "/static/%2fetc/hostname",
        "/static//etc/hostname",
        "/static/secret%00.css",
        "/static/out",
        "/static/absolute",
        "/static/%c0%ae%c0%ae/secret",
        "/static/..;/secret",
        "/static/C:%5csecret",
    ] {
        let mut raw = client.raw();
        raw.send(format!("GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"));
        let answer = String::from_utf8_lossy(&raw.read_to_end()).into_owned();
        assert!(!answer.contains("\r\n\r\nsecret") && !answer.contains(" 500 "), "{path}: {answer}");
    }
    client.get("/static/within").send().assert_text("0123456789");
}

#[test]
fn a_path_is_decoded_once() {
    let place = Place::new().file("100%25.txt", "percent").file("a b.txt", "space").file("ü.txt", "umlaut");
    let client = place.client();
    client.get("/static/100%2525.txt").send().assert_text("percent");
    client.get("/static/100%25.txt").send().assert_text("tree");
    client.get("/static/a%20b.txt").send().assert_text("space");
    client.get("/static/%C3%BC.txt").send().assert_text("umlaut");
    client.get("/static/%74en").send().assert_text("0123456789");
}

#[test]
fn hidden_files_are_served_only_when_asked_for() {
    let place =
        Place::new().file(".env", "password").file(".git/config", "remote").file(".well-known/security.txt", "contact");
    let client = place.client();
    client.get("/static/.env").send().assert_text("tree");
    client.get("/static/.git/config").send().assert_text("tree");
    client.get("/static/.well-known/security.txt").send().assert_text("contact");
    let open = Client::in_process(App::new(Tree::new()).tool("/static", place.dir().hidden(true)));
    open.get("/static/.env").send().assert_text("password");
    open.get("/static/..").send().assert_status(404);
}

#[test]
fn a_stale_if_range_gets_the_whole_file() {
    let place = Place::new();
    let client = place.client();
    let whole = client.get("/static/ten").send();
    let (etag, date) = (whole.header("etag").unwrap(), whole.header("last-modified").unwrap());
    let ask =
        |validator: &str| client.get("/static/ten").header("range", "bytes=2-3").header("if-range", validator).send();
    ask(etag).assert_status(206).assert_text("23");
    ask("\"stale\"").assert_status(200).assert_text("0123456789");
    ask(&format!("W/{etag}")).assert_status(200);
    ask("Sun, 06 Nov 1994 08:49:37 GMT").assert_status(200);
    wait_until(|| ask(date).status() == StatusCode::PARTIAL_CONTENT);
}

#[test]
fn conditions_are_answered_without_content() {
    let place = Place::new();
    let client = place.client();
    let whole = client.get("/static/ten").send();
    let (etag, date) = (whole.header("etag").unwrap(), whole.header("last-modified").unwrap());
    let ask = |name: &str, value: &str| client.get("/static/ten").header(name, value).send();
    let not_modified = ask("if-none-match", etag);
    not_modified.assert_status(304).assert_text("").assert_header("etag", etag).assert_no_header("content-type");
    ask("if-none-match", "\"other\"").assert_status(200);
    ask("if-modified-since", date).assert_status(304);
    ask("if-modified-since", "Sun, 06 Nov 1994 08:49:37 GMT").assert_status(200);
    ask("if-match", "\"other\"").assert_status(412);
    ask("if-unmodified-since", "Sun, 06 Nov 1994 08:49:37 GMT").assert_status(412);
    client.head("/static/ten").header("if-none-match", etag).send().assert_status(304);
    let both = client.get("/static/ten").header("if-none-match", "\"other\"").header("if-modified-since", date).send();
    both.assert_status(200).assert_text("0123456789");
}

#[test]
fn ranges_single_several_and_impossible() {
    let place = Place::new();
    let client = place.client();
    range(&client, "bytes=2-4").assert_status(206).assert_text("234").assert_header("content-range", "bytes 2-4/10");
    range(&client, "bytes=-3").assert_status(206).assert_text("789").assert_header("content-length", "3");
    range(&client, "bytes=8-").assert_status(206).assert_text("89");
    range(&client, "bytes=10-").assert_status(416).assert_header("content-range", "bytes */10");
    range(&client, "x").assert_status(200).assert_text("0123456789");
    range(&client, "bytes=0-0,0-0,0-0").assert_status(206).assert_text("0");
    let many = format!("bytes={}", vec!["0-"; 1000].join(","));
    range(&client, &many).assert_status(200).assert_header("content-length", "10");
    client.head("/static/ten").header("range", "bytes=2-4").send().assert_status(200);
    let several = range(&client, "bytes=0-1, 8-9");
    let boundary = several.header("content-type").unwrap().strip_prefix("multipart/byteranges; boundary=").unwrap();
    several
        .assert_status(206)
        .assert_no_header("content-range")
        .assert_header("content-length", &several.bytes().len().to_string());
    let part = |range: &str, text: &str| {
        format!(
            "--{boundary}\r\nContent-Type: application/octet-stream\r\nContent-Range: bytes {range}/10\r\n\r\n{text}\r\n"
        )
    };
    several.assert_text(&format!("{}{}--{boundary}--\r\n", part("0-1", "01"), part("8-9", "89")));
}

#[test]
fn a_range_of_a_huge_file_costs_no_memory() {
    const HUGE: u64 = 4 << 30;
    let place = Place::new();
    let huge = fs::File::create(place.path("public/huge.mp4")).unwrap();
    huge.set_len(HUGE).unwrap();
    huge.write_all_at(b"end", HUGE - 3).unwrap();
    let client = place.client();
    let last = client.get("/static/huge.mp4").header("range", "bytes=-3").send();
    last.assert_status(206).assert_text("end").assert_header("content-range", "bytes 4294967293-4294967295/4294967296");
    let memory = || Resources::of_this_process().memory;
    let before = memory();
    let mut rest = client.get("/static/huge.mp4").header("range", "bytes=1073741824-").send_streaming();
    assert_eq!(rest.header("content-length"), Some("3221225472"));
    assert!(rest.next().is_some_and(|piece| piece.iter().all(|byte| *byte == 0)));
    // In KiB; other tests run at the same time, but none takes a gigabyte.
    assert!(memory() < before + (1 << 20), "the file was read into memory");
}

#[test]
fn ranges_of_content_that_cannot_be_cut_are_ignored() {
    let tree = Tree::new()
        .page("stream", |_| ([(kirsch::header::ACCEPT_RANGES, "bytes")], Stream::new(["one", "two"])))
        .page("bytes", |_| ([(kirsch::header::ACCEPT_RANGES, "bytes")], "onetwo"))
        .page("plain", |_| "onetwo");
    let client = Client::over_socket(App::new(tree));
    client.get("/stream").header("range", "bytes=1-2").send().assert_status(200).assert_text("onetwo");
    client.get("/plain").header("range", "bytes=1-2").send().assert_status(200).assert_text("onetwo");
    client.get("/bytes").header("range", "bytes=1-2").send().assert_status(206).assert_text("ne");
}

#[test]
fn a_folder_redirects_to_its_slash_then_shows_its_index() {
    let place = Place::new().file("docs/index.html", "documents").file("bare/file", "");
    let app = App::new(Tree::new()).tool("/static", place.dir());
    let client = Client::over_socket(app);
    client.get("/static/docs").send().assert_status(301).assert_header("location", "/static/docs/");
    client.head("/static/docs?a=b").send().assert_status(301).assert_header("location", "/static/docs/?a=b");
    client
        .get("/static/docs/")
        .send()
        .assert_text("documents")
        .assert_header("content-type", "text/html; charset=utf-8");
    client.get("/static//docs//").send().assert_text("documents");
    client.get("/static/bare").send().assert_status(404);
    client.get("/static/bare/").send().assert_status(404);
    client.get("/static").send().assert_status(404);
    client.get("/static/ten/").send().assert_status(404);
}

#[test]
fn the_folder_of_the_whole_site_and_pages_of_the_tree_live_together() {
    let place = Place::new().file("index.html", "front").file("docs/index.html", "documents");
    let tree = Tree::new().index(|_| "index").page("docs", |_| "page").page("other", |_| "other");
    let client = Client::over_socket(App::new(tree).tool("/", place.dir()));
    client.get("/").send().assert_text("front");
    client.get("/other").send().assert_text("other");
    client.get("/docs").send().assert_text("page");
    client.get("/docs/").send().assert_status(301).assert_header("location", "/docs");
    client.get("/site.css").send().assert_text("body {}");
    client.get("//evil.com/..").send().assert_status(404);
}

#[test]
fn no_file_stays_open_after_aborted_downloads_heads_and_304s() {
    let place = Place::new().file("large.bin", vec![0; 8 << 20]);
    let client = place.client();
    settle(&client, "/static/large.bin");
    let etag = client.head("/static/large.bin").send().header("etag").unwrap().to_owned();
    let open = || open_files(&place.path("public"));
    for _ in 0..100 {
        let mut raw = client.raw();
        raw.send("GET /static/large.bin HTTP/1.1\r\nHost: a\r\n\r\n");
        raw.read_response_to_head();
        raw.reset();
        client.head("/static/large.bin").send().assert_status(200);
        client.get("/static/large.bin").header("if-none-match", &etag).send().assert_status(304);
    }
    // The folder itself stays.
    wait_until(|| open() <= 1);
}

/// How many descriptors of this process lead below `folder`.
fn open_files(folder: &Path) -> usize {
    let descriptors = fs::read_dir("/proc/self/fd").expect("proc is mounted").filter_map(Result::ok);
    descriptors.filter(|entry| fs::read_link(entry.path()).is_ok_and(|target| target.starts_with(folder))).count()
}

#[test]
fn the_length_is_that_of_the_sent_content() {
    let place = Place::new().file("a.js", "x".repeat(1000)).file("a.js.gz", "gzip").file("a.js.br", "brotli");
    let client = place.client();
    for (accept, expected) in [("", 1000), ("gzip", 4), ("gzip, br", 6), ("gzip;q=0, br;q=0", 1000)] {
        for (range, part) in [("bytes=0-", true), ("lines=1", false)] {
            let ask = |method| {
                client.request(method, "/static/a.js").header("accept-encoding", accept).header("range", range).send()
            };
            let (get, head) = (ask(Method::GET), ask(Method::HEAD));
            assert_eq!(get.bytes().len(), expected, "{accept}");
            get.assert_header("content-length", &expected.to_string()).assert_status(if part { 206 } else { 200 });
            head.assert_header("content-length", &expected.to_string()).assert_status(200).assert_text("");
        }
    }
}

#[test]
fn compressed_siblings_have_their_own_tags_and_are_never_older() {
    let place = Place::new()
        .file("a.js", "x".repeat(1000))
        .file("a.js.gz", "gzip")
        .file("photo.png", "png")
        .file("photo.png.gz", "gzip");
    let client = place.client();
    settle(&client, "/static/a.js");
    let plain = client.get("/static/a.js").send();
    plain.assert_header("vary", "Accept-Encoding").assert_no_header("content-encoding");
    let ask = |path: &str| client.get(path).header("accept-encoding", "gzip, br;q=0.5").send();
    let gzip = ask("/static/a.js");
    gzip.assert_text("gzip").assert_header("content-encoding", "gzip").assert_header("vary", "Accept-Encoding");
    gzip.assert_header("content-type", "text/javascript; charset=utf-8");
    assert_ne!(plain.header("etag"), gzip.header("etag"));
    let stale =
        client.get("/static/a.js").header("range", "bytes=0-1").header("if-range", gzip.header("etag").unwrap()).send();
    stale.assert_status(200).assert_header("content-length", "1000");
    ask("/static/photo.png").assert_text("png").assert_no_header("vary");
    let old = fs::File::options().write(true).open(place.path("public/a.js.gz")).unwrap();
    old.set_modified(SystemTime::now() - Duration::from_secs(3600)).unwrap();
    ask("/static/a.js").assert_no_header("content-encoding").assert_header("content-length", "1000");
}

#[test]
fn files_that_are_compressed_on_the_way_have_validators_and_ranges_that_fit() {
    let place = Place::new().file("long.txt", "0123456789".repeat(1000));
    let client = Client::over_socket(App::new(Tree::new()).tool("/", tools::Gzip::new()).tool("/static", place.dir()));
    settle(&client, "/static/long.txt");
    let ask = |name: &str, value: &str| {
        client.get("/static/long.txt").header("accept-encoding", "gzip").header(name, value).send()
    };
    let gzip = ask("x-none", "");
    gzip.assert_header("content-encoding", "gzip")
        .assert_header("vary", "Accept-Encoding")
        .assert_no_header("accept-ranges");
    let tag = gzip.header("etag").unwrap();
    assert_ne!(Some(tag), client.get("/static/long.txt").send().header("etag"));
    ask("if-none-match", tag).assert_status(304).assert_header("etag", tag).assert_header("vary", "Accept-Encoding");
    let part = ask("range", "bytes=1-3");
    part.assert_status(206).assert_text("123").assert_no_header("content-encoding");
    client.get("/static/long.txt").send().assert_header("content-length", "10000");
    let head = client.head("/static/long.txt").header("accept-encoding", "gzip").send();
    head.assert_status(200).assert_header("etag", tag).assert_text("");
}

#[test]
fn a_sibling_that_comes_later_is_noticed() {
    let place = Place::new();
    let client = place.client();
    let ask = || client.get("/static/site.css").header("accept-encoding", "br, gzip").send();
    ask().assert_text("body {}");
    let _place = place.file("site.css.br", "brotli");
    ask().assert_text("brotli").assert_header("content-encoding", "br");
}

#[test]
fn downloads_carry_their_name() {
    let place = Place::new();
    let path = place.path("public/ten");
    let tree = Tree::new().page("download/{name}", move |call| -> kirsch::Result<File> {
        let name: String = call.parameter("name")?;
        kirsch::serve_download(&path, &name)
    });
    let client = Client::over_socket(App::new(tree));
    let file = client.get("/download/na%C3%AFve%22.txt").send();
    file.assert_header(
        "content-disposition",
        "attachment; filename=\"na_ve\\\".txt\"; filename*=UTF-8''na%C3%AFve%22.txt",
    );
    file.assert_text("0123456789");
    client.get("/download/a").header("range", "bytes=1-2").send().assert_status(206).assert_text("12");
    client.get("/download/a%0D%0AX:%20y").send().assert_no_header("x");
}

#[test]
fn a_file_from_a_handler_that_is_not_there_is_404() {
    let place = Place::new();
    let (folder, other) = (place.path("public"), place.path("public"));
    symlink("../secret", place.path("public/out")).unwrap();
    let tree = Tree::new()
        .page("open/{name}", move |call| File::open(other.join(call.parameter::<String>("name")?)))
        .page("below/{name}", move |call| File::open_below(&folder, &call.parameter::<String>("name")?));
    let client = Client::over_socket(App::new(tree));
    client.get("/open/nothing").send().assert_status(404);
    client.get("/open/.").send().assert_status(404);
    client.get("/open/ten").send().assert_text("0123456789");
    client.get("/below/ten").send().assert_text("0123456789");
    for name in ["nothing", "out", "..%2Fsecret", "..", "%2Fetc%2Fhostname"] {
        client.get(&format!("/below/{name}")).send().assert_status(404);
    }
}

#[test]
fn a_file_that_shrinks_while_it_is_sent_breaks_the_connection() {
    let place = Place::new().file("large.bin", vec![7; 32 << 20]);
    let client = place.client();
    let mut download = client.get("/static/large.bin").send_streaming();
    assert!(download.next().is_some());
    fs::File::options().write(true).open(place.path("public/large.bin")).unwrap().set_len(1 << 20).unwrap();
    let broken = loop {
        match download.try_next() {
            Ok(Some(_)) => {}
            end => break end.is_err(),
        }
    };
    assert!(broken, "the client must be able to tell that something is missing");
    client.get("/static/ten").send().assert_status(200);
}

#[test]
fn a_file_that_is_replaced_truncated_or_deleted_is_seen_at_once() {
    let place = Place::new();
    let client = place.client();
    let text = || client.get("/static/ten").send().text().to_owned();
    assert_eq!(text(), "0123456789");
    fs::write(place.path("new"), "abcdefghij").unwrap();
    fs::rename(place.path("new"), place.path("public/ten")).unwrap();
    assert_eq!(text(), "abcdefghij");
    settle(&client, "/static/ten");
    fs::write(place.path("public/ten"), "short").unwrap();
    assert_eq!(text(), "short");
    settle(&client, "/static/ten");
    fs::remove_file(place.path("public/ten")).unwrap();
    assert_eq!(text(), "tree");
}

#[test]
fn a_hot_file_is_served_from_memory_and_its_change_is_seen_soon() {
    let place = Place::new();
    let client = place.client();
    for _ in 0..200 {
        client.get("/static/ten").send().assert_text("0123456789");
    }
    fs::write(place.path("public/ten"), "other").unwrap();
    wait_until(|| client.get("/static/ten").send().text() == "other");
}

#[test]
fn files_set_no_cookie() {
    let place = Place::new();
    let app = App::new(Tree::new()).tool("/", Sessions::in_memory()).tool("/static", place.dir());
    let client = Client::over_socket(app);
    client.get("/static/ten").send().assert_status(200).assert_no_header("set-cookie");
    client.set_cookie("session_id", "unknown").get("/static/ten").send().assert_no_header("set-cookie");
}

#[test]
fn files_do_not_wait_for_the_lock_of_their_session() {
    let place = Place::new();
    let gate = integration_tests::Gate::new();
    struct Pages(integration_tests::Gate);
    #[handlers]
    impl Pages {
        #[expose]
        fn start(&self, session: &Session) {
            session.set("a", 1);
        }
        #[expose]
        fn hold(&self, session: &Session) {
            session.set("a", 2);
            self.0.pass();
        }
        /// Would answer if there were no file, and then wait.
        #[expose]
        fn default(&self, _rest: Segments, _session: &Session) {}
    }
    let app = App::new(Pages(gate.clone())).tool("/", Sessions::in_memory()).tool("/static", place.dir());
    let client = Client::over_socket(app);
    client.get("/start").send().assert_status(200);
    let mut holder = client.raw();
    let cookie = client.cookie("session_id").unwrap();
    holder.send(format!("GET /hold HTTP/1.1\r\nHost: a\r\nCookie: session_id={cookie}\r\n\r\n"));
    gate.wait_for(1);
    let cookie = format!("session_id={cookie}");
    let file =
        client.new_browser().with_timeout(Duration::from_secs(5)).get("/static/ten").header("cookie", cookie).send();
    file.assert_text("0123456789").assert_no_header("set-cookie");
    gate.open();
}

#[test]
fn a_hook_at_the_same_point_guards_files() {
    struct Guard;
    impl Tool for Guard {
        fn name(&self) -> &'static str {
            "guard"
        }
        fn attach(&self, hooks: &mut Hooks) {
            hooks.at(HookPoint::BeforeRequestBody, |_| Err::<(), _>(Error::new(StatusCode::UNAUTHORIZED, "")));
        }
    }
    let place = Place::new();
    let app = App::new(Tree::new()).tool("/static", place.dir()).tool("/static", Guard);
    Client::in_process(app).get("/static/ten").send().assert_status(401);
}

#[test]
fn settings_come_from_code_and_file() {
    let place = Place::new().file("start.htm", "start").file("app.0a1b2c3d.js", "fingerprinted").file("a.md", "# A");
    let app = App::new(Tree::new().default(|_| "tree")).tool("/static", StaticDir::new("/nowhere"));
    let config = format!(
        "[\"/static\"]\nstaticdir.dir = {:?}\nstaticdir.index = [\"start.htm\"]\nstaticdir.match = '\\.(md|js)$|^$'\n\
         staticdir.content_types = {{ md = \"text/markdown\" }}\nstaticdir.cache_control = \"max-age=60\"\n\
         staticdir.immutable = '\\.[0-9a-f]{{8}}\\.'\nstaticdir.symlinks = \"never\"\nstaticdir.memory = \"1 MiB\"\n",
        place.path("public")
    );
    let client = Client::in_process(app.config_str(config));
    client.get("/static/").send().assert_text("start");
    client
        .get("/static/a.md")
        .send()
        .assert_header("content-type", "text/markdown")
        .assert_header("cache-control", "max-age=60");
    client.get("/static/site.css").send().assert_text("tree");
    let immutable = client.get("/static/app.0a1b2c3d.js").send();
    immutable.assert_header("cache-control", "public, max-age=31536000, immutable");
}

#[test]
fn a_section_further_down_changes_settings_and_not_the_folder() {
    let place = Place::new().file("sub/a.txt", "a");
    let config = "[\"/static/sub\"]\nstaticdir.cache_control = \"no-cache\"\n";
    let client = Client::in_process(place.app().config_str(config));
    client.get("/static/sub/a.txt").send().assert_text("a").assert_header("cache-control", "no-cache");
    client.get("/static/ten").send().assert_no_header("cache-control");
}

#[test]
fn wrong_set_ups_are_refused_at_start() {
    let place = Place::new();
    let problem = |tool: StaticDir| App::new(Tree::new()).tool("/static", tool).build().unwrap_err().to_string();
    let missing = problem(StaticDir::new("no-such-folder"));
    assert!(
        missing.starts_with("the tool `staticdir` at `/static`: `dir` is \"no-such-folder\", and the folder \"/"),
        "{missing}"
    );
    assert!(
        missing.ends_with("no-such-folder\" cannot be opened: No such file or directory (os error 2)"),
        "{missing}"
    );
    assert!(problem(place.dir().matching("(")).contains("`match` is \"(\", which is not a regular expression"));
    assert!(problem(place.dir().index(["../secret"])).contains("`index` has \"../secret\""));
    assert!(problem(place.dir().cache_control("a\nb")).contains("`cache_control`"));
    let file = App::new(Tree::new()).tool("/icon", StaticFile::new(place.path("public/no.ico"))).build().unwrap_err();
    assert!(file.to_string().contains("`filename` is") && file.to_string().contains("no.ico"), "{file}");
}

#[test]
fn a_single_file_is_at_its_path_only() {
    let place = Place::new().file("icon.ico", "icon");
    let icon = StaticFile::new(place.path("public/icon.ico")).cache_control("max-age=60");
    let client = Client::over_socket(App::new(Tree::new().default(|_| "tree")).tool("/favicon.ico", icon));
    let file = client.get("/favicon.ico").send();
    file.assert_text("icon").assert_header("content-type", "image/x-icon").assert_header("cache-control", "max-age=60");
    client.get("/favicon.ico/more").send().assert_text("tree");
    client.get("/favicon.ico").header("range", "bytes=0-1").send().assert_status(206).assert_text("ic");
    fs::remove_file(place.path("public/icon.ico")).unwrap();
    client.get("/favicon.ico").send().assert_text("tree");
}

#[test]
fn a_folder_is_listed_only_when_asked_for() {
    let place = Place::new().file("sub/<b>.txt", "x").file(".hidden", "");
    let client = Client::over_socket(App::new(Tree::new()).tool("/static", place.dir().listing(true)));
    client.get("/static/sub").send().assert_status(301).assert_header("location", "/static/sub/");
    let page = client.get("/static/sub/").send();
    page.assert_contains("&lt;b&gt;.txt").assert_contains("./%3Cb%3E.txt").assert_lacks("<b>");
    client.get("/static/sub/%3Cb%3E.txt").send().assert_text("x");
    client.get("/static/").send().assert_contains("./sub/").assert_contains("site.css").assert_lacks("hidden");
    client.get("/static/nowhere/").send().assert_status(404);
}

#[test]
fn the_demo_site_shows_lists_seeks_and_saves() {
    let client = Client::over_socket(demo_apps::static_site::app().unwrap());
    client.get("/").send().assert_contains("<h1>").assert_header("cache-control", "no-cache");
    client.get("/assets/").send().assert_contains("./site.css");
    let tone = client.get("/tone.wav").header("range", "bytes=0-3").send();
    tone.assert_status(206).assert_text("RIFF").assert_header("content-range", "bytes 0-3/4800044");
    let download = client.head("/download").send();
    download.assert_header("content-length", "4800044");
    assert!(
        download
            .header("content-disposition")
            .unwrap()
            .ends_with("Ten%20minutes%20of%20rising%20tone%20%28%C2%BD%20MB%20a%20minute%29.wav")
    );
}

#[test]
fn curl_resumes_a_download() {
    let content: Vec<u8> = (0..3_000_000u32).flat_map(u32::to_le_bytes).collect();
    let place = Place::new().file("large.bin", &content);
    let client = place.client();
    let target = place.path("download");
    fs::write(&target, &content[..5_000_000]).unwrap();
    let address = format!("http://{}/static/large.bin", client.address().unwrap());
    let curl = Command::new("curl").args(["-sS", "-C", "-", "-o"]).arg(&target).arg(address).status();
    assert!(curl.expect("curl is installed").success());
    assert!(fs::read(&target).unwrap() == content, "the two parts do not make the file");
}

// The cache keeps no files, in any order of the two tools.
#[test]
fn a_changed_file_is_seen_at_once_with_the_cache_on_the_same_path() {
    for cache_first in [true, false] {
        let (place, caching) = (Place::new(), Caching::new());
        let app = App::new(Tree::new().default(|_| "tree"));
        let app = match cache_first {
            true => app.tool("/", caching.clone()).tool("/", place.dir()),
            false => app.tool("/", place.dir()).tool("/", caching.clone()),
        };
        let client = Client::over_socket(app);
        settle(&client, "/site.css");
        client.get("/site.css").send().assert_text("body {}").assert_no_header("age");
        let place = place.file("site.css", "body { color: red }");
        client.get("/site.css").send().assert_text("body { color: red }").assert_no_header("age");
        client.get("/page").send().assert_text("tree");
        client.get("/page").send().assert_text("tree").assert_header("age", "0");
        assert_eq!(caching.statistics().objects, 1);
        drop(place);
    }
}
