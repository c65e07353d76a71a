//! The fields of a request that were read: the response may depend on them.
//!
//! Requests that are not observed pay next to nothing: without [`Request::observe_reading`] each read is one look at an
//! empty pointer. The public ways to the fields are observed: by name, all at once, cookies, content codings. The
//! framework's own reads are not: conditions, framing and the type of the body decide how a response is sent, not what
//! is in it.

use super::Request;
use std::cell::{Cell, RefCell};

/// The names that were read.
#[derive(Debug, Default)]
pub(super) struct Reading {
    names: RefCell<Vec<String>>,
    all: Cell<bool>,
}

impl Request {
    /// Notes from now on which fields are read; see [`fields_read`](Self::fields_read). Earlier notes stay, except the
    /// note that all were looked through.
    ///
    /// ```
    /// use kirsch::Request;
    ///
    /// let mut request = Request::default();
    /// request.observe_reading();
    /// let _ = request.header("Accept-Language");
    /// let _ = request.header("accept-language");
    /// assert_eq!(request.fields_read(), ["accept-language"]);
    /// ```
    pub fn observe_reading(&mut self) {
        self.reading.get_or_insert_default().all.set(false);
    }

    /// The names of the fields that were read since [`observe_reading`](Self::observe_reading), in lower case, each
    /// once, whether the request has them or not. `*` stands at the end if a handler or tool has looked through all
    /// fields.
    #[must_use]
    pub fn fields_read(&self) -> Vec<String> {
        let Some(reading) = &self.reading else { return Vec::new() };
        let mut names = reading.names.borrow().clone();
        if reading.all.get() {
            names.push("*".to_owned());
        }
        names
    }

    #[inline]
    pub(super) fn note_reading(&self, name: &str) {
        if let Some(reading) = &self.reading {
            reading.note(name);
        }
    }

    #[inline]
    pub(super) fn note_reading_all(&self) {
        if let Some(reading) = &self.reading {
            reading.all.set(true);
        }
    }
}

impl Reading {
    #[cold]
    fn note(&self, name: &str) {
        let mut names = self.names.borrow_mut();
        if !names.iter().any(|noted| noted.eq_ignore_ascii_case(name)) {
            names.push(name.to_ascii_lowercase());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Cookies;
    use super::*;

    #[test]
    fn nothing_is_noted_unless_it_is_asked_for() {
        let request = Request::default();
        let _ = request.header("accept");
        assert!(request.fields_read().is_empty());
    }

    #[test]
    fn every_way_to_a_field_is_noted_and_the_frameworks_own_is_not() {
        let mut request = Request::default();
        request.observe_reading();
        let _ = (request.best_coding(&[]), Cookies::of(&request), request.has_form());
        assert_eq!(request.fields_read(), ["accept-encoding", "cookie"]);
        let _ = request.headers();
        assert_eq!(request.fields_read(), ["accept-encoding", "cookie", "*"]);
        request.observe_reading();
        assert_eq!(request.fields_read(), ["accept-encoding", "cookie"]);
        request.clear();
        assert!(request.fields_read().is_empty());
    }
}
