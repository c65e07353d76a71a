//! Generic blocks, borrowed children, all kinds of arguments, under strict lints.
#![deny(warnings, missing_docs, unused_qualifications, elided_lifetimes_in_paths, rust_2018_idioms, unreachable_pub)]
#![allow(clippy::borrowed_box, clippy::needless_lifetimes, clippy::non_minimal_cfg, clippy::uninlined_format_args)]
#![allow(clippy::unwrap_used)]

use kirsch::prelude::*;
use std::sync::{Arc, Mutex};

trait Store: Send + Sync {
    fn title(&self, id: i64) -> Option<String>;
}

struct Pages<S> {
    store: S,
    children: Vec<Pages<S>>,
}

#[handlers]
impl<S: Store> Pages<S> {
    #[expose]
    fn index(&self) -> &str {
        "index"
    }

    #[expose(alias = "title.txt", get)]
    fn title(&self, id: i64) -> Option<String> {
        self.store.title(id)
    }

    #[child]
    fn user(&self, id: i64) -> Result<UserNode<'_, S>, Error> {
        Ok(UserNode { id, store: &self.store })
    }

    #[child]
    fn below(&self, index: usize) -> Option<&Pages<S>> {
        self.children.get(index)
    }

    #[child]
    fn first<'a>(&'a self) -> Option<&'a Self> {
        self.children.first()
    }
}

struct UserNode<'p, S> {
    id: i64,
    store: &'p S,
}

#[handlers]
impl<S: Store> UserNode<'_, S> {
    #[expose]
    fn index(&self) -> String {
        self.store.title(self.id).unwrap_or_default()
    }

    #[child]
    fn again(&self) -> Arc<UserNode<'_, S>> {
        Arc::new(UserNode { id: self.id, store: self.store })
    }
}

struct Holder<'d> {
    node: UserNode<'d, Titles>,
    any: Box<dyn Publish>,
    shared: Arc<dyn Publish>,
}

#[handlers]
impl<'d> Holder<'d> {
    #[child]
    fn borrowed(&self) -> &UserNode<'d, Titles> {
        &self.node
    }

    #[child]
    fn any(&self) -> &dyn Publish {
        &*self.any
    }

    #[child]
    fn boxed(&self) -> &Box<dyn Publish> {
        &self.any
    }

    #[child]
    fn shared(&self) -> Arc<dyn Publish> {
        self.shared.clone()
    }
}

struct Titles;

impl Store for Titles {
    fn title(&self, id: i64) -> Option<String> {
        (id == 1).then(|| "One".to_owned())
    }
}

#[derive(Parameter, Debug)]
enum Order {
    Up,
    Down,
}

#[derive(Parameter, Debug)]
struct Id(#[allow(dead_code)] u64);

struct All {
    log: Mutex<Vec<String>>,
}

#[handlers]
impl All {
    #[expose]
    fn by_name(
        &self,
        id: Id,
        order: Option<Order>,
        tags: Vec<String>,
        mut text: String,
        r#type: Option<&str>,
    ) -> String {
        text.push_str(&format!("{id:?} {order:?} {tags:?} {:?}", r#type));
        text
    }

    #[expose]
    fn longest<'a>(&'a self, one: &'a str, two: &'a str) -> &'a str {
        if one.len() > two.len() { one } else { two }
    }

    #[expose(post, put)]
    fn by_type(
        &self,
        request: &Request,
        response: &mut Response,
        Json(numbers): Json<Vec<i64>>,
        cookies: Cookies,
        conn: Conn,
    ) -> kirsch::Result<(StatusCode, String)> {
        response.set_status(StatusCode::CREATED);
        self.log.lock().unwrap().push(format!("{} {:?} {conn:?}", request.path(), cookies.get("a")));
        Ok((StatusCode::ACCEPTED, numbers.len().to_string()))
    }

    #[expose]
    fn body(&self, mut body: Body) -> kirsch::Result<Bytes> {
        Ok(Bytes(body.read_all(1000)?))
    }

    #[expose]
    fn nothing(&self) {}

    #[expose]
    fn something(&self, text: &str) -> kirsch::Result<impl IntoResponse> {
        Ok(text.trim())
    }

    #[cfg(any())]
    #[expose]
    fn never(&self) -> NoSuchType {}

    #[cfg(all())]
    #[expose]
    fn always(&self) -> &'static str {
        "always"
    }

    #[cfg(any())]
    #[child]
    fn never_below(&self) -> NoSuchType {}
}

#[test]
fn generic_blocks_borrowed_children_and_all_kinds_of_arguments_are_published() {
    fn published<T: Publish>(_: &T) {}
    published(&Pages { store: Titles, children: Vec::new() });
    published(&Holder {
        node: UserNode { id: 1, store: &Titles },
        any: Box::new(Tree::new()),
        shared: Arc::new(Tree::new()),
    });
    published(&All { log: Mutex::default() });
    let routes = kirsch::publish::routes(&All::node());
    assert!(routes.iter().any(|route| route.path == "/always"));
    assert_eq!(routes.len(), 7);
}

#[test]
fn the_links_of_generic_blocks_have_the_arguments_of_their_pages() {
    let _: Vec<kirsch::exchange::PageLink> = vec![
        link_to::<Pages<Titles>>().title(1),
        link_to::<Pages<Titles>>().first().below(2_usize).user(&3).again().index(),
        link_to::<Holder<'_>>().borrowed().again().index(),
        link_to::<Holder<'_>>().boxed().path("a/b"),
        link_to::<All>().by_name(Id(1), None, vec!["a".to_owned()], "text", "type"),
        link_to::<All>().longest("one", String::from("two")),
        link_to::<All>().by_type(),
        link_to::<All>().always(),
    ];
}
