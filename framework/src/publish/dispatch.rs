//! Dispatchers: nodes that find their handlers in a way of their own, by patterns, by a field of the head, by any rule
//! of the program.
//!
//! A [`Dispatch`] looks at the request and at the rest of the path, and names a [`Way`]: a handler or a child of its
//! node, by index. It runs while the path is resolved, before any handler. So 404, 405, limits and the use of the
//! session are known as early as in a static tree. [`Dispatcher`] is the node that carries one.

use super::tree::{Closure, from_anywhere};
use super::{Call, ChildNode, ChildStep, Node, NodeKind, NodeRef, PageCall, Publish};
use crate::exchange::{
    ArgumentInfo, Captures, Description, Error, Handler, HandlerRef, IntoResponse, MethodSet, PathLinks, Request,
    Source, Step,
};
use std::borrow::Cow;
use std::ops::Deref;
use std::sync::{Arc, OnceLock};

/// Chooses the way on at one node of the tree. A closure `Fn(&mut PathRest<'_>) -> Way` is one; CherryPy's
/// `request.dispatch`.
///
/// An API in two versions, chosen by a field of the request:
///
/// ```
/// use kirsch::publish::{Dispatcher, PathRest, Way};
/// use kirsch::{prelude::*, testing::Client};
///
/// let by_version = Dispatcher::new(|rest: &mut PathRest<'_>| match rest.request().header("api-version") {
///     None | Some("2") => Way::child(1),
///     Some("1") => Way::child(0),
///     Some(_) => Way::nowhere(),
/// })
/// .child("", Tree::new().page("songs", |_| "songs, as they were"))
/// .child("", Tree::new().page("songs", |_| "songs"));
///
/// let client = Client::in_process(App::new(by_version));
/// client.get("/songs").send().assert_text("songs");
/// client.get("/songs").header("Api-Version", "1").send().assert_text("songs, as they were");
/// client.get("/songs").header("Api-Version", "7").send().assert_status(404);
/// ```
///
/// It runs for every request that comes to its node, on a worker: it should be quick, and must not wait. A panic in it
/// is a 500, like one in a handler. A cache in front of it needs to know which fields it looks at: add them to `Vary`.
pub trait Dispatch: Send + Sync {
    /// The way on. What it [captures](PathRest::capture) becomes arguments of that name.
    fn dispatch(&self, rest: &mut PathRest<'_>) -> Way;
}

impl<F: Fn(&mut PathRest<'_>) -> Way + Send + Sync> Dispatch for F {
    fn dispatch(&self, rest: &mut PathRest<'_>) -> Way {
        self(rest)
    }
}

/// A [`Dispatch`], shared by all descriptions of its node.
#[derive(Clone)]
pub struct DispatchRef(Arc<dyn Dispatch>);

impl DispatchRef {
    /// Shares a dispatcher.
    pub fn new(dispatch: impl Dispatch + 'static) -> Self {
        Self(Arc::new(dispatch))
    }
}

impl Deref for DispatchRef {
    type Target = dyn Dispatch;

    fn deref(&self) -> &Self::Target {
        &*self.0
    }
}

impl std::fmt::Debug for DispatchRef {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("DispatchRef")
    }
}

/// The input of a [`Dispatch`]: the request, and the segments of its path that are left at the node.
#[derive(Debug)]
pub struct PathRest<'r> {
    request: &'r Request,
    first: usize,
    captures: &'r mut Captures,
}

impl<'r> PathRest<'r> {
    pub(super) fn new(request: &'r Request, first: usize, captures: &'r mut Captures) -> Self {
        Self { request, first, captures }
    }

    /// The request. Its body has not been read.
    #[must_use]
    pub fn request(&self) -> &'r Request {
        self.request
    }

    /// The segments that are left, decoded.
    pub fn segments(&self) -> impl ExactSizeIterator<Item = &'r str> + use<'r> {
        let request = self.request;
        (self.first..request.segments().len()).map(|index| request.segment(index))
    }

    /// Gives handlers and children below an argument of that name, as if it stood in the path.
    pub fn capture(&mut self, name: &str, value: &str) {
        self.captures.push(name, value);
    }
}

/// The decision of a [`Dispatch`]: a handler or a child of its node, by its number, or none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Way {
    to: Target,
    taken: u16,
    is_exact: bool,
    is_index: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Target {
    Handler(u16),
    Child(u16),
    Nowhere,
}

impl Way {
    /// To the handler with this number, or another of the same name that answers the method; 405 if none does. The
    /// segments that are left are its own to read.
    #[must_use]
    pub const fn page(index: u16) -> Self {
        Self::to(Target::Handler(index))
    }

    /// To the child with this number, which goes on with the segments that are left.
    #[must_use]
    pub const fn child(index: u16) -> Self {
        Self::to(Target::Child(index))
    }

    /// Nowhere: the walk goes back up, and if no node above answers for the path it is 404.
    #[must_use]
    pub const fn nowhere() -> Self {
        Self::to(Target::Nowhere)
    }

    /// Goes on behind so many of the segments that are left.
    #[must_use]
    pub const fn after(mut self, segments: u16) -> Self {
        self.taken = segments;
        self
    }

    /// Says that the path ends here with all its segments: another slash is sent away, and with `has_slash` a missing
    /// one is added.
    #[must_use]
    pub const fn exactly(mut self, has_slash: bool) -> Self {
        self.is_exact = !has_slash;
        self.is_index = has_slash;
        self
    }

