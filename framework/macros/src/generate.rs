//! The code for a checked block: its `impl ::kirsch::Publish`.
//!
//! * Types are written only in expressions, where the compiler fills in elided lifetimes. So a block may be generic
//!   over types and lifetimes, and a child may borrow from its parent.
//! * The shape is one constant. A method that a `#[cfg]` removes leaves an empty entry, so that indexes stay.
//! * Tuple variants around a borrow are written `{ 0: &... }`: before Rust 1.89 a call such as `Borrowed(&...)` does
//!   not make it last.
//! * The tokens that name a user's type have the span of the place where the user wrote it: errors point there.

use crate::block::{Block, Child, Kind, Page};
use crate::links::{links, name_lifetimes};
use crate::method::{From, Method, Taken, contains_impl_trait, output_span};
use proc_macro2::{Ident, Span, TokenStream};
use quote::{format_ident, quote, quote_spanned};
use syn::{Attribute, ItemImpl, spanned::Spanned};

pub(crate) fn publish(block: &ItemImpl, published: &Block) -> TokenStream {
    let mut block = ItemImpl { items: Vec::new(), ..block.clone() };
    name_lifetimes(&mut block);
    let (generics, _, where_clause) = block.generics.split_for_impl();
    let self_type = &block.self_ty;
    let conditions = block.attrs.iter().filter(|attribute| attribute.path().is_ident("cfg"));
    let Block { type_name, unexposed, .. } = published;
    let kind = match published.kind {
        Kind::Pages => quote!(Pages),
        Kind::Resource => quote!(Resource),
    };
    let handlers = published.pages.iter().map(handler);
    let children = published.children.iter().map(child);
    let handler_arms = (0_u16..).zip(&published.pages).map(|(index, page)| handler_arm(index, page));
    let child_arms = (0_u16..).zip(&published.children).map(|(index, child)| child_arm(index, child));
    let call = local("call");
    let (links, links_type) = links(&block, published);
    quote! {
        #(#conditions)*
        #[allow(clippy::all, clippy::pedantic, clippy::nursery, unused_qualifications)]
        #[allow(dead_code, elided_lifetimes_in_paths, missing_docs, missing_debug_implementations)]
        #[allow(private_bounds, private_interfaces, unreachable_pub, unnameable_types)]
        const _: () = {
        // A second block is an error about `Publish`, which tells nothing, and one about this name.
        impl #generics #self_type #where_clause {
            #[doc(hidden)]
            const A_TYPE_CAN_HAVE_ONLY_ONE_BLOCK_OF_HANDLERS_OR_RESOURCE: () = ();
        }

        #links

        #[automatically_derived]
        impl #generics ::kirsch::publish::Publish for #self_type #where_clause {
            type Links = #links_type;

            fn node() -> ::kirsch::publish::NodeRef {
                ::kirsch::publish::NodeRef::Static(const {
                    &::kirsch::publish::Node {
                        type_name: ::std::borrow::Cow::Borrowed(#type_name),
                        type_path: || ::core::any::type_name::<Self>(),
                        kind: ::kirsch::publish::NodeKind::#kind,
                        handlers: ::std::borrow::Cow::Borrowed { 0: &[#(#handlers)*] },
                        children: ::std::borrow::Cow::Borrowed { 0: &[#(#children)*] },
                        unexposed: ::std::borrow::Cow::Borrowed { 0: &[#(#unexposed),*] },
                        dispatch: ::core::option::Option::None,
                    }
                })
            }

            fn describe(&self) -> ::kirsch::publish::NodeRef {
                <Self as ::kirsch::publish::Publish>::node()
            }

            fn call(&self, #call: &mut ::kirsch::publish::Call<'_>) -> ::core::result::Result<(), ::kirsch::exchange::Error> {
                match #call.step() {
                    #(#handler_arms)*
                    #(#child_arms)*
                    _ => ::core::result::Result::Err(#call.misled()),
                }
            }
        }
        };
    }
}

fn handler(page: &Page) -> TokenStream {
    let Page { name, aliases, .. } = page;
    let mut methods = quote!(::kirsch::exchange::MethodSet::PAGE);
    for (index, method) in page.methods.iter().enumerate() {
        let method = format_ident!("{method}");
        methods = match index {
            0 => quote!(::kirsch::exchange::MethodSet::#method),
            _ => quote!(#methods.with(::kirsch::exchange::MethodSet::#method)),
        };
    }
    let arguments = page.method.arguments.iter().map(information);
    let return_requires = match &page.method.output {
        Some(output) if !contains_impl_trait(output) => {
            quote_spanned!(output.span()=> <#output as ::kirsch::exchange::IntoResponse>::REQUIRES)
        }
        _ => quote!(::core::option::Option::None),
    };
    let description = description(&page.method, &page.documentation);
    entry(
        &page.conditions,
        &quote! {
            ::kirsch::exchange::HandlerRef::Static { 0: &::kirsch::exchange::Handler {
                name: ::std::borrow::Cow::Borrowed(#name),
                aliases: ::std::borrow::Cow::Borrowed { 0: &[#(#aliases),*] },
                methods: #methods,
                arguments: ::std::borrow::Cow::Borrowed { 0: &[#(#arguments),*] },
                return_requires: #return_requires,
                description: #description,
            } }
        },
        &quote!(::kirsch::exchange::HandlerRef::Static(&::kirsch::exchange::Handler::ABSENT)),
    )
}

fn child(child: &Child) -> TokenStream {
    let Child { name, method, .. } = child;
    let output = &method.output;
    let arguments = method.arguments.iter().map(information);
    let types = method.arguments.iter().map(written);
    let description = quote! {
        ::kirsch::__describe!("", [#(#types),*], ::kirsch::exchange::Answer::UNKNOWN, [])
    };
    let below = quote_spanned!(output_span(method)=> <#output as ::kirsch::publish::Child>::below);
    entry(
        &child.conditions,
        &quote! {
            ::kirsch::publish::ChildStep {
                name: ::std::borrow::Cow::Borrowed(#name),
                arguments: ::std::borrow::Cow::Borrowed { 0: &::kirsch::publish::child_arguments([#(#arguments),*]) },
                node: ::kirsch::publish::ChildNode::ByType(|| #below()),
                description: #description,
            }
        },
        &quote!(::kirsch::publish::ChildStep::ABSENT),
    )
}

/// An element of a list, or the empty one that stands in when a `#[cfg]` removes it.
fn entry(conditions: &[Attribute], present: &TokenStream, absent: &TokenStream) -> TokenStream {
    if conditions.is_empty() {
        return quote!(#present,);
    }
    let met = conditions.iter().filter_map(|attribute| attribute.meta.require_list().ok()).map(|list| &list.tokens);
    let unmet = met.clone();
    quote! {
        #[cfg(all(#(#met),*))]
        #present,
        #[cfg(not(all(#(#unmet),*)))]
        #absent,
    }
}

fn information(argument: &Taken) -> TokenStream {
    let name = &argument.name;
    match &argument.from {
        From::Response(_) => quote!(::kirsch::exchange::ArgumentInfo::TYPED.named(#name)),
        From::Type(written) => {
            quote_spanned!(written.span()=> <#written as ::kirsch::exchange::Argument<'_>>::INFO.named(#name))
        }
    }
}

/// What the types of a handler tell about it.
fn description(method: &Method, documentation: &str) -> TokenStream {
    let types = method.arguments.iter().map(written);
    let output = method.output.as_ref().filter(|output| !contains_impl_trait(output));
    let answer = match (output, &method.output) {
        (Some(output), _) => quote_spanned!(output.span()=> <#output as ::kirsch::exchange::IntoResponse>::ANSWER),
        (None, None) => quote!(<() as ::kirsch::exchange::IntoResponse>::ANSWER),
        (None, Some(_)) => quote!(::kirsch::exchange::Answer::UNKNOWN),
    };
    quote!(::kirsch::__describe!(#documentation, [#(#types),*], #answer, [#output]))
}

fn written(argument: &Taken) -> &syn::Type {
    match &argument.from {
        From::Response(written) | From::Type(written) => written,
    }
}

fn handler_arm(index: u16, page: &Page) -> TokenStream {
    let Page { method, conditions, .. } = page;
    let response = local("response");
    let call = local("call");
    let first = local("first");
    let (pattern, opening, takes, result) = if method.takes_something() {
        let arguments = local("arguments");
        let (takes, result) = call_method(method, &arguments, &response);
        (
            quote!(first: #first),
            quote!(let (mut #arguments, #response) = #call.handler_arguments(#first);),
            takes,
            result,
        )
    } else {
        let unused = local("arguments");
        let (takes, result) = call_method(method, &unused, &response);
        (quote!(first: _), quote!(let #response = #call.response();), takes, result)
    };
    let into_response = into_response(method);
    let value = local_at("value", output_span(method));
    quote! {
        #(#conditions)*
        ::kirsch::exchange::Step::Handler { index: #index, #pattern } => {
            #opening
            #takes
            let #value = #result;
            #into_response(#value, #response)
        }
    }
}

fn child_arm(index: u16, child: &Child) -> TokenStream {
    let Child { method, conditions, .. } = child;
    let call = local("call");
    let first = local("first");
    let count = local("count");
    let value = local_at("value", output_span(method));
    let arguments = local("arguments");
    let (takes, result) = call_method(method, &arguments, &arguments);
    let (pattern, opening) = if method.takes_something() {
        (quote!(first: #first, count: #count), quote!(let (mut #arguments, _) = #call.arguments(#first, #count);))
    } else {
        (quote!(..), quote!())
    };
    let output = &method.output;
    let go_on = quote_spanned!(output_span(method)=> <#output as ::kirsch::publish::Child>::go_on);
    quote! {
        #(#conditions)*
        ::kirsch::exchange::Step::Child { index: #index, #pattern } => {
            let #value = {
                #opening
                #takes
                #result
            };
            #go_on(#value, #call)
        }
    }
}

/// The conversion of the return. A type with `impl Trait` in it can be written nowhere else; any other is named, so
/// that an error covers all of it.
fn into_response(method: &Method) -> TokenStream {
    let span = output_span(method);
    match &method.output {
        Some(output) if !contains_impl_trait(output) => {
            quote_spanned!(span=> <#output as ::kirsch::exchange::IntoResponse>::into_response)
        }
        _ => quote_spanned!(span=> ::kirsch::exchange::IntoResponse::into_response),
    }
}

/// The statements that take the arguments, and the call itself.
fn call_method(method: &Method, arguments: &Ident, response: &Ident) -> (TokenStream, TokenStream) {
    let ident = &method.ident;
    let mut takes = TokenStream::new();
    let mut passed = Vec::new();
    for (number, argument) in method.arguments.iter().enumerate() {
        match &argument.from {
            From::Response(_) => passed.push(quote!(&mut *#response)),
            From::Type(written) => {
                let name = &argument.name;
                let variable = local(&format!("argument_{number}"));
                let take = quote_spanned!(written.span()=> <#written as ::kirsch::exchange::Argument<'_>>::take);
                takes.extend(quote!(let #variable = #take(#name, &mut #arguments)?;));
                passed.push(quote!(#variable));
            }
        }
    }
    (takes, quote!(Self::#ident(self, #(#passed),*)))
}

/// A variable of the generated code. Hygiene keeps it apart from the user's variables; the prefix from the user's
/// constants, which would turn it into a pattern.
pub(crate) fn local(name: &str) -> Ident {
    local_at(name, Span::mixed_site())
}

fn local_at(name: &str, span: Span) -> Ident {
    Ident::new(&format!("kirsch_{name}"), span.resolved_at(Span::mixed_site()))
}

impl Method {
    fn takes_something(&self) -> bool {
        self.arguments.iter().any(|argument| matches!(argument.from, From::Type(_)))
    }
}
