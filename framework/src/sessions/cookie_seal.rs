//! Sessions in the cookie itself: the content of the cookie, its protection, and the part of a paired store.
//!
//! ```text
//! cookie     = base64url( form ‖ body )
//! encrypted    form 1, body = nonce (24) ‖ XChaCha20-Poly1305( content )
//! signed       form 2, body = content ‖ HMAC-SHA-256 (32)
//! content    = id (20) ‖ version (8) ‖ sent (8) ‖ ends (8) ‖ the session as stores write it
//! ```
//!
//! The name of the cookie and the form are authenticated too, so a value is worth nothing under another name. Numbers
//! are big-endian, times are milliseconds of the calendar. For the session, the opened cookie is the record that a
//! store would have loaded. [`Versions`] stands in for the store: it is empty, or has the versions in a paired store.

use super::store::part;
use super::{
    Answer, Answers, Commit, Data, Moment, Record, SessionId, SharedLock, Store, StoreError, Terms, Version, wire,
};
use crate::settings::{Secret, SettingError, SettingRow, SettingTable, SettingWord, Settings};
use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use hmac::{Hmac, Mac};
use parking_lot::RwLock;
use sha2::Sha256;
use std::sync::Arc;
use std::time::Duration;

/// How sessions in cookies are protected; see [`Sessions::cookie`](super::Sessions::cookie).
///
/// A secret has at least 32 bytes that nobody can guess (`openssl rand -base64 32`). The keys are derived from it. A
/// secret by itself, as text or bytes, is an encrypted seal.
///
/// ```
/// use kirsch::Sessions;
/// use kirsch::sessions::CookieSeal;
///
/// # let (secret, last_years) = ("PHa3fI5XWqdyRCJNFVYh9IyTm0yvbS1u1kp4CoZQk6o=", "D1S3m6qnbJyNnXy8A2QWqJ6fG1e0iU5oB7r9tZ4vKcw=");
/// let sessions = Sessions::cookie(secret);
/// let rotated = Sessions::cookie(CookieSeal::encrypted(secret).also_reads(last_years));
/// ```
pub struct CookieSeal {
    protection: Protection,
    secrets: Vec<Secret<Vec<u8>>>,
    paired: Option<Box<dyn Store>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Protection {
    Encrypted,
    Signed,
}

impl SettingWord for Protection {
    const WORDS: &'static [(&'static str, Self)] = &[("encrypted", Self::Encrypted), ("signed", Self::Signed)];
}

/// The keys of a seal in a file.
#[derive(Clone, Settings)]
#[settings(no_builders)]
struct SealSettings {
    /// Whether visitors can read what is in their cookie (`"signed"`) or not (`"encrypted"`).
    #[setting(given)]
    protection: Protection,
    /// The secret, of 32 bytes at least.
    secret: Secret,
    /// Secrets from before, with which cookies are still read.
    old_secrets: Vec<Secret>,
}

impl CookieSeal {
    /// Visitors can neither read nor change what is in their cookie.
    #[must_use]
    pub fn encrypted(secret: impl AsRef<[u8]>) -> Self {
        Self { protection: Protection::Encrypted, secrets: vec![secret.as_ref().to_vec().into()], paired: None }
    }

    /// Visitors can read what is in their cookie, and cannot change it.
    #[must_use]
    pub fn signed(secret: impl AsRef<[u8]>) -> Self {
        Self { protection: Protection::Signed, ..Self::encrypted(secret) }
    }

    /// Also reads cookies that were made with this secret, and seals them again with the first one. To change a secret,
    /// put the new one first and keep the old one here for as long as sessions live.
    #[must_use]
    pub fn also_reads(mut self, old: impl AsRef<[u8]>) -> Self {
        self.secrets.push(old.as_ref().to_vec().into());
        self
    }

    /// Keeps the version of each session, and nothing else, in `store`. Then an update that is based on an old cookie
    /// is refused with 409, as with any other store. A session that was ended is over for every copy of its cookie.
    #[must_use]
    pub fn paired_with(mut self, store: impl Store) -> Self {
        self.paired = Some(Box::new(store));
        self
    }

    pub(super) fn into_parts(self) -> (Arc<Seal>, Versions) {
        let is_paired = self.paired.is_some();
        let keys = RwLock::new(Arc::new(Keys::new(self.protection, &self.secrets)));
        let secrets = RwLock::new((self.protection, self.secrets));
        let seal = Arc::new(Seal { keys, secrets, is_paired });
        (Arc::clone(&seal), Versions { seal, paired: self.paired })
    }
}

