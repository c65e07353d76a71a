//! Algorithms, and what a server keeps of a password for them: HA1, the hash of `name:realm:password`.
//!
//! An htdigest file has lines `name:realm:HA1`. One of MD5 and one of SHA-256 may stand there for the same name, told
//! apart by their length.

use crate::Error;
use crate::tools::authorization::Verdict;
use sha2::Digest;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

/// The hashes that digest authentication can use here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DigestAlgorithm {
    /// SHA-256 (RFC 7616): for every client of today.
    Sha256,
    /// MD5 (RFC 2617): for those that know nothing newer.
    Md5,
}

impl DigestAlgorithm {
    /// The name in fields and files: `SHA-256` or `MD5`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Sha256 => "SHA-256",
            Self::Md5 => "MD5",
        }
    }

    pub(super) fn named(name: &str) -> Option<Self> {
        [Self::Sha256, Self::Md5].into_iter().find(|algorithm| algorithm.name().eq_ignore_ascii_case(name))
    }

    /// The hash of these parts with colons between, in hexadecimal digits.
    pub(super) fn hash(self, parts: &[&str]) -> String {
        match self {
            Self::Sha256 => hash::<sha2::Sha256>(parts),
            Self::Md5 => hash::<md5::Md5>(parts),
        }
    }
}

/// Algorithms by their names, in a file.
pub(super) mod names {
    use super::DigestAlgorithm;
    use crate::settings::{Setting, SettingValue};

    pub(in super::super) fn read(value: &SettingValue) -> Result<Vec<DigestAlgorithm>, String> {
        let known = |name: &String| {
            let wrong = || format!("has {name:?}; there are \"SHA-256\" and \"MD5\"");
            DigestAlgorithm::named(name).ok_or_else(wrong)
        };
        Vec::<String>::read(value)?.iter().map(known).collect()
    }

    pub(in super::super) fn show(algorithms: &[DigestAlgorithm]) -> String {
        let names: Vec<_> = algorithms.iter().map(|algorithm| algorithm.name()).collect();
        format!("{names:?}")
    }
}

fn hash<D: Digest>(parts: &[&str]) -> String {
    let mut digest = D::new();
    for (index, part) in parts.iter().enumerate() {
        if index > 0 {
            digest.update(b":");
        }
        digest.update(part.as_bytes());
    }
    digest.finalize().iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// What a server keeps of a password for digest authentication: the hash of name, realm and password.
///
/// ```
/// use kirsch::tools::{DigestAlgorithm, Ha1};
///
/// let made = Ha1::new(DigestAlgorithm::Md5, "Mufasa", "testrealm@host.com", "Circle Of Life");
/// assert_eq!(Ha1::from_hex("939e7578ed9e3c518a452acee763bce9"), Some(made));
/// ```
///
/// Who has it can log in as if he had the password, in this realm: keep it as you would a password.
#[derive(Clone, PartialEq, Eq)]
pub struct Ha1(pub(super) String);

impl Ha1 {
    /// That of this password.
    #[must_use]
    pub fn new(algorithm: DigestAlgorithm, name: &str, realm: &str, password: &str) -> Self {
        Self(algorithm.hash(&[name, realm, password]))
    }

    /// What was stored: 64 hexadecimal digits for SHA-256, 32 for MD5. `None` for anything else.
    #[must_use]
    pub fn from_hex(text: &str) -> Option<Self> {
        let is_right = matches!(text.len(), 32 | 64) && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        is_right.then(|| Self(text.to_ascii_lowercase()))
    }

    /// The algorithm, which the length tells.
    pub(super) fn algorithm(&self) -> DigestAlgorithm {
        if self.0.len() == 64 { DigestAlgorithm::Sha256 } else { DigestAlgorithm::Md5 }
    }
}

impl Verdict<Self> for Option<Ha1> {
    fn into_verdict(self) -> Result<Self, Error> {
        Ok(self)
    }
}

impl std::fmt::Debug for Ha1 {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Ha1")
    }
}

/// What an htdigest file says.
#[derive(Debug, Default)]
pub(super) struct Htdigest(BTreeMap<String, Realm>);

#[derive(Debug, Default)]
struct Realm {
    names: BTreeMap<(String, DigestAlgorithm), Ha1>,
    /// The algorithms that everybody in it has a hash of.
    common: Vec<DigestAlgorithm>,
}

