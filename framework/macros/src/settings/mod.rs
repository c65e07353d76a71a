//! `derive(Settings)`: from the fields of a struct to builder methods, keys of files, checks, defaults and rows of the
//! reference.
//!
//! Reads the struct into [`Declared`], checked but not yet code; `code.rs` writes the code. What a type can be is asked
//! of the compiler, which finds out whether it is a `::kirsch::settings::Setting`. Defaults with a unit are computed
//! here: a wrong one does not compile.

mod code;
mod default;
mod options;

use crate::errors::Errors;
use default::Default;
use options::{FieldOptions, StructOptions};
use proc_macro2::{Ident, TokenStream};
use quote::quote;
use syn::{Attribute, Data, DeriveInput, Expr, ExprLit, Fields, Generics, Lit, Meta, Type, Visibility, ext::IdentExt};

/// A struct of settings.
pub(crate) struct Declared {
    ident: Ident,
    visibility: Visibility,
    generics: Generics,
    options: StructOptions,
    fields: Vec<Field>,
}

/// A field of it.
struct Field {
    ident: Ident,
    written: Type,
    documentation: Vec<Attribute>,
    options: FieldOptions,
    key: String,
    /// The first paragraph of the documentation.
    what: String,
    default: Default,
}

impl Field {
    /// Whether it is one setting: neither several nor none.
    fn is_setting(&self) -> bool {
        !self.options.skip && !self.options.flatten
    }
}

pub(crate) fn expand(item: TokenStream) -> TokenStream {
    let input: DeriveInput = match syn::parse2(item) {
        Ok(input) => input,
        Err(error) => return error.to_compile_error(),
    };
    let mut errors = Errors::default();
    let code = read(input, &mut errors).map(|declared| code::write(&declared)).unwrap_or_default();
    let errors = errors.into_tokens();
    quote!(#code #errors)
}

fn read(input: DeriveInput, errors: &mut Errors) -> Option<Declared> {
    let DeriveInput { attrs, vis: visibility, ident, generics, data } = input;
    let named = match data {
        Data::Struct(data) => match data.fields {
            Fields::Named(fields) => Some(fields.named),
            _ => None,
        },
        _ => None,
    };
    let Some(named) = named else {
        errors.at(&ident, "settings are the fields of a struct: derive `Settings` for `struct Name { setting: Type }`");
        return None;
    };
    let options = StructOptions::read(&attrs, errors);
    let fields: Vec<Field> = named.into_iter().filter_map(|field| read_field(field, errors)).collect();
    for (index, field) in fields.iter().enumerate().filter(|(_, field)| field.is_setting()) {
        if fields[..index].iter().any(|other| other.is_setting() && other.key == field.key) {
            errors.at(&field.ident, format!("two settings are called `{}`", field.key));
        }
    }
    Some(Declared { ident, visibility, generics, options, fields })
}

fn read_field(field: syn::Field, errors: &mut Errors) -> Option<Field> {
    let ident = field.ident?;
    let options = FieldOptions::read(&field.attrs, errors);
    let documentation: Vec<_> = field.attrs.into_iter().filter(|attribute| attribute.path().is_ident("doc")).collect();
    let what = first_paragraph(&documentation);
    if what.is_empty() && !options.skip && !options.flatten {
        errors.at(&ident, "a setting needs a doc comment: its first paragraph is the row of the reference");
    }
    let key = options.key.clone().unwrap_or_else(|| ident.unraw().to_string());
    let default = errors.keep(Default::of(&field.ty, &options)).unwrap_or_else(Default::of_type);
    Some(Field { ident, written: field.ty, documentation, options, key, what, default })
}

/// The first paragraph of a doc comment in one line, its links as texts.
fn first_paragraph(documentation: &[Attribute]) -> String {
    let lines = documentation.iter().filter_map(|attribute| match &attribute.meta {
        Meta::NameValue(named) => match &named.value {
            Expr::Lit(ExprLit { lit: Lit::Str(text), .. }) => Some(text.value().trim().to_owned()),
            _ => None,
        },
        _ => None,
    });
    let lines: Vec<String> = lines.take_while(|line| !line.is_empty()).collect();
    without_links(&lines.join(" "))
}

/// `[text](target)` and `[text]` become `text`.
fn without_links(text: &str) -> String {
    let mut plain = String::new();
    let mut rest = text;
    while let Some((before, link)) = rest.split_once('[') {
        plain.push_str(before);
        let Some((label, behind)) = link.split_once(']').filter(|(label, _)| label.starts_with('`') && label.len() > 1)
        else {
            plain.push('[');
            rest = link;
            continue;
        };
        plain.push_str(label);
        let target = behind.strip_prefix('(').and_then(|target| target.split_once(')'));
        rest = target.map_or(behind, |(_, behind)| behind);
    }
    plain + rest
}

#[cfg(test)]
mod tests {
    use super::without_links;

    #[test]
    fn links_to_items_are_their_texts_in_a_row() {
        let table = [
            ("needs [`subdomains`](Self::subdomains), too", "needs `subdomains`, too"),
            ("any [`Tool`]", "any `Tool`"),
            ("a list, as `[1, 2]`", "a list, as `[1, 2]`"),
            ("open [", "open ["),
        ];
        for (written, plain) in table {
            assert_eq!(without_links(written), plain);
        }
    }
}
