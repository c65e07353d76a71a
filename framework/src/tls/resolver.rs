//! Which certificate a client gets: the one for the name that it asks for, whose kind of key it can check.

use super::certificate::Certificate;
use rustls::SignatureScheme;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use std::collections::HashMap;
use std::sync::Arc;

/// The certificates by their names.
#[derive(Debug)]
pub(super) struct Resolver {
    /// In the order of the settings; at least one.
    certificates: Vec<Arc<CertifiedKey>>,
    /// Those for each name, by their places. `*.example.org` stands under that name.
    by_host: HashMap<String, Vec<usize>>,
}

impl Resolver {
    pub(super) fn new(certificates: &[Certificate]) -> Self {
        let mut by_host = HashMap::<String, Vec<usize>>::new();
        for (index, certificate) in certificates.iter().enumerate() {
            for host in &certificate.state.hosts {
                by_host.entry(host.clone()).or_default().push(index);
            }
        }
        let certificates = certificates.iter().map(|certificate| certificate.certified.clone()).collect();
        Self { certificates, by_host }
    }

    /// The whole name first, then `*.` in the place of its first label, then the first certificate.
    pub(super) fn choose(&self, host: Option<&str>, schemes: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        let host = host.map(|host| host.trim_end_matches('.').to_ascii_lowercase());
        let whole = host.as_ref().and_then(|host| self.by_host.get(host));
        let named = whole.or_else(|| {
            let (_, domain) = host.as_ref()?.split_once('.')?;
            self.by_host.get(&format!("*.{domain}"))
        });
        let usable = |index: &&usize| self.certificates[**index].key.choose_scheme(schemes).is_some();
        let found = named.map(|named| named.iter().find(usable).unwrap_or(&named[0]));
        match found {
            Some(index) => Some(self.certificates[*index].clone()),
            None => {
                let usable = self.certificates.iter().find(|certified| certified.key.choose_scheme(schemes).is_some());
                usable.or_else(|| self.certificates.first()).cloned()
            }
        }
    }
}

impl ResolvesServerCert for Resolver {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.choose(hello.server_name(), hello.signature_schemes())
    }
}
