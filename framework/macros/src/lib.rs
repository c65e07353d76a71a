//! The attribute macros of kirsch: `#[handlers]`, `#[resource]` and `derive(Parameter)`.

use proc_macro::TokenStream;

/// Publishes the exposed methods of an impl block as pages.
#[proc_macro_attribute]
pub fn handlers(_attribute: TokenStream, item: TokenStream) -> TokenStream {
    item
}

/// Publishes the methods of an impl block that are named as HTTP methods.
#[proc_macro_attribute]
pub fn resource(_attribute: TokenStream, item: TokenStream) -> TokenStream {
    item
}

/// Makes an enum or newtype usable as an argument by name.
#[proc_macro_derive(Parameter)]
pub fn parameter(_item: TokenStream) -> TokenStream {
    TokenStream::new()
}
