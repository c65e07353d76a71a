//! Handlers by the pattern of their path: [`Routes`], CherryPy's RoutesDispatcher.
//!
//! The patterns are kept in matchit's radix tree, which knows its conflicts when a pattern is added. It matches the
//! rest of the path, decoded, segment by segment. A `/` within a segment (`%2F`) is replaced by NUL during the match,
//! which no path can contain, so that it never ends a segment. The way back, from names and values to an address, is in
//! `route_urls.rs`.

use super::dispatch::{DispatchRef, PathRest, Way};
use super::route_urls::{Pattern, RouteUrls};
use super::tree::{Closure, from_anywhere};
use super::{Call, Node, NodeKind, NodeRef, PageCall, Publish};
use crate::exchange::{
    Answer, ArgumentInfo, Description, Error, Handler, HandlerRef, IntoResponse, MethodSet, PathLinks, Source, Step,
};
use std::borrow::Cow;
use std::sync::{Arc, OnceLock};

/// A node whose pages are found by patterns of the whole path below it: CherryPy's `RoutesDispatcher`.
///
/// ```
/// use kirsch::{prelude::*, testing::Client};
///
/// let routes = Routes::new()
///     .page("/user/{id}", |page| -> kirsch::Result<String> { Ok(format!("user {}", page.parameter::<u32>("id")?)) })
///     .page("/user/{id}/orders/{order}", |page| -> kirsch::Result<String> {
///         let (id, order): (u32, &str) = (page.parameter("id")?, page.parameter("order")?);
///         Ok(format!("order {order} of user {id}"))
///     })
///     .name("order")
///     .page("/files/{*path}", |page| -> kirsch::Result<String> { Ok(page.parameter("path")?) });
/// let urls = routes.urls();
/// assert_eq!(urls.url("order", &[("id", &7), ("order", &"A/1")])?, "/user/7/orders/A%2F1");
///
/// let client = Client::in_process(App::new(routes));
/// client.get("/user/7/orders/A%2F1").send().assert_text("order A/1 of user 7");
/// client.get("/user/anna").send().assert_status(404);
/// client.get("/files/a/b.txt").send().assert_text("a/b.txt");
/// # Ok::<(), kirsch::Error>(())
/// ```
///
/// | in a pattern | matches |
/// |---|---|
/// | `user` | this text, as it is |
/// | `{id}` | one segment, or the variable part of it: `{name}.html` |
/// | `{*rest}` | at the end: one segment or more, with the slashes between them |
/// | `{{`, `}}` | `{`, `}` |
///
/// Text comes before `{id}`, and that before `{*rest}`, in any order of adding. The pattern decides first, then the
/// method: a path whose pattern answers other methods is 405. A slash at the end of a pattern is the page's address
/// with the tool `trailing_slash`; without the tool both are.
///
/// Patterns that match the same paths, and malformed ones, panic at once with a sentence that names them: they are
/// mistakes of the program.
#[derive(Default)]
pub struct Routes {
    patterns: matchit::Router<usize>,
    /// By the numbers in `patterns`.
    entries: Vec<Entry>,
    pages: Vec<Page>,
    urls: RouteUrls,
    node: OnceLock<Arc<Node>>,
}

struct Entry {
    pattern: &'static str,
    name: Option<&'static str>,
    /// The first of its pages.
    first_page: u16,
}

struct Page {
    entry: usize,
    methods: MethodSet,
    return_requires: Option<&'static str>,
    answer: Answer,
    run: Box<Closure>,
}

impl Routes {
    /// Without patterns yet.
    #[must_use]
    pub fn new() -> Self {
        <Self as Default>::default()
    }

