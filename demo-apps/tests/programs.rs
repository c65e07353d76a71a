//! The demo programs as processes: their announcements, their answers and their exit codes.

#[path = "programs/news.rs"]
mod news;

use demo_apps::process::Program;
use rustix::process::Signal;
use std::{
    io::{BufRead, BufReader, Write},
    net::TcpListener,
    process::{Command, Output, Stdio},
};

const PAGE1_PAGE2: &str = env!("CARGO_BIN_EXE_page1-page2");
const QUADRUPLE: &str = env!("CARGO_BIN_EXE_quadruple");
const SONG_COUNTER: &str = env!("CARGO_BIN_EXE_song-counter");
const CHUNKS: &str = env!("CARGO_BIN_EXE_chunks");
const IRESPONSE: &str = env!("CARGO_BIN_EXE_iresponse");
const NEWS: &str = env!("CARGO_BIN_EXE_news");
const UPLOAD: &str = env!("CARGO_BIN_EXE_upload");

fn output(path: &str, arguments: &[&str]) -> Output {
    Command::new(path).args(arguments).env_remove("RUST_LOG").output().expect("the program was built")
}

#[test]
fn each_program_announces_its_address_answers_and_ends_with_0_after_sigterm() {
    for (path, page, text) in [
        (PAGE1_PAGE2, "/page2", "Hello World!"),
        (QUADRUPLE, "/quadruple?number=4", "16"),
        (SONG_COUNTER, "/", ""),
        (CHUNKS, "/chunks?chunks=1", "Chunk 0\n"),
    ] {
        let program = Program::start(path, &[]);
        program.client.get(page).send().assert_status(200).assert_text(text);
        assert_eq!(program.end_with(Signal::TERM), (Some(0), String::new()), "{path}");
    }
}

#[test]
fn sigint_ends_a_program_gracefully_too() {
    let program = Program::start(SONG_COUNTER, &["--threads", "2"]);
    program.client.get("/").send().assert_status(200);
    assert_eq!(program.end_with(Signal::INT).0, Some(0));
}

#[test]
fn page1_sleeps_as_long_as_the_command_line_says() {
    let program = Program::start(PAGE1_PAGE2, &["--seconds", "0"]);
    program.client.get("/page1").send().assert_text("*Yawn*");
    program.client.get("/").send().assert_contains("sleeps 0 s");
}

// With two workers, the 20 requests that ask for the same number hold one.
#[test]
fn the_slow_service_is_asked_once_however_many_want_the_answer() {
    let program = Program::start(QUADRUPLE, &["--threads", "2", "--seconds", "1"]);
    std::thread::scope(|scope| {
        for _ in 0..20 {
            scope.spawn(|| program.client.new_browser().get("/quadruple?number=4").send().assert_text("16").status());
        }
    });
    program.client.get("/quadruple?number=4").send().assert_text("16").assert_header("age", "0");
    program.client.get("/").send().assert_contains("the service was asked         1\n");
}

#[test]
fn a_number_that_cannot_be_quadrupled_is_refused_and_not_kept() {
    let program = Program::start(QUADRUPLE, &["--seconds", "0"]);
    for number in ["x", "9223372036854775807"] {
        let page = format!("/quadruple?number={number}");
        program.client.get(&page).send().assert_status(400);
        program.client.get(&page).send().assert_status(400).assert_no_header("age");
    }
}

#[test]
fn a_port_in_use_ends_with_1_and_a_message_that_names_it() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = taken.local_addr().expect("it is bound").port().to_string();
    let output = output(SONG_COUNTER, &["--port", &port]);
    let message = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{message}");
    assert!(message.contains(&port) && output.stdout.is_empty(), "{message}");
}

#[test]
fn an_unknown_argument_ends_with_2_and_the_help() {
    let output = output(SONG_COUNTER, &["--prot", "8080"]);
    let message = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2));
    assert!(message.contains("\"--prot\" is not known") && message.contains("--port N"), "{message}");
}

#[test]
fn help_goes_to_standard_output() {
    let output = output(PAGE1_PAGE2, &["--help"]);
    let help = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.code(), Some(0));
    assert!(help.contains("--seconds N") && help.contains("--threads N"), "{help}");
}

/// The output of iresponse, without the times.
fn without_times(output: &[u8]) -> Vec<String> {
    String::from_utf8_lossy(output).lines().map(|line| line[9..].trim().to_owned()).collect()
}

#[test]
fn chunks_serves_as_many_as_the_command_line_says_and_iresponse_prints_them() {
    let program = Program::start(CHUNKS, &["--chunks", "3", "--pause=0"]);
    let url = format!("http://{}/", program.client.address().expect("it listens"));
    let printed = output(IRESPONSE, &[&url]);
    let expected = ["200 OK", "Chunk 0", "Chunk 1", "Chunk 2", "the end, after 3 pieces"];
    assert_eq!((without_times(&printed.stdout), printed.status.code()), (expected.map(str::to_owned).into(), Some(0)));
}

