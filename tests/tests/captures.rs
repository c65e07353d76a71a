//! Requests of browsers, phones, libraries and tools, and the handler's view of them.
//!
//! Here is how a row is run; the rows are in `captures/`, one table for each kind of body. The bodies have the form of
//! captures, but were written by hand: names and contents are made up. Each request goes out whole, cut in two at
//! several places, and byte by byte, over a socket; a multipart body also goes to a page that reads its parts while
//! they arrive. A row in which a handler sees anything else, or whose connection does not go on afterwards, fails.

use integration_tests::both;
use kirsch::{
    Method,
    prelude::*,
    testing::{Client, FormData, RawConnection},
};
use serde::Deserialize;

mod captures {
    pub(crate) mod multipart;
    pub(crate) mod others;
}

/// One request of a client.
#[derive(Clone, Copy, Debug)]
struct Row {
    name: &'static str,
    /// Method and target.
    line: &'static str,
    /// The lines of the head that matter, without Host and framing.
    fields: &'static str,
    /// The body; each LF in it is sent as CRLF.
    body: &'static [u8],
    /// The page's view: a line for each text and each file, sorted.
    sees: &'static str,
}

const fn row(name: &'static str, fields: &'static str, body: &'static [u8], sees: &'static str) -> Row {
    Row { name, line: "POST /form", fields, body, sees }
}

impl Row {
    const fn to(mut self, line: &'static str) -> Self {
        self.line = line;
        self
    }

    fn request(&self, line: &str) -> Vec<u8> {
        let mut body = Vec::new();
        for &byte in self.body {
            if byte == b'\n' {
                body.push(b'\r');
            }
            body.push(byte);
        }
        let fields: String = self
            .fields
            .lines()
            .map(str::trim)
            .filter(|line| !line.is_empty())
            .map(|line| format!("{line}\r\n"))
            .collect();
        let length = match self.body {
            b"" => String::new(),
            _ => format!("Content-Length: {}\r\n", body.len()),
        };
        let mut request = format!("{line} HTTP/1.1\r\nHost: localhost\r\n{fields}{length}\r\n").into_bytes();
        request.extend_from_slice(&body);
        request
    }

    #[track_caller]
    fn run(&self, connection: &mut RawConnection) {
        let mut lines = vec![self.line];
        if self.line == "POST /form" && self.fields.contains("multipart/form-data") {
            lines.push("POST /parts");
        }
        for line in lines {
            let request = self.request(line);
            let cuts = (0..request.len()).step_by(request.len() / 7 + 1).chain([request.len() - 1]);
            for cut in cuts {
                let (first, second) = request.split_at(cut);
                connection.send(first).send(second);
                self.check(connection, line);
            }
            for byte in &request {
                connection.send([*byte]);
            }
            self.check(connection, line);
        }
    }

    #[track_caller]
    fn check(&self, connection: &mut RawConnection, line: &str) {
        let response = connection.read_response();
        assert_eq!((response.status().as_u16(), response.text()), (200, self.sees), "{} to {line}", self.name);
    }
}

struct Pages;

/// Lines in one order, for parts in any order.
fn sorted(mut lines: Vec<String>) -> String {
    lines.sort();
    lines.join("\n")
}

fn file(field: &str, name: Option<&str>, content_type: Option<&str>, content: &[u8]) -> String {
    let content = String::from_utf8_lossy(content).replace('\r', "").replace('\n', "|");
    format!("{field} <{}> <{}> {content}", name.unwrap_or("-"), content_type.unwrap_or("-"))
}

fn text(field: &str, text: &str) -> String {
    format!("{field} = {}", text.replace('\r', "").replace('\n', "|"))
}

#[handlers]
impl Pages {
    /// All texts, and the files of a few fields.
    #[expose(get, post, put, patch)]
    #[allow(non_snake_case)]
    fn form(
        &self,
        params: Params,
        file: Vec<Upload>,
        files: Vec<Upload>,
        photo: Option<Upload>,
        Filedata: Option<Upload>,
    ) -> kirsch::Result<String> {
        let mut lines: Vec<_> = params.iter().map(|(name, value)| text(name, value)).collect();
        let named = [("file", file), ("files", files), ("photo", photo.into_iter().collect())];
        for (field, uploads) in named.into_iter().chain([("Filedata", Filedata.into_iter().collect())]) {
            for upload in uploads {
                let (name, content_type) =
                    (upload.file_name().map(str::to_owned), upload.content_type().map(str::to_owned));
                lines.push(self::file(field, name.as_deref(), content_type.as_deref(), &upload.bytes()?));
            }
        }
        Ok(sorted(lines))
    }

