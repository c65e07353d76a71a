//! What parts of the program show on the status page: `StatusSource`, rows of a name and a value.
//!
//! Tools, stores, job systems and applications have facts that an operator wants to see. The page itself is in
//! `status/`; here is what it asks them.

use serde_json::Value;
use std::borrow::Cow;

/// A part of the program that shows facts on the status page: a title, and rows under it.
///
/// A tool adds itself with [`Hooks::status`](crate::Hooks::status), so an application that uses it need not:
///
/// ```
/// use kirsch::lifecycle::{StatusRow, StatusSource};
/// use kirsch::prelude::*;
/// use std::sync::Arc;
/// use std::sync::atomic::{AtomicU64, Ordering};
///
/// #[derive(Clone, Default)]
/// struct CountVisits(Arc<AtomicU64>);
///
/// impl Tool for CountVisits {
///     fn name(&self) -> &'static str { "count_visits" }
///
///     fn attach(&self, hooks: &mut Hooks) {
///         let visits = self.0.clone();
///         hooks.at(HookPoint::OnEndResource, move |_| { visits.fetch_add(1, Ordering::Relaxed); });
///         hooks.status(self.clone());
///     }
/// }
///
/// impl StatusSource for CountVisits {
///     fn title(&self) -> String { "Visits".to_owned() }
///
///     fn rows(&self) -> Vec<StatusRow> {
///         vec![StatusRow::new("since the start", self.0.load(Ordering::Relaxed))]
///     }
/// }
/// ```
pub trait StatusSource: Send + Sync + 'static {
    /// The heading of the rows, as `limit at /report`. Of several sources with the same title the page shows the first.
    fn title(&self) -> String;

    /// The facts of this moment, in the order in which they are shown.
    ///
    /// The page is opened when the program hangs, so this must never wait: not for a lock that is held during other
    /// work, and not for a disk or a network. Where that is impossible, say what was known last.
    fn rows(&self) -> Vec<StatusRow>;
}

/// One fact on the status page.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct StatusRow {
    /// Its name.
    pub name: Cow<'static, str>,
    /// Its value: programs get it as it is in JSON, people as text.
    pub value: Value,
    /// Whether the page points the operator to it.
    pub is_alarming: bool,
}

impl StatusRow {
    /// A fact: its name, and a number, a text or a truth value.
    pub fn new(name: impl Into<Cow<'static, str>>, value: impl Into<Value>) -> Self {
        Self { name: name.into(), value: value.into(), is_alarming: false }
    }

    /// Lets the page point to it if `enabled`: for what an operator should look at first.
    #[must_use]
    pub fn alarming(self, enabled: bool) -> Self {
        Self { is_alarming: enabled, ..self }
    }
}

impl std::fmt::Debug for dyn StatusSource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.title())
    }
}
