//! Sections that have moved: `RedirectTo`, CherryPy's tool `redirect`.
//!
//! The hook runs at `on_start_resource` 50: a redirected request neither uploads its body nor waits for a session. A
//! request that is at the target already goes on, so a section may lead to a page within it, and a host to itself with
//! another scheme.

use super::address::{from_mount, is_here, problem, to_client};
use crate::http::{encode_reference, encode_segment, is_dot_segment, leads_to_other_host};
use crate::lifecycle::{HookPoint, Hooks, Tool};
use crate::settings::{SettingError, SettingTable, Settings};
use crate::{Error, Exchange, Redirect, Request, StatusCode};

/// Sends all requests of a path and below it to another address.
///
/// ```
/// use kirsch::{prelude::*, testing::Client, tools::RedirectTo};
///
/// let tree = Tree::new().page("new", |_| "here").page("old", |_| "").page("blog", |_| "");
/// let app = App::new(tree)
///     .tool("/old", RedirectTo::internal("/new"))
///     .tool("/blog", RedirectTo::external("https://blog.example/").status(StatusCode::PERMANENT_REDIRECT).keep_path(true));
/// let client = Client::in_process(app);
/// client.get("/old").send().assert_text("here");
/// client.get("/blog/2026/may?page=2").send().assert_status(308).assert_header("location", "https://blog.example/2026/may?page=2");
/// ```
///
/// Paths are those of the app that switches the tool on, wherever it is mounted. An internal redirect goes on with
/// another path of this server, as a GET without a body; the client does not learn of it. An external one is answered
/// with a status and `Location`. A request for the very address that it leads to goes on, so there is no circle of one
/// section; circles of several are ended after ten internal redirects (500), or by the browser.
///
/// In a file: `redirect.url`, `redirect.internal`, `redirect.status`, `redirect.keep_path`. CherryPy's `redirect`,
/// whose pages have text with the address in it; these have none.
#[derive(Clone, Debug, Settings)]
#[settings(check = Self::check)]
pub struct RedirectTo {
    /// Where requests are sent: a path of this server, or a URL of `http` or `https`.
    #[setting(given, no_builder)]
    url: String,
    /// Whether the request goes on with another page of this server; without, the client is sent there.
    #[setting(given, no_builder)]
    internal: bool,
    /// The status of an external redirect: 301, 302, 303, 307 or 308.
    ///
    /// 301 and 308 are permanent, and browsers keep them; 307 and 308 repeat a POST as one.
    #[setting(default = StatusCode::SEE_OTHER)]
    status: StatusCode,
    /// Whether the path of the request below the section, and its query, are added: for a part of the site that has
    /// moved as a whole.
    ///
    /// A path with `..` in it, or one that would lead to another host, is 404.
    keep_path: bool,
}

const STATUSES: [u16; 5] = [301, 302, 303, 307, 308];

impl RedirectTo {
    /// The client is sent to `url`, a path of this server or a whole URL, with 303 unless set.
    #[must_use]
    pub fn external(url: impl Into<String>) -> Self {
        Self::defaults(url.into(), false)
    }

    /// The request goes on with `path`, and perhaps a query, of this server (`internal = true`).
    #[must_use]
    pub fn internal(path: impl Into<String>) -> Self {
        Self::defaults(path.into(), true)
    }

    fn check(&self) -> Result<(), SettingError> {
        if let Some(problem) = problem(&self.url) {
            return Err(SettingError::new("url", problem));
        }
        if self.internal && !self.url.starts_with('/') {
            let problem =
                format!("is {:?}; an internal redirect leads to a path of this server: begin with `/`", self.url);
            return Err(SettingError::new("url", problem));
        }
        if self.keep_path && self.url.contains(['?', '#']) {
            let problem = format!("is {:?}; with `keep_path` it cannot have a query or a `#`", self.url);
            return Err(SettingError::new("url", problem));
        }
        let status = self.status.as_u16();
        if !STATUSES.contains(&status) {
            return Err(SettingError::new("status", format!("is {status}; it must be one of {STATUSES:?}")));
        }
        Ok(())
    }

    /// The target of the request, unless the request's own path would lead to another host, or out of the target's
    /// path.
    fn target(&self, request: &Request, above: usize) -> Option<String> {
        if !self.keep_path {
            return Some(self.url.clone());
        }
        if request.segments().skip(above).any(is_dot_segment) {
            return None;
        }
        let mut url = self.url.trim_end_matches('/').to_owned();
        let start = if url.starts_with('/') { 0 } else { url.len() };
        for segment in request.segments().skip(above) {
            url.push('/');
            url.extend(encode_segment(segment));
        }
        if request.path().ends_with('/') || url.is_empty() {
            url.push('/');
        }
        if let Some(query) = request.query() {
            url.push('?');
            url.push_str(&encode_reference(query).ok()?);
        }
        (!leads_to_other_host(&url[start..])).then_some(url)
    }
}

