//! From a page of a typed tree and values to an address: where each type of the tree is, found once at start.
//!
//! A type may be at several places. Links count from the place in the app that they are written in; if that leaves a
//! choice, the link is an error that names the places, never a guess.

use super::resolve::{has_name, is_http_method, is_page, matches_name};
use super::{ChildNode, ChildStep, Node, NodeKind, NodeRef, Publish};
use crate::exchange::{
    Address, ArgumentInfo, Handler, LinkError, LinkText, LinkWay, MethodSet, NamedValues, PageAddresses, PageLink,
    Source,
};
use crate::http::encode_segment;
use crate::suggestion::suggestion;

/// Deepest level that is looked at: trees whose types contain themselves have no end.
const MAX_DEPTH: usize = 32;

/// Most places of types that are remembered; the ways through a tree can be very many.
const MAX_PLACES: usize = 4096;

/// The links to the pages of `T`: a method for each page and each child, with the name and the arguments that it has in
/// the `#[handlers]` or `#[resource]` block. [`Request::link`](crate::Request::link) makes an address of a link.
///
/// ```
/// use kirsch::{prelude::*, testing::Client};
///
/// struct Site;
/// struct Customer(u32);
///
/// #[handlers]
/// impl Site {
///     #[expose]
///     fn index(&self, request: &Request) -> kirsch::Result<String> {
///         let orders = request.link(link_to::<Site>().customer(7).orders(2))?.local();
///         Ok(format!("<a href=\"{orders}\">orders</a>"))
///     }
///
///     #[child]
///     fn customer(&self, id: u32) -> Customer {
///         Customer(id)
///     }
/// }
///
/// #[handlers]
/// impl Customer {
///     #[expose]
///     fn orders(&self, page: Option<u32>) -> String {
///         format!("page {page:?} of customer {}", self.0)
///     }
/// }
///
/// let client = Client::in_process(App::new(Site));
/// client.get("/").send().assert_text("<a href=\"/customer/7/orders?page=2\">orders</a>");
/// ```
///
/// The compiler refuses a page that is not there, and a value of another type:
///
/// ```compile_fail,E0277
/// # use kirsch::prelude::*;
/// # struct Shop;
/// # #[handlers]
/// # impl Shop {
/// #     #[expose]
/// #     fn item(&self, id: u32) -> String { id.to_string() }
/// # }
/// link_to::<Shop>().item("forty-two");
/// ```
///
/// A link has the arguments that come from the address: by name (`u32`, `&str`, `Option<T>`, `Vec<T>`, your own
/// parameters) and `Segments`. Those that come by type are left out: `&Session`, `Form<T>`, `Query<T>` and the like.
/// [`LinkValue`](crate::exchange::LinkValue) lists the values that an argument takes; [`Omit`](crate::exchange::Omit)
/// leaves one out. Arguments that must be there become segments of the path, optional and repeated ones the query.
///
/// A link may begin at any type that the tree has at one place only. If it is at several places, or below a child that
/// takes a value, begin at a type above it.
#[must_use]
pub fn link_to<T: Publish>() -> T::Links {
    LinkWay::from_type((T::node().type_path)()).into()
}

/// Where the types of a tree are.
#[derive(Debug)]
pub(crate) struct Addresses {
    places: Vec<Place>,
}

/// One place of one type.
#[derive(Clone, Debug)]
struct Place {
    type_path: &'static str,
    node: NodeRef,
    /// The children on the way from the root.
    way: Vec<ChildStep>,
    /// Where the app is mounted that it belongs to.
    mount: String,
}

impl Addresses {
    pub(crate) fn of(root: &NodeRef) -> Self {
        let mut addresses = Self { places: Vec::new() };
        addresses.collect(root, &mut Vec::new(), "", &mut Vec::new());
        addresses
    }

    fn collect(&mut self, node: &NodeRef, way: &mut Vec<ChildStep>, mount: &str, above: &mut Vec<*const Node>) {
        let this = std::ptr::from_ref::<Node>(node);
        if self.places.len() >= MAX_PLACES || above.len() >= MAX_DEPTH || above.contains(&this) {
            return;
        }
        above.push(this);
        let is_grafted_apart = node.kind == NodeKind::Dispatched && node.children.iter().any(ChildStep::is_mount);
        if node.kind == NodeKind::Pages || node.kind == NodeKind::Resource {
            let type_path = (node.type_path)();
            self.places.push(Place { type_path, node: node.clone(), way: way.clone(), mount: mount.to_owned() });
        }
        for child in node.children.iter() {
            // Only the node knows how its patterns are filled.
            if child.name.contains('{') || (node.kind == NodeKind::Dispatched && !is_grafted_apart) {
                continue;
            }
            way.push(child.clone());
            if child.is_app() {
                let names = way.iter().filter(|step| !step.name.is_empty());
                let mount: String = names.map(|step| format!("/{}", encode_segment(&step.name))).collect();
                self.collect(&child.below(), way, &mount, above);
            } else {
                self.collect(&child.below(), way, mount, above);
            }
            way.pop();
        }
        above.pop();
    }

