//! `derive(Parameter)`: enums by the names of their variants, newtypes by their content.

use crate::errors::Errors;
use proc_macro2::{Ident, TokenStream};
use quote::quote;
use syn::{Data, DataEnum, DeriveInput, Fields, LitStr, Type, Variant, ext::IdentExt, parse_quote};

pub(crate) fn expand(item: TokenStream) -> TokenStream {
    let input: DeriveInput = match syn::parse2(item) {
        Ok(input) => input,
        Err(error) => return error.to_compile_error(),
    };
    let mut errors = Errors::default();
    let body = match &input.data {
        Data::Enum(data) => of_enum(&input.ident, data, &mut errors),
        Data::Struct(data) => match &data.fields {
            Fields::Unnamed(fields) if fields.unnamed.len() == 1 => Some(of_newtype(&fields.unnamed[0].ty)),
            _ => refuse(&input.ident, &mut errors),
        },
        Data::Union(_) => refuse(&input.ident, &mut errors),
    };
    let code = body.map(|body| implement(&input, &body)).unwrap_or_default();
    let errors = errors.into_tokens();
    quote!(#code #errors)
}

/// The parts of the two impls.
struct Body {
    expected: TokenStream,
    from_text: TokenStream,
    to_text: TokenStream,
    content: Option<Type>,
    values: Vec<String>,
}

fn refuse(ident: &Ident, errors: &mut Errors) -> Option<Body> {
    errors.at(
        ident,
        "a parameter is one piece of text: derive `Parameter` for an enum without fields or for a newtype, `struct Id(i64);`",
    );
    None
}

fn of_newtype(content: &Type) -> Body {
    Body {
        expected: quote!(<#content as ::kirsch::exchange::Parameter>::EXPECTED),
        from_text: quote!(<#content as ::kirsch::exchange::Parameter>::from_text(text).map(Self)),
        to_text: quote!(<#content as ::kirsch::exchange::Parameter>::to_text(&self.0)),
        content: Some(content.clone()),
        values: Vec::new(),
    }
}

fn of_enum(ident: &Ident, data: &DataEnum, errors: &mut Errors) -> Option<Body> {
    if data.variants.is_empty() {
        errors.at(ident, "an enum without variants has no value that a parameter could be");
        return None;
    }
    let mut names: Vec<String> = Vec::new();
    let (mut arms, mut back) = (TokenStream::new(), TokenStream::new());
    for variant in &data.variants {
        if !matches!(variant.fields, Fields::Unit) {
            errors.at(&variant.fields, "a variant of a parameter has no fields: its name is all that the text can say");
            continue;
        }
        let Some(name) = errors.keep(variant_name(variant)) else { continue };
        if names.contains(&name) {
            errors.at(variant, format!("two variants are written as `{name}`"));
            continue;
        }
        let ident = &variant.ident;
        arms.extend(quote!(#name => ::core::result::Result::Ok(Self::#ident),));
        back.extend(quote!(Self::#ident => ::std::borrow::Cow::Borrowed(#name),));
        names.push(name);
    }
    let list = names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
    let expected = if names.len() == 1 { list } else { format!("one of {list}") };
    // A variant that is refused is no second mistake.
    let others = (names.len() < data.variants.len()).then(|| quote!(_ => ::std::borrow::Cow::Borrowed(""),));
    Some(Body {
        expected: quote!(#expected),
        from_text: quote! {
            match text {
                #arms
                _ => ::core::result::Result::Err(::kirsch::exchange::InvalidParameter),
            }
        },
        to_text: quote!(match self { #back #others }),
        content: None,
        values: names,
    })
}

fn variant_name(variant: &Variant) -> syn::Result<String> {
    let mut name = snake_case(&variant.ident.unraw().to_string());
    for attribute in variant.attrs.iter().filter(|attribute| attribute.path().is_ident("parameter")) {
        attribute.parse_nested_meta(|option| {
            if !option.path.is_ident("rename") {
                return Err(option.error("unknown option of `#[parameter]`: allowed is `rename = \"...\"`"));
            }
            name = option.value()?.parse::<LitStr>()?.value();
            Ok(())
        })?;
    }
    Ok(name)
}

/// `DarkBlue` is `dark_blue`, `HTTPError` is `http_error`.
fn snake_case(name: &str) -> String {
    let letters: Vec<char> = name.chars().collect();
    let mut text = String::new();
    for (index, letter) in letters.iter().enumerate() {
        let starts_word = letter.is_uppercase()
            && index > 0
            && letters[index - 1] != '_'
            && (!letters[index - 1].is_uppercase() || letters.get(index + 1).is_some_and(|next| next.is_lowercase()));
        if starts_word {
            text.push('_');
        }
        text.extend(letter.to_lowercase());
    }
    text
}

fn implement(input: &DeriveInput, body: &Body) -> TokenStream {
    let DeriveInput { ident, generics, .. } = input;
    let Body { expected, from_text, to_text, content, values } = body;
    let kind = content.as_ref().map(|content| {
        quote! {
            const KIND: ::kirsch::exchange::FieldKind = <#content as ::kirsch::exchange::Parameter>::KIND;
            const VALUES: &'static [&'static str] = <#content as ::kirsch::exchange::Parameter>::VALUES;
        }
    });
    let kind = kind.unwrap_or_else(|| quote!(const VALUES: &'static [&'static str] = &[#(#values),*];));
    let mut generics = generics.clone();
    if let Some(content) = content
        && generics.type_params().next().is_some()
    {
        generics.make_where_clause().predicates.push(parse_quote!(#content: ::kirsch::exchange::Parameter));
    }
    let mut with_lifetime = generics.clone();
    with_lifetime.params.insert(0, parse_quote!('kirsch));
    let (parameters, arguments, where_clause) = generics.split_for_impl();
    let (argument_parameters, ..) = with_lifetime.split_for_impl();
    quote! {
        #[automatically_derived]
        impl #parameters ::kirsch::exchange::Parameter for #ident #arguments #where_clause {
            const EXPECTED: &'static str = #expected;
            #kind

            fn from_text(text: &str) -> ::core::result::Result<Self, ::kirsch::exchange::InvalidParameter> {
                #from_text
            }

            fn to_text(&self) -> ::std::borrow::Cow<'_, str> {
                #to_text
            }
        }

        #[automatically_derived]
        impl #argument_parameters ::kirsch::exchange::Argument<'kirsch> for #ident #arguments #where_clause {
            const INFO: ::kirsch::exchange::ArgumentInfo = ::kirsch::exchange::ArgumentInfo::PARAMETER;

            fn take(
                name: &'static str,
                arguments: &mut ::kirsch::exchange::Arguments<'kirsch>,
            ) -> ::core::result::Result<Self, ::kirsch::exchange::HttpError> {
                arguments.required(name)
            }
        }

        #[automatically_derived]
        impl #parameters ::kirsch::exchange::FieldValue for #ident #arguments #where_clause {
            type Leaf = Self;
            const KIND: ::kirsch::exchange::FieldKind = <Self as ::kirsch::exchange::Parameter>::KIND;
            const VALUES: &'static [&'static str] = <Self as ::kirsch::exchange::Parameter>::VALUES;

            fn read(
                place: &::kirsch::exchange::fields::FieldPlace<'_>,
                rules: &::kirsch::exchange::fields::FieldRules<'_, Self>,
                errors: &mut ::std::vec::Vec<::kirsch::exchange::FieldError>,
            ) -> ::core::option::Option<Self> {
                ::kirsch::exchange::fields::read_parameter(place, rules, errors)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::snake_case;

    #[test]
    fn variants_are_written_in_snake_case() {
        assert_eq!(snake_case("Red"), "red");
        assert_eq!(snake_case("DarkBlue"), "dark_blue");
        assert_eq!(snake_case("HTTPError"), "http_error");
        assert_eq!(snake_case("V2"), "v2");
    }
}
