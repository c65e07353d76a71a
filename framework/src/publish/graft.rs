//! Apps below apps: one tree of several roots, each at its own path.
//!
//! A [`Graft`] is the node at a place where trees meet. Its description is that of the tree at this place, with the
//! trees mounted below it as its first children: a mount is a name, and comes before all other children that could take
//! its segments. An app owns its path: the walk does not leave it again, so no page of the outer tree answers there.
//! Pages that would come before a mount, or be hidden by it, are found here and refused, so that no page disappears
//! silently.

use super::resolve::{has_name, has_room, is_page, matches_name, same_segment};
use super::{Call, ChildNode, ChildStep, DispatchRef, Node, NodeKind, NodeRef, PathRest, Publish, Way};
use crate::exchange::{Captures, Error, PathLinks, Source};
use std::borrow::Cow;
use std::sync::Arc;

/// A tree and the path that it belongs below.
#[derive(Clone)]
pub(crate) struct Mount {
    /// The path as it was written.
    pub(crate) written: String,
    /// Its segments, decoded.
    pub(crate) segments: Vec<String>,
    pub(crate) root: Arc<dyn Publish>,
}

/// Puts the mounts into the tree of `root`.
///
/// # Errors
/// The address that two trees both claim, in a sentence.
pub(crate) fn graft(root: &Arc<dyn Publish>, mounts: &[Mount]) -> Result<Arc<dyn Publish>, String> {
    if mounts.is_empty() {
        return Ok(root.clone());
    }
    let mut top = Place { own: Some(("/", root)), below: Vec::new() };
    for mount in mounts {
        let mut place = &mut top;
        for segment in &mount.segments {
            let found = place.below.iter().position(|(name, _)| same_segment(name, segment));
            let index = found.unwrap_or_else(|| {
                place.below.push((segment, Place { own: None, below: Vec::new() }));
                place.below.len() - 1
            });
            place = &mut place.below[index].1;
        }
        let written = &mount.written;
        match place.own {
            Some(("/", _)) => {
                return Err(format!(
                    "an app is mounted at {written:?}, where the application itself is: give it a path of its own"
                ));
            }
            Some((other, _)) => {
                return Err(format!(
                    "two apps are mounted at one path, {other:?} and {written:?}: give one of them another path"
                ));
            }
            None => place.own = Some((written, &mount.root)),
        }
    }
    top.check(&mut Vec::new())?;
    Ok(Arc::new(top.grown()))
}

/// A place of the tree while it is put together.
struct Place<'m> {
    /// The path as it was written and the tree that is mounted here, if one is.
    own: Option<(&'m str, &'m Arc<dyn Publish>)>,
    below: Vec<(&'m str, Place<'m>)>,
}

impl Place<'_> {
    /// Refuses mounts that trees above them are in the way of. `above` are the paths and trees above, with the segments
    /// from there.
    fn check<'m>(&'m self, above: &mut Vec<(&'m str, NodeRef, Vec<&'m str>)>) -> Result<(), String> {
        if let Some((written, root)) = self.own {
            for (at, tree, segments) in above.iter() {
                if let Some(obstacle) = obstacle(tree, segments) {
                    return Err(format!(
                        "an app is mounted at {written:?}, but {obstacle} in the tree at {at:?}: give one of them another path"
                    ));
                }
            }
            above.push((written, root.describe(), Vec::new()));
        }
        for (name, place) in &self.below {
            above.iter_mut().for_each(|(_, _, segments)| segments.push(name));
            place.check(above)?;
            above.iter_mut().for_each(|(_, _, segments)| {
                segments.pop();
            });
        }
        above.truncate(above.len() - usize::from(self.own.is_some()));
        Ok(())
    }

    /// The paths of the mounts here and below, from the place above.
    fn paths(above: &[String], (name, place): &(&str, Self)) -> Vec<Vec<String>> {
        let here: Vec<_> = above.iter().cloned().chain([(*name).to_owned()]).collect();
        let below = place.below.iter().flat_map(|below| Self::paths(&here, below)).collect::<Vec<_>>();
        place.own.map(|_| here.clone()).into_iter().chain(below).collect()
    }

    fn grown(&self) -> Graft {
        let below: Vec<_> = self.below.iter().map(|(name, place)| ((*name).to_owned(), place.grown())).collect();
        let mounts = below.iter().map(|(name, graft)| {
            let node = ChildNode::Mount { node: graft.node.clone(), is_app: graft.own.is_some() };
            down(name.clone(), node)
        });
        let own = self.own.map(|(_, root)| (root.clone(), root.describe()));
        let node = match &own {
            None => Node { children: mounts.collect(), kind: NodeKind::Pages, ..nothing() },
            // Below a node that finds its children in its own way, their numbers must stay: it becomes a child itself,
            // the last one.
            Some((_, node)) if matches!(node.kind, NodeKind::Late | NodeKind::Dispatched) && !below.is_empty() => {
                Node {
                    children: mounts
                        .chain([down(String::new(), ChildNode::Shared(Arc::new(Node::clone(node))))])
                        .collect(),
                    dispatch: Some(DispatchRef::new(mounts_first(
                        self.below.iter().map(|place| Self::paths(&[], place)).collect(),
                    ))),
                    kind: NodeKind::Dispatched,
                    ..nothing()
                }
            }
            Some((_, node)) => {
                Node { children: mounts.chain(node.children.iter().cloned()).collect(), ..Node::clone(node) }
            }
        };
        let is_apart = node.dispatch.is_some() && !below.is_empty();
        let below = below.into_iter().map(|(_, graft)| graft).collect();
        Graft { own: own.map(|(root, _)| root), is_apart, below, node: Arc::new(node) }
    }
}

