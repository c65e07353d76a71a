//! The walk from a path to a handler. The traversal table in `docs/traversal.md` is its test.
//!
//! Depth first: at each node a page of the segment's name, a child of that name, the `default` child, the `default`
//! page (in a resource: its HTTP methods). If nothing fits, the walk leaves the node again, so the deepest match wins;
//! only a mounted app is never left. Only names, numbers of segments and HTTP methods decide, never values. Nothing is
//! called and nothing allocated, unless the tree has a [`Dispatch`](super::Dispatch), which chooses the way on. Two
//! bounds keep a hostile path cheap in any tree.

use super::{ChildStep, Node, NodeKind, NodeRef, PathRest, Way};
use crate::exchange::{ArgumentInfo, Captures, Error, Handler, MethodSet, Request, Source, Step, Trail};
use ::http::Method;

/// Most nodes on the way to a handler. The call goes down as deep, with the application's values on the stack.
const MAX_DEPTH: usize = 128;

/// Maximum of nodes visited for one path, including those left again. In trees with two ways at each node the time
/// would be exponential in the length of the path.
const MAX_VISITS: usize = 2048;

/// Where a path leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resolution {
    /// To a handler, or into a node that is resolved late; the trail is complete.
    Found,
    /// Nowhere: 404.
    NotFound,
    /// To a place that answers other methods: 405 with `Allow`, or the answer to OPTIONS.
    WrongMethod(MethodSet),
}

impl Resolution {
    /// The answer where the path leads to no handler: 404, 405 with `Allow`, and 204 with `Allow` for OPTIONS.
    #[inline]
    pub(crate) fn or_error(self, method: &Method) -> Result<(), Error> {
        match self {
            Self::Found => Ok(()),
            Self::NotFound => Err(Error::not_found()),
            Self::WrongMethod(methods) => Err(methods.refuse(method)),
        }
    }
}

/// Finds the handler for the path segments of `request` from segment `first` on, starting at `root`; appends the steps
/// to `trail`.
pub fn resolve(root: &Node, request: &Request, first: usize, trail: &mut Trail) -> Resolution {
    let Ok(end) = u16::try_from(request.segments().len()) else { return Resolution::NotFound };
    let Ok(first) = u16::try_from(first) else { return Resolution::NotFound };
    let mut walk = Walk { request, method: MethodSet::of(request.method()), is_asked: true, trail, end, visits: 0 };
    walk.node(root, first, 0).unwrap_or(Resolution::NotFound)
}

/// The methods that the page of this path answers, whatever the method of the request; none where there is no page, or
/// only its value knows.
pub(crate) fn methods(root: &Node, request: &Request) -> MethodSet {
    let Ok(end) = u16::try_from(request.segments().len()) else { return MethodSet::NONE };
    let mut walk =
        Walk { request, method: MethodSet::NONE, is_asked: false, trail: &mut Trail::default(), end, visits: 0 };
    match walk.node(root, 0, 0) {
        Some(Resolution::WrongMethod(methods)) => methods,
        Some(Resolution::Found | Resolution::NotFound) | None => MethodSet::NONE,
    }
}

struct Walk<'w> {
    request: &'w Request,
    /// The method that is asked for; no handler has none.
    method: MethodSet,
    /// Whether there is a method, perhaps one that no set holds.
    is_asked: bool,
    trail: &'w mut Trail,
    /// How many segments the path has.
    end: u16,
    visits: usize,
}

impl<'w> Walk<'w> {
    /// Goes on in `node` at segment `at`; `None` when nothing there or below fits.
    fn node(&mut self, node: &Node, at: u16, depth: usize) -> Option<Resolution> {
        self.visits += 1;
        if depth > MAX_DEPTH || self.visits > MAX_VISITS {
            return None;
        }
        if matches!(node.kind, NodeKind::Late | NodeKind::Dispatched) {
            return self.otherwise(node, at, depth);
        }
        if at == self.end {
            return self.node_itself(node, at);
        }
        let request: &'w Request = self.request;
        let segment = request.segment(usize::from(at));
        let left = usize::from(self.end - at);
        let page = self.handler(node, at + 1, |handler, captures| {
            is_page(node, handler) && has_name(handler, segment) && has_room(handler, left - 1, captures)
        });
        if page.is_some() {
            return page;
        }
        for (index, child) in node.children.iter().enumerate() {
            if child.is_named(segment) {
                let found = self.child(node, index, at + 1, depth);
                if found.is_some() {
                    return found;
                }
            }
        }
        if let Some(index) = node.children.iter().position(|child| child.name == "default") {
            let found = self.child(node, index, at, depth);
            if found.is_some() {
                return found;
            }
        }
        match node.kind {
            NodeKind::Resource => self.handler(node, at, |handler, captures| {
                is_http_method(&handler.name) && has_room(handler, left, captures)
            }),
            _ => self
                .handler(node, at, |handler, captures| handler.name == "default" && has_room(handler, left, captures)),
        }
    }

