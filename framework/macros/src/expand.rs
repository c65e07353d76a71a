//! `#[handlers]` and `#[resource]` from the item that they stand on to the code that stands there afterwards.

use crate::block::{Kind, read};
use crate::errors::Errors;
use crate::generate;
use proc_macro2::TokenStream;
use quote::{ToTokens, quote};
use syn::Item;

pub(crate) fn expand(kind: Kind, attribute: &TokenStream, item: &TokenStream) -> TokenStream {
    let name = kind.name();
    let mut errors = Errors::default();
    if !attribute.is_empty() {
        errors.at(
            attribute,
            format!("`#[{name}]` takes nothing in parentheses; mark methods with `#[expose]` or `#[child]`"),
        );
    }
    let mut block = match syn::parse2::<Item>(item.clone()) {
        Ok(Item::Impl(block)) => block,
        Ok(Item::Struct(other)) => {
            return misplaced(errors, name, &other.struct_token, &other.ident.to_string(), &other);
        }
        Ok(Item::Enum(other)) => return misplaced(errors, name, &other.enum_token, &other.ident.to_string(), &other),
        Ok(other) => return misplaced(errors, name, &first_token(&other), "Type", &other),
        Err(error) => {
            let error = error.to_compile_error();
            return quote!(#error #item);
        }
    };
    if let Some((path, _)) = &block.trait_ {
        errors.at(path, format!("`#[{name}]` goes on the type's own `impl` block, not on the impl of a trait"));
        let errors = errors.into_tokens();
        return quote!(#errors #block);
    }
    let published = read(kind, &mut block, &mut errors);
    let publish = generate::publish(&block, &published);
    let errors = errors.into_tokens();
    quote!(#block #publish #errors)
}

fn misplaced(
    mut errors: Errors,
    name: &str,
    token: &dyn ToTokens,
    type_name: &str,
    item: &dyn ToTokens,
) -> TokenStream {
    errors.at(
        token.to_token_stream(),
        format!("`#[{name}]` goes on the impl block: `#[{name}] impl {type_name} {{ ... }}`"),
    );
    let errors = errors.into_tokens();
    quote!(#errors #item)
}

fn first_token(item: &Item) -> TokenStream {
    item.to_token_stream()
        .into_iter()
        .find(|token| !matches!(token, proc_macro2::TokenTree::Punct(_)))
        .into_iter()
        .collect()
}
