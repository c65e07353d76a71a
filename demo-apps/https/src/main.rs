//! Run with `cargo run --release -p https`: the pages of the testbed by TLS, and a port that leads plain requests
//! there.
//!
//! The certificate is made at the start and signs itself, so browsers warn and `curl` wants `--insecure`. A site has
//! one of an authority, in files: see the page about TLS in the guide.

use demo_apps::command_line::{CommandLine, Listens};
use kirsch::Tls;
use std::process::ExitCode;

fn main() -> ExitCode {
    let command_line = CommandLine {
        program: "https",
        about: "Serves the pages of the testbed by TLS, with a certificate that it makes itself.",
        numbers: &[],
        texts: &[],
        listens: Listens::EncryptedPort,
    };
    demo_apps::try_run(&command_line, |_| {
        let names = ["localhost", "127.0.0.1", "::1"].map(str::to_owned);
        let made = rcgen::generate_simple_self_signed(names).map_err(|error| format!("no certificate: {error}"))?;
        Ok(testbed::app().tls(Tls::new().certificate_pem(made.cert.pem(), made.signing_key.serialize_pem())))
    })
}
