//! The visitor, and whether they may go on: everything that is done before the body.
//!
//! The pages for login and logout are shown here for GET and HEAD; strangers are sent to the login. `forms.rs` reads
//! their forms later.

use super::login_form::logout_page;
use super::prepared::{Place, Prepared};
use crate::exchange::{HttpError, LoginChallenge, MethodSet, origin_of};
use crate::tools::origins::is_own;
use crate::{
    Error, Exchange, Flow, HeaderValue, Login, Method, Redirect, Request, Response, Session, SessionView, StatusCode,
    header,
};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

impl Prepared {
    /// Before the body: who is the visitor, and may they go on?
    pub(super) fn find_out(&self, exchange: &mut Exchange, of_strangers: &LoginChallenge) -> Result<Flow, Error> {
        exchange.values.remove::<Login>();
        exchange.values.remove::<LoginChallenge>();
        let login = SessionView::of(exchange)?
            .and_then(|session| session.get::<String>(&self.key.of(&exchange.request)))
            .map(|name| self.login(name));
        let is_post = *exchange.request.method() == Method::POST;
        let is_read = matches!(*exchange.request.method(), Method::GET | Method::HEAD);
        match self.place(&exchange.request) {
            Place::Page => {
                let Some(login) = login else {
                    if self.tool.required {
                        return Err(self.send_to_login(exchange, HttpError::new(StatusCode::UNAUTHORIZED, "")));
                    }
                    // Some of the pages may want one.
                    exchange.values.insert(of_strangers.clone());
                    return Ok(Flow::Continue);
                };
                exchange.values.insert(login);
                Ok(Flow::Continue)
            }
            Place::Login if is_post => {
                self.tool.warning.consider(&exchange.request, "session_auth");
                from_this_site(&exchange.request)?;
                exchange.expect_form();
                expect_lock(exchange);
                Ok(Flow::Continue)
            }
            Place::Logout if is_post => {
                from_this_site(&exchange.request)?;
                if let Some(login) = login {
                    exchange.values.insert(login);
                    expect_lock(exchange);
                }
                Ok(Flow::Continue)
            }
            Place::Login if is_read => {
                exchange.request.decode_parameters()?;
                let next = exchange.request.parameters("next").next().unwrap_or_default().to_owned();
                self.show(exchange, StatusCode::OK, "", &next, None).map(Flow::Answer)
            }
            Place::Logout if is_read => match login {
                Some(login) => {
                    let action = outside(&exchange.request, exchange.request.path());
                    let mut page = logout_page(&action, login.name());
                    not_kept(&mut page);
                    exchange.values.insert(login);
                    Ok(Flow::Answer(page))
                }
                None => Err(Redirect::to(outside(&exchange.request, &self.login_path)).into()),
            },
            Place::Login | Place::Logout => Err(MethodSet::PAGE.refuse(exchange.request.method())),
        }
    }

    /// The answer to a stranger: the login, or to a program the `refusal`.
    pub(super) fn send_to_login(&self, exchange: &mut Exchange, refusal: HttpError) -> Error {
        not_kept(&mut exchange.response);
        exchange.response.add_vary(&header::ACCEPT);
        let request = &exchange.request;
        if !request.prefers_html() {
            return refusal.with_header(header::WWW_AUTHENTICATE, self.challenge.clone()).into();
        }
        let login = outside(request, &self.login_path);
        match wanted(request).as_deref().and_then(|wanted| self.next_page(request, wanted)) {
            Some(next) => Redirect::to(format!("{login}?next={}", utf8_percent_encode(next, NON_ALPHANUMERIC))).into(),
            None => Redirect::to(login).into(),
        }
    }
}

/// The page that the visitor goes on with after the login, as the browser sees it. A form cannot be sent again, so that
/// is the page of this site that has it.
fn wanted(request: &Request) -> Option<String> {
    if matches!(*request.method(), Method::GET | Method::HEAD) {
        let query = request.query().map(|query| format!("?{query}")).unwrap_or_default();
        return Some(outside(request, request.path()) + &query);
    }
    let referer = request.header("referer").filter(|referer| is_own(request, referer))?;
    origin_of(referer).map(|(_, page)| page.to_owned())
}

/// The form will change the session.
fn expect_lock(exchange: &Exchange) {
    if let Some(session) = Session::of(exchange) {
        session.expect_lock(true);
    }
}

/// Pages of a visitor who is logged in are for no other visitor, and not for the time after the logout.
pub(super) fn keep_private(exchange: &mut Exchange) {
    if Login::of(exchange).is_some() {
        let private = HeaderValue::from_static("private, no-cache");
        exchange.response.default_header(header::CACHE_CONTROL, private);
    }
}

/// The path as a browser sees it, before a proxy has taken its prefix away.
pub(super) fn outside(request: &Request, path: &str) -> String {
    format!("{}{path}", request.prefix())
}

/// 403 for a form that another site has sent. Browsers name the site in a field; programs do not.
fn from_this_site(request: &Request) -> Result<(), Error> {
    let by_fetch = request.list("sec-fetch-site").map(|site| matches!(&*site, "same-origin" | "none"));
    let by_origin = || match request.list("origin").as_deref() {
        None | Some("null") => true,
        Some(origin) => is_own(request, origin),
    };
    if by_fetch.unwrap_or_else(by_origin) {
        return Ok(());
    }
    Err(Error::new(StatusCode::FORBIDDEN, "This form was sent by another site."))
}

pub(super) fn not_kept(response: &mut Response) {
    response.set_header(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
}
