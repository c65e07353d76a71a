//! Another page in place of an unexpected error's: `ErrRedirect`, named after CherryPy's tool.
//!
//! | hook point | priority | what |
//! |---|---|---|
//! | `before_error_response` | 50 | sends the failed request to another page; after the session has rolled back (0) |
//! | `before_finalize` | 50 | gives the page that it came to the status of an error |
//!
//! Only unexpected errors and panics come here; 404 and its kin have error pages. A request that fails again gets the
//! ordinary error page.

use super::address::{from_mount, is_here, problem, to_client};
use crate::exchange::IntoResponse;
use crate::lifecycle::{Flow, HookPoint, Hooks, Tool};
use crate::settings::{SettingError, SettingTable, Settings};
use crate::{Error, Exchange, Redirect, Response, StatusCode};

/// Leads a request that has failed unexpectedly to another page, in place of the error page of 500.
///
/// ```
/// use kirsch::{prelude::*, testing::Client, tools::ErrRedirect};
///
/// let tree = Tree::new().page("broken", |_| -> &'static str { panic!("on purpose") }).page("sorry", |_| "We are on it.");
/// let client = Client::in_process(App::new(tree).tool("/", ErrRedirect::internal("/sorry")));
/// client.get("/broken").send().assert_status(500).assert_text("We are on it.");
/// ```
///
/// Internal: the page is made in the same request and sent with status 500, where the tool is on for it, too, such as
/// below `/`. Changes of the failed page to the session are rolled back before. External: the client is sent there with
/// 303. The cause is in the log in either case.
///
/// Paths are those of the app that switches the tool on, wherever it is mounted.
///
/// Never in a circle: a page that fails on the way, or is the very one that failed, gets the ordinary error page.
///
/// In a file: `err_redirect.url = "/sorry"`, `err_redirect.internal = false`. CherryPy's `err_redirect`, which answers
/// with 200.
#[derive(Clone, Debug, Settings)]
#[settings(check = Self::check)]
pub struct ErrRedirect {
    /// The page: a path of this server, or a whole URL if it is not internal.
    #[setting(given, no_builder)]
    url: String,
    /// Whether the request goes on with that page itself; without, the client is sent there with 303.
    #[setting(given, no_builder)]
    internal: bool,
}

/// The request has failed and been sent here.
struct Failed;

impl ErrRedirect {
    /// The request goes on with `path`, and perhaps a query, of this server (`internal = true`).
    #[must_use]
    pub fn internal(path: impl Into<String>) -> Self {
        Self::defaults(path.into(), true)
    }

    /// The client is sent to `url`, a path of this server or a whole URL.
    #[must_use]
    pub fn external(url: impl Into<String>) -> Self {
        Self::defaults(url.into(), false)
    }

    fn check(&self) -> Result<(), SettingError> {
        let problem = problem(&self.url).or_else(|| {
            let is_elsewhere = self.internal && !self.url.starts_with('/');
            is_elsewhere.then(|| format!("is {:?}; an internal redirect leads to a path: begin with `/`", self.url))
        });
        problem.map_or(Ok(()), |problem| Err(SettingError::new("url", problem)))
    }

    fn lead_away(&self, exchange: &mut Exchange) -> Result<Flow, Error> {
        if is_here(&exchange.request, &self.url) || exchange.values.get::<Failed>().is_some() {
            return Ok(Flow::Continue);
        }
        exchange.values.insert(Failed);
        if self.internal {
            return Err(Error::internal_redirect(self.url.clone()));
        }
        let mut answer = Response::new();
        Redirect::to(to_client(&exchange.request, self.url.clone())).into_response(&mut answer)?;
        Ok(Flow::Answer(answer))
    }
}

