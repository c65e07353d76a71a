//! Warnings before a certificate ends: 21, 7, 3 and 1 days ahead, and when it has ended.
//!
//! The clock of the machine may jump. A warning that came by a jump comes again when its time has really come; a clock
//! that jumps to and fro says nothing twice within half a day.

use crate::exchange::CertificateState;
use std::collections::BTreeMap;
use std::time::{Duration, Instant, SystemTime};

/// What was warned of.
#[derive(Debug, Default)]
pub(super) struct ExpiryWatch {
    /// The step at which each certificate was at the last look.
    steps: BTreeMap<String, u64>,
    /// When each step was told of each certificate.
    told: BTreeMap<(String, u64), Instant>,
}

/// Days before the end.
const STEPS: [u64; 5] = [0, 1, 3, 7, 21];
const DAY: Duration = Duration::from_secs(24 * 3600);
/// No step is told twice within this time.
const QUIET: Duration = Duration::from_secs(12 * 3600);

impl ExpiryWatch {
    /// Writes the warnings that are due: at `now` by the calendar, and at `moment` by a clock that nobody sets.
    pub(super) fn look(&mut self, certificates: &[CertificateState], now: SystemTime, moment: Instant) {
        for CertificateState { place, expires, .. } in certificates {
            let left = expires.duration_since(now).unwrap_or_default();
            let step = STEPS.into_iter().find(|days| left <= DAY * u32::try_from(*days).unwrap_or(u32::MAX));
            let Some(step) = step else {
                self.steps.remove(place);
                continue;
            };
            if self.steps.insert(place.clone(), step) == Some(step) {
                continue;
            }
            let key = (place.clone(), step);
            if self.told.get(&key).is_some_and(|at| moment.saturating_duration_since(*at) < QUIET) {
                continue;
            }
            self.told.insert(key, moment);
            let end = httpdate::fmt_http_date(*expires);
            if step == 0 {
                crate::line::record!(Error, target: "kirsch::tls", "{place} has expired, on {end}: clients refuse to connect");
            } else {
                let hours = left.as_secs() / 3600;
                let left = if hours < 48 { format!("{hours} hours") } else { format!("{} days", hours / 24) };
                crate::line::record!(Warn, target: "kirsch::tls", "{place} expires in {left}, on {end}: renew it");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::logs::capture;

    fn days(days: u64) -> Duration {
        DAY * u32::try_from(days).unwrap()
    }

    /// The warnings of looks at these days of the calendar; each look is that many hours after the one before.
    fn warnings(looks: &[(u64, u64)]) -> Vec<String> {
        let (calendar, mut moment) = (SystemTime::UNIX_EPOCH + days(20_000), Instant::now());
        let state = CertificateState::new("shop.pem", Vec::new(), calendar + days(100));
        let mut watch = ExpiryWatch::default();
        let told = capture::records("kirsch::tls", || {
            for (day, hours) in looks {
                moment += Duration::from_secs(hours * 3600);
                watch.look(std::slice::from_ref(&state), calendar + days(*day), moment);
            }
        });
        told.iter()
            .map(|line| line.split(" shop.pem ").nth(1).unwrap().split(", on").next().unwrap().to_owned())
            .collect()
    }

    #[test]
    fn each_step_is_told_once() {
        let looks: Vec<_> = (0..102).flat_map(|day| [(day, 23), (day, 1)]).collect();
        let told =
            ["expires in 21 days", "expires in 7 days", "expires in 3 days", "expires in 24 hours", "has expired"];
        assert_eq!(warnings(&looks), told);
    }

    #[test]
    fn a_clock_that_jumped_ahead_warns_again_when_the_time_has_come() {
        assert_eq!(warnings(&[(0, 0), (95, 0), (0, 1), (1, 24), (95, 2000)]), ["expires in 5 days"; 2]);
    }

    #[test]
    fn a_clock_that_jumps_to_and_fro_says_nothing_twice() {
        let looks = [(0, 1), (95, 1)].repeat(5);
        assert_eq!(warnings(&looks), ["expires in 5 days"]);
    }

    #[test]
    fn a_renewed_certificate_is_watched_like_a_new_one() {
        let now = SystemTime::UNIX_EPOCH + days(20_000);
        let mut watch = ExpiryWatch::default();
        let told = capture::records("kirsch::tls", || {
            for (moment, end) in [(0, 5), (1, 90), (2, 5)] {
                let state = CertificateState::new("shop.pem", Vec::new(), now + days(end));
                watch.look(&[state], now, Instant::now() + days(moment));
            }
        });
        assert_eq!(told.len(), 2);
    }
}
