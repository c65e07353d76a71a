//! Messages for the next page: "Saved." after a form that redirects.

use super::Session;

/// The name in the session.
const KEY: &str = "_flashes";

/// The largest number of messages that wait for a page to show them.
const MAX_WAITING: usize = 10;

impl Session {
    /// Leaves a message for the next page that shows messages, such as "Saved." before a redirect.
    ///
    /// A template shows them with `{% for message in session.flashes() %}<p>{{ message }}</p>{% endfor %}`.
    ///
    /// ```
    /// use kirsch::{prelude::*, testing::Client};
    ///
    /// struct Notes;
    ///
    /// #[handlers]
    /// impl Notes {
    ///     #[expose]
    ///     fn save(&self, session: &Session) -> Redirect {
    ///         session.flash("Saved.");
    ///         Redirect::to("/")
    ///     }
    ///
    ///     #[expose]
    ///     fn index(&self, session: &Session) -> String {
    ///         session.flashes().join(" ")
    ///     }
    /// }
    ///
    /// let client = Client::in_process(App::new(Notes).tool("/", Sessions::in_memory()));
    /// client.post("/save").follow_redirects().send().assert_text("Saved.");
    /// client.get("/").send().assert_text("");
    /// ```
    ///
    /// Ten messages wait at most; the oldest goes first.
    ///
    /// # Panics
    /// Without the session's lock, as [`set`](Self::set).
    pub fn flash(&self, message: impl Into<String>) {
        self.update(KEY, |waiting: &mut Vec<String>| {
            waiting.push(message.into());
            let too_many = waiting.len().saturating_sub(MAX_WAITING);
            waiting.drain(..too_many);
        });
    }

    /// Takes the messages that [`flash`](Self::flash) has left, the oldest first. Without one the session stays
    /// unchanged.
    ///
    /// # Panics
    /// Without the session's lock, if there are messages.
    #[must_use]
    pub fn flashes(&self) -> Vec<String> {
        if self.contains(KEY) { self.pop(KEY).unwrap_or_default() } else { Vec::new() }
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::Client;
    use crate::{App, Session, Sessions, handlers};

    struct Pages;

    #[handlers]
    impl Pages {
        #[expose]
        fn flash(&self, session: &Session, count: usize) {
            (1..=count).for_each(|number| session.flash(number.to_string()));
        }

        #[expose]
        fn shown(&self, session: &Session) -> String {
            session.flashes().join(" ")
        }
    }

    #[test]
    fn messages_are_shown_once_and_their_number_is_bounded() {
        let client = Client::in_process(App::new(Pages).tool("/", Sessions::in_memory()));
        client.get("/shown").send().assert_text("").assert_no_header("set-cookie");
        client.get("/flash?count=2").send().assert_status(200);
        client.get("/flash?count=1").send().assert_status(200);
        client.get("/shown").send().assert_text("1 2 1");
        client.get("/shown").send().assert_text("");
        client.get("/flash?count=12").send().assert_status(200);
        client.get("/shown").send().assert_text("3 4 5 6 7 8 9 10 11 12");
    }
}
