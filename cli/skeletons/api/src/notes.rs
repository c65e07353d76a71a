//! The notes, in memory: put your database here.

use kirsch::Fields;
use serde::Serialize;
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// What a client sends, with the rules for it.
#[derive(Clone, Debug, Fields, Serialize)]
pub(crate) struct Text {
    #[field(length = 1..=80)]
    title: String,
    #[field(length = ..=2000)]
    text: Option<String>,
}

/// A note that is kept.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Note {
    pub(crate) id: u64,
    #[serde(flatten)]
    text: Text,
}

/// All notes.
#[derive(Default)]
pub(crate) struct Notes(Mutex<Kept>);

#[derive(Default)]
struct Kept {
    last: u64,
    by_id: BTreeMap<u64, Note>,
}

impl Notes {
    pub(crate) fn all(&self) -> Vec<Note> {
        self.lock().by_id.values().cloned().collect()
    }

    pub(crate) fn find(&self, id: u64) -> Option<Note> {
        self.lock().by_id.get(&id).cloned()
    }

    pub(crate) fn add(&self, text: Text) -> Note {
        let mut kept = self.lock();
        kept.last += 1;
        let note = Note {
            id: kept.last,
            text,
        };
        kept.by_id.insert(note.id, note.clone());
        note
    }

    pub(crate) fn change(&self, id: u64, text: Text) -> Option<Note> {
        let mut kept = self.lock();
        let note = kept.by_id.get_mut(&id)?;
        note.text = text;
        Some(note.clone())
    }

    pub(crate) fn remove(&self, id: u64) -> Option<Note> {
        self.lock().by_id.remove(&id)
    }

    /// No change is ever half done, so what a panic has left is good.
    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
