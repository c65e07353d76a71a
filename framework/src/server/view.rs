//! What the server tells about itself: its side of [`ServerView`].
//!
//! Looking takes nothing away from those that work. Workers have records that are read without a lock, and connections
//! are counted by the byte that their last owner left beside the ownership word. Only a parked request whose details
//! are wanted is claimed, for as long as it takes to ask for them; a connection that has an owner is left out.

use super::connection::Rests;
use super::panics::guarded;
use super::scheduler::Phase;
use super::word::Holder;
use super::workers::WorkerRecord;
use super::workspace::Shared;
#[cfg(feature = "tls")]
use crate::exchange::CertificateState;
use crate::exchange::{
    ConnectionCounts, Exchange, ParkedRequest, QueueState, RunningRequest, ServerPhase, ServerView, SlowRequest,
    Statistics, StatusSource, WorkerState,
};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant, SystemTime};

impl ServerView for Shared {
    fn phase(&self) -> ServerPhase {
        match self.scheduler.phase() {
            Phase::Running => match self.announced.load(Ordering::Acquire) {
                announced if announced == ServerPhase::Starting as u8 => ServerPhase::Starting,
                announced if announced == ServerPhase::Running as u8 => ServerPhase::Running,
                _ => ServerPhase::Draining,
            },
            Phase::Draining | Phase::Closing => ServerPhase::Draining,
            Phase::Stopped | Phase::Ended => ServerPhase::Stopped,
        }
    }

    fn uptime(&self) -> Duration {
        self.scheduler.clock.age()
    }

    fn started(&self) -> SystemTime {
        self.scheduler.clock.began()
    }

    fn workers(&self) -> Vec<WorkerState> {
        let records = self.worker_records().iter().enumerate();
        records
            .map(|(index, record)| {
                let request = record.request(self.scheduler.clock).map(|work| RunningRequest {
                    line: work.line,
                    id: work.id,
                    handler: self.service.handler_at(work.handler),
                    stage: work.stage,
                    age: work.age,
                });
                WorkerState { number: index + 1, thread: record.thread(), request }
            })
            .collect()
    }

    fn queue(&self) -> QueueState {
        let Self { scheduler, settings, .. } = self;
        let oldest = scheduler.queue.oldest().map(|since| scheduler.clock.now().since(since));
        QueueState { length: scheduler.queue.requests(), limit: settings.queue, oldest }
    }

    fn parked(&self, at_most: usize) -> Vec<ParkedRequest> {
        let slab = &self.scheduler.slab;
        let rests = |&index: &u32| slab.rest(index) == Some((Holder::Nobody, Rests::Parked as u8));
        let mut parked = Vec::new();
        for index in slab.indexes().filter(rests) {
            if parked.len() == at_most {
                break;
            }
            let Some(mut owned) = slab.claim_if_free(index) else { continue };
            let connection = owned.connection();
            if connection.is_parked() {
                parked.extend(connection.in_flight().and_then(|exchange| self.parked_request(exchange)));
            }
            self.scheduler.put_down(owned);
        }
        parked.sort_by_key(|request| std::cmp::Reverse(request.waited));
        parked
    }

    fn connections(&self) -> ConnectionCounts {
        let slab = &self.scheduler.slab;
        let mut counts = ConnectionCounts::default();
        for (holder, rest) in slab.indexes().filter_map(|index| slab.rest(index)) {
            let count = match holder {
                Holder::Thread => &mut counts.at_work,
                Holder::Queue => &mut counts.queued,
                Holder::Nobody if rest == Rests::Head as u8 => &mut counts.reading_head,
                Holder::Nobody if rest == Rests::Body as u8 => &mut counts.reading_body,
                Holder::Nobody if rest == Rests::Parked as u8 => &mut counts.parked,
                Holder::Nobody if rest == Rests::Sending as u8 => &mut counts.sending,
                Holder::Nobody if rest == Rests::Pushing as u8 => &mut counts.pushing,
                Holder::Nobody if rest == Rests::Speaking as u8 => &mut counts.speaking,
                Holder::Nobody if rest == Rests::Closing as u8 => &mut counts.closing,
                #[cfg(feature = "tls")]
                Holder::Nobody if rest == Rests::Handshake as u8 => &mut counts.handshaking,
                #[cfg(feature = "http2")]
                Holder::Nobody if rest == Rests::Streams as u8 => &mut counts.with_streams,
                Holder::Nobody => &mut counts.idle,
            };
            *count += 1;
        }
        counts
    }

