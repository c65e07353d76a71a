//! Keeping: the way of a finished response into the cache.

use super::cache::{Cache, Lead};
use super::stored::Draft;
use crate::HeaderValue;
use bytes::Bytes;
use std::hash::RandomState;
use std::sync::Arc;

/// The part of one request in the cache, apart from being answered by it.
#[derive(Debug)]
pub(super) enum Part {
    /// Others wait for its response.
    Lead(Lead),
    /// It waits for the response of another.
    Waiting,
    /// It has led, and has handed that on to wait for something of its own.
    HandedOn,
    /// It makes a response for itself, from this epoch on; that may be kept, too.
    Free(u64),
}

/// A response to be kept once all of its content is there. Dropped before, it lets the next in line make it.
#[derive(Debug)]
pub(super) struct Keeping {
    pub(super) cache: Arc<Cache>,
    pub(super) key: String,
    pub(super) part: Part,
    pub(super) draft: Draft,
    pub(super) tagging: RandomState,
}

impl Keeping {
    /// The content is complete. Returns the entity tag that the response is kept with.
    pub(super) fn finish(self, content: Bytes) -> Option<HeaderValue> {
        let Self { cache, key, part, draft, tagging } = self;
        let stored = Arc::new(draft.finish(content, &tagging));
        let etag = stored.etag().cloned();
        match part {
            Part::Lead(lead) => lead.keep(stored),
            Part::Free(epoch) => cache.keep(&key, stored, epoch),
            Part::Waiting | Part::HandedOn => {}
        }
        etag
    }

    /// The content turned out to be too much.
    pub(super) fn give_up(self) {
        if let Part::Lead(lead) = self.part {
            lead.share_nothing();
        }
    }
}
