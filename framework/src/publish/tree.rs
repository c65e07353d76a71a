//! A tree built by hand, from values and closures: for pages that are known only at start, and for programs without
//! macros.

use super::{Call, ChildNode, ChildStep, Node, NodeKind, NodeRef, Publish};
use crate::exchange::{
    Argument, ArgumentInfo, Arguments, BodyUse, Description, Error, Handler, HandlerRef, HttpError, IntoResponse,
    MethodSet, PathLinks, Request, Response, Source, Step,
};
use std::borrow::Cow;
use std::sync::{Arc, OnceLock};

pub(super) type Closure = dyn Fn(&mut PageCall<'_>) -> Result<(), Error> + Send + Sync;

/// A node built at run time: pages from closures, children from values.
///
/// ```
/// use kirsch::prelude::*;
///
/// let tree = Tree::new()
///     .index(|_| "Hello World!")
///     .page("add/{a}/{b}", |page| -> kirsch::Result<String> {
///         let (a, b): (i64, i64) = (page.parameter("a")?, page.parameter("b")?);
///         Ok((a + b).to_string())
///     })
///     .child("inner", Tree::new().default(|_| "whatever else"));
/// # let _ = tree;
/// ```
///
/// A name that is there twice, and a malformed pattern, panic at once with a sentence that names it: they are mistakes
/// of the program.
#[derive(Default)]
pub struct Tree {
    pages: Vec<(Arc<Handler>, Box<Closure>)>,
    children: Vec<(ChildStep, Box<dyn Publish>)>,
    node: OnceLock<Arc<Node>>,
}

impl Tree {
    /// A node that publishes nothing yet.
    #[must_use]
    pub fn new() -> Self {
        <Self as Default>::default()
    }

    /// Answers for the node itself.
    ///
    /// # Panics
    /// When there is an `index` already.
    #[must_use]
    #[track_caller]
    pub fn index<F, R>(self, page: F) -> Self
    where
        F: Fn(&mut PageCall<'_>) -> R + Send + Sync + 'static,
        R: IntoResponse,
    {
        self.add(MethodSet::PAGE, "index", vec![from_anywhere("")], page)
    }

    /// Answers paths that match nothing else, with any number of segments; see [`PageCall::segments`].
    ///
    /// # Panics
    /// When there is a `default` already.
    #[must_use]
    #[track_caller]
    pub fn default<F, R>(self, page: F) -> Self
    where
        F: Fn(&mut PageCall<'_>) -> R + Send + Sync + 'static,
        R: IntoResponse,
    {
        let rest = ArgumentInfo { source: Source::Segments, ..from_anywhere("segments") };
        self.add(MethodSet::PAGE, "default", vec![from_anywhere(""), rest], page)
    }

    /// Publishes `page` for GET, HEAD and POST. `pattern` is its name and, each in braces, the path segments that it
    /// takes: `user/{id}/{tab}`; `{rest*}` at the end takes all that are left.
    ///
    /// # Panics
    /// If `pattern` is not a valid pattern, or its name is already taken.
    #[must_use]
    #[track_caller]
    pub fn page<F, R>(self, pattern: &'static str, page: F) -> Self
    where
        F: Fn(&mut PageCall<'_>) -> R + Send + Sync + 'static,
        R: IntoResponse,
    {
        self.page_for(MethodSet::PAGE, pattern, page)
    }

    /// Like [`page`](Self::page), for other HTTP methods: `.page_for(MethodSet::PUT, "song/{id}", ...)`. Pages that
    /// answer different methods may share a name.
    ///
    /// # Panics
    /// If `pattern` is not a valid pattern, or its name is taken for one of the methods.
    #[must_use]
    #[track_caller]
    pub fn page_for<F, R>(self, methods: MethodSet, pattern: &'static str, page: F) -> Self
    where
        F: Fn(&mut PageCall<'_>) -> R + Send + Sync + 'static,
        R: IntoResponse,
    {
        let (name, arguments) = read_pattern(pattern);
        assert!(
            name != "index" && name != "default",
            "the page `{name}` has a role in the tree: use `Tree::{name}` for it"
        );
        self.add(methods, name, arguments, page)
    }

    /// Puts a node below this one.
    ///
    /// # Panics
    /// When the name is not a path segment, or is taken.
    #[must_use]
    #[track_caller]
    pub fn child(mut self, name: impl Into<Cow<'static, str>>, node: impl Publish + 'static) -> Self {
        let name = name.into();
        assert!(is_segment(&name), "`{name}` cannot be the name of a child: a name is one path segment, without `/`");
        assert!(name != "default", "a child from a value has one name; a page for any segment is `Tree::default`");
        self.refuse_twin(&name, None);
        let below = match node.describe() {
            NodeRef::Static(node) => Arc::new(node.clone()),
            NodeRef::Shared(node) => node,
        };
        let step = ChildStep { name, node: ChildNode::Shared(below), ..ChildStep::ABSENT };
        self.children.push((step, Box::new(node)));
        self.node = OnceLock::new();
        self
    }

    #[track_caller]
    fn add<F, R>(mut self, methods: MethodSet, name: &'static str, arguments: Vec<ArgumentInfo>, page: F) -> Self
    where
        F: Fn(&mut PageCall<'_>) -> R + Send + Sync + 'static,
        R: IntoResponse,
    {
        self.refuse_twin(name, Some(methods));
        let arguments = Cow::Owned(arguments);
        let handler = Handler {
            name: Cow::Borrowed(name),
            aliases: Cow::Borrowed(&[]),
            methods,
            arguments,
            return_requires: R::REQUIRES,
            description: Description::of(R::ANSWER),
        };
        let closure = move |call: &mut PageCall<'_>| {
            let value = page(call);
            value.into_response(call.response)
        };
        self.pages.push((Arc::new(handler), Box::new(closure)));
        self.node = OnceLock::new();
        self
    }

    /// `methods` is `None` for a child, which no page may share its name with.
    #[track_caller]
    fn refuse_twin(&self, name: &str, methods: Option<MethodSet>) {
        let same = |other: &str| other.replace(['-', '.'], "_") == name.replace(['-', '.'], "_");
        for (page, _) in self.pages.iter().filter(|(page, _)| same(&page.name)) {
            match methods {
                Some(methods) => assert!(
                    !page.methods.overlaps(methods),
                    "the tree has two pages named `{name}`: give one of them another name or other methods"
                ),
                None => panic!("the tree has a page and a child named `{name}`: a path can go on only one way"),
            }
        }
        if self.children.iter().any(|(child, _)| same(&child.name)) {
            match methods {
                Some(_) => panic!("the tree has a page and a child named `{name}`: a path can go on only one way"),
                None => panic!("the tree has two children named `{name}`"),
            }
        }
    }
}

impl Publish for Tree {
    type Links = PathLinks;

    fn node() -> NodeRef {
        NodeRef::Static(Node::LATE)
    }

    fn describe(&self) -> NodeRef {
        let node = self.node.get_or_init(|| {
            Arc::new(Node {
                type_name: Cow::Borrowed("Tree"),
                type_path: || "",
                kind: NodeKind::Pages,
                handlers: self.pages.iter().map(|(handler, _)| HandlerRef::Shared(Arc::clone(handler))).collect(),
                children: self.children.iter().map(|(child, _)| child.clone()).collect(),
                unexposed: Cow::Borrowed(&[]),
                dispatch: None,
            })
        });
        NodeRef::Shared(Arc::clone(node))
    }

    fn call(&self, call: &mut Call<'_>) -> Result<(), Error> {
        call.enter(&self.describe())?;
        match call.step() {
            Step::Handler { index, first } => {
                let Some((handler, closure)) = self.pages.get(usize::from(index)) else { return Err(call.misled()) };
                let (arguments, response) = call.handler_arguments(first);
                closure(&mut PageCall::new(&handler.arguments, arguments, response))
            }
            Step::Child { index, .. } => match self.children.get(usize::from(index)) {
                Some((_, node)) => node.call(call),
                None => Err(call.misled()),
            },
            Step::Late { .. } => Err(call.misled()),
        }
    }
}

impl std::fmt::Debug for Tree {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let pages: Vec<_> = self.pages.iter().map(|(page, _)| &page.name).collect();
        let children: Vec<_> = self.children.iter().map(|(child, _)| &child.name).collect();
        f.debug_struct("Tree").field("pages", &pages).field("children", &children).finish()
    }
}

/// The call of one page of a [`Tree`], with everything that a method gets as arguments.
#[derive(Debug)]
pub struct PageCall<'c> {
    declared: &'c [ArgumentInfo],
    arguments: Arguments<'c>,
    response: &'c mut Response,
}

impl<'c> PageCall<'c> {
    pub(super) fn new(declared: &'c [ArgumentInfo], arguments: Arguments<'c>, response: &'c mut Response) -> Self {
        Self { declared, arguments, response }
    }

    /// The value of that name: from its segment of the path, if the pattern declares it, then from query and form. `T`
    /// is any type that a handler's argument by name can have: `i64`, `&str`, `Option<T>`, `Vec<T>`, ...
    ///
    /// # Errors
    /// 404 or 400, as for an argument in a signature.
    pub fn parameter<T: Argument<'c>>(&mut self, name: &'static str) -> Result<T, HttpError> {
        let all = self.arguments.segments.clone();
        let place = self.declared.iter().position(|argument| argument.name == name && is_one_segment(argument));
        let segment = place
            .map(|place| all.start + self.declared[..place].iter().filter(|argument| is_one_segment(argument)).count())
            .filter(|segment| *segment < all.end);
        self.arguments.segments = segment.map_or(all.end..all.end, |segment| segment..segment + 1);
        let value = T::take(name, &mut self.arguments);
        self.arguments.segments = all;
        value
    }

    /// A value by its type: `page.argument::<Json<Song>>()`, `page.argument::<&Session>()`.
    ///
    /// # Errors
    /// The answer of the type.
    pub fn argument<T: Argument<'c>>(&mut self) -> Result<T, HttpError> {
        let all = self.arguments.segments.clone();
        self.arguments.segments.start = all.end.min(all.start + self.named_segments());
        let value = T::take("argument", &mut self.arguments);
        self.arguments.segments = all;
        value
    }

    /// The request.
    #[must_use]
    pub fn request(&self) -> &'c Request {
        self.arguments.request
    }

    /// The response.
    pub fn response(&mut self) -> &mut Response {
        self.response
    }

    /// The segments that are left after those that the pattern declares by name.
    pub fn segments(&self) -> impl Iterator<Item = &'c str> + use<'c> {
        let request = self.arguments.request;
        self.arguments.segments.clone().skip(self.named_segments()).map(|index| request.segment(index))
    }

    /// How many segments the pattern declares by name.
    fn named_segments(&self) -> usize {
        self.declared.iter().filter(|argument| is_one_segment(argument)).count()
    }
}

fn is_one_segment(argument: &ArgumentInfo) -> bool {
    matches!(argument.source, Source::Named { .. })
}

fn is_segment(name: &str) -> bool {
    !name.is_empty() && !name.contains(['/', '{', '}', '?', '#'])
}

/// The needs of a closure are not known before it runs, so its description says the maximum: any parameter, anything of
/// the body.
pub(super) fn from_anywhere(name: &'static str) -> ArgumentInfo {
    ArgumentInfo { source: Source::Parameters, body: BodyUse::Any, ..ArgumentInfo::TYPED.named(name) }
}

/// `name/{a}/{b}/{rest*}`
#[track_caller]
fn read_pattern(pattern: &'static str) -> (&'static str, Vec<ArgumentInfo>) {
    let mut pieces = pattern.split('/');
    let name = pieces.next().unwrap_or_default();
    assert!(is_segment(name), "`{pattern}` is not a page's pattern: it starts with the page's name, as `user/{{id}}`");
    let mut arguments = vec![from_anywhere("")];
    let mut rest = false;
    for piece in pieces {
        let inner = piece.strip_prefix('{').and_then(|piece| piece.strip_suffix('}'));
        let Some(inner) = inner.filter(|inner| !rest && is_segment(inner)) else {
            panic!(
                "`{piece}` in the pattern `{pattern}` is not a segment in braces: write `user/{{id}}`, and `{{rest*}}` only at the end; \
                 for fixed names below a page use `Tree::child`"
            );
        };
        match inner.strip_suffix('*') {
            Some(inner) => {
                rest = true;
                arguments.push(ArgumentInfo { source: Source::Segments, ..from_anywhere(inner) });
            }
            None => {
                let source = Source::Named { required: true };
                arguments.push(ArgumentInfo { source, ..from_anywhere(inner) });
            }
        }
    }
    (name, arguments)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::publish::probe::ask;
    use crate::publish::routes;

    fn tree() -> Tree {
        Tree::new()
            .index(|_| "index")
            .page("add/{a}/{b}", |page| -> Result<String, Error> {
                let b: i64 = page.parameter("b")?;
                Ok(format!("{} + {b} {:?}", page.parameter::<i64>("a")?, page.parameter::<Vec<&str>>("c")?))
            })
            .page_for(MethodSet::PUT, "add", |_| "put")
            .child("below", Tree::new().default(|page| page.segments().collect::<Vec<_>>().join("+")))
    }

    #[test]
    fn closures_take_parameters_in_any_order() {
        assert_eq!(ask(&tree(), "GET /"), "index");
        assert_eq!(ask(&tree(), "GET /add/1/2?c=x&c=y"), "1 + 2 [\"x\", \"y\"]");
        assert_eq!(ask(&tree(), "GET /add/1"), "404 the parameter `b` is missing");
        assert_eq!(ask(&tree(), "PUT /add"), "put");
        assert_eq!(ask(&tree(), "DELETE /add"), "405 GET, HEAD, OPTIONS, POST, PUT");
        assert_eq!(ask(&tree(), "GET /below/a/b"), "a+b");
        assert_eq!(ask(&tree(), "GET /nothing"), "404");
    }

    #[test]
    fn a_tree_knows_its_true_shape() {
        let paths: Vec<_> = routes(&tree().describe()).into_iter().map(|route| route.path).collect();
        assert_eq!(paths, ["/", "/add/{a}/{b}", "/add", "/below/{segments*}"]);
    }

    #[test]
    #[should_panic(expected = "the tree has two pages named `a-b`: give one of them another name or other methods")]
    fn two_pages_of_one_name_fail_at_start() {
        let _ = Tree::new().page("a_b", |_| "").page("a-b", |_| "");
    }

    #[test]
    #[should_panic(expected = "the tree has a page and a child named `a`: a path can go on only one way")]
    fn a_page_and_a_child_of_one_name_fail_at_start() {
        let _ = Tree::new().page("a", |_| "").child("a", Tree::new());
    }

    #[test]
    #[should_panic(expected = "`b` in the pattern `a/b` is not a segment in braces")]
    fn a_pattern_has_one_fixed_name() {
        let _ = Tree::new().page("a/b", |_| "");
    }
}
