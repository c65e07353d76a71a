//! The checks of the tree at start: that handlers have the tools they need and do not read the body twice, and that
//! path sections have a page.

use crate::config::{ConfigError, Merged, how_to_add};
use crate::exchange::{ArgumentInfo, BodyUse, Handler, Source};
use crate::publish::same_segment;
use crate::publish::{Addresses, ChildStep, Node, NodeKind, NodeRef};
#[cfg(feature = "tls")]
use crate::{lifecycle::Plan, tls::Tls};

/// Deepest level that is looked at: trees whose types contain themselves have no end.
const DEEPEST: usize = 32;

/// Refuses handlers and children that take something a tool provides, where that tool is not on.
///
/// The plan of a path with variable segments is that of the sections above the first of them.
pub(super) fn required_tools(root: &Node, merged: &Merged) -> Result<(), ConfigError> {
    visit(root, &mut Vec::new(), &mut Vec::new(), &mut |node, name, arguments, return_requires, path| {
        let plan = &merged.plans[merged.sections.find(path.iter().map(String::as_str))];
        let is_missing = |tool: &&str| !plan.tools.contains(tool) && !plan.provided.contains(tool);
        let missing = arguments.iter().find_map(|argument| {
            let tool = argument.requires.filter(is_missing)?;
            Some((format!("its argument `{}`", argument.name), tool))
        });
        let missing = missing.or_else(|| Some(("what it returns".to_owned(), return_requires.filter(is_missing)?)));
        let Some((needing, tool)) = missing else { return Ok(()) };
        let needed = match tool {
            "login" => "a tool that knows who is logged in".to_owned(),
            tool => format!("the tool `{tool}`"),
        };
        let fix = how_to_add(tool);
        let place = format!("{}::{name} at /{}", node.type_name, path.join("/"));
        Err(ConfigError::new(place, format!("{needing} needs {needed}, which is not on there: add {fix}")))
    })
}

/// Refuses the tool that demands client certificates where no client would be asked for one.
#[cfg(feature = "tls")]
pub(super) fn asked_for_certificates(plans: &[Plan], tls: &Tls) -> Result<(), ConfigError> {
    let demanding = plans.iter().find(|plan| plan.tools().contains(&"require_certificate"));
    match demanding.filter(|_| !tls.asks_clients()) {
        None => Ok(()),
        Some(plan) => Err(ConfigError::new(
            format!("the tool `require_certificate` at `{}`", plan.section()),
            "no client would be asked for a certificate: set server.tls.client_certificates to \"optional\" or \"required\", and server.tls.client_roots",
        )),
    }
}

/// Refuses handlers that read the body as a stream and take something out of it as well, which nothing would ever be
/// in.
pub(super) fn one_reader_of_the_body(root: &Node) -> Result<(), ConfigError> {
    visit(root, &mut Vec::new(), &mut Vec::new(), &mut |node, name, arguments, _, path| {
        // Parameters and `Params` are found in the query, too.
        let takes_body =
            |argument: &&ArgumentInfo| !matches!(argument.body, BodyUse::None | BodyUse::Form | BodyUse::Any);
        let mut takers = arguments.iter().filter(takes_body);
        let is_streamed = takers.clone().any(|argument| argument.body == BodyUse::Stream);
        let (Some(first), Some(second), true) = (takers.next(), takers.next(), is_streamed) else { return Ok(()) };
        let place = format!("{}::{name} at /{}", node.type_name, path.join("/"));
        let problem = format!(
            "its arguments `{}` and `{}` both take the request body, and one of them reads it as a stream: take one of them",
            first.name, second.name
        );
        Err(ConfigError::new(place, problem))
    })
}

/// Refuses links of tools to pages that no type of the trees has. Apps of several hosts may share their templates.
pub(super) fn linked_pages(trees: &[NodeRef], links: &[(String, String)]) -> Result<(), ConfigError> {
    if links.is_empty() {
        return Ok(());
    }
    let trees: Vec<_> = trees.iter().map(Addresses::of).collect();
    links.iter().try_for_each(|(place, name)| {
        let mut problem = None;
        for tree in &trees {
            match tree.has(name) {
                Ok(()) => return Ok(()),
                Err(error) => problem = problem.or(Some(error)),
            }
        }
        let problem = problem.map(|error| error.to_string()).unwrap_or_default();
        Err(ConfigError::new(place.clone(), format!("no page is named `{name}`: {problem}")))
    })
}

