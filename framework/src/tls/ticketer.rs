//! Tickets: by them a client goes on with an earlier session, which costs a third of a full handshake.
//!
//! ```text
//! ticket   = name of the key (16) ‖ nonce (24) ‖ XChaCha20-Poly1305( state of the session )
//! exported = "kirsch-tickets-1" (16) ‖ trust (32) ‖ ( name (16) ‖ secret (32) ‖ age in ms, big-endian (8) )*
//! ```
//!
//! A key seals for six hours and opens for twelve, by a clock that nobody sets. Then it is forgotten: the keys of today
//! open nothing of yesterday. A ticket remembers the certificate that its client has shown, so keys
//! are worth nothing under another *trust*: the hash of the roots and lists that clients are checked by.

use crate::random;
use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use parking_lot::RwLock;
use rustls::server::ProducesTickets;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Seals and opens tickets.
pub(super) struct Ticketer {
    trust: Trust,
    keys: RwLock<Arc<TicketKeys>>,
}

/// What client certificates are checked by, as a hash.
pub(super) type Trust = [u8; 32];

/// For how long a key seals.
const SEALS_FOR: Duration = Duration::from_secs(6 * 3600);
/// For how long it opens. The lifetime that clients are told.
const OPENS_FOR: Duration = Duration::from_secs(12 * 3600);

const NAME: usize = 16;
const NONCE: usize = 24;
const SECRET: usize = 32;
/// The form of the exported keys.
const FORM: [u8; 16] = *b"kirsch-tickets-1";

struct TicketKeys {
    present: TicketKey,
    previous: Option<TicketKey>,
}

#[derive(Clone)]
struct TicketKey {
    name: [u8; NAME],
    secret: [u8; SECRET],
    cipher: XChaCha20Poly1305,
    /// Its age when it came to this process, and when that was.
    came: (Duration, Instant),
}

impl TicketKey {
    fn new(name: [u8; NAME], secret: [u8; SECRET], age: Duration) -> Self {
        Self { name, secret, cipher: XChaCha20Poly1305::new(&secret.into()), came: (age, Instant::now()) }
    }

    fn random() -> Self {
        Self::new(random::bytes(), random::bytes(), Duration::ZERO)
    }

    fn age(&self) -> Duration {
        let (age, came) = self.came;
        age.saturating_add(came.elapsed())
    }
}

impl Ticketer {
    pub(super) fn new(trust: Trust) -> Self {
        let keys = TicketKeys { present: TicketKey::random(), previous: None };
        Self { trust, keys: RwLock::new(Arc::new(keys)) }
    }

    pub(super) fn trust(&self) -> &Trust {
        &self.trust
    }

    /// Forgets keys that are too old, and makes a new one when it is time.
    pub(super) fn rotate(&self) {
        let keys = self.keys.read().clone();
        let is_forgotten = |key: &TicketKey| key.age() >= OPENS_FOR;
        let seals = keys.present.age() < SEALS_FOR;
        if seals && !keys.previous.as_ref().is_some_and(is_forgotten) {
            return;
        }
        let new = TicketKey::random();
        let mut present = self.keys.write();
        // Another thread was quicker.
        if !Arc::ptr_eq(&present, &keys) {
            return;
        }
        *present = Arc::new(match seals {
            true => TicketKeys { present: keys.present.clone(), previous: None },
            false => TicketKeys { present: new, previous: Some(keys.present.clone()).filter(|key| !is_forgotten(key)) },
        });
    }

    fn keys(&self) -> Arc<TicketKeys> {
        self.rotate();
        self.keys.read().clone()
    }

    /// The keys for the next process. They are as secret as private keys of certificates.
    pub(super) fn export(&self) -> Vec<u8> {
        let keys = self.keys();
        let mut bytes = [FORM.as_slice(), &self.trust].concat();
        for key in [Some(&keys.present), keys.previous.as_ref()].into_iter().flatten() {
            let age = u64::try_from(key.age().as_millis()).unwrap_or(u64::MAX);
            bytes.extend([key.name.as_slice(), &key.secret, &age.to_be_bytes()].concat());
        }
        bytes
    }

    /// Takes the keys of the process before in the place of its own, if they are for the same clients. Returns a
    /// sentence if it cannot.
    pub(super) fn import(&self, bytes: &[u8]) -> Result<(), &'static str> {
        let rest = bytes.strip_prefix(&FORM).ok_or("they are in a form that this version does not know")?;
        let (trust, rest) = rest.split_at_checked(self.trust.len()).ok_or("they are cut off")?;
        if trust != self.trust {
            return Err("the roots or lists for client certificates have changed");
        }
        let (keys, rest) = rest.as_chunks::<{ NAME + SECRET + 8 }>();
        if !rest.is_empty() || keys.is_empty() || keys.len() > 2 {
            return Err("they are cut off");
        }
        let mut keys = keys.iter().map(|bytes| {
            let (name, rest) = bytes.split_first_chunk::<NAME>()?;
            let (secret, age) = rest.split_first_chunk::<SECRET>()?;
            let age = u64::from_be_bytes(*age.first_chunk()?);
            Some(TicketKey::new(*name, *secret, Duration::from_millis(age)))
        });
        let present = keys.next().flatten().ok_or("they are cut off")?;
        *self.keys.write() = Arc::new(TicketKeys { present, previous: keys.next().flatten() });
        self.rotate();
        Ok(())
    }
}