    /// The one place among `found`, those in the app at `mount` first.
    fn one<'p>(found: &[&'p Place], what: &str, mount: &str) -> Result<&'p Place, LinkError> {
        let own: Vec<_> = found.iter().copied().filter(|place| place.mount == mount).collect();
        match if own.is_empty() { found } else { &own } {
            [] => Err(LinkError(format!("{what} is not part of the tree that answers this request"))),
            [place] => Ok(place),
            [first, second, ..] => Err(LinkError(format!(
                "{what} is at two places, {} and {}: begin the link at a type above it, or write the path",
                first.written(),
                second.written()
            ))),
        }
    }

    /// Whether a type has the page of this name, at however many places.
    pub(crate) fn has(&self, name: &str) -> Result<(), LinkError> {
        self.having(name).map(drop)
    }

    /// The place that `name` means, and the number of the page there.
    fn named(&self, name: &str, mount: &str) -> Result<(&Place, usize), LinkError> {
        let (having, type_name, page) = self.having(name)?;
        let place = Self::one(&having, &format!("`{type_name}`"), mount)?;
        let index = place.page(page).ok_or_else(|| LinkError(format!("`{type_name}` has no page `{page}`")))?;
        Ok((place, index))
    }

    /// The places of the types that have the page, and the two parts of the name.
    fn having<'n>(&self, name: &'n str) -> Result<(Vec<&Place>, &'n str, &'n str), LinkError> {
        let unknown =
            |problem: String| LinkError(format!("{problem}; a page is named `Type.page`, a path begins with `/`"));
        let Some((type_name, page)) = name.rsplit_once('.') else {
            return Err(unknown(format!("{name:?} names no page")));
        };
        let of_type: Vec<_> = self.places.iter().filter(|place| place.node.type_name == type_name).collect();
        if of_type.is_empty() {
            let mut types: Vec<_> = self.places.iter().map(|place| &*place.node.type_name).collect();
            types.sort_unstable();
            types.dedup();
            return Err(unknown(format!("the tree has no type `{type_name}` ({})", suggestion(type_name, &types))));
        }
        let having: Vec<_> = of_type.iter().copied().filter(|place| place.page(page).is_some()).collect();
        if having.is_empty() {
            let handlers = of_type.iter().flat_map(|place| place.node.handlers.iter());
            let pages: Vec<_> = handlers.map(|handler| &*handler.name).filter(|name| !name.is_empty()).collect();
            return Err(unknown(format!("`{type_name}` has no page `{page}` ({})", suggestion(page, &pages))));
        }
        Ok((having, type_name, page))
    }
}

impl PageAddresses for Addresses {
    fn of_link(&self, link: &PageLink, mount: &str) -> Result<Address, LinkError> {
        let LinkWay { start, steps, rest } = link.way();
        let short = short(start);
        let found: Vec<_> = self.places.iter().filter(|place| !start.is_empty() && place.type_path == *start).collect();
        let place = Self::one(&found, &format!("`{short}`"), mount)?;
        let mut draft = Draft::default();
        for child in &place.way {
            draft.child(child, &mut |argument| match argument.source {
                Source::Named { required: true } => Err(LinkError(format!(
                    "`{short}` is below {}, and the link has no value for `{}`: begin it at a type above",
                    place.written(),
                    argument.name
                ))),
                _ => Ok(LinkText::Omitted),
            })?;
        }
        let mut node = place.node.clone();
        for step in steps {
            let mut value = |argument: &ArgumentInfo| {
                let value = step.values.iter().find(|(name, _)| *name == argument.name);
                Ok(value.map_or(LinkText::Omitted, |(_, value)| value.clone()))
            };
            let index = usize::from(step.index);
            let misled = || LinkError(format!("the links of `{short}` are not those of its tree"));
            if step.is_page {
                draft.page(&node, node.handlers.get(index).ok_or_else(misled)?, &mut value)?;
            } else {
                let below = {
                    // Mounts come before the type's own children.
                    let mut own = node.children.iter().filter(|child| !child.is_mount());
                    let child = own.nth(index).ok_or_else(misled)?;
                    draft.child(child, &mut value)?;
                    child.below()
                };
                node = below;
            }
        }
        if let Some((last, segments)) = rest.split_last() {
            draft.address.segments.extend(segments.iter().cloned());
            draft.address.has_slash = last.is_empty();
            draft.address.segments.extend((!last.is_empty()).then(|| last.clone()));
        }
        Ok(draft.address)
    }

