//! The list of everything that a tree publishes, for people and for checks at start.

use super::resolve::is_http_method;
use super::{ChildStep, Node, NodeKind, NodeRef};
use crate::exchange::{ArgumentInfo, Handler, MethodSet, Source, Step, Trail};

/// Deepest level that is listed; trees whose types contain themselves have no end.
const MAX_DEPTH: usize = 32;

/// One handler and the paths that lead to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// The hosts, where it is not for all that the application answers for: `shop.example`.
    pub host: Option<String>,
    /// The pattern of its paths: `/user/{id}/orders`; `{id?}` may be missing, `{rest*}` is any number of segments.
    pub path: String,
    /// The methods that it answers.
    pub methods: MethodSet,
    /// The name of the handler; empty for a node that only its value knows.
    pub handler: String,
    /// The type that publishes it.
    pub type_name: String,
}

/// One line: `GET, HEAD, POST /user/{id}/orders (User::orders)`.
impl std::fmt::Display for Route {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { host, path, methods, handler, type_name } = self;
        let host = host.as_deref().unwrap_or_default();
        if handler.is_empty() {
            return write!(f, "{host}{path} ({type_name})");
        }
        write!(f, "{} {host}{path} ({type_name}::{handler})", methods.allow())
    }
}

/// Lists a whole tree, parents before children. A node that leads back to itself is listed once; a node
/// that only its value knows is one route that ends in `{*}`.
#[must_use]
pub fn routes(root: &Node) -> Vec<Route> {
    let mut list = Vec::new();
    each_route(root, &mut |route, _, _| list.push(route));
    list
}

/// Gets a route, its handler unless only a value knows it, and the children on the way to it.
type VisitRoute<'v> = dyn FnMut(Route, Option<&Handler>, &[ChildStep]) + 'v;

/// Calls `visit` for each route in the order of [`routes`].
pub(crate) fn each_route(root: &Node, visit: &mut VisitRoute<'_>) {
    collect(root, "", &mut Vec::new(), &mut Vec::new(), visit);
}

fn collect(
    node: &Node,
    path: &str,
    above: &mut Vec<*const Node>,
    way: &mut Vec<ChildStep>,
    visit: &mut VisitRoute<'_>,
) {
    if node.kind == NodeKind::Late {
        let route = Route {
            host: None,
            path: format!("{path}/{{*}}"),
            methods: MethodSet::NONE,
            handler: String::new(),
            type_name: node.type_name.clone().into_owned(),
        };
        return visit(route, None, way);
    }
    if above.len() >= MAX_DEPTH || above.contains(&std::ptr::from_ref(node)) {
        return;
    }
    above.push(node);
    let is_dispatched = node.kind == NodeKind::Dispatched;
    for handler in node.handlers.iter().filter(|handler| !handler.name.is_empty()) {
        if is_dispatched {
            visit(route(dispatched_path(path, node, handler), node, handler), Some(handler), way);
            continue;
        }
        let role = path_by_role(path, node, handler);
        let names = std::iter::once(&*handler.name).filter(|_| role.is_none()).chain(handler.aliases.iter().copied());
        let named = names.map(|name| with_arguments(&format!("{path}/{name}"), &handler.arguments)).collect::<Vec<_>>();
        for path in role.into_iter().chain(named) {
            visit(route(path, node, handler), Some(handler), way);
        }
    }
    for child in node.children.iter().filter(|child| is_dispatched || !child.name.is_empty()) {
        way.push(child.clone());
        collect(&child.below(), &child_path(path, child), above, way, visit);
        way.pop();
    }
    above.pop();
}

/// A number for the way of a trail through a tree: the same for all requests of a route. Behind a node that only its
/// value knows it does not go on.
#[inline]
pub(crate) fn route_key(tree: usize, steps: &[Step]) -> u64 {
    let add = |key: u64, kind: u64, index: u16| (key ^ (kind << 16 | u64::from(index))).wrapping_mul(KEY_FACTOR);
    let mut key = KEY_FACTOR ^ (tree as u64).wrapping_mul(KEY_FACTOR);
    for step in steps {
        match *step {
            Step::Child { index, .. } => key = add(key, 1, index),
            Step::Handler { index, .. } => key = add(key, 2, index),
            Step::Late { .. } => {
                key = add(key, 3, 0);
                break;
            }
        }
    }
    // The low bits choose a place.
    key ^ key >> 32
}

