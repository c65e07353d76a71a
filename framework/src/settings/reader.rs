//! Reads settings key by key.

use super::{Secret, Setting, SettingError, SettingValue, size, wrong};
use std::collections::BTreeMap;
use std::time::Duration;
use toml::Table;

/// Reads the settings of a tool from its table, key by key, and refuses the rest.
///
/// ```
/// use kirsch::settings::{SettingError, SettingReader, SettingTable};
/// use std::time::Duration;
///
/// fn configure(settings: &SettingTable) -> Result<(Duration, bool), SettingError> {
///     let (mut timeout, mut secure) = (Duration::from_secs(3600), false);
///     let mut reader = SettingReader::new(settings);
///     reader.duration("timeout", &mut timeout)?;
///     reader.flag("secure", &mut secure)?;
///     reader.finish()?;
///     Ok((timeout, secure))
/// }
///
/// let table = r#"timeout = "30m""#.parse().unwrap();
/// assert_eq!(configure(&table), Ok((Duration::from_secs(1800), false)));
///
/// let typo = r#"time_out = "30m""#.parse().unwrap();
/// assert_eq!(configure(&typo).unwrap_err().to_string(), "`time_out` is not a setting; did you mean `timeout`?");
/// ```
#[derive(Debug)]
pub struct SettingReader<'t> {
    table: &'t Table,
    known: Vec<&'static str>,
}

impl<'t> SettingReader<'t> {
    /// A reader of `table`.
    #[must_use]
    pub fn new(table: &'t Table) -> Self {
        Self { table, known: Vec::new() }
    }

    /// A duration with its unit: `"250ms"`, `"20s"`, `"5m"`, `"2h"`, `"7d"`.
    ///
    /// # Errors
    /// When the value is there and is something else; so for all readers below.
    pub fn duration(&mut self, key: &'static str, into: &mut Duration) -> Result<(), SettingError> {
        self.read(key, into, Setting::read)
    }

    /// A size in bytes, alone or with a unit: `65536`, `"64 KiB"`, `"100 MiB"`, `"1 GB"`.
    ///
    /// # Errors
    /// As [`duration`](Self::duration).
    pub fn size(&mut self, key: &'static str, into: &mut u64) -> Result<(), SettingError> {
        self.read(key, into, size::read)
    }

    /// A whole number, zero or more.
    ///
    /// # Errors
    /// As [`duration`](Self::duration).
    pub fn count(&mut self, key: &'static str, into: &mut usize) -> Result<(), SettingError> {
        self.read(key, into, Setting::read)
    }

    /// A list of whole numbers, zero or more.
    ///
    /// # Errors
    /// As [`duration`](Self::duration).
    pub fn counts(&mut self, key: &'static str, into: &mut Vec<usize>) -> Result<(), SettingError> {
        self.read(key, into, Setting::read)
    }

    /// `true` or `false`.
    ///
    /// # Errors
    /// As [`duration`](Self::duration).
    pub fn flag(&mut self, key: &'static str, into: &mut bool) -> Result<(), SettingError> {
        self.read(key, into, Setting::read)
    }

    /// A text.
    ///
    /// # Errors
    /// As [`duration`](Self::duration).
    pub fn text(&mut self, key: &'static str, into: &mut String) -> Result<(), SettingError> {
        self.read(key, into, Setting::read)
    }

    /// A list of texts.
    ///
    /// # Errors
    /// As [`duration`](Self::duration).
    pub fn texts(&mut self, key: &'static str, into: &mut Vec<String>) -> Result<(), SettingError> {
        self.read(key, into, Setting::read)
    }

    /// A table of texts: each key in it sets, or adds, one entry.
    ///
    /// # Errors
    /// As [`duration`](Self::duration).
    pub fn text_table(&mut self, key: &'static str, into: &mut BTreeMap<String, String>) -> Result<(), SettingError> {
        let mut said = BTreeMap::new();
        self.read(key, &mut said, Setting::read)?;
        into.extend(said);
        Ok(())
    }

    /// A table of durations, each with its unit: each key in it sets, or adds, one entry.
    ///
    /// # Errors
    /// As [`duration`](Self::duration).
    pub fn durations(&mut self, key: &'static str, into: &mut BTreeMap<String, Duration>) -> Result<(), SettingError> {
        let mut said = BTreeMap::new();
        self.read(key, &mut said, Setting::read)?;
        into.extend(said);
        Ok(())
    }

    /// One of several words.
    ///
    /// # Errors
    /// As [`duration`](Self::duration); the message lists the words.
    pub fn choice<T: Clone>(
        &mut self,
        key: &'static str,
        words: &[(&str, T)],
        into: &mut T,
    ) -> Result<(), SettingError> {
        self.read(key, into, |value| {
            let chosen = value.as_str().and_then(|word| words.iter().find(|(name, _)| *name == word));
            chosen.map(|(_, choice)| choice.clone()).ok_or_else(|| {
                let names: Vec<_> = words.iter().map(|(name, _)| format!("\"{name}\"")).collect();
                wrong(value, &format!("one of {}", names.join(", ")))
            })
        })
    }

    /// Ends the reading.
    ///
    /// # Errors
    /// When the table has a key that was not asked for; the message suggests the most similar known one.
    pub fn finish(self) -> Result<(), SettingError> {
        match self.table.keys().find(|key| !self.known.contains(&key.as_str())) {
            Some(key) => Err(SettingError::unknown(key, &self.known)),
            None => Ok(()),
        }
    }

    /// A text that no message shows.
    ///
    /// # Errors
    /// As [`duration`](Self::duration), without the value.
    pub fn secret(&mut self, key: &'static str, into: &mut Secret) -> Result<(), SettingError> {
        self.read(key, into, Setting::read)
    }

    /// A list of texts that no message shows.
    ///
    /// # Errors
    /// As [`duration`](Self::duration), without the values.
    pub fn secrets(&mut self, key: &'static str, into: &mut Vec<Secret>) -> Result<(), SettingError> {
        self.read(key, into, Setting::read)
    }

    fn read<T>(
        &mut self,
        key: &'static str,
        into: &mut T,
        read: impl FnOnce(&SettingValue) -> Result<T, String>,
    ) -> Result<(), SettingError> {
        self.known.push(key);
        if let Some(value) = self.table.get(key) {
            *into = read(value).map_err(|problem| SettingError::new(key, problem))?;
        }
        Ok(())
    }
}