    fn of_name(&self, name: &str, values: NamedValues, mount: &str) -> Result<Address, LinkError> {
        let (place, index) = self.named(name, mount)?;
        let handler = &place.node.handlers[index];
        let problem = |problem: String| LinkError(format!("`{name}` ({}): {problem}", place.written_with(handler)));
        let NamedValues { in_order, mut by_name } = values;
        let mut in_order = in_order.into_iter();
        // What a form brings need not be in its action.
        let is_for_forms = !handler.methods.overlaps(MethodSet::GET);
        let mut value = |argument: &ArgumentInfo, of_page: bool| {
            if let Some(index) = by_name.iter().position(|(name, _)| name == argument.name) {
                return Ok(by_name.remove(index).1);
            }
            let optional = match argument.source {
                Source::Named { required } => !required || (is_for_forms && of_page),
                Source::Segments => return Ok(LinkText::Several(in_order.by_ref().flat_map(texts).collect())),
                _ => return Ok(LinkText::Omitted),
            };
            match in_order.next() {
                Some(value) => Ok(value),
                None if optional => Ok(LinkText::Omitted),
                None => Err(LinkError(format!("the value of `{}` is missing", argument.name))),
            }
        };
        let mut draft = Draft::default();
        for child in &place.way {
            draft.child(child, &mut |argument| value(argument, false)).map_err(|LinkError(text)| problem(text))?;
        }
        draft
            .page(&place.node, handler, &mut |argument| value(argument, true))
            .map_err(|LinkError(text)| problem(text))?;
        let left = in_order.count();
        if left > 0 {
            return Err(problem(format!("the link has {left} values more than the page has arguments")));
        }
        let takes_all = handler.arguments.iter().any(|argument| argument.source == Source::Parameters);
        for (name, value) in by_name {
            if !takes_all {
                let named = handler.arguments.iter().filter(|argument| is_in_links(argument));
                let known: Vec<_> = named.map(|argument| argument.name).collect();
                return Err(problem(format!("the page has no argument `{name}` ({})", suggestion(&name, &known))));
            }
            draft.address.query.extend(texts(value).map(|value| (name.clone(), value)));
        }
        Ok(draft.address)
    }
}

impl Place {
    /// The page of that name; if several share it, one that answers GET.
    fn page(&self, name: &str) -> Option<usize> {
        let named = |handler: &Handler| {
            !handler.name.is_empty() && (matches_name(&handler.name, name) || handler.aliases.contains(&name))
        };
        let handlers = || self.node.handlers.iter().enumerate().filter(|(_, handler)| named(handler));
        let (index, _) =
            handlers().find(|(_, handler)| handler.methods.contains(MethodSet::GET)).or_else(|| handlers().next())?;
        Some(index)
    }

    /// Its path as the list of routes has it.
    fn written(&self) -> String {
        let mut path = String::new();
        for child in &self.way {
            if !matches!(&*child.name, "" | "default") {
                path.push('/');
                path.push_str(&child.name);
            }
            for argument in child.arguments.iter().filter(|argument| is_in_links(argument)) {
                path.push_str(&format!("/{{{}}}", argument.name));
            }
        }
        if path.is_empty() { "/".to_owned() } else { path }
    }

    fn written_with(&self, handler: &Handler) -> String {
        let path = self.written();
        let mut arguments =
            handler.arguments.iter().filter(|argument| is_in_links(argument)).map(|argument| argument.name);
        let name = if matches!(&*handler.name, "index" | "default") { "" } else { &*handler.name };
        let arguments: String = arguments.by_ref().map(|name| format!(" {name}")).collect();
        let taken = if arguments.is_empty() { " nothing".to_owned() } else { arguments };
        format!("{}/{name} takes{taken}", path.trim_end_matches('/'))
    }
}

/// An address while it is put together.
#[derive(Debug, Default)]
struct Draft {
    address: Address,
}

type ValueOf<'v> = dyn FnMut(&ArgumentInfo) -> Result<LinkText, LinkError> + 'v;