/// Odd, and its bits look random: 2^64 divided by the golden ratio.
const KEY_FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;

/// The routes of a tree with their keys, each handler once.
pub(crate) fn keyed_routes(tree: usize, root: &Node) -> Vec<(u64, String)> {
    fn visit(
        (tree, node, path): (usize, &Node, &str),
        steps: &mut Vec<Step>,
        above: &mut Vec<*const Node>,
        list: &mut Vec<(u64, String)>,
    ) {
        if node.kind == NodeKind::Late {
            steps.push(Step::Late { first: 0 });
            list.push((route_key(tree, steps), format!("{path}/{{*}}")));
            steps.pop();
            return;
        }
        if above.len() >= MAX_DEPTH || above.contains(&std::ptr::from_ref(node)) {
            return;
        }
        above.push(node);
        for (index, handler) in (0..).zip(&*node.handlers) {
            let named = || with_arguments(&format!("{path}/{}", handler.name), &handler.arguments);
            let path = match node.kind {
                NodeKind::Dispatched => dispatched_path(path, node, handler),
                _ => path_by_role(path, node, handler).unwrap_or_else(named),
            };
            steps.push(Step::Handler { index, first: 0 });
            list.push((route_key(tree, steps), route(path, node, handler).path));
            steps.pop();
        }
        for (index, child) in (0..).zip(&*node.children) {
            steps.push(Step::Child { index, first: 0, count: 0 });
            visit((tree, &child.below(), &child_path(path, child)), steps, above, list);
            steps.pop();
        }
        above.pop();
    }
    let mut list = Vec::new();
    visit((tree, root, ""), &mut Vec::new(), &mut Vec::new(), &mut list);
    list
}

/// The methods that would be pages if they were exposed, as paths and as `Shop::item`.
pub(crate) fn unexposed(root: &Node) -> Vec<(String, String)> {
    fn visit(node: &Node, path: &str, above: &mut Vec<*const Node>, list: &mut Vec<(String, String)>) {
        if above.len() >= MAX_DEPTH || above.contains(&std::ptr::from_ref(node)) {
            return;
        }
        above.push(node);
        let methods = node.unexposed.iter();
        list.extend(methods.map(|name| (format!("{path}/{name}"), format!("{}::{name}", node.type_name))));
        for child in node.children.iter() {
            visit(&child.below(), &child_path(path, child), above, list);
        }
        above.pop();
    }
    let mut list = Vec::new();
    visit(root, "", &mut Vec::new(), &mut list);
    list
}

/// Whether a dispatcher is asked on some way through the tree.
pub(crate) fn has_dispatchers(root: &Node) -> bool {
    fn visit(node: &Node, above: &mut Vec<*const Node>) -> bool {
        if node.dispatch.is_some() || above.len() >= MAX_DEPTH {
            return true;
        }
        if above.contains(&std::ptr::from_ref(node)) {
            return false;
        }
        above.push(node);
        let found = node.children.iter().any(|child| visit(&child.below(), above));
        above.pop();
        found
    }
    visit(root, &mut Vec::new())
}

/// The route to the handler whose description is at this address; `None` when it is in no node that is known without a
/// value.
pub(crate) fn route_at(root: &Node, address: usize) -> Option<Route> {
    fn visit(node: &Node, path: &str, address: usize, above: &mut Vec<*const Node>) -> Option<Route> {
        if above.len() >= MAX_DEPTH || above.contains(&std::ptr::from_ref(node)) {
            return None;
        }
        if let Some(handler) = node.handlers.iter().find(|handler| handler.address() == address) {
            let named = || with_arguments(&format!("{path}/{}", handler.name), &handler.arguments);
            let path = match node.kind {
                NodeKind::Dispatched => dispatched_path(path, node, handler),
                _ => path_by_role(path, node, handler).unwrap_or_else(named),
            };
            return Some(route(path, node, handler));
        }
        above.push(node);
        let found =
            node.children.iter().find_map(|child| visit(&child.below(), &child_path(path, child), address, above));
        above.pop();
        found
    }
    visit(root, "", address, &mut Vec::new())
}