impl Htdigest {
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let mut realms: BTreeMap<String, Realm> = BTreeMap::new();
        for (index, line) in text.lines().enumerate() {
            let (number, line) = (index + 1, line.trim_end());
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let fields: Vec<_> = line.split(':').collect();
            let &[name, realm, hash] = &fields[..] else {
                return Err(format!(
                    "line {number} is not `name:realm:hash`; write it with `htdigest FILE REALM NAME`"
                ));
            };
            let hash = Ha1::from_hex(hash).ok_or_else(|| {
                let fix = "set the password again with `htdigest FILE REALM NAME`";
                format!(
                    "line {number}, of {name:?}, has a hash that is neither MD5 (32 digits) nor SHA-256 (64); {fix}"
                )
            })?;
            let algorithm = hash.algorithm();
            let names = &mut realms.entry(realm.to_owned()).or_default().names;
            if names.insert((name.to_owned(), algorithm), hash).is_some() {
                let algorithm = algorithm.name();
                return Err(format!(
                    "line {number} has {name:?} a second time with {algorithm}; remove one of the two"
                ));
            }
        }
        for realm in realms.values_mut() {
            let everybody: BTreeSet<_> = realm.names.keys().map(|(name, _)| name).collect();
            let has = |algorithm| everybody.iter().all(|&name| realm.names.contains_key(&(name.clone(), algorithm)));
            let common = [DigestAlgorithm::Sha256, DigestAlgorithm::Md5]
                .into_iter()
                .filter(|&algorithm| has(algorithm))
                .collect();
            realm.common = common;
        }
        Ok(Self(realms))
    }

    pub(super) fn find(&self, name: &str, realm: &str, algorithm: DigestAlgorithm) -> Option<Ha1> {
        self.0.get(realm)?.names.get(&(name.to_owned(), algorithm)).cloned()
    }

    /// The algorithms with which everybody of the realm can log in.
    pub(super) fn common(&self, realm: &str) -> &[DigestAlgorithm] {
        self.0.get(realm).map_or(&[], |realm| &realm.common)
    }

    /// Why nobody can log in to the realm.
    pub(super) fn problem(&self, realm: &str) -> Option<String> {
        match self.0.get(realm) {
            None => {
                let realms: Vec<_> = self.0.keys().map(|realm| format!("{realm:?}")).collect();
                let there =
                    if realms.is_empty() { "it is empty".to_owned() } else { format!("it has {}", realms.join(", ")) };
                Some(format!("has no user of the realm {realm:?}; {there}"))
            }
            Some(realm) if realm.common.is_empty() => Some(
                "has some names with MD5 only and others with SHA-256 only; give all of them one of both".to_owned(),
            ),
            Some(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_are_those_of_the_rfc() {
        // RFC 7616, section 3.9.1.
        let table = [
            (DigestAlgorithm::Md5, "8ca523f5e9506fed4657c9700eebdbec"),
            (DigestAlgorithm::Sha256, "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"),
        ];
        for (algorithm, response) in table {
            let Ha1(ha1) = Ha1::new(algorithm, "Mufasa", "http-auth@example.org", "Circle of Life");
            let ha2 = algorithm.hash(&["GET", "/dir/index.html"]);
            let nonce = "7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v";
            let cnonce = "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ";
            assert_eq!(algorithm.hash(&[&ha1, nonce, "00000001", cnonce, "auth", &ha2]), response);
        }
    }

    #[test]
    fn a_file_has_what_everybody_in_a_realm_has_in_common() {
        let (md5, sha256) = ("0".repeat(32), "A".repeat(64));
        let text =
            format!("# x\nanna:a:{md5}\nanna:a:{sha256}\nben:a:{sha256}\nben:b:{md5}\nx:c:{md5}\ny:c:{sha256}\n");
        let file = Htdigest::parse(&text).unwrap();
        assert_eq!(file.common("a"), [DigestAlgorithm::Sha256]);
        assert_eq!(file.common("b"), [DigestAlgorithm::Md5]);
        assert!(file.find("ben", "a", DigestAlgorithm::Sha256) == Ha1::from_hex(&sha256));
        assert!(file.find("ben", "a", DigestAlgorithm::Md5).is_none());
        assert!(file.problem("c").unwrap().contains("MD5 only") && file.problem("a").is_none());
        assert_eq!(file.problem("d").unwrap(), "has no user of the realm \"d\"; it has \"a\", \"b\", \"c\"");
    }

    #[test]
    fn a_line_that_is_wrong_is_named() {
        let md5 = "0".repeat(32);
        let table = [
            ("anna:secret".to_owned(), "line 1 is not `name:realm:hash`"),
            ("\nanna:a:secret".to_owned(), "line 2, of \"anna\", has a hash that is neither"),
            (format!("anna:a:{md5}\nanna:a:{md5}"), "line 2 has \"anna\" a second time with MD5"),
        ];
        for (text, problem) in table {
            let error = Htdigest::parse(&text).unwrap_err();
            assert!(error.contains(problem), "{error}");
        }
    }
}
