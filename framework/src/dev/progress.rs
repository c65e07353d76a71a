//! What the browsers must know: which program answers, what the build does, and which files have changed.
//!
//! It is a state, and no series of events. So nothing is lost between an old and a new program, and a browser that
//! was away sees where things are.

use serde::{Deserialize, Serialize};

/// The present state, as `kirsch dev` tells it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// Grows with each change.
    pub version: u64,
    /// The number of the program that reads this.
    pub program: u64,
    /// The number of the program that answers.
    pub serving: u64,
    /// What the build does.
    pub phase: Phase,
    /// How often templates and other files that need no build have changed.
    pub pages: u64,
    /// How often style sheets have changed.
    pub styles: u64,
    /// In place of all pages.
    pub report: Option<Report>,
}

/// What the build does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    /// Nothing: the program is the newest one.
    #[default]
    Ready,
    /// It is under way.
    Building,
    /// It has failed, or its program has.
    Failed,
}

/// What is shown in place of all pages.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// Another number is another report.
    pub number: u64,
    /// For browsers: a whole page.
    pub html: String,
    /// For all other clients.
    pub text: String,
}

impl Progress {
    /// What a page of this program is made of now. A page with another key is an old one.
    pub(super) fn key_of_pages(&self) -> String {
        self.key(self.program)
    }

    /// What a page would be made of that is asked for now.
    pub(super) fn present_key(&self) -> String {
        self.key(self.serving)
    }

    fn key(&self, program: u64) -> String {
        let report = self.report.as_ref().map_or(0, |report| report.number);
        format!("{program}.{}.{report}", self.pages)
    }
}
