//! Nonces that cannot be forged, and the counts that were used with them.
//!
//! ```text
//! nonce = base64url( issued (8) ‖ number (8) ‖ HMAC-SHA-256( key, issued ‖ number ‖ realm )[..16] )
//! ```
//!
//! The key is made at start. A nonce costs no memory until a login succeeds with it. From then on its highest count and
//! the 128 counts below it are known: each is good once, those further below are not good any more. When there are too
//! many nonces, the oldest are given up. All that were made before then count as expired: a client gets a new one
//! without asking its user. Time is monotonic, so setting the clock makes no nonce older or younger.

use crate::random::CodeKey;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use subtle::ConstantTimeEq;

pub(super) struct Nonces {
    key: CodeKey,
    start: Instant,
    next: AtomicU64,
    used: Mutex<Used>,
}

/// By the number of the nonce, which is their order in time, too.
#[derive(Default)]
struct Used {
    counts: BTreeMap<u64, Counts>,
    /// Nonces below this number are expired.
    floor: u64,
}

struct Counts {
    issued: Duration,
    highest: u32,
    /// Bit `n` says that `highest - n` was used.
    seen: u128,
}

/// How many nonces are known with their counts: 64 bytes each.
const MAX_USED: usize = 16 * 1024;

/// A nonce of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Nonce {
    issued: Duration,
    number: u64,
}

/// The judgement of a count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Count {
    Fresh,
    /// Seen before, or too far below those that were.
    Replayed,
    /// The nonce is too old.
    Expired,
}

impl Nonces {
    pub(super) fn new() -> Self {
        Self { key: CodeKey::of_this_process(), start: Instant::now(), next: AtomicU64::new(1), used: Mutex::default() }
    }

    pub(super) fn issue(&self, realm: &str) -> String {
        let issued = u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX).to_be_bytes();
        let number = self.next.fetch_add(1, Ordering::Relaxed).to_be_bytes();
        let code = self.code(issued, number, realm);
        URL_SAFE_NO_PAD.encode([&issued[..], &number, &code].concat())
    }

    /// `None` for a nonce that was not issued here, or for another realm.
    pub(super) fn read(&self, text: &str, realm: &str) -> Option<Nonce> {
        let bytes: [u8; 32] = URL_SAFE_NO_PAD.decode(text).ok()?.try_into().ok()?;
        let part = |at: usize| <[u8; 8]>::try_from(&bytes[at..at + 8]).expect("eight bytes");
        let (issued, number) = (part(0), part(8));
        let is_ours = bool::from(self.code(issued, number, realm).ct_eq(&bytes[16..]));
        is_ours.then(|| Nonce {
            issued: Duration::from_millis(u64::from_be_bytes(issued)),
            number: u64::from_be_bytes(number),
        })
    }

    fn code(&self, issued: [u8; 8], number: [u8; 8], realm: &str) -> [u8; 16] {
        self.key.code(&[&issued, &number, realm.as_bytes()])
    }

    /// Uses a count of a nonce. Called only when everything else is right, so that others can neither use up counts nor
    /// memory.
    pub(super) fn count(&self, nonce: Nonce, count: u32, lifetime: Duration) -> Count {
        self.count_at(self.start.elapsed(), nonce, count, lifetime)
    }

    fn count_at(&self, now: Duration, nonce: Nonce, count: u32, lifetime: Duration) -> Count {
        let used = &mut *self.used.lock();
        if nonce.number < used.floor || now.saturating_sub(nonce.issued) >= lifetime {
            return Count::Expired;
        }
        if let Some(counts) = used.counts.get_mut(&nonce.number) {
            return counts.enter(count);
        }
        while let Some((&oldest, counts)) = used.counts.first_key_value() {
            let is_over = now.saturating_sub(counts.issued) >= lifetime;
            if !is_over && used.counts.len() < MAX_USED {
                break;
            }
            used.counts.pop_first();
            used.floor = oldest + 1;
        }
        if nonce.number < used.floor {
            return Count::Expired;
        }
        used.counts.insert(nonce.number, Counts { issued: nonce.issued, highest: count, seen: 1 });
        Count::Fresh
    }
}

impl Counts {
    fn enter(&mut self, count: u32) -> Count {
        if count > self.highest {
            self.seen = self.seen.checked_shl(count - self.highest).unwrap_or(0) | 1;
            self.highest = count;
            return Count::Fresh;
        }
        let bit = 1u128.checked_shl(self.highest - count).unwrap_or(0);
        if bit == 0 || self.seen & bit != 0 {
            return Count::Replayed;
        }
        self.seen |= bit;
        Count::Fresh
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIFETIME: Duration = Duration::from_secs(300);

    fn nonce(nonces: &Nonces) -> Nonce {
        nonces.read(&nonces.issue("realm"), "realm").unwrap()
    }

    #[test]
    fn a_nonce_cannot_be_made_up() {
        let nonces = Nonces::new();
        let issued = nonces.issue("realm");
        assert!(nonces.read(&issued, "realm").is_some());
        assert!(nonces.read(&issued, "other").is_none() && Nonces::new().read(&issued, "realm").is_none());
        for at in 0..32 {
            let mut bytes = URL_SAFE_NO_PAD.decode(&issued).unwrap();
            bytes[at] ^= 1;
            assert!(nonces.read(&URL_SAFE_NO_PAD.encode(bytes), "realm").is_none(), "{at}");
        }
        for text in ["", "x", "dcd98b7102dd2f0e8b11d0f600bfb0c093", &issued[1..], &format!("{issued}A")] {
            assert!(nonces.read(text, "realm").is_none(), "{text}");
        }
    }

    #[test]
    fn each_count_is_good_once_in_whatever_order_they_come() {
        let nonces = Nonces::new();
        let nonce = nonce(&nonces);
        let count = |count| nonces.count(nonce, count, LIFETIME);
        let table = [
            (3, true),
            (1, true),
            (1, false),
            (2, true),
            (3, false),
            (200, true),
            (73, true),
            (72, false),
            (73, false),
            (u32::MAX, true),
            (201, false),
        ];
        for (number, is_fresh) in table {
            assert_eq!(count(number), if is_fresh { Count::Fresh } else { Count::Replayed }, "{number}");
        }
    }

    #[test]
    fn an_expired_nonce_is_told_from_a_replayed_one() {
        let nonces = Nonces::new();
        let nonce = nonce(&nonces);
        let at = |seconds| nonces.count_at(nonce.issued + Duration::from_secs(seconds), nonce, 1, LIFETIME);
        assert_eq!([at(299), at(299), at(300)], [Count::Fresh, Count::Replayed, Count::Expired]);
    }

    #[test]
    fn of_too_many_nonces_the_oldest_count_as_expired() {
        let nonces = Nonces::new();
        let (early, first) = (nonce(&nonces), nonce(&nonces));
        assert_eq!(nonces.count(first, 1, LIFETIME), Count::Fresh);
        for _ in 0..MAX_USED {
            assert_eq!(nonces.count(nonce(&nonces), 1, LIFETIME), Count::Fresh);
        }
        assert_eq!(nonces.used.lock().counts.len(), MAX_USED);
        assert_eq!(nonces.count(first, 1, LIFETIME), Count::Expired);
        assert_eq!(nonces.count(early, 1, LIFETIME), Count::Expired);
    }
}