    /// Like [`form`](Self::form), read while it arrives.
    #[expose(post)]
    fn parts(&self, mut form: Multipart) -> kirsch::Result<String> {
        let mut lines = Vec::new();
        while let Some(mut part) = form.next_part()? {
            let name = part.name().to_owned();
            if part.is_file() {
                let mut content = Vec::new();
                std::io::copy(&mut part, &mut content)?;
                // A file field that was left empty, as browsers send it.
                if part.file_name().is_some() || !content.is_empty() {
                    let field = name.split('[').next().unwrap_or_default();
                    lines.push(file(field, part.file_name(), part.content_type(), &content));
                }
            } else {
                let content = part.text(10_000)?;
                lines.push(text(&name, &content));
            }
        }
        Ok(sorted(lines))
    }

    #[expose(post, put, patch)]
    fn json(&self, Json(value): Json<serde_json::Value>) -> String {
        value.to_string()
    }

    #[expose(post)]
    fn maybe_json(&self, value: Option<Json<serde_json::Value>>) -> String {
        value.map_or_else(|| "nothing".to_owned(), |Json(value)| value.to_string())
    }

    #[expose]
    fn list(&self, tag: Vec<String>) -> String {
        tag.join("|")
    }

    #[expose]
    fn of_struct(&self, Form(song): Form<Song>) -> String {
        format!("{} {}", song.title, song.tag.join("|"))
    }

    #[expose]
    fn of_query(&self, Query(song): Query<Song>) -> String {
        format!("{} {}", song.title, song.tag.join("|"))
    }

    #[expose(post)]
    fn upload(&self, photo: Upload) -> String {
        photo.size().to_string()
    }

    #[expose(post)]
    fn maybe_upload(&self, photo: Option<Upload>) -> String {
        photo.is_some().to_string()
    }

    #[expose(post)]
    fn uploads(&self, files: Vec<Upload>) -> String {
        files.len().to_string()
    }

    #[expose(post, put, patch, delete, get)]
    fn text(&self, title: String) -> String {
        title
    }

    #[expose(post, put, patch, delete, get)]
    fn maybe_text(&self, title: Option<String>) -> String {
        title.unwrap_or_else(|| "nothing".to_owned())
    }

    /// Takes the body itself, so that no argument by name is missed in it.
    #[expose(post)]
    fn bytes(&self, title: Option<String>, body: Bytes) -> String {
        format!("{title:?} {}", body.0.len())
    }
}

#[derive(Deserialize)]
struct Song {
    title: String,
    #[serde(default)]
    tag: Vec<String>,
}

fn app() -> App {
    App::new(Pages)
}

fn rows() -> Vec<Row> {
    [captures::multipart::ROWS, captures::others::ROWS].concat()
}

#[test]
fn a_handler_sees_the_clients_meaning_in_any_split() {
    let client = Client::over_socket(app());
    let mut connection = client.raw();
    for row in rows() {
        row.run(&mut connection);
    }
}

#[test]
fn there_are_more_than_fifty_captures_with_names_of_their_own() {
    let mut names: Vec<_> = rows().iter().map(|row| row.name).collect();
    names.sort_unstable();
    assert!(names.len() > 50 && names.windows(2).all(|pair| pair[0] != pair[1]), "{}", names.len());
}

/// A page, a content type, a body; the status, and the message of the answer.
type Case = (&'static str, &'static str, &'static [u8], u16, &'static str);

#[track_caller]
fn check(cases: &[Case]) {
    both(app, |client| {
        for (path, content_type, body, status, says) in cases {
            let mut request = client.post(path).body(*body);
            if !content_type.is_empty() {
                request = request.header("content-type", *content_type);
            }
            let response = request.send();
            let answer = (response.status().as_u16(), response.text().contains(says));
            assert_eq!(answer, (*status, true), "{path} {content_type} {}: {}", body.escape_ascii(), response.text());
        }
    });
}

