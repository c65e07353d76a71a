//! The way of a request past the cache: asking, waiting, keeping.
//!
//! | where | what |
//! |---|---|
//! | `before_request_body`, 95 | asks: a hit is the answer, and neither body, nor session's lock, nor handler is needed. Otherwise the request leads, waits, or goes its own way |
//! | admission, before the body | waits, if needed: before the admission of the session's lock, so that no request waits with a lock |
//! | whenever it is parked | hands the lead on: others need not wait for this request's own wait |
//! | `before_handler`, 95 | asks again, if the lead was handed on |
//! | `before_finalize`, 95, always | keeps the response, after the hooks that compress it; or invalidates |
//! | `on_end_resource`, always | gives up the rest, if an internal redirect came between |
//!
//! The request's part in the cache is a [`Visit`] in its values, so that it is given up on every way out.

use super::cache::{Cache, Follower, Found, Inquiry, Polled};
use super::keeping::{Keeping, Part};
use super::key::{address, addressed};
use super::settings::Caching;
use super::shared::Shared;
use super::stored::Draft;
use super::tee::{Room, tee};
use super::terms::Terms;
use super::variant::{Variant, vary};
use crate::exchange::Wakers;
use crate::exchange::{Error, Exchange, HttpError, ResponseBody};
use crate::http::{RequestDirectives, list_has};
use crate::lifecycle::{Admission, Admit, Flow, Wait};
use crate::{Method, Request, Response, Session, StatusCode, header};
use bytes::Bytes;
use std::borrow::Cow;
use std::sync::Arc;
use std::time::{Instant, SystemTime};

/// The part of a request in the cache until its response is made.
struct Visit {
    key: String,
    part: Part,
}

/// Answers the request from the cache, or says how it goes on.
pub(super) fn ask(exchange: &mut Exchange, shared: &Shared, tree: u64) -> Result<Flow, Error> {
    let request = &exchange.request;
    let said = Said::by(request);
    if !matches!(*request.method(), Method::GET | Method::HEAD) || said.has_content {
        return Ok(Flow::Continue);
    }
    // A page that depends on the session is for one person, and neither kept nor waited for.
    if exchange.trail.locks_session() || exchange.trail.views_session() {
        return Ok(Flow::Continue);
    }
    let key = address(tree, request, request.path(), request.query());
    let now = request.received();
    match shared.cache.find(&inquiry(request, &key, now), None) {
        Found::Hit(stored, age) => {
            let mut response = std::mem::take(&mut exchange.response);
            stored.write_into(&mut response, age);
            return Ok(Flow::Answer(response));
        }
        _ if said.directives.only_if_cached => return Err(only_if_cached()),
        Found::Lead(lead) => visit(exchange, key, Part::Lead(lead)),
        Found::Busy | Found::Wait(_) => visit(exchange, key, Part::Waiting),
        Found::Free(epoch) => visit(exchange, key, Part::Free(epoch)),
    }
    Ok(Flow::Continue)
}

fn visit(exchange: &mut Exchange, key: String, part: Part) {
    exchange.values.insert(Visit { key, part });
    // The page is for everybody, so it does not wait for a session.
    if let Some(session) = Session::of(exchange) {
        session.expect_lock(false);
    }
}

/// The request waits for something of its own, so it does not lead: the next one does, and perhaps need not wait.
pub(super) fn hand_on(exchange: &mut Exchange) {
    if let Some(visit) = exchange.values.get_mut::<Visit>()
        && matches!(visit.part, Part::Lead(_))
    {
        visit.part = Part::HandedOn;
    }
}

/// The wait is over: perhaps the response is there by now. Otherwise the request makes it, and leads if nobody else
/// does; it has what it has waited for, so it waits for no other request.
pub(super) fn ask_again(exchange: &mut Exchange, shared: &Shared) -> Flow {
    let Some(visit) = exchange.values.get_mut::<Visit>().filter(|visit| matches!(visit.part, Part::HandedOn)) else {
        return Flow::Continue;
    };
    visit.part = match shared.cache.find(&inquiry(&exchange.request, &visit.key, Instant::now()), None) {
        Found::Hit(stored, age) => {
            exchange.values.remove::<Visit>();
            let mut response = std::mem::take(&mut exchange.response);
            stored.write_into(&mut response, age);
            return Flow::Answer(response);
        }
        Found::Lead(lead) => Part::Lead(lead),
        Found::Free(epoch) => Part::Free(epoch),
        Found::Busy | Found::Wait(_) => Part::Free(shared.cache.epoch()),
    };
    Flow::Continue
}

/// The answer to a client that wants only kept responses (RFC 9111, section 5.2.1.7).
fn only_if_cached() -> Error {
    HttpError::new(StatusCode::GATEWAY_TIMEOUT, "The cache has no such response, and the request allows no other.")
        .into()
}

/// Lets a request wait for the response that another one makes.
#[derive(Debug)]
pub(super) struct CachingAdmission(pub(super) Arc<Caching>);

