//! Which address has which page, and who may see them: the value that an application mounts.
//!
//! | hook point | priority | what |
//! |---|---|---|
//! | `on_start_resource` | 0 | unless the pages are open: takes the key out of an address |
//! | `before_request_body` | 80 | answers, before anything can make the request wait |
//! | `before_handler` | 0 | forgets a ticket |

use super::html::{self, Frame};
use super::report::Report;
use super::threads;
use super::tickets;
use crate::exchange::form_token::{self, Half};
use crate::exchange::{
    Error, Exchange, HttpError, IntoResponse, Late, Login, Redirect, RequestId, Response, StatusSource,
};
use crate::lifecycle::{Flow, HookPoint, Hooks, Tool, is_developers};
use crate::tickets::Tickets;
use ::http::{HeaderValue, Method, StatusCode, header};
use serde_json::Value;
use std::sync::Arc;

/// The status pages: mount them where you like.
///
/// | page | what it shows |
/// |---|---|
/// | `/status` | workers, queue, parked requests with what they wait for and who is in the way, connections, tools |
/// | `/status/json` | the same for programs |
/// | `/status/threads` | the threads of the process; `/status/threads?json` for programs |
/// | `/status/tickets` | failures of the program by kind, where [`App::tickets`](crate::App::tickets) is set |
/// | `/status/tickets/NUMBER` | everything about one of them; with `?json` for programs. Its button forgets it |
///
/// They are shown to visitors whom a login tool at this very path has let in, and to browsers that have opened the link
/// which the start prints. All others get 404, also those who have logged in further up, as members of the site. An
/// address is no proof, since a proxy on the same machine makes everybody local.
///
/// ```
/// use kirsch::{prelude::*, status};
///
/// let site = App::new(Tree::new().index(|_| "a site"));
/// let site = site.mount("/status", status::app());
/// # assert!(site.build().is_ok());
/// ```
pub fn app() -> Status {
    Status { is_open: false, sources: Vec::new() }
}

/// The status pages; made by [`app`].
#[derive(Clone, Debug)]
#[must_use = "mount it: `App::mount(\"/status\", status::app())`"]
pub struct Status {
    is_open: bool,
    sources: Vec<Arc<dyn StatusSource>>,
}

impl Status {
    /// Lets everybody see the pages: for demos, and where something in front of the server keeps strangers away. They
    /// show paths of other visitors.
    pub fn open(self) -> Self {
        Self { is_open: true, ..self }
    }

    /// Shows facts about another part of the program. Tools add themselves.
    pub fn show(mut self, source: impl StatusSource) -> Self {
        self.sources.push(Arc::new(source));
        self
    }
}

impl Tool for Status {
    fn name(&self) -> &'static str {
        "status"
    }

    fn attach(&self, hooks: &mut Hooks) {
        let readers = Readers::of(hooks, "the status of the server", self.is_open);
        hooks.answers_when_busy();
        let segments = hooks.section().split('/').filter(|segment| !segment.is_empty());
        let (depth, section) = (segments.clone().count(), segments.flat_map(|segment| ["/", segment]).collect());
        let tickets = Late::default();
        hooks.read_tickets(&tickets);
        let token = crate::random::bytes();
        let at_work = Arc::new(AtWork { readers, sources: self.sources.clone(), section, depth, tickets, token });
        let changing = at_work.clone();
        hooks.at(HookPoint::BeforeRequestBody, move |exchange| at_work.answer(exchange)).priority(80);
        hooks.at(HookPoint::BeforeHandler, move |exchange| changing.change(exchange)).priority(0);
    }

    fn answers(&self) -> bool {
        true
    }
}

/// The pages at their place.
struct AtWork {
    readers: Readers,
    sources: Vec<Arc<dyn StatusSource>>,
    /// Where they are mounted; empty for the root.
    section: String,
    /// How many segments lead there.
    depth: usize,
    tickets: Late<Tickets>,
    /// The secret of the form that forgets a ticket. Its page is read only by those who may do so.
    token: Half,
}

enum Page {
    Status,
    Json,
    Threads,
    Tickets,
    Ticket(RequestId),
}

