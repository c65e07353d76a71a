//! Compressed responses (`Gzip`), decoded by programs that others have written: curl and Python for gzip, the crates
//! for the other codings.

use integration_tests::{Gate, both};
use kirsch::{
    FileBody, HeaderName, HeaderValue, header,
    http::Coding,
    prelude::*,
    testing::{Client, TestResponse},
    tools::Gzip,
};
use std::fs::{self, File};
use std::io::{ErrorKind, Read, Write};
use std::process::{Command, Stdio};

const LINE: &str = "All work and no play makes Jack a dull boy.\n";

/// Content that cannot be made smaller.
fn noise() -> Vec<u8> {
    let mut state = 1_u64;
    let bytes = std::iter::repeat_with(|| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_be_bytes()[0]
    });
    bytes.take(20_000).collect()
}

#[derive(Clone, Default)]
struct Pages {
    gate: Gate,
}

#[handlers]
impl Pages {
    #[expose]
    fn index(&self) -> String {
        LINE.repeat(1000)
    }

    #[expose]
    fn small(&self) -> &'static str {
        LINE
    }

    #[expose]
    fn json(&self) -> Json<Vec<u32>> {
        Json((0..10_000).collect())
    }

    #[expose]
    fn image(&self, response: &mut Response) -> String {
        response.set_header(header::CONTENT_TYPE, HeaderValue::from_static("image/png"));
        LINE.repeat(1000)
    }

    #[expose]
    fn noise(&self) -> Text<Vec<u8>> {
        Text(noise())
    }

    /// Larger than the content that is compressed at once.
    #[expose]
    fn large(&self) -> Text<Vec<u8>> {
        Text(LINE.repeat(50_000).into())
    }

    #[expose]
    fn file(&self) -> kirsch::Result<Text<FileBody>> {
        let path = std::env::temp_dir().join(format!("kirsch-gzip-{:?}", std::thread::current().id()));
        fs::write(&path, LINE.repeat(10_000))?;
        let file = File::open(&path)?;
        fs::remove_file(path)?;
        Ok(Text(FileBody::whole(file)?))
    }

    #[expose]
    fn stream(&self) -> Stream {
        Stream::new((0..3).map(|number| format!("Chunk {number}\n")))
    }

    /// The second chunk waits at the gate.
    #[expose]
    fn hold(&self) -> Stream {
        let gate = self.gate.clone();
        Stream::new((0..2).map(move |number| {
            if number > 0 {
                gate.pass();
            }
            format!("Chunk {number}\n")
        }))
    }

    #[expose]
    fn broken(&self) -> Stream {
        Stream::fallible([Ok(LINE), Err(Error::unexpected("no more"))])
    }

    /// The page, with the field `name: value`.
    #[expose]
    fn field(&self, response: &mut Response, name: String, value: String) -> kirsch::Result<String> {
        response.set_header(HeaderName::try_from(name)?, HeaderValue::try_from(value)?);
        Ok(LINE.repeat(1000))
    }

    #[expose]
    fn status(&self, number: u16) -> kirsch::Result<(StatusCode, String)> {
        Ok((StatusCode::from_u16(number)?, LINE.repeat(1000)))
    }

    /// A page that evaluates conditions on its own, and knows its own tag only.
    #[expose]
    fn tagged(&self, request: &Request, response: &mut Response) -> kirsch::Result<String> {
        response.set_header(header::ETAG, HeaderValue::from_static("\"v1\""));
        let names = |field: &str| request.header(field).map(|list| list.split(", ").any(|tag| tag == "\"v1\""));
        if names("if-match") == Some(false) {
            return Err(Error::new(StatusCode::PRECONDITION_FAILED, "changed meanwhile"));
        }
        if names("if-none-match") == Some(true) {
            response.set_status(StatusCode::NOT_MODIFIED);
        }
        Ok(LINE.repeat(1000))
    }

    #[expose]
    fn add(&self, Json(numbers): Json<Vec<u32>>) -> String {
        numbers.iter().sum::<u32>().to_string()
    }

    #[expose]
    fn raw(&self, request: &Request, mut body: Body) -> kirsch::Result<String> {
        let coding = request.header("content-encoding").unwrap_or("none");
        Ok(format!("{} bytes, coding {coding}", body.read_all(1000)?.len()))
    }
}

