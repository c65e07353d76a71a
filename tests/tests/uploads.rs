//! Files in forms, JSON, and bodies that handlers read: which arrive, which are refused, and when.

use integration_tests::{Gate, both, program::Program, wait_until};
use kirsch::{
    prelude::*,
    testing::{Client, FormData},
};
use std::io::{self, BufRead, Read};
use std::process::Stdio;

#[derive(Clone, Default)]
struct Pages {
    gate: Gate,
}

#[derive(serde::Deserialize)]
struct Song {
    title: String,
    stars: Option<u8>,
}

#[handlers]
impl Pages {
    #[expose]
    fn add(&self, title: String, stars: Option<i64>, tag: Vec<String>, photo: Upload) -> kirsch::Result<String> {
        let name = photo.file_name().map(str::to_owned);
        let text = format!("{title} {stars:?} {tag:?} {name:?} {:?} {}", photo.content_type(), photo.size());
        let sum: u64 = photo.bytes()?.iter().map(|byte| u64::from(*byte)).sum();
        Ok(format!("{text} {sum}"))
    }

    #[expose]
    fn maybe(&self, photo: Option<Upload>, more: Vec<Upload>) -> String {
        format!("{} {}", photo.is_some(), more.len())
    }

    #[expose]
    fn form(&self, Form(song): Form<Song>) -> String {
        format!("{} {:?}", song.title, song.stars)
    }

    #[expose]
    fn json(&self, Json(song): Json<Song>) -> String {
        format!("{} {:?}", song.title, song.stars)
    }

    /// Names and sizes of the parts, read while they arrive.
    #[expose]
    fn parts(&self, mut form: Multipart) -> kirsch::Result<String> {
        let mut list = String::new();
        while let Some(mut part) = form.next_part()? {
            let length =
                if part.is_file() { io::copy(&mut part, &mut io::sink())? } else { part.text(1000)?.len() as u64 };
            list += &format!("{} {:?} {length}; ", part.name(), part.file_name());
        }
        Ok(list)
    }

    /// Looks at the first byte of each part only.
    #[expose]
    fn names(&self, mut form: Multipart) -> kirsch::Result<String> {
        let mut list = String::new();
        while let Some(mut part) = form.next_part()? {
            let mut first = [0];
            part.read_exact(&mut first)?;
            list += &format!("{}{} ", part.name(), char::from(first[0]));
        }
        Ok(list)
    }

    #[expose]
    fn exact(&self, mut body: Body) -> kirsch::Result<String> {
        let mut buffer = [0; 10];
        body.read_exact(&mut buffer)?;
        Ok(String::from_utf8_lossy(&buffer).into_owned())
    }

    #[expose]
    fn lines(&self, body: Body) -> kirsch::Result<String> {
        let lines: Result<Vec<_>, _> = io::BufReader::new(body).lines().collect();
        Ok(lines?.len().to_string())
    }

    #[expose]
    fn text(&self, mut body: Body) -> kirsch::Result<String> {
        let mut text = "+".to_owned();
        body.read_to_string(&mut text)?;
        Ok(text)
    }

    #[expose]
    fn first_text(&self, mut form: Multipart) -> kirsch::Result<String> {
        let mut text = String::new();
        if let Some(mut part) = form.next_part()? {
            part.read_to_string(&mut text)?;
        }
        Ok(text)
    }

    #[expose]
    fn hold(&self, mut form: Multipart) -> kirsch::Result<&'static str> {
        form.next_part()?;
        self.gate.pass();
        form.next_part()?;
        Ok("held")
    }
}

fn app() -> App {
    App::new(Pages::default())
}

fn photo(content: &[u8]) -> FormData {
    let form = FormData::new().field("title", "The \"sea\"").field("tag", "a").field("tag", "b, c").field("stars", "5");
    form.file("photo", "C:\\my \"pictures\"\\a, b.jpg", "image/jpeg", content)
}

