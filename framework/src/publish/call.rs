//! The call: following a trail through values.
//!
//! The macros' code asks the [`Call`] for one step after another and for the arguments of each.
//! [`resolve`](super::resolve) has decided the steps of a trail from types. Only a [`Step::Late`] is decided here, when
//! the value is at hand.

use super::{Node, NodeRef, Publish, resolve};
use crate::exchange::{
    ArgumentInfo, Arguments, BodyUse, Error, Exchange, LinkWay, PathLinks, RequestBody, Response, Source, Step,
};
use std::{ops::Range, sync::Arc};

/// A call on its way down the tree. The macros' code asks it for the next step and for arguments.
#[derive(Debug)]
pub struct Call<'x> {
    exchange: &'x mut Exchange,
    /// The request's body, apart from the request so that one argument can take it while others look at the request.
    body: RequestBody,
    position: usize,
    /// How many children of the described node do not belong to the value: see [`step_into`](Self::step_into).
    foreign: u16,
}

impl<'x> Call<'x> {
    /// A call that will follow the trail in `exchange` from its first step. The parameters have been decoded, as far as
    /// anybody wants them.
    pub fn new(exchange: &'x mut Exchange) -> Self {
        let body = exchange.request.body.take();
        Self { exchange, body, position: 0, foreign: 0 }
    }

    /// The next step of the trail.
    ///
    /// # Panics
    /// When a handler asks for a step below itself.
    pub fn step(&mut self) -> Step {
        let step = *self.exchange.trail.steps.get(self.position).expect("a trail ends with a handler");
        self.position += 1;
        match step {
            Step::Child { index, first, count } => {
                let index = index - std::mem::take(&mut self.foreign);
                Step::Child { index, first, count }
            }
            step => step,
        }
    }

    /// For a node that describes `foreign` children before those of a value of its own: goes down to one of them if the
    /// trail does, and returns its number. Otherwise the next step is the value's, by its own description.
    pub(crate) fn step_into(&mut self, foreign: usize) -> Option<usize> {
        match self.exchange.trail.steps.get(self.position) {
            Some(Step::Child { index, .. }) if usize::from(*index) < foreign => {
                self.position += 1;
                Some(usize::from(*index))
            }
            Some(Step::Child { .. }) => {
                self.foreign = u16::try_from(foreign).expect("the index of a child behind them is one");
                None
            }
            Some(_) | None => None,
        }
    }

    /// The arguments for a child that gets `count` path segments from `first` on, and the response. Values by name come
    /// from these segments only.
    pub fn arguments(&mut self, first: u16, count: u16) -> (Arguments<'_>, &mut Response) {
        let first = usize::from(first);
        self.split(first..first + usize::from(count), true)
    }

    /// The arguments for a handler: all segments from `first` on, then query and form.
    pub fn handler_arguments(&mut self, first: u16) -> (Arguments<'_>, &mut Response) {
        let end = self.exchange.request.segments().len();
        self.split(usize::from(first).min(end)..end, false)
    }

    /// The response, for a handler without arguments.
    pub fn response(&mut self) -> &mut Response {
        &mut self.exchange.response
    }

    /// Goes on in a node whose shape only its value knows: if the trail has come to an end here, resolves the rest of
    /// the path in `node`. Every [`Publish`] whose [`node`](Publish::node) is [`Node::LATE`] calls it first with its
    /// description.
    ///
    /// # Errors
    /// 404 or 405, as the walk finds; the answer to OPTIONS.
    pub fn enter(&mut self, node: &Node) -> Result<(), Error> {
        let Some(Step::Late { first }) = self.exchange.trail.steps.get(self.position).copied() else {
            return Ok(());
        };
        let Exchange { request, trail, .. } = &mut *self.exchange;
        trail.steps.truncate(self.position);
        resolve(node, request, usize::from(first), trail).or_error(request.method())?;
        // Only now is known whether the handler wants the form.
        self.exchange.request.body = self.body.take();
        let read = self.exchange.read_form(false);
        self.body = self.exchange.request.body.take();
        Ok(read?)
    }

    /// The answer when a node gets a step that it does not have: its description and its calls differ.
    #[must_use]
    pub fn misled(&self) -> Error {
        Error::unexpected(
            "a node was called with a step that it does not describe: `Publish::describe` and `Publish::call` differ",
        )
    }

