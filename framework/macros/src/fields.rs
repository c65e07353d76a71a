//! `derive(Fields)`: a struct as a typed form.

use crate::errors::Errors;
use proc_macro2::{Ident, TokenStream};
use quote::{quote, quote_spanned};
use syn::{
    Data, DeriveInput, Expr, ExprLit, ExprRange, Field, GenericArgument, Lit, LitStr, Path, PathArguments, RangeLimits,
    Type, ext::IdentExt, meta::ParseNestedMeta, spanned::Spanned,
};

pub(crate) fn expand(item: TokenStream) -> TokenStream {
    let input: DeriveInput = match syn::parse2(item) {
        Ok(input) => input,
        Err(error) => return error.to_compile_error(),
    };
    let mut errors = Errors::default();
    let fields = named_fields(&input, &mut errors);
    let check = errors.keep(check_of_struct(&input)).flatten();
    let fields: Vec<_> = fields.into_iter().filter_map(|field| errors.keep(TypedField::read(field))).collect();
    for (index, field) in fields.iter().enumerate() {
        if fields[..index].iter().any(|other| other.name == field.name) {
            errors.at(&field.ident, format!("two fields have the name `{}` in the form", field.name));
        }
    }
    // With a mistake the form has no fields, so that one mistake is one error.
    let right = if errors.is_empty() { &*fields } else { &[] };
    let code = implement(&input.ident, right, check.as_ref().filter(|_| errors.is_empty()), errors.is_empty());
    let errors = errors.into_tokens();
    quote!(#code #errors)
}

fn named_fields<'i>(input: &'i DeriveInput, errors: &mut Errors) -> Vec<&'i Field> {
    if !input.generics.params.is_empty() {
        errors.at(
            &input.generics,
            "a typed form has no generic parameters: its fields are known when the program starts",
        );
    }
    match &input.data {
        Data::Struct(data) if matches!(data.fields, syn::Fields::Named(_)) => data.fields.iter().collect(),
        _ => {
            errors
                .at(&input.ident, "a typed form is a struct with named fields: derive `Parameter` for a single value");
            Vec::new()
        }
    }
}

/// The `check = path` of `#[fields(...)]`.
fn check_of_struct(input: &DeriveInput) -> syn::Result<Option<Path>> {
    let mut check = None;
    for attribute in input.attrs.iter().filter(|attribute| attribute.path().is_ident("fields")) {
        attribute.parse_nested_meta(|option| {
            if !option.path.is_ident("check") {
                return Err(option.error("unknown option of `#[fields]`: allowed is `check = path`"));
            }
            check = Some(option.value()?.parse()?);
            Ok(())
        })?;
    }
    Ok(check)
}

/// One field with what `#[field(...)]` says.
struct TypedField {
    ident: Ident,
    kind: Type,
    name: String,
    /// The tests of a single value, in their order.
    tests: Vec<TokenStream>,
    /// What `FieldInfo` is told.
    info: Vec<TokenStream>,
    /// Functions of the application, after the tests.
    checks: Vec<Path>,
    range: Option<(TokenStream, TokenStream)>,
    count: Option<(TokenStream, TokenStream)>,
    parse: Option<LitStr>,
    message: Option<LitStr>,
    verbatim: bool,
}

impl TypedField {
    fn read(field: &Field) -> syn::Result<Self> {
        let ident = field.ident.clone().ok_or_else(|| syn::Error::new(field.span(), "a field needs a name"))?;
        let mut typed = Self {
            name: ident.unraw().to_string(),
            ident,
            kind: field.ty.clone(),
            tests: Vec::new(),
            info: Vec::new(),
            checks: Vec::new(),
            range: None,
            count: None,
            parse: None,
            message: None,
            verbatim: false,
        };
        for attribute in field.attrs.iter().filter(|attribute| attribute.path().is_ident("field")) {
            attribute.parse_nested_meta(|option| typed.option(&option))?;
        }
        if typed.name == "problems" {
            let message = "templates find the list of all errors under `problems`: give the field another name";
            return Err(syn::Error::new(typed.ident.span(), message));
        }
        Ok(typed)
    }

