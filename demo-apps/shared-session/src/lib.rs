//! A handler and its template that both open the session: one session per request, so the page does not wait for
//! itself.
//!
//! With mod_python a page that opened the session, and whose template opened it again, waited for its own lock until
//! the server gave up. Here each page tries another order of opening, and shows the visitors so far.

use demo_apps::page;
use kirsch::prelude::*;
use kirsch::tools::{Templates, View};
use serde_json::json;

/// The application.
pub fn app() -> App {
    let templates = Templates::embedded([
        ("index.html", page(include_str!("index.html"))),
        ("page.html", page(include_str!("page.html"))),
        ("part.html", include_str!("part.html").to_owned()),
    ]);
    App::new(Pages).tool("/", templates).tool("/", Sessions::in_memory())
}

struct Pages;

#[handlers]
impl Pages {
    #[expose]
    fn index(&self) -> View {
        View::new("index.html", ())
    }

    /// The handler opens the session, then its template does.
    #[expose]
    fn handler_first(&self, session: &Session) -> View {
        session.set("opened_by", ["the handler"]);
        View::new("page.html", json!({"name": "handler first", "parts": 0}))
    }

    /// The handler knows nothing of sessions; the template opens the session.
    #[expose]
    fn template_first(&self) -> View {
        View::new("page.html", json!({"name": "template first", "parts": 0}))
    }

    /// The handler asks for the lock once more than it needs, the template includes three parts, and each opens the
    /// session.
    #[expose]
    fn everybody(&self, session: &Session) -> kirsch::Result<View> {
        session.acquire_lock()?;
        session.set("opened_by", ["the handler", "the handler, again"]);
        session.acquire_lock()?;
        Ok(View::new("page.html", json!({"name": "everybody", "parts": 3})))
    }
}