impl ProducesTickets for Ticketer {
    fn enabled(&self) -> bool {
        true
    }

    fn lifetime(&self) -> u32 {
        u32::try_from(OPENS_FOR.as_secs()).unwrap_or(u32::MAX)
    }

    fn encrypt(&self, plain: &[u8]) -> Option<Vec<u8>> {
        let keys = self.keys();
        let key = &keys.present;
        let nonce: [u8; NONCE] = random::bytes();
        let sealed = key.cipher.encrypt(&XNonce::from(nonce), Payload { msg: plain, aad: &key.name }).ok()?;
        Some([key.name.as_slice(), &nonce, &sealed].concat())
    }

    fn decrypt(&self, ticket: &[u8]) -> Option<Vec<u8>> {
        let (name, rest) = ticket.split_first_chunk::<NAME>()?;
        let (nonce, sealed) = rest.split_first_chunk::<NONCE>()?;
        let keys = self.keys();
        let mut known = [Some(&keys.present), keys.previous.as_ref()].into_iter().flatten();
        let key = known.find(|key| key.name == *name)?;
        key.cipher.decrypt(&XNonce::from(*nonce), Payload { msg: sealed, aad: name }).ok()
    }
}

/// Shows no key.
impl std::fmt::Debug for Ticketer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ticketer").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A ticketer whose present key has that age.
    fn aged(hours: u64) -> Ticketer {
        let ticketer = Ticketer::new([7; 32]);
        let age = Duration::from_secs(hours * 3600);
        let present = TicketKey::new(random::bytes(), random::bytes(), age);
        *ticketer.keys.write() = Arc::new(TicketKeys { present, previous: None });
        ticketer
    }

    fn older(ticketer: &Ticketer, hours: u64) {
        let keys = ticketer.keys.read().clone();
        let older =
            |key: &TicketKey| TicketKey::new(key.name, key.secret, key.age() + Duration::from_secs(hours * 3600));
        *ticketer.keys.write() =
            Arc::new(TicketKeys { present: older(&keys.present), previous: keys.previous.as_ref().map(older) });
    }

    #[test]
    fn a_ticket_is_opened_for_twelve_hours_and_not_longer() {
        let ticketer = aged(0);
        let ticket = ticketer.encrypt(b"session").unwrap();
        for hours in [0, 5, 6] {
            older(&ticketer, hours);
            assert_eq!(ticketer.decrypt(&ticket).as_deref(), Some(&b"session"[..]), "{hours} more");
        }
        older(&ticketer, 1);
        assert_eq!(ticketer.decrypt(&ticket), None);
    }

    #[test]
    fn a_key_seals_for_six_hours() {
        let ticketer = aged(5);
        let name = |ticket: Vec<u8>| ticket[..NAME].to_vec();
        let first = name(ticketer.encrypt(b"").unwrap());
        assert_eq!(name(ticketer.encrypt(b"").unwrap()), first);
        older(&ticketer, 1);
        assert_ne!(name(ticketer.encrypt(b"").unwrap()), first);
    }

    #[test]
    fn a_key_that_nobody_used_for_a_day_is_forgotten() {
        let ticketer = aged(24);
        let secret = ticketer.keys.read().present.secret;
        ticketer.rotate();
        let keys = ticketer.keys.read();
        assert!(keys.present.secret != secret && keys.previous.is_none());
    }

    #[test]
    fn a_changed_ticket_is_not_opened() {
        let ticketer = aged(0);
        let ticket = ticketer.encrypt(b"session").unwrap();
        for index in 0..ticket.len() {
            let mut changed = ticket.clone();
            changed[index] ^= 1;
            assert_eq!(ticketer.decrypt(&changed), None, "byte {index}");
            assert_eq!(ticketer.decrypt(&ticket[..index]), None, "{index} bytes");
        }
    }

    #[test]
    fn the_next_process_opens_the_tickets_of_this_one() {
        let (old, new) = (aged(5), aged(0));
        let early = old.encrypt(b"early").unwrap();
        older(&old, 2);
        let late = old.encrypt(b"late").unwrap();
        new.import(&old.export()).unwrap();
        assert_eq!(new.decrypt(&early).as_deref(), Some(&b"early"[..]));
        assert_eq!(new.decrypt(&late).as_deref(), Some(&b"late"[..]));
        older(&new, 5);
        assert_eq!(new.decrypt(&early), None, "a key grows old in both processes");
    }

    #[test]
    fn keys_that_are_cut_off_or_for_other_clients_are_refused() {
        let (old, new) = (aged(1), aged(0));
        let bytes = old.export();
        let own = new.encrypt(b"own").unwrap();
        for length in 0..bytes.len() {
            assert!(new.import(&bytes[..length]).is_err(), "{length} bytes");
        }
        let other = Ticketer::new([8; 32]);
        assert_eq!(other.import(&bytes), Err("the roots or lists for client certificates have changed"));
        assert_eq!(new.decrypt(&own).as_deref(), Some(&b"own"[..]));
    }
}
