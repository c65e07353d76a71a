//! Settings: declared once, set by a method in code or by a key in a configuration file.
//!
//! | file | what it holds |
//! |---|---|
//! | this one | [`Settings`], what `#[derive(Settings)]` writes for a struct, and [`SettingRow`], a row of the reference |
//! | `value.rs` | [`Setting`], a type that a setting can have: how it is read from TOML and shown |
//! | `units.rs` | durations and sizes with their units |
//! | `secret.rs`, `secret_file.rs` | values that are never shown, and files that hold them |
//! | `error.rs` | why a setting was refused |
//!
//! The rules: a duration has a unit (`"5m"`), since one reader takes a bare number for minutes and the next for
//! seconds. A size is a number of bytes or has a unit (`"100 MiB"`). An unknown key is an error with a suggestion.

mod error;
mod secret;
mod secret_file;
pub(crate) mod units;
mod value;

pub use error::SettingError;
pub use kirsch_macros::Settings;
pub(crate) use secret::SECRET;
pub use secret::Secret;
#[cfg(feature = "tls")]
pub(crate) use secret_file::path_of_secret;
/// The settings of one tool in a configuration file.
pub use toml::Table as SettingTable;
/// The value of a key in a configuration file.
pub use toml::Value as SettingValue;
pub use units::size;
pub use value::{Setting, SettingWord, list, optional, whole};
pub(crate) use value::{flag, shown, wrong};

/// A set of settings: what [`#[derive(Settings)]`](macro@crate::Settings) writes for a struct whose fields are
/// settings.
///
/// ```
/// use kirsch::settings::{Settings, SettingTable};
/// use std::time::Duration;
///
/// /// Says hello.
/// #[derive(Clone, Settings)]
/// pub struct Greeting {
///     /// The words in front of the name.
///     #[setting(default = "Hello")]
///     words: String,
///     /// How long a greeting is remembered.
///     #[setting(default = "30m")]
///     memory: Duration,
/// }
///
/// let polite = Greeting::defaults().words("Good morning");
/// let table: SettingTable = "memory = '2h'".parse().unwrap();
/// let configured = polite.configured(&table).unwrap();
/// assert_eq!((configured.words, configured.memory), ("Good morning".to_owned(), Duration::from_secs(7200)));
///
/// let typo: SettingTable = "memry = '2h'".parse().unwrap();
/// let refused = Greeting::defaults().configured(&typo).err().unwrap();
/// assert_eq!(refused.to_string(), "`memry` is not a setting; did you mean `memory`?");
/// ```
pub trait Settings {
    /// Gives the setting of that name the value of a configuration file. `None` if there is no such setting, an error
    /// that says what is wrong with the value otherwise.
    fn set_setting(&mut self, key: &str, value: &SettingValue) -> Option<Result<(), String>>;

    /// One row for each setting, in the order of their declaration, with its present value.
    fn setting_rows(&self) -> Vec<SettingRow>;

    /// Looks at all settings together, whether code or a file has set them.
    ///
    /// # Errors
    /// Names the first setting that is wrong.
    fn check_settings(&self) -> Result<(), SettingError> {
        Ok(())
    }

    /// Lays the settings of a file over these.
    ///
    /// # Errors
    /// Names the key that is unknown, with the most similar one, or whose value is wrong.
    fn lay_over(&mut self, table: &SettingTable) -> Result<(), SettingError> {
        for (key, value) in table {
            match self.set_setting(key, value) {
                Some(result) => result.map_err(|problem| SettingError::new(key, problem))?,
                None => {
                    let rows = self.setting_rows();
                    let keys: Vec<_> = rows.iter().map(|row| row.key).collect();
                    return Err(SettingError::unknown(key, &keys));
                }
            }
        }
        self.check_settings()
    }

    /// A copy with the settings of a file laid over it: what [`Tool::configure`](crate::Tool::configure) returns in a
    /// box.
    ///
    /// # Errors
    /// As [`lay_over`](Self::lay_over).
    fn configured(&self, table: &SettingTable) -> Result<Self, SettingError>
    where
        Self: Clone,
    {
        let mut copy = self.clone();
        copy.lay_over(table)?;
        Ok(copy)
    }
}

/// The rows that are not those of the usual settings.
pub(crate) fn unusual<S: Settings>(settings: &S, usual: &S) -> impl Iterator<Item = SettingRow> + use<S> {
    let rows = settings.setting_rows().into_iter().zip(usual.setting_rows());
    rows.filter(|(row, usual)| row != usual).map(|(row, _)| row)
}

/// One setting, as a reference page shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SettingRow {
    /// Its name in files.
    pub key: &'static str,
    /// What it is: the first paragraph of its documentation.
    pub what: &'static str,
    /// Its value, as a file would have it. Empty for what no file can say, such as a function.
    pub value: String,
    /// Whether it has no default: the constructor in code gives it.
    pub is_given: bool,
}

impl SettingRow {
    /// A setting with a default.
    #[must_use]
    pub fn new(key: &'static str, what: &'static str, value: String) -> Self {
        Self { key, what, value, is_given: false }
    }

    /// A setting that the constructor gives.
    #[must_use]
    pub fn given(key: &'static str, what: &'static str, value: String) -> Self {
        Self { key, what, value, is_given: true }
    }
}
