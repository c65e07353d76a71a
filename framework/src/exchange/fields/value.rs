//! The types that a field of a typed form may have.

use super::super::{Parameter, Upload};
use super::errors::FieldError;
use super::input::{FieldPlace, FieldReader, Scalar};
use super::rules::{Fault, FieldRules};
use super::{FieldInfo, Fields};
use serde_json::Value;
use std::borrow::Cow;
use std::str::FromStr;

/// A type that a field of a typed form may have.
///
/// | type | in a form | in JSON |
/// |---|---|---|
/// | numbers, `char` | their text, blanks around it cut off | a number; a text of one character |
/// | `bool` | a check box: missing is `false` | `true`, `false`; missing is `false` |
/// | `String` | the text, blanks around it cut off unless the field is `verbatim` | a text |
/// | an enum or newtype with `#[derive(Parameter)]` | its text | as its content |
/// | `Option<T>` | missing and blank are `None` | missing and `null` are `None` |
/// | `Vec<T>` | repeated fields: `tag=a&tag=b`, `tag[]=a`, `tag[0]=a` | an array |
/// | [`Upload`] | a file | not possible |
/// | a struct with `#[derive(Fields)]` | `address.street`, `address[street]` | an object |
/// | a `Vec` of such structs | `guests[0].name`, `guests[0][name]`; a group in which all is blank is passed over | an array of objects |
///
/// A type of another crate that has `FromStr`, such as a date, needs `#[field(parse = "a date, such as 2026-11-30")]`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be a field of a typed form",
    label = "not a field",
    note = "a field is a number, `bool`, `char`, `String`, `Upload`, an `Option` or `Vec` of these, your own type with \
            `#[derive(Parameter)]` or `#[derive(Fields)]`, or has `#[field(parse = \"...\")]` beside it"
)]
pub trait FieldValue: Sized {
    /// The type of a single value, which rules look at.
    type Leaf;
    /// What kind of value it is.
    const KIND: FieldKind;
    /// Whether a form without it is refused.
    const REQUIRED: bool = true;
    /// Whether it may come several times.
    const REPEATED: bool = false;
    /// All texts that are a value of it, where there are few.
    const VALUES: &'static [&'static str] = &[];

    /// Reads the value at `place`; a fault goes to `errors`.
    fn read(place: &FieldPlace<'_>, rules: &FieldRules<'_, Self::Leaf>, errors: &mut Vec<FieldError>) -> Option<Self>;
}

/// What kind of value a field has.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum FieldKind {
    /// A text, or what is written as one.
    Text,
    /// A whole number.
    Integer,
    /// A number.
    Number,
    /// Yes or no.
    Boolean,
    /// A file.
    File,
    /// A group of fields.
    Group(&'static [FieldInfo]),
}

/// Reads a value that is one piece of text, and puts it to the tests: what `derive(Parameter)` calls. A type that
/// implements [`Parameter`] by hand becomes a field by an `impl FieldValue` that calls it.
pub fn read_parameter<T: Parameter>(
    place: &FieldPlace<'_>,
    rules: &FieldRules<'_, T>,
    errors: &mut Vec<FieldError>,
) -> Option<T> {
    read_one(place, rules, errors, (T::KIND, T::EXPECTED), |text| T::from_text(text).ok())
}

/// Reads a text as a value of the kind, and puts it to the tests.
fn read_one<T>(
    place: &FieldPlace<'_>,
    rules: &FieldRules<'_, T>,
    errors: &mut Vec<FieldError>,
    (kind, expected): (FieldKind, &'static str),
    from_text: impl Fn(&str) -> Option<T>,
) -> Option<T> {
    let invalid = || rules.invalid(kind, expected);
    let text: Cow<'_, str> = match place.scalar() {
        Scalar::None | Scalar::Json(Value::Null) => return place.refuse(Fault::Missing, errors),
        Scalar::Text(text) => text.into(),
        Scalar::Json(value) => match (value, kind) {
            (Value::String(text), FieldKind::Text) => text.into(),
            (Value::Number(number), FieldKind::Integer | FieldKind::Number) => number.to_string().into(),
            (Value::Bool(value), FieldKind::Boolean) => value.to_string().into(),
            _ => return place.refuse(invalid(), errors),
        },
    };
    let text = if rules.verbatim { &*text } else { text.trim() };
    match from_text(text) {
        Some(value) => passed(value, place, rules, errors),
        None if text.is_empty() => place.refuse(Fault::Missing, errors),
        None => place.refuse(invalid(), errors),
    }
}

