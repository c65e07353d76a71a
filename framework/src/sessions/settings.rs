//! How sessions behave on a path: typed settings, and the same from a configuration file.

use super::Store;
use super::cookie::{CookieLifetime, CookieSettings, SameSite, Secure};
use crate::lifecycle::{SettingError, SettingReader};
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

/// The settings of one path.
#[derive(Clone, Debug)]
pub(super) struct Settings {
    pub(super) lock: LockMode,
    pub(super) timeout: Duration,
    pub(super) lock_timeout: Duration,
    pub(super) lock_lease: Duration,
    pub(super) max_size: usize,
    pub(super) probe: bool,
    /// Whether other processes use the store, too.
    pub(super) shared: bool,
    pub(super) cookie: CookieSettings,
    pub(super) sweep_interval: Option<Duration>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            lock: LockMode::default(),
            timeout: Duration::from_secs(60 * 60),
            lock_timeout: Duration::from_secs(30),
            lock_lease: Duration::from_secs(10),
            max_size: 256 * 1024,
            probe: true,
            shared: true,
            cookie: CookieSettings::default(),
            sweep_interval: Some(Duration::from_secs(5 * 60)),
        }
    }
}

impl Settings {
    /// The first mistake in the settings, if any: the key and the sentence.
    pub(super) fn problem(&self) -> Option<(&'static str, String)> {
        if self.timeout < Duration::from_secs(1) {
            return Some((
                "timeout",
                "must be at least a second: sessions would end before their next request".to_owned(),
            ));
        }
        if self.lock_lease < SHORTEST_LEASE {
            return Some(("lock_lease", "must be at least 100ms: it is renewed three times in its length".to_owned()));
        }
        if self.max_size == 0 {
            return Some(("max_size", "must be at least 1 B".to_owned()));
        }
        if self.sweep_interval.is_some_and(|interval| interval < Duration::from_secs(1)) {
            return Some(("sweep_interval", "must be at least a second, or \"off\"".to_owned()));
        }
        self.cookie.problem()
    }

    /// Lays the keys of a table over the settings, and hands the store those that are its own.
    pub(super) fn read(&mut self, table: &toml::Table, store: &dyn Store) -> Result<(), SettingError> {
        // `secure` and `sweep_interval` have a word beside their usual kind of value; the words are read here, the rest
        // by the reader.
        let mut table = table.clone();
        let mut word = |key: &str, word: &str| {
            let is_word = table.get(key).and_then(toml::Value::as_str) == Some(word);
            is_word.then(|| table.remove(key)).is_some()
        };
        let is_secure_automatic = word("secure", "auto");
        let is_sweep_off = word("sweep_interval", "off");

        let mut reader = SettingReader::new(&table);
        let modes = [
            ("implicit", LockMode::Implicit),
            ("early", LockMode::Early),
            ("explicit", LockMode::Explicit),
            ("lazy", LockMode::Lazy),
        ];
        reader.choice("lock", &modes, &mut self.lock)?;
        reader.duration("timeout", &mut self.timeout)?;
        reader.duration("lock_timeout", &mut self.lock_timeout)?;
        reader.duration("lock_lease", &mut self.lock_lease)?;
        let mut max_size = u64::try_from(self.max_size).unwrap_or(u64::MAX);
        reader.size("max_size", &mut max_size)?;
        self.max_size = usize::try_from(max_size).unwrap_or(usize::MAX);
        reader.flag("probe", &mut self.probe)?;
        reader.flag("shared", &mut self.shared)?;
        reader.text("cookie_name", &mut self.cookie.name)?;
        reader.text("cookie_path", &mut self.cookie.path)?;
        let mut domain = self.cookie.domain.take().unwrap_or_default();
        reader.text("cookie_domain", &mut domain)?;
        self.cookie.domain = Some(domain).filter(|domain| !domain.is_empty());
        let mut is_secure = self.cookie.secure == Secure::Always;
        reader.flag("secure", &mut is_secure)?;
        if is_secure_automatic {
            self.cookie.secure = Secure::Automatic;
        } else if table.contains_key("secure") {
            self.cookie.secure = if is_secure { Secure::Always } else { Secure::Never };
        }
        reader.flag("httponly", &mut self.cookie.httponly)?;
        reader.flag("host_prefix", &mut self.cookie.host_prefix)?;
        let sites = [("lax", SameSite::Lax), ("strict", SameSite::Strict), ("none", SameSite::None)];
        reader.choice("same_site", &sites, &mut self.cookie.same_site)?;
        let mut is_persistent = self.cookie.lifetime != CookieLifetime::BrowserSession;
        let was_persistent = is_persistent;
        reader.flag("persistent", &mut is_persistent)?;
        if is_persistent != was_persistent {
            let lifetimes = [CookieLifetime::BrowserSession, CookieLifetime::Timeout];
            self.cookie.lifetime = lifetimes[usize::from(is_persistent)];
        }
        let mut interval = self.sweep_interval.unwrap_or_default();
        reader.duration("sweep_interval", &mut interval)?;
        if is_sweep_off {
            self.sweep_interval = None;
        } else if table.contains_key("sweep_interval") {
            self.sweep_interval = Some(interval);
        }
        if let Some((key, problem)) = self.problem() {
            return Err(SettingError::new(key, problem));
        }
        store.configure(&mut reader)?;
        reader.finish()
    }
}

/// A shorter lease would be lost to the scheduling of threads.
const SHORTEST_LEASE: Duration = Duration::from_millis(100);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sessions::MemoryStore;

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
