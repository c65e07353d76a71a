//! The rules that a field may have, and how a value can break them.

use super::FieldKind;
use std::borrow::Cow;
use std::fmt::{Display, Write};
use std::ops::{Bound, RangeBounds};

/// What is wrong with the value of a field. Its [`Display`] is the English sentence for the visitor;
/// [`FormErrors::translated`](super::FormErrors::translated) puts another in its place.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// The field is missing, or has been left blank.
    Missing,
    /// The value cannot be read as the type of the field.
    Invalid {
        /// What it must be: `a whole number from 0 to 255`.
        expected: Cow<'static, str>,
    },
    /// The text has too few or too many characters.
    Length {
        /// The least number.
        least: usize,
        /// The largest number, [`usize::MAX`] where there is none.
        most: usize,
    },
    /// The field has been given too seldom or too often.
    Count {
        /// The least number.
        least: usize,
        /// The largest number, [`usize::MAX`] where there is none.
        most: usize,
    },
    /// The value is too small or too large.
    Range {
        /// The smallest value.
        min: Option<String>,
        /// The largest value.
        max: Option<String>,
    },
    /// What a check of the application says.
    Own(Cow<'static, str>),
}

impl Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Missing => f.write_str("Please fill in this field."),
            Self::Invalid { expected } => write!(f, "Must be {expected}."),
            Self::Length { least, most } => {
                write!(f, "Must have {}.", number(*least, *most, "character", "characters"))
            }
            Self::Count { least, most } => write!(f, "Must have {}.", number(*least, *most, "value", "values")),
            Self::Range { min: Some(min), max: Some(max) } => write!(f, "Must be from {min} to {max}."),
            Self::Range { min: Some(min), max: None } => write!(f, "Must be {min} or more."),
            Self::Range { min: None, max: Some(max) } => write!(f, "Must be {max} or less."),
            Self::Range { min: None, max: None } => f.write_str("Must be another value."),
            Self::Own(sentence) => f.write_str(sentence),
        }
    }
}

/// `1 to 20 characters`, `at least 3 characters`, `at most 20 characters`, `exactly 1 character`.
fn number(least: usize, most: usize, one: &str, many: &str) -> String {
    let mut text = String::new();
    let _ = match (least, most) {
        (least, most) if least == most => write!(text, "exactly {most}"),
        (least, usize::MAX) => write!(text, "at least {least}"),
        (0, most) => write!(text, "at most {most}"),
        (least, most) => write!(text, "{least} to {most}"),
    };
    let last = if most == usize::MAX { least } else { most };
    text + " " + if last == 1 { one } else { many }
}

/// A test of a single value.
pub type Test<'r, L> = &'r dyn Fn(&L) -> Result<(), Fault>;

/// The rules of one field: what the derive makes of `#[field(...)]`. `L` is the type of a single value: `u8` for
/// `Option<u8>` and `Vec<u8>`.
#[derive(Clone, Copy)]
pub struct FieldRules<'r, L> {
    /// The smallest and the largest value, as they are written in the source.
    pub range: (Option<&'static str>, Option<&'static str>),
    /// Whether blanks around a text count.
    pub verbatim: bool,
    /// How many values a `Vec` may have.
    pub count: (usize, usize),
    /// What a value must be, in place of the type's own words.
    pub expected: Option<&'static str>,
    /// The sentence for whatever is wrong.
    pub message: Option<&'static str>,
    /// What a single value must pass.
    pub tests: &'r [Test<'r, L>],
}

impl<L> FieldRules<'_, L> {
    /// What is said of a text that is not a value of the type, which calls itself `expected`.
    pub(super) fn invalid(&self, kind: FieldKind, expected: &'static str) -> Fault {
        let number = match kind {
            FieldKind::Integer => "a whole number",
            _ => "a number",
        };
        let expected = match (self.expected, kind, self.range) {
            (Some(expected), ..) => expected.into(),
            (None, FieldKind::Integer | FieldKind::Number, (Some(min), Some(max))) => {
                format!("{number} from {min} to {max}").into()
            }
            (None, FieldKind::Integer | FieldKind::Number, (Some(min), None)) => {
                format!("{number}, {min} or more").into()
            }
            _ => expected.into(),
        };
        Fault::Invalid { expected }
    }
}

impl<L> std::fmt::Debug for FieldRules<'_, L> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FieldRules").field("tests", &self.tests.len()).finish_non_exhaustive()
    }
}

/// A value that has a length: a text.
#[diagnostic::on_unimplemented(
    message = "`{Self}` has no length",
    label = "not a text",
    note = "`length` is for texts; numbers have `range = 1..=99`, lists `count = 1..=3`"
)]
pub trait HasLength {
    /// How many characters it has. A line break is one, however the browser writes it.
    fn length(&self) -> usize;
}

impl HasLength for String {
    fn length(&self) -> usize {
        self.chars().count() - self.matches("\r\n").count()
    }
}

/// A text of so many characters.
pub fn length<L: HasLength>(least: usize, most: usize) -> impl Fn(&L) -> Result<(), Fault> {
    move |text| match text.length() {
        0 if least > 0 => Err(Fault::Missing),
        length if (least..=most).contains(&length) => Ok(()),
        _ => Err(Fault::Length { least, most }),
    }
}

/// A value within `range`, which includes its ends.
pub fn range<L: PartialOrd + Display>(range: impl RangeBounds<L>) -> impl Fn(&L) -> Result<(), Fault> {
    move |value| {
        if range.contains(value) {
            return Ok(());
        }
        let text = |bound| match bound {
            Bound::Included(end) | Bound::Excluded(end) => Some(format!("{end}")),
            Bound::Unbounded => None,
        };
        Err(Fault::Range { min: text(range.start_bound()), max: text(range.end_bound()) })
    }
}

/// A text that is written as an e-mail address, as browsers see it (the production `valid e-mail address` of HTML).
/// Whether anybody reads mail there only a mail can tell.
///
/// # Errors
/// For any other text.
pub fn email<L: AsRef<str>>(text: &L) -> Result<(), Fault> {
    let text = text.as_ref();
    const MAX_LENGTH: usize = 254;
    let is_label = |label: &str| {
        let inner = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
        (1..=63).contains(&label.len()) && label.bytes().all(inner) && !label.starts_with('-') && !label.ends_with('-')
    };
    let is_address = text.rsplit_once('@').is_some_and(|(local, domain)| {
        (1..=64).contains(&local.len())
            && local.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".!#$%&'*+/=?^_`{|}~-".contains(&byte))
            && domain.split('.').all(is_label)
    });
    match text.is_empty() {
        true => Err(Fault::Missing),
        false if is_address && text.len() <= MAX_LENGTH => Ok(()),
        false => Err(Fault::Invalid { expected: "an e-mail address, such as anna@example.org".into() }),
    }
}

/// What a function of the application says about a value.
pub fn check<L: ?Sized, E: Into<Cow<'static, str>>>(
    test: impl Fn(&L) -> Result<(), E>,
) -> impl Fn(&L) -> Result<(), Fault> {
    move |value| test(value).map_err(|sentence| Fault::Own(sentence.into()))
}
