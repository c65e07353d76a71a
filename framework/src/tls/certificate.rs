//! A certificate of the server: its chain with its key, checked, and the state that operators see. And what can be read
//! in any certificate: its subject, its names, its end.

use crate::exchange::{CertificateName, CertificateState};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use rustls::{Error, InconsistentKeys};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;
use std::time::SystemTime;
use x509_cert::der::Decode;
use x509_cert::ext::pkix::SubjectAltName;
use x509_cert::ext::pkix::name::GeneralName;

/// A certificate that the server can show.
#[derive(Debug)]
pub(super) struct Certificate {
    pub(super) certified: Arc<CertifiedKey>,
    pub(super) state: CertificateState,
}

impl Certificate {
    /// Puts a chain and its key together, if they belong together and may be shown at the moment `now`. `place` and
    /// `key_place` name the files.
    pub(super) fn new(
        (place, chain): (&str, Vec<CertificateDer<'static>>),
        (key_place, key): (&str, PrivateKeyDer<'static>),
        provider: &CryptoProvider,
        now: SystemTime,
    ) -> Result<Self, String> {
        let signing = provider
            .key_provider
            .load_private_key(key)
            .map_err(|error| format!("{key_place} has a private key that cannot be used: {error}"))?;
        let parsed = chain.iter().enumerate().map(|(index, der)| {
            Parsed::of(der)
                .map_err(|error| format!("certificate number {} of {place} cannot be read: {error}", index + 1))
        });
        let parsed = parsed.collect::<Result<Vec<_>, _>>()?;
        let matched = |der: &CertificateDer<'static>| {
            match CertifiedKey::new(vec![der.clone()], signing.clone()).keys_match() {
                // A key that does not tell its public half cannot be compared.
                Ok(()) | Err(Error::InconsistentKeys(InconsistentKeys::Unknown)) => Ok(true),
                Err(Error::InconsistentKeys(_)) => Ok(false),
                Err(error) => Err(format!("{place} has a certificate that cannot be used: {error}")),
            }
        };
        match chain.iter().map(matched).collect::<Result<Vec<_>, _>>()?.iter().position(|is_own| *is_own) {
            Some(0) => {}
            Some(index) => {
                return Err(format!(
                    "the certificate of the key {key_place} is number {} in {place}: put it first, and those that lead to a root behind it",
                    index + 1
                ));
            }
            None => {
                return Err(format!(
                    "the certificate in {place} and the private key in {key_place} do not belong together: one of them may be older than the other"
                ));
            }
        }
        let Some(leaf) = parsed.first() else { return Err(format!("{place} has no certificate")) };
        if leaf.not_after <= now {
            let (end, now) = (httpdate::fmt_http_date(leaf.not_after), httpdate::fmt_http_date(now));
            return Err(format!("the certificate in {place} has expired: it ended {end}, and now is {now}"));
        }
        for (index, pair) in parsed.windows(2).enumerate().filter(|(_, pair)| pair[0].issuer != pair[1].subject) {
            let (issuer, subject, number) = (&pair[0].issuer, &pair[1].subject, index + 1);
            crate::line::record!(Warn, target: "kirsch::tls", "{place}: certificate number {number} was issued by {issuer}, but {subject} follows: clients may not find the way to a root");
        }
        if leaf.not_before > now {
            let from = httpdate::fmt_http_date(leaf.not_before);
            crate::line::record!(Warn, target: "kirsch::tls", "{place}: the certificate counts from {from} on: is the clock of this machine right?");
        }
        let hosts = leaf.names.iter().filter_map(|name| match name {
            CertificateName::Dns(host) => Some(host.to_string()),
            CertificateName::Ip(address) => Some(address.to_string()),
            _ => None,
        });
        let state = CertificateState::new(place, hosts.collect(), leaf.not_after);
        if state.hosts.is_empty() {
            crate::line::record!(Warn, target: "kirsch::tls", "{place}: the certificate names no host (subject alternative name), so browsers do not take it");
        }
        Ok(Self { certified: Arc::new(CertifiedKey::new(chain, signing)), state })
    }
}

/// What can be read in a certificate.
#[derive(Debug)]
pub(super) struct Parsed {
    pub(super) subject: String,
    pub(super) issuer: String,
    pub(super) names: Vec<CertificateName>,
    pub(super) not_before: SystemTime,
    pub(super) not_after: SystemTime,
}

impl Parsed {
    pub(super) fn of(der: &[u8]) -> Result<Self, String> {
        let certificate = x509_cert::Certificate::from_der(der).map_err(|error| error.to_string())?;
        let content = certificate.tbs_certificate();
        let names = content.get_extension::<SubjectAltName>().map_err(|error| error.to_string())?;
        let names = names.map(|(_, SubjectAltName(names))| names.iter().filter_map(name).collect());
        Ok(Self {
            subject: content.subject().to_string(),
            issuer: content.issuer().to_string(),
            names: names.unwrap_or_default(),
            not_before: content.validity().not_before.to_system_time(),
            not_after: content.validity().not_after.to_system_time(),
        })
    }
}

fn name(name: &GeneralName) -> Option<CertificateName> {
    Some(match name {
        GeneralName::DnsName(host) => CertificateName::Dns(host.as_str().to_ascii_lowercase().into()),
        GeneralName::Rfc822Name(address) => CertificateName::Email(address.as_str().into()),
        GeneralName::UniformResourceIdentifier(uri) => CertificateName::Uri(uri.as_str().into()),
        GeneralName::IpAddress(bytes) => CertificateName::Ip(match bytes.as_bytes() {
            &[a, b, c, d] => IpAddr::V4(Ipv4Addr::new(a, b, c, d)),
            bytes => IpAddr::V6(Ipv6Addr::from(<[u8; 16]>::try_from(bytes).ok()?)),
        }),
        _ => return None,
    })
}