fn app() -> App {
    App::new(Pages::default()).tool("/", Gzip::new())
}

fn get(client: &Client, path: &str, accept_encoding: &str) -> TestResponse {
    client.get(path).header("accept-encoding", accept_encoding).send()
}

/// Runs a program on this input; reports a missing one.
fn run(program: &str, arguments: &[&str], input: &[u8]) -> (bool, Vec<u8>) {
    let mut command = Command::new(program);
    let mut child = match command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn() {
        Ok(child) => child,
        Err(error) if error.kind() == ErrorKind::NotFound => panic!("this test needs the program `{program}`"),
        Err(error) => panic!("`{program}` cannot be started: {error}"),
    };
    let mut stdin = child.stdin.take().expect("it is piped");
    let output = std::thread::scope(|scope| {
        // It may end without having read its input.
        scope.spawn(move || drop(stdin.write_all(input)));
        child.wait_with_output().expect("it was started")
    });
    (output.status.success(), output.stdout)
}

/// Python's gzip, which checks the length and the checksum at the end.
fn gunzip(compressed: &[u8]) -> Vec<u8> {
    const SCRIPT: &str = "import gzip, sys; sys.stdout.buffer.write(gzip.decompress(sys.stdin.buffer.read()))";
    let (well, content) = run("python3", &["-c", SCRIPT], compressed);
    assert!(well, "Python cannot read it");
    content
}

/// As much as can be read of a text that may not have ended yet.
fn read_start(mut reader: impl Read) -> Vec<u8> {
    let (mut content, mut buffer) = (Vec::new(), [0; 4096]);
    while let Ok(length @ 1..) = reader.read(&mut buffer) {
        content.extend_from_slice(&buffer[..length]);
    }
    content
}

#[test]
fn python_reads_every_kind_of_body() {
    let client = Client::over_socket(app());
    let bodies = [
        ("/", LINE.repeat(1000)),
        ("/large", LINE.repeat(50_000)),
        ("/file", LINE.repeat(10_000)),
        ("/stream", "Chunk 0\nChunk 1\nChunk 2\n".to_owned()),
    ];
    for (path, content) in bodies {
        let response = get(&client, path, "gzip");
        response.assert_status(200).assert_header("content-encoding", "gzip");
        assert!(gunzip(response.bytes()) == content.into_bytes(), "{path}");
    }
}

#[test]
fn curl_reads_every_kind_of_body() {
    let client = Client::over_socket(app());
    let address = client.address().expect("it has a socket");
    for (path, content) in [("/", LINE.repeat(1000)), ("/large", LINE.repeat(50_000)), ("/file", LINE.repeat(10_000))] {
        for version in ["--http1.1", "--http1.0"] {
            let url = format!("http://{address}{path}");
            let common = ["--silent", "--show-error", "--noproxy", "*", "--max-time", "20"];
            let (well, read) = run("curl", &[&common[..], &["--compressed", version, &url]].concat(), b"");
            assert!(well && read == content.as_bytes(), "{version} {path}");
        }
    }
}

/// Each client gets a coding that it can read, and caches are told.
#[test]
fn a_client_that_does_not_ask_gets_the_content_as_it_is() {
    both(app, |client| {
        for accept_encoding in
            [None, Some(""), Some("br"), Some("identity"), Some("gzip;q=0"), Some("gzip;q=0.5, identity")]
        {
            let mut request = client.get("/");
            if let Some(value) = accept_encoding {
                request = request.header("accept-encoding", value);
            }
            let response = request.send();
            response.assert_no_header("content-encoding").assert_header("vary", "Accept-Encoding");
            response.assert_text(&LINE.repeat(1000));
        }
    });
}

