//! The settings of a store until its first use, and the engine that is made of them then.
//!
//! Settings come from the program and from the file, before anything is connected. The first use makes the engine,
//! once; from then on another value is refused. A mistake in a setting is reported with its key, wherever it was set.

use super::StoreError;
use crate::settings::{SettingError, SettingRow, SettingTable, Settings};
use parking_lot::Mutex;
use std::sync::OnceLock;
#[cfg(any(feature = "redis", feature = "memcached", feature = "postgres"))]
use std::time::Duration;

/// The settings of one kind of store.
pub(crate) trait StoreSettings: Settings + Clone + PartialEq {
    /// The values that are there once the settings are final.
    type Engine;
    /// The key that says where the engine is.
    const PLACE: &'static str;
    /// The name before the keys in messages.
    const OWNER: &'static str = "sessions";

    /// Makes the engine of settings without a problem. Nothing is connected yet.
    fn open(self) -> Result<Self::Engine, String>;
}

/// Settings, and the engine from its first use on.
pub(crate) struct Configured<S: StoreSettings> {
    settings: Mutex<S>,
    engine: OnceLock<Result<S::Engine, String>>,
}

impl<S: StoreSettings> Configured<S> {
    pub(crate) fn new(settings: S) -> Self {
        Self { settings: Mutex::new(settings), engine: OnceLock::new() }
    }

    /// The settings as they are now.
    pub(crate) fn settings(&self) -> S {
        self.settings.lock().clone()
    }

    /// Changes them in the program, where a wrong value waits for the start to be told.
    pub(crate) fn change(&self, change: impl FnOnce(&mut S)) {
        change(&mut self.settings.lock());
    }

    /// The engine; the first call makes it.
    pub(crate) fn engine(&self) -> Result<&S::Engine, StoreError> {
        let made = self.engine.get_or_init(|| {
            let settings = self.settings();
            let wrong = |SettingError { key, problem }| format!("{}.{key}: {problem}", S::OWNER);
            settings.check_settings().map_err(wrong)?;
            settings.open()
        });
        made.as_ref().map_err(|problem| StoreError::new("the settings are wrong", problem))
    }

    /// The engine, if it was used already.
    #[cfg(feature = "redis")]
    pub(crate) fn engine_in_use(&self) -> Option<&S::Engine> {
        self.engine.get().and_then(|made| made.as_ref().ok())
    }

    /// Reads the file's settings: all of them count, or none.
    pub(crate) fn configure(&self, table: &SettingTable) -> Result<(), SettingError> {
        let settings = self.settings().configured(table)?;
        let mut current = self.settings.lock();
        if *current != settings && self.engine.get().is_some() {
            let problem = "the store is in use already; set it where the sessions are switched on";
            return Err(SettingError::new(S::PLACE, problem));
        }
        *current = settings;
        Ok(())
    }
}

impl<S: StoreSettings> Configured<S> {
    /// The rows of the settings as they are now.
    pub(crate) fn setting_rows(&self) -> Vec<SettingRow> {
        self.settings().setting_rows()
    }
}

/// How many connections a store on the network may have, and how long they may take.
#[cfg(any(feature = "redis", feature = "memcached", feature = "postgres"))]
#[derive(Clone, Copy, PartialEq, Eq, Settings)]
#[settings(check = Self::check, no_builders)]
pub(crate) struct Connections {
    /// Maximum of connections of this process, to each server.
    #[setting(given)]
    pub(crate) pool: usize,
    /// How long connecting may take, and how long an operation waits for a free place in the pool.
    #[setting(default = "2s")]
    pub(crate) connect_timeout: Duration,
    /// How long the server may take to answer.
    #[setting(default = "2s")]
    pub(crate) operation_timeout: Duration,
}

#[cfg(any(feature = "redis", feature = "memcached", feature = "postgres"))]
impl Connections {
    /// So many connections, with two seconds for each wait.
    pub(crate) fn new(pool: usize) -> Self {
        Self::defaults(pool)
    }

