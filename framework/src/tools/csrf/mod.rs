//! Requests that other sites make a visitor's browser send: `Csrf`.
//!
//! | hook point | priority | what |
//! |---|---|---|
//! | `on_start_resource` | 1 | puts the token where handlers find it |
//! | `before_request_body` | 5 | refuses by where the request comes from, before anything is uploaded |
//! | `before_handler` | 5 | refuses by the token, where tokens are asked for; with 404 or 405 where there is no page |
//! | `before_finalize` | 70, always | gives the browser the secret that its token is made from, if the page has one |
//!
//! A browser sends cookies along even if another site made it send the request, so a cookie does not prove that the
//! visitor wanted it. The origin of the request does: browsers of today tell it in fields that no script can set. The
//! token is a second, independent proof.

mod token;

pub use token::CsrfToken;

use super::origins::{is_own, origin_setting};
use crate::exchange::{ErrorKind, origin_of};
use crate::lifecycle::{HookPoint, Hooks, Tool};
use crate::settings::{SettingError, SettingTable, Settings};
use crate::{Error, Exchange, HeaderName, Method, Request, StatusCode};

/// Refuses requests that change something and that another site has caused, with 403.
///
/// ```
/// use kirsch::{prelude::*, testing::Client, tools::Csrf};
///
/// struct Bank;
///
/// #[handlers]
/// impl Bank {
///     #[expose(post)]
///     fn transfer(&self) -> &'static str { "done" }
/// }
///
/// let client = Client::in_process(App::new(Bank).tool("/", Csrf::new()));
/// client.post("/transfer").header("sec-fetch-site", "same-origin").send().assert_text("done");
/// client.post("/transfer").header("sec-fetch-site", "cross-site").send().assert_status(403);
/// client.post("/transfer").header("origin", "https://evil.example").send().assert_status(403);
/// ```
///
/// # How it decides
///
/// GET, HEAD and OPTIONS come through: let them change nothing. For all other methods the first field that is there
/// decides:
///
/// 1. `Sec-Fetch-Site`: `same-origin`, and `none` (typed by the user).
/// 2. `Origin`: the request's own, as the client sees it ([`Request::origin`], right behind the tool `proxy`).
/// 3. `Referer`: the same.
/// 4. None of them: no browser of this decade has sent it (they all send `Origin`); it comes through, as programs do.
///    With [`tokens`](Self::tokens) it needs one.
///
/// Other sites of your own may be named (`origins`). For paths that are for other sites' servers, switch the tool off:
/// `App::tool_off("/hooks", "csrf")`.
///
/// # Tokens
///
/// With [`tokens(true)`](Self::tokens) such a request also needs the token that the page got: in the form field
/// `csrf_token` or in the request field `X-CSRF-Token`. A handler takes it as [`&CsrfToken`](CsrfToken) and writes it
/// into its form; templates have `csrf_token`:
///
/// ```
/// use kirsch::{prelude::*, testing::Client, tools::{Csrf, CsrfToken}};
///
/// struct Bank;
///
/// #[handlers]
/// impl Bank {
///     #[expose]
///     fn index(&self, token: &CsrfToken) -> String {
///         format!("<form method=post action=/transfer>{}<button>Transfer</button></form>", token.field())
///     }
///
///     #[expose(post)]
///     fn transfer(&self) -> &'static str { "done" }
/// }
///
/// let client = Client::in_process(App::new(Bank).tool("/", Csrf::new().tokens(true)));
/// let page = client.get("/").send();
/// let token = page.text().split("value=\"").nth(1).unwrap().split('"').next().unwrap();
/// client.post("/transfer").form(&[("csrf_token", token)]).send().assert_text("done");
/// client.post("/transfer").send().assert_status(403);
/// ```
///
/// The secret behind the token is in a cookie of its own, which scripts cannot read and other sites' requests do not
/// bring. Nothing is kept on the server, and a visitor needs no session, so forms for signing in are protected, too.
/// Each page has the token in another disguise, so that compressing it gives nothing away (BREACH). Handlers that read
/// their body as a stream need the request field. Settings: `origins`, `tokens`, `field`, `header`. CherryPy has no
/// such tool.
#[derive(Clone, Debug, Settings)]
#[settings(check = Self::prepare)]
pub struct Csrf {
    /// Other sites that may send such requests: scheme, host, and port unless it is the usual one.
    origins: Vec<String>,
    /// Whether a request also needs the token of its page.
    tokens: bool,
    /// The form field with the token.
    #[setting(default = "csrf_token")]
    field: String,
    /// The request field with the token.
    #[setting(default = "X-CSRF-Token")]
    header: String,
}