impl<T: AsRef<[u8]>> From<T> for CookieSeal {
    fn from(secret: T) -> Self {
        Self::encrypted(secret)
    }
}

/// Shows no secret.
impl std::fmt::Debug for CookieSeal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CookieSeal").field("protection", &self.protection).finish_non_exhaustive()
    }
}

/// Seals and opens cookies.
pub(super) struct Seal {
    keys: RwLock<Arc<Keys>>,
    /// The origin of the keys, which settings may change.
    secrets: RwLock<(Protection, Vec<Secret<Vec<u8>>>)>,
    is_paired: bool,
}

/// The session that a client has brought.
#[derive(Debug)]
pub(super) struct Opened {
    pub(super) id: SessionId,
    pub(super) record: Record,
}

const ENCRYPTED: u8 = 1;
const SIGNED: u8 = 2;
const NONCE: usize = 24;
const POLY_TAG: usize = 16;
const MAC: usize = 32;
/// Id, version, sent, ends.
const HEAD: usize = 20 + 3 * 8;
/// The fewest characters of a sealed session: what is shorter is not one.
pub(super) const MIN_VALUE: usize = (1 + HEAD) * 4 / 3;

impl Seal {
    /// The most bytes of a cookie, name and attributes included, that browsers keep (RFC 6265, section 6.1).
    pub(super) const MOST: usize = 4096;

    pub(super) fn is_paired(&self) -> bool {
        self.is_paired
    }

    /// The first mistake in the secrets.
    pub(super) fn problem(&self) -> Option<SettingError> {
        self.secrets.read().1.iter().enumerate().find_map(|(index, secret)| {
            let secret = secret.exposed();
            let key = if index == 0 { "secret" } else { "old_secrets" };
            let is_repeated = secret.iter().all(|byte| Some(byte) == secret.first());
            match secret.len() {
                0..32 => Some(SettingError::new(
                    key,
                    format!(
                        "has {} bytes; a secret for cookies has at least 32 random ones: `openssl rand -base64 32` makes them",
                        secret.len()
                    ),
                )),
                _ if is_repeated => Some(SettingError::new(
                    key,
                    "is one byte over and over: `openssl rand -base64 32` makes a random secret",
                )),
                _ => None,
            }
        })
    }

    /// The value for a session. It lives from `now` on.
    pub(super) fn seal(
        &self,
        name: &str,
        id: &SessionId,
        version: Version,
        data: &Data,
        life: (Moment, Duration),
    ) -> String {
        let (now, lifetime) = life;
        let json = wire::encode(data, usize::MAX).unwrap_or_default();
        let mut content = Vec::with_capacity(HEAD + json.len() + NONCE + MAC);
        content.extend_from_slice(id.as_bytes());
        for number in [version.0, now.unix_millis(), now.later(lifetime).unix_millis()] {
            content.extend_from_slice(&number.to_be_bytes());
        }
        content.extend_from_slice(&json);
        encode(&self.keys.read().protect(name, &content))
    }

    /// How many bytes the value has for so many bytes of content.
    pub(super) fn len(&self, content: usize) -> usize {
        let more = match self.secrets.read().0 {
            Protection::Encrypted => NONCE + POLY_TAG,
            Protection::Signed => MAC,
        };
        ((1 + HEAD + content + more) * 4).div_ceil(3)
    }

    /// The session in a value, if one of the secrets made the value and the session still lives.
    pub(super) fn open(&self, name: &str, value: &[u8], now: Moment) -> Option<Opened> {
        if value.len() > Self::MOST {
            return None;
        }
        let keys = Arc::clone(&self.keys.read());
        let (content, is_first) = keys.unprotect(name, &decode(value)?)?;
        let (head, json) = content.split_at_checked(HEAD)?;
        let (id, numbers) = head.split_at_checked(20)?;
        let number = |index: usize| Some(u64::from_be_bytes(numbers.get(index * 8..index * 8 + 8)?.try_into().ok()?));
        let (version, sent, ends) = (number(0)?, number(1)?, number(2)?);
        let id = SessionId::from_bytes(id.try_into().ok()?);
        let now = now.unix_millis();
        let remaining = Duration::from_millis(ends.checked_sub(now).filter(|left| *left > 0)?);
        let data = match wire::decode(json) {
            Ok(data) => data,
            Err(unreadable) => {
                crate::line::record!(Warn, target: "kirsch::sessions", "session {id}: {unreadable}; the visitor gets a new session");
                return None;
            }
        };
        // A cookie of an old secret is due at once.
        let cookie_age = if is_first { Duration::from_millis(now.saturating_sub(sent)) } else { Duration::MAX };
        Some(Opened { id, record: Record { data, version: Version(version), remaining, cookie_age } })
    }
}

