//! How the engine writes values: as [`PageType`] says of the template's name, and never less than the page needs.
//!
//! A template includes others. A fragment is escaped by its own name, with one exception: plain text within a page of
//! HTML is escaped as HTML. So is a template of plain text that a handler sends under another content type.

use crate::exchange::{Escaping, PageType};
use minijinja::value::{Kwargs, Value};
use minijinja::{AutoEscape, Environment, Error, Output, State, escape_formatter, filters};

/// The name under which templates find the escaping of the page; no template can write it.
pub(super) const PAGE: &str = "the escaping of the page";

/// Makes `environment` escape. The engine's own rules know few names, and let the others through.
pub(super) fn install(environment: &mut Environment<'_>) {
    environment.set_auto_escape_callback(|name| match PageType::of_name(name).escaping() {
        Escaping::Markup => AutoEscape::Html,
        Escaping::Json => AutoEscape::Json,
        Escaping::Text => AutoEscape::None,
        own @ (Escaping::Css | Escaping::ContentLine) => AutoEscape::Custom(name_of(own).into()),
    });
    environment.set_formatter(write);
    environment.add_filter("tojson", |value: &Value, indent: Option<Value>, options: Kwargs| {
        json(value, indent, options).map(Value::from_safe_string)
    });
}

/// The word for an escaping, as the engine keeps it.
pub(super) fn name_of(escaping: Escaping) -> &'static str {
    match escaping {
        Escaping::Markup => "markup",
        Escaping::Json => "json",
        Escaping::Css => "css",
        Escaping::ContentLine => "content line",
        Escaping::Text => "text",
    }
}

fn write(out: &mut Output<'_>, state: &mut State<'_, '_>, value: &Value) -> Result<(), Error> {
    if value.is_safe() {
        return escape_formatter(out, state, value);
    }
    let escaping = match state.auto_escape() {
        AutoEscape::Json => {
            out.write_str(&json(value, None, Kwargs::from_iter::<[(&str, Value); 0]>([]))?)?;
            return Ok(());
        }
        AutoEscape::Custom(name) if *name == name_of(Escaping::Css) => Escaping::Css,
        AutoEscape::Custom(name) if *name == name_of(Escaping::ContentLine) => Escaping::ContentLine,
        // The engine's own writes `/` as `&#x2f;`, which makes addresses hard to read.
        AutoEscape::Html if value.as_str().is_some() => Escaping::Markup,
        AutoEscape::None if PageType::of_name(state.name()).escaping() == Escaping::Text => Escaping::Text,
        // HTML, parts where a template has switched escaping off, and the application's own forms.
        _ => return escape_formatter(out, state, value),
    };
    let is_fragment_of_markup =
        || state.lookup(PAGE).is_some_and(|page| page.as_str() == Some(name_of(Escaping::Markup)));
    let escaping = match escaping {
        Escaping::Text | Escaping::ContentLine if is_fragment_of_markup() => Escaping::Markup,
        own => own,
    };
    let mut page = String::new();
    match value.as_str() {
        Some(text) => escaping.write(text, &mut page),
        None => escaping.write(&value.to_string(), &mut page),
    }
    out.write_str(&page)?;
    Ok(())
}

fn json(value: &Value, indent: Option<Value>, options: Kwargs) -> Result<String, Error> {
    let json = filters::tojson(value, indent, options)?;
    Ok(Escaping::json_for_scripts(json.as_str().unwrap_or_default()))
}
