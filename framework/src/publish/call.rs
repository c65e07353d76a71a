//! The call: following a trail through values.

use super::{NodeRef, Publish};
use crate::exchange::{Arguments, Error, Exchange, Response, Step};

/// A call on its way down the tree. The macros' code asks it for the next step and for arguments.
#[derive(Debug)]
pub struct Call<'x> {
    exchange: &'x mut Exchange,
    position: usize,
}

impl<'x> Call<'x> {
    /// A call that will follow the trail in `exchange` from its first step.
    pub fn new(exchange: &'x mut Exchange) -> Self {
        Self { exchange, position: 0 }
    }

    /// The next step of the trail.
    pub fn step(&mut self) -> Step {
        let step = self.exchange.trail.steps[self.position];
        self.position += 1;
        step
    }

    /// The arguments for a handler or child that gets `count` path segments from `first` on, and the response.
    pub fn arguments(&mut self, first: u16, count: u16) -> (Arguments<'_>, &mut Response) {
        let _ = (first, count);
        todo!()
    }

    /// The arguments for a handler: all segments from `first` on.
    pub fn handler_arguments(&mut self, first: u16) -> (Arguments<'_>, &mut Response) {
        let _ = first;
        todo!()
    }
}

/// What a `#[child]` method may return: a node, owned or borrowed, or a `Result` or `Option` of one.
pub trait Child {
    /// The node.
    type Node: Publish;

    /// The node, or what the client is answered instead.
    ///
    /// # Errors
    /// The child's own error; `None` is 404.
    fn into_node(self) -> Result<Self::Node, Error>;
}

/// The shape below a child method that returns `C`.
#[must_use]
pub fn node_of<C: Child>() -> NodeRef {
    C::Node::node()
}
