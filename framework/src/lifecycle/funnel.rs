//! The error funnel: every failure becomes one response here, wherever it comes from.
//!
//! | in | out |
//! |---|---|
//! | an HTTP error, of a hook, a handler, the router, the parser | the error page of its status, with the error's fields (`Allow`, `Retry-After`) |
//! | a 401 that does not say how to log in | what the tool says that knows it ([`LoginChallenge`]) |
//! | a redirect | its status and `Location` |
//! | an answer | the answer, in place of the response so far |
//! | anything else, a panic too | a log record; `before_error_response`; the page of 500; `after_error_response`. An internal redirect of the former leads to another page instead, once |
//! | overload | a fixed text, without running any of the application's code |
//!
//! A page of the application that fails, panics included, is replaced by the built-in one, once. Fields that tools have
//! set before the failure stay (CORS, security, cookies), except those that describe the content which is now gone.

use super::debug_page::{self, FailedHook, Report, TicketNote};
use super::error_page::usual_message;
use super::hook::run_point;
use super::{ErrorForm, ErrorPage, HookPoint, Plan};
use crate::exchange::{
    Error, ErrorKind, Exchange, HttpError, IntoResponse, LoginChallenge, MethodSet, OwnPage, Redirect, Request, Rescue,
    Response,
};
use crate::logs::{self, Timestamp};
use crate::panics::guarded;
use crate::publish::{NodeRef, methods};
use crate::tickets::Tickets;
use ::http::{HeaderName, HeaderValue, StatusCode, header};
use std::borrow::Cow;
use std::sync::Arc;
use std::time::SystemTime;

/// The funnel for one request.
pub(super) struct Funnel<'a> {
    pub(super) plan: &'a Plan,
    /// The shape of the tree, for the debug page.
    pub(super) root: &'a NodeRef,
    pub(super) tickets: Option<&'a TicketDesk>,
}

/// Where tickets go.
#[derive(Debug)]
pub(super) struct TicketDesk {
    pub(super) tickets: Arc<Tickets>,
    /// The tree and the section of the first status page.
    pub(super) page: Option<(usize, String)>,
}

