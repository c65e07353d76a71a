//! The signature of a published method: its arguments and its return.

use crate::errors::Errors;
use proc_macro2::Span;
use syn::{
    Error, FnArg, GenericParam, Ident, ImplItemFn, Lifetime, Pat, PatType, Receiver, ReceiverKind, ReturnType, Safety,
    Type, TypeImplTrait, TypeReference, ext::IdentExt, spanned::Spanned, visit::Visit, visit_mut::VisitMut,
};

/// A checked signature, its own lifetimes replaced by `'_`.
pub(crate) struct Method {
    pub(crate) ident: Ident,
    pub(crate) arguments: Vec<Taken>,
    pub(crate) output: Option<Type>,
}

/// One argument.
pub(crate) struct Taken {
    pub(crate) name: String,
    pub(crate) from: From,
}

/// Where an argument comes from.
pub(crate) enum From {
    /// `&mut Response`.
    Response(Type),
    /// Its type knows.
    Type(Type),
}

impl Method {
    /// Checks the signature of `what` (a handler, a child); `None` when it cannot be called.
    pub(crate) fn read(function: &ImplItemFn, what: &str, errors: &mut Errors) -> Option<Self> {
        let signature = &function.sig;
        let mut sound = true;
        let mut refuse = |error: Error| {
            errors.push(error);
            sound = false;
        };
        if let Some(token) = signature.asyncness {
            refuse(Error::new_spanned(
                token,
                "handlers are plain blocking code: remove `async`; a request that waits does not hold up others",
            ));
        }
        if let Safety::Unsafe(token) = signature.safety {
            refuse(Error::new_spanned(token, format!("{what} is called by the framework and cannot be `unsafe`")));
        }
        let mut own_lifetimes = Vec::new();
        for parameter in &signature.generics.params {
            match parameter {
                GenericParam::Lifetime(parameter) => own_lifetimes.push(parameter.lifetime.ident.clone()),
                other => refuse(Error::new_spanned(
                    other,
                    format!("{what} cannot be generic: the framework would not know which type to call it with"),
                )),
            }
        }
        let mut inputs = signature.inputs.iter();
        match inputs.next() {
            Some(FnArg::Receiver(receiver)) if takes_shared_self(receiver) => {}
            Some(FnArg::Receiver(receiver)) => refuse(Error::new_spanned(
                receiver,
                "handlers run on many threads at once: take `&self` and keep state behind a lock",
            )),
            Some(FnArg::Typed(argument)) => {
                refuse(Error::new_spanned(argument, format!("{what} takes `&self` first")));
            }
            None => refuse(Error::new_spanned(&signature.ident, format!("{what} takes `&self`"))),
        }
        let mut arguments = Vec::new();
        for input in inputs {
            let FnArg::Typed(input) = input else { continue };
            match read_argument(input, &own_lifetimes) {
                Ok(argument) => arguments.push(argument),
                Err(error) => refuse(error),
            }
        }
        let mut responses = arguments.iter().filter_map(|argument| match &argument.from {
            From::Response(written) => Some(written),
            From::Type(_) => None,
        });
        if let (Some(_), Some(second)) = (responses.next(), responses.next()) {
            refuse(Error::new_spanned(second, "there is one response: take `&mut Response` once"));
        }
        let output = match &signature.output {
            ReturnType::Default => None,
            ReturnType::Type(_, written) => Some(without_own_lifetimes(written, &own_lifetimes)),
        };
        sound.then(|| Self { ident: signature.ident.clone(), arguments, output })
    }

    /// The rules that only children have.
    pub(crate) fn check_child(&self, name: &str, function: &ImplItemFn, errors: &mut Errors) -> bool {
        if self.output.is_none() {
            errors.at(
                &function.sig.ident,
                "a child returns the node below it: `-> &Node`, `-> Node` or `-> Result<Node, E>`",
            );
            return false;
        }
        if let Some(written) = self.output.as_ref().filter(|written| contains_impl_trait(written)) {
            errors.at(written, "the tree's shape is in its types: write the child's type, or `Box<dyn Publish>` if only the value knows it");
            return false;
        }
        for argument in &self.arguments {
            if let From::Response(written) = &argument.from {
                errors.at(written, "a child only finds the way; the handler below it takes `&mut Response`");
                return false;
            }
        }
        if name == "default" && self.arguments.is_empty() {
            errors.at(
                &function.sig.ident,
                "a `default` child matches any segment and takes it: give it an argument for the segment",
            );
            return false;
        }
        true
    }
}

