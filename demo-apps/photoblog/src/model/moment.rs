//! Moments as the database and Atom write them: `2026-11-30T20:15:00Z`.

use chrono::{DateTime, SecondsFormat, Utc};

/// The present moment.
pub(crate) fn now() -> String {
    written(Utc::now())
}

/// The present moment, finer: of two changes within a second, programs must see which was the later one.
pub(crate) fn now_exactly() -> String {
    Utc::now().to_rfc3339_opts(SecondsFormat::Millis, true)
}

pub(crate) fn written(moment: DateTime<Utc>) -> String {
    moment.to_rfc3339_opts(SecondsFormat::Secs, true)
}

/// A moment of any offset, as another program has written it.
pub(crate) fn read(text: &str) -> Option<String> {
    DateTime::parse_from_rfc3339(text.trim()).ok().map(|moment| written(moment.to_utc()))
}