fn passed<T>(value: T, place: &FieldPlace<'_>, rules: &FieldRules<'_, T>, errors: &mut Vec<FieldError>) -> Option<T> {
    match rules.tests.iter().find_map(|test| test(&value).err()) {
        None => Some(value),
        Some(fault) => place.refuse(fault, errors),
    }
}

macro_rules! fields_of_one_text {
    ($($type:ty),* $(,)?) => {$(
        impl FieldValue for $type {
            type Leaf = Self;
            const KIND: FieldKind = <Self as Parameter>::KIND;

            fn read(place: &FieldPlace<'_>, rules: &FieldRules<'_, Self>, errors: &mut Vec<FieldError>) -> Option<Self> {
                read_parameter(place, rules, errors)
            }
        }
    )*};
}

fields_of_one_text!(i8, i16, i32, i64, i128, isize, u8, u16, u32, u64, u128, usize, f32, f64, char, String);

/// A check box that is not checked sends nothing.
impl FieldValue for bool {
    type Leaf = Self;
    const KIND: FieldKind = <Self as Parameter>::KIND;
    const REQUIRED: bool = false;

    fn read(place: &FieldPlace<'_>, rules: &FieldRules<'_, Self>, errors: &mut Vec<FieldError>) -> Option<Self> {
        match place.is_blank(FieldKind::Boolean) {
            true => passed(false, place, rules, errors),
            false => read_parameter(place, rules, errors),
        }
    }
}

impl<T: FieldValue> FieldValue for Option<T> {
    type Leaf = T::Leaf;
    const KIND: FieldKind = T::KIND;
    const REQUIRED: bool = false;
    const REPEATED: bool = T::REPEATED;
    const VALUES: &'static [&'static str] = T::VALUES;

    fn read(place: &FieldPlace<'_>, rules: &FieldRules<'_, T::Leaf>, errors: &mut Vec<FieldError>) -> Option<Self> {
        match place.is_blank(T::KIND) {
            true => Some(None),
            false => T::read(place, rules, errors).map(Some),
        }
    }
}

impl<T: FieldValue> FieldValue for Vec<T> {
    type Leaf = T::Leaf;
    const KIND: FieldKind = T::KIND;
    const REQUIRED: bool = false;
    const REPEATED: bool = true;
    const VALUES: &'static [&'static str] = T::VALUES;

    fn read(place: &FieldPlace<'_>, rules: &FieldRules<'_, T::Leaf>, errors: &mut Vec<FieldError>) -> Option<Self> {
        let Some(items) = place.items(T::KIND) else {
            return place.refuse(Fault::Invalid { expected: "a list".into() }, errors);
        };
        let (least, most) = rules.count;
        match items.len() {
            0 if least > 0 => return place.refuse(Fault::Missing, errors),
            count if !(least..=most).contains(&count) => return place.refuse(Fault::Count { least, most }, errors),
            _ => {}
        }
        let (before, values) = (errors.len(), items.iter().filter_map(|item| T::read(item, rules, errors)).collect());
        (errors.len() == before).then_some(values)
    }
}

impl FieldValue for Upload {
    type Leaf = Self;
    const KIND: FieldKind = FieldKind::File;

    fn read(place: &FieldPlace<'_>, rules: &FieldRules<'_, Self>, errors: &mut Vec<FieldError>) -> Option<Self> {
        match place.files().first() {
            Some(&file) => passed(file.clone(), place, rules, errors),
            None => place.refuse(Fault::Missing, errors),
        }
    }
}

impl<T: Fields> FieldValue for T {
    type Leaf = Self;
    const KIND: FieldKind = FieldKind::Group(T::FIELDS);

    fn read(place: &FieldPlace<'_>, rules: &FieldRules<'_, Self>, errors: &mut Vec<FieldError>) -> Option<Self> {
        if place.json().is_some_and(|value| !value.is_object()) {
            return place.refuse(Fault::Invalid { expected: "an object".into() }, errors);
        }
        let value = T::read(&mut FieldReader::of_group(place, errors))?;
        passed(value, place, rules, errors)
    }
}

/// A type of another crate, read by its `FromStr`: what `#[field(parse = "...")]` reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Parsed<T>(pub T);

impl<T: FromStr> FieldValue for Parsed<T> {
    type Leaf = T;
    const KIND: FieldKind = FieldKind::Text;

    fn read(place: &FieldPlace<'_>, rules: &FieldRules<'_, T>, errors: &mut Vec<FieldError>) -> Option<Self> {
        let value = read_one(place, rules, errors, (FieldKind::Text, "another text"), |text| text.parse().ok());
        value.map(Self)
    }
}