// Whether it stays in memory or not, a file is a file and a text is a text.
#[test]
fn files_and_fields_of_any_size_arrive() {
    both(app, |client| {
        for size in [0, 3, 300_000, 2_000_000] {
            let expected = format!(
                "The \"sea\" Some(5) [\"a\", \"b, c\"] Some(\"a, b.jpg\") Some(\"image/jpeg\") {size} {}",
                size * 120
            );
            client.post("/add").form_data(photo(&vec![b'x'; size])).send().assert_text(&expected);
        }
    });
}

#[test]
fn a_file_that_was_not_chosen_is_none_or_a_400_that_names_the_field() {
    both(app, |client| {
        let none = || {
            FormData::new()
                .field("title", "x")
                .file("photo", "", "application/octet-stream", "")
                .file("more", "", "", "")
        };
        client.post("/maybe").form_data(none()).send().assert_text("false 0");
        let some = none().file("photo", "a", "text/plain", "").file("more", "b", "text/plain", "1").file(
            "more",
            "c",
            "text/plain",
            "2",
        );
        client.post("/maybe").form_data(some).send().assert_text("true 2");
        client.post("/add").form_data(none()).send().assert_status(400).assert_contains("`photo` is missing");
        let urlencoded = client.post("/add").form(&[("title", "x"), ("photo", "a.jpg")]).send();
        urlencoded.assert_status(400).assert_contains("`photo` is missing").assert_contains("multipart/form-data");
        client.get("/maybe").send().assert_text("false 0");
    });
}

#[test]
fn a_multipart_form_without_files_is_as_good_as_an_urlencoded_one() {
    both(app, |client| {
        client.post("/form").form(&[("title", "One"), ("stars", "")]).send().assert_text("One None");
        client
            .post("/form?title=no")
            .form_data(FormData::new().field("title", "One").field("stars", "3"))
            .send()
            .assert_text("One Some(3)");
        client
            .post("/form")
            .form_data(FormData::new().field("title", "x").field("stars", "y"))
            .send()
            .assert_status(400);
        client.post("/form").body("title=One").send().assert_status(415);
    });
}

// Malformed is 400, never 500.
#[test]
fn a_malformed_form_is_the_clients_mistake() {
    both(app, |client| {
        for path in ["/add", "/parts"] {
            for (boundary, body) in [
                ("XX", "--XX\r\nContent-Disposition: form-data; name=a\r\n\r\n1"),
                ("XX", "--XX\r\nno field\r\n\r\n1\r\n--XX--"),
                ("XX", "--XX\nContent-Disposition: form-data; name=a\n\n1\n--XX--"),
                ("\"{", "x"),
            ] {
                let content_type = format!("multipart/form-data; boundary={boundary}");
                client.post(path).header("Content-Type", content_type).body(body).send().assert_status(400);
            }
        }
    });
}

// The limits hold for known and unknown length, and name their setting.
#[test]
fn limits_are_413_and_name_setting_and_section() {
    let app = || {
        app().settings("/", |settings| {
            settings.max_form = 1000;
            settings.max_json = 100;
            settings.max_parts = 5;
            settings.max_body = 500_000;
            settings.show_tracebacks = true;
        })
    };
    both(app, |client| {
        let refused = |form: FormData, setting: &str| {
            client
                .post("/add")
                .form_data(form)
                .send()
                .assert_status(413)
                .assert_contains(&format!("`{setting}` at `/`"));
        };
        client.post("/add").form_data(photo(&[b'x'; 400_000])).send().assert_status(200);
        refused(photo(&[b'x'; 500_000]), "max_body");
        refused(FormData::new().field("title", &"x".repeat(1000)), "max_form");
        refused(photo(b"").field("a", ""), "max_parts");
        client
            .post("/parts")
            .form_data(photo(b"").field("a", ""))
            .send()
            .assert_status(413)
            .assert_contains("`max_parts` at `/`");
        // A page without files keeps all of a form in memory.
        let large = FormData::new().file("file", "f", "text/plain", [b'x'; 2000]);
        client.post("/form").form_data(large).send().assert_status(413).assert_contains("`max_form` at `/`");
        let json = format!("{{\"title\": \"{}\"}}", "x".repeat(100));
        let json = client.post("/json").header("Content-Type", "application/json").body(json).send();
        json.assert_status(413).assert_contains("`max_json` at `/`");
    });
    let client = Client::over_socket(app());
    for (path, setting) in [("/add", "max_body"), ("/form", "max_form")] {
        let mut connection = client.raw();
        connection
            .send(format!("POST {path} HTTP/1.1\r\nHost: a\r\nContent-Type: multipart/form-data; boundary=XX\r\n"));
        connection
            .send("Transfer-Encoding: chunked\r\n\r\n7fffff\r\n")
            .read_response()
            .assert_status(413)
            .assert_contains(setting);
    }
    let mut connection = client.raw();
    connection.send(
        "POST /json HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\nfff\r\n",
    );
    connection.read_response().assert_status(413).assert_contains("max_json");
}

