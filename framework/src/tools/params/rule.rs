//! The rule for the values of one parameter, from code or as one line of text.

use crate::exchange::Parameter;
use crate::settings::{Setting, SettingValue};
use regex_lite::Regex;
use std::collections::BTreeMap;
use std::fmt;
use std::ops::RangeInclusive;
use std::str::FromStr;

/// The rule for the values of a parameter; see [`Params::rule`](super::Params::rule).
///
/// In a file, and with `parse`:
///
/// ```
/// use kirsch::tools::ParamRule;
///
/// for rule in ["text", "text 1..80", "whole", "whole -5..5", "number 0..1.5", "flag", "one of name, date", "matches [a-z]+-[0-9]{3}"] {
///     assert!(rule.parse::<ParamRule>().is_ok(), "{rule}");
/// }
/// assert_eq!("whole 1..9".parse::<ParamRule>().unwrap().to_string(), "a whole number from 1 to 9");
/// ```
#[derive(Clone, Debug)]
pub struct ParamRule(Kind);

#[derive(Clone, Debug)]
enum Kind {
    Text(RangeInclusive<usize>),
    Whole(RangeInclusive<i64>),
    Number(RangeInclusive<f64>),
    Flag,
    OneOf(Vec<String>),
    Matches(Regex, String),
}

impl ParamRule {
    /// A text with this many characters (`"text 1..80"`, `"text"`).
    #[must_use]
    pub fn text(characters: RangeInclusive<usize>) -> Self {
        Self(Kind::Text(characters))
    }

    /// A whole number within these bounds (`"whole 1..9"`, `"whole"`).
    #[must_use]
    pub fn whole(bounds: RangeInclusive<i64>) -> Self {
        Self(Kind::Whole(bounds))
    }

    /// A number within these bounds, with decimals or not (`"number 0..1.5"`, `"number"`); never infinite.
    #[must_use]
    pub fn number(bounds: RangeInclusive<f64>) -> Self {
        Self(Kind::Number(bounds))
    }

    /// The values of a `bool` argument (`"flag"`).
    #[must_use]
    pub fn flag() -> Self {
        Self(Kind::Flag)
    }

    /// One of these words (`"one of name, date"`).
    #[must_use]
    pub fn one_of<T: Into<String>>(words: impl IntoIterator<Item = T>) -> Self {
        Self(Kind::OneOf(words.into_iter().map(Into::into).collect()))
    }

    /// A text that matches the regular expression as a whole (`"matches [a-z]+"`).
    ///
    /// # Errors
    /// Names the mistake in the expression.
    pub fn matches(pattern: &str) -> Result<Self, String> {
        let regex = Regex::new(&format!("^(?:{pattern})$"));
        let regex =
            regex.map_err(|error| format!("is \"matches {pattern}\", which is not a regular expression: {error}"))?;
        Ok(Self(Kind::Matches(regex, pattern.to_owned())))
    }

    /// As a file has it.
    fn in_file(&self) -> String {
        match &self.0 {
            Kind::Text(characters) => format!("text {}..{}", characters.start(), characters.end()),
            Kind::Whole(bounds) => format!("whole {}..{}", bounds.start(), bounds.end()),
            Kind::Number(bounds) => format!("number {}..{}", bounds.start(), bounds.end()),
            Kind::Flag => "flag".to_owned(),
            Kind::OneOf(words) => format!("one of {}", words.join(", ")),
            Kind::Matches(_, pattern) => format!("matches {pattern}"),
        }
    }

    /// Whether a blank value is a value.
    pub(super) fn is_text(&self) -> bool {
        matches!(self.0, Kind::Text(_) | Kind::Matches(..))
    }

    pub(super) fn fits(&self, value: &str) -> bool {
        match &self.0 {
            Kind::Text(characters) => characters.contains(&value.chars().count()),
            Kind::Whole(bounds) => i64::from_text(value).is_ok_and(|number| bounds.contains(&number)),
            Kind::Number(bounds) => {
                f64::from_text(value).is_ok_and(|number| number.is_finite() && bounds.contains(&number))
            }
            Kind::Flag => bool::from_text(value).is_ok(),
            Kind::OneOf(words) => words.iter().any(|word| word == value),
            Kind::Matches(regex, _) => regex.is_match(value),
        }
    }
}