#[test]
fn iresponse_says_that_a_response_broke_off_and_ends_with_1() {
    let program = Program::start(CHUNKS, &["--pause", "0"]);
    let url = format!("http://{}/broken", program.client.address().expect("it listens"));
    let printed = output(IRESPONSE, &[&url]);
    assert_eq!(without_times(&printed.stdout), ["200 OK", "Chunk 0", "Chunk 1"]);
    let message = String::from_utf8_lossy(&printed.stderr);
    assert!(message.contains("the response broke off after 2 pieces"), "{message}");
    assert_eq!(printed.status.code(), Some(1));
}

#[test]
fn iresponse_prints_each_chunk_as_it_arrives() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let url = format!("http://{}", listener.local_addr().expect("it is bound"));
    let mut child = Command::new(IRESPONSE).arg(url).stdout(Stdio::piped()).spawn().expect("the program was built");
    let mut lines = BufReader::new(child.stdout.take().expect("stdout is piped")).lines().map_while(Result::ok);
    let (mut connection, _) = listener.accept().expect("it connects");
    connection.write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n").expect("it reads");
    assert!(lines.next().expect("a line").ends_with("200 OK"));
    for text in ["one", "two"] {
        // The next one is sent only after this one was printed.
        connection.write_all(format!("3\r\n{text}\r\n").as_bytes()).expect("it reads");
        assert!(lines.next().expect("a line").ends_with(text));
    }
    connection.write_all(b"0\r\n\r\n").expect("it reads");
    assert!(lines.next().expect("a line").ends_with("after 2 pieces"));
    assert_eq!(child.wait().expect("it is our child").code(), Some(0));
}

#[test]
fn iresponse_names_a_wrong_url_and_a_server_that_is_not_there() {
    assert_eq!(output(IRESPONSE, &["localhost:8080"]).status.code(), Some(2));
    let taken = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = taken.local_addr().expect("it is bound");
    drop(taken);
    let printed = output(IRESPONSE, &[&format!("http://{address}/")]);
    assert!(String::from_utf8_lossy(&printed.stderr).contains("no response"));
    assert_eq!(printed.status.code(), Some(1));
}

// The progress of an upload is told to the session that sends it, while it sends.
#[test]
fn progress_answers_the_session_whose_upload_runs() {
    let program = Program::start(UPLOAD, &["--threads", "2"]);
    let client = &program.client;
    client.get("/").send().assert_contains("nothing yet");
    let cookie = client.cookie("session_id").expect("the front page begins a session");
    let mut upload = client.raw();
    // Of unknown length, and it pauses in the middle.
    upload.send(format!("POST /receive?upload=one HTTP/1.1\r\nHost: a\r\nCookie: session_id={cookie}\r\n"));
    upload.send("Content-Type: multipart/form-data; boundary=XX\r\nTransfer-Encoding: chunked\r\n\r\n");
    let start = "--XX\r\nContent-Disposition: form-data; name=file; filename=a.txt\r\n\r\n12345";
    upload.send(format!("{:x}\r\n{start}\r\n", start.len()));
    while client.get("/progress?upload=one").try_send().is_ok_and(|answer| answer.text() != "[5,null,null]") {}
    upload.send("c\r\n6789\r\n--XX--\r\n0\r\n\r\n");
    upload.read_response().assert_status(200).assert_text("a.txt: 9 bytes, CRC-32 cbf43926\n");
    client.get("/progress?upload=one").send().assert_contains("[9,null,\"a.txt: 9 bytes");
    client.get("/").send().assert_contains("a.txt: 9 bytes, CRC-32 cbf43926");
}

// Memory does not grow with the upload.
#[test]
fn an_upload_is_kept_in_the_directory_and_not_in_memory() {
    let directory = std::env::temp_dir().join(format!("kirsch-upload-{}", std::process::id()));
    std::fs::create_dir_all(&directory).expect("room");
    let program = Program::start(UPLOAD, &["--directory", directory.to_str().expect("text")]);
    let peak = || {
        let status = std::fs::read_to_string(format!("/proc/{}/status", program.id())).expect("it runs");
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("Linux tells");
        line.trim().trim_end_matches(" kB").parse::<u64>().expect("a number")
    };
    program.client.put("/receive/small").body("123456789").send().assert_contains("CRC-32 cbf43926");
    let before = peak();
    let content = vec![b'x'; 16 << 20];
    program.client.put("/receive/large").body(content.clone()).send().assert_contains("large: 16777216 bytes");
    let form = kirsch::testing::FormData::new().file("file", "../form", "text/plain", &content);
    program.client.post("/receive").form_data(form).send().assert_contains("form: 16777216 bytes");
    assert!(peak() - before < 4 << 10, "from {before} KiB to {} KiB", peak());
    assert!(std::fs::read(directory.join("form")).expect("it was kept") == content);
    program.client.put("/receive/small").body("other").send().assert_status(409);
    program.client.put("/receive/..%2Fother").body("x").send().assert_status(400);
    std::fs::remove_dir_all(&directory).expect("it is ours");
}
