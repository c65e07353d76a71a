//! Every fault of a form with the values as they came: [`FormErrors`].

use super::super::{Error, HttpError, IntoResponse, Problem, Request, Response};
use super::input::canonical;
use super::rules::Fault;
use super::{FieldInfo, Fields};
use ::http::StatusCode;
use serde::Serialize;
use serde_json::Value;
use std::borrow::Cow;

/// What is wrong with a form, field by field, and the values as the visitor has typed them: what a template needs to
/// show the form again.
///
/// Take `Result<Form<T>, FormErrors>` in a handler, also with [`Query`](super::super::Query),
/// [`Json`](super::super::Json) or a single value by name, such as `Result<u32, FormErrors>`. With `?` the errors
/// become an answer of 422: problem details for programs, with the member `errors` (`{"title": ["Must have 1 to 20
/// characters."]}`), and an error page for browsers. [`page`](Self::page) gives browsers the form again instead.
///
/// In a template each field has `value`, `values` (all of them) and `error`: `{{ form.title.value }}`, `{{
/// form.title.error }}`. A list of groups has `groups`, and `blank`, a group in which nothing is typed: `{% for guest
/// in form.guests.groups + [form.guests.blank] %}{{ guest.name.value }}{% endfor %}`. All fields of the struct are
/// there, whatever has come. `problems` is the list of all errors, each with `field` and `message`.
#[derive(Clone, Debug)]
pub struct FormErrors {
    pub(super) known: &'static [FieldInfo],
    pub(super) values: Vec<(String, String)>,
    errors: Vec<FieldError>,
}

/// What is wrong with one field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldError {
    field: String,
    fault: Fault,
    message: Option<Cow<'static, str>>,
}

impl FieldError {
    pub(super) fn new(field: String, fault: Fault) -> Self {
        Self { field, fault, message: None }
    }

    /// The name of the field: `title`, `guests[0].name`; empty for the form as a whole.
    #[must_use]
    pub fn field(&self) -> &str {
        &self.field
    }

    /// What is wrong, for programs and translations.
    #[must_use]
    pub fn fault(&self) -> &Fault {
        &self.fault
    }

    /// What is wrong, in a sentence for the visitor. Not escaped.
    #[must_use]
    pub fn message(&self) -> String {
        self.message.as_ref().map_or_else(|| self.fault.to_string(), ToString::to_string)
    }

    pub(super) fn say(&mut self, message: impl Into<Cow<'static, str>>) {
        self.message = Some(message.into());
    }
}

impl FormErrors {
    /// The largest number of errors that are kept: a hostile form has more.
    pub(super) const MAX: usize = 100;

    /// The form of `T` before a visitor has typed anything, for the page that shows it first.
    #[must_use]
    pub fn blank<T: Fields>() -> Self {
        Self::of_pairs::<T>(std::iter::empty())
    }

    /// The form of `T` as `request` has sent it, without errors: the start for those that only the application can
    /// find.
    ///
    /// ```
    /// use kirsch::prelude::*;
    ///
    /// #[derive(Fields)]
    /// struct Booking { room: String }
    ///
    /// fn check(booking: &Booking, request: &Request) -> Result<(), FormErrors> {
    ///     match &*booking.room {
    ///         "Kyoto" => Err(FormErrors::of::<Booking>(request).with("room", "This room is taken.")),
    ///         _ => Ok(()),
    ///     }
    /// }
    /// ```
    #[must_use]
    pub fn of<T: Fields>(request: &Request) -> Self {
        let fields = request.form_fields();
        Self::of_pairs::<T>(fields.chain(request.query_fields().filter(|_| !request.has_form())))
    }

    /// The form of `T` filled in from a record that has fields of the same names, for the page that changes it: any
    /// type of serde, of a database for example, or the struct itself. A list of groups has a group for each item.
    /// Fields of the record that the form does not have are left out.
    ///
    /// ```
    /// use kirsch::prelude::*;
    /// use serde::Serialize;
    ///
    /// #[derive(Fields)]
    /// struct Booking { title: String, seats: u32, vegetarian: bool }
    ///
    /// #[derive(Serialize)]
    /// struct Row { id: i64, title: &'static str, seats: u32, vegetarian: bool }
    ///
    /// let row = Row { id: 7, title: "Tea", seats: 2, vegetarian: false };
    /// let form = FormErrors::filled::<Booking>(&row)?;
    /// assert_eq!((form.value("title"), form.value("seats"), form.value("vegetarian")), ("Tea", "2", ""));
    /// # Ok::<(), kirsch::Error>(())
    /// ```
    ///
    /// # Errors
    /// When JSON cannot express the record, as a map whose keys are no texts.
    pub fn filled<T: Fields>(record: &impl Serialize) -> Result<Self, Error> {
        let mut form = Self::of_json::<T>(&serde_json::to_value(record)?);
        let is_known = |name: &str| {
            let first = name.split(['.', '[']).next().unwrap_or_default();
            T::FIELDS.iter().any(|field| field.name == first)
        };
        form.values.retain(|(name, _)| is_known(name));
        Ok(form)
    }