#[test]
fn strict_params_knows_the_names_of_files() {
    both(
        || app().settings("/", |settings| settings.strict_params = true),
        |client| {
            client.post("/add").form_data(photo(b"x")).send().assert_status(200);
            let unknown = photo(b"x").file("other", "o", "text/plain", "");
            client.post("/add").form_data(unknown).send().assert_status(400).assert_contains("`other` is not known");
        },
    );
}

#[test]
fn a_handler_can_read_the_parts_while_they_arrive() {
    both(app, |client| {
        let large = vec![b'\r'; 1_000_000];
        let form = || {
            FormData::new()
                .field("a", "text")
                .file("b", "../b.txt", "text/plain", &large)
                .file("c", "", "", "")
                .field("d", "")
        };
        client
            .post("/parts")
            .form_data(form())
            .send()
            .assert_text("a None 4; b Some(\"b.txt\") 1000000; c None 0; d None 0; ");
        client
            .post("/names")
            .form_data(FormData::new().field("a", "xyz").file("b", "b", "", &large).field("c", "z"))
            .send()
            .assert_text("ax b\r cz ");
        client.post("/parts").body("x").send().assert_status(415);
        client.post("/names").form_data(form().field("a", "")).send().assert_status(400);
    });
}

#[test]
fn a_connection_goes_on_behind_a_form_that_was_read_by_the_handler() {
    let client = Client::over_socket(app());
    let mut connection = client.raw();
    let body = "--XX\r\nContent-Disposition: form-data; name=a\r\n\r\n1\r\n--XX--\r\nan epilogue";
    let head = "POST /parts HTTP/1.1\r\nHost: a\r\nContent-Type: multipart/form-data; boundary=XX\r\n";
    connection.send(format!("{head}Content-Length: {}\r\n\r\n{body}", body.len()));
    connection.read_response().assert_text("a None 1; ");
    connection.send("GET /maybe HTTP/1.1\r\nHost: a\r\n\r\n").read_response().assert_text("false 0");
}

#[test]
fn a_part_is_there_before_the_next_one_is_sent() {
    let pages = Pages::default();
    let client = Client::over_socket(App::new(pages.clone()));
    let mut connection = client.raw();
    connection.send("POST /hold HTTP/1.1\r\nHost: a\r\nContent-Type: multipart/form-data; boundary=XX\r\nTransfer-Encoding: chunked\r\n\r\n");
    let first = "--XX\r\nContent-Disposition: form-data; name=a\r\n\r\n1";
    connection.send(format!("{:x}\r\n{first}\r\n", first.len()));
    pages.gate.wait_for(1);
    pages.gate.open();
    connection.send("8\r\n\r\n--XX--\r\n0\r\n\r\n").read_response().assert_text("held");
}

#[test]
fn json_of_another_type_or_shape_is_refused_with_its_place() {
    both(app, |client| {
        client.post("/json").json(&serde_json::json!({ "title": "One", "stars": 5 })).send().assert_text("One Some(5)");
        let json = |body: &str| client.post("/json").header("Content-Type", "application/json").body(body).send();
        json("{\n  \"title\": x").assert_status(400).assert_contains("line 2 column 12");
        json("{}").assert_status(400).assert_contains("missing field `title`");
        client.post("/json").header("Content-Type", "text/plain").body("{}").send().assert_status(415);
    });
}