impl Default for Csrf {
    fn default() -> Self {
        Self::new()
    }
}

impl Csrf {
    /// Decides by where a request comes from.
    #[must_use]
    pub fn new() -> Self {
        Self::defaults()
    }

    fn prepare(&self) -> Result<Prepared, SettingError> {
        let parse = |text: &String| origin_setting(text).map_err(|problem| SettingError::new("origins", problem));
        let header = super::fields::name(&self.header).map_err(|problem| SettingError::new("header", problem))?;
        if self.field.is_empty() {
            return Err(SettingError::new("field", "is empty: name the form field with the token"));
        }
        Ok(Prepared {
            origins: self.origins.iter().map(parse).collect::<Result<_, _>>()?,
            header,
            field: self.field.clone(),
        })
    }
}

/// The settings, ready to be compared with.
struct Prepared {
    origins: Vec<String>,
    header: HeaderName,
    field: String,
}

impl Prepared {
    fn check_origin(&self, request: &Request) -> Result<(), Error> {
        if is_safe(request) || self.is_ours(request) {
            return Ok(());
        }
        let message = "This request was caused by another site, so it was not carried out. If you wanted it, go to the page of this site and try again there.";
        Err(Error::new(StatusCode::FORBIDDEN, message))
    }

    fn is_ours(&self, request: &Request) -> bool {
        // Of each there is one. Two of them match no origin.
        let origin = request.list("origin");
        let named = || origin.as_deref().is_some_and(|origin| self.is_named(origin));
        match (request.list("sec-fetch-site").as_deref(), origin.as_deref(), request.list("referer").as_deref()) {
            (Some("same-origin" | "none"), ..) => true,
            (Some(_), ..) => named(),
            (None, Some(origin), _) => is_own(request, origin) || named(),
            (None, None, Some(referer)) => is_own(request, referer) || self.is_named(referer),
            (None, None, None) => true,
        }
    }

    fn is_named(&self, url: &str) -> bool {
        origin_of(url).is_some_and(|(origin, _)| self.origins.contains(&origin))
    }

    fn check_token(&self, exchange: &mut Exchange) -> Result<(), Error> {
        if is_safe(&exchange.request) {
            return Ok(());
        }
        exchange.request.decode_parameters()?;
        let request = &exchange.request;
        let given = request.header(self.header.as_str()).or_else(|| request.parameters(&self.field).last());
        let is_right = CsrfToken::of(exchange).zip(given).is_some_and(|(token, given)| token.accepts(given));
        if is_right {
            return Ok(());
        }
        // Where there is no page, that is the answer: its form was not read, and has no token. It still ends the
        // request here, so that nothing answers in place of the page unchecked. A node that is resolved late has no
        // such error yet.
        if let Some(ErrorKind::Http(error)) =
            exchange.route_error().map(Error::kind).filter(|_| !exchange.expects_form())
        {
            return Err(error.clone().into());
        }
        let message = "The form is too old, or your browser keeps no cookies. Please go back, load the page again and send it once more.";
        Err(Error::new(StatusCode::FORBIDDEN, message))
    }
}

/// Methods that change nothing (RFC 9110, section 9.2.1).
fn is_safe(request: &Request) -> bool {
    matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS)
}

impl Tool for Csrf {
    fn name(&self) -> &'static str {
        "csrf"
    }

    fn attach(&self, hooks: &mut Hooks) {
        let prepared = match self.prepare() {
            Ok(prepared) => std::sync::Arc::new(prepared),
            Err(error) => return hooks.refuse(error),
        };
        let field: std::sync::Arc<str> = self.field.as_str().into();
        hooks.at(HookPoint::OnStartResource, move |exchange| CsrfToken::offer(exchange, &field)).priority(1);
        let by_origin = prepared.clone();
        let check = move |exchange: &mut Exchange| by_origin.check_origin(&exchange.request);
        hooks.at(HookPoint::BeforeRequestBody, check).priority(5);
        if self.tokens {
            hooks.reads_forms();
            hooks.at(HookPoint::BeforeHandler, move |exchange| prepared.check_token(exchange)).priority(5);
        }
        hooks.at(HookPoint::BeforeFinalize, CsrfToken::give).priority(70).always();
    }

    fn configure(&self, settings: &SettingTable) -> Result<Box<dyn Tool>, SettingError> {
        Ok(Box::new(self.configured(settings)?))
    }
}

#[cfg(test)]
mod tests;
