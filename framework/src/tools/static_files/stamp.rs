//! The validators of a file: its ETag and Last-Modified, from what the file system knows about it.
//!
//! The tag is made of length and time of modification, to the nanosecond. No inode is in it, so that several machines with copies of the
//! same files (and `rsync -t`, `cp -p`) give out the same tags.
//!
//! * *Strong or weak.* Two changes within one tick of the file system's clock leave the same time behind. While the last change is that
//!   fresh the tag is weak: caches may use it, ranges may not be joined by it. The kernel's own time of change tells how
//!   fresh, since programs can set the other one back. A tick is a few milliseconds, or up to two seconds where
//!   the file system keeps no nanoseconds.
//! * *Times that say nothing.* Reproducible builds (Nix, Bazel, `SOURCE_DATE_EPOCH`) put 1970 or 1980 on all files, whatever is in them.
//!   Times before 1980-01-02 are not believed: the kernel's time of change is in the tag instead, and there is no Last-Modified.
//! * A file from the future has no Last-Modified (RFC 9110, section 8.8.2.1).

use super::directory::{Identity, Moment};
use crate::http::Coding;
use ::http::HeaderValue;
use httpdate::HttpDate;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// What is said of a file to compare it with later.
#[derive(Clone, Debug)]
pub(super) struct Stamp {
    pub(super) etag: HeaderValue,
    pub(super) last_modified: Option<HeaderValue>,
    /// Whether the next change would be seen.
    pub(super) settled: bool,
}

impl Stamp {
    /// The stamp of a file as it is `now`. A file in a coding has the coding's name in its tag: programs that compress keep the time of
    /// the original, and a tag must not be that of the original too.
    pub(super) fn new(identity: &Identity, coding: Option<Coding>, now: SystemTime) -> Self {
        let settled = is_settled(identity.changed, now);
        let believed = identity.modified >= FIRST_BELIEVED;
        let Moment { seconds, nanoseconds } = if believed { identity.modified } else { identity.changed };
        let weak = if settled { "" } else { "W/" };
        let (dash, coding) = coding.map_or(("", ""), |coding| ("-", coding.name()));
        let etag = format!("{weak}\"{:x}-{seconds:x}.{nanoseconds:x}{dash}{coding}\"", identity.length);
        let date = believed.then(|| u64::try_from(seconds).ok()).flatten();
        let date = date.map(|seconds| UNIX_EPOCH + Duration::from_secs(seconds)).filter(|date| *date <= now);
        let last_modified = date.map(|date| HttpDate::from(date).to_string());
        Self {
            etag: HeaderValue::try_from(etag).expect("hexadecimal digits and the name of a coding are ASCII"),
            last_modified: last_modified.and_then(|date| date.try_into().ok()),
            settled,
        }
    }
}

/// 1980-01-02: the first time that no tool writes instead of a real one.
const FIRST_BELIEVED: Moment = Moment { seconds: 315_619_200, nanoseconds: 0 };

/// Ticks of the clocks of file systems, with some room.
const FINE_TICK: Duration = Duration::from_millis(50);
const COARSE_TICK: Duration = Duration::from_secs(2);

fn is_settled(changed: Moment, now: SystemTime) -> bool {
    let Ok(seconds) = u64::try_from(changed.seconds) else { return true };
    let changed_at = UNIX_EPOCH + Duration::new(seconds, changed.nanoseconds);
    let tick = if changed.nanoseconds == 0 { COARSE_TICK } else { FINE_TICK };
    match now.duration_since(changed_at) {
        Ok(age) => age >= tick,
        // The clock was set back since; by more than a tick the change is not of this moment.
        Err(ahead) => ahead.duration() > tick,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::{File, FileTimes};

    /// The stamp of a file that was modified at `modified`, looked at so long after it was written.
    fn stamp(modified: SystemTime, later: Duration) -> Stamp {
        let file = tempfile::tempfile().unwrap();
        file.set_len(255).unwrap();
        file.set_times(FileTimes::new().set_modified(modified)).unwrap();
        Stamp::new(&Identity::of(&file).unwrap(), None, SystemTime::now() + later)
    }

    const LATER: Duration = Duration::from_secs(60);

    #[test]
    fn a_file_that_was_just_changed_has_a_weak_tag() {
        let modified = UNIX_EPOCH + Duration::new(784_111_777, 5);
        let settled = stamp(modified, LATER);
        assert_eq!(settled.etag, "\"ff-2ebc98a1.5\"");
        assert_eq!(settled.last_modified.unwrap(), "Sun, 06 Nov 1994 08:49:37 GMT");
        assert!(settled.settled);
        let fresh = stamp(modified, Duration::ZERO);
        assert_eq!(fresh.etag, "W/\"ff-2ebc98a1.5\"");
        assert!(!fresh.settled);
    }

    #[test]
    fn times_of_reproducible_builds_are_not_believed() {
        for seconds in [0, 1, 315_532_800] {
            let stamp = stamp(UNIX_EPOCH + Duration::from_secs(seconds), LATER);
            assert!(stamp.last_modified.is_none());
            assert!(!stamp.etag.to_str().unwrap().ends_with(&format!("-{seconds:x}.0\"")), "{:?}", stamp.etag);
        }
    }

    #[test]
    fn a_file_from_the_future_has_no_date() {
        let stamp = stamp(SystemTime::now() + Duration::from_secs(3600), LATER);
        assert!(stamp.last_modified.is_none() && stamp.settled);
    }

    #[test]
    fn a_clock_that_was_set_back_does_not_unsettle_everything() {
        let file: File = tempfile::tempfile().unwrap();
        let identity = Identity::of(&file).unwrap();
        assert!(Stamp::new(&identity, None, SystemTime::now() - Duration::from_secs(3600)).settled);
    }

    #[test]
    fn f5_codings_have_tags_of_their_own() {
        let identity = Identity::of(tempfile::tempfile().unwrap()).unwrap();
        let now = SystemTime::now();
        let tag = |coding| Stamp::new(&identity, coding, now).etag;
        assert_ne!(tag(None), tag(Some(Coding::Gzip)));
        assert_ne!(tag(Some(Coding::Brotli)), tag(Some(Coding::Gzip)));
    }
}