/// The keys of one protection, the writing one first.
struct Keys(Vec<Key>);

enum Key {
    Encrypted(Box<XChaCha20Poly1305>),
    Signed(Hmac<Sha256>),
}

impl Keys {
    fn new(protection: Protection, secrets: &[Secret<Vec<u8>>]) -> Self {
        Self(secrets.iter().map(|secret| Key::new(protection, secret.exposed())).collect())
    }

    fn protect(&self, name: &str, content: &[u8]) -> Vec<u8> {
        match &self.0[0] {
            Key::Encrypted(cipher) => {
                let nonce: [u8; NONCE] = crate::random::bytes();
                let payload = Payload { msg: content, aad: name.as_bytes() };
                let sealed =
                    cipher.encrypt(&XNonce::from(nonce), payload).expect("a cookie is shorter than the cipher's limit");
                [&[ENCRYPTED][..], &nonce, &sealed].concat()
            }
            Key::Signed(key) => {
                let tag = signature(key, name, content).finalize().into_bytes();
                [&[SIGNED][..], content, &tag].concat()
            }
        }
    }

    /// The content, and whether the first key has made it.
    fn unprotect(&self, name: &str, bytes: &[u8]) -> Option<(Vec<u8>, bool)> {
        let (form, body) = bytes.split_first()?;
        (0..).zip(&self.0).find_map(|(index, key)| match (key, *form) {
            (Key::Encrypted(cipher), ENCRYPTED) => {
                let (nonce, sealed) = body.split_first_chunk::<NONCE>()?;
                let payload = Payload { msg: sealed, aad: name.as_bytes() };
                Some((cipher.decrypt(&XNonce::from(*nonce), payload).ok()?, index == 0))
            }
            (Key::Signed(key), SIGNED) => {
                let (content, tag) = body.split_last_chunk::<MAC>()?;
                signature(key, name, content).verify_slice(tag).ok()?;
                Some((content.to_vec(), index == 0))
            }
            _ => None,
        })
    }
}

impl Key {
    /// Each use has a key of its own, so that neither can be played against the other. HMAC is the expansion step of
    /// HKDF (RFC 5869).
    fn new(protection: Protection, secret: &[u8]) -> Self {
        let label: &[u8] = match protection {
            Protection::Encrypted => b"kirsch session cookie, encrypted, 1\x01",
            Protection::Signed => b"kirsch session cookie, signed, 1\x01",
        };
        let mut derive = hmac(secret);
        derive.update(label);
        let key = derive.finalize().into_bytes();
        match protection {
            Protection::Encrypted => Self::Encrypted(Box::new(XChaCha20Poly1305::new(&key))),
            Protection::Signed => Self::Signed(hmac(&key)),
        }
    }
}

fn hmac(key: &[u8]) -> Hmac<Sha256> {
    Hmac::new_from_slice(key).expect("HMAC takes keys of any length")
}

/// Over the name with its length, so that no name and content together are another name and content.
fn signature(key: &Hmac<Sha256>, name: &str, content: &[u8]) -> Hmac<Sha256> {
    let mut signature = key.clone();
    signature.update(&(name.len() as u64).to_be_bytes());
    signature.update(name.as_bytes());
    signature.update(content);
    signature
}

/// Stands in for a store: the content is in cookies, the versions are in the paired store, if there is one.
pub(super) struct Versions {
    seal: Arc<Seal>,
    paired: Option<Box<dyn Store>>,
}

impl Store for Versions {
    fn load(&self, id: &SessionId, now: Moment) -> Answer<Option<Record>> {
        self.paired.as_ref().map_or_else(|| Answer::now(None), |store| store.load(id, now))
    }

    fn commit(&self, id: &SessionId, expected: Option<Version>, _data: &Data, terms: &Terms) -> Answer<Commit> {
        match &self.paired {
            Some(store) => store.commit(id, expected, &Data::new(), terms),
            None => Answer::now(Commit::Committed(Version(expected.map_or(1, |version| version.0.wrapping_add(1))))),
        }
    }

    fn touch(&self, id: &SessionId, terms: &Terms) -> Answer<()> {
        self.paired.as_ref().map_or_else(|| Answer::now(()), |store| store.touch(id, terms))
    }

    fn delete(&self, id: &SessionId) -> Answer<()> {
        self.paired.as_ref().map_or_else(|| Answer::now(()), |store| store.delete(id))
    }

    fn sweep(&self, now: Moment) -> Result<usize, StoreError> {
        self.paired.as_ref().map_or(Ok(0), |store| store.sweep(now))
    }