/// The text behind "must be".
impl fmt::Display for ParamRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::Text(characters) if *characters.end() == usize::MAX => {
                write!(f, "a text of {} characters or more", characters.start())
            }
            Kind::Text(characters) => write!(f, "a text of {} to {} characters", characters.start(), characters.end()),
            Kind::Whole(bounds) => write!(f, "a whole number from {} to {}", bounds.start(), bounds.end()),
            Kind::Number(bounds) if bounds.end().is_infinite() => f.write_str("a number"),
            Kind::Number(bounds) => write!(f, "a number from {} to {}", bounds.start(), bounds.end()),
            Kind::Flag => f.write_str(<bool as Parameter>::EXPECTED),
            Kind::OneOf(words) => write!(f, "one of `{}`", words.join("`, `")),
            Kind::Matches(_, pattern) => write!(f, "a text that matches `{pattern}`"),
        }
    }
}

impl FromStr for ParamRule {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let (kind, rest) = text.split_once(' ').unwrap_or((text, ""));
        let rest = rest.trim();
        let rule = match (kind, rest) {
            ("text", "") => Some(Self::text(0..=usize::MAX)),
            ("text", rest) => bounds(rest).map(Self::text),
            ("whole", "") => Some(Self::whole(i64::MIN..=i64::MAX)),
            ("whole", rest) => bounds(rest).map(Self::whole),
            ("number", "") => Some(Self::number(f64::NEG_INFINITY..=f64::INFINITY)),
            ("number", rest) => bounds(rest).map(Self::number),
            ("flag", "") => Some(Self::flag()),
            ("one", rest) => rest.strip_prefix("of ").map(|words| Self::one_of(words.split(',').map(str::trim))),
            ("matches", pattern) if !pattern.is_empty() => return Self::matches(pattern),
            _ => None,
        };
        rule.ok_or_else(|| {
            let forms =
                "\"text 1..80\", \"whole 1..9\", \"number 0..1.5\", \"flag\", \"one of a, b\" or \"matches [a-z]+\"";
            format!("is {text:?}; write {forms}")
        })
    }
}

/// `from..to`, both within the bounds.
fn bounds<T: FromStr + PartialOrd>(text: &str) -> Option<RangeInclusive<T>> {
    let (from, to) = text.split_once("..")?;
    let (from, to) = (from.trim().parse().ok()?, to.trim_start_matches('=').trim().parse().ok()?);
    (from <= to).then_some(from..=to)
}

/// Each key of the table sets, or adds, the rule of one parameter.
impl Setting for BTreeMap<String, ParamRule> {
    fn read(value: &SettingValue) -> Result<Self, String> {
        let rule = |(name, text): (String, String)| match text.parse() {
            Ok(rule) => Ok((name, rule)),
            Err(problem) => Err(format!("has a `{name}` that {problem}")),
        };
        BTreeMap::<String, String>::read(value)?.into_iter().map(rule).collect()
    }

    fn show(&self) -> String {
        self.iter().map(|(name, rule)| (name.clone(), rule.in_file())).collect::<BTreeMap<_, _>>().show()
    }

    fn set(&mut self, value: &SettingValue) -> Result<(), String> {
        self.extend(Self::read(value)?);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_takes_its_own_values() {
        let table = [
            ("text 2..3", "\u{e9}\u{e9}", true),
            ("text 2..3", "abcd", false),
            ("whole 1..9", "9", true),
            ("whole 1..9", "9.0", false),
            ("whole", "9223372036854775808", false),
            ("number 0..1.5", "1.5", true),
            ("number", "NaN", false),
            ("number", "inf", false),
            ("flag", "true", true),
            ("flag", "maybe", false),
            ("one of a, b", "b", true),
            ("one of a, b", "B", false),
            ("matches [a-z]+|1", "abc", true),
            ("matches [a-z]+|1", "abc1", false),
            ("matches [a-z]+", "abc\n", false),
        ];
        for (rule, value, fits) in table {
            assert_eq!(rule.parse::<ParamRule>().unwrap().fits(value), fits, "{rule}: {value}");
        }
    }

    #[test]
    fn a_malformed_rule_is_refused() {
        for text in ["", "whole 9..1", "whole 1", "number 0..NaN", "one a", "flag 1", "matches", "text -1..2"] {
            assert!(text.parse::<ParamRule>().is_err(), "{text}");
        }
    }
}
