//! How often a password may be guessed: by name and by address.
//!
//! Each has a bucket. An attempt fills it by one, and it empties evenly, all of it in one window. A full one turns
//! attempts away, until there is room for one again. An attempt is counted before the password is checked, so that a
//! hundred at the same time do not get around the limit, and taken back if it was right. Names and addresses are kept
//! as hashes under a key of this process, known and unknown names alike. When there are too many buckets, the emptiest
//! go.

use super::super::bucket::Bucket;
use super::super::neighbourhood::neighbourhood;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::hash::{BuildHasher, Hash, RandomState};
use std::net::IpAddr;
use std::time::{Duration, Instant};

/// How many buckets there are of each kind: 32 bytes each.
const MOST: usize = 16 * 1024;

#[derive(Default)]
pub(super) struct Throttle {
    hasher: RandomState,
    names: Mutex<Buckets>,
    addresses: Mutex<Buckets>,
}

/// How many attempts are let through at once, and in what time all of them are forgotten.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Rate {
    pub(super) attempts: usize,
    pub(super) window: Duration,
}

/// An attempt that was let through.
pub(super) struct Attempt {
    name: u64,
    address: u64,
}

impl Throttle {
    /// Counts an attempt, or returns how long the client has to wait.
    pub(super) fn begin(
        &self,
        name: &str,
        address: IpAddr,
        by_name: Rate,
        by_address: Rate,
        now: Instant,
    ) -> Result<Attempt, Duration> {
        let attempt = Attempt { name: self.hash(&name), address: self.hash(&neighbourhood(address)) };
        self.addresses.lock().fill(attempt.address, by_address, now)?;
        let filled = self.names.lock().fill(attempt.name, by_name, now);
        match filled {
            Ok(()) => Ok(attempt),
            Err(wait) => {
                // Turned away by the name: no guess, so nothing against the address.
                self.addresses.lock().take_back(attempt.address);
                Err(wait)
            }
        }
    }

    /// The password was right.
    pub(super) fn succeeded(&self, attempt: &Attempt) {
        self.names.lock().0.remove(&attempt.name);
        self.addresses.lock().take_back(attempt.address);
    }

    /// The password could not be looked at.
    pub(super) fn take_back(&self, attempt: &Attempt) {
        self.names.lock().take_back(attempt.name);
        self.addresses.lock().take_back(attempt.address);
    }

    fn hash(&self, value: &impl Hash) -> u64 {
        self.hasher.hash_one(value)
    }
}

#[derive(Default)]
struct Buckets(HashMap<u64, Bucket>);

impl Buckets {
    fn fill(&mut self, key: u64, rate: Rate, now: Instant) -> Result<(), Duration> {
        let most = rate.attempts as f64;
        let each = rate.window.as_secs_f64() / most.max(1.0);
        let level_at = |bucket: &Bucket| bucket.level(each, now);
        if self.0.len() >= MOST && !self.0.contains_key(&key) {
            self.0.retain(|_, bucket| level_at(bucket) > 0.0);
            self.make_room(level_at);
        }
        self.0.entry(key).or_insert_with(|| Bucket::empty(now)).fill(most, each, now)
    }

    /// Takes the emptier half out, if there are too many.
    fn make_room(&mut self, level_at: impl Fn(&Bucket) -> f64) {
        if self.0.len() < MOST {
            return;
        }
        let mut levels: Vec<_> = self.0.iter().map(|(key, bucket)| (*key, level_at(bucket))).collect();
        let half = levels.len() / 2;
        levels.select_nth_unstable_by(half, |(_, one), (_, other)| one.total_cmp(other));
        for (key, _) in &levels[..half] {
            self.0.remove(key);
        }
    }

    fn take_back(&mut self, key: u64) {
        if let Some(bucket) = self.0.get_mut(&key) {
            bucket.take_back();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATE: Rate = Rate { attempts: 3, window: Duration::from_secs(30) };
    const MANY: Rate = Rate { attempts: 100_000_000, window: Duration::from_secs(30) };
    const HOME: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

    #[test]
    fn attempts_come_back_one_by_one() {
        let (throttle, start) = (Throttle::default(), Instant::now());
        let at = |seconds| throttle.begin("anna", HOME, RATE, MANY, start + Duration::from_secs(seconds)).map(drop);
        assert_eq!([at(0), at(0), at(0)], [Ok(()); 3]);
        assert_eq!(at(0), Err(Duration::from_secs(10)));
        assert_eq!(at(4), Err(Duration::from_secs(6)));
        assert_eq!([at(10), at(10)], [Ok(()), Err(Duration::from_secs(10))]);
    }

    #[test]
    fn a_right_password_forgets_the_wrong_ones_of_its_name() {
        let (throttle, now) = (Throttle::default(), Instant::now());
        let begin = || throttle.begin("anna", HOME, RATE, RATE, now);
        let (_, _, third) = (begin().ok(), begin().ok(), begin().ok());
        assert!(begin().is_err());
        throttle.succeeded(&third.unwrap());
        assert!(begin().is_ok(), "two were wrong from this address, the name is free again");
        assert!(begin().is_err(), "the address is not");
    }

    #[test]
    fn addresses_are_counted_over_all_names_and_as_networks() {
        let (throttle, now) = (Throttle::default(), Instant::now());
        let from = |name: &str, address: &str| throttle.begin(name, address.parse().unwrap(), MANY, RATE, now).is_ok();
        assert!(from("a", "2001:db8::1") && from("b", "2001:db8::2") && from("c", "2001:db8::3:4"));
        assert!(!from("d", "2001:db8::5") && from("d", "2001:db8:0:1::5"));
        assert!(
            from("a", "10.0.0.1") && from("b", "::ffff:10.0.0.1") && from("c", "10.0.0.1") && from("c", "10.0.0.2")
        );
    }

    #[test]
    fn memory_is_bounded_and_the_fullest_stay() {
        let (throttle, now) = (Throttle::default(), Instant::now());
        let begin = |name: &str| throttle.begin(name, HOME, RATE, MANY, now).is_ok();
        assert!(begin("anna") && begin("anna") && begin("anna"));
        for number in 0..2 * MOST {
            begin(&number.to_string());
        }
        assert!(throttle.names.lock().0.len() <= MOST);
        assert!(!begin("anna"));
    }
}
