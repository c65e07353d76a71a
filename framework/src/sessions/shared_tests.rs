//! Whole requests through the sessions tool with a store that several processes share: two tools on one engine.

use super::conformance::reference::{Engine, Reference};
use super::*;
use crate::prelude::*;
use crate::publish::PageCall;
use crate::testing::Client;
use parking_lot::Mutex;
use std::sync::Arc;
use std::time::Duration;

type Page = Arc<dyn Fn(&str, &Session) -> Result<String, Error> + Send + Sync>;

/// Two processes of one site, and a visitor of each who has the same cookie.
struct Pair {
    engine: Arc<Engine>,
    here: Client,
    there: Client,
    sessions: [Sessions; 2],
}

impl Pair {
    /// `page` is called with its name; `set` and `get` it need not know.
    fn new(
        set_up: impl Fn(Sessions) -> Sessions,
        page: impl Fn(&str, &Session) -> Result<String, Error> + Send + Sync + 'static,
    ) -> Self {
        let engine = Engine::new();
        let page: Page = Arc::new(page);
        let sessions = [0, 1].map(|_| set_up(Sessions::new(Reference::new(&engine))));
        let [here, there] = [0, 1].map(|index: usize| {
            let page = Arc::clone(&page);
            let with = move |call: &mut PageCall<'_>| -> Result<String, Error> {
                let (name, session) = (call.parameter::<String>("name")?, call.argument::<&Session>()?);
                match &*name {
                    "set" => session.set("value", "old"),
                    "get" => {}
                    name => return page(name, session),
                }
                Ok(session.get("value").unwrap_or_default())
            };
            let tree = Tree::new().page("with/{name}", with).page("plain", |_| "plain");
            Client::in_process(App::new(tree).tool("/", sessions[index].clone())).with_timeout(Duration::from_secs(60))
        });
        here.get("/with/set").send().assert_status(200);
        there.set_cookie("session_id", &here.cookie("session_id").expect("a session"));
        Self { engine, here, there, sessions }
    }

    fn id(&self) -> SessionId {
        SessionId::parse(self.here.cookie("session_id").expect("a session").as_bytes()).expect("an id")
    }

    fn value(&self) -> String {
        self.there.get("/with/get").send().assert_status(200).text().to_owned()
    }
}

fn as_is(sessions: Sessions) -> Sessions {
    sessions
}

#[test]
fn a38_who_has_lost_the_lock_saves_nothing_and_is_told_so() {
    let engine = Arc::new(Mutex::new(None::<(Arc<Engine>, SessionId)>));
    let thief = Arc::clone(&engine);
    let pair = Pair::new(as_is, move |_, session| {
        let (engine, id) = thief.lock().clone().expect("a pair");
        engine.lose(&id);
        session.set("value", "new");
        Ok(String::new())
    });
    *engine.lock() = Some((Arc::clone(&pair.engine), pair.id()));
    let records = crate::logs::capture::records("kirsch::sessions", || {
        pair.here.get("/with/steal").send().assert_status(409);
    });
    assert!(matches!(&*records, [line] if line.contains("the lock of the session was lost")), "{records:?}");
    assert_eq!(pair.value(), "old");
    assert_eq!(pair.sessions[0].statistics().conflicts, 1);
    assert!(!pair.engine.is_locked(&pair.id()));
}
