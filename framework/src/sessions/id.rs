//! The name of a session: 160 random bits, written as 40 lower-case hexadecimal digits.
//!
//! Anyone who knows an id *is* the visitor. So it is checked before any use, nothing but the cookie shows all of it,
//! and logs get the first six digits. In memory it is 20 bytes that are copied, never text.

use std::hash::{BuildHasherDefault, Hash, Hasher};

/// The id of a session.
///
/// `Display` and `Debug` show the first six digits only, so that an id may be logged. The whole is
/// [`reveal`](SessionId::reveal)ed to stores alone.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct SessionId([u8; SessionId::BYTES]);

impl SessionId {
    const BYTES: usize = 20;
    pub(super) const DIGITS: usize = 2 * Self::BYTES;

    /// A new id from the random source of the operating system.
    ///
    /// # Panics
    /// When the operating system has no random source: a server without one cannot have sessions.
    #[must_use]
    pub fn random() -> Self {
        Self::from_bytes(crate::random::bytes())
    }

    /// The id in this text: exactly 40 digits, lower case. Any other text is not an id.
    #[must_use]
    pub fn parse(text: &[u8]) -> Option<Self> {
        if text.len() != Self::DIGITS {
            return None;
        }
        let mut bytes = [0; Self::BYTES];
        // Looked up and judged at the end: every request of a session comes through here.
        let mut seen = 0;
        for (byte, pair) in bytes.iter_mut().zip(text.chunks_exact(2)) {
            let (high, low) = (VALUES[usize::from(pair[0])], VALUES[usize::from(pair[1])]);
            seen |= high | low;
            *byte = high << 4 | low;
        }
        (seen < NO_DIGIT).then_some(Self(bytes))
    }

    /// The whole id as text, as it stands in the cookie. Never log it.
    #[must_use]
    pub fn reveal(&self) -> String {
        let mut text = String::with_capacity(Self::DIGITS);
        self.write_digits(Self::BYTES, |digit| text.push(digit));
        text
    }

    /// The random bytes themselves.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 20] {
        &self.0
    }

    /// The id of these bytes: random ones, or those in a sealed cookie.
    pub(super) fn from_bytes(bytes: [u8; Self::BYTES]) -> Self {
        Self(bytes)
    }

    /// The name under which a store outside of this process keeps the session: SHA-256 of the id, 64 hexadecimal
    /// digits. So a reader of the store's data (a backup, a log of queries) cannot take over the sessions in it, and no
    /// id is ever part of a path.
    #[cfg(feature = "stores")]
    #[must_use]
    pub fn storage_key(&self) -> String {
        use sha2::{Digest, Sha256};
        let digest = Sha256::digest(self.0);
        let mut text = String::with_capacity(2 * digest.len());
        for byte in digest {
            text.push(char::from(DIGITS[usize::from(byte >> 4)]));
            text.push(char::from(DIGITS[usize::from(byte & 15)]));
        }
        text
    }

    /// Picks one of `count` shards. Uses other bytes than the hash does, so that a shard's table is filled evenly.
    pub(super) fn shard(&self, count: usize) -> usize {
        usize::from(self.0[Self::BYTES - 1]) % count
    }

    fn write_digits(&self, bytes: usize, mut write: impl FnMut(char)) {
        for byte in &self.0[..bytes] {
            write(char::from(DIGITS[usize::from(byte >> 4)]));
            write(char::from(DIGITS[usize::from(byte & 15)]));
        }
    }
}

impl std::fmt::Display for SessionId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut short = String::with_capacity(6);
        self.write_digits(3, |digit| short.push(digit));
        f.write_str(&short)
    }
}

impl std::fmt::Debug for SessionId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SessionId({self}…)")
    }
}

impl Hash for SessionId {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let mut first = [0; 8];
        first.copy_from_slice(&self.0[..8]);
        state.write_u64(u64::from_le_bytes(first));
    }
}

/// Hashes ids by taking eight of their bytes: those of a stored session are random already, and a client cannot choose
/// them.
pub(super) type IdHasher = BuildHasherDefault<TakeBytes>;

#[derive(Default)]
pub(super) struct TakeBytes(u64);

impl Hasher for TakeBytes {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn write_u64(&mut self, value: u64) {
        self.0 = value;
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

/// A bit that no digit's value has.
const NO_DIGIT: u8 = 16;

/// The value of each byte as a digit.
const VALUES: [u8; 256] = {
    let mut values = [NO_DIGIT; 256];
    let mut value = 0;
    while value < 16 {
        values[DIGITS[value as usize] as usize] = value;
        value += 1;
    }
    values
};

const DIGITS: &[u8; 16] = b"0123456789abcdef";

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(feature = "stores")]
    #[test]
    fn a_store_outside_sees_no_id() {
        let id = SessionId::parse(b"000102030405060708090a0b0c0d0e0f10111213").unwrap();
        assert_eq!(id.storage_key(), "e7aebf577f60412f0312d442c70a1fa6148c090bf5bab404caec29482ae779e8");
    }

    #[test]
    fn an_id_survives_text() {
        let id = SessionId::random();
        assert_eq!(SessionId::parse(id.reveal().as_bytes()), Some(id));
        assert_ne!(SessionId::random(), id);
    }

    #[test]
    fn only_forty_lower_case_digits_are_an_id() {
        let good = "0123456789abcdef0123456789abcdef01234567";
        assert!(SessionId::parse(good.as_bytes()).is_some());
        let slashes = good.replace("ab", "/.");
        let upper = good.to_uppercase();
        let long = good.repeat(250);
        for bad in ["", "evil", "../../etc/passwd", &slashes, &upper, &long, &good[1..], &good.replace('7', "\0")] {
            assert_eq!(SessionId::parse(bad.as_bytes()), None, "{bad:?}");
        }
    }

    #[test]
    fn logs_get_six_digits() {
        let id = SessionId::parse(b"0123456789abcdef0123456789abcdef01234567").expect("an id");
        assert_eq!(id.to_string(), "012345");
        assert_eq!(format!("{id:?}"), "SessionId(012345…)");
    }
}