impl Admit for CachingAdmission {
    fn admit(&self, exchange: &mut Exchange, wakers: &dyn Wakers) -> Result<Admission, Error> {
        if !exchange.values.get::<Visit>().is_some_and(|visit| matches!(visit.part, Part::Waiting)) {
            return Ok(Admission::Go);
        }
        let mut wait = FlightWait { cache: Arc::clone(&self.0.shared.cache), follower: None };
        match wait.ask_again(exchange, wakers)? {
            true => Ok(Admission::Go),
            false => Ok(Admission::park(wait, self.0.stampede_timeout)),
        }
    }

    /// Before the session's lock, in any order of the tools: a request that waits here with the lock of a session stops
    /// all of that session, and the leader may need that very lock.
    fn priority(&self) -> u8 {
        10
    }
}

/// A request's wait for the response that another one makes.
struct FlightWait {
    cache: Arc<Cache>,
    follower: Option<Follower>,
}

impl FlightWait {
    /// Asks again: the answer to the client is the error, `true` lets the request go on, `false` lets it wait again.
    fn ask_again(&mut self, exchange: &mut Exchange, wakers: &dyn Wakers) -> Result<bool, Error> {
        let Some(visit) = exchange.values.get_mut::<Visit>() else { return Ok(true) };
        let inquiry = inquiry(&exchange.request, &visit.key, Instant::now());
        visit.part = match self.cache.find(&inquiry, Some(wakers.waker())) {
            Found::Hit(stored, age) => {
                exchange.values.remove::<Visit>();
                let mut response = Response::new();
                stored.write_into(&mut response, age);
                return Err(response.into());
            }
            Found::Lead(lead) => Part::Lead(lead),
            Found::Free(epoch) => Part::Free(epoch),
            Found::Busy => return Ok(false),
            Found::Wait(follower) => {
                self.follower = Some(follower);
                return Ok(false);
            }
        };
        Ok(true)
    }
}

impl Wait for FlightWait {
    fn ready(&mut self, exchange: &mut Exchange, wakers: &dyn Wakers) -> Result<bool, Error> {
        let polled = self.follower.as_mut().map_or(Polled::Over, Follower::poll);
        match polled {
            Polled::Waiting => Ok(false),
            Polled::Over => self.ask_again(exchange, wakers),
            Polled::Lead(lead) => {
                let Some(visit) = exchange.values.get_mut::<Visit>() else { return Ok(true) };
                // A request that may not lead hands the lead on by dropping it, and goes its own way.
                let may_lead = inquiry(&exchange.request, &visit.key, Instant::now()).may_lead;
                visit.part = if may_lead { Part::Lead(lead) } else { Part::Free(self.cache.epoch()) };
                Ok(true)
            }
        }
    }

    fn waits_for(&self) -> Cow<'static, str> {
        match self.follower.as_ref().and_then(Follower::behind) {
            Some(behind) => format!("the response that another request makes (`caching`), {behind}").into(),
            None => Cow::Borrowed("a response (`caching`)"),
        }
    }

    /// A request that has waited long enough makes the response itself: one request that hangs must not stop all
    /// others.
    fn expired(&mut self, exchange: &mut Exchange) -> Result<(), Error> {
        self.follower = None;
        if let Some(visit) = exchange.values.get_mut::<Visit>() {
            visit.part = Part::Free(self.cache.epoch());
        }
        Ok(())
    }
}

/// The response is made: keeps it if others may have it, puts a stale one in the place of an error, or invalidates what
/// it has changed.
pub(super) fn keep(exchange: &mut Exchange, settings: &Caching, tree: u64) {
    let shared = &settings.shared;
    let status = exchange.response.status();
    let has_failed = exchange.failed() || status.is_server_error();
    if settings.invalidates(exchange.request.method()) && (status.is_success() || status.is_redirection()) {
        invalidate(exchange, shared, tree);
    }
    let Some(Visit { key, part }) = exchange.values.remove() else { return };
    if has_failed {
        let inquiry = inquiry(&exchange.request, &key, Instant::now());
        if let Some((stored, age)) = shared.cache.find_in_place_of_error(&inquiry) {
            for name in [header::CACHE_CONTROL, header::CONTENT_LANGUAGE, header::CONTENT_TYPE, header::RETRY_AFTER] {
                exchange.response.remove_header(&name);
            }
            stored.write_into(&mut exchange.response, age);
        }
        return;
    }
    // These answer the conditions of one request, and say nothing about the responses of others.
    if matches!(status.as_u16(), 206 | 304 | 412 | 416) {
        return;
    }
    let draft = draft(exchange, settings);
    let body = exchange.response.take_body();
    let length = body.length().map_or(0, |length| usize::try_from(length).unwrap_or(usize::MAX));
    let draft = draft.filter(|_| length <= settings.max_object_size);
    let (Some(draft), false) = (draft, matches!(body, ResponseBody::File(_) | ResponseBody::Push(_))) else {
        exchange.response.set_body(body);
        if let Part::Lead(lead) = part {
            lead.share_nothing();
        }
        return;
    };
    let keeping = Keeping { cache: Arc::clone(&shared.cache), key, part, draft, tagging: shared.tagging.clone() };
    let content = match body {
        ResponseBody::Stream(stream) => {
            let room = Room { bytes: shared.cache.limits().bytes, taken: Arc::clone(&shared.copying) };
            exchange.response.set_body(tee(stream, keeping, settings.max_object_size, room));
            return;
        }
        ResponseBody::Shared(content) => content,
        ResponseBody::Static(content) => Bytes::from_static(content),
        // Not more than the content is kept, however much room there was while it was made.
        ResponseBody::Bytes(content) => Bytes::from(content.into_boxed_slice()),
        ResponseBody::Empty | ResponseBody::File(_) | ResponseBody::Push(_) => Bytes::new(),
    };
    exchange.response.set_body(content.clone());
    if let Some(etag) = keeping.finish(content) {
        exchange.response.set_header(header::ETAG, etag);
    }
}