/// Gets a node, the name and the arguments of one of its handlers or children, the tool that its return value needs,
/// and the path so far.
type Visit<'v> =
    dyn FnMut(&Node, &str, &[ArgumentInfo], Option<&'static str>, &[String]) -> Result<(), ConfigError> + 'v;

/// Calls `visitor` for every handler and child with the fixed part of its path; nodes that contain themselves are
/// visited once.
fn visit(
    node: &Node,
    path: &mut Vec<String>,
    above: &mut Vec<*const Node>,
    visitor: &mut Visit<'_>,
) -> Result<(), ConfigError> {
    let this = std::ptr::from_ref(node);
    if above.len() >= DEEPEST || above.contains(&this) {
        return Ok(());
    }
    above.push(this);
    for handler in node.handlers.iter() {
        if node.kind == NodeKind::Dispatched {
            let depth = path.len();
            path.extend(pattern_of(handler).map(str::to_owned));
            visitor(node, &handler.name, &handler.arguments, handler.return_requires, path)?;
            path.truncate(depth);
            continue;
        }
        let named = node.kind == NodeKind::Pages && !matches!(&*handler.name, "index" | "default" | "");
        path.extend(named.then(|| handler.name.clone().into_owned()));
        visitor(node, &handler.name, &handler.arguments, handler.return_requires, path)?;
        path.truncate(path.len() - usize::from(named));
    }
    for child in node.children.iter() {
        let depth = path.len();
        match &*child.name {
            "default" => {}
            pattern if node.kind == NodeKind::Dispatched => path.extend(segments_of(pattern).map(str::to_owned)),
            name => path.push(name.to_owned()),
        }
        visitor(node, &child.name, &child.arguments, None, path)?;
        // Stands for the segments that the child takes; no section has such a name.
        path.extend(child.arguments.iter().map(|argument| format!("{{{}}}", argument.name)));
        visit(&child.below(), path, above, visitor)?;
        path.truncate(depth);
    }
    above.pop();
    Ok(())
}

/// The sections, as written, at which neither the tree nor a tool answers anything.
pub(super) fn sections_without_answer<'m>(root: &Node, merged: &'m Merged) -> Vec<&'m str> {
    let sections = merged.plans.iter().zip(&merged.paths);
    let idle =
        sections.filter(|(plan, path)| !plan.answers && !leads_somewhere(root, &path.segments().collect::<Vec<_>>()));
    idle.map(|(plan, _)| plan.section()).collect()
}

fn segments_of(pattern: &str) -> impl Iterator<Item = &str> {
    pattern.split('/').filter(|segment| !segment.is_empty())
}

fn pattern_of(handler: &Handler) -> impl Iterator<Item = &str> {
    segments_of(handler.aliases.first().copied().unwrap_or_default())
}

/// The rest of `segments` behind a pattern; nothing if the pattern is the longer one, `None` if it is another path.
fn left_over<'s, 'p>(pattern: impl Iterator<Item = &'p str>, mut segments: &'s [&'s str]) -> Option<&'s [&'s str]> {
    for piece in pattern {
        let Some((first, rest)) = segments.split_first() else { break };
        if piece.starts_with("{*") {
            return Some(&[]);
        }
        // A variable piece may take any text, so it may take this.
        if !piece.contains('{') && !same_segment(piece, first) {
            return None;
        }
        segments = rest;
    }
    Some(segments)
}

/// Whether a path that starts with these segments may reach a handler.
fn leads_somewhere(node: &Node, segments: &[&str]) -> bool {
    let [first, rest @ ..] = segments else { return true };
    if node.kind == NodeKind::Late {
        return true;
    }
    if node.kind == NodeKind::Dispatched {
        let by_handler = node.handlers.iter().any(|handler| match left_over(pattern_of(handler), segments) {
            // A dispatcher that tells no pattern may do anything.
            Some(left) => left.is_empty() || handler.aliases.is_empty(),
            None => false,
        });
        let by_child = |child: &ChildStep| {
            left_over(segments_of(&child.name), segments).is_some_and(|left| leads_somewhere(&child.below(), left))
        };
        return by_handler || node.children.iter().any(by_child);
    }
    let takes =
        |handler: &Handler, segments: &[&str]| handler.segment_capacity().is_none_or(|most| segments.len() <= most);
    node.handlers.iter().any(|handler| {
        let by_name = std::iter::once(&*handler.name).chain(handler.aliases.iter().copied());
        let named = by_name.clone().any(|name| same_segment(name, first)) && takes(handler, rest);
        let direct = node.kind == NodeKind::Resource || matches!(&*handler.name, "index" | "default");
        named || direct && takes(handler, segments)
    }) || node.children.iter().any(|child| {
        let taken = child.arguments.iter().filter(|argument| matches!(argument.source, Source::Named { .. })).count();
        let after = |segments: &[&str]| leads_somewhere(&child.below(), segments.get(taken..).unwrap_or_default());
        if child.name == "default" { after(segments) } else { same_segment(&child.name, first) && after(rest) }
    })
}
