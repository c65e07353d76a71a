//! Random bytes of the operating system, and codes under a key that only this process has.

/// Bytes that nobody can guess.
///
/// # Panics
/// When the operating system has no random source: a server without one can keep no secret.
pub(crate) fn bytes<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).expect("the operating system has a random source");
    bytes
}

/// 32 hexadecimal digits that nobody can guess.
pub(crate) fn digits() -> String {
    format!("{:032x}", u128::from_ne_bytes(bytes()))
}

/// A key for codes: HMAC-SHA-256.
#[cfg(feature = "auth")]
#[derive(Clone)]
pub(crate) struct CodeKey(Vec<u8>);

#[cfg(feature = "auth")]
impl CodeKey {
    /// A key that only this process has.
    pub(crate) fn of_this_process() -> Self {
        Self(bytes::<32>().to_vec())
    }

    pub(crate) fn new(secret: &[u8]) -> Self {
        Self(secret.to_vec())
    }

    /// The first bytes, 32 at most, of the code of these parts in a row. Parts of varying lengths need a mark between
    /// them.
    pub(crate) fn code<const N: usize>(&self, parts: &[&[u8]]) -> [u8; N] {
        use hmac::{KeyInit, Mac};
        let mut mac = hmac::Hmac::<sha2::Sha256>::new_from_slice(&self.0).expect("a key may have any length");
        parts.iter().for_each(|part| mac.update(part));
        mac.finalize().into_bytes()[..N].try_into().expect("a code has 32 bytes")
    }
}
