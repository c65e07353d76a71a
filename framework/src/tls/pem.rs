//! Files of certificates, keys and lists in PEM, and what can be wrong with them, each in a sentence that says what to
//! do.

use crate::file_stamp::FileStamp;
use crate::private_file;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer, PrivateKeyDer};
use std::path::Path;

/// Certificates have a few kilobytes; lists of revoked ones of large issuers some megabytes.
const MAX_FILE: u64 = 32 << 20;

/// A file, with the stamp that it had while it was read.
pub(super) fn read(path: &Path) -> Result<(FileStamp, Vec<u8>), String> {
    let said = |error: std::io::Error| format!("{} cannot be read: {error}", path.display());
    let file = private_file::open_plain(path).map_err(said)?;
    FileStamp::read(&file, MAX_FILE).map_err(said)
}

/// All certificates of a text, in their order; at least one. `place` names it in errors.
pub(super) fn certificates(text: &[u8], place: &str) -> Result<Vec<CertificateDer<'static>>, String> {
    let found = all::<CertificateDer<'static>>(text, place)?;
    if !found.is_empty() {
        return Ok(found);
    }
    Err(match () {
        () if text.iter().all(u8::is_ascii_whitespace) => format!("{place} is empty"),
        () if is_der(text) => {
            format!("{place} is in the binary form (DER): make it PEM with `openssl x509 -inform der -in OLD -out NEW`")
        }
        () if has_label(text, "PRIVATE KEY") => {
            format!("{place} has no certificate, but a private key: are the two files exchanged?")
        }
        () => format!("{place} has no certificate: one begins with -----BEGIN CERTIFICATE-----"),
    })
}

/// The private key of a text.
pub(super) fn private_key(text: &[u8], place: &str) -> Result<PrivateKeyDer<'static>, String> {
    if has_label(text, "ENCRYPTED PRIVATE KEY") || contains(text, "Proc-Type: 4,ENCRYPTED") {
        return Err(format!(
            "{place} is encrypted, and nobody can type its passphrase when the server starts: take that away with \
             `openssl pkey -in OLD -out NEW` and let only the server read it"
        ));
    }
    if let Some(key) = all::<PrivateKeyDer<'static>>(text, place)?.into_iter().next() {
        return Ok(key);
    }
    Err(match () {
        () if text.iter().all(u8::is_ascii_whitespace) => format!("{place} is empty"),
        () if is_der(text) => {
            format!("{place} is in the binary form (DER): make it PEM with `openssl pkey -inform der -in OLD -out NEW`")
        }
        () if has_label(text, "CERTIFICATE") => {
            format!("{place} has no private key, but a certificate: are the two files exchanged?")
        }
        () => format!("{place} has no private key: one begins with -----BEGIN PRIVATE KEY-----"),
    })
}

/// All lists of revoked certificates of a text; at least one.
pub(super) fn revocation_lists(text: &[u8], place: &str) -> Result<Vec<CertificateRevocationListDer<'static>>, String> {
    let found = all::<CertificateRevocationListDer<'static>>(text, place)?;
    match found.is_empty() {
        true => Err(format!("{place} has no list of revoked certificates: one begins with -----BEGIN X509 CRL-----")),
        false => Ok(found),
    }
}

fn all<T: PemObject>(text: &[u8], place: &str) -> Result<Vec<T>, String> {
    let damaged = |error| format!("{place} is damaged: {error}");
    T::pem_slice_iter(text).collect::<Result<_, _>>().map_err(damaged)
}

/// Whether it begins as all structures of ASN.1 do that are kept in files.
fn is_der(text: &[u8]) -> bool {
    text.starts_with(&[0x30, 0x82]) || text.starts_with(&[0x30, 0x81])
}

fn has_label(text: &[u8], label: &str) -> bool {
    text.split(|byte| *byte == b'\n').any(|line| line.starts_with(b"-----BEGIN ") && contains(line, label))
}

fn contains(text: &[u8], part: &str) -> bool {
    memchr::memmem::find(text, part.as_bytes()).is_some()
}