fn nothing() -> Node {
    Node { type_name: Cow::Borrowed("App::mount"), ..Node::LATE.clone() }
}

fn down(name: String, node: ChildNode) -> ChildStep {
    ChildStep { name: Cow::Owned(name), node, ..ChildStep::ABSENT }
}

/// To the child whose mounts contain the path, by their paths from here; else to the one behind them all.
fn mounts_first(paths: Vec<Vec<Vec<String>>>) -> impl Fn(&mut PathRest<'_>) -> Way {
    move |rest| {
        let is_below = |path: &Vec<String>| {
            path.len() <= rest.segments().len()
                && path.iter().zip(rest.segments()).all(|(name, segment)| same_segment(name, segment))
        };
        match paths.iter().position(|paths| paths.iter().any(is_below)) {
            Some(index) => Way::child(as_index(index)).after(1),
            None => Way::child(as_index(paths.len())),
        }
    }
}

fn as_index(index: usize) -> u16 {
    u16::try_from(index).expect("fewer mounts than children of a node")
}

/// The part of a tree that is in the way of a mount: a page or a child of that name, or a page that takes the segments.
fn obstacle(node: &Node, segments: &[&str]) -> Option<String> {
    let [first, rest @ ..] = segments else { return None };
    // Names go before values: a mount is met before a child's arguments, and before anything that only a value or a
    // dispatcher knows.
    if matches!(node.kind, NodeKind::Late | NodeKind::Dispatched) {
        return None;
    }
    let page = node.handlers.iter().find(|handler| {
        is_page(node, handler) && has_name(handler, first) && has_room(handler, rest.len(), &Captures::default())
    });
    if let Some(page) = page {
        return Some(format!("the page `{}::{}` answers there", node.type_name, page.name));
    }
    node.children.iter().filter(|child| child.name != "default" && matches_name(&child.name, first)).find_map(|child| {
        if rest.is_empty() {
            return Some(format!("the child `{}::{}` is there", node.type_name, child.name));
        }
        let takes_segments =
            child.arguments.iter().any(|argument| matches!(argument.source, Source::Named { .. } | Source::Segments));
        (!takes_segments).then(|| obstacle(&child.below(), rest)).flatten()
    })
}

/// A place where trees meet.
struct Graft {
    own: Option<Arc<dyn Publish>>,
    /// Whether the tree that is here itself is a child of this node, the last one, and not this node.
    is_apart: bool,
    below: Vec<Graft>,
    node: Arc<Node>,
}

impl Publish for Graft {
    type Links = PathLinks;

    fn node() -> NodeRef {
        NodeRef::Static(Node::LATE)
    }

    fn describe(&self) -> NodeRef {
        NodeRef::Shared(Arc::clone(&self.node))
    }

    fn call(&self, call: &mut Call<'_>) -> Result<(), Error> {
        let step = call.step_into(self.below.len() + usize::from(self.is_apart));
        match (step.and_then(|index| self.below.get(index)), &self.own) {
            (Some(below), _) => below.call(call),
            // Its description is part of this one, so its part of the trail is complete.
            (None, Some(own)) => (**own).call(call),
            (None, None) => Err(call.misled()),
        }
    }
}
