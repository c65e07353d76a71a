//! The settings of a store until its first use, and the engine that is made of them then. One place for all stores of
//! this folder.
//!
//! Settings come from the program and from the file, before anything is connected. The first use makes the engine,
//! once; from then on another value is refused. A mistake in a setting is reported with its key, wherever it was set.

use crate::lifecycle::{SettingError, SettingReader};
#[cfg(any(feature = "redis", feature = "memcached"))]
use crate::sessions::Answer;
use crate::sessions::StoreError;
use parking_lot::Mutex;
#[cfg(any(feature = "redis", feature = "memcached"))]
use std::sync::Arc;
use std::sync::OnceLock;
use std::time::Duration;

/// The settings of one kind of store.
pub(super) trait StoreSettings: Clone + PartialEq {
    /// The values that are there once the settings are final.
    type Engine;
    /// The key that says where the engine is.
    const PLACE: &'static str;

    /// Reads the store's keys.
    fn read(&mut self, reader: &mut SettingReader<'_>) -> Result<(), SettingError>;

    /// The first key whose value is wrong, and why.
    fn problem(&self) -> Option<(&'static str, String)>;

    /// Makes the engine of settings without a problem. Nothing is connected yet.
    fn open(self) -> Result<Self::Engine, String>;
}

/// Settings, and the engine from its first use on.
pub(super) struct Configured<S: StoreSettings> {
    settings: Mutex<S>,
    engine: OnceLock<Result<S::Engine, String>>,
}

impl<S: StoreSettings> Configured<S> {
    pub(super) fn new(settings: S) -> Self {
        Self { settings: Mutex::new(settings), engine: OnceLock::new() }
    }

    /// The settings as they are now.
    pub(super) fn settings(&self) -> S {
        self.settings.lock().clone()
    }

    /// Changes them in the program, where a wrong value waits for the start to be told.
    pub(super) fn change(&self, change: impl FnOnce(&mut S)) {
        change(&mut self.settings.lock());
    }

    /// The engine; the first call makes it.
    pub(super) fn engine(&self) -> Result<&S::Engine, StoreError> {
        let made = self.engine.get_or_init(|| {
            let settings = self.settings();
            settings.problem().map_or(Ok(()), |(key, problem)| Err(format!("sessions.{key}: {problem}")))?;
            settings.open()
        });
        made.as_ref().map_err(|problem| StoreError::new("the settings of the session store are wrong", problem))
    }

    /// The engine, if it was used already.
    #[cfg(feature = "redis")]
    pub(super) fn engine_in_use(&self) -> Option<&S::Engine> {
        self.engine.get().and_then(|made| made.as_ref().ok())
    }

    /// Reads the file's settings: all of them count, or none.
    pub(super) fn configure(&self, reader: &mut SettingReader<'_>) -> Result<(), SettingError> {
        let mut settings = self.settings();
        settings.read(reader)?;
        if let Some((key, problem)) = settings.problem() {
            return Err(SettingError::new(key, problem));
        }
        let mut current = self.settings.lock();
        if *current != settings && self.engine.get().is_some() {
            let problem = "the store is in use already; set it where the sessions are switched on";
            return Err(SettingError::new(S::PLACE, problem));
        }
        *current = settings;
        Ok(())
    }
}

#[cfg(any(feature = "redis", feature = "memcached"))]
impl<E, S: StoreSettings<Engine = Arc<E>>> Configured<S> {
    /// The result of the engine's steps.
    pub(super) fn answer<T, F>(&self, steps: impl FnOnce(Arc<E>) -> Result<F, StoreError>) -> Answer<T>
    where
        F: Future<Output = Result<T, StoreError>> + Send + 'static,
    {
        match self.engine().and_then(|engine| steps(Arc::clone(engine))) {
            Ok(answer) => Answer::later(answer),
            Err(error) => Answer::Now(Err(error)),
        }
    }
}

/// How many connections a store on the network may have, and how long they may take.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Connections {
    pub(super) pool: usize,
    pub(super) connect_timeout: Duration,
    pub(super) operation_timeout: Duration,
}

impl Connections {
    /// So many connections, with two seconds for each wait.
    pub(super) const fn new(pool: usize) -> Self {
        const PATIENCE: Duration = Duration::from_secs(2);
        Self { pool, connect_timeout: PATIENCE, operation_timeout: PATIENCE }
    }

    pub(super) fn read(&mut self, reader: &mut SettingReader<'_>) -> Result<(), SettingError> {
        reader.count("pool", &mut self.pool)?;
        reader.duration("connect_timeout", &mut self.connect_timeout)?;
        reader.duration("operation_timeout", &mut self.operation_timeout)
    }

    pub(super) fn problem(&self) -> Option<(&'static str, String)> {
        let (key, problem) = match self {
            Self { pool: 0, .. } => ("pool", "must be at least 1"),
            Self { connect_timeout: Duration::ZERO, .. } => ("connect_timeout", "must be more than nothing"),
            Self { operation_timeout: Duration::ZERO, .. } => ("operation_timeout", "must be more than nothing"),
            _ => return None,
        };
        Some((key, problem.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Clone, PartialEq)]
    struct Place(String);

    impl StoreSettings for Place {
        type Engine = String;
        const PLACE: &'static str = "place";

        fn read(&mut self, reader: &mut SettingReader<'_>) -> Result<(), SettingError> {
            reader.text("place", &mut self.0)
        }

        fn problem(&self) -> Option<(&'static str, String)> {
            self.0.is_empty().then(|| ("place", "must be somewhere".to_owned()))
        }

        fn open(self) -> Result<String, String> {
            Ok(format!("an engine at {}", self.0))
        }
    }

    fn configure(place: &Configured<Place>, text: &str) -> Result<(), String> {
        let table = text.parse().expect("TOML");
        place.configure(&mut SettingReader::new(&table)).map_err(|problem| problem.to_string())
    }

    #[test]
    fn the_file_wins_until_the_first_use_and_is_told_afterwards() {
        let place = Configured::new(Place("here".to_owned()));
        assert_eq!(configure(&place, "place = 'there'"), Ok(()));
        assert_eq!(place.engine().ok().map(String::as_str), Some("an engine at there"));
        assert_eq!(configure(&place, "place = 'there'"), Ok(()), "it is the same");
        let problem = configure(&place, "place = 'elsewhere'").expect_err("too late");
        assert!(problem.starts_with("`place` the store is in use already"), "{problem}");
    }

    #[test]
    fn a_wrong_setting_is_told_by_its_key() {
        let place = Configured::new(Place("here".to_owned()));
        assert_eq!(configure(&place, "place = ''"), Err("`place` must be somewhere".to_owned()));
        place.change(|place| place.0.clear());
        assert!(place.engine().is_err_and(|problem| problem.to_string().contains("sessions.place: must be somewhere")));
    }

    #[test]
    fn nothing_is_no_limit_of_connections() {
        let mut connections = Connections::new(1);
        assert!(connections.problem().is_none());
        connections.operation_timeout = Duration::ZERO;
        assert_eq!(connections.problem().map(|(key, _)| key), Some("operation_timeout"));
        connections.pool = 0;
        assert_eq!(connections.problem().map(|(key, _)| key), Some("pool"));
    }
}
