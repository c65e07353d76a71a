//! A store as it is asked by requests that are parked: what it can answer later, it answers later. So the same rules hold for both ways.

use super::locks::{LONG, bell, lock, shared, unlock};
use super::{Commit, Data, Moment, PATIENCE, Record, SessionId, Store, Terms, Version};
use crate::primitive::block_on;
use crate::sessions::{Fence, Grant, SharedLock, StoreError, StoreFuture, Watch};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

pub(super) struct Parked<S>(pub(super) S);

/// A question that nobody waits for any more leaves no lock, whether it was asked, answered, or neither.
pub(super) fn what_nobody_waits_for_is_given_back<S: Store>(here: &S, there: &S) {
    let id = SessionId::random();
    let question = || here.later().expect("this store answers later").try_lock_later(&id, LONG);
    drop(question());
    unlock(there, &id, lock(there, &id, LONG).fence);
    for number in 0..20 {
        let mut asked = question();
        let (answered, waker) = bell();
        match asked.as_mut().poll(&mut Context::from_waker(&waker)) {
            // An earlier question may have it for a moment.
            Poll::Ready(granted) => {
                granted.expect("try_lock").into_iter().for_each(|grant| unlock(here, &id, grant.fence));
            }
            // It is answered, and not looked at.
            Poll::Pending if number % 2 == 0 => answered.recv_timeout(PATIENCE).expect("an answer that is there wakes"),
            Poll::Pending => {}
        }
        drop(asked);
        let deadline = Instant::now() + PATIENCE;
        let grant = loop {
            match shared(there).try_lock(&id, LONG).expect("try_lock") {
                Some(grant) => break grant,
                None => assert!(Instant::now() < deadline, "a lock that nobody waits for any more is given back"),
            }
        };
        unlock(there, &id, grant.fence);
    }
}

fn answer<T>(answer: StoreFuture<T>) -> Result<T, StoreError> {
    block_on(answer, Instant::now() + PATIENCE).expect("what is answered later is answered in time")
}

impl<S: Store> Store for Parked<S> {
    fn load(&self, id: &SessionId, now: Moment) -> Result<Option<Record>, StoreError> {
        match self.0.later().map(|store| store.load_later(id, now)) {
            Some(later) => answer(later),
            None => self.0.load(id, now),
        }
    }

    fn commit(
        &self,
        id: &SessionId,
        expected: Option<Version>,
        data: &Data,
        terms: &Terms,
    ) -> Result<Commit, StoreError> {
        match self.0.later().map(|store| store.commit_later(id, expected, data, terms)) {
            Some(later) => answer(later),
            None => self.0.commit(id, expected, data, terms),
        }
    }

    fn touch(&self, id: &SessionId, terms: &Terms) -> Result<(), StoreError> {
        match self.0.later().map(|store| store.touch_later(id, terms)) {
            Some(later) => answer(later),
            None => self.0.touch(id, terms),
        }
    }

    fn delete(&self, id: &SessionId) -> Result<(), StoreError> {
        self.0.delete(id)
    }

    fn sweep(&self, now: Moment) -> Result<usize, StoreError> {
        self.0.sweep(now)
    }

    fn count(&self) -> Result<Option<usize>, StoreError> {
        self.0.count()
    }

    fn shared_lock(&self) -> Option<&dyn SharedLock> {
        Some(self)
    }
}

impl<S: Store> SharedLock for Parked<S> {
    fn try_lock(&self, id: &SessionId, lease: Duration) -> Result<Option<Grant>, StoreError> {
        match self.0.later().map(|store| store.try_lock_later(id, lease)) {
            Some(later) => answer(later),
            None => shared(&self.0).try_lock(id, lease),
        }
    }

    fn watch(&self, id: &SessionId, waker: Waker) -> Result<Watch, StoreError> {
        shared(&self.0).watch(id, waker)
    }

    fn renew(&self, id: &SessionId, fence: Fence, lease: Duration) -> Result<bool, StoreError> {
        shared(&self.0).renew(id, fence, lease)
    }

    fn unlock(&self, id: &SessionId, fence: Fence) -> Result<(), StoreError> {
        match self.0.later().map(|store| store.unlock_later(id, fence)) {
            Some(later) => answer(later),
            None => shared(&self.0).unlock(id, fence),
        }
    }

    fn lapses(&self) -> bool {
        shared(&self.0).lapses()
    }
}