fn takes_shared_self(receiver: &Receiver) -> bool {
    match &receiver.kind {
        ReceiverKind::Reference(_, _, mutability) => mutability.is_none(),
        ReceiverKind::Typed(_, written) => match &**written {
            Type::Reference(reference) => {
                reference.mutability.is_none()
                    && matches!(&*reference.elem, Type::Path(path) if path.path.is_ident("Self"))
            }
            _ => false,
        },
        _ => false,
    }
}

fn read_argument(input: &PatType, own_lifetimes: &[Ident]) -> syn::Result<Taken> {
    let name = argument_name(&input.pat)?;
    if let Type::ImplTrait(written) = &*input.ty {
        return Err(Error::new_spanned(written, "the framework cannot know which type to make: write the type"));
    }
    if let Type::Reference(reference) = &*input.ty {
        check_reference(reference, own_lifetimes)?;
    }
    let plain = without_own_lifetimes(&input.ty, own_lifetimes);
    let from = match &*input.ty {
        Type::Reference(reference) if reference.mutability.is_some() => From::Response(plain),
        _ => From::Type(plain),
    };
    Ok(Taken { name, from })
}

fn check_reference(reference: &TypeReference, own_lifetimes: &[Ident]) -> syn::Result<()> {
    if let Some(lifetime) = &reference.lifetime
        && !own_lifetimes.contains(&lifetime.ident)
        && lifetime.ident != "_"
    {
        return Err(Error::new_spanned(
            lifetime,
            format!("an argument lives as long as its request, not as long as `{lifetime}`: remove the lifetime"),
        ));
    }
    let names_response = match &*reference.elem {
        Type::Path(path) => path.path.segments.last().is_some_and(|last| last.ident == "Response"),
        _ => false,
    };
    match reference.mutability {
        Some(_) if !names_response => Err(Error::new_spanned(
            reference,
            "the only `&mut` argument is `&mut Response`; a request's other parts are shared: take `&T`",
        )),
        _ => Ok(()),
    }
}

/// The name by which the value is found: the binding's, or the only binding in a pattern as `Json(song)`.
fn argument_name(pattern: &Pat) -> syn::Result<String> {
    match pattern {
        Pat::Ident(binding) => Ok(binding.ident.unraw().to_string()),
        Pat::TupleStruct(pattern) if pattern.elems.len() == 1 => argument_name(&pattern.elems[0]),
        other => Err(Error::new_spanned(
            other,
            "an argument needs a name: it is how its value is found in the path, query or form",
        )),
    }
}

/// The type as it can be written outside of the method: its lifetimes are left to the compiler.
fn without_own_lifetimes(written: &Type, own: &[Ident]) -> Type {
    struct Forget<'a>(&'a [Ident]);
    impl VisitMut for Forget<'_> {
        fn visit_lifetime_mut(&mut self, lifetime: &mut Lifetime) {
            if self.0.contains(&lifetime.ident) {
                *lifetime = Lifetime::new("'_", lifetime.span());
            }
        }
    }
    let mut plain = written.clone();
    Forget(own).visit_type_mut(&mut plain);
    plain
}

/// The span of a return type, or of the method's name when it returns nothing.
pub(crate) fn output_span(method: &Method) -> Span {
    method.output.as_ref().map_or_else(|| method.ident.span(), Spanned::span)
}

/// Whether `impl Trait` is anywhere in the type.
pub(crate) fn contains_impl_trait(written: &Type) -> bool {
    struct Search(bool);
    impl<'ast> Visit<'ast> for Search {
        fn visit_type_impl_trait(&mut self, _found: &'ast TypeImplTrait) {
            self.0 = true;
        }
    }
    let mut search = Search(false);
    search.visit_type(written);
    search.0
}