    pub(super) fn of_pairs<'p, T: Fields>(pairs: impl Iterator<Item = (&'p str, &'p str)>) -> Self {
        let values = pairs.map(|(name, text)| (canonical(name).into_owned(), text.to_owned())).collect();
        Self { known: T::FIELDS, values, errors: Vec::new() }
    }

    pub(super) fn of_json<T: Fields>(content: &Value) -> Self {
        let mut values = Vec::new();
        leaves(String::new(), content, &mut values);
        Self { known: T::FIELDS, values, errors: Vec::new() }
    }

    pub(super) fn of_one(name: &str, text: Option<&str>, fault: Fault) -> Self {
        let values = text.map(|text| (name.to_owned(), text.to_owned())).into_iter().collect();
        Self { known: &[], values, errors: vec![FieldError::new(name.to_owned(), fault)] }
    }

    pub(super) fn unknown(errors: Vec<FieldError>) -> Self {
        Self { known: &[], values: Vec::new(), errors }
    }

    pub(super) fn with_all(mut self, errors: Vec<FieldError>) -> Self {
        self.errors.extend(errors);
        self
    }

    /// With one more error: `sentence` is for the visitor, `field` is empty for the form as a whole.
    #[must_use]
    pub fn with(mut self, field: &str, sentence: impl Into<Cow<'static, str>>) -> Self {
        self.errors.push(FieldError::new(canonical(field).into_owned(), Fault::Own(sentence.into())));
        self
    }

    /// With other sentences: `translate` gets each error, and answers `None` where the English sentence is to stay.
    ///
    /// ```
    /// # use kirsch::{Fault, FormErrors};
    /// fn in_german(errors: FormErrors) -> FormErrors {
    ///     errors.translated(|error| match error.fault() {
    ///         Fault::Missing => Some("Bitte ausfüllen.".to_owned()),
    ///         Fault::Length { most, .. } => Some(format!("Höchstens {most} Zeichen.")),
    ///         _ => None,
    ///     })
    /// }
    /// ```
    #[must_use]
    pub fn translated(mut self, translate: impl Fn(&FieldError) -> Option<String>) -> Self {
        for error in &mut self.errors {
            if let Some(sentence) = translate(error) {
                error.say(sentence);
            }
        }
        self
    }

    /// The first error of `field`.
    #[must_use]
    pub fn of_field(&self, field: &str) -> Option<&FieldError> {
        self.errors.iter().find(|error| error.field == field)
    }

    /// Whether there is no error.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.errors.is_empty()
    }

    /// All errors, in the order of the fields.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &FieldError> {
        self.errors.iter()
    }

    /// The first value of `field` as it came; empty if none has.
    #[must_use]
    pub fn value(&self, field: &str) -> &str {
        self.values(field).next().unwrap_or_default()
    }

    /// All values of `field` as they came.
    pub fn values(&self, field: &str) -> impl Iterator<Item = &str> {
        self.values.iter().filter(move |(name, _)| name == field).map(|(_, text)| &**text)
    }

    /// The answer of 422: browsers get the page that `show` makes of the errors, such as the form again; programs get
    /// problem details.
    pub fn page<R: IntoResponse>(self, show: impl FnOnce(&Self) -> R) -> Error {
        let page = Response::of(show(&self));
        self.into_problem().with_page(page).into()
    }

    fn into_problem(self) -> Problem {
        let mut by_field = serde_json::Map::new();
        for error in &self.errors {
            let messages = by_field.entry(error.field.clone()).or_insert_with(|| Value::Array(Vec::new()));
            if let Value::Array(messages) = messages {
                messages.push(error.message().into());
            }
        }
        let mut detail: Vec<_> = self.errors.iter().take(MAX_TOLD).map(ToString::to_string).collect();
        if self.errors.len() > MAX_TOLD {
            detail.push(format!("And {} more.", self.errors.len() - MAX_TOLD));
        }
        Problem::new(StatusCode::UNPROCESSABLE_ENTITY).with_detail(detail.join(" ")).with_member("errors", by_field)
    }
}

/// How many errors the sentence of the problem tells; the member `errors` has all.
const MAX_TOLD: usize = 5;

/// The values of JSON by the names that a form would have.
fn leaves(name: String, value: &Value, found: &mut Vec<(String, String)>) {
    match value {
        // A box that is not checked sends nothing.
        Value::Null | Value::Bool(false) => {}
        Value::String(text) => found.push((name, text.clone())),
        Value::Bool(_) | Value::Number(_) => found.push((name, value.to_string())),
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                let name = if item.is_object() { format!("{name}[{index}]") } else { name.clone() };
                leaves(name, item, found);
            }
        }
        Value::Object(members) => {
            for (key, member) in members {
                leaves(if name.is_empty() { key.clone() } else { format!("{name}.{key}") }, member, found);
            }
        }
    }
}

impl std::fmt::Display for FormErrors {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (index, error) in self.errors.iter().enumerate() {
            let gap = if index == 0 { "" } else { " " };
            write!(f, "{gap}{error}")?;
        }
        Ok(())
    }
}

/// The name of the field and the sentence.
impl std::fmt::Display for FieldError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &*self.field {
            "" => f.write_str(&self.message()),
            field => write!(f, "`{field}`: {}", self.message()),
        }
    }
}

impl From<FormErrors> for HttpError {
    fn from(errors: FormErrors) -> Self {
        errors.into_problem().into()
    }
}

impl From<FormErrors> for Error {
    fn from(errors: FormErrors) -> Self {
        errors.into_problem().into()
    }
}

/// Always an error, for the error funnel.
impl IntoResponse for FormErrors {
    fn into_response(self, _: &mut Response) -> Result<(), Error> {
        Err(self.into())
    }
}
