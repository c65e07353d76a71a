//! Typed forms: a struct whose fields are those of a form, a query or a JSON object, with the rules that they must
//! keep.
//!
//! | file | what it holds |
//! |---|---|
//! | `mod` | [`Fields`], what the derive writes for a struct, and [`FieldInfo`], what is known about a field before a request comes |
//! | `value` | [`FieldValue`]: the types that a field may have |
//! | `input` | what the client has sent, a form or JSON, as one thing to look fields up in |
//! | `rules` | lengths, ranges and the other rules, and [`Fault`], how a value can fail |
//! | `errors` | [`FormErrors`]: every fault of a form with the values as they came |
//! | `shown` | the same as a template sees it |
//! | `of_serde` | such a struct as an ordinary type of serde, so that `Form<T>`, `Query<T>` and `Json<T>` keep the rules as well |
//!
//! All fields are read before anything is answered: a visitor learns of every mistake at once.

mod errors;
mod input;
mod of_serde;
pub mod rules;
mod shown;
mod value;

pub use self::errors::{FieldError, FormErrors};
pub use self::input::{FieldPlace, FieldReader};
pub use self::of_serde::deserialize;
pub(super) use self::of_serde::{TYPED_FORM, with_refused_fields};
pub use self::rules::{Fault, FieldRules};
pub use self::value::{FieldKind, FieldValue, Parsed, read_parameter};
/// For the code of the derive.
#[doc(hidden)]
pub mod derived {
    pub use serde::{Deserialize, Deserializer};
}

use super::argument::A_FORM;
use super::{Argument, ArgumentInfo, Arguments, BodyUse, Form, HttpError, Json, Parameter, Query, Source};
use input::Input;

/// A struct whose fields are those of a form: derive it, and say beside each field which rules its value must keep.
///
/// ```
/// use kirsch::{prelude::*, testing::Client};
///
/// #[derive(Fields)]
/// struct Booking {
///     #[field(length = 1..=20)]
///     title: String,
///     #[field(range = 1..=99)]
///     seats: u32,
///     vegetarian: bool,
///     note: Option<String>,
/// }
///
/// struct Bookings;
///
/// #[handlers]
/// impl Bookings {
///     #[expose(post)]
///     fn book(&self, form: Result<Form<Booking>, FormErrors>) -> kirsch::Result<Redirect> {
///         let Form(booking) = form.map_err(|errors| errors.page(|errors| {
///             format!("{} {}", errors.value("title"), errors.of_field("seats").map_or(String::new(), |error| error.message()))
///         }))?;
///         Ok(Redirect::to(format!("/booked/{}", booking.seats)))
///     }
/// }
///
/// let client = Client::in_process(App::new(Bookings));
/// client.post("/book").form(&[("title", "Tea"), ("seats", "2")]).send().assert_status(303);
/// let wrong = [("title", "Tea"), ("seats", "100")];
/// let shown = client.post("/book").form(&wrong).header("Accept", "text/html").send();
/// shown.assert_status(422).assert_text("Tea Must be from 1 to 99.");
/// client.post("/book").form(&wrong).send().assert_status(422).assert_contains("\"seats\":[\"Must be from 1 to 99.\"]");
/// ```
///
/// A field may be a text, a number, a `bool`, an enum or newtype that derives [`Parameter`], an
/// [`Upload`](super::Upload), an `Option` or a `Vec` of these, or another struct that derives `Fields`. [`FieldValue`]
/// tells how each of them is read.
///
/// | beside a field | means |
/// |---|---|
/// | `#[field(length = 1..=20)]` | a text of so many characters |
/// | `#[field(range = 1..=99)]` | a value within the range |
/// | `#[field(count = 1..=3)]` | a `Vec` of so many values |
/// | `#[field(email)]` | a text that is written as an e-mail address |
/// | `#[field(check = path)]` | the function `path` takes `&value`, a text as `&str`, and answers `Ok(())`, or `Err` with a sentence for the visitor |
/// | `#[field(parse = "a date, such as 2026-11-30")]` | a type of another crate, read by its `FromStr`; the text says what it must be |
/// | `#[field(message = "…")]` | this sentence for the visitor, whatever is wrong with the field |
/// | `#[field(rename = "e-mail")]` | the name of the field in the form |
/// | `#[field(verbatim)]` | blanks around a text count; they are cut off otherwise |
/// | `#[fields(check = path)]`, on the struct | `path` takes `&value` and answers `Ok(())`, or `Err((field, sentence))` |
///
/// The derive makes the struct an ordinary `Deserialize` type as well. Taken as `Form<T>`, `Query<T>` or `Json<T>`
/// without `Result`, a value that breaks a rule is answered with 422 before the handler runs.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a typed form",
    label = "no `Fields`",
    note = "put `#[derive(Fields)]` on the struct in place of `#[derive(Deserialize)]`"
)]
pub trait Fields: Sized {
    /// The fields, in their order.
    const FIELDS: &'static [FieldInfo];

