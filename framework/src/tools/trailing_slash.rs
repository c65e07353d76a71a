//! One address for each page: `/dir` of an index page leads to `/dir/`, and `/page/` of any other page to `/page`.
//!
//! Relative links on an index page only work below `/dir/`, and two addresses of one page are two pages to caches and
//! search engines.
//!
//! The hook runs at `on_start_resource`: all its facts are known as soon as the path is resolved, and a request that is
//! redirected should neither upload its body nor wait for a session's lock first (CherryPy's does, at `before_handler`
//! 60). The priority is late, so that tools which refuse or rewrite requests at that point come before.

use super::address::address;
use crate::exchange::{Error, Exchange, Handler, Redirect, Request, Source, Step};
use crate::lifecycle::{HookPoint, Hooks, Tool};
use crate::settings::{SettingError, SettingTable, Settings};
use ::http::Method;

/// Redirects GET and HEAD to the one address of a page, with 301. On everywhere unless it is switched off.
///
/// Resources, `default` pages and pages that take path segments answer with and without the slash: to them it may mean
/// something.
#[derive(Clone, Debug, Settings)]
pub struct TrailingSlash {
    /// Whether a missing slash is added.
    #[setting(default = true)]
    missing: bool,
    /// Whether an extra slash is removed; CherryPy's default is `false`.
    #[setting(default = true)]
    extra: bool,
}

impl Default for TrailingSlash {
    fn default() -> Self {
        Self::defaults()
    }
}

impl TrailingSlash {
    /// Where the request should go instead, if anywhere.
    fn elsewhere(&self, exchange: &Exchange) -> Option<Redirect> {
        let Exchange { request, trail, .. } = exchange;
        if !matches!(*request.method(), Method::GET | Method::HEAD) {
            return None;
        }
        let handler = trail.handler()?;
        let &Step::Handler { first, .. } = trail.steps().last()? else { return None };
        let (first, count) = (usize::from(first), request.segments().len());
        let has_slash = request.path().ends_with('/');
        // The cheap checks come first: nearly all requests end here.
        let slash = match (trail.is_index(), has_slash) {
            // With segments left over the page takes them as arguments, and the path is not the node's own.
            (true, false) if self.missing && count > 0 && first == count => "/",
            (false, true) if self.extra && (trail.is_exact() || is_found_by_name(handler, request, first)) => "",
            _ => return None,
        };
        Some(Redirect::permanent(address(request, slash)))
    }
}

/// Whether the handler is a page that its own name in the path leads to, and for which a slash at the end means
/// nothing. A resource is found by the method, `default` by any name; a page that takes the rest of the path may tell
/// `a` from `a/`.
fn is_found_by_name(handler: &Handler, request: &Request, first: usize) -> bool {
    let plain = |name: &str| name.replace(['-', '.'], "_");
    let takes_rest = handler.arguments.iter().any(|argument| argument.source == Source::Segments);
    if takes_rest || handler.name == "default" {
        return false;
    }
    let last = first.checked_sub(1).map(|index| plain(request.segment(index)));
    let mut names = std::iter::once(&*handler.name).chain(handler.aliases.iter().copied());
    last.is_some_and(|last| names.any(|name| plain(name) == last))
}

impl Tool for TrailingSlash {
    fn name(&self) -> &'static str {
        "trailing_slash"
    }

    fn attach(&self, hooks: &mut Hooks) {
        let tool = self.clone();
        let run = move |exchange: &mut Exchange| {
            tool.elsewhere(exchange).map_or(Ok(()), |redirect| Err(Error::from(redirect)))
        };
        hooks.at(HookPoint::OnStartResource, run).priority(60).brief();
    }

    fn configure(&self, settings: &SettingTable) -> Result<Box<dyn Tool>, SettingError> {
        Ok(Box::new(self.configured(settings)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{App, Tree, exchange::RequestId, exchange::Service, http::HeadLimits};

    struct Item;

    #[crate::resource]
    impl Item {
        fn get(&self) -> &'static str {
            "item"
        }
    }

    fn tree() -> Tree {
        let inner = || Tree::new().index(|_| "index").page("page", |_| "page").page("two-words", |_| "two");
        Tree::new()
            .index(|_| "root")
            .child("dir", inner())
            .child("item", Item)
            .child("any", Tree::new().default(|_| "default"))
            .page("add/{a}/{b}", |_| "sum")
    }

    /// The status, and the location of a redirect.
    fn ask(app: App, line: &str) -> String {
        let application = app.build().unwrap();
        let mut exchange = Exchange::new();
        let head = format!("{line} HTTP/1.1\r\nHost: localhost\r\n\r\n");
        exchange.request.head.read(head.as_bytes(), &mut 0, &HeadLimits::default()).unwrap();
        exchange.request.id = RequestId::next();
        struct NoWaker;
        impl crate::exchange::Wakers for NoWaker {
            fn waker(&self) -> std::task::Waker {
                std::task::Waker::noop().clone()
            }
        }
        application.start(&mut exchange, &NoWaker);
        application.run(&mut exchange, &NoWaker);
        let location = exchange.response.header(&crate::header::LOCATION);
        let location = location.map(|value| format!(" {}", value.to_str().unwrap()));
        format!("{}{}", exchange.response.status().as_u16(), location.unwrap_or_default())
    }

    #[test]
    fn index_pages_end_in_a_slash_and_others_do_not() {
        let table = [
            ("GET /", "200"),
            ("GET /dir", "301 /dir/"),
            ("HEAD /dir", "301 /dir/"),
            ("POST /dir", "200"),
            ("GET /dir/", "200"),
            ("GET /dir//", "200"),
            ("GET //dir", "301 /dir/"),
            ("GET /dir?a=%20b&c", "301 /dir/?a=%20b&c"),
            ("GET /dir/page", "200"),
            ("GET /dir/page/", "301 /dir/page"),
            ("GET //dir//page//?x", "301 /dir/page?x"),
            ("POST /dir/page/", "200"),
            ("GET /dir/two-words/", "301 /dir/two-words"),
            ("GET /item", "200"),
            ("GET /item/", "200"),
            ("GET /any/x/", "200"),
            ("GET /nowhere/", "404"),
        ];
        for (line, expected) in table {
            assert_eq!(ask(App::new(tree()), line), expected, "{line}");
        }
    }

    #[test]
    fn a_redirect_never_leads_to_another_host() {
        for line in ["GET //evil.com", "GET ///evil.com", "GET //dir//page/", "GET /%2Fevil.com", "GET /%5Cevil.com"] {
            let answer = ask(App::new(tree().child("evil.com", Tree::new().index(|_| "index"))), line);
            assert!(!answer.contains(" //") && !answer.contains('\\'), "{line}: {answer}");
        }
    }

    #[test]
    fn it_can_be_switched_off_and_set() {
        assert_eq!(ask(App::new(tree()).tool_off("/", "trailing_slash"), "GET /dir"), "200");
        let extra = "[\"/dir\"]\ntrailing_slash.extra = false";
        assert_eq!(ask(App::new(tree()).config_str(extra), "GET /dir/page/"), "200");
    }
}
