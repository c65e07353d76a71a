//! Which client certificates are believed: those that one of the roots has signed and no list has revoked.

use super::certificate::Parsed;
use super::settings::{ClientCertificates, Tls};
use super::ticketer::Trust;
use super::{pem, provider};
use crate::exchange::ClientCertificate;
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use sha2::{Digest, Sha256};
use std::path::Path;
use std::sync::Arc;

/// The check of client certificates. There is one for the whole server: a ticket that was given to a client of one host
/// cannot open another host that asks for more.
#[derive(Debug)]
pub(super) struct ClientCheck {
    pub(super) verifier: Arc<dyn ClientCertVerifier>,
    /// Changes with everything that the check depends on.
    pub(super) trust: Trust,
}

impl ClientCheck {
    /// As the settings say; `read` gives the content of a file.
    pub(super) fn new(settings: &Tls, mut read: impl FnMut(&Path) -> Result<Vec<u8>, String>) -> Result<Self, String> {
        let mut hash = Sha256::new_with_prefix([settings.client_certificates as u8]);
        let mut text_of = |file: &str| -> Result<Vec<u8>, String> {
            let text = read(Path::new(file))?;
            hash.update((text.len() as u64).to_be_bytes());
            hash.update(&text);
            Ok(text)
        };
        if settings.client_certificates == ClientCertificates::Off {
            return Ok(Self { verifier: WebPkiClientVerifier::no_client_auth(), trust: hash.finalize().into() });
        }
        let mut roots = RootCertStore::empty();
        for file in &settings.client_roots {
            let refused = |problem: String| format!("server.tls.client_roots: {problem}");
            for root in pem::certificates(&text_of(file).map_err(refused)?, file).map_err(refused)? {
                let added = roots.add(root);
                added.map_err(|error| refused(format!("{file} has a certificate that cannot be a root: {error}")))?;
            }
        }
        let mut lists = Vec::new();
        for file in &settings.client_crls {
            let refused = |problem: String| format!("server.tls.client_crls: {problem}");
            lists.extend(pem::revocation_lists(&text_of(file).map_err(refused)?, file).map_err(refused)?);
        }
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider()).with_crls(lists);
        let verifier = match settings.client_certificates {
            ClientCertificates::Optional => verifier.allow_unauthenticated(),
            _ => verifier,
        };
        let verifier = verifier.build().map_err(|error| format!("server.tls.client_crls: {error}"))?;
        Ok(Self { verifier, trust: hash.finalize().into() })
    }
}

/// The certificate that a client has shown. The handshake has checked the chain.
pub(crate) fn client_certificate(chain: &[CertificateDer<'_>]) -> Option<ClientCertificate> {
    let leaf = chain.first()?;
    // What cannot be read has no name: the fingerprint still tells who it is.
    let (subject, names) = Parsed::of(leaf).map(|parsed| (parsed.subject, parsed.names)).unwrap_or_default();
    let chain = chain.iter().map(|der| der.to_vec());
    Some(ClientCertificate::new(chain, Sha256::digest(leaf).into(), &subject, names))
}
