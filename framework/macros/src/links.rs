//! The code for the links of a block: a type with a method for each page and each child, which `link_to` hands out.
//!
//! A method has the arguments of the handler that an address can have. The macro sees types only, so it leaves out
//! those that it knows to come by type, and references, which never are in an address. The type of each other one
//! stands in a bound that only a call of the method must meet: a handler's own types never fail here.

use crate::block::{Block, Child, Page};
use crate::generate::local;
use crate::method::{From, Method, Taken, output_span};
use proc_macro2::{Ident, Span, TokenStream};
use quote::{format_ident, quote, quote_spanned};
use syn::{
    GenericArgument, GenericParam, ItemImpl, Lifetime, LifetimeParam, PathArguments, QSelf, Type, TypePath,
    TypeReference, parse_quote,
    spanned::Spanned,
    visit_mut::{VisitMut, visit_type_mut, visit_type_reference_mut},
};

/// The type of the links and its methods, and its name with its arguments; all lifetimes of `block` have names.
pub(crate) fn links(block: &ItemImpl, published: &Block) -> (TokenStream, TokenStream) {
    let ItemImpl { self_ty: self_type, generics, .. } = block;
    let (parameters, arguments, where_clause) = generics.split_for_impl();
    let name = format_ident!("{}Links", published.type_name, span = self_type.span());
    let pages = (0_u16..).zip(&published.pages).map(|(index, page)| of_page(index, page, self_type));
    let children = (0_u16..).zip(&published.children).map(|(index, child)| of_child(index, child, self_type));
    let way = local("way");
    let code = quote! {
        pub struct #name #parameters (
            ::kirsch::exchange::LinkWay,
            ::core::marker::PhantomData<fn() -> #self_type>,
        ) #where_clause;

        impl #parameters ::core::convert::From<::kirsch::exchange::LinkWay> for #name #arguments #where_clause {
            fn from(#way: ::kirsch::exchange::LinkWay) -> Self {
                Self { 0: #way, 1: ::core::marker::PhantomData }
            }
        }

        impl #parameters #name #arguments #where_clause {
            #(#pages)*
            #(#children)*
        }
    };
    (code, quote!(#name #arguments))
}

fn of_page(index: u16, page: &Page, self_type: &Type) -> TokenStream {
    let Page { method, conditions, .. } = page;
    let (parameters, values) = taken(method, self_type);
    let ident = &method.ident;
    quote! {
        #(#conditions)*
        pub fn #ident(&self, #parameters) -> ::kirsch::exchange::PageLink {
            ::kirsch::exchange::LinkWay::page(&self.0, #index, [#values])
        }
    }
}

fn of_child(index: u16, child: &Child, self_type: &Type) -> TokenStream {
    let Child { method, conditions, .. } = child;
    let (parameters, values) = taken(method, self_type);
    let ident = &method.ident;
    let mut output = method.output.clone().unwrap_or_else(|| parse_quote!(()));
    InsteadOfSelf(self_type).visit_type_mut(&mut output);
    let links = quote_spanned! {output_span(method)=>
        <#output as ::kirsch::publish::Child>::Links
    };
    quote! {
        #(#conditions)*
        pub fn #ident(&self, #parameters) -> #links {
            ::core::convert::From::from(::kirsch::exchange::LinkWay::child(&self.0, #index, [#values]))
        }
    }
}

/// The parameters of a method, and the values as the way takes them.
fn taken(method: &Method, self_type: &Type) -> (TokenStream, TokenStream) {
    let (mut parameters, mut values) = (TokenStream::new(), TokenStream::new());
    for Taken { name, from } in &method.arguments {
        let From::Type(written) = from else { continue };
        let Some(mut wanted) = in_address(written) else { continue };
        InsteadOfSelf(self_type).visit_type_mut(&mut wanted);
        // Messages of the compiler show the user's own name.
        let variable = syn::parse_str::<Ident>(name).or_else(|_| syn::parse_str(&format!("r#{name}")));
        let variable = variable.unwrap_or_else(|_| local(name));
        parameters.extend(quote!(#variable: impl ::kirsch::exchange::LinkValue<#wanted>,));
        values.extend(quote!((#name, ::kirsch::exchange::LinkValue::<#wanted>::text(#variable)),));
    }
    (parameters, values)
}

/// Arguments that come by type, and not from the address.
const BY_TYPE: [&str; 11] =
    ["Body", "Bytes", "Conn", "Cookies", "Form", "Json", "Multipart", "Params", "Query", "SessionView", "Upload"];

/// The type of an argument that an address may have, its lifetimes `'static`: a text does not care.
fn in_address(written: &Type) -> Option<Type> {
    match written {
        Type::Reference(reference) => {
            let is_text = matches!(&*reference.elem, Type::Path(path) if path.path.is_ident("str"));
            is_text.then(|| parse_quote!(&'static str))
        }
        Type::Path(path) => {
            let last = path.path.segments.last()?;
            if BY_TYPE.iter().any(|name| last.ident == name) {
                return None;
            }
            if let ("Option" | "Vec" | "Result", PathArguments::AngleBracketed(arguments)) =
                (&*last.ident.to_string(), &last.arguments)
                && let Some(GenericArgument::Type(first)) = arguments.args.first()
            {
                in_address(first)?;
            }
            let mut plain = written.clone();
            Static.visit_type_mut(&mut plain);
            Some(plain)
        }
        _ => None,
    }
}

struct Static;

impl VisitMut for Static {
    fn visit_lifetime_mut(&mut self, lifetime: &mut Lifetime) {
        *lifetime = Lifetime::new("'static", lifetime.span());
    }

    fn visit_type_reference_mut(&mut self, reference: &mut TypeReference) {
        reference.lifetime = Some(Lifetime::new("'static", reference.span()));
        visit_type_reference_mut(self, reference);
    }
}

/// Puts the block's type in the place of `Self`, which is another type in the links.
struct InsteadOfSelf<'t>(&'t Type);

impl VisitMut for InsteadOfSelf<'_> {
    fn visit_type_mut(&mut self, written: &mut Type) {
        if let Type::Path(TypePath { qself: qself @ None, path, .. }) = written
            && path.segments.first().is_some_and(|first| first.ident == "Self")
        {
            let own = self.0;
            if path.segments.len() == 1 {
                *written = own.clone();
                return;
            }
            let rest = path.segments.iter().skip(1).cloned();
            path.segments = rest.collect();
            path.leading_colon = Some(parse_quote!(::));
            *qself = Some(QSelf {
                lt_token: parse_quote!(<),
                ty: Box::new(own.clone()),
                position: 0,
                as_token: None,
                gt_token: parse_quote!(>),
            });
        }
        visit_type_mut(self, written);
    }
}

/// Gives all lifetimes of the block's type a name: a struct cannot leave them out.
pub(crate) fn name_lifetimes(block: &mut ItemImpl) {
    struct Name(Vec<Lifetime>);
    impl Name {
        fn next(&mut self, span: Span) -> Lifetime {
            let lifetime = Lifetime::new(&format!("'kirsch_{}", self.0.len()), span);
            self.0.push(lifetime.clone());
            lifetime
        }
    }
    impl VisitMut for Name {
        fn visit_lifetime_mut(&mut self, lifetime: &mut Lifetime) {
            if lifetime.ident == "_" {
                *lifetime = self.next(lifetime.span());
            }
        }

        fn visit_type_reference_mut(&mut self, reference: &mut TypeReference) {
            if reference.lifetime.is_none() {
                reference.lifetime = Some(self.next(reference.span()));
            }
            visit_type_reference_mut(self, reference);
        }
    }
    let mut name = Name(Vec::new());
    name.visit_type_mut(&mut block.self_ty);
    for lifetime in name.0.into_iter().rev() {
        block.generics.params.insert(0, GenericParam::Lifetime(LifetimeParam::new(lifetime)));
    }
}
