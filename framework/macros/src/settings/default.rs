//! The default of a setting: as an expression, and as a file would have it.
//!
//! `default = "1h"` for a `Duration`, `"4 MiB"` for a size, `["a", "b"]` for a list are written as in a file. Any other
//! expression stands as it is, and what it would be in a file is known when the program runs. A setting without one has
//! the default of its type.

use super::options::FieldOptions;
use proc_macro2::TokenStream;
use quote::quote;
use syn::{Error, Expr, ExprLit, GenericArgument, Lit, LitStr, PathArguments, Type};

pub(super) struct Default {
    pub(super) code: TokenStream,
    /// As a file has it, if that is known before the program runs.
    pub(super) text: Option<String>,
}

impl Default {
    pub(super) fn of(written: &Type, options: &FieldOptions) -> syn::Result<Self> {
        let content = optional(written);
        match &options.default {
            Some(value) => {
                let Self { code, text } = Self::of_expression(content.unwrap_or(written), value, options)?;
                let code = if content.is_some() { quote!(::core::option::Option::Some(#code)) } else { code };
                Ok(Self { code, text })
            }
            None => {
                let word = options.none.as_ref().map(|word| format!("\"{}\"", word.value()));
                let text = word.or_else(|| empty(written, options).map(str::to_owned));
                Ok(Self { text, ..Self::of_type() })
            }
        }
    }

    /// The default of the type, whatever it is.
    pub(super) fn of_type() -> Self {
        Self { code: quote!(::core::default::Default::default()), text: None }
    }

    fn of_expression(written: &Type, value: &Expr, options: &FieldOptions) -> syn::Result<Self> {
        let known = |code: TokenStream, text: String| Ok(Self { code, text: Some(text) });
        match (value, &*name(written)) {
            (Expr::Lit(ExprLit { lit: Lit::Str(text), .. }), "Duration") => {
                let duration = milliseconds(text)?;
                let code = match duration % 1000 {
                    0 => {
                        let seconds = duration / 1000;
                        quote!(::core::time::Duration::from_secs(#seconds))
                    }
                    _ => quote!(::core::time::Duration::from_millis(#duration)),
                };
                known(code, format!("{:?}", text.value()))
            }
            (Expr::Lit(ExprLit { lit: Lit::Str(text), .. }), _) if options.size => {
                let bytes = proc_macro2::Literal::u64_unsuffixed(bytes(text)?);
                known(quote!(#bytes), format!("{:?}", text.value()))
            }
            (Expr::Lit(ExprLit { lit: Lit::Str(text), .. }), "String" | "PathBuf") => {
                known(quote!(<#written as ::core::convert::From<&str>>::from(#text)), format!("{:?}", text.value()))
            }
            (Expr::Lit(ExprLit { lit: Lit::Int(_) | Lit::Bool(_), .. }), _) => {
                known(quote!(#value), quote!(#value).to_string().replace('_', ""))
            }
            (Expr::Array(list), "Vec" | "BTreeSet") => {
                let texts: Option<Vec<&LitStr>> = list.elems.iter().map(text_of).collect();
                let Some(texts) = texts else { return Ok(Self { code: quote!(#value), text: None }) };
                let shown: Vec<String> = texts.iter().map(|text| format!("{:?}", text.value())).collect();
                let code = quote!(::kirsch::settings::list([#(#texts),*]));
                known(code, format!("[{}]", shown.join(", ")))
            }
            _ => Ok(Self { code: quote!(#value), text: None }),
        }
    }
}

fn text_of(value: &Expr) -> Option<&LitStr> {
    match value {
        Expr::Lit(ExprLit { lit: Lit::Str(text), .. }) => Some(text),
        _ => None,
    }
}

/// How a file has the default of the type.
fn empty(written: &Type, options: &FieldOptions) -> Option<&'static str> {
    match &*name(written) {
        "bool" => Some("false"),
        _ if options.size => Some("\"0 B\""),
        "u8" | "u16" | "u32" | "u64" | "usize" => Some("0"),
        "Duration" => Some("\"0s\""),
        "String" => Some("\"\""),
        "Vec" | "BTreeSet" => Some("[]"),
        "BTreeMap" => Some("{}"),
        _ => None,
    }
}

/// The last name of a type.
pub(super) fn name(written: &Type) -> String {
    match written {
        Type::Path(path) => path.path.segments.last().map(|segment| segment.ident.to_string()).unwrap_or_default(),
        _ => String::new(),
    }
}

/// The content of an `Option`.
pub(super) fn optional(written: &Type) -> Option<&Type> {
    if name(written) == "Option" { argument(written) } else { None }
}

/// The first type in the angle brackets of a type.
pub(super) fn argument(written: &Type) -> Option<&Type> {
    let Type::Path(path) = written else { return None };
    let PathArguments::AngleBracketed(arguments) = &path.path.segments.last()?.arguments else { return None };
    arguments.args.iter().find_map(|argument| match argument {
        GenericArgument::Type(content) => Some(content),
        _ => None,
    })
}

fn number_and_unit(text: &LitStr) -> Option<(u64, String)> {
    let value = text.value();
    let digits = value.bytes().take_while(u8::is_ascii_digit).count();
    Some((value[..digits].parse().ok()?, value[digits..].trim_start().to_owned()))
}

fn milliseconds(text: &LitStr) -> syn::Result<u64> {
    const UNITS: [(&str, u64); 5] = [("ms", 1), ("s", 1000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000)];
    let found = number_and_unit(text).and_then(|(number, unit)| {
        let (_, factor) = UNITS.iter().find(|(name, _)| *name == unit)?;
        number.checked_mul(*factor)
    });
    found.ok_or_else(|| {
        Error::new(text.span(), "a duration has a unit, as \"250ms\", \"20s\", \"5m\", \"2h\" or \"7d\"")
    })
}

fn bytes(text: &LitStr) -> syn::Result<u64> {
    const UNITS: [(&str, u64); 8] = [
        ("B", 1),
        ("kB", 1000),
        ("MB", 1_000_000),
        ("GB", 1_000_000_000),
        ("KiB", 1 << 10),
        ("MiB", 1 << 20),
        ("GiB", 1 << 30),
        ("TiB", 1 << 40),
    ];
    let found = number_and_unit(text).and_then(|(number, unit)| {
        let (_, factor) = UNITS.iter().find(|(name, _)| *name == unit)?;
        number.checked_mul(*factor)
    });
    found.ok_or_else(|| Error::new(text.span(), "a size has a unit, as \"512 B\", \"64 KiB\" or \"100 MiB\""))
}
