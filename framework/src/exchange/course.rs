//! The course of an exchange: how far the life of its request has come, as plain data.
//!
//! Only `lifecycle/` reads and writes it; the test client asks for the request that is running. It lives here so that a
//! request that is parked between two runs is one value, and so that a plain page needs nothing on the heap for it.

use super::{Error, Parked};

#[derive(Default)]
pub(crate) struct Course {
    pub(crate) stage: Stage,
    /// Which of the application's plans the path got.
    pub(crate) plan: usize,
    /// Which of the application's trees answers for the host.
    pub(crate) tree: usize,
    /// An unexpected error or a panic has happened.
    pub(crate) failed: bool,
    /// The unexpected error that the last error page was about.
    pub(crate) failure: Option<Error>,
    /// Whether a failed request may go on with another path.
    pub(crate) rescue: Rescue,
    /// How many internal redirects this request has made.
    pub(crate) redirects: u8,
    /// The request is the developer's own, by the test client in process.
    pub(crate) is_developers: bool,
    /// A tool answers in place of the page, and wants the form in the body.
    pub(crate) expects_form: bool,
    /// The answer at the handler's turn instead of a call.
    pub(crate) pending: Pending,
    /// The request's place on a wait list.
    pub(crate) parked: Option<Parked>,
    /// The nanoseconds that the handler of this route has run, at least one, where requests are counted; else 0.
    pub(crate) handler_ran: u64,
    pub(crate) queue: QueueNote,
}

/// What the counts know of the wait for a worker.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum QueueNote {
    /// Nothing: a worker was free at once.
    #[default]
    Nothing,
    /// It still waits: so far only the thread beside the workers has had it.
    Waits,
    Counted,
}

/// The error that is answered in place of a call, and why.
#[derive(Default)]
pub(crate) enum Pending {
    #[default]
    Nothing,
    /// The path leads to no handler.
    NoSuchPage(Error),
    /// A hook or an admission has failed before the body, or the body is refused.
    Decided(Error),
}

impl Pending {
    pub(crate) fn is_nothing(&self) -> bool {
        matches!(self, Self::Nothing)
    }

    pub(crate) fn take(&mut self) -> Option<Error> {
        match std::mem::take(self) {
            Self::Nothing => None,
            Self::NoSuchPage(error) | Self::Decided(error) => Some(error),
        }
    }
}

/// Whether a hook of `before_error_response` may send a failed request on to another path: once, while nothing has
/// begun to finish the response.
#[derive(Default)]
pub(crate) enum Rescue {
    #[default]
    Impossible,
    Possible,
    Wanted(String),
    Done,
}

/// The stage that a request is in, between two calls of the server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Stage {
    /// No path is known: nothing of the application has run.
    #[default]
    Fresh,
    /// The next thing is the admission with this number.
    Admission(usize),
    /// A hook or a failure before the body has decided the answer: `pending`, or the response as it stands.
    Decided,
    /// All admissions went through: it is the turn of `before_handler` and the handler.
    Handling,
    /// The response is made; the next thing is the hook of `before_finalize` with the number `next`.
    Finishing {
        next: usize,
        /// One of the hooks, or a step before them, has failed.
        failed: bool,
        only_always: bool,
    },
    /// The response is final.
    Final,
    /// The server refused the request, or only leads to `https` where it came; no hook runs any more.
    Refused,
    /// A probe asked whether the server is well, and has its answer. No hook runs, and no record is written: probes
    /// come every second, and their answer must not wait for the log.
    Probed,
}

impl std::fmt::Debug for Course {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Course").field("stage", &self.stage).field("plan", &self.plan).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exchange::Exchange;

    #[test]
    fn the_error_of_a_hook_is_no_error_of_the_route() {
        let mut exchange = Exchange::new();
        exchange.course.pending = Pending::Decided(Error::not_found());
        assert!(exchange.route_error().is_none());
        exchange.course.pending = Pending::NoSuchPage(Error::not_found());
        assert!(exchange.route_error().is_some());
    }
}