impl Tool for ErrRedirect {
    fn name(&self) -> &'static str {
        "err_redirect"
    }

    fn attach(&self, hooks: &mut Hooks) {
        if let Err(error) = self.check() {
            return hooks.refuse(error);
        }
        let tool = Self { url: from_mount(hooks.mount(), &self.url), ..self.clone() };
        hooks.at(HookPoint::BeforeErrorResponse, move |exchange| tool.lead_away(exchange));
        if self.internal {
            hooks.at(HookPoint::BeforeFinalize, |exchange| {
                if exchange.values.get::<Failed>().is_some() && exchange.response.status().is_success() {
                    exchange.response.set_status(StatusCode::INTERNAL_SERVER_ERROR);
                }
            });
        }
    }

    fn configure(&self, settings: &SettingTable) -> Result<Box<dyn Tool>, SettingError> {
        Ok(Box::new(self.configured(settings)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Client;
    use crate::{App, Result, Session, Sessions, Tree};

    fn app() -> App {
        let tree = Tree::new()
            .page("broken", |page| -> Result<&'static str> {
                let session: &Session = page.argument()?;
                session.set("from", "broken");
                Err(Error::unexpected("on purpose"))
            })
            .page("panics", |_| -> &'static str { panic!("on purpose") })
            .page("missing", |_| Err::<(), _>(Error::not_found()))
            .page("sorry", |page| -> Result<String> {
                let session: &Session = page.argument()?;
                let from: Option<String> = session.get("from");
                session.set("sorry", true);
                Ok(format!("sorry, {from:?}, {:?}", session.get::<bool>("seen")))
            });
        App::new(tree).tool("/", Sessions::in_memory())
    }

    #[test]
    fn a_failed_request_goes_on_with_another_page_and_a_clean_session() {
        let client = Client::in_process(app().tool("/", ErrRedirect::internal("/sorry")));
        for path in ["/broken", "/panics"] {
            client.get(path).send().assert_status(500).assert_text("sorry, None, None");
        }
        client.get("/sorry").send().assert_status(200);
    }

    #[test]
    fn other_errors_have_their_own_pages() {
        let client = Client::in_process(app().tool("/", ErrRedirect::internal("/sorry")));
        client.get("/missing").send().assert_status(404);
        client.get("/nowhere").send().assert_status(404);
    }

    #[test]
    fn no_client_is_led_in_a_circle() {
        for tool in [ErrRedirect::internal("/panics"), ErrRedirect::external("/panics")] {
            let client = Client::in_process(app().tool("/", tool));
            client.get("/panics").send().assert_status(500).assert_contains("Something went wrong");
        }
        let client = Client::in_process(app().tool("/", ErrRedirect::internal("/panics")));
        client.get("/broken").send().assert_status(500).assert_contains("Something went wrong");
        let client = Client::in_process(app().tool("/", ErrRedirect::internal("/nowhere")));
        client.get("/broken").send().assert_status(404);
    }

    #[test]
    fn an_external_one_sends_the_client_away() {
        let client = Client::in_process(app().tool("/", ErrRedirect::external("https://status.example/")));
        client
            .get("/broken")
            .send()
            .assert_status(303)
            .assert_header("location", "https://status.example/")
            .assert_text("");
    }

    /// A tool that always redirects is stopped by the framework.
    #[test]
    fn a_request_is_led_away_only_once() {
        struct Again;
        impl Tool for Again {
            fn name(&self) -> &'static str {
                "again"
            }
            fn attach(&self, hooks: &mut Hooks) {
                let again = |_: &mut Exchange| Err::<(), _>(Error::internal_redirect("/panics"));
                hooks.at(HookPoint::BeforeErrorResponse, again);
            }
        }
        let client = Client::in_process(app().tool("/", Again));
        client.get("/panics").send().assert_status(500).assert_contains("Something went wrong");
    }

    #[test]
    fn the_settings_of_a_file_are_laid_over() {
        let text = "[\"/\"]\nerr_redirect.url = \"/sorry?a=1\"\nerr_redirect.internal = false";
        let client = Client::in_process(app().tool("/", ErrRedirect::internal("/")).config_str(text));
        client.get("/broken").send().assert_header("location", "/sorry?a=1");
        assert!(app().tool("/", ErrRedirect::internal("sorry")).build().is_err());
    }
}
