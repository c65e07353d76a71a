//! What can be set of TLS, in code or in a file: the certificates, and which clients are believed.

use crate::settings::{
    Secret, Setting, SettingError, SettingTable, SettingValue, SettingWord, Settings, path_of_secret,
};
use std::path::PathBuf;
use std::time::Duration;

/// TLS for a server: its certificates, and what it asks of clients. For [`App::tls`](crate::App::tls).
///
/// ```no_run
/// use kirsch::prelude::*;
///
/// # fn main() -> kirsch::Result {
/// let tls = Tls::new()
///     .certificate("shop.pem", "shop.key")
///     .certificate("example.org.pem", "example.org.key");
/// App::new(Tree::new().index(|_| "secret")).tls(tls).serve("0.0.0.0:8443")
/// # }
/// ```
///
/// The files are PEM, as certbot, lego and OpenSSL write them. They are looked at every few seconds, and at once on
/// SIGHUP: new ones are used for the connections that follow, and those that are open stay as they are. The guide has a
/// page about [TLS](https://github.com/kirsch-web/kirsch/blob/main/docs/guide/tls.md).
#[derive(Clone, Debug, Settings)]
#[settings(no_builders, check = Self::check_clients)]
pub struct Tls {
    /// The certificates with their keys: `[{ file = "cert.pem", key = "cert.key" }]`. A client gets the one that has
    /// the name it asks for, else the first.
    #[setting(key = "certificate")]
    pub(super) certificates: Vec<CertificateSource>,
    /// Whether clients are asked for a certificate: `"off"`, `"optional"`, or `"required"`, where a client without one
    /// cannot connect.
    #[setting(key = "tls.client_certificates")]
    pub(super) client_certificates: ClientCertificates,
    /// Files of the certificates that sign those of clients.
    #[setting(key = "tls.client_roots")]
    pub(super) client_roots: Vec<String>,
    /// Files of lists of revoked client certificates (CRLs). If there are any, each certificate of a chain must be
    /// covered by one.
    #[setting(key = "tls.client_crls")]
    pub(super) client_crls: Vec<String>,
    /// From the accept of a connection to the end of its handshake; then it is closed.
    #[setting(key = "tls.handshake_timeout", default = "10s")]
    pub(crate) handshake_timeout: Duration,
    /// The answer to a request of plain HTTP that comes to an address of TLS: `"refuse"` is a 400 that names the right
    /// address, `"redirect"` a 308 to it.
    #[setting(key = "tls.plain")]
    pub(crate) plain: PlainRequests,
}

/// The answer to requests of plain HTTP that come to an address of TLS.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PlainRequests {
    /// 400, with a page that names the right address.
    #[default]
    Refuse,
    /// 308 to the same address with `https://`.
    Redirect,
}

impl SettingWord for PlainRequests {
    const WORDS: &'static [(&'static str, Self)] = &[("refuse", Self::Refuse), ("redirect", Self::Redirect)];
}

/// Whether clients are asked for a certificate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ClientCertificates {
    /// They are not.
    #[default]
    Off,
    /// They are asked, and may come without one. One that is not believed ends the handshake.
    Optional,
    /// They cannot connect without one.
    Required,
}

impl SettingWord for ClientCertificates {
    const WORDS: &'static [(&'static str, Self)] =
        &[("off", Self::Off), ("optional", Self::Optional), ("required", Self::Required)];
}

/// Where a certificate and its key come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum CertificateSource {
    Files { file: PathBuf, key: PathBuf },
    Text { chain: String, key: Secret },
}

impl Tls {
    /// No certificate yet: add one or more.
    #[must_use]
    pub fn new() -> Self {
        Self::defaults()
    }

    /// Adds a certificate: the file of the certificate, followed by those that lead to a root, and the file of its
    /// private key (CherryPy's `ssl_certificate`, with `ssl_certificate_chain` in it, and `ssl_private_key`).
    ///
    /// Clients get the certificate that has the name they ask for: the whole name first, then `*.` and the rest. All
    /// others get the certificate that was added first. Several may be for one name: each client gets the first whose
    /// kind of key it can check, so put ECDSA before RSA.
    #[must_use]
    pub fn certificate(mut self, file: impl Into<PathBuf>, key: impl Into<PathBuf>) -> Self {
        self.certificates.push(CertificateSource::Files { file: file.into(), key: key.into() });
        self
    }

    /// Adds a certificate and its private key as texts in PEM, for programs that get them from elsewhere. They are not
    /// renewed while the program runs.
    #[must_use]
    pub fn certificate_pem(mut self, chain: impl Into<String>, key: impl Into<String>) -> Self {
        self.certificates.push(CertificateSource::Text { chain: chain.into(), key: Secret::text(key) });
        self
    }

