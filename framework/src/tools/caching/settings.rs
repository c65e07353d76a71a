//! How caching behaves on a path: typed settings, and the same from a configuration file.

use super::cache::Limits;
use super::terms::Defaults;
use crate::lifecycle::{SettingError, SettingReader, SettingTable};
use crate::{Method, StatusCode};
use std::time::Duration;

/// The settings of one path.
#[derive(Clone, Debug)]
pub(super) struct Settings {
    pub(super) defaults: Defaults,
    pub(super) stampede_timeout: Duration,
    pub(super) max_object_size: usize,
    pub(super) statuses: Vec<StatusCode>,
    /// `None`: all that are not safe.
    pub(super) invalid_methods: Option<Vec<Method>>,
}

/// Limits of a cache unless others are set: CherryPy's.
pub(super) const LIMITS: Limits = Limits { objects: 1000, bytes: 10_000_000 };

impl Default for Settings {
    fn default() -> Self {
        Self {
            defaults: Defaults {
                lifetime: Duration::from_secs(600),
                stale_while_revalidate: Duration::ZERO,
                stale_if_error: Duration::ZERO,
            },
            stampede_timeout: Duration::from_secs(5),
            max_object_size: 100_000,
            statuses: vec![
                StatusCode::OK,
                StatusCode::NON_AUTHORITATIVE_INFORMATION,
                StatusCode::NO_CONTENT,
                StatusCode::MULTIPLE_CHOICES,
                StatusCode::MOVED_PERMANENTLY,
                StatusCode::PERMANENT_REDIRECT,
                StatusCode::NOT_FOUND,
                StatusCode::GONE,
            ],
            invalid_methods: None,
        }
    }
}

impl Settings {
    /// The first mistake in the settings, if any: the key and the sentence.
    pub(super) fn problem(&self, limits: Limits) -> Option<(&'static str, String)> {
        if limits.objects == 0 {
            return Some(("max_objects", "must be at least 1; to cache nothing, switch the tool off".to_owned()));
        }
        if self.max_object_size > limits.bytes {
            return Some((
                "max_object_size",
                format!("is {}, more than `max_size` allows for all objects: {}", self.max_object_size, limits.bytes),
            ));
        }
        // A partial response, an answer to a condition, or a failure is not an answer to the next request.
        let is_kept = |status: &StatusCode| {
            !status.is_server_error() && !matches!(status.as_u16(), 100..200 | 206 | 304 | 412 | 416)
        };
        if let Some(status) = self.statuses.iter().find(|status| !is_kept(status)) {
            return Some(("statuses", format!("has {}, which is no answer for anybody else", status.as_u16())));
        }
        let reads = |method: &&Method| matches!(**method, Method::GET | Method::HEAD);
        if let Some(method) = self.invalid_methods.iter().flatten().find(reads) {
            return Some(("invalid_methods", format!("has {method}, which changes nothing")));
        }
        None
    }

    /// Whether an answer to this method invalidates the responses for the address.
    pub(super) fn invalidates(&self, method: &Method) -> bool {
        match &self.invalid_methods {
            Some(methods) => methods.contains(method),
            None => !method.is_safe(),
        }
    }

