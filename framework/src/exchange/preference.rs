//! Preferences: what a client would like, if the server can (`Prefer`, RFC 7240).

use super::Request;
use std::time::Duration;

impl Request {
    /// How long the client would wait for an answer (`Prefer: wait=10`); `None` if it does not say so.
    #[must_use]
    pub fn preferred_wait(&self) -> Option<Duration> {
        self.list("prefer")?.split(',').find_map(|preference| {
            let (name, value) = preference.split(';').next()?.split_once('=')?;
            let value = value.trim().trim_matches('"');
            let seconds = name.trim().eq_ignore_ascii_case("wait").then(|| value.parse::<u32>().ok())??;
            Some(Duration::from_secs(seconds.into()))
        })
    }
}