#[test]
fn no_client_is_answered_with_406() {
    both(app, |client| {
        for accept_encoding in ["br", "*;q=0", "identity;q=0", "gzip;q=0, identity;q=0", "\u{1f0}", ",;q="] {
            get(client, "/", accept_encoding).assert_status(200).assert_text(&LINE.repeat(1000));
        }
        get(client, "/", "*").assert_status(200).assert_header("content-encoding", "gzip");
        get(client, "/", "x-gzip").assert_header("content-encoding", "gzip");
    });
}

#[test]
fn small_content_other_types_and_no_gain_stay_as_they_are() {
    both(app, |client| {
        get(client, "/small", "gzip").assert_no_header("content-encoding").assert_header("vary", "Accept-Encoding");
        get(client, "/image", "gzip").assert_no_header("content-encoding").assert_no_header("vary");
        let noise_text = get(client, "/noise", "gzip");
        noise_text.assert_no_header("content-encoding").assert_header("vary", "Accept-Encoding");
        assert_eq!(noise_text.bytes(), noise());
        get(client, "/json", "gzip").assert_header("content-encoding", "gzip");
    });
}

#[test]
fn content_that_must_not_be_changed_stays_as_it_is() {
    both(app, |client| {
        for field in [
            "content-encoding&value=br",
            "content-range&value=bytes%200-9/10",
            "cache-control&value=max-age=5,%20No-Transform",
            "repr-digest&value=sha-256=:aa==:",
            "content-type&value=text/event-stream",
        ] {
            let response = get(client, &format!("/field?name={field}"), "gzip");
            assert_eq!(response.bytes().len(), 1000 * LINE.len(), "{field}");
        }
        get(client, "/field?name=cache-control&value=max-age=5", "gzip").assert_header("content-encoding", "gzip");
    });
}

#[test]
fn a_status_without_content_has_no_coding() {
    both(app, |client| {
        for status in [204, 205, 206, 304] {
            get(client, &format!("/status?number={status}"), "gzip").assert_no_header("content-encoding");
        }
        get(client, "/status?number=404", "gzip").assert_status(404).assert_header("content-encoding", "gzip");
    });
}

#[test]
fn vary_is_merged_and_said_once() {
    both(app, |client| {
        let vary = |value: &str| get(client, &format!("/field?name=vary&value={value}"), "gzip");
        vary("Cookie").assert_header("vary", "Cookie, Accept-Encoding");
        vary("accept-encoding").assert_header("vary", "accept-encoding");
        vary("*").assert_header("vary", "*").assert_header("content-encoding", "gzip");
    });
}

/// The length is that of the content that is sent.
#[test]
fn head_has_the_fields_of_get() {
    let client = Client::over_socket(app());
    for path in ["/", "/small", "/large", "/file", "/stream", "/tagged", "/image"] {
        let fields = |response: &TestResponse| -> Vec<_> {
            let fields = response.headers().filter(|(name, _)| !name.eq_ignore_ascii_case("date"));
            fields.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
        };
        let head = client.head(path).header("accept-encoding", "gzip").send();
        assert_eq!(fields(&head), fields(&get(&client, path, "gzip")), "{path}");
        assert!(head.bytes().is_empty());
    }
    let length = get(&client, "/", "gzip").bytes().len().to_string();
    client.head("/").header("accept-encoding", "gzip").send().assert_header("content-length", &length);
}

/// The tag of compressed content is another one, and works in conditions.
#[test]
fn a_tag_is_of_one_coding_and_is_found_again() {
    both(app, |client| {
        get(client, "/tagged", "").assert_header("etag", "\"v1\"");
        get(client, "/tagged", "gzip").assert_header("etag", "\"v1-gzip\"");
        let again = |tag: &str, accept_encoding: &str| {
            client.get("/tagged").header("accept-encoding", accept_encoding).header("if-none-match", tag).send()
        };
        let same = again("\"v1-gzip\"", "gzip");
        same.assert_status(304).assert_header("etag", "\"v1-gzip\"").assert_header("vary", "Accept-Encoding");
        again("\"v1\"", "").assert_status(304).assert_header("etag", "\"v1\"");
        again("\"v0-gzip\"", "gzip").assert_status(200);
        // This client could not read the coding that it names.
        again("\"v1-gzip\"", "").assert_status(200);
    });
}

