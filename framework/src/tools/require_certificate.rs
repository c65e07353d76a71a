//! Certificates of clients for a part of a site: `RequireCertificate`.
//!
//! The handshake has checked the certificate long before; here is only whether there is one, and whether it is among
//! those that are let in. The hook runs at `on_start_resource` 54: after redirects (50), before a login is asked for
//! (55), and before a body is uploaded.

use crate::exchange::{Error, Exchange};
use crate::lifecycle::{HookPoint, Hooks, Tool};
use crate::settings::{SettingError, SettingTable, Settings};
use ::http::StatusCode;

/// Lets requests through whose client has shown a certificate, and refuses all others with 403.
///
/// ```
/// use kirsch::{prelude::*, testing::Client, tls::ClientCertificates, tools::RequireCertificate};
///
/// // Clients are asked for one, and get to see the home page without.
/// let tls = Tls::new().client_certificates(ClientCertificates::Optional, ["clients-ca.pem"]);
/// let site = Tree::new().index(|_| "home").page("admin", |_| "keys");
/// let app = App::new(site).tls(tls).tool("/admin", RequireCertificate::new());
/// # let client = Client::in_process(app);
/// # client.get("/").send().assert_text("home");
/// # client.get("/admin").send().assert_status(403);
/// ```
///
/// Which certificates are believed, the server decides for all hosts and paths alike: see
/// [`Tls::client_certificates`](crate::Tls::client_certificates). While that is off the application does not start with
/// this tool. Behind a proxy the certificate is that of the proxy.
///
/// In a file: `require_certificate.on = true`.
#[derive(Clone, Debug, Settings)]
#[settings(check = Self::check)]
pub struct RequireCertificate {
    /// The SHA-256 fingerprints of the certificates that are let in, with or without colons; empty for all that the
    /// server believes.
    fingerprints: Vec<String>,
}

impl RequireCertificate {
    /// Every certificate that the server believes is let in.
    #[must_use]
    pub fn new() -> Self {
        Self::defaults()
    }

    fn check(&self) -> Result<Vec<[u8; 32]>, SettingError> {
        let parsed = self.fingerprints.iter().map(|text| {
            parse(text).ok_or_else(|| {
                let problem = format!(
                    "has {text:?}; it must be 64 hexadecimal digits, as `openssl x509 -noout -fingerprint -sha256` prints them"
                );
                SettingError::new("fingerprints", problem)
            })
        });
        parsed.collect()
    }
}

impl Default for RequireCertificate {
    fn default() -> Self {
        Self::new()
    }
}

fn parse(text: &str) -> Option<[u8; 32]> {
    let digits: Vec<u8> = text.bytes().filter(|byte| *byte != b':').collect();
    let (pairs, rest) = digits.as_chunks::<2>();
    let byte = |pair: &[u8; 2]| {
        let is_hex = pair.iter().all(u8::is_ascii_hexdigit);
        u8::from_str_radix(std::str::from_utf8(pair).ok().filter(|_| is_hex)?, 16).ok()
    };
    let bytes: Vec<u8> = pairs.iter().map(byte).collect::<Option<_>>()?;
    bytes.try_into().ok().filter(|_| rest.is_empty())
}

fn admit(exchange: &Exchange, listed: &[[u8; 32]]) -> Result<(), Error> {
    let refused = |sentence| Err(Error::new(StatusCode::FORBIDDEN, sentence));
    match exchange.request.client_certificate() {
        None => refused("This page is for visitors who show a certificate, and your browser has shown none."),
        Some(shown) if !listed.is_empty() && !listed.contains(shown.sha256()) => {
            refused("The certificate that your browser has shown does not open this page.")
        }
        Some(_) => Ok(()),
    }
}

impl Tool for RequireCertificate {
    fn name(&self) -> &'static str {
        "require_certificate"
    }

    fn attach(&self, hooks: &mut Hooks) {
        let listed = match self.check() {
            Ok(listed) => listed,
            Err(error) => return hooks.refuse(error),
        };
        hooks.at(HookPoint::OnStartResource, move |exchange| admit(exchange, &listed)).priority(54);
    }

    fn configure(&self, settings: &SettingTable) -> Result<Box<dyn Tool>, SettingError> {
        Ok(Box::new(self.configured(settings)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exchange::{ClientCertificate, ErrorKind, TlsFacts, TlsVersion};
    use std::sync::Arc;

    /// An exchange whose client has shown a certificate of this hash.
    fn shown(sha256: Option<u8>) -> Exchange {
        let mut exchange = Exchange::default();
        let mut facts = TlsFacts::new(TlsVersion::Tls13, "TLS13_AES_128_GCM_SHA256");
        facts.client_certificate =
            sha256.map(|byte| ClientCertificate::new([[1_u8]], [byte; 32], "CN=anna", Vec::new()));
        exchange.request.connection.tls = Some(Arc::new(facts));
        exchange
    }

    #[test]
    fn a_client_without_a_certificate_or_with_another_one_is_refused() {
        let listed = [[7; 32]];
        for (sha256, listed, is_refused) in [
            (None, &[][..], true),
            (Some(7), &[], false),
            (Some(7), &listed, false),
            (Some(8), &listed, true),
            (None, &listed, true),
        ] {
            let refused = admit(&shown(sha256), listed).err();
            assert_eq!(refused.is_some(), is_refused, "{sha256:?}");
            let status = refused.map(|error| matches!(error.kind(), ErrorKind::Http(http) if http.status == 403));
            assert_ne!(status, Some(false), "{sha256:?}");
        }
    }

    #[test]
    fn fingerprints_are_read_as_openssl_prints_them() {
        let colons = ["AB"; 32].join(":");
        let tool = RequireCertificate::new().fingerprints([colons.as_str(), &"0f".repeat(32)]);
        assert_eq!(tool.check(), Ok(vec![[0xab; 32], [0x0f; 32]]));
        for wrong in ["", "ab", &"ag".repeat(32), &"+1".repeat(32), &"a".repeat(63), &"a".repeat(66)] {
            assert!(RequireCertificate::new().fingerprints([wrong]).check().is_err(), "{wrong}");
        }
    }
}