/// The head of the response as it may be kept; `None` if it is for this request only.
fn draft(exchange: &Exchange, settings: &Caching) -> Option<Draft> {
    let Exchange { request, response, .. } = exchange;
    let said = Said::by(request);
    if *request.method() != Method::GET
        || !settings.statuses.contains(&response.status())
        || said.directives.no_store
        || Session::of(exchange).is_some_and(Session::is_used)
    {
        return None;
    }
    let names = vary(response)?;
    let now = SystemTime::now();
    let terms = Terms::of(response, said.is_authorized, &settings.unless_said(), now)?;
    Some(Draft::of(response, Variant::of(request, &names), terms, now))
}

/// Whether the request has anything to do with the cache still.
pub(super) fn is_visited(exchange: &Exchange) -> bool {
    exchange.values.get::<Visit>().is_some()
}

/// Gives up the request's part in the cache.
pub(super) fn leave(exchange: &mut Exchange) {
    exchange.values.remove::<Visit>();
}

/// A successful change makes kept responses stale (RFC 9111, section 4.4): those of the address itself, and of the
/// addresses of the same origin that the response names.
fn invalidate(exchange: &Exchange, shared: &Shared, tree: u64) {
    let Exchange { request, response, .. } = exchange;
    shared.cache.invalidate(&address(tree, request, request.path(), request.query()));
    for name in [header::LOCATION, header::CONTENT_LOCATION] {
        let Some(reference) = response.header(&name).and_then(|reference| reference.to_str().ok()) else { continue };
        for (path, query) in addressed(request, reference) {
            shared.cache.invalidate(&address(tree, request, path, query));
        }
    }
}

fn inquiry<'r>(request: &'r Request, key: &'r str, now: Instant) -> Inquiry<'r> {
    let Said { directives, is_authorized, .. } = Said::by(request);
    // A client that wants a new response does not wait for one that may have been begun before.
    let is_forced = directives.no_cache || directives.max_age.is_some_and(|most| most.is_zero());
    let may_be_kept = !is_authorized && !directives.no_store && !directives.only_if_cached;
    Inquiry {
        key,
        request,
        directives,
        is_authorized,
        may_lead: *request.method() == Method::GET && may_be_kept,
        may_follow: !is_authorized && !is_forced,
        now,
    }
}

/// The cache directives of a request.
#[derive(Clone, Copy, Default)]
struct Said {
    directives: RequestDirectives,
    is_authorized: bool,
    /// Content comes with the request: the answer may depend on it, and it is no part of the key.
    has_content: bool,
}

impl Said {
    fn by(request: &Request) -> Self {
        let (mut said, mut no_cache, mut has_directives) = (Self::default(), false, false);
        for (name, value) in request.headers() {
            let is = |wanted: &str| name.eq_ignore_ascii_case(wanted);
            match name.len() {
                6 if is("pragma") => no_cache |= list_has([value], "no-cache"),
                13 if is("cache-control") => has_directives = true,
                13 if is("authorization") => said.is_authorized = true,
                14 if is("content-length") => said.has_content |= value != b"0",
                17 if is("transfer-encoding") => said.has_content = true,
                _ => {}
            }
        }
        if has_directives {
            let values = request.headers().filter(|(name, _)| name.eq_ignore_ascii_case("cache-control"));
            said.directives = RequestDirectives::read(values.map(|(_, value)| value));
        } else {
            // Pragma counts where nothing else is said (RFC 9111, section 5.4).
            said.directives.no_cache = no_cache;
        }
        said
    }
}

#[cfg(test)]
mod tests {
    use super::super::samples::request;
    use super::*;

    #[test]
    fn the_directives_of_a_request() {
        let no_cache = |fields: &str| Said::by(&request(fields)).directives.no_cache;
        assert!(no_cache("Pragma: , a\nPragma: x, No-Cache") && no_cache("Cache-Control: a\ncache-control: No-Cache"));
        assert!(!no_cache("Pragma: no-cache\nCache-Control: max-age=5"));
        assert!(Said::by(&request("Authorization: Basic YTpi")).is_authorized);
        assert!(Said::by(&request("Content-Length: 5")).has_content);
        assert!(!Said::by(&request("Content-Length: 0")).has_content);
    }
}
