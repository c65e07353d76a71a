//! How many conversations by WebSocket there are, and how those before have ended.
//!
//! Messages are not counted here but in the record of the thread that moves them, so that busy ones share nothing.

use crate::exchange::ConversationCounts;
use crate::exchange::websocket::CloseCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// The counts of a server.
#[derive(Debug, Default)]
pub(super) struct ConversationTally {
    opened: AtomicU64,
    ended: [AtomicU64; ConversationCounts::ENDS.len()],
}

/// One conversation, among those that are open until it has an end.
#[derive(Debug)]
pub(super) struct Counted(Arc<ConversationTally>);

impl ConversationTally {
    pub(super) fn opens(self: &Arc<Self>) -> Counted {
        self.opened.fetch_add(1, Ordering::Relaxed);
        Counted(self.clone())
    }

    /// Without its messages.
    pub(super) fn counts(&self) -> ConversationCounts {
        let ended = self.ended.each_ref().map(|count| count.load(Ordering::Relaxed));
        let opened = self.opened.load(Ordering::Relaxed);
        let open = opened.saturating_sub(ended.iter().sum());
        ConversationCounts { open, opened, ended, ..ConversationCounts::default() }
    }
}

impl Counted {
    /// Called once.
    pub(super) fn ends(&self, code: CloseCode) {
        // The last name stands for all codes that have none of their own.
        let names = &ConversationCounts::ENDS;
        let place = names.iter().position(|&(number, _)| number == code.number()).unwrap_or(names.len() - 1);
        self.0.ended[place].fetch_add(1, Ordering::Relaxed);
    }
}
