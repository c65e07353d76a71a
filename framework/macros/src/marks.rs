//! The parentheses of `#[expose(...)]` and `#[child(...)]`.

use crate::errors::Errors;
use syn::{Attribute, Error, LitStr, Meta, Token, meta::ParseNestedMeta, token::Bracket};

/// `#[expose]` with its options.
#[derive(Default)]
pub(crate) struct ExposeMark {
    pub(crate) name: Option<LitStr>,
    pub(crate) aliases: Vec<LitStr>,
    pub(crate) methods: Vec<&'static str>,
}

/// `#[child]` with its options.
#[derive(Default)]
pub(crate) struct ChildMark {
    pub(crate) name: Option<LitStr>,
}

impl ExposeMark {
    pub(crate) fn read(attribute: &Attribute, errors: &mut Errors) -> Self {
        let mut mark = Self::default();
        read_options(attribute, "expose", errors, |option| {
            if option.path.is_ident("alias") {
                mark.aliases.extend(segments(&option)?);
            } else if option.path.is_ident("name") {
                mark.name = Some(segment(&option)?);
            } else if let Some(method) = option.path.get_ident().and_then(|ident| http_method(&ident.to_string())) {
                mark.methods.push(method);
            } else {
                let methods = HTTP_METHODS.map(|(word, _)| format!("`{word}`")).join(", ");
                return Err(option.error(format!(
                    "unknown option of `#[expose]`: allowed are `name = \"...\"`, `alias = \"...\"`, and the HTTP methods {methods}"
                )));
            }
            Ok(())
        });
        for alias in &mark.aliases {
            if matches!(alias.value().as_str(), "index" | "default") {
                errors.push(Error::new(
                    alias.span(),
                    "`index` and `default` are roles, not path segments: they cannot be aliases",
                ));
            }
        }
        mark
    }
}

impl ChildMark {
    pub(crate) fn read(attribute: &Attribute, errors: &mut Errors) -> Self {
        let mut mark = Self::default();
        read_options(attribute, "child", errors, |option| {
            if !option.path.is_ident("name") {
                return Err(option.error("unknown option of `#[child]`: allowed is `name = \"...\"`"));
            }
            mark.name = Some(segment(&option)?);
            Ok(())
        });
        mark
    }
}

/// Takes the attribute `name` out of `attributes`.
pub(crate) fn take_mark(attributes: &mut Vec<Attribute>, name: &str, errors: &mut Errors) -> Option<Attribute> {
    let is_mark = |attribute: &Attribute| attribute.path().segments.last().is_some_and(|last| last.ident == name);
    let index = attributes.iter().position(is_mark)?;
    let mark = attributes.remove(index);
    while let Some(index) = attributes.iter().position(is_mark) {
        errors.at(attributes.remove(index), format!("`#[{name}]` is here twice; write all options into one"));
    }
    Some(mark)
}

fn read_options(
    attribute: &Attribute,
    name: &str,
    errors: &mut Errors,
    read: impl FnMut(ParseNestedMeta<'_>) -> syn::Result<()>,
) {
    match &attribute.meta {
        Meta::Path(_) => {}
        Meta::List(_) => {
            errors.keep(attribute.parse_nested_meta(read));
        }
        Meta::NameValue(meta) => errors.at(meta, format!("write `#[{name}]` or `#[{name}(name = \"...\")]`")),
    }
}

/// `= "segment"`
fn segment(option: &ParseNestedMeta<'_>) -> syn::Result<LitStr> {
    checked(option.value()?.parse()?)
}

/// `= "segment"` or `= ["segment", "segment"]`
fn segments(option: &ParseNestedMeta<'_>) -> syn::Result<Vec<LitStr>> {
    let value = option.value()?;
    if !value.peek(Bracket) {
        return Ok(vec![checked(value.parse()?)?]);
    }
    let list;
    syn::bracketed!(list in value);
    let list = list.parse_terminated(|item| item.parse::<LitStr>(), Token![,])?;
    list.into_iter().map(checked).collect()
}

fn checked(segment: LitStr) -> syn::Result<LitStr> {
    let text = segment.value();
    if text.is_empty() || text.contains(['/', '?', '#']) {
        return Err(Error::new(segment.span(), "a name is one path segment: not empty, and without `/`, `?` and `#`"));
    }
    Ok(segment)
}

/// The HTTP methods that have a method name in resources and a word in `#[expose(...)]`, with their constants.
pub(crate) const HTTP_METHODS: [(&str, &str); 7] = [
    ("get", "GET"),
    ("post", "POST"),
    ("put", "PUT"),
    ("patch", "PATCH"),
    ("delete", "DELETE"),
    ("head", "HEAD"),
    ("options", "OPTIONS"),
];

pub(crate) fn http_method(name: &str) -> Option<&'static str> {
    HTTP_METHODS.iter().find(|(word, _)| *word == name).map(|(_, constant)| *constant)
}
