//! Passwords: hashes to store in place of them, and files of them. Needs the cargo feature `passwords`.
//!
//! [`hash`] makes argon2id hashes for an application to store. [`verify`] compares with those and with bcrypt, which
//! `htpasswd -B` writes. [`PasswordFile`] is an htpasswd file. Reading passwords from requests is not done here: the
//! tools `AuthBasic` and `SessionAuth` do that.

mod debug_build;
mod file;

pub use file::PasswordFile;

use argon2::Argon2;
use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use std::time::Duration;

/// More than an optimised hash takes, and less than one that is not.
const USUAL_TIME: Duration = Duration::from_millis(300);

/// The same for one round of bcrypt, of which there are two to the power of its cost.
const BCRYPT_ROUND: Duration = Duration::from_micros(200);

/// The hash of a password, to be stored in its place: argon2id with a salt of its own, 19 MiB of memory and two passes,
/// as OWASP advises.
///
/// ```
/// use kirsch::passwords::{hash, verify};
///
/// let stored = hash("correct horse");
/// assert!(stored.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"));
/// assert!(verify("correct horse", &stored));
/// assert!(!verify("battery staple", &stored));
/// ```
///
/// Takes some tens of milliseconds, which makes guessing expensive. In a handler, do it while no lock is held. In a
/// debug build it takes seconds, unless the program's `Cargo.toml` has these lines:
///
/// ```toml
/// [profile.dev.package]
/// argon2.opt-level = 3
/// ```
///
/// # Panics
/// When the password is longer than 4 GiB, or the system has no random source.
#[must_use]
pub fn hash(password: &str) -> String {
    let hashed: PasswordHash =
        debug_build::timed("argon2", USUAL_TIME, || Argon2::default().hash_password(password.as_bytes()))
            .expect("the parameters are argon2's own, the salt is random");
    hashed.to_string()
}

/// Whether this is the password of a hash: argon2 (`$argon2id$`) or bcrypt (`$2b$`, `$2y$`). Any other text is not a
/// hash: `false`.
///
/// The parameters are those in the hash. As everywhere, bcrypt looks at the first 72 bytes of a password only.
#[must_use]
pub fn verify(password: &str, hash: &str) -> bool {
    if is_bcrypt(hash) {
        let cost = hash.parse::<bcrypt::HashParts>().map_or(0, |parts| parts.get_cost());
        let most = USUAL_TIME.max(BCRYPT_ROUND * 2_u32.saturating_pow(cost));
        return debug_build::timed("blowfish", most, || bcrypt::verify(password, hash)).unwrap_or(false);
    }
    let Ok(hash) = PasswordHash::new(hash) else { return false };
    debug_build::timed("argon2", USUAL_TIME, || Argon2::default().verify_password(password.as_bytes(), &hash)).is_ok()
}

/// Whether it is a bcrypt hash: version, cost, salt and hash in their form.
fn is_bcrypt(hash: &str) -> bool {
    ["$2a$", "$2b$", "$2x$", "$2y$"].iter().any(|version| hash.starts_with(version))
        && hash.parse::<bcrypt::HashParts>().is_ok()
}

/// Whether it is an argon2 hash.
fn is_argon2(hash: &str) -> bool {
    hash.starts_with("$argon2")
        && PasswordHash::new(hash)
            .is_ok_and(|hash| hash.salt.is_some() && hash.hash.is_some() && argon2::Params::try_from(&hash).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_of_others_are_verified() {
        // `htpasswd -nbB anna secret`, and the reference program `argon2`.
        let bcrypt = "$2y$05$u045hG1jpraCACBWg5cb.e81yv0y3Q6xwojRRN66RzdPXlMLJNd0i";
        assert!(is_bcrypt(bcrypt) && !is_argon2(bcrypt));
        assert!(verify("secret", bcrypt) && !verify("Secret", bcrypt));
        let argon2 = "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc";
        assert!(is_argon2(argon2) && !is_bcrypt(argon2));
        assert!(verify("password", argon2) && !verify("passwort", argon2));
    }

    #[test]
    fn a_malformed_hash_fits_no_password() {
        for hash in
            ["", "secret", "$2y$05$short", "$argon2id$", "$argon2id$v=19$m=1,t=0,p=0$YQ$YQ", "{SHA}x", "$apr1$a$b"]
        {
            assert!(!verify("secret", hash) && !is_bcrypt(hash) && !is_argon2(hash), "{hash}");
        }
        assert_ne!(hash("secret"), hash("secret"), "each has its salt");
    }
}