    fn count(&self) -> Result<Option<usize>, StoreError> {
        self.paired.as_ref().map_or(Ok(None), |store| store.count())
    }

    fn answers(&self) -> Answers {
        self.paired.as_ref().map_or(Answers::AtOnce, |store| store.answers())
    }

    fn probe(&self) -> Result<(), StoreError> {
        self.paired.as_ref().map_or(Ok(()), |store| store.probe())
    }

    /// Content that the client has cannot be locked.
    fn shared_lock(&self) -> Option<&dyn SharedLock> {
        None
    }

    fn expires_by_itself(&self) -> bool {
        self.paired.as_ref().is_none_or(|store| store.expires_by_itself())
    }

    fn configure(&self, settings: &SettingTable) -> Result<(), SettingError> {
        let (protection, mut secrets) = self.seal.secrets.read().clone();
        let of_paired = self.paired.as_ref().map(|store| store.setting_rows()).unwrap_or_default();
        let (of_paired, own) = part(settings, &of_paired);
        let SealSettings { protection, secret, old_secrets } = SealSettings::defaults(protection).configured(&own)?;
        let bytes = |secret: &Secret| Secret::from(secret.exposed().clone().into_bytes());
        if !secret.exposed().is_empty() {
            secrets[0] = bytes(&secret);
        }
        if !old_secrets.is_empty() {
            secrets.truncate(1);
            secrets.extend(old_secrets.iter().map(bytes));
        }
        *self.seal.keys.write() = Arc::new(Keys::new(protection, &secrets));
        *self.seal.secrets.write() = (protection, secrets);
        if let Some(problem) = self.seal.problem() {
            return Err(problem);
        }
        match &self.paired {
            Some(store) if !of_paired.is_empty() => store.configure(&of_paired),
            _ => Ok(()),
        }
    }

    fn setting_rows(&self) -> Vec<SettingRow> {
        let mut rows = SealSettings::defaults(self.seal.secrets.read().0).setting_rows();
        rows.append(&mut self.paired.as_ref().map(|store| store.setting_rows()).unwrap_or_default());
        rows
    }

    fn evicted(&self) -> u64 {
        self.paired.as_ref().map_or(0, |store| store.evicted())
    }

    fn quarantined(&self) -> u64 {
        self.paired.as_ref().map_or(0, |store| store.quarantined())
    }
}

const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// Base64 for URLs, without padding (RFC 4648, section 5): every letter may stand in a cookie.
fn encode(bytes: &[u8]) -> String {
    let mut text = String::with_capacity((bytes.len() * 4).div_ceil(3));
    for group in bytes.chunks(3) {
        let bits = (0..3).fold(0, |bits, index| bits << 8 | u32::from(*group.get(index).unwrap_or(&0)));
        for index in 0..=group.len() {
            text.push(char::from(LETTERS[(bits >> (18 - 6 * index) & 63) as usize]));
        }
    }
    text
}