    /// Asks clients for a certificate that one of the `roots`, files in PEM, has signed. In a file:
    /// `server.tls.client_certificates` and `server.tls.client_roots`.
    ///
    /// [`Request::client_certificate`](crate::Request::client_certificate) is the one that a client has shown.
    #[must_use]
    pub fn client_certificates<T: Into<String>>(
        mut self,
        policy: ClientCertificates,
        roots: impl IntoIterator<Item = T>,
    ) -> Self {
        self.client_certificates = policy;
        self.client_roots = crate::settings::list(roots);
        self
    }

    /// Refuses client certificates that are in one of these lists, files in PEM. Each certificate of a client's chain
    /// must be covered by a list of its issuer. A list that has expired goes on to count. In a file:
    /// `server.tls.client_crls`.
    #[must_use]
    pub fn client_crls<T: Into<String>>(mut self, files: impl IntoIterator<Item = T>) -> Self {
        self.client_crls = crate::settings::list(files);
        self
    }

    /// How long a connection may take to the end of its handshake (default 10 s). In a file:
    /// `server.tls.handshake_timeout`.
    #[must_use]
    pub fn handshake_timeout(mut self, timeout: Duration) -> Self {
        self.handshake_timeout = timeout;
        self
    }

    /// The answer to a request of plain HTTP that comes to an address of TLS. In a file: `server.tls.plain`.
    #[must_use]
    pub fn plain_requests(mut self, answer: PlainRequests) -> Self {
        self.plain = answer;
        self
    }

    /// Whether there is a certificate, so that the server can speak TLS.
    #[must_use]
    pub fn is_on(&self) -> bool {
        !self.certificates.is_empty()
    }

    /// Whether clients are asked for a certificate.
    pub(crate) fn asks_clients(&self) -> bool {
        self.client_certificates != ClientCertificates::Off
    }

    pub(super) fn check_clients(&self) -> Result<(), SettingError> {
        let refused = |key: &str, problem: &str| Err(SettingError::new(key, problem));
        match self.client_certificates {
            ClientCertificates::Off if !self.client_roots.is_empty() || !self.client_crls.is_empty() => refused(
                "tls.client_certificates",
                "is \"off\", so roots and lists for clients mean nothing: make it \"optional\" or \"required\"",
            ),
            ClientCertificates::Off => Ok(()),
            _ if self.client_roots.is_empty() => refused(
                "tls.client_roots",
                "is empty, so no client certificate could be believed: name the file of the certificate that signs them",
            ),
            _ => Ok(()),
        }
    }
}

impl Default for Tls {
    fn default() -> Self {
        Self::new()
    }
}

/// A list of tables, each with the keys `file` and `key`.
impl Setting for Vec<CertificateSource> {
    fn read(value: &SettingValue) -> Result<Self, String> {
        const FORM: &str = "[{ file = \"cert.pem\", key = \"cert.key\" }]";
        let one = |(index, value): (usize, &SettingValue)| {
            let Some(table) = value.as_table() else { return Err(format!("must be a list of tables, as {FORM}")) };
            read_source(table).map_err(|problem| format!("has a certificate number {} that {problem}", index + 1))
        };
        match value.as_array() {
            Some(list) => list.iter().enumerate().map(one).collect(),
            None => Err(format!("must be a list of tables, as {FORM}")),
        }
    }

    fn show(&self) -> String {
        let sources = self.iter().map(|source| match source {
            CertificateSource::Files { file, key } => {
                format!("{{ file = {}, key = {} }}", file.show(), key.show())
            }
            CertificateSource::Text { .. } => "(in code)".to_owned(),
        });
        format!("[{}]", sources.collect::<Vec<_>>().join(", "))
    }
}

fn read_source(table: &SettingTable) -> Result<CertificateSource, String> {
    if let Some(unknown) = table.keys().find(|key| !matches!(&***key, "file" | "key")) {
        return Err(format!("has a {unknown:?}; its keys are `file` and `key`"));
    }
    let path = |name: &str| match table.get(name) {
        Some(SettingValue::String(path)) if !path.is_empty() => Ok(PathBuf::from(path)),
        Some(SettingValue::Table(table)) => {
            path_of_secret(table).map_err(|problem| format!("has a `{name}` that {problem}"))
        }
        Some(_) => Err(format!("has a `{name}` that is no path: write it in quotes")),
        None => Err(format!("has no `{name}`: a certificate has a `file`, and the file of its private `key`")),
    };
    Ok(CertificateSource::Files { file: path("file")?, key: path("key")? })
}