// A body that cannot be read is not asked for.
#[test]
fn a_body_of_the_wrong_type_is_not_asked_for() {
    let client = Client::over_socket(app());
    for path in ["/json", "/parts", "/form"] {
        let mut connection = client.raw();
        connection.send(format!(
            "POST {path} HTTP/1.1\r\nHost: a\r\nContent-Type: text/plain\r\nContent-Length: 100000\r\nExpect: 100-continue\r\n\r\n"
        ));
        let answer = connection.read_to_end();
        assert!(answer.starts_with(b"HTTP/1.1 415"), "{}", String::from_utf8_lossy(&answer));
    }
}

struct LoggedIn;

impl Tool for LoggedIn {
    fn name(&self) -> &'static str {
        "logged_in"
    }

    fn attach(&self, hooks: &mut Hooks) {
        hooks.at(HookPoint::BeforeRequestBody, |exchange| match exchange.request.header("authorization") {
            Some(_) => Ok(()),
            None => Err(Error::new(StatusCode::UNAUTHORIZED, "log in first")),
        });
    }
}

// Nothing of a gigabyte is read, or asked for, before the visitor is known.
#[test]
fn a_stranger_is_refused_before_the_first_byte() {
    let client = Client::over_socket(app().tool("/", LoggedIn));
    for path in ["/add", "/parts", "/exact"] {
        for expect in ["Expect: 100-continue\r\n", ""] {
            let mut connection = client.raw();
            connection.send(format!(
                "POST {path} HTTP/1.1\r\nHost: a\r\nContent-Type: multipart/form-data; boundary=XX\r\nContent-Length: 1000000000\r\n{expect}\r\n"
            ));
            // Nothing of the body was sent, and the answer is there.
            let answer = String::from_utf8_lossy(&connection.read_to_end()).into_owned();
            assert!(
                answer.starts_with("HTTP/1.1 401") && answer.to_ascii_lowercase().contains("connection: close"),
                "{answer}"
            );
        }
    }
}

#[test]
fn a_body_spoilt_while_a_handler_reads_is_the_clients_mistake() {
    let app = app().settings("/", |settings| settings.max_body = 1000).server(|settings| {
        settings.body_timeout = std::time::Duration::from_millis(50);
    });
    let client = Client::over_socket(app);
    let ask = |path: &str, rest: &str, ends: bool| {
        let mut connection = client.raw();
        connection.send(format!(
            "POST {path} HTTP/1.1\r\nHost: a\r\nContent-Type: multipart/form-data; boundary=XX\r\n{rest}"
        ));
        if ends {
            connection.shutdown_write();
        }
        connection.read_response().status()
    };
    for path in ["/exact", "/lines", "/parts"] {
        assert_eq!(ask(path, "Content-Length: 9\r\n\r\n--XX", true), 400, "{path} breaks off");
        assert_eq!(ask(path, "Content-Length: 9\r\n\r\n--XX", false), 408, "{path} is too slow");
        assert_eq!(ask(path, "Transfer-Encoding: chunked\r\n\r\nfff\r\n", false), 413, "{path} is too large");
        assert_eq!(ask(path, "Transfer-Encoding: chunked\r\n\r\nx\r\n", false), 400, "{path} is malformed");
    }
    assert_eq!(ask("/exact", "Content-Length: 3\r\n\r\nabc", false), 400);
}

#[test]
fn a_text_that_is_not_utf_8_is_the_clients_mistake() {
    both(app, |client| {
        client.post("/text").body("\u{e4}").send().assert_text("+\u{e4}");
        client.post("/text").body(*b"\xe4").send().assert_status(400).assert_contains("not UTF-8");
        let form =
            |text: &[u8]| [b"--XX\r\nContent-Disposition: form-data; name=a\r\n\r\n", text, b"\r\n--XX--"].concat();
        let send = |text: &[u8]| {
            let request = client.post("/first_text").header("content-type", "multipart/form-data; boundary=XX");
            request.body(form(text)).send()
        };
        send("\u{e4}".as_bytes()).assert_text("\u{e4}");
        send(b"\xe4").assert_status(400).assert_contains("not UTF-8");
    });
}

