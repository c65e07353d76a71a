//! Answers that come later, after their request has gone.

use super::locks::{LONG, bell, shared, unlock};
use super::{PATIENCE, Store};
use crate::sessions::{Answer, SessionId};
use std::task::{Context, Poll};
use std::time::Instant;

/// An abandoned question leaves no lock, whether it was asked, answered, or neither.
pub(super) fn what_nobody_waits_for_is_given_back<S: Store>(here: &S, there: &S) {
    let id = SessionId::random();
    let question = || shared(here).try_lock(&id, LONG);
    for number in 0..21 {
        let mut asked = match question() {
            // A lock that is granted to an abandoned question is given back.
            Answer::Now(granted) => {
                return granted.expect("try_lock").into_iter().for_each(|grant| unlock(here, &id, grant.fence));
            }
            Answer::Later(asked) => asked,
        };
        let (answered, waker) = bell();
        let polled = (number % 3 < 2).then(|| asked.as_mut().poll(&mut Context::from_waker(&waker)));
        match polled {
            // An earlier question may have it for a moment.
            Some(Poll::Ready(granted)) => {
                granted.expect("try_lock").into_iter().for_each(|grant| unlock(here, &id, grant.fence));
            }
            // It is answered, and not looked at.
            Some(Poll::Pending) if number % 3 == 0 => {
                answered.recv_timeout(PATIENCE).expect("an answer that is there wakes");
            }
            Some(Poll::Pending) | None => {}
        }
        drop(asked);
        let deadline = Instant::now() + PATIENCE;
        let grant = loop {
            match shared(there).try_lock(&id, LONG).wait().expect("try_lock") {
                Some(grant) => break grant,
                None => assert!(Instant::now() < deadline, "an abandoned lock is given back"),
            }
        };
        unlock(there, &id, grant.fence);
    }
}
