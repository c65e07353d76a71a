//! What the message of a client takes in memory, among the bodies of all requests.

use super::Speaking;
use crate::exchange::Budget;
use std::sync::Arc;

/// A message up to this length is not charged: the connection itself stands for it.
const MAX_UNCHARGED: usize = 4096;

impl Speaking {
    /// Charges the message so far. False when there is no room for it beside the bodies and messages of others.
    pub(super) fn fits(&mut self, budget: &Arc<Budget>) -> bool {
        let length = self.decoder.message().len();
        if length <= MAX_UNCHARGED && self.held.is_none() {
            return true;
        }
        let fits = self.held.get_or_insert_with(|| budget.charge()).resize(length as u64);
        if !fits && let Some(unsaid) = budget.refused() {
            crate::line::record!(
                Warn,
                target: "kirsch::websocket",
                "server.memory_for_bodies: messages are refused, since bodies and messages take all of {}; {unsaid} more \
                 were refused since the last such line",
                budget.limit()
            );
        }
        fits
    }

    /// The client is silent: it keeps no memory, unless a message is incomplete.
    pub(super) fn forget(&mut self) {
        self.decoder.forget();
        if self.decoder.message().is_empty() {
            self.held = None;
        }
    }
}