    fn slow_requests(&self) -> Vec<SlowRequest> {
        let all = self.slow.all().into_iter();
        all.map(|ended| {
            let [in_queue, parked, on_worker, reading_body, sending] = ended.parts;
            SlowRequest {
                line: String::from_utf8_lossy(&ended.line).into_owned(),
                id: ended.id,
                handler: self.service.handler_at(ended.handler),
                ended: ended.at.elapsed(),
                took: ended.took,
                in_queue,
                parked,
                on_worker,
                reading_body,
                sending,
            }
        })
        .collect()
    }

    fn statistics(&self) -> Statistics {
        let Self { scheduler, budgets, places, .. } = self;
        let workers = self.worker_records();
        let count =
            |condition: fn(&WorkerRecord) -> bool| workers.iter().filter(|record| condition(record)).count() as u64;
        Statistics {
            connections_accepted: scheduler.slab.accepted(),
            proxy_headers_refused: self.strangers.counted(),
            connections_open: scheduler.slab.sockets() as u64,
            requests: scheduler.records.iter().map(|record| record.requests()).sum(),
            overload_rejections: scheduler.rejections.load(Ordering::Relaxed),
            queued: scheduler.queue.requests() as u64,
            bodies_in_memory: budgets.memory.used(),
            bodies_on_disk: budgets.disk.used(),
            responses_in_memory: budgets.responses.used(),
            responses_cut_off: budgets.responses.refusals(),
            bodies_refused: [&budgets.memory, &budgets.disk, &budgets.files]
                .map(|budget| budget.refusals())
                .iter()
                .sum(),
            workers_configured: workers.len() as u64,
            workers_alive: count(WorkerRecord::is_alive),
            workers_busy: count(WorkerRecord::is_busy),
            workers_waiting: places.taken() as u64,
            workers_replaced: workers.iter().map(|record| record.replaced()).sum(),
            #[cfg(feature = "tls")]
            handshakes: self.handshakes.counts(),
            #[cfg(not(feature = "tls"))]
            handshakes: crate::exchange::HandshakeCounts::default(),
            #[cfg(feature = "websocket")]
            conversations: self.conversations(),
            #[cfg(not(feature = "websocket"))]
            conversations: crate::exchange::ConversationCounts::default(),
        }
    }

    #[cfg(feature = "tls")]
    fn certificates(&self) -> Vec<CertificateState> {
        self.tls.as_ref().map(|tls| tls.certificates()).unwrap_or_default()
    }

    fn sources(&self) -> Vec<Arc<dyn StatusSource>> {
        self.service.sources()
    }

    fn stuck_after(&self) -> Duration {
        self.settings.stuck_after
    }

    fn is_stuck(&self) -> bool {
        let (clock, limit) = (self.scheduler.clock, self.settings.stuck_after);
        self.worker_records().iter().all(|record| record.runs_for(limit, clock))
    }
}

impl Shared {
    #[cfg(feature = "websocket")]
    fn conversations(&self) -> crate::exchange::ConversationCounts {
        let mut counts = self.conversations.counts();
        for record in &self.scheduler.records {
            let (received, sent) = record.messages();
            counts.messages_in += received;
            counts.messages_out += sent;
        }
        counts
    }

    /// The details of a request that is parked, by the thread that has claimed it.
    fn parked_request(&self, exchange: &Exchange) -> Option<ParkedRequest> {
        let parked = exchange.course.parked.as_ref()?;
        let id = exchange.request.id;
        let tell = |text: &str| crate::line::record!(Error, "request {id}: panic in `Wait::waits_for`: {text}");
        let waits_for = guarded(tell, || parked.wait.waits_for().into_owned()).unwrap_or_default();
        let now = Instant::now();
        Some(ParkedRequest {
            line: String::from_utf8_lossy(exchange.request.head.method_and_path()).into_owned(),
            id,
            handler: exchange.trail.handler.as_ref().and_then(|handler| self.service.handler_at(handler.address())),
            waits_for,
            waited: now.saturating_duration_since(parked.since),
            left: parked.deadline.saturating_duration_since(now),
        })
    }
}