    const fn to(to: Target) -> Self {
        Self { to, taken: 0, is_exact: false, is_index: false }
    }

    pub(super) fn handler_index(self) -> Option<u16> {
        if let Target::Handler(index) = self.to { Some(index) } else { None }
    }

    pub(super) fn child_index(self) -> Option<u16> {
        if let Target::Child(index) = self.to { Some(index) } else { None }
    }

    pub(super) fn taken(self) -> u16 {
        self.taken
    }

    pub(super) fn is_exact(self) -> bool {
        self.is_exact
    }

    pub(super) fn is_index(self) -> bool {
        self.is_index
    }
}

/// A node whose handlers and children a [`Dispatch`] chooses from: see there for an example.
pub struct Dispatcher {
    type_name: &'static str,
    dispatch: DispatchRef,
    pages: Vec<(Arc<Handler>, Box<Closure>)>,
    children: Vec<(ChildStep, Box<dyn Publish>)>,
    node: OnceLock<Arc<Node>>,
}

impl Dispatcher {
    /// A node that has nothing to choose from yet.
    #[must_use]
    pub fn new(dispatch: impl Dispatch + 'static) -> Self {
        Self::named("Dispatcher", dispatch)
    }

    pub(crate) fn named(type_name: &'static str, dispatch: impl Dispatch + 'static) -> Self {
        let dispatch = DispatchRef::new(dispatch);
        Self { type_name, dispatch, pages: Vec::new(), children: Vec::new(), node: OnceLock::new() }
    }

    /// Adds the next child; the first one is number 0. `pattern` is the path that leads to it, as far as it is known:
    /// `""` for the place of the dispatcher itself, `"{language}"` for any segment. It is for the list of routes and
    /// the checks at start.
    #[must_use]
    pub fn child(mut self, pattern: impl Into<Cow<'static, str>>, node: impl Publish + 'static) -> Self {
        let below = match node.describe() {
            NodeRef::Static(node) => Arc::new(node.clone()),
            NodeRef::Shared(node) => node,
        };
        let step = ChildStep { name: pattern.into(), node: ChildNode::Shared(below), ..ChildStep::ABSENT };
        self.children.push((step, Box::new(node)));
        self.node = OnceLock::new();
        self
    }

    /// Adds the next handler; the first one is number 0. Handlers of one name are one page for several methods.
    /// `pattern` is the path that leads to it, as for [`child`](Self::child).
    #[must_use]
    pub fn page<F, R>(mut self, methods: MethodSet, name: &'static str, pattern: &'static str, page: F) -> Self
    where
        F: Fn(&mut PageCall<'_>) -> R + Send + Sync + 'static,
        R: IntoResponse,
    {
        self.add_page(methods, name, pattern, page);
        self
    }

    pub(crate) fn add_page<F, R>(&mut self, methods: MethodSet, name: &'static str, pattern: &'static str, page: F)
    where
        F: Fn(&mut PageCall<'_>) -> R + Send + Sync + 'static,
        R: IntoResponse,
    {
        let rest = ArgumentInfo { source: Source::Segments, ..from_anywhere("segments") };
        let handler = Handler {
            name: Cow::Borrowed(name),
            aliases: Cow::Owned(vec![pattern]),
            methods,
            arguments: Cow::Owned(vec![from_anywhere(""), rest]),
            return_requires: R::REQUIRES,
            description: Description::of(R::ANSWER),
        };
        let closure = move |call: &mut PageCall<'_>| {
            let value = page(call);
            value.into_response(call.response())
        };
        self.pages.push((Arc::new(handler), Box::new(closure)));
        self.node = OnceLock::new();
    }
}

impl Publish for Dispatcher {
    type Links = PathLinks;

    fn node() -> NodeRef {
        NodeRef::Static(Node::LATE)
    }

    fn describe(&self) -> NodeRef {
        let node = self.node.get_or_init(|| {
            Arc::new(Node {
                type_name: Cow::Borrowed(self.type_name),
                type_path: || "",
                kind: NodeKind::Dispatched,
                handlers: self.pages.iter().map(|(handler, _)| HandlerRef::Shared(Arc::clone(handler))).collect(),
                children: self.children.iter().map(|(child, _)| child.clone()).collect(),
                unexposed: Cow::Borrowed(&[]),
                dispatch: Some(self.dispatch.clone()),
            })
        });
        NodeRef::Shared(Arc::clone(node))
    }

    fn call(&self, call: &mut Call<'_>) -> Result<(), Error> {
        call.enter(&self.describe())?;
        match call.step() {
            Step::Handler { index, first } => {
                let Some((_, closure)) = self.pages.get(usize::from(index)) else { return Err(call.misled()) };
                let (arguments, response) = call.handler_arguments(first);
                closure(&mut PageCall::new(&[], arguments, response))
            }
            Step::Child { index, .. } => match self.children.get(usize::from(index)) {
                Some((_, node)) => node.call(call),
                None => Err(call.misled()),
            },
            Step::Late { .. } => Err(call.misled()),
        }
    }
}

impl std::fmt::Debug for Dispatcher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let pages: Vec<_> = self.pages.iter().map(|(page, _)| &page.name).collect();
        let children: Vec<_> = self.children.iter().map(|(child, _)| &child.name).collect();
        f.debug_struct(self.type_name).field("pages", &pages).field("children", &children).finish()
    }
}
