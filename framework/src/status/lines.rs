//! The status for the log: what SIGQUIT asks for.

use super::html::Lasted;
use super::report::Report;
use crate::exchange::ServerView;

/// Most parked requests in the log; the status page has more.
const MAX_PARKED: usize = 100;

/// Writes what the server does now to the log: one record for each worker that runs a request and for each request that
/// waits.
pub(crate) fn write_to_log(server: &dyn ServerView) {
    for line in lines(&Report::of(server, &[])) {
        crate::line::record!(Warn, target: "kirsch::status", "{line}");
    }
}

fn lines(report: &Report) -> Vec<String> {
    let Report { phase, queue, connections, .. } = report;
    let (busy, all, parked) = (report.busy(), report.workers.len(), report.all_parked());
    let connections = connections.by_name().map(|(name, count)| format!("{name} {count}")).join(", ");
    let mut lines = vec![format!(
        "status: {}, up {}, {busy} of {all} workers busy, {} requests in the queue, {parked} parked; connections: {connections}",
        phase.word(),
        Lasted(report.uptime),
        queue.length,
    )];
    for worker in &report.workers {
        let Some(request) = &worker.request else { continue };
        let handler = request.handler.as_deref().unwrap_or("no handler yet");
        let stuck = if request.age >= report.stuck_after { ", stuck" } else { "" };
        lines.push(format!(
            "worker {} (thread {}): {} (request {}, {handler}) for {}{stuck}, {}",
            worker.number,
            worker.thread,
            request.line,
            request.id,
            Lasted(request.age),
            request.stage.explained()
        ));
    }
    for request in report.parked.iter().take(MAX_PARKED) {
        let (waited, left) = (Lasted(request.waited), Lasted(request.left));
        lines.push(format!(
            "parked: {} (request {}) for {waited}, {left} left; it waits for {}",
            request.line, request.id, request.waits_for
        ));
    }
    let untold = parked.saturating_sub(MAX_PARKED);
    if untold > 0 {
        lines.push(format!("parked: {untold} more"));
    }
    for section in &report.sections {
        for row in section.rows.iter().filter(|row| row.is_alarming) {
            lines.push(format!("{}: {} {}", section.title, row.name, super::html::plain(&row.value)));
        }
    }
    lines
}
