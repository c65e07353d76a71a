//! What the types of a handler tell about it before a request comes: for [`App::openapi`](crate::App::openapi).
//!
//! The macros write a [`Description`] beside each handler, of the types as they stand in its signature. A type may know
//! its shape in several ways, or not at all, and an unknown one is no mistake. So the question is asked where the type
//! is known: a method of that name is looked for with one reference less each time ([`Probe`]), and the first answer
//! counts. Without the cargo feature `openapi` nothing is written and nothing is asked.

use super::{FieldInfo, FieldKind, Fields, Form, Json, Parameter, Query, Upload};
use serde_json::{Map, Value, json};
use std::fmt;
use std::marker::PhantomData;

/// What is known of an answer before a request comes; part of [`IntoResponse`](super::IntoResponse).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Its status, or the class of it such as `2XX`.
    pub status: &'static str,
    /// Its media type; `None` where only the value knows it, or there is no content.
    pub media_type: Option<&'static str>,
    /// Whether it may be 404 in its place.
    pub may_be_missing: bool,
}

impl Answer {
    /// Nothing is known.
    pub const UNKNOWN: Self = Self { status: "2XX", media_type: None, may_be_missing: false };

    /// An answer of 200 with this media type.
    #[must_use]
    pub const fn of(media_type: &'static str) -> Self {
        Self { status: "200", media_type: Some(media_type), may_be_missing: false }
    }

    /// With another status.
    #[must_use]
    pub const fn with_status(self, status: &'static str) -> Self {
        Self { status, ..self }
    }

    /// With another media type.
    #[must_use]
    pub const fn with_media_type(self, media_type: &'static str) -> Self {
        Self { media_type: Some(media_type), ..self }
    }

    /// Or 404.
    #[must_use]
    pub const fn or_missing(self) -> Self {
        Self { may_be_missing: true, ..self }
    }
}

/// What is known of a handler beside its arguments' names and sources.
#[derive(Clone, Copy)]
pub struct Description {
    /// The documentation of the method.
    pub text: &'static str,
    /// For each argument what its type knows; empty where nothing is known.
    pub arguments: &'static [fn(&mut Schemas) -> Content],
    /// What is known of the answer.
    pub answer: Answer,
    /// What the type of the answer knows about its content.
    pub content: Option<fn(&mut Schemas) -> Content>,
}

impl Description {
    /// Only the answer is known.
    #[must_use]
    pub const fn of(answer: Answer) -> Self {
        Self { text: "", arguments: &[], answer, content: None }
    }
}

impl fmt::Debug for Description {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Description").field("text", &self.text).field("answer", &self.answer).finish_non_exhaustive()
    }
}

/// What a type knows about the value that it carries.
#[derive(Clone, Debug, Default)]
pub struct Content {
    /// The JSON Schema of the value; of one item, where it is a list.
    pub schema: Option<Value>,
    /// Whether it may be missing.
    pub is_optional: bool,
    /// Whether it is a list.
    pub is_list: bool,
    /// Whether it has rules: breaking them is 422.
    pub has_rules: bool,
}

/// Makes schemas, and keeps those that have names.
#[derive(Default)]
pub struct Schemas {
    #[cfg(feature = "openapi")]
    named: Option<schemars::SchemaGenerator>,
}

impl fmt::Debug for Schemas {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Schemas").finish_non_exhaustive()
    }
}

#[cfg(feature = "openapi")]
impl Schemas {
    fn of_type<T: schemars::JsonSchema>(&mut self) -> Value {
        let generator = self.named.get_or_insert_with(|| {
            let settings = schemars::generate::SchemaSettings::draft2020_12();
            settings
                .with(|settings| {
                    settings.definitions_path = "/components/schemas".into();
                    settings.meta_schema = None;
                })
                .into_generator()
        });
        generator.subschema_for::<T>().to_value()
    }

    /// The schema that a reference names, or the schema itself.
    pub(crate) fn resolved(&self, schema: Value) -> Value {
        let name = schema["$ref"].as_str().and_then(|name| name.rsplit('/').next());
        let found = name.and_then(|name| self.named.as_ref()?.definitions().get(name));
        found.cloned().unwrap_or(schema)
    }

