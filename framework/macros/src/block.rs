//! An impl block under `#[handlers]` or `#[resource]`: which methods it publishes and how.
//!
//! Reads the block into [`Block`], which is checked but not yet code; [`generate`](crate::generate) turns it into code.

use crate::errors::Errors;
use crate::marks::{ChildMark, ExposeMark, http_method, take_mark};
use crate::method::Method;
use proc_macro2::Span;
use quote::ToTokens;
use std::collections::HashSet;
use syn::{
    Attribute, Error, Expr, ExprLit, ImplItem, ItemImpl, Lit, Meta, MetaNameValue, Type, ext::IdentExt, parse_quote,
};

/// The form in which the block is published.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Pages,
    Resource,
}

impl Kind {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Pages => "handlers",
            Self::Resource => "resource",
        }
    }
}

/// The published methods of an impl block.
pub(crate) struct Block {
    pub(crate) kind: Kind,
    pub(crate) type_name: String,
    pub(crate) pages: Vec<Page>,
    pub(crate) children: Vec<Child>,
    /// The other methods that take `&self`: one of them may lack its mark.
    pub(crate) unexposed: Vec<String>,
}

/// A handler: a page of a node, or an HTTP method of a resource.
pub(crate) struct Page {
    pub(crate) name: String,
    pub(crate) aliases: Vec<String>,
    /// Constants of `MethodSet`; empty for the methods that a page answers by default.
    pub(crate) methods: Vec<&'static str>,
    pub(crate) method: Method,
    pub(crate) conditions: Vec<Attribute>,
    /// The documentation of the method.
    pub(crate) documentation: String,
    span: Span,
}

/// A step down.
pub(crate) struct Child {
    pub(crate) name: String,
    pub(crate) method: Method,
    pub(crate) conditions: Vec<Attribute>,
    span: Span,
}

/// Reads the marks and signatures of all methods and takes the marks out of the block.
pub(crate) fn read(kind: Kind, block: &mut ItemImpl, errors: &mut Errors) -> Block {
    let type_name = type_name(&block.self_ty);
    let mut published = Block { kind, type_name, pages: Vec::new(), children: Vec::new(), unexposed: Vec::new() };
    let mut names_in_rust = HashSet::new();
    for item in &mut block.items {
        let ImplItem::Fn(function) = item else {
            refuse_marks(item, errors);
            continue;
        };
        let expose = take_mark(&mut function.attrs, "expose", errors);
        let child = take_mark(&mut function.attrs, "child", errors);
        let name = function.sig.ident.unraw().to_string();
        let method_name = http_method(&name).filter(|_| kind == Kind::Resource);
        let conditions = conditions(&function.attrs);
        let documentation = documentation(&function.attrs);
        let span = function.sig.ident.span();
        if expose.is_some() || child.is_some() || method_name.is_some() {
            // The shape of a handler is the framework's: it takes `&self` and owned arguments whether it needs them or
            // not, and returns tuples of status, fields and body. Its name is that of the page: `new` makes no value,
            // `from_rome` converts nothing.
            function.attrs.push(parse_quote!(#[allow(
                clippy::needless_pass_by_value,
                clippy::new_ret_no_self,
                clippy::should_implement_trait,
                clippy::type_complexity,
                clippy::unused_self,
                clippy::wrong_self_convention
            )]));
            if conditions.is_empty() && !names_in_rust.insert(name.clone()) {
                let remedy = format!("`#[expose(get, name = \"{name}\")] fn show_{name}`");
                errors.push(Error::new(
                    span,
                    format!("two methods of Rust are called `{name}`: call one otherwise, as {remedy}"),
                ));
            }
        }
        match (expose, child, method_name) {
            (Some(expose), Some(_), _) => {
                errors.at(expose, "a method is a page or a child, not both: remove `#[expose]` or `#[child]`");
            }
            (Some(mark), None, Some(_)) => errors.at(
                mark,
                format!("in a resource `{name}` already answers the HTTP method {}: remove `#[expose]`", name.to_uppercase()),
            ),
            (None, Some(mark), Some(_)) => errors.at(
                mark,
                format!("in a resource `{name}` answers an HTTP method: give the child another name, with `#[child(name = \"{name}\")]` if it must be this one in the path"),
            ),
            (Some(mark), None, None) => {
                let options = ExposeMark::read(&mark, errors);
                let method = Method::read(function, "a handler", errors);
                let name = options.name.as_ref().map_or(name, syn::LitStr::value);
                if kind == Kind::Resource && (name == "index" || name == "default") {
                    errors.at(&mark, format!("a resource has no `{name}` page: its HTTP methods answer for it; write `fn get`"));
                    continue;
                }
                if let Some(method) = method {
                    let span = options.name.as_ref().map_or(span, syn::LitStr::span);
                    let aliases = options.aliases.iter().map(syn::LitStr::value).collect();
                    published.pages.push(Page { name, aliases, methods: options.methods, method, conditions, documentation, span });
                }
            }
            (None, Some(mark), None) => {
                let options = ChildMark::read(&mark, errors);
                let method = Method::read(function, "a child", errors);
                let name = options.name.as_ref().map_or(name, syn::LitStr::value);
                if let Some(method) = method
                    && method.check_child(&name, function, errors)
                {
                    let span = options.name.as_ref().map_or(span, syn::LitStr::span);
                    published.children.push(Child { name, method, conditions, span });
                }
            }
            (None, None, Some(constant)) => {
                if let Some(method) = Method::read(function, "a handler", errors) {
                    let methods = vec![constant];
                    published.pages.push(Page { name, aliases: Vec::new(), methods, method, conditions, documentation, span });
                }
            }
            (None, None, None) => {
                published.unexposed.extend((function.sig.receiver().is_some() && conditions.is_empty()).then_some(name));
            }
        }
    }
    refuse_twins(&published, errors);
    published
}