/// Reads only what [`encode`] wrote: each value has one text.
fn decode(text: &[u8]) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len() * 3 / 4);
    for group in text.chunks(4) {
        let mut bits = 0_u32;
        for letter in group {
            let value = match letter {
                b'A'..=b'Z' => letter - b'A',
                b'a'..=b'z' => letter - b'a' + 26,
                b'0'..=b'9' => letter - b'0' + 52,
                b'-' => 62,
                b'_' => 63,
                _ => return None,
            };
            bits = bits << 6 | u32::from(value);
        }
        let missing = 4 - group.len();
        if missing == 3 || (missing > 0 && bits & ((1 << (2 * missing)) - 1) != 0) {
            return None;
        }
        bits <<= 6 * missing;
        bytes.extend_from_slice(&bits.to_be_bytes()[1..4 - missing]);
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "PHa3fI5XWqdyRCJNFVYh9IyTm0yvbS1u1kp4CoZQk6o=";
    const OLD: &str = "D1S3m6qnbJyNnXy8A2QWqJ6fG1e0iU5oB7r9tZ4vKcw=";
    const HOUR: Duration = Duration::from_secs(3600);

    fn data() -> Data {
        let mut data = Data::new();
        data.insert("user", "ann \u{1f352}".into());
        data
    }

    fn seal(seal: CookieSeal) -> Arc<Seal> {
        seal.into_parts().0
    }

    fn sealed(seal: &Seal, id: &SessionId, now: Moment) -> String {
        seal.seal("session_id", id, Version(7), &data(), (now, HOUR))
    }

    #[test]
    fn a_sealed_session_is_opened_with_its_age_and_its_life() {
        for seal in [seal(CookieSeal::encrypted(SECRET)), seal(CookieSeal::signed(SECRET))] {
            let (id, now) = (SessionId::random(), Moment::now());
            let value = sealed(&seal, &id, now);
            assert_eq!(value.len(), seal.len(data().encoded_len()));
            let opened = seal.open("session_id", value.as_bytes(), now.later(HOUR / 4)).expect("ours");
            assert_eq!((opened.id, opened.record.version, &opened.record.data), (id, Version(7), &data()));
            assert_eq!((opened.record.cookie_age, opened.record.remaining), (HOUR / 4, HOUR * 3 / 4));
            assert!(seal.open("session_id", value.as_bytes(), now.later(HOUR)).is_none(), "its life has ended");
        }
    }

    #[test]
    fn a_changed_cookie_is_not_opened() {
        for seal in [seal(CookieSeal::encrypted(SECRET)), seal(CookieSeal::signed(SECRET))] {
            let now = Moment::now();
            let value = sealed(&seal, &SessionId::random(), now);
            for index in 0..value.len() {
                let mut changed = value.clone().into_bytes();
                changed[index] = if changed[index] == b'A' { b'B' } else { b'A' };
                assert!(seal.open("session_id", &changed, now).is_none(), "letter {index}");
                assert!(seal.open("session_id", &value.as_bytes()[..index], now).is_none(), "cut off at {index}");
            }
            assert!(seal.open("other", value.as_bytes(), now).is_none(), "a value is for one name");
            for bad in ["", "A", "====", "evil", &"A".repeat(5000), "ä", &format!("{value}A"), &format!("{value}=")] {
                assert!(seal.open("session_id", bad.as_bytes(), now).is_none(), "{bad}");
            }
        }
    }

    #[test]
    fn the_first_secret_writes_and_all_read() {
        let now = Moment::now();
        let old = seal(CookieSeal::encrypted(OLD));
        let both = seal(CookieSeal::encrypted(SECRET).also_reads(OLD));
        let new = seal(CookieSeal::encrypted(SECRET));
        let value = sealed(&old, &SessionId::random(), now);
        assert!(new.open("session_id", value.as_bytes(), now).is_none());
        let opened = both.open("session_id", value.as_bytes(), now).expect("an old secret reads");
        assert_eq!(opened.record.cookie_age, Duration::MAX, "and the cookie is due");
        let value = sealed(&both, &SessionId::random(), now);
        assert!(new.open("session_id", value.as_bytes(), now).is_some(), "the first secret writes");
    }

    #[test]
    fn one_protection_does_not_open_the_other() {
        let now = Moment::now();
        let [encrypted, signed] = [seal(CookieSeal::encrypted(SECRET)), seal(CookieSeal::signed(SECRET))];
        let value = sealed(&signed, &SessionId::random(), now);
        assert!(encrypted.open("session_id", value.as_bytes(), now).is_none());
        let text = String::from_utf8_lossy(&decode(value.as_bytes()).expect("base64")).into_owned();
        assert!(text.contains("ann"), "signed content can be read");
        let value = sealed(&encrypted, &SessionId::random(), now);
        assert!(!String::from_utf8_lossy(&decode(value.as_bytes()).expect("base64")).contains("ann"));
        assert_ne!(value, sealed(&encrypted, &SessionId::random(), now), "no two are alike");
    }

    #[test]
    fn weak_secrets_are_named() {
        let problem = |seal: CookieSeal| seal.into_parts().0.problem().map(|problem| problem.to_string());
        assert_eq!(problem(SECRET.into()), None);
        assert!(problem("short".into()).is_some_and(|text| text.starts_with("`secret` has 5 bytes; ")));
        assert!(problem("x".repeat(40).into()).is_some_and(|text| text.contains("one byte over and over")));
        let old = CookieSeal::signed(SECRET).also_reads("");
        assert!(problem(old).is_some_and(|text| text.starts_with("`old_secrets` has 0 bytes")));
    }

    #[test]
    fn base64_is_that_of_rfc_4648() {
        for (bytes, text) in
            [("", ""), ("f", "Zg"), ("fo", "Zm8"), ("foo", "Zm9v"), ("foob", "Zm9vYg"), ("\u{3f}\u{3f}\u{3e}", "Pz8-")]
        {
            assert_eq!(encode(bytes.as_bytes()), text);
            assert_eq!(decode(text.as_bytes()).as_deref(), Some(bytes.as_bytes()));
        }
        assert_eq!(decode(b"Zh"), None, "one value has one text");
    }
}