    fn option(&mut self, option: &ParseNestedMeta<'_>) -> syn::Result<()> {
        let rules = quote!(::kirsch::exchange::fields::rules);
        let word = option.path.get_ident().map(ToString::to_string).unwrap_or_default();
        match &*word {
            "length" => {
                let range: ExprRange = option.value()?.parse()?;
                let (least, most) = bounds(&range)?;
                self.tests.push(quote_spanned!(range.span()=> #rules::length(#least, #most)));
                self.info.push(quote!(.with_length(#least, #most)));
            }
            "count" => self.count = Some(bounds(&option.value()?.parse()?)?),
            "range" => {
                let range: ExprRange = option.value()?.parse()?;
                if let (Some(end), RangeLimits::HalfOpen(_)) = (&range.end, &range.limits) {
                    return Err(syn::Error::new(end.span(), "the largest value belongs to the range: write `..=`"));
                }
                let leaf = inner(&self.kind).map_or(&self.kind, |(_, leaf)| leaf);
                if matches!(leaf, Type::Path(path) if path.path.is_ident("String")) {
                    let message = "`range` is for numbers: make the field a number, such as `u32`, or write `length = 1..=20` for a text";
                    return Err(syn::Error::new(range.span(), message));
                }
                let text = |end: &Option<Box<Expr>>| match end.as_deref() {
                    Some(end) => quote!(::core::option::Option::Some(::core::stringify!(#end))),
                    None => quote!(::core::option::Option::None),
                };
                let (min, max) = (text(&range.start), text(&range.end));
                self.tests.push(quote!(#rules::range(#range)));
                self.info.push(quote!(.with_range(#min, #max)));
                self.range = Some((min, max));
            }
            "email" => self.tests.push(quote!(#rules::email)),
            "check" => {
                let path: Path = option.value()?.parse()?;
                self.checks.push(path);
            }
            "parse" => self.parse = Some(option.value()?.parse()?),
            "message" => self.message = Some(option.value()?.parse()?),
            "rename" => self.name = option.value()?.parse::<LitStr>()?.value(),
            "verbatim" => self.verbatim = true,
            _ => {
                return Err(option.error(
                    "unknown option of `#[field]`: allowed are `length = 1..=20`, `range = 1..=99`, `count = 1..=3`, `email`, \
                     `check = path`, `parse = \"what it must be\"`, `message = \"...\"`, `rename = \"...\"` and `verbatim`",
                ));
            }
        }
        Ok(())
    }

    /// The type that is read: of another crate's type its wrapper, within an `Option` or a `Vec` too.
    fn read_type(&self) -> TokenStream {
        let kind = &self.kind;
        match (&self.parse, inner(kind)) {
            (None, _) => quote!(#kind),
            (Some(_), None) => quote!(::kirsch::exchange::fields::Parsed<#kind>),
            (Some(_), Some((outer, inner))) => quote!(#outer<::kirsch::exchange::fields::Parsed<#inner>>),
        }
    }

    fn unwrap(&self) -> TokenStream {
        let ident = &self.ident;
        match (&self.parse, inner(&self.kind)) {
            (None, _) => quote!(#ident?),
            (Some(_), None) => quote!(#ident?.0),
            (Some(_), Some((outer, _))) if outer == "Option" => quote!(#ident?.map(|value| value.0)),
            (Some(_), Some(_)) => quote!(#ident?.into_iter().map(|value| value.0).collect()),
        }
    }
}

/// The least and the largest number of a range such as `1..=20`, `..=20`, `3..`.
fn bounds(range: &ExprRange) -> syn::Result<(TokenStream, TokenStream)> {
    let least = range.start.as_ref().map_or_else(|| quote!(0), |start| quote!(#start));
    let most = match (&range.end, &range.limits) {
        (None, _) => quote!(::core::primitive::usize::MAX),
        (Some(end), RangeLimits::Closed(_)) => quote!(#end),
        (Some(end), RangeLimits::HalfOpen(_)) => quote!(#end - 1),
    };
    for end in [&range.start, &range.end].into_iter().flatten() {
        if let Expr::Lit(ExprLit { lit, .. }) = &**end
            && !matches!(lit, Lit::Int(_))
        {
            return Err(syn::Error::new(end.span(), "a number of characters or values is a whole number"));
        }
    }
    Ok((least, most))
}

/// `Option` and `T` of `Option<T>`, `Vec` and `T` of `Vec<T>`.
fn inner(kind: &Type) -> Option<(Ident, &Type)> {
    let Type::Path(path) = kind else { return None };
    let last = path.path.segments.last()?;
    let PathArguments::AngleBracketed(arguments) = &last.arguments else { return None };
    match arguments.args.first()? {
        GenericArgument::Type(inner) if last.ident == "Option" || last.ident == "Vec" => {
            Some((last.ident.clone(), inner))
        }
        _ => None,
    }
}

fn implement(ident: &Ident, fields: &[TypedField], check: Option<&Path>, is_right: bool) -> TokenStream {
    let infos = fields.iter().map(|field| {
        let (name, kind, info) = (&field.name, field.read_type(), &field.info);
        quote_spanned!(field.kind.span()=> ::kirsch::exchange::FieldInfo::of::<#kind>(#name) #(#info)*)
    });
    let reads = fields.iter().map(|field| {
        let TypedField { ident, name, tests, verbatim, .. } = field;
        let kind = field.read_type();
        // A closure, so that a check of a text may take `&str`.
        let checks = field.checks.iter().map(|path| {
            quote_spanned! {path.span()=>
                ::kirsch::exchange::fields::rules::check(
                    |value: &<#kind as ::kirsch::exchange::FieldValue>::Leaf| #path(value)
                )
            }
        });
        let tests = tests.iter().cloned().chain(checks);
        let (least, most) = field.count.clone().unwrap_or_else(|| (quote!(0), quote!(::core::primitive::usize::MAX)));
        let none = quote!(::core::option::Option::None);
        let (min, max) = field.range.clone().unwrap_or_else(|| (none.clone(), none));
        let text = |text: &Option<LitStr>| match text {
            Some(text) => quote!(::core::option::Option::Some(#text)),
            None => quote!(::core::option::Option::None),
        };
        let (expected, message) = (text(&field.parse), text(&field.message));
        quote_spanned! {field.kind.span()=>
            let #ident = reader.field::<#kind>(#name, &::kirsch::exchange::fields::FieldRules {
                range: (#min, #max),
                verbatim: #verbatim,
                count: (#least, #most),
                expected: #expected,
                message: #message,
                tests: &[#(&#tests),*],
            });
        }
    });
    let values = fields.iter().map(|field| {
        let (ident, value) = (&field.ident, field.unwrap());
        quote!(#ident: #value)
    });
    let checked = match check {
        Some(path) => quote_spanned!(path.span()=> reader.check(value, #path)),
        None => quote!(::core::option::Option::Some(value)),
    };
    let value = match is_right {
        true => quote!(let value = Self { #(#values),* }; #checked),
        false => quote!(::core::option::Option::None),
    };
    quote! {
        #[automatically_derived]
        impl ::kirsch::exchange::Fields for #ident {
            const FIELDS: &'static [::kirsch::exchange::FieldInfo] = &[#(#infos),*];

            fn read(reader: &mut ::kirsch::exchange::fields::FieldReader<'_>) -> ::core::option::Option<Self> {
                #(#reads)*
                #value
            }
        }

        #[automatically_derived]
        impl<'de> ::kirsch::exchange::fields::derived::Deserialize<'de> for #ident {
            fn deserialize<D: ::kirsch::exchange::fields::derived::Deserializer<'de>>(
                deserializer: D,
            ) -> ::core::result::Result<Self, D::Error> {
                ::kirsch::exchange::fields::deserialize(deserializer)
            }
        }
    }
}
