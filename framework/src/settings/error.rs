//! Why a setting was refused.

use crate::suggestion::suggestion;

/// Why a setting was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SettingError {
    /// The key within its tool or group.
    pub key: String,
    /// The mistake, and the right form.
    pub problem: String,
}

impl SettingError {
    /// The key is there, its value will not do.
    #[must_use]
    pub fn new(key: &str, problem: impl Into<String>) -> Self {
        Self { key: key.to_owned(), problem: problem.into() }
    }

    /// The key does not exist; suggests the most similar of `known`.
    #[must_use]
    pub fn unknown(key: &str, known: &[&str]) -> Self {
        Self::new(key, format!("is not a setting; {}", suggestion(key, known)))
    }
}

impl std::fmt::Display for SettingError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "`{}` {}", self.key, self.problem)
    }
}

impl std::error::Error for SettingError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_key_gets_the_most_similar_one_or_the_list() {
        let known = ["timeout", "secure"];
        assert_eq!(SettingError::unknown("timeuot", &known).problem, "is not a setting; did you mean `timeout`?");
        assert_eq!(SettingError::unknown("colour", &known).problem, "is not a setting; there are: timeout, secure");
        assert_eq!(SettingError::unknown("on", &[]).problem, "is not a setting; there are none here");
    }
}
