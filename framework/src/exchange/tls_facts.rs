//! What is known of an encrypted connection: the name that the client asked for, version, cipher, protocol, and the
//! client's certificate.
//!
//! The facts are gathered once, when the handshake ends, and shared by the requests of the connection. The room `tls`
//! makes them; nothing here does cryptography, so handlers and tools look at them in every build.

use std::net::IpAddr;
use std::time::SystemTime;

/// The facts of a connection by TLS: [`Request::tls`](super::Request::tls).
///
/// Behind a proxy that is the connection from the proxy. Whether the client itself came by TLS says
/// [`Request::is_secure`](super::Request::is_secure).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TlsFacts {
    /// The host that the client asked for (SNI), in lower case; `None` if it asked for an address, or for nothing.
    pub server_name: Option<Box<str>>,
    /// The version of TLS.
    pub version: TlsVersion,
    /// The suite of ciphers by its name in the registry of IANA, as `TLS13_AES_256_GCM_SHA384`.
    pub cipher: &'static str,
    /// The protocol that client and server agreed on (ALPN), as `http/1.1`; `None` if the client offered none.
    pub protocol: Option<Box<str>>,
    /// Whether the connection goes on where an earlier one ended, by a ticket of the client.
    pub is_resumed: bool,
    /// The certificate that the client has shown, checked against the roots that the server trusts.
    pub client_certificate: Option<ClientCertificate>,
}

impl TlsFacts {
    /// The facts of a connection without a client certificate.
    #[must_use]
    pub fn new(version: TlsVersion, cipher: &'static str) -> Self {
        Self { server_name: None, version, cipher, protocol: None, is_resumed: false, client_certificate: None }
    }
}

/// A version of TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum TlsVersion {
    /// TLS 1.2, RFC 5246.
    Tls12,
    /// TLS 1.3, RFC 8446.
    Tls13,
}

impl std::fmt::Display for TlsVersion {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Tls12 => "TLS 1.2",
            Self::Tls13 => "TLS 1.3",
        })
    }
}

/// A certificate that a server shows its clients, as operators see it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CertificateState {
    /// Its file, as the settings name it.
    pub place: String,
    /// The hosts that it is for, in lower case; `*.` stands for one label.
    pub hosts: Vec<String>,
    /// Its end.
    pub expires: SystemTime,
}

impl CertificateState {
    /// The state of a certificate out of a file, for these hosts, until then.
    #[must_use]
    pub fn new(place: &str, hosts: Vec<String>, expires: SystemTime) -> Self {
        Self { place: place.to_owned(), hosts, expires }
    }
}

/// A certificate that a client has shown and proved to be its own: [`Request::client_certificate`].
///
/// The server has checked it: one of the roots that it trusts for clients has signed it, it has not expired, and no
/// list of revoked certificates has it. Who the client is, and what it may do, the application decides: by a name, or
/// by the [fingerprint](Self::sha256).
///
/// [`Request::client_certificate`]: super::Request::client_certificate
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientCertificate {
    chain: Box<[Box<[u8]>]>,
    sha256: [u8; 32],
    subject: Box<str>,
    names: Box<[CertificateName]>,
}

/// A name that a certificate is for. Names of different kinds are never the same, even if their texts are.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CertificateName {
    /// A host, in lower case, or `*.` and a domain.
    Dns(Box<str>),
    /// An e-mail address, as written in the certificate.
    Email(Box<str>),
    /// A URI, such as `spiffe://example.org/shop`, as written in the certificate.
    Uri(Box<str>),
    /// An IP address.
    Ip(IpAddr),
}

impl ClientCertificate {
    /// A certificate and those that lead from it to a root, each as DER, with what was read in the first one.
    ///
    /// For code that answers in the place of the server, and for its tests: nothing is checked here.
    #[must_use]
    pub fn new(
        chain: impl IntoIterator<Item = impl Into<Box<[u8]>>>,
        sha256: [u8; 32],
        subject: &str,
        names: Vec<CertificateName>,
    ) -> Self {
        let chain = chain.into_iter().map(Into::into).collect();
        Self { chain, sha256, subject: subject.into(), names: names.into() }
    }

    /// The certificate itself, as DER.
    #[must_use]
    pub fn der(&self) -> &[u8] {
        self.chain.first().map(|der| &**der).unwrap_or_default()
    }

    /// The certificate and those that the client has sent with it, its own first, each as DER. The root is mostly not
    /// among them.
    pub fn chain(&self) -> impl ExactSizeIterator<Item = &[u8]> {
        self.chain.iter().map(|der| &**der)
    }

    /// The SHA-256 of the certificate, by which programs know it again. `openssl x509 -fingerprint -sha256` prints the
    /// same.
    #[must_use]
    pub fn sha256(&self) -> &[u8; 32] {
        &self.sha256
    }

    /// The [SHA-256](Self::sha256) in 64 lower-case hexadecimal digits.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        use std::fmt::Write;
        let mut text = String::with_capacity(64);
        for byte in self.sha256 {
            let _ = write!(text, "{byte:02x}");
        }
        text
    }

    /// The subject as text (RFC 4514), as `CN=anna,O=Example`. For people: programs compare [`names`](Self::names) or
    /// the [fingerprint](Self::sha256). Empty if the certificate has none.
    #[must_use]
    pub fn subject(&self) -> &str {
        &self.subject
    }

    /// The names that the certificate is for (subject alternative names).
    #[must_use]
    pub fn names(&self) -> &[CertificateName] {
        &self.names
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fingerprint_has_two_digits_for_each_byte() {
        let mut sha256 = [0; 32];
        sha256[31] = 0xab;
        let certificate = ClientCertificate::new([[1_u8, 2]], sha256, "", Vec::new());
        assert_eq!(certificate.fingerprint(), format!("{}ab", "0".repeat(62)));
        assert_eq!((certificate.der(), certificate.chain().len()), (&[1, 2][..], 1));
    }
}
