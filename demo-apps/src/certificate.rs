//! A certificate that a program makes at its start, and that signs itself: browsers warn, and `curl` wants
//! `--insecure`.

use kirsch::Tls;

/// TLS with a certificate for this machine.
///
/// # Errors
/// When no key can be made.
pub fn of_this_machine() -> Result<Tls, String> {
    let names = ["localhost", "127.0.0.1", "::1"].map(str::to_owned);
    let made = rcgen::generate_simple_self_signed(names).map_err(|error| format!("no certificate: {error}"))?;
    Ok(Tls::new().certificate_pem(made.cert.pem(), made.signing_key.serialize_pem()))
}
