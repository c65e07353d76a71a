//! Hashes in a debug build: thirty times as slow, unless the program's `Cargo.toml` asks to optimise them.
//!
//! Cargo takes that from the program alone, so the framework cannot write it. It says so once, when a hash was slow.

use rustix::time::{ClockId, clock_gettime};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Runs `work`. In a debug build it looks how long that took: more than `most` is said once, with the package to
/// optimise.
pub(super) fn timed<T>(package: &str, most: Duration, work: impl FnOnce() -> T) -> T {
    static IS_SAID: AtomicBool = AtomicBool::new(false);
    if !cfg!(debug_assertions) {
        return work();
    }
    let start = time_of_thread();
    let result = work();
    let advice = advice(package, time_of_thread().saturating_sub(start), most);
    if let Some(advice) = advice.filter(|_| !IS_SAID.swap(true, Ordering::Relaxed)) {
        crate::line::record!(Warn, target: "kirsch::passwords", "{advice}");
    }
    result
}

fn advice(package: &str, took: Duration, most: Duration) -> Option<String> {
    (took > most).then(|| {
        format!(
            "a hash of a password took {took:.1?} in this debug build; two lines in Cargo.toml make it fast, tests of logins too: [profile.dev.package] and {package}.opt-level = 3"
        )
    })
}

/// The time that this thread has run: a busy machine does not make a hash slow.
fn time_of_thread() -> Duration {
    clock_gettime(ClockId::ThreadCPUTime).try_into().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slow_hash_is_told_what_makes_it_fast() {
        let (fast, slow, most) = (Duration::from_millis(70), Duration::from_millis(1640), Duration::from_millis(300));
        assert_eq!(advice("argon2", fast, most), None);
        let said = advice("argon2", slow, most).expect("it is slow");
        assert!(said.contains("took 1.6s") && said.contains("argon2.opt-level = 3"), "{said}");
    }

    #[test]
    fn the_time_of_a_thread_is_that_of_its_work() {
        let start = time_of_thread();
        while time_of_thread() - start < Duration::from_millis(1) {}
        assert_eq!(timed("argon2", Duration::from_secs(3600), || 5), 5);
    }
}
