//! Links to pages of a typed tree: [`PageLink`] says which page with which values, before anybody knows its address.
//!
//! The macros write the ways to such links for each published block: a method for each page and each child, with the
//! arguments of the handler. The address depends on the place of the type in the tree, on mounts, on the host and on
//! proxies. All that is known when there is a request, so [`Request::link`] makes a [`Link`] of it. The tree stands
//! behind [`PageAddresses`]; this room knows no tree.

use super::{Link, LinkText, Request};
use std::fmt::{Debug, Display};

/// A page of a typed tree with the values of its arguments: made by [`link_to`](crate::link_to), turned into an address
/// by [`Request::link`].
#[derive(Clone, Debug)]
#[must_use = "a link to a page does nothing until a request makes an address of it: `request.link(...)`"]
pub struct PageLink {
    way: LinkWay,
    query: Vec<(String, String)>,
}

/// A way through the tree that a link takes: from a type, through its children. The links that the macros write are
/// made from it.
#[derive(Clone, Debug)]
pub struct LinkWay {
    /// The type where it begins, as [`std::any::type_name`] has it.
    pub(crate) start: &'static str,
    pub(crate) steps: Vec<LinkStep>,
    /// A path below the last step, as text: for nodes that only their values know.
    pub(crate) rest: Vec<String>,
}

/// One step: to a child, or at the end to a page.
#[derive(Clone, Debug)]
pub(crate) struct LinkStep {
    /// Its index among the children or the pages of its block.
    pub(crate) index: u16,
    pub(crate) is_page: bool,
    /// The values by the names of the arguments.
    pub(crate) values: Vec<(&'static str, LinkText)>,
}

impl LinkWay {
    /// Begins at a type: at the place where the tree has it.
    pub(crate) fn from_type(start: &'static str) -> Self {
        Self { start, steps: Vec::new(), rest: Vec::new() }
    }

    /// Goes down to a child of the block.
    #[doc(hidden)]
    #[must_use]
    pub fn child<const N: usize>(&self, index: u16, values: [(&'static str, LinkText); N]) -> Self {
        self.then(LinkStep { index, is_page: false, values: values.into() })
    }

    /// Ends at a page of the block.
    #[doc(hidden)]
    pub fn page<const N: usize>(&self, index: u16, values: [(&'static str, LinkText); N]) -> PageLink {
        PageLink { way: self.then(LinkStep { index, is_page: true, values: values.into() }), query: Vec::new() }
    }

    fn then(&self, step: LinkStep) -> Self {
        let mut way = self.clone();
        way.steps.push(step);
        way
    }
}

impl PageLink {
    /// Adds a parameter to the query: for pages that take a whole query as one value.
    pub fn query(mut self, name: &str, value: impl Display) -> Self {
        self.query.push((name.to_owned(), value.to_string()));
        self
    }

    pub(crate) fn way(&self) -> &LinkWay {
        &self.way
    }
}

/// The links of a node whose pages have no methods: a [`Tree`](crate::Tree), a `dyn Publish`. A path below it is text.
#[derive(Clone, Debug)]
pub struct PathLinks(LinkWay);

impl From<LinkWay> for PathLinks {
    fn from(way: LinkWay) -> Self {
        Self(way)
    }
}

impl PathLinks {
    /// A path below the node, as [`Request::url`] takes it: `site.plugin().path("settings/mail")`.
    pub fn path(&self, path: &str) -> PageLink {
        let mut way = self.0.clone();
        way.rest = path.split('/').filter(|segment| !segment.is_empty()).map(str::to_owned).collect();
        if path.is_empty() || path.ends_with('/') {
            way.rest.push(String::new());
        }
        PageLink { way, query: Vec::new() }
    }
}

/// Why an address cannot be made: a page that the tree does not have or has twice, a value that is missing, unknown, or
/// cannot stand in a path. A mistake of the program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinkError(pub(crate) String);

impl Display for LinkError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for LinkError {}

/// An address in parts, counted from the outermost app; nothing in it is encoded.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Address {
    pub(crate) segments: Vec<String>,
    /// Whether a slash is at the end.
    pub(crate) has_slash: bool,
    pub(crate) query: Vec<(String, String)>,
}

impl Address {
    /// Puts it behind the start of `link`.
    pub(crate) fn append_to<'r>(&self, mut link: Link<'r>) -> Link<'r> {
        for segment in &self.segments {
            link = link.segment(segment);
        }
        if self.has_slash {
            link = link.slash();
        }
        self.query.iter().fold(link, |link, (name, value)| link.query(name, value))
    }
}

/// The values of a page that is linked to by name: those in order, and those with a name.
#[derive(Debug)]
pub(crate) struct NamedValues {
    pub(crate) in_order: Vec<LinkText>,
    pub(crate) by_name: Vec<(String, LinkText)>,
}

/// Knows where the pages of a tree are.
///
/// `mount` is where the app is mounted that links: of two places of a type the one in the same app counts.
pub(crate) trait PageAddresses: Debug + Send + Sync {
    fn of_link(&self, link: &PageLink, mount: &str) -> Result<Address, LinkError>;

