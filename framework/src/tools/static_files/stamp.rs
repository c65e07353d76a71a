//! The validators of a file: its ETag and Last-Modified, from what the file system knows about it.
//!
//! The tag is made of everything that changes with the content: length, both times to the nanosecond, inode and device.
//! Length and time of modification alone are not enough: package managers give all versions of a file one date, `rsync
//! -t` and `cp -p` bring the old one along, programs set it back. No program sets the kernel's own time of change. The
//! price: copies of a file on several machines have different tags. Inode and times go through a hash, to keep them
//! private.
//!
//! * *Strong or weak.* Two changes within one tick of the file system's clock leave the same time behind. While the
//!   last change is that fresh the tag is weak: caches may use it, ranges may not be joined by it. The kernel's own
//!   time of change tells how fresh, since programs can set the other one back. A tick is a few milliseconds, or up to
//!   two seconds where the file system keeps no nanoseconds.
//! * *Times without meaning.* Reproducible builds (Nix, Bazel, `SOURCE_DATE_EPOCH`) put 1970 or 1980 on all files. npm
//!   puts 1985-10-26 08:15 on them. Such times are not believed: there is no Last-Modified.
//! * A file from the future has no Last-Modified (RFC 9110, section 8.8.2.1).

use super::directory::{Identity, Moment};
use crate::http::Coding;
use ::http::HeaderValue;
use httpdate::HttpDate;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The facts about a file to compare it with later.
#[derive(Clone, Debug)]
pub(super) struct Stamp {
    pub(super) etag: HeaderValue,
    pub(super) last_modified: Option<HeaderValue>,
    /// Whether the next change would be seen.
    pub(super) settled: bool,
}

impl Stamp {
    /// The stamp of a file as it is `now`. A file in a coding has the coding's name in its tag: programs that compress
    /// keep the time of the original, and the two tags must differ.
    pub(super) fn new(identity: &Identity, coding: Option<Coding>, now: SystemTime) -> Self {
        let settled = is_settled(identity.changed, now);
        let Moment { seconds, .. } = identity.modified;
        let believed = identity.modified >= FIRST_BELIEVED && seconds != NPM;
        let weak = if settled { "" } else { "W/" };
        let (dash, coding) = coding.map_or(("", ""), |coding| ("-", coding.name()));
        let etag = format!("{weak}\"{:x}-{:016x}{dash}{coding}\"", identity.length, identity.fingerprint());
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

/// 1985-10-26 08:15:00, which npm writes into its archives.
const NPM: i64 = 499_162_500;

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
        assert!(settled.etag.to_str().unwrap().starts_with("\"ff-"), "{:?}", settled.etag);
        assert_eq!(settled.last_modified.unwrap(), "Sun, 06 Nov 1994 08:49:37 GMT");
        assert!(settled.settled);
        let fresh = stamp(modified, Duration::ZERO);
        assert!(fresh.etag.to_str().unwrap().starts_with("W/\"ff-"), "{:?}", fresh.etag);
        assert!(!fresh.settled);
    }

    #[test]
    fn times_of_reproducible_builds_are_not_believed() {
        for seconds in [0, 1, 315_532_800, 499_162_500] {
            let stamp = stamp(UNIX_EPOCH + Duration::from_secs(seconds), LATER);
            assert!(stamp.last_modified.is_none());
        }
    }

    #[test]
    fn a_file_of_the_same_length_and_time_has_another_tag() {
        let folder = tempfile::tempdir().unwrap();
        let (path, modified) = (folder.path().join("a"), UNIX_EPOCH + Duration::from_secs(784_111_777));
        let write = |content: &str, path: &std::path::Path| {
            std::fs::write(path, content).unwrap();
            let file = File::options().write(true).open(path).unwrap();
            file.set_times(FileTimes::new().set_modified(modified)).unwrap();
            Identity::of(&file).unwrap()
        };
        let tag = |identity: &Identity| Stamp::new(identity, None, SystemTime::now() + LATER).etag;
        let first = write("one", &path);
        let in_place = loop {
            // The kernel's clock has ticks: until the next one nothing tells the two apart, and the tag is weak.
            let next = write("two", &path);
            if next.changed != first.changed {
                break next;
            }
        };
        assert_eq!((first.length, first.modified), (in_place.length, in_place.modified));
        assert_ne!(tag(&first), tag(&in_place));
        let other = folder.path().join("b");
        write("six", &other);
        std::fs::rename(&other, &path).unwrap();
        let renamed = Identity::of(File::open(&path).unwrap()).unwrap();
        assert!(tag(&renamed) != tag(&first) && tag(&renamed) != tag(&in_place));
        assert_eq!(tag(&renamed), tag(&renamed));
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
    fn codings_have_tags_of_their_own() {
        let identity = Identity::of(tempfile::tempfile().unwrap()).unwrap();
        let now = SystemTime::now();
        let tag = |coding| Stamp::new(&identity, coding, now).etag;
        assert_ne!(tag(None), tag(Some(Coding::Gzip)));
        assert_ne!(tag(Some(Coding::Brotli)), tag(Some(Coding::Gzip)));
    }
}