    /// The schemas that have names.
    pub(crate) fn into_named(self) -> Map<String, Value> {
        self.named.map(|mut generator| generator.take_definitions(true)).unwrap_or_default()
    }
}

/// The schema of a typed form.
fn of_fields(fields: &[FieldInfo]) -> Value {
    let properties: Map<_, _> = fields.iter().map(|field| (field.name.to_owned(), of_field(field))).collect();
    let required: Vec<_> = fields.iter().filter(|field| field.required).map(|field| field.name).collect();
    let mut schema = json!({ "type": "object", "properties": properties });
    if !required.is_empty() {
        schema["required"] = json!(required);
    }
    schema
}

fn of_field(field: &FieldInfo) -> Value {
    let mut schema = of_kind(field.kind, field.values);
    if let Some((least, most)) = field.length {
        schema["minLength"] = json!(least);
        if most < usize::MAX {
            schema["maxLength"] = json!(most);
        }
    }
    for (key, bound) in [("minimum", field.min), ("maximum", field.max)] {
        // As it is written in the source: a constant is not known here.
        let number = bound.and_then(|bound| serde_json::from_str::<Value>(&bound.replace(['_', ' '], "")).ok());
        if let Some(number) = number.filter(Value::is_number) {
            schema[key] = number;
        }
    }
    if field.repeated { json!({ "type": "array", "items": schema }) } else { schema }
}

fn of_kind(kind: FieldKind, values: &[&str]) -> Value {
    match kind {
        FieldKind::Text if !values.is_empty() => json!({ "type": "string", "enum": values }),
        FieldKind::Text => json!({ "type": "string" }),
        FieldKind::Integer => json!({ "type": "integer" }),
        FieldKind::Number => json!({ "type": "number" }),
        FieldKind::Boolean => json!({ "type": "boolean" }),
        FieldKind::File => json!({ "type": "string", "contentMediaType": "application/octet-stream" }),
        FieldKind::Group(fields) => of_fields(fields),
    }
}

/// A type that carries a value of another one, such as `Option<Json<Song>>` a `Song`.
pub trait Carries {
    /// The value within.
    type Inner;
    /// Whether it may be missing.
    const IS_OPTIONAL: bool = false;
    /// Whether there may be several.
    const IS_LIST: bool = false;
}

impl<T: Parameter> Carries for T {
    type Inner = T;
}

impl Carries for &str {
    type Inner = String;
}

impl Carries for Upload {
    type Inner = Self;
}

macro_rules! carries {
    ($([$($generics:tt)*] $outer:ty: $inner:ty;)*) => {$(
        impl<$($generics)*> Carries for $outer {
            type Inner = $inner;
        }
    )*};
}

carries! {
    [T] Form<T>: T;
    [T] Json<T>: T;
    [T] Query<T>: T;
}

impl<T: Carries> Carries for Option<T> {
    type Inner = T::Inner;
    const IS_OPTIONAL: bool = true;
    const IS_LIST: bool = T::IS_LIST;
}

impl<T: Carries> Carries for Vec<T> {
    type Inner = T::Inner;
    const IS_OPTIONAL: bool = true;
    const IS_LIST: bool = true;
}

impl<T: Carries, E> Carries for Result<T, E> {
    type Inner = T::Inner;
    const IS_OPTIONAL: bool = T::IS_OPTIONAL;
    const IS_LIST: bool = T::IS_LIST;
}

impl<S, T: Carries> Carries for (S, T) {
    type Inner = T::Inner;
    const IS_LIST: bool = T::IS_LIST;
}

impl<S, H, T: Carries> Carries for (S, H, T) {
    type Inner = T::Inner;
    const IS_LIST: bool = T::IS_LIST;
}

/// A type that is asked what it knows.
#[derive(Debug)]
pub struct Probe<T>(PhantomData<fn() -> T>);

impl<T> Probe<T> {
    /// Asks `T`.
    pub const OF: Self = Self(PhantomData);
}

/// Stands for a type that nothing is known of.
#[derive(Debug)]
pub struct Unknown;

/// Asks a type that carries another one.
pub trait Inside {
    /// The type of the value within.
    type Inner;
    /// That type, to be asked.
    fn inside(&self) -> (Probe<Self::Inner>, Content);
}

