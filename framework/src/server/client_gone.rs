//! Whether a client is still there: asked by handlers and streams while they run, answered by the kernel.
//!
//! The caller has a token, not the connection. The socket is looked at under a pin, which keeps the owner from closing
//! it, and the generation is compared under the same pin. So an answer is never about a later tenant of the slot. A
//! connection without an owner waits in the poller, where the server itself hears of the client's end.

use super::slab::Token;
use super::transport::has_hung_up;
use super::workspace::Shared;
use crate::exchange::{Connections, ServerView};
use std::sync::{Arc, Weak};

impl Shared {
    pub(super) fn watched(self: &Arc<Self>) -> Weak<dyn Connections> {
        let watched: Weak<Self> = Arc::downgrade(self);
        watched
    }
}

impl Connections for Shared {
    fn is_abandoned(&self, connection: u64) -> bool {
        let token = Token::from_bits(connection);
        let slab = &self.scheduler.slab;
        let answer = slab.with_socket(token.index(), |socket| slab.is_current(token) && !has_hung_up(socket));
        !answer.unwrap_or_else(|| slab.is_current(token))
    }

    fn view(self: Arc<Self>) -> Option<Arc<dyn ServerView>> {
        Some(self)
    }
}