impl Tool for RedirectTo {
    fn name(&self) -> &'static str {
        "redirect"
    }

    fn attach(&self, hooks: &mut Hooks) {
        if let Err(error) = self.check() {
            return hooks.refuse(error);
        }
        let above = hooks.section().split('/').filter(|segment| !segment.is_empty()).count();
        let tool = Self { url: from_mount(hooks.mount(), &self.url), ..self.clone() };
        hooks.at(HookPoint::OnStartResource, move |exchange: &mut Exchange| {
            let target = tool.target(&exchange.request, above).ok_or_else(Error::not_found)?;
            match is_here(&exchange.request, &target) {
                true => Ok(()),
                false if tool.internal => Err(Error::internal_redirect(target)),
                false => {
                    let location = to_client(&exchange.request, target);
                    Err(Redirect { status: tool.status, location }.into())
                }
            }
        });
    }

    fn configure(&self, settings: &SettingTable) -> Result<Box<dyn Tool>, SettingError> {
        Ok(Box::new(self.configured(settings)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Client;
    use crate::{App, Tree};

    fn app() -> App {
        let tree = Tree::new()
            .index(|_| "root")
            .page("old/{rest*}", |_| "old")
            .page("new/{rest*}", |page| format!("new {:?}", page.request().query()));
        App::new(tree)
    }

    fn location(client: &Client, path: &str) -> String {
        client.get(path).send().header("location").unwrap_or("nowhere").to_owned()
    }

    #[test]
    fn an_internal_redirect_is_not_seen_and_an_external_one_has_its_status() {
        let client = Client::in_process(app().tool("/old", RedirectTo::internal("/new?a=1")));
        client.get("/old").send().assert_status(200).assert_text("new Some(\"a=1\")");
        let client = Client::in_process(app().tool("/old", RedirectTo::external("/new")));
        client.get("/old/x").send().assert_status(303).assert_header("location", "/new");
    }

    #[test]
    fn no_request_is_redirected_to_itself() {
        let client = Client::in_process(app().tool("/", RedirectTo::external("/new?a=1")));
        client.get("/new?a=1").send().assert_status(200);
        assert_eq!(location(&client, "/new"), "/new?a=1");
        let client = Client::in_process(app().tool("/", RedirectTo::internal("/new")));
        client.get("/old").send().assert_text("new None");
        let own = RedirectTo::external("http://localhost").keep_path(true);
        let client = Client::in_process(app().tool("/", own));
        client.get("/new").header("host", "localhost").send().assert_status(200);
        client.get("/").header("host", "localhost").send().assert_status(200);
        let elsewhere = client.get("/new?b").header("host", "a.example").send();
        elsewhere.assert_header("location", "http://localhost/new?b");
    }

    #[test]
    fn the_rest_of_a_path_never_names_another_host() {
        let client = Client::in_process(app().tool("/old", RedirectTo::external("/").keep_path(true)));
        for (path, expected) in [
            ("/old//evil.example/", "/evil.example/"),
            ("/old/a/AC%2FDC/?b=c%0D", "/a/AC%2FDC/?b=c%0D"),
            ("/old/%0D%0Aa?b=%0D", "/%0D%0Aa?b=%0D"),
            ("/old", "/"),
            ("/old/%2Fevil.example", "nowhere"),
            ("/old/%5Cevil.example", "nowhere"),
            ("/old/%09/evil.example", "nowhere"),
            ("/old/.//evil.example", "nowhere"),
        ] {
            assert_eq!(location(&client, path), expected, "{path}");
        }
    }

    #[test]
    fn the_rest_of_a_path_never_climbs() {
        let client =
            Client::in_process(app().tool("/old", RedirectTo::external("https://a.example/b").keep_path(true)));
        assert_eq!(location(&client, "/old/x%20y/..z"), "https://a.example/b/x%20y/..z");
        for path in ["/old/../c", "/old/x/%2e%2E/", "/old/..%2fc", "/old/%252e%252e/c", "/old/.", "/old/a%5c..%5cb"] {
            client.get(path).send().assert_status(404).assert_no_header("location");
        }
    }

    #[test]
    fn a_target_that_would_be_another_field_or_a_script_stops_the_start() {
        for url in ["/a\r\nSet-Cookie: b=c", "javascript:alert(1)", "//evil.example", "", "a", "http://", "https:///a"]
        {
            let error = app().tool("/old", RedirectTo::external(url)).build().unwrap_err().to_string();
            assert!(error.contains("`url` is"), "{error}");
        }
        let error = app().tool("/old", RedirectTo::internal("https://a/")).build().unwrap_err().to_string();
        assert!(error.contains("begin with `/`"), "{error}");
        let client = Client::in_process(app().tool("/old", RedirectTo::external("/<script>")));
        client.get("/old").send().assert_text("");
    }

    #[test]
    fn the_settings_of_a_file_are_laid_over() {
        let moved = || app().tool("/old", RedirectTo::external("/new"));
        let client = Client::in_process(
            moved().config_str("[\"/old\"]\nredirect.url = \"https://a.example\"\nredirect.status = 308"),
        );
        client.get("/old").send().assert_status(308).assert_header("location", "https://a.example");
        let error = moved().config_str("[\"/old\"]\nredirect.status = 200").build().unwrap_err().to_string();
        assert!(error.contains("`redirect.status` is 200; it must be one of [301, 302, 303, 307, 308]"), "{error}");
    }
}