    /// Reads all fields. Faults go to `reader`; with a fault there is no value.
    fn read(reader: &mut FieldReader<'_>) -> Option<Self>;
}

/// What is known about a field before a request comes.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct FieldInfo {
    /// Its name in the form.
    pub name: &'static str,
    /// What kind of value it has.
    pub kind: FieldKind,
    /// Whether a form without it is refused.
    pub required: bool,
    /// Whether it may come several times.
    pub repeated: bool,
    /// The least and the largest number of characters of a text.
    pub length: Option<(usize, usize)>,
    /// The smallest value, as it is written in the source.
    pub min: Option<&'static str>,
    /// The largest value, as it is written in the source.
    pub max: Option<&'static str>,
    /// All texts that are a value of it, where there are few.
    pub values: &'static [&'static str],
}

impl FieldInfo {
    /// A field of type `T`.
    #[must_use]
    pub const fn of<T: FieldValue>(name: &'static str) -> Self {
        Self {
            name,
            kind: T::KIND,
            required: T::REQUIRED,
            repeated: T::REPEATED,
            length: None,
            min: None,
            max: None,
            values: T::VALUES,
        }
    }

    /// With a least and a largest number of characters.
    #[must_use]
    pub const fn with_length(self, least: usize, most: usize) -> Self {
        Self { length: Some((least, most)), ..self }
    }

    /// With a smallest and a largest value.
    #[must_use]
    pub const fn with_range(self, min: Option<&'static str>, max: Option<&'static str>) -> Self {
        Self { min, max, ..self }
    }

    /// Whether one of these fields, or of the groups among them, is a file.
    #[must_use]
    pub const fn any_file(fields: &[Self]) -> bool {
        let mut index = 0;
        while index < fields.len() {
            match fields[index].kind {
                FieldKind::File => return true,
                FieldKind::Group(group) if Self::any_file(group) => return true,
                _ => {}
            }
            index += 1;
        }
        false
    }
}

/// The value that an argument has when its form is right.
fn read<T: Fields>(input: &Input<'_>) -> Result<T, Vec<FieldError>> {
    let mut errors = Vec::new();
    match T::read(&mut FieldReader::new(input, &mut errors)) {
        Some(value) if errors.is_empty() => Ok(value),
        _ => Err(errors),
    }
}

impl<'a, T: Fields> Argument<'a> for Result<Form<T>, FormErrors> {
    const INFO: ArgumentInfo = ArgumentInfo {
        source: Source::Parameters,
        body: if FieldInfo::any_file(T::FIELDS) { BodyUse::Files } else { BodyUse::Fields },
        ..ArgumentInfo::TYPED
    };

    fn take(_name: &'static str, arguments: &mut Arguments<'a>) -> Result<Self, HttpError> {
        let request = arguments.request;
        if !request.has_form() {
            return Err(request.unsupported(A_FORM));
        }
        let value = read(&Input::of_form(request.form_fields(), Some(request)));
        Ok(value.map(Form).map_err(|errors| FormErrors::of::<T>(request).with_all(errors)))
    }
}

impl<'a, T: Fields> Argument<'a> for Result<Query<T>, FormErrors> {
    const INFO: ArgumentInfo = ArgumentInfo { source: Source::Parameters, ..ArgumentInfo::TYPED };

    fn take(_name: &'static str, arguments: &mut Arguments<'a>) -> Result<Self, HttpError> {
        let request = arguments.request;
        let value = read(&Input::of_form(request.query_fields(), None));
        Ok(value.map(Query).map_err(|errors| FormErrors::of_pairs::<T>(request.query_fields()).with_all(errors)))
    }
}

/// A body that is not JSON is answered with 400 at once: there is no field to tell about.
impl<'a, T: Fields> Argument<'a> for Result<Json<T>, FormErrors> {
    const INFO: ArgumentInfo = <Json<serde_json::Value> as Argument<'a>>::INFO;

    fn take(name: &'static str, arguments: &mut Arguments<'a>) -> Result<Self, HttpError> {
        let Json(content) = <Json<serde_json::Value> as Argument<'a>>::take(name, arguments)?;
        let value = read(&Input::Json(&content));
        Ok(value.map(Json).map_err(|errors| FormErrors::of_json::<T>(&content).with_all(errors)))
    }
}

/// A single argument by name, when a value that cannot be is not to be answered at once.
impl<'a, T: Parameter> Argument<'a> for Result<T, FormErrors> {
    const INFO: ArgumentInfo = ArgumentInfo::OPTIONAL;

    fn take(name: &'static str, arguments: &mut Arguments<'a>) -> Result<Self, HttpError> {
        let Some(text) = arguments.text(name) else {
            arguments.check_body()?;
            return Ok(Err(FormErrors::of_one(name, None, Fault::Missing)));
        };
        let fault = || match text.is_empty() {
            true => Fault::Missing,
            false => Fault::Invalid { expected: T::EXPECTED.into() },
        };
        Ok(T::from_text(text).map_err(|_| FormErrors::of_one(name, Some(text), fault())))
    }
}

#[cfg(test)]
mod tests;