const URLENCODED: &str = "application/x-www-form-urlencoded";
const XX: &str = "multipart/form-data; boundary=XX";

// One rule for queries, forms of either kind, and paths.
#[test]
fn bytes_that_are_no_text_are_400_and_name_the_parameter() {
    check(&[
        ("/text?title=%A3", "", b"", 400, "the parameter `title` is not UTF-8"),
        ("/text?title=a&%E9=b", "", b"", 400, "the name of a parameter is not UTF-8"),
        ("/of_query?title=%ff", "", b"", 400, "the parameter `title` is not UTF-8"),
        ("/text", URLENCODED, b"title=%A3", 400, "the parameter `title` is not UTF-8"),
        ("/text", URLENCODED, b"title=\xa3", 400, "the parameter `title` is not UTF-8"),
        ("/of_struct", URLENCODED, b"title=%C3", 400, "the parameter `title` is not UTF-8"),
        (
            "/text",
            XX,
            b"--XX\r\nContent-Disposition: form-data; name=title\r\n\r\n\xa3\r\n--XX--",
            400,
            "the parameter `title` is not UTF-8",
        ),
        (
            "/parts",
            XX,
            b"--XX\r\nContent-Disposition: form-data; name=title\r\n\r\n\xa3\r\n--XX--",
            400,
            "the parameter `title` is not UTF-8",
        ),
        ("/text/%A3", "", b"", 400, "UTF-8"),
        // A page that is not there stays one.
        ("/no_such_page?title=%A3", "", b"", 404, ""),
    ]);
}

#[test]
fn a_bad_percent_sign_is_itself_in_queries_and_forms_and_400_in_paths() {
    check(&[
        ("/text?title=100%", "", b"", 200, "100%"),
        ("/text?title=%zz%4", "", b"", 200, "%zz%4"),
        ("/text", URLENCODED, b"title=%zz&x=%", 200, "%zz"),
        ("/text/%zz", "", b"", 400, ""),
    ]);
}

#[test]
fn a_declared_charset_is_read_or_415() {
    check(&[
        ("/text", "application/x-www-form-urlencoded; charset=iso-8859-1", b"title=caf%E9", 200, "caf\u{e9}"),
        ("/text", "application/x-www-form-urlencoded; Charset=\"Windows-1252\"", b"title=%80", 200, "\u{20ac}"),
        ("/text", "application/x-www-form-urlencoded; charset=UTF-8", b"title=caf%C3%A9", 200, "caf\u{e9}"),
        ("/text", "application/x-www-form-urlencoded; charset=us-ascii", b"title=caf%E9", 400, "`title`"),
        ("/text", "application/x-www-form-urlencoded; charset=gbk", b"title=a", 415, "charset"),
        ("/text", "application/x-www-form-urlencoded;charset=utf-16", b"\xff\xfet\x00i\x00t\x00l\x00e\x00=\xff\xfe\xa3\x00", 200, "\u{a3}"),
        ("/text", URLENCODED, b"title=caf%E9&_charset_=windows-1252", 200, "caf\u{e9}"),
        ("/text", URLENCODED, b"title=caf%C3%A9&_charset_=", 200, "caf\u{e9}"),
        ("/text", URLENCODED, b"title=a&_charset_=shift_jis", 415, "charset"),
        ("/text", "multipart/form-data; boundary=XX; charset=gbk", b"--XX--", 415, "charset"),
        ("/text", XX, b"--XX\r\nContent-Disposition: form-data; name=title\r\nContent-Type: text/plain; charset=gbk\r\n\r\na\r\n--XX--", 415, "`title`"),
        ("/parts", XX, b"--XX\r\nContent-Disposition: form-data; name=title\r\nContent-Type: text/plain; charset=gbk\r\n\r\na\r\n--XX--", 415, "`title`"),
    ]);
}