    /// Publishes `page` for GET, HEAD and POST at the paths of `pattern`. [`PageCall::parameter`] reads the values of
    /// the pattern.
    ///
    /// # Panics
    /// If `pattern` is not a valid pattern, or matches paths of another one.
    #[must_use]
    #[track_caller]
    pub fn page<F, R>(self, pattern: &'static str, page: F) -> Self
    where
        F: Fn(&mut PageCall<'_>) -> R + Send + Sync + 'static,
        R: IntoResponse,
    {
        self.page_for(MethodSet::PAGE, pattern, page)
    }

    /// Like [`page`](Self::page), for other HTTP methods. Pages that answer different methods may share a pattern.
    ///
    /// # Panics
    /// If `pattern` is not a valid pattern, or matches paths of another one, or if there is a page for one of the
    /// methods already.
    #[must_use]
    #[track_caller]
    pub fn page_for<F, R>(mut self, methods: MethodSet, pattern: &'static str, page: F) -> Self
    where
        F: Fn(&mut PageCall<'_>) -> R + Send + Sync + 'static,
        R: IntoResponse,
    {
        let entry = self.entry(pattern);
        let twin = self.pages.iter().find(|page| page.entry == entry && page.methods.overlaps(methods));
        assert!(twin.is_none(), "there are two pages for the pattern `{pattern}`: give one of them other methods");
        let run = move |call: &mut PageCall<'_>| {
            let value = page(call);
            value.into_response(call.response())
        };
        self.pages.push(Page { entry, methods, return_requires: R::REQUIRES, answer: R::ANSWER, run: Box::new(run) });
        self.node = OnceLock::new();
        self
    }

    /// Gives the pattern that was added last a name, for [`RouteUrls::url`].
    ///
    /// # Panics
    /// When no pattern was added yet, when it has a name, or when the name is another's.
    #[must_use]
    #[track_caller]
    pub fn name(mut self, name: &'static str) -> Self {
        let Some(entry) = self.pages.last().map(|page| page.entry) else {
            panic!("the name `{name}` has no pattern: add a page first")
        };
        if let Some(other) = self.entries.iter().find(|entry| entry.name == Some(name)) {
            panic!("two patterns have the name `{name}`: `{}` and `{}`", other.pattern, self.entries[entry].pattern);
        }
        let Entry { pattern, name: own, .. } = &mut self.entries[entry];
        assert!(own.is_none(), "the pattern `{pattern}` has two names: keep one");
        *own = Some(name);
        self.urls.add(name, Pattern::read(pattern).unwrap_or_else(|problem| panic!("{problem}")));
        self.node = OnceLock::new();
        self
    }

    /// Makes addresses from names and values. It knows the names that are added later, too, and may be kept by the
    /// pages themselves.
    #[must_use]
    pub fn urls(&self) -> RouteUrls {
        self.urls.clone()
    }

    #[track_caller]
    fn entry(&mut self, pattern: &'static str) -> usize {
        if let Some(known) = self.entries.iter().position(|entry| entry.pattern == pattern) {
            return known;
        }
        if let Err(problem) = Pattern::read(pattern) {
            panic!("{problem}");
        }
        let index = self.entries.len();
        // Whether a slash is at the end is nothing that two pages can differ in.
        let plain = pattern.trim_end_matches('/');
        match self.patterns.insert(if plain.is_empty() { "/" } else { plain }, index) {
            Ok(()) => {}
            Err(matchit::InsertError::Conflict { with }) => {
                let is_it = |entry: &&Entry| entry.pattern.trim_end_matches('/') == with.trim_end_matches('/');
                let with = self.entries.iter().find(is_it).map_or(&*with, |entry| entry.pattern);
                panic!(
                    "the patterns `{with}` and `{pattern}` match the same paths: keep one of them, or give them other texts"
                );
            }
            Err(problem) => panic!("`{pattern}` is not a pattern: {problem}"),
        }
        let first_page = u16::try_from(self.pages.len()).expect("fewer pages than numbers for them");
        self.entries.push(Entry { pattern, name: None, first_page });
        index
    }

    fn dispatch(&self) -> impl Fn(&mut PathRest<'_>) -> Way + use<> {
        let patterns = self.patterns.clone();
        let entries: Vec<_> = self.entries.iter().map(|entry| (entry.first_page, entry.pattern)).collect();
        move |rest| {
            let count = u16::try_from(rest.segments().len()).unwrap_or(u16::MAX);
            let mut path = String::new();
            for segment in rest.segments() {
                path.push('/');
                path.extend(
                    segment
                        .split('/')
                        .enumerate()
                        .flat_map(|(index, piece)| [if index > 0 { "\0" } else { "" }, piece]),
                );
            }
            let Ok(found) = patterns.at(if path.is_empty() { "/" } else { &path }) else { return Way::nowhere() };
            for (name, value) in found.params.iter() {
                if value.contains('\0') {
                    rest.capture(name, &value.replace('\0', "/"));
                } else {
                    rest.capture(name, value);
                }
            }
            let (page, pattern) = entries[*found.value];
            let way = Way::page(page).after(count);
            if pattern.contains("{*") { way } else { way.exactly(pattern.ends_with('/')) }
        }
    }
}

impl Publish for Routes {
    type Links = PathLinks;

    fn node() -> NodeRef {
        NodeRef::Static(Node::LATE)
    }

    fn describe(&self) -> NodeRef {
        let node = self.node.get_or_init(|| {
            let handlers = self.pages.iter().map(|page| {
                let Entry { pattern, name, .. } = self.entries[page.entry];
                let rest = ArgumentInfo { source: Source::Segments, ..from_anywhere("segments") };
                HandlerRef::Shared(Arc::new(Handler {
                    // One for all methods of a pattern; a name never begins with a slash.
                    name: Cow::Borrowed(name.unwrap_or(pattern)),
                    aliases: Cow::Owned(vec![pattern]),
                    methods: page.methods,
                    arguments: Cow::Owned(vec![from_anywhere(""), rest]),
                    return_requires: page.return_requires,
                    description: Description::of(page.answer),
                }))
            });
            Arc::new(Node {
                type_name: Cow::Borrowed("Routes"),
                kind: NodeKind::Dispatched,
                handlers: handlers.collect(),
                dispatch: Some(DispatchRef::new(self.dispatch())),
                ..Node::LATE.clone()
            })
        });
        NodeRef::Shared(Arc::clone(node))
    }

    fn call(&self, call: &mut Call<'_>) -> Result<(), Error> {
        call.enter(&self.describe())?;
        match call.step() {
            Step::Handler { index, first } => {
                let Some(page) = self.pages.get(usize::from(index)) else { return Err(call.misled()) };
                let (arguments, response) = call.handler_arguments(first);
                (page.run)(&mut PageCall::new(&[], arguments, response))
            }
            Step::Child { .. } | Step::Late { .. } => Err(call.misled()),
        }
    }
}

impl std::fmt::Debug for Routes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.entries.iter().map(|entry| entry.pattern)).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn routes() -> Routes {
        Routes::new().page("/user/{id}", |_| "").name("user")
    }

    #[test]
    #[should_panic(expected = "the patterns `/user/{id}` and `/user/{name}/` match the same paths")]
    fn patterns_for_the_same_paths_are_refused() {
        let _ = routes().page("/user/{name}/", |_| "");
    }

    #[test]
    #[should_panic(expected = "there are two pages for the pattern `/user/{id}`")]
    fn two_pages_for_one_method_are_refused() {
        let _ = routes().page_for(MethodSet::POST, "/user/{id}", |_| "");
    }

    #[test]
    #[should_panic(expected = "two patterns have the name `user`: `/user/{id}` and `/b`")]
    fn a_name_is_for_one_pattern() {
        let _ = routes().page("/b", |_| "").name("user");
    }
}
