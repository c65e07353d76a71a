//! How sessions behave on a path: typed settings, and the same from a configuration file.

use super::cookie::CookieSettings;
use super::store::part;
use super::{Sessions, Store};
use crate::settings::{SettingError, SettingTable, SettingWord, Settings as _};
use std::time::Duration;

/// When a request gets its session's lock (CherryPy's `locking`).
///
/// In every mode a handler that takes [`SessionView`](super::SessionView) and not [`&Session`](super::Session) waits
/// for nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LockMode {
    /// Every request of the session, from admission to the end of the handler. Admission comes after the body was read,
    /// so an upload holds no lock.
    #[default]
    Implicit,
    /// Every request of the session, from before its body is read to the end of the handler: uploads of one session
    /// come one after another, and a slow one holds the lock as long as it takes.
    Early,
    /// The program calls [`acquire_lock`](super::Session::acquire_lock) and
    /// [`release_lock`](super::Session::release_lock).
    Explicit,
    /// Only requests whose handler takes [`&Session`](super::Session), at admission; others when something uses the
    /// session.
    Lazy,
}

impl SettingWord for LockMode {
    const WORDS: &'static [(&'static str, Self)] =
        &[("implicit", Self::Implicit), ("early", Self::Early), ("explicit", Self::Explicit), ("lazy", Self::Lazy)];
}

/// The settings of one path.
#[derive(Clone, Debug, crate::settings::Settings)]
#[settings(check = Self::check, builders_on = Sessions)]
pub(super) struct Settings {
    /// When requests get the lock: `"implicit"`, `"early"`, `"explicit"` or `"lazy"`.
    pub(super) lock: LockMode,
    /// How long a session lives after its last request.
    #[setting(default = "1h")]
    pub(super) timeout: Duration,
    /// Longest wait for the lock; then 503.
    #[setting(default = "30s")]
    pub(super) lock_timeout: Duration,
    /// How long a lock between processes outlives a process that has died, at least 100 ms.
    ///
    /// A thread renews it for as long as the request runs, so it bounds nothing but that wait.
    #[setting(default = "10s")]
    pub(super) lock_lease: Duration,
    /// Maximum size of a session, as JSON; more is a 500, and the session stays as it was. The same for every store.
    #[setting(size, default = "256 KiB")]
    pub(super) max_size: usize,
    /// Whether the start tries the store, and fails if it cannot work. Without, the first request finds out.
    #[setting(default = true)]
    pub(super) probe: bool,
    /// Whether other processes use the store as well; without, the lock between processes is saved.
    ///
    /// That spares an engine outside a good part of its work: for one server that keeps its sessions where they survive
    /// a restart. If another process changes a session all the same, nothing is lost without a word: the second to save
    /// gets 409, since what it has read is old.
    #[setting(default = true)]
    pub(super) shared: bool,
    #[setting(flatten, default = CookieSettings::default())]
    pub(super) cookie: CookieSettings,
    /// How often dead sessions are removed; `"off"` leaves that to [`sweep`](Sessions::sweep).
    #[setting(default = "5m", none = "off", no_builder)]
    pub(super) sweep_interval: Option<Duration>,
}

impl Default for Settings {
    fn default() -> Self {
        Self::defaults()
    }
}

impl Settings {
    fn check(&self) -> Result<(), SettingError> {
        let refused = |key, problem| Err(SettingError::new(key, problem));
        if self.timeout < Duration::from_secs(1) {
            return refused("timeout", "must be at least a second: sessions would end before their next request");
        }
        if self.lock_lease < SHORTEST_LEASE {
            return refused("lock_lease", "must be at least 100ms: it is renewed three times in its length");
        }
        if self.max_size == 0 {
            return refused("max_size", "must be at least 1 B");
        }
        if self.sweep_interval.is_some_and(|interval| interval < Duration::from_secs(1)) {
            return refused("sweep_interval", "must be at least a second, or \"off\"");
        }
        Ok(())
    }

    /// Lays the keys of a table over the settings, and hands the store those that are its own.
    pub(super) fn read(&mut self, table: &SettingTable, store: &dyn Store) -> Result<(), SettingError> {
        let rows = store.setting_rows();
        let (of_store, own) = part(table, &rows);
        let known: Vec<_> = self.setting_rows().iter().chain(&rows).map(|row| row.key).collect();
        if let Some(key) = own.keys().find(|key| !known.contains(&key.as_str())) {
            return Err(SettingError::unknown(key, &known));
        }
        self.lay_over(&own)?;
        if of_store.is_empty() { Ok(()) } else { store.configure(&of_store) }
    }
}

/// A shorter lease would be lost to the scheduling of threads.
const SHORTEST_LEASE: Duration = Duration::from_millis(100);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sessions::MemoryStore;
    use crate::sessions::cookie::CookieLifetime;

    fn read(text: &str) -> Result<Settings, String> {
        let mut settings = Settings::default();
        let table = text.parse().expect("TOML");
        let read = settings.read(&table, &MemoryStore::new());
        read.map_err(|error| format!("{}: {}", error.key, error.problem))?;
        Ok(settings)
    }

    #[test]
    fn every_key_is_read() {
        let text = r#"
            lock = "lazy"
            timeout = "5m"
            lock_timeout = "2s"
            lock_lease = "5s"
            max_size = "1 MiB"
            probe = false
            shared = false
            cookie_name = "sid"
            cookie_path = "/shop"
            cookie_domain = "example.org"
            secure = true
            httponly = false
            same_site = "strict"
            persistent = false
            sweep_interval = "off"
            capacity = 7
        "#;
        let settings = read(text).expect("right");
        assert_eq!((settings.lock, settings.timeout), (LockMode::Lazy, Duration::from_secs(300)));
        assert_eq!((settings.lock_timeout, settings.sweep_interval), (Duration::from_secs(2), None));
        assert_eq!((settings.lock_lease, settings.max_size), (Duration::from_secs(5), 1024 * 1024));
        assert!(!settings.probe && !settings.shared);
        let rendered = settings.cookie.take_away(false);
        assert_eq!(rendered, "sid=; Max-Age=0; Path=/shop; Domain=example.org; Secure; SameSite=Strict");
        assert_eq!(settings.cookie.lifetime, CookieLifetime::BrowserSession);
    }

    #[test]
    fn other_settings_stay() {
        let settings = read("").expect("right");
        assert_eq!(format!("{settings:?}"), format!("{:?}", Settings::default()));
    }

    #[test]
    fn wrong_settings_name_their_key() {
        for (text, start) in [
            ("time_out = '5m'", "time_out: "),
            ("timeout = 5", "timeout: "),
            ("timeout = '0s'", "timeout: must be at least a second"),
            ("lock = 'sometimes'", "lock: "),
            ("lock_lease = '10ms'", "lock_lease: must be at least 100ms"),
            ("max_size = 0", "max_size: must be at least 1 B"),
            ("capasity = 3", "capasity: is not a setting; did you mean `capacity`?"),
            ("secure = 'perhaps'", "secure: "),
            ("same_site = 'none'", "same_site: `none` needs"),
            ("cookie_name = 'a b'", "cookie_name: must be a token"),
            ("capacity = 0", "capacity: must be at least 1"),
            ("sweep_interval = '10ms'", "sweep_interval: must be at least a second"),
        ] {
            let problem = read(text).expect_err(text);
            assert!(problem.starts_with(start), "{text}: {problem}");
        }
    }
}
