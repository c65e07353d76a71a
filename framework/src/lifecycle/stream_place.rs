//! The place of a handler that reads its body itself: it holds its worker while the client sends, so it needs one of
//! the places for such waits.
//!
//! A request without a place waits for one as in any admission, without a worker and before its session's lock: it
//! waits without holding anything that others need. The place is kept in the exchange from then until the handler has
//! ended.

use super::{Admission, Admit, Wait};
use crate::exchange::Wakers;
use crate::exchange::{
    Blocking, BlockingPlace, Error, Exchange, Line, PlaceOrLine, RequestBody, WaitsFor, place_or_line,
};
use std::borrow::Cow;

/// Lets a request to its handler when it may hold a worker for as long as its client sends.
#[derive(Debug)]
pub(super) struct StreamPlace;

/// The place of the request. `None` inside: there is no limit here.
struct Given {
    _place: Option<BlockingPlace>,
}

impl StreamPlace {
    /// Whether the request reads its body in its handler, and has no place for that yet.
    #[inline]
    pub(super) fn is_needed(exchange: &Exchange) -> bool {
        matches!(exchange.request.body, RequestBody::Stream(_)) && exchange.values.get::<Given>().is_none()
    }

    /// The handler begins: its waits are those of the request.
    #[inline]
    pub(super) fn begin(exchange: &Exchange) -> Option<Blocking> {
        matches!(exchange.request.body, RequestBody::Stream(_)).then(Blocking::by_request)
    }

    /// It has ended.
    #[inline]
    pub(super) fn end(waits: Option<Blocking>, exchange: &mut Exchange) {
        if let Some(waits) = waits {
            drop(waits);
            exchange.values.remove::<Given>();
        }
    }

    /// A response is there without the handler: the body will not be read any more.
    #[inline]
    pub(super) fn give_back(exchange: &mut Exchange) {
        if matches!(exchange.request.body, RequestBody::Stream(_)) {
            exchange.values.remove::<Given>();
        }
    }
}

impl Admit for StreamPlace {
    fn admit(&self, exchange: &mut Exchange, wakers: &dyn Wakers) -> Result<Admission, Error> {
        match place_or_line(WaitsFor::Others, || wakers.waker())? {
            PlaceOrLine::Go(place) => {
                exchange.values.insert(Given { _place: place });
                Ok(Admission::Go)
            }
            PlaceOrLine::Wait(line) => {
                let at_most = line.patience();
                Ok(Admission::park(InLine(line), at_most))
            }
        }
    }

    /// After the cache (10) and limits (20), which others do not wait for; before the locks of sessions (50), which
    /// they do.
    fn priority(&self) -> u8 {
        30
    }
}

struct InLine(Line);

impl Wait for InLine {
    fn ready(&mut self, exchange: &mut Exchange, _: &dyn Wakers) -> Result<bool, Error> {
        let place = self.0.poll();
        let is_there = place.is_some();
        if is_there {
            exchange.values.insert(Given { _place: place });
        }
        Ok(is_there)
    }

    fn waits_for(&self) -> Cow<'static, str> {
        self.0.waits_for()
    }

    fn expired(&mut self, _: &mut Exchange) -> Result<(), Error> {
        Err(self.0.refusal().into())
    }
}