impl Draft {
    fn child(&mut self, child: &ChildStep, value: &mut ValueOf<'_>) -> Result<(), LinkError> {
        let Self { address: Address { segments, .. } } = self;
        if !matches!(&*child.name, "" | "default") {
            segments.push(child.name.clone().into_owned());
        }
        let mut left_out = None;
        for argument in child.arguments.iter().filter(|argument| is_in_links(argument)) {
            let given = value(argument)?;
            let name = argument.name;
            if given == LinkText::Omitted {
                if argument.source == (Source::Named { required: true }) {
                    return Err(LinkError(format!("the value of `{name}` is missing: the path goes on behind it")));
                }
                left_out = Some(name);
                continue;
            }
            if let Some(missing) = left_out {
                return Err(LinkError(format!(
                    "the value of `{name}` needs that of `{missing}` before it in the path"
                )));
            }
            for text in texts(given) {
                if !can_be_segment(&text) {
                    return Err(LinkError(format!("the value {text:?} of `{name}` cannot be a segment of a path")));
                }
                segments.push(text);
            }
        }
        Ok(())
    }

    /// Values that must be there are segments, in their order, as far as they can be; all others are in the query.
    fn page(&mut self, node: &Node, handler: &Handler, value: &mut ValueOf<'_>) -> Result<(), LinkError> {
        let by_role = match &*handler.name {
            "index" | "default" => true,
            name => node.kind == NodeKind::Resource && is_http_method(name),
        };
        let is_index = handler.name == "index";
        let Self { address: Address { segments, has_slash, query } } = self;
        *has_slash = is_index || segments.is_empty() && by_role;
        if !by_role {
            segments.push(handler.name.clone().into_owned());
        }
        let mut given = Vec::new();
        for argument in handler.arguments.iter().filter(|argument| is_in_links(argument)) {
            given.push((argument, value(argument)?));
        }
        let rest = |(argument, value): &(&ArgumentInfo, LinkText)| {
            argument.source == Source::Segments && texts(value.clone()).next().is_some()
        };
        let has_rest = given.iter().any(rest);
        let depth = segments.len();
        let mut in_path = !is_index;
        for (argument, value) in given {
            let name = argument.name;
            match (argument.source, value) {
                (_, LinkText::Omitted) => in_path = false,
                (Source::Segments, value) => {
                    let texts: Vec<_> = texts(value).collect();
                    if let Some(text) = texts.iter().find(|text| !can_be_segment(text)) {
                        return Err(LinkError(format!("the segment {text:?} of `{name}` cannot be in a path")));
                    }
                    if !in_path && !texts.is_empty() {
                        return Err(LinkError(format!("the values before `{name}` must be in the path, too")));
                    }
                    segments.extend(texts);
                }
                (Source::Named { required }, LinkText::One(text))
                    if in_path && (required || has_rest) && can_be_segment(&text) =>
                {
                    // At the node itself names come before values.
                    if by_role && segments.len() == depth && is_taken(node, &text) {
                        in_path = false;
                        query.push((name.to_owned(), text));
                    } else {
                        segments.push(text);
                    }
                }
                (_, value) => {
                    in_path = false;
                    query.extend(texts(value).map(|text| (name.to_owned(), text)));
                }
            }
        }
        if segments.len() > depth {
            *has_slash = false;
        } else if handler.name == "default" && node.handlers.iter().any(|page| page.name == "index") {
            let problem = "no value of the page can be in the path (a name goes before a value), and `index` answers there without one";
            return Err(LinkError(problem.to_owned()));
        }
        Ok(())
    }
}

/// Whether a page or a child of the node has this name.
fn is_taken(node: &Node, segment: &str) -> bool {
    node.handlers.iter().any(|handler| is_page(node, handler) && has_name(handler, segment))
        || node.children.iter().any(|child| child.is_named(segment))
}

fn texts(value: LinkText) -> impl Iterator<Item = String> {
    match value {
        LinkText::Omitted => Vec::new(),
        LinkText::One(text) => vec![text],
        LinkText::Several(texts) => texts,
    }
    .into_iter()
}

/// Whether the address can have a value of this argument.
fn is_in_links(argument: &ArgumentInfo) -> bool {
    matches!(argument.source, Source::Named { .. } | Source::Repeated | Source::Segments) && !argument.name.is_empty()
}

/// Empty segments are left out, and browsers resolve dots in any spelling.
fn can_be_segment(text: &str) -> bool {
    !matches!(text, "" | "." | "..")
}

/// `shop::Shop` without its modules; the types in its brackets keep theirs.
fn short(type_path: &str) -> &str {
    let end = type_path.find('<').unwrap_or(type_path.len());
    let start = type_path[..end].rfind("::").map_or(0, |index| index + 2);
    &type_path[start..]
}

impl ChildStep {
    fn is_mount(&self) -> bool {
        matches!(self.node, ChildNode::Mount { .. })
    }
}
