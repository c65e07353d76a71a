//! The shape of a node: handlers and children, as data.

use super::dispatch::DispatchRef;
use super::resolve::{matches_name, same_segment};
use crate::exchange::{Answer, ArgumentInfo, BodyUse, Description, Handler, HandlerRef, MethodSet, Source};
use std::{borrow::Cow, ops::Deref, sync::Arc};

/// The published shape of one place of the tree.
#[derive(Clone, Debug)]
pub struct Node {
    /// The type that publishes it, for messages.
    pub type_name: Cow<'static, str>,
    /// The name of the type with its modules, by which links find it ([`std::any::type_name`]); empty for nodes that no
    /// type describes.
    pub type_path: fn() -> &'static str,
    /// Pages or a resource.
    pub kind: NodeKind,
    /// The handlers; a trail names them by index.
    pub handlers: Cow<'static, [HandlerRef]>,
    /// The ways down.
    pub children: Cow<'static, [ChildStep]>,
    /// The methods of the block that are no pages, for a developer who looks for one.
    pub unexposed: Cow<'static, [&'static str]>,
    /// The dispatcher that chooses among them, where the kind is [`Dispatched`](NodeKind::Dispatched).
    pub dispatch: Option<DispatchRef>,
}

/// How a node's handlers are found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NodeKind {
    /// By the next segment of the path: `#[handlers]`.
    Pages,
    /// By the HTTP method: `#[resource]`, CherryPy's MethodDispatcher.
    Resource,
    /// Only the value knows: resolve when it is there.
    Late,
    /// By a [`Dispatch`](super::Dispatch). The names of the children and the first aliases of the handlers are patterns
    /// of paths, for lists.
    Dispatched,
}

/// A way down: a name, the segments it takes as arguments, and the node below.
#[derive(Clone, Debug)]
pub struct ChildStep {
    /// The name in the path; `default` matches any segment and takes it as its first argument.
    pub name: Cow<'static, str>,
    /// The arguments, all by name and from the path.
    pub arguments: Cow<'static, [ArgumentInfo]>,
    /// The node below.
    pub node: ChildNode,
    /// What the types of the arguments tell.
    pub description: Description,
}

/// How the node below is known.
#[derive(Clone, Debug)]
pub enum ChildNode {
    /// From the type that the child method returns. A function, so that a type may be its own child.
    ByType(fn() -> NodeRef),
    /// From a value.
    Shared(Arc<Node>),
    /// The place of a mount, or one on the way to it. `is_app`: an app is mounted here, and the walk does not leave it.
    Mount {
        /// The node.
        node: Arc<Node>,
        /// Whether an app is here.
        is_app: bool,
    },
}

impl ChildStep {
    /// Stands in the place of a child that a `#[cfg]` removed: no path matches it.
    #[doc(hidden)]
    pub const ABSENT: Self = Self {
        name: Cow::Borrowed(""),
        arguments: Cow::Borrowed(&[]),
        node: ChildNode::ByType(|| NodeRef::Static(Node::LATE)),
        description: Description::of(Answer::UNKNOWN),
    };

    /// The description of the node below.
    #[must_use]
    pub fn below(&self) -> NodeRef {
        match &self.node {
            ChildNode::ByType(node) => node(),
            ChildNode::Shared(node) | ChildNode::Mount { node, .. } => NodeRef::Shared(Arc::clone(node)),
        }
    }

    /// Whether the segment is the name of the child. Mounts are found as their sections are.
    pub(super) fn is_named(&self, segment: &str) -> bool {
        match self.node {
            ChildNode::Mount { .. } => same_segment(&self.name, segment),
            _ => self.name != "default" && matches_name(&self.name, segment),
        }
    }

    /// Whether an app is mounted here: the whole of its path is its own.
    pub(super) fn is_app(&self) -> bool {
        matches!(self.node, ChildNode::Mount { is_app: true, .. })
    }
}

/// A node's description, shared: `'static` from the macros, counted from a tree built by hand.
#[derive(Clone, Debug)]
pub enum NodeRef {
    /// Made by a macro.
    Static(&'static Node),
    /// Made at run time.
    Shared(Arc<Node>),
}

impl Deref for NodeRef {
    type Target = Node;

    fn deref(&self) -> &Node {
        match self {
            Self::Static(node) => node,
            Self::Shared(node) => node,
        }
    }
}

impl Node {
    /// The node of a type whose shape only its values know.
    pub const LATE: &'static Self = &Self {
        type_name: Cow::Borrowed("dyn Publish"),
        type_path: || "",
        kind: NodeKind::Late,
        handlers: Cow::Borrowed(&[]),
        children: Cow::Borrowed(&[]),
        unexposed: Cow::Borrowed(&[]),
        dispatch: None,
    };

    /// A node whose one handler takes every path at its place and below, with any method and any query: for another
    /// application that is published inside this one. `body` is how the handler takes the body.
    #[must_use]
    pub fn for_everything_below(type_name: &'static str, body: BodyUse) -> Self {
        let argument = |source, body| ArgumentInfo { source, body, ..ArgumentInfo::TYPED.named("request") };
        let handler = Handler {
            name: Cow::Borrowed("default"),
            aliases: Cow::Borrowed(&[]),
            methods: MethodSet::ANY,
            arguments: Cow::Owned(vec![argument(Source::Segments, body), argument(Source::Parameters, BodyUse::None)]),
            return_requires: None,
            description: Description::of(Answer::UNKNOWN),
        };
        Self {
            type_name: Cow::Borrowed(type_name),
            kind: NodeKind::Pages,
            handlers: Cow::Owned(vec![HandlerRef::Shared(Arc::new(handler))]),
            ..Self::LATE.clone()
        }
    }
}
