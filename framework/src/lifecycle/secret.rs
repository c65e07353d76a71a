//! Values that are never printed: passwords, keys, addresses that may have a password in them.
//!
//! A type, and not care at each place: code that shows settings, errors or tools cannot show a value that it does not
//! get.

use super::setting::{SettingError, SettingReader, text, texts};
use toml::Value;

/// A value that neither `{}` nor `{:?}` shows, nor the message about a wrong setting. Tools keep their secrets in it.
///
/// ```
/// use kirsch::lifecycle::Secret;
///
/// let key = Secret::from("correct horse battery staple".to_owned());
/// assert_eq!(format!("{key} {key:?}"), "(secret) (secret)");
/// assert_eq!(key.exposed().len(), 28);
/// ```
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Secret<T = String>(T);

impl<T> Secret<T> {
    /// The value, for the one place that needs it.
    pub fn exposed(&self) -> &T {
        &self.0
    }
}

impl<T> From<T> for Secret<T> {
    fn from(value: T) -> Self {
        Self(value)
    }
}

impl<T> std::fmt::Debug for Secret<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("(secret)")
    }
}

impl<T> std::fmt::Display for Secret<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("(secret)")
    }
}

impl SettingReader<'_> {
    /// A text that no message shows.
    ///
    /// # Errors
    /// As [`duration`](Self::duration), without the value.
    pub fn secret(&mut self, key: &'static str, into: &mut Secret) -> Result<(), SettingError> {
        self.read(key, into, |value| text(value).map(Secret).map_err(|_| kind(value, "a text in quotes")))
    }

    /// A list of texts that no message shows.
    ///
    /// # Errors
    /// As [`duration`](Self::duration), without the values.
    pub fn secrets(&mut self, key: &'static str, into: &mut Vec<Secret>) -> Result<(), SettingError> {
        let read = |value: &Value| match texts(value) {
            Ok(texts) => Ok(texts.into_iter().map(Secret).collect()),
            Err(_) => Err(kind(value, "a list of texts in quotes, as [\"a\", \"b\"]")),
        };
        self.read(key, into, read)
    }
}

/// The problem of a secret that the setting cannot use: names its kind, and nothing of its content.
fn kind(value: &Value, expected: &str) -> String {
    let kind = match value {
        Value::String(_) => "a text",
        Value::Integer(_) | Value::Float(_) => "a number",
        Value::Boolean(_) => "true or false",
        Value::Datetime(_) => "a date",
        Value::Array(_) => "a list of something else",
        Value::Table(_) => "a table",
    };
    format!("is {kind}; it must be {expected}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_message_about_a_secret_shows_it() {
        let table = r#"one = 4711
many = "hunter2"
mixed = ["hunter2", 4711]"#;
        let table = table.parse().expect("TOML");
        let mut reader = SettingReader::new(&table);
        let problems = [
            reader.secret("one", &mut Secret::default()).unwrap_err(),
            reader.secrets("many", &mut Vec::new()).unwrap_err(),
            reader.secrets("mixed", &mut Vec::new()).unwrap_err(),
        ];
        let said = problems.map(|problem| problem.to_string());
        assert_eq!(said[0], "`one` is a number; it must be a text in quotes");
        assert!(said[1].starts_with("`many` is a text; it must be a list"), "{said:?}");
        assert!(said.iter().all(|said| !said.contains("hunter2") && !said.contains("4711")), "{said:?}");
    }
}
