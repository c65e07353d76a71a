//! A request in line, as an admission: parked until it has a place, which the exchange then keeps.

use super::{Class, Entered, Place, Turn, WaitList};
use crate::exchange::{Admission, Claim, Error, Exchange, HttpError, Wait, Wakers};
use ::http::{HeaderValue, StatusCode, header};
use std::borrow::Cow;
use std::hash::{BuildHasher, Hash};
use std::task::Poll;

/// The places of one exchange, on any lists of this type.
struct Kept<K: Hash + Eq + Clone, S: BuildHasher>(Vec<Place<K, S>>);

impl<K, S> WaitList<K, S>
where
    K: Hash + Eq + Clone + Send + 'static,
    S: BuildHasher + Send + Sync + 'static,
{
    /// Lets the request go with a place of this key, or parks it until it has one. The place is the request's until the
    /// exchange ends, in any way, or until [`leave`](Self::leave). A request that has one of this key already goes on
    /// with that.
    ///
    /// # Errors
    /// 503 with `Retry-After` when the line is full. Later also when the request has waited too long.
    pub fn admit(&self, key: K, exchange: &mut Exchange, wakers: &dyn Wakers) -> Result<Admission, Error> {
        let is_it = |place: &Place<K, S>| place.is_of(self) && *place.key() == key;
        if exchange.values.get::<Kept<K, S>>().is_some_and(|kept| kept.0.iter().any(is_it)) {
            return Ok(Admission::Go);
        }
        match self.enter(key, &Claim::of(&exchange.request), Class::Usual, || wakers.waker()) {
            Entered::Place(place) => {
                keep(exchange, place);
                Ok(Admission::Go)
            }
            Entered::Turn(turn) => Ok(Admission::park(TurnWait(turn), self.shared.rules.max_wait)),
            Entered::Full => Err(busy()),
        }
    }

    /// Gives the places back that [`admit`](Self::admit) has given to the request.
    pub fn leave(&self, exchange: &mut Exchange) {
        if let Some(kept) = exchange.values.get_mut::<Kept<K, S>>() {
            kept.0.retain(|place| !place.is_of(self));
        }
    }
}

fn keep<K, S>(exchange: &mut Exchange, place: Place<K, S>)
where
    K: Hash + Eq + Clone + Send + 'static,
    S: BuildHasher + Send + Sync + 'static,
{
    match exchange.values.get_mut::<Kept<K, S>>() {
        Some(kept) => kept.0.push(place),
        None => drop(exchange.values.insert(Kept(vec![place]))),
    }
}

fn busy() -> Error {
    let busy = "Too many requests are at work on this page at the moment. Please try again shortly.";
    let error = HttpError::new(StatusCode::SERVICE_UNAVAILABLE, busy);
    error.with_header(header::RETRY_AFTER, HeaderValue::from_static("1")).into()
}

struct TurnWait<K: Hash + Eq + Clone, S: BuildHasher>(Turn<K, S>);

impl<K, S> Wait for TurnWait<K, S>
where
    K: Hash + Eq + Clone + Send + 'static,
    S: BuildHasher + Send + Sync + 'static,
{
    fn ready(&mut self, exchange: &mut Exchange, _: &dyn Wakers) -> Result<bool, Error> {
        let Poll::Ready(place) = self.0.poll() else { return Ok(false) };
        if let Some(place) = place {
            keep(exchange, place);
        }
        Ok(true)
    }

    fn waits_for(&self) -> Cow<'static, str> {
        format!("{}, {}", self.0.list.shared.rules.name, self.0.behind()).into()
    }

    fn is_own(&self) -> bool {
        !self.0.list.shared.rules.is_for_all
    }

    fn expired(&mut self, _: &mut Exchange) -> Result<(), Error> {
        self.0.list.lock().refused += 1;
        Err(busy())
    }
}