#[test]
fn a_change_may_name_the_tag_that_was_read() {
    both(app, |client| {
        let change = |tag: &str| client.post("/tagged").header("if-match", tag).send();
        change("\"v1-gzip\"").assert_status(200);
        change("\"v1\"").assert_status(200);
        change("\"v0-gzip\"").assert_status(412);
    });
}

#[test]
fn parts_are_not_promised_of_compressed_content() {
    both(app, |client| {
        let path = "/field?name=accept-ranges&value=bytes";
        get(client, path, "gzip").assert_no_header("accept-ranges");
        get(client, path, "").assert_header("accept-ranges", "bytes");
        // A range request gets its range.
        let part = client.get(path).header("accept-encoding", "gzip").header("range", "bytes=0-9").send();
        part.assert_no_header("content-encoding").assert_header("vary", "Accept-Encoding");
    });
}

#[test]
fn each_chunk_can_be_read_before_the_next_one_is_made() {
    let codings = [Coding::Gzip, Coding::Brotli, Coding::Zstd];
    for coding in codings {
        let pages = Pages::default();
        let gate = pages.gate.clone();
        let client = Client::over_socket(App::new(pages).tool("/", Gzip::new().codings(codings)));
        let mut response = client.get("/hold").header("accept-encoding", coding.name()).send_streaming();
        assert_eq!(response.header("content-encoding"), Some(coding.name()));
        let first = response.next().expect("the first chunk");
        assert_eq!(decoded_start(coding, &first), b"Chunk 0\n");
        gate.open();
        assert_eq!(decoded_start(coding, response.finish().bytes()), b"Chunk 0\nChunk 1\n");
    }
}

fn decoded_start(coding: Coding, compressed: &[u8]) -> Vec<u8> {
    match coding {
        Coding::Gzip => {
            const SCRIPT: &str = "import zlib, sys; d = zlib.decompressobj(31); \
                                  sys.stdout.buffer.write(d.decompress(sys.stdin.buffer.read()))";
            run("python3", &["-c", SCRIPT], compressed).1
        }
        Coding::Brotli => read_start(brotli::Decompressor::new(compressed, 4096)),
        Coding::Zstd => read_start(zstd::stream::read::Decoder::new(compressed).expect("a decoder")),
    }
}

#[test]
fn brotli_and_zstd_are_sent_where_they_are_offered() {
    let offered =
        || App::new(Pages::default()).tool("/", Gzip::new().codings([Coding::Zstd, Coding::Brotli, Coding::Gzip]));
    both(offered, |client| {
        for (accept_encoding, coding) in [
            ("gzip, deflate, br, zstd", Coding::Zstd),
            ("gzip, deflate, br", Coding::Brotli),
            ("gzip, br;q=0.9", Coding::Gzip),
        ] {
            for path in ["/", "/large"] {
                let response = get(client, path, accept_encoding);
                response.assert_header("content-encoding", coding.name());
                let length = if path == "/" { 1000 } else { 50_000 };
                assert!(decoded_start(coding, response.bytes()) == LINE.repeat(length).as_bytes(), "{path} {coding:?}");
            }
        }
        get(client, "/tagged", "br").assert_header("etag", "\"v1-br\"");
    });
    // The features alone change nothing.
    get(&Client::in_process(app()), "/", "br, zstd").assert_no_header("content-encoding");
}

/// A compressed stream that breaks off is not whole either.
#[test]
fn a_broken_stream_ends_the_connection_and_has_no_end() {
    both(app, |client| {
        let mut response = client.get("/broken").header("accept-encoding", "gzip").send_streaming();
        let first = response.next().expect("the first chunk");
        assert_eq!(decoded_start(Coding::Gzip, &first), LINE.as_bytes());
        assert!(response.try_next().is_err());
    });
}

