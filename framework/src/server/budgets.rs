//! The budgets of one server: how much its clients together may make it hold.
//!
//! | content | setting | beyond it |
//! |---|---|---|
//! | request bodies in memory, until their exchange ends | `server.memory_for_bodies` | 503 |
//! | request bodies in temporary files | `server.disk_for_bodies` | 503 |
//! | those files, which take descriptors from connections and other files | the descriptors that `server.connections` leaves | 503 |
//! | responses that wait for news | `server.pushes` | 503 |
//! | responses that their clients do not take (`connection/unread.rs`) | `server.memory_for_responses` | the longest-stalled end |
//!
//! A body whose length is announced is refused before it is read when it does not fit at that moment. Nothing is
//! reserved for it: clients that only announce much would keep others out. Bytes are charged when they arrive.

use super::ServerSettings;
use super::connection::SharedContents;
use crate::exchange::Budget;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

#[derive(Debug)]
pub(super) struct Budgets {
    pub(super) memory: Arc<Budget>,
    pub(super) disk: Arc<Budget>,
    pub(super) files: Arc<Budget>,
    pub(super) pushes: Arc<Budget>,
    pub(super) responses: Arc<Budget>,
    pub(super) shared: SharedContents,
    /// Another thread is making room for responses.
    pub(super) is_evicting: AtomicBool,
}

impl Budgets {
    pub(super) fn new(settings: &ServerSettings) -> Self {
        Self {
            memory: Budget::new("server.memory_for_bodies", settings.memory_for_bodies),
            disk: Budget::new("server.disk_for_bodies", settings.disk_for_bodies),
            files: Budget::new("server.connections", settings.most_spooled()),
            pushes: Budget::new("server.pushes", settings.most_pushes()),
            responses: Budget::new("server.memory_for_responses", settings.memory_for_responses),
            shared: SharedContents::default(),
            is_evicting: AtomicBool::new(false),
        }
    }
}
