//! Requests that wait for something to happen: parked on the wait list, woken when it has happened.
//!
//! A place of each thing that is watched is kept here until it happens, so that requests stand in line for it. Then all
//! of them are let go without a place. A request looks once more after it is in line: what happened before that wakes
//! nobody.

use super::{Claim, Class, Entered, Place, Turn, WaitList};
use crate::primitive::Mutex;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::Hash;
use std::sync::Arc;
use std::task::Waker;

/// Things that happen, each with its key, and the requests that wait for them. A clone is a handle to the same.
///
/// [`Awaited`](crate::push::Awaited) has an example.
pub struct Watch<K: Hash + Eq + Clone> {
    list: WaitList<K>,
    kept: Arc<Mutex<Kept<K>>>,
}

struct Kept<K: Hash + Eq + Clone> {
    places: HashMap<K, Place<K>>,
    /// Nobody may wait any more, since the program stops.
    is_closed: bool,
}

impl<K: Hash + Eq + Clone> Watch<K> {
    /// A watch for so many requests of one key; one more does not wait. `name` is the log's word for what they wait
    /// for, such as `the end of a job`.
    #[must_use]
    pub fn new(name: &'static str, max_waiting: usize) -> Self {
        let list = WaitList::new(name, 1).max_waiting(max_waiting);
        Self { list, kept: Arc::new(Mutex::new(Kept { places: HashMap::new(), is_closed: false })) }
    }

    /// A turn that is over when it has happened. `None` if too many wait, or none may wait any more. Look *afterwards*
    /// whether it has happened already.
    #[must_use]
    pub fn enter(&self, key: K, claim: &Claim, waker: Waker) -> Option<Turn<K>> {
        let mut kept = self.kept.lock();
        if kept.is_closed {
            return None;
        }
        if let Entry::Vacant(place) = kept.places.entry(key.clone()) {
            place.insert(self.list.try_enter(key.clone(), &Claim::unknown())?);
        }
        match self.list.enter(key, claim, Class::Usual, || waker) {
            Entered::Turn(turn) => Some(turn),
            Entered::Place(_) | Entered::Full => None,
        }
    }

    /// Lets those go that wait for this. It waits for nobody.
    pub fn happened(&self, key: &K) {
        let Some(place) = self.kept.lock().places.remove(key) else { return };
        self.let_go(place);
    }

    /// How many requests wait for this.
    #[must_use]
    pub fn waiting(&self, key: &K) -> usize {
        self.kept.lock().places.get(key).map_or(0, Place::waiting)
    }

    /// Lets all go, and lets nobody wait any more until it is opened again.
    pub(crate) fn close(&self) {
        let places = {
            let mut kept = self.kept.lock();
            kept.is_closed = true;
            std::mem::take(&mut kept.places)
        };
        places.into_values().for_each(|place| self.let_go(place));
    }

    pub(crate) fn open(&self) {
        self.kept.lock().is_closed = false;
    }

    /// The keys that somebody waits for. Those that nobody waits for any more are forgotten.
    pub(crate) fn watched(&self) -> Vec<K> {
        let mut kept = self.kept.lock();
        let (watched, left) = std::mem::take(&mut kept.places).into_iter().partition(|(_, place)| place.waiting() > 0);
        kept.places = watched;
        let watched = kept.places.keys().cloned().collect();
        drop(kept);
        drop::<HashMap<_, _>>(left);
        watched
    }

    /// Those that stand in line are let go before the place is given back, so none of them gets it.
    fn let_go(&self, place: Place<K>) {
        let mut wakers = Vec::new();
        self.list.dismiss(place.key(), &mut wakers);
        drop(place);
        wakers.into_iter().for_each(Waker::wake);
    }
}

impl<K: Hash + Eq + Clone> Clone for Watch<K> {
    fn clone(&self) -> Self {
        Self { list: self.list.clone(), kept: Arc::clone(&self.kept) }
    }
}

impl<K: Hash + Eq + Clone> std::fmt::Debug for Watch<K> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Watch").field("list", &self.list).finish_non_exhaustive()
    }
}

#[cfg(all(test, shuttle))]
mod model;