    /// Goes on in a node that finds its handlers in a way of its own.
    #[cold]
    fn otherwise(&mut self, node: &Node, at: u16, depth: usize) -> Option<Resolution> {
        let Some(dispatch) = &node.dispatch else {
            self.trail.steps.push(Step::Late { first: at });
            return Some(Resolution::Found);
        };
        let captured = self.trail.captures.len();
        let request: &'w Request = self.request;
        let mut rest = PathRest::new(request, usize::from(at), &mut self.trail.captures);
        let way = dispatch.dispatch(&mut rest);
        let found = self.follow(node, way, at, depth);
        if found.is_none() {
            self.trail.captures.truncate(captured);
        }
        found
    }

    fn follow(&mut self, node: &Node, way: Way, at: u16, depth: usize) -> Option<Resolution> {
        let first = at.checked_add(way.taken()).filter(|first| *first <= self.end)?;
        if let Some(index) = way.handler_index() {
            let name = &node.handlers.get(usize::from(index))?.name;
            let found = self.handler(node, first, |handler, _| handler.name == *name);
            self.trail.is_exact = way.is_exact();
            self.trail.is_index = way.is_index();
            return found;
        }
        let index = way.child_index()?;
        let child = node.children.get(usize::from(index))?;
        let below = child.below();
        let length = self.trail.steps.len();
        self.trail.steps.push(Step::Child { index, first: at, count: way.taken() });
        let found = self.node(&below, first, depth + 1).or_else(|| nowhere_else(child));
        if found.is_none() {
            self.trail.steps.truncate(length);
        }
        found
    }

    /// The path ends at `node`.
    fn node_itself(&mut self, node: &Node, at: u16) -> Option<Resolution> {
        if node.kind == NodeKind::Resource {
            return self.handler(node, at, |handler, _| is_http_method(&handler.name));
        }
        let index = self.handler(node, at, |handler, _| handler.name == "index");
        if index.is_some() {
            self.trail.is_index = index == Some(Resolution::Found);
            return index;
        }
        self.handler(node, at, |handler, _| handler.name == "default")
    }

    /// Goes down to a child whose arguments start at segment `first`. An optional one takes a segment that is not a
    /// name in the node below, since names go before values; if that leads nowhere, any other number is tried, the
    /// largest first.
    fn child(&mut self, node: &Node, index: usize, first: u16, depth: usize) -> Option<Resolution> {
        let child = &node.children[index];
        let (least, most) = counts(&child.arguments, &self.trail.captures);
        let left = self.end - first;
        // The `default` child matches because it takes the segment.
        let least = if child.name == "default" { least.max(1) } else { least };
        let most = most.min(left);
        if least > most {
            return None;
        }
        let below: NodeRef = child.below();
        let length = self.trail.steps.len();
        let index = u16::try_from(index).ok()?;
        let Trail { child_locks_session, child_views_session, child_reads_parameters, .. } = *self.trail;
        for argument in child.arguments.iter() {
            self.trail.child_locks_session |= argument.locks_session;
            self.trail.child_views_session |= argument.views_session;
            self.trail.child_reads_parameters |= argument.source == Source::Parameters;
        }
        let names_a_way = |count: &u16| {
            let segment = self.request.segment(usize::from(first + count));
            below.handlers.iter().any(|handler| is_page(&below, handler) && has_name(handler, segment))
                || below.children.iter().any(|child| child.is_named(segment))
        };
        let preferred = (least..most).find(names_a_way).unwrap_or(most);
        let others = (least..=most).rev().filter(|count| *count != preferred);
        for count in std::iter::once(preferred).chain(others) {
            self.trail.steps.push(Step::Child { index, first, count });
            let found = self.node(&below, first + count, depth + 1);
            if found.is_some() {
                return found;
            }
            self.trail.steps.truncate(length);
        }
        self.trail.child_locks_session = child_locks_session;
        self.trail.child_views_session = child_views_session;
        self.trail.child_reads_parameters = child_reads_parameters;
        nowhere_else(child)
    }