#[test]
fn a_body_that_the_page_cannot_read_is_415_and_never_lost_in_silence() {
    const WANTED: &str = "this page reads a form";
    for path in ["/upload", "/maybe_upload", "/uploads", "/text", "/maybe_text", "/list", "/of_struct", "/form"] {
        check(&[
            (path, "image/png", b"\x89PNG", 415, "image/png"),
            (path, "application/json", b"{\"title\": \"a\"}", 415, WANTED),
            (path, "multipart/mixed; boundary=XX", b"--XX--", 415, WANTED),
            (path, "multipart/related; boundary=XX", b"--XX--", 415, WANTED),
            (path, "", b"title=a", 415, "no Content-Type"),
        ]);
    }
    check(&[
        ("/upload", "multipart/form-data", b"--XX--", 400, "boundary"),
        ("/text", "multipart/form-data; boundary=", b"--XX--", 400, "boundary"),
        ("/parts", "image/png", b"\x89PNG", 415, "multipart/form-data"),
        // Given in another place, or taken by another argument.
        ("/text/given", "image/png", b"x", 200, "given"),
        ("/text?title=given", "application/json", b"{}", 200, "given"),
        ("/bytes", "image/png", b"12345", 200, "None 5"),
        // No content, so nothing is lost.
        ("/maybe_text", "image/png", b"", 200, "nothing"),
        ("/maybe_upload", "", b"", 200, "false"),
        ("/text", URLENCODED, b"", 400, "`title` is missing"),
        ("/text", "", b"", 404, "`title` is missing"),
        // A text in the place of a file.
        ("/maybe_upload", URLENCODED, b"photo=a.png", 400, "enctype"),
        ("/uploads", URLENCODED, b"files[]=a.png", 400, "enctype"),
        ("/maybe_upload", URLENCODED, b"photo=", 200, "false"),
        (
            "/maybe_upload",
            XX,
            b"--XX\r\nContent-Disposition: form-data; name=photo\r\n\r\nx\r\n--XX--",
            400,
            "filename",
        ),
    ]);
}

#[test]
fn the_method_of_a_form_does_not_matter_and_content_of_a_get_means_nothing() {
    both(app, |client| {
        for request in [client.put("/text"), client.request(Method::PATCH, "/text"), client.delete("/text")] {
            request.form(&[("title", "a")]).send().assert_status(200).assert_text("a");
        }
        for request in [client.put("/text"), client.request(Method::PATCH, "/text"), client.delete("/maybe_text")] {
            request.header("content-type", "application/json").body("{}").send().assert_status(415);
        }
        client.get("/maybe_text").header("content-type", "application/json").body("{}").send().assert_text("nothing");
    });
}

#[test]
fn a_list_may_be_written_with_brackets() {
    check(&[
        ("/list?tag[]=a&tag%5B%5D=b", "", b"", 200, "a|b"),
        ("/list", URLENCODED, b"tag%5B%5D=a&tag%5B%5D=b", 200, "a|b"),
        ("/list?tag=a", URLENCODED, b"tag[1]=c&tag[0]=b&tag[x]=d", 200, "a|c|b"),
        ("/of_struct", URLENCODED, b"title=t&tag[]=a&tag[]=b", 200, "t a|b"),
        ("/of_query?title=t&tag[0]=a&tag[1]=b", "", b"", 200, "t a|b"),
        ("/of_struct", XX, b"--XX\r\nContent-Disposition: form-data; name=\"title\"\r\n\r\nt\r\n--XX\r\nContent-Disposition: form-data; name=\"tag[]\"\r\n\r\na\r\n--XX--", 200, "t a"),
    ]);
    let strict = || app().settings("/", |settings| settings.strict_params = true);
    both(strict, |client| {
        client.get("/list?tag[]=a").send().assert_text("a");
        client.get("/text?title[]=a").send().assert_status(404);
        let form = FormData::new().file("files[]", "a", "text/plain", b"1").file("files[]", "b", "text/plain", b"2");
        client.post("/uploads").form_data(form).send().assert_text("2");
    });
}