impl Funnel<'_> {
    /// Makes the response that stands for `error`.
    pub(super) fn settle(&self, exchange: &mut Exchange, error: Error) {
        if matches!(error.kind(), ErrorKind::Unexpected(_)) {
            return self.unexpected(exchange, error);
        }
        match error.into_kind() {
            ErrorKind::Http(error) if !(error.status.is_client_error() || error.status.is_server_error()) => {
                self.unexpected(exchange, Error::unexpected(format!("{} is not the status of an error", error.status)));
            }
            ErrorKind::Http(error) => match guarded(|| Ok(LoginChallenge::complete(exchange, error))) {
                Ok(Ok(answer)) => self.settle(exchange, answer),
                Ok(Err(error)) => self.error_page(exchange, error, None),
                Err(failure) => self.unexpected(exchange, failure),
            },
            ErrorKind::Redirect(redirect) => {
                if let Err(error) = write_redirect(redirect, exchange) {
                    self.unexpected(exchange, error);
                }
            }
            ErrorKind::Answer(answer) => exchange.response.give_way_to(answer),
            ErrorKind::InternalRedirect(path) => {
                let problem =
                    format!("an internal redirect to {path:?} came after the handler's turn, which is too late");
                self.unexpected(exchange, Error::unexpected(problem));
            }
            ErrorKind::Unexpected(cause) => self.unexpected(exchange, ErrorKind::Unexpected(cause).into()),
        }
    }

    fn unexpected(&self, exchange: &mut Exchange, error: Error) {
        exchange.course.failed = true;
        logs::error(exchange, &logs::causes(&error));
        let failed = exchange.values.remove::<FailedHook>();
        exchange.course.failure = Some(error);
        let answered = run_point(self.plan.hooks(HookPoint::BeforeErrorResponse), exchange);
        let failure = exchange.course.failure.take();
        let report = failure.as_ref().and_then(|failure| self.report_failure(exchange, failure, failed));
        exchange.course.failure = failure;
        let answered = match answered {
            Ok(answered) => answered,
            Err(error) => {
                if self.is_rescued(exchange, error) {
                    return;
                }
                false
            }
        };
        if !answered {
            let page = HttpError::new(StatusCode::INTERNAL_SERVER_ERROR, String::new());
            let failure = exchange.course.failure.take();
            self.error_page(exchange, page, failure.as_ref().map(|failure| (failure, report)));
            exchange.course.failure = failure;
        }
        if let Err(error) = run_point(self.plan.hooks(HookPoint::AfterErrorResponse), exchange) {
            logs::error_in(exchange, "after_error_response", &error);
        }
    }

    /// Whether the failed request goes on with another path, as a hook has asked with an internal redirect. Any other
    /// error of a hook is logged.
    fn is_rescued(&self, exchange: &mut Exchange, error: Error) -> bool {
        let error = match error.into_internal_redirect() {
            Ok(target) if matches!(exchange.course.rescue, Rescue::Possible) => {
                exchange.course.rescue = Rescue::Wanted(target);
                return true;
            }
            Ok(target) => {
                let problem =
                    "comes too late: the page of an error has failed itself, or the response was being finished";
                Error::unexpected(format!("an internal redirect to {target:?} {problem}"))
            }
            Err(error) => error,
        };
        logs::error_in(exchange, "before_error_response", &error);
        false
    }

    /// A 405 names the methods that are answered (RFC 9110, section 15.5.6): where whoever refuses has not, those of
    /// the page, without the one that was refused.
    #[cold]
    fn tell_methods(&self, request: &Request, error: &mut HttpError) {
        // A dispatcher of the application may be asked.
        let methods = guarded(|| Ok(methods(self.root, request))).unwrap_or(MethodSet::NONE);
        if methods == MethodSet::NONE || error.headers.iter().any(|(name, _)| *name == header::ALLOW) {
            return;
        }
        let allow = methods.without(MethodSet::of(request.method())).allow();
        if let Ok(allow) = HeaderValue::try_from(allow) {
            error.headers.push((header::ALLOW, allow));
        }
    }

    /// The input of the page.
    fn page<'p>(
        &self,
        exchange: &'p Exchange,
        error: &'p HttpError,
        details: Option<&'p str>,
        report: Option<&'p Report>,
    ) -> ErrorPage<'p> {
        ErrorPage {
            status: error.status,
            message: if error.message.is_empty() { usual_message(error.status) } else { &error.message },
            request_id: exchange.request.id(),
            details,
            request: &exchange.request,
            values: &exchange.values,
            report,
            error,
            wanted: self.plan.settings.errors,
        }
    }

    /// Writes the ticket of a failure. Returns what the debug page has to say, where it is on and may be shown.
    #[cold]
    fn report_failure(&self, exchange: &mut Exchange, error: &Error, failed: Option<FailedHook>) -> Option<Report> {
        let is_shown = self.plan.settings.debug_page && debug_page::is_shown_to(exchange);
        let ticket = self.tickets.map(|desk| {
            let kind = debug_page::kind_of(self.plan, self.root, exchange, error, failed);
            let time = Timestamp(SystemTime::now()).to_string();
            (desk, desk.tickets.count(kind.clone(), &time), kind, time)
        });
        let is_wanted = is_shown || matches!(ticket, Some((_, Some(_), ..)));
        if !is_wanted {
            return None;
        }
        let mut report = Report::of_failure(self.plan, self.root, exchange, error, failed);
        if let Some((desk, place, kind, time)) = ticket {
            let write = |place| desk.tickets.write(place, report.to_ticket(&kind, time, &exchange.request));
            let is_kept = place.is_some_and(write);
            let page = desk.page.as_ref().filter(|(tree, _)| *tree == exchange.course.tree);
            let page = page.map(|(_, section)| debug_page::page_below(section, exchange));
            report.ticket = Some(TicketNote { is_kept, page });
        }
        is_shown.then(|| {
            report.read_sources();
            report
        })
    }

    /// The debug page for 404 and 405, where it is on and may be shown.
    #[cold]
    fn report_routes(&self, exchange: &mut Exchange, error: &HttpError) -> Option<Report> {
        let is_wanted = self.plan.settings.debug_page
            && debug_page::is_shown_to(exchange)
            && matches!(error.status.as_u16(), 404 | 405)
            && self.plan.error_pages.find(error.status).is_none();
        is_wanted.then(|| Report::of_routes(self.plan, self.root, exchange, error))
    }

    /// Writes the error page, the application's own if there is one. `cause` is the unexpected error behind it, with
    /// what the debug page has to say about it.
    fn error_page(&self, exchange: &mut Exchange, mut error: HttpError, cause: Option<(&Error, Option<Report>)>) {
        if error.status == StatusCode::METHOD_NOT_ALLOWED {
            self.tell_methods(&exchange.request, &mut error);
        }
        logs::answered_with_error(exchange, &error);
        exchange.response.forget_content();
        exchange.response.remove_header(&header::CACHE_CONTROL).remove_header(&header::EXPIRES);
        let (cause, report) = match cause {
            Some((cause, report)) => (Some(cause), report),
            None => (None, self.report_routes(exchange, &error)),
        };
        let tells_cause = self.plan.settings.show_tracebacks || report.is_some();
        let remedy = || error.remedy.clone().map(Cow::into_owned);
        let details = if tells_cause { cause.map(logs::causes).or_else(remedy) } else { None };
        let (details, report) = (details.as_deref(), report.as_ref());
        let page = self.page(exchange, &error, details, report);
        // A page of its own is written into a fresh response, so that half of a failed one leaves nothing behind.
        let mut response = Response::new();
        response.set_status(error.status);
        let of_problem = error.problem.as_ref().and_then(|problem| problem.page.as_ref());
        let of_problem = of_problem.filter(|_| page.form() == ErrorForm::Html).and_then(OwnPage::take);
        let own = self.plan.error_pages.find(error.status).filter(|_| report.is_none() && of_problem.is_none());
        let own = own.map(|own| guarded(|| own.write(&page, &mut response)));
        let write_of_problem = |of_problem: Response| {
            of_problem.into_response(&mut response)?;
            response.set_status(error.status);
            Ok(true)
        };
        let own = of_problem.map(write_of_problem).or(own);
        let failure = match own {
            Some(Ok(true)) => None,
            Some(Err(failure)) if matches!(failure.kind(), ErrorKind::Unexpected(_)) => Some(failure),
            Some(Err(failure)) => match failure.into_kind() {
                // An error page may send the client to another address, to a login form for example.
                ErrorKind::Redirect(redirect) => redirect.into_response(&mut response).err(),
                ErrorKind::Answer(answer) => answer.into_response(&mut response).err(),
                kind => Some(kind.into()),
            },
            Some(Ok(false)) | None => {
                page.write_built_in(&mut response);
                None
            }
        };
        if let Some(failure) = failure {
            response = Response::new();
            page.write_built_in(&mut response);
            logs::error_in(exchange, "the error page", &failure);
        }
        exchange.response.give_way_to(response);
        if let Err(failure) = make_deferred(exchange) {
            logs::error_in(exchange, "the error page", &failure);
            exchange.response.forget_content();
            let built_in = self.page(exchange, &error, details, report).built_in();
            exchange.response.give_way_to(built_in);
        }
        let response = &mut exchange.response;
        for (name, _) in &error.headers {
            response.remove_header(name);
        }
        for (name, value) in error.headers {
            response.add_header(name, value);
        }
        set_default(response, header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        // The page shows the number of this request: no other client should get it from a cache.
        set_default(response, header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if let Ok(id) = HeaderValue::try_from(exchange.request.id().to_string()) {
            set_default(response, REQUEST_ID, id);
        }
    }
}

/// Where programs find the number of the request; on error pages only, since there is nothing to look up about the
/// others.
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The answer while the server is overloaded: ready-made, so that it costs next to nothing and cannot wait.
pub(super) fn write_overloaded(response: &mut Response) {
    response.clear();
    response.set_status(StatusCode::SERVICE_UNAVAILABLE);
    response.set_header(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    response.set_header(header::RETRY_AFTER, HeaderValue::from_static("1"));
    response.set_header(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response.set_body("503 Service Unavailable\n\nThe server is busy at the moment. Please try again shortly.\n");
}

/// Makes the response that a handler or an error page has deferred, if it has.
#[inline]
pub(super) fn make_deferred(exchange: &mut Exchange) -> Result<(), Error> {
    match exchange.response.take_deferred() {
        None => Ok(()),
        Some(deferred) => guarded(|| deferred.make(exchange)),
    }
}

fn write_redirect(redirect: Redirect, exchange: &mut Exchange) -> Result<(), Error> {
    if !redirect.status.is_redirection() {
        return Err(Error::unexpected(format!("{} is not the status of a redirect", redirect.status)));
    }
    let mut answer = Response::new();
    redirect.into_response(&mut answer)?;
    exchange.response.give_way_to(answer);
    Ok(())
}

fn set_default(response: &mut Response, name: HeaderName, value: HeaderValue) {
    if response.header(&name).is_none() {
        response.add_header(name, value);
    }
}