#[test]
fn a_form_in_a_content_coding_is_415_also_when_the_handler_reads_it() {
    both(app, |client| {
        let response = client.post("/parts").form_data(photo(b"1")).header("content-encoding", "gzip").send();
        response.assert_status(415).assert_contains("`gzip` is not read here");
    });
}

const ATTACKED: &str = env!("CARGO_BIN_EXE_attacked");
const SPOOLED: &str = "[\"/\"]\nbody_memory = \"1 KiB\"";
/// A file of at most half a megabyte, which the shell's limit counts in blocks of 512 bytes; beyond it writing fails as
/// on a full disk.
const SMALL_DISK: &str = "trap '' XFSZ; ulimit -f 1000; ";

#[test]
fn a_full_disk_is_507_a_line_in_the_log_and_nothing_left() {
    let path = std::env::temp_dir().join(format!("kirsch-full-disk-{}.log", std::process::id()));
    let log = Stdio::from(std::fs::File::create(&path).expect("room"));
    let program = Program::start(ATTACKED, SMALL_DISK, SPOOLED, log);
    let descriptors = || std::fs::read_dir(format!("/proc/{}/fd", program.id())).expect("it runs").count();
    program.client.new_browser().post("/echo").body(vec![b'x'; 100_000]).send().assert_status(200);
    let before = descriptors();
    for _ in 0..20 {
        let refused = program.client.new_browser().post("/echo").body(vec![b'x'; 2_000_000]).send();
        refused.assert_status(507).assert_header("connection", "close");
    }
    program.client.new_browser().post("/echo").body("small").send().assert_text("small");
    wait_until(|| descriptors() <= before);
    let log = std::fs::read_to_string(&path).expect("the log");
    assert_eq!(
        log.lines().filter(|line| line.contains("ERROR") && line.contains("spool_directory")).count(),
        20,
        "{log}"
    );
    std::fs::remove_file(&path).expect("it is ours");
}

// A spooled body whose client vanishes leaves no file behind.
#[test]
fn clients_that_vanish_in_the_middle_leave_nothing() {
    // A program of its own, since neighbours in this one change its memory and its descriptors.
    let program = Program::start(ATTACKED, "", SPOOLED, Stdio::null());
    program.client.new_browser().get("/").send().assert_text("here");
    let before = program.resources();
    for _ in 0..200 {
        let mut connection = program.client.raw();
        connection.send("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n").send(vec![b'x'; 20_000]);
        connection.reset();
    }
    program.client.new_browser().get("/").send().assert_text("here");
    program.wait_until_back_at(&before);
}

#[test]
fn the_directory_for_large_bodies_can_be_chosen_and_must_be_there() {
    let refused = app().server(|settings| settings.spool_directory = Some("/no/such".into())).start("127.0.0.1:0");
    let message = refused.expect_err("there is no such directory").to_string();
    assert!(message.contains("server.spool_directory") && message.contains("/no/such"), "{message}");
    let client = Client::over_socket(app().server(|settings| settings.spool_directory = Some("/var/tmp".into())));
    client.post("/add").form_data(photo(&[b'x'; 400_000])).send().assert_status(200);
}

#[derive(Default)]
struct Kept(std::sync::Mutex<Vec<Upload>>);

impl Kept {
    fn files(&self) -> std::sync::MutexGuard<'_, Vec<Upload>> {
        self.0.lock().expect("no panic under the lock")
    }
}

#[handlers]
impl Kept {
    #[expose(post)]
    fn add(&self, file: Upload) {
        self.files().push(file);
    }

    #[expose(post)]
    fn forget(&self) {
        self.files().clear();
    }
}

#[test]
fn an_upload_that_the_application_keeps_counts_on_disk_until_it_is_dropped() {
    let running = App::new(Kept::default()).start("127.0.0.1:0").unwrap();
    let client = Client::connect(running.address());
    let form = FormData::new().file("file", "a", "image/jpeg", [b'x'; 1 << 20]);
    client.post("/add").form_data(form).send().assert_status(200);
    assert!(running.statistics().bodies_on_disk > 1 << 20);
    client.post("/forget").send().assert_status(200);
    wait_until(|| running.statistics().bodies_on_disk == 0);
}