#[test]
fn one_stream_too_many_is_sent_as_it_is() {
    let pages = Pages::default();
    let gate = pages.gate.clone();
    let client = Client::over_socket(App::new(pages).tool("/", Gzip::new().max_streams(1)));
    let mut first = client.get("/hold").header("accept-encoding", "gzip").send_streaming();
    assert!(first.header("content-encoding").is_some() && first.next().is_some());
    get(&client, "/stream", "gzip").assert_no_header("content-encoding").assert_header("vary", "Accept-Encoding");
    get(&client, "/", "gzip").assert_header("content-encoding", "gzip");
    gate.open();
    let _ = first.finish();
    // The stream's place is free again when the server has seen its end, which is not later than its next request.
    integration_tests::wait_until(|| get(&client, "/stream", "gzip").header("content-encoding").is_some());
}

#[test]
fn settings_are_read_from_a_file_and_hold_below_their_path() {
    let settings = r#"
        ["/json"]
        gzip.mime_types = ["text/html"]
        ["/small"]
        gzip.min_size = 10
        ["/file"]
        gzip.max_file = "100 KiB"
        ["/stream"]
        gzip.compress_level = 9
        gzip.codings = ["br", "gzip"]
        gzip.max_streams = 10
    "#;
    let small = || app().config_str(settings);
    both(small, |client| {
        get(client, "/json", "gzip").assert_no_header("content-encoding");
        get(client, "/file", "gzip").assert_no_header("content-encoding");
        get(client, "/stream", "gzip, br").assert_header("content-encoding", "br");
        get(client, "/", "gzip, br").assert_header("content-encoding", "gzip");
    });
}

#[test]
fn a_wrong_setting_is_refused_at_start() {
    for (setting, sentence) in [
        ("compress_level = 0", "`gzip.compress_level` is 0; it must be 1 (fast) to 9 (small)"),
        ("codings = [\"gzib\"]", "`gzip.codings` has \"gzib\"; there are \"gzip\", \"br\", \"zstd\""),
        ("codings = []", "`gzip.codings` is empty; to compress nothing, switch the tool off"),
        ("mime_types = [\"text\"]", "`gzip.mime_types` has \"text\"; a pattern is a media type"),
        ("mime_types = \"text/*\"", "must be a list of texts"),
        ("minsize = 5", "did you mean `min_size`?"),
    ] {
        let refused = app().config_str(format!("[\"/\"]\ngzip.{setting}")).build().expect_err(setting).to_string();
        assert!(refused.contains(sentence), "{refused}");
    }
}

#[test]
fn a_wrong_setting_in_code_is_refused_at_start() {
    let refused =
        App::new(Pages::default()).tool("/", Gzip::new().compress_level(10)).build().expect_err("10 is no level");
    let message = refused.to_string();
    assert!(message.contains("`compress_level` is 10; it must be 1 (fast) to 9 (small)"), "{message}");
}

#[test]
fn a_compressed_request_body_is_refused_before_it_is_read() {
    both(
        || App::new(Pages::default()),
        |client| {
            let send = |coding: &str| {
                let request = client.post("/add").header("content-type", "application/json").body("[1, 2]");
                request.header("content-encoding", coding).send()
            };
            let refused = send("gzip");
            refused.assert_status(415).assert_header("accept-encoding", "identity").assert_contains("gzip");
            send("identity, br").assert_status(415).assert_contains("br");
            send("Identity").assert_status(200).assert_text("3");
            send("").assert_text("3");
        },
    );
}

#[test]
fn a_handler_that_reads_a_stream_gets_it_as_it_came() {
    both(
        || App::new(Pages::default()),
        |client| {
            let request = client.post("/raw").header("content-encoding", "gzip").body("packed");
            request.send().assert_text("6 bytes, coding gzip");
        },
    );
}