#[test]
fn json_is_read_as_clients_send_it() {
    const JSON: &str = "application/json";
    check(&[
        ("/json", JSON, b"\xef\xbb\xbf[1]", 200, "[1]"),
        ("/json", JSON, b" \r\n[1]\r\n ", 200, "[1]"),
        ("/json", "application/json; charset=utf-8", b"[1]", 200, "[1]"),
        ("/json", "application/json; charset=ISO-8859-1", b"[\"\xe9\"]", 200, "[\"\u{e9}\"]"),
        ("/json", "application/json; charset=ISO-8859-1", b"[\"\xc3\xa9\"]", 200, "[\"\u{e9}\"]"),
        ("/json", "application/json; charset=gbk", b"[1]", 415, "charset"),
        ("/json", JSON, b"\xff\xfe[\x001\x00]\x00", 415, "UTF-16"),
        ("/json", "application/json; charset=utf-16", b"\x00[\x001\x00]", 415, "UTF-16"),
        ("/json", JSON, b"[\"\xff\"]", 400, "cannot be read"),
        ("/json", JSON, b"", 400, "empty"),
        ("/json", JSON, b"\xef\xbb\xbf \n", 400, "empty"),
        ("/json", "text/plain", b"[1]", 415, "text/plain"),
        ("/json", "", b"[1]", 415, "no Content-Type"),
        ("/maybe_json", JSON, b"[1]", 200, "[1]"),
        ("/maybe_json", JSON, b"", 200, "nothing"),
        ("/maybe_json", "", b"", 200, "nothing"),
        ("/maybe_json", "image/png", b"x", 415, "JSON"),
        ("/maybe_json", JSON, b"{", 400, "cannot be read"),
    ]);
    for content_type in [
        "text/json",
        "application/csp-report",
        "application/reports+json",
        "application/x-json",
        "text/x-json",
        "application/ld+json; profile=x",
        "application/vnd.api+json",
        "Application/JSON;charset=utf-8",
    ] {
        check(&[("/json", content_type, b"[1]", 200, "[1]")]);
    }
}

#[test]
fn a_path_sets_its_types_of_json() {
    let app = || {
        let file = "[\"/json\"]\njson_types = [\"text/plain\", \"application/*+json\"]";
        app().config_str(file).settings("/maybe_json", |settings| settings.json_types = vec!["a/b".to_owned()])
    };
    both(app, |client| {
        let json =
            |path: &str, content_type: &str| client.post(path).header("content-type", content_type).body("[1]").send();
        json("/json", "text/plain; charset=utf-8").assert_text("[1]");
        json("/json", "application/x+json").assert_text("[1]");
        json("/json", "application/json").assert_status(415);
        json("/maybe_json", "a/b").assert_text("[1]");
        json("/maybe_json", "application/json").assert_status(415);
    });
    let wrong = App::new(Pages).config_str("[\"/\"]\njson_types = [\"json\"]").build().map(|_| ()).unwrap_err();
    assert!(wrong.to_string().contains("`json_types` has \"json\"; write media types"), "{wrong}");
}

#[test]
fn an_encoding_of_mail_is_415_with_a_sentence() {
    for encoding in ["base64", "Quoted-Printable"] {
        let body = format!(
            "--XX\r\nContent-Disposition: form-data; name=title\r\nContent-Transfer-Encoding: {encoding}\r\n\r\nYQ==\r\n--XX--"
        );
        both(app, |client| {
            for path in ["/text", "/parts"] {
                let answer = client.post(path).header("content-type", XX).body(body.clone()).send();
                answer.assert_status(415).assert_contains("send its bytes as they are");
            }
        });
    }
}

/// Doubtful borders of parts.
#[test]
fn framing_stays_strict() {
    check(&[
        ("/text", XX, b"--XX\nContent-Disposition: form-data; name=title\n\na\n--XX--\n", 400, "LF without CR"),
        ("/text", XX, b"--XX\r\nContent-Disposition: form-data; name=title\r\n\r\na\r\n--XX\r\n", 400, "last boundary"),
        ("/text", XX, b"--XX\r\nContent-Disposition: form-data; name=title\r\n\r\na", 400, "last boundary"),
        ("/text", XX, b"--XXX\r\nContent-Disposition: form-data; name=title\r\n\r\na\r\n--XX--", 400, "boundary"),
        ("/text", "multipart/form-data; boundary=XX; boundary=YY", b"--XX--", 400, "boundary"),
        (
            "/text",
            XX,
            b"--XX\r\nContent-Disposition: form-data; name=title; name=other\r\n\r\na\r\n--XX--",
            400,
            "twice",
        ),
    ]);
}
