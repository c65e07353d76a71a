//! What a worker does for its request at this moment: one byte for each worker, written by the code that it runs.
//!
//! The room that makes a step does not know the worker that runs it. So a worker says once, at its start, which byte is
//! its own, and whoever enters another stage on this thread writes there. Threads without a byte write nothing.

use std::cell::Cell;
use std::sync::atomic::{AtomicU8, Ordering};

/// What a worker does for its request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
#[repr(u8)]
pub enum WorkerStage {
    /// Routing, and the hooks before the handler.
    #[default]
    Hooks,
    /// The handler.
    Handler,
    /// The hooks behind the handler, an error page.
    Finalize,
    /// The next chunk of a streamed response.
    Stream,
    /// The response is out: the last hooks, the access log.
    End,
    /// The handler waits on the worker: for a lock, or for a body from its client.
    Waiting,
    /// The worker waits for a store.
    Store,
    /// A message of a conversation.
    Message,
}

impl WorkerStage {
    const ALL: [Self; 8] = [
        Self::Hooks,
        Self::Handler,
        Self::Finalize,
        Self::Stream,
        Self::End,
        Self::Waiting,
        Self::Store,
        Self::Message,
    ];

    /// One word, in lower case.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Hooks => "hooks",
            Self::Handler => "handler",
            Self::Finalize => "finalize",
            Self::Stream => "stream",
            Self::End => "end",
            Self::Waiting => "waiting",
            Self::Store => "store",
            Self::Message => "message",
        }
    }

    /// What that is, for people.
    #[must_use]
    pub fn explained(self) -> &'static str {
        match self {
            Self::Hooks => "in the hooks before the handler",
            Self::Handler => "in the handler",
            Self::Finalize => "in the hooks behind the handler",
            Self::Stream => "making a chunk of a stream",
            Self::End => "after the response: the last hooks, the access log",
            Self::Waiting => "waiting in the handler, for a lock or for its client",
            Self::Store => "waiting for a store",
            Self::Message => "with a message of a conversation",
        }
    }

    /// From now on the worker of this thread does this. Returns what it did before.
    #[inline]
    pub(crate) fn enter(self) -> Self {
        let Some(byte) = HERE.get() else { return Self::default() };
        let before = Self::of(byte.load(Ordering::Relaxed));
        byte.store(self as u8, Ordering::Relaxed);
        before
    }

    /// As [`enter`](Self::enter), for the path of a plain page.
    #[inline(always)] // Three instructions.
    pub(crate) fn note(self) {
        if let Some(byte) = HERE.get() {
            byte.store(self as u8, Ordering::Relaxed);
        }
    }

    fn of(byte: u8) -> Self {
        Self::ALL.get(usize::from(byte)).copied().unwrap_or_default()
    }
}

thread_local! {
    /// Without a destructor, so that reaching it is one instruction. That is why the byte lives for ever.
    static HERE: Cell<Option<&'static AtomicU8>> = const { Cell::new(None) };
}

/// The byte of one worker. It goes to the next worker when it is dropped.
#[derive(Debug)]
pub(crate) struct StageByte(&'static AtomicU8);

/// Bytes whose workers have ended, so that a process that starts many servers needs no more than it had at once.
static SPARE: parking_lot::Mutex<Vec<&'static AtomicU8>> = parking_lot::Mutex::new(Vec::new());

impl StageByte {
    /// Stages that are entered on this thread are noted here.
    pub(crate) fn is_of_this_thread(&self) {
        HERE.set(Some(self.0));
    }

    #[inline]
    pub(crate) fn note(&self, stage: WorkerStage) {
        self.0.store(stage as u8, Ordering::Relaxed);
    }

    pub(crate) fn stage(&self) -> WorkerStage {
        WorkerStage::of(self.0.load(Ordering::Relaxed))
    }
}

impl Default for StageByte {
    fn default() -> Self {
        let spare = SPARE.lock().pop();
        let byte = Self(spare.unwrap_or_else(|| Box::leak(Box::default())));
        byte.note(WorkerStage::default());
        byte
    }
}

impl Drop for StageByte {
    fn drop(&mut self) {
        SPARE.lock().push(self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_byte_that_was_used_before_begins_like_a_new_one() {
        let byte = StageByte::default();
        byte.note(WorkerStage::End);
        drop(byte);
        // Other tests take spare bytes too; whichever comes, its past does not show.
        assert_eq!(StageByte::default().stage(), WorkerStage::Hooks);
    }

    #[test]
    fn a_stage_is_noted_in_the_byte_of_its_thread() {
        let (byte, other) = (StageByte::default(), StageByte::default());
        byte.is_of_this_thread();
        WorkerStage::Handler.note();
        assert_eq!(WorkerStage::Store.enter(), WorkerStage::Handler);
        assert_eq!((byte.stage(), other.stage()), (WorkerStage::Store, WorkerStage::Hooks));
        HERE.set(None);
    }

    #[test]
    fn each_stage_is_its_own_number() {
        for (index, stage) in WorkerStage::ALL.into_iter().enumerate() {
            assert_eq!(stage as usize, index);
        }
    }
}