/// `#[expose]` on a constant or a type.
fn refuse_marks(item: &mut ImplItem, errors: &mut Errors) {
    let attributes = match item {
        ImplItem::Const(item) => &mut item.attrs,
        ImplItem::Type(item) => &mut item.attrs,
        ImplItem::Macro(item) => &mut item.attrs,
        _ => return,
    };
    for mark in ["expose", "child"] {
        if let Some(attribute) = take_mark(attributes, mark, errors) {
            errors.at(attribute, format!("`#[{mark}]` marks methods; this is none"));
        }
    }
}

/// Two ways to go on with the same segment.
fn refuse_twins(block: &Block, errors: &mut Errors) {
    let mut seen: Vec<(String, Vec<&str>, &[Attribute], bool)> = Vec::new();
    let pages = block.pages.iter().map(|page| {
        let names: Vec<&String> = std::iter::once(&page.name).chain(&page.aliases).collect();
        (names, answers(page), page.conditions.as_slice(), page.span, false)
    });
    let children = block
        .children
        .iter()
        .map(|child| (vec![&child.name], Vec::new(), child.conditions.as_slice(), child.span, true));
    for (names, methods, conditions, span, is_child) in pages.chain(children) {
        for name in names {
            let plain = name.replace(['-', '.'], "_");
            let twin = seen.iter().find(|(other, other_methods, other_conditions, other_is_child)| {
                let conditional = !conditions.is_empty() && !other_conditions.is_empty();
                let both_defaults = name == "default" && is_child != *other_is_child;
                let same_method =
                    is_child || *other_is_child || methods.iter().any(|method| other_methods.contains(method));
                *other == plain && same_method && !conditional && !both_defaults
            });
            match twin {
                Some((.., other_is_child)) if is_child != *other_is_child => {
                    errors.push(Error::new(
                        span,
                        format!("`{name}` is both a page and a child here: a path can go on only one way"),
                    ));
                }
                Some(_) if is_child => errors.push(Error::new(span, format!("two children answer to `{name}` here"))),
                Some(_) => {
                    let remedy =
                        "give one of them another name, or other methods: `#[expose(get)]` and `#[expose(post)]`";
                    errors.push(Error::new(span, format!("two pages answer to `{name}` here: {remedy}")));
                }
                None => seen.push((plain, methods.clone(), conditions, is_child)),
            }
        }
    }
}

fn answers(page: &Page) -> Vec<&'static str> {
    if page.methods.is_empty() { vec!["GET", "HEAD", "POST"] } else { page.methods.clone() }
}

/// The `#[cfg(...)]` of a method: its published entry must vanish with it.
fn conditions(attributes: &[Attribute]) -> Vec<Attribute> {
    attributes.iter().filter(|attribute| attribute.path().is_ident("cfg")).cloned().collect()
}

/// The lines of `///`, without the blank that they begin with.
fn documentation(attributes: &[Attribute]) -> String {
    let lines = attributes.iter().filter_map(|attribute| match &attribute.meta {
        Meta::NameValue(MetaNameValue { path, value: Expr::Lit(ExprLit { lit: Lit::Str(text), .. }), .. })
            if path.is_ident("doc") =>
        {
            let text = text.value();
            Some(text.strip_prefix(' ').unwrap_or(&text).to_owned())
        }
        _ => None,
    });
    lines.collect::<Vec<_>>().join("\n").trim().to_owned()
}

fn type_name(self_type: &Type) -> String {
    match self_type {
        Type::Path(path) => path.path.segments.last().map(|segment| segment.ident.to_string()).unwrap_or_default(),
        other => other.to_token_stream().to_string(),
    }
}
