//! Values that tools keep in an exchange, found by their type.

use std::any::Any;

/// A small map from type to value. It allocates only when something is kept.
#[derive(Default)]
pub struct Values {
    entries: Vec<Box<dyn Any + Send>>,
}

impl Values {
    /// Keeps `value` and returns the one of the same type that was there before.
    pub fn insert<T: Send + 'static>(&mut self, value: T) -> Option<T> {
        let value: Box<dyn Any + Send> = Box::new(value);
        let Some(place) = self.entries.iter_mut().find(|entry| entry.is::<T>()) else {
            self.entries.push(value);
            return None;
        };
        std::mem::replace(place, value).downcast().ok().map(|old| *old)
    }

    /// The value of type `T`, if one is kept.
    #[must_use]
    pub fn get<T: 'static>(&self) -> Option<&T> {
        self.entries.iter().find_map(|entry| entry.downcast_ref())
    }

    /// The value of type `T` for changing, if one is kept.
    pub fn get_mut<T: 'static>(&mut self) -> Option<&mut T> {
        self.entries.iter_mut().find_map(|entry| entry.downcast_mut())
    }

    /// Takes the value of type `T` out.
    pub fn remove<T: 'static>(&mut self) -> Option<T> {
        let index = self.entries.iter().position(|entry| entry.is::<T>())?;
        self.entries.remove(index).downcast().ok().map(|value| *value)
    }

    pub(super) fn shrink(&mut self) {
        self.entries.shrink_to_fit();
    }

    /// Drops all values, the youngest first.
    pub fn clear(&mut self) {
        while self.entries.pop().is_some() {}
    }
}

impl std::fmt::Debug for Values {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Values").field("len", &self.entries.len()).finish()
    }
}
