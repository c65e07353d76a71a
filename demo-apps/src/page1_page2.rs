//! Two pages of one session: `/page2` waits while `/page1` sleeps with the session's lock, and does not wait while
//! `/page1_released` sleeps without it. `/status` shows the lock: which request holds it, and which waits.

use crate::page;
use kirsch::{prelude::*, status};
use std::{thread, time::Duration};

/// The application; page1 sleeps for `pause`.
pub fn app(pause: Duration) -> App {
    App::new(Experiment { pause }).tool("/", Sessions::in_memory()).mount("/status", status::app().open())
}

struct Experiment {
    pause: Duration,
}

#[handlers]
impl Experiment {
    /// Explains the experiment. It writes to the session, since a browser has a session, and a lock, only from the
    /// first write on.
    #[expose]
    fn index(&self, session: &Session) -> Html<String> {
        session.set("last_page", "index");
        Html(page(include_str!("page1_page2.html")).replace("{seconds}", &self.pause.as_secs().to_string()))
    }

    #[expose]
    fn page1(&self, session: &Session) -> &'static str {
        session.set("last_page", "page1");
        thread::sleep(self.pause);
        "*Yawn*"
    }

    #[expose]
    fn page1_released(&self, session: &Session) -> &'static str {
        session.set("last_page", "page1_released");
        session.release_lock();
        thread::sleep(self.pause);
        "*Yawn*"
    }

    #[expose]
    fn page2(&self) -> &'static str {
        "Hello World!"
    }
}
