//! Requests that wait for the end of a job: parked on the wait list, woken when it has ended.
//!
//! A place of each watched job is kept here until the job has ended, so that requests stand in line for it. At the end
//! all of them are let go without a place. A request looks at the job once more after it is in line: an end before that
//! wakes nobody.

use super::queue::JobId;
use crate::exchange::{Claim, Class, Entered, Place, Turn, WaitList};
use crate::primitive::Mutex;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::task::Waker;

/// How many requests may wait for one job.
const MAX_WAITING: usize = 1000;

/// The jobs that requests wait for.
#[derive(Debug)]
pub(super) struct Watched {
    list: WaitList<JobId>,
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    places: HashMap<JobId, Place<JobId>>,
    /// Nobody may wait any more, since the program stops.
    is_closed: bool,
}

impl Default for Watched {
    fn default() -> Self {
        let list = WaitList::new("the end of a job", 1).max_waiting(MAX_WAITING);
        Self { list, kept: Mutex::default() }
    }
}

impl Watched {
    /// A turn that is over when the job has ended. `None` if there are too many, or none may wait any more.
    pub(super) fn enter(&self, id: JobId, claim: &Claim, waker: Waker) -> Option<Turn<JobId>> {
        let mut kept = self.kept.lock();
        if kept.is_closed {
            return None;
        }
        if let Entry::Vacant(place) = kept.places.entry(id) {
            place.insert(self.list.try_enter(id, &Claim::unknown())?);
        }
        match self.list.enter(id, claim, Class::Usual, || waker) {
            Entered::Turn(turn) => Some(turn),
            Entered::Place(_) | Entered::Full => None,
        }
    }

    /// Lets those go that wait for this job.
    pub(super) fn ended(&self, id: JobId) {
        let Some(place) = self.kept.lock().places.remove(&id) else { return };
        self.let_go(place);
    }

    /// Lets all go, and lets nobody wait any more until it is opened again.
    pub(super) fn close(&self) {
        let places = {
            let mut kept = self.kept.lock();
            kept.is_closed = true;
            std::mem::take(&mut kept.places)
        };
        places.into_values().for_each(|place| self.let_go(place));
    }

    pub(super) fn open(&self) {
        self.kept.lock().is_closed = false;
    }

    /// The jobs that somebody waits for. Those that nobody waits for any more are forgotten.
    pub(super) fn watched(&self) -> Vec<JobId> {
        let mut kept = self.kept.lock();
        let (watched, left) = std::mem::take(&mut kept.places).into_iter().partition(|(_, place)| place.waiting() > 0);
        kept.places = watched;
        let watched = kept.places.keys().copied().collect();
        drop(kept);
        drop::<HashMap<_, _>>(left);
        watched
    }

    /// How many requests wait for this job.
    #[cfg(all(test, not(any(loom, shuttle))))]
    pub(super) fn waiting(&self, id: JobId) -> usize {
        self.kept.lock().places.get(&id).map_or(0, Place::waiting)
    }

    /// Those that stand in line are let go before the place is given back, so none of them gets it.
    fn let_go(&self, place: Place<JobId>) {
        let mut wakers = Vec::new();
        self.list.dismiss(place.key(), &mut wakers);
        drop(place);
        wakers.into_iter().for_each(Waker::wake);
    }
}

#[cfg(all(test, shuttle))]
mod model;