impl AtWork {
    fn answer(&self, exchange: &mut Exchange) -> Result<Flow, Error> {
        if self.ticket_to_forget(exchange).is_some() {
            exchange.expect_form();
            return Ok(Flow::Continue);
        }
        let Some(page) = self.page(exchange).filter(|_| self.readers.include(exchange)) else {
            return Ok(Flow::Continue);
        };
        let request = &exchange.request;
        if !matches!(*request.method(), Method::GET | Method::HEAD) {
            let refusal = HttpError::new(StatusCode::METHOD_NOT_ALLOWED, "Nothing changes here: ask with GET.");
            return Err(refusal.with_header(header::ALLOW, HeaderValue::from_static("GET, HEAD")).into());
        }
        let has = |word: &str| request.query().is_some_and(|query| query.split('&').any(|part| part == word));
        let base = format!("{}{}", request.prefix(), self.section);
        let home = if self.section.is_empty() { format!("{base}/") } else { base.clone() };
        let nonce = crate::random::digits();
        let tickets = self.tickets.get();
        let (is_paused, has_tickets) = (has("pause"), tickets.is_some());
        let frame = Frame { base: &base, home: &home, is_paused, has_tickets, nonce: &nonce };
        let server = request.server();
        let report = || server.as_deref().map(|server| Report::of(server, &self.sources));
        Ok(Flow::Answer(match page {
            Page::Status => {
                let page =
                    report().map_or_else(|| html::without_server(&frame), |report| html::status(&report, &frame));
                for_people(page, &nonce)
            }
            Page::Json => for_programs(&report().map_or(Value::Null, |report| report.json())),
            Page::Threads if has("json") => for_programs(&threads::json(&threads::all(server.as_deref()))),
            Page::Threads => for_people(html::threads(&threads::all(server.as_deref()), &frame), &nonce),
            Page::Tickets | Page::Ticket(_) if tickets.is_none() => return Ok(Flow::Continue),
            Page::Tickets => {
                let groups = tickets.map(Tickets::groups).unwrap_or_default();
                for_people(tickets::list(&groups, &frame), &nonce)
            }
            Page::Ticket(number) => match tickets.map_or(Ok(None), |tickets| tickets.read(number)) {
                Ok(Some(ticket)) if has("json") => for_programs(&ticket),
                Ok(Some(ticket)) => {
                    let token = self.may_change().then(|| form_token::token(|mask| self.code(mask)));
                    for_people(tickets::ticket(&ticket, token.as_deref(), &frame), &nonce)
                }
                Ok(None) => return Err(Error::new(StatusCode::NOT_FOUND, NO_TICKET)),
                Err(problem) => return Err(Error::new(StatusCode::SERVICE_UNAVAILABLE, problem)),
            },
        }))
    }

    /// Pages that are open to everybody change nothing.
    fn may_change(&self) -> bool {
        !matches!(self.readers, Readers::All)
    }

    /// The ticket that the request wants to be forgotten, if it may.
    fn ticket_to_forget(&self, exchange: &Exchange) -> Option<RequestId> {
        let may = *exchange.request.method() == Method::POST && self.may_change() && self.readers.include(exchange);
        match self.page(exchange).filter(|_| may && self.tickets.get().is_some()) {
            Some(Page::Ticket(number)) => Some(number),
            _ => None,
        }
    }

    fn change(&self, exchange: &mut Exchange) -> Result<Flow, Error> {
        let (Some(number), Some(tickets)) = (self.ticket_to_forget(exchange), self.tickets.get()) else {
            return Ok(Flow::Continue);
        };
        exchange.request.decode_parameters()?;
        let mut fields = exchange.request.form_fields();
        if !fields.any(|(name, text)| name == "token" && form_token::is_right(text, |mask| self.code(mask))) {
            let message = "This form is not from the present start of the server: open the page of the ticket again.";
            return Err(Error::new(StatusCode::FORBIDDEN, message));
        }
        match tickets.forget(number) {
            Ok(true) => {
                let mut response = Response::new();
                let list = format!("{}{}/tickets", exchange.request.prefix(), self.section);
                Redirect::to(list).into_response(&mut response)?;
                Ok(Flow::Answer(response))
            }
            Ok(false) => Err(Error::new(StatusCode::NOT_FOUND, NO_TICKET)),
            Err(problem) => Err(Error::new(StatusCode::SERVICE_UNAVAILABLE, problem)),
        }
    }

    fn code(&self, mask: &Half) -> Half {
        std::array::from_fn(|index| mask[index] ^ self.token[index])
    }

    fn page(&self, exchange: &Exchange) -> Option<Page> {
        let mut below = exchange.request.segments().skip(self.depth);
        match (below.next(), below.next(), below.next()) {
            (None, ..) => Some(Page::Status),
            (Some("json"), None, _) => Some(Page::Json),
            (Some("threads"), None, _) => Some(Page::Threads),
            (Some("tickets"), None, _) => Some(Page::Tickets),
            (Some("tickets"), Some(number), None) => RequestId::parse(number).map(Page::Ticket),
            _ => None,
        }
    }
}

const NO_TICKET: &str = "There is no ticket of this number. Of failures of the same kind only some are kept, and the \
    others are counted; the log has all of them.";

/// The visitors to whom the pages of a section are shown.
#[derive(Debug)]
pub(super) enum Readers {
    /// Everybody.
    All,
    /// The holders of the key, and the visitors who have logged in at this very section. A login further up is that of
    /// the site's members, who must not see what others ask for.
    Of(String),
}

impl Readers {
    /// For the section of the tool that attaches these `hooks`; `page` is the name of its pages in the log.
    pub(super) fn of(hooks: &mut Hooks, page: &'static str, is_open: bool) -> Self {
        if is_open {
            return Self::All;
        }
        hooks.offer_key(page);
        Self::Of(hooks.section().to_owned())
    }

    pub(super) fn include(&self, exchange: &Exchange) -> bool {
        let Self::Of(section) = self else { return true };
        // Tools of one section have it in one spelling.
        let login = Login::of(exchange).and_then(Login::section);
        login == Some(&**section) || is_developers(exchange)
    }
}

fn for_people(page: String, nonce: &str) -> Response {
    let mut response = answer("text/html; charset=utf-8");
    let policy = format!(
        "default-src 'none'; style-src 'nonce-{nonce}'; img-src data:; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    );
    if let Ok(policy) = HeaderValue::try_from(policy) {
        response.set_header(header::CONTENT_SECURITY_POLICY, policy);
    }
    response.set_body(page);
    response
}

fn for_programs(value: &Value) -> Response {
    let mut response = answer("application/json");
    response.set_body(value.to_string());
    response
}

fn answer(content_type: &'static str) -> Response {
    let mut response = Response::new();
    response.set_header(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    response.set_header(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
