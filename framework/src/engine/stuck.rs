//! Requests that run for very long are named in the log, each once.
//!
//! A thread of its own looks now and then: not the ticker, which must never wait, and a log may make its writers wait.

use super::background::Background;
use crate::exchange::{RequestId, RunningRequest, ServerView, WorkerState};
use crossbeam_channel::RecvTimeoutError;
use std::io;
use std::sync::Weak;
use std::time::Duration;

/// How often it looks, at most: a request is named this much too late at the latest.
const SELDOM: Duration = Duration::from_secs(5);
const OFTEN: Duration = Duration::from_millis(10);

/// Looks at the workers of the server from now on.
pub(super) fn watch(server: Weak<dyn ServerView>) -> io::Result<Background> {
    let mut thread = Background::new();
    thread.spawn("kirsch-watch", move |stopped| {
        let mut told = Vec::new();
        loop {
            let Some(view) = server.upgrade() else { return };
            let interval = (view.stuck_after() / 4).clamp(OFTEN, SELDOM);
            tell(&view.workers(), view.stuck_after(), &mut told);
            // Not kept while it sleeps: the server ends when its owner lets go of it.
            drop(view);
            if stopped.recv_timeout(interval) != Err(RecvTimeoutError::Timeout) {
                return;
            }
        }
    })?;
    Ok(thread)
}

/// Names the requests that are stuck and not among those that were told.
fn tell(workers: &[WorkerState], limit: Duration, told: &mut Vec<RequestId>) {
    let running = || workers.iter().filter_map(|worker| Some((worker.number, worker.request.as_ref()?)));
    told.retain(|id| running().any(|(_, request)| request.id == *id));
    for (worker, request) in running().filter(|(_, request)| request.age >= limit) {
        if told.contains(&request.id) {
            continue;
        }
        told.push(request.id);
        let RunningRequest { line, id, stage, age, .. } = request;
        let handler = request.handler.as_deref().unwrap_or("no handler yet");
        crate::line::record!(
            Warn,
            target: "kirsch::stuck",
            "{line} (request {id}, {handler}) has been running for {age:.1?} on worker {worker}: it is {}. The status page shows who waits for it",
            stage.explained()
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exchange::WorkerStage;
    use crate::logs::capture::records;

    fn worker(id: u64, seconds: u64) -> WorkerState {
        let request = RunningRequest {
            line: "GET /page1".to_owned(),
            id: RequestId::from_bits(id),
            handler: Some("Experiment::page1".to_owned()),
            stage: WorkerStage::Handler,
            age: Duration::from_secs(seconds),
        };
        WorkerState { number: 3, thread: 0, request: Some(request) }
    }

    #[test]
    fn a_stuck_request_is_named_once() {
        let mut told = Vec::new();
        let limit = Duration::from_secs(60);
        let mut look = |workers: &[WorkerState]| records("kirsch::stuck", || tell(workers, limit, &mut told));
        assert!(look(&[worker(1, 59)]).is_empty());
        let first = look(&[worker(1, 61)]);
        assert_eq!(first.len(), 1);
        assert!(first[0].contains("GET /page1 (request 0000000000000001, Experiment::page1)"), "{first:?}");
        assert!(look(&[worker(1, 62)]).is_empty());
        assert_eq!(look(&[worker(1, 63), worker(2, 61)]).len(), 1);
    }

    #[test]
    fn the_names_of_ended_requests_are_not_kept() {
        let mut told = vec![RequestId::from_bits(1)];
        tell(&[worker(2, 1)], Duration::from_secs(60), &mut told);
        assert!(told.is_empty());
    }
}
