//! Values that are never printed: passwords, keys, addresses that may have a password in them.
//!
//! A type, and not care at each place: code that shows settings, errors or tools cannot show a value that it does not
//! get. In a configuration a secret may be a text, or name a file that has it (`secret_file.rs`).

use serde::de::{Deserialize, Deserializer, Visitor};
use std::marker::PhantomData;

/// The name by which a deserializer knows that the value is one.
pub(crate) const SECRET: &str = "kirsch::Secret";

/// A value that neither `{}` nor `{:?}` shows, nor the message about a wrong setting. Tools keep their secrets in it.
///
/// ```
/// use kirsch::settings::Secret;
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

impl Secret {
    /// A text to keep secret.
    pub fn text(text: impl Into<String>) -> Self {
        Self(text.into())
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

/// In a configuration, the error about a value of another type does not show it.
impl<'de, T: Deserialize<'de>> Deserialize<'de> for Secret<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Within<T>(PhantomData<T>);

        impl<'de, T: Deserialize<'de>> Visitor<'de> for Within<T> {
            type Value = Secret<T>;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a secret")
            }

            fn visit_newtype_struct<D: Deserializer<'de>>(self, deserializer: D) -> Result<Secret<T>, D::Error> {
                T::deserialize(deserializer).map(Secret)
            }
        }

        deserializer.deserialize_newtype_struct(SECRET, Within(PhantomData))
    }
}
