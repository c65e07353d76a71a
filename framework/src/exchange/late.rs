//! A value that is made after the tool that reads it.

use std::sync::{Arc, OnceLock};

/// What a tool keeps to read a value of the application, such as its counts. The application connects it when it is
/// built. Clones are of the same value.
#[derive(Debug)]
pub(crate) struct Late<T>(Arc<OnceLock<Arc<T>>>);

impl<T> Late<T> {
    /// The first value stays.
    pub(crate) fn connect(&self, value: &Arc<T>) {
        let _ = self.0.set(value.clone());
    }

    pub(crate) fn get(&self) -> Option<&T> {
        self.0.get().map(|value| &**value)
    }
}

impl<T> Clone for Late<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T> Default for Late<T> {
    fn default() -> Self {
        Self(Arc::default())
    }
}
