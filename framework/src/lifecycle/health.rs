//! The two questions of probes: is the server alive, and may it get requests? They are answered before anything of the
//! application runs, and while no worker is free by the thread that looks after the server.
//!
//! | path | 200 | 503 |
//! |---|---|---|
//! | `/health/live` | else | while every worker has been in one request for longer than `server.stuck_after` |
//! | `/health/ready` | while the server serves | before everything has started, and from the moment on that it stops |
//!
//! Neither asks a database: a restart mends no database, and a busy server must not be killed for being busy.

use crate::exchange::{Exchange, ServerPhase, ServerView};
use ::http::{HeaderValue, Method, StatusCode, header};

/// Where the questions are asked.
#[derive(Debug)]
pub(crate) struct Health {
    live: String,
    ready: String,
}

impl Health {
    /// At `live` and `ready` below this path.
    ///
    /// # Errors
    /// A sentence, if that is not a path.
    pub(crate) fn at(path: &str) -> Result<Self, String> {
        let path = path.trim_end_matches('/');
        if !path.is_empty() && (!path.starts_with('/') || path.contains(['?', '#', ' ', '%'])) {
            return Err(format!("{path:?} is not a path for the questions of probes: write one as \"/health\""));
        }
        Ok(Self { live: format!("{path}/live"), ready: format!("{path}/ready") })
    }

    /// Whether the request is one of the questions: then its answer is in the response.
    #[inline]
    pub(super) fn answer(&self, exchange: &mut Exchange) -> bool {
        let path = exchange.request.head.path();
        let is_ready = path == self.ready;
        if !is_ready && path != self.live || !matches!(*exchange.request.head.method(), Method::GET | Method::HEAD) {
            return false;
        }
        let server = exchange.request.server();
        let (status, text) = verdict(is_ready, server.as_deref());
        let response = &mut exchange.response;
        response.set_status(status);
        response.set_header(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
        response.set_header(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        response.set_body(text);
        true
    }
}

/// Without a server, as in a test, all is well.
fn verdict(asks_for_ready: bool, server: Option<&dyn ServerView>) -> (StatusCode, &'static str) {
    let Some(server) = server else { return (StatusCode::OK, "ok\n") };
    match server.phase() {
        ServerPhase::Starting if asks_for_ready => (StatusCode::SERVICE_UNAVAILABLE, "starting\n"),
        ServerPhase::Draining | ServerPhase::Stopped if asks_for_ready => {
            (StatusCode::SERVICE_UNAVAILABLE, "stopping\n")
        }
        _ if !asks_for_ready && server.is_stuck() => (StatusCode::SERVICE_UNAVAILABLE, "every worker is stuck\n"),
        _ => (StatusCode::OK, "ok\n"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_path_can_be_asked_at() {
        assert_eq!(Health::at("/").unwrap().live, "/live");
        assert_eq!(Health::at("/health/").unwrap().ready, "/health/ready");
        for wrong in ["health", "/a b", "/a?b", "/%61"] {
            assert!(Health::at(wrong).is_err(), "{wrong}");
        }
    }
}
