//! Everything about a server at one moment, as one value.

use crate::exchange::{
    ConnectionCounts, ParkedRequest, QueueState, ServerPhase, ServerView, SlowRequest, Statistics, StatusRow,
    StatusSource, WorkerState,
};
pub(super) use crate::lifecycle::VERSION;
use crate::logs::causes;
use crate::panics::guarded;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

/// Most parked requests whose details are told.
pub(super) const MAX_PARKED: usize = 1000;

/// A server at one moment.
pub(super) struct Report {
    pub(super) phase: ServerPhase,
    pub(super) uptime: Duration,
    pub(super) stuck_after: Duration,
    pub(super) workers: Vec<WorkerState>,
    pub(super) queue: QueueState,
    pub(super) parked: Vec<ParkedRequest>,
    pub(super) connections: ConnectionCounts,
    pub(super) slow: Vec<SlowRequest>,
    pub(super) statistics: Statistics,
    pub(super) sections: Vec<Section>,
}

/// What one part of the program shows.
pub(super) struct Section {
    pub(super) title: String,
    pub(super) rows: Vec<StatusRow>,
}

impl Report {
    /// Looks at the server, and asks the sources: its own, and those that were added to the page.
    pub(super) fn of(server: &dyn ServerView, added: &[Arc<dyn StatusSource>]) -> Self {
        Self {
            phase: server.phase(),
            uptime: server.uptime(),
            stuck_after: server.stuck_after(),
            workers: server.workers(),
            queue: server.queue(),
            connections: server.connections(),
            parked: server.parked(MAX_PARKED),
            slow: server.slow_requests(),
            statistics: server.statistics(),
            sections: certificates(server).into_iter().chain(sections(added.iter().chain(&server.sources()))).collect(),
        }
    }

    /// The workers that run a request.
    pub(super) fn busy(&self) -> usize {
        self.workers.iter().filter(|worker| worker.request.is_some()).count()
    }

    /// Parked requests, also those whose details are not told.
    pub(super) fn all_parked(&self) -> usize {
        self.parked.len().max(self.connections.parked)
    }

    /// For programs.
    pub(super) fn json(&self) -> Value {
        let Statistics { requests, connections_accepted, connections_open, overload_rejections, .. } = self.statistics;
        let Statistics { handshakes, conversations, .. } = self.statistics;
        let workers = self.workers.iter().map(|worker| {
            let request = worker.request.as_ref();
            json!({
                "number": worker.number,
                "thread": worker.thread,
                "request": request.map(|request| &request.line),
                "id": request.map(|request| request.id.to_string()),
                "handler": request.and_then(|request| request.handler.as_ref()),
                "stage": request.map(|request| request.stage.word()),
                "since_ms": request.map(|request| millis(request.age)),
                "is_stuck": request.is_some_and(|request| request.age >= self.stuck_after),
            })
        });
        let parked = self.parked.iter().map(|request| {
            json!({
                "request": request.line,
                "id": request.id.to_string(),
                "handler": request.handler,
                "waits_for": request.waits_for,
                "since_ms": millis(request.waited),
                "left_ms": millis(request.left),
            })
        });
        let slow = self.slow.iter().map(|request| {
            json!({
                "request": request.line,
                "id": request.id.to_string(),
                "handler": request.handler,
                "ended_ms": millis(request.ended),
                "took_ms": millis(request.took),
                "queue_ms": millis(request.in_queue),
                "parked_ms": millis(request.parked),
                "worker_ms": millis(request.on_worker),
                "body_ms": millis(request.reading_body),
                "sending_ms": millis(request.sending),
            })
        });
        let sections = self.sections.iter().map(|section| {
            let rows = section.rows.iter().map(|row| json!({"name": row.name, "value": row.value}));
            json!({"title": section.title, "rows": rows.collect::<Vec<_>>()})
        });
        json!({
            "state": self.phase.word(),
            "uptime_ms": millis(self.uptime),
            "version": VERSION,
            "process": std::process::id(),
            "requests": requests,
            "refused_by_overload": overload_rejections,
            "workers": workers.collect::<Vec<_>>(),
            "queue": {
                "length": self.queue.length,
                "limit": self.queue.limit,
                "oldest_ms": self.queue.oldest.map(millis),
            },
            "parked": parked.collect::<Vec<_>>(),
            "connections": serde_json::Map::from_iter(
                self.connections
                    .by_name()
                    .into_iter()
                    .chain([("open", usize::try_from(connections_open).unwrap_or(usize::MAX))])
                    .map(|(name, count)| (name.to_owned(), count.into()))
                    .chain([("accepted".to_owned(), connections_accepted.into())]),
            ),
            "handshakes": {
                "full": handshakes.full,
                "resumed": handshakes.resumed,
                "failed": serde_json::Map::from_iter(
                    handshakes.failures().into_iter().map(|(name, count)| (name.to_owned(), count.into())),
                ),
            },
            "conversations": {
                "open": conversations.open,
                "opened": conversations.opened,
                "messages_in": conversations.messages_in,
                "messages_out": conversations.messages_out,
                "ended": serde_json::Map::from_iter(
                    conversations.ends().map(|(name, count)| (name.to_owned(), count.into())),
                ),
            },
            "slow": slow.collect::<Vec<_>>(),
            "sections": sections.collect::<Vec<_>>(),
        })
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// The certificates of the server, if it has some, with their ends.
fn certificates(server: &dyn ServerView) -> Option<Section> {
    /// Less than this is a matter for the operator: programs that renew do so weeks before.
    const SOON: Duration = Duration::from_secs(14 * 24 * 3600);
    let now = SystemTime::now();
    let rows = server.certificates().into_iter().map(|certificate| {
        let left = certificate.expires.duration_since(now);
        let when = match &left {
            Ok(left) => format!("{} days left, until", left.as_secs() / (24 * 3600)),
            Err(_) => "expired on".to_owned(),
        };
        let value =
            format!("{}: {when} {}", certificate.hosts.join(", "), httpdate::fmt_http_date(certificate.expires));
        StatusRow::new(certificate.place, value).alarming(left.unwrap_or_default() < SOON)
    });
    let rows: Vec<_> = rows.collect();
    (!rows.is_empty()).then(|| Section { title: "Certificates".to_owned(), rows })
}

/// Of several sources with the same title the first. One that panics says so in its place.
fn sections<'s>(sources: impl Iterator<Item = &'s Arc<dyn StatusSource>>) -> Vec<Section> {
    let mut sections: Vec<Section> = Vec::new();
    for source in sources {
        let asked = guarded(|| {
            let title = source.title();
            let is_known = sections.iter().any(|known| known.title == title);
            Ok::<_, crate::exchange::Error>((!is_known).then(|| Section { title, rows: source.rows() }))
        });
        match asked {
            Ok(section) => sections.extend(section),
            Err(error) => sections.push(Section {
                title: "A part of the program that cannot tell".to_owned(),
                rows: vec![StatusRow::new("failure", causes(&error)).alarming(true)],
            }),
        }
    }
    sections
}
