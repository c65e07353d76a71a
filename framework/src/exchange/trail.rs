//! The trail: how a path leads through the tree to a handler, as plain data.
//!
//! `publish/` fills it in before any code of the application runs; the call then follows it step by step.

use super::{Captures, HandlerRef};

/// One step from a node: down to a child, to a handler, or into a node whose shape only its value knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Down to the child with this index in the node's description.
    Child {
        /// Which child.
        index: u16,
        /// First path segment that the child takes as an argument.
        first: u16,
        /// How many segments it takes.
        count: u16,
    },
    /// To the handler with this index in the node's description.
    Handler {
        /// Which handler.
        index: u16,
        /// First path segment that is left for its arguments.
        first: u16,
    },
    /// The shape of the node is known only when it is there: resolve from this segment on then.
    Late {
        /// First segment not yet resolved.
        first: u16,
    },
}

/// All steps from the root to the handler.
#[derive(Debug, Default)]
pub struct Trail {
    pub(crate) steps: Vec<Step>,
    pub(crate) handler: Option<HandlerRef>,
    pub(crate) is_index: bool,
    pub(crate) child_locks_session: bool,
    pub(crate) child_views_session: bool,
    pub(crate) child_reads_parameters: bool,
    pub(crate) is_exact: bool,
    pub(crate) captures: Captures,
}

impl Trail {
    /// The description of the handler, when the path leads to one and the tree could be resolved by type.
    #[must_use]
    pub fn handler(&self) -> Option<&super::Handler> {
        self.handler.as_deref()
    }

    /// Whether the path leads to the `index` page of a node.
    #[must_use]
    pub fn is_index(&self) -> bool {
        self.is_index
    }

    /// Whether a dispatcher has said that the whole path belongs to the handler: nothing of it is left for the handler
    /// to read, and one more slash would be another address of the same page.
    #[must_use]
    pub fn is_exact(&self) -> bool {
        self.is_exact
    }

    /// The value of that name that a dispatcher has captured on the way.
    #[must_use]
    pub fn captured(&self, name: &str) -> Option<&str> {
        self.captures.get(name)
    }

    /// All that dispatchers have captured.
    #[must_use]
    pub fn captures(&self) -> &Captures {
        &self.captures
    }

    /// Whether the handler, or a child on the way to it, asks for the session to be locked.
    #[must_use]
    pub fn locks_session(&self) -> bool {
        self.child_locks_session
            || self.handler().is_some_and(|handler| handler.arguments.iter().any(|argument| argument.locks_session))
    }

    /// Whether the handler, or a child on the way to it, looks at a snapshot of the session.
    #[must_use]
    pub fn views_session(&self) -> bool {
        self.child_views_session
            || self.handler().is_some_and(|handler| handler.arguments.iter().any(|argument| argument.views_session))
    }

    /// The steps, root first.
    #[must_use]
    pub fn steps(&self) -> &[Step] {
        &self.steps
    }

    pub(crate) fn shrink(&mut self) {
        self.steps.shrink_to_fit();
    }

    pub(crate) fn clear(&mut self) {
        self.steps.clear();
        self.handler = None;
        self.is_index = false;
        self.child_locks_session = false;
        self.child_views_session = false;
        self.child_reads_parameters = false;
        self.is_exact = false;
        if !self.captures.is_empty() {
            self.captures.truncate(0);
        }
    }
}