impl<T: Carries> Inside for &Probe<T> {
    type Inner = T::Inner;

    fn inside(&self) -> (Probe<T::Inner>, Content) {
        (Probe::OF, Content { is_optional: T::IS_OPTIONAL, is_list: T::IS_LIST, ..Content::default() })
    }
}

/// Every other type.
pub trait NothingInside {
    /// Nothing.
    fn inside(&self) -> (Probe<Unknown>, Content) {
        (Probe::OF, Content::default())
    }
}

impl<T> NothingInside for Probe<T> {}

/// Asks a type with `derive(Fields)`.
pub trait OfFields {
    /// Its fields with their rules.
    fn schema(&self, schemas: &mut Schemas, content: Content) -> Content;
}

impl<T: Fields> OfFields for &&&Probe<T> {
    fn schema(&self, _: &mut Schemas, content: Content) -> Content {
        Content { schema: Some(of_fields(T::FIELDS)), has_rules: true, ..content }
    }
}

/// Asks a type that is made from one text.
pub trait OfParameter {
    /// What kind of value it is.
    fn schema(&self, schemas: &mut Schemas, content: Content) -> Content;
}

impl<T: Parameter> OfParameter for &&Probe<T> {
    fn schema(&self, _: &mut Schemas, content: Content) -> Content {
        let mut schema = of_kind(T::KIND, T::VALUES);
        if matches!(T::KIND, FieldKind::Integer)
            || (T::VALUES.is_empty() && !matches!(T::EXPECTED, "text" | "a number"))
        {
            schema["description"] = json!(T::EXPECTED);
        }
        Content { schema: Some(schema), ..content }
    }
}

/// Asks a type that implements `JsonSchema` of the crate `schemars`.
pub trait OfSchema {
    /// What it says.
    fn schema(&self, schemas: &mut Schemas, content: Content) -> Content;
}

#[cfg(feature = "openapi")]
impl<T: schemars::JsonSchema> OfSchema for &Probe<T> {
    fn schema(&self, schemas: &mut Schemas, content: Content) -> Content {
        Content { schema: Some(schemas.of_type::<T>()), ..content }
    }
}

/// Every other type.
pub trait OfNothing {
    /// Nothing but what is known already.
    fn schema(&self, schemas: &mut Schemas, content: Content) -> Content;
}

impl<T> OfNothing for Probe<T> {
    fn schema(&self, _: &mut Schemas, content: Content) -> Content {
        content
    }
}

/// The description of a handler, from the types of its signature: for the code of the macros.
#[cfg(feature = "openapi")]
#[doc(hidden)]
#[macro_export]
macro_rules! __describe {
    ($text:expr, [$($argument:ty),*], $answer:expr, [$($output:ty)?]) => {
        $crate::exchange::Description {
            text: $text,
            arguments: &[$(|schemas: &mut $crate::exchange::Schemas| $crate::__content!(schemas, $argument)),*],
            answer: $answer,
            content: $crate::__content_of_answer!($($output)?),
        }
    };
}

#[cfg(not(feature = "openapi"))]
#[doc(hidden)]
#[macro_export]
macro_rules! __describe {
    ($text:expr, [$($argument:ty),*], $answer:expr, [$($output:ty)?]) => {
        $crate::exchange::Description::of($answer)
    };
}

#[cfg(feature = "openapi")]
#[doc(hidden)]
#[macro_export]
macro_rules! __content {
    ($schemas:ident, $type:ty) => {{
        #[allow(unused_imports)]
        use $crate::exchange::describing::{
            Inside as _, NothingInside as _, OfFields as _, OfNothing as _, OfParameter as _, OfSchema as _,
        };
        let whole = $crate::exchange::describing::Probe::<$type>::OF;
        let (inner, content) = (&&whole).inside();
        (&&&&inner).schema($schemas, content)
    }};
}

#[cfg(feature = "openapi")]
#[doc(hidden)]
#[macro_export]
macro_rules! __content_of_answer {
    () => {
        ::core::option::Option::None
    };
    ($type:ty) => {
        ::core::option::Option::Some(|schemas: &mut $crate::exchange::Schemas| $crate::__content!(schemas, $type))
    };
}
