//! The sessions that have ended a short while ago in this process: by a logout, or by a login that has given them
//! another id.
//!
//! A request that came before that, and gets to its session after it, finds nothing. If it were taken for one with an
//! unknown id, it would begin a new session, and its cookie would take the place of the one from the login: the visitor
//! would be logged out. So it is told apart here.

use super::SessionId;
use super::id::IdHasher;
use parking_lot::Mutex;
use std::collections::{HashMap, VecDeque};
use std::time::Instant;

/// As many as are remembered, the youngest: requests wait for seconds, not for thousands of logins.
const MAX_REMEMBERED: usize = 4096;

#[derive(Debug, Default)]
pub(super) struct EndedSessions(Mutex<Remembered>);

#[derive(Debug, Default)]
struct Remembered {
    when: HashMap<SessionId, Instant, IdHasher>,
    order: VecDeque<SessionId>,
}

impl EndedSessions {
    /// It ends now. Call it before its record goes, so that a request without a record finds this.
    pub(super) fn note(&self, id: SessionId) {
        let mut remembered = self.0.lock();
        if remembered.when.insert(id, Instant::now()).is_none() {
            remembered.order.push_back(id);
        }
        if remembered.order.len() > MAX_REMEMBERED
            && let Some(oldest) = remembered.order.pop_front()
        {
            remembered.when.remove(&oldest);
        }
    }

    /// Whether it has ended after this moment.
    pub(super) fn is_later_than(&self, moment: Instant, id: &SessionId) -> bool {
        self.0.lock().when.get(id).is_some_and(|ended| *ended >= moment)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_end_is_later_than_what_came_before_it_and_only_so_many_are_remembered() {
        let (ended, before, id) = (EndedSessions::default(), Instant::now(), SessionId::random());
        ended.note(id);
        assert!(ended.is_later_than(before, &id) && !ended.is_later_than(before, &SessionId::random()));
        assert!(!ended.is_later_than(Instant::now() + std::time::Duration::from_secs(1), &id));
        for _ in 0..MAX_REMEMBERED {
            ended.note(SessionId::random());
        }
        assert!(!ended.is_later_than(before, &id));
        assert_eq!(ended.0.lock().when.len(), MAX_REMEMBERED);
    }
}
