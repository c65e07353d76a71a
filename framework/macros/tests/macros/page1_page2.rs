//! The first program of the front page.

use kirsch::prelude::*;
use std::{thread, time::Duration};

struct Test;

#[handlers]
impl Test {
    #[expose]
    fn page1(&self, session: &Session) -> &'static str {
        session.set("last_page", "page1");
        session.release_lock();
        thread::sleep(Duration::from_secs(20));
        "*Yawn*"
    }

    #[expose]
    fn page2(&self) -> &'static str {
        "Hello World!"
    }
}

/// The `main` of the program; this one must end.
#[allow(dead_code)]
fn serve() -> kirsch::Result {
    App::new(Test).tool("/", Sessions::in_memory()).serve("127.0.0.1:8080")
}

#[test]
fn the_first_program_of_the_front_page_locks_where_it_takes_the_session() {
    let node = Test::node();
    assert!(node.handlers[0].requires("sessions") && node.handlers[0].arguments[0].locks_session);
    assert!(node.handlers[1].arguments.is_empty());
}