/// The route that a trail has taken from `root`; `None` when it passes a node that only its value knows, or ends before
/// a handler.
pub(crate) fn route_of(root: &NodeRef, trail: &Trail) -> Option<Route> {
    let mut node = root.clone();
    let mut path = String::new();
    for step in trail.steps() {
        match *step {
            Step::Child { index, .. } => {
                let below = {
                    let child = node.children.get(usize::from(index))?;
                    path = child_path(&path, child);
                    child.below()
                };
                node = below;
            }
            Step::Handler { index, .. } => {
                let handler = node.handlers.get(usize::from(index))?;
                if node.kind == NodeKind::Dispatched {
                    return Some(route(dispatched_path(&path, &node, handler), &node, handler));
                }
                let named = || with_arguments(&format!("{path}/{}", handler.name), &handler.arguments);
                let path = path_by_role(&path, &node, handler).unwrap_or_else(named);
                return Some(route(path, &node, handler));
            }
            Step::Late { .. } => return None,
        }
    }
    None
}

/// Which segments of a path have become arguments by name, along a trail: the name, and the index of the segment.
pub(crate) fn named_segments(root: &NodeRef, trail: &Trail, segments: usize) -> Vec<(String, usize)> {
    let mut node = root.clone();
    let mut named = Vec::new();
    let mut take = |arguments: &[ArgumentInfo], segments: std::ops::Range<usize>| {
        let arguments = arguments.iter().filter(|argument| matches!(argument.source, Source::Named { .. }));
        named.extend(arguments.zip(segments).map(|(argument, index)| (argument.name.to_owned(), index)));
    };
    for step in trail.steps() {
        match *step {
            Step::Child { index, first, count } => {
                let Some(child) = node.children.get(usize::from(index)) else { break };
                take(&child.arguments, usize::from(first)..usize::from(first + count));
                let below = child.below();
                node = below;
            }
            Step::Handler { index, first } => {
                let Some(handler) = node.handlers.get(usize::from(index)) else { break };
                take(&handler.arguments, usize::from(first)..segments);
            }
            Step::Late { .. } => break,
        }
    }
    named
}

/// The path of a handler that a dispatcher finds: its pattern is its first alias.
fn dispatched_path(path: &str, node: &Node, handler: &Handler) -> String {
    debug_assert_eq!(node.kind, NodeKind::Dispatched);
    match handler.aliases.first() {
        None | Some(&"") => path.to_owned(),
        Some(pattern) => format!("{path}/{}", pattern.trim_start_matches('/')),
    }
}

/// The path of a handler whose name is not in it: `index`, `default`, the methods of a resource.
fn path_by_role(path: &str, node: &Node, handler: &Handler) -> Option<String> {
    let by_method = node.kind == NodeKind::Resource && is_http_method(&handler.name);
    match &*handler.name {
        "index" => Some(format!("{path}/")),
        "default" => Some(with_arguments(path, &handler.arguments)),
        _ if by_method => Some(with_arguments(path, &handler.arguments)),
        _ => None,
    }
}

fn route(path: String, node: &Node, handler: &Handler) -> Route {
    let path = if path.is_empty() { "/".to_owned() } else { path };
    Route {
        host: None,
        path,
        methods: handler.methods,
        handler: handler.name.clone().into_owned(),
        type_name: node.type_name.clone().into_owned(),
    }
}

fn child_path(path: &str, child: &ChildStep) -> String {
    match &*child.name {
        "" => path.to_owned(),
        "default" => with_arguments(path, &child.arguments),
        name => with_arguments(&format!("{path}/{name}"), &child.arguments),
    }
}

fn with_arguments(path: &str, arguments: &[ArgumentInfo]) -> String {
    let mut path = path.to_owned();
    for ArgumentInfo { name, source, .. } in arguments {
        match source {
            Source::Named { required: true } => path.push_str(&format!("/{{{name}}}")),
            Source::Named { required: false } => path.push_str(&format!("/{{{name}?}}")),
            Source::Segments => path.push_str(&format!("/{{{name}*}}")),
            Source::Repeated | Source::File | Source::Parameters | Source::Typed => {}
        }
    }
    path
}
