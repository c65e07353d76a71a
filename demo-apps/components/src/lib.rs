//! A page of eight parts that the browser loads at once, in five variants that differ in how the parts use the session.
//!
//! Each part takes some seconds. With the session locked while they run, one runs after the other; each of the other
//! variants gives the lock back, or never takes it. The page draws when each part came, how long it waited for the
//! lock, and when it ran.

use demo_apps::page;
use kirsch::prelude::*;
use kirsch::sessions::{LockMode, Store};
use serde::Serialize;
use std::time::{Duration, Instant};
use std::{sync::Arc, thread};

/// The application; each part takes `pause`. The variant `database` keeps its sessions in `database`.
pub fn app(pause: Duration, database: impl Store) -> App {
    let clock = Arc::new(Clock { pause, start: Instant::now() });
    let parts = |clock: &Arc<Clock>| Arc::clone(clock);
    let sessions = Sessions::in_memory();
    App::new(Components {
        implicit: Implicit(parts(&clock)),
        forget: Forget(parts(&clock)),
        view: Viewing(parts(&clock)),
        lazy: Lazy(parts(&clock)),
        database: Database(parts(&clock)),
        clock,
    })
    .tool("/", sessions.clone())
    .tool("/lazy", sessions.lock(LockMode::Lazy))
    .tool("/database", Sessions::new(database).lock(LockMode::Explicit).cookie_name("database_session"))
}

struct Components {
    implicit: Implicit,
    forget: Forget,
    view: Viewing,
    lazy: Lazy,
    database: Database,
    clock: Arc<Clock>,
}

#[handlers]
impl Components {
    /// The page itself. It writes to the session: a session without a write has no lock.
    #[expose]
    fn index(&self, session: &Session) -> Html<String> {
        session.set("visitor", "somebody");
        let seconds = self.clock.pause.as_secs_f64().to_string();
        Html(page(include_str!("components.html")).replace("{seconds}", &seconds))
    }

    #[child]
    fn implicit(&self) -> &Implicit {
        &self.implicit
    }

    #[child]
    fn forget(&self) -> &Forget {
        &self.forget
    }

    #[child]
    fn view(&self) -> &Viewing {
        &self.view
    }

    #[child]
    fn lazy(&self) -> &Lazy {
        &self.lazy
    }

    #[child]
    fn database(&self) -> &Database {
        &self.database
    }
}

/// The lock is taken before the handler and held to its end.
struct Implicit(Arc<Clock>);

#[handlers]
impl Implicit {
    #[expose]
    fn part(&self, number: u32, request: &Request, session: &Session) -> Json<Part> {
        self.0.part(number, request, session.get("visitor"))
    }
}

/// The handler gives the lock back as soon as it has read its values.
struct Forget(Arc<Clock>);

#[handlers]
impl Forget {
    #[expose]
    fn part(&self, number: u32, request: &Request, session: &Session) -> Json<Part> {
        let visitor = session.get("visitor");
        session.forget();
        self.0.part(number, request, visitor)
    }
}

/// The handler takes a snapshot: it never waits.
struct Viewing(Arc<Clock>);

#[handlers]
impl Viewing {
    #[expose]
    fn part(&self, number: u32, request: &Request, session: SessionView) -> Json<Part> {
        self.0.part(number, request, session.get("visitor"))
    }
}

/// The handler does not ask for the session, and in the mode `lazy` nothing else asks on its behalf.
struct Lazy(Arc<Clock>);

#[handlers]
impl Lazy {
    #[expose]
    fn part(&self, number: u32, request: &Request) -> Json<Part> {
        self.0.part(number, request, None)
    }
}

/// The sessions are in a database, and the handler locks its own for the moment of a change.
struct Database(Arc<Clock>);

#[handlers]
impl Database {
    /// Makes the session that the parts share.
    #[expose]
    fn begin(&self, session: &Session) -> kirsch::Result<&'static str> {
        session.acquire_lock()?;
        session.set("parts", 0);
        Ok("ready")
    }

    #[expose]
    fn part(&self, number: u32, request: &Request, session: &Session) -> kirsch::Result<Json<Part>> {
        session.acquire_lock()?;
        let parts = session.update("parts", |parts: &mut u32| {
            *parts += 1;
            *parts
        });
        session.release_lock();
        Ok(self.0.part(number, request, Some(format!("somebody, who has seen {parts} parts"))))
    }
}

/// How long a part takes, and since when times are counted.
struct Clock {
    pause: Duration,
    start: Instant,
}

impl Clock {
    fn part(&self, number: u32, request: &Request, visitor: Option<String>) -> Json<Part> {
        let began = Instant::now();
        thread::sleep(self.pause);
        let since_start = |moment: Instant| moment.duration_since(self.start).as_secs_f64();
        Json(Part {
            number,
            visitor: visitor.unwrap_or_else(|| "nobody in particular".to_owned()),
            received: since_start(request.received()),
            began: since_start(began),
            ended: since_start(Instant::now()),
        })
    }
}

/// One part, and when things happened to its request, in seconds since the start of the program.
#[derive(Serialize)]
struct Part {
    number: u32,
    visitor: String,
    received: f64,
    began: f64,
    ended: f64,
}