    /// Chooses among the handlers that fit by the method of the request. HEAD is content with GET.
    fn handler(&mut self, node: &Node, first: u16, fits: impl Fn(&Handler, &Captures) -> bool) -> Option<Resolution> {
        let method = self.method;
        let mut allowed = MethodSet::NONE;
        let mut chosen = None;
        for (index, handler) in node.handlers.iter().enumerate() {
            if !fits(handler, &self.trail.captures) {
                continue;
            }
            if handler.methods.contains(method) || (self.is_asked && handler.methods == MethodSet::ANY) {
                chosen = Some(index);
                break;
            }
            if method == MethodSet::HEAD && handler.methods.contains(MethodSet::GET) {
                chosen = Some(index);
            }
            allowed = allowed.with(handler.methods);
        }
        if let Some(index) = chosen {
            self.trail.steps.push(Step::Handler { index: u16::try_from(index).ok()?, first });
            self.trail.handler = Some(node.handlers[index].clone());
            return Some(Resolution::Found);
        }
        (allowed != MethodSet::NONE).then_some(Resolution::WrongMethod(allowed))
    }
}

/// The walk does not leave a mounted app again: its path is its own, and so is the 404 there.
fn nowhere_else(child: &ChildStep) -> Option<Resolution> {
    child.is_app().then_some(Resolution::NotFound)
}

/// Whether a handler answers for its name; in a resource the HTTP methods do not.
pub(super) fn is_page(node: &Node, handler: &Handler) -> bool {
    node.kind == NodeKind::Pages || !is_http_method(&handler.name)
}

pub(super) fn is_http_method(name: &str) -> bool {
    matches!(name, "get" | "post" | "put" | "patch" | "delete" | "head" | "options")
}

/// `index` and `default` are roles: only their aliases are names in a path.
pub(super) fn has_name(handler: &Handler, segment: &str) -> bool {
    let by_role = matches!(&*handler.name, "index" | "default");
    (!by_role && matches_name(&handler.name, segment))
        || handler.aliases.iter().any(|alias| matches_name(alias, segment))
}

/// A `-` or `.` in the path also matches a `_` in the name.
pub(super) fn matches_name(name: &str, segment: &str) -> bool {
    name.len() == segment.len()
        && name
            .bytes()
            .zip(segment.bytes())
            .all(|(wanted, given)| wanted == given || (wanted == b'_' && matches!(given, b'-' | b'.')))
}

/// Whether two segments are the same to the traversal.
pub(crate) fn same_segment(one: &str, other: &str) -> bool {
    one.len() == other.len() && one.bytes().map(folded).eq(other.bytes().map(folded))
}

fn folded(byte: u8) -> u8 {
    if matches!(byte, b'-' | b'.') { b'_' } else { byte }
}

pub(super) fn has_room(handler: &Handler, segments: usize, captures: &Captures) -> bool {
    handler.segment_capacity().is_none_or(|capacity| {
        capacity >= segments
            && (captures.is_empty() || capacity - captured_arguments(&handler.arguments, captures) >= segments)
    })
}

/// How many arguments get a value that was captured, and so no segment.
fn captured_arguments(arguments: &[ArgumentInfo], captures: &Captures) -> usize {
    arguments.iter().filter(|argument| is_captured(argument, captures)).count()
}

fn is_captured(argument: &ArgumentInfo, captures: &Captures) -> bool {
    matches!(argument.source, Source::Named { .. }) && !captures.is_empty() && captures.get(argument.name).is_some()
}

/// The minimum and the maximum of segments that a child takes.
fn counts(arguments: &[ArgumentInfo], captures: &Captures) -> (u16, u16) {
    let mut least = 0;
    let mut most: u16 = 0;
    for argument in arguments {
        match argument.source {
            Source::Named { .. } if is_captured(argument, captures) => {}
            Source::Named { required } => {
                most = most.saturating_add(1);
                if required {
                    // Arguments are taken in order, so an optional one before a required one must be there too.
                    least = most;
                }
            }
            Source::Segments => most = u16::MAX,
            Source::Repeated | Source::File | Source::Parameters | Source::Typed => {}
        }
    }
    (least, most)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::handlers;
    use crate::publish::{Publish, probe::exchange};

    /// Each segment can go on in two ways, and nothing is at the end.
    struct Maze;

    #[handlers]
    impl Maze {
        #[child]
        fn a(&self) -> Self {
            Self
        }

        #[child]
        fn default(&self, _any: &str) -> Self {
            Self
        }
    }

    #[test]
    fn a_hostile_path_costs_bounded_work_and_stack() {
        for segments in [30, 200, 20_000] {
            let request = exchange("GET", &"/a".repeat(segments), "", b"").request;
            let end = u16::try_from(segments).expect("few segments");
            let mut walk = Walk {
                request: &request,
                method: MethodSet::GET,
                is_asked: true,
                trail: &mut Trail::default(),
                end,
                visits: 0,
            };
            assert_eq!(walk.node(&Maze::node(), 0, 0), None);
            assert!(walk.visits <= MAX_VISITS + 2 * MAX_DEPTH, "{} visits", walk.visits);
            assert!(walk.trail.steps.is_empty());
        }
    }
}
