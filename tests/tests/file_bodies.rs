//! Parts of open files as responses: exactly the promised bytes, or a visible break when the file has changed.

use integration_tests::{Gate, both};
use kirsch::{FileBody, prelude::*, testing::Client};
use std::{
    fs::File,
    io::{Seek, Write},
    sync::Arc,
};

/// One open file that all requests share.
struct Files {
    file: Arc<File>,
    gate: Gate,
}

#[handlers]
impl Files {
    #[expose]
    fn part(&self, start: u64, end: u64) -> FileBody {
        FileBody::range(Arc::clone(&self.file), start..end)
    }

    #[expose]
    fn whole(&self) -> kirsch::Result<FileBody> {
        Ok(FileBody::whole(self.file.try_clone()?)?)
    }

    /// The file becomes shorter between the promise and the sending.
    #[expose]
    fn shortened(&self, promised: u64, left: u64) -> kirsch::Result<FileBody> {
        self.file.set_len(left)?;
        Ok(FileBody::range(Arc::clone(&self.file), 0..promised))
    }

    #[expose]
    fn without(&self, status: u16) -> kirsch::Result<(StatusCode, FileBody)> {
        Ok((StatusCode::from_u16(status)?, self.part(0, 100_000)))
    }

    /// The memory of this process, from the place where [`MEMORY`] is: a file that the kernel cannot send by itself.
    #[expose]
    fn memory(&self, length: u64) -> kirsch::Result<FileBody> {
        let start = MEMORY.as_ptr().addr() as u64;
        Ok(FileBody::range(Arc::new(File::open("/proc/self/mem")?), start..start + length))
    }

    #[expose]
    fn hold(&self) -> &'static str {
        self.gate.pass();
        "held"
    }

    #[expose]
    fn index(&self) -> &'static str {
        "here"
    }
}

static MEMORY: [u8; 300_000] = [b'm'; 300_000];

fn content(length: usize) -> Vec<u8> {
    // Its period divides no buffer size, so no piece can pass for another.
    let period: Vec<u8> = (0..251).collect();
    let mut content = period.repeat(length.div_ceil(period.len()));
    content.truncate(length);
    content
}

fn files(length: usize) -> App {
    files_and_gate(length, Gate::new())
}

fn files_and_gate(length: usize, gate: Gate) -> App {
    let mut file = tempfile::tempfile().expect("a temporary file");
    file.write_all(&content(length)).expect("room in the temporary directory");
    file.rewind().expect("a file has a start");
    App::new(Files { file: Arc::new(file), gate })
}

const LARGE: usize = 40 << 20;

#[test]
fn a_file_of_any_size_arrives_whole() {
    for length in [0, 1, 16 * 1024, 16 * 1024 + 1, 100_000, 3 << 20] {
        both(
            || files(length),
            |client| {
                for _ in 0..2 {
                    let response = client.get("/whole").send();
                    response.assert_header("content-length", &length.to_string()).assert_no_header("transfer-encoding");
                    assert!(response.bytes() == content(length), "{length}");
                }
            },
        );
    }
}

#[test]
fn responses_share_one_open_file() {
    let client = Client::over_socket(files(3 << 20));
    let mut connection = client.raw();
    for (start, end) in [(5, 9), (1_000_000, 3_000_000), (0, 20_000), (7, 7)] {
        connection.send(format!("GET /part/{start}/{end} HTTP/1.1\r\nHost: a\r\n\r\n"));
    }
    for (start, end) in [(5, 9), (1_000_000, 3_000_000), (0, 20_000), (7, 7)] {
        assert!(connection.read_response().bytes() == &content(3 << 20)[start..end], "{start}");
    }
}

#[test]
fn a_file_that_became_shorter_breaks_the_connection() {
    for (promised, left) in [(10_000, 4), (10_000, 0), (100_000, 50_000), (100_000, 0)] {
        let client = Client::over_socket(files(promised));
        let mut connection = client.raw();
        connection.send(format!("GET /shortened/{promised}/{left} HTTP/1.1\r\nHost: a\r\n\r\n"));
        let received = connection.read_to_end();
        let body = received.windows(4).position(|window| window == b"\r\n\r\n").expect("a head") + 4;
        assert!(received.len() - body <= left, "nothing is made up: {}", received.len() - body);
        client.get("/").send().assert_text("here");
    }
}

#[test]
fn a_file_that_the_kernel_cannot_send_is_read() {
    let client = Client::over_socket(files(0));
    for length in [1000, 300_000] {
        let response = client.get(&format!("/memory/{length}")).send();
        response.assert_header("content-length", &length.to_string());
        assert!(response.bytes() == &MEMORY[..length], "{length}");
    }
}

// Not one byte is read, so it does not matter that the file has none.
#[test]
fn head_and_statuses_without_content_do_not_read_the_file() {
    let client = Client::over_socket(files(0));
    let mut connection = client.raw();
    connection.send("HEAD /part/0/100000 HTTP/1.1\r\nHost: a\r\n\r\n");
    connection.read_response_to_head().assert_header("content-length", "100000");
    for status in [204, 304, 205] {
        connection.send(format!("GET /without/{status} HTTP/1.1\r\nHost: a\r\n\r\n"));
        assert_eq!(connection.read_response().assert_status(status).bytes(), b"");
    }
    connection.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").read_response().assert_text("here");
}

#[test]
fn a_slow_reader_of_a_file_holds_no_worker() {
    let client = Client::over_socket(files(LARGE).threads(1));
    let mut reader = client.raw();
    reader.send("GET /whole HTTP/1.1\r\nHost: a\r\n\r\n");
    client.get("/").send().assert_text("here");
    assert!(reader.read_response().bytes() == content(LARGE));
}

// The ticker goes on with work that needs no code of the application.
#[test]
fn a_file_goes_on_while_all_workers_are_held() {
    let gate = Gate::new();
    let client = Client::over_socket(files_and_gate(LARGE, gate.clone()).threads(1));
    let mut reader = client.raw();
    reader.send("GET /whole HTTP/1.1\r\nHost: a\r\n\r\n");
    client.get("/").send().assert_text("here");
    let mut held = client.raw();
    held.send("GET /hold HTTP/1.1\r\nHost: a\r\n\r\n");
    gate.wait_for(1);
    assert!(reader.read_response().bytes() == content(LARGE));
    gate.open();
    held.read_response().assert_text("held");
}

#[test]
fn a_client_that_leaves_in_the_middle_of_a_file_disturbs_no_other() {
    let client = Client::over_socket(files(LARGE).threads(1));
    for _ in 0..20 {
        let mut connection = client.raw();
        connection.send("GET /whole HTTP/1.1\r\nHost: a\r\n\r\n");
        connection.reset();
    }
    assert!(client.get("/part/0/100000").send().bytes() == content(100_000));
}

#[test]
fn a_1_0_client_gets_the_length_too() {
    let client = Client::over_socket(files(100_000));
    let mut connection = client.raw();
    connection.send("GET /whole HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    assert!(connection.read_response().assert_header("content-length", "100000").bytes() == content(100_000));
}
