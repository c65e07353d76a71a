//! Run with `cargo run --release -p https`: the pages of the testbed by TLS, and a port that leads plain requests
//! there.
//!
//! The certificate is made at the start and signs itself, so browsers warn and `curl` wants `--insecure`. A site has
//! one of an authority, in files: see the page about TLS in the guide.

use demo_apps::{
    certificate,
    command_line::{CommandLine, Listens},
};
use std::process::ExitCode;

fn main() -> ExitCode {
    let command_line = CommandLine {
        program: "https",
        about: "Serves the pages of the testbed by TLS, with a certificate that it makes itself.",
        numbers: &[],
        texts: &[],
        listens: Listens::EncryptedPort,
    };
    demo_apps::try_run(&command_line, |_| Ok(testbed::app().tls(certificate::of_this_machine()?)))
}