    fn split(&mut self, segments: Range<usize>, path_only: bool) -> (Arguments<'_>, &mut Response) {
        let Exchange { request, response, values, trail, .. } = &mut *self.exchange;
        (Arguments { request, values, trail, body: &mut self.body, segments, path_only }, response)
    }
}

/// The rest that no argument took goes back into the request.
impl Drop for Call<'_> {
    fn drop(&mut self) {
        self.exchange.request.body = self.body.take();
    }
}

/// The return of a `#[child]` method: a node, owned or borrowed, or a `Result` or `Option` of one.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be returned by a child",
    label = "not a node of the tree",
    note = "a node is a type with `#[handlers]` or `#[resource]` on one of its `impl` blocks, or a `Tree`",
    note = "return a node, owned or borrowed, or `Option<Node>`, `Result<Node, E>`, `Box<dyn Publish>`"
)]
pub trait Child {
    /// The node.
    type Node: Publish;
    /// Its links.
    type Links: From<LinkWay>;

    /// The node, or the answer to the client instead.
    ///
    /// # Errors
    /// The child's own error; `None` is 404.
    fn into_node(self) -> Result<Self::Node, Error>;

    /// The shape of the node, known without one.
    #[must_use]
    fn below() -> NodeRef
    where
        Self: Sized,
    {
        Self::Node::node()
    }

    /// Follows the next step of the trail in the node.
    ///
    /// # Errors
    /// The child's own error, or the answer of the node.
    fn go_on(self, call: &mut Call<'_>) -> Result<(), Error>
    where
        Self: Sized,
    {
        self.into_node()?.call(call)
    }
}

impl<N: Publish> Child for N {
    type Node = N;
    type Links = N::Links;

    fn into_node(self) -> Result<N, Error> {
        Ok(self)
    }
}

impl<N: Publish> Child for Option<N> {
    type Node = N;
    type Links = N::Links;

    fn into_node(self) -> Result<N, Error> {
        self.ok_or_else(Error::not_found)
    }
}

impl<N: Publish, E: Into<Error>> Child for Result<N, E> {
    type Node = N;
    type Links = N::Links;

    fn into_node(self) -> Result<N, Error> {
        self.map_err(Into::into)
    }
}

/// Publishes the target of a pointer to a node of known type.
macro_rules! publish_through {
    ($($pointer:ty),*) => {$(
        impl<T: Publish> Publish for $pointer {
            type Links = T::Links;

            fn node() -> NodeRef {
                T::node()
            }

            fn describe(&self) -> NodeRef {
                T::describe(self)
            }

            fn call(&self, call: &mut Call<'_>) -> Result<(), Error> {
                T::call(self, call)
            }
        }
    )*};
}

publish_through!(&T, Box<T>, Arc<T>);

/// Publishes the target of a pointer to a node of any type; resolved when the value is there.
macro_rules! publish_late {
    ($($pointer:ty),*) => {$(
        impl Publish for $pointer {
            type Links = PathLinks;

            fn node() -> NodeRef {
                NodeRef::Static(Node::LATE)
            }

            fn describe(&self) -> NodeRef {
                (**self).describe()
            }

            fn call(&self, call: &mut Call<'_>) -> Result<(), Error> {
                call.enter(&(**self).describe())?;
                (**self).call(call)
            }
        }
    )*};
}

publish_late!(&(dyn Publish + '_), Box<dyn Publish + '_>, Arc<dyn Publish + '_>);

/// Checks at compile time that a child's arguments can be had before its handler is known.
///
/// # Panics
/// At compile time.
#[doc(hidden)]
#[must_use]
pub const fn child_arguments<const N: usize>(arguments: [ArgumentInfo; N]) -> [ArgumentInfo; N] {
    let mut index = 0;
    while index < N {
        let argument = &arguments[index];
        assert!(
            !matches!(argument.source, Source::Repeated) && matches!(argument.body, BodyUse::None | BodyUse::Form),
            "a child takes its arguments from the path: repeated parameters and the body belong to the handler below it"
        );
        index += 1;
    }
    arguments
}