    /// Lays the keys of a table over the settings, and over the limits of the cache.
    pub(super) fn read(&mut self, table: &SettingTable, limits: &mut Limits) -> Result<(), SettingError> {
        let mut reader = SettingReader::new(table);
        reader.duration("delay", &mut self.defaults.lifetime)?;
        reader.duration("stale_while_revalidate", &mut self.defaults.stale_while_revalidate)?;
        reader.duration("stale_if_error", &mut self.defaults.stale_if_error)?;
        reader.duration("stampede_timeout", &mut self.stampede_timeout)?;
        reader.count("max_objects", &mut limits.objects)?;
        size(&mut reader, "max_size", &mut limits.bytes)?;
        size(&mut reader, "max_object_size", &mut self.max_object_size)?;
        let mut statuses: Vec<usize> = self.statuses.iter().map(|status| status.as_u16().into()).collect();
        reader.counts("statuses", &mut statuses)?;
        let mut methods = Vec::new();
        reader.texts("invalid_methods", &mut methods)?;
        reader.finish()?;
        let status = |number: &usize| u16::try_from(*number).ok().and_then(|number| StatusCode::from_u16(number).ok());
        self.statuses = statuses.iter().map(status).collect::<Option<_>>().ok_or_else(|| {
            SettingError::new("statuses", "has a number that is no status: they have three digits".to_owned())
        })?;
        if table.contains_key("invalid_methods") {
            let methods: Result<_, _> = methods.iter().map(|method| Method::from_bytes(method.as_bytes())).collect();
            let is_wrong = |_| SettingError::new("invalid_methods", "has what is no method, as \"POST\" is one");
            self.invalid_methods = Some(methods.map_err(is_wrong)?);
        }
        match self.problem(*limits) {
            Some((key, problem)) => Err(SettingError::new(key, problem)),
            None => Ok(()),
        }
    }
}

fn size(reader: &mut SettingReader<'_>, key: &'static str, into: &mut usize) -> Result<(), SettingError> {
    let mut bytes = *into as u64;
    reader.size(key, &mut bytes)?;
    *into = usize::try_from(bytes).unwrap_or(usize::MAX);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<(Settings, Limits), String> {
        let (mut settings, mut limits) = (Settings::default(), LIMITS);
        let table = text.parse().expect("TOML");
        settings.read(&table, &mut limits).map_err(|error| error.to_string())?;
        Ok((settings, limits))
    }

    #[test]
    fn every_key_is_read() {
        let text = r#"
            delay = "1m"
            stale_while_revalidate = "10s"
            stale_if_error = "1h"
            stampede_timeout = "2s"
            max_objects = 7
            max_size = "1 MiB"
            max_object_size = "64 KiB"
            statuses = [200, 404]
            invalid_methods = ["POST", "PROPPATCH"]
        "#;
        let (settings, limits) = read(text).expect("right");
        assert_eq!(settings.defaults.lifetime, Duration::from_secs(60));
        assert_eq!(settings.defaults.stale_while_revalidate, Duration::from_secs(10));
        assert_eq!(settings.defaults.stale_if_error, Duration::from_secs(3600));
        assert_eq!(settings.stampede_timeout, Duration::from_secs(2));
        assert_eq!(limits, Limits { objects: 7, bytes: 1 << 20 });
        assert_eq!(settings.max_object_size, 64 << 10);
        assert_eq!(settings.statuses, [StatusCode::OK, StatusCode::NOT_FOUND]);
        assert!(settings.invalidates(&Method::POST) && !settings.invalidates(&Method::PUT));
    }

    #[test]
    fn patch_invalidates_and_safe_methods_do_not() {
        let settings = Settings::default();
        for method in [Method::POST, Method::PUT, Method::PATCH, Method::DELETE, Method::CONNECT] {
            assert!(settings.invalidates(&method), "{method}");
        }
        for method in [Method::GET, Method::HEAD, Method::OPTIONS, Method::TRACE] {
            assert!(!settings.invalidates(&method), "{method}");
        }
    }

    #[test]
    fn wrong_settings_name_their_key() {
        for (text, start) in [
            ("dealy = '5m'", "`dealy` is not a setting; did you mean `delay`?"),
            ("delay = 600", "`delay` is 600"),
            ("max_objects = 0", "`max_objects` must be at least 1"),
            ("max_object_size = '20 MB'", "`max_object_size` is 20000000, more than `max_size`"),
            ("statuses = [200, 500]", "`statuses` has 500"),
            ("statuses = [206]", "`statuses` has 206"),
            ("statuses = [2000]", "`statuses` has a number that is no status"),
            ("statuses = 200", "`statuses` is 200; it must be a list"),
            ("invalid_methods = ['GET']", "`invalid_methods` has GET"),
            ("invalid_methods = ['a b']", "`invalid_methods` has what is no method"),
        ] {
            let problem = read(text).expect_err(text);
            assert!(problem.starts_with(start), "{text}: {problem}");
        }
    }
}
