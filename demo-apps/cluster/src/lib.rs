//! A counter in the session, made to run several times beside itself: each instance keeps the sessions in the same
//! store.
//!
//! The script `cluster/run` starts three of them behind nginx, and kills and restarts everything that it can while
//! browsers count.

use demo_apps::{page_or, session_store};
use kirsch::{prelude::*, sessions::LockStatus};
use serde_json::json;
use std::{thread, time::Duration};

/// The application, with its sessions in `store`, as [`session_store`] names it. A lock outlives its killed holder by
/// `lease`.
///
/// # Errors
/// When `store` is not a known store.
pub fn app(store: &str, lease: Duration) -> Result<App, String> {
    let sessions = session_store::sessions(store)?.lock_lease(lease).lock_timeout(Duration::from_secs(10));
    let root = Cluster { sessions: sessions.clone(), count: Count };
    Ok(App::new(root).tool("/", sessions))
}

struct Cluster {
    sessions: Sessions,
    count: Count,
}

#[handlers]
impl Cluster {
    #[child]
    fn count(&self) -> &Count {
        &self.count
    }

    /// Browsers get a page that explains itself.
    #[expose]
    fn index(&self, request: &Request, session: SessionView) -> Response {
        let count = session.get::<u64>("count").unwrap_or_default();
        let instance = std::process::id();
        let page = include_str!("index.html").replace("{count}", &count.to_string());
        let page = page.replace("{instance}", &instance.to_string());
        let bare = format!(
            "<!DOCTYPE html><title>Cluster</title><p>{count} so far, says process {instance}.\
             <form method=post action=count><button>One more</button></form>"
        );
        page_or(request, &page, Html(bare))
    }

    /// How many locks requests have held in this instance for longer than counting takes.
    #[expose]
    fn locks(&self) -> String {
        let is_long = |lock: &LockStatus| lock.held_for > Duration::from_millis(100);
        self.sessions.locks().iter().filter(|lock| is_long(lock)).count().to_string()
    }
}

struct Count;

#[resource]
impl Count {
    fn get(&self, session: SessionView) -> Json<serde_json::Value> {
        Json(json!({"count": session.get::<u64>("count").unwrap_or_default(), "instance": std::process::id()}))
    }

    /// Counts, and keeps the lock for so many more milliseconds.
    fn post(&self, hold: Option<u64>, session: &Session) -> Json<serde_json::Value> {
        let count = session.get::<u64>("count").unwrap_or_default() + 1;
        session.set("count", count);
        thread::sleep(Duration::from_millis(hold.unwrap_or_default().min(10_000)));
        Json(json!({"count": count, "instance": std::process::id()}))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kirsch::testing::Client;

    #[test]
    fn each_post_counts_one_more_and_a_get_none() {
        let client = Client::in_process(app("memory", Duration::from_secs(2)).expect("a store"));
        client.post("/count").send().assert_status(200);
        client.post("/count?hold=1").send().assert_status(200);
        assert!(client.get("/count").send().text().contains(r#""count":2"#));
        assert_eq!(client.new_browser().get("/locks").send().text(), "0");
    }

    #[test]
    fn browsers_get_a_page_that_explains_itself_and_programs_the_bare_one() {
        let client = Client::in_process(app("memory", Duration::from_secs(2)).expect("a store"));
        client.post("/count").send().assert_status(200);
        let process = format!("1 so far, says process {}.", std::process::id());
        client.get("/").send().assert_contains(&process).assert_lacks("<h1>");
        let page = client.get("/").header("Accept", "text/html,*/*;q=0.8").send();
        page.assert_contains(&process).assert_contains("curl -X POST");
        for placeholder in ["{style}", "{shell}", "{count}", "{instance}"] {
            page.assert_lacks(placeholder);
        }
    }
}
