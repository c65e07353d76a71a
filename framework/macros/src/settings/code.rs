//! The code for a struct of settings: its methods, its defaults, its `impl ::kirsch::settings::Settings`.

use super::default::{argument, name, optional};
use super::{Declared, Field};
use proc_macro2::TokenStream;
use quote::{format_ident, quote, quote_spanned};
use syn::{Type, spanned::Spanned};

pub(super) fn write(declared: &Declared) -> TokenStream {
    let Declared { ident, generics, options, fields, .. } = declared;
    let (parameters, arguments, where_clause) = generics.split_for_impl();
    let defaults = defaults(fields);
    let is_built = |field: &&Field| field.is_setting() && !field.options.no_builder && !options.no_builders;
    let builders: Vec<_> = fields.iter().filter(is_built).map(|field| builder(declared, field)).collect();
    let builders = quote!(#(#builders)*);
    let (own_builders, builders_elsewhere) = match &options.builders_on {
        None => (builders, quote!()),
        Some(owner) => {
            let block = quote! {
                #[automatically_derived]
                #[allow(clippy::all, clippy::pedantic, unused_qualifications)]
                impl #owner { #builders }
            };
            (quote!(), block)
        }
    };
    let settings = fields.iter().filter(|field| field.is_setting()).map(set);
    let further = fields.iter().filter(|field| field.options.flatten).map(|Field { ident, .. }| {
        quote!(.or_else(|| ::kirsch::settings::Settings::set_setting(&mut self.#ident, key, value)))
    });
    let rows = fields.iter().filter(|field| !field.options.skip).map(row);
    let checks = fields.iter().filter_map(check);
    let check_all = options.check.as_ref().map(|check| quote!(#check(self)?;));
    let table = table(fields);
    quote! {
        #[automatically_derived]
        #[allow(clippy::all, clippy::pedantic, unused_qualifications)]
        impl #parameters #ident #arguments #where_clause {
            #defaults
            #own_builders
        }

        #builders_elsewhere

        #(#[doc = #table])*
        #[automatically_derived]
        #[allow(clippy::all, clippy::pedantic, unused_qualifications)]
        impl #parameters ::kirsch::settings::Settings for #ident #arguments #where_clause {
            fn set_setting(
                &mut self,
                key: &str,
                value: &::kirsch::settings::SettingValue,
            ) -> ::core::option::Option<::core::result::Result<(), ::std::string::String>> {
                ::core::option::Option::Some(match key {
                    #(#settings)*
                    _ => return ::core::option::Option::None #(#further)*,
                })
            }

            fn setting_rows(&self) -> ::std::vec::Vec<::kirsch::settings::SettingRow> {
                let mut rows = ::std::vec::Vec::new();
                #(#rows)*
                rows
            }

            fn check_settings(&self) -> ::core::result::Result<(), ::kirsch::settings::SettingError> {
                #(#checks)*
                #check_all
                ::core::result::Result::Ok(())
            }
        }
    }
}

/// The value with all defaults; what has none is an argument.
fn defaults(fields: &[Field]) -> TokenStream {
    let arguments =
        fields.iter().filter(|field| field.options.given).map(|Field { ident, written, .. }| quote!(#ident: #written));
    let values = fields.iter().map(|Field { ident, options, default, .. }| match options.given {
        true => quote!(#ident),
        false => {
            let code = &default.code;
            quote!(#ident: #code)
        }
    });
    quote! {
        /// All settings as they are unless something sets them.
        #[allow(dead_code)]
        fn defaults(#(#arguments),*) -> Self {
            Self { #(#values),* }
        }
    }
}

/// The method that sets a field.
fn builder(declared: &Declared, field: &Field) -> TokenStream {
    let Field { ident, written, documentation, key, default, options, .. } = field;
    let visibility = &declared.visibility;
    let method = options.builder.as_ref().map_or_else(|| ident.clone(), |name| format_ident!("{}", name.value()));
    let in_file = match (&default.text, options.given) {
        (Some(text), false) => format!(" In a file: `{key}`, default `{text}`."),
        _ => format!(" In a file: `{key}`."),
    };
    let content = optional(written).unwrap_or(written);
    let (generics, parameter, value) = match (&*name(content), argument(content).map(name).as_deref()) {
        ("bool", _) => (quote!(), quote!(enabled: bool), quote!(enabled)),
        ("String" | "PathBuf", _) => (
            quote!(),
            quote!(#ident: impl ::core::convert::Into<#content>),
            quote!(::core::convert::Into::into(#ident)),
        ),
        ("Secret", None) => (
            quote!(),
            quote!(#ident: impl ::core::convert::Into<::std::string::String>),
            quote!(::kirsch::settings::Secret::text(#ident)),
        ),
        ("Vec" | "BTreeSet", Some("String")) => (
            quote!(<T: ::core::convert::Into<::std::string::String>>),
            quote!(#ident: impl ::core::iter::IntoIterator<Item = T>),
            quote!(::kirsch::settings::list(#ident)),
        ),
        ("Vec" | "BTreeSet", Some(_)) => {
            let item = argument(content);
            let parameter = quote!(#ident: impl ::core::iter::IntoIterator<Item = #item>);
            (quote!(), parameter, quote!(::kirsch::settings::list(#ident)))
        }
        _ => (quote!(), quote!(#ident: #content), quote!(#ident)),
    };
    let value = if optional(written).is_some() { quote!(::core::option::Option::Some(#value)) } else { value };
    let (visibility, receiver, body) = match &declared.options.builders_on {
        None => (quote!(#visibility), quote!(mut self), quote!(self.#ident = #value; self)),
        Some(_) => {
            let by = declared.options.by.clone().unwrap_or_else(|| format_ident!("with"));
            (quote!(pub), quote!(self), quote!(self.#by(|settings| settings.#ident = #value)))
        }
    };
    quote! {
        #(#documentation)*
        #[doc = ""]
        #[doc = #in_file]
        #[must_use]
        #visibility fn #method #generics(#receiver, #parameter) -> Self {
            #body
        }
    }
}

/// The arm that sets a field by its key.
fn set(field: &Field) -> TokenStream {
    let Field { ident, written, key, options, .. } = field;
    let plain = options.none.is_none() && options.check.is_none();
    let is_own_way = options.size || options.with.is_some() || options.min.is_some() || options.max.is_some();
    if plain && !is_own_way {
        let set = quote_spanned!(written.span()=> <#written as ::kirsch::settings::Setting>::set);
        return quote!(#key => #set(&mut self.#ident, value),);
    }
    let content = if options.none.is_some() { optional(written).unwrap_or(written) } else { written };
    let read = read(content, field);
    let read = match &options.none {
        Some(word) => quote!(::kirsch::settings::optional(value, #word, |value| #read)),
        None => read,
    };
    match &options.check {
        Some(check) => quote! {
            #key => #read.and_then(|read| {
                #check(&read)?;
                self.#ident = read;
                ::core::result::Result::Ok(())
            }),
        },
        None => quote!(#key => #read.map(|read| self.#ident = read),),
    }
}

/// The expression that reads `value`.
fn read(content: &Type, field: &Field) -> TokenStream {
    let options = &field.options;
    match (&options.with, &options.min, &options.max) {
        (Some(module), ..) => quote!(#module::read(value)),
        (None, None, None) if options.size => quote!(::kirsch::settings::size::read::<#content>(value)),
        (None, None, None) => {
            let read = quote_spanned!(content.span()=> <#content as ::kirsch::settings::Setting>::read);
            quote!(#read(value))
        }
        (None, min, max) => {
            let min = min.as_ref().map_or_else(|| quote!(0), |min| quote!(#min));
            let max = max
                .as_ref()
                .map_or_else(|| quote!(::core::option::Option::None), |max| quote!(::core::option::Option::Some(#max)));
            quote!(::kirsch::settings::whole::<#content>(value, #min, #max))
        }
    }
}

/// The row of a field, or the rows of its own settings.
fn row(field: &Field) -> TokenStream {
    let Field { ident, written, key, what, options, .. } = field;
    if options.flatten {
        return quote!(rows.append(&mut ::kirsch::settings::Settings::setting_rows(&self.#ident)););
    }
    let content = if options.none.is_some() { optional(written).unwrap_or(written) } else { written };
    let show = match &options.with {
        Some(module) => quote!(#module::show),
        None if options.size => quote!(::kirsch::settings::size::show),
        None => quote_spanned!(content.span()=> <#content as ::kirsch::settings::Setting>::show),
    };
    let shown = match &options.none {
        Some(word) => {
            let word = format!("\"{}\"", word.value());
            quote!(self.#ident.as_ref().map_or_else(|| <::std::string::String as ::core::convert::From<&str>>::from(#word), |set| #show(set)))
        }
        None => quote!(#show(&self.#ident)),
    };
    let made = if options.given { quote!(given) } else { quote!(new) };
    quote!(rows.push(::kirsch::settings::SettingRow::#made(#key, #what, #shown));)
}

/// The check of a field, and that of its own settings.
fn check(field: &Field) -> Option<TokenStream> {
    let Field { ident, key, options, .. } = field;
    if options.flatten {
        return Some(quote!(::kirsch::settings::Settings::check_settings(&self.#ident)?;));
    }
    let check = options.check.as_ref()?;
    Some(quote! {
        #check(&self.#ident).map_err(|problem| ::kirsch::settings::SettingError::new(#key, problem))?;
    })
}

/// The table of all settings, for the documentation of the program.
fn table(fields: &[Field]) -> Vec<String> {
    let rows = fields.iter().filter(|field| field.is_setting()).map(|Field { key, what, options, default, .. }| {
        let default = default.text.as_ref().filter(|_| !options.given).map(|text| format!("`{text}`"));
        format!(" | `{key}` | {} | {} |", default.unwrap_or_default(), what.replace('|', "\\|"))
    });
    [" | setting | default | |", " |---|---|---|"].map(str::to_owned).into_iter().chain(rows).collect()
}
