//! Lesson 7: sessions, the data that a visitor's requests share.
//!
//! The tool `sessions` is switched on for `/` and everything below it. A handler that takes `&Session` has it for
//! itself while it runs: two tabs count one after the other, and no visit is lost. The next one waits without holding a
//! thread.
//!
//! Try to reload this page in two tabs, and the button. A program keeps the cookie of its session in a file: `curl -b
//! cookies -c cookies http://127.0.0.1:8080/`, twice.

use kirsch::prelude::*;
use std::process::ExitCode;

struct HitCounter;

#[handlers]
impl HitCounter {
    #[expose]
    fn index(&self, session: &Session) -> Html<String> {
        let count = session.update("count", |count: &mut u64| {
            *count += 1;
            *count
        });
        Html(format!(
            r#"During your current session, you've viewed this page {count} times!
            <form action="forget" method="post"><button>Forget me</button></form>"#
        ))
    }

    /// Deletes the session; the next visit begins a new one.
    #[expose(post)]
    fn forget(&self, session: &Session) -> Redirect {
        session.delete();
        Redirect::to("/")
    }
}

fn main() -> ExitCode {
    demo_apps::lesson(include_str!("t07-sessions.rs"), App::new(HitCounter).tool("/", Sessions::in_memory()))
}
