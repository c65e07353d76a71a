//! The program as a process: its announcements, its pages by TLS, and where the other port leads.

use demo_apps::process::Program;
use kirsch::testing::Client;
use rustix::process::Signal;

#[test]
fn it_serves_by_tls_and_leads_plain_requests_there() {
    let program = Program::start(env!("CARGO_BIN_EXE_https"), &["--redirect-port", "0"]);
    let address = program.client.address().expect("it listens");
    let client = Client::connect_tls(address);
    client.get("/").send().assert_status(200).assert_text("Hello, World!");
    client.get("/count").send().assert_text("1");
    program.client.get("/").send().assert_status(400).assert_contains(&format!("https://{address}/"));
    let (code, rest) = program.end_with(Signal::TERM);
    assert_eq!(code, Some(0));
    assert!(rest.starts_with("Redirecting from http://127.0.0.1:"), "{rest}");
}
