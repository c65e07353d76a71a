//! The door between the server and the code that answers requests: the server calls it, `lifecycle/` implements it.
//!
//! The server reads a head into an [`Exchange`] and calls, in this order and never two at once for one exchange:
//!
//! ```text
//! start ──► (Park ──► woken or deadline ──► start)* ──► body is read as the BodyPlan says
//!       ──► run ──► (Park ──► woken or deadline ──► run)* ──► Done
//!   └── or, when the client breaks a rule: refuse ──────► Done
//! Done ──► response bytes out ──► end          (end also when the client is gone before)
//! ```
//!
//! All of these run on a worker and may block, except `refuse` with [`Refusal::Overloaded`], which must not: it runs
//! when no worker is free, for a request that `start` has not seen. The `end` after it runs on a thread for such ends,
//! and is left out when too many of them wait. A request whose client is gone before `start` has no `end`.

use super::{Exchange, StatusSource};
use crate::http::Refusal;
use std::sync::Arc;
use std::task::Waker;
use std::time::{Duration, Instant};

/// The code that answers requests.
pub trait Service: Send + Sync + 'static {
    /// The head is complete: decides the plan for the body, or parks. A parked exchange is started again, like
    /// [`run`](Self::run).
    fn start(&self, exchange: &mut Exchange, wakers: &dyn Wakers) -> BodyPlan;

    /// The body is there: makes the response, or parks. A parked exchange is run again when its waker is woken or its
    /// deadline has passed; being run without reason is harmless.
    fn run(&self, exchange: &mut Exchange, wakers: &dyn Wakers) -> Progress;

    /// Makes the response to a request that broke a rule or a limit. The head in the exchange may be incomplete. Called
    /// in place of `run`, before or after `start`.
    fn refuse(&self, exchange: &mut Exchange, refusal: &Refusal);

    /// The last byte of the response is out, or the client is gone. The exchange is cleared afterwards.
    fn end(&self, exchange: &mut Exchange, delivery: &Delivery);

    /// What becomes of a request without a body that came while no worker is free. [`start`](Self::start) has not seen
    /// it. Must not block: it runs on the thread that looks after the server then.
    fn when_busy(&self, exchange: &mut Exchange) -> WhenBusy {
        let _ = exchange;
        WhenBusy::Queue
    }

    /// Whether [`when_busy`](Self::when_busy) may answer [`WhenBusy::Aside`].
    fn answers_when_busy(&self) -> bool {
        false
    }

    /// The type and the method behind the description at this address ([`HandlerRef`](super::HandlerRef)), for people
    /// that look at the workers.
    fn handler_at(&self, address: usize) -> Option<String> {
        let _ = address;
        None
    }

    /// What the parts of the program show on the status page.
    fn sources(&self) -> Vec<Arc<dyn StatusSource>> {
        Vec::new()
    }
}

/// The plan for a request body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyPlan {
    /// Read it before `run`: up to `limit` bytes, in memory up to `memory` bytes, beyond that in a temporary file.
    Read {
        /// Maximum in bytes; more is refused with 413.
        limit: u64,
        /// From here on the body goes to a temporary file.
        memory: u64,
    },
    /// Hand `run` a reader of at most `limit` bytes.
    Stream {
        /// Maximum in bytes.
        limit: u64,
    },
    /// Not decided: something must happen first. Start again when woken, at this deadline at the latest.
    Park {
        /// When waiting ends without success.
        deadline: Option<Instant>,
    },
    /// It is not wanted: `run` at once. After the response the server discards a little of it, or closes.
    Discard,
}

/// What becomes of a request while no worker is free.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WhenBusy {
    /// It waits for a worker like all others.
    Queue,
    /// A thread of its own runs it, one after another: it tells why the server is busy, and waits for nothing.
    Aside(Asker),
    /// The response is in the exchange. `end` comes on the thread for such ends.
    Answered,
}

/// The client of a request that needs no worker. Each kind has places of its own in the line, so that one cannot keep
/// the other out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asker {
    /// It has proved that it may ask, or need not.
    Known,
    /// It must still log in, which may cost time. Anybody can try.
    Stranger,
}

/// How far `run` came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// The response is in the exchange.
    Done,
    /// Something must happen first. Run again when woken, at this deadline at the latest.
    Park {
        /// When waiting ends without success.
        deadline: Option<Instant>,
    },
}

/// Makes wakers for one exchange; asked only when it parks.
pub trait Wakers {
    /// A waker that makes the server run the exchange again, from any thread, at any time, any number of times.
    fn waker(&self) -> Waker;
}

/// How a response went out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// Bytes of content sent, without head and chunk framing.
    pub body_bytes: u64,
    /// Whether the client took all of it.
    pub complete: bool,
    /// When the head of the request was complete.
    pub received: Instant,
}

impl Delivery {
    /// From the complete head to now. In [`Service::end`] and in the hooks of `on_end_request` that is to the last
    /// byte. Each call reads the clock, so that requests whose duration is not wanted do not.
    #[must_use]
    pub fn duration(&self) -> Duration {
        self.received.elapsed()
    }
}
