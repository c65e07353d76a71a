//! The program as a process: its announcements, its pages by TLS, and where the other port leads.

use demo_apps::process::Program;
use kirsch::testing::Client;
use rustix::process::{Pid, Signal, kill_process};

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

/// The number of the process that answers, by its status page.
fn process(address: std::net::SocketAddr) -> Pid {
    let status = Client::connect_tls(address).get("/status/json").send();
    let number = status.text().split("\"process\":").nth(1).and_then(|rest| rest.split([',', '}']).next());
    number.and_then(|number| Pid::from_raw(number.trim().parse().ok()?)).expect("the number of a process")
}

#[test]
fn a_new_process_keeps_its_ports_and_the_old_one_ends() {
    let mut program = Program::start(env!("CARGO_BIN_EXE_https"), &["--redirect-port", "0"]);
    let address = program.client.address().expect("it listens");
    let redirecting = program.next_line();
    let old = process(address);
    program.signal(Signal::USR2);
    assert_eq!(program.next_line(), format!("Serving on https://{address}"));
    assert_eq!(program.next_line(), redirecting);
    assert_eq!(program.wait(), Some(0));
    let new = process(address);
    assert_ne!(new, old);
    kill_process(new, Signal::TERM).expect("it runs");
    assert_eq!(program.rest(), "");
}
