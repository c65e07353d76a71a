//! A typed form as an ordinary type of serde.
//!
//! The derive writes a `Deserialize` that ends in [`deserialize`]. So the rules hold wherever the type is read, also in
//! `Form<T>` without `Result` and in types of serde around it. A form and JSON come in by two doors: the reader of
//! forms knows the name [`TYPED_FORM`] and hands over its pairs as they are; everything else hands over JSON. Serde's
//! errors are texts, so the errors by field take the way past it: [`with_refused_fields`] picks them up on the same
//! thread, at once.

use super::errors::{FieldError, FormErrors};
use super::input::Input;
use super::{FieldInfo, Fields, read};
use ::serde::de::{Deserialize, Deserializer, Error, MapAccess, Visitor};
use serde_json::Value;
use std::cell::RefCell;
use std::fmt;

/// How the derived code asks for the pairs of a form.
pub(in crate::exchange) const TYPED_FORM: &str = "kirsch::Fields";

thread_local! {
    /// The errors of the typed form that was refused last, until they are picked up.
    static REFUSED: RefCell<Vec<FieldError>> = const { RefCell::new(Vec::new()) };
}

/// Reads a value with `read`. An error comes with the errors by field, if `read` has refused a typed form.
pub(in crate::exchange) fn with_refused_fields<T, E>(
    read: impl FnOnce() -> Result<T, E>,
) -> Result<T, (E, Option<FormErrors>)> {
    // A handler that has read a typed form by itself may have left its errors here.
    drop(REFUSED.take());
    read().map_err(|error| {
        let errors = REFUSED.take();
        (error, (!errors.is_empty()).then(|| FormErrors::unknown(errors)))
    })
}

/// Reads a typed form from any source of serde: what the derive calls.
///
/// # Errors
/// When a field breaks a rule; the text tells all of them.
pub fn deserialize<'de, D: Deserializer<'de>, T: Fields>(deserializer: D) -> Result<T, D::Error> {
    const {
        assert!(
            !FieldInfo::any_file(T::FIELDS),
            "a typed form with a file is taken as `Result<Form<T>, FormErrors>`: a file is not a value of serde"
        );
    }
    let value = match deserializer.deserialize_newtype_struct(TYPED_FORM, SentVisitor)? {
        Sent::Pairs(pairs) => read(&Input::of_form(pairs.iter().map(|(name, text)| (&**name, &**text)), None)),
        Sent::Json(content) => read(&Input::Json(&content)),
    };
    value.map_err(|errors| {
        let text = FormErrors::unknown(errors.clone()).to_string();
        REFUSED.set(errors);
        D::Error::custom(text)
    })
}

/// What a source of serde has.
enum Sent {
    Pairs(Vec<(String, String)>),
    Json(Value),
}

struct SentVisitor;

impl<'de> Visitor<'de> for SentVisitor {
    type Value = Sent;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, deserializer: D) -> Result<Sent, D::Error> {
        Value::deserialize(deserializer).map(Sent::Json)
    }

    /// Only the reader of forms answers so.
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Sent, A::Error> {
        let mut pairs = Vec::new();
        while let Some(pair) = map.next_entry()? {
            pairs.push(pair);
        }
        Ok(Sent::Pairs(pairs))
    }
}