    /// `name` is `Type.page`, as in the list of routes.
    fn of_name(&self, name: &str, values: NamedValues, mount: &str) -> Result<Address, LinkError>;
}

impl Request {
    /// The address of a page of a typed tree, as the client sees it: like [`url`](Self::url), but the compiler knows
    /// the page and the types of its arguments. [`link_to`](crate::link_to) makes the page.
    ///
    /// ```
    /// use kirsch::{prelude::*, testing::Client};
    ///
    /// struct Shop;
    ///
    /// #[handlers]
    /// impl Shop {
    ///     #[expose]
    ///     fn index(&self, request: &Request) -> kirsch::Result<Redirect> {
    ///         Ok(Redirect::to(request.link(link_to::<Shop>().item(42, None))?))
    ///     }
    ///
    ///     #[expose]
    ///     fn item(&self, id: u32, page: Option<u32>) -> String {
    ///         format!("{id} {page:?}")
    ///     }
    /// }
    ///
    /// let client = Client::in_process(App::new(Tree::new()).mount("/shop", App::new(Shop)));
    /// client.get("/shop/").send().assert_header("location", "http://localhost/shop/item/42");
    /// ```
    ///
    /// # Errors
    /// The tree that answers this request does not publish the type, publishes it at two places, or takes values on the
    /// way to it that the link does not have; a value in the path of a child is empty, `.` or `..`.
    #[expect(clippy::needless_pass_by_value, reason = "a link is made where it is handed over")]
    pub fn link(&self, page: PageLink) -> Result<Link<'_>, LinkError> {
        let address = self.pages()?.of_link(&page, self.mount())?;
        let link = address.append_to(self.url("/").from_outermost());
        Ok(page.query.iter().fold(link, |link, (name, value)| link.query(name, value)))
    }

    /// The address of a page by its name, `Shop.item`, with its values in order and those by name: for a template
    /// engine of your own. The views of Kirsch have it as `url("Shop.item", 42, page=2)`.
    ///
    /// # Errors
    /// As [`link`](Self::link); a name that no page has, a value that is missing or that the page does not take. The
    /// message suggests what may have been meant.
    pub fn link_by_name(&self, page: &str, values: &[&str], named: &[(&str, &str)]) -> Result<Link<'_>, LinkError> {
        let text = |value: &str| LinkText::One(value.to_owned());
        let values = NamedValues {
            in_order: values.iter().map(|value| text(value)).collect(),
            by_name: named.iter().map(|(name, value)| ((*name).to_owned(), text(value))).collect(),
        };
        let address = self.pages()?.of_name(page, values, self.mount())?;
        Ok(address.append_to(self.url("/").from_outermost()))
    }

    fn pages(&self) -> Result<&dyn PageAddresses, LinkError> {
        let unrouted = || LinkError("no application has routed this request yet, so no page has an address".to_owned());
        self.pages.as_deref().ok_or_else(unrouted)
    }
}