    fn check(&self) -> Result<(), SettingError> {
        let (key, problem) = match self {
            Self { pool: 0, .. } => ("pool", "must be at least 1"),
            Self { connect_timeout: Duration::ZERO, .. } => ("connect_timeout", "must be more than nothing"),
            Self { operation_timeout: Duration::ZERO, .. } => ("operation_timeout", "must be more than nothing"),
            _ => return Ok(()),
        };
        Err(SettingError::new(key, problem))
    }
}

/// The builders of [`Connections`] for a type that has them among its settings, and a method `with` that changes those.
/// The comment is that of `pool`.
#[cfg(any(feature = "redis", feature = "memcached", feature = "postgres"))]
macro_rules! connection_builders {
    ($(#[$of_pool:meta])+ $owner:ident) => {
        impl $owner {
            $(#[$of_pool])+
            #[must_use]
            pub fn pool(self, connections: usize) -> Self {
                self.with(|settings| settings.connections.pool = connections)
            }

            /// How long connecting may take, and how long an operation waits for a connection of the pool
            /// (`connect_timeout`, default 2 s).
            #[must_use]
            pub fn connect_timeout(self, timeout: std::time::Duration) -> Self {
                self.with(|settings| settings.connections.connect_timeout = timeout)
            }

            /// How long the server may take to answer (`operation_timeout`, default 2 s).
            #[must_use]
            pub fn operation_timeout(self, timeout: std::time::Duration) -> Self {
                self.with(|settings| settings.connections.operation_timeout = timeout)
            }
        }
    };
}

#[cfg(any(feature = "redis", feature = "memcached", feature = "postgres"))]
pub(crate) use connection_builders;

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Clone, PartialEq, Settings)]
    #[settings(check = Self::check, no_builders)]
    struct Place {
        /// Where it is.
        #[setting(given)]
        place: String,
    }

    impl Place {
        fn check(&self) -> Result<(), SettingError> {
            if self.place.is_empty() { Err(SettingError::new("place", "must be somewhere")) } else { Ok(()) }
        }
    }

    impl StoreSettings for Place {
        type Engine = String;
        const PLACE: &'static str = "place";

        fn open(self) -> Result<String, String> {
            Ok(format!("an engine at {}", self.place))
        }
    }

    fn configure(place: &Configured<Place>, text: &str) -> Result<(), String> {
        let table = text.parse().expect("TOML");
        place.configure(&table).map_err(|problem| problem.to_string())
    }

    #[test]
    fn the_file_wins_until_the_first_use_and_is_told_afterwards() {
        let place = Configured::new(Place::defaults("here".to_owned()));
        assert_eq!(configure(&place, "place = 'there'"), Ok(()));
        assert_eq!(place.engine().ok().map(String::as_str), Some("an engine at there"));
        assert_eq!(configure(&place, "place = 'there'"), Ok(()), "it is the same");
        let problem = configure(&place, "place = 'elsewhere'").expect_err("too late");
        assert!(problem.starts_with("`place` the store is in use already"), "{problem}");
    }

    #[test]
    fn a_wrong_setting_is_told_by_its_key() {
        let place = Configured::new(Place::defaults("here".to_owned()));
        assert_eq!(configure(&place, "place = ''"), Err("`place` must be somewhere".to_owned()));
        place.change(|place| place.place.clear());
        assert!(place.engine().is_err_and(|problem| problem.to_string().contains("sessions.place: must be somewhere")));
    }

    #[cfg(any(feature = "redis", feature = "memcached", feature = "postgres"))]
    #[test]
    fn nothing_is_no_limit_of_connections() {
        let mut connections = Connections::new(1);
        assert!(connections.check().is_ok());
        connections.operation_timeout = Duration::ZERO;
        assert_eq!(connections.check().map_err(|error| error.key), Err("operation_timeout".to_owned()));
        connections.pool = 0;
        assert_eq!(connections.check().map_err(|error| error.key), Err("pool".to_owned()));
    }
}
